"""A run of the table in a process of its own: `python -m symbackprop.bench.child ORDER.json RESULT.json`.

A library's allocator and its threads follow from the environment that a process starts with, so the command starts
one with the environment in which PyTorch is at its best. The names of rows go to standard output as they begin.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from symbackprop.bench.cases import FORWARD, SHAPES, Case, Pass, chosen
from symbackprop.bench.table import Settings, Table, measured, table_of
from symbackprop.bench.tasks import task
from symbackprop.build import BACKENDS, load, texts
from symbackprop.errors import InternalError, UserError
from symbackprop.modules import imported, is_built_in
from symbackprop.notation.layer import Layer

# glibc gives large arrays back to the system at once and pays for every page anew at the next call; so it keeps them
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "268435456",
}
# threads of OpenBLAS wait for more work on the processors that the next participant needs: for 2^18 cycles, not 2^26
WAITING = {"OPENBLAS_THREAD_TIMEOUT": "18"}
THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Order:
    """What to measure: rows of the table, or the layer of a name or a file at sizes."""

    settings: Settings
    shapes: str = "table"
    filters: tuple[str, ...] = ()
    layer: str | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    params: dict[str, float] = field(default_factory=dict)


def run_in_child(order: Order, watch: Callable[[str], None]) -> Table:
    """One run, in a process that has PyTorch at its best. Raises: UserError as the child says."""
    with TemporaryDirectory(prefix="symbackprop-bench-") as folder:
        asked, given = Path(folder, "order.json"), Path(folder, "result.json")
        asked.write_text(json.dumps(asdict(order)), encoding="utf-8")
        command = [sys.executable, "-m", "symbackprop.bench.child", str(asked), str(given)]
        environment = child_environment(order.settings.threads)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
            for line in child.stdout or ():
                watch(line.strip())
        if not given.exists():
            raise InternalError(f"the process that measures ended with status {child.returncode}")
        found = json.loads(given.read_text(encoding="utf-8"))
    if "refused" in found:
        raise UserError(found["refused"])
    return table_of(found)


def child_environment(threads: int) -> dict[str, str]:
    """The environment of a run: the allocator keeps its memory, everybody has the same number of threads."""
    here = str(Path(__file__).parents[2])
    path = os.pathsep.join(p for p in (here, os.environ.get("PYTHONPATH", "")) if p)
    return {**os.environ, **MALLOC, **WAITING, **dict.fromkeys(THREADS, str(threads)), "PYTHONPATH": path}


def perform(order: Order, watch: Callable[[str], None]) -> Table:
    """One run, here."""
    if order.layer is None:
        cases = chosen(SHAPES[order.shapes], order.filters)
        if not cases:
            raise UserError(f"no row has {' or '.join(order.filters)} in its name")
        return measured(cases, load, _built_in_module, order.settings, watch)
    layer = load(order.layer)
    with TemporaryDirectory(prefix="symbackprop-bench-") as folder:
        modules = _own_modules(layer, Path(folder))
        case = _finite(own_case(layer, order.sizes, order.params), layer, modules)
        return measured([case], lambda name: layer, lambda name, backend: modules[backend], order.settings, watch)


def _built_in_module(layer: str, backend: str) -> Any:
    return import_module(f"symbackprop.generated.{backend}.{layer}")


def _own_modules(layer: Layer, folder: Path) -> dict[str, Any]:
    if is_built_in(layer):
        return {backend: _built_in_module(layer.name, backend) for backend in BACKENDS}
    made = texts([layer], tuple(BACKENDS))
    return {b: imported(layer.name, b, made[PurePosixPath(b, f"{layer.name}.py")], folder) for b in BACKENDS}


def own_case(layer: Layer, sizes: dict[str, int], params: dict[str, float]) -> Case:
    """Forward and backward of a layer at sizes.

    Raises: UserError where a size is missing or unknown.
    """
    from symbackprop.check.cases import free_sizes

    names = free_sizes(layer)
    for name in sizes:
        if name not in names:
            raise UserError(f"layer {layer.name} has no size {name} to choose; it has {', '.join(names) or 'none'}")
    missing = [name for name in names if name not in sizes]
    if missing:
        asked = " ".join(f"--size {name}=..." for name in missing)
        raise UserError(f"layer {layer.name} needs sizes to be timed at; add {asked}")
    shapes = _shapes(layer, sizes, params)
    whole = {p.name for p in layer.parameters if p.integer}
    given = {name: int(value) if name in whole else value for name, value in params.items()}
    backward = Pass("backward", tuple(t.name for t in layer.real_inputs))
    return Case(layer.name, shapes, (FORWARD, backward) if backward.wrt else (FORWARD,), given)


def _shapes(layer: Layer, sizes: dict[str, int], params: dict[str, float]) -> dict[str, tuple[int, ...]]:
    from fractions import Fraction

    from symbackprop.check.arithmetic import Float64
    from symbackprop.check.exact import lean
    from symbackprop.check.point import Point

    unknown = next((name for name in params if name not in {p.name for p in layer.parameters}), None)
    if unknown is not None:
        known = ", ".join(p.name for p in layer.parameters) or "none"
        raise UserError(f"layer {layer.name} has no parameter {unknown}; it has {known}")
    values = {p.name: lean(Fraction(params.get(p.name, p.default))) for p in layer.parameters}
    point = Point(layer, Float64(), sizes, values)
    return {tensor.name: point.shape(tensor.name) for tensor in layer.inputs}


def _finite(case: Case, layer: Layer, modules: dict[str, Any]) -> Case:
    """The case with positive inputs where normal ones lead to what is not finite: a logarithm, a root."""
    import numpy as np

    drawn = task(case, layer)
    with np.errstate(all="ignore"):
        output, _ = modules["numpy"].forward(*drawn.inputs.values(), **case.params)
    if np.isfinite(output if isinstance(output, np.ndarray | np.generic) else output[0]).all():
        return case
    return Case(case.layer, case.shapes, case.passes, case.params, tuple(t.name for t in layer.real_inputs))


def _order_of(stored: dict[str, Any]) -> Order:
    settings = stored["settings"] | {"participants": tuple(stored["settings"]["participants"])}
    return Order(**(stored | {"settings": Settings(**settings), "filters": tuple(stored["filters"])}))


def main() -> None:
    """What the child does."""
    asked, given = map(Path, sys.argv[1:3])
    order = _order_of(json.loads(asked.read_text(encoding="utf-8")))
    if "torch" in order.settings.participants and find_spec("torch") is not None:
        # before anything runs in threads: behind another OpenMP its nested products take fifty times as long
        import_module("torch")
    try:
        result = perform(order, partial(print, flush=True)).as_dict()
    except UserError as error:
        result = {"refused": str(error)}
    given.write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
