"""The expression language: immutable nodes, constructors that fold the trivial, and nothing else.

An expression is a scalar function of the indices that are free in it. Reals and integers share one
set of nodes; an index expression is one built from numbers, indices, sizes and integer parameters.
`a - b` is `a + (-1)*b` and `a / b` is `a * b^(-1)`; sums and products are flat and keep the order in
which they were written. Always build with the lower-case functions (`add`, `mul`, `power`, ...): they
keep the invariants (flat, folded, no empty sum or product).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from operator import attrgetter

FUNCTIONS: dict[str, int] = {  # name -> number of arguments
    **dict.fromkeys(("exp", "log", "sqrt", "abs", "sign", "tanh", "sigmoid", "relu", "softplus"), 1),
    **dict.fromkeys(("erf", "sin", "cos"), 1),
    "max": 2,
    "min": 2,
}
REDUCTIONS = ("sum", "mean", "prod", "max", "min")
POSITIONS = ("argmax", "argmin")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


class Expr:
    """Base of all nodes."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Number(Expr):
    """An exact rational; a decimal in a text is read exactly (1e-5 is 1/100000)."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Infinity(Expr):
    """Plus or minus infinity (`sign` is 1 or -1); only as the outside value of a tensor."""

    sign: int


@dataclass(frozen=True, slots=True)
class Constant(Expr):
    """A named real constant; `pi` is the only one (it comes in with the derivative of erf)."""

    name: str


@dataclass(frozen=True, slots=True)
class Size(Expr):
    """The size of an axis, declared by a tensor (`N` in `x[N, C]`) or by a `size` statement."""

    name: str


@dataclass(frozen=True, slots=True)
class Parameter(Expr):
    """A hyperparameter; an integer one may stand in an index expression."""

    name: str
    integer: bool = False


@dataclass(frozen=True, slots=True)
class Index(Expr):
    """An index that runs over 0 ... extent - 1. `copy` counts the primes of a fresh copy (n, n', n'')."""

    name: str
    extent: Expr
    copy: int = 0


@dataclass(frozen=True, slots=True)
class Read(Expr):
    """An element of a tensor: of an input, a definition, or a gradient (`grad_x`)."""

    tensor: str
    indices: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Add(Expr):
    terms: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Mul(Expr):
    factors: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Pow(Expr):
    base: Expr
    exponent: Expr


@dataclass(frozen=True, slots=True)
class FloorDiv(Expr):
    """Floor division of integers."""

    dividend: Expr
    divisor: Expr


@dataclass(frozen=True, slots=True)
class Mod(Expr):
    """The remainder of floor division; it has the sign of the divisor."""

    dividend: Expr
    divisor: Expr


@dataclass(frozen=True, slots=True)
class Clip(Expr):
    """`min(max(value, low), high)` of integers."""

    value: Expr
    low: Expr
    high: Expr


@dataclass(frozen=True, slots=True)
class Call(Expr):
    """A function of `FUNCTIONS` applied to its arguments."""

    function: str
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Reduce(Expr):
    """A reduction (one of `REDUCTIONS`) of `body` over `indices`, which are bound in it and nowhere else."""

    operation: str
    indices: tuple[Index, ...]
    body: Expr


@dataclass(frozen=True, slots=True)
class Arg(Expr):
    """The row-major position over `indices` of the first element that attains the `max` or `min` of `body`."""

    operation: str
    indices: tuple[Index, ...]
    body: Expr


@dataclass(frozen=True, slots=True)
class Compare(Expr):
    """A condition: `left` compared with `right` by one of `COMPARISONS`."""

    operation: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Logic(Expr):
    """A condition: `and` or `or` of two or more conditions, or `not` of one."""

    operation: str
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Where(Expr):
    """`then` where the condition holds, else `other`; the branch not taken has no influence at all."""

    condition: Expr
    then: Expr
    other: Expr


@dataclass(frozen=True, slots=True)
class Delta(Expr):
    """Kronecker's delta of two integer expressions: 1 where they are equal, else 0."""

    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Partial(Expr):
    """The partial derivative of `value` with respect to the element `variable`.

    Everything that `value` reads by another tensor's name is held fixed: a local derivative.
    """

    value: Expr
    variable: Read


ZERO, ONE, MINUS_ONE = Number(Fraction(0)), Number(Fraction(1)), Number(Fraction(-1))
TRUE, FALSE = Logic("and", ()), Logic("or", ())


def number(value: int | Fraction | str) -> Number:
    """An exact number; a string is read as a decimal."""
    return Number(Fraction(value))


def add(*terms: Expr) -> Expr:
    """The sum of the terms: flat, numbers folded into one at the place of the first."""
    flat = [t for term in terms for t in (term.terms if isinstance(term, Add) else (term,))]
    numbers = [t.value for t in flat if isinstance(t, Number)]
    kept: list[Expr] = []
    if len(numbers) < 2:
        kept = [t for t in flat if t != ZERO]
    else:
        total, placed = Number(sum(numbers, Fraction(0))), False
        for t in flat:
            if not isinstance(t, Number):
                kept.append(t)
            elif not placed:
                placed = True
                if total != ZERO:
                    kept.append(total)
    return Add(tuple(kept)) if len(kept) > 1 else (kept[0] if kept else ZERO)


def mul(*factors: Expr) -> Expr:
    """The product of the factors: flat, numbers folded into one that stands first; 0 if any is 0."""
    flat = [f for factor in factors for f in (factor.factors if isinstance(factor, Mul) else (factor,))]
    coefficient = Fraction(1)
    for f in flat:
        if isinstance(f, Number):
            coefficient *= f.value
    if coefficient == 0:
        return ZERO
    kept: list[Expr] = [f for f in flat if not isinstance(f, Number)]
    if coefficient != 1:
        kept.insert(0, Number(coefficient))
    return Mul(tuple(kept)) if len(kept) > 1 else (kept[0] if kept else ONE)


def power(base: Expr, exponent: Expr) -> Expr:
    """`base ^ exponent`; integer powers of numbers are folded, `x^1` is x and `x^0` is 1.

    A denominator is taken apart, so that a quotient has one form: `1/(a*b) = a^(-1)*b^(-1)`, `1/x^p = x^(-p)`.
    """
    if exponent == ONE or (base == ONE):
        return base
    if exponent == ZERO:
        return ONE
    if isinstance(base, Number) and isinstance(exponent, Number) and exponent.value.denominator == 1:
        if base != ZERO and abs(exponent.value) <= 64:
            return Number(base.value ** int(exponent.value))
        if base == ZERO and exponent.value > 0:
            return ZERO
    if exponent == MINUS_ONE and isinstance(base, Mul):
        return mul(*(power(f, MINUS_ONE) for f in base.factors))
    if exponent == MINUS_ONE and isinstance(base, Pow) and isinstance(base.exponent, Number):
        return power(base.base, Number(-base.exponent.value))
    return Pow(base, exponent)


def negative(term: Expr) -> Expr:
    """`-term`."""
    return mul(MINUS_ONE, term)


def subtract(left: Expr, right: Expr) -> Expr:
    """`left - right`."""
    return add(left, negative(right))


def divide(left: Expr, right: Expr) -> Expr:
    """`left / right`."""
    return mul(left, power(right, MINUS_ONE))


def is_divisor(expr: Expr) -> bool:
    """Whether to multiply by it is a division: a power with a negative number as its exponent."""
    return isinstance(expr, Pow) and isinstance(expr.exponent, Number) and expr.exponent.value < 0


def call(function: str, *arguments: Expr) -> Expr:
    """A function of its arguments; a root is a power, and `pow(a, b)` is one: each has one form."""
    if function == "sqrt":
        return power(arguments[0], Number(Fraction(1, 2)))
    return power(*arguments) if function == "pow" else Call(function, arguments)


def floor_divide(dividend: Expr, divisor: Expr) -> Expr:
    """`dividend // divisor` of integers."""
    if divisor == ONE:
        return dividend
    if isinstance(dividend, Number) and isinstance(divisor, Number) and divisor != ZERO:
        return Number(Fraction(dividend.value // divisor.value))
    return FloorDiv(dividend, divisor)


def modulo(dividend: Expr, divisor: Expr) -> Expr:
    """`dividend % divisor` of integers."""
    if divisor == ONE:
        return ZERO
    if isinstance(dividend, Number) and isinstance(divisor, Number) and divisor != ZERO:
        return Number(Fraction(dividend.value % divisor.value))
    return Mod(dividend, divisor)


def reduce(operation: str, indices: Iterable[Index], body: Expr) -> Expr:
    """The reduction of `body` over `indices`; over none it is `body`."""
    indices = tuple(indices)
    return Reduce(operation, indices, body) if indices else body


def both(*conditions: Expr) -> Expr:
    """All the conditions, each once, in order; `TRUE` if there are none."""
    flat: list[Expr] = []
    for condition in conditions:
        inner = condition.arguments if isinstance(condition, Logic) and condition.operation == "and" else (condition,)
        flat.extend(c for c in inner if c not in flat)
    return flat[0] if len(flat) == 1 else Logic("and", tuple(flat))


def conjuncts(condition: Expr) -> tuple[Expr, ...]:
    """The conditions that together are the condition; none for `TRUE`."""
    if isinstance(condition, Logic) and condition.operation == "and":
        return tuple(c for argument in condition.arguments for c in conjuncts(argument))
    return (condition,)


def where(condition: Expr, then: Expr, other: Expr) -> Expr:
    """`then` where the condition holds, else `other`."""
    if condition == TRUE or then == other:
        return then
    return other if condition == FALSE else Where(condition, then, other)


def _nothing(_: Expr) -> tuple[Expr, ...]:
    return ()


_PARTS: dict[type[Expr], Callable[..., tuple[Expr, ...]]] = {  # a table, since nothing is asked as often
    Number: _nothing,
    Infinity: _nothing,
    Constant: _nothing,
    Size: _nothing,
    Parameter: _nothing,
    Index: _nothing,
    Read: attrgetter("indices"),
    Add: attrgetter("terms"),
    Mul: attrgetter("factors"),
    Pow: attrgetter("base", "exponent"),
    FloorDiv: attrgetter("dividend", "divisor"),
    Mod: attrgetter("dividend", "divisor"),
    Clip: attrgetter("value", "low", "high"),
    Call: attrgetter("arguments"),
    Reduce: lambda e: (e.body,),
    Arg: lambda e: (e.body,),
    Compare: attrgetter("left", "right"),
    Logic: attrgetter("arguments"),
    Where: attrgetter("condition", "then", "other"),
    Delta: attrgetter("left", "right"),
    Partial: attrgetter("value", "variable"),
}


def parts(expr: Expr) -> tuple[Expr, ...]:
    """The direct subexpressions, in order; bound indices and the extents of indices are not among them."""
    return _PARTS[type(expr)](expr)


def rebuild(expr: Expr, new: tuple[Expr, ...]) -> Expr:
    """`expr` with its `parts` replaced; the same object if nothing changed. Folds the trivial."""
    if all(a is b for a, b in zip(parts(expr), new, strict=True)):
        return expr
    match expr:
        case Add():
            return add(*new)
        case Mul():
            return mul(*new)
        case Pow():
            return power(*new)
        case FloorDiv():
            return floor_divide(*new)
        case Mod():
            return modulo(*new)
        case Compare(operation, _, _):
            return Compare(operation, *new)
        case Delta():
            return Delta(*new)
        case Partial():
            value, variable = new
            return Partial(value, variable)  # type: ignore[arg-type]
        case Clip():
            return Clip(*new)
        case Where():
            return where(*new)
        case Call(function, _):
            return call(function, *new)
        case Logic("and", _):
            return both(*new)
        case Logic(operation, _):
            return Logic(operation, new)
        case Read(tensor, _):
            return Read(tensor, new)
        case Reduce(operation, indices, _):
            return Reduce(operation, indices, *new)
        case Arg(operation, indices, _):
            return Arg(operation, indices, *new)
        case _:
            return expr


def walk(expr: Expr) -> Iterator[Expr]:
    """The expression and everything inside it, outermost first, left to right."""
    stack = [expr]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(reversed(parts(top)))


def rewrite(expr: Expr, rule: Callable[[Expr], Expr]) -> Expr:
    """Apply `rule` once to every node, innermost first. The rule must not look at indices by name."""
    return rule(rebuild(expr, tuple(rewrite(part, rule) for part in parts(expr))))
