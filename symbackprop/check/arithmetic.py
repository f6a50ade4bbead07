"""The numbers in which an equation is evaluated: float64, or exactly modulo a large prime.

The interpreter knows nothing of numbers; it asks one of these. In the modular arithmetic a rational
function is equal to another one everywhere if it is at a random point, up to a chance of
degree / 2^60, so that one evaluation is a proof for all practical purposes (Schwartz and Zippel's lemma).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from fractions import Fraction
from hashlib import blake2b
from typing import Any, TypeAlias

from symbackprop.errors import InternalError, SymbackpropError

Value: TypeAlias = Any  # a number of the arithmetic at hand: float, residue or dual number

HALF_PRIME = 576460752303421649  # q, a prime
PRIME = 2 * HALF_PRIME + 1  # p = 2q + 1, a prime of 60 bits: the squares modulo p are a group of prime order q


class Redraw(SymbackpropError):
    """The drawn point has no value here (a division by zero, the root of a non-residue): draw another one."""


class Arithmetic(ABC):
    """What the interpreter needs to know of numbers."""

    @abstractmethod
    def number(self, value: int | Fraction) -> Value:
        """The number that stands for an exact rational."""

    @abstractmethod
    def constant(self, name: str) -> Value:
        """A named constant: pi."""

    @abstractmethod
    def infinity(self, sign: int) -> Value:
        """Plus or minus infinity: greater or less than all others."""

    @abstractmethod
    def add(self, a: Value, b: Value) -> Value:
        """`a + b`."""

    @abstractmethod
    def multiply(self, a: Value, b: Value) -> Value:
        """`a * b`."""

    @abstractmethod
    def power(self, base: Value, exponent: Fraction) -> Value:
        """`base ^ exponent` for an exact exponent."""

    @abstractmethod
    def general_power(self, base: Value, exponent: Value) -> Value:
        """`base ^ exponent` for an exponent that is a number of this arithmetic."""

    @abstractmethod
    def call(self, function: str, x: Value) -> Value:
        """A function of one argument."""

    @abstractmethod
    def less(self, a: Value, b: Value) -> bool:
        """`a < b`."""

    @abstractmethod
    def equal(self, a: Value, b: Value) -> bool:
        """`a == b`."""

    def undefined(self, a: Value) -> bool:
        """Whether `a` is not a number."""
        return False

    def total(self, terms: Iterable[Value]) -> Value:
        """The sum of the terms; 0 if there are none."""
        result = self.number(0)
        for term in terms:
            result = self.add(result, term)
        return result

    def beats(self, operation: str, challenger: Value, holder: Value) -> bool:
        """Whether the challenger takes the place of the holder in a `max` or `min`: never at a tie; NaN wins."""
        if self.undefined(holder):
            return False
        wins = self.less(holder, challenger) if operation == "max" else self.less(challenger, holder)
        return wins or self.undefined(challenger)


# ---------------------------------------------------------------------------------------------- float64


def _guarded(function: Callable[[float], float], overflow: float = math.inf) -> Callable[[float], float]:
    def guarded(x: float) -> float:
        try:
            return function(x)
        except OverflowError:
            return overflow
        except ValueError:
            return math.nan

    return guarded


def _log(x: float) -> float:
    return -math.inf if x == 0 else math.log(x)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x))) if x == x else x


def _sign(x: float) -> float:
    return x if math.isnan(x) else float((x > 0) - (x < 0))


_FLOAT_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "exp": _guarded(math.exp),
    "log": _guarded(_log),
    "sqrt": _guarded(math.sqrt),
    "abs": abs,
    "sign": _sign,
    "tanh": math.tanh,
    "sigmoid": _sigmoid,
    "relu": lambda x: 0.0 if x <= 0 else x,  # NaN stays NaN
    "softplus": _softplus,
    "erf": math.erf,
    "sin": _guarded(math.sin),
    "cos": _guarded(math.cos),
}


class Float64(Arithmetic):
    """IEEE double precision: a division by zero or an overflow gives an infinity or NaN, never an exception."""

    def number(self, value: int | Fraction) -> float:
        return float(value)

    def constant(self, name: str) -> float:
        return {"pi": math.pi}[name]

    def infinity(self, sign: int) -> float:
        return sign * math.inf

    def add(self, a: float, b: float) -> float:
        return a + b

    def multiply(self, a: float, b: float) -> float:
        return a * b

    def power(self, base: float, exponent: Fraction) -> float:
        if exponent == Fraction(1, 2):
            return _FLOAT_FUNCTIONS["sqrt"](base)
        return self.general_power(base, float(exponent))

    def general_power(self, base: float, exponent: float) -> float:
        try:
            return math.pow(base, exponent)
        except OverflowError:
            return -math.inf if base < 0 and exponent % 2 == 1 else math.inf
        except ValueError:  # a pole at zero, or a root of a negative number
            if base != 0:
                return math.nan
            return math.copysign(math.inf, base) if exponent % 2 == 1 else math.inf

    def call(self, function: str, x: float) -> float:
        return _FLOAT_FUNCTIONS[function](x)

    def less(self, a: float, b: float) -> bool:
        return a < b

    def equal(self, a: float, b: float) -> bool:
        return a == b

    def undefined(self, a: float) -> bool:
        return a != a


class WatchfulFloat64(Float64):
    """Float64 that remembers how near the point lies to a kink, and whether it lies on one.

    `gap` is the least distance of two unequal numbers that were compared (an argument of relu, abs or sign
    is compared with zero).
    """

    def __init__(self) -> None:
        self.gap = math.inf

    def _see(self, a: float, b: float) -> None:
        distance = abs(a - b)
        if 0 < distance < self.gap:
            self.gap = distance

    def less(self, a: float, b: float) -> bool:
        self._see(a, b)
        return a < b

    def equal(self, a: float, b: float) -> bool:
        self._see(a, b)
        return a == b

    def call(self, function: str, x: float) -> float:
        if function in ("relu", "abs", "sign"):
            self._see(x, 0.0)
        return super().call(function, x)


# ---------------------------------------------------------------------------------------------- modulo p

_KNOWN: dict[tuple[str, int], Fraction] = {  # values that a fold may use
    ("exp", 0): Fraction(1),
    ("log", 1): Fraction(0),
    ("tanh", 0): Fraction(0),
    ("sigmoid", 0): Fraction(1, 2),
    ("erf", 0): Fraction(0),
    ("sin", 0): Fraction(0),
    ("cos", 0): Fraction(1),
}


class Modular(Arithmetic):
    """Exact arithmetic modulo the prime p = 2q + 1, q prime; infinities are the floats of that name.

    - A rational power is taken among the squares, a group of prime order q: `x^(a/b) = x^(a / b mod q)`.
      The fractional power of a non-square asks for another point.
    - A transcendental function is a consistent unknown: a keyed hash of the function and its argument into
      the squares. `unknowns` counts how often one was asked for: where it is 0, equality is a proof.
    - Numbers are ordered by the representative between -q and q: a total order, though one that sums do not keep.
    """

    def __init__(self, seed: int = 0) -> None:
        self._key = seed.to_bytes(8, "little", signed=True)
        self._values: dict[tuple[str, int], int] = {}
        self.unknowns = 0

    def number(self, value: int | Fraction) -> int:
        if type(value) is int:
            return value % PRIME
        return value.numerator * pow(value.denominator, -1, PRIME) % PRIME

    def constant(self, name: str) -> int:
        return self._unknown(name, 0)

    def infinity(self, sign: int) -> float:
        return sign * math.inf

    def add(self, a: Value, b: Value) -> Value:
        return self._reduced(a + b)

    def total(self, terms: Iterable[Value]) -> Value:
        return self._reduced(sum(terms))

    def multiply(self, a: Value, b: Value) -> Value:
        if type(a) is int and type(b) is int:
            return a * b % PRIME
        return self._reduced(self._signed(a) * self._signed(b) if a and b else math.nan)

    def power(self, base: Value, exponent: Fraction) -> Value:
        if type(base) is not int:
            return self._infinite_power(base, exponent)
        if base == 0 and exponent < 0:
            raise Redraw("division by zero")
        if exponent.denominator == 1:
            return pow(base, int(exponent), PRIME)
        return self._root(base, exponent.numerator * pow(exponent.denominator, -1, HALF_PRIME))

    def general_power(self, base: Value, exponent: Value) -> Value:
        # a^(b - 1) is a^b / a here, which is all that the derivative of a power needs
        return self._root(base, self._signed(exponent))

    def call(self, function: str, x: Value) -> Value:
        if function == "sqrt":
            return self.power(x, Fraction(1, 2))
        if function == "relu":
            return x if self._signed(x) > 0 else 0
        if function == "sign":
            return self.number((self._signed(x) > 0) - (self._signed(x) < 0))
        if function == "abs":
            return x if self._signed(x) >= 0 else self.multiply(x, PRIME - 1)
        if type(x) is not int:
            return self._at_infinity(function, x)
        if (function, x) in _KNOWN:
            return self.number(_KNOWN[function, x])
        return self._unknown(function, x)

    def less(self, a: Value, b: Value) -> bool:
        return bool(self._signed(a) < self._signed(b))

    def equal(self, a: Value, b: Value) -> bool:
        return bool(a == b)

    def random(self, seed: int, name: str, position: tuple[int, ...]) -> int:
        """A number drawn for an element of a tensor: a keyed hash of its name."""
        return self._hash(f"draw {seed} {name} {position}")

    def _hash(self, text: str) -> int:
        return int.from_bytes(blake2b(text.encode(), key=self._key, digest_size=16).digest(), "little") % PRIME

    def _unknown(self, function: str, x: int) -> int:
        self.unknowns += 1
        known = self._values.get((function, x))
        if known is None:
            known = self._values[function, x] = pow(self._hash(f"{function} {x}"), 2, PRIME)
        return known

    def _root(self, base: Value, exponent: int) -> int:
        """`base ^ exponent` in the group of squares, of order q."""
        if type(base) is not int:
            raise Redraw("a root of infinity")
        if base == 0:
            return 0
        if pow(base, HALF_PRIME, PRIME) != 1:
            raise Redraw("the root of a non-square")
        return pow(base, exponent % HALF_PRIME, PRIME)

    @staticmethod
    def _signed(a: Value) -> Value:
        return a - PRIME if type(a) is int and a > HALF_PRIME else a

    @staticmethod
    def _reduced(a: Value) -> Value:
        if type(a) is int:
            return a % PRIME
        if a != a:
            raise Redraw("infinity minus infinity, or zero times infinity")
        return a

    @staticmethod
    def _infinite_power(base: float, exponent: Fraction) -> Value:
        if exponent == 0:
            return 1
        return 0 if exponent < 0 else (base if base > 0 or exponent.numerator % 2 else -base)

    @staticmethod
    def _at_infinity(function: str, x: float) -> Value:
        limits = {"exp": (0, math.inf), "sigmoid": (0, 1), "tanh": (PRIME - 1, 1), "erf": (PRIME - 1, 1),
                  "softplus": (0, math.inf), "log": (math.nan, math.inf)}  # fmt: skip
        if function not in limits:
            raise Redraw(f"{function} at infinity")
        limit = limits[function][x > 0]
        if limit != limit:
            raise InternalError("the logarithm of minus infinity")
        return limit
