"""The nearest formula that holds: small edits of a wrong one, the smallest first, each tried by evaluation."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from symbackprop.check.cases import Case
from symbackprop.documents.conventions import Convention, Relation, conventions
from symbackprop.documents.edits import edited, edits, of_indices, relettered, renamed, replaced, stepped
from symbackprop.documents.insertions import inserted, pools_of, routed
from symbackprop.documents.judge import Judgement
from symbackprop.documents.latex.tree import (
    End,
    Minus,
    Name,
    Plus,
    Slope,
    Span,
    Tree,
    bare,
    latex,
    walk,
)
from symbackprop.documents.legend import Part
from symbackprop.documents.limits import first_and_last
from symbackprop.documents.locate import Place, located
from symbackprop.documents.names import (
    Unclear,
    loose_letters,
    resolve,
    standings,
)
from symbackprop.documents.scenes import cases, scene
from symbackprop.documents.stock import Edit, Stock, stock_of
from symbackprop.documents.trials import NO_VALUE, Translators, Trial, attempt, vanishes

MOST = 3  # repairs that are shown
THOROUGH = 24  # cases at which a repair has to hold
MORE = 300  # candidates that are tried for others as near, once one is found
EARLY = 2  # cost of the edits that are tried first where something is suspected
FOR_THE_PLACE = 0.5  # seconds that are spent on it before repairs are looked for
MOST_PAIRS = 400  # pairs of edits that are tried, of each kind


@dataclass(frozen=True, slots=True)
class Repair:
    """A formula that holds, with the edits that lead to it and the conventions it needs."""

    edits: tuple[Edit, ...]
    formula: str
    conditions: tuple[str, ...]


class _Search:
    """The trials of one wrong relation."""

    def __init__(
        self,
        relation: Relation,
        part: Part,
        judgement: Judgement | None,
        deadline: float,
        suspects: tuple[Span, ...] = (),
    ) -> None:
        self.relation, self.part, self.deadline, self.suspects = relation, part, deadline, suspects
        self.stock = stock_of(relation, part)
        self.ways = ways_of(relation, part, judgement)
        self.zero = vanishes(relation.left, part)
        self.found: list[Repair] = []
        self.tried, self.enough = 0, 0
        self._trials: dict[tuple[int, bool, Tree], Trial] = {}
        self._translators: Translators = {}

    @property
    def late(self) -> bool:
        if len(self.found) == MOST or (self.found and self.tried > self.enough):
            return True
        return self.tried % 4 == 0 and time.process_time() > self.deadline  # to ask costs as much as a small trial

    def trial(self, way: int, small: bool, left: Tree) -> Trial:
        """The trial of right sides against a left side."""
        key = (way, small, left)
        if key not in self._trials:
            convention, low, high = self.ways[way]
            case = low if small else high
            self._trials[key] = Trial(left, self.relation.when, self.part, convention, case, shared=self._translators)
        return self._trials[key]

    def consider(self, candidate: Relation, edits: tuple[Edit, ...]) -> None:
        """Keep a candidate that holds."""
        self.tried += 1
        for way, (convention, _, _) in enumerate(self.ways):
            known = len(self.found)
            if all(self.trial(way, small, candidate.left).agrees(candidate.right) for small in (True, False)):
                self.keep(candidate, edits, convention)
            if len(self.found) > known:
                return

    def keep(self, candidate: Relation, edits: tuple[Edit, ...], convention: Convention) -> None:
        """The candidate among what is found, if it holds at every case and does not beg the question."""
        if any(t == candidate.left for t in walk(candidate.right)):
            return
        if any(_around(edits, known.edits) for known in self.found):  # the same again, said of more
            return
        if self.zero and any(e.kind == "bound" for e in edits):  # a sum that is made empty says nothing
            return
        try:
            outcome = attempt(candidate, self.part, convention, most=THOROUGH)
        except NO_VALUE:
            return
        known = cases(self.part.layer, convention.setting, THOROUGH)
        if 2 * len(outcome.agreed) < sum(scene(self.part.layer, convention.setting, c) is not None for c in known):
            return  # it has no value at most sizes
        if outcome.difference is None and outcome.sides is not None:
            text = f"{latex(candidate.left)} = {latex(candidate.right)}"
            if all(text != r.formula for r in self.found):
                self.enough = self.enough or self.tried + MORE
                self.found.append(Repair(edits, text, (*convention.says, *outcome.sides.assumed)))

    def suspected(self, edit: Edit) -> bool:
        """Whether an edit is of a part that is suspected of being wrong."""
        low, high = edit.span
        return any(start <= low and high <= end for start, end in self.suspects)

    def singles(self, least: int, most: int, early: bool = False) -> None:
        """One edit, the smallest first, of a cost from `least` to `most`; those that go first if `early`."""
        for candidate, edit in sorted(edited(self.relation, self.stock), key=lambda pair: self.rank(pair[1])):
            if self.late:
                return
            if least <= edit.cost <= most and self.goes_before(edit) == early:
                self.consider(candidate, (edit,))

    def goes_before(self, edit: Edit) -> bool:
        """Whether an edit is tried before others: a small one of what is suspected, and limits, which are few."""
        return bool(self.suspects) and edit.cost <= EARLY and (edit.kind == "bound" or self.suspected(edit))

    def rank(self, edit: Edit) -> tuple[bool, int]:
        return self.goes_before(edit) and edit.kind != "bound", edit.cost

    def ends(self) -> None:
        """An end of a range as the legend has it."""
        left = self.relation.left
        if isinstance(left, End):
            meant = next(s for s in self.part.symbols if s.base == left.base and left.letter in s.formals)
            found = first_and_last(meant, left.letter, self.part)
            old = self.relation.right
            new = replace(stepped(found[1], 1) if left.upper else found[0], span=old.span)
            self.consider(replace(self.relation, right=new), (Edit("bound", old, new, 1),))

    def insertions(self, suspected: bool = False) -> None:
        """A symbol, or the gradient by one, as a factor or a term that is missing; or a factor of what is suspected."""
        for pool in pools_of(self.relation, self.stock):
            for candidate, edit in inserted(self.relation.right, pool):
                if self.late:
                    return
                if not suspected or (edit.kind == "factor" and self.suspected(edit)):
                    self.consider(replace(self.relation, right=candidate), (edit,))

    def routes(self) -> None:
        """A link that a chain rule lacks."""
        left = bare(self.relation.left)
        if isinstance(left, Slope):
            for candidate, edit in routed(self.relation.right, left.bottom, self.part):
                if self.late:
                    return
                self.consider(replace(self.relation, right=candidate), (edit,))

    def dangling(self) -> None:
        """Letters that are free on the right alone, each as one of the left side's."""
        if self.found:
            return
        left = [s.letter for s in standings(self.relation.left, self.part) if s.printed]
        silent = [s.letter for s in standings(self.relation.left, self.part)]
        loose = [
            s.letter
            for s in (*standings(self.relation.right, self.part), *loose_letters(self.relation.right, self.part))
        ]
        strange = [x for x in dict.fromkeys(loose) if x not in silent][:3]
        if not strange:
            return
        for chosen in product(dict.fromkeys(left), repeat=len(strange)):
            right, made = self.relation.right, []
            for letter, meant in zip(strange, chosen, strict=True):
                right, edit = relettered(right, letter, meant)
                made.append(edit)
            if self.late or self.found:
                return
            self.consider(replace(self.relation, right=right), tuple(made))

    def pairs(self, kinds: tuple[str, ...], most: int) -> None:
        """Two edits in one term of the right side; the other terms go to the left, where their values are known."""
        if self.found:
            return
        right = bare(self.relation.right)
        terms = right.terms if isinstance(right, Plus) else (right,)
        tried = 0
        for at, term in enumerate(terms):
            others = tuple(Minus(t) if not isinstance(t, Minus) else t.body for t in (*terms[:at], *terms[at + 1 :]))
            left = Plus((self.relation.left, *others)) if others else self.relation.left
            for first, edit in edits(term, self.stock):
                if edit.kind not in kinds or edit.cost > most:
                    continue
                for second, other in edits(first, self.stock):
                    if self.late or self.found or tried > MOST_PAIRS * len(terms):
                        return
                    if other is not edit and other.kind in kinds and other.cost <= most and other.span >= edit.span:
                        tried += 1
                        self.pair(left, terms, at, second, (edit, other))

    def pair(self, left: Tree, terms: tuple[Tree, ...], at: int, new: Tree, edits: tuple[Edit, ...]) -> None:
        self.tried += 1
        for way, (convention, _, _) in enumerate(self.ways):
            if self.trial(way, True, left).agrees(new):
                right = Plus((*terms[:at], new, *terms[at + 1 :])) if len(terms) > 1 else new
                self.keep(replace(self.relation, right=right), edits, convention)


