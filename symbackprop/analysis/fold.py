"""The fold of an affine layer (batch norm with given statistics) into the layer before it, from their equations.

With u the result of the first layer, the second is `z = scale*u + shift`, where neither scale nor shift knows u; that
is read off its equation. The first is homogeneous in its parameters: every term of its sum has exactly one of them as a
factor. So `scale` goes into each parameter, and `shift` into the one that stands alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from symbackprop.analysis.compose import compose
from symbackprop.check.arithmetic import Redraw
from symbackprop.check.cases import draw_case, point_at
from symbackprop.check.modular import Modular
from symbackprop.check.point import Point
from symbackprop.errors import CannotDerive, CheckFailed
from symbackprop.notation.binding import free_indices, substitute
from symbackprop.notation.layer import Definition, Layer, Tensor
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Add,
    Expr,
    Index,
    Mul,
    Read,
    Reduce,
    Where,
    add,
    mul,
    rewrite,
    walk,
)
from symbackprop.notation.printer import expression, to_text
from symbackprop.notation.reader import read

PREFIX = "folded_"


@dataclass(frozen=True, slots=True)
class Step:
    """An equation of the derivation, and why it holds."""

    equation: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fold:
    """The fold of `second` into `first`: its steps, and the equations of the new parameters as a layer.

    The layer has an output `folded_weight` for each parameter `weight`. `points` counts the elements at which both
    networks were found equal, exactly.
    """

    first: Layer
    second: Layer
    steps: tuple[Step, ...]
    layer: Layer
    points: int


def fold(first: Layer, second: Layer, seed: int = 0) -> Fold:
    """The fold of an affine layer into the one before it, proved modulo a prime at random points.

    Raises: CannotDerive where the second is not affine in what comes in, or the first has no place for what it
    does; CheckFailed where both networks differ.
    """
    both_layers = compose(first, second)
    if len(first.definitions) != 1 or len(second.definitions) != 1:
        raise CannotDerive(f"a fold needs layers of one equation each; {first.name} and {second.name} have more")
    u, z = both_layers.definitions
    trained = tuple(t for t in first.real_inputs[1:])
    scale, shift = _affine(z, u)
    alone = _standing_alone(u.body, trained, shift)
    _refuse_inhomogeneous(u, trained)
    new = tuple(_folded(t, _read_of(u.body, t.name), z, u, t.name == alone) for t in trained)
    steps = (
        Step(_equation(u), f"the first layer, {first.name}"),
        Step(_equation(z), f"the second layer, {second.name}"),
        Step(f"scale = {expression(scale)}", f"the derivative of {z.name} by {u.name}, in which {u.name} is not"),
        Step(f"shift = {expression(_positive_first(shift))}", f"what is left of {z.name} where {u.name} is 0"),
        Step(_equation(_substituted(u, z, new)), f"scale*{u.name} + shift, with {u.name} put in"),
        *(Step(_equation(d), _why(d, alone)) for d in new),
        Step(_equation(_with_folded(u, z.name, trained)), "the first layer again, with the new parameters"),
    )
    layer = _layer(f"fold_{second.name}_into_{first.name}", both_layers, trained, new)
    return Fold(first, second, steps, layer, _proved(both_layers, u, z, trained, new, seed))


def _why(definition: Definition, alone: str) -> str:
    own = definition.name.removeprefix(PREFIX)
    return f"scale goes into {own}" + (", and so does the shift, since it stands alone" if own == alone else "")


def _equation(definition: Definition) -> str:
    return f"{expression(definition.element)} = {expression(definition.body)}"


# ------------------------------------------------------------------------------------------ the second layer


def _affine(z: Definition, u: Definition) -> tuple[Expr, Expr]:
    """`scale` and `shift` of `z = scale*u + shift`."""
    for node in walk(z.body):
        if isinstance(node, Read) and node.tensor == u.name and node.indices != z.indices:
            raise CannotDerive(f"{z.name} reads {u.name} at another place than its own: {expression(node)}")
    return _slope(z.body, u.name), _with(z.body, u.name, ZERO)


def _slope(expr: Expr, tensor: str, times: Expr = ONE) -> Expr:
    """The derivative of an expression that is affine in a tensor's element, which then is not in it; `times` what.

    The factor takes the place in which the element stood, so that a product reads as it did.
    """
    if not _has(expr, (tensor,)):
        return ZERO
    match expr:
        case Read():
            return times
        case Add(terms):
            return add(*(_slope(term, tensor, times) for term in terms))
        case Mul(factors) if sum(_has(f, (tensor,)) for f in factors) == 1:
            return mul(*(_slope(f, tensor, times) if _has(f, (tensor,)) else f for f in factors))
        case _:
            raise CannotDerive(f"{expression(expr)} is not affine in {tensor}")


def _with(expr: Expr, tensor: str, value: Expr) -> Expr:
    """The expression with a value in the place of a tensor's element."""
    return rewrite(expr, lambda e: value if isinstance(e, Read) and e.tensor == tensor else e)


