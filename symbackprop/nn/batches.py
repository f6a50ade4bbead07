"""Which examples meet in one update: all, one, or a few."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from symbackprop.errors import UserError

REGIMES = ("batch", "incremental", "mini-batch")


def batches(
    count: int, regime: str, size: int, rng: np.random.Generator, shuffle: bool = True
) -> Iterator[npt.NDArray[Any]]:
    """The positions of the examples of each update of one epoch; every example is in exactly one.

    `batch`: one update from all examples. `incremental`: one from each example, in a random order. `mini-batch`:
    one from each `size` examples of a random order; the last may have fewer.
    """
    order = rng.permutation(count) if shuffle else np.arange(count)
    step = _step(count, regime, size)
    yield from (order[at : at + step] for at in range(0, count, step))


def updates(count: int, regime: str, size: int) -> int:
    """How many updates an epoch has."""
    return ceil(count / _step(count, regime, size))


def _step(count: int, regime: str, size: int) -> int:
    if regime not in REGIMES:
        raise UserError(f"there is no regime {regime}; choose from {', '.join(REGIMES)}")
    if count < 1 or size < 1:
        raise UserError(f"an epoch needs examples, and a batch too: {count} examples, batches of {size}")
    return {"batch": count, "incremental": 1, "mini-batch": size}[regime]
