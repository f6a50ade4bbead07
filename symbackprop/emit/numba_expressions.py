"""How expressions are spelled inside a Numba kernel.

Numbers are kept in the arrays' type on purpose: an integer or a decimal literal times a float32 is a float64 to
Numba, so each number stands as `real(0.5)`. In wide expressions, which are float64 anyway, it stands as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from symbackprop.emit.spelling import (
    AND,
    ATOM,
    COMPARE,
    NOT,
    POWER,
    PRODUCT,
    SIGN,
    SUM,
    TEST,
    bracket,
    condition,
    decimal,
    identifier,
    integer,
)
from symbackprop.errors import InternalError
from symbackprop.notation.nodes import (
    Add,
    Call,
    Clip,
    Compare,
    Constant,
    Delta,
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
    Where,
    mul,
    parts,
    rebuild,
    walk,
)

_MATH = ("exp", "log", "sqrt", "tanh", "sin", "cos", "erf")
HELPERS = ("share", "sigmoid", "relu", "softplus", "sign", "max", "min", "stage", "stream", "piece", "rows_ahead")
_VECTORS = ("exp", "log", "tanh", "erf")  # written as polynomials, for loops that walk rows


@dataclass(frozen=True, slots=True)
class Speller:
    """The names in one kernel: of indices, of arrays (of which some are integers), and of locals that are wide.

    `ranks` are locals that hold the rank of a number; with `rows` functions are those that the compiler turns into
    vector instructions in a loop.
    """

    index: Callable[[Index], str]
    arrays: frozenset[str]
    integers: frozenset[str]
    wide: frozenset[str]
    ranks: frozenset[str] = frozenset()
    rows: bool = False

    def integer(self, expr: Expr, place: int = TEST) -> str:
        """The text of an integer expression."""
        return integer(self._with_reads(expr), place, self.index)

    def _with_reads(self, expr: Expr) -> Expr:
        """Elements of integer tensors stand in an integer expression as names: their finished text."""
        if isinstance(expr, Read):
            return Parameter(self.element(expr), True)
        return rebuild(expr, tuple(self._with_reads(p) for p in parts(expr)))

    def element(self, read: Read) -> str:
        """The text of an element of an array, or of a local."""
        name = identifier(read.tensor)
        if read.indices:
            texts = [self.integer(i) for i in read.indices]
            if read.tensor in self.integers - self.arrays and isinstance(read.indices[0], Read):
                # a table of positions, which never count from the end: nobody has to look whether they do
                texts = [f"np.uintp({texts[0]})"]
            return f"{name}[{', '.join(texts)}]"
        if read.tensor in self.ranks:
            return f"_of_rank({name})"
        return f"{name}[0]" if read.tensor in self.arrays else name

    def is_wide(self, expr: Expr) -> bool:
        """Whether an expression is computed in float64, because a wide number stands in it."""
        return any(isinstance(e, Read) and e.tensor in self.wide for e in walk(expr))

    def is_integer(self, expr: Expr) -> bool:
        """Whether an expression is an integer."""
        match expr:
            case Number(value):
                return value.denominator == 1
            case Index() | Size() | FloorDiv() | Mod() | Clip():
                return True
            case Parameter(_, whole):
                return whole
            case Read(tensor, _):
                return tensor in self.integers
            case Add() | Mul():
                return all(self.is_integer(p) for p in parts(expr))
            case Pow(base, Number(value)):
                return value.denominator == 1 and value >= 0 and self.is_integer(base)
            case _:
                return False

    def real(self, expr: Expr, place: int = TEST) -> str:
        """The text of a real expression, wide if something wide stands in it."""
        text, binds = _real(expr, self, self.is_wide(expr))
        return bracket(text, binds, place)

    def in_float64(self, expr: Expr) -> str:
        """The text of a real expression that is computed in float64."""
        return _real(expr, self, True)[0]

    def test(self, expr: Expr, place: int = TEST) -> str:
        """The text of a condition; `0 <= i` and `i < n` are put together."""
        if isinstance(expr, Logic) and expr.operation == "and" and expr.arguments:
            text = " and ".join(self._chained(expr.arguments))
            return bracket(text, AND if " and " in text else COMPARE, place)
        return condition(expr, place, self._compared)

    def _chained(self, conditions: tuple[Expr, ...]) -> Iterator[str]:
        left = list(conditions)
        while left:
            match left:
                case [Compare("<=", low, a), Compare("<", b, high), *rest] if a == b and self.is_integer(a):
                    yield f"{self.integer(low, SUM)} <= {self.integer(a, SUM)} < {self.integer(high, SUM)}"
                    left = rest
                case [first, *rest]:
                    yield self.test(first, NOT)
                    left = rest

    def _compared(self, expr: Expr, place: int = TEST) -> str:
        return self.integer(expr, place) if self.is_integer(expr) else self.real(expr, place)


def _real(expr: Expr, names: Speller, wide: bool) -> tuple[str, int]:
    def part(e: Expr, place: int = TEST) -> str:
        text, binds = _real(e, names, wide)
        return bracket(text, binds, place)

    match expr:
        case Number(value):
            return _number(value, wide)
        case Constant("pi"):
            return ("math.pi" if wide else "real(math.pi)"), ATOM
        case Infinity(sign):
            text = "math.inf" if sign > 0 else "-math.inf"
            return (text, SIGN) if wide else (f"real({text})", ATOM)
        case Parameter(name, False):
            return (identifier(name) if wide else f"real({identifier(name)})"), ATOM
        case Read(tensor, _) if tensor not in names.integers:
            return names.element(expr), ATOM
        case _ if names.is_integer(expr):
            return (names.integer(expr, ATOM) if wide else f"real({names.integer(expr)})"), ATOM
        case Add(terms):
            return _sum(terms, part), SUM
        case Mul(factors):
            return _product(_whole_numbers_together(factors, names), part, wide)
        case Pow(base, exponent):
            return _power(base, exponent, part, wide)
        case Call(function, arguments):
            return _call(function, [part(a) for a in arguments], names.rows), ATOM
        case Where(test, then, other):
            return f"{part(then, 1)} if {names.test(test, 1)} else {part(other, 1)}", TEST
        case Delta(left, right):
            one, zero = ("1.0", "0.0") if wide else ("real(1)", "real(0)")
            return f"{one} if {names.integer(left, SUM)} == {names.integer(right, SUM)} else {zero}", TEST
        case Compare() | Logic():
            raise InternalError("a condition stands where a number is expected")
        case _:
            raise InternalError(f"{type(expr).__name__} stands in an expression of a kernel")


def _number(value: Fraction, wide: bool) -> tuple[str, int]:
    if not wide:
        return f"real({decimal(value)})", ATOM
    text = decimal(value)
    if text.lstrip("-").isdigit():
        text += ".0"
    return text, PRODUCT if "/" in text else SIGN if value < 0 else ATOM


Part = Callable[[Expr, int], str]


def _sum(terms: tuple[Expr, ...], part: Part) -> str:
    text = part(terms[0], SUM)
    for term in terms[1:]:
        positive = _without_minus(term)
        text += f" + {part(term, PRODUCT)}" if positive is None else f" - {part(positive, PRODUCT)}"
    return text


def _without_minus(term: Expr) -> Expr | None:
    match term:
        case Number(value) if value < 0:
            return Number(-value)
        case Mul((Number(value), *rest)) if value < 0:
            return mul(Number(-value), *rest)
        case _:
            return None


def _product(factors: tuple[Expr, ...], part: Part, wide: bool) -> tuple[str, int]:
    """A product as a quotient: factors with negative powers go below the line, once."""
    if isinstance(factors[0], Number) and factors[0].value == -1:
        rest = mul(*factors[1:])
        return (f"-{part(rest, PRODUCT)}", SUM) if isinstance(rest, Mul) else (f"-{part(rest, POWER)}", SIGN)
    above = [f for f in factors if _reciprocal(f) is None]
    below = [r for f in factors if (r := _reciprocal(f)) is not None]
    one = "1.0" if wide else "real(1)"
    # no product begins with a remainder, since a sign may come before it: -a % b is (-a) % b
    bindings = (SIGN if at or isinstance(f, FloorDiv | Mod) else PRODUCT for at, f in enumerate(above))
    top = "*".join(map(part, above, bindings)) or one
    if not below:
        return top, PRODUCT
    bottom = part(below[0], POWER) if len(below) == 1 else "(" + "*".join(part(f, SIGN) for f in below) + ")"
    return f"{top}/{bottom}", PRODUCT


def _whole_numbers_together(factors: tuple[Expr, ...], names: Speller) -> tuple[Expr, ...]:
    """`N*H*W` above or below the line as one integer, which is cast once."""
    for below in (False, True):
        own = [at for at, f in enumerate(factors) if _is_size(f, below, names)]
        if len(own) > 1:
            product = mul(*((_reciprocal(factors[at]) or factors[at]) if below else factors[at] for at in own))
            one = Pow(product, Number(Fraction(-1))) if below else product
            factors = tuple(one if at == own[0] else f for at, f in enumerate(factors) if at not in own[1:])
    return factors


def _is_size(factor: Expr, below: bool, names: Speller) -> bool:
    inner = _reciprocal(factor) if below else factor
    return inner is not None and not isinstance(inner, Number) and names.is_integer(inner)


def _reciprocal(factor: Expr) -> Expr | None:
    """`b` for a factor `1/b` that has a negative number as its exponent."""
    match factor:
        case Pow(base, Number(value)) if value < 0:
            return base if value == -1 else Pow(base, Number(-value))
        case _:
            return None


def _power(base: Expr, exponent: Expr, part: Part, wide: bool) -> tuple[str, int]:
    one = "1.0" if wide else "real(1)"
    match exponent:
        case Number(value) if value < 0:
            below = base if value == -1 else Pow(base, Number(-value))
            return f"{one}/{part(below, POWER)}", PRODUCT
        case Number(value) if value.denominator == 2 and value.numerator == 1:
            return f"math.sqrt({part(base, TEST)})", ATOM
        case Number(value) if value == 2 and isinstance(base, Read) and not base.indices:
            return f"{part(base, SIGN)}*{part(base, SIGN)}", PRODUCT
        case Number(value) if value.denominator == 1:
            return f"{part(base, ATOM)}**{value.numerator}", POWER
        case _:
            return f"{part(base, ATOM)}**{part(exponent, ATOM)}", POWER


def _call(function: str, arguments: list[str], rows: bool) -> str:
    if rows and function in _VECTORS:
        return f"_{function}({arguments[0]})"
    if function in _MATH:
        return f"math.{function}({arguments[0]})"
    if function == "abs":
        return f"abs({arguments[0]})"
    if function in HELPERS:
        return f"_{function}({', '.join(arguments)})"
    raise InternalError(f"no spelling of the function {function} in a kernel")
