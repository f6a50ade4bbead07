"""Each built-in layer says what its name promises: its equations, evaluated one by one, against NumPy by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from symbackprop import equations
from symbackprop.check.forward import forward
from symbackprop.errors import UserError
from symbackprop.notation.layer import Layer
from symbackprop.notation.printer import to_text
from symbackprop.notation.reader import read

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(7)


def real(*shape: int) -> Array:
    """Random numbers."""
    return RNG.standard_normal(shape)


def windows(x: Array, weight: Array, stride: int, dilation: int) -> Array:
    """Cross-correlation of x [n c *image] and weight [k c *taps], without padding, by plain loops."""
    taps = weight.shape[2:]
    out = [(i - dilation * (t - 1) - 1) // stride + 1 for i, t in zip(x.shape[2:], taps, strict=True)]
    y = np.zeros((x.shape[0], weight.shape[0], *out))
    for at in product(*map(range, out)):
        for tap in product(*map(range, taps)):
            place = tuple(stride * a + dilation * t for a, t in zip(at, tap, strict=True))
            y[(slice(None), slice(None), *at)] += x[(slice(None), slice(None), *place)] @ weight[(..., *tap)].T
    return y


def padded(x: Array, pad: int, mode: str = "constant", axes: int = 2, **options: Any) -> Array:
    """x with its last axes padded."""
    return np.pad(x, [(0, 0)] * (x.ndim - axes) + [(pad, pad)] * axes, mode=mode, **options)  # type: ignore[call-overload]


def conv(x: Array, weight: Array, bias: Array, stride: int = 1, pad: int = 0, dilation: int = 1) -> Array:
    """Cross-correlation with zero padding."""
    axes = x.ndim - 2
    return windows(padded(x, pad, axes=axes), weight, stride, dilation) + bias.reshape(-1, *[1] * axes)


def grouped(x: Array, weight: Array, bias: Array, groups: int, **options: int) -> Array:
    """Cross-correlation in groups."""
    xs, ws, bs = np.split(x, groups, 1), np.split(weight, groups), np.split(bias, groups)
    return np.concatenate([conv(a, w, b, **options) for a, w, b in zip(xs, ws, bs, strict=True)], 1)


def depthwise(x: Array, weight: Array, bias: Array, **options: int) -> Array:
    """One group for each channel."""
    return grouped(x, weight[:, None], bias, x.shape[1], **options)


def transposed(x: Array, weight: Array, bias: Array, stride: int, pad: int, dilation: int) -> Array:
    """Every element of x spreads a patch."""
    rows, columns = (
        stride * (i - 1) + dilation * (t - 1) + 1 for i, t in zip(x.shape[2:], weight.shape[2:], strict=True)
    )
    y = np.zeros((x.shape[0], weight.shape[1], rows, columns))
    for h, w, r, s in product(*map(range, (*x.shape[2:], *weight.shape[2:]))):
        y[:, :, stride * h + dilation * r, stride * w + dilation * s] += x[:, :, h, w] @ weight[:, :, r, s]
    return y[:, :, pad : rows - pad, pad : columns - pad] + bias[:, None, None]


def pool(x: Array, kernel: int, stride: int, pad: int, outside: float, reduce: Callable[..., Array]) -> Array:
    """A reduction of each window."""
    x = padded(x, pad, constant_values=outside)
    rows, columns = ((i - kernel) // stride + 1 for i in x.shape[2:])
    y = np.zeros((*x.shape[:2], rows, columns))
    for p, q in product(range(rows), range(columns)):
        y[:, :, p, q] = reduce(x[:, :, stride * p : stride * p + kernel, stride * q : stride * q + kernel], axis=(2, 3))
    return y


def evaluated(x: Array, gamma: Array, beta: Array, mu: Array, var: Array) -> Array:
    """Batch norm with given statistics."""
    mu, var = (given.reshape(-1, *[1] * (x.ndim - 2)) for given in (mu, var))
    return affine((x - mu) / np.sqrt(var + 1e-5), gamma, beta)


def normalised(x: Array, axes: tuple[int, ...], eps: float = 1e-5) -> Array:
    """x with mean 0 and variance 1 over some axes."""
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def affine(xhat: Array, gamma: Array, beta: Array, axis: int = 1) -> Array:
    """gamma*xhat + beta along one axis."""
    shape = [-1 if a == axis else 1 for a in range(xhat.ndim)]
    return gamma.reshape(shape) * xhat + beta.reshape(shape)


def groupnorm(x: Array, gamma: Array, beta: Array, groups: int) -> Array:
    """Normalised in groups of channels."""
    n, c, h, w = x.shape
    return affine(normalised(x.reshape(n, groups, c // groups, h, w), (2, 3, 4)).reshape(x.shape), gamma, beta)


def softmax(x: Array) -> Array:
    """Softmax over the last axis."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(query: Array, key: Array, value: Array) -> Array:
    """softmax(q k^T / sqrt(D)) v."""
    score = np.einsum("bhid,bhjd->bhij", query, key) / math.sqrt(query.shape[-1])
    return np.einsum("bhij,bhje->bhie", softmax(score), value)


