"""Dual numbers over another arithmetic: a value with its derivative in every seeded direction at once.

A dual number is a pair `(value, slopes)`; `slopes` maps a seeded element to the derivative with respect to it,
and has no entry where the derivative is zero because the element is not read. This is forward
differentiation, element by element; it shares nothing with the rules that it is there to check.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from fractions import Fraction

from symbackprop.check.arithmetic import Arithmetic, Value

Slopes = dict[Hashable, Value]
Dual = tuple[Value, Slopes]
NONE: Slopes = {}

MINUS_ONE, HALF = Fraction(-1), Fraction(1, 2)
Rule = Callable[[Arithmetic, Value, Value], Value]  # (arithmetic, x, f(x)) -> f'(x)


def _minus(a: Arithmetic, x: Value) -> Value:
    return a.multiply(a.number(-1), x)


def _step(a: Arithmetic, x: Value, high: int, low: int) -> Value:
    zero = a.number(0)
    return a.number(high if a.less(zero, x) else low if a.less(x, zero) else 0)


DERIVATIVES: dict[str, Rule] = {  # at the kinks: relu'(0) = abs'(0) = sign'(0) = 0
    "exp": lambda a, x, f: f,
    "log": lambda a, x, f: a.power(x, MINUS_ONE),
    "sqrt": lambda a, x, f: a.multiply(a.number(HALF), a.power(x, -HALF)),
    "abs": lambda a, x, f: _step(a, x, 1, -1),
    "sign": lambda a, x, f: a.number(0),
    "tanh": lambda a, x, f: a.add(a.number(1), _minus(a, a.multiply(f, f))),
    "sigmoid": lambda a, x, f: a.multiply(f, a.add(a.number(1), _minus(a, f))),
    "relu": lambda a, x, f: _step(a, x, 1, 0),
    "softplus": lambda a, x, f: a.call("sigmoid", x),
    "erf": lambda a, x, f: a.multiply(
        a.multiply(a.number(2), a.power(a.constant("pi"), -HALF)), a.call("exp", _minus(a, a.multiply(x, x)))
    ),
    "sin": lambda a, x, f: a.call("cos", x),
    "cos": lambda a, x, f: _minus(a, a.call("sin", x)),
}


class DualNumbers(Arithmetic):
    """Pairs `(value, slopes)` over the arithmetic `base`."""

    def __init__(self, base: Arithmetic) -> None:
        self.base = base

    def number(self, value: int | Fraction) -> Dual:
        return self.base.number(value), NONE

    def constant(self, name: str) -> Dual:
        return self.base.constant(name), NONE

    def infinity(self, sign: int) -> Dual:
        return self.base.infinity(sign), NONE

    def add(self, a: Dual, b: Dual) -> Dual:
        return self.total((a, b))

    def total(self, terms: Iterable[Dual]) -> Dual:
        values: list[Value] = []
        slopes: Slopes = {}
        for value, more in terms:
            values.append(value)
            for key, slope in more.items():
                slopes[key] = self.base.add(slopes[key], slope) if key in slopes else slope
        return self.base.total(values), slopes

    def multiply(self, a: Dual, b: Dual) -> Dual:
        """(ab)' = a'b + ab'"""
        value = self.base.multiply(a[0], b[0])
        if not a[1] and not b[1]:
            return value, NONE
        return value, self._combined((a[1], b[0]), (b[1], a[0]))

    def power(self, base: Dual, exponent: Fraction) -> Dual:
        """(a^n)' = n a^(n-1) a'"""
        x, slopes = base
        value = self.base.power(x, exponent)
        if not slopes or exponent == 0:
            return value, NONE
        factor = self.base.multiply(self.base.number(exponent), self.base.power(x, exponent - 1))
        return value, self._combined((slopes, factor))

    def general_power(self, base: Dual, exponent: Dual) -> Dual:
        """(a^b)' = b a^(b-1) a' + a^b log(a) b'"""
        (x, x_slopes), (b, b_slopes) = base, exponent
        a, value = self.base, self.base.general_power(base[0], exponent[0])
        pairs: list[tuple[Slopes, Value]] = []
        if x_slopes:
            pairs.append((x_slopes, a.multiply(b, a.general_power(x, a.add(b, a.number(-1))))))
        if b_slopes:
            pairs.append((b_slopes, a.multiply(value, a.call("log", x))))
        return value, self._combined(*pairs)

    def call(self, function: str, x: Dual) -> Dual:
        """f(a)' = f'(a) a'"""
        value = self.base.call(function, x[0])
        if not x[1]:
            return value, NONE
        return value, self._combined((x[1], DERIVATIVES[function](self.base, x[0], value)))

    def less(self, a: Dual, b: Dual) -> bool:
        return self.base.less(a[0], b[0])

    def equal(self, a: Dual, b: Dual) -> bool:
        return self.base.equal(a[0], b[0])

    def undefined(self, a: Dual) -> bool:
        return self.base.undefined(a[0])

    def _combined(self, *pairs: tuple[Slopes, Value]) -> Slopes:
        """The sum of slopes times factor over the pairs."""
        result: Slopes = {}
        for slopes, factor in pairs:
            for key, slope in slopes.items():
                term = self.base.multiply(slope, factor)
                result[key] = self.base.add(result[key], term) if key in result else term
        return result