def _positive_first(expr: Expr) -> Expr:
    """A sum that does not begin with a minus sign where another term can begin it."""
    if not isinstance(expr, Add):
        return expr
    return add(*sorted(expr.terms, key=lambda term: expression(term).startswith("-")))


def _has(expr: Expr, tensors: Iterable[str]) -> bool:
    return any(isinstance(node, Read) and node.tensor in tensors for node in walk(expr))


# ------------------------------------------------------------------------------------------- the first layer


def _read_of(body: Expr, tensor: str) -> Read:
    found = list(dict.fromkeys(n for n in walk(body) if isinstance(n, Read) and n.tensor == tensor))
    if len(found) != 1:
        raise CannotDerive(f"{tensor} is read in {len(found)} ways, and a fold needs one")
    return found[0]


def _standing_alone(body: Expr, trained: tuple[Tensor, ...], shift: Expr) -> str:
    """The parameter that is a term by itself and has all the indices of the shift."""
    names = {t.name for t in trained}
    for term in body.terms if isinstance(body, Add) else (body,):
        if isinstance(term, Read) and term.tensor in names and set(free_indices(shift)) <= set(term.indices):
            return term.tensor
    raise CannotDerive(f"no parameter stands alone that could take in {expression(shift)}")


def _refuse_inhomogeneous(u: Definition, trained: tuple[Tensor, ...]) -> None:
    names = tuple(t.name for t in trained)
    degree = _degree(u.body, names)
    if degree != 1:
        raise CannotDerive(f"not every term of {u.name} has exactly one of {', '.join(names)} as a factor")


def _degree(expr: Expr, names: tuple[str, ...]) -> int | None:
    """How many of the parameters every term has as factors; None where terms differ. Zero has any degree: -1."""
    match expr:
        case _ if expr == ZERO:
            return -1
        case _ if not _has(expr, names):
            return 0
        case Read():
            return 1
        case Mul(factors):
            degrees = [_degree(f, names) for f in factors]
            return None if None in degrees else sum(d for d in degrees if d is not None)
        case Reduce("sum" | "mean", _, body):
            return _degree(body, names)
        case Add(terms):
            return _common(_degree(term, names) for term in terms)
        case Where(condition, then, other) if not _has(condition, names):
            return _common(_degree(branch, names) for branch in (then, other))
        case _:
            return None


def _common(degrees: Iterable[int | None]) -> int | None:
    found = set(degrees) - {-1}
    return found.pop() if len(found) == 1 else None


# --------------------------------------------------------------------------------------------- what comes out


