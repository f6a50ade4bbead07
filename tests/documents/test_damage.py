"""The audit against itself: small damage is planted in right formulas, and none of it passes."""

from __future__ import annotations

from functools import lru_cache

import pytest

from symbackprop.documents.judge import HOLDS
from symbackprop.documents.latex.reader import read_expression
from symbackprop.documents.latex.tree import latex
from tests.documents.damage import KINDS
from tests.documents.page import DOCUMENTS
from tests.documents.places import is_named
from tests.documents.planted import NONE, UNNAMED, UNSEEN, Plant, Result, Right, plants, result_of
from tests.documents.planted import right_relations as all_right

right_relations = lru_cache(all_right)
FEW = 1  # damages of each kind in each document; `python -m tests.documents.planted` plants all


def some_plants(right: list[Right]) -> list[Plant]:
    """A few of each kind, from all over the document."""
    of_kind: dict[str, list[Plant]] = {kind.__name__: [] for kind in KINDS}
    for plant in plants(right):
        of_kind[plant.kind].append(plant)
    return [p for found in of_kind.values() for p in found[:: 1 + len(found) // FEW][:FEW]]


@lru_cache
def results(name: str) -> tuple[Result, ...]:
    right = right_relations(name)
    return tuple(result_of(plant, right) for plant in some_plants(right))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_damage_passes_that_is_damage(name: str) -> None:
    assert [r for r in results(name) if r.outcome == UNSEEN] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_place_of_the_damage_is_named(name: str) -> None:
    assert [r for r in results(name) if r.outcome == UNNAMED] == []


def test_damage_that_changes_nothing_is_found_equal() -> None:
    """The derivative of the variance by the mean is zero: its factor does not matter."""
    right = right_relations("vijay")
    at, known = next(
        (at, r)
        for at, r in enumerate(right)
        if r"\frac{-2}{m} \sum" in latex(r.relation.right) and r"\sigma" in latex(r.relation.left)
    )

    for equal in (latex(known.relation.right).replace("-2", "-3"), "0"):
        result = result_of(Plant(at, "by hand", equal), right)
        assert (result.outcome, result.said) == (NONE, HOLDS)
    assert result_of(Plant(at, "by hand", "1"), right).outcome != NONE


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
