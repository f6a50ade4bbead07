"""Local derivatives: what one element of an equation contributes, as a table that can be proof-read.

`differential(E)` lists the reads of real tensors in E with their coefficients:
`dE = sum over terms, sum over term.bound of term.coefficient * d(term.read)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from symbackprop.errors import CannotDerive
from symbackprop.notation.binding import free_indices, fresh, substitute
from symbackprop.notation.nodes import (
    MINUS_ONE,
    ONE,
    ZERO,
    Add,
    Arg,
    Call,
    Clip,
    Compare,
    Constant,
    Delta,
    Expr,
    FloorDiv,
    Index,
    Logic,
    Mod,
    Mul,
    Number,
    Parameter,
    Pow,
    Read,
    Reduce,
    Size,
    Where,
    add,
    divide,
    mul,
    number,
    power,
    subtract,
    where,
)

HALF = number("0.5")

# One line a function, to be checked against a book. At a kink: relu'(0) = abs'(0) = sign'(0) = 0.
DERIVATIVES: dict[str, Callable[[Expr], Expr]] = {
    "exp": lambda u: Call("exp", (u,)),
    "log": lambda u: power(u, MINUS_ONE),
    "sqrt": lambda u: mul(HALF, power(u, number("-0.5"))),
    "abs": lambda u: Call("sign", (u,)),
    "sign": lambda u: ZERO,
    "tanh": lambda u: subtract(ONE, power(Call("tanh", (u,)), number(2))),
    "sigmoid": lambda u: mul(Call("sigmoid", (u,)), subtract(ONE, Call("sigmoid", (u,)))),
    "relu": lambda u: where(Compare(">", u, ZERO), ONE, ZERO),
    "softplus": lambda u: Call("sigmoid", (u,)),
    "erf": lambda u: mul(
        number(2), power(Constant("pi"), number("-0.5")), Call("exp", (mul(MINUS_ONE, power(u, number(2))),))
    ),
    "sin": lambda u: Call("cos", (u,)),
    "cos": lambda u: mul(MINUS_ONE, Call("sin", (u,))),
}
TIE_GOES_FIRST = {"max": ">=", "min": "<="}


@dataclass(frozen=True, slots=True)
class Term:
    """`coefficient * d(read)`, summed over `bound`."""

    bound: tuple[Index, ...]
    read: Read
    coefficient: Expr


def differential(expr: Expr, real: Callable[[str], bool]) -> list[Term]:
    """The terms of dE. `real` says which tensors are differentiated (an integer tensor is not)."""
    match expr:
        case Number() | Size() | Parameter() | Index() | Constant() | FloorDiv() | Mod() | Clip() | Arg() | Delta():
            return []
        case Read(tensor, _):
            return [Term((), expr, ONE)] if real(tensor) else []
        case Add(terms):
            return [t for term in terms for t in differential(term, real)]
        case Mul(factors):
            return _product(factors, real)
        case Pow(base, exponent):
            return _power(base, exponent, real)
        case Call(("max" | "min") as name, (a, b)):
            condition = Compare(TIE_GOES_FIRST[name], a, b)
            return _branches(condition, differential(a, real), differential(b, real))
        case Call(name, (argument,)) if name in DERIVATIVES:
            return _times(DERIVATIVES[name](argument), differential(argument, real))
        case Where(condition, then, other):
            return _branches(condition, differential(then, real), differential(other, real))
        case Reduce():
            return _reduction(expr, real)
        case _:
            raise CannotDerive(f"the derivative rules (calculus/derivatives.py) have none for {type(expr).__name__}")


def _times(factor: Expr, terms: list[Term]) -> list[Term]:
    return [replace(t, coefficient=mul(factor, t.coefficient)) for t in terms if factor != ZERO]


def _product(factors: tuple[Expr, ...], real: Callable[[str], bool]) -> list[Term]:
    """`d(a b c) = da b c + a db c + a b dc`."""
    return [
        replace(t, coefficient=mul(*factors[:at], t.coefficient, *factors[at + 1 :]))
        for at, factor in enumerate(factors)
        for t in differential(factor, real)
    ]


def _power(base: Expr, exponent: Expr, real: Callable[[str], bool]) -> list[Term]:
    """`d(b^e) = e b^(e-1) db + b^e log(b) de`."""
    by_base = _times(mul(exponent, power(base, subtract(exponent, ONE))), differential(base, real))
    by_exponent = _times(mul(power(base, exponent), Call("log", (base,))), differential(exponent, real))
    return by_base + by_exponent


def _branches(condition: Expr, then: list[Term], other: list[Term]) -> list[Term]:
    """A branch that is not taken has no influence."""
    return [replace(t, coefficient=where(condition, t.coefficient, ZERO)) for t in then] + [
        replace(t, coefficient=where(condition, ZERO, t.coefficient)) for t in other
    ]


def _reduction(expr: Reduce, real: Callable[[str], bool]) -> list[Term]:
    inner = [_apart(t, expr.indices) for t in differential(expr.body, real)]
    factor = _reduction_factor(expr)
    return [replace(t, bound=(*expr.indices, *t.bound), coefficient=mul(factor, t.coefficient)) for t in inner]


def _apart(term: Term, outer: tuple[Index, ...]) -> Term:
    """The term with its own bound indices renamed away from the outer ones."""
    moved: dict[Expr, Expr] = {}
    taken = [*outer, *term.bound, *free_indices(term.read), *free_indices(term.coefficient)]
    for index in term.bound:
        if any((index.name, index.copy) == (o.name, o.copy) for o in outer):
            moved[index] = fresh(index, [*taken, *(i for i in moved.values() if isinstance(i, Index))])
    if not moved:
        return term
    bound = tuple(moved.get(i, i) for i in term.bound)
    read = substitute(term.read, moved)
    assert isinstance(read, Read)
    return Term(bound, read, substitute(term.coefficient, moved))  # type: ignore[arg-type]


def _reduction_factor(expr: Reduce) -> Expr:
    """What one element of a reduction weighs in it."""
    match expr.operation:
        case "sum":
            return ONE
        case "mean":
            return divide(ONE, mul(*(i.extent for i in expr.indices)))
        case "prod":
            return _others(expr)
        case operation:
            return Delta(position(expr.indices), Arg(operation, *_renamed(expr)))


def _renamed(expr: Reduce) -> tuple[tuple[Index, ...], Expr]:
    """A second copy of a reduction's indices and body, apart from the first."""
    taken = [*expr.indices, *free_indices(expr.body)]
    copies: list[Index] = []
    for index in expr.indices:
        copies.append(fresh(index, [*taken, *copies]))
    return tuple(copies), substitute(expr.body, dict(zip(expr.indices, copies, strict=True)))


def _others(expr: Reduce) -> Expr:
    """`d prod(f_i) = sum over i of df_i * prod over i' != i of f_i'`: right where a factor is zero, too."""
    copies, body = _renamed(expr)
    differs = [Compare("!=", a, b) for a, b in zip(copies, expr.indices, strict=True)]
    condition = differs[0] if len(differs) == 1 else Logic("or", tuple(differs))
    return Reduce("prod", copies, where(condition, body, ONE))


def position(indices: tuple[Index, ...]) -> Expr:
    """The row-major position of a point in the box of its indices."""
    flat: Expr = ZERO
    for index in indices:
        flat = add(mul(flat, index.extent), index)
    return flat
