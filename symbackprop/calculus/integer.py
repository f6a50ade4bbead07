"""Integer expressions as polynomials: a normal form, floors and remainders taken apart, and bounds that are proved.

Nothing here guesses: `never_negative` answers True only where it has a proof.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from symbackprop.calculus.polynomial import (
    UNIT,
    Polynomial,
    as_expr,
    divided,
    linear,
    minus,
    scaled,
    times,
    total,
)
from symbackprop.notation.binding import substitute
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import (
    ZERO,
    Add,
    Arg,
    Clip,
    Compare,
    Expr,
    FloorDiv,
    Index,
    Logic,
    Mod,
    Mul,
    Number,
    Parameter,
    Pow,
    Size,
    floor_divide,
    modulo,
    mul,
    parts,
    rebuild,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of sizes and parameters: equalities between sizes, and least values of parameters.

    Every size is at least 1. `equal` rewrites a size (`C` is `groups*D`); `least` is the least value of an integer
    parameter: 1 where it divides something, else 0, and None where its default is negative; of a parameter
    that does not stand there nothing is known. `integers` are
    the tensors of integers. Of the indices `anywhere` no range is known, whatever extent they carry.
    """

    equal: dict[Expr, Expr] = field(default_factory=dict)
    least: dict[str, int | None] = field(default_factory=dict)
    integers: tuple[str, ...] = ()
    anywhere: tuple[Index, ...] = ()

    @classmethod
    def of(cls, layer: Layer, auxiliary: tuple[str, ...] = ()) -> Facts:
        """The facts that a layer's declarations state: `require C % g == 0` and `size D = C//g` make C = g*D.

        `auxiliary` are further tensors of integers, which the derivation adds.
        """
        least: dict[str, int | None] = {}
        for p in layer.parameters:
            least[p.name] = (0 if p.default >= 0 else None) if p.integer else None
        for divisor in _divisors(layer):
            if isinstance(divisor, Parameter):
                least[divisor.name] = 1
            if isinstance(divisor, Mul) and all(_from_zero(f, least) for f in divisor.factors):
                least |= {f.name: 1 for f in divisor.factors if isinstance(f, Parameter)}
        exact = {
            (r.condition.left.dividend, r.condition.left.divisor)
            for r in layer.requirements
            if isinstance(r.condition, Compare)
            and isinstance(r.condition.left, Mod)
            and r.condition.operation == "=="
            and r.condition.right == ZERO
        }
        equal: dict[Expr, Expr] = {}
        for size in layer.sizes:
            value = size.value
            if isinstance(value, FloorDiv) and (value.dividend, value.divisor) in exact:
                equal.setdefault(value.dividend, mul(value.divisor, Size(size.name)))
        return cls(equal, least, (*layer.integers, *auxiliary))


def _from_zero(factor: Expr, least: dict[str, int | None]) -> bool:
    """Whether a factor of a divisor is known to be at least 0, so that it is at least 1 where the product is."""
    return isinstance(factor, Number | Size) or (isinstance(factor, Parameter) and least.get(factor.name) is not None)


def _divisors(layer: Layer) -> Iterable[Expr]:
    """What is divided by, which is at least 1 in every call."""
    values = [s.value for s in layer.sizes] + [r.extent for r in layer.ranges] + [d.body for d in layer.definitions]
    stack = list(values)
    while stack:
        top = stack.pop()
        if isinstance(top, FloorDiv | Mod):
            yield top.divisor
        if isinstance(top, Index):
            stack.append(top.extent)
        stack.extend(parts(top))


NOTHING_KNOWN = Facts()


