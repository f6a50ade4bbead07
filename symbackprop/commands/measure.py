"""`bench`: times and memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from symbackprop.commands.options import terminal

if TYPE_CHECKING:
    from rich.console import Console

    from symbackprop.bench.timing import Figure


@click.command()
@click.argument("network", metavar="[NETWORK]", required=False)
@click.option("--quick", is_flag=True, help="Fewer repetitions and smaller arrays.")
@click.option(
    "--json", "json_file", metavar="FILE", type=click.Path(path_type=Path), help="Write the figures to FILE too."
)
def bench(network: str | None, quick: bool, json_file: Path | None) -> int:
    """Measure times and memory; exit status 1 if a bound is not kept.

    With NETWORK: an epoch of its training, with each backend and with PyTorch where it is installed.
    """
    from itertools import chain

    from symbackprop.bench.against_hand import hand_figures
    from symbackprop.bench.kernels import kernel_figures
    from symbackprop.bench.network import epoch_figures
    from symbackprop.bench.pipeline import pipeline_figures

    repeats = 3 if quick else 9
    all_of_it = chain(pipeline_figures(repeats), kernel_figures(repeats, quick), hand_figures(repeats, quick))
    console = terminal()
    figures: list[Figure] = []
    with console.status("measuring") as status:
        for figure in epoch_figures(network, quick) if network is not None else all_of_it:
            figures.append(figure)
            status.update(f"measured {figure.subject}, {figure.what}")
    _print(console, figures)
    if json_file is not None:
        _write(figures, json_file)
    return 0 if all(figure.within for figure in figures) else 1


def _print(console: Console, figures: list[Figure]) -> None:
    from rich.table import Table

    table = Table("subject", "what", title="medians, and the quartiles around them")
    for heading in ("median", "quartiles", "unit", "bound"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for f in figures:
        bound = "" if f.bound is None else f"{f.bound:g}" + ("" if f.within else " MISSED")
        table.add_row(f.subject, f.what, f"{f.median:.3g}", f"{f.low:.3g} - {f.high:.3g}", f.unit, bound, f.note)
    console.print(table)


def _write(figures: list[Figure], path: Path) -> None:
    import json
    import platform
    from importlib.metadata import version
    from pathlib import PurePosixPath

    from symbackprop.writing import write

    about = {"python": platform.python_version(), "machine": platform.machine(), "processors": _processors()}
    packages = {name: version(name) for name in ("numba", "numpy", "sympy")}
    text = json.dumps({"about": about | packages, "figures": [f.as_dict() for f in figures]}, indent=2) + "\n"
    write(path.parent, {PurePosixPath(path.name): text})


def _processors() -> int:
    import os

    return os.cpu_count() or 1
