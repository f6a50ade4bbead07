"""`summary`, `train`: networks of generated layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from symbackprop.commands.options import seed_option, terminal

if TYPE_CHECKING:
    from rich.table import Table

    from symbackprop.analysis.summary import Row
    from symbackprop.nn.training import Epoch

Shape = tuple[int, ...]


class ShapeType(click.ParamType[Shape]):
    """`1x28x28`: sizes of axes, each at least 1."""

    name = "shape"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Shape:
        """The sizes as a tuple."""
        if isinstance(value, tuple):
            return value
        parts = str(value).lower().replace("×", "x").split("x")
        if not all(part.isdecimal() and 0 < int(part) < 2**31 for part in parts):
            self.fail(f"{value} is no shape; write the sizes with x between them, as 1x28x28", param, ctx)
        return tuple(int(part) for part in parts)


@click.command()
@click.argument("name", metavar="NETWORK")
@click.option("--input", "image", metavar="CxHxW", type=ShapeType(), default="1x28x28", show_default=True)
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Images in a batch.")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True)
@click.option("--training", is_flag=True, help="The units as they are in training.  [default: outside it]")
def summary(name: str, image: Shape, batch: int, dtype: str, training: bool) -> None:
    """Print shapes, counts, memory and receptive fields of a network, all from its layers' equations."""
    from symbackprop.analysis.summary import summary as rows_of
    from symbackprop.nn.networks import network

    rows = rows_of(network(name), image, batch, 4 if dtype == "float32" else 8, training)
    terminal().print(_table(f"{name}, {batch} x {_times(image)} {dtype}", rows))


@click.command()
@click.argument("name", metavar="NETWORK")
@click.option("--backend", default="numba", show_default=True, help="numba or numpy.")
@click.option(
    "--backend-of",
    metavar="UNIT=NAME",
    multiple=True,
    help="Another backend for one unit (conv1), or all of a kind (conv).",
)
@click.option("--epochs", type=click.IntRange(min=1), default=10, show_default=True)
@click.option(
    "--regime",
    type=click.Choice(["batch", "incremental", "mini-batch"]),
    default="mini-batch",
    show_default=True,
    help="An update from all examples, from one, or from a few.",
)
@click.option("--size", type=click.IntRange(min=1), default=64, show_default=True, help="Examples in a mini-batch.")
@click.option("--rate", type=click.FloatRange(min=0), default=0.02, show_default=True, help="The learning rate.")
@click.option("--momentum", type=click.FloatRange(min=0, max=1), default=0.9, show_default=True)
@click.option("--decay", type=click.FloatRange(min=0), default=5e-4, show_default=True, help="Weight decay.")
@click.option("--floor", metavar="C", type=click.FloatRange(min=0), help="Hold beta of batch norm above -C*sigma.")
@click.option(
    "--floor-of",
    type=click.Choice(["input", "output"]),
    default="input",
    show_default=True,
    help="Whose sigma: of what batch norm takes in, or of what it gives (the size of gamma).",
)
@click.option("--initialiser", default="he", show_default=True, help="he, he-uniform, glorot or glorot-uniform.")
@click.option("--held-out", type=click.IntRange(min=1), default=1000, show_default=True, help="Digits to test on.")
@seed_option
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default="training",
    show_default=True,
    help="Write NETWORK.npz and NETWORK.png there after every epoch.",
)
@click.option("--resume", is_flag=True, help="Go on from DIR/NETWORK.npz; the other options must be the same.")
def train(name: str, epochs: int, out: Path, resume: bool, **options: Any) -> None:
    """Train a network of generated layers on handwritten digits.

    A run that was stopped leaves the checkpoint of its last epoch, and with --resume comes to the same weights as
    one in a single go.
    """
    from symbackprop.nn.digits import digits
    from symbackprop.nn.networks import network
    from symbackprop.nn.optimise import SGD
    from symbackprop.nn.plot import plot
    from symbackprop.nn.sequential import Sequential
    from symbackprop.nn.training import Plan, load_run, save_run, updates_of
    from symbackprop.nn.training import train as epochs_of

    backends = {unit: backend for unit, _, backend in (pair.partition("=") for pair in options.pop("backend_of"))}
    chosen = {"network": name, **options} | ({"backends": backends} if backends else {})
    units, data = network(name), digits(options["held_out"], options["seed"])
    settings = {key: options[key] for key in ("backend", "initialiser", "seed")}
    model = Sequential(units, data.images.shape[1:], **settings, backends=backends)
    optimiser = SGD(options["rate"], options["momentum"], options["decay"])
    plan = Plan(epochs, *(options[key] for key in ("regime", "size", "seed", "floor", "floor_of")))
    checkpoint, picture = out / f"{name}.npz", out / f"{name}.png"
    past = load_run(checkpoint, model, optimiser, chosen) if resume else []
    for epoch in past:
        click.echo(_told(epoch, epochs))
    with _Bar(updates_of(data, plan)) as bar:
        for epoch in epochs_of(model, optimiser, data, plan, len(past), bar.step):
            past.append(epoch)
            save_run(checkpoint, model, optimiser, past, chosen)
            plot(picture, f"{name}, {options['backend']}, seed {options['seed']}", past)
            bar.say(_told(epoch, epochs))
    click.echo(f"held out: {100 * past[-1].held_out_accuracy:.2f} % of {len(data.held_out_labels)} digits right")
    click.echo(f"wrote {checkpoint} and {picture}")


def _told(epoch: Epoch, epochs: int) -> str:
    training = f"loss {epoch.loss:.4f}, {100 * epoch.accuracy:.2f} %"
    held_out = f"held out {epoch.held_out_loss:.4f}, {100 * epoch.held_out_accuracy:.2f} %"
    return f"epoch {epoch.number:>2} of {epochs}: {training}; {held_out}; {epoch.seconds:.1f} s"


class _Bar:
    """A bar for the updates of the epoch at hand, on standard error if that is a terminal."""

    def __init__(self, updates: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        self._progress = Progress(*columns, console=terminal(stderr=True), transient=True)
        self._task = self._progress.add_task("", total=updates)

    def __enter__(self) -> _Bar:
        if self._progress.console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *raised: object) -> None:
        if self._progress.live.is_started:
            self._progress.stop()

    def step(self, update: int, loss: float) -> None:
        """An update is done."""
        self._progress.update(self._task, completed=update, description=f"loss {loss:.4f}")

    def say(self, line: str) -> None:
        """A line above the bar, which starts again."""
        if self._progress.live.is_started:
            self._progress.stop()
            click.echo(line)
            self._progress.reset(self._task)
            self._progress.start()
        else:
            click.echo(line)


def _table(title: str, rows: list[Row]) -> Table:
    from rich.table import Table

    from symbackprop.analysis.summary import totals

    table = Table("unit", "layer", title=title)
    for heading in ("output", "weights", "parameters", "multiply-adds", "memory", "bytes moved", "sees"):
        table.add_column(heading, justify="right")
    for row in rows:
        weights = ", ".join(_times(shape) for shape in row.weights.values())
        sizes = (_times(row.output), weights, *map(_count, (row.parameters, row.multiply_adds, row.memory, row.moved)))
        table.add_row(row.name, row.layer, *sizes, _times(row.field))
    table.add_section()
    total = totals(rows)
    sums = [_count(total[column]) for column in ("parameters", "multiply_adds", "memory", "moved")]
    table.add_row("total", "", "", "", *sums, "")
    return table


def _times(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _count(number: int) -> str:
    return f"{number:,}"
