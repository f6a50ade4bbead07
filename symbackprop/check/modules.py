"""Checks of the numbers that generated modules give, each able to say no: values, gradients, precision, backends.

Each is a function of a `Subject` and a seed that raises CheckFailed, naming the layer, the backend, the place,
the case, the seed and both numbers, or returns what it has seen. The truth is the interpreter's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symbackprop.check.differences import central_difference
from symbackprop.check.forward import Array, magnitudes
from symbackprop.check.report import Outcome
from symbackprop.check.seen import Seen
from symbackprop.check.subjects import VALUES, Sample, Subject, run, samples

SLOPES = 1e-6  # differences against gradients, relative
SINGLE = 2e-5  # float32 against float64, against the largest number; more where the layer itself amplifies rounding
REFUSED = 1e-7  # a difference that is less sure of itself than this is refused
DIRECTIONS = 8  # directions tried for one gradient until one is not degenerate


def values_agree(subject: Subject, seed: int, draws: int = 8) -> Outcome:
    """The forward pass against the interpreter, in float64."""
    seen = Seen(subject)
    for sample, where in samples(subject, seed, draws):
        outputs, _ = subject.forward(sample.arrays, sample.parameters)
        for name, expected in sample.outputs.items():
            seen.shape_and_dtype(name, outputs[name], expected.shape, np.float64, where)
            # an output may be what rounding leaves of 0: terms of about 1 that cancel
            seen.compare(name, outputs[name], expected, VALUES, where, 1e-3)
    return seen.outcome()


def gradients_agree(subject: Subject, seed: int, draws: int = 8) -> Outcome:
    """Every element of every gradient against dual numbers through the equations, in float64."""
    seen = Seen(subject)
    for sample, where in samples(subject, seed, draws):
        grads = _gradients(subject, sample)
        expected = sample.gradients(subject.layer)
        floor = max(float(np.abs(g).max(initial=0.0)) for g in (*expected.values(), *sample.cotangents.values()))
        for name, truth in expected.items():
            seen.shape_and_dtype(f"grad_{name}", grads[name], truth.shape, np.float64, where)
            seen.compare(f"grad_{name}", grads[name], truth, VALUES, where, floor)
    return seen.outcome()


def differences_agree(subject: Subject, seed: int, draws: int = 8) -> Outcome:
    """Every gradient against central differences of the module's own forward pass along random directions."""
    seen, vanishing = Seen(subject), 0
    for number, (sample, where) in enumerate(samples(subject, seed, draws)):
        grads = _gradients(subject, sample)
        rng = np.random.default_rng([seed, number, 3])
        for name, gradient in grads.items():
            vanishing += _along_directions(subject, sample, name, gradient, rng, where, seen)
    note = f"{vanishing} gradients vanish" if vanishing else ""
    return seen.outcome(note)


def _along_directions(
    subject: Subject, sample: Sample, name: str, gradient: Array, rng: np.random.Generator, where: str, seen: Seen
) -> int:
    """Compare along the first direction that is not degenerate; 1 if all are, and nothing speaks against it."""
    step = min(0.02, sample.gap / 8)
    for _ in range(DIRECTIONS):
        direction = np.asarray(rng.normal(size=gradient.shape))
        direction /= np.abs(direction).max()

        def loss(h: float, direction: Array = direction) -> float:
            moved = {**sample.arrays, name: sample.arrays[name] + h * direction}
            return subject.weighted(moved, sample)[0]

        found, claimed = central_difference(loss, step), float((gradient * direction).sum())
        larger = max(abs(found.value), abs(claimed))
        # the rounding of the outputs, and of what they are computed from: `1 + x` is rounded to the places of 1
        noise = 2.0**-52 * max(1.0, subject.weighted(sample.arrays, sample)[1]) / step
        if found.error + noise <= REFUSED * larger:
            seen.slope(name, found.value, claimed, larger, where, SLOPES)
            return 0
        if abs(found.value - claimed) > 100 * (found.error + noise):
            what = f"grad_{name} along a random direction"
            seen.refuse(what, repr(claimed), repr(found.value), "the central difference", where)
    return 1


def single_agrees(subject: Subject, seed: int, draws: int = 6) -> Outcome:
    """float32 in, float32 out, and within rounding of float64 on the same numbers.

    What rounding may do is measured: the float64 result at inputs moved by one float32 rounding, and the magnitude
    of the terms that are added up.
    """
    seen = Seen(subject)
    for number, (sample, where) in enumerate(samples(subject, seed + 6, draws)):
        single, exact = _as(sample.arrays, np.float32), _as(_as(sample.arrays, np.float32), np.float64)
        cotangents = _as(sample.cotangents, np.float32)
        rng = np.random.default_rng([seed, number, 7])
        moved = {n: _rounded(a, rng) for n, a in exact.items()}
        got = run(subject, single, cotangents, sample)
        truth, near = (run(subject, a, _as(cotangents, np.float64), sample) for a in (exact, moved))
        terms = magnitudes(subject.layer, exact, sample.parameters, cotangents)
        for name, expected in truth.items():
            allowed = 64 * (np.abs(near[name] - expected).max(initial=0.0) + 2.0**-24 * terms[name])
            seen.shape_and_dtype(name, got[name], expected.shape, np.float32, where)
            seen.compare(name, got[name], expected, SINGLE, where, 1e-2, allowed)
    return seen.outcome()


def _rounded(array: Array, rng: np.random.Generator) -> Array:
    """Real numbers, each moved by one float32 rounding up or down."""
    return np.asarray(array * (1 + 2.0**-23 * rng.choice((-1, 1), array.shape))) if array.dtype.kind == "f" else array


def backends_agree(subjects: tuple[Subject, ...], seed: int, draws: int = 8) -> Outcome:
    """Outputs and gradients of the first backend and of each other one, in float64."""
    first, *others = subjects
    seen = Seen(first)
    for sample, where in samples(first, seed + 7, draws):
        expected = run(first, sample.arrays, sample.cotangents, sample)
        for other in others:
            seen.subject = other
            for name, value in run(other, sample.arrays, sample.cotangents, sample).items():
                seen.compare(name, value, expected[name], VALUES, f"against {first.backend}, {where}", 1.0)
    return seen.outcome()


# ---------------------------------------------------------------------------------------------- helpers


def _gradients(subject: Subject, sample: Sample) -> dict[str, Array]:
    _, saved = subject.forward(sample.arrays, sample.parameters)
    return subject.backward(saved, sample.cotangents)


def _as(arrays: Mapping[str, Array], dtype: Any) -> dict[str, Array]:
    """Real arrays in another precision."""
    return {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in arrays.items()}
