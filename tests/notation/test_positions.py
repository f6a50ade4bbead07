"""Positions of extrema as tensors of integers: where they may stand, and what follows from them."""

from __future__ import annotations

import pytest

from symbackprop import build
from symbackprop.calculus.derive import derive
from symbackprop.check import modules
from symbackprop.check.derivation import verify
from symbackprop.check.subjects import Subject
from symbackprop.errors import NotationError
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Arg
from symbackprop.notation.printer import to_text
from symbackprop.notation.reader import read
from symbackprop.notation.sympy_in import from_sympy
from symbackprop.notation.sympy_out import arguments
from tests.random_layers import module_of

PICK = """layer pick
input x[N, C], v[N, C]
best[n] = argmax[c](x[n,c])
y[n] = v[n, best[n]]*max[c](x[n,c])
output y
"""


def pick() -> Layer:
    """The entry of v where x is largest, times that largest entry."""
    return read(PICK)


def test_a_position_is_a_tensor_of_integers() -> None:
    layer = pick()

    assert isinstance(layer.definition("best").body, Arg)
    assert layer.integers == ("best",)


def test_a_layer_with_positions_is_printed_and_read_back() -> None:
    assert read(to_text(pick())) == pick()


def test_a_layer_with_positions_goes_to_sympy_and_comes_back() -> None:
    assert from_sympy(**arguments(pick())) == pick()


def test_a_position_that_the_layer_has_is_not_computed_again() -> None:
    derivation = derive(pick())
    verify(derivation)

    assert derivation.auxiliary == ()


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_modules_of_positions_agree_with_the_interpreter(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.config.DISABLE_JIT", True)
    text = build.module(derive(pick()), backend)
    subject = Subject(pick(), backend, module_of(text, backend))

    assert modules.values_agree(subject, 0, 4).points
    assert modules.gradients_agree(subject, 0, 4).points


WRONG = {
    "y[n] = v[n, argmax[c](x[n,c])]": "argmax stands inside an expression",
    "y[n] = 2*argmax[c](x[n,c])": "argmax stands inside an expression",
    "y[n] = argmin[c](x[n,c])": "output y holds positions",
    "argmax[n] = x[n,0]\ny[n] = x[n,0]": "argmax is a reduction of the notation and cannot be a name",
    "k[n] = argmax[m](x[n,0])\ny[n] = v[n, k[n]]": "argmax runs over index m",
}


@pytest.mark.parametrize("body", WRONG)
def test_a_position_where_none_can_be_is_refused(body: str) -> None:
    text = f"layer a\ninput x[N, C], v[N, C]\nrange m = C, c = C\n{body}\noutput y\n"
    with pytest.raises(NotationError) as caught:
        read(text)

    assert WRONG[body] in str(caught.value)
