"""Integer index expressions as polynomials: which index moves an access, how far, and between which bounds.

Needs: an index expression (integers, indices, sizes, integer parameters, `+ * // %`, clip, reads of integer
tensors). `//`, `%`, clip and reads are opaque: they are atoms of the polynomial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

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
    Number,
    Parameter,
    Pow,
    Read,
    Size,
    add,
    floor_divide,
    mul,
    parts,
    rebuild,
    subtract,
    walk,
)

Monomial = tuple[Expr, ...]
Polynomial = dict[Monomial, Fraction]


def polynomial(expr: Expr) -> Polynomial:
    """The polynomial of an integer expression; monomials in the order in which they first stand."""
    match expr:
        case Number(value):
            return {(): value} if value else {}
        case Add(terms):
            total: Polynomial = {}
            for term in terms:
                total = _plus(total, polynomial(term))
            return total
        case Mul(factors):
            product: Polynomial = {(): Fraction(1)}
            for factor in factors:
                product = _times(product, polynomial(factor))
            return product
        case Pow(base, Number(exponent)) if exponent.denominator == 1 and 1 <= exponent <= 8:
            return polynomial(mul(*[base] * int(exponent)))
        case FloorDiv() | Mod() | Clip():
            return {(rebuild(expr, tuple(normal(part) for part in parts(expr))),): Fraction(1)}
        case _:
            return {(expr,): Fraction(1)}


def _plus(left: Polynomial, right: Polynomial) -> Polynomial:
    total = dict(left)
    for monomial, coefficient in right.items():
        total[monomial] = total.get(monomial, Fraction(0)) + coefficient
    return {m: c for m, c in total.items() if c}


def _times(left: Polynomial, right: Polynomial) -> Polynomial:
    total: Polynomial = {}
    for a, x in left.items():
        for b, y in right.items():
            monomial = tuple(sorted((*a, *b), key=_rank))
            total[monomial] = total.get(monomial, Fraction(0)) + x * y
    return {m: c for m, c in total.items() if c}


def _rank(atom: Expr) -> tuple[int, str]:
    kinds = (Parameter, Size, Index)
    kind = next((at for at, k in enumerate(kinds) if isinstance(atom, k)), len(kinds))
    return kind, repr(atom)


def expression(terms: Polynomial) -> Expr:
    """The expression of a polynomial: positive terms first, so that it prints as `H - 1` and not `-1 + H`."""
    ordered = sorted(terms.items(), key=lambda item: (item[1] < 0, not item[0]))
    return add(*(mul(Number(c), *m) for m, c in ordered))


def normal(expr: Expr) -> Expr:
    """The expression multiplied out, like terms put together: equal polynomials give equal expressions' terms."""
    return expression(polynomial(expr))


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
    for monomial, coefficient in polynomial(expr).items():
        moving = [atom for atom in monomial if moves(atom)]
        if not moving:
            constant[monomial] = coefficient
        elif len(moving) == 1:
            rest = tuple(atom for atom in monomial if atom != moving[0])
            terms.setdefault(moving[0], {})[rest] = coefficient
        else:
            return None
    return Affine(expression(constant), tuple((atom, expression(c)) for atom, c in terms.items()))


def sign(expr: Expr, negative_parameters: frozenset[str] = frozenset()) -> int | None:
    """1 if the integer is never negative, -1 if it is never positive, 0 if it is zero, None if that is not known.

    Sizes and extents are at least 1; integer parameters at least 0, but for those in `negative_parameters`.
    """
    terms = polynomial(expr)
    if not terms:
        return 0
    terms = _sizes_from_zero(terms)
    if not all(_never_negative(atom, negative_parameters) for monomial in terms for atom in monomial):
        return None
    if all(c > 0 for c in terms.values()):
        return 1
    return -1 if all(c < 0 for c in terms.values()) else None


