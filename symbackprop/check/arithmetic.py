"""The numbers in which an equation is evaluated: what the interpreter asks of them, and float64.

The interpreter knows nothing of numbers; it asks one of these, `modular.Modular` or `dual.DualNumbers`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, TypeAlias

from symbackprop.errors import SymbackpropError

Value: TypeAlias = Any  # a number of the arithmetic at hand: float, residue or dual number


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
