"""The second opinion on a derivation: the true gradients at a point, by dual numbers through the forward equations.

A `World` is a point with its true gradients: that of every input and every definition, for the loss
`sum over outputs y of sum(grad_y * y)` with `grad_y` drawn at random. Nothing of the derivation is used to make it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Protocol

import numpy as np

from symbackprop.calculus.derivation import Derivation, Scatter, gradient_name
from symbackprop.check.arithmetic import Arithmetic, Float64, Value
from symbackprop.check.cases import Case, draw_integers, point_at
from symbackprop.check.exact import Exact
from symbackprop.check.interpret import Interpreter, Key
from symbackprop.check.modular import Modular
from symbackprop.check.point import Elements, Point, SeededPoint
from symbackprop.notation.binding import free_indices
from symbackprop.notation.nodes import Expr, Index, Read

SMOOTH = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16, 18, 20, 21, 22, 24, 25, 26, 27, 28, 30, 32, 34, 35, 36)


class Draw(Protocol):
    """Gives a number for an element of a tensor."""

    def __call__(self, tensor: str, key: Key) -> Value: ...


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Where two values of one thing differ: the element, and both numbers."""

    key: Key
    left: Value
    right: Value


class World:
    """A point of a layer with the true gradients of all its tensors."""

    def __init__(self, derivation: Derivation, case: Case, arithmetic: Arithmetic, draw: Draw, seed: int) -> None:
        layer = derivation.layer
        rng = np.random.default_rng([seed, 1])
        bare = point_at(layer, case)
        reals = {p.name: _drawn_parameter(p.default, rng) for p in layer.parameters if not p.integer}
        elements = draw_integers(bare, rng)
        for tensor in layer.real_inputs:
            elements[tensor.name] = {key: draw(tensor.name, key) for key in bare.box(tensor.name)}
        self.layer, self.arithmetic = layer, arithmetic
        self.point = Point(
            layer, arithmetic, dict(case.sizes), bare.parameters | reals, elements, None, derivation.auxiliary
        )
        incoming = {y: {key: draw(gradient_name(y), key) for key in bare.box(y)} for y in layer.outputs}
        self.truth = self._gradients(incoming)
        for name, gradient in self.truth.items():
            self.point.given[gradient_name(name)] = incoming.get(name, gradient)
            self.point.given[f"{gradient_name(name)}_total"] = gradient

    def _gradients(self, incoming: dict[str, Elements]) -> dict[str, Elements]:
        """The total derivative of the loss with respect to each element, all directions at once."""
        names = tuple(t.name for t in self.layer.real_inputs) + tuple(
            d.name for d in self.layer.definitions if not d.integer
        )
        seeded = SeededPoint(self.point, names)
        zero, add, multiply = self.arithmetic.number(0), self.arithmetic.add, self.arithmetic.multiply
        found = {name: dict.fromkeys(self.point.box(name), zero) for name in names}
        for output, cotangents in incoming.items():
            for key, cotangent in cotangents.items():
                for (name, at), slope in seeded.read(output, key)[1].items():
                    found[name][at] = add(found[name][at], multiply(cotangent, slope))
        return found

    # ------------------------------------------------------------------------------------- statements

    def values(self, target: Read, expr: Expr, conditions: tuple[Expr, ...] = ()) -> Elements:
        """The expression at every index of the target at which the conditions hold."""
        indices = free_indices(target)
        interpreter = Interpreter(self.point, indices)
        meaning = interpreter.real(expr)
        tests = [interpreter.condition(c) for c in conditions]
        place = [interpreter.exact(i) for i in target.indices]
        found: Elements = {}
        for values in self._domain(indices):
            places = interpreter.places(values)
            if all(test(places) for test in tests):
                found[tuple([int(p(places)) for p in place])] = meaning(places)
        return found

    def scattered(self, scatters: tuple[Scatter, ...], tensor: str) -> Elements:
        """The sum of the scatters over the box of the tensor."""
        found = dict.fromkeys(self.point.box(tensor), self.arithmetic.number(0))
        for scatter in scatters:
            interpreter = Interpreter(self.point, scatter.domain)
            value = interpreter.real(scatter.value)
            position = [interpreter.exact(p) for p in scatter.positions]
            for values in self._domain(scatter.domain):
                places = interpreter.places(values)
                key = tuple([int(p(places)) for p in position])
                if key in found:
                    found[key] = self.arithmetic.add(found[key], value(places))
        return found

    def _domain(self, indices: tuple[Index, ...]) -> Iterator[Key]:
        return product(*(range(self.point.extent(i.extent, f"the extent of {i.name}")) for i in indices))

    def mismatch(self, left: Elements, right: Elements) -> Mismatch | None:
        """The first element that differs: exactly modulo p, by more than rounding in float64."""
        if isinstance(self.arithmetic, Modular):
            return next((Mismatch(k, v, right[k]) for k, v in left.items() if v != right[k]), None)
        finite = [abs(v) for v in (*left.values(), *right.values()) if v == v]
        tolerance = 1e-9 * max(finite, default=0.0)
        near = (k for k, v in left.items() if not (abs(v - right[k]) <= tolerance or v == right[k]))
        worst = max(near, key=lambda k: abs(left[k] - right[k]), default=None)
        return None if worst is None else Mismatch(worst, left[worst], right[worst])


def modular_world(derivation: Derivation, case: Case, seed: int) -> World:
    """A random point modulo p; every second seed draws squares, so that roots of inputs exist."""
    arithmetic = Modular(seed)

    def draw(tensor: str, key: Key) -> Value:
        value = arithmetic.random(seed, tensor, key)
        return arithmetic.multiply(value, value) if seed % 2 else value

    return World(derivation, case, arithmetic, draw, seed)


def float_world(derivation: Derivation, case: Case, seed: int) -> World:
    """A random point in float64; every second seed draws positive numbers."""
    rng = np.random.default_rng([seed, 2])

    def draw(tensor: str, key: Key) -> Value:
        return float(rng.uniform(0.5, 2.0)) if seed % 2 else float(rng.normal())

    return World(derivation, case, Float64(), draw, seed)


def _drawn_parameter(default: Fraction, rng: np.random.Generator) -> Exact:
    """A positive (or, as its default, negative) number whose roots exist modulo p."""
    value = Fraction(int(rng.choice(SMOOTH)), int(rng.choice(SMOOTH)))
    return -value if default < 0 else value
