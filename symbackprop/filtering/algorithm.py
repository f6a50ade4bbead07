"""The matrices of F(m, r): m outputs of a filter of r taps by m + r - 1 products, from as many interpolation points.

A product s = g*u of polynomials with r and m coefficients has m + r - 1 coefficients, so it follows from its values
g(a) u(a) at as many points a; at infinity a polynomial's value is its leading coefficient. In matrices

    s = C [(E_r g) . (E_m u)]        E_k evaluates k coefficients at the points, C interpolates.

For fixed g this is linear in u, and its transpose takes s's place to u's: y = E_m^T [(E_r g) . (C^T d)] has y[i] =
sum[j](d[i + j] g[j]), the correlation. So A^T = E_m^T, G = E_r and B^T = C^T, where the rows of C^T have 1 as
their leading coefficient (the product of the distances from the other points goes into G).

Source: Toom 1963, Cook 1966; Winograd, Arithmetic Complexity of Computations, SIAM 1980, for the transposition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import islice
from typing import Any

import sympy as _untyped

from symbackprop.errors import UserError

sympy: Any = _untyped
INFINITY = None
Point = Fraction | None
Matrix = tuple[tuple[Fraction, ...], ...]
MOST_POINTS = (
    16  # beyond, the matrices' numbers spread over so many magnitudes that no arithmetic of ours could use them
)


@dataclass(frozen=True, slots=True)
class Algorithm:
    """y = output [(filter g) . (data d)]: y [m], g [r], d [m + r - 1]; the matrices are A^T, G and B^T."""

    m: int
    r: int
    points: tuple[Point, ...]
    output: Matrix
    filter: Matrix
    data: Matrix

    @property
    def products(self) -> int:
        """How many numbers are multiplied with each other."""
        return len(self.points)

    @property
    def amplification(self) -> Fraction:
        """How much larger than a sum's terms the numbers on the way may be: row sums of |A^T| |G| |B^T|, for each tap.

        Rounding errors grow with it; 1 for a sum as it stands, multiplied with itself for each further axis.
        """
        through = [
            sum(map(abs, g), Fraction(0)) * sum(map(abs, b)) for g, b in zip(self.filter, self.data, strict=True)
        ]
        rows = [[abs(a) * t for a, t in zip(row, through, strict=True)] for row in self.output]
        return max(sum(row, Fraction(0)) for row in rows) / self.r


def default_points(count: int) -> tuple[Point, ...]:
    """0, then pairs +-a that divide the way from 0 to 2 evenly (the last alone where the count is odd), then infinity.

    For 6 points 0, +-2/3, +-4/3: rounding errors are a quarter of those with 0, +-1, +-2.
    """
    if count < 2:
        return (INFINITY,) * count
    pairs = (count - 1) // 2
    finite = (point for k in range(1, pairs + 1) for point in (Fraction(2 * k, pairs + 1), -Fraction(2 * k, pairs + 1)))
    return (Fraction(0), *islice(finite, count - 2), INFINITY)


def algorithm(m: int, r: int, points: Sequence[Point] | None = None) -> Algorithm:
    """F(m, r) on these points, or on `default_points`.

    Raises: UserError where no algorithm has so many outputs, taps or points.
    """
    for name, count in (("m", m), ("r", r)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise UserError(
                f"{name}, the number of {_WHAT[name]}: expected a whole number of at least 1, came {count!r}"
            )
    count = m + r - 1
    if count > MOST_POINTS:
        raise UserError(
            f"F({m}, {r}) needs m + r - 1 = {count} points, and more than {MOST_POINTS} leave no digit of a float32 "
            "right; take a smaller m"
        )
    chosen = default_points(count) if points is None else tuple(points)
    if len(chosen) != count:
        raise UserError(f"points: expected m + r - 1 = {count} of them for F({m}, {r}), came {len(chosen)}")
    twice = next((p for at, p in enumerate(chosen) if p in chosen[:at]), Fraction(0))
    if len(set(chosen)) != count:
        raise UserError(f"points: expected each once, came {point_text(twice)} twice")
    return _derived(m, r, chosen)


_WHAT = {"m": "outputs", "r": "taps"}


@cache
def _derived(m: int, r: int, points: tuple[Point, ...]) -> Algorithm:
    x = sympy.Symbol("x")
    data, through = [], []
    for point in points:
        others = [p for p in points if p is not INFINITY and p != point]
        basis = sympy.Poly(sympy.prod([x - _number(p) for p in others]), x)  # 0 at every other point
        data.append(tuple(_fraction(basis.coeff_monomial(x**n)) for n in range(len(points))))
        through.append(Fraction(1) if point is INFINITY else 1 / _fraction(basis.eval(_number(point))))
    output = tuple(zip(*_evaluation(points, m), strict=True))
    scaled = tuple(tuple(t * v for v in row) for t, row in zip(through, _evaluation(points, r), strict=True))
    return Algorithm(m, r, points, output, scaled, tuple(data))


def _evaluation(points: tuple[Point, ...], coefficients: int) -> Matrix:
    """The matrix that evaluates a polynomial of so many coefficients at the points."""
    return tuple(
        tuple(Fraction(n == coefficients - 1) if p is INFINITY else p**n for n in range(coefficients)) for p in points
    )


def _number(value: Fraction) -> Any:
    return sympy.Rational(value.numerator, value.denominator)


def _fraction(value: Any) -> Fraction:
    return Fraction(int(value.p), int(value.q))


def point_text(point: Point) -> str:
    """A point as people write it."""
    return "inf" if point is INFINITY else str(point)


def read_points(text: str) -> tuple[Point, ...]:
    """The points in `0, 2/3, -2/3, inf`.

    Raises: UserError for what is no number.
    """
    found: list[Point] = []
    for word in text.split(","):
        try:
            found.append(INFINITY if word.strip() in ("inf", "oo") else Fraction(word.strip()))
        except (ValueError, ZeroDivisionError):
            raise UserError(
                f"points: expected numbers like 2/3 and inf, with commas between them, came {word.strip()!r}"
            ) from None
    return tuple(found)
