"""Derivatives by differences: central, extrapolated to step zero, with an estimate of their own error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

LEVELS = 8


@dataclass(frozen=True, slots=True)
class Difference:
    """A derivative and about how far it may be off."""

    value: float
    error: float


def central_difference(function: Callable[[float], float], step: float) -> Difference:
    """The derivative of `function` at 0, from steps `step`, `step`/2, `step`/4, ...

    Neville's scheme extrapolates the central differences `(f(h) - f(-h)) / 2h`, whose error is a series in h^2; the
    entry that differs least from its neighbours is the answer. Source: Ridders 1982, Adv. Eng. Software 4, 75-76.
    """
    best: Difference | None = None
    previous: list[float] = []
    for level in range(LEVELS):
        h = step / 2**level
        row = [(function(h) - function(-h)) / (2 * h)]
        for order, above in enumerate(previous, 1):
            factor = 4.0**order
            row.append((factor * row[-1] - above) / (factor - 1))
            error = max(abs(row[-1] - row[-2]), abs(row[-1] - above))
            if best is None or error < best.error:
                best = Difference(row[-1], error)
        previous = row
    assert best is not None
    return best
