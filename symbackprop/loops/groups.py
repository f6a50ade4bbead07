"""Which statements share a nest, and the names of their indices in it.

Statements that share leading independent indices are computed together where each later one reads the earlier ones
at the same point only: all of batch norm is done channel by channel, and a channel's data stays in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from symbackprop.loops.tensors import ARGUMENTS
from symbackprop.notation.binding import substitute
from symbackprop.notation.nodes import Expr, Index, Read, walk
from symbackprop.program.statements import Statement


@dataclass(frozen=True, slots=True)
class Group:
    """Statements of one nest; `outer` are the independent indices that they all have.

    The last `columns` of them are sums over the outer indices instead, taken in while a task has the data at hand.
    """

    outer: tuple[Index, ...]
    statements: tuple[Statement, ...]
    columns: int = 0

    @property
    def targets(self) -> tuple[str, ...]:
        """What the group computes, in order."""
        return tuple(s.target for s in self.statements)

    @property
    def wanted_by(self) -> tuple[str, ...]:
        """The inputs whose gradients need one of the statements."""
        return tuple(dict.fromkeys(name for s in self.statements for name in s.wanted_by))


def groups(statements: Iterable[Statement]) -> tuple[Group, ...]:
    """The statements in order, each in the nest of the ones before it where that is possible."""
    found: list[Group] = []
    for statement in statements:
        at = _place(found, statement)
        joined = _join(found[at], statement) if at >= 0 else None
        if joined is not None and not _walks_strips(joined, statement):
            found[at] = joined
        else:
            found.append(Group(statement.indices, (statement,)))
    return tuple(_with_common_names(g) for g in found)


def _place(found: list[Group], statement: Statement) -> int:
    """Which group a statement may join: the last, or the one before where that was left for its rows alone."""
    last = len(found) - 1
    if last < 1 or statement.kind != "map" or any(r.tensor in found[-1].targets for r in reads(statement)):
        return last
    joined = _join(found[-2], found[-1].statements[0])
    left = joined is not None and _walks_strips(joined, found[-1].statements[0])
    return last - 1 if left and set(statement.wanted_by) <= set(found[-2].wanted_by) else last


def _walks_strips(joined: Group, statement: Statement) -> bool:
    """Whether a map that joined a group is of whole rows, which that walks in strips since it reduces across them.

    Strips of rows lie apart in memory; whole rows are walked in less than half of the time, even where the caches have
    the strips.
    """
    own = joined.statements[-1]
    last = own.indices[-1:]
    return statement.kind == "map" and set(last) <= set(joined.outer) and set(own.indices) > set(joined.outer)


def with_columns(found: tuple[Group, ...], fits: Callable[[Group], bool]) -> tuple[Group, ...]:
    """The groups, sums over the rows of what the group before them walks row by row taken into it where that `fits`."""
    result: list[Group] = []
    for group in found:
        joined = _column_sums(result[-1], group) if result else None
        if joined is None or not fits(joined):
            result.append(group)
        else:
            result[-1] = joined
    return tuple(result)


def _column_sums(group: Group, sums: Group) -> Group | None:
    """The group with sums over its outer indices in it, or None where they are something else."""
    if not group.outer or group.columns or any(is_contraction(s) or s.kind == "scatter" for s in group.statements):
        return None
    here = {r.tensor: r for s in group.statements for r in reads(s) if r.indices}
    renamed = []
    for s in sums.statements:
        if s.kind not in ("sum", "mean") or not s.indices or any(r.tensor in group.targets for r in reads(s)):
            return None
        names = _rows_in_common(group, s, here)
        if names is None or set(names) != set(s.bound) or is_contraction(s):
            return None
        renamed.append(_renamed(s, names))
    return Group(group.outer, (*group.statements, *renamed), len(renamed))


def _rows_in_common(group: Group, s: Statement, here: dict[str, Read]) -> dict[Index, Index] | None:
    """For each bound index the outer one in whose place it stands, in a tensor that both walk whole."""
    for read in reads(s):
        if read.tensor not in here or not {*s.indices, *s.bound} <= set(read.indices):
            continue
        pairs = [(b, o) for b, o in zip(read.indices, here[read.tensor].indices, strict=True) if o in group.outer]
        names = {b: o for b, o in pairs if isinstance(b, Index) and isinstance(o, Index) and b.extent == o.extent}
        if set(names) == set(s.bound) and set(names.values()) == set(group.outer):
            return names
    return None


def reads(statement: Statement) -> tuple[Read, ...]:
    """Every read of a statement, but for its own target's."""
    exprs = (statement.body, statement.result, *statement.positions)
    return tuple(r for e in exprs for r in walk(e) if isinstance(r, Read) and r.tensor != statement.target)


