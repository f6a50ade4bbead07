"""Integer expressions: normal forms that are exact, and bounds that are only claimed where they are proved."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbackprop.calculus.integer import Facts, equal, holds, never_negative, normal, simplified
from symbackprop.calculus.polynomial import as_expr
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Add,
    Compare,
    Expr,
    FloorDiv,
    Index,
    Mod,
    Mul,
    Number,
    Parameter,
    Size,
    add,
    floor_divide,
    modulo,
    mul,
    number,
    subtract,
)

N, C, D = Size("N"), Size("C"), Size("D")
STRIDE, GROUPS = Parameter("stride", integer=True), Parameter("groups", integer=True)
I, J = Index("i", N), Index("j", D)


def value(expr: Expr, at: dict[Expr, int]) -> Fraction:
    match expr:
        case Number(v):
            return v
        case Add(terms):
            return sum((value(t, at) for t in terms), Fraction(0))
        case Mul(factors):
            product = Fraction(1)
            for f in factors:
                product *= value(f, at)
            return product
        case FloorDiv(a, b):
            return Fraction(value(a, at) // value(b, at))
        case Mod(a, b):
            return value(a, at) % value(b, at)
        case _:
            return Fraction(at[expr])


leaves = st.sampled_from([I, J, N, D, STRIDE]) | st.integers(-3, 4).map(number)
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: add(*p)),
        st.tuples(inner, inner).map(lambda p: subtract(*p)),
        st.tuples(inner, inner).map(lambda p: mul(*p)),
        st.tuples(inner, st.sampled_from([STRIDE, D, number(2), number(3)])).map(lambda p: floor_divide(*p)),
        st.tuples(inner, st.sampled_from([STRIDE, D, number(2), number(3)])).map(lambda p: modulo(*p)),
    ),
    max_leaves=7,
)


@st.composite
def points(draw: st.DrawFn) -> dict[Expr, int]:
    n, d = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return {N: n, D: d, STRIDE: draw(st.integers(1, 3)), I: draw(st.integers(0, n - 1)), J: draw(st.integers(0, d - 1))}


FACTS = Facts(least={"stride": 1})


@given(expressions, points())
def test_the_normal_form_has_the_value_of_the_expression(expr: Expr, at: dict[Expr, int]) -> None:
    assert value(as_expr(normal(expr, FACTS)), at) == value(expr, at)


@given(expressions, points())
def test_what_is_proved_never_negative_is_never_negative(expr: Expr, at: dict[Expr, int]) -> None:
    if never_negative(normal(expr, FACTS), FACTS):
        assert value(expr, at) >= 0


@given(expressions, expressions, points())
def test_what_is_proved_equal_is_equal(a: Expr, b: Expr, at: dict[Expr, int]) -> None:
    if equal(a, b, FACTS):
        assert value(a, at) == value(b, at)


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (floor_divide(add(mul(STRIDE, I), J), STRIDE), add(I, floor_divide(J, STRIDE))),
        (modulo(add(mul(D, I), J), D), J),
        (floor_divide(add(mul(D, I), J), D), I),
        (subtract(add(I, J), J), I),
        (floor_divide(number(-1), number(2)), number(-1)),
    ],
)
def test_floors_and_remainders_are_taken_apart_where_that_is_exact(expr: Expr, expected: Expr) -> None:
    assert simplified(expr, FACTS) == expected


def test_a_requirement_makes_a_size_a_product() -> None:
    facts = Facts(equal={C: mul(GROUPS, D)}, least={"groups": 1})

    assert holds(Compare("<", floor_divide(Index("c", C), D), GROUPS), facts)
    assert not holds(Compare("<", floor_divide(Index("c", C), D), GROUPS), Facts(least={"groups": 1}))


def test_a_bound_without_a_proof_is_not_claimed() -> None:
    assert not holds(Compare("<=", ZERO, subtract(I, STRIDE)), FACTS)
    assert holds(Compare("<=", ZERO, subtract(N, add(I, ONE))), FACTS)
