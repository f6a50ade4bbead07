"""Maps that stay in the array of a later map of them until that is written: a softmax's `exp`, in its result."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from symbackprop.loops.groups import reads
from symbackprop.loops.passes import Sweep
from symbackprop.notation.nodes import Expr
from symbackprop.program.statements import Statement


def lenders(
    sweeps: Sequence[Sweep], columns: Sequence[Statement], kept: Collection[str],
    axes: Mapping[str, tuple[Expr, ...]], integers: Collection[str],
) -> dict[str, str]:  # fmt: skip
    """For each map of a nest that has no array of its own: the array that it stays in. No array lends itself twice.

    `kept` are the targets whose arrays outlive the nest, `columns` what is summed after the sweeps.
    """
    found: dict[str, str] = {}
    for at, sweep in enumerate(sweeps):
        for s in sweep.statements:
            reader = _last_reader(s, [t for later in sweeps[at + 1 :] for t in later.statements], columns)
            if s.kind != "map" or s.target in kept or reader is None or reader.target not in kept:
                continue
            there = all(r.indices == reader.indices for r in reads(reader) if r.tensor == s.target)
            alike = axes[s.target] == axes[reader.target] and s.wanted_by == reader.wanted_by
            free = reader.target not in found.values() and not {s.target, reader.target} & set(integers)
            if there and alike and free:
                found[s.target] = reader.target
    return found


def _last_reader(s: Statement, later: Sequence[Statement], columns: Sequence[Statement]) -> Statement | None:
    """The map that is the only one to read `s` after the sweep of `s`, before anybody reads what it computes itself."""
    reading = [at for at, t in enumerate(later) if _reads(t, s)]
    if len(reading) != 1 or any(_reads(t, s) for t in columns):
        return None
    reader = later[reading[0]]
    early = any(_reads(t, reader) for t in later[: reading[0]])
    return None if early or reader.kind != "map" else reader


def _reads(s: Statement, other: Statement) -> bool:
    return any(r.tensor == other.target for r in reads(s))
