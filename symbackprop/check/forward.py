"""The forward pass of a layer on arrays, by the interpreter: the slow second opinion on every kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from symbackprop.check.arithmetic import Arithmetic, Float64
from symbackprop.check.dual import Dual
from symbackprop.check.exact import Exact, lean
from symbackprop.check.interpret import Key
from symbackprop.check.point import Elements, Point, SeededPoint
from symbackprop.errors import UserError
from symbackprop.notation.layer import Layer, Tensor
from symbackprop.notation.nodes import Size

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]


def forward(layer: Layer, arrays: Arrays, params: Mapping[str, float | int] | None = None) -> dict[str, Array]:
    """All definitions of the layer by name, in float64.

    `arrays` has each input (x [n c h w], in the shape that the layer declares), `params` the hyperparameters that
    are not at their defaults. Raises UserError where the shapes disagree or a read falls outside its box.
    """
    point = point_of(layer, arrays, params)
    return {d.name: to_array(point.all_of(d.name), point.shape(d.name)) for d in layer.definitions}


def gradients(
    layer: Layer, arrays: Arrays, params: Mapping[str, float | int] | None, cotangents: Arrays
) -> dict[str, Array]:
    """The gradient of `sum(cotangent * output)` for every real input, by dual numbers, in float64."""
    wrt = tuple(t.name for t in layer.real_inputs)
    point = SeededPoint(point_of(layer, arrays, params), wrt)
    found = {name: np.zeros(point.shape(name)) for name in wrt}
    for output, cotangent in cotangents.items():
        for key in point.box(output):
            for (name, at), slope in point.read(output, key)[1].items():
                found[name][at] += cotangent[key] * slope
    return found


def slopes_are_finite(layer: Layer, arrays: Arrays, params: Mapping[str, float | int] | None = None) -> bool:
    """Whether all outputs have a derivative here: finite ones along a direction that moves every element."""
    point = _MovedPoint(point_of(layer, arrays, params), tuple(t.name for t in layer.real_inputs))
    slopes = (slope for y in layer.outputs for _, row in point.all_of(y).values() for slope in row.values())
    return all(math.isfinite(slope) for slope in slopes)


class _MovedPoint(SeededPoint):
    """A point in dual numbers of one direction, in which all elements of the inputs move alike."""

    def adjusted(self, tensor: str, key: Key, value: Dual) -> Dual:
        return (value[0], {"all": self._one}) if tensor in self._wrt else value


def point_of(
    layer: Layer,
    arrays: Arrays,
    params: Mapping[str, float | int] | None = None,
    arithmetic: Arithmetic | None = None,
) -> Point:
    """The point that the arrays are, in float64 unless another arithmetic of floats is given."""
    sizes = sizes_of(layer, arrays)
    chosen: dict[str, Exact] = {p.name: lean(p.default) for p in layer.parameters}
    for name, value in (params or {}).items():
        if name not in chosen:
            raise UserError(f"layer {layer.name} has no parameter {name}")
        chosen[name] = value if isinstance(value, int) else lean(Fraction(value))
    elements = {t.name: from_array(arrays[t.name], t.kind) for t in layer.inputs}
    point = Point(layer, arithmetic or Float64(), sizes, chosen, elements)
    for tensor in layer.inputs:
        if arrays[tensor.name].shape != point.shape(tensor.name):
            raise UserError(
                f"layer {layer.name}: {tensor.name} has the shape {arrays[tensor.name].shape}, "
                f"where {point.shape(tensor.name)} was expected"
            )
    return point


def sizes_of(layer: Layer, arrays: Arrays) -> dict[str, int]:
    """The sizes that the arrays bind, each by the first tensor that has it."""
    sizes: dict[str, int] = {}
    derived = {d.name for d in layer.sizes}
    for tensor in layer.inputs:
        for axis, n in zip(_named(layer, tensor, arrays), arrays[tensor.name].shape, strict=True):
            if axis.name not in derived:
                sizes.setdefault(axis.name, int(n))
    return sizes


def _named(layer: Layer, tensor: Tensor, arrays: Arrays) -> tuple[Size, ...]:
    if tensor.name not in arrays:
        raise UserError(f"layer {layer.name}: no array for {tensor.name}")
    if arrays[tensor.name].ndim != len(tensor.axes):
        came = arrays[tensor.name].ndim
        raise UserError(f"layer {layer.name}: {tensor.name} has {len(tensor.axes)} axes, and an array of {came} came")
    return tensor.axes


def from_array(array: Array, kind: str = "real") -> Elements:
    """The elements of an array as Python numbers."""
    number = int if kind == "integer" else float
    return {key: number(array[key]) for key in np.ndindex(array.shape)}


def to_array(elements: Elements, shape: tuple[int, ...]) -> Array:
    """The array of the elements."""
    array = np.empty(shape)
    for key, value in elements.items():
        array[key] = value
    return array
