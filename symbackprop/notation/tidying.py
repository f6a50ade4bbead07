"""Sums of whole numbers and sizes with what cancels taken out."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import prod

from symbackprop.notation.nodes import Add, Expr, Mul, Number, add, mul, rewrite


def tidy(expr: Expr) -> Expr:
    """Sums of whole numbers and sizes with what cancels taken out: `1 + i - 1` is `i`."""

    def rule(node: Expr) -> Expr:
        if not isinstance(node, Add):
            return node
        kept: dict[Expr, Fraction] = {}
        for term in node.terms:
            count, rest = _coefficient(term)
            kept[rest] = kept.get(rest, Fraction(0)) + count
        return add(*(mul(Number(count), rest) for rest, count in kept.items()))

    return rewrite(expr, rule)


def collected(expr: Expr) -> Expr:
    """A position or a limit with sums multiplied out, so that what cancels does; halves stand together: `(N - 1)/2`."""
    return rewrite(expr, lambda node: _collected(node) if isinstance(node, Add) else node)


def _collected(node: Add) -> Expr:
    found: dict[Expr, Fraction] = {}
    for count, rest in _multiplied_out(node):
        found[rest] = found.get(rest, Fraction(0)) + count
    whole = [mul(Number(count), rest) for rest, count in found.items() if count.denominator == 1]
    return add(*whole, *(_together(found, below) for below in sorted({c.denominator for c in found.values()} - {1})))


def _multiplied_out(term: Expr) -> Iterator[tuple[Fraction, Expr]]:
    count, rest = _coefficient(term)
    if isinstance(rest, Add):
        yield from ((count * own, left) for inner in rest.terms for own, left in _multiplied_out(inner))
    else:
        yield count, rest


def _coefficient(term: Expr) -> tuple[Fraction, Expr]:
    factors = term.factors if isinstance(term, Mul) else (term,)
    count = prod((f.value for f in factors if isinstance(f, Number)), start=Fraction(1))
    return count, mul(*(f for f in factors if not isinstance(f, Number)))


def _together(found: dict[Expr, Fraction], below: int) -> Expr:
    """The terms with one denominator as a fraction, its first term positive."""
    terms = [(rest, count * below) for rest, count in found.items() if count.denominator == below]
    sign = 1 if terms[0][1] > 0 else -1
    return mul(Number(Fraction(sign, below)), add(*(mul(Number(sign * count), rest) for rest, count in terms)))
