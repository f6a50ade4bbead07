"""Reductions as accumulators: where they start, what they take in, and what follows from them at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from symbackprop.errors import InternalError
from symbackprop.loops.guards import IDENTITY, guarded
from symbackprop.loops.kernel import Assign
from symbackprop.loops.tensors import ARGUMENTS, Tensors
from symbackprop.notation.binding import substitute
from symbackprop.notation.nodes import (
    MINUS_ONE,
    ZERO,
    Add,
    Call,
    Compare,
    Expr,
    Index,
    Infinity,
    Mul,
    Number,
    Pow,
    Read,
    Where,
    add,
    both,
    divide,
    mul,
    power,
    subtract,
    where,
)
from symbackprop.program.statements import Statement

NewName = Callable[[str], str]
PART = 1024  # terms that are added in the tensors' own type, a few dozen in each lane of the vectors; parts in float64


@dataclass(frozen=True, slots=True)
class Accumulator:
    """A running `operation` of `value`, from `initial`; `wide` in float64, but for parts of a row: see `PART`."""

    name: str
    operation: str
    initial: Expr
    value: Expr
    wide: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What one statement's target is in terms of the accumulators, which are read as `Read(name, ())`."""

    statement: Statement
    value: Expr


@dataclass(frozen=True, slots=True)
class Sums:
    """One or more reductions over the same box: `locals` are computed at each point, before the accumulators take in.

    Points where one of the `conditions` does not hold are left out.
    """

    conditions: tuple[Expr, ...]
    locals: tuple[Assign, ...]
    accumulators: tuple[Accumulator, ...]
    results: tuple[Result, ...]


def reduction(statement: Statement, tensors: Tensors, new_name: NewName) -> Sums:
    """One `sum`, `mean`, `prod`, `max` or `min` as one accumulator; a mean is its sum by the number of terms."""
    if statement.kind in ARGUMENTS:
        raise InternalError("a position is not an accumulator")
    term = guarded(statement.body, statement.kind, tensors)
    name = new_name(f"{statement.target}_{'sum' if statement.kind == 'mean' else statement.kind}")
    operation = "sum" if statement.kind == "mean" else statement.kind
    wide = operation in ("sum", "prod")
    accumulator = Accumulator(name, operation, IDENTITY[statement.kind], term.value, wide)
    return Sums(term.conditions, (), (accumulator,), (_result(statement, Read(name, ())),))


def _result(statement: Statement, reduced: Expr) -> Result:
    value = divide(reduced, count(statement.bound)) if statement.kind == "mean" else reduced
    return Result(statement, _put(statement.result, statement.element, value))


def _put(expr: Expr, element: Read, value: Expr) -> Expr:
    return substitute(expr, {element: value})


def count(bound: tuple[Index, ...]) -> Expr:
    """The number of points of a box."""
    return mul(*(i.extent for i in bound))


def together(sums: tuple[Sums, ...]) -> Sums:
    """Several reductions over one box, in one pass; conditions become part of the terms, since they differ."""
    accumulators = tuple(_unconditional(a, s.conditions) for s in sums for a in s.accumulators)
    return Sums((), tuple(x for s in sums for x in s.locals), accumulators, tuple(r for s in sums for r in s.results))


def _unconditional(a: Accumulator, conditions: tuple[Expr, ...]) -> Accumulator:
    if a.operation == "fixed":  # takes in nothing
        return a
    identity = IDENTITY[a.operation]
    return Accumulator(a.name, a.operation, a.initial, where(both(*conditions), a.value, identity), a.wide)


def is_centred_square(mean: Statement, second: Statement) -> bool:
    """Whether `second` sums the squared deviations from `mean` over the box of that mean."""
    if mean.kind != "mean" or second.kind not in ("sum", "mean") or mean.result != mean.element:
        return False
    if mean.indices != second.indices or set(mean.bound) != set(second.bound):
        return False
    match second.body:
        case Pow(base, Number(value)) if value == 2:
            return _is_deviation(base, mean)
        case Mul((left, right)):
            return left == right and _is_deviation(left, mean)
        case _:
            return False


def _is_deviation(expr: Expr, mean: Statement) -> bool:
    """Whether the expression is the mean's body minus the mean, in either sign."""
    if not isinstance(expr, Add):
        return False
    for terms in (expr.terms, tuple(mul(MINUS_ONE, t) for t in expr.terms)):
        rest = [t for t in terms if t != mul(MINUS_ONE, mean.element)]
        if len(rest) == len(terms) - 1 and add(*rest) == mean.body:
            return True
    return False


def moments(mean: Statement, second: Statement, tensors: Tensors, new_name: NewName) -> Sums:
    """`sum (v - mu)^2 = sum (v - s)^2 - m*(s - mu)^2`, with s the first of the m values v and mu their mean.

    The mean and the squared deviations from it in one pass. In float64 this loses nothing: `m*(s - mu)^2` is at most
    m times the sum that is sought, since s is one of the values. A first value that is not finite shifts by 0.
    """
    body = tensors.closed(mean.body, ())
    first = tensors.simplify(substitute(body, dict.fromkeys(mean.bound, ZERO)))
    shift, deviation = new_name(f"{mean.target}_shift"), new_name(f"{mean.target}_deviation")
    total, squares = new_name(f"{mean.target}_sum"), new_name(f"{second.target}_sum")
    finite = Compare("<", Call("abs", (first,)), Infinity(1))
    moved = Read(deviation, ())
    accumulators = (
        Accumulator(shift, "fixed", Where(finite, first, ZERO), ZERO, True),
        Accumulator(total, "sum", ZERO, moved, True),
        Accumulator(squares, "sum", ZERO, power(moved, Number(Fraction(2))), True),
    )
    terms = count(mean.bound)
    off = divide(Read(total, ()), terms)
    centred = subtract(Read(squares, ()), mul(Read(total, ()), off))
    centred = Call("max", (centred, ZERO))  # rounding may leave it just below zero
    spread = divide(centred, terms) if second.kind == "mean" else centred
    results = (
        Result(mean, add(Read(shift, ()), off)),
        Result(second, _put(second.result, second.element, spread)),
    )
    return Sums((), (Assign(deviation, subtract(body, Read(shift, ())), "wide"),), accumulators, results)
