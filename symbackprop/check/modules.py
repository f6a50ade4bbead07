"""Checks of generated modules, each able to say no: values, gradients, layouts, subsets, repetition, NaN, precision.

Each is a function of a `Subject` and a seed that raises CheckFailed, naming the layer, the backend, the place,
the case, the seed and both numbers, or returns what it has seen. The truth is the interpreter's.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from symbackprop.check.differences import central_difference
from symbackprop.check.forward import Array, Arrays, forward, magnitudes
from symbackprop.check.report import Outcome
from symbackprop.check.seen import Seen
from symbackprop.check.subjects import Sample, Subject, draw_sample, within_time_limit
from symbackprop.errors import CheckFailed

PROFILES = ("ones", "uneven", "equal", "small", "uneven", "larger", "uneven", "wide")
VALUES = 1e-10  # float64 values and gradients, against the largest number of their tensor
SLOPES = 1e-6  # differences against gradients, relative
SINGLE = 2e-5  # float32 against float64, against the largest number; more where the layer itself amplifies rounding
REFUSED = 1e-7  # a difference that is less sure of itself than this is refused
BLOCKS = (1, 500, 3000)  # bytes
DIRECTIONS = 8  # directions tried for one gradient until one is not degenerate


def samples(subject: Subject, seed: int, draws: int) -> Iterator[tuple[Sample, str]]:
    """Points of growing variety, each with its description."""
    for draw in range(draws):
        profile = PROFILES[draw % len(PROFILES)]
        sample = draw_sample(subject.layer, (seed, draw), profile)
        yield sample, f"{sample.case}, seed {seed}, draw {draw} ({profile})"


def values_agree(subject: Subject, seed: int, draws: int = 8) -> Outcome:
    """The forward pass against the interpreter, in float64."""
    seen = Seen(subject)
    for sample, where in samples(subject, seed, draws):
        outputs, _ = subject.forward(sample.arrays, sample.parameters)
        for name, expected in sample.outputs.items():
            seen.shape_and_dtype(name, outputs[name], expected.shape, np.float64, where)
            seen.compare(name, outputs[name], expected, VALUES, where)
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
        noise = 1e-15 * subject.weighted(sample.arrays, sample)[1] / step
        if found.error <= REFUSED * larger:
            seen.slope(name, found.value, claimed, larger, where, SLOPES)
            return 0
        if abs(found.value - claimed) > 100 * (found.error + noise):
            what = f"grad_{name} along a random direction"
            seen.refuse(what, repr(claimed), repr(found.value), "the central difference", where)
    return 1


def layouts_agree(subject: Subject, seed: int, draws: int = 3) -> Outcome:
    """Arrays in Fortran order, strided, reversed and read-only give what plain ones give."""
    seen = Seen(subject)
    for sample, where in samples(subject, seed + 1, draws):
        plain = _run(subject, sample.arrays, sample.cotangents, sample)
        for layout in LAYOUTS:
            arrays = {n: _laid_out(a, layout) for n, a in sample.arrays.items()}
            cotangents = {n: _laid_out(a, layout) for n, a in sample.cotangents.items()}
            for name, got in _run(subject, arrays, cotangents, sample).items():
                seen.compare(name, got, plain[name], VALUES, f"{layout} arrays, {where}", 1.0)
    return seen.outcome()


LAYOUTS = ("Fortran-ordered", "strided", "reversed", "read-only")


def _laid_out(array: Array, layout: str) -> Array:
    """The same numbers in another layout."""
    if layout == "Fortran-ordered":
        return array.copy(order="F")  # np.asfortranarray gives a scalar an axis
    if layout == "read-only":
        fixed = array.copy()
        fixed.flags.writeable = False
        return fixed
    if array.ndim == 0:
        return array
    if layout == "strided":
        wide = np.full([2 * n for n in array.shape], 7, dtype=array.dtype)
        view = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    else:
        view = np.full_like(array, 7)[tuple(slice(None, None, -1) for _ in array.shape)]
    view[...] = array
    return view


def subsets_agree(subject: Subject, seed: int, draws: int = 3) -> Outcome:
    """With `wrt`, what is asked for is the same and the rest is None."""
    seen = Seen(subject)
    names = tuple(t.name for t in subject.layer.real_inputs)
    for sample, where in samples(subject, seed + 2, draws):
        _, saved = subject.forward(sample.arrays, sample.parameters)
        whole = subject.backward(saved, sample.cotangents)
        for wrt in (*((n,) for n in names), names[::-1]):
            grads = subject.backward(saved, sample.cotangents, wrt)
            for name in names:
                if name in wrt:
                    seen.compare(f"grad_{name}", grads[name], whole[name], VALUES, f"wrt={wrt}, {where}", 1.0)
                elif grads[name] is not None:
                    raise CheckFailed(f"{subject}: grad_{name} is not None with wrt={wrt}, {where}")
    return seen.outcome()


def outputs_agree(subject: Subject, seed: int, draws: int = 2) -> Outcome:
    """With several outputs, a gradient of None is one of zeros; a scalar's that is left out is 1."""
    seen = Seen(subject)
    outputs = subject.layer.outputs
    for sample, where in samples(subject, seed + 3, draws):
        _, saved = subject.forward(sample.arrays, sample.parameters)
        for name in outputs if len(outputs) > 1 else ():
            zeros = {y: np.zeros_like(c) if y == name else c for y, c in sample.cotangents.items()}
            nothing: dict[str, Array | None] = {y: None if y == name else c for y, c in sample.cotangents.items()}
            seen.all_alike(subject.backward(saved, nothing), subject.backward(saved, zeros), f"{name}: None, {where}")
        if len(outputs) == 1 and sample.outputs[outputs[0]].ndim == 0:
            ones = {outputs[0]: np.ones(())}
            grads = subject.backward_without_gradient(saved)
            seen.all_alike(grads, subject.backward(saved, ones), f"the gradient left out, {where}")
    return seen.outcome()


