"""Statistics of a whole population, from those of its mini-batches (Ioffe & Szegedy 2015, Algorithm 2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from symbackprop.errors import UserError
from symbackprop.nn.blocks import Block, unbiased
from symbackprop.nn.sequential import Sequential
from symbackprop.nn.units import Kept

Array = npt.NDArray[Any]


def take_population_statistics(network: Sequential, batches: Iterable[Array]) -> None:
    """Put into every kept statistic its mean over the batches, in place of the running average.

    `E[x] = E_batch[mu]` and `Var[x] = B/(B - 1) * E_batch[var]`, with B the number of values in a batch that one
    statistic is made of. Every unit sees what the units before it make of the batch in training.
    Raises: UserError where there is no batch, or one with a single value.
    """
    sums: dict[tuple[str, str], Array] = {}
    counted = 0

    def add(block: Block, kept: Kept, value: Array, count: int) -> None:
        new = unbiased(block, value, count) if kept.unbiased else value
        key = block.name, kept.name
        sums[key] = sums.get(key, np.zeros(value.shape, np.float64)) + new

    for batch in batches:
        network.forward(batch, training=True, take=add)
        counted += 1
    if counted == 0:
        raise UserError("statistics of a population need a batch at least")
    for block in network.blocks:
        for name, array in block.kept.items():
            if (block.name, name) in sums:
                array[...] = sums[block.name, name] / counted
