"""Each built-in layer that PyTorch has, too: outputs and all gradients of the committed modules, in float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbackprop import equations
from tests.random_layers import module_of

torch: Any = pytest.importorskip("torch", reason="PyTorch is the second opinion here and not installed")
F: Any = torch.nn.functional

GENERATED = Path(__file__).parents[2] / "generated"
Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(11)


def real(*shape: int) -> Array:
    """Random numbers."""
    return RNG.standard_normal(shape)


def whole(below: int, *shape: int) -> Array:
    """Random labels."""
    return RNG.integers(0, below, shape)


def padded(mode: str) -> Callable[..., Any]:
    """A convolution of an image that is padded in a mode of PyTorch."""
    return lambda x, w, b, stride, pad: F.conv2d(F.pad(x, (pad,) * 4, mode=mode), w, b, stride)


def norm(x: Any, gamma: Any, beta: Any) -> Any:
    """Batch norm with the statistics of the batch."""
    return F.batch_norm(x, None, None, gamma, beta, training=True)


def with_statistics(x: Any, gamma: Any, beta: Any) -> Any:
    """The same, with the statistics as outputs."""
    axes = tuple(a for a in range(x.ndim) if a != 1)
    return norm(x, gamma, beta), x.mean(axes), x.var(axes, correction=0)


def given(x: Any, gamma: Any, beta: Any, mu: Any, var: Any) -> Any:
    """Batch norm with given statistics, in PyTorch's own steps, since its function does not differentiate by them."""
    shape = (1, -1, *(1,) * (x.ndim - 2))
    mu, var, gamma, beta = (v.reshape(shape) for v in (mu, var, gamma, beta))
    return (x - mu) * torch.rsqrt(var + 1e-5) * gamma + beta


def transposed(x: Any, w: Any, b: Any, stride: int, pad: int, dilation: int) -> Any:
    return F.conv_transpose2d(x, w, b, stride=stride, padding=pad, dilation=dilation)


IMAGE = (2, 3, 6, 7)
STEPS = {"stride": 2, "pad": 1, "dilation": 2}
KERNEL = (real(4, 3, 2, 3), real(4))


def conv(function: Any) -> Callable[..., Any]:
    """A convolution of PyTorch under our names of its parameters."""
    return lambda x, w, b, stride=1, pad=0, dilation=1, groups=1: function(x, w, b, stride, pad, dilation, groups)


def dropped(x: Any, mask: Any, rate: float) -> Any:
    return x * mask / (1 - rate)


