"""Updates: gradient descent with momentum and weight decay, and shifts held above a floor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from symbackprop.errors import UserError
from symbackprop.nn.sequential import Sequential

Array = npt.NDArray[Any]
PIECE = 1 << 15  # numbers that are updated at once


class SGD:
    """Gradient descent: `v = momentum*v + (g + decay*p)`, `p = p - rate*v`, for every parameter p with gradient g.

    `velocity` holds v by the parameter's name, zeros at first; without momentum it stays empty. PyTorch's SGD
    does the same.
    """

    def __init__(self, rate: float = 0.01, momentum: float = 0.0, decay: float = 0.0) -> None:
        for name, value in (("rate", rate), ("momentum", momentum), ("decay", decay)):
            if not 0 <= value < float("inf"):
                raise UserError(f"{name}: expected a number that is not negative, came {value}")
        self.rate, self.momentum, self.decay = rate, momentum, decay
        self.velocity: dict[str, Array] = {}
        self._room: Array = np.empty(PIECE, np.float32)

    def step(self, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        """Update the parameters in place; one without a gradient stays as it is."""
        for name, parameter in parameters.items():
            if name in gradients:
                self._update(name, parameter, gradients[name])

    def _update(self, name: str, parameter: Array, gradient: Array) -> None:
        if self.momentum and name not in self.velocity:
            self.velocity[name] = np.zeros_like(parameter)
        velocity = self.velocity[name] if self.momentum else parameter
        if self._room.dtype != parameter.dtype:
            self._room = np.empty(PIECE, parameter.dtype)
        if not (parameter.flags.c_contiguous and velocity.flags.c_contiguous):
            self._update_piece(parameter, gradient, velocity, np.empty_like(parameter))
            return
        p, g, v = (array.reshape(-1) for array in (parameter, gradient, velocity))
        # piece by piece, each of which stays in a core's cache from the first operation to the last
        for at in range(0, parameter.size, PIECE):
            piece = slice(at, at + PIECE)
            self._update_piece(p[piece], g[piece], v[piece], self._room[: p.size - at])

    def _update_piece(self, parameter: Array, gradient: Array, velocity: Array, room: Array) -> None:
        """An update in place; nothing is allocated."""
        if self.decay:
            np.multiply(parameter, self.decay, out=room)
            room += gradient
            gradient = room
        if self.momentum:
            velocity *= self.momentum
            velocity += gradient
            gradient = velocity
        np.multiply(gradient, self.rate, out=room)
        parameter -= room


def hold_shifts(network: Sequential, times: float, of: str = "input") -> int:
    """Raise every shift that lies below `-times*sigma` to that value (wu-78). Gives: how many were raised.

    `of="input"`: sigma is the standard deviation of what comes into the unit, from its running variance, as printed.
    `of="output"`: it is that of what is shifted, which batch norm makes the size of gamma.
    """
    if of not in ("input", "output"):
        raise UserError(f'of: expected "input" or "output", came {of!r}')
    raised = 0
    for block in network.blocks:
        for array in block.unit.trained:
            if array.spread is not None:
                variance, deviation = array.spread
                sigma = np.sqrt(block.kept[variance]) if of == "input" else np.abs(block.trained[deviation])
                shift, floor = block.trained[array.name], (-times * sigma).astype(block.trained[array.name].dtype)
                raised += int((shift < floor).sum())
                np.maximum(shift, floor, out=shift)
    return raised
