"""How much an expression costs to compute, to choose between equal forms: a count, not a time."""

from __future__ import annotations

from symbackprop.calculus.match import form
from symbackprop.notation.nodes import Arg, Call, Expr, Index, Mul, Number, Parameter, Read, Reduce, Size, parts

NONE: frozenset[Index] = frozenset()
AXIS = 16  # every axis counts as this long: only the order of growth decides


def cost(*exprs: Expr) -> int:
    """Operations of the expressions, each distinct subexpression once, over the indices that it depends on.

    A part that depends on fewer indices is computed outside the larger loop, and an axis counts as 16 long, so the form
    with fewer reductions and fewer passes over the largest domain is the cheaper one.
    """
    seen: dict[Expr, frozenset[Index]] = {}
    return sum(_cost(e, seen)[0] for e in exprs)


def _cost(expr: Expr, seen: dict[Expr, frozenset[Index]]) -> tuple[int, frozenset[Index]]:
    """The cost of what was not seen before, and the free indices."""
    if isinstance(expr, Number | Parameter | Size):
        return 0, NONE
    if isinstance(expr, Index):
        return 0, frozenset((expr,))
    key = form(expr) if isinstance(expr, Reduce | Arg) else expr
    if key in seen:
        return 0, seen[key]
    inner = [_cost(p, seen) for p in parts(expr)]
    free = NONE.union(*(f for _, f in inner))
    if isinstance(expr, Reduce | Arg):
        free = free.difference(expr.indices)
    seen[key] = free
    below = 0 if isinstance(expr, Read) else sum(c for c, _ in inner)
    return below + _own(expr, free, [f for _, f in inner]), free


def _own(expr: Expr, free: frozenset[Index], inner: list[frozenset[Index]]) -> int:
    points = int(AXIS ** len(free))
    match expr:
        case Reduce(_, indices, _) | Arg(_, indices, _):
            return points * int(AXIS ** len(indices))
        case Read():
            return points
        case Call():
            return 8 * points
        case _:
            full = sum(f == free for f in inner)
            lower = len(inner) - full
            return points * max(1, full - 1 + (1 if lower and isinstance(expr, Mul) else lower))
