"""What the generated modules cost: time side by side, memory traffic of batch norm, peak memory of convolution."""

from __future__ import annotations

import importlib.util
import tracemalloc
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from symbackprop.bench.timing import Figure, figure, in_turns
from symbackprop.build import derive, kernel, load
from symbackprop.loops.kernel import Pass
from symbackprop.notation.nodes import Expr, Mul, mul

Array = npt.NDArray[np.float32]
MB = 1024 * 1024
BOUND_OF_PATCHES = 64.0  # MB: what the windows of a convolution may take, beside a padded copy of its image


def kernel_figures(repeats: int, quick: bool) -> Iterator[Figure]:
    """All measurements of the built-in modules; those against PyTorch where it is installed."""
    yield from _batchnorm(repeats, (8, 32, 28, 28) if quick else (32, 64, 56, 56))
    yield from _convolution(repeats, (4, 16, 28, 28) if quick else (16, 64, 56, 56))
    yield from _peak_memory(quick)


def _module(backend: str, layer: str) -> Any:
    return import_module(f"symbackprop.generated.{backend}.{layer}")


def _normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def _batchnorm(repeats: int, shape: tuple[int, int, int, int]) -> Iterator[Figure]:
    x, grad_y = _normal(0, *shape), _normal(1, *shape)
    gamma, beta = np.ones(shape[1], np.float32), np.zeros(shape[1], np.float32)
    runs: dict[str, Callable[[], object]] = {}
    for backend in ("numpy", "numba"):
        module = _module(backend, "batchnorm2d")
        _, saved = module.forward(x, gamma, beta)
        runs[f"{backend} forward"] = lambda m=module: m.forward(x, gamma, beta)  # type: ignore[misc]
        runs[f"{backend} backward"] = lambda m=module, s=saved: m.backward(s, grad_y)  # type: ignore[misc]
    runs |= _torch_runs("batch_norm", (x, gamma, beta), grad_y)
    target = np.empty_like(x)
    runs["copy"] = lambda: np.copyto(target, x)
    seconds = in_turns(runs, repeats)
    name = f"batchnorm2d {'x'.join(map(str, shape))}"
    yield from _milliseconds(name, {k: v for k, v in seconds.items() if k != "copy"})
    copying = 2 * x.nbytes / float(np.median(seconds["copy"])) / 1e9
    yield figure(name, "copy of x, for comparison", "GB/s", [copying])
    plan = kernel(derive(load("batchnorm2d")))
    for what, one, most in (("forward", plan.forward, 4.0), ("backward", plan.backward, 5.0)):
        moves = activations_moved(one, plan.program.layer.axes("x"))
        yield figure(name, f"numba {what}, moves of the activations", "", [float(moves)], bound=most)
        rates = [moves * x.nbytes / s / 1e9 for s in seconds[f"numba {what}"]]
        yield figure(name, f"numba {what}, memory traffic", "GB/s", rates)


def activations_moved(one: Pass, axes: tuple[Expr, ...]) -> int:
    """How often the kernels of a pass read or write an array as large as one with these axes."""
    return sum(_volume(access.axes) == _volume(axes) for nest in one.nests for access in nest.traffic)


def _volume(axes: tuple[Expr, ...]) -> tuple[str, ...]:
    product = mul(*axes)  # neighbouring axes may be one here and two there
    return tuple(sorted(repr(f) for f in (product.factors if isinstance(product, Mul) else (product,))))


def _convolution(repeats: int, shape: tuple[int, int, int, int]) -> Iterator[Figure]:
    channels = shape[1]
    x, weight, bias = _normal(0, *shape), _normal(1, channels, channels, 3, 3), _normal(2, channels)
    grad_y = _normal(3, *shape)
    runs: dict[str, Callable[[], object]] = {}
    for backend in ("numpy", "numba"):
        module = _module(backend, "conv2d")
        _, saved = module.forward(x, weight, bias, pad=1)
        runs[f"{backend} forward"] = lambda m=module: m.forward(x, weight, bias, pad=1)  # type: ignore[misc]
        runs[f"{backend} backward"] = lambda m=module, s=saved: m.backward(s, grad_y)  # type: ignore[misc]
    runs |= _torch_runs("conv2d", (x, weight, bias), grad_y)
    yield from _milliseconds(f"conv2d 3x3 {'x'.join(map(str, shape))}", in_turns(runs, repeats))


def _milliseconds(name: str, seconds: dict[str, list[float]]) -> Iterator[Figure]:
    for what, values in seconds.items():
        other = seconds.get(what.replace(what.split()[0], "torch", 1))
        ratio = float(np.median(other) / np.median(values)) if other and not what.startswith("torch") else None
        note = f"{ratio:.2f} times as fast as torch" if ratio is not None else ""
        yield figure(name, what, "ms", [1000 * v for v in values], note=note)


def _torch_runs(function: str, arguments: tuple[Array, ...], grad_y: Array) -> dict[str, Callable[[], object]]:
    if importlib.util.find_spec("torch") is None:
        return {}
    import torch

    tensors = [torch.from_numpy(a).requires_grad_() for a in arguments]
    outward = torch.from_numpy(grad_y)

    def forward() -> Any:
        if function == "conv2d":
            return torch.nn.functional.conv2d(*tensors, padding=1)
        return torch.nn.functional.batch_norm(tensors[0], None, None, tensors[1], tensors[2], training=True)

    y = forward()
    return {
        "torch forward": forward,
        "torch backward": lambda: torch.autograd.grad(y, tensors, outward, retain_graph=True),
    }


def _peak_memory(quick: bool) -> Iterator[Figure]:
    # patches of the whole batch would take 9 times x: 441 MB (110 MB with `quick`)
    shape = (16, 64, 28, 28) if quick else (64, 64, 56, 56)
    x, weight, bias = _normal(0, *shape), _normal(1, 64, 64, 3, 3), _normal(2, 64)
    module = _module("numpy", "conv2d")
    name = f"conv2d 3x3 {'x'.join(map(str, shape))}"
    bound = BOUND_OF_PATCHES + 2 * x.nbytes / MB
    (y, saved), peak = _beside_results(lambda: module.forward(x, weight, bias, pad=1))
    yield figure(name, "numpy forward, memory beside the results", "MB", [peak], bound=bound)
    _, peak = _beside_results(lambda: module.backward(saved, y))
    yield figure(name, "numpy backward, memory beside the results", "MB", [peak], bound=bound)


def _beside_results(run: Callable[[], Any]) -> tuple[Any, float]:
    """The result of a run, and the megabytes that it had allocated at its peak beyond what it returns."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        result = run()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return result, (peak - max(before, after)) / MB
