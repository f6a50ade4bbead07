"""The table for people, for machines, and as a picture."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbackprop.bench.participants import CLOSE, EVERYBODY
from symbackprop.bench.table import COMPARED, Result, Table, geometric_mean
from symbackprop.errors import UserError

if TYPE_CHECKING:
    from rich.table import Table as RichTable

HEADINGS = {
    "numba": "ours",
    "numpy": "NumPy",
    "torch": "PyTorch",
    "jax": "JAX",
    "onnxruntime": "ONNX",
    "hand": "by hand",
}


def shown(results: Sequence[Result], title: str) -> RichTable:
    """Milliseconds: medians, and for the two that are compared the bests; the ratios; the shares of the limits."""
    from rich import box
    from rich.table import Table as RichTable

    everybody = [who for who in EVERYBODY if any(who in r.seconds for r in results)]
    table = RichTable("row", title=title, box=box.SIMPLE)
    for who in everybody:
        table.add_column(HEADINGS.get(who, who), justify="right")
        if who in COMPARED:
            table.add_column("best", justify="right")
            table.add_column("spread", justify="right")
    for heading in ("ratio", "of bests", "of peak", "of copy"):
        table.add_column(heading, justify="right")
    for r in results:
        table.add_row(r.name, *_times(r, everybody), *map(_ratio, (r.ratio, r.best_ratio)), *_shares(r))
    return table


def _times(result: Result, everybody: Sequence[str]) -> list[str]:
    cells = []
    for who in everybody:
        found = result.seconds.get(who)
        cells.append(f"{1000 * found.median:.3g}" if found else "")
        if who in COMPARED:
            cells.append(f"{1000 * found.best:.3g}" if found else "")
            cells.append(f"{100 * (found.high - found.low) / found.median:.0f} %" if found else "")
    return cells


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _shares(result: Result) -> list[str]:
    return [f"{100 * share:.0f} %" if share else "" for share in (result.of_peak, result.of_copy)]


def conclusions(results: Sequence[Result], tables: Sequence[Table], asked: Sequence[str]) -> list[str]:
    """What the table comes to: the limits, the mean, what falls short, what is wrong, who was not there."""
    peak, copy = max(t.peak for t in tables) / 1e9, max(t.copy for t in tables) / 1e9
    lines = [f"limits: {peak:.0f} GFLOP/s in multiply-adds from registers, {copy:.1f} GB/s in copying"]
    rated = [r for r in results if r.ratio is not None]
    if rated:
        mean = geometric_mean([r.ratio for r in rated if r.ratio is not None])
        lines.append(f"PyTorch's time over ours: geometric mean {mean:.2f} over {len(rated)} rows")
        lines += [f"below 1.0: {r.name}: {r.ratio:.2f} ({_ratio(r.best_ratio)} of bests)" for r in behind(rated)]
    lines += wrong_lines(results)
    for who in asked:
        reasons = dict.fromkeys(r.absent[who] for r in results if who in r.absent)
        layers = {reason: dict.fromkeys(r.layer for r in results if r.absent.get(who) == reason) for reason in reasons}
        lines += [f"not measured: {who} on {', '.join(layers[reason])}: {reason}" for reason in reasons]
    return lines


def behind(results: Sequence[Result]) -> list[Result]:
    """The rows in which PyTorch is faster, the slowest of ours first."""
    found = [(r.ratio, r) for r in results if r.ratio is not None and r.ratio < 1]
    return [r for _, r in sorted(found, key=lambda pair: pair[0])]


def wrong_lines(results: Sequence[Result]) -> list[str]:
    """A line for each result that is too far from the one in float64."""
    return [
        f"WRONG: {r.name}: {HEADINGS.get(who, who)} is off by {r.errors[who]:.1e} of the largest number, "
        f"where {CLOSE[who]:g} is allowed"
        for r in results
        for who in r.wrong
    ]


def as_json(results: Sequence[Result], tables: Sequence[Table], about: dict[str, Any]) -> dict[str, Any]:
    """All numbers, with each run."""
    rated = [r.ratio for r in results if r.ratio is not None]
    return {
        "about": about,
        "geometric_mean": geometric_mean(rated) if rated else None,
        "below_1": [r.name for r in behind(results)],
        "rows": [asdict(r) for r in results],
        "runs": [t.as_dict() for t in tables],
    }


def plot(path: Path, results: Sequence[Result], title: str) -> None:
    """Write the ratios as PNG, a bar for each row; where nobody is compared with, the shares of the limits.

    Raises: UserError where matplotlib is not installed.
    """
    refuse_without_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rated = [r for r in results if r.ratio is not None]
    figure = Figure(figsize=(11, 1.5 + 0.24 * len(results)), layout="constrained")
    FigureCanvasAgg(figure)  # no window, no screen
    axes = figure.subplots()
    if rated:
        _bars(axes, rated)
        title = f"{title}; geometric mean {geometric_mean([r.ratio for r in rated if r.ratio is not None]):.2f}"
    else:
        _limits(axes, results)
    axes.set_title(title, loc="left", fontsize=10)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(beside, format="png", dpi=110)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def refuse_without_matplotlib() -> None:
    """Raises: UserError where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError("the plot needs matplotlib; pip install 'symbackprop[bench]'")


def _bars(axes: Any, results: Sequence[Result]) -> None:
    """Ratios on a logarithmic axis, with the range of the runs as a line."""
    ratios = [r.ratio or 1.0 for r in results]
    below = [ratio - min(r.ratios) for ratio, r in zip(ratios, results, strict=True)]
    above = [max(r.ratios) - ratio for ratio, r in zip(ratios, results, strict=True)]
    colours = ["#2a7f62" if ratio >= 1 else "#b5483a" for ratio in ratios]
    places = range(len(results))
    widths = [ratio - 1 for ratio in ratios]
    axes.barh(places, widths, left=1, color=colours, height=0.7)
    axes.errorbar(ratios, places, xerr=[below, above], fmt="none", ecolor="#333333", elinewidth=1)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    marks = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
    ticks = [t for t in marks if min(ratios) / 2 <= t <= max(ratios) * 2]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.set_yticks(places, [r.name for r in results], fontsize=7)
    axes.set_xlabel("PyTorch's time / ours")
    axes.grid(axis="x", alpha=0.3)


def _limits(axes: Any, results: Sequence[Result]) -> None:
    places = range(len(results))
    axes.barh([p - 0.2 for p in places], [100 * r.of_peak for r in results], height=0.4, label="of the peak")
    axes.barh([p + 0.2 for p in places], [100 * r.of_copy for r in results], height=0.4, label="of copying")
    axes.set_yticks(places, [r.name for r in results], fontsize=8)
    axes.set_xlabel("% of what the machine reaches")
    axes.legend()
