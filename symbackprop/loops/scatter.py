"""Scatters: additions to the places that positions say, what lies outside left out, zeros before the first of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from symbackprop.loops.flat import FlatPlace, flat_place
from symbackprop.loops.groups import mentions
from symbackprop.loops.guards import guarded
from symbackprop.loops.kernel import Assign, Loop, Node, Scratch, Store, Test, Update, View
from symbackprop.loops.names import LocalNames
from symbackprop.loops.order import memory_order
from symbackprop.loops.rows import row_index
from symbackprop.loops.tables import Tables
from symbackprop.loops.tensors import Tensors
from symbackprop.loops.walks import Walks
from symbackprop.notation.binding import substitute
from symbackprop.notation.nodes import ONE, ZERO, Expr, Index, Parameter, Read, Size, add, both, mul, walk
from symbackprop.program.statements import Statement


@dataclass(frozen=True, slots=True)
class Scattered:
    """The nodes of a task, what all tasks share, whether the task clears its part, and, if that is a row, its axes."""

    nodes: tuple[Node, ...]
    shared: tuple[Node, ...]
    cleared: bool
    axes: tuple[Expr, ...] | None = None


@dataclass(frozen=True, slots=True)
class Scatter:
    """One scatter in a nest with the parallel indices `outer`.

    `begun` says that an earlier nest has added to the target; `kept` gives an expression with the nest's own targets
    read from where they are kept.
    """

    statement: Statement
    outer: tuple[Index, ...]
    begun: bool
    tensors: Tensors
    walks: Walks
    new: LocalNames
    kept: Callable[[Expr], Expr]

    def made(self) -> Scattered:
        """All of it."""
        s = self.statement
        inner = [i for i in s.bound if i not in self.outer]
        order = memory_order(tuple(inner), (s,), self.tensors, row_index(replace(s, bound=tuple(inner)), self.tensors))
        tables = Tables(self.tensors, self.new)
        term = guarded(s.body, "sum", self.tensors)
        guards = [self.kept(c) for c in term.conditions]
        target = Read(s.target, tuple(self.kept(p) for p in s.positions))
        now = (*(c for c in guards if not self.tensors.always(c)), *self.tensors.inside(target))
        found = self._looked_up(target, now, order[-1:])
        # tables first: a quotient of a position stands in another one's remainder, and its local in no table
        named = {tables.looked_up(place): Parameter(local.name, True) for place, local in found.items()}
        conditions = tuple(dict.fromkeys(substitute(tables.looked_up(c), named) for c in now))
        late = {local.name for local in found.values()}
        tests = tuple(c for c in conditions if any(isinstance(e, Parameter) and e.name in late for e in walk(c)))
        places = tuple(substitute(tables.looked_up(i), named) for i in target.indices)
        flat = self._flat(target, now)
        image = s.target if flat is None else self.new(f"{s.target}_flat")
        there = places if flat is None else (self._in_image(places),)
        value = self.kept(term.value)
        body: tuple[Node, ...] = (Update(image, there, "sum", value),)
        body = (Test(both(*tests), body),) if tests else body
        body = (*(replace(local, value=tables.looked_up(local.value)) for local in found.values()), *body)
        general = self.walks.loops(order, tuple(c for c in conditions if c not in tests), body)
        shared, clears = tuple(tables.nodes), bool(self.outer) and not self.begun
        if flat is None:
            return Scattered((*(self._zeros() if clears else ()), *general), shared, clears)
        fast, offsets = self._by_offsets(image, flat, order, value)
        extents, owned = self.tensors.extents(s.target), len(self.outer)
        length = mul(*extents[owned:])
        elements = Index("at", length)
        zeros = (Loop(elements, ZERO, length, (Store(image, (elements,), ZERO),)),) if clears else ()
        view = View(image, s.target, self.outer, ZERO, ONE)
        nodes = (view, *zeros, Test(flat.inside, fast, general))
        return Scattered(nodes, (*shared, *offsets), clears, (*extents[:owned], length))

    def _in_image(self, places: tuple[Expr, ...]) -> Expr:
        """The places in the target as one in the row that a task owns of it."""
        flat: Expr = ZERO
        extents = self.tensors.extents(self.statement.target)
        for place, extent in list(zip(places, extents, strict=True))[len(self.outer) :]:
            flat = add(mul(flat, extent), place)
        return flat

    def _flat(self, target: Read, conditions: tuple[Expr, ...]) -> FlatPlace | None:
        """The place among a task's elements, if one position moves it and it has to be inside, and nothing else."""
        if not self.outer or any(c not in self.tensors.inside(target) for c in conditions):
            return None
        owned = len(self.outer)
        if self.statement.positions[:owned] != self.outer:
            return None
        return flat_place(target.indices[owned:], self.tensors.extents(target.tensor)[owned:], self.tensors)

    def _by_offsets(
        self, image: str, place: FlatPlace, order: tuple[Index, ...], value: Expr
    ) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
        """The additions of a task, all inside of its image, and the table that all tasks look their places up in."""
        table, at = self.new("offsets"), next(e for e in walk(place.offset) if isinstance(e, Index))
        filled = Loop(at, ZERO, at.extent, (Store(table, (at,), place.offset),))
        there = self.new("place")
        found = Assign(there, add(place.base, Read(table, (place.position,))), "place")
        update = Update(image, (Parameter(there, True),), "sum", value)
        return self.walks.loops(order, (), (found, update)), (Scratch(table, at.extent, integer=True), filled)

    def _looked_up(self, target: Read, conditions: tuple[Expr, ...], last: tuple[Index, ...]) -> dict[Expr, Assign]:
        """Locals for the positions that are read at each step of the last loop and have to be compared with an axis."""
        compared = {e for c in conditions for e in walk(c)}
        found: dict[Expr, Assign] = {}
        for place, extent in zip(target.indices, self.tensors.extents(target.tensor), strict=True):
            if place in compared and mentions(place, last) and any(isinstance(e, Read) for e in walk(place)):
                wish = f"{extent.name.lower()}_at" if isinstance(extent, Size) else "place"
                found[place] = Assign(self.new(wish), place, "integer")
        return found

    def _zeros(self) -> tuple[Node, ...]:
        """Zeros in the part of the target that a task adds to."""
        s = self.statement
        # an index that stands at two axes is the task's at the first: of the second, the task clears all
        owned = [p in self.outer and s.positions.index(p) == at for at, p in enumerate(s.positions)]
        place = tuple(p if own else i for p, i, own in zip(s.positions, s.indices, owned, strict=True))
        rest = tuple(i for i in place if isinstance(i, Index) and i not in self.outer)
        return self.walks.loops(rest, (), (Store(s.target, place, ZERO),))
