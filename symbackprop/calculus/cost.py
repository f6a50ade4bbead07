"""How much an expression costs to compute, to choose between equal forms: a count, not a time."""

from __future__ import annotations

from symbackprop.notation.binding import canonical, free_indices
from symbackprop.notation.nodes import Arg, Call, Expr, Mul, Number, Parameter, Read, Reduce, Size, parts

AXIS = 16  # every axis counts as this long: only the order of growth decides


def cost(*exprs: Expr) -> int:
    """Operations of the expressions, each distinct subexpression once, over the indices that it depends on.

    A part that depends on fewer indices is computed outside the larger loop, and an axis counts as 16 long, so the form
    with fewer reductions and fewer passes over the largest domain is the cheaper one.
    """
    seen: set[Expr] = set()
    return sum(_cost(e, seen) for e in exprs)


def _cost(expr: Expr, seen: set[Expr]) -> int:
    if isinstance(expr, Number | Parameter | Size):
        return 0
    key = canonical(expr) if isinstance(expr, Reduce | Arg) else expr
    if key in seen:
        return 0
    seen.add(key)
    free = set(free_indices(expr))
    own = int(AXIS ** len(free))
    inner = sum(_cost(p, seen) for p in parts(expr)) if not isinstance(expr, Read) else 0
    if isinstance(expr, Reduce | Arg):
        return inner + own * int(AXIS ** len(expr.indices))
    if isinstance(expr, Read):
        return own
    if isinstance(expr, Call):
        return inner + 8 * own
    full = sum(set(free_indices(p)) == free for p in parts(expr))
    lower = len(parts(expr)) - full
    return inner + own * max(1, full - 1 + (1 if lower and isinstance(expr, Mul) else lower))
