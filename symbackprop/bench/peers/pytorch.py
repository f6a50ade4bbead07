"""PyTorch, without its record of what to differentiate: the functions that it calls on the way back, called alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symbackprop.bench.cases import Pass
from symbackprop.bench.tasks import Array, NotHere, Run, Runs, Task

Call = Callable[[], Any]


def runs(task: Task, threads: int) -> Runs:
    """The passes of a task. Raises: NotHere where PyTorch is not installed."""
    try:
        import torch
    except ImportError as error:
        raise NotHere("torch is not installed") from error
    if task.case.layer not in MAKERS:
        raise NotHere("no function of PyTorch is known for this layer")
    torch.set_num_threads(threads)
    # a copy: PyTorch may not see memory that others write
    inputs = [torch.from_numpy(np.array(a)) for a in task.inputs.values()]
    outward = [torch.from_numpy(np.array(g)) for g in task.gradients]
    made = MAKERS[task.case.layer](torch, dict(task.case.params), inputs, outward[0])
    return {one.name: Run(_without_record(torch, made(one)), _arrays) for one in task.case.passes}


def _without_record(torch: Any, call: Call) -> Call:
    def run() -> Any:
        with torch.no_grad():
            return call()

    return run if not getattr(call, "needs_record", False) else call


def _arrays(result: Any) -> tuple[Array, ...]:
    parts = result if isinstance(result, tuple | list) else (result,)
    return tuple(part.numpy() for part in parts if part is not None)


def _convolution(torch: Any, p: dict[str, Any], inputs: list[Any], dy: Any) -> Callable[[Pass], Call]:
    x, weight, bias = inputs
    axes = x.ndim - 2
    groups = p.get("groups", 1)
    if weight.ndim < x.ndim:  # one filter for each channel
        weight, groups = weight[:, None], len(weight)
    usual = {"stride": 1, "pad": 0, "dilation": 1}
    stride, pad, dilation = ([p.get(name, value)] * axes for name, value in usual.items())
    forward = (torch.nn.functional.conv1d, torch.nn.functional.conv2d)[axes - 1]
    back = torch.ops.aten.convolution_backward

    def made(one: Pass) -> Call:
        if not one.wrt:
            return lambda: forward(x, weight, bias, stride, pad, dilation, groups)
        mask = [name in one.wrt for name in ("x", "weight", "bias")]
        rest = ([len(bias)], stride, pad, dilation, False, [0] * axes, groups, mask)
        return lambda: back(dy, x, weight, *rest)

    return made


def _linear(torch: Any, p: dict[str, Any], inputs: list[Any], dy: Any) -> Callable[[Pass], Call]:
    x, weight, bias = inputs
    calls: dict[tuple[str, ...], Call] = {
        (): lambda: torch.nn.functional.linear(x, weight, bias),
        ("x",): lambda: dy @ weight,
        ("weight", "bias"): lambda: (dy.t() @ x, dy.sum(0)),
    }
    return lambda one: calls[one.wrt]


def _batchnorm(torch: Any, p: dict[str, Any], inputs: list[Any], dy: Any) -> Callable[[Pass], Call]:
    x, gamma, beta = inputs
    aten = torch.ops.aten

    def forward() -> Any:
        return aten.native_batch_norm(x, gamma, beta, None, None, True, 0.1, 1e-5)

    _, mean, inverse = forward()
    back = aten.native_batch_norm_backward
    rest = (None, None, mean, inverse, True, 1e-5, [True] * 3)
    return lambda one: (lambda: back(dy, x, gamma, *rest)) if one.wrt else forward


def _batchnorm_at_test(torch: Any, p: dict[str, Any], inputs: list[Any], dy: Any) -> Callable[[Pass], Call]:
    x, gamma, beta, mean, var = inputs
    return lambda one: lambda: torch.nn.functional.batch_norm(x, mean, var, gamma, beta, False)


def _maxpool(torch: Any, p: dict[str, Any], inputs: list[Any], dy: Any) -> Callable[[Pass], Call]:
    (x,) = inputs
    kernel, stride, pad = ([p.get(name, default)] * 2 for name, default in (("kernel", 2), ("stride", 2), ("pad", 0)))
    forward, back = torch.nn.functional.max_pool2d, torch.ops.aten.max_pool2d_with_indices_backward
    _, places = forward(x, kernel, stride, pad, return_indices=True)
    gradient: Call = lambda: back(dy, x, kernel, stride, pad, [1, 1], False, places)  # noqa: E731
    return lambda one: gradient if one.wrt else lambda: forward(x, kernel, stride, pad)


def _relu(torch: Any, p: dict[str, Any], inputs: list[Any], dy: Any) -> Callable[[Pass], Call]:
    (x,) = inputs
    y = torch.relu(x)
    return lambda one: (lambda: torch.ops.aten.threshold_backward(dy, y, 0)) if one.wrt else (lambda: torch.relu(x))


def _cross_entropy(torch: Any, p: dict[str, Any], inputs: list[Any], dy: Any) -> Callable[[Pass], Call]:
    z, labels = inputs
    aten, logs = torch.ops.aten, torch.log_softmax(z, 1)
    _, weights = aten.nll_loss_forward(logs, labels, None, 1, -100)

    def backward() -> Any:
        grad = aten.nll_loss_backward(dy, logs, labels, None, 1, -100, weights)
        return aten._log_softmax_backward_data(grad, logs, 1, z.dtype)

    return lambda one: backward if one.wrt else lambda: torch.nn.functional.cross_entropy(z, labels)


def _layernorm(torch: Any, p: dict[str, Any], inputs: list[Any], dy: Any) -> Callable[[Pass], Call]:
    x, gamma, beta = inputs
    aten, axes = torch.ops.aten, [x.shape[1]]

    def forward() -> Any:
        return aten.native_layer_norm(x, axes, gamma, beta, 1e-5)

    _, mean, inverse = forward()
    back: Call = lambda: aten.native_layer_norm_backward(dy, x, axes, mean, inverse, gamma, beta, [True] * 3)  # noqa: E731
    return lambda one: back if one.wrt else forward


def _attention(torch: Any, p: dict[str, Any], inputs: list[Any], dy: Any) -> Callable[[Pass], Call]:
    attend = torch.nn.functional.scaled_dot_product_attention
    recorded = [t.clone().requires_grad_() for t in inputs]
    y = attend(*recorded)

    def backward() -> Any:
        return torch.autograd.grad(y, recorded, dy, retain_graph=True)

    backward.needs_record = True  # type: ignore[attr-defined]
    return lambda one: backward if one.wrt else lambda: attend(*inputs)


MAKERS: dict[str, Callable[[Any, dict[str, Any], list[Any], Any], Callable[[Pass], Call]]] = {
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
