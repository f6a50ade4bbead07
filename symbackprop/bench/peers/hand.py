"""NumPy by hand; in float64 it is what all other results are compared with."""

from __future__ import annotations

from functools import partial
from typing import Any

from symbackprop.bench import by_hand, by_hand_images
from symbackprop.bench.tasks import Array, NotHere, Run, Runs, Task

BY_HAND: dict[str, Any] = {
    "conv2d": by_hand_images.Convolution,
    "conv1d": by_hand_images.Convolution,
    "depthwise_conv2d": by_hand_images.Depthwise,
    "linear": by_hand_images.Linear,
    "batchnorm2d": by_hand_images.BatchNorm,
    "batchnorm2d_evaluation": by_hand_images.BatchNormAtTest,
    "relu": by_hand_images.Relu,
    "maxpool2d": by_hand.MaxPool,
    "softmax_cross_entropy": by_hand.SoftmaxCrossEntropy,
    "layernorm": by_hand.LayerNorm,
    "scaled_dot_product_attention": by_hand.Attention,
}
WHOLE = (by_hand.MaxPool, by_hand.SoftmaxCrossEntropy, by_hand.LayerNorm, by_hand.Attention)  # give all gradients


def runs(task: Task) -> Runs:
    """The passes of a task. Raises: NotHere for a layer that nobody has written by hand."""
    if task.case.layer not in BY_HAND:
        raise NotHere("nobody has written this layer by hand here")
    written, given, params = BY_HAND[task.case.layer], list(task.inputs.values()), dict(task.case.params)
    saved = written.forward(*given, **params)[1]
    found: dict[str, Run] = {}
    for one in task.case.passes:
        if one.wrt:
            chosen = () if written in WHOLE else (one.wrt,)
            found[one.name] = Run(partial(written.backward, saved, *task.gradients, *chosen), tuple)
        else:
            found[one.name] = Run(partial(written.forward, *given, **params), _first)
    return found


def _first(result: Any) -> tuple[Array, ...]:
    return (result[0],)
