"""JAX: the forward function compiled by XLA, and its reverse pass compiled with what the forward pass kept given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symbackprop.bench.tasks import Array, NotHere, Run, Runs, Task


def runs(task: Task) -> Runs:
    """The passes of a task. Raises: NotHere where JAX is not installed."""
    try:
        import jax
    except ImportError as error:
        raise NotHere("jax is not installed") from error
    if task.case.layer not in FUNCTIONS:
        raise NotHere("no function of JAX is written for this layer")
    function, params = FUNCTIONS[task.case.layer], dict(task.case.params)
    given = {name: jax.numpy.asarray(a) for name, a in task.inputs.items()}
    outward = jax.numpy.asarray(task.gradients[0])
    found: dict[str, Run] = {}
    for one in task.case.passes:
        if one.wrt:
            found[one.name] = Run(_gradient(jax, function, params, given, one.wrt, outward), _arrays)
        else:
            forward = jax.jit(lambda *a: function(jax, params, *a))
            found[one.name] = Run(_waiting(jax, forward, *given.values()), _arrays)
    return found


def _gradient(
    jax: Any, function: Callable[..., Any], params: dict[str, Any], given: dict[str, Any], wrt: tuple[str, ...], dy: Any
) -> Callable[[], Any]:
    def of_chosen(*chosen: Any) -> Any:
        return function(jax, params, *(given | dict(zip(wrt, chosen, strict=True))).values())

    _, pull = jax.jit(lambda *chosen: jax.vjp(of_chosen, *chosen))(*(given[name] for name in wrt))
    return _waiting(jax, jax.jit(lambda kept, grad: kept(grad)), pull, dy)


def _waiting(jax: Any, function: Callable[..., Any], *given: Any) -> Callable[[], Any]:
    return lambda: jax.block_until_ready(function(*given))


def _arrays(result: Any) -> tuple[Array, ...]:
    return tuple(np.asarray(part) for part in (result if isinstance(result, tuple) else (result,)))


def _convolution(jax: Any, p: dict[str, Any], x: Any, weight: Any, bias: Any) -> Any:
    axes, groups = x.ndim - 2, p.get("groups", 1)
    if weight.ndim < x.ndim:
        weight, groups = weight[:, None], len(weight)
    y = jax.lax.conv_general_dilated(
        x,
        weight,
        [p.get("stride", 1)] * axes,
        [(p.get("pad", 0),) * 2] * axes,
        rhs_dilation=[p.get("dilation", 1)] * axes,
        feature_group_count=groups,
    )
    return y + bias.reshape(-1, *[1] * axes)


def _linear(jax: Any, p: dict[str, Any], x: Any, weight: Any, bias: Any) -> Any:
    return x @ weight.T + bias


def _batchnorm(jax: Any, p: dict[str, Any], x: Any, gamma: Any, beta: Any) -> Any:
    mean, var = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    return (x - mean) * jax.lax.rsqrt(var + 1e-5) * gamma[:, None, None] + beta[:, None, None]


def _batchnorm_at_test(jax: Any, p: dict[str, Any], x: Any, gamma: Any, beta: Any, mean: Any, var: Any) -> Any:
    scale = gamma * jax.lax.rsqrt(var + 1e-5)
    return x * scale[:, None, None] + (beta - mean * scale)[:, None, None]


def _maxpool(jax: Any, p: dict[str, Any], x: Any) -> Any:
    kernel, stride = p.get("kernel", 2), p.get("stride", 2)
    window = (1, 1, kernel, kernel), (1, 1, stride, stride)
    return jax.lax.reduce_window(x, -np.inf, jax.lax.max, *window, "VALID")


def _relu(jax: Any, p: dict[str, Any], x: Any) -> Any:
    return jax.nn.relu(x)


def _cross_entropy(jax: Any, p: dict[str, Any], z: Any, labels: Any) -> Any:
    logs = jax.nn.log_softmax(z, axis=1)
    return -jax.numpy.take_along_axis(logs, labels[:, None], 1).mean()


def _layernorm(jax: Any, p: dict[str, Any], x: Any, gamma: Any, beta: Any) -> Any:
    mean, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(var + 1e-5) * gamma + beta


def _attention(jax: Any, p: dict[str, Any], query: Any, key: Any, value: Any) -> Any:
    score = query @ key.swapaxes(-1, -2) / np.sqrt(query.shape[-1]).astype(np.float32)
    return jax.nn.softmax(score, axis=-1) @ value


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "conv2d": _convolution,
    "conv1d": _convolution,
    "depthwise_conv2d": _convolution,
    "linear": _linear,
    "batchnorm2d": _batchnorm,
    "batchnorm2d_evaluation": _batchnorm_at_test,
    "maxpool2d": _maxpool,
    "relu": _relu,
    "softmax_cross_entropy": _cross_entropy,
    "layernorm": _layernorm,
    "scaled_dot_product_attention": _attention,
}
