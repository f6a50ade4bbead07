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
from symbackprop.documents.repairs import repairs
from symbackprop.documents.source import formulas
from symbackprop.documents.tokens import NotRead
from symbackprop.documents.tree import latex
from symbackprop.equations import load
from tests.documents.damage import KINDS, Damage, planted

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


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_place_of_the_damage_is_named(kind: Damage) -> None:
    """In the closed form of the batch norm gradient, for one of the first places of each kind."""
    relation, part, vocabulary, _ = right_relations("vijay")[-1]
    damaged = list(planted(relation.right, kind))[:4]

    assert not damaged or any(named(relation, part, vocabulary, latex(d)) for d in damaged)


def named(relation: Relation, part: Part, vocabulary: Vocabulary, text: str) -> bool:
    """Whether an edit at the planted place is among the nearest repairs."""
    original = latex(relation.right)
    wrong = Relation(relation.left, read_expression(text, vocabulary))
    found = repairs(wrong, part, judge(wrong, part), time.process_time() + 2)
    same = next((i for i, (a, b) in enumerate(zip(text, original, strict=False)) if a != b), len(original))
    tail = next((i for i, (a, b) in enumerate(zip(text[::-1], original[::-1], strict=False)) if a != b), 0)
    low, high = min(same, len(text) - tail), max(same, len(text) - tail)
    sign = 2  # a sign stands before the term that it belongs to
    return any(e.span[0] <= high + sign and e.span[1] >= low - sign for r in found for e in r.edits)
