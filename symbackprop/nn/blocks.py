"""A unit at work: its arrays, its generated modules, and what the last pass left for the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from symbackprop.errors import UserError
from symbackprop.nn.initialise import first_values
from symbackprop.nn.units import Call, Drawn, Kept, Shape, Trained, Unit, shape_of

Array = npt.NDArray[Any]
Modules = Callable[[str], Any]
Take = Callable[["Block", Kept, Array, int], None]  # block, what follows, the new value, of how many values


class Block:
    """One unit with its arrays, all in one dict by name."""

    def __init__(
        self,
        name: str,
        unit: Unit,
        incoming: Shape,
        modules: Modules,
        dtype: npt.DTypeLike,
        initialiser: str,
        rng: np.random.Generator,
    ) -> None:
        self.name, self.unit, self._modules = name, unit, modules
        self._refuse_unknown()
        self.trained: dict[str, Array] = {
            a.name: first_values(a, shape_of(a, incoming), initialiser, rng).astype(dtype) for a in unit.trained
        }
        self.kept: dict[str, Array] = {a.name: np.full(shape_of(a, incoming), a.start, dtype) for a in unit.kept}
        self._last: tuple[Call, Any, Shape, int] | None = None

    def _refuse_unknown(self) -> None:
        """Raises: UserError where a call takes an array that the unit does not have."""
        own: tuple[Trained | Kept | Drawn, ...] = (*self.unit.trained, *self.unit.kept, *self.unit.drawn)
        known = [array.name for array in own]
        for call in (self.unit.training, self.unit.evaluation or self.unit.training):
            for argument in call.arguments:
                if argument not in known:
                    has = ", ".join(known) or "none"
                    raise UserError(f"unit {self.name}: {call.layer} takes {argument}, which the unit has not: {has}")

    def __repr__(self) -> str:
        call = self.unit.training
        given = ", ".join(f"{name}={value:g}" for name, value in call.params.items())
        shapes = [f"{name} {'x'.join(map(str, a.shape))}" for name, a in (self.trained | self.kept).items()]
        return f"{self.name}: {call.layer}({given})" + "".join(f", {shape}" for shape in shapes)

    def forward(self, x: Array, training: bool, rng: np.random.Generator, take: Take) -> Array:
        """What comes out for what comes in. In training `take` gets the statistics that something follows."""
        call = self.unit.training if training else self.unit.evaluation
        if call is None:
            self._last = None
            return x
        seen = x.reshape(x.shape[0], -1) if call.joined else x
        arguments = [self._argument(name, seen.shape, rng) for name in call.arguments]
        result, saved = self._modules(call.layer).forward(seen, *arguments, **call.params)
        outputs = result if isinstance(result, tuple) else (result,)
        self._last = call, saved, x.shape, len(outputs)
        if training:
            for kept in self.unit.kept:
                if kept.follows is not None:
                    value: Array = getattr(result, kept.follows)
                    take(self, kept, value, x.size // value.size)
        y: Array = outputs[0]
        return y.reshape(x.shape) if call.joined else y

    def _argument(self, name: str, shape: Shape, rng: np.random.Generator) -> Array:
        for arrays in (self.trained, self.kept):
            if name in arrays:
                return arrays[name]
        rate = next(drawn.rate for drawn in self.unit.drawn if drawn.name == name)
        return (rng.random(shape, np.float32) >= rate).astype(np.int64)

    def backward(self, dy: Array, further: bool) -> tuple[Array | None, dict[str, Array]]:
        """The gradient of what came in (only if something `further` needs it), and those of the parameters."""
        if self._last is None:
            return dy, {}
        call, saved, incoming, outputs = self._last
        module = self._modules(call.layer)
        drawn = {d.name for d in self.unit.drawn}
        # the gradients are those of the real inputs, in order; the first is what comes in
        fields = dict(zip(module.Gradients._fields[1:], (a for a in call.arguments if a not in drawn), strict=True))
        wanted = [field for field, name in fields.items() if name in self.trained]
        data = module.Gradients._fields[0]
        if further:
            wanted.insert(0, data)
        if not wanted:
            return None, {}
        others = [None] * (outputs - 1)
        seen = dy.reshape(dy.shape[0], -1) if call.joined else dy
        found = module.backward(saved, seen, *others, wrt=tuple(wanted))
        gradients = {name: getattr(found, field) for field, name in fields.items() if field in wanted}
        return (getattr(found, data).reshape(incoming) if further else None), gradients

    def forget(self) -> None:
        """Drop what the last pass left."""
        self._last = None


def running_average(block: Block, kept: Kept, value: Array, count: int) -> None:
    """Take a new value into a running average, as the unit's `running` says."""
    share, average = block.unit.running.share, block.kept[kept.name]
    new = unbiased(block, value, count) if kept.unbiased else value
    average *= 1 - share
    average += share * new


def unbiased(block: Block, variance: Array, count: int) -> Array:
    """A variance with divisor `count` as one with divisor `count - 1`: times B/(B - 1).

    Raises: UserError where there is only one value.
    """
    if count < 2:
        raise UserError(f"unit {block.name}: one value in a batch has no variance; take larger batches")
    return variance * (count / (count - 1))
