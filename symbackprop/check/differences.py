"""Derivatives by differences: central, extrapolated to step zero, with an estimate of their own error."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

LEVELS = 8  # steps of one table
RATIO = math.sqrt(5)  # of a step to the next; where steps are multiples of each other, quick waves look slow in all
SCALES = 4  # tables, each from where the one before ended: a function that turns quickly asks for small steps

SETTLED = 1e-3  # the relative error of a table whose steps are short enough for the function


@dataclass(frozen=True, slots=True)
class Difference:
    """A derivative and about how far it may be off."""

    value: float
    error: float


NOTHING = Difference(0.0, math.inf)  # what is known of a derivative of which nothing is known


def settled_difference(function: Callable[[float], float], step: float, rounding: float, enough: float) -> Difference:
    """The derivative of `function` at 0, from the first table that is sure of it to the relative error `enough`.

    Where none is, the surest of those that have settled: to three digits, or until only `rounding`, a bound of the
    function's rounding error, is left to disagree about. Steps longer than a wave of the function give slopes of no
    meaning: from the shortest steps up, the first table that has not settled, or that contradicts the one before,
    ends the list, and a sure one counts where the shortest steps do not contradict it. The error is infinite where
    nothing is left, or one table alone: that may have settled by chance.
    """
    tables: list[tuple[Difference, float]] = []
    for scale in range(SCALES):
        start = step / RATIO ** (scale * LEVELS)
        found = central_difference(function, start, rounding)
        if scale == 0 and found.value == 0:
            return found
        tables.append((found, rounding / start))
        if found.error <= enough * abs(found.value):
            last = central_difference(function, step / RATIO ** ((SCALES - 1) * LEVELS), rounding)
            return found if _alike(found, last) else NOTHING
    settled: list[Difference] = []
    for found, noise in reversed(tables):
        contradicts = settled and not _alike(found, settled[-1])
        if contradicts or found.error > max(SETTLED * abs(found.value), 100 * noise):
            break
        settled.append(found)
    return min(settled, key=lambda d: d.error) if len(settled) > 1 else NOTHING


def _alike(one: Difference, other: Difference) -> bool:
    return abs(one.value - other.value) <= 2 * (one.error + other.error)


def central_difference(function: Callable[[float], float], step: float, rounding: float = 0.0) -> Difference:
    """The derivative of `function` at 0, from steps each `RATIO` times the next.

    Neville's scheme extrapolates the central differences `(f(h) - f(-h)) / 2h`, whose error is a series in h^2; the
    entry that differs least from its neighbours is the answer. `rounding` bounds the rounding error of the function: by
    chance two entries may agree to more digits than they have. Source: Ridders 1982, Adv. Eng. Software 4, 75-76.
    """
    best: Difference | None = None
    previous: list[float] = []
    for level in range(LEVELS):
        h = step / RATIO**level
        row = [(function(h) - function(-h)) / (2 * h)]
        for order, above in enumerate(previous, 1):
            factor = RATIO ** (2 * order)
            row.append((factor * row[-1] - above) / (factor - 1))
            error = max(abs(row[-1] - row[-2]), abs(row[-1] - above)) + 2 * rounding / h
            if best is None or error < best.error:
                best = Difference(row[-1], error)
        previous = row
    assert best is not None
    return best
