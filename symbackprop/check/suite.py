"""All that is checked of a layer, as a list of pieces of work in the order in which a person wants to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from symbackprop.calculus.derivation import Derivation
from symbackprop.check import calls
from symbackprop.check import modules as of_modules
from symbackprop.check.derivation import verify
from symbackprop.check.kinks import kinks_agree
from symbackprop.check.report import Check, Outcome
from symbackprop.check.subjects import Subject
from symbackprop.notation.layer import Layer, Requirement

MODULE_CHECKS: tuple[tuple[str, Callable[[Subject, int], Outcome]], ...] = (
    ("forward = equations", of_modules.values_agree),
    ("gradients = dual numbers", of_modules.gradients_agree),
    ("gradients = differences", of_modules.differences_agree),
    ("ties, zeros and kinks", kinks_agree),
    ("layouts of arrays", calls.layouts_agree),
    ("subsets (wrt)", calls.subsets_agree),
    ("repeated calls", calls.repeats_agree),
    ("defaults, object form", calls.calls_agree),
    ("NaN passes through", calls.nan_passes_through),
    ("float32 = float64", of_modules.single_agrees),
)
OUTPUT_CHECK = ("gradients left out", calls.outputs_agree)
BLOCK_CHECK = ("in small blocks", calls.blocks_agree)


def checks(
    layer: Layer, derivation: Derivation | None = None, modules: Mapping[str, Any] | None = None, seed: int = 0
) -> tuple[Check, ...]:
    """The checks of a layer: its derivation, the module of each backend, the backends against each other.

    `modules` maps the name of a backend to the imported module. Run them with `report.run_all`.
    """
    work: list[Check] = []
    if derivation is not None:
        work.append(Check(layer.name, "derivation", "", partial(_derivation, derivation, seed)))
    called = as_called(layer, derivation) if derivation is not None else layer
    subjects = tuple(Subject(called, backend, module) for backend, module in (modules or {}).items())
    for subject in subjects:
        named = (
            *MODULE_CHECKS,
            *((OUTPUT_CHECK,) if _may_leave_out(layer) else ()),
            *((BLOCK_CHECK,) if calls.memory_bounds(subject.module) else ()),
        )
        work += [Check(layer.name, what, subject.backend, partial(run, subject, seed)) for what, run in named]
    if len(subjects) > 1:
        together = " = ".join(subject.backend for subject in subjects)
        work.append(Check(layer.name, "backends", together, partial(of_modules.backends_agree, subjects, seed)))
    return tuple(work)


def as_called(layer: Layer, derivation: Derivation) -> Layer:
    """The layer with what its modules require of a call: the gradients may hold only for a dilation of at least 1."""
    return replace(layer, requirements=(*layer.requirements, *(Requirement(c) for c in derivation.conditions)))


def _may_leave_out(layer: Layer) -> bool:
    """Whether a gradient may be left out at the call: of one output among several, or of a scalar."""
    return len(layer.outputs) > 1 or not layer.axes(layer.outputs[0])


def _derivation(derivation: Derivation, seed: int) -> Outcome:
    report = verify(derivation, seed)
    return Outcome(report.points, 0.0, "; ".join((*report.proved, *(f"sampled: {claim}" for claim in report.sampled))))
