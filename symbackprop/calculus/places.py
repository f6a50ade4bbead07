"""Positions of extrema that stand behind a condition: they read nothing where it does not hold.

The position of `where(n + 1 < N, max[r](x[n + 1, r]), 0)` is a tensor of its own over every n, although `x[n + 1, r]`
exists for all but the last one. So its reads are taken where they lie inside, and count as 0 elsewhere: such a
position is looked at by nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from symbackprop.calculus.integer import Facts, holds
from symbackprop.notation.binding import same
from symbackprop.notation.layer import Definition, Layer
from symbackprop.notation.nodes import (
    ZERO,
    Arg,
    Compare,
    Expr,
    Logic,
    Read,
    Reduce,
    Where,
    both,
    parts,
    rebuild,
    walk,
    where,
)


def readable_everywhere(layer: Layer, positions: Iterable[Definition], facts: Facts) -> tuple[Definition, ...]:
    """The positions of extrema, the reads of those behind a condition with the bounds of their axes."""
    behind = _behind_conditions(layer)
    return tuple(_bounded(p, layer, facts) if any(_finds(p, e) for e in behind) else p for p in positions)


def _behind_conditions(layer: Layer) -> tuple[Reduce, ...]:
    """The extrema in branches, and in conditions that follow on others."""
    exprs = [e for d in layer.definitions for e in walk(d.body)]
    later = [b for e in exprs if isinstance(e, Where) for b in (e.then, e.other)]
    later += [a for e in exprs if isinstance(e, Logic) for a in e.arguments[1:]]
    return tuple(e for b in later for e in walk(b) if isinstance(e, Reduce) and e.operation in ("max", "min"))


def _finds(position: Definition, extremum: Reduce) -> bool:
    return same(position.body, Arg(extremum.operation, extremum.indices, extremum.body))


def _bounded(position: Definition, layer: Layer, facts: Facts) -> Definition:
    if not isinstance(position.body, Arg):
        return position
    arg = position.body
    return replace(position, body=Arg(arg.operation, arg.indices, _with_bounds(arg.body, layer, facts)))


def _with_bounds(expr: Expr, layer: Layer, facts: Facts) -> Expr:
    if isinstance(expr, Read):
        return where(both(*_bounds(expr, layer, facts)), expr, ZERO)
    return rebuild(expr, tuple(_with_bounds(p, layer, facts) for p in parts(expr)))


def _bounds(read: Read, layer: Layer, facts: Facts) -> list[Expr]:
    """The conditions under which a read lies inside, those of the reads in its indices first."""
    inner = [e for i in read.indices for e in walk(i) if isinstance(e, Read)]
    found = [c for e in reversed(inner) for c in _bounds(e, layer, facts)]
    tensor = layer.tensor(read.tensor)
    if tensor is None or tensor.outside is None:
        for place, extent in zip(read.indices, layer.axes(read.tensor), strict=True):
            found += [Compare("<=", ZERO, place), Compare("<", place, extent)]
    return [c for c in dict.fromkeys(found) if not holds(c, facts)]
