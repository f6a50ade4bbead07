"""Whether a relation between two sides holds: tried exactly at small sizes, under the readings and conventions known.

`holds` needs every case to agree; `fails` shows the smallest case at which the sides differ; `holds if` names the
convention under which they agree. A relation that the legend cannot place is never called right.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from symbackprop.check.arithmetic import Redraw, Value
from symbackprop.check.cases import Case
from symbackprop.check.interpret import Key
from symbackprop.check.point import OutsideBox
from symbackprop.documents.legend import Part
from symbackprop.documents.meaning import Letter, Reading, Sides, Translator, free_letters, sides
from symbackprop.documents.names import Element, Plain, Unclear, is_letter, is_loss, resolve, standings
from symbackprop.documents.scenes import USUAL, Difference, Setting, cases, float_scene, scene, setting_of
from symbackprop.documents.tree import Big, Chain, Minus, Name, Over, Plus, Slope, Tree, bare, latex, walk
from symbackprop.errors import InternalError, UserError
from symbackprop.notation.nodes import TRUE, ZERO, Expr, FloorDiv, Size, both, divide
from symbackprop.notation.nodes import walk as walk_nodes

HOLDS, FAILS, HOLDS_IF, NOT_READ, NOT_DECIDED, NO_CLAIM = (
    "holds",
    "fails",
    "holds if",
    "not read",
    "not decided",
    "no claim",
)
OUTSIDE = "the gradient is zero outside the output"
PATIENCE = 2.0  # seconds for one formula
NO_VALUE = (
    UserError,
    InternalError,
    ArithmeticError,
    ValueError,
    TypeError,
)  # a limit or an index that is not whole, ...


@dataclass(frozen=True, slots=True)
class Convention:
    """A way to take a formula that it does not state itself; `says` is empty for the plain way."""

    says: tuple[str, ...]
    reading: Reading
    setting: Setting


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one trial gave: all cases agree, or the smallest at which they do not."""

    agreed: tuple[Case, ...]
    difference: Difference | None
    sides: Sides | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one relation."""

    verdict: str
    conditions: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()
    difference: Difference | None = None
    reading: str = ""
    reason: str = ""
    convention: Convention | None = None


class Undecided(UserError):
    """No point at which a relation could be tried."""


class Slow(Undecided):
    """A relation that takes too long to try."""


@dataclass(frozen=True, slots=True)
class Relation:
    """`left = right` where `when` holds; `unless` inverts the condition."""

    left: Tree
    right: Tree
    when: tuple[Chain, ...] = ()


def judge(relation: Relation, part: Part, deadline: float | None = None) -> Judgement:
    """The verdict on a relation. Raises Unclear where the legend gives a name no meaning."""
    deadline = deadline or time.process_time() + PATIENCE
    first: Outcome | None = None
    first_convention: Convention | None = None
    trouble = ""
    for convention in conventions(relation, part):
        if first is not None and time.process_time() > deadline:
            break
        if first is not None and not _could_help(convention, first):
            continue
        try:
            outcome = attempt(relation, part, convention, deadline)
        except Undecided as undecided:
            trouble = str(undecided)
            continue
        if outcome.difference is None and outcome.sides is not None:
            says = (*convention.says, *outcome.sides.assumed)
            reading = "with total derivatives" if convention.reading.total else ""
            return Judgement(HOLDS_IF if says else HOLDS, says, outcome.agreed, None, reading, "", convention)
        if first is None:
            first, first_convention = outcome, convention
    if first is None:
        return Judgement(NOT_DECIDED, reason=trouble or "no sizes were found at which it could be tried")
    return Judgement(
        FAILS, (), first.agreed, first.difference, "", _strange_letters(relation, first, part), first_convention
    )


def _could_help(convention: Convention, first: Outcome) -> bool:
    outside = first.difference is not None and bool(first.difference.outside)
    around = convention.reading.zero_outside or convention.reading.padded
    return outside or not (around and not any("only one" in says for says in convention.says))


def _strange_letters(relation: Relation, outcome: Outcome, part: Part) -> str:
    """Letters of the right side that are on the left neither free nor silent."""
    if outcome.sides is None:
        return ""
    left = {p.base for p in walk(relation.left) if isinstance(p, Name)} | {
        s.letter for s in standings(relation.left, part)
    }
    strange = [x.name for x in outcome.sides.letters if x.printed and x.name not in left]
    if not strange:
        return ""
    which = (
        f"indices {', '.join(strange)} on the right are" if len(strange) > 1 else f"index {strange[0]} on the right is"
    )
    return f"the {which} neither summed over nor on the left"


# ---------------------------------------------------------------------------------------------- conventions


def conventions(relation: Relation, part: Part) -> Iterator[Convention]:
    """The plain ways first, then each convention, then those together."""
    pair = (relation.left, relation.right)
    names = [t for side in pair for t in walk(side) if isinstance(t, Name)]
    base = setting_of(part, _varied(names, part), _odd(part))
    local = any(isinstance(t, Slope) and not is_loss(bare(t.top), part) for side in pair for t in walk(side))
    letters = any(isinstance(t, Slope) and t.letter == "d" for side in pair for t in walk(side))
    totals = ((True, False) if letters else (False, True)) if local else (False,)
    plain = Reading()
    extra: list[tuple[tuple[str, ...], Reading, Setting]] = [((), plain, base)]
    around: list[tuple[tuple[str, ...], Reading]] = [((OUTSIDE,), Reading(zero_outside=True))]
    padded = tuple(f"{name} is zero outside, as the layer pads it" for name in _padded(part, base))
    if padded:
        around += [(padded, Reading(padded=True)), ((*padded, OUTSIDE), Reading(zero_outside=True, padded=True))]
    if shifted := _shifted(pair, part):
        extra += [(says, reading, base) for says, reading in around]
    single = _single(relation, part, base)
    if single is not None:
        extra.append(((single[0],), plain, single[1]))
        if shifted:
            extra += [((single[0], *says), reading, single[1]) for says, reading in around]
    extra += [((f"{name} = 0",), plain, replace(base, zero=(*base.zero, name))) for name in _unused(part)]
    whole = quotients(relation, part)
    if whole:
        extra.append((("the division leaves no remainder",), plain, replace(base, whole=whole)))
    for says, reading, setting in extra:
        for total in totals:
            yield Convention(says, replace(reading, total=total), setting)


def _padded(part: Part, setting: Setting) -> tuple[str, ...]:
    """The inputs that the layer itself reads outside their boxes in this setting."""
    found = []
    for tensor in part.layer.real_inputs:
        known = cases(part.layer, setting)
        if tensor.outside is None or not known:
            continue
        bare_inputs = tuple(replace(t, outside=None) if t == tensor else t for t in part.layer.inputs)
        try:
            for case in known[-2:]:
                scene(replace(part.layer, inputs=bare_inputs), setting, case)
        except OutsideBox:
            found.append(tensor.name)
    return tuple(found)


def _shifted(pair: tuple[Tree, Tree], part: Part) -> bool:
    """Whether an index is shifted, or a sum's limits move with an index: only then can a read fall outside for good."""
    for tree in (t for side in pair for t in walk(side)):
        if isinstance(tree, Name) and any(isinstance(i, Plus | Minus) for i in (*tree.sub, *tree.args)):
            return True
        limits = [x for x in (tree.low, tree.high) if x is not None] if isinstance(tree, Big) else []
        if any(isinstance(t, Name) and is_letter(t, part) for x in limits for t in walk(x)):
            return True
    return False


