"""Which step of our derivation a document's formula is.

Two formulas are one step if they are equal whatever the intermediates and their gradients are: at a point at which each
name has a value of its own, no definition holds. So `dL/dmu` written through `dL/dxhat` is told from its closed form,
though both have the same value at every true point.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from symbackprop.calculus.derivation import Derivation, gradient_name
from symbackprop.calculus.derive import derive
from symbackprop.check.arithmetic import Redraw, Value
from symbackprop.check.cases import Case
from symbackprop.check.interpret import Interpreter, Key
from symbackprop.check.modular import Modular
from symbackprop.check.point import Elements, Point
from symbackprop.documents.conventions import Relation
from symbackprop.documents.judge import Judgement
from symbackprop.documents.latex.tree import Slope, bare
from symbackprop.documents.legend import Part
from symbackprop.documents.meaning import STORED, sides
from symbackprop.documents.names import is_loss
from symbackprop.documents.scenes import cases, layer_at
from symbackprop.documents.trials import NO_VALUE
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Expr, Index, Read, walk

TRIES = 60


@dataclass(frozen=True, slots=True)
class Ours:
    """A step of our derivation: the gradient that it is of, its number there, its rule."""

    gradient: str
    number: int
    rule: str

    def __str__(self) -> str:
        return f"{self.gradient}, step {self.number} ({self.rule})"


@lru_cache(maxsize=16)
def _derived(layer: Layer) -> Derivation:
    return derive(layer)


def our_step(relation: Relation, part: Part, judgement: Judgement) -> Ours | None:
    """The step of our derivation whose result is the right side of a gradient's formula; None where there is none."""
    left, convention = bare(relation.left), judgement.convention
    if not isinstance(left, Slope) or not is_loss(bare(left.top), part) or convention is None:
        return None
    try:
        meant = sides(left, relation.right, part, convention.reading)
        target = next(e for e in _reads(meant.left))
        known = cases(part.layer, convention.setting)
        free = _free_point(layer_at(part.layer, convention.setting), known[-1])
        indices = tuple(letter.index for letter in meant.letters)
        printed = _values(free, indices, target.indices, meant.right)
        return _match(_derived(part.layer), target, free, printed)
    except (Redraw, StopIteration, IndexError, *NO_VALUE):
        return None


def _reads(expr: Expr) -> tuple[Read, ...]:
    return tuple(e for e in walk(expr) if isinstance(e, Read) and e.tensor.endswith(STORED))


def _match(derivation: Derivation, target: Read, free: Point, printed: Elements) -> Ours | None:
    name = target.tensor.removesuffix(STORED)
    for stage in (*derivation.staged, *derivation.closed):
        if stage.gradient.name != name:
            continue
        for number, step in enumerate(stage.steps, 1):
            try:
                ours = _values(free, stage.gradient.indices, step.target.indices, step.after)
            except (Redraw, *NO_VALUE):
                continue
            if all(ours.get(key) == value for key, value in printed.items()):
                return Ours(name, number, step.rule)
    return None


def _values(point: Point, indices: tuple[Index, ...], place: tuple[Expr, ...], value: Expr) -> Elements:
    """The values of an expression by the positions that they are of."""
    interpreter = Interpreter(point, indices)
    meaning, keys = interpreter.real(value), [interpreter.exact(p) for p in place]
    found: Elements = {}
    for values in product(*(range(point.extent(i.extent)) for i in indices)):
        places = interpreter.places(values)
        found[tuple(int(k(places)) for k in keys)] = meaning(places)
    return found


@lru_cache(maxsize=32)
def _free_point(layer: Layer, case: Case) -> Point:
    """A point at which every tensor and every gradient has values of its own; roots exist."""
    arithmetic = Modular(61)

    def drawn(tensor: str, keys: list[Key]) -> dict[Key, Value]:
        squares = ((key, arithmetic.random(61, tensor, key)) for key in keys)
        return {key: arithmetic.multiply(v, v) for key, v in squares}

    parameters = {p.name: p.default for p in layer.parameters} | dict(case.parameters)
    for attempt in range(TRIES):
        exact = {n: v if n in dict(case.parameters) else v + attempt for n, v in parameters.items()}
        point = Point(layer, arithmetic, dict(case.sizes), exact)
        for name in (*(t.name for t in layer.inputs), *(d.name for d in layer.definitions)):
            keys = list(point.box(name))
            for stored in (name, gradient_name(name)):
                point.given[stored] = point.given[f"{stored}{STORED}"] = drawn(f"{stored} {attempt}", keys)
        if _has_roots(layer, point):
            return point
    raise Redraw("no point with roots")


def _has_roots(layer: Layer, point: Point) -> bool:
    """Whether the bodies of the definitions have a value at the point."""
    try:
        for definition in layer.definitions:
            _values(point, definition.indices, definition.indices, definition.body)
    except (Redraw, *NO_VALUE):
        return False
    return True
