"""Participants in turns: a short block of one, then of the next, so that a slow moment of the machine hits all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MOST_CALLS = 50  # of one block
PAUSE = 0.02  # seconds between blocks: waiting threads of one library would hold the processors of the next


@dataclass(frozen=True, slots=True)
class Seconds:
    """What the calls of one participant took: the least, the median, the quartiles."""

    best: float
    median: float
    low: float
    high: float


def race(calls: Mapping[str, Callable[[], object]], blocks: int, budget: float) -> dict[str, Seconds]:
    """Time each call in `blocks` blocks of about `budget` seconds; the first call of each block does not count."""
    counts = {name: _calls_of_block(call, budget) for name, call in calls.items()}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(blocks):
        for name, call in calls.items():
            call()  # brings back the caches that the others took
            for _ in range(counts[name]):
                seconds[name].append(_timed(call))
            time.sleep(PAUSE)
    return {name: summed(each) for name, each in seconds.items()}


def _calls_of_block(call: Callable[[], object], budget: float) -> int:
    call()
    call()
    return max(1, min(MOST_CALLS, int(budget / max(_timed(call), 1e-7))))


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def summed(seconds: list[float]) -> Seconds:
    """The summary of several measurements of one call."""
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
    return Seconds(min(seconds), median, low, high)
