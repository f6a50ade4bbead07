"""What rounding may do is bounded: large where numbers cancel or functions turn quickly, small everywhere else."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from symbackprop.check.differences import settled_difference
from symbackprop.check.rounding import DOUBLE, Rounding, roundings
from symbackprop.check.seen import Seen
from symbackprop.errors import CheckFailed
from symbackprop.notation.reader import read

NUMBERS = Rounding()


def test_numbers_that_cancel_keep_the_error_of_the_large_ones() -> None:
    value, error = NUMBERS.total([(1e8, 1e8), (1.0, 0.0), (-1e8, 0.0)])

    assert value == 1
    assert error >= 1e8


def test_a_product_grows_the_error_of_each_factor_by_the_other() -> None:
    assert NUMBERS.multiply((3.0, 2.0), (5.0, 7.0)) == (15.0, 3 * 7 + 5 * 2 + 15)


def test_an_exact_number_has_no_error_and_a_third_has() -> None:
    assert NUMBERS.number(Fraction(1, 4)) == (0.25, 0.0)
    assert NUMBERS.number(Fraction(1, 3))[1] > 0


def test_a_root_at_zero_has_no_error_where_its_argument_has_none() -> None:
    assert NUMBERS.power((0.0, 0.0), Fraction(1, 2)) == (0.0, 0.0)


def bounds(text: str, **arrays: Any) -> dict[str, Any]:
    return roundings(read(f"layer a\n{text}\noutput y"), arrays, {}, {"y": np.ones_like(arrays["x"])})


def test_a_cosine_of_a_large_number_is_as_uncertain_as_its_argument() -> None:
    x = np.array([1.0, 30.0])
    found = bounds("input x[N]\ny[n] = cos(exp(x[n]))", x=x)

    assert found["y"][0] < 10
    assert found["y"][1] > 0.01 * math.exp(30)
    assert found["grad_x"][1] > 0.01 * math.exp(60)


def test_the_bound_holds_for_a_sum_in_another_order() -> None:
    x = np.random.default_rng(1).normal(size=1000) * 1e6
    found = bounds("input x[N]\nrange m = 1\ny[m] = sum[n](x[n]) + 0*m", x=x)

    assert abs(x.sum() - math.fsum(x)) <= DOUBLE * found["y"][0]
    assert DOUBLE * found["y"][0] < 1e-6


def test_an_error_above_the_bound_is_refused_and_one_below_is_counted() -> None:
    seen = Seen("a module")
    seen.compare("y", np.array([1.0, 1e-9]), np.array([1.0, 0.0]), 1e-10, "here", allowed=lambda _: np.array([0, 2e-9]))

    assert "1 as far off as rounding may be" in seen.outcome().note
    with pytest.raises(CheckFailed, match="y\\[1\\]"):
        seen.compare("y", np.array([1, 3e-9]), np.array([1, 0]), 1e-10, "here", allowed=lambda _: np.full(2, 2e-9))


@pytest.mark.parametrize("speed", [1e3, 1e6, 1e9])
def test_the_slope_of_a_quick_wave_is_found_with_short_steps(speed: float) -> None:
    found = settled_difference(lambda h: math.sin(speed * h + 1), 0.02, 1e-15, 1e-7)

    assert abs(found.value - speed * math.cos(1)) <= max(found.error, 1e-7 * speed)
    assert found.error < 1e-2 * speed


@pytest.mark.parametrize("rounding", [1e-15, 1e-10, 1e-5])
def test_no_wrong_slope_is_claimed_of_a_wave_that_is_too_quick(rounding: float) -> None:
    rng = np.random.default_rng(1)
    for speed, phase in zip(10 ** rng.uniform(9, 13, 200), rng.uniform(0, 7, 200), strict=True):
        wave = functools.partial(lambda h, speed, phase: math.sin(speed * h + phase), speed=speed, phase=phase)
        found = settled_difference(wave, 0.02, rounding, 1e-7)

        off = abs(found.value - speed * math.cos(phase))
        assert off <= max(100 * found.error, 1e-5 * speed), f"speed {speed}, phase {phase}"


def test_a_slope_of_zero_is_known_to_be_small() -> None:
    found = settled_difference(lambda h: 1.0 + 1e-16 * math.sin(1e18 * h), 0.02, 1e-16, 1e-7)

    assert abs(found.value) <= 100 * found.error < 1e-9
