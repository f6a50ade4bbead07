"""What a call of a Numba module costs beside its numbers: on tiny arrays, the first time, and from the cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import timeit
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from symbackprop.bench.cases import (
    Case,
    attention,
    batchnorm2d,
    conv2d,
    cross_entropy,
    layernorm,
    linear,
    maxpool2d,
    relu,
)
from symbackprop.bench.tasks import Task, task
from symbackprop.bench.timing import Figure, figure
from symbackprop.build import load
from symbackprop.errors import InternalError

MOST_OF_A_CALL = 20.0  # microseconds
MOST_OF_COMPILATION = 10.0  # seconds
MOST_FROM_CACHE = 0.5  # seconds
_CALLS = 200  # of which the mean is one measurement

TINY: tuple[Case, ...] = (
    relu(1, 16), linear(1, 4, 4), conv2d(1, 1, 4, 4, 1, 3, pad=1), *batchnorm2d(1, 1, 4, 4), maxpool2d(1, 1, 4, 4),
    cross_entropy(1, 4), layernorm(1, 4), attention(1, 1, 4, 4),
)  # fmt: skip
# large enough for every family of contractions, and for threads
FIRST: tuple[Case, ...] = (
    conv2d(4, 64, 56, 56, 64, 3, pad=1), conv2d(2, 3, 64, 64, 64, 7, stride=2, pad=3), linear(256, 512, 500),
    batchnorm2d(8, 64, 28, 28)[0], attention(1, 8, 128, 64),
)  # fmt: skip


def call_figures(repeats: int, quick: bool) -> Iterator[Figure]:
    """Calls on tiny arrays; then first calls, each in a process of its own, with an empty cache and with a full one."""
    for case in TINY:
        yield from _tiny(task(case, load(case.layer)), repeats)
    for case in FIRST[:1] if quick else FIRST:
        yield from _first(case)


def _first(case: Case) -> Iterator[Figure]:
    with TemporaryDirectory(prefix="symbackprop-bench-") as folder:
        for what, bound in (("compiled", MOST_OF_COMPILATION), ("from the cache", MOST_FROM_CACHE)):
            start, passes = first_calls(case, Path(folder))
            for name, seconds in passes.items():
                note = f"{start:.2f} s of it before the module, in which numba starts" if name == "forward" else ""
                yield figure(case.label, f"first {name}, {what}", "s", [seconds], bound=bound, note=note)


def _tiny(given: Task, repeats: int) -> Iterator[Figure]:
    module = import_module(f"symbackprop.generated.numba.{given.case.layer}")
    inputs, params = tuple(given.inputs.values()), dict(given.case.params)
    _, saved = module.forward(*inputs, **params)
    calls: dict[str, Any] = {"forward": lambda: module.forward(*inputs, **params)}
    if given.layer.real_inputs:
        calls["backward"] = lambda: module.backward(saved, *given.gradients)
    for name, call in calls.items():
        call()
        microseconds = [1e6 * s / _CALLS for s in timeit.repeat(call, number=_CALLS, repeat=max(3, repeats))]
        yield figure(given.case.label, f"numba {name}, a call", "us", microseconds, bound=MOST_OF_A_CALL)


# the process: numba and numpy are there before the clock starts, as they are for the second layer of a program; what
# numba loads (SciPy among it) with the first function of a process, whatever function that is, is told apart
_PROCESS = """
import json, sys, time
import numba, numpy as np
from importlib import import_module
from numba.core.registry import cpu_target
name, file, inputs, gradients, params = json.loads(sys.argv[1])
arrays = np.load(file)
began = time.perf_counter()
cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()
start = time.perf_counter()
module = import_module(name)
_, saved = module.forward(*(arrays[n] for n in inputs), **params)
middle = time.perf_counter()
module.backward(saved, *(arrays[n] for n in gradients))
passes = {"forward": middle - began, "backward": time.perf_counter() - middle}
print(json.dumps([start - began, passes]))
"""


def first_calls(case: Case, folder: Path) -> tuple[float, dict[str, float]]:
    """The seconds in which numba starts; then those of all up to the end of the forward pass, and of the backward pass.

    `folder` has the cache.
    """
    given = task(case, load(case.layer))
    gradients: dict[str, Any] = {f"grad_{n}": g for n, g in enumerate(given.gradients)}
    np.savez(folder / "arrays.npz", **(gradients | dict(given.inputs)))
    name = f"symbackprop.generated.numba.{case.layer}"
    order = [name, str(folder / "arrays.npz"), list(given.inputs), list(gradients), dict(case.params)]
    return _answer([sys.executable, "-c", _PROCESS, json.dumps(order)], folder)


def _answer(command: Iterable[str], folder: Path) -> tuple[float, dict[str, float]]:
    here = str(Path(__file__).parents[2])
    path = os.pathsep.join(p for p in (here, os.environ.get("PYTHONPATH", "")) if p)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": path}
    done = subprocess.run(list(command), capture_output=True, text=True, env=environment)
    if done.returncode:
        raise InternalError(f"the process that measures first calls ended with status {done.returncode}: {done.stderr}")
    start, passes = json.loads(done.stdout)
    return float(start), {name: float(seconds) for name, seconds in passes.items()}
