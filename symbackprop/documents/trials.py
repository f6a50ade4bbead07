"""A relation tried at small sizes under one convention: equal there, or where it differs and by how much."""

from __future__ import annotations

import time
from copy import copy
from dataclasses import dataclass
from typing import TypeAlias

from symbackprop.check.arithmetic import Redraw, Value
from symbackprop.check.cases import Case
from symbackprop.check.interpret import Key
from symbackprop.check.point import OutsideBox
from symbackprop.documents.conventions import Convention, Relation, conventions
from symbackprop.documents.kept import KeptInterpreter
from symbackprop.documents.latex.tree import Chain, Tree
from symbackprop.documents.legend import Part
from symbackprop.documents.meaning import Reading, Sides, Translator, sides
from symbackprop.documents.positions import Letter, free_letters
from symbackprop.documents.scenes import USUAL, Difference, Scene, alike, cases, float_scene, scene
from symbackprop.errors import InternalError, UserError
from symbackprop.notation.nodes import TRUE, ZERO, both

Translators: TypeAlias = dict[tuple[Reading, tuple[Letter, ...]], Translator]
ENOUGH_IN_FLOATS = 3  # points
PATIENCE = 2.0  # seconds for one formula
NO_VALUE = (
    UserError,
    InternalError,
    ArithmeticError,
    ValueError,
    TypeError,
)  # a limit or an index that is not whole, ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one trial gave: all cases agree, exactly or up to rounding, or the smallest at which they do not."""

    agreed: tuple[Case, ...]
    difference: Difference | None
    sides: Sides | None
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Equal:
    """Two sides that agree at one case."""

    exact: bool


class Undecided(UserError):
    """No point at which a relation could be tried."""


class Slow(Undecided):
    """A relation that takes too long to try."""


def attempt(
    relation: Relation, part: Part, convention: Convention, deadline: float | None = None, most: int = USUAL
) -> Outcome:
    """The relation under one convention, at every case (at most so many) until one differs."""
    meant = sides(relation.left, relation.right, part, convention.reading, relation.when)
    agreed: list[Case] = []
    exact = True
    reason = "no sizes fit"
    for case in cases(part.layer, convention.setting, most):
        point = scene(part.layer, convention.setting, case)
        if point is None:
            reason = "no point at which the layer has a value"
            continue
        try:
            found = compare(meant, part, convention, case, deadline)
        except Slow:
            if agreed:
                break
            raise
        except Undecided as undecided:
            reason = str(undecided)
            if deadline is not None and time.process_time() > deadline:
                break
            continue
        if isinstance(found, Difference):
            return Outcome(tuple(agreed), found, meant, exact)
        exact &= found.exact
        agreed.append(case)
    if not agreed:
        raise Undecided(reason)
    return Outcome(tuple(agreed), None, meant, exact)


class Trial:
    """Right sides tried against one left side, under one convention at one case: the quick question of repairs.

    The values of the left side are found once. Trials may share their translators.
    """

    def __init__(
        self,
        left: Tree,
        when: tuple[Chain, ...],
        part: Part,
        convention: Convention,
        case: Case,
        seed: int = 0,
        redrawn: str = "",
        shared: Translators | None = None,
    ) -> None:
        self.left, self.when, self.part, self.convention, self.case = left, when, part, convention, case
        self.scene = scene(part.layer, convention.setting, case, seed, redrawn)
        self._translators: Translators = {} if shared is None else shared
        self._interpreters: dict[tuple[Letter, ...], KeptInterpreter] = {}
        self._left: dict[tuple[Letter, ...], list[tuple[Key, Value]]] = {}
        self._rounded: list[Trial] | None = None

    def agrees(self, right: Tree) -> bool:
        """Whether the right side has the left one's value at every element.

        What differs where functions are unknowns is tried in floating point too.
        """
        if self._agrees(right):
            return True
        if self.scene is None or not self.scene.unknowns:
            return False
        if self._rounded is None:
            self._rounded = [self._in_floats(seed) for seed in range(2)]
        return all(trial._agrees(right) for trial in self._rounded)

    def _in_floats(self, seed: int) -> Trial:
        """The same trial at a point of float64."""
        trial = copy(self)
        trial.scene = float_scene(self.part.layer, self.convention.setting, self.case, seed, whole=False)
        trial._interpreters, trial._left = {}, {}
        return trial

    def _agrees(self, right: Tree) -> bool:
        if self.scene is None:
            return False
        try:
            letters = free_letters((self.left, right), self.part)
            wanted = self._wanted(letters)
            return self.scene.matches(self._meant(right, letters), wanted, self._interpreter(letters))
        except (Redraw, *NO_VALUE):
            return False

    def _wanted(self, letters: tuple[Letter, ...]) -> list[tuple[Key, Value]]:
        """The left side at each element."""
        assert self.scene is not None
        if letters not in self._left:
            meant = self._meant(self.left, letters)
            found = self.scene.differences(meant, self._interpreter(letters))
            self._left[letters] = [(values, left) for values, left, _ in found]
        return self._left[letters]

    def values(self, right: Tree, like: Tree) -> tuple[list[Value], list[Value]]:
        """The left side and a right one at each element of the relation whose right side is `like`."""
        if self.scene is None:
            raise Undecided("no point at which the layer has a value")
        letters = free_letters((self.left, like), self.part)
        meant = self._meant(right, letters)
        found = self.scene.differences(meant, self._interpreter(letters))
        return [v for _, v in self._wanted(letters)], [left for _, left, _ in found]

    def is_outside(self, right: Tree, like: Tree) -> bool:
        """Whether a right side reads something outside its range."""
        try:
            self.values(right, like)
        except OutsideBox:
            return True
        except (Redraw, *NO_VALUE):
            return False
        return False

    def _interpreter(self, letters: tuple[Letter, ...]) -> KeptInterpreter:
        assert self.scene is not None
        if letters not in self._interpreters:
            indices = tuple(letter.index for letter in letters)
            self._interpreters[letters] = KeptInterpreter(self.scene.world.point, indices)
        return self._interpreters[letters]

    def _meant(self, tree: Tree, letters: tuple[Letter, ...]) -> Sides:
        """A side alone, as both sides of a relation."""
        key = (self.convention.reading, letters)
        if key not in self._translators:
            self._translators[key] = Translator(self.part, self.convention.reading, letters)
        translator = self._translators[key]
        expr = translator.expr(tree)
        condition = both(*(translator.condition(chain) for chain in self.when)) if self.when else TRUE
        return Sides(expr, ZERO, letters, condition, tuple(translator.totals), ())


