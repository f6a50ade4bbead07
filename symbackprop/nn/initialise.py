"""First values of the weights.

A weight has its results along axis 0, what each is summed over along the others (weight [k d], weight [k c r s]):
`fan_in` values meet in one result, and `fan_out` results see one value.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from symbackprop.errors import UserError
from symbackprop.nn.units import Shape, Trained

Array = npt.NDArray[Any]


def fans(shape: Shape) -> tuple[int, int]:
    """`fan_in` and `fan_out` of a weight."""
    taps = prod(shape[2:])
    return (shape[1] if len(shape) > 1 else 1) * taps, shape[0] * taps


def he_normal(shape: Shape, rng: np.random.Generator) -> Array:
    """Normal with variance 2/fan_in: keeps the spread through relu (He et al. 2015, arXiv 1502.01852)."""
    return rng.standard_normal(shape) * sqrt(2 / fans(shape)[0])


def he_uniform(shape: Shape, rng: np.random.Generator) -> Array:
    """Uniform with variance 2/fan_in."""
    return _uniform(shape, rng, 2 / fans(shape)[0])


def glorot_normal(shape: Shape, rng: np.random.Generator) -> Array:
    """Normal with variance 2/(fan_in + fan_out): Glorot & Bengio 2010, for forward and backward alike."""
    return rng.standard_normal(shape) * sqrt(2 / sum(fans(shape)))


def glorot_uniform(shape: Shape, rng: np.random.Generator) -> Array:
    """Uniform with variance 2/(fan_in + fan_out)."""
    return _uniform(shape, rng, 2 / sum(fans(shape)))


def _uniform(shape: Shape, rng: np.random.Generator, variance: float) -> Array:
    bound = sqrt(3 * variance)
    return rng.uniform(-bound, bound, shape)


INITIALISERS: dict[str, Callable[[Shape, np.random.Generator], Array]] = {
    "he": he_normal,
    "he-uniform": he_uniform,
    "glorot": glorot_normal,
    "glorot-uniform": glorot_uniform,
}


def first_values(array: Trained, shape: Shape, initialiser: str, rng: np.random.Generator) -> Array:
    """The values that a parameter starts with, in float64.

    Raises: UserError for a start or an initialiser that does not exist.
    """
    if array.start == "random":
        if initialiser not in INITIALISERS:
            raise UserError(f"there is no initialiser {initialiser}; choose from {', '.join(INITIALISERS)}")
        return INITIALISERS[initialiser](shape, rng)
    if array.start not in ("zeros", "ones"):
        raise UserError(f'start of {array.name}: expected "random", "zeros" or "ones", came {array.start!r}')
    return np.full(shape, 1.0 if array.start == "ones" else 0.0)
