"""How integers, conditions and names are spelled in generated Python; the same in every backend."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Callable, Iterable
from fractions import Fraction

from symbackprop.errors import InternalError
from symbackprop.notation.nodes import (
    Add,
    Call,
    Clip,
    Compare,
    Constant,
    Expr,
    FloorDiv,
    Index,
    Infinity,
    Logic,
    Mod,
    Mul,
    Number,
    Parameter,
    Pow,
    Read,
    Size,
)
from symbackprop.notation.printer import whole_number

# How tightly a piece of Python text binds; a piece is bracketed where it stands in a tighter place.
TEST, OR, AND, NOT, COMPARE, SUM, PRODUCT, SIGN, POWER, ATOM = range(10)

RESERVED = frozenset(
    (*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "np", "math", "njit", "prange", "annotations", "forward",
     "backward", "saved", "wrt", "self", "dtype", "Saved", "Gradients", "Outputs", "NamedTuple", "Integral", "Real")
)  # fmt: skip


def identifier(name: str) -> str:
    """A user's name as a Python name: with an underscore behind it where Python or the module means something else."""
    return f"{name}_" if name in RESERVED else name


class Names:
    """Gives out names, each once. The first to ask for a name gets it as it is, later ones with a number."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def fork(self) -> Names:
        """A copy: what it gives out is not taken here."""
        return Names(self._taken)

    def new(self, wish: str) -> str:
        name, count = identifier(wish), 2
        while name in self._taken:
            name, count = f"{wish}_{count}", count + 1
        self._taken.add(name)
        return name


def bracket(text: str, binds: int, place: int) -> str:
    """`text` in parentheses where it binds less tightly than its place asks for."""
    return f"({text})" if binds < place else text


IndexSpelling = Callable[[Index], str]


def _no_index(index: Index) -> str:
    raise InternalError(f"index {index.name} stands where only sizes and parameters can")


def integer(expr: Expr, place: int = TEST, spell_index: IndexSpelling = _no_index) -> str:
    """The Python text of an integer expression of sizes, parameters and (spelled by the caller) indices.

    `Call("min", (Read(t, ()),))` is the least element of an integer tensor.
    """
    text, binds = _integer(expr, spell_index)
    return bracket(text, binds, place)


def _integer(expr: Expr, index: IndexSpelling) -> tuple[str, int]:
    def part(e: Expr, place: int = TEST) -> str:
        return integer(e, place, index)

    match expr:
        case Number(value):
            return _literal(value)
        case Size(name) | Parameter(name, _):
            return identifier(name), ATOM
        case Index():
            return index(expr), ATOM
        case Add(terms):
            return _sum(terms, part), SUM
        case Mul((Number(value), *rest)) if value == -1:
            return "-" + "*".join(part(f, POWER) for f in rest), SUM if len(rest) > 1 else SIGN
        case Mul(factors):
            return "*".join(part(f, POWER if at else SIGN) for at, f in enumerate(factors)), PRODUCT
        case Pow(base, exponent):
            return f"{part(base, ATOM)}**{part(exponent, POWER)}", POWER
        case FloorDiv(a, b):
            return f"{part(a, PRODUCT)}//{part(b, SIGN)}", PRODUCT
        case Mod(a, b):
            return f"{part(a, PRODUCT)} % {part(b, SIGN)}", PRODUCT
        case Clip(a, low, high):
            return f"min(max({part(a)}, {part(low)}), {part(high)})", ATOM
        case Call("min" | "max" as function, (Read(tensor, ()),)):
            return f"int({identifier(tensor)}.{function}())", ATOM
        case Call("min" | "max" as function, arguments):
            return f"{function}({', '.join(part(a) for a in arguments)})", ATOM
        case _:
            raise InternalError(f"{type(expr).__name__} stands in an integer expression of a generated module")


def _sum(terms: tuple[Expr, ...], part: Callable[[Expr, int], str]) -> str:
    text = part(terms[0], SUM)
    for term in terms[1:]:
        positive = _without_minus(term)
        text += f" - {part(positive, PRODUCT)}" if positive is not None else f" + {part(term, SUM)}"
    return text


def _without_minus(term: Expr) -> Expr | None:
    """`t` for a term `-t`, else None."""
    match term:
        case Number(value) if value < 0:
            return Number(-value)
        case Mul((Number(value), *rest)) if value < 0:
            head = () if value == -1 else (Number(-value),)
            factors = (*head, *rest)
            return factors[0] if len(factors) == 1 else Mul(factors)
        case _:
            return None


def _literal(value: Fraction) -> tuple[str, int]:
    if value.denominator != 1:
        raise InternalError(f"{value} stands in an integer expression")
    return str(value.numerator), ATOM if value >= 0 else SIGN


def condition(expr: Expr, place: int = TEST, spell: Callable[[Expr, int], str] = integer) -> str:
    """The Python text of a condition over sizes and integer parameters."""
    text, binds = _condition(expr, spell)
    return bracket(text, binds, place)


def _condition(expr: Expr, spell: Callable[[Expr, int], str]) -> tuple[str, int]:
    match expr:
        case Compare(operation, left, right):
            return f"{spell(left, SUM)} {operation} {spell(right, SUM)}", COMPARE
        case Logic("and", ()):
            return "True", ATOM
        case Logic("or", ()):
            return "False", ATOM
        case Logic("not", (inner,)):
            return f"not {condition(inner, COMPARE, spell)}", NOT
        case Logic("and", arguments):
            return " and ".join(condition(a, NOT, spell) for a in arguments), AND
        case Logic("or", arguments):
            return " or ".join(condition(a, AND, spell) for a in arguments), OR
        case _:
            raise InternalError(f"{type(expr).__name__} is not a condition")


def decimal(value: Fraction) -> str:
    """A rational as Python text: an integer, a decimal that is exact, or a quotient.

    A long integer is a float: exact where zeros end it, else the nearest one where no machine integer holds it.
    """
    if value.denominator == 1:
        text = whole_number(value.numerator)
        return text if "e" in text or abs(value) < 2**63 else repr(float(value))
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    short = repr(float(value))
    if rest == 1 and Fraction(short) == value:
        return short
    return f"{value.numerator}/{value.denominator}"


def real_constant(expr: Expr) -> str:
    """The Python text of a number, of pi or of an infinity."""
    match expr:
        case Number(value):
            return decimal(value)
        case Constant("pi"):
            return "np.pi"
        case Infinity(direction):
            return "np.inf" if direction > 0 else "-np.inf"
        case _:
            raise InternalError(f"{type(expr).__name__} is not a constant")
