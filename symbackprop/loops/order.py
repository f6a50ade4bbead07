"""The order of loops: the last axes of arrays innermost, so that memory is walked as it lies."""

from __future__ import annotations

from symbackprop.calculus.polynomial import contains
from symbackprop.loops.groups import mentions
from symbackprop.loops.rows import row_index
from symbackprop.loops.tensors import Tensors
from symbackprop.notation.nodes import Index, Read, walk
from symbackprop.program.statements import Statement


def memory_order(
    indices: tuple[Index, ...], statements: tuple[Statement, ...], tensors: Tensors, last: Index | None
) -> tuple[Index, ...]:
    """The indices with `last`, or else the best row index among them, at the end, the others by distance from it.

    The distance of an index is that of the axis nearest to the end in which it stands, over all reads.
    """
    if last is None and indices:
        rows = [row_index(s, tensors) for s in statements]
        last = next((r for r in rows if r in indices), indices[-1])
    rest = [i for i in indices if i != last]
    ordered = sorted(rest, key=lambda i: (-_distance(i, statements), indices.index(i)))
    return (*ordered, *((last,) if last is not None and last in indices else ()))


def _distance(index: Index, statements: tuple[Statement, ...]) -> int:
    """How many axes lie behind the one that the index moves; the most that any access says."""
    found = [0]
    for s in statements:
        target = Read(s.target, s.positions) if s.positions else s.element
        for read in (target, *(r for r in walk(s.body) if isinstance(r, Read))):
            if mentions(read, (index,)):
                moved = [at for at, i in enumerate(read.indices) if contains(i, index)]
                found.append(len(read.indices) - 1 - max(moved) if moved else 0)
    return max(found)
