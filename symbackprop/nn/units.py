"""What a unit of a network is, as data: which generated layer it calls, and where the arguments come from.

The first argument of a call is what comes in from the unit before; the others are named, and each name stands for an
array that is trained, one that is kept (running statistics), or one that is drawn anew at every step (a mask).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from symbackprop.errors import UserError

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """The size of an axis of what comes in, `at` counted from the batch axis 0; or a part of it, one in `over`."""

    at: int
    over: int = 1


Length = int | Axis


@dataclass(frozen=True, slots=True)
class Trained:
    """A parameter: `start` is "random", "zeros" or "ones".

    A shift may say what tells the spread of the values that it shifts, in `spread`: the name of the array that holds
    their variance before the unit, and of the one whose size is their standard deviation behind it.
    """

    name: str
    axes: tuple[Length, ...]
    start: str = "random"
    spread: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """An array that is not trained. `follows` names the output of the training call that it is a running average of.

    With `unbiased` that output is a variance with divisor m, and what is averaged has the divisor m - 1.
    """

    name: str
    axes: tuple[Length, ...]
    start: float
    follows: str | None = None
    unbiased: bool = False


@dataclass(frozen=True, slots=True)
class Drawn:
    """A mask of zeros and ones in the shape of what comes in, with ones at the rate `1 - rate`."""

    name: str
    rate: float


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the generated module `layer` with hyperparameters `params`.

    `joined`: the layer takes two axes and treats all elements alike, so that all axes but the first are seen as one.
    """

    layer: str
    arguments: tuple[str, ...] = ()
    params: Mapping[str, float] = field(default_factory=dict)
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """How a running average takes in a new value.

    `weight_of="old"`: `average = momentum*average + (1 - momentum)*value` (iitp's 0.99 and 0.01).
    `weight_of="new"`: `average = (1 - momentum)*average + momentum*value` (PyTorch's 0.1).
    """

    momentum: float = 0.1
    weight_of: str = "new"

    def __post_init__(self) -> None:
        if self.weight_of not in ("old", "new"):
            raise UserError(f'weight_of: expected "old" or "new", came {self.weight_of!r}')
        if not 0 <= self.momentum <= 1:
            raise UserError(f"momentum: expected a number from 0 to 1, came {self.momentum}")

    @property
    def share(self) -> float:
        """The weight of the new value."""
        return self.momentum if self.weight_of == "new" else 1 - self.momentum


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of a network. `evaluation` is None where a unit passes everything on unchanged outside training."""

    kind: str
    training: Call
    evaluation: Call | None
    trained: tuple[Trained, ...] = ()
    kept: tuple[Kept, ...] = ()
    drawn: tuple[Drawn, ...] = ()
    running: Running = Running()


def length(axis: Length, incoming: Shape) -> int:
    """The size that a length comes to for what comes in.

    Raises: UserError where the axis is not there or cannot be divided.
    """
    if isinstance(axis, int):
        return axis
    if axis.at >= len(incoming):
        raise UserError(f"a parameter takes the size of axis {axis.at}, and what comes in has the shape {incoming}")
    if incoming[axis.at] % axis.over:
        raise UserError(f"axis {axis.at} of the shape {incoming} cannot be divided into {axis.over} groups")
    return incoming[axis.at] // axis.over


def shape_of(array: Trained | Kept, incoming: Shape) -> Shape:
    """The shape of an array of a unit for what comes in."""
    return tuple(length(axis, incoming) for axis in array.axes)


def names(units: tuple[Unit, ...]) -> tuple[str, ...]:
    """A name for each unit: its kind, counted where there are several."""
    kinds = [unit.kind for unit in units]
    return tuple(
        kind if kinds.count(kind) == 1 else f"{kind}{kinds[: at + 1].count(kind)}" for at, kind in enumerate(kinds)
    )
