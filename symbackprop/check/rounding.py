"""How far rounding alone may move a result: a bound carried along with each number, operation by operation.

A number is a pair `(value, error)`, the error in units of the roundoff of whatever precision the result was computed
in. To first order `a + b` adds the errors of both and the sizes of both (they may be added in another order),
`a*b` is off by `|a| error_b + |b| error_a + |a*b|`, and `f(a)` by `|f'(a)| error_a + |f(a)|`. Where a large number
is taken from a large number, or stands in a cosine, the bound says so; where it is small, so must be the difference.
Source: Higham, Accuracy and Stability of Numerical Algorithms, section 3.3 (running error analysis).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

import numpy as np

from symbackprop.check.arithmetic import Arithmetic, Float64, Value
from symbackprop.check.dual import DERIVATIVES
from symbackprop.check.forward import Array, Arrays, point_of
from symbackprop.check.point import Point, SeededPoint
from symbackprop.notation.layer import Layer

DOUBLE, SINGLE = 2.0**-53, 2.0**-24  # the roundoff of float64 and of float32
Rounded = tuple[float, float]


class Rounding(Arithmetic):
    """Float64 numbers with bounds of their rounding errors."""

    def __init__(self) -> None:
        self._floats = Float64()

    def number(self, value: int | Fraction | float) -> Rounded:
        nearest = float(value)
        return nearest, 0.0 if nearest == value else abs(nearest)

    def constant(self, name: str) -> Rounded:
        value = self._floats.constant(name)
        return value, abs(value)

    def infinity(self, sign: int) -> Rounded:
        return self._floats.infinity(sign), 0.0

    def add(self, a: Rounded, b: Rounded) -> Rounded:
        return self.total((a, b))

    def total(self, terms: Iterable[Rounded]) -> Rounded:
        value, error, count = 0.0, 0.0, 0
        for term, off in terms:
            value, error, count = value + term, error + off + abs(term), count + (term != 0)
        return value, error if count > 1 else error - abs(value)  # nothing is rounded where nothing is added

    def multiply(self, a: Rounded, b: Rounded) -> Rounded:
        value = a[0] * b[0]
        own = 0.0 if abs(a[0]) == 1 or abs(b[0]) == 1 else abs(value)
        return value, _grown(a[0], b[1]) + _grown(b[0], a[1]) + own

    def power(self, base: Rounded, exponent: Fraction) -> Rounded:
        if exponent == 1:
            return base
        value = self._floats.power(base[0], exponent)
        slope = float(exponent) * self._floats.power(base[0], exponent - 1) if base[1] else 0.0
        return value, _grown(slope, base[1]) + abs(value)

    def general_power(self, base: Rounded, exponent: Rounded) -> Rounded:
        (x, x_error), (b, b_error) = base, exponent
        value = self._floats.general_power(x, b)
        logarithm = self._floats.call("log", x)
        by_base = _grown(b * self._floats.general_power(x, b - 1), x_error)
        return value, by_base + _grown(value * logarithm, b_error) + _grown(value, 1 + abs(_grown(b, logarithm)))

    def call(self, function: str, x: Rounded) -> Rounded:
        value = self._floats.call(function, x[0])
        slope = DERIVATIVES[function](self._floats, x[0], value) if x[1] else 0.0
        exact = function in ("abs", "relu", "sign")
        return value, _grown(slope, x[1]) + (0.0 if exact else abs(value))

    def less(self, a: Rounded, b: Rounded) -> bool:
        return a[0] < b[0]

    def equal(self, a: Rounded, b: Rounded) -> bool:
        return a[0] == b[0]

    def undefined(self, a: Rounded) -> bool:
        return a[0] != a[0]


def _grown(factor: float, error: float) -> float:
    """`|factor| * error`, where nothing times anything is nothing."""
    return abs(factor) * error if factor and error else 0.0


def roundings(layer: Layer, arrays: Arrays, params: Mapping[str, float | int], cotangents: Arrays) -> dict[str, Array]:
    """Bounds, in units of roundoff, of what rounding does to each output (`y`) and each gradient (`grad_x`)."""
    names = tuple(t.name for t in layer.real_inputs)
    point = SeededPoint(rounded_point(layer, arrays, params), names)
    found = {f"grad_{name}": np.zeros(point.shape(name)) for name in names}
    for output, cotangent in cotangents.items():
        found[output] = np.zeros(point.shape(output))
        for key in point.box(output):
            (_, error), slopes = point.read(output, key)
            found[output][key] = error
            weight = abs(float(cotangent[key]))
            for (name, at), (slope, off) in slopes.items():
                found[f"grad_{name}"][at] += weight * (off + 2 * abs(slope))
    return {name: np.nan_to_num(errors, nan=0.0) for name, errors in found.items()}


def loss_rounding(
    layer: Layer, arrays: Arrays, params: Mapping[str, float | int], cotangents: Arrays
) -> tuple[float, float]:
    """A bound of the rounding error of the loss `sum(cotangent * output)` in float64, and the size of its terms.

    The inputs count as rounded too: a step from them is not exactly as long as it is meant to be.
    """
    point = rounded_point(layer, arrays, params, inputs_too=True)
    error, size = 0.0, 0.0
    for output, cotangent in cotangents.items():
        for key in point.box(output):
            value, off = point.read(output, key)
            size += abs(float(cotangent[key]) * value)
            error += abs(float(cotangent[key])) * (off + 2 * abs(value))
    return DOUBLE * error, size


def rounded_point(
    layer: Layer,
    arrays: Arrays,
    params: Mapping[str, float | int] | None = None,
    numbers: Rounding | None = None,
    inputs_too: bool = False,
) -> Point:
    """The point that the arrays are, exact but for what is computed from them, or (`inputs_too`) each rounded."""
    point = point_of(layer, arrays, params, numbers or Rounding())
    for tensor in layer.real_inputs:
        elements: dict[tuple[int, ...], Value] = point.elements[tensor.name]
        point.elements[tensor.name] = {k: (v, abs(v) if inputs_too else 0.0) for k, v in elements.items()}
    return point
