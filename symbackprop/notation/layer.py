"""A layer: its declarations and its forward equations, as immutable values."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from importlib import import_module

from symbackprop.errors import InternalError, Place
from symbackprop.notation.display import Displayed
from symbackprop.notation.nodes import Arg, Expr, Index, Read, Size

GRADIENT = "symbackprop.calculus.gradient_layer"  # found by name when asked for: nothing here depends on it


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input: `x[N, C] outside 0`. `kind` is "real" or "integer"; without `outside` no read may fall outside."""

    name: str
    axes: tuple[Size, ...]
    kind: str = "real"
    outside: Expr | None = None
    place: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """`param NAME = default [integer]`."""

    name: str
    default: Fraction
    integer: bool = False
    place: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class DerivedSize:
    """`size NAME = value`, of other sizes and integer parameters."""

    name: str
    value: Expr
    place: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Range:
    """`range index = extent`: the index runs over 0 ... extent - 1 wherever it stands."""

    index: str
    extent: Expr
    place: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Requirement:
    """`require CONDITION`, of sizes and integer parameters; checked at the call."""

    condition: Expr
    place: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Definition:
    """`name[indices] = body`; the indices are free in the body, all others in it are bound by reductions."""

    name: str
    indices: tuple[Index, ...]
    body: Expr
    place: Place | None = field(default=None, compare=False, repr=False)

    @property
    def element(self) -> Read:
        """The left-hand side as a read."""
        return Read(self.name, self.indices)

    @property
    def integer(self) -> bool:
        """Whether it is a tensor of integers: the position of an extremum. It has no gradient."""
        return isinstance(self.body, Arg)


@dataclass(frozen=True, slots=True)
class Layer(Displayed):
    """The forward equations of one layer. `doc` is its description, `source` the text that it was read from."""

    name: str
    inputs: tuple[Tensor, ...]
    parameters: tuple[Hyperparameter, ...]
    sizes: tuple[DerivedSize, ...]
    ranges: tuple[Range, ...]
    requirements: tuple[Requirement, ...]
    definitions: tuple[Definition, ...]
    outputs: tuple[str, ...]
    doc: str = field(default="", compare=False)
    file: str = field(default="", compare=False)

    def tensor(self, name: str) -> Tensor | None:
        """The input of this name, or None."""
        return next((t for t in self.inputs if t.name == name), None)

    def definition(self, name: str) -> Definition:
        """The definition of this name."""
        for definition in self.definitions:
            if definition.name == name:
                return definition
        raise InternalError(f"layer {self.name} has no definition {name}")

    def axes(self, name: str) -> tuple[Expr, ...]:
        """The extents of the axes of an input or a definition."""
        tensor = self.tensor(name)
        return tensor.axes if tensor is not None else tuple(i.extent for i in self.definition(name).indices)

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of the inputs, then of the definitions."""
        return (*(t.name for t in self.inputs), *(d.name for d in self.definitions))

    @property
    def names(self) -> frozenset[str]:
        """The names of tensors, hyperparameters and sizes; indices have theirs beside them."""
        sizes = (*(axis.name for t in self.inputs for axis in t.axes), *(s.name for s in self.sizes))
        return frozenset((*self.tensors, *(p.name for p in self.parameters), *sizes))

    @property
    def real_inputs(self) -> tuple[Tensor, ...]:
        """The inputs that are differentiated, in declared order."""
        return tuple(t for t in self.inputs if t.kind == "real")

    @property
    def integers(self) -> tuple[str, ...]:
        """The tensors of integers: inputs, then definitions."""
        inputs = tuple(t.name for t in self.inputs if t.kind == "integer")
        return (*inputs, *(d.name for d in self.definitions if d.integer))

    def gradient(self, wrt: str) -> Layer:
        """The layer `gradient_x = dL/dx` of the inputs and of the gradients of the outputs.

        Raises: UserError where `wrt` is no real input, CannotDerive where a rule is missing.
        """
        made: Layer = import_module(GRADIENT).gradient_layer(self, wrt)
        return made
