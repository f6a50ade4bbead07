"""Cases: sizes and integer parameters that a layer accepts, found by drawing, and the work that they mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from symbackprop.check.arithmetic import Float64
from symbackprop.check.interpret import evaluate_exact, holds
from symbackprop.check.point import Elements, OutsideBox, Point
from symbackprop.errors import CheckFailed, UserError
from symbackprop.notation.binding import free_indices
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Arg, Expr, FloorDiv, Index, Mod, Partial, Read, Reduce, Size, parts, walk

TRIES = 4000
UNMENDED = 40  # draws after which sizes are moved to where the requirements hold
REACH = 64  # sizes that are tried for that
SHORTENED = 400  # draws after which all axes are short
CANDIDATES = 6  # cases from which an uneven one is chosen
ENTANGLED = (1, 2, 3, 4, 5, 6)  # for sizes that stand in index arithmetic, in an uneven case
PROFILES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {  # name -> (sizes, integer parameters) to draw from
    "ones": ((1, 1, 1, 1, 1, 2), (0, 1, 1, 2)),
    "equal": ((2, 3), (0, 1, 2)),
    "small": ((1, 2, 2, 3, 3), (0, 1, 1, 2, 2, 3)),
    "uneven": ((1, 2, 2), (1, 1, 2, 2, 3)),
    "larger": ((1, 2, 3, 4, 5, 7), (0, 1, 2, 3)),
    "wide": ((3, 4, 5, 6, 8, 9), (0, 1, 2, 3)),
}


@dataclass(frozen=True, slots=True)
class Case:
    """Sizes of the axes that inputs bind, and the integer parameters; both in declared order."""

    sizes: tuple[tuple[str, int], ...]
    parameters: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        named = [", ".join(f"{name} = {value}" for name, value in pairs) for pairs in (self.sizes, self.parameters)]
        return "; ".join(text for text in named if text) or "no sizes"


def draw_case(
    layer: Layer,
    rng: np.random.Generator,
    profile: str = "small",
    most_work: int = 20_000,
    conditions: tuple[Expr, ...] = (),
) -> Case:
    """A case that satisfies the layer's requirements and `conditions`, with no empty axis, of bounded work.

    Profiles: `ones` (nearly all sizes 1), `equal` (all sizes alike: a kernel as large as the image), `small`,
    `uneven` (the most telling of several: integer parameters above 1, few axes of size 1), `larger` (odd sizes,
    strides that do not divide), `wide`. Raises CheckFailed if none is found.
    """
    sizes, integers = PROFILES[profile]
    found: list[Case] = []
    for attempt in range(TRIES):
        case = _drawn(layer, rng, profile, sizes, integers, attempt)
        if attempt >= UNMENDED:
            case = _mended(layer, case)
        if fits(layer, case, most_work, conditions):
            found.append(case)
            if profile != "uneven" or len(found) == CANDIDATES:
                break
    if found:
        return max(found, key=lambda case: _telling(layer, case))
    raise CheckFailed(f"layer {layer.name}: no sizes and parameters that fit were found in {TRIES} draws ({profile})")


def _drawn(
    layer: Layer,
    rng: np.random.Generator,
    profile: str,
    sizes: tuple[int, ...],
    integers: tuple[int, ...],
    attempt: int,
) -> Case:
    names = free_sizes(layer)
    values = [int(v) for v in rng.choice(sizes, len(names))]
    if profile == "equal" and attempt < TRIES // 4:
        values = [values[0]] * len(names) if names else []
    if profile == "ones" and attempt < 40:
        values = [1] * len(names)
    if profile == "uneven":
        entangled = entangled_sizes(layer)
        values = [int(rng.choice(ENTANGLED)) if n in entangled else v for n, v in zip(names, values, strict=True)]
    # the longer nothing fits (the work may be too much), the more axes are short
    values = [v if rng.random() > attempt / SHORTENED else int(rng.choice((1, 1, 2))) for v in values]
    given = [p for p in layer.parameters if p.integer]
    chosen = [int(p.default) if rng.random() < 0.3 else int(rng.choice(integers)) for p in given]
    signed = [v if p.default >= 0 or rng.random() < 0.5 else -v for p, v in zip(given, chosen, strict=True)]
    return Case(tuple(zip(names, values, strict=True)), tuple(zip([p.name for p in given], signed, strict=True)))


def _mended(layer: Layer, case: Case) -> Case:
    """The case with sizes moved, one for each requirement that it breaks, to the nearest at which it holds.

    `F == 4*H` or `T == 3` are met too rarely by drawing.
    """
    for requirement in layer.requirements:
        nearer = (c for c in _moved(layer, requirement.condition, case) if _meets(layer, requirement.condition, c))
        case = next(nearer, case)
    return case


def _moved(layer: Layer, condition: Expr, case: Case) -> Iterator[Case]:
    """The case itself, then those in which one of the sizes behind the condition has moved, near ones first."""
    yield case
    behind = {
        e.name for expr in (condition, *(d.value for d in layer.sizes)) for e in walk(expr) if isinstance(e, Size)
    }
    names = [name for name in reversed(free_sizes(layer)) if name in behind]
    for distance in range(1, REACH):
        for name in names:
            for value in (dict(case.sizes)[name] + distance, dict(case.sizes)[name] - distance):
                if value > 0:
                    yield replace(case, sizes=tuple((n, value if n == name else v) for n, v in case.sizes))


def _meets(layer: Layer, condition: Expr, case: Case) -> bool:
    try:
        return holds(condition, point_at(layer, case))
    except (UserError, ZeroDivisionError):
        return False


def _telling(layer: Layer, case: Case) -> int:
    """How much can go wrong unnoticed is the less, the more axes are longer than 1 and parameters above 1."""
    point = point_at(layer, case)
    lengths = [n for name in layer.tensors for n in point.shape(name)]
    return sum(n > 1 for n in lengths) + 2 * sum(abs(value) > 1 for _, value in case.parameters)


def entangled_sizes(layer: Layer) -> frozenset[str]:
    """The sizes of axes that are read at more than a plain index, and of the indices that stand in such a place.

    These decide which reads fall where; the other sizes only repeat the same thing. All sizes, if there are none.
    """
    entangled: list[Expr] = [*(d.value for d in layer.sizes), *(r.extent for r in layer.ranges)]
    for read in _reads(layer):
        for axis, index in zip(layer.axes(read.tensor), read.indices, strict=True):
            if not isinstance(index, Index):
                entangled += [axis, *(e.extent for e in walk(index) if isinstance(e, Index))]
    names = {e.name for expr in entangled for e in walk(expr) if isinstance(e, Size)}
    return frozenset(names & set(free_sizes(layer))) if has_index_arithmetic(layer) else frozenset(free_sizes(layer))


def has_index_arithmetic(layer: Layer) -> bool:
    """Whether some tensor is read at more than a plain index."""
    return any(not isinstance(index, Index) for read in _reads(layer) for index in read.indices)


def free_sizes(layer: Layer) -> tuple[str, ...]:
    """The axis sizes that arrays bind, in the order in which they first stand."""
    derived = {d.name for d in layer.sizes}
    names = dict.fromkeys(axis.name for tensor in layer.inputs for axis in tensor.axes)
    return tuple(name for name in names if name not in derived)


def fits(layer: Layer, case: Case, most_work: int, conditions: tuple[Expr, ...] = ()) -> bool:
    """Whether the layer accepts the case: requirements, no empty axis or range, no read that must not be."""
    try:
        point = point_at(layer, case)
        if not all(holds(c, point) for c in (*(r.condition for r in layer.requirements), *conditions)):
            return False
        for extent in (*(a for t in layer.inputs for a in t.axes), *(r.extent for r in layer.ranges)):
            point.extent(extent)
        if not all(_divides(divisor, point) for divisor in _divisors(layer)):
            return False
        return forward_work(point) <= most_work and _reads_fit(layer, case)
    except (UserError, ZeroDivisionError):
        return False


def _divisors(layer: Layer) -> Iterator[Expr]:
    """What is divided by in an index, where it is the same everywhere."""
    nodes = (e for d in layer.definitions for e in walk(d.body))
    return (e.divisor for e in nodes if isinstance(e, FloorDiv | Mod) and not free_indices(e.divisor))


def _divides(divisor: Expr, point: Point) -> bool:
    return any(isinstance(e, Read) for e in walk(divisor)) or evaluate_exact(divisor, point) >= 1


def point_at(layer: Layer, case: Case) -> Point:
    """The case as a point without elements: sizes and parameters (real ones at their defaults)."""
    parameters = {p.name: p.default for p in layer.parameters} | {n: Fraction(v) for n, v in case.parameters}
    exact = {name: int(v) if v.denominator == 1 else v for name, v in parameters.items()}
    return Point(layer, Float64(), dict(case.sizes), exact)


# ------------------------------------------------------------------------------------------------- work


def forward_work(point: Point) -> int:
    """About how many operations the forward pass takes at the point."""
    total = 0
    for d in point.layer.definitions:
        total += work(d.body, point) * _volume((i.extent for i in d.indices), point)
    return total


def work(expr: Expr, point: Point) -> int:
    """About how many operations the expression takes, for one value of its free indices."""
    if isinstance(expr, Reduce | Arg):
        return 1 + _volume((i.extent for i in expr.indices), point) * work(expr.body, point)
    if isinstance(expr, Read | Partial):  # a row of partial derivatives is computed once
        return 1
    return 1 + sum(work(part, point) for part in parts(expr))


def _volume(extents: Iterator[Expr], point: Point) -> int:
    volume = 1
    for extent in extents:
        volume *= point.extent(extent)
    return volume


# ---------------------------------------------------------------------------------------- integer tensors


def draw_integers(point: Point, rng: np.random.Generator) -> dict[str, Elements]:
    """Elements for the integer tensors that keep every read in its box."""
    bounds = integer_bounds(point)
    return {name: {key: int(rng.integers(0, bound)) for key in point.box(name)} for name, bound in bounds.items()}


def integer_bounds(point: Point) -> dict[str, int]:
    """One above the largest value of each integer tensor: the smallest axis along which it is used as a position."""
    bounds = {t.name: 0 for t in point.layer.inputs if t.kind == "integer"}
    for read in _reads(point.layer):
        for axis, index in enumerate(read.indices):
            for inner in walk(index):
                if isinstance(inner, Read) and inner.tensor in bounds:
                    n = point.shape(read.tensor)[axis]
                    bounds[inner.tensor] = min(bounds[inner.tensor] or n, n)
    return {name: bound or 3 for name, bound in bounds.items()}


def _reads(layer: Layer) -> Iterator[Read]:
    return (e for d in layer.definitions for e in walk(d.body) if isinstance(e, Read))


def _positions(layer: Layer) -> Iterator[tuple[str, int, tuple[Expr, ...]]]:
    """Where the position of an extremum stands as an index: the tensor, the axis, and the extents that it counts."""
    for read in _reads(layer):
        for axis, index in enumerate(read.indices):
            if isinstance(index, Read) and layer.tensor(index.tensor) is None:
                body = layer.definition(index.tensor).body
                if isinstance(body, Arg):
                    yield read.tensor, axis, tuple(i.extent for i in body.indices)


def _reads_fit(layer: Layer, case: Case) -> bool:
    """Whether the forward pass stays inside the boxes; only looked at where an index is more than an index."""
    checked = [t for t in layer.inputs if t.outside is None] + list(layer.definitions)
    named = {t.name for t in checked}
    if not any(r.tensor in named and not all(isinstance(i, Index) for i in r.indices) for r in _reads(layer)):
        return True
    point = point_at(layer, case)
    if not all(_volume(iter(indices), point) <= point.shape(t)[axis] for t, axis, indices in _positions(layer)):
        return False
    rng = np.random.default_rng(0)
    point.elements.update(draw_integers(point, rng))
    for tensor in layer.real_inputs:
        point.elements[tensor.name] = {key: rng.uniform(0.5, 2.0) for key in point.box(tensor.name)}
    try:
        for definition in layer.definitions:
            point.all_of(definition.name)
    except OutsideBox:
        return False
    return True
