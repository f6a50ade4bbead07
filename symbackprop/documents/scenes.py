"""Where a claim is tried: small sizes of its layer, and a point modulo a prime with all true gradients at each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from math import isfinite

import numpy as np

from symbackprop.calculus.derivation import Derivation, gradient_name
from symbackprop.check.arithmetic import Arithmetic, Float64, Redraw, Value
from symbackprop.check.cases import Case, entangled_sizes, fits, free_sizes, point_at
from symbackprop.check.interpret import Interpreter, Key, Meaning, evaluate_exact
from symbackprop.check.modular import Modular
from symbackprop.check.opinion import Draw, World
from symbackprop.check.point import SeededPoint
from symbackprop.documents.kept import BoundedInterpreter
from symbackprop.documents.legend import Part
from symbackprop.documents.meaning import STORED, Sides, Total
from symbackprop.errors import InternalError, UserError
from symbackprop.notation.binding import substitute
from symbackprop.notation.layer import Definition, Layer
from symbackprop.notation.nodes import ZERO, Expr, Parameter

DRAWS, MOST_WORK, USUAL, SEEDS = 120, 600, 7, 160
SIZES_OF_ENTANGLED, SIZES_OF_OTHERS, INTEGERS = (1, 2, 3, 4, 5), (1, 2, 3), (1, 2, 3)
MOST_ELEMENTS = 150
ROUNDING = 1e-9  # of the largest element
INCOMING = "grad"  # all gradients that come in


@dataclass(frozen=True, slots=True)
class Setting:
    """What is particular about the points.

    Sizes that are `held`, parameters that are `varied` or `zero`, quotients that are `whole`, sizes that are `odd`,
    inputs that are `absent`, sizes that are `equal`, outputs whose gradient is 1.
    """

    held: tuple[tuple[str, int], ...] = ()
    varied: tuple[str, ...] = ()
    zero: tuple[str, ...] = ()
    whole: tuple[Expr, ...] = ()
    odd: tuple[Expr, ...] = ()
    absent: tuple[str, ...] = ()
    equal: tuple[str, ...] = ()
    unit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two sides differ: the sizes, the values of the letters, both numbers, and the inputs that matter."""

    case: Case
    at: tuple[tuple[str, str], ...]
    left: str
    right: str
    inputs: str = ""
    outside: str = ""


class Scene:
    """A point of a layer at one case, with what formulas read beside the layer's own names."""

    def __init__(self, layer: Layer, case: Case, arithmetic: Arithmetic, draw: Draw, seed: int) -> None:
        self.case = case
        # a derivation without steps: the world needs the layer alone
        self.world = World(Derivation(layer, (), (), (), ()), case, arithmetic, draw, seed)
        point = self.world.point
        for name in (*(t.name for t in layer.inputs), *(d.name for d in layer.definitions)):
            point.given[f"{name}{STORED}"] = point.all_of(name)
        self._seeded: dict[str, SeededPoint] = {}

    def _given(self, sides: Sides) -> None:
        for total in sides.totals:
            if total.name not in self.world.point.given:
                self.world.point.given[total.name] = _Totals(self, total)  # type: ignore[assignment]

    def seeded(self, variable: str) -> SeededPoint:
        """The point with a direction for every element of a tensor."""
        if variable not in self._seeded:
            self._seeded[variable] = SeededPoint(self.world.point, (variable,))
        return self._seeded[variable]

    def differences(
        self, sides: Sides, interpreter: BoundedInterpreter | None = None
    ) -> Iterator[tuple[Key, Value, Value]]:
        """Both sides at every value of the letters (at most so many) at which the condition holds."""
        self._given(sides)
        if interpreter is None:
            interpreter = BoundedInterpreter(self.world.point, tuple(letter.index for letter in sides.letters))
        interpreter.begin()
        left, right = interpreter.real(sides.left), interpreter.real(sides.right)
        test = interpreter.condition(sides.condition)
        ranges = [range(int(self.exact(letter.index.extent))) for letter in sides.letters]
        for values in _spread(ranges):
            places = interpreter.places(values)
            if test(places):
                yield values, left(places), right(places)

    def matches(self, side: Sides, wanted: list[tuple[Key, Value]], interpreter: BoundedInterpreter) -> bool:
        """Whether the left of `side` has the wanted value at each of the points; it stops at the first that has not."""
        self._given(side)
        interpreter.begin()
        meaning = interpreter.real(side.left)
        if isinstance(self.world.arithmetic, Modular):
            return all(meaning(interpreter.places(values)) == value for values, value in wanted)
        return alike([(value, meaning(interpreter.places(values))) for values, value in wanted])

    @property
    def unknowns(self) -> bool:
        """Whether functions such as exp stand in the layer: exact arithmetic knows no identity of them."""
        return isinstance(self.world.arithmetic, Modular) and self.world.arithmetic.unknowns > 0

    def exact(self, expr: Expr) -> int:
        value = evaluate_exact(expr, self.world.point)
        if value != int(value):
            raise UserError(f"{value} stands where a whole number is needed")
        return int(value)

    def letters(self, sides: Sides, values: Key) -> tuple[tuple[str, str], ...]:
        """The letters with their values as the document counts."""
        pairs = zip(sides.letters, values, strict=True)
        shown = ((x, v + evaluate_exact(x.low, self.world.point)) for x, v in pairs if x.printed)
        return tuple((letter.name, str(value)) for letter, value in shown)


