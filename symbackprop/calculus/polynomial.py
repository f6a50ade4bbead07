"""Polynomials in integer expressions: sums, products, and what is linear in an index.

A polynomial is a dictionary from monomials (a set of (atom, power)) to integer coefficients. Atoms are indices,
sizes, parameters, and whatever is not polynomial: a floor, a remainder, a read of an integer tensor.
"""

from __future__ import annotations

from fractions import Fraction

from symbackprop.notation.nodes import Expr, Index, Number, Parameter, Size, add, mul, parts

Monomial = frozenset[tuple[Expr, int]]
Polynomial = dict[Monomial, Fraction]
UNIT: Monomial = frozenset()


def total(*polys: Polynomial) -> Polynomial:
    """The sum."""
    result: Polynomial = {}
    for poly in polys:
        for m, c in poly.items():
            put(result, m, c)
    return result


def scaled(poly: Polynomial, by: int | Fraction) -> Polynomial:
    """The polynomial times a number."""
    return {m: c * by for m, c in poly.items()} if by else {}


def times(a: Polynomial, b: Polynomial) -> Polynomial:
    """The product."""
    result: Polynomial = {}
    for m, c in a.items():
        for n, d in b.items():
            powers = dict(m)
            for atom, p in n:
                powers[atom] = powers.get(atom, 0) + p
            put(result, frozenset(powers.items()), c * d)
    return result


def minus(a: Polynomial, b: Polynomial) -> Polynomial:
    """The difference."""
    return total(a, scaled(b, -1))


def put(poly: Polynomial, m: Monomial, c: Fraction | int) -> None:
    value = poly.get(m, Fraction(0)) + Fraction(c)
    if value:
        poly[m] = value
    else:
        poly.pop(m, None)


def divided(a: Polynomial, b: Polynomial) -> tuple[Polynomial, Polynomial]:
    """`a = b*quotient + rest`, taking into the quotient each term that a one-term `b` divides exactly."""
    if len(b) != 1:
        return ({UNIT: Fraction(1)}, {}) if a == b else ({}, a)
    ((monomial, coefficient),) = b.items()
    quotient: Polynomial = {}
    rest: Polynomial = {}
    for m, c in a.items():
        q = _divide_monomial(m, monomial)
        whole = c // coefficient if monomial == UNIT else c / coefficient
        if q is not None and monomial == UNIT and m == UNIT:  # constants: leave the remainder of the number
            left = c - whole * coefficient
            put(quotient, q, whole)
            put(rest, UNIT, left)
        elif q is not None and (c / coefficient).denominator == 1:
            put(quotient, q, c / coefficient)
        else:
            rest[m] = c
    return quotient, rest


def _divide_monomial(m: Monomial, by: Monomial) -> Monomial | None:
    powers = dict(m)
    for atom, p in by:
        left = powers.get(atom, 0) - p
        if left < 0:
            return None
        if left:
            powers[atom] = left
        else:
            powers.pop(atom)
    return frozenset(powers.items())


def as_expr(poly: Polynomial) -> Expr:
    """The expression of a polynomial: positive terms before negative ones, those with an index first."""
    items = sorted(
        poly.items(), key=lambda item: (item[1] < 0, all(isinstance(a, Size | Parameter) for a, _ in item[0]))
    )
    return add(*(mul(Number(c), *(_powers(m))) for m, c in items))


def _powers(m: Monomial) -> list[Expr]:
    return [atom for atom, p in sorted(m, key=lambda item: _rank(item[0])) for _ in range(p)]


def _rank(atom: Expr) -> tuple[int, str]:
    """Factors of an index expression: parameters, then sizes, then indices, then the rest; by name within a kind."""
    for at, kind in enumerate((Parameter, Size, Index)):
        if isinstance(atom, kind):
            return at, f"{getattr(atom, 'name', '')}{getattr(atom, 'copy', '')}"
    return 3, repr(atom)


def linear(poly: Polynomial, index: Expr) -> tuple[Polynomial, Polynomial] | None:
    """`poly = coefficient*index + rest`, or None where the index stands in another way."""
    coefficient: Polynomial = {}
    rest: Polynomial = {}
    for m, c in poly.items():
        powers = dict(m)
        degree = powers.pop(index, 0)
        if degree > 1 or any(contains(atom, index) for atom in powers):
            return None
        if degree:
            coefficient[frozenset(powers.items())] = c
        else:
            rest[m] = c
    return coefficient, rest


def contains(expr: Expr, index: Expr) -> bool:
    """Whether an index stands anywhere in the expression."""
    return expr == index or any(contains(p, index) for p in parts(expr))


def mentions(poly: Polynomial, index: Expr) -> bool:
    """Whether an index stands anywhere in the polynomial, inside a floor too."""
    return any(contains(atom, index) for m in poly for atom, _ in m)


def is_one(poly: Polynomial) -> int:
    """1 or -1 where the polynomial is that number, else 0."""
    value = poly.get(UNIT, Fraction(0)) if len(poly) == 1 else Fraction(0)
    return int(value) if value in (1, -1) else 0
