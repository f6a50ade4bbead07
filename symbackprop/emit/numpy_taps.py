"""Scatters to where an extremum stood, as scatters over the taps of its window with a condition.

`g[stride*p + place[p]//S] += v[p]` is, for each tap r, `g[stride*p + r] += where(place[p] == r, v[p], 0)`: slices
with constant steps in place of computed positions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as with_fields

from symbackprop.emit.numpy_context import Context
from symbackprop.emit.numpy_split import simplified_in
from symbackprop.notation.binding import free_indices, fresh
from symbackprop.notation.nodes import (
    ONE,
    TRUE,
    ZERO,
    Compare,
    Expr,
    Index,
    Read,
    Where,
    add,
    both,
    conjuncts,
    mul,
    rebuild,
    rewrite,
    subtract,
    walk,
)
from symbackprop.program.affine import affine
from symbackprop.program.statements import Statement


def over_taps(statement: Statement, context: Context) -> Statement:
    """The scatter over the taps of a window that its positions find; the same statement where they find none.

    Needs: a scatter. Keeps: what it adds. Gives: positions that are affine in every index, if it gives another one.
    """
    found = {e for p in statement.positions for e in walk(p) if isinstance(e, Read) and e.tensor in context.positions}
    if len(found) != 1:
        return statement
    (place,) = found
    if not all(isinstance(i, Index) for i in place.indices):
        return statement
    taken = (*statement.indices, *statement.bound)
    taps: list[Index] = []
    for index in context.positions[place.tensor]:
        taps.append(fresh(index, (*taken, *taps)))
    number = _number(tuple(taps))

    def told(expr: Expr) -> Expr:
        known = rewrite(expr, lambda e: number if e == place else e)
        return _without_truths(simplified_in(known, context, tuple(taps)), context)

    positions = tuple(told(p) for p in statement.positions)
    if not all(_walks(p) for p in positions) or not all(_shifts(tap, positions) for tap in taps):
        return statement
    body = Where(Compare("==", place, number), told(statement.body), ZERO)
    return with_fields(statement, positions=positions, body=body, bound=(*statement.bound, *taps))


def _number(taps: tuple[Index, ...]) -> Expr:
    """The row-major number of a tap."""
    number: Expr = ZERO
    for tap in taps:
        number = add(mul(number, tap.extent), tap)
    return number


def _walks(position: Expr) -> bool:
    walk_ = affine(position)
    return walk_ is not None and walk_.plain


def _shifts(tap: Index, positions: tuple[Expr, ...]) -> bool:
    """Whether a tap moves along one axis beside another index."""
    at = [free_indices(p) for p in positions if tap in free_indices(p)]
    return len(at) == 1 and len(at[0]) > 1


def _without_truths(expr: Expr, context: Context) -> Expr:
    """Conditions on ranges of indices that always hold are left out."""
    if isinstance(expr, Where):
        condition = _rest(expr.condition, lambda e: _holds(e, context))
        return expr.then if condition == TRUE else rebuild(expr, (condition, expr.then, expr.other))
    return expr


def _rest(condition: Expr, holds: Callable[[Expr], bool]) -> Expr:
    rest: Expr = TRUE
    for test in conjuncts(condition):
        rest = rest if holds(test) else both(rest, test)
    return rest


def _holds(test: Expr, context: Context) -> bool:
    if not isinstance(test, Compare):
        return False
    room = {
        "<": subtract(subtract(test.right, test.left), ONE),
        "<=": subtract(test.right, test.left),
        ">": subtract(subtract(test.left, test.right), ONE),
        ">=": subtract(test.left, test.right),
    }.get(test.operation)
    return room is not None and context.never_negative(room)
