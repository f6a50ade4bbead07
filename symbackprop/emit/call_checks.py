"""What a call must satisfy, as lines of Python: types, ranks, sizes, requirements, and reads that stay inside.

The same for every array backend. Each line calls one of the helpers in `templates/_helpers.py.jinja`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from symbackprop.calculus.integer import Facts, holds
from symbackprop.emit.numpy_context import layer_context
from symbackprop.emit.numpy_writer import Writer, integer_value
from symbackprop.emit.spelling import AND, PRODUCT, condition, identifier, integer
from symbackprop.notation import printer
from symbackprop.notation.binding import free_indices
from symbackprop.notation.layer import Hyperparameter, Layer, Tensor
from symbackprop.notation.nodes import (
    ZERO,
    Arg,
    Compare,
    Expr,
    FloorDiv,
    Index,
    Logic,
    Mod,
    Number,
    Parameter,
    Read,
    Size,
    Where,
    mul,
    parts,
    rebuild,
    walk,
)
from symbackprop.program.affine import affine, bounds, replace
from symbackprop.program.extents import all_sizes, name_extents


def parameter_check(parameter: Hyperparameter) -> str:
    """The call that checks one hyperparameter and gives it its Python type."""
    name = identifier(parameter.name)
    if not parameter.integer:
        return f'_real("{parameter.name}", {name})'
    below = ", negative=True" if parameter.default < 0 else ""
    return f'_integer("{parameter.name}", {name}{below})'


def default_text(parameter: Hyperparameter) -> str:
    """The default of a hyperparameter as Python text: `1e-05`, `2`."""
    if parameter.integer:
        return str(parameter.default)
    return repr(float(parameter.default))


def call_checks(layer: Layer, conditions: tuple[Expr, ...]) -> tuple[str, ...]:
    """All checks of a call of `forward`, in the order in which each finds what it needs.

    Gives: the parameters and arrays converted, and every size of the layer bound to its name.
    """
    lines = [f"{identifier(p.name)} = {parameter_check(p)}" for p in layer.parameters]
    lines += _array_lines(layer)
    sizes = _Sizes()
    for tensor in layer.inputs:
        lines += sizes.bind(tensor, {s.name for s in layer.sizes})
    lines += _size_lines(layer, conditions, sizes)
    lines += sizes.derived_axis_lines(layer)
    lines += [text for read in reads_to_check(layer) for text in _inside_line(layer, read)]
    return tuple(lines)


def _array_lines(layer: Layer) -> list[str]:
    lines = []
    for kind, helper in (("real", "_real_arrays"), ("integer", "_integer_arrays")):
        tensors = [t for t in layer.inputs if t.kind == kind]
        if not tensors:
            continue
        names = ", ".join(identifier(t.name) for t in tensors) + ("," if len(tensors) == 1 else "")
        triples = [f'("{t.name}", {identifier(t.name)}, "{" ".join(a.name for a in t.axes)}")' for t in tensors]
        line = f"{names} = {helper}({', '.join(triples)})"
        if len(line) <= 110:
            lines.append(line)
        else:
            lines += [f"{names} = {helper}(", *(f"    {t}," for t in triples), ")"]
    return lines


@dataclass(slots=True)
class _Sizes:
    """Which size is bound to which tensor's axis, and what is still to be compared."""

    origin: dict[str, str]
    derived_axes: list[tuple[Tensor, int]]

    def __init__(self) -> None:
        self.origin, self.derived_axes = {}, []

    def bind(self, tensor: Tensor, derived: set[str]) -> list[str]:
        """The lines that read the sizes off a tensor's shape, and compare those that are known already."""
        name, targets, checks = identifier(tensor.name), [], []
        for at, axis in enumerate(tensor.axes):
            size = identifier(axis.name)
            if axis.name in derived:
                self.derived_axes.append((tensor, at))
                targets.append("_")
            elif axis.name in self.origin:
                origin = self.origin[axis.name]
                checks.append(f'_axis("{tensor.name}", {name}, {at}, "{axis.name}", {size}, "{origin}")')
                targets.append("_")
            else:
                self.origin[axis.name] = tensor.name
                targets.append(size)
        return [*_unpack(targets, name), *checks]

    def derived_axis_lines(self, layer: Layer) -> list[str]:
        """The comparison of axes with sizes that are computed."""
        values = {s.name: s.value for s in layer.sizes}
        lines = []
        for tensor, at in self.derived_axes:
            size = tensor.axes[at].name
            why = f"{size} = {integer(values[size])}"
            lines.append(
                f'_axis("{tensor.name}", {identifier(tensor.name)}, {at}, "{size}", {identifier(size)}, "{why}")'
            )
        return lines


def _unpack(targets: list[str], name: str) -> list[str]:
    new = [(at, t) for at, t in enumerate(targets) if t != "_"]
    if not new:
        return []
    if len(new) == 1:
        return [f"{new[0][1]} = {name}.shape[{new[0][0]}]"]
    return [f"{', '.join(targets)} = {name}.shape"]