def _varied(names: list[Name], part: Part) -> tuple[str, ...]:
    """The integer parameters of the layer that the formula speaks of."""
    found: dict[str, None] = {}
    for name in names:
        try:
            meant = resolve(name, part)
        except Unclear:
            continue
        if isinstance(meant, Plain):
            for leaf in walk(meant.value):
                if isinstance(leaf, Name) and any(p.name == leaf.base and p.integer for p in part.layer.parameters):
                    found[leaf.base] = None
    return tuple(found)


def _odd(part: Part) -> tuple[Expr, ...]:
    translator = Translator(part, Reading(), ())
    return tuple(translator.expr_of_slot(Name(name)) for name in part.odd)


def _single(relation: Relation, part: Part, base: Setting) -> tuple[str, Setting] | None:
    """Axes whose index the formula leaves out have one element only."""
    dropped: dict[str, str] = {}
    for side in (relation.left, relation.right):
        for tree in walk(side):
            if isinstance(tree, Name):
                try:
                    found = resolve(tree, part)
                except Unclear:
                    continue
                if isinstance(found, Element):
                    for letter in found.dropped:
                        size = _axis_size(found, letter, part)
                        if size is not None:
                            dropped[size] = letter
    printed = {s.letter for side in (relation.left, relation.right) for s in standings(side, part) if s.printed}
    held = {size: 1 for size, letter in dropped.items() if size not in part.fixed and letter not in printed}
    if not held:
        return None
    says = f"there is only one {' and one '.join(dict.fromkeys(dropped[s] for s in held))}"
    return says, replace(base, held=(*base.held, *held.items()))


def _axis_size(found: Element, letter: str, part: Part) -> str | None:
    for slot, extent in zip(found.meant.slots, part.layer.axes(found.meant.tensor), strict=True):
        if isinstance(slot, Name) and slot.base == letter and isinstance(extent, Size):
            return extent.name
    return None


