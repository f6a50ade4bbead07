"""Guards: conditions under which a term of a reduction counts, taken out of it and turned into bounds of loops."""

from __future__ import annotations

from dataclasses import dataclass

from symbackprop.calculus.integer import Facts, never_negative, normal, not_negative
from symbackprop.calculus.polynomial import UNIT, Polynomial, as_expr, contains, linear, minus, scaled, times, total
from symbackprop.loops.tensors import Tensors
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Add,
    Clip,
    Compare,
    Expr,
    FloorDiv,
    Index,
    Infinity,
    Logic,
    Mod,
    Mul,
    Number,
    Parameter,
    Read,
    Size,
    Where,
    add,
    both,
    conjuncts,
    floor_divide,
    mul,
    negative,
    rebuild,
    subtract,
    walk,
)

IDENTITY: dict[str, Expr] = {"sum": ZERO, "mean": ZERO, "prod": ONE, "max": Infinity(-1), "min": Infinity(1)}
_ONE: Polynomial = {UNIT: ONE.value}


@dataclass(frozen=True, slots=True)
class Guarded:
    """A term that counts where all the conditions hold, and is the identity of its reduction elsewhere."""

    conditions: tuple[Expr, ...]
    value: Expr


def guarded(body: Expr, operation: str, tensors: Tensors) -> Guarded:
    """The conditions of a term: `where(c, v, 0)` in a sum is v where c holds, as is a read whose outside value is 0.

    Gives: a value in which every read that the conditions do not keep inside stands in a choice of its own.
    """
    conditions, value = _strip(body, IDENTITY[operation], tensors)
    kept: list[Expr] = []
    for condition in conjuncts(both(*conditions)):
        kept.append(tensors.closed(condition, tuple(kept)))
    return Guarded(tuple(kept), tensors.closed(value, tuple(kept)))


def _strip(expr: Expr, identity: Expr, tensors: Tensors) -> tuple[tuple[Expr, ...], Expr]:
    match expr:
        case Where(condition, then, other) if other == identity:
            inner, value = _strip(then, identity, tensors)
            return (*conjuncts(condition), *inner), value
        case Read(tensor, _) if tensors.outside.get(tensor) == identity:
            return tensors.inside(expr), expr
        case Mul(factors) if identity == ZERO:
            stripped = [_strip(f, identity, tensors) for f in factors]
            return tuple(c for cs, _ in stripped for c in cs), rebuild(expr, tuple(v for _, v in stripped))
        case _:
            return (), expr


@dataclass(frozen=True, slots=True)
class Limits:
    """What conditions say of one index: at least each of `low`, below each of `high`; `rest` has to be tested."""

    low: tuple[Expr, ...]
    high: tuple[Expr, ...]
    rest: tuple[Expr, ...]


def limits(conditions: tuple[Expr, ...], index: Index, facts: Facts) -> Limits:
    """Solve conditions for an index: `0 <= a*i + b` is `i >= ceil(-b/a)`, `a*i + b < W` is `i < floor((W-1-b)/a) + 1`.

    Only where the coefficient is proved to be positive or negative.
    """
    low: list[Expr] = []
    high: list[Expr] = []
    rest: list[Expr] = []
    for condition in conditions:
        solved = _solve(not_negative(condition, facts), index, facts) if _of_integers(condition) else None
        if solved is None:
            rest.append(condition)
        else:
            (low if solved[0] == "low" else high).append(solved[1])
    return Limits(tuple(dict.fromkeys(low)), tuple(dict.fromkeys(high)), tuple(rest))


def _of_integers(condition: Expr) -> bool:
    """Whether a condition compares integers of indices, sizes and parameters only.

    `x[n] >= p`, `cos(C) < q` and `q/2 > 1` have no bounds that are integers.
    """
    return all(_whole(e) for e in walk(condition))


def _whole(expr: Expr) -> bool:
    match expr:
        case Number(value):
            return value.denominator == 1
        case Parameter(_, integer):
            return integer
        case _:
            return isinstance(expr, Index | Size | Add | Mul | FloorDiv | Mod | Clip | Compare | Logic)


def _solve(polynomial: Polynomial | None, index: Index, facts: Facts) -> tuple[str, Expr] | None:
    if polynomial is None:
        return None
    taken = linear(_without_floor(polynomial, index, facts), index)
    if taken is None or not taken[0]:
        return None
    coefficient, rest = taken
    if positive(coefficient, facts):
        return "low", negative(floor_divide(as_expr(rest), as_expr(coefficient)))
    opposite = scaled(coefficient, -1)
    if positive(opposite, facts):
        return "high", add(floor_divide(as_expr(rest), as_expr(opposite)), ONE)
    return None


def _without_floor(polynomial: Polynomial, index: Index, facts: Facts) -> Polynomial:
    """`a//b + c >= 0` is `a + b*c >= 0`, and `c - a//b >= 0` is `b*c + b - 1 - a >= 0`, for a positive b."""
    floors = [(m, atom) for m in polynomial for atom, p in m if p == 1 and len(m) == 1 and contains(atom, index)]
    if len(floors) != 1:
        return polynomial
    monomial, floor = floors[0]
    if not isinstance(floor, FloorDiv):
        return polynomial
    sign = polynomial[monomial]
    dividend, divisor = normal(floor.dividend, facts), normal(floor.divisor, facts)
    if sign not in (1, -1) or not positive(divisor, facts):
        return polynomial
    rest = times({m: c for m, c in polynomial.items() if m != monomial}, divisor)
    return total(rest, dividend) if sign == 1 else minus(total(rest, minus(divisor, _ONE)), dividend)


def positive(polynomial: Polynomial, facts: Facts) -> bool:
    """Whether a polynomial is proved to be at least 1."""
    return never_negative(minus(polynomial, _ONE), facts)


@dataclass(frozen=True, slots=True)
class Phase:
    """`condition`, that a number divides the index plus something, holds exactly for `index = value`, any `step`."""

    condition: Expr
    step: Index
    value: Expr


def phase(conditions: tuple[Expr, ...], index: Index, facts: Facts) -> Phase | None:
    """A walk over the multiples only: `(i + b) % m == 0` is `i = m*q - b`, and `(b - i) % m == 0` is `i = b - m*q`."""
    for condition in conditions:
        match condition:
            case Compare("==", Mod(dividend, divisor), number) if number == ZERO and _of_integers(condition):
                taken = linear(normal(dividend, facts), index)
                if taken is None or taken[0] not in (_ONE, scaled(_ONE, -1)):
                    continue
                if not positive(normal(divisor, facts), facts) or contains(divisor, index):
                    continue
                step = Index(f"{index.name}_step", index.extent, index.copy)
                multiple, rest = mul(divisor, step), as_expr(taken[1])
                forward = taken[0] == _ONE
                return Phase(condition, step, subtract(multiple, rest) if forward else subtract(rest, multiple))
    return None
