"""Modules at ties, at zeros and at kinks: inputs are small whole numbers, so that such places are met all the time.

Everywhere else points are drawn far from kinks, because differences have no meaning there; here the conventions count:
the first of equal elements wins, `relu'(0) = 0`, a product with zeros has a derivative, a branch not taken has none.
A tie counts only where both sides are exact. Where they are equal but for rounding, another evaluation may break the
tie in another way, and the point is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np

from symbackprop.check.cases import Case, draw_case
from symbackprop.check.forward import to_array
from symbackprop.check.report import Outcome
from symbackprop.check.rounding import DOUBLE, Rounded, Rounding, rounded_point
from symbackprop.check.seen import Seen
from symbackprop.check.subjects import PROFILES, VALUES, Sample, Subject, allowed_rounding, draw_arrays, draw_parameters
from symbackprop.errors import UserError
from symbackprop.notation.layer import Layer

WHOLE = (-2, -1, -1, 0, 0, 0, 1, 1, 2)
TRIES = 8  # points that are drawn for one that is used
DOUBT = 64  # times the bound of rounding: what differs by less may be a tie in another evaluation


class Exactness(Rounding):
    """Numbers with bounds of their rounding, 0 for those that every evaluation gives exactly.

    `doubtful` tells that numbers were compared that are equal up to rounding.
    """

    def __init__(self) -> None:
        super().__init__()
        self.doubtful = False

    def total(self, terms: Iterable[Rounded]) -> Rounded:
        terms = list(terms)
        value, error = super().total(terms)
        return value, 0.0 if all(off == 0 and _short(v) for v, off in terms) else error

    def multiply(self, a: Rounded, b: Rounded) -> Rounded:
        value, error = super().multiply(a, b)
        return value, 0.0 if a[1] == b[1] == 0 and _short(a[0]) and _short(b[0]) and _short(value) else error

    def power(self, base: Rounded, exponent: Fraction) -> Rounded:
        value, error = super().power(base, exponent)
        exact = exponent.denominator == 1 and exponent >= 0 and base[1] == 0 and _short(value)
        return value, 0.0 if exact else error

    def call(self, function: str, x: Rounded) -> Rounded:
        if function in ("relu", "abs", "sign"):
            self._look(x, (0.0, 0.0))
        return super().call(function, x)

    def less(self, a: Rounded, b: Rounded) -> bool:
        self._look(a, b)
        return super().less(a, b)

    def equal(self, a: Rounded, b: Rounded) -> bool:
        self._look(a, b)
        return super().equal(a, b)

    def _look(self, a: Rounded, b: Rounded) -> None:
        error = a[1] + b[1]
        if error and not abs(a[0] - b[0]) > DOUBT * DOUBLE * error:
            self.doubtful = True


def _short(value: float) -> bool:
    """Whether a number has so few binary digits that sums and products of such numbers are exact in any order."""
    return abs(value) < 2**20 and (value * 2**20).is_integer()


def kinks_agree(subject: Subject, seed: int, draws: int = 6) -> Outcome:
    """Outputs and gradients against the interpreter and dual numbers at small whole numbers."""
    seen = Seen(subject)
    for sample, where in _samples(subject.layer, seed, draws):
        rounding = allowed_rounding(subject.layer, sample, DOUBLE)
        outputs, saved = subject.forward(sample.arrays, sample.parameters)
        for name, expected in sample.outputs.items():
            seen.compare(name, outputs[name], expected, VALUES, where, allowed=rounding)
        truths = sample.gradients(subject.layer)
        if all(np.isfinite(truth).all() for truth in truths.values()):
            grads = subject.backward(saved, sample.cotangents)
            for name, truth in truths.items():
                seen.compare(f"grad_{name}", grads[name], truth, VALUES, where, allowed=rounding)
    return seen.outcome()


def _samples(layer: Layer, seed: int, draws: int) -> Iterator[tuple[Sample, str]]:
    for draw in range(draws):
        profile = PROFILES[draw % len(PROFILES)]
        rng = np.random.default_rng([seed, draw, 11])
        case = draw_case(layer, rng, profile)
        for _ in range(TRIES):
            sample = _sample(layer, case, rng)
            if sample is not None:
                yield sample, f"whole numbers, {case}, seed {seed}, draw {draw} ({profile})"
                break


def _sample(layer: Layer, case: Case, rng: np.random.Generator) -> Sample | None:
    """A point of whole numbers at which everything is finite and no tie is doubtful; None where that is not so."""
    arrays = draw_arrays(layer, case, rng)
    arrays |= {t.name: rng.choice(WHOLE, arrays[t.name].shape).astype(float) for t in layer.real_inputs}
    parameters, numbers = draw_parameters(layer, case, rng), Exactness()
    try:
        point = rounded_point(layer, arrays, parameters, numbers)
        values = {
            d.name: to_array({k: v[0] if isinstance(v, tuple) else v for k, v in point.all_of(d.name).items()},
                             point.shape(d.name))
            for d in layer.definitions
        }  # fmt: skip
    except UserError:
        return None
    if numbers.doubtful or not all(np.isfinite(v).all() for v in values.values()):
        return None
    outputs = {y: values[y] for y in layer.outputs}
    cotangents = {y: np.asarray(rng.normal(size=v.shape)) for y, v in outputs.items()}
    return Sample(case, arrays, parameters, outputs, cotangents, math.inf)
