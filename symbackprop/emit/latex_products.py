"""How the factors of a product are set: which stand in one fraction, and in what order."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from symbackprop.notation.nodes import (
    ZERO,
    Arg,
    Constant,
    Expr,
    Mul,
    Number,
    Parameter,
    Partial,
    Pow,
    Read,
    Reduce,
    Size,
    Where,
    mul,
    power,
    walk,
)


@dataclass(frozen=True, slots=True)
class Group:
    """Factors that stand together: `above` over `below`, or `above` side by side where `below` is empty."""

    above: tuple[Expr, ...]
    below: tuple[Expr, ...] = ()


def split_sign(expr: Expr) -> tuple[bool, Expr]:
    """Whether a term carries a minus, and the term without it. A minus inside a sum or a guard counts as its own."""
    match expr:
        case Reduce("sum" | "mean" as operation, indices, body):
            negative, size = split_sign(body)
            return negative, Reduce(operation, indices, size) if negative else expr
        case Where(condition, then, other) if other == ZERO:
            negative, size = split_sign(then)
            return negative, Where(condition, size, other) if negative else expr
        case Number(value) if value < 0:
            return True, Number(-value)
        case Mul((Number(value), *rest)) if value < 0:
            return True, mul(Number(-value), *rest)
        case _:
            return False, expr


def arrange(factors: tuple[Expr, ...]) -> tuple[Group, ...]:
    """Numbers, sizes and hyperparameters first, reductions last, the rest as given; then fractions put together.

    Neighbours without gradients, sums or cases share one fraction if one of them stands below a line.
    """
    ordered = sorted(factors, key=_rank)
    groups: list[Group] = []
    run: list[Expr] = []
    for factor in ordered:
        if _is_plain(factor):
            run.append(factor)
            continue
        groups.extend(_fraction(run))
        run = []
        groups.append(Group((factor,)))
    groups.extend(_fraction(run))
    return tuple(groups)


def _rank(factor: Expr) -> int:
    if isinstance(factor, Reduce | Where | Arg):
        return 4
    return max(_leaf_rank(e) for e in walk(factor))


def _leaf_rank(expr: Expr) -> int:
    match expr:
        case Number():
            return 0
        case Size() | Constant():
            return 1
        case Parameter():
            return 2
        case Mul() | Pow():
            return 0
        case _:
            return 3


def _is_plain(factor: Expr) -> bool:
    return _inverse(factor) is not None or not any(
        isinstance(e, Reduce | Where | Arg | Partial) or (isinstance(e, Read) and e.tensor.startswith("grad_"))
        for e in walk(factor)
    )


def _fraction(run: list[Expr]) -> tuple[Group, ...]:
    if not run:
        return ()
    above: list[Expr] = []
    below: list[Expr] = []
    for factor in run:
        inverse = _inverse(factor)
        if inverse is None:
            above.append(factor)
        else:
            below.extend(inverse.factors if isinstance(inverse, Mul) else (inverse,))
    if not below:
        return (Group(tuple(above)),)
    numbers = [f.value for f in above if isinstance(f, Number)]
    coefficient = numbers[0] if numbers else Fraction(1)
    rest = [f for f in above if not isinstance(f, Number)]
    over = [f for f in rest if _half_power(f) is None]
    under = [*below, *(h for f in rest if (h := _half_power(f)) is not None)]
    return (Group(_with(coefficient.numerator, over), _with(coefficient.denominator, under)),)


def _with(value: int, factors: list[Expr]) -> tuple[Expr, ...]:
    return (Number(Fraction(value)), *factors) if value != 1 else tuple(factors)


def _half_power(factor: Expr) -> Expr | None:
    """`b^(3/2)` for `b^(-3/2)`: it goes below a line that is there already, but draws none of its own."""
    match factor:
        case Pow(base, Number(value)) if value < 0:
            return power(base, Number(-value))
        case _:
            return None


def _inverse(factor: Expr) -> Expr | None:
    """What stands below the line for a whole negative power or an inverse root; None for everything else."""
    match factor:
        case Pow(base, Number(value)) if value < 0 and (value.denominator == 1 or value == Fraction(-1, 2)):
            return power(base, Number(-value))
        case _:
            return None
