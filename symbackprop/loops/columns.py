"""Sums over the rows of what a nest walks row by row: each piece of rows leaves its own, put together in order.

A gradient of layer normalisation is computed along the rows of x, those of its gamma and beta across them. In one nest
each row is read from memory once. The pieces do not depend on the number of threads, and their sums are added in
order, in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symbackprop.loops.guards import guarded
from symbackprop.loops.inner import Span, inner_loop
from symbackprop.loops.kernel import Assign, Loop, Node, Scratch, Store, Update, Wanted
from symbackprop.loops.names import LocalNames
from symbackprop.loops.sums import count
from symbackprop.loops.tensors import Tensors
from symbackprop.notation.binding import substitute
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Call,
    Expr,
    Index,
    Parameter,
    Read,
    add,
    both,
    divide,
    floor_divide,
    mul,
    number,
    where,
)
from symbackprop.program.statements import Statement

ROWS, PIECES = 32, 64  # the rows of a piece at least, and the pieces at most


@dataclass(frozen=True, slots=True)
class ColumnSums:
    """The pieces and the rows of one; what is made before, at the start of a piece, at each row, and at the end."""

    piece: Index
    low: Expr
    high: Expr
    shared: tuple[Node, ...]
    starts: tuple[Node, ...]
    taken: tuple[Node, ...]
    after: tuple[Node, ...]


def column_sums(
    columns: tuple[Statement, ...], row: Index, tensors: Tensors, new: LocalNames, wanted: tuple[str, ...]
) -> ColumnSums:
    """The sums of `columns` over `row`, for a nest that is `wanted` by these inputs."""
    shared: list[Node] = []
    size = Parameter(new("rows"), True)
    most = floor_divide(add(row.extent, number(PIECES - 1)), number(PIECES))
    shared.append(Assign(size.name, Call("max", (number(ROWS), most)), "integer"))
    piece = Index(new("piece"), floor_divide(add(row.extent, size, number(-1)), size))
    low = mul(piece, size)
    starts: list[Node] = []
    taken: list[Node] = []
    after: list[Node] = []
    for alike in _alike(columns):
        # one loop for all of them: to share what they read is worth more than to leave out one that is not wanted
        flat, length = _flat(alike[0].indices), mul(*(i.extent for i in alike[0].indices))
        own, more = add(mul(piece, length), flat), Index("at", piece.extent)
        parts = {s.target: new(f"{s.target}_parts") for s in alike}
        shared += [Scratch(name, mul(piece.extent, length), True) for name in parts.values()]
        begun = [Store(name, (own,), ZERO) for name in parts.values()]
        terms = [Update(parts[s.target], (own,), "sum", _term(s, tensors)) for s in alike]
        others = [Update(name, (flat,), "sum", Read(name, (add(mul(more, length), flat),))) for name in parts.values()]
        stores = [Store(s.target, s.indices, _result(s, Read(parts[s.target], (flat,)), tensors)) for s in alike]
        starts += _if_wanted(alike, _walk(alike, begun, tensors, new), wanted)
        taken += _if_wanted(alike, _walk(alike, terms, tensors, new), wanted)
        together = Loop(more, ONE, more.extent, _walk(alike, others, tensors, new))
        after += _if_wanted(alike, (together, *_walk(alike, stores, tensors, new)), wanted)
    high = Call("min", (row.extent, add(low, size)))
    return ColumnSums(piece, low, high, tuple(shared), tuple(starts), tuple(taken), tuple(after))


def _alike(columns: tuple[Statement, ...]) -> tuple[tuple[Statement, ...], ...]:
    """The statements by their indices."""
    found: dict[tuple[Index, ...], list[Statement]] = {}
    for s in columns:
        found.setdefault(s.indices, []).append(s)
    return tuple(tuple(each) for each in found.values())


def _result(s: Statement, reduced: Expr, tensors: Tensors) -> Expr:
    value = divide(reduced, count(s.bound)) if s.kind == "mean" else reduced
    return substitute(tensors.closed(tensors.simplify(s.result), ()), {s.element: value})


def _term(s: Statement, tensors: Tensors) -> Expr:
    term = guarded(s.body, s.kind, tensors)
    value = tensors.simplify(term.value)
    return where(both(*(tensors.simplify(c) for c in term.conditions)), value, ZERO) if term.conditions else value


def _flat(indices: tuple[Index, ...]) -> Expr:
    place = add()
    for index in indices:
        place = add(mul(place, index.extent), index)
    return place


def _walk(
    alike: tuple[Statement, ...], body: Sequence[Node], tensors: Tensors, new: LocalNames
) -> tuple[Node, ...]:  # fmt: skip
    *around, last = alike[0].indices
    nodes = inner_loop(Span(last, ZERO, last.extent), tuple(body), tensors, new)
    for index in reversed(around):
        nodes = (Loop(index, ZERO, index.extent, nodes),)
    return nodes


def _if_wanted(alike: tuple[Statement, ...], nodes: tuple[Node, ...], wanted: tuple[str, ...]) -> tuple[Node, ...]:
    needed = tuple(name for name in wanted if any(name in s.wanted_by for s in alike))
    return nodes if needed == wanted else (Wanted(needed, nodes),)