def is_reduction(statement: Statement) -> bool:
    """Whether a statement reduces over bound indices to a number at each of its points."""
    return statement.kind not in ("map", "scatter")


def is_contraction(statement: Statement) -> bool:
    """Whether elements are read more than once: no read meets another element at every point, and some lack an index.

    Its work is more than a pass over its data, so that it is worth a nest of its own. A matrix by a vector is none.
    """
    if not is_reduction(statement) or statement.kind in ARGUMENTS:
        return False
    inner = [r for r in walk(statement.body) if isinstance(r, Read) and mentions(r, statement.bound)]
    if any({*statement.indices, *statement.bound} <= set(r.indices) for r in inner):
        return False
    return any(not mentions(r, (i,)) for r in inner for i in statement.indices)


def mentions(expr: Expr, indices: Iterable[Index]) -> bool:
    """Whether one of the indices stands in the expression."""
    wanted = tuple(indices)
    return any(e in wanted for e in walk(expr))


def _join(group: Group, statement: Statement) -> Group | None:
    """The group with the statement in it, or None where they have no outer index in common or do not fit together."""
    alone = [s for s in (*group.statements, statement) if is_contraction(s) or s.kind == "scatter"]
    if alone or not group.outer or statement.target in group.targets:
        return None
    own = [r for r in reads(statement) if r.tensor in group.targets]
    matched = _matched_by_reads(group, statement, own) if own else _matched_by_name(group, statement)
    if not matched or (not own and len(matched) < len(group.outer)):
        return None
    joined = Group(
        tuple(o for o in group.outer if o in matched.values()), (*group.statements, _renamed(statement, matched))
    )
    return joined if any(is_reduction(s) for s in joined.statements) or _in_memory_order(joined) else None


def _in_memory_order(group: Group) -> bool:
    """Whether the largest array is walked from its first element to its last where tasks take the outer indices.

    What is computed once for a channel is not worth a walk across the images: its row is read again from the cache.
    """
    largest = max(group.statements, key=lambda s: len(s.indices))
    return set(largest.indices[: len(group.outer)]) == set(group.outer)


def _matched_by_reads(group: Group, statement: Statement, own: list[Read]) -> dict[Index, Index]:
    """For each outer index the statement's index that stands in its place wherever the group's targets are read."""
    matched: dict[Index, Index] = {}
    for outer in group.outer:
        stand = {r.indices[_statement(group, r.tensor).indices.index(outer)]: None for r in own}
        if len(stand) == 1:
            (one,) = stand
            own_index = isinstance(one, Index) and one in statement.indices and one not in matched
            if own_index and isinstance(one, Index) and one.extent == outer.extent:
                matched[one] = outer
    return matched


def _matched_by_name(group: Group, statement: Statement) -> dict[Index, Index]:
    """The statement's indices that are the outer ones, if both read one tensor."""
    theirs = {r.tensor for s in group.statements for r in reads(s) if r.indices}
    if not any(r.tensor in theirs for r in reads(statement)):
        return {}
    return {i: i for i in statement.indices if i in group.outer}


def _statement(group: Group, target: str) -> Statement:
    return next(s for s in group.statements if s.target == target)


def _renamed(statement: Statement, names: dict[Index, Index]) -> Statement:
    """The statement with some of its indices renamed; one that is in the way gets another prime."""
    everything = dict.fromkeys((*statement.indices, *statement.bound))
    mapping = dict(names)
    for index in everything:
        if index in mapping:
            continue
        taken = {*names.values(), *mapping.values()} | {i for i in everything if i not in mapping and i != index}
        new = Index(index.name, index.extent, 0)
        while new in taken:
            new = Index(new.name, new.extent, new.copy + 1)
        mapping[index] = new
    return _substituted(statement, mapping)


def _substituted(statement: Statement, mapping: dict[Index, Index]) -> Statement:
    changed = {a: b for a, b in mapping.items() if a != b}
    if not changed:
        return statement
    new = dict(changed)

    def move(expr: Expr) -> Expr:
        return substitute(expr, new)

    return replace(
        statement,
        indices=tuple(mapping.get(i, i) for i in statement.indices),
        bound=tuple(mapping.get(i, i) for i in statement.bound),
        body=move(statement.body),
        result=move(statement.result),
        positions=tuple(move(p) for p in statement.positions),
    )


def _with_common_names(group: Group) -> Group:
    """Inner indices of the same name and extent get the same number of primes, so that passes can be shared."""
    keep = {o: o for o in group.outer}
    return Group(group.outer, tuple(_renamed(s, {i: i for i in s.indices if i in keep}) for s in group.statements))
