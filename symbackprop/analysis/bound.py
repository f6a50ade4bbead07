"""A layer at concrete sizes: the axes that the shapes of its inputs bind, and everything that follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from symbackprop.check.arithmetic import Float64
from symbackprop.check.exact import Exact, lean
from symbackprop.check.forward import sizes_of
from symbackprop.check.interpret import holds
from symbackprop.check.point import Point
from symbackprop.errors import UserError
from symbackprop.notation.layer import Layer
from symbackprop.notation.printer import expression

Shape = tuple[int, ...]


def bind(layer: Layer, shapes: Mapping[str, Shape], params: Mapping[str, float] | None = None) -> Point:
    """The point whose sizes the shapes of the inputs give, by the layer's own `size` and `range` statements.

    Raises: UserError where a shape is missing or shapes disagree, a size comes out below 1, a requirement does not
    hold, or a hyperparameter is unknown.
    """
    missing = [tensor for tensor in layer.inputs if tensor.name not in shapes]
    if missing:
        asked = ", ".join(f"{t.name} [{', '.join(axis.name for axis in t.axes)}]" for t in missing)
        raise UserError(f"layer {layer.name}: a shape is needed for each input; there is none for {asked}")
    # an array that repeats one element has any shape and no storage
    arrays = {name: np.broadcast_to(np.float64(0), shape) for name, shape in shapes.items()}
    point = Point(layer, Float64(), sizes_of(layer, arrays), _parameters(layer, params or {}))
    for tensor in layer.inputs:
        if point.shape(tensor.name) != tuple(shapes[tensor.name]):
            raise UserError(
                f"layer {layer.name}: {tensor.name} has the shape {_times(shapes[tensor.name])}, "
                f"expected {_times(point.shape(tensor.name))}"
            )
    for requirement in layer.requirements:
        if not holds(requirement.condition, point):
            sizes = ", ".join(f"{name} = {value}" for name, value in point.sizes.items())
            raise UserError(f"layer {layer.name} requires {expression(requirement.condition)}; here {sizes}")
    for one in layer.ranges:
        point.extent(one.extent, f"the range of {one.index}")
    return point


def _parameters(layer: Layer, params: Mapping[str, float]) -> dict[str, Exact]:
    chosen: dict[str, Exact] = {p.name: lean(p.default) for p in layer.parameters}
    for name, value in params.items():
        if name not in chosen:
            raise UserError(f"layer {layer.name} has no parameter {name}; it has {', '.join(chosen) or 'none'}")
        chosen[name] = lean(Fraction(value))
    return chosen


def output_shapes(layer: Layer, shapes: Mapping[str, Shape], params: Mapping[str, float] | None = None) -> list[Shape]:
    """The shapes of the outputs, in declared order."""
    point = bind(layer, shapes, params)
    return [point.shape(name) for name in layer.outputs]


def _times(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"
