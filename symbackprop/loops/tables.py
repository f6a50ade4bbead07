"""Quotients and remainders of positions, computed once for each position there is rather than at each element.

`argmax_y[n,p]//kernel` divides one of a few numbers by one that is the same everywhere, and a division takes as long as
all the rest of a scatter's step.
"""

from __future__ import annotations

from symbackprop.loops.kernel import Loop, Node, Scratch, Store
from symbackprop.loops.names import LocalNames
from symbackprop.loops.tensors import Tensors
from symbackprop.notation.nodes import ZERO, Expr, FloorDiv, Index, Mod, Read, parts, rebuild, walk


class Tables:
    """The tables of one nest: `nodes` makes them, before the tasks start."""

    def __init__(self, tensors: Tensors, new_name: LocalNames) -> None:
        self.nodes: list[Node] = []
        self._tensors, self._new = tensors, new_name
        self._made: dict[Expr, str] = {}

    def looked_up(self, expr: Expr) -> Expr:
        """The expression with each quotient or remainder of a position read from its table."""
        position = self._position(expr)
        if position is None:
            return rebuild(expr, tuple(self.looked_up(p) for p in parts(expr)))
        extent = self._tensors.places[position.tensor]
        at = Index("at", extent)
        value = _in_place_of(expr, position, at)
        if value not in self._made:
            name = self._made[value] = self._new("quotients" if isinstance(expr, FloorDiv) else "remainders")
            self.nodes += [
                Scratch(name, extent, integer=True),
                Loop(at, ZERO, extent, (Store(name, (at,), value),)),
            ]
        return Read(self._made[value], (position,))

    def _position(self, expr: Expr) -> Read | None:
        """The one position of an extremum in a quotient or a remainder that nothing else moves."""
        if not isinstance(expr, FloorDiv | Mod):
            return None
        found = {e for e in walk(expr) if isinstance(e, Read)}
        if len(found) != 1:
            return None
        (read,) = found
        rest = _in_place_of(expr, read, ZERO)  # an index may stand in the read and beside it
        alone = not any(isinstance(e, Index) for e in walk(rest))
        return read if alone and read.tensor in self._tensors.places else None


def _in_place_of(expr: Expr, read: Read, index: Expr) -> Expr:
    if expr == read:
        return index
    return rebuild(expr, tuple(_in_place_of(p, read, index) for p in parts(expr)))
