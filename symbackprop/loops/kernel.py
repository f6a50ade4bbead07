"""The loop language: a second, tiny language that says in which order values are computed and where they are kept.

It only refers to expressions. A `Read` in it means an element of an array of the nest, or, without indices and with
the name of a local, that local. Every array element is a real of the arrays' common type, an element of an integer
tensor an integer; locals that are `wide` are float64 whatever the arrays are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from symbackprop.loops.contraction import Contraction
from symbackprop.notation.nodes import ZERO, Expr, Index, add, floor_divide, number
from symbackprop.program.statements import Program


class Node:
    """Base of all nodes of the loop language."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Assign(Node):
    """`name = value`, a local number of `kind` "real" (the arrays' type), "wide" (float64), "integer" or "place".

    A place is an integer that is never negative: arrays read with it need not look whether it counts from the end.
    """

    name: str
    value: Expr
    kind: str = "real"


@dataclass(frozen=True, slots=True)
class Accumulate(Node):
    """`name = name OP value` for a local; OP is one of sum, prod, max, min. An extremum that is NaN stays NaN."""

    name: str
    operation: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Track(Node):
    """Keep in `best` the extremum (`operation` max or min) of `value`, in `name` the `place` where it stood first.

    Both are locals, or with `row` the elements of rows at that index.
    """

    name: str
    best: str
    operation: str
    value: Expr
    place: Expr
    row: Index | None = None


@dataclass(frozen=True, slots=True)
class Store(Node):
    """`tensor[indices] = value`."""

    tensor: str
    indices: tuple[Expr, ...]
    value: Expr


@dataclass(frozen=True, slots=True)
class Update(Node):
    """`tensor[indices] = tensor[indices] OP value`; OP as for `Accumulate`."""

    tensor: str
    indices: tuple[Expr, ...]
    operation: str
    value: Expr


@dataclass(frozen=True, slots=True)
class View(Node):
    """`name[j]` is `tensor[leading, start + step*j]`: a row that a loop walks without index arithmetic.

    Where the nest streams, it is the row of the task that `streamed` names, if there is one.
    """

    name: str
    tensor: str
    leading: tuple[Expr, ...]
    start: Expr
    step: Expr
    streamed: str = ""


@dataclass(frozen=True, slots=True)
class Scratch(Node):
    """A row of `extent` numbers that belongs to one task; `wide` as for locals, `integer` for places.

    `apart`: it is the row that a task fills before it is streamed.
    """

    name: str
    extent: Expr
    wide: bool = False
    integer: bool = False
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Stream(Node):
    """`tensor[leading, start + j] = row[j]` for the j below `count`, past the caches, where the nest streams."""

    tensor: str
    leading: tuple[Expr, ...]
    start: Expr
    row: str
    count: Expr


@dataclass(frozen=True, slots=True)
class Distance(Node):
    """`name` is how many rows before its use a row of `tensor` is asked for; a loop takes `rows` of these.

    A row has `row` elements, the whole tensor `whole`.
    """

    name: str
    tensor: str
    row: Expr
    rows: Expr
    whole: Expr


@dataclass(frozen=True, slots=True)
class Ask(Node):
    """Ask for what the views will be rows of when a loop's index is `index + distance`, if there is such a step.

    `written` are those that are stored to.
    """

    index: Index
    distance: str
    views: tuple[View, ...]
    written: frozenset[View]


@dataclass(frozen=True, slots=True)
class Stage(Node):
    """Elements of the last axes (`shape`) of a tensor, laid apart by the remainders of their places.

    `name[residue*size + u] = tensor[leading, first + step*u + j]` for the places j below `step`, of which `residue` is
    the row-major number, and the places u below `count`, in row-major order; `outside` where the tensor has none.
    """

    name: str
    size: Expr
    tensor: str
    leading: tuple[Expr, ...]
    shape: tuple[Expr, ...]
    first: tuple[Expr, ...]
    step: tuple[Expr, ...]
    count: tuple[Expr, ...]
    outside: Expr


@dataclass(frozen=True, slots=True)
class Loop(Node):
    """`body` for index = start, start + step, ..., below stop."""

    index: Index
    start: Expr
    stop: Expr
    body: tuple[Node, ...]
    step: int = 1


