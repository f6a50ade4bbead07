"""Which index is walked innermost: the one along which memory is read and written element after element."""

from __future__ import annotations

from symbackprop.calculus.integer import Facts, normal
from symbackprop.calculus.polynomial import contains, is_one, linear
from symbackprop.loops.groups import is_reduction, mentions
from symbackprop.loops.guards import positive
from symbackprop.loops.tensors import Tensors
from symbackprop.notation.nodes import FloorDiv, Index, Read, walk
from symbackprop.program.statements import Statement


def row_index(statement: Statement, tensors: Tensors) -> Index | None:
    """The index of a statement that is best walked innermost; None for a statement of one element.

    The one that costs the accesses least. Among equals, one over positions (its extent is computed from other sizes)
    before taps, an independent one before one that is reduced over, and a later before an earlier one.
    """
    candidates = statement.bound if statement.kind == "scatter" else (*statement.indices, *statement.bound)
    if not candidates:
        return None
    accesses = _accesses(statement)

    def rank(at: int) -> tuple[int, bool, bool, int]:
        index = candidates[at]
        cost = sum(_cost(r, index, tensors.facts) for r in accesses)
        return -cost, index.extent in tensors.computed, index in statement.indices, at

    return candidates[max(range(len(candidates)), key=rank)]


def _accesses(statement: Statement) -> tuple[Read, ...]:
    target = Read(statement.target, statement.positions) if statement.positions else statement.element
    found = dict.fromkeys([target])
    for expr in (statement.body, *((statement.result,) if is_reduction(statement) else ())):
        found.update(dict.fromkeys(r for r in walk(expr) if isinstance(r, Read) and r.indices))
    return tuple(found)


def _cost(read: Read, index: Index, facts: Facts) -> int:
    """0 for a fixed element, 1 for a walk along the last axis, 2 for a stride along it, 4 for a walk across rows."""
    if not read.indices or not mentions(read, (index,)):
        return 0
    if any(contains(i, index) for i in read.indices[:-1]):
        return 4
    taken = linear(normal(read.indices[-1], facts), index)
    if taken is not None and taken[0]:
        if is_one(taken[0]) == 1:
            return 1
        return 2 if positive(taken[0], facts) else 3
    return 2 if any(isinstance(e, FloorDiv) and contains(e, index) for e in walk(read.indices[-1])) else 3
