"""Two layers as one: the result of the first is what comes into the second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from symbackprop.errors import UserError
from symbackprop.notation.layer import Definition, DerivedSize, Hyperparameter, Layer, Range, Tensor
from symbackprop.notation.nodes import Arg, Expr, Index, Parameter, Read, Reduce, Size, parts, rebuild, walk
from symbackprop.notation.printer import to_text
from symbackprop.notation.reader import read


def compose(first: Layer, second: Layer, name: str | None = None) -> Layer:
    """The layer `second(first(x))`: the first output of `first` takes the place of the first input of `second`.

    What both call by one name gets a `2` behind it in the second. A read of the second outside its input, which has an
    outside value there, has none here: it is refused when it happens. Raises: UserError where the axes do not match in
    number, or an axis of the first's result has no name.
    """
    renamed = _renaming(first, second)
    layer = Layer(
        name or f"{first.name}_{second.name}",
        (*first.inputs, *(renamed.tensor(t) for t in second.inputs[1:])),
        (*first.parameters, *(renamed.parameter(p) for p in second.parameters)),
        (*first.sizes, *(renamed.derived(s) for s in second.sizes)),
        (*first.ranges, *(renamed.range(r) for r in second.ranges if r.index not in renamed.joined)),
        (*first.requirements, *(replace(r, condition=renamed(r.condition)) for r in second.requirements)),
        (*first.definitions, *(renamed.definition(d) for d in second.definitions)),
        tuple(renamed.tensors.get(o, o) for o in second.outputs),
        doc=f"{first.name}, and {second.name} of what it gives.",
    )
    return read(to_text(layer), layer.name)  # the reader looks whether it means anything


class _Renaming:
    """The second layer's names as they are in the composition."""

    def __init__(
        self,
        tensors: Mapping[str, str],
        sizes: Mapping[str, str],
        parameters: Mapping[str, str],
        indices: Mapping[str, Index],
        joined: tuple[str, ...],
    ) -> None:
        self.tensors, self.sizes, self.parameters = tensors, sizes, parameters
        self.indices, self.joined = indices, joined

    def __call__(self, expr: Expr) -> Expr:
        match expr:
            case Index():
                return self.index(expr)
            case Size(name):
                return Size(self.sizes.get(name, name))
            case Parameter(name, integer):
                return Parameter(self.parameters.get(name, name), integer)
            case Read(tensor, indices):
                return Read(self.tensors.get(tensor, tensor), tuple(self(i) for i in indices))
            case Reduce(operation, indices, body) | Arg(operation, indices, body):
                return type(expr)(operation, tuple(self.index(i) for i in indices), self(body))
            case _:
                return rebuild(expr, tuple(self(part) for part in parts(expr)))

    def index(self, index: Index) -> Index:
        """An index with its new name and extent."""
        new = self.indices.get(index.name)
        return new if new is not None else Index(index.name, self(index.extent), index.copy)

    def tensor(self, tensor: Tensor) -> Tensor:
        """An input."""
        axes = tuple(Size(self.sizes.get(axis.name, axis.name)) for axis in tensor.axes)
        return replace(tensor, name=self.tensors.get(tensor.name, tensor.name), axes=axes)

    def parameter(self, parameter: Hyperparameter) -> Hyperparameter:
        """A hyperparameter."""
        return replace(parameter, name=self.parameters.get(parameter.name, parameter.name))

    def derived(self, size: DerivedSize) -> DerivedSize:
        """A derived size."""
        return replace(size, name=self.sizes.get(size.name, size.name), value=self(size.value))

    def range(self, one: Range) -> Range:
        """A range."""
        new = self.indices.get(one.index)
        return replace(one, index=new.name if new else one.index, extent=self(one.extent))

    def definition(self, definition: Definition) -> Definition:
        """A definition."""
        name = self.tensors.get(definition.name, definition.name)
        return Definition(name, tuple(self.index(i) for i in definition.indices), self(definition.body))


def _renaming(first: Layer, second: Layer) -> _Renaming:
    given, data = first.definition(first.outputs[0]), second.inputs[0]
    if len(given.indices) != len(data.axes):
        raise UserError(
            f"{first.name} gives {len(given.indices)} axes, and {second.name} takes {data.name} with {len(data.axes)}"
        )
    taken = _names(first)
    sizes: dict[str, str] = {}
    joined: dict[str, Index] = {}
    for index, axis in zip(given.indices, data.axes, strict=True):
        if not isinstance(index.extent, Size):
            raise UserError(f"axis {index.name} of {first.name}'s result has no name; give it a size statement")
        sizes[axis.name] = index.extent.name
        joined |= {i.name: index for i in _indices(second) if i.extent == axis}
    own = _names(second) - set(sizes) - {data.name}
    other = {name: f"{name}2" for name in sorted(own & taken)}
    tensors = {**{n: other[n] for n in other}, data.name: given.name}
    found = {i.name: i for i in _indices(second)}
    renamed = _Renaming(tensors, {**other, **sizes}, other, {}, ())
    indices = {**{n: Index(other[n], renamed(found[n].extent)) for n in found if n in other}, **joined}
    return _Renaming(tensors, {**other, **sizes}, other, indices, tuple(joined))


def _names(layer: Layer) -> set[str]:
    return {*layer.names, *(i.name for i in _indices(layer))}


def _indices(layer: Layer) -> tuple[Index, ...]:
    """All indices, each once, in order."""
    found: dict[Index, None] = {}
    for definition in layer.definitions:
        found |= dict.fromkeys(definition.indices)
        for node in walk(definition.body):
            if isinstance(node, Reduce | Arg):
                found |= dict.fromkeys(node.indices)
    return tuple(found)
