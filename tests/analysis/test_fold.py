"""One layer behind another: composition, the fold of batch norm, and what a bias in front of it is worth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from symbackprop.__main__ import run
from symbackprop.analysis import fold as fold_module
from symbackprop.analysis.bias import worth
from symbackprop.analysis.compose import compose
from symbackprop.analysis.fold import fold
from symbackprop.analysis.fuse import fuse
from symbackprop.check.forward import forward
from symbackprop.equations import load
from symbackprop.errors import CannotDerive, CheckFailed, UserError
from symbackprop.nn.layers import batchnorm1d, batchnorm2d, conv, flatten, linear, maxpool, relu
from symbackprop.nn.sequential import Sequential
from symbackprop.notation.layer import Definition
from symbackprop.notation.printer import expression
from symbackprop.notation.reader import read


def test_a_composition_computes_one_layer_after_the_other() -> None:
    rng = np.random.default_rng(0)
    first, second = load("conv2d"), load("maxpool2d")
    arrays = {"x": rng.standard_normal((1, 2, 6, 6)), "weight": rng.standard_normal((3, 2, 2, 2)), "bias": np.ones(3)}
    params = {"pad": 1, "kernel": 3, "stride2": 1}
    both = forward(compose(first, second), arrays, params)["y2"]
    middle = forward(first, arrays, {"pad": 1})["y"]

    np.testing.assert_array_equal(both, forward(second, {"x": middle}, {"kernel": 3, "stride": 1})["y"])


def test_layers_whose_axes_differ_in_number_do_not_compose() -> None:
    with pytest.raises(UserError, match="conv2d gives 4 axes, and linear takes x with 2"):
        compose(load("conv2d"), load("linear"))


@pytest.mark.parametrize("first", ["conv2d", "untied_conv2d", "depthwise_conv2d"])
def test_batch_norm_folds_into_a_convolution(first: str) -> None:
    found = fold(load(first), load("batchnorm2d_evaluation"))
    channel = "c" if first == "depthwise_conv2d" else "k"

    assert found.points > 50
    weight, bias = (expression(d.body) for d in found.layer.definitions)
    assert weight.startswith(f"gamma[{channel}]*weight[{channel},")
    assert weight.endswith(f"]/sqrt(var[{channel}] + eps)")
    assert bias.startswith(f"gamma[{channel}]*(bias[{channel}")  # collected, as a book prints it


def test_the_fold_into_a_linear_layer() -> None:
    layer = fold(load("linear"), load("batchnorm1d_evaluation")).layer
    found = [f"{expression(d.element)} = {expression(d.body)}" for d in layer.definitions]

    assert found == [
        "folded_weight[k,d] = gamma[k]*weight[k,d]/sqrt(var[k] + eps)",
        "folded_bias[k] = gamma[k]*(bias[k] - mu[k])/sqrt(var[k] + eps) + beta[k]",
    ]


def test_a_layer_of_ones_own_folds_by_the_same_rules() -> None:
    scaled = "layer tint\ninput x[N, D], s[D], t[D]\n\ny[n,d] = 3*s[d]*x[n,d] - t[d]\noutput y\n"
    found = fold(load("linear"), read(scaled)).layer.definitions

    assert [expression(d.body) for d in found] == ["3*s[k]*weight[k,d]", "3*s[k]*bias[k] - t[k]"]


@pytest.mark.parametrize(
    "first, second, why",
    [
        ("conv2d", "batchnorm2d", "one equation each"),
        ("linear", "relu", "not affine in y"),
        ("relu", "batchnorm1d_evaluation", "no parameter stands alone"),
        ("bilinear", "batchnorm1d_evaluation", "exactly one of z, weight, bias"),
    ],
)
def test_what_cannot_be_folded_is_refused_with_the_reason(first: str, second: str, why: str) -> None:
    with pytest.raises(CannotDerive, match=why):
        fold(load(first), load(second))


def test_a_wrong_fold_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = fold_module._folded

    def wrong(*given: Any) -> Definition:
        made: Definition = right(*given)
        return replace(made, body=given[1]) if given[0].name == "weight" else made

    monkeypatch.setattr(fold_module, "_folded", wrong)
    with pytest.raises(CheckFailed, match="the fold is wrong at"):
        fold(load("linear"), load("batchnorm1d_evaluation"))


# ------------------------------------------------------------------------------------------- networks


def test_a_fused_network_computes_the_same_with_fewer_units() -> None:
    units = (conv(3, 3, bias="none"), batchnorm2d(eps=1e-3), relu(), maxpool(2), flatten(), linear(5), batchnorm1d())
    network = Sequential(units, (2, 8, 8), backend="numpy", dtype=np.float64)
    rng = np.random.default_rng(1)
    for name, array in {**network.parameters, **network.kept}.items():
        array[...] = rng.uniform(0.5, 2, array.shape) if name != "conv.bias" else 0
    x = rng.standard_normal((4, 2, 8, 8))
    fused, folds = fuse(network)

    assert [block.name for block in fused.blocks] == ["conv", "relu", "pool", "flatten", "linear"]
    assert [f.second.name for f in folds] == ["batchnorm2d_evaluation", "batchnorm1d_evaluation"]
    np.testing.assert_allclose(fused.forward(x), network.forward(x), rtol=1e-12)


def test_a_batch_norm_with_nothing_before_it_stays() -> None:
    network = Sequential((batchnorm1d(), linear(2)), (3,), backend="numpy", dtype=np.float64)

    assert [block.name for block in fuse(network)[0].blocks] == ["norm", "linear"]


# ----------------------------------------------------------------------------------------------- biases


@pytest.mark.parametrize(
    "first, second, vanishes",
    [
        ("conv2d", "batchnorm2d", True),  # vijay-32: tied
        ("untied_conv2d", "batchnorm2d", False),  # vijay-33: untied
        ("linear", "batchnorm1d", True),
        ("conv2d", "batchnorm2d_evaluation", False),  # outside training the statistics do not follow the bias
    ],
)
def test_a_bias_is_redundant_where_batch_norm_takes_it_away_again(first: str, second: str, vanishes: bool) -> None:
    found = worth(load(first), load(second), draws=4)

    assert found.vanishes == vanishes
    assert found.elements > 5


def test_the_command_line_prints_the_fold_and_its_proof(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fold", "linear", "batchnorm1d_evaluation"]) == 0
    text = capsys.readouterr().out

    assert "scale = gamma[k]/sqrt(var[k] + eps)" in text
    assert "folded_weight[k,d] = gamma[k]*weight[k,d]/sqrt(var[k] + eps)" in text
    assert "Proved: both are equal at" in text


def test_the_command_line_says_what_a_bias_is_worth(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bias", "linear", "batchnorm1d"]) == 0

    assert "vanishes: the parameter is redundant there" in capsys.readouterr().out
