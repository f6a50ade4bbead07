"""Checks of the numbers that generated modules give, each able to say no: values, gradients, precision, backends.

Each is a function of a `Subject` and a seed that raises CheckFailed, naming the layer, the backend, the place,
the case, the seed and both numbers, or returns what it has seen. The truth is the interpreter's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from symbackprop.check.differences import settled_difference
from symbackprop.check.forward import Array
from symbackprop.check.report import Outcome
from symbackprop.check.rounding import DOUBLE, SINGLE, loss_rounding
from symbackprop.check.seen import Seen
from symbackprop.check.subjects import VALUES, Sample, Subject, allowed_rounding, run, samples

SLOPES = 1e-6  # differences against gradients, relative
ROUNDED = 2e-5  # float32 against float64, against the largest number
REFUSED = 1e-7  # a difference that is less sure of itself than this is refused
LOST = 1e-3  # a loss of which rounding leaves fewer digits says nothing of slopes
DIRECTIONS = 8  # directions tried for one gradient until one is not degenerate


def values_agree(subject: Subject, seed: int, draws: int = 8) -> Outcome:
    """The forward pass against the interpreter, in float64."""
    seen = Seen(subject)
    for sample, where in samples(subject, seed, draws):
        outputs, _ = subject.forward(sample.arrays, sample.parameters)
        rounding = allowed_rounding(subject.layer, sample, DOUBLE)
        for name, expected in sample.outputs.items():
            seen.shape_and_dtype(name, outputs[name], expected.shape, np.float64, where)
            seen.compare(name, outputs[name], expected, VALUES, where, allowed=rounding)
    return seen.outcome()


def gradients_agree(subject: Subject, seed: int, draws: int = 8) -> Outcome:
    """Every element of every gradient against dual numbers through the equations, in float64."""
    seen = Seen(subject)
    for sample, where in samples(subject, seed, draws):
        grads = _gradients(subject, sample)
        rounding = allowed_rounding(subject.layer, sample, DOUBLE)
        for name, truth in sample.gradients(subject.layer).items():
            seen.shape_and_dtype(f"grad_{name}", grads[name], truth.shape, np.float64, where)
            seen.compare(f"grad_{name}", grads[name], truth, VALUES, where, allowed=rounding)
    return seen.outcome()


def differences_agree(subject: Subject, seed: int, draws: int = 8) -> Outcome:
    """Every gradient against central differences of the module's own forward pass along random directions."""
    seen, vanishing = Seen(subject), 0
    for number, (sample, where) in enumerate(samples(subject, seed, draws)):
        grads = _gradients(subject, sample)
        rng = np.random.default_rng([seed, number, 3])
        rounding, size = loss_rounding(subject.layer, sample.arrays, sample.parameters, sample.cotangents)
        if not rounding <= LOST * size:
            vanishing += len(grads)
            continue
        for name, gradient in grads.items():
            vanishing += _along_directions(subject, sample, name, gradient, rng, where, seen, rounding)
    note = f"{vanishing} gradients vanish" if vanishing else ""
    return seen.outcome(note)


def _along_directions(
    subject: Subject,
    sample: Sample,
    name: str,
    gradient: Array,
    rng: np.random.Generator,
    where: str,
    seen: Seen,
    rounding: float,
) -> int:
    """Compare along the first direction that is not degenerate; 1 if all are, and nothing speaks against it."""
    step = min(0.02, sample.gap / 8)
    if not gradient.any() and not _moves(subject, sample, name):
        return 1
    for _ in range(DIRECTIONS):
        direction = np.asarray(rng.normal(size=gradient.shape))
        direction /= np.abs(direction).max()

        def loss(h: float, direction: Array = direction) -> float:
            moved = {**sample.arrays, name: sample.arrays[name] + h * direction}
            return subject.weighted(moved, sample)

        found, claimed = settled_difference(loss, step, rounding, REFUSED), float((gradient * direction).sum())
        larger = max(abs(found.value), abs(claimed))
        if found.error <= REFUSED * larger:
            seen.slope(name, found.value, claimed, larger, where, SLOPES)
            return 0
        if abs(found.value - claimed) > 100 * found.error:
            what = f"grad_{name} along a random direction"
            seen.refuse(what, repr(claimed), repr(found.value), "the central difference", where)
    return 1


def _moves(subject: Subject, sample: Sample, name: str) -> bool:
    """Whether the loss is another one where every element of the input is moved by a little."""
    step = min(0.02, sample.gap / 8)
    apart = np.linspace(0.5, 1.0, sample.arrays[name].size).reshape(sample.arrays[name].shape)
    moved = {**sample.arrays, name: sample.arrays[name] + step * apart}
    return subject.weighted(moved, sample) != subject.weighted(sample.arrays, sample)


def single_agrees(subject: Subject, seed: int, draws: int = 6) -> Outcome:
    """float32 in, float32 out, and within rounding of float64 on the same numbers."""
    seen = Seen(subject)
    for sample, where in samples(subject, seed + 6, draws):
        single, exact = _as(sample.arrays, np.float32), _as(_as(sample.arrays, np.float32), np.float64)
        cotangents = _as(sample.cotangents, np.float32)
        got = run(subject, single, cotangents, sample)
        rounding = allowed_rounding(subject.layer, replace(sample, arrays=exact, cotangents=cotangents), SINGLE)
        for name, expected in run(subject, exact, _as(cotangents, np.float64), sample).items():
            seen.shape_and_dtype(name, got[name], expected.shape, np.float32, where)
            seen.compare(name, got[name], expected, ROUNDED, where, allowed=rounding)
    return seen.outcome()


def backends_agree(subjects: tuple[Subject, ...], seed: int, draws: int = 8) -> Outcome:
    """Outputs and gradients of the first backend and of each other one, in float64."""
    first, *others = subjects
    seen = Seen(first)
    for sample, where in samples(first, seed + 7, draws):
        expected = run(first, sample.arrays, sample.cotangents, sample)
        rounding = allowed_rounding(first.layer, sample, DOUBLE)
        for other in others:
            seen.subject = other
            for name, value in run(other, sample.arrays, sample.cotangents, sample).items():
                seen.compare(name, value, expected[name], VALUES, f"against {first.backend}, {where}", allowed=rounding)
    return seen.outcome()


# ---------------------------------------------------------------------------------------------- helpers


def _gradients(subject: Subject, sample: Sample) -> dict[str, Array]:
    _, saved = subject.forward(sample.arrays, sample.parameters)
    return subject.backward(saved, sample.cotangents)


def _as(arrays: Mapping[str, Array], dtype: Any) -> dict[str, Array]:
    """Real arrays in another precision."""
    return {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in arrays.items()}
