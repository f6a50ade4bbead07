"""Where a wrong formula is wrong: the smallest part that is read outside its range, or term that is off by a factor.

Where a formula has no value because something in it is read outside its range, the place is the smallest part without
which it has one. Else a term of a sum is the place if the two sides become equal once it is multiplied by something
that is
1. the same number at every element and every point: a number or sizes are wrong in it, or
2. the same at every element of one point: a factor without indices is, or
3. the same whatever the most inputs and incoming gradients are, each drawn anew alone: a factor without them is.
What only one term can make good is in that term; where several could, their sum is as near as it can be told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias

from symbackprop.check.arithmetic import Redraw
from symbackprop.check.cases import Case
from symbackprop.check.modular import PRIME
from symbackprop.documents.conventions import Convention, Relation, conventions
from symbackprop.documents.judge import Judgement
from symbackprop.documents.latex.tree import (
    Big,
    Chain,
    Name,
    Num,
    Plus,
    Raised,
    Slope,
    Span,
    Times,
    Tree,
    bare,
    latex,
    parts,
    rebuild,
    walk,
)
from symbackprop.documents.legend import Part
from symbackprop.documents.names import letter_of, loose_letters, silent_letters, standings
from symbackprop.documents.scenes import INCOMING, cases
from symbackprop.documents.trials import NO_VALUE, Trial

ENOUGH = 2  # elements that tell
NOTHING, UNIT, TWO = (Num(Fraction(n), str(n)) for n in range(3))
Build: TypeAlias = Callable[[Tree], Tree]  # the whole side with another tree in one place


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the right side that is wrong, and how it is known; `suspects` are the parts that it may be in."""

    span: Span
    text: str
    why: str
    suspects: tuple[Span, ...] = ()


def located(relation: Relation, part: Part, judgement: Judgement, deadline: float) -> Place:
    """The smallest part that is off; the whole right side where none is found."""
    whole = Place(relation.right.span, latex(relation.right), "where in it cannot be told")
    known = _loose(relation, part) or _outside(relation, part, judgement)
    if known is not None:
        return known
    for convention in conventions(relation, part):
        if convention.says and not any("zero outside" in s for s in convention.says):
            continue
        telling = _telling(convention, relation, part)
        if telling is None:
            continue
        location = _Location(relation, part, *telling, deadline)
        found = location.found()
        if found is not None:
            return found
        if not whole.suspects:
            whole = replace(whole, suspects=location.suspects)
    return whole


def _outside(relation: Relation, part: Part, judgement: Judgement) -> Place | None:
    """The smallest part without which nothing is read outside its range; None where there is not one such part."""
    if judgement.difference is None or not judgement.difference.outside or judgement.convention is None:
        return None
    trial = Trial(relation.left, relation.when, part, judgement.convention, judgement.difference.case)
    tree: Tree = relation.right
    build: Build = _same
    while inner := [(child, _after(build, put)) for child, put in (*_values_in(tree), *_numerator(tree))]:
        without = [(child, put) for child, put in inner if not trial.is_outside(put(UNIT), relation.right)]
        if len(without) != 1:
            break
        tree, build = without[0]
    why = "it is read outside its range"
    alone = [n for n in walk(tree) if isinstance(n, Name) and trial.is_outside(n, relation.right)]
    if len(set(alone)) == 1:  # whatever is summed
        return Place(alone[0].span, latex(alone[0]), why, tuple(n.span for n in alone))
    if tree is relation.right:
        return None
    limits = _limits_around(relation.right, tree, part)
    return None if limits else Place(tree.span, latex(tree), why, (tree.span,))


def _limits_around(whole: Tree, inner: Tree, part: Part) -> bool:
    """Whether a sum whose limits could be wrong instead runs over an index of a part."""
    letters = {s.letter for s in (*standings(inner, part), *loose_letters(inner, part))}
    return any(isinstance(t, Big) and letter_of(t.variable) in letters for t in walk(whole))


def _loose(relation: Relation, part: Part) -> Place | None:
    """The smallest part of the right side with all places of an index that is neither summed over nor on the left."""
    known = {s.letter for s in standings(relation.left, part)} | {
        t.base for t in walk(relation.left) if isinstance(t, Name)
    }
    free = (*standings(relation.right, part), *loose_letters(relation.right, part))
    letter = next((s.letter for s in free if s.printed and s.letter not in known), None)
    if letter is None:
        return None
    tree = relation.right
    while True:
        holding = [t for t in parts(tree) if any(isinstance(n, Name) and letter_of(n) == letter for n in walk(t))]
        if len(holding) != 1 or isinstance(tree, Name | Slope):
            break
        tree = holding[0]
    return Place(tree.span, latex(tree), f"its index {letter} is neither summed over nor on the left")


