"""Reductions over windows: each tap takes part in one long contiguous loop, over all places of its window at once.

`y[n,p,q] = max[r,s](x[n, stride*p + r - pad, stride*q + s - pad])` reads short pieces of rows with steps between their
elements. So the elements that a band of rows p needs are staged first: those whose places leave the same remainders
when divided by the strides lie together, and places outside of the tensor hold its outside value. What the tap (r, s)
reads is then one run of the staged numbers, the same for every tap but for where it begins, and so are the
accumulators. Between the rows of a run lie a few numbers that belong to no place; they are computed and not used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from symbackprop.calculus.integer import holds, normal, simplified
from symbackprop.calculus.polynomial import as_expr, contains, linear
from symbackprop.loops.groups import Group, is_reduction, mentions, reads
from symbackprop.loops.guards import IDENTITY, positive
from symbackprop.loops.inner import Span, inner_loop
from symbackprop.loops.kernel import (
    Access,
    Array,
    Assign,
    Loop,
    Nest,
    Node,
    Scratch,
    Stage,
    Store,
    Track,
    Update,
)
from symbackprop.loops.merge import merge_axes
from symbackprop.loops.names import LocalNames
from symbackprop.loops.sums import count
from symbackprop.loops.tensors import ARGUMENTS, Tensors
from symbackprop.notation.binding import substitute
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Call,
    Compare,
    Expr,
    Index,
    Parameter,
    Read,
    Where,
    add,
    divide,
    floor_divide,
    modulo,
    mul,
    number,
    parts,
    subtract,
    walk,
)
from symbackprop.program.statements import Statement

STAGED = 4096  # numbers that are staged at a time, about: they and the accumulators stay in the first cache
AXES = 3  # of a window, at most


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a window: place `i` and the taps meet the element `step*i + first + offset`, 0 <= offset <= reach."""

    index: Index
    step: Expr
    first: Expr
    offset: Expr
    reach: Expr


@dataclass(frozen=True, slots=True)
class Window:
    """The read of a window: its leading places, which are the same for a whole window, and its axes."""

    read: Read
    leading: tuple[Expr, ...]
    axes: tuple[Axis, ...]


def window_nest(group: Group, kept: frozenset[str], tensors: Tensors, names: Iterable[str]) -> Nest | None:
    """The nest of a group of reductions over the windows of one tensor, or None where the group is something else.

    `kept` and `names` as for `build_nest`. Keeps: every value; a sum is taken in float64.
    """
    if not _are_reductions_of_one_box(group):
        return None
    merged = merge_axes(group, tensors)
    known = replace(tensors, axes={**tensors.axes, **merged.axes})
    window = _window(merged.group, known)
    if window is None or any(s.target not in kept for s in merged.group.statements):
        return None
    return _Builder(merged.group, merged.axes, window, tensors, names).nest()


def _are_reductions_of_one_box(group: Group) -> bool:
    first = group.statements[0]
    return all(is_reduction(s) and s.bound == first.bound and s.indices == first.indices for s in group.statements)


def _window(group: Group, tensors: Tensors) -> Window | None:
    """The one read under the reductions that moves with the places, if it has the form of a window."""
    first, targets = group.statements[0], set(group.targets)
    if any(r.tensor in targets for s in group.statements for r in reads(s)):
        return None
    inner = tuple(dict.fromkeys(r for s in group.statements for r in walk(s.body) if isinstance(r, Read)))
    tapped = [r for r in inner if any(mentions(i, first.bound) and mentions(i, first.indices) for i in r.indices)]
    if len(tapped) != 1 or tapped[0].tensor in tensors.integers:
        return None
    window = _axes(tapped[0], first, tensors)
    if window is None or not _lies_inside(window, group, tensors):
        return None
    places = tuple(axis.index for axis in window.axes)
    others = [s.body for s in group.statements]
    return window if all(_free_of(e, places, window.read) for e in others) else None


def _lies_inside(window: Window, group: Group, tensors: Tensors) -> bool:
    """Whether the leading places of a window are places of the tensor: staging asks for the last axes only.

    They are proved to be, or the call has checked the read because it is neither padded nor behind a condition.
    """
    guarded = any(isinstance(e, Where) for s in group.statements for b in (s.body, s.result) for e in walk(b))
    if not guarded and window.read.tensor not in tensors.outside:
        return True
    positions = zip(window.leading, tensors.extents(window.read.tensor)[: len(window.leading)], strict=True)
    return all(
        holds(condition, tensors.facts)
        for position, extent in positions
        for condition in (Compare("<=", ZERO, position), Compare("<", position, extent))
    )


