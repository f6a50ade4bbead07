"""Whether a relation between two sides holds: tried exactly at small sizes, under the readings and conventions known.

`holds` needs every case to agree; `fails` shows the smallest case at which the sides differ; `holds if` names the
convention under which they agree. A relation that the legend cannot place is never called right.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from symbackprop.check.cases import Case
from symbackprop.documents.conventions import Convention, Relation, conventions
from symbackprop.documents.latex.tree import Name, walk
from symbackprop.documents.legend import Part
from symbackprop.documents.names import standings
from symbackprop.documents.scenes import Difference
from symbackprop.documents.trials import PATIENCE, Outcome, Undecided, attempt

HOLDS, FAILS, HOLDS_IF, NOT_READ, NOT_DECIDED, NO_CLAIM = (
    "holds",
    "fails",
    "holds if",
    "not read",
    "not decided",
    "no claim",
)


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
    exact: bool = True  # whether the sides are equal at the cases exactly, or up to rounding


def judge(relation: Relation, part: Part, deadline: float | None = None) -> Judgement:
    """The verdict on a relation. Raises Unclear where the legend gives a name no meaning."""
    deadline = deadline or time.process_time() + PATIENCE
    first: Outcome | None = None
    first_convention: Convention | None = None
    trouble = ""
    for convention in conventions(relation, part):
        if (first is not None or trouble) and time.process_time() > deadline:
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
            verdict = HOLDS_IF if says else HOLDS
            return Judgement(verdict, says, outcome.agreed, None, reading, "", convention, outcome.exact)
        if first is None:
            first, first_convention = outcome, convention
    if first is None:
        return Judgement(NOT_DECIDED, reason=trouble or "no sizes were found at which it could be tried")
    return Judgement(
        FAILS, (), first.agreed, first.difference, "", _strange_letters(relation, first, part), first_convention,
        first.exact,
    )  # fmt: skip


def _could_help(convention: Convention, first: Outcome) -> bool:
    outside = first.difference is not None and bool(first.difference.outside)
    around = convention.reading.zero_outside or convention.reading.padded
    others = any("only one" in says or " = " in says for says in convention.says)  # other sizes than the first one's
    return outside or others or not around


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
