"""The table of a network: for each unit shapes, counts, memory and receptive field, and the totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from symbackprop.analysis.bound import Shape
from symbackprop.analysis.network import Stage, receptive_field, stages
from symbackprop.nn.units import Unit


@dataclass(frozen=True, slots=True)
class Row:
    """One unit. Shapes are without the batch axis; bytes are of the whole batch.

    `memory` is what comes out, `moved` what has to be read and written at least once. `field` is the receptive field
    of an element far from every border, for each axis of the network's input behind the channels; no larger than
    the image.
    """

    name: str
    layer: str
    output: Shape
    weights: dict[str, Shape]
    parameters: int
    multiply_adds: int
    operations: int
    memory: int
    moved: int
    field: Shape


def summary(
    units: Sequence[Unit], image: Shape, batch: int = 1, itemsize: int = 4, training: bool = False
) -> list[Row]:
    """The rows of a network for images of a shape (channels first), one for each unit.

    Raises: UserError that names the unit where the shapes do not fit.
    """
    chain = stages(units, (batch, *image), training)
    return [_row(chain[: at + 1], itemsize) for at in range(len(chain))]


def _row(chain: Sequence[Stage], itemsize: int) -> Row:
    stage, image = chain[-1], chain[0].incoming
    costs = stage.costs
    return Row(
        stage.name,
        stage.layer.name,
        stage.outgoing[1:],
        stage.trained,
        stage.parameters,
        costs.multiply_adds,
        costs.operations,
        prod(stage.outgoing) * itemsize,
        costs.moved * itemsize,
        field_sizes(chain)[2:] if len(image) > 2 else field_sizes(chain)[1:],
    )


def field_sizes(chain: Sequence[Stage]) -> Shape:
    """The size of the receptive field along each axis of the input, no larger than the input."""
    region = receptive_field(chain, inside=False)
    return tuple(min(high - low + 1, n) for (low, high), n in zip(region, chain[0].incoming, strict=True))


def totals(rows: Sequence[Row]) -> dict[str, int]:
    """The sums over all rows, by the name of the column."""
    columns = ("parameters", "multiply_adds", "operations", "memory", "moved")
    return {column: sum(getattr(row, column) for row in rows) for column in columns}
