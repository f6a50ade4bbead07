"""Eliminating the deltas: a scatter turned into a gather, exactly, over the integers.

`sum over unknowns of value * [j_1 = phi_1] * [j_2 = phi_2] ...` is a linear system for the unknowns. It is solved by
elimination without fractions: each solved unknown leaves a guard that its value lies in its range, and, where its
coefficient is not 1 or -1, a guard that the coefficient divides. Floors and remainders are taken apart into new
unknowns first. What has no exact inverse raises `NoGather` and stays a scatter, which is always right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from symbackprop.calculus.integer import Facts, holds, never_negative, normal, simplified
from symbackprop.calculus.polynomial import (
    UNIT,
    Polynomial,
    as_expr,
    is_one,
    linear,
    mentions,
    minus,
    scaled,
    times,
    total,
)
from symbackprop.notation.binding import free_indices, fresh, substitute
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Arg,
    Clip,
    Compare,
    Delta,
    Expr,
    FloorDiv,
    Index,
    Mod,
    Parameter,
    Read,
    Reduce,
    Size,
    add,
    floor_divide,
    modulo,
    mul,
    parts,
    rebuild,
    subtract,
    walk,
)
from symbackprop.notation.printer import expression


class NoGather(Exception):
    """The system has no exact inverse; the message says why. The scatter form stays."""


@dataclass(frozen=True, slots=True)
class Solution:
    """The solved unknowns as expressions, the unknowns that remain to be summed over, and the guards between them.

    `conditions` are conditions on sizes and parameters that the solution rests on (a stride of at least 1).
    `rules` says in words what was used beside solving for a unit coefficient, in order.
    """

    values: Mapping[Index, Expr]
    remaining: tuple[Index, ...]
    guards: tuple[Expr, ...]
    conditions: tuple[Expr, ...]
    rules: tuple[str, ...]

    def apply(self, expr: Expr, facts: Facts) -> Expr:
        """The expression with the solved unknowns put in, its index expressions in normal form."""
        return tidy(substitute(expr, self.values), facts)


def tidy(expr: Expr, facts: Facts) -> Expr:
    """Every integer subexpression (an index of a read, a side of an integer comparison) in normal form."""
    match expr:
        case Read(tensor, indices):
            new = tuple(_shorter(i, facts) for i in indices)
            return expr if new == indices else Read(tensor, new)
        case Delta(a, b):
            return Delta(_shorter(tidy(a, facts), facts), _shorter(tidy(b, facts), facts))
        case FloorDiv() | Mod() | Clip():
            return simplified(expr, facts)
        case _:
            return rebuild(expr, tuple(tidy(p, facts) for p in parts(expr)))


def _shorter(index: Expr, facts: Facts) -> Expr:
    """The normal form where it is no longer than the expression as it stands: `d*(R - 1 - r)` is not expanded."""
    short = simplified(index, facts)
    return index if sum(1 for _ in walk(short)) > sum(1 for _ in walk(index)) else short


class _System:
    """The state of one elimination: equations `poly = 0`, unknowns still free, values found, guards left."""

    def __init__(self, unknowns: Sequence[Index], positions: int, facts: Facts, taken: Sequence[Index]) -> None:
        self.unknowns = list(unknowns)
        self.order = {u.name: at for at, u in reversed(list(enumerate(unknowns)))}
        self.positions = set(unknowns[:positions])
        self.facts = facts
        self.targets = tuple(taken)
        self.taken = [*taken, *unknowns]
        self.equations: list[Polynomial] = []
        self.values: dict[Index, Expr] = {}
        self.guards: list[Expr] = []
        self.conditions: list[Expr] = []
        self.rules: list[str] = []
        self.splits: dict[tuple[Expr, Expr], tuple[Index, Index]] = {}
        self.unbounded: set[Index] = set()

    # -- taking floors and remainders apart ------------------------------------------------------------------

    def add_equation(self, left: Expr, right: Expr) -> None:
        """`left = right`, with every floor and remainder of an unknown replaced by new unknowns."""
        self.equations.append(minus(self._normal(self._split(left)), self._normal(self._split(right))))

    def _normal(self, expr: Expr) -> Polynomial:
        return normal(expr, self.facts)

    def _split(self, expr: Expr) -> Expr:
        """`e // d` becomes u and `e % d` becomes v, where `e = d*u + v` and v runs over 0 ... d-1."""
        if isinstance(expr, Arg | Reduce):
            return expr
        expr = rebuild(expr, tuple(self._split(p) for p in parts(expr)))
        if not isinstance(expr, FloorDiv | Mod) or not self._has_unknown(expr):
            return expr
        if self._has_unknown(expr.divisor):
            raise NoGather("the divisor of a floor depends on a summed index")
        key = (as_expr(self._normal(expr.dividend)), expr.divisor)
        if not self._has_unknown(key[0]):  # the unknowns have cancelled
            return rebuild(expr, key)
        if key not in self.splits:
            self.splits[key] = self._new_split(*key)
        quotient, remainder = self.splits[key]
        return quotient if isinstance(expr, FloorDiv) else remainder

    def _new_split(self, dividend: Expr, divisor: Expr) -> tuple[Index, Index]:
        base = next(i for i in free_indices(dividend) if i in self.unknowns)
        remainder = fresh(Index(base.name, divisor), self.taken)
        self.taken.append(remainder)
        extent = add(floor_divide(subtract(base.extent, ONE), divisor), ONE)
        exact = _divided(self._normal(self.facts.equal.get(base.extent, base.extent)), self._normal(divisor))
        if exact is not None:  # K = groups*M: K/M is groups, not (K - 1)//M + 1
            extent = as_expr(exact)
        quotient_index = fresh(Index(base.name, extent), self.taken)
        self.taken.append(quotient_index)
        if dividend != base or base in self.unbounded:
            self.unbounded.add(quotient_index)
            # what is divided is no plain index: the extent above says nothing of the quotient
            self.facts = replace(self.facts, anywhere=(*self.facts.anywhere, quotient_index))
        self.unknowns += [quotient_index, remainder]
        self.rules.append(f"{base.name} split into quotient and remainder by {expression(divisor)}")
        whole = add(mul(divisor, quotient_index), remainder)
        self.equations.append(minus(self._normal(dividend), self._normal(whole)))
        return quotient_index, remainder

    def _has_unknown(self, expr: Expr) -> bool:
        return any(i in self.unknowns for i in free_indices(expr))

    # -- solving ---------------------------------------------------------------------------------------------

    def solve(self) -> None:
        while True:
            if not (
                self._mixed_radix()
                or self._eliminate(unit=True, positions=True)
                or self._eliminate(unit=False, positions=True)
                or self._eliminate(unit=True, positions=False)
                or self._eliminate(unit=False, positions=False)
            ):
                break
        for equation in self.equations:
            self._leave_guard(equation)
        loose = [u for u in self.unknowns if u in self.unbounded]
        if loose:
            raise NoGather("a wrapped or rounded index is reached from several points")

    def _free(self, equation: Polynomial) -> list[Index]:
        return [u for u in self.unknowns if mentions(equation, u)]

    def _mixed_radix(self) -> bool:
        """`d*L + v = e` with `0 <= v < d` has one solution: `v = e % d`, `L = e // d`."""
        for at, equation in enumerate(self.equations):
            free = self._free(equation)
            if len(free) < 2:
                continue
            for v in free:
                taken = linear(equation, v)
                if taken is None or not (sign := is_one(taken[0])) or v in self.unbounded:
                    continue
                rest = scaled(taken[1], -sign)  # v = rest
                others = {m: c for m, c in rest.items() if any(mentions({m: c}, u) for u in free if u != v)}
                radix = self._normal(v.extent)
                quotient = _divided(scaled(others, -1), radix)  # d*L = -others, v = e - d*L
                if quotient is None:
                    continue
                known = as_expr({m: c for m, c in rest.items() if m not in others})
                self.rules.append("a position in mixed radix has one quotient and one remainder")
                self._set(v, simplified(modulo(known, v.extent), self.facts), guarded=False)
                self.equations[at] = minus(quotient, self._normal(floor_divide(known, v.extent)))
                return True
        return False

    def _eliminate(self, unit: bool, positions: bool) -> bool:
        for u in list(self.unknowns):
            if (u in self.positions) != positions:
                continue
            for at, equation in enumerate(self.equations):
                taken = linear(equation, u)
                if taken is None or not taken[0]:
                    continue
                sign = is_one(taken[0])
                if bool(sign) != unit:
                    continue
                if unit:
                    self._solve_unit(at, u, scaled(taken[1], -sign))
                    return True
                if not self._free(taken[0]) and self._solve_divided(at, u, *taken):
                    return True
        return False

    def _solve_unit(self, at: int, u: Index, value: Polynomial) -> None:
        self.equations.pop(at)
        self._set(u, self._targets_first(value), guarded=True)

    def _solve_divided(self, at: int, u: Index, coefficient: Polynomial, rest: Polynomial) -> bool:
        """`c*u = e` has the solution `u = e/c` where c divides e, and none elsewhere (c is not 0)."""
        if never_negative(scaled(coefficient, -1), self.facts):
            coefficient, rest = scaled(coefficient, -1), scaled(rest, -1)
        elif not never_negative(coefficient, self.facts):
            return False
        value, divisor = scaled(rest, -1), as_expr(coefficient)
        if not never_negative(minus(coefficient, {UNIT: Fraction(1)}), self.facts):
            self._require(divisor)
        self.equations.pop(at)
        for i, other in enumerate(self.equations):  # multiply through: no floor enters another equation
            taken = linear(other, u)
            if taken is not None and taken[0]:
                self.equations[i] = total(times(taken[0], value), times(taken[1], coefficient))
        dividend = self._targets_first(value)
        self.rules.append(f"{u.name} exists only where {expression(divisor)} divides")
        self.guards.append(Compare("==", modulo(dividend, divisor), ZERO))
        self._set(u, floor_divide(dividend, divisor), guarded=True)
        return True

    def _require(self, divisor: Expr) -> None:
        if not isinstance(divisor, Parameter | Size):
            raise NoGather("a coefficient may be zero")
        self.conditions.append(Compare(">=", divisor, ONE))

    def _targets_first(self, poly: Polynomial) -> Expr:
        """`h + pad - r`: the position that is asked for stands in front."""
        return as_expr(
            dict(sorted(poly.items(), key=lambda term: not any(mentions({term[0]: term[1]}, t) for t in self.targets)))
        )

    def _set(self, u: Index, value: Expr, guarded: bool) -> None:
        self.unknowns.remove(u)
        one = {u: value}
        self.values = {k: self._tidy(substitute(v, one)) for k, v in self.values.items()}
        self.values[u] = self._tidy(value)
        self.guards = [substitute(g, one) for g in self.guards]
        self.equations = [self._normal(substitute(as_expr(e), one)) for e in self.equations]
        if guarded and u not in self.unbounded:
            self.guards += [Compare("<=", ZERO, u), Compare("<", u, u.extent)]
            self.guards = [substitute(g, one) for g in self.guards]

    def _tidy(self, value: Expr) -> Expr:
        return simplified(value, self.facts)

    def _leave_guard(self, equation: Polynomial) -> None:
        if not equation:
            return
        if any(mentions(equation, u) for u in self.unknowns):
            raise NoGather(_why(equation))
        positive = {m: c for m, c in equation.items() if c > 0}
        self.guards.append(Compare("==", as_expr(positive), as_expr(scaled(minus(equation, positive), -1))))

    def solution(self) -> Solution:
        guards = [_tidy_guard(substitute(g, self.values), self.facts) for g in self.guards]
        kept: list[Expr] = []
        for guard in guards:
            if not holds(guard, self.facts) and guard not in kept:
                kept.append(guard)
        remaining = sorted(self.unknowns, key=lambda u: self.order[u.name])  # a part of k stands where k stood
        rules = dict.fromkeys(self.rules)
        return Solution(self.values, tuple(remaining), tuple(kept), tuple(self.conditions), tuple(rules))


def _tidy_guard(guard: Expr, facts: Facts) -> Expr:
    if isinstance(guard, Compare):
        return Compare(guard.operation, simplified(guard.left, facts), simplified(guard.right, facts))
    return guard


def _divided(poly: Polynomial, by: Polynomial) -> Polynomial | None:
    """`poly / by` for a one-term `by`, or None where it does not divide exactly or is trivial."""
    if len(by) != 1 or not poly:
        return None
    ((monomial, coefficient),) = by.items()
    result: Polynomial = {}
    for m, c in poly.items():
        powers = dict(m)
        for atom, p in monomial:
            powers[atom] = powers.get(atom, 0) - p
        value = c / coefficient
        if any(p < 0 for p in powers.values()) or value.denominator != 1:
            return None
        result[frozenset((a, p) for a, p in powers.items() if p)] = value
    return result


def _why(equation: Polynomial) -> str:
    kinds = {type(e).__name__ for m in equation for atom, _ in m for e in _inside(atom)}
    if "Clip" in kinds:
        return "clip sends several points to one"
    if "Read" in kinds:
        return "the position is read from an integer tensor"
    if "Arg" in kinds:
        return "the position depends on where the extremum stands"
    return "the position is not an affine function of the summed indices"


def _inside(expr: Expr) -> list[Expr]:
    return [expr, *(e for p in parts(expr) for e in _inside(p))]


def eliminate(
    equations: Sequence[tuple[Expr, Expr]],
    unknowns: Sequence[Index],
    positions: int,
    facts: Facts,
    taken: Sequence[Index],
) -> Solution:
    """Solve `left = right` for the unknowns (the first `positions` of them are output positions, solved first).

    Raises NoGather where there is no exact inverse. Source of the idea: index elimination over the integers as in
    Urban & van der Smagt 2017 (arXiv 1711.01348), here by fraction-free elimination with divisibility guards.
    """
    system = _System(unknowns, positions, facts, taken)
    for left, right in equations:
        system.add_equation(left, right)
    system.solve()
    return system.solution()