def normal(expr: Expr, facts: Facts = NOTHING_KNOWN) -> Polynomial:
    """The polynomial of an integer expression; floors and remainders are taken apart as far as is exact."""
    match expr:
        case Number(value):
            return {UNIT: value} if value else {}
        case Add(terms):
            return total(*(normal(t, facts) for t in terms))
        case Mul(factors):
            result: Polynomial = {UNIT: Fraction(1)}
            for f in factors:
                result = times(result, normal(f, facts))
            return result
        case Pow(base, Number(value)) if value.denominator == 1 and 0 <= value <= 16:
            result = {UNIT: Fraction(1)}
            for _ in range(int(value)):
                result = times(result, normal(base, facts))
            return result
        case FloorDiv(a, b):
            return _floor(normal(a, facts), normal(b, facts), facts)
        case Mod(a, b):
            return _remainder(normal(a, facts), normal(b, facts), facts)
        case Index() | Size() | Parameter():
            return {frozenset({(expr, 1)}): Fraction(1)}
        case _:
            atom = (
                rebuild(expr, tuple(simplified(p, facts) for p in parts(expr))) if not isinstance(expr, Arg) else expr
            )
            return {frozenset({(atom, 1)}): Fraction(1)}


def _floor(a: Polynomial, b: Polynomial, facts: Facts) -> Polynomial:
    """`(b*q + rest) // b = q + rest // b`, and `rest // b = 0` where `0 <= rest < b` is proved."""
    quotient, rest = divided(a, b)
    if not rest or _below(rest, b, facts):
        return quotient
    divisor = as_expr(b)
    inner = as_expr(rest)
    floor = floor_divide(inner, divisor)
    return total(quotient, _atom(floor))


def _remainder(a: Polynomial, b: Polynomial, facts: Facts) -> Polynomial:
    """`(b*q + rest) % b = rest % b`, and `rest % b = rest` where `0 <= rest < b` is proved."""
    _, rest = divided(a, b)
    if not rest or _below(rest, b, facts):
        return rest
    return _atom(modulo(as_expr(rest), as_expr(b)))


def _atom(expr: Expr) -> Polynomial:
    if isinstance(expr, Number):
        return {UNIT: expr.value} if expr.value else {}
    return {frozenset({(expr, 1)}): Fraction(1)}


def simplified(expr: Expr, facts: Facts = NOTHING_KNOWN) -> Expr:
    """The normal form as an expression; the same object if it was in normal form already."""
    if isinstance(expr, Index | Size | Parameter | Number):
        return expr
    poly = normal(expr, facts)
    return expr if isinstance(expr, Add | Mul) and _plain(expr) and len(poly) == len(_terms(expr)) else as_expr(poly)


def _terms(expr: Expr) -> tuple[Expr, ...]:
    return expr.terms if isinstance(expr, Add) else (expr,)


def _plain(expr: Expr) -> bool:
    """Whether an expression is a sum of products of atoms as it stands, so that its own order can be kept."""
    for term in _terms(expr):
        for factor in term.factors if isinstance(term, Mul) else (term,):
            if not isinstance(factor, Number | Index | Size | Parameter):
                return False
    return True


def equal(a: Expr, b: Expr, facts: Facts = NOTHING_KNOWN) -> bool:
    """Whether two integer expressions are the same polynomial under the facts."""
    return a == b or not _with_facts(minus(normal(a, facts), normal(b, facts)), facts)


def _with_facts(poly: Polynomial, facts: Facts) -> Polynomial:
    if not facts.equal or not poly:
        return poly
    return normal(substitute(as_expr(poly), facts.equal), facts)


def _below(rest: Polynomial, b: Polynomial, facts: Facts) -> bool:
    return never_negative(rest, facts) and never_negative(minus(minus(b, rest), {UNIT: Fraction(1)}), facts)


def never_negative(poly: Polynomial, facts: Facts = NOTHING_KNOWN) -> bool:
    """Whether the polynomial is proved to be at least 0 for all values of its indices and all sizes and parameters.

    Each bounded atom (an index, a floor, a remainder) is put at the end of its range that makes the polynomial least;
    sizes are then written as 1 plus something, parameters as their least value plus something, and a polynomial
    without a negative coefficient is never negative.
    """
    for _ in range(24):
        poly = _with_facts(poly, facts)
        bounded = next((a for m in poly for a, _ in m if not isinstance(a, Size | Parameter)), None)
        if bounded is None:
            return _positive_coefficients(poly, facts)
        taken = linear(poly, bounded)
        ends = _ends(bounded, facts)
        if taken is None or ends is None:
            return False
        coefficient, rest = taken
        if never_negative(coefficient, facts):
            poly = total(times(coefficient, ends[0]), rest)
        elif ends[1] is not None and never_negative(scaled(coefficient, -1), facts):
            poly = total(times(coefficient, ends[1]), rest)
        else:
            return False
    return False