@dataclass(frozen=True, slots=True)
class Pieces(Node):
    """`body` for pieces `low` ... `high` - 1 of `count` numbers: one of all, or lines of `row` if the nest streams."""

    low: str
    high: str
    count: Expr
    row: View
    body: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Test(Node):
    """`body` where the condition holds, else `other`."""

    condition: Expr
    body: tuple[Node, ...]
    other: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted(Node):
    """`body` where the gradient of one of the named inputs is asked for."""

    inputs: tuple[str, ...]
    body: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Strip:
    """A parallel walk along `index` in pieces of at most `width`: the body's loops over it run from `low` to `high`.

    `piece` is the number of the piece; the partition does not depend on the number of threads. Where nothing is as
    long as a piece, pieces may be of `lines`: whole ones of a result, and as many as go round.
    """

    index: Index
    width: int
    low: str
    high: str
    piece: str
    lines: bool = False

    @property
    def pieces(self) -> Expr:
        """How many there are."""
        return floor_divide(add(self.index.extent, number(self.width - 1)), number(self.width))


@dataclass(frozen=True, slots=True)
class Access:
    """One pass over the elements of an array with these `axes`; `kind` is "read" or "write"."""

    tensor: str
    axes: tuple[Expr, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Array:
    """An array of a nest. `axes` are those that the nest sees: neighbouring axes that always go together are one."""

    name: str
    axes: tuple[Expr, ...]
    kind: str = "real"
    written: bool = False


@dataclass(frozen=True, slots=True)
class Nest:
    """One kernel: `body` for every point of `parallel` (and every piece of `strip`), in any order or at once.

    `equations` is what it computes, `wanted_by` the inputs whose gradients need it (empty in the forward pass),
    `traffic` the passes that it makes over memory. `shared` is computed before the tasks start; they may leave partial
    results in rows of it, which `after` puts together in order once all are done. `cleared` are the targets that the
    tasks fill with zeros before they add to them. `taken` are arrays of earlier nests, each with the one that is
    written in its place, of which it has the first values. `streamed` is the length of the rows that may pass by the
    caches. `points` is how many its largest statement has, bound indices among them: the size of the work.
    """

    name: str
    equations: tuple[str, ...]
    arrays: tuple[Array, ...]
    parallel: tuple[Index, ...]
    strip: Strip | None
    body: tuple[Node, ...]
    wanted_by: tuple[str, ...]
    traffic: tuple[Access, ...]
    shared: tuple[Node, ...] = ()
    after: tuple[Node, ...] = ()
    cleared: frozenset[str] = frozenset()
    taken: tuple[tuple[str, str], ...] = ()
    contraction: Contraction | None = None  # what all of it is: a backend may compute it in another order
    streamed: Expr | None = None
    points: Expr = ZERO


@dataclass(frozen=True, slots=True)
class Allocation:
    """An array that a pass makes: an output, a saved tensor, a gradient, or a temporary between two nests.

    `zero` asks for zeros (what is only added to starts as them). With `places` it has positions of extrema, integers
    of at least 0 and below that; without, reals. `over` is the array whose place it takes, if there is one.
    """

    name: str
    axes: tuple[Expr, ...]
    zero: bool
    places: Expr | None
    wanted_by: tuple[str, ...]
    over: str = ""


@dataclass(frozen=True, slots=True)
class Pass:
    """The forward or the backward pass: arrays to make, then nests in order."""

    allocations: tuple[Allocation, ...]
    nests: tuple[Nest, ...]


@dataclass(frozen=True, slots=True)
class Kernel:
    """The loops of a program. `alone` is a forward pass for callers that keep nothing, where it differs."""

    program: Program
    forward: Pass
    backward: Pass
    alone: Pass | None = None


def walk_nodes(body: tuple[Node, ...]) -> Iterator[Node]:
    """All nodes of a body, in order, outermost first."""
    for node in body:
        yield node
        match node:
            case Loop(_, _, _, inner, _) | Wanted(_, inner) | Pieces(_, _, _, _, inner):
                yield from walk_nodes(inner)
            case Test(_, inner, other):
                yield from walk_nodes(inner)
                yield from walk_nodes(other)


def expressions(node: Node) -> tuple[Expr, ...]:
    """The expressions that stand directly in a node."""
    match node:
        case Assign(_, value, _) | Accumulate(_, _, value):
            return (value,)
        case Track(_, _, _, value, place, row):
            return (value, place) if row is None else (value, place, row)
        case Stage():
            return (node.size, *node.leading, *node.shape, *node.first, *node.step, *node.count, node.outside)
        case Store(_, indices, value) | Update(_, indices, _, value):
            return (*indices, value)
        case View(_, _, leading, start, step, _):
            return (*leading, start, step)
        case Distance(_, _, row, rows, whole):
            return (row, rows, whole)
        case Ask(index, _, views, _):
            return (index, *(i for view in views for i in view.leading))
        case Stream(_, leading, start, _, count):
            return (*leading, start, count)
        case Pieces(_, _, count, row, _):
            return (count, *row.leading, row.start)
        case Scratch(_, extent, _, _):
            return (extent,)
        case Loop(index, start, stop, _, _):
            return (index, start, stop)
        case Test(condition, _, _):
            return (condition,)
        case _:
            return ()
