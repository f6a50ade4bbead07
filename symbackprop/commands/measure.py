"""`bench`: times and memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from symbackprop.commands.options import names_in, terminal

if TYPE_CHECKING:
    from rich.console import Console

    from symbackprop.bench.timing import Figure


class PairType(click.ParamType[tuple[str, float]]):
    """`N=32`: a name and a number."""

    name = "pair"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """The name and the number."""
        if isinstance(value, tuple):
            return value
        name, sign, number = str(value).partition("=")
        try:
            return name.strip(), float(number)
        except ValueError:
            reason = f"{number!r} is no number" if sign else f"{value} has no = in it"
            self.fail(f"{reason}; write NAME=NUMBER", param, ctx)


@click.command()
@click.argument("what", metavar="[table|NETWORK|LAYER|FILE]", required=False)
@click.option("--quick", is_flag=True, help="Fewer repetitions and smaller arrays.")
@click.option(
    "--json", "json_file", metavar="FILE", type=click.Path(path_type=Path), help="Write the figures to FILE too."
)
@click.option("--plot", "picture", metavar="FILE.png", type=click.Path(path_type=Path), help="Draw the ratios there.")
@click.option("--check", is_flag=True, help="Compare every result with float64 first; status 1 if one is wrong.")
@click.option("--rows", metavar="TEXTS", help="table: only rows with one of these in their name, commas between them.")
@click.option("--shapes", type=click.Choice(["table", "odd", "all"]), help="table: which.  [default: table]")
@click.option("--runs", type=click.IntRange(1, 99), help="Medians of so many runs.  [default: 1]")
@click.option("--peers", metavar="NAMES", help="torch, jax, onnxruntime, hand, numpy.  [default: all of them]")
@click.option("--threads", type=click.IntRange(1, 1024), help="For everybody.  [default: the processors]")
@click.option("--size", "sizes", metavar="N=32", type=PairType(), multiple=True, help="LAYER: the size of an axis.")
@click.option("--param", "params", metavar="pad=1", type=PairType(), multiple=True, help="LAYER: a parameter.")
def bench(what: str | None, quick: bool, json_file: Path | None, **options: Any) -> int:
    """Measure times and memory; exit status 1 if a bound is not kept.

    \b
    table     convolutions, products, norms and others beside PyTorch, JAX, onnxruntime and NumPy by hand
    NETWORK   an epoch of its training, with each backend and with PyTorch where it is installed
    LAYER     forward and backward of a layer, or of a FILE of equations, at the sizes of --size
    nothing   derivations, start times, what calls cost, memory, NumPy modules beside versions by hand
    """
    from symbackprop.nn.networks import NETWORKS

    if what is not None and what not in NETWORKS:
        return _table(what, quick, json_file, options)
    meant = [f"--{'json' if k == 'json_file' else k}" for k, v in options.items() if v]
    if meant:
        raise click.UsageError(f"{', '.join(meant)}: only for `bench table` and `bench LAYER`")
    return _figures(what, quick, json_file)


def _table(what: str, quick: bool, json_file: Path | None, options: dict[str, Any]) -> int:
    from symbackprop.bench.child import Order, run_in_child
    from symbackprop.bench.limits import processors
    from symbackprop.bench.participants import EVERYBODY
    from symbackprop.bench.table import Settings, combined
    from symbackprop.bench.table_report import as_json, conclusions, plot, refuse_without_matplotlib, shown, wrong_lines

    peers = names_in(options["peers"], "--peers") if options["peers"] else EVERYBODY[1:]
    unknown = next((name for name in peers if name not in EVERYBODY), None)
    if unknown is not None:
        raise click.UsageError(f"there is no peer {unknown}; choose from {', '.join(EVERYBODY[1:])}")
    if options["picture"] is not None:
        refuse_without_matplotlib()
    threads = options["threads"] or processors()
    asked = tuple(name for name in EVERYBODY if name == "numba" or name in peers)
    settings = Settings(asked, threads, *((3, 0.005) if quick else (7, 0.02)), options["check"])
    order = Order(settings, **_rows_or_layer(what, options))
    runs, console, tables = options["runs"] or 1, terminal(width=190), []
    with console.status("starting") as status:
        for number in range(1, runs + 1):
            say = lambda row, at=number: status.update(f"run {at} of {runs}: {row}")  # noqa: E731
            tables.append(run_in_child(order, say))
    results = combined(tables)
    title = f"{what}, float32, milliseconds, {threads} threads" + (f", medians of {runs} runs" if runs > 1 else "")
    console.print(shown(results, title))
    missed = asked if what == "table" or options["peers"] else ()  # few layers have twins elsewhere
    for line in conclusions(results, tables, missed):
        click.echo(line)
    if json_file is not None:
        _write_json(as_json(results, tables, _about()), json_file)
    if options["picture"] is not None:
        plot(options["picture"], results, title)
    return 1 if wrong_lines(results) else 0


def _rows_or_layer(what: str, options: dict[str, Any]) -> dict[str, Any]:
    """The rest of an order. Raises: click.UsageError for options that do not belong together."""
    if what == "table":
        if options["sizes"] or options["params"]:
            raise click.UsageError("--size, --param: only for `bench LAYER`; the rows of the table have theirs")
        rows = names_in(options["rows"], "--rows") if options["rows"] else ()
        return {"shapes": options["shapes"] or "table", "filters": rows}
    if options["shapes"] or options["rows"]:
        raise click.UsageError("--shapes, --rows: only for `bench table`")
    fraction = next((name for name, size in options["sizes"] if size != int(size) or size < 1), None)
    if fraction is not None:
        raise click.UsageError(f"--size {fraction}: expected a whole number from 1 on")
    return {"layer": what, "sizes": {n: int(v) for n, v in options["sizes"]}, "params": dict(options["params"])}


def _figures(network: str | None, quick: bool, json_file: Path | None) -> int:
    from itertools import chain

    from symbackprop.bench.against_hand import convolution_figures, hand_figures
    from symbackprop.bench.calls import call_figures
    from symbackprop.bench.child import epoch_in_child
    from symbackprop.bench.kernels import kernel_figures
    from symbackprop.bench.pipeline import pipeline_figures

    repeats = 3 if quick else 9
    by_hand = chain(hand_figures(repeats, quick), convolution_figures(repeats, quick))
    kernels = chain(call_figures(repeats, quick), kernel_figures(repeats, quick))
    all_of_it = chain(pipeline_figures(repeats), kernels, by_hand)
    console = terminal()
    figures: list[Figure] = []
    with console.status("measuring") as status:
        if network is not None:
            figures += epoch_in_child(network, quick, status.update)
            all_of_it = chain()
        for figure in all_of_it:
            figures.append(figure)
            status.update(f"measured {figure.subject}, {figure.what}")
    _print(console, figures)
    if json_file is not None:
        _write_json({"about": _about(), "figures": [f.as_dict() for f in figures]}, json_file)
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


def _write_json(content: dict[str, Any], path: Path) -> None:
    import json
    from pathlib import PurePosixPath

    from symbackprop.writing import write

    write(path.parent, {PurePosixPath(path.name): json.dumps(content, indent=2) + "\n"})


def _about() -> dict[str, Any]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from symbackprop.bench.limits import processors

    about: dict[str, Any] = {"python": platform.python_version(), "machine": platform.machine()}
    about["processors"] = processors()
    for name in ("numba", "numpy", "sympy", "torch", "jax", "onnxruntime"):
        try:
            about[name] = version(name)
        except PackageNotFoundError:
            continue
    return about


@click.command()
@click.option("--seconds", type=click.FloatRange(min=0), default=120, show_default=True, help="About how long.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the work that is timed.")
@click.option("--forget", is_flag=True, help="Remove what was found, and plan with the usual constants again.")
def tune(seconds: float, seed: int, forget: bool) -> None:
    """Search constants for the planning of contractions, and save them for this machine.

    Nothing has to be tuned: the usual constants come from a model of the processor. Results do not change by more than
    rounding.
    """
    from symbackprop.bench import tune as tuning

    if forget:
        click.echo(f"{'removed' if tuning.forget() else 'there is no'} {tuning.saved_at()}")
        return
    console, trials = terminal(stderr=True), []
    with console.status("preparing") as status:
        for trial in tuning.search(seconds, seed, status.update):
            trials.append(trial)
            told = f"{trial.before:g} stays" if trial.after == trial.before else f"{trial.before:g} -> {trial.after:g}"
            saved = "" if trial.after == trial.before else f", which saves {100 * (1 - trial.share):.0f} % of the time"
            click.echo(f"{trial.name}: {told}{saved}")
    missed = len(tuning.constants()) - len(trials)
    if missed:
        click.echo(f"{missed} constants were not tried; give more --seconds")
    if any(trial.after != trial.before for trial in trials):
        click.echo(f"wrote {tuning.save(trials)}")
    else:
        click.echo("nothing was found that is faster; nothing was written")
