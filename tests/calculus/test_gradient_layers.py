"""The gradient of a layer is a layer: printed, read back, differentiated, generated and checked like any other."""

from __future__ import annotations

import numpy as np
import pytest

from symbackprop import build
from symbackprop.calculus.derive import derive
from symbackprop.check import modules
from symbackprop.check.derivation import verify
from symbackprop.check.forward import forward, gradients
from symbackprop.check.subjects import Subject
from symbackprop.equations import load
from symbackprop.errors import UserError
from symbackprop.notation.printer import to_text
from symbackprop.notation.reader import read
from tests.random_layers import module_of

SECOND = ("batchnorm1d", "softmax", "conv1d", "maxpool2d")
MORE = (*SECOND, "gelu", "layernorm", "softmax_cross_entropy", "scaled_dot_product_attention", "conv2d_circular")


@pytest.mark.parametrize("name", MORE)
def test_a_gradient_layer_is_printed_and_read_back(name: str) -> None:
    layer = load(name)
    gradient = layer.gradient(layer.real_inputs[0].name)

    assert read(to_text(gradient)) == gradient


def test_conditions_on_indices_keep_to_what_an_index_may_be_made_of() -> None:
    layer = read("""
        layer shuffle
        input x[N, C, H]
        param up = 2 integer
        require C % (up*up) == 0
        range k = C//(up*up), p = up*up*H
        y[n,k,p] = x[n, k*up*up + p % (up*up), p//(up*up)]
        output y
    """)
    gradient = layer.gradient("x")

    assert "up^2" not in to_text(gradient)
    assert read(to_text(gradient)) == gradient


@pytest.mark.parametrize("name", MORE)
def test_the_derivation_of_a_gradient_layer_is_verified(name: str) -> None:
    layer = load(name)
    report = verify(derive(layer.gradient(layer.real_inputs[0].name)), draws=3)

    assert not report.sampled


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("name", SECOND)
def test_the_modules_of_a_gradient_layer_pass_their_checks(
    name: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numba.config.DISABLE_JIT", True)
    gradient = load(name).gradient("x")
    subject = Subject(gradient, backend, module_of(build.module(derive(gradient), backend), backend))

    assert modules.values_agree(subject, 0, 3).points
    assert modules.gradients_agree(subject, 0, 3).points


def test_a_gradient_layer_computes_the_gradient() -> None:
    layer = load("layernorm")
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(3, 4)), "gamma": rng.normal(size=4), "beta": rng.normal(size=4)}
    grad_y = rng.normal(size=(3, 4))
    expected = gradients(layer, arrays, {}, {"y": grad_y})["x"]
    actual = forward(layer.gradient("x"), {**arrays, "gradient_y": grad_y})["gradient_x"]

    assert np.allclose(actual, expected, rtol=1e-12, atol=1e-12)


def test_the_second_derivative_of_what_is_linear_is_refused_as_zero() -> None:
    with pytest.raises(UserError, match="does not depend on x: the second derivative is zero"):
        build.second_order(load("linear"), "x")


def test_a_gradient_by_what_is_no_input_is_refused() -> None:
    with pytest.raises(UserError, match="has no real input 'z'"):
        load("linear").gradient("z")