def _free_of(expr: Expr, places: tuple[Index, ...], window: Read) -> bool:
    """Whether places stand nowhere in the expression but in the window's read."""
    if expr == window:
        return True
    if expr in places or (isinstance(expr, Read) and any(isinstance(e, Read) for i in expr.indices for e in walk(i))):
        return False
    return all(_free_of(part, places, window) for part in parts(expr))


def _axes(read: Read, statement: Statement, tensors: Tensors) -> Window | None:
    """The axes of a window: the last ones of the tensor, moved by the last indices of the target, in their order."""
    moved = [at for at, i in enumerate(read.indices) if mentions(i, statement.bound)]
    width = len(read.indices) - min(moved, default=len(read.indices))
    if not 1 <= width <= AXES or width > len(statement.indices):
        return None
    places, leading = statement.indices[-width:], read.indices[:-width]
    if any(mentions(i, (*statement.bound, *places)) or any(isinstance(e, Read) for e in walk(i)) for i in leading):
        return None
    axes = []
    for place, position in zip(places, read.indices[-width:], strict=True):
        axis = _axis(position, place, statement, tensors)
        if axis is None or mentions(position, tuple(i for i in places if i != place)):
            return None
        axes.append(axis)
    return Window(read, leading, tuple(axes))


def _axis(position: Expr, place: Index, statement: Statement, tensors: Tensors) -> Axis | None:
    """`step*place + first + offset`, the offset counted from the tap that lies first."""
    if any(isinstance(e, Read) for e in walk(position)):
        return None
    taken = linear(normal(position, tensors.facts), place)
    if taken is None or not positive(taken[0], tensors.facts):
        return None
    first, reach = as_expr(taken[1]), add()
    step = as_expr(taken[0])
    if mentions(step, (*statement.indices, *statement.bound)):
        return None
    for tap in statement.bound:
        along = linear(normal(first, tensors.facts), tap)
        if along is None:
            return None
        if not along[0]:
            continue
        slope = as_expr(along[0])
        if mentions(slope, (*statement.indices, *statement.bound)):
            return None
        last = subtract(tap.extent, ONE)
        if _never_negative(slope, tensors):
            first, reach = as_expr(along[1]), add(reach, mul(slope, last))
        elif _never_negative(mul(number(-1), slope), tensors):
            first = add(as_expr(along[1]), mul(slope, last))
            reach = subtract(reach, mul(slope, last))
        else:
            return None
    if mentions(first, (*statement.indices, *statement.bound)):
        return None
    rest = subtract(position, add(mul(step, place), first))
    clean = [simplified(e, tensors.facts) for e in (step, first, rest, reach)]
    return Axis(place, *clean) if not contains(clean[2], place) else None


def _never_negative(expr: Expr, tensors: Tensors) -> bool:
    return positive(normal(add(expr, ONE), tensors.facts), tensors.facts)


