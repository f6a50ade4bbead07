"""A network's units with their equations: what goes into each, what comes out, what it costs, how far it sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from symbackprop import equations
from symbackprop.analysis.bound import Shape, bind
from symbackprop.analysis.costs import Costs, costs
from symbackprop.analysis.reach import Interval, reach
from symbackprop.check.point import Point
from symbackprop.errors import UserError
from symbackprop.nn.units import Call, Kept, Trained, Unit, names, shape_of
from symbackprop.notation.layer import Layer


@dataclass(frozen=True, slots=True)
class Stage:
    """One unit at work: its layer at the sizes at hand. `outgoing` is the shape that the next unit gets."""

    name: str
    unit: Unit
    call: Call
    layer: Layer
    point: Point
    incoming: Shape
    outgoing: Shape
    trained: dict[str, Shape]
    kept: dict[str, Shape]

    @property
    def parameters(self) -> int:
        """How many numbers are trained here."""
        return sum(prod(shape) for shape in self.trained.values())

    @property
    def costs(self) -> Costs:
        """What a forward pass costs here."""
        return costs(self.layer, self.point)


def stages(
    units: Sequence[Unit], incoming: Shape, training: bool = False, load: Callable[[str], Layer] = equations.load
) -> tuple[Stage, ...]:
    """The units one after the other, from the shape that comes in, batch axis first.

    Each is taken as it is outside training, or with `training` as it is then; a unit that is there in training only
    is always taken so. Raises: UserError that names the unit where the shapes do not fit.
    """
    found: list[Stage] = []
    for name, unit in zip(names(tuple(units)), units, strict=True):
        try:
            call = unit.training if training or unit.evaluation is None else unit.evaluation
            found.append(_stage(name, unit, call, incoming, load(call.layer)))
        except UserError as error:
            raise UserError(f"unit {name}: {error}") from error
        incoming = found[-1].outgoing
    return tuple(found)


def _stage(name: str, unit: Unit, call: Call, incoming: Shape, layer: Layer) -> Stage:
    seen = _joined(call, incoming)
    own: tuple[Trained | Kept, ...] = (*unit.trained, *unit.kept)
    arrays = {array.name: array for array in own}
    first, *others = layer.inputs
    if len(others) != len(call.arguments):
        raise UserError(f"layer {layer.name} takes {len(others)} arrays beside x, given {len(call.arguments)}")
    shapes = {first.name: seen}
    for tensor, argument in zip(others, call.arguments, strict=True):
        shapes[tensor.name] = shape_of(arrays[argument], incoming) if argument in arrays else seen
    point = bind(layer, shapes, call.params)
    outgoing = point.shape(layer.outputs[0])
    return Stage(
        name,
        unit,
        call,
        layer,
        point,
        incoming,
        incoming if call.joined else outgoing,
        {a.name: shape_of(a, incoming) for a in unit.trained},
        {a.name: shape_of(a, incoming) for a in unit.kept},
    )


def _joined(call: Call, shape: Shape) -> Shape:
    return (shape[0], prod(shape[1:])) if call.joined else shape


def receptive_field(chain: Sequence[Stage], inside: bool = True) -> tuple[Interval, ...]:
    """The region of the network's input that acts on the element in the middle of what comes out, for each axis.

    With `inside` it ends where the image ends; without, padding counts as seen.
    """
    region = tuple((n // 2, n // 2) for n in chain[-1].outgoing)
    for stage in reversed(chain):
        if not stage.call.joined:  # else each element sees itself
            data = stage.layer.inputs[0].name
            region = reach(stage.layer, stage.point, stage.layer.outputs[0], region, inside)[data]
    return region