def repeats_agree(subject: Subject, seed: int, draws: int = 3) -> Outcome:
    """Neither inputs, nor gradients given, nor `saved` are changed; the same call gives the same bits again."""
    seen = Seen(subject)
    for sample, where in samples(subject, seed + 4, draws):
        arrays, cotangents = copy.deepcopy(dict(sample.arrays)), copy.deepcopy(dict(sample.cotangents))
        first, saved = subject.forward(arrays, sample.parameters)
        kept = copy.deepcopy((first, _arrays_in(saved)))
        grads = copy.deepcopy(subject.backward(saved, cotangents))
        again = subject.backward(saved, cotangents)
        seen.same("inputs", arrays, dict(sample.arrays), where)
        seen.same("gradients given", cotangents, dict(sample.cotangents), where)
        seen.same("outputs and saved", (first, _arrays_in(saved)), kept, where)
        seen.same("gradients", again, grads, where)
        seen.same("outputs", subject.forward(arrays, sample.parameters)[0], first, where)
    return seen.outcome()


def memory_bounds(module: Any) -> tuple[str, ...]:
    """The constants of a module that bound the memory of a temporary array (`_PANEL_BYTES`)."""
    return tuple(name for name in vars(module) if name.endswith("_BYTES"))


def blocks_agree(subject: Subject, seed: int, draws: int = 6) -> Outcome:
    """With its memory bounds so low that all work falls into blocks, a module gives what it gives in one piece."""
    seen = Seen(subject)
    for sample, where in samples(subject, seed + 8, draws):
        expected = _run(subject, sample.arrays, sample.cotangents, sample)
        for limit in BLOCKS:
            with _bounded(subject.module, limit):
                found = _run(subject, sample.arrays, sample.cotangents, sample)
            for name, value in found.items():
                seen.compare(name, value, expected[name], VALUES, f"blocks of {limit} bytes, {where}", 1.0)
    return seen.outcome()


@contextmanager
def _bounded(module: Any, limit: int) -> Iterator[None]:
    """The module with its memory bounds at `limit` bytes for a while."""
    before = {name: getattr(module, name) for name in memory_bounds(module)}
    try:
        for name in before:
            setattr(module, name, limit)
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


