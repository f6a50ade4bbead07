"""Arrays with several uses, one after the other: values that stay in one until its own are written.

A map that only its nest reads stays in the array of a later map of it: a softmax's `exp`, in its result. What an
earlier nest has computed and nothing reads any more is overwritten where it is read: a softmax's result takes its
argument's place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from symbackprop.loops.groups import reads
from symbackprop.loops.passes import Sweep
from symbackprop.notation.nodes import Expr, Index
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


def taken_over(
    sweeps: Sequence[Sweep], inside: Collection[Index], lent: Mapping[str, str], dying: Collection[str],
    fresh: Collection[str], alike: Callable[[str, str], bool],
) -> dict[str, str]:  # fmt: skip
    """For each array that dies in a nest: the one that is written in its place, element for element. None is twice.

    `dying` are arrays that nothing reads after the nest, `fresh` those that it writes first, of which each is written
    for good by one map. `inside` are the indices that are fixed outside of all sweeps, `alike` says of two arrays
    whether one can be the other.
    """
    everything = [(at, s) for at, sweep in enumerate(sweeps) for s in sweep.statements]
    found: dict[str, str] = {}
    for old in dying:
        for _, s in everything:
            if s.kind != "map" or s.target not in fresh or s.target in found.values() or not alike(old, s.target):
                continue
            if _dies_before(old, s, everything, lent, inside):
                found[old] = s.target
                break
    return found


def _dies_before(
    old: str, new: Statement, everything: Sequence[tuple[int, Statement]], lent: Mapping[str, str],
    inside: Collection[Index],
) -> bool:  # fmt: skip
    """Whether each element of `old` is read for the last time where the first value is put in its place, or before."""
    order = [s for _, s in everything]
    first = next(at for at, s in enumerate(order) if new.target in (s.target, lent.get(s.target)))
    sweep, writer = everything[first]
    places = [k for k, index in enumerate(writer.indices) if index in inside]
    for at, s in everything:
        for read in (r for r in reads(s) if r.tensor == old):
            own = all(read.indices[k] == writer.indices[k] for k in places)
            late = at > sweep or (at == sweep and (order.index(s) > first or read.indices != writer.indices))
            if not own or late:
                return False
    return any(r.tensor == old for r in reads(writer))


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
