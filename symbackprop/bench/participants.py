"""One task and everybody who takes part in it: the runs of each, or why there is none; and whether they are right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from symbackprop.bench.peers import generated, hand, jax_peer, onnx_peer, pytorch
from symbackprop.bench.tasks import Array, NotHere, Runs, Task

Modules = Callable[[str], Any]  # by the name of the backend
OURS = ("numba", "numpy")
PEERS = ("torch", "jax", "onnxruntime", "hand")
EVERYBODY = (*OURS, *PEERS)
CLOSE = {name: 1e-5 if name in OURS else 1e-3 for name in EVERYBODY}  # float32, of the largest number of a result


def runs_of(name: str, task: Task, modules: Modules, threads: int) -> Runs:
    """The runs of one participant. Raises: NotHere with the reason."""
    match name:
        case "numba" | "numpy":
            return generated.runs(task, modules(name))
        case "torch":
            return pytorch.runs(task, threads)
        case "jax":
            return jax_peer.runs(task)
        case "onnxruntime":
            return onnx_peer.runs(task, threads)
        case _:
            return hand.runs(task)


def gathered(
    task: Task, names: tuple[str, ...], modules: Modules, threads: int
) -> tuple[dict[str, Runs], dict[str, str]]:
    """The runs of everybody who can take part, and the reasons of those who cannot."""
    here: dict[str, Runs] = {}
    absent: dict[str, str] = {}
    for name in names:
        try:
            here[name] = runs_of(name, task, modules, threads)
        except NotHere as reason:
            absent[name] = str(reason)
    return here, absent


def truth(task: Task, modules: Modules) -> dict[str, tuple[Array, ...]]:
    """The results of each pass in float64: by hand where somebody has written the layer, else by the NumPy module."""
    exact = task.as_type(np.float64)
    try:
        runs = hand.runs(exact)
    except NotHere:
        runs = generated.runs(exact, modules("numpy"))
    return {name: run.numbers(run.call()) for name, run in runs.items()}


def errors(runs: Mapping[str, Runs], true: Mapping[str, tuple[Array, ...]]) -> dict[tuple[str, str], float]:
    """How far each participant's result of each pass is off, relative to the largest number of that result."""
    found: dict[tuple[str, str], float] = {}
    for who, passes in runs.items():
        for name, run in passes.items():
            results = run.numbers(run.call())
            found[who, name] = max(_error(a, b) for a, b in zip(results, true[name], strict=False))
    return found


def _error(found: Array, true: Array) -> float:
    if [n for n in found.shape if n != 1] != [n for n in true.shape if n != 1]:
        return float("inf")
    found = found.reshape(true.shape)  # libraries have axes of one element where the equations have none
    if not np.array_equal(np.isfinite(found), np.isfinite(true)):
        return float("inf")
    finite = np.isfinite(true)
    largest = float(np.abs(true[finite]).max(initial=0)) or 1.0
    return float(np.abs(found[finite] - true[finite]).max(initial=0)) / largest
