"""Exact arithmetic modulo a large prime, in which transcendental functions are consistent unknowns.

Two rational functions that are equal at one random point are equal everywhere, up to a chance of
degree / 2^60: one evaluation is a proof for all practical purposes (Schwartz and Zippel's lemma).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b

from symbackprop.check.arithmetic import Arithmetic, Redraw, Value

HALF_PRIME = 576460752300722339  # q, a prime
SMALL = 1000  # numerators and denominators of fractions that are ordered as such
PRIME = 2 * HALF_PRIME + 1  # p = 2q + 1, a prime of 60 bits: the squares modulo p are a group of prime order q
# The primes up to 37 are squares modulo p, and -1 is not: the positive numbers without larger prime factors have roots.
NO_QUOTIENT = "division by zero"  # why a point has no value

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
    - Numbers are ordered as the fraction of small numbers that they are, if they are one, else by the representative
      between -q and q: a total order, though one that sums do not keep.
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
            raise Redraw(NO_QUOTIENT)
        if exponent.denominator == 1:
            return pow(base, int(exponent), PRIME)
        return self._root(base, exponent.numerator * pow(exponent.denominator, -1, HALF_PRIME))

    def general_power(self, base: Value, exponent: Value) -> Value:
        # an integer power: a^(b - 1) is a^b / a, and (ac)^b is a^b c^b, which is all that an identity may use
        if type(base) is not int or type(exponent) is not int:
            raise Redraw("a power of infinity")
        if base == 0:
            raise Redraw("a power of zero")
        return pow(base, self._signed(exponent), PRIME)

    def call(self, function: str, x: Value) -> Value:
        if function == "sqrt":
            return self.power(x, Fraction(1, 2))
        if function == "relu":
            return x if self._ordered(x) > 0 else 0
        if function == "sign":
            return self.number((self._ordered(x) > 0) - (self._ordered(x) < 0))
        if function == "abs":
            return x if self._ordered(x) >= 0 else self.multiply(x, PRIME - 1)
        if type(x) is not int:
            return self._at_infinity(function, x)
        if (function, x) in _KNOWN:
            return self.number(_KNOWN[function, x])
        return self._unknown(function, x)

    def less(self, a: Value, b: Value) -> bool:
        return bool(self._ordered(a) < self._ordered(b))

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

    def _ordered(self, a: Value) -> Value | Fraction:
        """What stands for a number where numbers are compared."""
        small = _small_fraction(a) if type(a) is int else None
        return self._signed(a) if small is None else small

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
            raise Redraw("the logarithm of minus infinity")
        return limit


@lru_cache(maxsize=1 << 14)
def _small_fraction(a: int) -> Fraction | None:
    """The fraction n/d equal to `a` modulo the prime with |n| and d at most 1,000, or None: there is one at most.

    Source: Wang 1981, "A p-adic algorithm for univariate partial fractions": the remainders of Euclid's algorithm.
    """
    before, rest, last, factor = PRIME, a, 0, 1
    while rest > SMALL:
        quotient = before // rest
        before, rest, last, factor = rest, before - quotient * rest, factor, last - quotient * factor
    if not 0 < abs(factor) <= SMALL:
        return None
    return Fraction(rest, factor)
