"""Short rows that lie apart, asked for before they are read.

The rows of a channel are a whole image apart. A processor sees a few lines of a row before it guesses that the next
ones are needed, and guesses nothing beyond the row's end: where the arrays lie in memory, the first lines of each short
row are waited for. So with each row one that comes later is asked for, also where it is only written, since a store
reads its line first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from symbackprop.loops.kernel import Ask, Distance, Loop, Nest, Node, Store, Test, View, Wanted, walk_nodes
from symbackprop.loops.names import LocalNames
from symbackprop.notation.nodes import ONE, Expr, Index, mul, walk


def with_rows_ahead(nest: Nest, names: Iterable[str]) -> Nest:
    """The nest with rows asked for in the loops that step from row to row; `names` are taken.

    Needs: rows as views. Keeps: every value, bit for bit.
    """
    if nest.contraction is not None or not nest.parallel:
        return nest
    return _Asking(nest, LocalNames((*names, *_named(nest)))).nest()


def _named(nest: Nest) -> Iterator[str]:
    yield from (a.name for a in nest.arrays)
    for node in walk_nodes((*nest.shared, *nest.body, *nest.after)):
        name = getattr(node, "name", None)
        if isinstance(name, str):
            yield name


class _Asking:
    """Puts what asks for rows into the loops of one nest; how far ahead follows at the call from the rows' size."""

    def __init__(self, nest: Nest, new: LocalNames) -> None:
        self._nest, self._new = nest, new
        most = max(len(a.axes) for a in nest.arrays)
        self._arrays = {a.name: a.axes for a in nest.arrays if a.kind == "real" and len(a.axes) == most}
        self._distances: dict[tuple[Expr, Expr], Distance] = {}
        self._met: set[str] = set()

    def nest(self) -> Nest:
        body = self._body(self._nest.body)
        return replace(self._nest, body=body, shared=(*self._nest.shared, *self._distances.values()))

    def _body(self, body: tuple[Node, ...]) -> tuple[Node, ...]:
        nodes: list[Node] = []
        for node in body:
            match node:
                case Loop(_, _, _, inner):
                    nodes.append(replace(node, body=(*self._asked(node), *self._body(inner))))
                case Wanted(_, inner):
                    nodes.append(replace(node, body=self._body(inner)))
                case Test(_, inner, other):
                    nodes.append(replace(node, body=self._body(inner), other=self._body(other)))
                case _:
                    nodes.append(node)
        return tuple(nodes)

    def _asked(self, loop: Loop) -> tuple[Node, ...]:
        """What asks for the rows that a step of the loop walks first in the task: read again they are in the cache."""
        inside = tuple(walk_nodes(loop.body))
        stored = {n.tensor for n in inside if isinstance(n, Store)}
        views = {n.tensor: n for n in inside if isinstance(n, View) and self._is_row(n, loop)}
        new = tuple(view for name, view in views.items() if name not in self._met)
        if not new:
            return ()
        self._met |= {view.tensor for view in new}
        axes = self._arrays[new[0].tensor]
        key = (axes[-1], loop.index.extent)
        if key not in self._distances:
            self._distances[key] = Distance(self._new("ahead"), new[0].tensor, *key, mul(*axes))
        written = frozenset(view for view in new if view.name in stored)
        return (Ask(loop.index, self._distances[key].name, new, written),)

    def _is_row(self, view: View, loop: Loop) -> bool:
        """Whether the view lies in one row at each step, with the rows of other tasks between it and the next one."""
        axes, leading = self._arrays.get(view.tensor, ()), view.leading
        if len(leading) != len(axes) - 1 or view.step != ONE or loop.index not in leading[:-1] or loop.step != 1:
            return False
        others = [i for i in leading if i != loop.index]
        known = (*self._nest.parallel, loop.index)
        return len(others) == len(leading) - 1 and not any(
            isinstance(e, Index) and e not in known for i in others for e in walk(i)
        )
