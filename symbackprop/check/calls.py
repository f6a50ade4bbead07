"""Checks of how generated modules may be called: layouts, subsets, repetition, NaN, little memory, defaults, object.

Each is a function of a `Subject` and a seed, as those in `modules.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from symbackprop.check.forward import Array, Arrays, forward
from symbackprop.check.report import Outcome
from symbackprop.check.seen import Seen
from symbackprop.check.subjects import VALUES, Subject, draw_sample, run, samples, spelled, within_time_limit
from symbackprop.errors import CheckFailed
from symbackprop.notation.nodes import Compare, Number, Parameter

BLOCKS = (1, 500, 3000)  # bytes


def layouts_agree(subject: Subject, seed: int, draws: int = 3) -> Outcome:
    """Arrays in Fortran order, strided, reversed and read-only give what plain ones give."""
    seen = Seen(subject)
    for sample, where in samples(subject, seed + 1, draws):
        plain = run(subject, sample.arrays, sample.cotangents, sample)
        for layout in LAYOUTS:
            arrays = {n: _laid_out(a, layout) for n, a in sample.arrays.items()}
            cotangents = {n: _laid_out(a, layout) for n, a in sample.cotangents.items()}
            for name, got in run(subject, arrays, cotangents, sample).items():
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
        expected = run(subject, sample.arrays, sample.cotangents, sample)
        for limit in BLOCKS:
            with _bounded(subject.module, limit):
                found = run(subject, sample.arrays, sample.cotangents, sample)
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


def calls_agree(subject: Subject, seed: int, draws: int = 3) -> Outcome:
    """Hyperparameters that are not given have their defaults; the object gives what the functions give."""
    seen = Seen(subject)
    _defaults(subject, seed, seen)
    made = [v for v in vars(subject.module).values() if isinstance(v, type) and hasattr(v, "forward")]
    for sample, where in samples(subject, seed + 10, draws) if made else ():
        expected = run(subject, sample.arrays, sample.cotangents, sample)
        held = Subject(subject.layer, subject.backend, _Object(made[0](**spelled(sample.parameters))))
        for name, value in run(held, sample.arrays, sample.cotangents, sample).items():
            seen.compare(name, value, expected[name], VALUES, f"as an object, {where}", 1.0)
    return seen.outcome()


def _defaults(subject: Subject, seed: int, seen: Seen) -> None:
    """The forward pass without hyperparameters, where sizes that fit the defaults are found."""
    layer = subject.layer
    fixed = tuple(Compare("==", Parameter(p.name, True), Number(p.default)) for p in layer.parameters if p.integer)
    for number in range(3):
        try:
            sample = draw_sample(layer, (seed, number, 9), "small", conditions=fixed)
        except CheckFailed:
            return
        expected = forward(layer, sample.arrays, {})
        outputs, _ = subject.forward(sample.arrays, {})
        for name in layer.outputs:
            seen.compare(name, outputs[name], expected[name], VALUES, f"defaults, {sample.case}, seed {seed}")


class _Object:
    """The object form of a layer, with the interface of a module."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def forward(self, *arrays: Array, **parameters: Any) -> tuple[Any, None]:
        return self.held.forward(*arrays), None

    def backward(self, saved: None, *cotangents: Array, **chosen: Any) -> Any:
        return self.held.backward(*cotangents, **chosen)


def _arrays_in(saved: Any) -> list[Any]:
    """Everything that is saved, whatever it is saved in."""
    if isinstance(saved, Mapping):
        return [x for value in saved.values() for x in _arrays_in(value)]
    if isinstance(saved, list | tuple):
        return [x for value in saved for x in _arrays_in(value)]
    if hasattr(saved, "__dict__"):
        return _arrays_in(vars(saved))
    return [saved]