def _around(edits: tuple[Edit, ...], known: tuple[Edit, ...]) -> bool:
    """Whether single edits are of one place, the first of as much as the second or more."""
    if len(edits) > 1 or len(known) > 1:
        return False
    (low, high), (start, end) = edits[0].span, known[0].span
    return low <= start and end <= high


def repairs(
    relation: Relation, part: Part, judgement: Judgement | None, deadline: float, suspects: tuple[Span, ...] = ()
) -> tuple[Repair, ...]:
    """The nearest formulas that hold: with one edit, else with two small ones. Empty if none is found in time.

    What is suspected is tried first.
    """
    search = _Search(relation, part, judgement, deadline, suspects)
    search.routes()
    if suspects:
        search.singles(1, EARLY, early=True)
        if not search.found:
            search.insertions(suspected=True)
    search.singles(1, 1)
    search.dangling()
    search.singles(2, 3)
    search.ends()
    search.insertions()
    for kind in ("sign", "index", "bound"):
        search.pairs((kind,), 1)
    search.singles(4, 9)
    for kinds, most in ((("index", "name", "bound", "sign"), 2), (("sign", "exponent"), 2)):
        search.pairs(kinds, most)
    return tuple(search.found)


def renamings(relation: Relation, part: Part, deadline: float) -> tuple[Repair, ...]:
    """For a symbol that cannot have the indices that it has: without one of them, or another symbol in its place."""
    search = _Search(relation, part, None, deadline)
    for name in dict.fromkeys(t for t in walk(relation.right) if isinstance(t, Name)):
        try:
            resolve(name, part)
        except Unclear as unclear:
            if not unclear.count:  # an index letter; an undeclared name comes up again when a candidate is tried
                continue
        else:
            continue
        for new, edit in sorted((*of_indices(name), *renamed(name, search.stock)), key=lambda pair: pair[1].cost):
            if not search.late and len(search.found) < MOST:
                search.consider(replace(relation, right=replaced(relation.right, name, new)), (edit,))
    return tuple(search.found)


