"""The audit against itself: small damage is planted in right formulas, and none of it passes."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path

import pytest

from symbackprop.documents.audit import spoken_words, statements_of
from symbackprop.documents.claims import claims
from symbackprop.documents.judge import FAILS, HOLDS, HOLDS_IF, Judgement, Relation, judge
from symbackprop.documents.legend import Part, load_legend
from symbackprop.documents.names import Unclear
from symbackprop.documents.reader import Vocabulary, read_expression
from symbackprop.documents.repairs import mended
from symbackprop.documents.source import formulas
from symbackprop.documents.tokens import NotRead
from symbackprop.documents.tree import latex
from symbackprop.equations import load
from tests.documents.damage import KINDS, planted
from tests.documents.places import is_named

HERE = Path(__file__).parent
Right = tuple[Relation, Part, Vocabulary, Judgement]


def right_relations(name: str) -> list[Right]:
    """The relations of a document that hold, each once."""
    found: dict[str, Right] = {}
    legend, texts = load_legend(HERE / f"{name}.legend.toml", load), formulas(HERE / f"{name}.toml")
    words = spoken_words(texts)
    verdicts = {e["id"]: e["verdict"] for e in tomllib.loads((HERE / f"{name}.toml").read_text())["formula"]}
    for formula in texts:
        if not {HOLDS, HOLDS_IF} & set(verdicts[formula.name]):
            continue
        part = legend.part(formula.line)
        vocabulary = part.vocabulary(words)
        try:
            chains = statements_of(formula.text, vocabulary)
        except NotRead:
            continue
        for claim in (c for chain in chains for c in claims(chain, part) if c.relation is not None):
            assert claim.relation is not None
            try:
                judgement = judge(claim.relation, part)
            except Unclear:
                continue
            if judgement.verdict in (HOLDS, HOLDS_IF):
                found[f"{claim.text} {formula.line if name == 'wu' else ''}"] = (
                    claim.relation,
                    part,
                    vocabulary,
                    judgement,
                )
    return list(found.values())


def judged(relation: Relation, damaged: str, part: Part, vocabulary: Vocabulary) -> str:
    """The verdict on the damaged formula, read anew from its text; "equal" where the layer proves the damage none."""
    try:
        return judge(Relation(relation.left, read_expression(damaged, vocabulary), relation.when), part).verdict
    except Unclear:
        return "not decided"


@pytest.mark.parametrize("name", ["vijay", "nptel", "iitp", "wu"])
def test_no_damage_passes_that_is_damage(name: str) -> None:
    missed = []
    right = right_relations(name)
    for relation, part, vocabulary, before in right[:: 1 + len(right) // 25]:
        for kind in KINDS:
            damaged = next(planted(relation.right, kind), None)
            if damaged is None:
                continue
            verdict = judged(relation, latex(damaged), part, vocabulary)
            # what still holds exactly is no damage: a term that the layer makes zero, for instance
            if verdict not in (FAILS, before.verdict):
                missed.append(f"{kind.__name__}: {latex(relation.left)} = {latex(damaged)}: {verdict}")

    assert missed == []


def test_damage_that_changes_nothing_is_found_equal() -> None:
    """The derivative of the variance by the mean is zero: its factor does not matter."""
    relation, part, vocabulary, _ = next(
        r
        for r in right_relations("vijay")
        if r"\frac{-2}{m} \sum" in latex(r[0].right) and r"\sigma" in latex(r[0].left)
    )

    assert judged(relation, latex(relation.right).replace("-2", "-3"), part, vocabulary) == HOLDS
    assert judged(relation, "0", part, vocabulary) == HOLDS


@pytest.mark.parametrize("name", ["vijay", "nptel", "iitp", "wu"])
def test_the_place_of_the_damage_is_named(name: str) -> None:
    """One damage of each kind, in another formula each time; `make` has no time for all of them."""
    right, missed = right_relations(name), []
    for at, kind in enumerate(KINDS):
        choices = [(r, d) for r in right[at::5] for d in planted(r[0].right, kind)]
        for (relation, part, vocabulary, _), damaged in choices[:1]:
            if named(relation, part, vocabulary, latex(damaged)) is False:
                missed.append(f"{kind.__name__}: {latex(relation.left)} = {latex(damaged)}")

    assert missed == []


def named(relation: Relation, part: Part, vocabulary: Vocabulary, text: str) -> bool | None:
    """Whether the planted place is among those that are named; None where the damage is none."""
    wrong = Relation(relation.left, read_expression(text, vocabulary), relation.when)
    judgement = judge(wrong, part)
    if judgement.verdict != FAILS:
        return None
    original = read_expression(latex(relation.right), vocabulary)
    return is_named(mended(wrong, part, judgement, time.process_time() + 2).spans, original, wrong.right)


# ------------------------------------------------------------------------------- the measure itself


@pytest.mark.parametrize(
    "before, after, inside, outside",
    [
        # the sign of the second term: neither the first term nor the whole will do
        ("a b + c d", "a b - c d", (4, 9), [(0, 3), (0, 9)]),
        # a factor that is lost from the first term: anywhere in that term, and nowhere else
        ("a b + c d", "b + c d", (0, 1), [(4, 7), (0, 7)]),
        # a limit: not the summand, not the other limit
        (r"\sum_{i=1}^{m} x_i", r"\sum_{i=1}^{m - 1} x_i", (12, 17), [(0, 22), (8, 9), (19, 22)]),
        # an exponent: not the base's own inside, not the factor beside it
        ("(a + b)^{2} c", "(a + b)^{3} c", (9, 10), [(1, 2), (12, 13), (0, 13)]),
        # a term that is lost: the sum that lacks it, and not a sum beside it
        ("(a + b) (c + d)", "(a) (c + d)", (1, 2), [(5, 10), (0, 11)]),
    ],
)
def test_a_place_counts_only_if_it_touches_the_change_and_stays_in_its_term(
    before: str, after: str, inside: tuple[int, int], outside: list[tuple[int, int]]
) -> None:
    old, new = read_expression(before), read_expression(after)

    assert is_named([inside], old, new)
    assert [place for place in outside if is_named([place], old, new)] == []
    assert not is_named([], old, new)