def vanishes(tree: Tree, part: Part) -> bool:
    """Whether a tree is zero wherever it was tried: as a factor it says nothing."""
    plain = next(conventions(Relation(tree, tree), part))
    for case in cases(part.layer, plain.setting)[-2:]:
        try:
            trial = Trial(tree, (), part, plain, case)
            if any(trial.values(tree, tree)[0]):
                return False
        except (Redraw, *NO_VALUE):
            return False
    return True


def compare(
    meant: Sides, part: Part, convention: Convention, case: Case, deadline: float | None = None
) -> Difference | Equal:
    """Where the sides differ at one case, in small whole numbers, or that they are equal."""
    trouble: set[str] = set()
    for seed in range(8):
        point = scene(part.layer, convention.setting, case, seed)
        if point is None:
            raise Undecided("no point at which the layer has a value")
        try:
            for count, (values, left, right) in enumerate(point.differences(meant)):
                if deadline is not None and count % 8 == 0 and time.process_time() > deadline + PATIENCE / 4:
                    raise Slow("it could not be decided in time")
                if left != right:
                    if point.unknowns and _alike_in_floats(meant, part, convention, case):
                        return Equal(exact=False)
                    return _shown(meant, part, convention, case) or Difference(
                        case, point.letters(meant, values), f"{left} (modulo a prime)", f"{right}"
                    )
            return Equal(exact=True)
        except Redraw as redraw:
            trouble.add(str(redraw))
            continue
        except Slow:
            raise
        except OutsideBox as outside:
            return Difference(case, (), "", "", outside=_outside(str(outside)))
        except NO_VALUE as error:
            if "integer" in str(error):  # sizes that the layer accepts and the formula does not
                return Difference(case, (), "", "", outside="a limit of a sum, or an index, is not a whole number")
            raise Undecided(str(error)) from error
    if trouble == {"division by zero"}:
        return Difference(case, (), "", "", outside="it divides by zero, whatever the values are")
    return _different_in_floats(meant, part, convention, case)


def _alike_in_floats(meant: Sides, part: Part, convention: Convention, case: Case) -> bool:
    """Whether both sides are equal up to rounding at several points: an identity of exp and log is not exact here."""
    agreed = 0
    for seed in range(6):
        try:
            point = float_scene(part.layer, convention.setting, case, seed, whole=False)
            pairs = [(left, right) for _, left, right in point.differences(meant)]
        except (Redraw, *NO_VALUE):
            continue
        if any(v != v for pair in pairs for v in pair):
            continue
        if not alike(pairs):
            return False
        agreed += 1
    return agreed >= ENOUGH_IN_FLOATS


def _different_in_floats(meant: Sides, part: Part, convention: Convention, case: Case) -> Difference:
    """Where no exact point has a value: a difference in floating point, which is enough to say no."""
    found = _shown(meant, part, convention, case)
    if found is None:
        raise Undecided("no point at which both sides have a value")
    return found


def _outside(message: str) -> str:
    tensor = message.split(": ", 1)[1].split(", and ")[0] if ": " in message else message
    return tensor.replace("_total", "")


def _shown(meant: Sides, part: Part, convention: Convention, case: Case) -> Difference | None:
    """The difference in small whole numbers, as a person can check it."""
    for seed in range(6):
        try:
            point = float_scene(part.layer, convention.setting, case, seed)
            for values, left, right in point.differences(meant):
                if left == left and right == right and abs(left - right) > 1e-6 * max(1.0, abs(left), abs(right)):
                    return Difference(case, point.letters(meant, values), f"{left:.6g}", f"{right:.6g}", _inputs(point))
        except (Redraw, *NO_VALUE):
            continue
    return None


def _inputs(point: Scene) -> str:
    """The inputs of a point, shortly."""
    pieces = []
    layer = point.world.layer
    for tensor in layer.real_inputs:
        values = [f"{v:g}" for v in point.world.point.elements[tensor.name].values()]
        pieces.append(f"{tensor.name} = {' '.join(values[:12])}{' ...' if len(values) > 12 else ''}")
    reals = [p.name for p in layer.parameters if not p.integer]
    pieces += [f"{name} = {point.world.point.parameters[name]}" for name in reals]
    for output in layer.outputs:
        values = [f"{v:g}" for v in point.world.point.given[f"grad_{output}"].values()]
        pieces.append(f"grad {output} = {' '.join(values[:12])}{' ...' if len(values) > 12 else ''}")
    return "; ".join(pieces)
