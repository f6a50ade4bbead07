"""Functions that a loop over a row can call without being kept from vector instructions: all without a branch.

- exp, log, tanh and erf, which the libraries compute one number at a time. The argument is reduced to a small interval
  (Cody & Waite, Software Manual for the Elementary Functions, 1980), where a polynomial is the function to the last
  digit. Its coefficients are those of the interpolation at Chebyshev points, by mpmath to fifty digits, of the least
  degree whose error is below a quarter of the last place; none is typed here.
- the rank of a number, an integer: the extremum of numbers among which may be NaN is one of integers.

Each is written for float32 and for float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import mpmath
import numpy as np

from symbackprop.emit.templating import render
from symbackprop.errors import InternalError

# each with those of the others that its text calls
FUNCTIONS: dict[str, tuple[str, ...]] = {
    "exp": (), "log": (), "tanh": ("exp",), "erf": ("exp",), "rank": (), "low_rank": (), "of_rank": (),
}  # fmt: skip
_SAYS = {
    "rank": "An integer in the order of the numbers, NaN above all.",
    "low_rank": "An integer in the order of the numbers, NaN below all.",
    "of_rank": "The number of a rank.",
}
_DIGITS = 50
_NEAR_TANH, _NEAR_ERF = 0.625, 1.0  # up to where a function is a polynomial in the square of its argument

Function = Callable[[mpmath.mpf], mpmath.mpf]


@dataclass(frozen=True, slots=True)
class _Format:
    """A type of numbers: its bits after the point, the size of its exponents, and its bits without the sign."""

    real: str
    whole: str
    mantissa: int
    bias: int
    bits: int
    one: type[np.float32] | type[np.float64]

    def text(self, value: mpmath.mpf) -> str:
        """The nearest number of the type, in the fewest digits."""
        return str(self.one(mpmath.nstr(value, 30)))


_FORMATS = (
    _Format("float32", "int32", 23, 127, 31, np.float32),
    _Format("float64", "int64", 52, 1023, 63, np.float64),
)


@cache
def elementary(name: str) -> str:
    """The text of a function for both types, and of the name that stands for either."""
    template = "rank" if name == "low_rank" else name
    texts = [render(f"elementary/{template}.py.jinja", fields) for fields in _fields(name)]
    says = f"{name} of a float32 or a float64 to two units in the last place, in vectors where a loop calls it."
    fields = {
        "name": name,
        "says": _SAYS.get(name, says),
        "texts": tuple(t.strip("\n") for t in texts),
        "narrow": "int32" if name == "of_rank" else "float32",
        "broad": "int64" if name == "of_rank" else "float64",
    }
    return render("elementary/by_type.py.jinja", fields).strip("\n")


def with_those_called(names: tuple[str, ...]) -> tuple[str, ...]:
    """The functions and what they call, in the order in which they are declared."""
    called = {other for name in names for other in (name, *FUNCTIONS[name])}
    return tuple(name for name in FUNCTIONS if name in called)


def _fields(name: str) -> Iterator[dict[str, object]]:
    for number in _FORMATS:
        with mpmath.workdps(_DIGITS):
            yield {"real": number.real, **_FIELDS[name](number)}


def _exp(number: _Format) -> dict[str, object]:
    """(e^r - 1 - r)/r^2 on |r| <= log(2)/2, a Kummer function."""
    half = mpmath.log(2) / 2 * mpmath.mpf("1.01")
    high, low = _log_2(number)
    return {
        "whole": number.whole,
        "mantissa": number.mantissa,
        "bias": number.bias,
        # beyond these e^v is 0 and infinite
        "least": number.text(mpmath.floor((1 - number.bias - number.mantissa - 2) * mpmath.log(2))),
        "most": number.text(mpmath.ceil((number.bias + 1) * mpmath.log(2))),
        "per_log_2": number.text(1 / mpmath.log(2)),
        "rounding": number.text(mpmath.mpf(3) * 2 ** (number.mantissa - 1)),
        "high": high,
        "low": low,
        "polynomial": _polynomial("r", lambda r: mpmath.hyp1f1(1, 3, r) / 2, -half, half, number, half * half),
    }


def _log(number: _Format) -> dict[str, object]:
    """(atanh(s)/s - 1)*2/s^2 for the squares s^2 of s = f/(2 + f), where 1 + f is between the roots of 1/2 and 2."""
    largest = ((mpmath.sqrt(2) - 1) / (mpmath.sqrt(2) + 1)) ** 2
    high, low = _log_2(number)
    root = number.one(mpmath.nstr(mpmath.sqrt(mpmath.mpf("0.5")), 30))
    return {
        "whole": number.whole,
        "mantissa": number.mantissa,
        "least": number.text(mpmath.mpf(2) ** (1 - number.bias)),
        "scale": number.text(mpmath.mpf(2) ** (number.mantissa + 1)),
        "raised": number.mantissa + 1,
        "root": int(root.view(number.whole)),
        "high": high,
        "low": low,
        "polynomial": _polynomial(
            "z", lambda z: 2 * (mpmath.atanh(mpmath.sqrt(z)) / mpmath.sqrt(z) - 1) / z, mpmath.mpf(0),
            largest * mpmath.mpf("1.001"), number, largest,
        ),
    }  # fmt: skip


def _tanh(number: _Format) -> dict[str, object]:
    """(tanh(v)/v - 1)/v^2 for the squares of v below 0.625."""
    largest = mpmath.mpf(_NEAR_TANH) ** 2
    return {
        "near": _NEAR_TANH,
        "polynomial": _polynomial(
            "z", lambda z: (mpmath.tanh(mpmath.sqrt(z)) / mpmath.sqrt(z) - 1) / z, mpmath.mpf(0),
            largest, number, largest,
        ),
    }  # fmt: skip


def _erf(number: _Format) -> dict[str, object]:
    """(erf(v)/v - 1)/v^2 ... for the squares of v below 1, and e^(v^2) erfc(v) in t = 1/(1 + v/2) beyond."""
    one = 6 if number.mantissa == 52 else 4
    far = [1 / (1 + mpmath.mpf(v) / 2) for v in (one, 1)]
    small = mpmath.mpf("0.15")  # erfc(1), beside 1
    first = 2 / mpmath.sqrt(mpmath.pi)
    return {
        "near": _NEAR_ERF,
        "one": one,
        "first": number.text(first - 1),
        "polynomial": _polynomial(
            "z", lambda z: (mpmath.erf(mpmath.sqrt(z)) / mpmath.sqrt(z) - first) / z, mpmath.mpf(0),
            mpmath.mpf(_NEAR_ERF) ** 2, number, mpmath.mpf(1),
        ),
        "beyond": _polynomial("t", _scaled_erfc, far[0], far[1], number, small),
    }  # fmt: skip


def _scaled_erfc(t: mpmath.mpf) -> mpmath.mpf:
    v = 2 / t - 2
    return mpmath.exp(v * v) * mpmath.erfc(v)


def _rank(number: _Format, nan_above: bool) -> dict[str, object]:
    last = 2**number.bits - 1
    return {
        "name": "rank" if nan_above else "low_rank",
        "whole": number.whole,
        "sign": number.bits,
        "largest": last,
        "nan": last if nan_above else -last - 1,
    }


def _of_rank(number: _Format) -> dict[str, object]:
    return {"whole": number.whole, "sign": number.bits, "largest": 2**number.bits - 1}


_FIELDS: dict[str, Callable[[_Format], dict[str, object]]] = {
    "exp": _exp,
    "log": _log,
    "tanh": _tanh,
    "erf": _erf,
    "rank": lambda number: _rank(number, True),
    "low_rank": lambda number: _rank(number, False),
    "of_rank": _of_rank,
}


def _log_2(number: _Format) -> tuple[str, str]:
    """log 2 in two parts, of which the first has so few digits that its product by any exponent is exact."""
    bits = number.mantissa + 1 - number.bias.bit_length() - 2
    high = mpmath.floor(mpmath.log(2) * 2**bits) / 2**bits
    return number.text(high), number.text(mpmath.log(2) - high)


def _polynomial(
    name: str, function: Function, low: mpmath.mpf, high: mpmath.mpf, number: _Format, weight: mpmath.mpf
) -> tuple[str, ...]:
    """Lines that leave in `p` the polynomial of `name` that is the function.

    `weight` is how much of it counts beside the 1 that it is added to.
    """
    allowed = mpmath.mpf(2) ** (-number.mantissa - 3) / weight
    for terms in range(2, 40):
        coefficients, error = mpmath.chebyfit(function, [low, high], terms, error=True)
        if error < allowed:
            texts = [number.text(c) for c in coefficients]
            return (f"p = real({texts[0]})", *(f"p = p*{name} + real({t})" for t in texts[1:]))
    raise InternalError(f"no polynomial in {name} is near enough")
