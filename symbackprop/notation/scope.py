"""What each name of a layer means, and how far each index runs.

A name means one thing in a layer. An index with a `range` runs over that range; every other index runs over the axes
at which it stands alone, which must all have the same size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from symbackprop.errors import NotationError
from symbackprop.notation.layer import DerivedSize, Hyperparameter, Range, Tensor
from symbackprop.notation.names import complaint
from symbackprop.notation.nodes import Expr, Index, Size
from symbackprop.notation.syntax import Node, Statement

KINDS = {
    "tensor": "a tensor",
    "definition": "a definition",
    "parameter": "a parameter",
    "size": "the size of an axis",
    "index": "an index",
}
WHAT_IT_IS = {**KINDS, "size": "a size", "definition": "a tensor"}


@dataclass(frozen=True, slots=True)
class Alone:
    """An index that stands alone at axis `axis` of `tensor`, in the definition of `owner`."""

    index: str
    tensor: str
    axis: int
    owner: str
    statement: Statement
    node: Node


@dataclass(slots=True)
class Scope:
    """The names of a layer, filled while its statements are read."""

    kinds: dict[str, str] = field(default_factory=dict)
    first: dict[str, tuple[Statement, Node]] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    parameters: dict[str, Hyperparameter] = field(default_factory=dict)
    sizes: dict[str, DerivedSize] = field(default_factory=dict)
    ranges: dict[str, Range] = field(default_factory=dict)
    defined: dict[str, tuple[str, ...]] = field(default_factory=dict)
    positions: set[str] = field(default_factory=set)
    extents: dict[str, Expr] = field(default_factory=dict)

    def declare(self, name: str, kind: str, statement: Statement, node: Node) -> None:
        """Give `name` a meaning; axes and indices may be named again, everything else once."""
        if found := complaint(name):
            raise statement.error(found[0], node, found[1])
        known = self.kinds.get(name)
        if known is None:
            self.kinds[name], self.first[name] = kind, (statement, node)
        elif known != kind or kind not in ("size", "index"):
            raise self._twice(name, known, kind, statement, node)

    def _twice(self, name: str, known: str, kind: str, statement: Statement, node: Node) -> NotationError:
        earlier, at = self.first[name]
        line = earlier.line + at.line - 1
        if known == kind:
            return statement.error(
                f"{name} is declared a second time; it is {KINDS[kind]} (line {line})", node, "Choose another name."
            )
        message = f"{name} means two things: {KINDS[kind]} here, and {KINDS[known]} in line {line}"
        return statement.error(message, node, "Rename one; case counts, so an index c can stand beside a size C.")

    def integral(self, tensor: str) -> bool:
        """Whether a tensor holds integers: one declared so, or the position of an extremum."""
        return tensor in self.positions or (tensor in self.tensors and self.tensors[tensor].kind == "integer")

    def axes(self, tensor: str) -> tuple[str, ...]:
        """The axes of a tensor as they are written: sizes of an input, indices of a definition."""
        if tensor in self.tensors:
            return tuple(axis.name for axis in self.tensors[tensor].axes)
        return self.defined[tensor]

    def extent_at(self, tensor: str, axis: int) -> Expr | None:
        """How long an axis of a tensor is; None while the index that gives it is not yet known."""
        if tensor in self.tensors:
            return self.tensors[tensor].axes[axis]
        return self.extents.get(base(self.defined[tensor][axis]))

    def index(self, name: str) -> Index | None:
        """The index of this name (n' is a copy of n), or None where nothing says how far it runs."""
        extent = self.extents.get(base(name))
        return None if extent is None else Index(base(name), extent, len(name) - len(base(name)))


def base(index: str) -> str:
    """The name of an index without its primes."""
    return index.rstrip("'")


def nodes(node: Node) -> Iterator[Node]:
    """A piece of syntax and everything in it, outermost first."""
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(reversed(top.parts))


def resolve_extents(scope: Scope, definitions: list[Statement]) -> None:
    """Find how far each index runs, from its range or from the axes at which it stands alone.

    Raises: NotationError where an index stands alone at axes of different sizes.
    """
    scope.extents.update({name: r.extent for name, r in scope.ranges.items()})
    alone = [found for statement in definitions for found in _alone(scope, statement)]
    waiting = [a for a in alone if base(a.index) not in scope.ranges]
    progress = True
    while progress:
        progress = False
        for found in waiting:
            extent = scope.extent_at(found.tensor, found.axis)
            if base(found.index) not in scope.extents and extent is not None:
                scope.extents[base(found.index)] = extent
                progress = True
    for found in waiting:
        _check_alone(scope, found)


def _alone(scope: Scope, statement: Statement) -> Iterator[Alone]:
    left, body = statement.parts
    for node in nodes(body):
        if node.kind != "element" or scope.kinds.get(node.text) not in ("tensor", "definition"):
            continue
        places = node.parts[0].parts
        if len(places) == len(scope.axes(node.text)):
            for axis, place in enumerate(places):
                if place.kind == "name" and scope.kinds.get(base(place.text)) == "index":
                    yield Alone(place.text, node.text, axis, left.text, statement, place)


def _check_alone(scope: Scope, found: Alone) -> None:
    runs, extent = scope.extents.get(base(found.index)), scope.extent_at(found.tensor, found.axis)
    if extent is None or runs is None or runs == extent:
        return
    of, name = f"{found.tensor}, which has the axes [{', '.join(scope.axes(found.tensor))}]", found.index
    if not isinstance(runs, Size):
        message = f"{found.owner} uses index {name} on {of}, but {name} runs over another length elsewhere"
        raise found.statement.error(message, found.node, f"Use another index, or give {name} a range.")
    fitting = [i for i in scope.extents if scope.extents[i] == extent]
    advice = f"Give {found.tensor} the axis {runs.name}, or write `range {base(name)} = ...`."
    if fitting:
        elements = [i if at != found.axis else fitting[0] for at, i in enumerate(_indices_like(scope, found.tensor))]
        advice = f"Write {found.tensor}[{', '.join(elements)}], or give {found.tensor} the axis {runs.name}."
    raise found.statement.error(f"{found.owner} uses index {name} (size {runs.name}) on {of}", found.node, advice)


def _indices_like(scope: Scope, tensor: str) -> list[str]:
    """For each axis an index that runs over it, or the lower case of its name."""
    found = []
    for axis, name in enumerate(scope.axes(tensor)):
        extent = scope.extent_at(tensor, axis)
        found.append(next((i for i, e in scope.extents.items() if e == extent), name.lower()))
    return found


def element_like(scope: Scope, tensor: str) -> str:
    """How an element of a tensor could be written: `gamma[c]`."""
    indices = _indices_like(scope, tensor)
    return f"{tensor}[{', '.join(indices)}]" if indices else tensor
