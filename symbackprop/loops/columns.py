"""Sums over the rows of what a nest walks row by row: each piece of rows leaves its own, put together in order.

A gradient of layer normalisation is computed along the rows of x, those of its gamma and beta across them. In one nest
each row is read from memory once. A band of a few rows is added in the tensors' own type, for to widen each number
takes longer than all else. Bands are added in float64, and so are pieces, in order: they do not depend on the number of
threads.
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
BAND = 16  # rows that are added in the tensors' own type: their rounding errors stay below those of one product


@dataclass(frozen=True, slots=True)
class ColumnSums:
    """The pieces; what is made before them, at the start of each, with the rows of one, and at the end."""

    piece: Index
    shared: tuple[Node, ...]
    starts: tuple[Node, ...]
    rows: tuple[Node, ...]
    after: tuple[Node, ...]


def column_sums(
    columns: tuple[Statement, ...], row: Index, body: tuple[Node, ...], tensors: Tensors, new: LocalNames,
    wanted: tuple[str, ...],
) -> ColumnSums:  # fmt: skip
    """The sums of `columns` over `row`, beside the `body` of each row, for a nest that is `wanted` by these inputs."""
    shared: list[Node] = []
    size = Parameter(new("rows"), True)
    most = floor_divide(add(row.extent, number(PIECES - 1)), number(PIECES))
    shared.append(Assign(size.name, Call("max", (number(ROWS), most)), "integer"))
    piece = Index(new("piece"), floor_divide(add(row.extent, size, number(-1)), size))
    low = mul(piece, size)
    starts: list[Node] = []
    begun: list[Node] = []
    taken: list[Node] = []
    added: list[Node] = []
    after: list[Node] = []
    for alike in _alike(columns):
        # one loop for all of them: to share what they read is worth more than to leave out one that is not wanted
        flat, length = _flat(alike[0].indices), mul(*(i.extent for i in alike[0].indices))
        own, more = add(mul(piece, length), flat), Index("at", piece.extent)
        parts = {s.target: new(f"{s.target}_parts") for s in alike}
        shared += [Scratch(name, mul(piece.extent, length), True) for name in parts.values()]
        bands = {s.target: new(f"{s.target}_band") for s in alike}
        starts += [Scratch(name, length) for name in bands.values()]
        zeros = [Store(name, (own,), ZERO) for name in parts.values()]
        none = [Store(name, (flat,), ZERO) for name in bands.values()]
        terms = [Update(bands[s.target], (flat,), "sum", _term(s, tensors)) for s in alike]
        sums = [Update(parts[t], (own,), "sum", Read(bands[t], (flat,))) for t in parts]
        others = [Update(name, (flat,), "sum", Read(name, (add(mul(more, length), flat),))) for name in parts.values()]
        stores = [Store(s.target, s.indices, _result(s, Read(parts[s.target], (flat,)), tensors)) for s in alike]
        starts += _if_wanted(alike, _walk(alike, zeros, tensors, new), wanted)
        begun += _if_wanted(alike, _walk(alike, none, tensors, new), wanted)
        taken += _if_wanted(alike, _walk(alike, terms, tensors, new), wanted)
        added += _if_wanted(alike, _walk(alike, sums, tensors, new), wanted)
        together = Loop(more, ONE, more.extent, _walk(alike, others, tensors, new))
        after += _if_wanted(alike, (together, *_walk(alike, stores, tensors, new)), wanted)
    high, band = Call("min", (row.extent, add(low, size))), Index(new("band"), row.extent)
    end = Call("min", (high, add(band, number(BAND))))
    rows = (*begun, Loop(row, band, end, (*body, *taken)), *added)
    return ColumnSums(piece, tuple(shared), tuple(starts), (Loop(band, low, high, rows, BAND),), tuple(after))


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