def nan_passes_through(subject: Subject, seed: int, draws: int = 3) -> Outcome:
    """One NaN in an input: the calls end; the outputs are NaN where the equations say so, and nowhere else.

    An output that does not depend on the element, as where it meets a padding of zeros alone, may be either.
    """
    return within_time_limit(f"{subject}: a pass with NaN", lambda: _pass_nan(subject, seed, draws))


def _pass_nan(subject: Subject, seed: int, draws: int) -> Outcome:
    seen = Seen(subject)
    for number, (sample, where) in enumerate(samples(subject, seed + 5, draws)):
        rng = np.random.default_rng([seed, number, 6])
        for tensor in subject.layer.real_inputs:
            place = int(rng.integers(sample.arrays[tensor.name].size))
            arrays, moved = (_with_element(sample.arrays, tensor.name, place, value) for value in (np.nan, 0.75))
            outputs, saved = subject.forward(arrays, sample.parameters)
            expected, other = (forward(subject.layer, a, sample.parameters) for a in (arrays, moved))
            for name in subject.layer.outputs:
                either = np.isnan(expected[name]) & (other[name] == sample.outputs[name])
                got, truth = np.isnan(outputs[name]) & ~either, np.isnan(expected[name]) & ~either
                seen.same_places(name, got, truth, f"NaN in {tensor.name}, {where}")
            subject.backward(saved, sample.cotangents)
    return seen.outcome()


def _with_element(arrays: Arrays, name: str, place: int, value: float) -> dict[str, Array]:
    """The arrays with one element of one of them replaced."""
    changed = arrays[name].copy()
    changed.flat[place] = value
    return {**arrays, name: changed}


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
        got = _run(subject, single, cotangents, sample)
        truth, near = (_run(subject, a, _as(cotangents, np.float64), sample) for a in (exact, moved))
        terms = magnitudes(subject.layer, exact, sample.parameters, cotangents)
        for name, expected in truth.items():
            allowed = 64 * (np.abs(near[name] - expected).max(initial=0.0) + 2.0**-24 * terms[name])
            seen.shape_and_dtype(name, got[name], expected.shape, np.float32, where)
            seen.compare(name, got[name], expected, SINGLE, where, 1e-2, allowed)
    return seen.outcome()


def _rounded(array: Array, rng: np.random.Generator) -> Array:
    """Real numbers, each moved by one float32 rounding up or down."""
    return np.asarray(array * (1 + 2.0**-23 * rng.choice((-1, 1), array.shape))) if array.dtype.kind == "f" else array


def _run(subject: Subject, arrays: Arrays, cotangents: Arrays, sample: Sample) -> dict[str, Array]:
    outputs, saved = subject.forward(arrays, sample.parameters)
    grads = subject.backward(saved, cotangents)
    return outputs | {f"grad_{name}": g for name, g in grads.items()}


def backends_agree(subjects: tuple[Subject, ...], seed: int, draws: int = 8) -> Outcome:
    """Outputs and gradients of the first backend and of each other one, in float64."""
    first, *others = subjects
    seen = Seen(first)
    for sample, where in samples(first, seed + 7, draws):
        expected = _run(first, sample.arrays, sample.cotangents, sample)
        for other in others:
            seen.subject = other
            for name, value in _run(other, sample.arrays, sample.cotangents, sample).items():
                seen.compare(name, value, expected[name], VALUES, f"against {first.backend}, {where}", 1.0)
    return seen.outcome()


# ---------------------------------------------------------------------------------------------- helpers


def _gradients(subject: Subject, sample: Sample) -> dict[str, Array]:
    _, saved = subject.forward(sample.arrays, sample.parameters)
    return subject.backward(saved, sample.cotangents)


def _as(arrays: Mapping[str, Array], dtype: Any) -> dict[str, Array]:
    """Real arrays in another precision."""
    return {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in arrays.items()}


def _arrays_in(saved: Any) -> list[Any]:
    """Everything that is saved, whatever it is saved in."""
    if isinstance(saved, Mapping):
        return [x for value in saved.values() for x in _arrays_in(value)]
    if isinstance(saved, list | tuple):
        return [x for value in saved for x in _arrays_in(value)]
    if hasattr(saved, "__dict__"):
        return _arrays_in(vars(saved))
    return [saved]
