"""How far an element sees: the part of an input that can act on it, from the index maps of the equations.

A region is an interval for each axis. Going backward through a definition, an index expression over intervals gives the
interval that it reads; what several reads of one tensor reach is joined to the smallest box around both.
"""

from __future__ import annotations

from collections.abc import Mapping

from symbackprop.check.point import Point
from symbackprop.errors import UserError
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import (
    Add,
    Clip,
    Expr,
    FloorDiv,
    Index,
    Mod,
    Mul,
    Number,
    Parameter,
    Read,
    Reduce,
    Size,
    parts,
)

Interval = tuple[int, int]  # both ends belong to it
Region = tuple[Interval, ...]
Values = Mapping[Index, Interval]


def reach(layer: Layer, point: Point, output: str, region: Region, inside: bool = True) -> dict[str, Region]:
    """The region of every input that acts on `region` of an output; inputs that do not act on it are left out.

    With `inside` a region ends where its tensor ends; without, padding counts as seen.
    """
    seen: dict[str, Region] = {output: region}
    for definition in reversed(layer.definitions):
        if definition.name in seen:
            values = dict(zip(definition.indices, seen[definition.name], strict=True))
            _collect(definition.body, values, point, seen)
    names = [tensor.name for tensor in layer.inputs if tensor.name in seen]
    return {name: _cut(seen[name], point.shape(name)) if inside else seen[name] for name in names}


def _collect(expr: Expr, values: Values, point: Point, seen: dict[str, Region]) -> None:
    if isinstance(expr, Reduce):
        bound = {index: (0, point.extent(index.extent) - 1) for index in expr.indices}
        _collect(expr.body, {**values, **bound}, point, seen)
        return
    if isinstance(expr, Read):
        found = tuple(
            interval(index, values, point, point.shape(expr.tensor)[at]) for at, index in enumerate(expr.indices)
        )
        seen[expr.tensor] = _joined(seen.get(expr.tensor, found), found)
    for part in parts(expr):
        _collect(part, values, point, seen)


def _joined(left: Region, right: Region) -> Region:
    return tuple((min(a, c), max(b, d)) for (a, b), (c, d) in zip(left, right, strict=True))


def _cut(region: Region, shape: tuple[int, ...]) -> Region:
    return tuple((max(low, 0), min(high, n - 1)) for (low, high), n in zip(region, shape, strict=True))


def interval(expr: Expr, values: Values, point: Point, axis: int) -> Interval:
    """The interval of an index expression over intervals; the whole `axis` where an element of a tensor decides."""
    inner = [interval(part, values, point, axis) for part in parts(expr)] if not isinstance(expr, Read) else []
    match expr:
        case Number(value):
            return int(value), int(value)
        case Size(name):
            return point.size(name), point.size(name)
        case Parameter(name):
            return int(point.parameter(name)), int(point.parameter(name))
        case Index():
            return values[expr]
        case Add():
            return sum(low for low, _ in inner), sum(high for _, high in inner)
        case Mul():
            result = inner[0]
            for other in inner[1:]:
                ends = [a * b for a in result for b in other]
                result = min(ends), max(ends)
            return result
        case FloorDiv():
            ends = [a // b for a in inner[0] for b in inner[1]]
            return min(ends), max(ends)
        case Mod():
            return _remainders(inner[0], inner[1][0])
        case Clip():
            (low, high), least, most = inner[0], inner[1][0], inner[2][1]
            return min(max(low, least), most), min(max(high, least), most)
        case Read():
            return 0, axis - 1
        case _:
            raise UserError(f"how far an index of the form {type(expr).__name__} reaches is not known")


def _remainders(dividend: Interval, divisor: int) -> Interval:
    low, high = dividend
    if low // divisor == high // divisor:
        return low % divisor, high % divisor
    return min(0, divisor + 1), max(0, divisor - 1)
