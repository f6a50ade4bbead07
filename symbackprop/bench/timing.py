"""Medians and spread. What is compared is measured in turns, so that a slow moment of the machine hits both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity. `low` and `high` are the quartiles; `bound` is what it should stay under, if anything."""

    subject: str
    what: str
    unit: str
    median: float
    low: float
    high: float
    bound: float | None = None
    note: str = ""

    @property
    def within(self) -> bool:
        """Whether the bound is kept; true where there is none."""
        return self.bound is None or self.median <= self.bound

    def as_dict(self) -> dict[str, object]:
        """The figure as JSON has it."""
        return asdict(self) | {"within": self.within}


def figure(
    subject: str, what: str, unit: str, values: list[float], bound: float | None = None, note: str = ""
) -> Figure:
    """The figure of repeated measurements of one quantity."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return Figure(subject, what, unit, median, low, high, bound, note)


def in_turns(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """The seconds of each run, `repeats` times in turns after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds
