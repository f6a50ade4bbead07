"""Loops over indices in a given order; each condition where all of its indices are known, as a bound if it can be."""

from __future__ import annotations

from dataclasses import dataclass, replace

from symbackprop.errors import InternalError
from symbackprop.loops.groups import mentions
from symbackprop.loops.guards import limits, phase
from symbackprop.loops.inner import Blocked, Span, inner_loop, mapped
from symbackprop.loops.kernel import Accumulate, Assign, Loop, Node, Strip, Test
from symbackprop.loops.names import LocalNames
from symbackprop.loops.tensors import Tensors
from symbackprop.notation.binding import substitute
from symbackprop.notation.nodes import ZERO, Call, Compare, Expr, Index, Parameter, Read, add, both, number


@dataclass(frozen=True, slots=True)
class Walks:
    """Makes the loops of one nest."""

    tensors: Tensors
    strip: Strip | None
    new: LocalNames

    def loops(
        self, order: tuple[Index, ...], conditions: tuple[Expr, ...], body: tuple[Node, ...],
        partial: int | None = None, blocked: Blocked | None = None,
    ) -> tuple[Node, ...]:  # fmt: skip
        """Loops over the indices in this order; each condition where the last of its indices is known.

        With `partial` the innermost loop adds in the tensors' own type, so many terms at a time, or all if it is 0.
        """
        now = tuple(c for c in conditions if not mentions(c, order))
        if now:
            rest = tuple(c for c in conditions if c not in now)
            return (Test(both(*now), self.loops(order, rest, body, partial, blocked)),)
        if not order:
            return body
        index, later = order[0], order[1:]
        own = tuple(c for c in conditions if not mentions(c, later))
        others = tuple(c for c in conditions if c not in own)
        if not later:
            return self._innermost(index, own, body, partial, blocked)
        found = limits(own, index, self.tensors.facts)
        span = self._span(index, found.low, found.high)
        return (Loop(index, span.start, span.stop, self.loops(later, (*found.rest, *others), body, partial, blocked)),)

    def _innermost(
        self, index: Index, conditions: tuple[Expr, ...], body: tuple[Node, ...], partial: int | None,
        blocked: Blocked | None,
    ) -> tuple[Node, ...]:  # fmt: skip
        walk_over = phase(conditions, index, self.tensors.facts)
        if walk_over is not None and index != (self.strip.index if self.strip else None):
            box = (*self._box_conditions(index),)
            moved = {index: walk_over.value}
            conditions = tuple(
                self.tensors.simplify(substitute(c, moved)) for c in (*conditions, *box) if c != walk_over.condition
            )
            found = limits(conditions, walk_over.step, self.tensors.facts)
            if found.low and found.high:
                body = tuple(_moved(node, moved, self.tensors) for node in body)
                span = Span(walk_over.step, _extreme("max", found.low), _extreme("min", found.high))
                return self._tested(span, found.rest, body, partial, blocked)
            raise InternalError(f"no bounds of the walk over {index.name}")
        found = limits(conditions, index, self.tensors.facts)
        return self._tested(self._span(index, found.low, found.high), found.rest, body, partial, blocked)

    def _box_conditions(self, index: Index) -> tuple[Expr, ...]:
        return (Compare("<=", ZERO, index), Compare("<", index, index.extent))

    def _tested(
        self, span: Span, rest: tuple[Expr, ...], body: tuple[Node, ...], partial: int | None, blocked: Blocked | None
    ) -> tuple[Node, ...]:
        if rest:
            loop = Loop(span.index, span.start, span.stop, (Test(both(*rest), body),))
            return (Loop(blocked.index, ZERO, blocked.index.extent, (loop,)),) if blocked else (loop,)
        if partial is None:
            return inner_loop(span, body, self.tensors, self.new, blocked)
        sums = [n.name for n in body if isinstance(n, Accumulate) and n.operation == "sum"]
        parts_of = {name: self.new(f"{name}_part") for name in sums}
        inner = tuple(
            replace(n, name=parts_of[n.name]) if isinstance(n, Accumulate) and n.name in parts_of else n for n in body
        )
        before = tuple(Assign(p, ZERO) for p in parts_of.values())
        after = tuple(Accumulate(name, "sum", Read(part, ())) for name, part in parts_of.items())
        if not partial:
            return (*before, *inner_loop(span, inner, self.tensors, self.new), *after)
        low = Index(self.new(f"{span.index.name}_from"), span.index.extent)
        piece = Span(span.index, low, Call("min", (span.stop, add(low, number(partial)))))
        body = (*before, *inner_loop(piece, inner, self.tensors, self.new), *after)
        return (Loop(low, span.start, span.stop, body, partial),)

    def _span(self, index: Index, low: tuple[Expr, ...], high: tuple[Expr, ...]) -> Span:
        first: Expr = ZERO
        last: Expr = index.extent
        if self.strip is not None and index == self.strip.index:
            first, last = Parameter(self.strip.low, True), Parameter(self.strip.high, True)
        return Span(index, _extreme("max", (first, *low)), _extreme("min", (last, *high)))


def _extreme(function: str, values: tuple[Expr, ...]) -> Expr:
    values = tuple(dict.fromkeys(values))
    return values[0] if len(values) == 1 else Call(function, values)


def _moved(node: Node, mapping: dict[Index, Expr], tensors: Tensors) -> Node:
    """A node of an innermost body with an index replaced and the positions in normal form again."""
    return mapped(node, lambda e: tensors.simplify(substitute(e, dict(mapping))))