def alike(pairs: list[tuple[Value, Value]]) -> bool:
    """Whether numbers in float64 are equal up to rounding, as elements of one tensor."""
    largest = max((abs(v) for pair in pairs for v in pair), default=0.0)
    return isfinite(largest) and all(abs(left - right) <= ROUNDING * largest for left, right in pairs)


class _Totals:
    """The elements of a total derivative, each found when it is read."""

    def __init__(self, scene: Scene, total: Total) -> None:
        self._scene = scene
        self._total, self._zero = total, scene.world.arithmetic.number(0)
        self._value: Meaning | None = None
        self._rows: dict[Key, Mapping[object, Value]] = {}

    def get(self, key: Key) -> Value:
        """The element at a position: first the indices of the numerator, then those of the variable."""
        scope, at = key[: len(self._total.scope)], key[len(self._total.scope) :]
        if scope not in self._rows:
            if self._value is None:  # most are never asked for
                self._interpreter = Interpreter(self._scene.seeded(self._total.variable), self._total.scope)
                self._value = self._interpreter.real(self._total.value)
            self._rows[scope] = self._value(self._interpreter.places(scope))[1]
        return self._rows[scope].get((self._total.variable, at), self._zero)


def _spread(ranges: list[range]) -> Iterator[Key]:
    """All points of a box, or evenly many of them where there are too many; the first and the last are among them."""
    volume = 1
    for r in ranges:
        volume *= len(r)
    if volume <= MOST_ELEMENTS:
        yield from product(*ranges)
        return
    for flat in np.linspace(0, volume - 1, MOST_ELEMENTS).astype(int):
        yield tuple(int(i) for i in np.unravel_index(flat, [len(r) for r in ranges]))


# --------------------------------------------------------------------------------------------------- cases


@lru_cache(maxsize=256)
def cases(layer: Layer, setting: Setting, most: int = USUAL) -> tuple[Case, ...]:
    """Small cases in order of size: the least one, and ones whose sizes all differ."""
    layer = layer_at(layer, setting)
    names = free_sizes(layer)
    entangled = entangled_sizes(layer)
    mixed = len(entangled) < len(names) or len(names) > 5
    choices = [SIZES_OF_ENTANGLED if n in entangled and mixed else SIZES_OF_OTHERS for n in names]
    rng = np.random.default_rng(6)
    drawn = [
        tuple(1 for _ in names),
        *(tuple(1 + (at == one) for at in range(len(names))) for one in range(len(names))),
    ]
    drawn += [tuple(int(rng.choice(choice)) for choice in choices) for _ in range(DRAWS)]
    found: dict[Case, None] = {}
    for sizes in drawn:
        case = _case(layer, setting, names, sizes, rng)
        if case not in found and _suits(layer, case, setting):
            found[case] = None
    return _telling(tuple(found), most)


def _case(
    layer: Layer, setting: Setting, names: tuple[str, ...], sizes: tuple[int, ...], rng: np.random.Generator
) -> Case:
    held = dict(setting.held)
    integers = []
    for p in layer.parameters:
        if p.integer:
            value = int(rng.choice(INTEGERS)) if p.name in setting.varied else int(p.default)
            integers.append((p.name, held.get(p.name, value)))
    values = {n: held.get(n, v) for n, v in zip(names, sizes, strict=True)}
    first = {**values, **dict(integers)}.get(setting.equal[0]) if setting.equal else None
    if first is not None:
        values |= {n: first for n in setting.equal[1:] if n in values}
        integers = [(n, first if n in setting.equal else v) for n, v in integers]
    return Case(tuple(values.items()), tuple(integers))


