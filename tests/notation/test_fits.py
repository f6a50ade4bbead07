"""What is called certain about sizes is true for every size."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from symbackprop.notation import nodes as n
from symbackprop.notation.fits import Signs, polynomial
from symbackprop.notation.layer import DerivedSize, Hyperparameter
from symbackprop.notation.nodes import Expr, FloorDiv, Index, Mod, Number, Parameter, Size

PAD, SHIFT = Parameter("pad", True), Parameter("shift", True)
SIGNS = Signs(
    [Hyperparameter("pad", Fraction(1), True), Hyperparameter("shift", Fraction(-1), True)],
    [DerivedSize("P", n.add(Size("N"), PAD))],
)
N, C, P = Size("N"), Size("C"), Size("P")
INDICES = (Index("i", N), Index("j", C), Index("p", P), Index("r", n.number(2)))


def value(expr: Expr, at: dict[Expr, int]) -> Fraction:
    """What an index expression is worth."""
    match expr:
        case Number(number):
            return number
        case n.Add(terms):
            return sum((value(t, at) for t in terms), Fraction(0))
        case n.Mul(factors):
            result = Fraction(1)
            for factor in factors:
                result *= value(factor, at)
            return result
        case FloorDiv(a, b):
            return Fraction(value(a, at) // value(b, at))
        case Mod(a, b):
            return value(a, at) % value(b, at)
        case _:
            return Fraction(at[expr])


@st.composite
def forms(draw: Any, atoms: tuple[Expr, ...]) -> Expr:
    """A sum of up to three products of atoms and small integers."""
    terms = []
    for _ in range(draw(st.integers(1, 3))):
        coefficient = n.number(draw(st.integers(-2, 2)))
        terms.append(n.mul(coefficient, *draw(st.lists(st.sampled_from([n.ONE, *atoms]), min_size=1, max_size=2))))
    form = n.add(*terms)
    return draw(st.sampled_from([form] * 4 + [n.floor_divide(form, n.number(2)), n.modulo(form, N)]))


def worlds() -> list[dict[Expr, int]]:
    """Small sizes and parameters."""
    chosen = product((1, 2, 3), (1, 2, 3), (0, 1, 2), (-2, 0, 2))
    return [{N: a, C: b, PAD: pad, SHIFT: shift, P: a + pad} for a, b, pad, shift in chosen]


@settings(max_examples=150)
@given(forms((N, C, P, PAD, SHIFT)))
def test_what_is_positive_is_positive_for_all_sizes(form: Expr) -> None:
    if SIGNS.positive(form):
        assert all(value(form, world) >= 1 for world in worlds())
    if SIGNS.natural(form):
        assert all(value(form, world) >= 0 for world in worlds())


@settings(max_examples=150)
@given(forms((*INDICES, N, PAD, SHIFT)), st.sampled_from([N, C, P, n.number(2)]))
def test_a_read_that_is_called_outside_falls_outside_for_all_sizes(form: Expr, extent: Expr) -> None:
    if SIGNS.outside(form, extent) is None:
        return
    for world in worlds():
        boxes = [range(int(value(i.extent, world))) for i in INDICES]
        reached = [value(form, {**world, **dict(zip(INDICES, at, strict=True))}) for at in product(*boxes)]

        assert max(reached) >= value(extent, world) or min(reached) < 0


@given(forms((N, C, PAD)))
def test_a_polynomial_has_the_value_of_its_expression(form: Expr) -> None:
    found = polynomial(form)
    assert found is not None
    for world in worlds()[:12]:
        total = Fraction(0)
        for atoms, coefficient in found.items():
            for atom in atoms:
                coefficient *= value(atom, world)
            total += coefficient

        assert total == value(form, world)


def test_what_does_not_follow_from_the_sizes_is_left_to_the_call() -> None:
    i = INDICES[0]
    undecided = [n.add(i, PAD), n.add(i, SHIFT), n.mul(n.number(2), i), n.modulo(i, C), i]

    assert [SIGNS.outside(form, N) for form in undecided] == [None] * 5


def test_a_step_past_the_end_and_one_before_the_start_are_certain() -> None:
    i = INDICES[0]

    assert SIGNS.outside(n.add(i, n.ONE), N) == N
    assert SIGNS.outside(n.subtract(i, n.ONE), N) == n.number(-1)
    assert SIGNS.outside(n.add(i, PAD, n.ONE), N) is not None
