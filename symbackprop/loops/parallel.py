"""Which indices of a group are parallel, and which outer index is walked innermost after all."""

from __future__ import annotations

from symbackprop.loops.groups import Group, is_reduction
from symbackprop.loops.rows import row_index
from symbackprop.loops.tensors import ARGUMENTS, Tensors
from symbackprop.notation.nodes import Index
from symbackprop.program.statements import Statement


def row_of(group: Group, tensors: Tensors) -> Index | None:
    """The outer index that is walked innermost after all, because memory lies along it."""
    if any(s.kind in (*ARGUMENTS, "scatter") for s in group.statements):
        return None
    reductions = [s for s in group.statements if is_reduction(s)]
    largest = max(reductions or group.statements, key=lambda s: len(s.indices) + len(s.bound))
    chosen = row_index(largest, tensors)
    return chosen if chosen in group.outer else None


def outer_of(group: Group, row: Index | None, tensors: Tensors) -> tuple[Index, ...]:
    """The parallel indices; of a scatter, those that send different points to different places."""
    if group.statements[0].kind != "scatter":
        return tuple(i for i in group.outer if i != row)
    s = group.statements[0]
    plain = [p for p in s.positions if isinstance(p, Index) and p in s.bound]
    chosen = row_index(s, tensors)
    return tuple(i for i in dict.fromkeys(plain) if i != chosen and _whole(i, s, tensors))


def _whole(index: Index, s: Statement, tensors: Tensors) -> bool:
    at = s.positions.index(index)
    return tensors.extents(s.target)[at] == index.extent


def is_split(group: Group) -> bool:
    """Whether a group is one reduction to a single number, which has to be split for there to be tasks."""
    first = group.statements[0]
    return len(group.statements) == 1 and is_reduction(first) and first.kind not in ARGUMENTS and not first.indices
