"""One spelling for values that can be written in several ways, so that equal things are seen to be equal."""

from __future__ import annotations

from fractions import Fraction

from symbackprop.calculus.integer import simplified
from symbackprop.notation.binding import canonical, free_indices, substitute
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Call,
    Compare,
    Delta,
    Expr,
    Index,
    Mul,
    Number,
    Pow,
    Read,
    Reduce,
    Where,
    mul,
    power,
    rebuild,
    rewrite,
    walk,
)

EXPENSIVE = ("exp", "log", "tanh", "sigmoid", "softplus", "erf", "sin", "cos")


def planned_form(expr: Expr) -> Expr:
    """Roots as powers, powers of powers as one, deltas as conditions that guard their product, `x[h - h]` as x[0].

    What a reduction repeats for each value of an index is counted: `sum[n,p](x[n])` is P times `sum[n](x[n])`.

    Keeps: the value, wherever the expression is defined.
    """
    return rewrite(expr, _rule)


def _rule(expr: Expr) -> Expr:
    match expr:
        case Call("sqrt", (argument,)):
            return power(argument, Number(Fraction(1, 2)))
        case Pow(Pow(base, Number(inner)), Number(outer)) if inner.denominator != 1 and outer.denominator == 1:
            return power(base, Number(inner * outer))
        case Delta(left, right):
            return Where(Compare("==", left, right), ONE, ZERO)
        case Mul(factors):
            return _guarded(factors) or expr
        case Read(_, indices):
            return rebuild(expr, tuple(_moving(i) for i in indices))
        case Reduce(operation, indices, body):
            return _counted(operation, indices, body)
        case _:
            return expr


def _counted(operation: str, indices: tuple[Index, ...], body: Expr) -> Expr:
    """The reduction over those of the indices that its body names."""
    named = frozenset(free_indices(body))
    kept, times = tuple(i for i in indices if i in named), mul(*(i.extent for i in indices if i not in named))
    reduced = Reduce(operation, kept, body) if kept else body
    if operation == "sum":
        return mul(times, reduced)
    return power(reduced, times) if operation == "prod" else reduced


def _moving(position: Expr) -> Expr:
    """The position without the indices that cancel in it: no axis of the read is theirs."""
    simple = simplified(position)
    return simple if set(free_indices(simple)) < set(free_indices(position)) else position


def _guarded(factors: tuple[Expr, ...]) -> Expr | None:
    """`a * where(c, 1, 0) * b` is `where(c, a*b, 0)`: the product is not evaluated where it does not count."""
    for at, factor in enumerate(factors):
        if isinstance(factor, Where) and factor.then == ONE and factor.other == ZERO:
            return Where(factor.condition, mul(*factors[:at], *factors[at + 1 :]), ZERO)
    return None


def key(expr: Expr) -> tuple[Expr, tuple[Index, ...]]:
    """A form equal for expressions that differ in the names of indices only, and the free indices in its order."""
    free = free_indices(expr)
    named = {i: Index(f"_free{at}", i.extent) for at, i in enumerate(free)}
    return canonical(substitute(expr, dict(named))), free


def cheap(expr: Expr) -> bool:
    """Whether a pointwise expression is sums, products and integer powers only: no function, division or choice."""
    for node in walk(expr):
        if isinstance(node, Call | Where):
            return False
        if isinstance(node, Pow) and not _whole_power(node):
            return False
    return True


def _whole_power(node: Pow) -> bool:
    if not any(isinstance(e, Read) for e in walk(node.base)):
        return True
    return isinstance(node.exponent, Number) and node.exponent.value.denominator == 1 and node.exponent.value > 0


def expensive(expr: Expr) -> bool:
    """Whether the outermost node is a function or a power that costs many operations."""
    match expr:
        case Call(function, _):
            return function in EXPENSIVE
        case Pow(_, Number(exponent)):
            return exponent.denominator != 1
        case Pow():
            return True
        case _:
            return False