def strict_bounds(
    relation: Relation, part: Part, deadline: float, conditions: tuple[str, ...] = ()
) -> tuple[Repair, ...]:
    """Limits of sums off by one, one or two of them, after which nothing is read outside its range any more.

    The other conditions under which the relation holds are kept.
    """
    inside = {c for c in conditions if "outside" not in c}
    kept = max((c for c in conventions(relation, part) if set(c.says) <= inside), key=lambda c: len(c.says))
    search = _Search(relation, part, None, deadline)
    search.ways = ways_of(relation, part, None, kept)
    if not search.ways:
        return ()
    for most in (1, 2):
        for candidate, made in _bounded(relation.right, search.stock, most):
            if search.late or search.found:
                break
            search.consider(replace(relation, right=candidate), made)
    return tuple(search.found)


def _bounded(tree: Tree, stock: Stock, most: int) -> Iterator[tuple[Tree, tuple[Edit, ...]]]:
    for first, edit in edits(tree, stock):
        if edit.kind != "bound":
            continue
        if most == 1:
            yield first, (edit,)
            continue
        for second, other in edits(first, stock):
            if other.kind == "bound" and other.span > edit.span:
                yield second, (edit, other)


def ways_of(
    relation: Relation, part: Part, judgement: Judgement | None, only: Convention | None = None
) -> list[tuple[Convention, Case, Case]]:
    """The conventions under which a repair may hold (or the only one), each with a small and a telling case."""
    ways = []
    for convention in conventions(relation, part) if only is None else (only,):
        if only is None and any(not re.search(r"is zero|only one|remainder| = \d", s) for s in convention.says):
            continue
        known = [
            c for c in cases(part.layer, convention.setting) if scene(part.layer, convention.setting, c) is not None
        ]
        if not known:
            continue
        small = known[min(1, len(known) - 1)]
        if judgement is not None and judgement.difference is not None and judgement.difference.case in known:
            small = judgement.difference.case
        ways.append((convention, small, known[-1]))
    return ways


@dataclass(frozen=True, slots=True)
class Mending:
    """What should stand there: the nearest formulas that hold; where there is none, the place that is wrong."""

    repairs: tuple[Repair, ...] = ()
    place: Place | None = None

    @property
    def spans(self) -> list[Span]:
        """The places that are named, in the formula's text."""
        return [self.place.span] if self.place is not None else [e.span for r in self.repairs for e in r.edits]


def mended(relation: Relation, part: Part, judgement: Judgement, deadline: float) -> Mending:
    """The nearest formulas that hold, or else the smallest part of the right side that is wrong."""
    place = located(relation, part, judgement, min(time.process_time() + FOR_THE_PLACE, deadline))
    found = repairs(relation, part, judgement, deadline, place.suspects)
    return Mending(found) if found else Mending((), place)
