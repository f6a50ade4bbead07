"""Integer index expressions as polynomials: which index moves an access, how far, and between which bounds.

Needs: an index expression (integers, indices, sizes, integer parameters, `+ * // %`, clip, reads of integer
tensors). What is left of `//` and `%` in the normal form, clip and reads are opaque: they are atoms of the polynomial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from symbackprop.calculus.integer import NOTHING_KNOWN, Facts, never_negative, normal, simplified
from symbackprop.calculus.polynomial import Polynomial, as_expr, scaled
from symbackprop.errors import InternalError
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Add,
    Call,
    Clip,
    Expr,
    FloorDiv,
    Index,
    Mod,
    Mul,
    Read,
    add,
    floor_divide,
    mul,
    parts,
    rebuild,
    subtract,
    walk,
)


@dataclass(frozen=True, slots=True)
class Affine:
    """`constant + sum of coefficient*atom`; an atom is an index, or an opaque expression in which one stands."""

    constant: Expr
    terms: tuple[tuple[Expr, Expr], ...]

    @property
    def plain(self) -> bool:
        """Whether all atoms are indices: the access is a strided walk through memory."""
        return all(isinstance(atom, Index) for atom, _ in self.terms)

    def coefficient(self, index: Index) -> Expr:
        """The coefficient of an index; 0 where it does not stand."""
        return next((c for atom, c in self.terms if atom == index), ZERO)


def moves(expr: Expr) -> bool:
    """Whether an index or an element of an integer tensor stands in the expression."""
    return any(isinstance(e, Index | Read) for e in walk(expr))


def affine(expr: Expr) -> Affine | None:
    """The affine form of an index expression, or None where two moving atoms are multiplied."""
    constant: Polynomial = {}
    terms: dict[Expr, Polynomial] = {}
    for monomial, coefficient in normal(expr).items():
        moving = [(atom, power) for atom, power in monomial if moves(atom)]
        if not moving:
            constant[monomial] = coefficient
        elif len(moving) == 1 and moving[0][1] == 1:
            terms.setdefault(moving[0][0], {})[monomial - {moving[0]}] = coefficient
        else:
            return None
    return Affine(as_expr(constant), tuple((atom, as_expr(c)) for atom, c in terms.items()))


def sign(expr: Expr, facts: Facts = NOTHING_KNOWN) -> int | None:
    """1 if the integer is never negative, -1 if it is never positive, 0 if it is zero, None if that is not known."""
    value = normal(expr, facts)
    if not value:
        return 0
    if never_negative(value, facts):
        return 1
    return -1 if never_negative(scaled(value, -1), facts) else None


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the greatest value of an index expression, as integer expressions of sizes and parameters.

    `Call("min", ...)` and `Call("max", ...)` stand in them where a sign is not known, and for an element of an
    integer tensor `Call("min", (Read(t, ()),))`: its least element.
    """

    low: Expr
    high: Expr


def bounds(expr: Expr, facts: Facts = NOTHING_KNOWN) -> Bounds:
    """The bounds over the whole box of the indices: exact for affine expressions, else not too narrow."""
    found = affine(expr)
    if found is None:
        return _product_bounds(expr, facts)
    low: list[Expr] = []
    high: list[Expr] = []
    for atom, coefficient in found.terms:
        inner = _atom_bounds(atom, facts)
        first, last = mul(coefficient, inner.low), mul(coefficient, inner.high)
        known = sign(coefficient, facts)
        if known is None:
            corners = (simplified(first), simplified(last))
            first, last = _fold("min", corners), _fold("max", corners)
        elif known < 0:
            first, last = last, first
        low.append(first)
        high.append(last)
    return Bounds(add(*low, found.constant), add(*high, found.constant))


def _product_bounds(expr: Expr, facts: Facts) -> Bounds:
    if isinstance(expr, Add):
        inner = [bounds(term, facts) for term in expr.terms]
        return Bounds(add(*(b.low for b in inner)), add(*(b.high for b in inner)))
    if not isinstance(expr, Mul):
        raise InternalError(f"no bounds of the index expression {expr}")
    total = Bounds(ONE, ONE)
    for factor in expr.factors:
        b = bounds(factor, facts)
        corners = tuple(mul(x, y) for x in (total.low, total.high) for y in (b.low, b.high))
        total = Bounds(_fold("min", corners), _fold("max", corners))
    return total


def _fold(function: str, values: tuple[Expr, ...]) -> Expr:
    result = values[0]
    for value in values[1:]:
        result = result if result == value else Call(function, (result, value))
    return result


def _atom_bounds(atom: Expr, facts: Facts) -> Bounds:
    match atom:
        case Index(_, extent):
            return Bounds(ZERO, subtract(extent, ONE))
        case Mod(_, divisor):
            return Bounds(ZERO, subtract(divisor, ONE))
        case FloorDiv(dividend, divisor):
            inner = bounds(dividend, facts)
            return Bounds(floor_divide(inner.low, divisor), floor_divide(inner.high, divisor))
        case Clip(_, low, high):
            return Bounds(bounds(low, facts).low, bounds(high, facts).high)
        case Read():
            return Bounds(Call("min", (Read(atom.tensor, ()),)), Call("max", (Read(atom.tensor, ()),)))
        case _:
            return Bounds(atom, atom)


def replace(expr: Expr, mapping: Mapping[Expr, Expr]) -> Expr:
    """`expr` with whole subexpressions replaced, outermost first; for index expressions, which bind nothing."""
    if expr in mapping:
        return mapping[expr]
    return rebuild(expr, tuple(replace(part, mapping) for part in parts(expr)))