# name: arguments, parameters, the twin
TWINS: dict[str, tuple[tuple[Array, ...], dict[str, Any], Callable[..., Any]]] = {
    "avgpool2d": ((real(*IMAGE),), {"kernel": 3, "pad": 1}, lambda x, kernel, pad: F.avg_pool2d(x, kernel, 2, pad)),
    "batchnorm1d": ((real(5, 3), real(3), real(3)), {}, norm),
    "batchnorm2d": ((real(*IMAGE), real(3), real(3)), {}, norm),
    "batchnorm3d": ((real(2, 3, 2, 2, 3), real(3), real(3)), {}, norm),
    "batchnorm1d_training": ((real(5, 3), real(3), real(3)), {}, with_statistics),
    "batchnorm2d_training": ((real(*IMAGE), real(3), real(3)), {}, with_statistics),
    "batchnorm1d_evaluation": ((real(5, 3), real(3), real(3), real(3), real(3) ** 2), {}, given),
    "batchnorm2d_evaluation": ((real(*IMAGE), real(3), real(3), real(3), real(3) ** 2), {}, given),
    "bilinear": ((real(3, 2), real(3, 4), real(5, 2, 4), real(5)), {}, F.bilinear),
    "conv1d": ((real(2, 3, 9), real(4, 3, 3), real(4)), STEPS, conv(F.conv1d)),
    "conv2d": ((real(2, 4, 6, 5), real(6, 2, 2, 3), real(6)), {**STEPS, "groups": 2}, conv(F.conv2d)),
    "conv2d_circular": ((real(*IMAGE), *KERNEL), {"stride": 2, "pad": 2}, padded("circular")),
    "conv2d_reflect": ((real(*IMAGE), *KERNEL), {"stride": 2, "pad": 2}, padded("reflect")),
    "conv2d_replicate": ((real(*IMAGE), *KERNEL), {"stride": 2, "pad": 2}, padded("replicate")),
    "conv3d": ((real(1, 2, 3, 5, 4), real(2, 2, 2, 2, 2), real(2)), STEPS, conv(F.conv3d)),
    "depthwise_conv2d": (
        (real(*IMAGE), real(3, 2, 2), real(3)),
        STEPS,
        lambda x, w, b, **steps: conv(F.conv2d)(x, w[:, None], b, **steps, groups=3),
    ),
    "dropout": ((real(3, 4), whole(2, 3, 4)), {"rate": 0.25}, dropped),
    "embedding": ((real(5, 3), whole(5, 4)), {}, lambda weight, t: F.embedding(t, weight)),
    "flatten": ((real(2, 3, 4, 5),), {}, lambda x: x.flatten(1)),
    "gelu": ((real(3, 4),), {}, F.gelu),
    "global_avgpool2d": ((real(*IMAGE),), {}, lambda x: F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0]),
    "groupnorm": (
        (real(2, 6, 2, 3), real(6), real(6)),
        {"groups": 3},
        lambda x, g, b, groups: F.group_norm(x, groups, g, b),
    ),
    "instancenorm": ((real(*IMAGE), real(3), real(3)), {}, lambda x, g, b: F.instance_norm(x, weight=g, bias=b)),
    "layernorm": ((real(3, 5), real(5), real(5)), {}, lambda x, g, b: F.layer_norm(x, (5,), g, b)),
    "leaky_relu": ((real(3, 4),), {"slope": 0.125}, lambda x, slope: F.leaky_relu(x, slope)),
    "linear": ((real(3, 4), real(5, 4), real(5)), {}, F.linear),
    "log_softmax": ((real(3, 4),), {}, lambda x: F.log_softmax(x, -1)),
    "maxpool2d": ((real(*IMAGE),), {"kernel": 3, "pad": 1}, lambda x, kernel, pad: F.max_pool2d(x, kernel, 2, pad)),
    "mse": ((real(3, 4), real(3, 4)), {}, F.mse_loss),
    "prelu": ((real(*IMAGE), real(3)), {}, F.prelu),
    "relu": ((real(3, 4),), {}, F.relu),
    "rmsnorm": ((real(3, 5), real(5)), {}, lambda x, g: F.rms_norm(x, (5,), g, 1e-6)),
    "scaled_dot_product_attention": (
        (real(1, 2, 3, 4), real(1, 2, 5, 4), real(1, 2, 5, 2)),
        {},
        F.scaled_dot_product_attention,
    ),
    "sigmoid": ((real(3, 4),), {}, torch.sigmoid),
    "softmax": ((real(3, 4),), {}, lambda x: F.softmax(x, -1)),
    "softmax_cross_entropy": ((real(4, 3), whole(3, 4)), {}, F.cross_entropy),
    "tanh": ((real(3, 4),), {}, torch.tanh),
    "transposed_conv2d": ((real(2, 3, 3, 4), real(3, 4, 2, 3), real(4)), STEPS, transposed),
    "true_conv2d": (
        (real(*IMAGE), *KERNEL),
        STEPS,
        lambda x, w, b, **steps: conv(F.conv2d)(x, w.flip(2, 3), b, **steps),
    ),
    "untied_conv2d": ((real(*IMAGE), KERNEL[0], real(4, 5, 5)), {}, lambda x, w, b: F.conv2d(x, w) + b),
}


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("name", TWINS)
def test_outputs_and_gradients_are_those_of_the_twin(name: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.config.DISABLE_JIT", True)  # the compiled kernels are compared with these elsewhere
    arguments, parameters, twin = TWINS[name]
    layer = equations.load(name)
    module: Any = module_of((GENERATED / backend / f"{name}.py").read_text(encoding="utf-8"), backend)
    tensors = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arguments]

    result, saved = module.forward(*arguments, **parameters)
    expected = twin(*tensors, **parameters)
    actual = tuple(result) if len(layer.outputs) > 1 else (result,)
    expected = expected if isinstance(expected, tuple) else (expected,)
    weights = [np.asarray(RNG.standard_normal(y.shape)) for y in actual]
    gradients = module.backward(saved, *weights)
    sum((y * torch.tensor(w)).sum() for y, w in zip(expected, weights, strict=True)).backward()

    for y, truth in zip(actual, expected, strict=True):
        np.testing.assert_allclose(y, truth.detach().numpy(), rtol=1e-10, atol=1e-10)
    for input_, tensor in zip(layer.inputs, tensors, strict=True):
        if input_.kind == "real":
            np.testing.assert_allclose(getattr(gradients, input_.name), tensor.grad.numpy(), rtol=1e-10, atol=1e-10)


def test_every_built_in_layer_has_a_twin() -> None:
    assert sorted(TWINS) == list(equations.names())
