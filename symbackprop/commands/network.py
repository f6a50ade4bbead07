"""`summary`, `train`: networks of generated layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from symbackprop.commands.options import terminal

if TYPE_CHECKING:
    from rich.table import Table

    from symbackprop.analysis.summary import Row

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
