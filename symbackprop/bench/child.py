"""A run in a process of its own: `python -m symbackprop.bench.child ORDER.json RESULT.json`.

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
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from symbackprop.bench.cases import SHAPES, chosen
from symbackprop.bench.limits import processors
from symbackprop.bench.network import epoch_figures
from symbackprop.bench.own import finite, own_case, own_modules
from symbackprop.bench.table import Settings, Table, measured, table_of
from symbackprop.bench.timing import Figure
from symbackprop.build import load
from symbackprop.errors import InternalError, UserError

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
    return table_of(_in_child(asdict(order), order.settings.threads, watch))


def epoch_in_child(network: str, quick: bool, watch: Callable[[str], None]) -> list[Figure]:
    """The epochs of a network, in such a process. Raises: UserError as the child says."""
    found = _in_child({"network": network, "quick": quick}, processors(), watch)
    return [Figure(**one) for one in found["figures"]]


def _in_child(order: dict[str, Any], threads: int, watch: Callable[[str], None]) -> dict[str, Any]:
    with TemporaryDirectory(prefix="symbackprop-bench-") as folder:
        asked, given = Path(folder, "order.json"), Path(folder, "result.json")
        asked.write_text(json.dumps(order), encoding="utf-8")
        command = [sys.executable, "-m", "symbackprop.bench.child", str(asked), str(given)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=child_environment(threads)) as child:
            for line in child.stdout or ():
                watch(line.strip())
        if not given.exists():
            raise InternalError(f"the process that measures ended with status {child.returncode}")
        found: dict[str, Any] = json.loads(given.read_text(encoding="utf-8"))
    if "refused" in found:
        raise UserError(found["refused"])
    return found


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
        modules = own_modules(layer, Path(folder))
        case = finite(own_case(layer, order.sizes, order.params), layer, modules)
        return measured([case], lambda name: layer, lambda name, backend: modules[backend], order.settings, watch)


def _built_in_module(layer: str, backend: str) -> Any:
    return import_module(f"symbackprop.generated.{backend}.{layer}")


def _order_of(stored: dict[str, Any]) -> Order:
    settings = stored["settings"] | {"participants": tuple(stored["settings"]["participants"])}
    return Order(**(stored | {"settings": Settings(**settings), "filters": tuple(stored["filters"])}))


def main() -> None:
    """What the child does."""
    asked, given = map(Path, sys.argv[1:3])
    order = json.loads(asked.read_text(encoding="utf-8"))
    if find_spec("torch") is not None:
        # before anything runs in threads: behind another OpenMP its nested products take fifty times as long
        import_module("torch")
    watch = partial(print, flush=True)
    result: dict[str, Any]
    try:
        if "network" in order:
            result = {"figures": [asdict(f) for f in epoch_figures(order["network"], order["quick"], watch=watch)]}
        else:
            result = perform(_order_of(order), watch).as_dict()
    except UserError as error:
        result = {"refused": str(error)}
    given.write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
