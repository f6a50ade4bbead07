"""The gradient of a layer as a layer: its equations are the backward equations, to be derived and generated again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from symbackprop.calculus.derivation import Derivation, Gradient, Scatter, gradient_name
from symbackprop.calculus.derive import derive
from symbackprop.notation.binding import rename_bound
from symbackprop.notation.layer import Definition, DerivedSize, Layer, Range, Requirement, Tensor
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Arg,
    Compare,
    Delta,
    Expr,
    Index,
    Read,
    Reduce,
    Size,
    add,
    both,
    parts,
    rebuild,
    reduce,
    walk,
    where,
)


def gradient_layer(layer: Layer, wrt: str) -> Layer:
    """The layer `gradient_x = dL/dx` of the inputs of `layer` and of the gradients `gradient_y` of its outputs.

    What stays a scatter is written as a sum over all its points, of which only those that fall on the target count:
    the same value, at the price of more terms. Raises as `derive` does.
    """
    derivation = derive(layer, (wrt,))
    definitions = _needed(derivation, wrt)
    names = _Names(layer)
    definitions = [names.rename(d) for d in definitions]
    inputs = [*layer.inputs, *(_incoming(layer, output, names) for output in layer.outputs)]
    read = {e.tensor for d in definitions for e in walk(d.body) if isinstance(e, Read)}
    sized = _sizes_of(layer)
    kept = [t for t in inputs if t.name in read or any(a.name in sized for a in t.axes)]
    # an axis of the gradient may be one that nothing else has: the rows of an embedding
    known = {a.name for t in kept for a in t.axes}
    lost = {e.name for i in names.indices() for e in walk(i.extent) if isinstance(e, Size)} - known
    kept = [t for t in inputs if t in kept or any(a.name in lost for a in t.axes)]
    return replace(
        layer,
        name=f"{layer.name}_gradient_{wrt}",
        inputs=tuple(kept),
        sizes=(*layer.sizes, *names.sizes),
        ranges=tuple(Range(i.name, i.extent) for i in names.indices()),
        requirements=(*layer.requirements, *(Requirement(c) for c in derivation.conditions)),
        definitions=tuple(definitions),
        outputs=(names.tensor(gradient_name(wrt)),),
        doc=f"The gradient of {layer.name} with respect to {wrt}.",
    )


def _needed(derivation: Derivation, wrt: str) -> list[Definition]:
    """The definitions, positions of extrema and gradients that the gradient of `wrt` rests on, in order."""
    gradients = [_gathered(g, derivation) for g in derivation.backward()]
    everything = [*derivation.layer.definitions, *derivation.auxiliary, *gradients]
    wanted = {gradient_name(wrt)}
    kept: list[Definition] = []
    for definition in reversed(everything):
        if definition.name in wanted:
            kept.append(definition)
            wanted |= {e.tensor for e in walk(definition.body) if isinstance(e, Read)}
    return kept[::-1]


def _gathered(gradient: Gradient, derivation: Derivation) -> Definition:
    if gradient.gather is not None:
        return gradient.gather
    terms = [_as_sum(s, gradient.indices) for s in gradient.scatters]
    return Definition(gradient.name, gradient.indices, add(*terms))


def _as_sum(scatter: Scatter, target: Sequence[Index]) -> Expr:
    """`sum over the domain of [position = target] value`."""
    hits = both(*(Compare("==", p, j) for p, j in zip(scatter.positions, target, strict=True) if p != j))
    domain = tuple(i for i in scatter.domain if i not in target)
    return reduce("sum", domain, where(hits, scatter.value, ZERO))


def _incoming(layer: Layer, output: str, names: _Names) -> Tensor:
    axes = tuple(names.size(i.name, i.extent) for i in layer.definition(output).indices)
    return Tensor(names.tensor(gradient_name(output)), axes)


def _sizes_of(layer: Layer) -> set[str]:
    """The sizes that something beside the shapes of tensors mentions: a range, a size, a requirement, a formula."""
    exprs: list[Expr] = [s.value for s in layer.sizes] + [r.extent for r in layer.ranges]
    exprs += [r.condition for r in layer.requirements] + [d.body for d in layer.definitions]
    exprs += [i.extent for d in layer.definitions for e in walk(d.body) for i in _bound(e)]
    return {e.name for expr in exprs for e in walk(expr) if isinstance(e, Size)}


def _bound(expr: Expr) -> Iterable[Index]:
    return expr.indices if isinstance(expr, Reduce | Arg) else ()


class _Names:
    """Names that the notation can say: gradients, indices without primes, sizes for axes that have only a formula."""

    def __init__(self, layer: Layer) -> None:
        self._taken = {*layer.names, *(r.index for r in layer.ranges)}
        self._own = frozenset(self._taken)
        self._tensors: dict[str, str] = {}
        self._sizes: dict[Expr, Size] = {}
        self._indices: dict[Index, Index] = {}
        self._used: set[str] = set()
        self.sizes: list[DerivedSize] = []

    def indices(self) -> Iterator[Index]:
        return iter(self._indices.values())

    def tensor(self, name: str) -> str:
        """`grad_x` is called `gradient_x`, so that its own gradient has a name; other names stay."""
        if not name.startswith("grad_") or name in self._own:
            return name
        if name not in self._tensors:
            self._tensors[name] = self._unused(f"gradient_{name.removeprefix('grad_')}")
        return self._tensors[name]

    def size(self, index: str, extent: Expr) -> Size:
        """The extent itself if it has a name, else a derived size named after the index."""
        if isinstance(extent, Size):
            return extent
        if extent not in self._sizes:
            self._sizes[extent] = Size(self._unused(index.upper()))
            self.sizes.append(DerivedSize(self._sizes[extent].name, extent))
        return self._sizes[extent]

    def _unused(self, name: str) -> str:
        chosen, at = name, 1
        while chosen in self._taken:
            at += 1
            chosen = f"{name}_{at}"
        self._taken.add(chosen)
        return chosen

    def index(self, index: Index) -> Index:
        if index not in self._indices:
            name, at = index.name, index.copy
            while (chosen := f"{name}{at or ''}") in self._used or (chosen in self._taken and (at or chosen != name)):
                at += 1
            self._used.add(chosen)
            self._indices[index] = Index(chosen, self._sizes.get(index.extent, index.extent))
        return self._indices[index]

    def rename(self, definition: Definition) -> Definition:
        indices = tuple(self.index(i) for i in definition.indices)
        body = rename_bound(definition.body, definition.indices)  # the notation binds an index once on a path
        return Definition(self.tensor(definition.name), indices, self._rename(body))

    def _rename(self, expr: Expr) -> Expr:
        match expr:
            case Index():
                return self.index(expr)
            case Delta(a, b):
                return where(Compare("==", self._rename(a), self._rename(b)), ONE, ZERO)
            case Reduce(operation, indices, body) | Arg(operation, indices, body):
                return type(expr)(operation, tuple(self.index(i) for i in indices), self._rename(body))
            case Read(tensor, indices):
                return Read(self.tensor(tensor), tuple(self._rename(i) for i in indices))
            case _:
                return rebuild(expr, tuple(self._rename(p) for p in parts(expr)))
