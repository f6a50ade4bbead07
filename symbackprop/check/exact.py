"""The operations on exact integers and rationals: what indices, sizes and conditions on them are made of."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from math import prod
from typing import TypeAlias

from symbackprop.errors import InternalError, UserError
from symbackprop.notation.nodes import Add, Call, Clip, Delta, Expr, FloorDiv, Mod, Mul, Pow

Exact: TypeAlias = int | Fraction
Places: TypeAlias = list[int]  # the values of the indices, each at its slot
ExactMeaning: TypeAlias = Callable[[Places], Exact]

COMPARE: dict[str, Callable[[Exact, Exact], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def operation(expr: Expr, inner: list[ExactMeaning]) -> ExactMeaning:
    """The meaning of an operation on exact values whose parts mean `inner`."""
    match expr:
        case Add():
            return lambda places: sum([i(places) for i in inner])
        case Mul():
            return lambda places: prod([i(places) for i in inner])
        case _ if len(inner) == 1:
            return _of_one(expr, *inner)
        case Clip():
            return _clipped(*inner)
        case _:
            return _of_two(expr, *inner)


def _clipped(value: ExactMeaning, low: ExactMeaning, high: ExactMeaning) -> ExactMeaning:
    def clipped(places: Places) -> Exact:
        inner, least, most = value(places), low(places), high(places)
        raised = least if inner < least else inner
        return most if raised > most else raised

    return clipped


def _of_one(expr: Expr, a: ExactMeaning) -> ExactMeaning:
    match expr:
        case Call("abs"):
            return lambda places: value if (value := a(places)) >= 0 else -value
        case Call("sign"):
            return lambda places: int(a(places) > 0) - int(a(places) < 0)
        case _:
            raise InternalError(f"the interpreter has no meaning for {expr!r} as an integer")


def _of_two(expr: Expr, a: ExactMeaning, b: ExactMeaning) -> ExactMeaning:
    match expr:
        case Pow():
            return lambda places: lean(Fraction(a(places)) ** whole(b(places)))
        case FloorDiv():
            return lambda places: a(places) // b(places)
        case Mod():
            return lambda places: a(places) % b(places)
        case Delta():
            return lambda places: int(a(places) == b(places))
        case Call("max"):
            return lambda places: max(a(places), b(places))
        case Call("min"):
            return lambda places: min(a(places), b(places))
        case _:
            raise InternalError(f"the interpreter has no meaning for {expr!r} as an integer")


def reduction(name: str, values: list[Exact]) -> Exact:
    """The reduction of exact values by `sum`, `prod`, `mean`, `max` or `min`."""
    if name == "sum":
        return sum(values)
    if name == "prod":
        return prod(values)
    if not values:
        raise UserError(f"a {name} over an empty range")
    if name == "mean":
        return lean(Fraction(sum(values)) / len(values))
    return max(values) if name == "max" else min(values)


def lean(value: Fraction) -> Exact:
    """An int where the fraction is whole."""
    return int(value) if value.denominator == 1 else value


def whole(value: Exact) -> int:
    """An exact value that has to be an integer."""
    if int(value) != value:
        raise InternalError(f"{value} stands where an integer is needed")
    return int(value)