def _ends(atom: Expr, facts: Facts) -> tuple[Polynomial, Polynomial | None] | None:
    """The least and the greatest value of a bounded atom, as polynomials; None where there is no proof."""
    one: Polynomial = {UNIT: Fraction(1)}
    match atom:
        case Index(_, extent):
            return None if atom in facts.anywhere else ({}, minus(normal(extent, facts), one))
        case Mod(_, divisor):
            return {}, minus(normal(divisor, facts), one)
        case Clip(_, low, high):
            least, greatest = normal(low, facts), normal(high, facts)
            return (least, greatest) if never_negative(minus(greatest, least), facts) else None
        case Arg(_, indices, _):
            return {}, minus(normal(mul(*(i.extent for i in indices)), facts), one)
        case FloorDiv(dividend, divisor):
            inner = normal(dividend, facts)
            if not never_negative(inner, facts):
                return None
            top = _greatest(inner, facts)
            if top is None:
                return {}, None
            quotient, rest = divided(_with_facts(total(top, one), facts), _with_facts(normal(divisor, facts), facts))
            return {}, minus(quotient, one) if not rest else None
        case _:
            return None


def _greatest(poly: Polynomial, facts: Facts) -> Polynomial | None:
    """The greatest value of a polynomial whose indices all have coefficients that are never negative."""
    while True:
        index = next((a for m in poly for a, _ in m if not isinstance(a, Size | Parameter)), None)
        if index is None:
            return poly
        taken, ends = linear(poly, index), _ends(index, facts)
        if taken is None or ends is None or ends[1] is None or not never_negative(taken[0], facts):
            return None
        poly = total(times(taken[0], ends[1]), taken[1])


def ends(poly: Polynomial, facts: Facts) -> tuple[Polynomial, Polynomial] | None:
    """The least and the greatest value of a polynomial whose indices all have coefficients that are never negative."""
    greatest = _greatest(poly, facts)
    if greatest is None:
        return None
    return {m: c for m, c in poly.items() if all(isinstance(a, Size | Parameter) for a, _ in m)}, greatest


def _positive_coefficients(poly: Polynomial, facts: Facts) -> bool:
    shifted: Polynomial = {}
    for m, c in poly.items():
        product: Polynomial = {UNIT: c}
        for atom, p in m:
            least = 1 if isinstance(atom, Size) else facts.least.get(getattr(atom, "name", ""))
            if least is None:
                return False
            for _ in range(p):
                product = times(
                    product, total({frozenset({(atom, 1)}): Fraction(1)}, {UNIT: Fraction(least)} if least else {})
                )
        shifted = total(shifted, product)
    return all(c >= 0 for c in shifted.values())


def holds(condition: Expr, facts: Facts = NOTHING_KNOWN) -> bool:
    """Whether a condition on integers is proved to hold always."""
    match condition:
        case Logic("and", arguments):
            return all(holds(a, facts) for a in arguments)
        case Compare("==", a, b):
            return equal(a, b, facts)
        case _:
            surplus = not_negative(condition, facts)
            return surplus is not None and never_negative(surplus, facts)


def follows(condition: Expr, known: Iterable[Expr], facts: Facts = NOTHING_KNOWN) -> bool:
    """Whether a condition on integers is proved to hold always, or where one of those that are known does."""
    if holds(condition, facts):
        return True
    surplus = not_negative(condition, facts)
    others = (not_negative(k, facts) for k in known)
    return surplus is not None and any(never_negative(minus(surplus, o), facts) for o in others if o is not None)


def not_negative(condition: Expr, facts: Facts = NOTHING_KNOWN) -> Polynomial | None:
    """The polynomial of which a condition on integers says that it is at least 0."""
    match condition:
        case Compare("<=", a, b) | Compare(">=", b, a):
            return minus(normal(b, facts), normal(a, facts))
        case Compare("<", a, b) | Compare(">", b, a):
            return minus(minus(normal(b, facts), normal(a, facts)), {UNIT: Fraction(1)})
        case _:
            return None
