"""Where a scatter adds, as one number: what the indices say, and what a position of an extremum says, from a table.

`h = stride*p + argmax//kernel - pad` and `w = stride*q + argmax % kernel - pad` lie at `h*W + w` of an image, which is
`(stride*p - pad)*W + stride*q - pad` and one of as many numbers as there are positions. Whether all places are inside
follows from their ends, so that it is asked once and not at each element.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symbackprop.calculus.integer import ends, normal
from symbackprop.calculus.polynomial import Polynomial, as_expr
from symbackprop.loops.tensors import Tensors
from symbackprop.notation.binding import substitute
from symbackprop.notation.nodes import (
    ZERO,
    Compare,
    Expr,
    Index,
    Read,
    add,
    both,
    mul,
    walk,
)


@dataclass(frozen=True, slots=True)
class FlatPlace:
    """The place `base + offsets[position]` in row-major order, which is inside if the condition `inside` holds."""

    base: Expr
    offset: Expr
    position: Read
    inside: Expr


def flat_place(places: Sequence[Expr], extents: Sequence[Expr], tensors: Tensors) -> FlatPlace | None:
    """The places along axes with these extents as one; None where more moves them than one position of an extremum."""
    found = {e for place in places for e in walk(place) if isinstance(e, Read)}
    if len(found) != 1:
        return None
    (position,) = found
    if position.tensor not in tensors.places:
        return None
    at = Index("at", tensors.places[position.tensor])
    conditions: list[Expr] = []
    for place, extent in zip(places, extents, strict=True):
        found_ends = ends(normal(substitute(place, {position: at}), tensors.facts), tensors.facts)
        if found_ends is None:
            return None
        low, high = (as_expr(end) for end in found_ends)
        conditions += [Compare("<=", ZERO, low), Compare("<", high, extent)]
    flat: Expr = add()
    for place, extent in zip(places, extents, strict=True):
        flat = add(mul(flat, extent), place)
    late: Polynomial = {}
    early: Polynomial = {}
    for monomial, factor in normal(flat, tensors.facts).items():
        moved = any(isinstance(e, Read) for atom, _ in monomial for e in walk(atom))
        (late if moved else early)[monomial] = factor
    offset = substitute(as_expr(late), {position: at})
    if any(isinstance(e, Read) or (isinstance(e, Index) and e != at) for e in walk(offset)):
        return None
    return FlatPlace(as_expr(early), offset, position, both(*conditions))
