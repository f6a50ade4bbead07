"""Maps that are read at one place only are written there: an array less to write and to read again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from symbackprop.notation.binding import substitute
from symbackprop.notation.nodes import Expr, Index, Read, parts, rebuild, walk
from symbackprop.program.statements import Statement


def absorbed(statements: Iterable[Statement], kept: frozenset[str]) -> tuple[Statement, ...]:
    """The statements without the maps that one later map reads once, element for element.

    Keeps: every target of `kept`, and every value. A map that a reduction reads stays: it may be computed once for many
    of its terms.
    """
    left = list(statements)
    at = 0
    while at < len(left):
        statement = left[at]
        reader = only_reader(statement, left) if statement.kind == "map" and statement.target not in kept else None
        if reader is not None and set(reader.wanted_by) <= set(statement.wanted_by):
            left[left.index(reader)] = _with(reader, statement)
            del left[at]
        else:
            at += 1
    return tuple(left)


def only_reader(statement: Statement, others: Iterable[Statement]) -> Statement | None:
    """The one map that reads the target of this one, once, at a point for each of its own."""
    found = [(s, r) for s in others for r in _reads(s) if r.tensor == statement.target and s is not statement]
    if len(found) != 1:
        return None
    reader, read = found[0]
    plain = all(isinstance(i, Index) for i in read.indices) and len(set(read.indices)) == len(read.indices)
    whole = set(read.indices) == set(reader.indices)
    pairs = zip(read.indices, statement.indices, strict=True)
    fits = all(isinstance(i, Index) and i.extent == j.extent for i, j in pairs)
    return reader if reader.kind == "map" and plain and whole and fits else None


def _reads(s: Statement) -> Iterable[Read]:
    exprs = (s.body, *((s.result,) if s.kind != "map" else ()), *s.positions)
    return (e for x in exprs for e in walk(x) if isinstance(e, Read))


def _with(reader: Statement, statement: Statement) -> Statement:
    """The reader with the map's body in place of its read."""

    def move(expr: Expr) -> Expr:
        if isinstance(expr, Read) and expr.tensor == statement.target:
            return substitute(statement.body, dict(zip(statement.indices, expr.indices, strict=True)))
        return rebuild(expr, tuple(move(p) for p in parts(expr)))

    body = move(reader.body)
    result = body if reader.result == reader.body else reader.result
    return replace(reader, body=body, result=result)