def cross_entropy(z: Array, t: Array) -> Array:
    """The mean of -log softmax at the labels."""
    return -np.log(softmax(z)[np.arange(len(t)), t]).mean()


erf = np.vectorize(math.erf)
STEPS = {"stride": 2, "pad": 1, "dilation": 2}
IMAGE = (2, 3, 4, 5)
KERNEL = (real(4, 3, 2, 3), real(4))
TWO = {"stride": 2, "pad": 2}

# name: arguments, parameters, the same by hand
LAYERS: dict[str, tuple[tuple[Array, ...], dict[str, Any], Callable[..., Any]]] = {
    "avgpool2d": ((real(*IMAGE),), {"kernel": 3, "pad": 1}, lambda x, kernel, pad: pool(x, kernel, 2, pad, 0, np.mean)),
    "batchnorm1d": ((real(5, 3), real(3), real(3)), {}, lambda x, g, b: affine(normalised(x, (0,)), g, b)),
    "batchnorm2d": ((real(*IMAGE), real(3), real(3)), {}, lambda x, g, b: affine(normalised(x, (0, 2, 3)), g, b)),
    "batchnorm3d": (
        (real(2, 3, 2, 2, 3), real(3), real(3)),
        {},
        lambda x, g, b: affine(normalised(x, (0, 2, 3, 4)), g, b),
    ),
    "bilinear": (
        (real(3, 2), real(3, 4), real(5, 2, 4), real(5)),
        {},
        lambda x, z, w, b: np.einsum("ni,nj,kij->nk", x, z, w) + b,
    ),
    "conv1d": ((real(2, 3, 9), real(4, 3, 3), real(4)), STEPS, conv),
    "conv2d": ((real(2, 4, 6, 5), real(6, 2, 2, 3), real(6)), {**STEPS, "groups": 2}, grouped),
    "conv2d_circular": (
        (real(*IMAGE), *KERNEL),
        TWO,
        lambda x, w, b, stride, pad: conv(padded(x, pad, "wrap"), w, b, stride),
    ),
    "conv2d_reflect": (
        (real(*IMAGE), *KERNEL),
        TWO,
        lambda x, w, b, stride, pad: conv(padded(x, pad, "reflect"), w, b, stride),
    ),
    "conv2d_replicate": (
        (real(*IMAGE), *KERNEL),
        TWO,
        lambda x, w, b, stride, pad: conv(padded(x, pad, "edge"), w, b, stride),
    ),
    "conv3d": ((real(1, 2, 3, 4, 3), real(2, 2, 2, 1, 2), real(2)), STEPS, conv),
    "depthwise_conv2d": ((real(*IMAGE), real(3, 2, 2), real(3)), STEPS, depthwise),
    "dropout": (
        (real(3, 4), RNG.integers(0, 2, (3, 4))),
        {"rate": 0.25},
        lambda x, mask, rate: x * mask / (1 - rate),
    ),
    "embedding": ((real(5, 3), RNG.integers(0, 5, 4)), {}, lambda weight, t: weight[t]),
    "gelu": ((real(3, 4),), {}, lambda x: x * (1 + erf(x / math.sqrt(2))) / 2),
    "global_avgpool2d": ((real(*IMAGE),), {}, lambda x: x.mean((2, 3))),
    "groupnorm": ((real(2, 6, 2, 3), real(6), real(6)), {"groups": 3}, groupnorm),
    "instancenorm": ((real(*IMAGE), real(3), real(3)), {}, lambda x, g, b: affine(normalised(x, (2, 3)), g, b)),
    "layernorm": ((real(3, 5), real(5), real(5)), {}, lambda x, g, b: affine(normalised(x, (1,)), g, b)),
    "leaky_relu": ((real(3, 4),), {"slope": 0.125}, lambda x, slope: np.where(x > 0, x, slope * x)),
    "linear": ((real(3, 4), real(5, 4), real(5)), {}, lambda x, w, b: x @ w.T + b),
    "log_softmax": ((real(3, 4),), {}, lambda x: np.log(softmax(x))),
    "maxpool2d": (
        (real(*IMAGE),),
        {"kernel": 3, "pad": 1},
        lambda x, kernel, pad: pool(x, kernel, 2, pad, -np.inf, np.max),
    ),
    "mse": ((real(3, 4), real(3, 4)), {}, lambda x, target: ((x - target) ** 2).mean()),
    "prelu": ((real(*IMAGE), real(3)), {}, lambda x, s: np.where(x > 0, x, s[:, None, None] * x)),
    "relu": ((real(3, 4),), {}, lambda x: np.maximum(x, 0)),
    "rmsnorm": ((real(3, 5), real(5)), {}, lambda x, g: g * x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-6)),
    "scaled_dot_product_attention": ((real(1, 2, 3, 4), real(1, 2, 5, 4), real(1, 2, 5, 2)), {}, attention),
    "sigmoid": ((real(3, 4),), {}, lambda x: 1 / (1 + np.exp(-x))),
    "softmax": ((real(3, 4),), {}, softmax),
    "softmax_cross_entropy": ((real(4, 3), RNG.integers(0, 3, 4)), {}, cross_entropy),
    "tanh": ((real(3, 4),), {}, np.tanh),
    "transposed_conv2d": ((real(2, 3, 3, 4), real(3, 4, 2, 3), real(4)), STEPS, transposed),
    "true_conv2d": (
        (real(*IMAGE), *KERNEL),
        STEPS,
        lambda x, w, b, **steps: conv(x, w[:, :, ::-1, ::-1], b, **steps),
    ),
    "flatten": ((real(2, 3, 4, 5),), {}, lambda x: x.reshape(2, 60)),
    "batchnorm1d_training": ((real(5, 3), real(3), real(3)), {}, lambda x, g, b: affine(normalised(x, (0,)), g, b)),
    "batchnorm2d_training": (
        (real(*IMAGE), real(3), real(3)),
        {},
        lambda x, g, b: affine(normalised(x, (0, 2, 3)), g, b),
    ),
    "batchnorm1d_evaluation": ((real(5, 3), real(3), real(3), real(3), real(3) ** 2), {}, evaluated),
    "batchnorm2d_evaluation": ((real(*IMAGE), real(3), real(3), real(3), real(3) ** 2), {}, evaluated),
    "untied_conv2d": ((real(*IMAGE), KERNEL[0], real(4, 3, 3)), {}, lambda x, w, b: conv(x, w, 0 * b[:, 0, 0]) + b),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_built_in_layer_computes_what_its_name_promises(name: str) -> None:
    arguments, parameters, by_hand = LAYERS[name]
    layer = equations.load(name)
    arrays = dict(zip((t.name for t in layer.inputs), arguments, strict=True))

    actual = forward(layer, arrays, parameters)[layer.outputs[0]]

    np.testing.assert_allclose(actual, by_hand(*arguments, **parameters), rtol=1e-10, atol=1e-12)


def test_every_built_in_layer_is_tested() -> None:
    assert sorted(LAYERS) == list(equations.names())


@pytest.mark.parametrize("name", equations.names())
def test_a_built_in_layer_is_printed_and_read_back(name: str) -> None:
    layer = equations.load(name)

    assert isinstance(layer, Layer)
    assert read(to_text(layer)) == layer
    assert (layer.name, layer.file) == (name, f"equations/{name}.py")
    assert layer.doc


def test_channels_that_do_not_split_into_groups_are_ruled_out() -> None:
    texts = [line for line in to_text(equations.load("conv2d")).split("\n") if line.startswith("require")]

    assert texts == ["require C % groups == 0", "require K % groups == 0"]


def test_a_layer_that_does_not_exist_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UserError, match="did you mean conv2d"):
        equations.load("conv2")
    with pytest.raises(UserError, match="there is no built-in layer"):
        equations.load("../conv2d")
