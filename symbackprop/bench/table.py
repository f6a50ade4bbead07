"""The table: every row of every case, once through; and several such runs as one."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from math import exp, log
from typing import Any

from symbackprop.bench.cases import Case, Pass, row_name
from symbackprop.bench.limits import copying, multiply_adds
from symbackprop.bench.participants import CLOSE, EVERYBODY, Modules, errors, gathered, truth
from symbackprop.bench.race import Seconds, race
from symbackprop.bench.tasks import Task, task
from symbackprop.bench.work import elements, operations
from symbackprop.build import derive, kernel
from symbackprop.notation.layer import Layer
from symbackprop.program.statements import Program

COMPARED, OTHERS = ("numba", "torch"), 3  # blocks of the others
PEAK, COPY = "multiply-adds from registers", "copy through memory"


@dataclass(frozen=True, slots=True)
class Settings:
    """How to measure. `blocks` and `budget` are those of `race`."""

    participants: tuple[str, ...] = EVERYBODY
    threads: int = 1
    blocks: int = 7
    budget: float = 0.02
    check: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One pass of one case in one run: seconds by participant, and what the pass has to do at the least."""

    name: str
    layer: str
    seconds: dict[str, Seconds]
    operations: int
    bytes: int
    errors: dict[str, float] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """One run: the rows, and the best that the machine reached in it (operations and bytes in a second)."""

    rows: tuple[Row, ...]
    peak: float
    copy: float

    def as_dict(self) -> dict[str, Any]:
        """The run as JSON has it; `table_of` reads it back."""
        return asdict(self)


def table_of(stored: dict[str, Any]) -> Table:
    """The run that `as_dict` gave."""
    rows = []
    for row in stored["rows"]:
        seconds = {name: Seconds(**each) for name, each in row["seconds"].items()}
        rows.append(Row(**(row | {"seconds": seconds})))
    return Table(tuple(rows), stored["peak"], stored["copy"])


def measured(
    cases: Sequence[Case],
    layers: Callable[[str], Layer],
    modules: Callable[[str, str], Any],
    settings: Settings,
    watch: Callable[[str], None] = lambda name: None,
) -> Table:
    """Measure all cases. `layers` gives a layer by name, `modules` its module by layer and backend."""
    peak, most = multiply_adds(settings.threads)
    copy, moved = copying(settings.threads)
    limits: dict[str, list[float]] = {PEAK: [], COPY: []}
    rows: list[Row] = []
    for case in cases:
        # beside every case: such machines have fast and slow minutes
        found = race({PEAK: peak, COPY: copy}, 1 if limits[PEAK] else 5, 0.04)
        limits[PEAK].append(most / found[PEAK].best)
        limits[COPY].append(moved / found[COPY].best)
        layer = layers(case.layer)
        rows += _rows(task(case, layer), partial(modules, case.layer), settings, watch)
    return Table(tuple(rows), max(limits[PEAK]), max(limits[COPY]))


def _rows(task: Task, modules: Modules, settings: Settings, watch: Callable[[str], None]) -> Iterator[Row]:
    here, absent = gathered(task, settings.participants, modules, settings.threads)
    wrong = errors(here, truth(task, modules)) if settings.check else {}
    program = kernel(derive(task.layer)).program
    for one in task.case.passes:
        watch(row_name(task.case, one))
        calls = {who: runs[one.name].call for who, runs in here.items() if one.name in runs}
        yield Row(
            row_name(task.case, one),
            task.layer.name,
            _raced(calls, settings),
            operations(task.point, one.wrt),
            _bytes(program, task, one),
            {who: error for (who, name), error in wrong.items() if name == one.name},
            absent,
        )


def _raced(calls: Mapping[str, Callable[[], object]], settings: Settings) -> dict[str, Seconds]:
    """The two that are compared in turns, then the others in turns: threads of many libraries disturb each other."""
    ahead = {who: call for who, call in calls.items() if who in COMPARED}
    others = {who: call for who, call in calls.items() if who not in COMPARED}
    found = race(ahead, settings.blocks, settings.budget) | race(others, OTHERS, settings.budget)
    return {who: found[who] for who in calls}


def _bytes(program: Program, task: Task, one: Pass) -> int:
    return elements(program, task.point, one.wrt) * 4  # all in float32


# ------------------------------------------------------------------------------------------ several runs


@dataclass(frozen=True, slots=True)
class Result:
    """A row of several runs. `ratio` is PyTorch's time over ours: medians of the runs' medians, and of their bests."""

    name: str
    layer: str
    seconds: dict[str, Seconds]
    ratio: float | None
    best_ratio: float | None
    ratios: tuple[float, ...]
    of_peak: float
    of_copy: float
    errors: dict[str, float]
    absent: dict[str, str]

    @property
    def wrong(self) -> tuple[str, ...]:
        """The participants whose results are too far from those in float64."""
        return tuple(who for who, error in self.errors.items() if not error <= CLOSE[who])


def combined(tables: Sequence[Table], peer: str = "torch") -> tuple[Result, ...]:
    """Several runs of the same rows as one: medians of what each run found."""
    return tuple(_combined(tables, rows, peer) for rows in zip(*(table.rows for table in tables), strict=True))


def _combined(tables: Sequence[Table], rows: Sequence[Row], peer: str) -> Result:
    first = rows[0]
    seconds = {who: _middle([row.seconds[who] for row in rows]) for who in first.seconds}
    ratios = _ratios(rows, peer, "median")
    own = [row.seconds["numba"].median for row in rows]
    return Result(
        first.name,
        first.layer,
        seconds,
        statistics.median(ratios) if ratios else None,
        statistics.median(_ratios(rows, peer, "best")) if ratios else None,
        ratios,
        statistics.median(first.operations / s / t.peak for s, t in zip(own, tables, strict=True)),
        statistics.median(first.bytes / s / t.copy for s, t in zip(own, tables, strict=True)),
        {who: max(row.errors[who] for row in rows) for who in first.errors},
        first.absent,
    )


def _ratios(rows: Sequence[Row], peer: str, which: str) -> tuple[float, ...]:
    both = [row for row in rows if peer in row.seconds and "numba" in row.seconds]
    return tuple(getattr(row.seconds[peer], which) / getattr(row.seconds["numba"], which) for row in both)


def _middle(each: Sequence[Seconds]) -> Seconds:
    """The least of the bests, the median of the medians, the outermost quartiles."""
    return Seconds(
        min(s.best for s in each),
        statistics.median(s.median for s in each),
        min(s.low for s in each),
        max(s.high for s in each),
    )


def geometric_mean(ratios: Sequence[float]) -> float:
    """The mean of ratios, in which 2 and 1/2 make 1."""
    return exp(sum(map(log, ratios)) / len(ratios))
