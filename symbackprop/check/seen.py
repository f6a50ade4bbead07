"""Comparisons that raise: each names the subject, the worst place, where it came up, and both numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from symbackprop.check.forward import Array
from symbackprop.check.report import Outcome
from symbackprop.errors import CheckFailed

Allowed = Callable[[str], Array]  # how far an array of this name may be off, element by element


class Seen:
    """What one check of a subject has compared so far."""

    def __init__(self, subject: object) -> None:
        self.subject, self.points, self.worst, self.allowed = subject, 0, 0.0, 0

    def outcome(self, note: str = "") -> Outcome:
        """The sum of it."""
        rounded = f"{self.allowed} as far off as rounding may be" if self.allowed else ""
        return Outcome(self.points, self.worst, "; ".join(part for part in (note, rounded) if part))

    def refuse(self, what: str, got: object, expected: object, truth: str, where: str) -> None:
        """Raise."""
        raise CheckFailed(f"{self.subject}: {what} is {got!s}, and {truth} gives {expected!s}; {where}")

    def shape_and_dtype(self, name: str, got: Array | None, shape: tuple[int, ...], dtype: Any, where: str) -> None:
        """An array of this shape and precision came."""
        if got is None:
            raise CheckFailed(f"{self.subject}: {name} is None; {where}")
        if np.shape(got) != shape:
            self.refuse(f"the shape of {name}", np.shape(got), shape, "the layer", where)
        if np.asarray(got).dtype != dtype:
            self.refuse(f"the dtype of {name}", np.asarray(got).dtype, np.dtype(dtype), "that of the inputs", where)

    def compare(
        self,
        name: str,
        got: Array,
        expected: Array,
        tolerance: float,
        where: str,
        floor: float = 0.0,
        allowed: Allowed | None = None,
    ) -> None:
        """Each element differs by less than `tolerance` times the largest number (or `floor`), or than is `allowed`."""
        if got is None or np.shape(got) != np.shape(expected):
            self.refuse(f"the shape of {name}", np.shape(got), np.shape(expected), "the other opinion", where)
        scale = max(float(np.abs(expected).max(initial=0.0)), floor)
        errors = np.abs(np.asarray(got, dtype=float) - expected)
        bad = ~(errors <= tolerance * scale)
        if bad.any() and allowed is not None:
            rounded = bad & (errors <= allowed(name))
            self.allowed += int(rounded.sum())
            bad, errors = bad & ~rounded, np.where(rounded, 0.0, errors)
        if bad.any():
            worst = np.unravel_index(int(np.argmax(np.where(np.isnan(errors), np.inf, errors))), errors.shape)
            place = ", ".join(str(int(i)) for i in worst)
            numbers = repr(float(np.asarray(got)[worst])), repr(float(expected[worst]))
            self.refuse(f"{name}[{place}]", *numbers, "the other opinion", where)
        self.points += errors.size
        self.worst = max(self.worst, float(errors.max(initial=0.0)) / (scale or 1.0))

    def slope(self, name: str, found: float, claimed: float, larger: float, where: str, tolerance: float) -> None:
        """A gradient along a direction is the difference, relatively."""
        error = abs(found - claimed) / larger if larger else 0.0
        if not error <= tolerance:
            what = f"grad_{name} along a random direction"
            self.refuse(what, repr(claimed), repr(found), "the central difference", where)
        self.points += 1
        self.worst = max(self.worst, error)

    def same_places(self, name: str, got: Array, expected: Array, where: str) -> None:
        """Two arrays of truth values are alike."""
        if (got != expected).any():
            place = tuple(int(i) for i in np.argwhere(got != expected)[0])
            self.refuse(f"whether {name}{list(place)} is NaN", got[place], expected[place], "the equations", where)
        self.points += got.size

    def same(self, what: str, got: Any, expected: Any, where: str) -> None:
        """The same numbers bit for bit, through mappings and sequences."""
        for name, a, b in _leaves(what, got, expected):
            if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
                equal = a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
                self.points += a.size
            else:
                equal = bool(a == b)
            if not equal:
                raise CheckFailed(f"{self.subject}: {name} changed between or within calls; {where}")

    def all_alike(self, got: Mapping[str, Array], expected: Mapping[str, Array], where: str) -> None:
        """The same gradients up to rounding."""
        for name, value in expected.items():
            self.compare(f"grad_{name}", got[name], value, 1e-10, where, 1.0)


def _leaves(name: str, a: Any, b: Any) -> list[tuple[str, Any, Any]]:
    if isinstance(a, Mapping):
        return [leaf for key in a for leaf in _leaves(f"{name}: {key}", a[key], b[key])]
    if isinstance(a, list | tuple):
        return [leaf for at, (x, y) in enumerate(zip(a, b, strict=True)) for leaf in _leaves(f"{name}, {at}", x, y)]
    return [(name, a, b)]
