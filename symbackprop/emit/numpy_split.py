"""Splits an index that stands under `//` or `%`: with `k = M*g + m`, `k // M` is g and `k % M` is m.

Needs: the index's extent is proved to be a multiple of M. Keeps: the values, in row-major order of the index.
Gives: a statement whose reads are affine where the only obstacle was a mixed radix; else the same statement.
"""

from __future__ import annotations

from dataclasses import replace as with_fields

from symbackprop.emit.numpy_context import Context
from symbackprop.notation.binding import fresh, substitute
from symbackprop.notation.nodes import (
    Compare,
    Expr,
    FloorDiv,
    Index,
    Mod,
    Read,
    add,
    mul,
    parts,
    rebuild,
    walk,
)
from symbackprop.program.affine import affine
from symbackprop.program.statements import Statement


def split(statement: Statement, context: Context) -> Statement:
    """The statement with such indices split, as often as it takes; its `result` is left alone."""
    for _ in range(8):
        found = _candidate(statement, context)
        if found is None:
            return statement
        statement = _with_digits(statement, *found, context)
    return statement


def _candidate(statement: Statement, context: Context) -> tuple[Index, Expr, Expr] | None:
    """An index, the divisor that it stands over, and how many multiples of it the index runs through."""
    own = (*statement.indices, *statement.bound)
    for expr in (statement.body, *statement.positions):
        for node in walk(expr):
            if isinstance(node, FloorDiv | Mod) and isinstance(node.dividend, Index) and node.dividend in own:
                count = context.quotient(node.dividend.extent, node.divisor)
                if count is not None:
                    return node.dividend, node.divisor, count
    return None


def _with_digits(statement: Statement, index: Index, divisor: Expr, count: Expr, context: Context) -> Statement:
    taken = (*statement.indices, *statement.bound)
    high = fresh(Index(f"{index.name}_high", count), taken)
    low = fresh(Index(f"{index.name}_low", divisor), taken)
    digits: dict[Expr, Expr] = {index: add(mul(divisor, high), low)}

    def changed(expr: Expr) -> Expr:
        return simplified_in(substitute(expr, digits), context, (high, low))

    def spread(indices: tuple[Index, ...]) -> tuple[Index, ...]:
        return tuple(j for i in indices for j in ((high, low) if i == index else (i,)))

    return with_fields(
        statement,
        indices=spread(statement.indices),
        bound=spread(statement.bound),
        body=changed(statement.body),
        positions=tuple(changed(p) for p in statement.positions),
    )


def simplified_in(expr: Expr, context: Context, digits: tuple[Index, ...]) -> Expr:
    """Index expressions in the new digits, taken apart."""
    if any(i in digits for i in walk(expr) if isinstance(i, Index)) and _whole(expr):
        found = context.simplified(expr)
        return found if affine(found) is not None else expr
    if isinstance(expr, Read):
        return Read(expr.tensor, tuple(simplified_in(i, context, digits) for i in expr.indices))
    return rebuild(expr, tuple(simplified_in(part, context, digits) for part in parts(expr)))


def _whole(expr: Expr) -> bool:
    """Whether the expression is one of indices alone, without a read or a comparison in it."""
    return not any(isinstance(e, Read | Compare) or type(e).__name__ in ("Call", "Where", "Pow") for e in walk(expr))
