"""Numbers as Python text."""

from __future__ import annotations

from fractions import Fraction

import pytest

from symbackprop.emit.spelling import decimal
from symbackprop.emit.text import formula
from symbackprop.notation.reader import read


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(-12), "-12"),
        (Fraction(-(10**9)), "-1e9"),
        (Fraction(25 * 10**29), "25e29"),
        (Fraction(1234567), "1234567"),
        (Fraction(2**70), repr(2.0**70)),
        (Fraction(1, 8), "0.125"),
        (Fraction(2, 7), "2/7"),
    ],
)
def test_a_number_is_short_and_no_integer_that_a_machine_does_not_hold(value: Fraction, text: str) -> None:
    assert decimal(value) == text


def test_a_half_is_below_the_line_in_the_derivation() -> None:
    body = read("layer a\ninput x[N]\ny[n] = 0.5*tanh(x[n])\noutput y\n").definition("y").body

    assert formula(body) == "tanh(x[n])/2"
