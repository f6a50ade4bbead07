"""A timed search of the constants that contractions are planned with, saved for this machine.

The constants decide which family computes a contraction and in which pieces, so a search can be wrong about nothing but
time. What it is timed on is drawn at random, convolutions and products of middling sizes, and is no table's shapes.
A constant takes another value only if that was faster by `GAIN` in one race and in a second that confirms it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from math import exp, log
from pathlib import Path, PurePosixPath
from time import perf_counter
from typing import Any

import numpy as np

from symbackprop.bench.cases import Case, conv2d, linear
from symbackprop.bench.peers import generated
from symbackprop.bench.race import race
from symbackprop.bench.tasks import task
from symbackprop.build import load
from symbackprop.writing import write

GAIN = 0.02  # the part of the time that another value has to save
_VECTORS = "symbackprop.generated.numba._vectors"
Watch = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant of the planning: its name in the file, where it lives, and what is tried beside its present value."""

    name: str
    module: str
    attribute: str
    tried: tuple[float, ...]
    key: str | None = None  # of a table

    def get(self) -> float:
        """The present value."""
        found: Any = getattr(import_module(self.module), self.attribute)
        value: float = found if self.key is None else found[self.key]
        return value

    def set(self, value: float) -> None:
        """Plan with another value from now on."""
        module = import_module(self.module)
        if self.key is None:
            setattr(module, self.attribute, type(self.get())(value))
        else:
            getattr(module, self.attribute)[self.key] = value


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one constant: the value before and after, and the time that this takes of what it took."""

    name: str
    before: float
    after: float
    share: float


def constants() -> tuple[Constant, ...]:
    """All that is searched."""
    vectors: Any = import_module(_VECTORS)
    families = [
        Constant(f"{name}.cost", _VECTORS, "COSTS", (0.6, 0.75, 0.9, 1.1, 1.3, 1.6), family.__name__)
        for name, family in vectors.FAMILIES.items()
        if name != "matrix"  # only their ratios count
    ]
    return (
        *families,
        Constant("correlation.copy", f"{_VECTORS}.correlation", "_COPY", (192 << 10, 288 << 10, 512 << 10, 768 << 10)),
        Constant("correlation.parallel", f"{_VECTORS}.correlation", "_PARALLEL", (15_000, 60_000, 120_000)),
        Constant("winograd.tiles", f"{_VECTORS}.winograd", "_TILES", (24, 36, 64, 96)),
    )


def workload(seed: int, count: int = 6) -> tuple[Case, ...]:
    """Convolutions and a product, drawn at random."""
    rng = np.random.default_rng(seed)

    def some(*choices: int) -> int:
        return int(rng.choice(choices))

    cases = []
    for _ in range(count):
        r, stride = some(1, 3, 3, 3, 5), some(1, 1, 1, 2)
        side = int(rng.integers(12, 60))
        sizes = (
            some(2, 4, 8),
            int(rng.integers(8, 100)),
            side,
            side + int(rng.integers(-3, 4)),
            int(rng.integers(8, 130)),
        )
        cases.append(conv2d(*sizes, r, stride=stride, pad=r // 2))
    return (*cases, linear(some(32, 64, 128), int(rng.integers(200, 900)), int(rng.integers(60, 400))))


def search(seconds: float, seed: int = 0, watch: Watch = lambda what: None) -> Iterator[Trial]:
    """Try the constants one after the other for about so long, and plan with what was found; gives each trial.

    A constant whose turn does not come keeps its value.
    """
    end = perf_counter() + seconds
    calls = list(_calls(workload(seed)))
    for constant in constants():
        if perf_counter() > end:
            return
        before = constant.get()
        after, share = before, 1.0
        watch(f"{constant.name}, {before:g} at present")
        times = _times(calls, constant, (before, *constant.tried))
        best = min(constant.tried, key=lambda value: times[value])
        if times[best] < (1 - GAIN) * times[before]:
            watch(f"{constant.name}, {best:g} once more")
            again = _times(calls, constant, (before, best))
            if again[best] < (1 - GAIN) * again[before]:
                after, share = best, again[best] / again[before]
        constant.set(after)
        yield Trial(constant.name, before, after, share)


def _calls(cases: tuple[Case, ...]) -> Iterator[tuple[Any, Callable[[], object]]]:
    """Every pass of the cases, with the module whose plans it uses."""
    for case in cases:
        module = import_module(f"symbackprop.generated.numba.{case.layer}")
        for run in generated.runs(task(case, load(case.layer)), module).values():
            yield module, run.call


def _times(
    calls: list[tuple[Any, Callable[[], object]]], constant: Constant, values: tuple[float, ...]
) -> dict[float, float]:
    """The time of the work with each of the values: the geometric mean of the best times of all calls."""
    logs = dict.fromkeys(values, 0.0)
    for module, call in calls:
        found = race({f"{value!r}": partial(_with, constant, value, module, call) for value in values}, 3, 0.004)
        for value in values:
            logs[value] += log(found[f"{value!r}"].best)
    return {value: exp(total / len(calls)) for value, total in logs.items()}


def _with(constant: Constant, value: float, module: Any, call: Callable[[], object]) -> None:
    """A call with a value; where it was another one before, the plans are made anew, in a call that does not count."""
    if constant.get() != value:
        constant.set(value)
        for name, function in vars(module).items():
            if name.startswith("_plan_"):
                function.cache_clear()
    call()


# ----------------------------------------------------------------------------------------- the file


def saved_at() -> Path:
    """Where the constants of this machine are."""
    settings: Any = import_module(f"{_VECTORS}.settings")
    return Path(settings.path())


def save(trials: list[Trial]) -> Path:
    """Write what was found, with what the file had before for constants that were not tried; whole or not at all."""
    settings: Any = import_module(f"{_VECTORS}.settings")
    found = dict(settings._CONSTANTS) | {t.name: t.after for t in trials if t.after != t.before}
    content = {"cpu": settings.machine()[0], "kernels": settings.DIGEST, "constants": found}
    path = saved_at()
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path.parent, {PurePosixPath(path.name): json.dumps(content, indent=2) + "\n"})
    return path


def forget() -> bool:
    """Remove the file. Gives: whether there was one."""
    there = saved_at().exists()
    saved_at().unlink(missing_ok=True)
    return there