def _folded(tensor: Tensor, own: Read, z: Definition, u: Definition, alone: bool) -> Definition:
    """`folded_weight[k,...] = scale*weight[k,...]`, and `+ shift` for the one that stands alone, over its axes.

    Factors stay collected as the second layer has them: with the parameter in the place of its input.
    """
    scale = _slope(z.body, u.name)
    missing = [i for i in free_indices(scale) if i not in own.indices]
    if missing:
        raise CannotDerive(f"{tensor.name} has no axis {missing[0].name} for {expression(scale)}")
    kept = set(free_indices(scale))
    # an axis that the scale does not know gets an index of its own: the read may be at R - 1 - r
    taken = {i.name for i in kept}
    indices = []
    for axis, index in zip(tensor.axes, own.indices, strict=True):
        plain = isinstance(index, Index) and (index in kept or index.name not in taken)
        name = index.name if plain and isinstance(index, Index) else axis.name.lower()
        indices.append(index if index in kept and isinstance(index, Index) else Index(name, axis))
    element = Read(tensor.name, tuple(indices))
    body = _with(z.body, u.name, element) if alone else _slope(z.body, u.name, element)
    return Definition(f"{PREFIX}{tensor.name}", tuple(indices), body)


def _substituted(u: Definition, z: Definition, new: tuple[Definition, ...]) -> Definition:
    """The first layer with what the new parameters stand for."""
    by_name = {d.name: d for d in new}

    def put_in(expr: Expr) -> Expr:
        found = by_name.get(f"{PREFIX}{expr.tensor}") if isinstance(expr, Read) else None
        if found is None or not isinstance(expr, Read):
            return expr
        return substitute(found.body, dict(zip(found.indices, expr.indices, strict=True)))

    return Definition(z.name, z.indices, rewrite(u.body, put_in))


def _with_folded(u: Definition, name: str, trained: tuple[Tensor, ...]) -> Definition:
    names = {t.name for t in trained}
    body = rewrite(
        u.body, lambda e: Read(f"{PREFIX}{e.tensor}", e.indices) if isinstance(e, Read) and e.tensor in names else e
    )
    return Definition(name, u.indices, body)


def _layer(name: str, both_layers: Layer, trained: tuple[Tensor, ...], new: tuple[Definition, ...]) -> Layer:
    """The equations of the new parameters as a layer of the old ones and of the second layer's inputs."""
    used = {t.name for t in trained} | {n.tensor for d in new for n in walk(d.body) if isinstance(n, Read)}
    names = {getattr(n, "name", "") for d in new for n in walk(d.body)}
    layer = Layer(
        name,
        tuple(replace(t, outside=None) for t in both_layers.inputs if t.name in used),
        tuple(p for p in both_layers.parameters if p.name in names),
        (),
        (),
        (),
        new,
        tuple(d.name for d in new),
        doc=f"The parameters that take in what {name.removeprefix('fold_').split('_into_')[0]} does.",
    )
    return read(to_text(layer), name)


def _proved(
    both_layers: Layer,
    u: Definition,
    z: Definition,
    trained: tuple[Tensor, ...],
    new: tuple[Definition, ...],
    seed: int,
) -> int:
    """How many elements were found equal, exactly."""
    again = _with_folded(u, f"{z.name}_again", trained)
    proof = replace(both_layers, definitions=(u, z, *new, again), outputs=(z.name, again.name))
    rng, points = np.random.default_rng(seed), 0
    for draw in range(8):
        case = draw_case(proof, rng, "uneven" if draw % 2 else "small")
        point = drawn(proof, point_at(proof, case), seed + draw)
        for key in point.box(z.name):
            left, right = point.read(z.name, key), point.read(again.name, key)
            if left != right:
                raise CheckFailed(f"the fold is wrong at {key} for {case}, seed {seed}: {left} before, {right} after")
            points += 1
    return points


def drawn(layer: Layer, bare: Point, seed: int) -> Point:
    """A random point modulo the prime at which everything has a value."""
    for attempt in range(400):
        numbers = Modular(seed)
        elements = {
            t.name: {key: numbers.random(1000 * seed + attempt, t.name, key) for key in bare.box(t.name)}
            for t in layer.inputs
        }
        point = Point(layer, numbers, bare.sizes, bare.parameters, elements)
        try:
            for name in layer.outputs:
                point.all_of(name)
        except Redraw:
            continue
        return point
    raise CheckFailed(f"layer {layer.name}: no random point was found at which all has a value, seed {seed}")
