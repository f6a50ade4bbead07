"""Random layers through the whole pipeline: the property test of the engine, also as a command.

    python -m tests.random_layers --layers 2000 --seed 1 --backends numpy,numba

Each layer is printed and read back, derived, verified (each step, the gathered and the scattered form of each
gradient against dual numbers), written as a module for each backend, and each module is compared with the
interpreter, with dual numbers, with differences of its own forward pass, and with the other backend.
Kernels run as plain Python unless `--compiled` is given. Layers that fail are printed; `--shrink` makes each kind
of failure as small as greedy steps lead.
"""

from __future__ import annotations

import argparse
import itertools
import math
import re
import sys
import time
import traceback
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numba
import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings

from symbackprop import build
from symbackprop.calculus.derive import derive
from symbackprop.check import modules, subjects
from symbackprop.check.derivation import verify
from symbackprop.check.kinks import kinks_agree
from symbackprop.check.subjects import Subject
from symbackprop.check.suite import as_called
from symbackprop.errors import CheckFailed, SymbackpropError
from symbackprop.notation.layer import Layer
from symbackprop.notation.printer import to_text
from symbackprop.notation.reader import read
from tests.shrinking import smallest
from tests.strategies import layers

MOST_WORK = 4000  # of the interpreter at one point
CHUNK = 25  # layers drawn from one seed; Hypothesis slows down with what it remembers of many
NUMBERS_DIFFER = (modules.values_agree, modules.gradients_agree, modules.differences_agree, kinks_agree)


def examine(layer: Layer, backends: Sequence[str] = ("numpy", "numba"), draws: int = 3) -> int:
    """All of it for one layer. Gives: the statements of its derivation that were only sampled.

    Raises: SymbackpropError where something disagrees or is refused.
    """
    if read(to_text(layer)) != layer:
        raise CheckFailed(f"layer {layer.name}: printed and read back it is another layer")
    derivation = derive(layer)
    report = verify(derivation, draws=draws)
    called = as_called(layer, derivation)
    made = tuple(Subject(called, b, module_of(build.module(derivation, b), b)) for b in backends)
    with drawn_once():
        for subject in made:
            for check in NUMBERS_DIFFER:
                check(subject, 0, draws)
        if len(made) > 1:
            modules.backends_agree(made, 0, draws)
    return len(report.sampled)


@contextmanager
def drawn_once() -> Iterator[None]:
    """The checks of one layer share their points: to find one takes longer than to look at it."""
    draw, known = subjects.draw_sample, {}

    def remembered(layer: Layer, seed: Sequence[int], profile: str) -> subjects.Sample:
        if tuple(seed) not in known:
            known[tuple(seed)] = draw(layer, seed, profile, MOST_WORK)
        return known[tuple(seed)]

    subjects.draw_sample = remembered  # type: ignore[assignment]
    try:
        yield
    finally:
        subjects.draw_sample = draw


def module_of(text: str, backend: str) -> types.ModuleType:
    """The module of this text, which is on no disk."""
    module = types.ModuleType(f"random_layer_{backend}")
    sys.modules[module.__name__] = module  # where its NamedTuples look for their annotations
    exec(compile(text, f"<{backend} module of a random layer>", "exec"), module.__dict__)
    if "math" in module.__dict__ and numba.config.DISABLE_JIT:
        module.__dict__["math"] = _Math()
    return module


class _Math:
    """`math` as compiled kernels have it: NaN and infinity in place of exceptions, now and in what is made of it."""

    def __getattr__(self, name: str) -> object:
        found = getattr(math, name)

        def lenient(*x: float) -> np.float64:
            try:
                return np.float64(found(*x))
            except ValueError:
                return np.float64(-math.inf if name == "log" and x == (0,) else math.nan)
            except OverflowError:
                return np.float64(math.inf)

        return lenient if callable(found) else found


