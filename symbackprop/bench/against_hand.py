"""Generated NumPy modules beside what a careful person would write, in turns: how many times as long they take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from symbackprop.bench import by_hand, by_hand_images
from symbackprop.bench.cases import TABLE, Pass
from symbackprop.bench.timing import Figure, figure, in_turns
from symbackprop.errors import CheckFailed

MOST = 2.0  # times the hand-written version
SAME = 1.1  # the same as the hand-written convolutions, but for the spread of measurements
WINDOWS: Mapping[str, Any] = {
    "conv1d": by_hand.Convolution,
    "conv2d": by_hand.Convolution,
    "depthwise_conv2d": by_hand_images.Depthwise,
}
CLOSE = 1e-4  # float32, relative to the largest number


def hand_figures(repeats: int, quick: bool) -> Iterator[Figure]:
    """Forward and backward of five layers. Raises: CheckFailed where the two versions do not agree."""
    for layer, hand, arguments in _cases(quick):
        yield from _compared(layer, hand, arguments, repeats)


def _cases(quick: bool) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    rng = np.random.default_rng(0)
    many = 1 if quick else 4

    def real(*shape: int) -> Any:
        return rng.standard_normal(shape, dtype=np.float32)

    rows = 512 * many
    yield "linear", by_hand.Linear, (real(rows, 512), real(512, 512), real(512))
    yield "layernorm", by_hand.LayerNorm, (real(rows, 768), real(768), real(768))
    yield "softmax_cross_entropy", by_hand.SoftmaxCrossEntropy, (real(rows, 1000), rng.integers(0, 1000, rows))
    heads = [real(2 * many, 4, 128, 64) for _ in range(3)]
    yield "scaled_dot_product_attention", by_hand.Attention, tuple(heads)
    yield "maxpool2d", by_hand.MaxPool, (real(4 * many, 32, 56, 56),)


def _compared(layer: str, hand: Any, arguments: tuple[Any, ...], repeats: int) -> Iterator[Figure]:
    module: Any = import_module(f"symbackprop.generated.numpy.{layer}")
    y, saved = module.forward(*arguments)
    same, kept = hand.forward(*arguments)
    grad_y = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
    _agree(layer, (y, *(g for g in module.backward(saved, grad_y))), (same, *hand.backward(kept, grad_y)))
    runs: dict[str, Callable[[], object]] = {
        "forward": lambda: module.forward(*arguments),
        "forward by hand": lambda: hand.forward(*arguments),
        "backward": lambda: module.backward(saved, grad_y),
        "backward by hand": lambda: hand.backward(kept, grad_y),
    }
    seconds = in_turns(runs, repeats)
    shape = "x".join(map(str, arguments[0].shape))
    for what in ("forward", "backward"):
        ratios = [a / b for a, b in zip(seconds[what], seconds[f"{what} by hand"], strict=True)]
        own, other = (1000 * float(np.median(seconds[name])) for name in (what, f"{what} by hand"))
        note = f"{own:.2f} ms generated, {other:.2f} ms by hand"
        yield figure(f"{layer} {shape}", f"numpy {what} / by hand", "", ratios, bound=MOST, note=note)


def convolution_figures(repeats: int, quick: bool) -> Iterator[Figure]:
    """Every convolution of the table, each pass: im2col by hand in NumPy, and the generated NumPy module.

    Raises: CheckFailed where the two versions do not agree.
    """
    rng = np.random.default_rng(0)
    cases = [case for case in TABLE if case.layer in WINDOWS]
    for case in cases[:1] + cases[-2:] if quick else cases:
        arrays = [rng.standard_normal(shape, dtype=np.float32) for shape in case.shapes.values()]
        module, hand = import_module(f"symbackprop.generated.numpy.{case.layer}"), WINDOWS[case.layer]
        (y, saved), (same, kept) = (one.forward(*arrays, **case.params) for one in (module, hand))
        grad_y = rng.standard_normal(y.shape, dtype=np.float32)
        _agree(case.label, (y,), (same,))
        for one in case.passes:
            yield _convolution(case.label, one, (module, saved), (hand, kept), arrays, grad_y, case.params, repeats)


def _convolution(
    label: str,
    one: Pass,
    own: tuple[Any, Any],
    other: tuple[Any, Any],
    arrays: list[Any],
    grad_y: Any,
    params: Mapping[str, int | float],
    repeats: int,
) -> Figure:
    if one.wrt:
        gradients = own[0].backward(own[1], grad_y, wrt=one.wrt)
        expected = other[0].backward(other[1], grad_y, one.wrt)
        _agree(f"{label}, {one.name}", tuple(getattr(gradients, name) for name in one.wrt), expected)
        runs: dict[str, Callable[[], object]] = {
            "own": lambda: own[0].backward(own[1], grad_y, wrt=one.wrt),
            "hand": lambda: other[0].backward(other[1], grad_y, one.wrt),
        }
    else:
        runs = {
            "own": lambda: own[0].forward(*arrays, **params),
            "hand": lambda: other[0].forward(*arrays, **params),
        }
    seconds = in_turns(runs, repeats)
    ratios = [a / b for a, b in zip(seconds["own"], seconds["hand"], strict=True)]
    note = " ms generated, ".join(f"{1000 * float(np.median(seconds[name])):.2f}" for name in ("own", "hand"))
    return figure(label, f"numpy {one.name} / im2col by hand", "", ratios, bound=SAME, note=f"{note} ms by hand")


def _agree(layer: str, own: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    for at, (a, b) in enumerate(zip(own, other, strict=True)):
        worst = float(np.abs(a - b).max()) / max(1.0, float(np.abs(b).max()))
        if worst > CLOSE:
            raise CheckFailed(f"{layer}: result {at} differs from the version by hand by {worst:.1e} of the largest")
