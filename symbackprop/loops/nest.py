"""One nest: the parallel indices, the storage of what it computes, and the loops of its sweeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from symbackprop.loops.columns import ColumnSums, column_sums
from symbackprop.loops.groups import Group, is_contraction, is_reduction, mentions, reads
from symbackprop.loops.guards import guarded
from symbackprop.loops.hoist import hoist
from symbackprop.loops.inner import Blocked
from symbackprop.loops.kernel import (
    Access,
    Accumulate,
    Array,
    Assign,
    Loop,
    Nest,
    Node,
    Scratch,
    Store,
    Strip,
    Track,
    Update,
    Wanted,
)
from symbackprop.loops.lending import lenders, taken_over
from symbackprop.loops.merge import Merged, merge_axes
from symbackprop.loops.names import LocalNames
from symbackprop.loops.order import memory_order
from symbackprop.loops.parallel import is_split, outer_of, row_of
from symbackprop.loops.passes import Sweep, paired, sweeps
from symbackprop.loops.scatter import Scatter
from symbackprop.loops.sums import PART, Accumulator, Result, Sums, moments, reduction, together
from symbackprop.loops.tensors import ARGUMENTS, Tensors
from symbackprop.loops.walks import Walks
from symbackprop.notation.binding import substitute
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Expr,
    Index,
    Infinity,
    Parameter,
    Read,
    Where,
    add,
    mul,
    number,
    parts,
    rebuild,
    subtract,
    walk,
)
from symbackprop.program.statements import Statement

# Elements of a piece of a strip; short where a piece has work for each, so that there are enough for all threads.
MAP_WIDTH, REDUCTION_WIDTH = 4096, 128
SPLIT_WIDTH = 16384  # terms of a reduction to one number that one task takes
BLOCK = 4  # terms that a row takes in at a time; the compiler checks that no two rows overlap, up to 8 pairs


def build_nest(
    group: Group, kept: frozenset[str], tensors: Tensors, names: Iterable[str], written: frozenset[str] = frozenset(),
    dying: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Nest:  # fmt: skip
    """The nest of a group. `kept` are the targets that are needed outside of it; `names` are taken.

    `written` are targets that an earlier nest has begun: a scatter adds to what is there. `dying` are those that
    nothing reads after this nest: each with the fresh arrays that could take its place.
    """
    merged = merge_axes(group, tensors)
    known = replace(tensors, axes={**tensors.axes, **merged.axes})
    return _Builder(merged, kept, known, names, written, dying).nest()


def has_one_row_index(group: Group, tensors: Tensors) -> bool:
    """Whether the tasks of a group with column sums are the values of one index, which it can take in pieces."""
    merged = merge_axes(group, tensors)
    known = replace(tensors, axes={**tensors.axes, **merged.axes})
    rows = Group(merged.group.outer, merged.group.statements[: len(group.statements) - group.columns])
    return len(outer_of(rows, row_of(rows, known), known)) == 1 and len(rows.outer) == 1


@dataclass(frozen=True, slots=True)
class _Storage:
    """Where a number of each statement is kept: in a local, a row of the task, or an array, its own or a lent one."""

    locals: dict[str, str]
    rows: dict[str, str]
    lent: dict[str, str]


class _Builder:
    """Builds one nest; what it gives is immutable."""

    def __init__(
        self, merged: Merged, kept: frozenset[str], tensors: Tensors, names: Iterable[str], written: frozenset[str],
        dying: Mapping[str, tuple[str, ...]],
    ) -> None:  # fmt: skip
        self.dying, self.taken = dying, dict[str, str]()
        self.written, self.cleared = written, frozenset[str]()
        whole, self.tensors, self.axes = merged.group, tensors, merged.axes
        rows = len(whole.statements) - whole.columns
        self.group, self.columns = Group(whole.outer, whole.statements[:rows]), whole.statements[rows:]
        self.new = LocalNames((*names, *tensors.axes))
        self.row = row_of(self.group, tensors)
        self.outer = outer_of(self.group, self.row, tensors)
        self.strip: Strip | None = None
        if self.row is not None and not self.outer:
            width = REDUCTION_WIDTH if any(is_reduction(s) for s in self.group.statements) else MAP_WIDTH
            self.strip = self._pieces(self.row, width)
        self.split = self.strip is None and not self.outer and is_split(self.group)
        if self.split:
            (statement,) = self.group.statements
            order = memory_order(statement.bound, (statement,), self.tensors, None)
            self.strip = self._pieces(order[0], SPLIT_WIDTH if len(order) == 1 else 1)
        self.shared: list[Node] = []
        self.after: tuple[Node, ...] = ()
        inside = (*self.outer, *((self.row,) if self.row else ()))
        self.sweeps = sweeps(self.group, inside)
        self.scratch: list[Scratch] = []
        self.storage = _Storage({}, {}, {})
        self.arrays = self._place(kept, inside)
        unstored = {t for t in self.group.targets if t not in self.arrays}
        self.tensors = replace(self.tensors, axes={t: e for t, e in self.tensors.axes.items() if t not in unstored})
        self.walks = Walks(self.tensors, self.strip, self.new)
        self.traffic: list[Access] = []

    def _pieces(self, index: Index, width: int) -> Strip:
        return Strip(index, width, self.new(f"{index.name}_low"), self.new(f"{index.name}_high"), self.new("piece"))

    def _place(self, kept: frozenset[str], inside: tuple[Index, ...]) -> frozenset[str]:
        """Give every target its storage, and say which are arrays."""
        arrays = set()
        lending = lenders(self.sweeps, self.columns, kept, self.axes, self.tensors.integers)
        for s in self.group.statements:
            fixed = s.kind != "scatter" and all(i in inside for i in s.indices)
            if fixed and self.row is not None and self.row in s.indices:
                if s.target not in kept:
                    self.storage.rows[s.target] = self._scratch(s.target, False)
            elif fixed:
                self.storage.locals[s.target] = self.new(f"{s.target}_here") if s.target in kept else s.target
            elif s.target not in kept and (lender := lending.get(s.target)):
                self.storage.lent[s.target] = lender
            if s.target in kept or not (fixed or s.target in self.storage.lent):
                arrays.add(s.target)
        if not self.columns and not self.split:
            fresh = {t for t in arrays if t in kept and self.group.targets.count(t) == 1}
            self.taken = taken_over(self.sweeps, inside, self.storage.lent, self.dying, fresh, self._alike)
            self.storage.lent.update(self.taken)
        return frozenset({*arrays, *(s.target for s in self.columns)})

    def _alike(self, old: str, new: str) -> bool:
        return new in self.dying[old] and self.axes[old] == self.axes[new]

    def _scratch(self, wish: str, wide: bool) -> str:
        name = self.new(f"{wish}_row")
        extent = number(self.strip.width) if self.strip else self.row.extent if self.row else ONE
        self.scratch.append(Scratch(name, extent, wide))
        return name

    def nest(self) -> Nest:
        """All of it."""
        everything = (*self.group.statements, *self.columns)
        wanted = tuple(dict.fromkeys(name for s in everything for name in s.wanted_by))
        body: list[Node] = []
        for sweep in self.sweeps:
            lasting = dict(self.storage.locals)
            nodes = self._sweep(sweep)
            self.storage = replace(self.storage, locals=lasting)  # a local inside of a loop ends with it
            body += [Wanted(sweep.wanted_by, nodes)] if set(sweep.wanted_by) != set(wanted) else nodes
        equations = tuple(s.comment for s in everything if s.comment)
        stored = "_".join(t for t in (*self.group.targets, *(s.target for s in self.columns)) if t in self.arrays)
        parallel = self.outer
        if self.columns:
            sums = self._column_sums(hoist(tuple(body), self.outer, self.new), wanted)
            parallel, nodes = (sums.piece,), (*self.scratch, *sums.starts, *sums.rows)
        else:
            nodes = (*self.scratch, *hoist(tuple(body), self.outer, self.new))
        return Nest(
            stored, equations, self._arrays(), parallel, self.strip, nodes, wanted, tuple(self.traffic),
            tuple(self.shared), self.after, cleared=self.cleared, taken=tuple(self.taken.items()),
        )  # fmt: skip

    def _arrays(self) -> tuple[Array, ...]:
        """The arrays that the nest reads, then those that it writes."""
        everything = (*self.group.statements, *self.columns)
        targets = {*self.taken, *(s.target for s in everything)}
        read = dict.fromkeys(r.tensor for s in everything for r in reads(s) if r.tensor not in targets)
        written = [t for t in dict.fromkeys(s.target for s in everything) if t in self.arrays]
        return tuple(
            Array(t, self.axes[t], "integer" if t in self.tensors.integers else "real", t in written)
            for t in (*read, *written)
        )

    def _column_sums(self, body: tuple[Node, ...], wanted: tuple[str, ...]) -> ColumnSums:
        (row,) = self.outer
        made = column_sums(self.columns, row, body, self.tensors, self.new, wanted)
        self.shared += made.shared
        self.after = (*self.after, *made.after)
        self.traffic += [Access(r.tensor, self.axes[r.tensor], "read") for s in self.columns for r in reads(s)]
        return made

    # sweeps

    def _sweep(self, sweep: Sweep) -> tuple[Node, ...]:
        first = sweep.statements[0]
        self._account(sweep)
        if first.kind == "scatter":
            return self._scatter(first)
        if not is_reduction(first) and not any(is_reduction(s) for s in sweep.statements):
            return self._maps(sweep)
        if first.kind in ARGUMENTS:
            return self._around(sweep.around, self._position(first))
        return self._around(sweep.around, self._sums(sweep))

    def _around(self, indices: tuple[Index, ...], body: tuple[Node, ...]) -> tuple[Node, ...]:
        for index in reversed(indices):
            body = (Loop(index, ZERO, index.extent, body),)
        return body

    def _maps(self, sweep: Sweep) -> tuple[Node, ...]:
        """Stores at each point of the box (and along the row); a value that the sweep itself uses is a local there."""
        row = self.row if self.row and any(self.row in s.indices for s in sweep.statements) else None
        body = tuple(node for s in sweep.statements for node in self._map(s, self._used_in(sweep, s)))
        order = memory_order((*sweep.box, *((row,) if row else ())), sweep.statements, self.tensors, row)
        return self.walks.loops(order, (), body)

    def _used_in(self, sweep: Sweep, statement: Statement) -> bool:
        return any(r.tensor == statement.target for s in sweep.statements for r in reads(s))

    def _map(self, s: Statement, used: bool) -> tuple[Node, ...]:
        value = self._value(s.body)
        local = self.storage.locals.get(s.target)
        nodes: list[Node] = []
        if local is None and used:
            local = self.storage.locals[s.target] = self.new(f"{s.target}_here")
        if local is not None:
            nodes.append(Assign(local, value))
            value = Read(local, ())
        if s.target in (*self.arrays, *self.storage.rows, *self.storage.lent):
            nodes.append(self._store(s, value))
        return tuple(nodes)

    def _store(self, s: Statement, value: Expr) -> Store:
        lent = Read(self.storage.lent.get(s.target, s.target), s.element.indices)
        target = self._row_element(s.target) if s.target in self.storage.rows else lent
        return Store(target.tensor, target.indices, value)

    def _row_element(self, target: str) -> Read:
        return self._in_row(self.storage.rows[target])

    def _in_row(self, name: str) -> Read:
        if self.row is None:
            return Read(name, ())
        low = Parameter(self.strip.low, True) if self.strip else ZERO
        return Read(name, (subtract(self.row, low),))

    def _value(self, expr: Expr) -> Expr:
        """An expression with the targets of this nest read from where they are kept, outside values made explicit."""
        return self._kept(self.tensors.closed(self.tensors.simplify(expr), ()))

    def _kept(self, expr: Expr) -> Expr:
        if isinstance(expr, Read):
            if expr.tensor in self.storage.locals and expr.tensor in self.group.targets:
                local = self.storage.locals[expr.tensor]
                return Parameter(local, True) if expr.tensor in self.tensors.integers else Read(local, ())
            if expr.tensor in self.storage.rows and expr.tensor in self.group.targets:
                return self._row_element(expr.tensor)
            if expr.tensor in self.storage.lent:
                expr = Read(self.storage.lent[expr.tensor], expr.indices)
        return rebuild(expr, tuple(self._kept(p) for p in parts(expr)))

    def _kept_simply(self, expr: Expr) -> Expr:
        return self._kept(self.tensors.simplify(expr))

    # reductions

    def _sums(self, sweep: Sweep) -> tuple[Node, ...]:
        """Accumulators set, filled in one pass, and the results stored; maps of the same box ride along."""
        reductions = [s for s in sweep.statements if is_reduction(s)]
        riders = [s for s in sweep.statements if not is_reduction(s)]
        riding = tuple(node for s in riders for node in self._map(s, self._used_in(sweep, s)))
        apart = tuple(self._sums_of(pair, riders) for pair in paired(reductions))
        sums = together(apart) if len(apart) > 1 or riding else apart[0]
        along = self.row is not None and any(self.row in s.indices for s in reductions)
        return self._row_sums(sums, sweep, riding) if along else self._scalar_sums(sums, sweep, riding)

    def _sums_of(self, pair: tuple[Statement, ...], riders: Iterable[Statement]) -> Sums:
        sums = moments(*pair, self.tensors, self.new) if len(pair) == 2 else reduction(pair[0], self.tensors, self.new)
        defined = {s.target: s for s in riders}

        def first(expr: Expr) -> Expr:
            """What they start from is computed before the loops, when the maps that ride in them are not."""
            return self._value(_by_definition(expr, defined)) if defined else self._kept_simply(expr)

        return Sums(
            tuple(map(self._kept_simply, sums.conditions)),
            tuple(replace(a, value=self._kept_simply(a.value)) for a in sums.locals),
            tuple(replace(a, initial=first(a.initial), value=self._kept_simply(a.value)) for a in sums.accumulators),
            tuple(replace(r, value=self._kept_result(r)) for r in sums.results),
        )

    def _kept_result(self, result: Result) -> Expr:
        return self._kept(self.tensors.closed(self.tensors.simplify(result.value), ()))

    def _scalar_sums(self, sums: Sums, sweep: Sweep, riding: tuple[Node, ...]) -> tuple[Node, ...]:
        before = tuple(Assign(a.name, a.initial, "wide" if a.wide else "real") for a in sums.accumulators)
        moving = [a for a in sums.accumulators if a.operation != "fixed"]
        order = memory_order(sweep.box, sweep.statements, self.tensors, None)
        contraction = all(is_contraction(r.statement) for r in sums.results)
        plain = len(moving) == len(sums.accumulators) and any(a.operation == "sum" for a in moving)
        in_parts = (0 if contraction else PART) if plain else None
        body = (*riding, *sums.locals, *(Accumulate(a.name, a.operation, a.value) for a in moving))
        loops = self.walks.loops(order, sums.conditions, body, in_parts)
        after = tuple(node for r in sums.results for node in self._finish(r))
        if self.split and self.strip is not None:
            return (*before, *loops, *self._left(moving, before, after, self.strip))
        return (*before, *loops, *after)

    def _left(
        self, sums: list[Accumulator], before: tuple[Node, ...], after: tuple[Node, ...], strip: Strip
    ) -> tuple[Node, ...]:
        """Each piece leaves what it has summed; the sums of the pieces are put together in order afterwards."""
        names = {a.name: self.new(f"{a.name}_parts") for a in sums}
        self.shared += [Scratch(names[a.name], strip.pieces, a.wide) for a in sums]
        at = Index("at", strip.pieces)
        together = tuple(Accumulate(a.name, a.operation, Read(names[a.name], (at,))) for a in sums)
        self.after = (*before, Loop(at, ZERO, strip.pieces, together), *after)
        return tuple(Store(names[a.name], (Parameter(strip.piece, True),), Read(a.name, ())) for a in sums)

    def _finish(self, result: Result) -> tuple[Node, ...]:
        s = result.statement
        local = self.storage.locals.get(s.target)
        value = result.value
        nodes: list[Node] = []
        if local is not None:
            nodes.append(Assign(local, value))
            value = Read(local, ())
        if s.target in self.arrays:
            nodes.append(Store(s.target, s.indices, value))
        return tuple(nodes)

    def _row_sums(self, sums: Sums, sweep: Sweep, riding: tuple[Node, ...]) -> tuple[Node, ...]:
        """The same along a row: every accumulator is a row, of the target itself where it can be."""
        if self.row is None:
            return ()
        homes = {a.name: self._home(a, sums) for a in sums.accumulators}

        def placed(expr: Expr) -> Expr:
            if isinstance(expr, Read) and expr.tensor in homes and not expr.indices:
                return homes[expr.tensor]
            return rebuild(expr, tuple(placed(p) for p in parts(expr)))

        moving = [a for a in sums.accumulators if a.operation != "fixed"]
        updates = tuple(
            Update(homes[a.name].tensor, homes[a.name].indices, a.operation, placed(a.value)) for a in moving
        )
        prepared = tuple(replace(a, value=placed(a.value)) for a in sums.locals)
        order = memory_order((*sweep.box, self.row), sweep.statements, self.tensors, self.row)
        blocked = None if riding or prepared else self._blocked(sweep, sums, order[:-1])
        initial = {a.name: a.initial for a in sums.accumulators}
        if blocked is not None:
            order = tuple(i for i in order if i != blocked.index)
            if order == (self.row,) and not sums.conditions:  # a row begins with its first term
                initial = {a.name: self._first_term(a, blocked.index) for a in sums.accumulators}
                blocked = replace(blocked, start=ONE)
        start = tuple(
            Store(homes[a.name].tensor, homes[a.name].indices, placed(initial[a.name])) for a in sums.accumulators
        )
        loops = self.walks.loops(order, sums.conditions, (*riding, *prepared, *updates), blocked=blocked)
        after = tuple(n for r in sums.results for n in self._finish_row(replace(r, value=placed(r.value))))
        finish = self.walks.loops((self.row,), (), after) if after else ()
        return (*self.walks.loops((self.row,), (), start), *loops, *finish)

    def _blocked(self, sweep: Sweep, sums: Sums, order: tuple[Index, ...]) -> Blocked | None:
        """The innermost of the indices that no condition names, if the sweep is one contraction."""
        first = sums.accumulators[0]
        if len(sums.results) != 1 or not is_contraction(sums.results[0].statement) or first.operation != "sum":
            return None
        if any(isinstance(e, Where) for e in walk(first.value)):
            return None
        free = [i for i in order if mentions(first.value, (i,)) and not any(mentions(c, (i,)) for c in sums.conditions)]
        return Blocked(free[-1], BLOCK) if free else None

    def _first_term(self, a: Accumulator, index: Index) -> Expr:
        return add(a.initial, self.tensors.simplify(substitute(a.value, {index: ZERO})))

    def _home(self, a: Accumulator, sums: Sums) -> Read:
        if not a.wide and len(sums.accumulators) == 1 and sums.results[0].statement.target in self.arrays:
            return sums.results[0].statement.element
        if not a.wide and len(sums.accumulators) == 1 and sums.results[0].statement.target in self.storage.rows:
            return self._row_element(sums.results[0].statement.target)
        return self._in_row(self._scratch(a.name, a.wide))

    def _finish_row(self, result: Result) -> tuple[Node, ...]:
        store = self._store(result.statement, result.value)
        return () if store.value == Read(store.tensor, store.indices) else (store,)

    def _position(self, s: Statement) -> tuple[Node, ...]:
        """The place of the first extremum, in row-major order of the bound indices."""
        operation = s.kind.removeprefix("arg")
        term = guarded(s.body, operation, self.tensors)
        best, at = self.new(f"{s.target}_best"), self.new(f"{s.target}_at")
        place: Expr = ZERO
        for index in s.bound:
            place = add(mul(place, index.extent), index)
        body = Track(at, best, operation, self._kept_simply(term.value), place)
        before = (Assign(best, Infinity(-1 if operation == "max" else 1)), Assign(at, ZERO, "integer"))
        conditions = tuple(map(self._kept_simply, term.conditions))
        result = substitute(s.result, {s.element: Parameter(at, True)})
        after: list[Node] = []
        if s.target in self.storage.locals:
            after.append(Assign(self.storage.locals[s.target], result, "integer"))
        if s.target in self.arrays:
            after.append(Store(s.target, s.indices, result))
        return (*before, *self.walks.loops(s.bound, conditions, (body,)), *after)

    def _scatter(self, s: Statement) -> tuple[Node, ...]:
        begun = s.target in self.written
        made = Scatter(s, self.outer, begun, self.tensors, self.walks, self.new, self._kept_simply).made()
        self.shared += made.shared
        self.axes = {**self.axes, s.target: made.axes or self.axes[s.target]}
        self.cleared = frozenset([s.target]) if made.cleared else self.cleared
        return made.nodes

    def _account(self, sweep: Sweep) -> None:
        """Note what a sweep reads and writes of arrays that are walked in it."""
        walked = (*self.outer, *((self.row,) if self.row else ()), *sweep.around, *sweep.box)
        for kind, found in (("read", _read_of(sweep)), ("write", tuple(s.element for s in sweep.statements))):
            for read in found:
                stored = read.tensor in self.arrays or read.tensor not in self.group.targets
                if stored and mentions(read, walked):
                    self.traffic.append(Access(read.tensor, self.axes[read.tensor], kind))


def _by_definition(expr: Expr, defined: Mapping[str, Statement]) -> Expr:
    """The expression with the elements of these maps written out."""
    if isinstance(expr, Read) and expr.tensor in defined:
        s = defined[expr.tensor]
        return _by_definition(substitute(s.body, dict(zip(s.indices, expr.indices, strict=True))), defined)
    return rebuild(expr, tuple(_by_definition(p, defined) for p in parts(expr)))


def _read_of(sweep: Sweep) -> tuple[Read, ...]:
    own = {s.target for s in sweep.statements}
    return tuple({r.tensor: r for s in sweep.statements for r in reads(s) if r.tensor not in own}.values())