def _size_lines(layer: Layer, conditions: tuple[Expr, ...], sizes: _Sizes) -> list[str]:
    """Requirements, divisors and derived sizes, each as soon as what it needs is known."""
    known = {*sizes.origin, *(p.name for p in layer.parameters)}
    pending = [*(r.condition for r in layer.requirements), *(c for c in conditions)]
    extents = {s.value: Size(s.name) for s in all_sizes(layer)}
    checked: set[Expr] = set()
    lines: list[str] = []

    def settle() -> None:
        for one in [c for c in pending if _names(c) <= known]:
            pending.remove(one)
            lines.extend(_divisor_lines(layer, one, checked))
            lines.append(_require(one))

    for size in all_sizes(layer):
        settle()
        lines += _divisor_lines(layer, size.value, checked)
        lines += _derived(size.name, name_extents(size.value, {k: v for k, v in extents.items() if k != size.value}))
        known.add(size.name)
    settle()
    for one in layer.ranges:
        if isinstance(one.extent, Parameter):
            lines += _at_least_one(identifier(one.extent.name), f"the range of {one.index}", one.extent)
    for definition in layer.definitions:
        lines += _divisor_lines(layer, definition.body, checked)
    return lines


def _names(expr: Expr) -> set[str]:
    return {e.name for e in walk(expr) if isinstance(e, Size | Parameter)}


def _values(expr: Expr) -> str:
    names = dict.fromkeys(e.name for e in walk(expr) if isinstance(e, Size | Parameter))
    return "".join(f", {identifier(name)}={identifier(name)}" for name in names)


def _require(expr: Expr) -> str:
    return f'_require({condition(expr, AND)}, "{printer.expression(expr)}"{_values(expr)})'


def _divisor_lines(layer: Layer, expr: Expr, checked: set[Expr]) -> list[str]:
    """A check for each divisor of `//` and `%` that a call could make less than 1."""
    lines = []
    for node in walk(expr):
        if not isinstance(node, FloorDiv | Mod) or isinstance(node.divisor, Number | Size) or node.divisor in checked:
            continue
        checked.add(node.divisor)
        text = printer.expression(node.divisor)
        lines.append(f'_require({integer(node.divisor, PRODUCT)} >= 1, "{text} >= 1"{_values(node.divisor)})')
    return lines


def _derived(name: str, value: Expr) -> list[str]:
    variable = identifier(name)
    return [f"{variable} = {integer(value)}", *_at_least_one(variable, f"{name} = {printer.expression(value)}", value)]


def _at_least_one(variable: str, text: str, value: Expr) -> list[str]:
    return [f'_at_least_one("{text}", {variable}{_values(value)})']


@dataclass(frozen=True, slots=True)
class CheckedRead:
    """An index of a read that may leave its axis, which has no outside value."""

    tensor: str
    axis: int
    index: Expr
    extent: Expr


def reads_to_check(layer: Layer) -> tuple[CheckedRead, ...]:
    """The reads of the forward equations that are not proved to stay inside and stand under no condition."""
    found: dict[CheckedRead, None] = {}
    for definition in layer.definitions:
        for read in _unguarded(definition.body):
            tensor = layer.tensor(read.tensor)
            if tensor is not None and tensor.outside is not None:
                continue
            for at, (position, extent) in enumerate(zip(read.indices, layer.axes(read.tensor), strict=True)):
                index = _ranging(layer, position)
                if not _inside(layer, index, extent):
                    found[CheckedRead(read.tensor, at, index, extent)] = None
    return tuple(found)


def checked_tables(layer: Layer) -> frozenset[tuple[str, Expr]]:
    """Each tensor of integers that a call checks as a whole, with the size that all of them are below."""
    checked = [(one.index.tensor, one.extent) for one in reads_to_check(layer) if isinstance(one.index, Read)]
    return frozenset(checked)


def _ranging(layer: Layer, expr: Expr) -> Expr:
    """`expr` with each position of an extremum as an index that runs over all the places where that may stand."""
    if isinstance(expr, Read) and layer.tensor(expr.tensor) is None:
        body = layer.definition(expr.tensor).body
        return Index(expr.tensor, mul(*(i.extent for i in body.indices))) if isinstance(body, Arg) else expr
    return rebuild(expr, tuple(_ranging(layer, part) for part in parts(expr)))


def _unguarded(expr: Expr) -> Iterator[Read]:
    if isinstance(expr, Read):
        yield expr
    inner = (expr.condition,) if isinstance(expr, Where) else parts(expr)
    inner = inner[:1] if isinstance(expr, Logic) else inner
    for part in inner:
        yield from _unguarded(part)


def _inside(layer: Layer, index: Expr, extent: Expr) -> bool:
    inside = Logic("and", (Compare("<=", ZERO, index), Compare("<", index, extent)))
    return holds(inside, Facts.of(layer))


def _inside_line(layer: Layer, read: CheckedRead) -> list[str]:
    extents = {s.value: Size(s.name) for s in all_sizes(layer)}
    size = integer(replace(read.extent, extents))
    if isinstance(read.index, Read):
        table = read.index.tensor
        return [f'_values_inside("{table}", {identifier(table)}, "{read.tensor}", {read.axis}, {size})']
    walk_ = affine(read.index)
    if walk_ is None or not walk_.plain:
        # bounds of floors, remainders and clips are not exact together: look at the places themselves
        text = printer.expression(read.index)
        return [f'_places_inside("{read.tensor}", {read.axis}, "{text}", {_places(layer, read.index)}, {size})']
    box = bounds(read.index, Facts.of(layer))
    low, high = (integer(name_extents(b, extents)) for b in (box.low, box.high))
    text = printer.expression(read.index)
    return [f'_inside("{read.tensor}", {read.axis}, "{text}", {low}, {high}, {size})']


def _places(layer: Layer, index: Expr) -> str:
    """An index expression over the whole box of its indices, as an integer array."""
    context = layer_context(layer)
    index = context.named(index)
    return integer_value(index, Writer(context, free_indices(index))).text