class _Builder:
    """Builds the nest of one window."""

    def __init__(
        self, group: Group, axes: dict[str, tuple[Expr, ...]], window: Window, tensors: Tensors, names: Iterable[str]
    ) -> None:
        self.group, self.axes, self.window = group, axes, window
        self.tensors = replace(tensors, axes={**tensors.axes, **axes})
        self.new = LocalNames((*names, *tensors.axes))
        places = {a.index for a in window.axes}
        outer = tuple(i for i in group.statements[0].indices if i not in places)
        self.outer = {i: Parameter(self.new(i.name), True) for i in outer}
        self.sizes: list[Node] = []  # what is the same for all tasks
        self.rows, self.low = (Parameter(self.new(n), True) for n in ("rows", f"{window.axes[0].index.name}_low"))
        self.pitches = self._pitches()
        self.band = self._size("band", self._rows_of_a_band())
        self.bands = self._size("bands", _ceiling(window.axes[0].index.extent, self.band))
        self.residue = self._size("residue_size", mul(add(self.band, _beyond(window.axes[0])), self.pitches[0]))
        self.accumulators: list[Node] = []

    def _size(self, wish: str, value: Expr) -> Parameter:
        local = Parameter(self.new(wish), True)
        self.sizes.append(Assign(local.name, simplified(value, self.tensors.facts), "integer"))
        return local

    def _pitches(self) -> tuple[Expr, ...]:
        """How far neighbours along each axis are apart in a run."""
        found: list[Expr] = [ONE]
        for axis in reversed(self.window.axes[1:]):
            extent = add(axis.index.extent, _beyond(axis))
            found.append(self._size(f"{axis.index.name}_pitch", mul(extent, found[-1])))
        return tuple(reversed(found))

    def _rows_of_a_band(self) -> Expr:
        several = floor_divide(number(STAGED), mul(*(a.step for a in self.window.axes), self.pitches[0]))
        return _least(self.window.axes[0].index.extent, _greatest(ONE, several))

    def nest(self) -> Nest:
        """All of it: pieces of so many tasks, one after the other, that it is worth to make their rows."""
        group, integers = self.group, self.tensors.integers
        steps = mul(*(a.step for a in self.window.axes))
        task = Index(self.new("task"), mul(*(i.extent for i in self.outer), self.bands))
        width = self._size("width", _greatest(ONE, floor_divide(number(4 * STAGED), mul(steps, self.residue))))
        piece = Index(self.new("piece"), _ceiling(task.extent, width))
        first = mul(piece, width)
        body = self._task(task)
        loop = Loop(task, first, _least(task.extent, add(first, width)), body)
        equations = tuple(s.comment for s in group.statements if s.comment)
        inputs = dict.fromkeys(r.tensor for s in group.statements for r in reads(s))
        arrays = [(t, t in group.targets) for t in (*inputs, *group.targets)]
        return Nest(
            "_".join(group.targets),
            equations,
            tuple(Array(t, self.axes[t], "integer" if t in integers else "real", own) for t, own in arrays),
            (piece,),
            None,
            (*self.accumulators, loop),
            group.wanted_by,
            tuple(Access(t, self.axes[t], "write" if own else "read") for t, own in arrays),
            tuple(self.sizes),
        )

    def _task(self, task: Index) -> tuple[Node, ...]:
        """A band of rows: where it is, what it reads, the taps, and what they give."""
        window, run = self.window, Parameter(self.new("run"), True)
        at = Index(self.new("at"), run)
        staged = self._scratch(f"{window.read.tensor}_staged", mul(*(a.step for a in window.axes), self.residue))
        starts, taken, results = self._reduced(at, staged)
        body: tuple[Node, ...] = inner_loop(Span(at, ZERO, run), taken, self.tensors, self.new)
        for tap in reversed(self.group.statements[0].bound):
            body = (Loop(tap, ZERO, tap.extent, body),)
        return (
            *self._place(task, run), self._stage(staged), Loop(at, ZERO, run, starts), *body, *self._stored(results),
        )  # fmt: skip

    def _scratch(self, wish: str, extent: Expr, kind: str = "real") -> str:
        name = self.new(wish)
        self.accumulators.append(Scratch(name, extent, kind == "wide", kind == "integer"))
        return name

    def _place(self, task: Index, run: Parameter) -> tuple[Node, ...]:
        """The outer indices, the first row and the number of rows of a task, and the length of its runs."""
        nodes: list[Node] = []
        rest: Expr = floor_divide(task, self.bands)
        for at, (index, local) in reversed(list(enumerate(self.outer.items()))):
            nodes.insert(0, Assign(local.name, modulo(rest, index.extent) if at else rest, "integer"))
            rest = floor_divide(rest, index.extent)
        first = self.window.axes[0].index.extent
        last = [(subtract(self.rows, ONE), self.pitches[0])]
        axes = zip(self.window.axes[1:], self.pitches[1:], strict=True)
        last += [(subtract(axis.index.extent, ONE), pitch) for axis, pitch in axes]
        length = simplified(add(*(mul(*pair) for pair in last), ONE), self.tensors.facts)
        return (
            *nodes,
            Assign(self.low.name, mul(modulo(task, self.bands), self.band), "integer"),
            Assign(self.rows.name, _least(self.band, subtract(first, self.low)), "integer"),
            Assign(run.name, length, "integer"),
        )

    def _stage(self, staged: str) -> Stage:
        axes, tensor = self.window.axes, self.window.read.tensor
        first, *others = axes
        return Stage(
            staged,
            self.residue,
            tensor,
            tuple(substitute(i, dict(self.outer)) for i in self.window.leading),
            self.axes[tensor][-len(axes) :],
            (add(mul(first.step, self.low), first.first), *(a.first for a in others)),
            tuple(a.step for a in axes),
            (add(self.rows, _beyond(first)), *(add(a.index.extent, _beyond(a)) for a in others)),
            self.tensors.outside.get(tensor, ZERO),
        )

    def _tap(self, at: Index) -> Expr:
        """Where the number that a tap reads for a place lies among the staged ones."""
        residue, place = add(), add(at)
        for axis, pitch in zip(self.window.axes, self.pitches, strict=True):
            residue = add(mul(residue, axis.step), modulo(axis.offset, axis.step))
            place = add(place, mul(floor_divide(axis.offset, axis.step), pitch))
        return simplified(add(mul(residue, self.residue), place), self.tensors.facts)

    def _reduced(self, at: Index, staged: str) -> tuple[tuple[Node, ...], tuple[Node, ...], dict[str, str]]:
        """What the accumulators start from, what they take in at a tap, and which one has each target."""
        starts: list[Node] = []
        taken: list[Node] = []
        homes: dict[str, str] = {}
        tracked: dict[tuple[str, Expr], str] = {}
        read: dict[Expr, Expr] = {self.window.read: Read(staged, (self._tap(at),))}
        read |= dict(self.outer.items())
        names = {(s.kind, s.body): s.target for s in self.group.statements if s.kind not in ARGUMENTS}
        for s in sorted(self.group.statements, key=lambda s: s.kind not in ARGUMENTS):
            operation = s.kind.removeprefix("arg")
            value = self.tensors.closed(self.tensors.simplify(substitute(s.body, read)), ())
            if (operation, s.body) in tracked:
                homes[s.target] = tracked[operation, s.body]  # a position is found with its extremum
                continue
            operation = "sum" if operation == "mean" else operation
            wide = operation in ("sum", "prod")
            wish = f"{names.get((operation, s.body), s.target)}_{operation}"
            home = self._scratch(wish, self._run_size(), "wide" if wide else "real")
            starts.append(Store(home, (at,), IDENTITY[operation]))
            if s.kind in ARGUMENTS:
                homes[s.target] = self._scratch(f"{s.target}_at", self._run_size(), "integer")
                starts.append(Store(homes[s.target], (at,), ZERO))
                taken.append(Track(homes[s.target], home, operation, value, _row_major(s.bound), at))
                tracked[operation, s.body] = home
            else:
                homes[s.target] = home
                taken.append(Update(home, (at,), operation, value))
        return tuple(starts), tuple(taken), homes

    def _run_size(self) -> Expr:
        return mul(self.band, self.pitches[0])

    def _stored(self, homes: dict[str, str]) -> tuple[Node, ...]:
        """The results, row by row."""
        indices = tuple(axis.index for axis in self.window.axes)
        there = add(*(mul(index, pitch) for index, pitch in zip(indices, self.pitches, strict=True)))
        moved: dict[Index, Expr] = {**self.outer, indices[0]: add(self.low, indices[0])}
        stores: list[Node] = []
        for s in self.group.statements:
            reduced: Expr = Read(homes[s.target], (there,))
            value = divide(reduced, count(s.bound)) if s.kind == "mean" else reduced
            result = substitute(s.result, {s.element: Read(f"{s.target} reduced", ())})
            result = self.tensors.closed(self.tensors.simplify(substitute(result, dict(moved))), ())
            result = substitute(result, {Read(f"{s.target} reduced", ()): value})
            place = tuple(substitute(i, dict(moved)) for i in s.indices)
            stores.append(Store(s.target, place, result))
        extents = [self.rows, *(i.extent for i in indices[1:])]
        body = inner_loop(Span(indices[-1], ZERO, extents[-1]), tuple(stores), self.tensors, self.new)
        for index, extent in zip(reversed(indices[:-1]), reversed(extents[:-1]), strict=True):
            body = (Loop(index, ZERO, extent, body),)
        return body


def _beyond(axis: Axis) -> Expr:
    """How many strides the taps of an axis reach beyond its last place."""
    return floor_divide(axis.reach, axis.step)


def _ceiling(a: Expr, b: Expr) -> Expr:
    return floor_divide(add(a, b, number(-1)), b)


def _least(a: Expr, b: Expr) -> Expr:
    return Call("min", (a, b))


def _greatest(a: Expr, b: Expr) -> Expr:
    return Call("max", (a, b))


def _row_major(bound: tuple[Index, ...]) -> Expr:
    place: Expr = ZERO
    for index in bound:
        place = add(mul(place, index.extent), index)
    return place
