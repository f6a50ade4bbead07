"""A failing layer made smaller, step by step, as long as what is complained of stays the same kind of thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from symbackprop.errors import SymbackpropError
from symbackprop.notation import nodes as n
from symbackprop.notation.binding import free_indices, substitute
from symbackprop.notation.layer import Definition, Layer, Tensor
from symbackprop.notation.nodes import Arg, Compare, Expr, Index, Logic, Number, Parameter, Read, Reduce, Size
from symbackprop.notation.printer import to_text
from symbackprop.notation.reader import read

TEST = Compare | Logic


def smallest(layer: Layer, complaint: Callable[[Layer], str], tries: int = 1500) -> Layer:
    """The layer that greedy steps lead to; each layer on the way is one of which there is the same complaint."""
    wanted = complaint(layer)
    for smaller in _steps(layer):
        tries -= 1
        if tries < 0:
            return layer
        if complaint(smaller) == wanted:
            return smallest(smaller, complaint, tries)
    return layer


def _steps(layer: Layer) -> Iterator[Layer]:
    """The layers one step smaller that can be read, the boldest steps first."""
    seen = {to_text(layer)}
    for candidate in _candidates(layer):
        try:
            smaller = read(to_text(_tidy(candidate)))
        except SymbackpropError:
            continue
        text = to_text(smaller)
        if text not in seen:
            seen.add(text)
            yield smaller


def _candidates(layer: Layer) -> Iterator[Layer]:
    for at in range(len(layer.definitions) - 1):
        yield replace(layer, definitions=layer.definitions[: at + 1], outputs=(layer.definitions[at].name,))
    if len(layer.outputs) > 1:
        yield from (replace(layer, outputs=(output,)) for output in layer.outputs)
    for at, definition in enumerate(layer.definitions):
        yield from (_with(layer, at, replace(definition, body=body)) for body in _smaller(definition.body))
        unused = (i for i in definition.indices if i not in free_indices(definition.body))
        yield from (_without_axis(layer, at, index) for index in unused)


def _with(layer: Layer, at: int, definition: Definition) -> Layer:
    return replace(layer, definitions=(*layer.definitions[:at], definition, *layer.definitions[at + 1 :]))


def _without_axis(layer: Layer, at: int, index: Index) -> Layer:
    definition = layer.definitions[at]
    axis = definition.indices.index(index)

    def shorter(expr: Expr) -> Expr:
        if isinstance(expr, Read) and expr.tensor == definition.name:
            return Read(expr.tensor, _without(expr.indices, axis))
        return expr

    rest = tuple(replace(d, body=n.rewrite(d.body, shorter)) for d in layer.definitions)
    return _with(replace(layer, definitions=rest), at, replace(rest[at], indices=_without(definition.indices, axis)))


def _without(items: tuple[Expr, ...], at: int) -> tuple[Expr, ...]:
    return (*items[:at], *items[at + 1 :])


def _smaller(expr: Expr) -> Iterator[Expr]:
    """The same with one part less, or with a part in place of the whole."""
    if isinstance(expr, Number | Index | Size | Parameter):
        return
    if isinstance(expr, Read):
        yield n.ONE
        for at, position in enumerate(expr.indices):
            for simpler in (n.ZERO, *_smaller(position)):
                if simpler != position:
                    yield Read(expr.tensor, (*expr.indices[:at], simpler, *expr.indices[at + 1 :]))
        return
    if not isinstance(expr, TEST):
        yield n.ONE
    yield from (part for part in n.parts(expr) if isinstance(part, TEST) == isinstance(expr, TEST))
    if isinstance(expr, Reduce | Arg) and len(expr.indices) > 1:
        for index in expr.indices:
            rest = tuple(i for i in expr.indices if i != index)
            yield type(expr)(expr.operation, rest, substitute(expr.body, {index: n.ZERO}))
    if isinstance(expr, n.Add | n.Mul) and len(n.parts(expr)) > 2:
        join = n.add if isinstance(expr, n.Add) else n.mul
        yield from (join(*_without(n.parts(expr), at)) for at in range(len(n.parts(expr))))
    for at, part in enumerate(n.parts(expr)):
        for smaller in _smaller(part):
            yield n.rebuild(expr, (*n.parts(expr)[:at], smaller, *n.parts(expr)[at + 1 :]))


def _tidy(layer: Layer) -> Layer:
    """The layer without what nothing uses any more; a spare input says how long the axes are that are left over."""
    kept: list[Definition] = []
    wanted = set(layer.outputs)
    for definition in reversed(layer.definitions):
        if definition.name in wanted:
            kept.insert(0, definition)
            wanted |= {part.tensor for part in n.walk(definition.body) if isinstance(part, Read)}
    inputs = tuple(t for t in layer.inputs if t.name in wanted)
    used = _names(layer, kept)
    declared = {axis.name for tensor in inputs for axis in tensor.axes}
    lost = {axis.name: axis for tensor in layer.inputs for axis in tensor.axes if axis.name not in declared}
    spare = tuple(axis for name, axis in lost.items() if name in used)
    return replace(
        layer,
        name="a",
        inputs=(*inputs, *((Tensor("spare", spare),) if spare else ())),
        definitions=tuple(kept),
        parameters=tuple(p for p in layer.parameters if p.name in used),
        ranges=tuple(r for r in layer.ranges if r.index in used),
        requirements=tuple(r for r in layer.requirements if _names_in(r.condition) <= used),
        sizes=tuple(s for s in layer.sizes if s.name in used),
    )


def _names(layer: Layer, definitions: list[Definition]) -> set[str]:
    used = {name for d in definitions for e in (*d.indices, d.body) for name in _names_in(e)}
    for ranged in layer.ranges:
        used |= _names_in(ranged.extent) if ranged.index in used else set()
    for size in reversed(layer.sizes):
        used |= _names_in(size.value) if size.name in used else set()
    return used


def _names_in(expr: Expr) -> set[str]:
    found: set[str] = set()
    for part in n.walk(expr):
        bound = part.indices if isinstance(part, Reduce | Arg) else (part,) if isinstance(part, Index) else ()
        found |= {part.name} if isinstance(part, Parameter | Size) else set()
        for index in bound:
            found |= {index.name, *_names_in(index.extent)}
    return found