def _unused(part: Part) -> tuple[str, ...]:
    """The real parameters of the layer that neither the formula nor the legend names."""
    used = {leaf.base for value in part.constants.values() for leaf in walk(value) if isinstance(leaf, Name)}
    return tuple(p.name for p in part.layer.parameters if not p.integer and p.name not in used)


def quotients(relation: Relation, part: Part) -> tuple[Expr, ...]:
    """The quotients that the layer rounds down, where the formula divides so or speaks of such a size."""
    rounded = {s.name: [e for e in walk_nodes(s.value) if isinstance(e, FloorDiv)] for s in part.layer.sizes}
    divisors = {e.divisor for found in rounded.values() for e in found}
    translator = Translator(part, Reading(), ())
    speaks = False
    for tree in (t for side in (relation.left, relation.right) for t in walk(side)):
        try:
            if isinstance(tree, Over):
                speaks |= translator.expr(tree.bottom) in divisors
            elif isinstance(tree, Name):
                meant = translator.expr(tree)
                speaks |= isinstance(meant, Size) and bool(rounded.get(meant.name))
        except UserError:
            continue
    if not speaks:
        return ()
    return tuple(dict.fromkeys(divide(e.dividend, e.divisor) for found in rounded.values() for e in found))


# --------------------------------------------------------------------------------------------------- trials


def attempt(
    relation: Relation, part: Part, convention: Convention, deadline: float | None = None, most: int = USUAL
) -> Outcome:
    """The relation under one convention, at every case (at most so many) until one differs."""
    meant = sides(relation.left, relation.right, part, convention.reading, relation.when)
    agreed: list[Case] = []
    reason = "no sizes fit"
    for case in cases(part.layer, convention.setting, most):
        point = scene(part.layer, convention.setting, case)
        if point is None:
            reason = "no point at which the layer has a value"
            continue
        try:
            difference = compare(meant, part, convention, case, deadline)
        except Slow:
            if agreed:
                break
            raise
        except Undecided as undecided:
            reason = str(undecided)
            continue
        if difference is not None:
            return Outcome(tuple(agreed), difference, meant)
        agreed.append(case)
    if not agreed:
        raise Undecided(reason)
    return Outcome(tuple(agreed), None, meant)


class Trial:
    """Right sides tried against one left side, under one convention at one case: the quick question of repairs.

    The values of the left side are found once.
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
    ) -> None:
        self.left, self.when, self.part, self.convention = left, when, part, convention
        self.scene = scene(part.layer, convention.setting, case, seed, redrawn)
        self._translators: dict[tuple[Letter, ...], Translator] = {}
        self._left: dict[tuple[Letter, ...], list[tuple[Key, Value]]] = {}

    def agrees(self, right: Tree) -> bool:
        """Whether the right side has the left one's value at every element."""
        if self.scene is None:
            return False
        try:
            letters = free_letters((self.left, right), self.part)
            return self.scene.matches(self._meant(right, letters), self._wanted(letters))
        except (Redraw, *NO_VALUE):
            return False

    def _wanted(self, letters: tuple[Letter, ...]) -> list[tuple[Key, Value]]:
        """The left side at each element."""
        assert self.scene is not None
        if letters not in self._left:
            meant = self._meant(self.left, letters)
            self._left[letters] = [(values, left) for values, left, _ in self.scene.differences(meant)]
        return self._left[letters]

    def values(self, right: Tree, like: Tree) -> tuple[list[Value], list[Value]]:
        """The left side and a right one at each element of the relation whose right side is `like`."""
        if self.scene is None:
            raise Undecided("no point at which the layer has a value")
        letters = free_letters((self.left, like), self.part)
        meant = self._meant(right, letters)
        return [v for _, v in self._wanted(letters)], [left for _, left, _ in self.scene.differences(meant)]

    def _meant(self, tree: Tree, letters: tuple[Letter, ...]) -> Sides:
        """A side alone, as both sides of a relation."""
        if letters not in self._translators:
            self._translators[letters] = Translator(self.part, self.convention.reading, letters)
        translator = self._translators[letters]
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
) -> Difference | None:
    """Where the sides differ at one case, in small whole numbers."""
    trouble: set[str] = set()
    for seed in range(8):
        point = scene(part.layer, convention.setting, case, seed)
        if point is None:
            raise Undecided("no point at which the layer has a value")
        try:
            for values, left, right in point.differences(meant):
                if deadline is not None and time.process_time() > deadline + PATIENCE:
                    raise Slow("it could not be decided in time")
                if left != right:
                    return _shown(meant, part, convention, case) or Difference(
                        case, point.letters(meant, values), f"{left} (modulo a prime)", f"{right}"
                    )
            return None
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


def _inputs(point: object) -> str:
    """The inputs of a point, shortly."""
    from symbackprop.documents.scenes import Scene

    assert isinstance(point, Scene)
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


def shown(tree: Tree) -> str:
    """A tree in LaTeX, for messages."""
    return latex(tree)