def _sizes_from_zero(terms: Polynomial) -> Polynomial:
    """The polynomial in `N - 1` in place of each size `N`, so that all its atoms start at 0."""
    shifted: Polynomial = {}
    for monomial, coefficient in terms.items():
        product: Polynomial = {(): coefficient}
        for atom in monomial:
            one: Polynomial = {(atom,): Fraction(1)}
            product = _times(product, _plus(one, {(): Fraction(1)}) if isinstance(atom, Size) else one)
        shifted = _plus(shifted, product)
    return shifted


def _never_negative(atom: Expr, negative_parameters: frozenset[str]) -> bool:
    match atom:
        case Parameter(name, integer):
            return integer and name not in negative_parameters
        case Size() | Index():
            return True
        case FloorDiv(a, b) | Mod(a, b):
            return sign(a, negative_parameters) in (0, 1) and sign(b, negative_parameters) == 1
        case _:
            return False


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the greatest value of an index expression, as integer expressions of sizes and parameters.

    `Call("min", ...)` and `Call("max", ...)` stand in them where a sign is not known, and for an element of an
    integer tensor `Call("min", (Read(t, ()),))`: its least element.
    """

    low: Expr
    high: Expr


def bounds(expr: Expr, negative_parameters: frozenset[str] = frozenset()) -> Bounds:
    """The bounds over the whole box of the indices: exact for affine expressions, else not too narrow."""
    found = affine(expr)
    if found is None:
        return _product_bounds(expr, negative_parameters)
    low: list[Expr] = []
    high: list[Expr] = []
    for atom, coefficient in found.terms:
        inner = _atom_bounds(atom, negative_parameters)
        first, last = mul(coefficient, inner.low), mul(coefficient, inner.high)
        known = sign(coefficient, negative_parameters)
        if known is None:
            first, last = Call("min", (normal(first), normal(last))), Call("max", (normal(first), normal(last)))
        elif known < 0:
            first, last = last, first
        low.append(first)
        high.append(last)
    return Bounds(add(*low, found.constant), add(*high, found.constant))


def _product_bounds(expr: Expr, negative_parameters: frozenset[str]) -> Bounds:
    if isinstance(expr, Add):
        inner = [bounds(term, negative_parameters) for term in expr.terms]
        return Bounds(add(*(b.low for b in inner)), add(*(b.high for b in inner)))
    if not isinstance(expr, Mul):
        raise InternalError(f"no bounds of the index expression {expr}")
    total = Bounds(ONE, ONE)
    for factor in expr.factors:
        b = bounds(factor, negative_parameters)
        corners = tuple(mul(x, y) for x in (total.low, total.high) for y in (b.low, b.high))
        total = Bounds(_fold("min", corners), _fold("max", corners))
    return total


def _fold(function: str, values: tuple[Expr, ...]) -> Expr:
    result = values[0]
    for value in values[1:]:
        result = result if result == value else Call(function, (result, value))
    return result


def _atom_bounds(atom: Expr, negative_parameters: frozenset[str]) -> Bounds:
    match atom:
        case Index(_, extent):
            return Bounds(ZERO, subtract(extent, ONE))
        case Mod(_, divisor):
            return Bounds(ZERO, subtract(divisor, ONE))
        case FloorDiv(dividend, divisor):
            inner = bounds(dividend, negative_parameters)
            return Bounds(floor_divide(inner.low, divisor), floor_divide(inner.high, divisor))
        case Clip(_, low, high):
            return Bounds(bounds(low, negative_parameters).low, bounds(high, negative_parameters).high)
        case Read():
            return Bounds(Call("min", (Read(atom.tensor, ()),)), Call("max", (Read(atom.tensor, ()),)))
        case _:
            return Bounds(atom, atom)


def replace(expr: Expr, mapping: Mapping[Expr, Expr]) -> Expr:
    """`expr` with whole subexpressions replaced, outermost first; for index expressions, which bind nothing."""
    if expr in mapping:
        return mapping[expr]
    return rebuild(expr, tuple(replace(part, mapping) for part in parts(expr)))
