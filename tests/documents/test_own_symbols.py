"""The loss differentiated by symbols that the document makes up on its way."""

from __future__ import annotations

from typing import Any

import pytest

from symbackprop.documents.audit import audit
from symbackprop.documents.judge import FAILS, HOLDS, NOT_DECIDED
from symbackprop.documents.legend import legend_of
from symbackprop.documents.source import Formula
from symbackprop.equations import load

NORM: dict[str, Any] = {"layer": "batchnorm1d", "usual": True, "names": {"x_i": "x[i-1, d]", "v": "var[d]", "m": "N"}}
OWN = (r"s = \sqrt{v + \epsilon}", r"c_i = x_i - \mu")
BY_S = r"\frac{\partial L}{\partial s} = -\sum_{i=1}^m \frac{\partial L}{\partial \hat{x}_i} \frac{c_i}{s^2}"
BY_C = r"\frac{\partial L}{\partial c_i} = \frac{\partial L}{\partial \hat{x}_i} \frac{1}{s}"


def verdict(text: str, *own: str) -> str:
    formulas = [Formula(t, at) for at, t in enumerate((*own, text))]
    return audit(formulas, legend_of(NORM, load)).findings[-1].verdict


@pytest.mark.parametrize(
    "text, expected",
    [
        (BY_S, HOLDS),
        (BY_S.replace("-", ""), FAILS),
        (r"\frac{\partial L}{\partial v} = \frac{\partial L}{\partial s} \frac{\partial s}{\partial v}", HOLDS),
        (r"\frac{\partial L}{\partial v} = \frac{1}{s} \frac{\partial L}{\partial s}", FAILS),
        (BY_C + r" + \frac{2}{m} c_i \frac{\partial L}{\partial v}", HOLDS),
        (BY_C + r" + \frac{1}{m s} c_i \frac{\partial L}{\partial s}", HOLDS),  # two of them at once
        (BY_C, FAILS),
    ],
)
def test_a_symbol_of_the_document_is_differentiated_by(text: str, expected: str) -> None:
    assert verdict(text, *OWN) == expected


def test_a_symbol_through_which_nothing_goes_has_no_gradient() -> None:
    text = r"\frac{\partial L}{\partial q_i} = \frac{\partial L}{\partial y_i}"

    assert verdict(text, "q_i = 2 x_i") == NOT_DECIDED
