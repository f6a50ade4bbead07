"""What a person waits for: a derivation, all modules, `--help`, the import of a generated module."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial

from symbackprop.bench.timing import Figure, figure, in_turns
from symbackprop.build import BACKENDS, built_in, derive, texts
from symbackprop.errors import CheckFailed

HEAVY = ("jinja2", "lark", "rich", "sympy", "symbackprop.build", "symbackprop.calculus", "symbackprop.notation")


def pipeline_figures(repeats: int) -> Iterator[Figure]:
    """Derivation of each built-in layer, regeneration of everything, `--help`, imports."""
    layers = built_in()
    for layer in layers:
        seconds = in_turns({"derive": partial(derive, layer)}, repeats)["derive"]
        bound = max(1.0, 0.25 * len(layer.definitions))
        yield figure(layer.name, "derivation", "s", seconds, bound=bound)
    everything = in_turns({"all": partial(texts, layers, tuple(BACKENDS))}, 1)["all"]
    yield figure("all layers", "regeneration", "s", everything, bound=20.0, note=f"{len(layers)} layers")
    yield from _start_figures(repeats)


def _start_figures(repeats: int) -> Iterator[Figure]:
    name = "symbackprop.generated.numpy.conv2d"
    loaded = _python(f"import sys, {name}; print(*sys.modules)").split()
    found = [module for module in loaded if module in HEAVY]
    if found:
        raise CheckFailed(f"importing {name} imports {', '.join(found)}")
    seconds = in_turns(
        {
            "--help": partial(_run, ["-m", "symbackprop", "--help"]),
            "import": partial(_run, ["-c", f"import {name}"]),
            "numpy": partial(_run, ["-c", "import numpy"]),
        },
        repeats,
    )
    yield figure("command line", "--help", "s", seconds["--help"], bound=0.3)
    yield figure(name, "import", "s", seconds["import"], note="imports neither sympy nor the package's core")
    yield figure("numpy", "import", "s", seconds["numpy"], note="for comparison")


def _run(arguments: list[str]) -> str:
    return subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True).stdout


def _python(code: str) -> str:
    return _run(["-c", code])
