"""Rows of results that may pass by the caches on their way to memory.

A store to memory first reads the line that it changes, and pushes another one out of the caches. Where the arrays of a
nest are larger than the caches, neither is of any use: nothing that is written is still there when it is read next. So
a task may compute a few lines at a time in a row of its own, and copy them to where they belong without reading what is
there. Whether it does is decided at the call, by the sizes of the arrays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from symbackprop.loops.inner import Span, shifted
from symbackprop.loops.kernel import (
    Assign,
    Distance,
    Loop,
    Nest,
    Node,
    Pieces,
    Scratch,
    Stage,
    Store,
    Stream,
    Test,
    Track,
    Update,
    View,
    Wanted,
    expressions,
    walk_nodes,
)
from symbackprop.loops.names import LocalNames
from symbackprop.notation.nodes import ONE, ZERO, Expr, Parameter, Read, add, mul, number, subtract, walk

SHORTEST = 256  # numbers in a row that is worth it
PIECE = 128  # numbers that are computed before they are copied: reading and writing memory take turns that often


def with_streams(nest: Nest, names: Iterable[str]) -> Nest:
    """The nest with the rows streamed that it only writes, once each, in loops along them; `names` are taken.

    Needs: rows as views right before the loop that fills them. Keeps: every value, bit for bit.
    """
    everything = tuple(walk_nodes((*nest.shared, *nest.body, *nest.after)))
    known = _Known(nest, everything)
    chosen = [(view, loop) for view, loop in _rows(nest.body) if known.only_written(view, loop)]
    lengths = [known.length(loop) for _, loop in chosen]
    length = next((e for e in lengths if e is not None), None)
    if length is None or nest.contraction is not None:
        return nest
    new = LocalNames((*names, *known.names))
    rows = {v: new(f"{v.tensor}_streamed") for (v, _), e in zip(chosen, lengths, strict=True) if e == length}
    scratch = tuple(Scratch(name, number(PIECE), apart=True) for name in rows.values())
    strip = nest.strip and replace(nest.strip, lines=not known.has_rows)
    return replace(nest, body=(*scratch, *_streamed(nest.body, rows, new)), strip=strip, streamed=length)


class _Known:
    """What is known of a nest as a whole."""

    def __init__(self, nest: Nest, everything: tuple[Node, ...]) -> None:
        self.nest, self.everything = nest, everything
        strip = (nest.strip.low, nest.strip.high, nest.strip.piece) if nest.strip else ()
        named = [n.name for n in everything if isinstance(n, Assign | View | Scratch | Distance)]
        self.locals = {*named, *strip}
        self.has_rows = any(isinstance(n, Scratch) for n in everything)  # of the strip's usual width
        self.names = (*(a.name for a in nest.arrays), *named, *strip)
        most = max(len(a.axes) for a in nest.arrays)  # smaller results stay in the caches
        self.written = {a.name for a in nest.arrays if a.written and a.kind == "real" and len(a.axes) == most}
        self.uses = [name for n in everything for name in _touched(n)]

    def only_written(self, view: View, loop: Loop) -> bool:
        """Whether the row is one of a result that stands nowhere else in the nest, each element stored once."""
        if view.tensor not in self.written or self.uses.count(view.tensor) != 1 or self.uses.count(view.name) != 1:
            return False
        own = (loop.index,)
        return any(isinstance(n, Store) and n.tensor == view.name and n.indices == own for n in loop.body)

    def length(self, loop: Loop) -> Expr | None:
        """How long a row is at most, if that is known before the tasks start."""
        if self.nest.strip is not None:
            return number(self.nest.strip.width) if self.nest.strip.width >= SHORTEST else None
        if any(isinstance(e, Parameter) and e.name in self.locals for e in walk(loop.stop)):
            return None
        return loop.stop


def _touched(node: Node) -> Iterable[str]:
    """The arrays and rows that a node reads or writes."""
    yield from (e.tensor for x in expressions(node) for e in walk(x) if isinstance(e, Read))
    match node:
        case Store(tensor) | Update(tensor) | View(_, tensor):
            yield tensor
        case Stage(name, _, tensor):
            yield from (name, tensor)
        case Track(name, best):
            yield from (name, best)


def _rows(body: tuple[Node, ...]) -> Iterable[tuple[View, Loop]]:
    """The views that stand in the same place as the innermost loop behind them, with that loop."""
    views: list[View] = []
    for node in body:
        match node:
            case View(_, _, _, _, step) if step == ONE:
                views.append(node)
            case Loop(_, start, _, inner, 1) if start == ZERO and all(isinstance(n, Assign | Store) for n in inner):
                yield from ((view, node) for view in views)
                views = []
            case Loop(_, _, _, inner) | Wanted(_, inner):
                yield from _rows(inner)
            case Test(_, inner, other):
                yield from _rows(inner)
                yield from _rows(other)


def _streamed(body: tuple[Node, ...], rows: dict[View, str], new: LocalNames) -> tuple[Node, ...]:
    """The body with the loops that fill the rows taken in pieces."""
    nodes: list[Node] = []
    for node in body:
        match node:
            case Loop() if (views := _before(nodes)) and any(view in rows for view in views):
                del nodes[len(nodes) - len(views) :]
                nodes.append(_in_pieces(node, views, rows, new))
            case Loop(_, _, _, inner) | Wanted(_, inner):
                nodes.append(replace(node, body=_streamed(inner, rows, new)))
            case Test(_, inner, other):
                nodes.append(replace(node, body=_streamed(inner, rows, new), other=_streamed(other, rows, new)))
            case _:
                nodes.append(node)
    return tuple(nodes)


def _before(nodes: Iterable[Node]) -> list[View]:
    """The views at the end."""
    views: list[View] = []
    for node in nodes:
        views = [*views, node] if isinstance(node, View) else []
    return views


def _in_pieces(loop: Loop, views: list[View], rows: dict[View, str], new: LocalNames) -> Pieces:
    """The loop piece by piece, each with its views; the rows are copied behind it."""
    low, high = (Parameter(new(f"{loop.index.name}_{end}"), True) for end in ("from", "to"))
    moved = tuple(replace(v, start=add(v.start, mul(v.step, low)), streamed=rows.get(v, "")) for v in views)
    same: set[Expr] = {Read(v.name, (loop.index,)) for v in views}
    body = tuple(shifted(node, Span(loop.index, low, high), same) for node in loop.body)
    copies = tuple(Stream(v.tensor, v.leading, v.start, v.name, subtract(high, low)) for v in moved if v.streamed)
    first = next(v for v in views if v in rows)
    inner = (*moved, replace(loop, stop=subtract(high, low), body=body), *copies)
    return Pieces(low.name, high.name, loop.stop, first, inner)