@dataclass(slots=True)
class Tally:
    """What a run has seen: what went wrong with which layer, and how many have steps that were only sampled."""

    passed: int = 0
    sampled: int = 0
    slowest: float = 0.0
    failures: list[tuple[str, Layer]] = field(default_factory=list)

    @property
    def examined(self) -> int:
        return self.passed + len(self.failures)

    def line(self) -> str:
        """The summary."""
        return (
            f"{self.examined} random layers: {self.passed} passed, "
            f"{len(self.failures)} failed; {self.sampled} with a step that was only sampled; "
            f"slowest {self.slowest:.1f} s"
        )


def run(
    count: int,
    first_seed: int,
    backends: Sequence[str] = ("numpy", "numba"),
    watch: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Examine `count` random layers."""
    tally = Tally()
    for layer in drawn(count, first_seed):
        started = time.perf_counter()
        complaint = complaint_of(layer, backends, tally)
        if complaint:
            tally.failures.append((complaint, layer))
        else:
            tally.passed += 1
        tally.slowest = max(tally.slowest, time.perf_counter() - started)
        watch(tally)
    return tally


def complaint_of(layer: Layer, backends: Sequence[str], tally: Tally | None = None) -> str:
    """What is wrong with the layer, or nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampled = examine(layer, backends)
    except SymbackpropError as error:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return traceback.format_exc()
    if tally is not None:
        tally.sampled += sampled > 0
    return ""


def drawn(count: int, first_seed: int) -> Iterator[Layer]:
    """So many random layers, no two alike; the same ones for the same seed."""
    seen: set[str] = set()
    for chunk in itertools.count():
        for layer in _drawn_at_once(CHUNK, first_seed * 10_000 + chunk):
            if len(seen) == count:
                return
            if (text := to_text(layer)) not in seen:
                seen.add(text)
                yield layer


def _drawn_at_once(count: int, one_seed: int) -> list[Layer]:
    found: list[Layer] = []

    @seed(one_seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(layers())
    def collect(layer: Layer) -> None:
        found.append(layer)

    collect()
    return found


def shrunk(layer: Layer, backends: Sequence[str]) -> Layer:
    """A small layer about which there is the same kind of complaint as about this one."""
    return smallest(layer, lambda smaller: kind(complaint_of(smaller, backends)))


def kind(complaint: str) -> str:
    """A complaint without its numbers and names: the class of the error, or where it was raised."""
    if complaint.startswith("Traceback"):
        return "\n".join(complaint.strip().splitlines()[-3:-1])
    first = re.sub(r"layer \w+", "", complaint.split(";")[0])
    return re.sub(r"grad_\w+|[\[(].*|-?\d.*", "", first).strip()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Examine random layers.")
    parser.add_argument("--layers", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backends", default="numpy,numba")
    parser.add_argument("--compiled", action="store_true", help="compile the kernels of numba")
    parser.add_argument("--shrink", action="store_true", help="reduce what fails")
    given_options = parser.parse_args()
    numba.config.DISABLE_JIT = not given_options.compiled
    backends = tuple(given_options.backends.split(","))
    started = time.perf_counter()
    reported = 0

    def progress(tally: Tally) -> None:
        nonlocal reported
        for complaint, layer in tally.failures[reported:]:
            print(f"FAILED\n{to_text(layer)}\n{complaint[-1500:]}\n", flush=True)
        reported = len(tally.failures)
        if tally.examined % 50 == 0:
            print(f"{tally.examined}/{given_options.layers}, {time.perf_counter() - started:.0f} s", flush=True)

    tally = run(given_options.layers, given_options.seed, backends, progress)
    if given_options.shrink:
        for layer in {kind(complaint): layer for complaint, layer in tally.failures}.values():
            print(f"SHRUNK\n{to_text(shrunk(layer, backends))}\n", flush=True)
    seconds = time.perf_counter() - started
    print(f"{tally.line()}; backends {','.join(backends)}, seed {given_options.seed}, {seconds:.0f} s")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
