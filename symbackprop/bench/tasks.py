"""A case with arrays: what every participant gets, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from symbackprop.analysis.bound import bind
from symbackprop.bench.cases import Case
from symbackprop.check.cases import integer_bounds
from symbackprop.check.point import Point
from symbackprop.notation.layer import Layer

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Task:
    """The inputs of a case in declared order, and a gradient for each of its outputs."""

    case: Case
    layer: Layer
    point: Point
    inputs: Mapping[str, Array]
    gradients: tuple[Array, ...]

    def as_type(self, dtype: npt.DTypeLike) -> Task:
        """The same numbers in another precision."""
        inputs = {name: a.astype(dtype) if a.dtype.kind == "f" else a for name, a in self.inputs.items()}
        return Task(self.case, self.layer, self.point, inputs, tuple(g.astype(dtype) for g in self.gradients))


@dataclass(frozen=True, slots=True)
class Run:
    """One pass of one participant. `numbers` makes of a result NumPy arrays: the first output, or a gradient each."""

    call: Callable[[], Any]
    numbers: Callable[[Any], tuple[Array, ...]]


Runs = Mapping[str, Run]  # by the name of the pass


class NotHere(Exception):
    """A participant cannot take part, and why: a library is not installed, a function not supported."""


def task(case: Case, layer: Layer, seed: int = 0) -> Task:
    """The case with random arrays in float32.

    Raises: UserError where the shapes do not fit the layer.
    """
    point = bind(layer, case.shapes, dict(case.params))
    rng = np.random.default_rng(seed)
    bounds = integer_bounds(point)
    inputs: dict[str, Array] = {}
    for name, shape in case.shapes.items():
        if name in bounds:
            inputs[name] = rng.integers(0, bounds[name], shape)
        elif name in case.positive:
            inputs[name] = rng.uniform(0.5, 2, shape).astype(np.float32)
        else:
            inputs[name] = rng.standard_normal(shape, dtype=np.float32)
    shapes = [point.shape(name) for name in layer.outputs]
    # the gradient of a loss is 1
    gradients = [rng.standard_normal(s, dtype=np.float32) if s else np.ones((), np.float32) for s in shapes]
    return Task(case, layer, point, inputs, tuple(gradients))
