"""What was checked and how it came out, as rows; a table of them for a terminal; and how far a long run has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from rich.table import Table
from rich.text import Text

from symbackprop.errors import CheckFailed

OK, FAILED = "ok", "FAILED"
Progress: TypeAlias = Callable[[str], None]  # told, before each piece of work, what it is


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check that passed has seen: the numbers compared, the worst error among them, and a remark."""

    points: int
    worst: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `note` is the message where the verdict is `FAILED`."""

    layer: str
    what: str
    backend: str
    points: int
    worst: float
    verdict: str
    seconds: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A piece of work that raises CheckFailed or says what it has seen."""

    layer: str
    what: str
    backend: str
    run: Callable[[], Outcome]


def run_all(checks: Iterable[Check], progress: Progress | None = None) -> tuple[Row, ...]:
    """Run the checks in order; a failed one becomes a row and the next is run. `progress` is told before each."""
    rows: list[Row] = []
    for check in checks:
        if progress is not None:
            progress(f"{check.layer} {check.backend}: {check.what}")
        rows.append(_row(check))
    return tuple(rows)


def _row(check: Check) -> Row:
    started = time.perf_counter()
    try:
        outcome, verdict = check.run(), OK
    except CheckFailed as failure:
        outcome, verdict = Outcome(0, float("nan"), str(failure)), FAILED
    seconds = time.perf_counter() - started
    return Row(check.layer, check.what, check.backend, outcome.points, outcome.worst, verdict, seconds, outcome.note)


def failures(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The rows that failed."""
    return tuple(row for row in rows if row.verdict == FAILED)


def table(rows: Iterable[Row], title: str = "checks") -> Table:
    """The rows as a table for a terminal; the messages of failures belong below it (`failures`)."""
    drawn = Table(title=title)
    for name, side in (("layer", "left"), ("check", "left"), ("backend", "left"), ("points", "right"),
                       ("worst error", "right"), ("verdict", "left"), ("seconds", "right")):  # fmt: skip
        drawn.add_column(name, justify="right" if side == "right" else "left")
    for row in rows:
        worst = "" if row.worst != row.worst else ("exact" if row.worst == 0 else f"{row.worst:.1e}")
        verdict = Text(row.verdict, style="bold red" if row.verdict == FAILED else "green")
        drawn.add_row(row.layer, row.what, row.backend, str(row.points), worst, verdict, f"{row.seconds:.2f}")
    return drawn
