"""Neighbouring axes that always go together are walked as one: `x[n, c, h, w]` as `x[n, c, hw]`.

A loop over a whole image is longer than one over its rows, and its bookkeeping is paid less often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from symbackprop.loops.groups import Group, reads
from symbackprop.loops.tensors import Tensors
from symbackprop.notation.binding import fresh
from symbackprop.notation.nodes import Expr, Index, Read, mul, parts, rebuild
from symbackprop.program.statements import Statement

Pair = tuple[Index, Index]
Seam = tuple[str, int]  # a tensor and an axis: that axis and the next one are walked as one


@dataclass(frozen=True, slots=True)
class Merged:
    """A group with merged indices, and the axes of each of its tensors as the group sees them."""

    group: Group
    axes: dict[str, tuple[Expr, ...]]


def merge_axes(group: Group, tensors: Tensors) -> Merged:
    """Merge every pair of neighbouring axes that all statements walk together, until there is none left.

    A group with a scatter stays as it is: its positions are seldom plain.
    Needs: indices that bear the same names in all statements. Keeps: the order of the elements of every tensor.
    """
    names = {r.tensor for s in group.statements for r in reads(s)} | set(group.targets)
    axes = {name: tensors.extents(name) for name in sorted(names)}
    while not any(s.kind == "scatter" for s in group.statements):
        pair = next((p for p in _pairs(group, axes) if _fits(group, axes, p)), None)
        if pair is None:
            return Merged(group, axes)
        group, axes = _apply(group, axes, pair)
    return Merged(group, axes)


def _reads(statement: Statement) -> Iterator[Read]:
    """The reads of a statement, its target's element among them."""
    yield statement.element
    for expr in (statement.body, statement.result):
        yield from _inner_reads(expr)


def _inner_reads(expr: Expr) -> Iterator[Read]:
    if isinstance(expr, Read):
        yield expr
    for part in parts(expr):
        yield from _inner_reads(part)


def _pairs(group: Group, axes: dict[str, tuple[Expr, ...]]) -> Iterator[Pair]:
    """Neighbours in some read, from the last axis to the first."""
    found: dict[Pair, None] = {}
    for s in group.statements:
        for read in _reads(s):
            for a, b in zip(reversed(read.indices[:-1]), reversed(read.indices[1:]), strict=True):
                if isinstance(a, Index) and isinstance(b, Index) and a != b:
                    found[a, b] = None
    return iter(found)


def _fits(group: Group, axes: dict[str, tuple[Expr, ...]], pair: Pair) -> bool:
    """Whether the two stand side by side wherever one of them stands, over whole axes, and always on the same axes."""
    if (pair[0] in group.outer) != (pair[1] in group.outer):
        return False
    seams: set[Seam] = set()
    for s in group.statements:
        if not _classed_alike(s, pair) or not all(_whole(e, axes, pair, seams) for e in _expressions(s)):
            return False
    return all(_walked_alike(s, pair, seams) for s in group.statements)


def _classed_alike(statement: Statement, pair: Pair) -> bool:
    for own in (statement.indices, statement.bound):
        if (pair[0] in own) != (pair[1] in own):
            return False
    if pair[0] in statement.bound and statement.bound.index(pair[1]) != statement.bound.index(pair[0]) + 1:
        return statement.kind not in ("argmax", "argmin")
    return True


def _expressions(statement: Statement) -> tuple[Expr, ...]:
    return (statement.element, statement.body, statement.result)


def _whole(expr: Expr, axes: dict[str, tuple[Expr, ...]], pair: Pair, seams: set[Seam]) -> bool:
    if isinstance(expr, Index):
        return expr not in pair
    if not isinstance(expr, Read):
        return all(_whole(p, axes, pair, seams) for p in parts(expr))
    at = 0
    while at < len(expr.indices):
        if expr.indices[at : at + 2] == pair:
            if axes[expr.tensor][at : at + 2] != (pair[0].extent, pair[1].extent):
                return False
            seams.add((expr.tensor, at))
            at += 2
        elif _whole(expr.indices[at], axes, pair, seams):
            at += 1
        else:
            return False
    return True


def _walked_alike(statement: Statement, pair: Pair, seams: set[Seam]) -> bool:
    """Whether every read that crosses a seam is by the pair: a tensor has one shape in a nest."""
    for read in _reads(statement):
        for tensor, at in seams:
            if read.tensor == tensor and read.indices[at : at + 2] != pair:
                return False
    return True


def _apply(group: Group, axes: dict[str, tuple[Expr, ...]], pair: Pair) -> tuple[Group, dict[str, tuple[Expr, ...]]]:
    wish = Index(pair[0].name + pair[1].name, mul(pair[0].extent, pair[1].extent))
    one = fresh(wish, (i for s in group.statements for i in (*s.indices, *s.bound)))
    new_axes = dict(axes)

    def merged(indices: tuple[Expr, ...]) -> tuple[Expr, ...]:
        result: list[Expr] = []
        for i in indices:
            if i == pair[1] and result and result[-1] == one:
                continue
            result.append(one if i == pair[0] else i)
        return tuple(result)

    def move(expr: Expr) -> Expr:
        if isinstance(expr, Read):
            inner = tuple(move(i) for i in expr.indices)
            if pair[0] in expr.indices:
                walked = zip(expr.indices, axes[expr.tensor], strict=True)
                new_axes[expr.tensor] = tuple(one.extent if i == pair[0] else a for i, a in walked if i != pair[1])
            return Read(expr.tensor, merged(inner))
        return rebuild(expr, tuple(move(p) for p in parts(expr)))

    statements = tuple(_moved(s, move, lambda own: _without(own, pair, one)) for s in group.statements)
    return Group(_without(group.outer, pair, one), statements, group.columns), new_axes


def _moved(
    s: Statement, move: Callable[[Expr], Expr], own: Callable[[tuple[Index, ...]], tuple[Index, ...]]
) -> Statement:
    move(s.element)
    return replace(
        s,
        indices=own(s.indices),
        bound=own(s.bound),
        body=move(s.body),
        result=move(s.result),
    )


def _without(indices: tuple[Index, ...], pair: Pair, one: Index) -> tuple[Index, ...]:
    return tuple(one if i == pair[0] else i for i in indices if i != pair[1])