def _suits(layer: Layer, case: Case, setting: Setting) -> bool:
    point = point_at(layer, case) if fits(layer, case, MOST_WORK) else None
    if point is None:
        return False
    try:
        odd = all(evaluate_exact(size, point) % 2 == 1 for size in setting.odd)
        return odd and all(evaluate_exact(quotient, point).denominator == 1 for quotient in setting.whole)
    except (ArithmeticError, InternalError):  # no whole number, or a division by zero
        return False


def _telling(found: tuple[Case, ...], most: int) -> tuple[Case, ...]:
    """A few of the cases: the least, then those with the most different sizes, then what shows other values of each.

    Every size and parameter that can be more than 1 is so in one of them: what only holds for one channel is told.
    """

    def total(case: Case) -> int:
        return sum(n for _, n in _values(case))

    def distinct(case: Case) -> int:
        values = [n for _, n in _values(case) if n > 1]
        return 2 * len(set(values)) + len(values)

    by_size = sorted(found, key=total)
    by_worth = sorted(found, key=lambda c: (-distinct(c), total(c)))
    mild = [c for c in by_size if sum(n > 1 for _, n in c.sizes) >= min(2, len(c.sizes))]
    chosen = dict.fromkeys([*by_size[: USUAL - 3], *mild[:1], *by_worth[:1]])

    def adds(case: Case) -> tuple[int, int]:
        """Of how many sizes a case shows more than 1 for the first time, and how many other values it shows."""
        known = {pair for other in chosen for pair in _values(other) if pair[1] > 1}
        new = {pair for pair in _values(case) if pair[1] > 1} - known
        return len({name for name, _ in new} - {name for name, _ in known}), len(new)

    for at in range(len(found)):
        best = max(by_worth, key=adds)
        if best in chosen or (at and not adds(best)[0]):
            break
        chosen[best] = None
    chosen |= dict.fromkeys(by_worth[1 : max(1, most - USUAL + 1)])
    return tuple(sorted(chosen, key=total))


def _values(case: Case) -> tuple[tuple[str, int], ...]:
    return (*case.sizes, *case.parameters)


def layer_at(layer: Layer, setting: Setting) -> Layer:
    """The layer with the parameters that are zero put in."""
    if not setting.zero:
        return layer
    gone = {Parameter(p.name, p.integer): ZERO for p in layer.parameters if p.name in setting.zero}
    definitions = tuple(Definition(d.name, d.indices, substitute(d.body, gone)) for d in layer.definitions)
    return replace(layer, definitions=definitions)


@lru_cache(maxsize=512)
def scene(layer: Layer, setting: Setting, case: Case, seed: int = 0, redrawn: str = "") -> Scene | None:
    """A point modulo the prime at which all of the layer has a value; None if there is none.

    Points that differ in `redrawn` alone differ in that input, or in the gradients that come in, and in nothing else.
    """
    layer = layer_at(layer, setting)
    ones = frozenset(gradient_name(y) for y in setting.unit)
    poles = 0
    for attempt in range(SEEDS):
        number = seed * 1000 + attempt
        arithmetic = Modular(number)

        def draw(tensor: str, key: Key, number: int = number, arithmetic: Modular = arithmetic) -> Value:
            if tensor in setting.absent or tensor in ones:
                return int(tensor in ones)
            again = redrawn == tensor or (redrawn == INCOMING and tensor.startswith("grad_"))
            return arithmetic.random(number + again * SEEDS * 1000, tensor, key)

        try:
            return Scene(layer, case, arithmetic, draw, number)
        except Redraw as redraw:
            poles += "division" in str(redraw)
            if poles > 3:
                return None
    return None


def float_scene(layer: Layer, setting: Setting, case: Case, seed: int, whole: bool = True) -> Scene:
    """A point in float64: of small whole numbers, or of any from -1.5 to 1.5, at which no exponential is extreme."""
    layer = layer_at(layer, setting)
    ones = frozenset(gradient_name(y) for y in setting.unit)
    rng = np.random.default_rng([seed, 61])

    def draw(tensor: str, key: Key) -> Value:
        if tensor in setting.absent or tensor in ones:
            return float(tensor in ones)
        if not whole:
            return float(rng.uniform(-1.5, 1.5))
        return float(rng.choice((-3, -2, -1, 1, 2, 3, 4, 5)))

    return Scene(layer, case, Float64(), draw, seed)


def setting_of(part: Part, varied: tuple[str, ...], odd: tuple[Expr, ...]) -> Setting:
    """The setting that a part of a legend states."""
    return Setting(
        held=tuple(part.fixed.items()), varied=varied, odd=odd, absent=part.absent, equal=part.equal, unit=part.unit
    )


__all__ = ["Difference", "InternalError", "Scene", "Setting", "cases", "float_scene", "layer_at", "scene", "setting_of"]
