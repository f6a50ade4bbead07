"""Residues, dual numbers and differences: the laws that the checks rest on."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from symbackprop.check.arithmetic import Float64, Redraw, WatchfulFloat64
from symbackprop.check.differences import central_difference
from symbackprop.check.dual import DERIVATIVES, DualNumbers
from symbackprop.check.modular import HALF_PRIME, PRIME, Modular

HALF = Fraction(1, 2)


def test_the_prime_is_one_whose_squares_are_a_group_of_prime_order() -> None:
    from sympy import isprime

    assert isprime(PRIME)
    assert isprime(HALF_PRIME)


def test_small_numbers_have_roots_and_minus_one_has_none() -> None:
    m = Modular()

    assert [m.multiply(m.power(k, HALF), m.power(k, HALF)) for k in range(1, 39)] == list(range(1, 39))
    with pytest.raises(Redraw):
        m.power(m.number(-1), HALF)


def test_powers_of_a_square_add_their_exponents() -> None:
    m = Modular()
    x = m.multiply(12345, 12345)
    product = m.multiply(m.power(x, Fraction(3, 2)), m.power(x, Fraction(-1, 3)))

    assert product == m.power(x, Fraction(7, 6))


def test_an_unknown_function_is_the_same_for_the_same_argument_and_another_for_another() -> None:
    m = Modular(seed=5)

    assert m.call("exp", 17) == m.call("exp", 17)
    assert len({m.call("exp", 17), m.call("exp", 18), m.call("tanh", 17), Modular(6).call("exp", 17)}) == 4


def test_a_division_by_zero_asks_for_another_point() -> None:
    with pytest.raises(Redraw):
        Modular().power(0, Fraction(-1))


def test_infinity_is_beyond_every_residue() -> None:
    m = Modular()

    assert m.less(m.infinity(-1), PRIME - 1)
    assert m.less(1, m.infinity(1))
    assert m.call("exp", m.infinity(-1)) == 0


def test_a_general_power_needs_no_root_and_keeps_products() -> None:
    m = Modular()
    e = 10**17

    assert m.general_power(15, e) == m.multiply(m.general_power(3, e), m.general_power(5, e))
    assert m.general_power(m.number(-3), 5) == m.number(-243)


def test_a_general_power_takes_one_factor_away_with_one_from_the_exponent() -> None:
    m = Modular()
    x, e = m.multiply(777, 777), 987654321
    shorter = m.multiply(m.general_power(x, e), m.power(x, Fraction(-1)))

    assert shorter == m.general_power(x, e - 1)


@pytest.mark.parametrize("function", sorted(DERIVATIVES))
def test_each_derivative_is_the_slope_of_its_function(function: str) -> None:
    floats = Float64()
    dual = DualNumbers(floats)
    for x in (0.3, 0.7, 1.9):
        found = central_difference(lambda h, x=x: floats.call(function, x + h), 0.05)

        assert dual.call(function, (x, {"x": 1.0}))[1].get("x", 0.0) == pytest.approx(found.value, rel=1e-8)


@pytest.mark.parametrize("function", ["relu", "abs", "sign"])
def test_at_its_kink_a_function_has_the_derivative_zero(function: str) -> None:
    assert DualNumbers(Float64()).call(function, (0.0, {"x": 1.0}))[1] == {"x": 0.0}


def test_a_product_of_zeros_still_has_a_derivative() -> None:
    dual = DualNumbers(Modular())

    assert dual.multiply((0, {"a": 1}), (5, {"b": 1})) == (0, {"a": 5, "b": 0})


def test_a_general_power_has_both_its_derivatives() -> None:
    value, slopes = DualNumbers(Float64()).general_power((2.0, {"a": 1.0}), (3.0, {"b": 1.0}))

    assert (value, slopes["a"], slopes["b"]) == (8, 12, pytest.approx(8 * math.log(2)))


def test_a_difference_knows_how_far_off_it_may_be() -> None:
    smooth, kinked = central_difference(math.exp, 0.1), central_difference(lambda h: abs(h - 1e-3), 0.1)

    assert abs(smooth.value - 1) <= 1e-11
    assert smooth.error < 1e-9
    assert kinked.error > 1e-6 or abs(kinked.value + 1) < 1e-9


def test_a_watchful_float_remembers_the_nearest_kink() -> None:
    watch = WatchfulFloat64()
    watch.call("relu", 0.25)
    watch.less(1.0, 1.125)
    watch.less(2.0, 2.0)

    assert watch.gap == 0.125


def test_small_fractions_are_ordered_as_they_are() -> None:
    one = Modular()
    numbers = [Fraction(n, d) for n in range(-7, 8) for d in (1, 2, 3, 10, 999)]

    assert all(one.less(one.number(a), one.number(b)) == (a < b) for a in numbers for b in numbers)
    assert one.call("abs", one.number(Fraction(-1, 2))) == one.number(Fraction(1, 2))
