"""A trained network without its batch norms: each folded into the unit before it, by kernels made from the fold."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from symbackprop import build, equations
from symbackprop.analysis.compose import compose
from symbackprop.analysis.fold import PREFIX, Fold, fold
from symbackprop.errors import CannotDerive
from symbackprop.nn.blocks import Block
from symbackprop.nn.sequential import Sequential
from symbackprop.nn.units import names

Array = npt.NDArray[Any]


def fuse(network: Sequential) -> tuple[Sequential, tuple[Fold, ...]]:
    """The same function outside training with fewer units, and the folds that led there.

    A unit is folded where the equations allow it; what cannot be folded stays.
    """
    blocks = network.blocks
    folds = [_foldable(a, b) for a, b in pairwise(blocks)]
    # a unit that takes one in is not itself taken in
    used = [one if at == 0 or folds[at - 1] is None else None for at, one in enumerate(folds)]
    gone = {at + 1 for at, one in enumerate(used) if one is not None}
    rest = [at for at in range(len(blocks)) if at not in gone]
    units = tuple(blocks[at].unit for at in rest)
    fused = Sequential(
        units,
        network.image,
        backend=network.backend,
        dtype=network.dtype,
        modules=network.own_modules,
        backends={new: network.backends[blocks[at].name] for new, at in zip(names(units), rest, strict=True)},
    )
    for block, at in zip(fused.blocks, rest, strict=True):
        _take(block, blocks[at].trained | blocks[at].kept)
        one = used[at] if at < len(used) else None
        if one is not None:
            _take(block, _folded(one, blocks[at], blocks[at + 1]))
    return fused, tuple(one for one in used if one is not None)


def _take(block: Block, arrays: dict[str, Array]) -> None:
    for own in (block.trained, block.kept):
        for name, array in own.items():
            array[...] = arrays.get(name, array)


def _foldable(first: Block, second: Block) -> Fold | None:
    a, b = first.unit.evaluation, second.unit.evaluation
    if a is None or b is None or not (first.trained and (second.trained or second.kept)):
        return None
    try:
        return _fold(a.layer, b.layer)
    except CannotDerive:
        return None


@cache
def _fold(first: str, second: str) -> Fold:
    return fold(equations.load(first), equations.load(second))


def _folded(one: Fold, first: Block, second: Block) -> dict[str, Array]:
    """The new parameters of the first unit, computed in float64 by the NumPy module of the fold's equations."""
    a, b = first.unit.evaluation, second.unit.evaluation
    if a is None or b is None:
        return {}
    both = compose(one.first, one.second)
    inputs = [tensor.name for tensor in both.inputs[1:]]
    values = [*(_array(first, name) for name in a.arguments), *(_array(second, name) for name in b.arguments)]
    arrays = dict(zip(inputs, values, strict=True))
    renamed = zip(both.parameters[len(one.first.parameters) :], one.second.parameters, strict=True)
    params = {new.name: b.params[old.name] for new, old in renamed if old.name in b.params}
    kept = {p.name for p in one.layer.parameters}
    module = _module(one)
    result, _ = module.forward(
        *(arrays[tensor.name].astype(np.float64) for tensor in one.layer.inputs),
        **{name: value for name, value in params.items() if name in kept},
    )
    named = dict(zip((tensor.name for tensor in one.first.inputs[1:]), a.arguments, strict=True))
    return {named[o.removeprefix(PREFIX)]: getattr(result, o) for o in one.layer.outputs}


def _array(block: Block, name: str) -> Array:
    return block.trained[name] if name in block.trained else block.kept[name]


def _module(one: Fold) -> Any:
    made = ModuleType(one.layer.name)
    exec(compile(build.module(build.derive(one.layer), "numpy"), one.layer.name, "exec"), made.__dict__)
    return made
