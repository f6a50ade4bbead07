"""Sums that take a term where a stride divides, walked by the quotient: no term is computed to be left out.

`y[p] = sum[r](where((p + pad - r) % stride == 0, x[(p + pad - r)//stride]*w[r], 0))` asks at each p which taps meet an
element of x. With h for the quotient each element asks where it goes: `y[stride*h + r - pad] += x[h]*w[r]`, slices with
constant steps. Where p is summed over instead, h is: `sum[h](g[stride*h + r - pad]*x[h])`, a product with windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as with_fields

from symbackprop.calculus.integer import simplified
from symbackprop.emit.numpy_context import Context
from symbackprop.notation.binding import fresh, substitute
from symbackprop.notation.nodes import (
    MINUS_ONE,
    ONE,
    TRUE,
    ZERO,
    Compare,
    Expr,
    FloorDiv,
    Index,
    Mod,
    Read,
    Size,
    Where,
    both,
    conjuncts,
    mul,
    subtract,
    walk,
)
from symbackprop.program.affine import affine
from symbackprop.program.statements import Statement


@dataclass(frozen=True, slots=True)
class Quotients:
    """A statement without such conditions, and the indices that stand for the quotients."""

    statement: Statement
    walked: tuple[Index, ...]


def by_quotients(statement: Statement, context: Context) -> Quotients | None:
    """The sum by the quotients of its divisions: a sum, or a scatter if indices of the target are solved for.

    Keeps: what it computes, but for products with the zeros outside of a tensor. None where there is no such condition,
    or one that cannot be solved for an index.
    """
    if statement.kind != "sum":
        return None
    found = Quotients(statement, ())
    while (division := _division(found.statement.body)) is not None:
        changed = _solved(found, *division, context)
        if changed is None:
            return None
        found = changed
    return found if found.walked else None


def _division(body: Expr) -> tuple[Expr, Expr] | None:
    """A dividend, and the divisor that has to divide it for the body not to be 0."""
    if not isinstance(body, Where) or body.other != ZERO:
        return None
    for test in conjuncts(body.condition):
        match test:
            case Compare("==", Mod(dividend, divisor), right) if right == ZERO:
                return dividend, divisor
    return None


def _solved(found: Quotients, dividend: Expr, divisor: Expr, context: Context) -> Quotients | None:
    """The statement with an index of the dividend replaced by what it is for each quotient."""
    s = found.statement
    quotient = FloorDiv(dividend, divisor)
    extent = _extent(s.body, quotient, context)
    index = _index(s, dividend, found.walked, context)
    if extent is None or index is None or not context.positive(divisor):
        return None
    name = extent.name.lower() if isinstance(extent, Size) else index.name  # an index h along an axis H
    axis = fresh(Index(name, extent), (*s.indices, *s.bound))
    sign = _coefficient(dividend, index)
    rest = subtract(dividend, mul(sign, index))
    place = simplified(mul(sign, subtract(mul(divisor, axis), rest)))
    in_target = index in (s.positions or s.indices)
    inside = () if in_target else (Compare("<=", ZERO, place), Compare("<", place, index.extent))
    body = substitute(_without(s.body, dividend, divisor, inside), {quotient: axis})
    body = substitute(body, {index: place})
    walked = (*found.walked, axis)
    if index in s.bound:
        bound = tuple(axis if i == index else i for i in s.bound)
        positions = tuple(substitute(p, {index: place}) for p in s.positions)
        return Quotients(with_fields(s, bound=bound, body=body, positions=positions), walked)
    positions = tuple(place if p == index else p for p in s.indices)
    bound = tuple(axis if i == index else i for i in (*s.indices, *s.bound))
    indices: tuple[Index, ...] = ()  # those of the target have names of their own, as in every scatter
    for i in s.indices:
        indices += (fresh(i, (*s.indices, *bound, *indices)),)
    scatter = with_fields(s, kind="scatter", indices=indices, bound=bound, body=body, positions=positions)
    return Quotients(scatter, walked)


def _extent(body: Expr, quotient: Expr, context: Context) -> Expr | None:
    """How many values the quotient has that count: those inside of the axes that it leads along, if others give 0."""
    reads = [e for e in walk(body) if isinstance(e, Read) and quotient in e.indices]
    found = [context.extents(r.tensor)[r.indices.index(quotient)] for r in reads]
    if not found or any(not context.equal(one, found[0]) for one in found):
        return None
    return found[0] if any(context.outside(r.tensor) == ZERO for r in reads) else None


def _index(s: Statement, dividend: Expr, walked: tuple[Index, ...], context: Context) -> Index | None:
    """The index to solve for: one with the coefficient 1 or -1, of positions before taps."""
    own = (*s.indices, *s.bound)
    fits = [i for i in own if i not in walked and _coefficient(dividend, i) in (ONE, MINUS_ONE)]
    computed = [i for i in fits if context.named(i.extent) in context.sizes.values()]
    return next(iter(computed or fits), None)


def _coefficient(dividend: Expr, index: Index) -> Expr:
    walk_ = affine(dividend)
    return ZERO if walk_ is None else walk_.coefficient(index)


def _without(body: Expr, dividend: Expr, divisor: Expr, more: tuple[Expr, ...]) -> Expr:
    """The body without the condition that the divisor divides, under `more` conditions."""
    if not isinstance(body, Where):
        return body
    kept: Expr = TRUE
    for test in (*conjuncts(body.condition), *more):
        if test != Compare("==", Mod(dividend, divisor), ZERO):
            kept = both(kept, test)
    return body.then if kept == TRUE else Where(kept, body.then, ZERO)