def _telling(convention: Convention, relation: Relation, part: Part) -> tuple[Convention, Case] | None:
    """A case with several elements of what is printed, and one of each index that is not."""
    printed = {x.letter for side in (relation.left, relation.right) for x in standings(side, part) if x.printed}
    silent = {
        getattr(part.layer.axes(s.tensor)[axis], "name", "")
        for s in part.symbols
        for axis, slot in enumerate(s.slots)
        for x in silent_letters(s, part)
        if slot == Name(x) and x not in printed
    }
    held = tuple((size, 1) for size in sorted(silent) if size and size not in part.fixed)
    setting = replace(convention.setting, held=(*convention.setting.held, *held))
    known = cases(part.layer, setting)
    several = [c for c in known if sum(n > 1 for n in dict(c.sizes).values()) >= min(2, len(c.sizes) - len(held))]
    return (replace(convention, setting=setting), (several or list(known))[0]) if known else None


class _Location:
    def __init__(self, relation: Relation, part: Part, convention: Convention, case: Case, deadline: float) -> None:
        self.relation, self.deadline = relation, deadline
        self.suspects: tuple[Span, ...] = ()

        def trial(seed: int = 0, redrawn: str = "") -> Trial:
            return Trial(relation.left, relation.when, part, convention, case, seed, redrawn)

        self.base, self.other = trial(), trial(1)
        self.redrawn = [trial(0, name) for name in (INCOMING, *(t.name for t in part.layer.real_inputs))]

    def found(self) -> Place | None:
        """The only term that one of the tests singles out, at the deepest sum where one does."""
        place: Place | None = None
        tree: Tree = self.relation.right
        build: Build = _same
        while True:
            step = self._term_of(tree, build)
            if step is None:
                return place
            tree, build, why = step
            place = Place(tree.span, latex(tree), why, (tree.span,))

    def _term_of(self, tree: Tree, build: Build) -> tuple[Tree, Build, str] | None:
        """The term of the outermost sums of the tree that is wrong."""
        terms = [(term, _after(build, inner)) for term, inner in _terms(tree)]
        for test, why in (
            (self._by_a_number, "off by a factor of numbers and sizes"),
            (self._by_a_scalar, "off by a factor without an index"),
            (self._by_inputs, "off by a factor"),
        ):
            scores = [test(t, b) if time.process_time() < self.deadline else 0 for t, b in terms]
            best = max(scores, default=0)
            if best and scores.count(best) == 1:
                return (*terms[scores.index(best)], why)
            if best and not self.suspects:
                self.suspects = tuple(t.span for (t, _), score in zip(terms, scores, strict=True) if score == best)
        return None

    def _by_a_number(self, term: Tree, build: Build) -> int:
        here, there = self._ratios(self.base, term, build), self._ratios(self.other, term, build)
        return bool(here) and bool(there) and len(set(here) | set(there)) == 1

    def _by_a_scalar(self, term: Tree, build: Build) -> int:
        here, there = self._ratios(self.base, term, build), self._ratios(self.other, term, build)
        return min(len(here), len(there)) >= ENOUGH and len(set(here)) == 1 and len(set(there)) == 1

    def _by_inputs(self, term: Tree, build: Build) -> int:
        """Of how many inputs the factor does not depend."""
        here = self._ratios(self.base, term, build)
        return sum(self._ratios(again, term, build) == here for again in self.redrawn) if here else 0

    def _ratios(self, trial: Trial, term: Tree, build: Build) -> list[int]:
        """What the term has to be multiplied with at each element; empty where there is no such number."""
        try:
            tries = (NOTHING, term, Times((TWO, term), span=term.span))
            pairs = [trial.values(build(new), self.relation.right) for new in tries]
        except (Redraw, *NO_VALUE):
            return []
        found = []
        wanted, (without, as_is, double) = pairs[0][0], [right for _, right in pairs]
        for left, none, one, two in zip(wanted, without, as_is, double, strict=True):
            if not all(isinstance(v, int) for v in (left, none, one, two)):
                return []
            if (two - one - one + none) % PRIME:  # not proportional to the term
                return []
            if one == none:  # the term is not there at this element
                if left != none:
                    return []
                continue
            found.append((left - none) * pow(one - none, -1, PRIME) % PRIME)
        return found


def _same(new: Tree) -> Tree:
    return new


def _values_in(tree: Tree) -> Iterator[tuple[Tree, Build]]:
    """The direct parts of a tree that are values, no indices, each with what puts another one in its place."""
    if isinstance(tree, Name | Slope | Num):
        return
    children = parts(tree)
    for at, child in enumerate(children):
        if isinstance(tree, Big | Raised) and at != (len(children) - 1 if isinstance(tree, Big) else 0):
            continue
        if isinstance(child, Chain):
            continue

        def put(new: Tree, at: int = at) -> Tree:
            return rebuild(tree, (*children[:at], new, *children[at + 1 :]))

        yield child, put


def _numerator(tree: Tree) -> Iterator[tuple[Tree, Build]]:
    """What a local derivative is of, where that is more than a symbol."""
    if isinstance(tree, Slope) and not isinstance(bare(tree.top), Name):
        yield tree.top, lambda new: replace(tree, top=new)


def _terms(tree: Tree) -> Iterator[tuple[Tree, Build]]:
    """The terms of the outermost sums in a tree, each with what puts another one in its place."""
    for child, put in _values_in(tree):
        if isinstance(tree, Plus):
            yield child, put
            continue
        for term, build in _terms(child):
            yield term, _after(put, build)


def _after(outer: Build, inner: Build) -> Build:
    return lambda new: outer(inner(new))
