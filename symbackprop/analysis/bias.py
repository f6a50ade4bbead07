"""What a bias in front of batch norm is worth: whether its gradient vanishes, exactly.

A bias that all values share which batch norm centres is taken away with their mean: its gradient is zero, whatever
the loss. One that differs between those values is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symbackprop.analysis.compose import compose
from symbackprop.analysis.fold import drawn
from symbackprop.check.cases import draw_case, point_at
from symbackprop.check.modular import Modular
from symbackprop.check.point import SeededPoint
from symbackprop.errors import UserError
from symbackprop.notation.layer import Layer


@dataclass(frozen=True, slots=True)
class Worth:
    """At how many elements the gradient of a parameter was looked at, modulo a prime, and how many were zero."""

    layer: Layer
    parameter: str
    elements: int
    zeros: int

    @property
    def vanishes(self) -> bool:
        """Whether it was zero everywhere."""
        return self.zeros == self.elements


def worth(first: Layer, second: Layer, parameter: str = "bias", draws: int = 6, seed: int = 0) -> Worth:
    """The gradient of a parameter of the first layer behind the second, of a random weighting of all outputs.

    Exact, modulo a prime of about 60 bits, by dual numbers through the forward equations, at small random sizes.
    Raises: UserError where there is no such parameter.
    """
    layer = compose(first, second)
    if parameter not in {t.name for t in first.real_inputs}:
        raise UserError(f"{first.name} has no input {parameter}")
    rng, elements, zeros = np.random.default_rng(seed), 0, 0
    for draw in range(draws):
        case = draw_case(layer, rng, "uneven", most_work=4000)
        point = drawn(layer, point_at(layer, case), seed + draw)
        found = _gradient(SeededPoint(point, (parameter,)), parameter, seed + draw)
        elements += len(found)
        zeros += sum(value == 0 for value in found)
    return Worth(layer, parameter, elements, zeros)


def _gradient(point: SeededPoint, parameter: str, seed: int) -> list[int]:
    numbers = Modular(seed)
    total = dict.fromkeys(point.box(parameter), 0)
    for output in point.layer.outputs:
        for key in point.box(output):
            weight = numbers.random(seed, f"grad_{output}", key)
            for (_, at), slope in point.read(output, key)[1].items():
                total[at] = numbers.add(total[at], numbers.multiply(weight, slope))
    return list(total.values())
