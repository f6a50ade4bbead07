"""Innermost loops: what does not change is read once before the loop, and rows of arrays become views.

A loop that walks views from 0 has no index arithmetic left in it, so that the compiler can turn it into vector
instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from symbackprop.calculus.integer import normal, simplified
from symbackprop.calculus.polynomial import as_expr, contains, linear
from symbackprop.errors import InternalError
from symbackprop.loops.guards import positive
from symbackprop.loops.kernel import Accumulate, Assign, Loop, Node, Store, Test, Track, Update, View, walk_nodes
from symbackprop.loops.names import LocalNames
from symbackprop.loops.tensors import Tensors
from symbackprop.notation.binding import substitute
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Compare,
    Expr,
    Index,
    Logic,
    Mul,
    Number,
    Parameter,
    Read,
    Where,
    add,
    is_divisor,
    modulo,
    mul,
    number,
    parts,
    rebuild,
    subtract,
    walk,
)


@dataclass(frozen=True, slots=True)
class Span:
    """The values of an index in a loop: start ... stop - 1."""

    index: Index
    start: Expr
    stop: Expr


@dataclass(slots=True)
class _Prelude:
    """What stands before the loop, in order, and what it replaces in the loop."""

    nodes: list[Node] = field(default_factory=list)
    replaced: dict[Read, Expr] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Blocked:
    """An index that is summed over right around an innermost loop, from `start` on, `width` values of it at a time.

    The row that takes in the terms is then read and written once for `width` terms.
    """

    index: Index
    width: int
    start: Expr = ZERO


def inner_loop(
    span: Span, body: tuple[Node, ...], tensors: Tensors, new_name: LocalNames, blocked: Blocked | None = None
) -> tuple[Node, ...]:
    """The loop over a span with this body, and what stands before it.

    A stride that is a parameter gives two versions, one for the stride 1: contiguous rows are much faster to walk.
    """
    prelude: list[Node] = []
    if not isinstance(span.start, Number | Parameter | Index):
        start, stop = new_name(f"{span.index.name}_start"), new_name(f"{span.index.name}_stop")
        prelude += [Assign(start, span.start, "integer"), Assign(stop, span.stop, "integer")]
        span = Span(span.index, Parameter(start, True), Parameter(stop, True))
    stride = _stride(span, body, tensors)
    if stride is None:
        return (*prelude, *_version(span, body, tensors, new_name, None, blocked))
    unit = _version(span, body, tensors, new_name, stride, blocked)
    general = _version(span, body, tensors, new_name, None, blocked and replace(blocked, width=1))
    return (*prelude, Test(Compare("==", stride, ONE), unit, general))


def _version(
    span: Span, body: tuple[Node, ...], tensors: Tensors, new_name: LocalNames, unit: Expr | None,
    blocked: Blocked | None,
) -> tuple[Node, ...]:  # fmt: skip
    """The loop with the parameter `unit` taken as 1, inside of the loops over the blocked index if there is one."""
    if blocked is None:
        return _with_fixed_reads(span, body, tensors, new_name, unit)
    index, width = blocked.index, blocked.width
    rest = _with_fixed_reads(span, body, tensors, new_name, unit)
    if width == 1:
        return (Loop(index, blocked.start, index.extent, rest),)
    several = tuple(_summed(node, index, width, tensors) for node in body)
    main = _with_fixed_reads(span, several, tensors, new_name, unit)
    last = subtract(index.extent, modulo(subtract(index.extent, blocked.start), number(width)))
    return (Loop(index, blocked.start, last, main, width), Loop(index, last, index.extent, rest))


def _summed(node: Node, index: Index, width: int, tensors: Tensors) -> Node:
    """An update by the terms of `width` values of an index at once."""
    if not isinstance(node, Update):
        raise InternalError("only updates are taken together")
    terms = [tensors.simplify(substitute(node.value, {index: add(index, number(at))})) for at in range(width)]
    return Update(node.tensor, node.indices, node.operation, add(*terms))


def _with_fixed_reads(
    span: Span, body: tuple[Node, ...], tensors: Tensors, new_name: LocalNames, unit: Expr | None
) -> tuple[Node, ...]:
    """What does not change in the loop is read before it."""
    hoisted = _Prelude()
    for read in _fixed_reads(body, span.index, tensors):
        if read.indices or read.tensor in tensors.axes:
            same = sum(1 for other in hoisted.replaced if other.tensor == read.tensor)
            local = new_name.shared(f"{read.tensor}_here", same)
            kind = "integer" if read.tensor in tensors.integers else "real"
            hoisted.nodes.append(Assign(local, read, kind))
            hoisted.replaced[read] = Parameter(local, True) if kind == "integer" else Read(local, ())
    body = tuple(_replaced(node, hoisted.replaced) for node in body)
    factors, body = _fixed_factors(body, span.index, new_name)
    return (*hoisted.nodes, *factors, *_walk(span, body, tensors, new_name, unit))


def _fixed_factors(
    body: tuple[Node, ...], index: Index, new_name: LocalNames
) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """What the numbers of a row are divided by, and their other fixed factors, as one factor before the loop; the body.

    A division takes as long as ten multiplications, and the compiler may not turn one into the other.
    """
    inner = {n.name for n in walk_nodes(body) if isinstance(n, Assign | Accumulate | Track)}
    found: dict[Expr, Read] = {}

    def fixed(expr: Expr) -> bool:
        leaves = [e for e in walk(expr) if isinstance(e, Read | Parameter)]
        varying = any(e.indices or e.tensor in inner if isinstance(e, Read) else e.name in inner for e in leaves)
        return not varying and not contains(expr, index)

    def move(expr: Expr) -> Expr:
        match expr:
            case Read():
                return expr
            case Mul(factors) if any(is_divisor(f) and fixed(f) for f in factors):
                factor = mul(*(f for f in factors if fixed(f)))
                others = [move(f) for f in factors if not fixed(f)]
                if others:
                    found[factor] = found.get(factor) or Read(new_name("factor"), ())
                    return mul(found[factor], *others)
        return rebuild(expr, tuple(move(p) for p in parts(expr)))

    moved = tuple(mapped(node, move) for node in body)
    return tuple(Assign(local.tensor, factor) for factor, local in found.items()), moved


def _walk(
    span: Span, body: tuple[Node, ...], tensors: Tensors, new_name: LocalNames, unit: Expr | None
) -> tuple[Node, ...]:
    """Views, then the loop from 0; the parameter `unit` is taken as 1."""
    views = _Prelude()
    for access in _accesses(body, tensors):
        if access in views.replaced:
            continue
        row = _row(access, span.index, tensors)
        if row is None:
            continue
        coefficient, at_start = row
        if unit is not None:
            coefficient = substitute(coefficient, {unit: ONE})
            at_start = substitute(at_start, {unit: ONE})
        start = simplified(add(mul(coefficient, span.start), at_start), tensors.facts)
        if access.tensor not in tensors.axes and start == ZERO and coefficient == ONE:
            views.replaced[access] = Read(access.tensor, (span.index,))  # a row of the task is a row already
            continue
        kind = "row" if coefficient == ONE else "steps"
        same = sum(1 for view in views.nodes if isinstance(view, View) and view.tensor == access.tensor)
        name = new_name.shared(f"{access.tensor}_{kind}", same)
        views.nodes.append(View(name, access.tensor, access.indices[:-1], start, coefficient))
        views.replaced[access] = Read(name, (span.index,))
    body = tuple(_replaced(node, views.replaced) for node in body)
    if span.start != ZERO:
        body = tuple(shifted(node, span, set(views.replaced.values())) for node in body)
    stop = simplified(subtract(span.stop, span.start), tensors.facts) if span.start != ZERO else span.stop
    return (*views.nodes, Loop(span.index, ZERO, stop, body))


def _stride(span: Span, body: tuple[Node, ...], tensors: Tensors) -> Expr | None:
    """The one parameter that is the step of some row."""
    found: dict[Expr, None] = {}
    for access in _accesses(body, tensors):
        row = _row(access, span.index, tensors)
        if row is not None and isinstance(row[0], Parameter):
            found[row[0]] = None
    return next(iter(found)) if len(found) == 1 else None


def _row(access: Read, index: Index, tensors: Tensors) -> tuple[Expr, Expr] | None:
    """Step and start of the row that an access walks: its last position is `step*index + start`, all others fixed."""
    if not access.indices or any(contains(i, index) for i in access.indices[:-1]):
        return None
    taken = linear(normal(access.indices[-1], tensors.facts), index)
    if taken is None or not positive(taken[0], tensors.facts):
        return None
    return as_expr(taken[0]), as_expr(taken[1])


def _accesses(body: Iterable[Node], tensors: Tensors) -> Iterator[Read]:
    """What the body reads and writes whatever the conditions in it are."""
    for node in body:
        match node:
            case Store(tensor, indices, value):
                yield Read(tensor, indices)
                yield from _certain(value, tensors)
            case Update(tensor, indices, _, value):
                yield Read(tensor, indices)
                yield from _certain(value, tensors)
            case Assign(_, value, _) | Accumulate(_, _, value) | Track(_, _, _, value, _, _):
                yield from _certain(value, tensors)


def _certain(expr: Expr, tensors: Tensors) -> Iterator[Read]:
    """The reads that may be done whatever the conditions are: those outside of choices, and those inside anyway."""
    if isinstance(expr, Read):
        yield from (r for i in expr.indices for r in _certain(i, tensors))
        yield expr
    elif isinstance(expr, Where):
        yield from _certain(expr.condition, tensors)
        yield from _harmless((expr.then, expr.other), tensors)
    elif isinstance(expr, Logic) and expr.arguments:
        yield from _certain(expr.arguments[0], tensors)
        yield from _harmless(expr.arguments[1:], tensors)  # these are looked at only if the first does not decide
    else:
        for part in parts(expr):
            yield from _certain(part, tensors)


def _harmless(choices: Iterable[Expr], tensors: Tensors) -> Iterator[Read]:
    """The reads of expressions that may not be reached, as far as they stay inside their arrays anyway."""
    for choice in choices:
        for read in _certain(choice, tensors):
            if read.tensor not in tensors.axes or not tensors.inside(read):
                yield read


def _fixed_reads(body: tuple[Node, ...], index: Index, tensors: Tensors) -> tuple[Read, ...]:
    """The reads that give the same element at every turn, of arrays that the loop does not write."""
    nodes = tuple(walk_nodes(body))
    written = {n.tensor for n in nodes if isinstance(n, Store | Update)}
    written |= {n.name for n in nodes if isinstance(n, Assign)}
    found: dict[Read, None] = {}
    targets = {Read(n.tensor, n.indices) for n in nodes if isinstance(n, Store | Update)}
    for read in _accesses(body, tensors):
        inner = any(isinstance(e, Read) for i in read.indices for e in walk(i))
        if read in targets or read.tensor in written or inner or contains(read, index):
            continue
        found[read] = None
    return tuple(found)


def _replaced(node: Node, mapping: dict[Read, Expr]) -> Node:
    """The node with reads replaced; a target of a store is replaced as a read of it would be."""

    def move(expr: Expr) -> Expr:
        if isinstance(expr, Read) and expr in mapping:
            return mapping[expr]
        return rebuild(expr, tuple(move(p) for p in parts(expr)))

    return mapped(node, move)


def mapped(node: Node, move: Callable[[Expr], Expr]) -> Node:
    """The node with `move` applied to each of its expressions; a target moves as a read of it would."""
    match node:
        case Test(condition, body, other):
            then, otherwise = (tuple(mapped(n, move) for n in nodes) for nodes in (body, other))
            return Test(move(condition), then, otherwise)
        case Assign(name, value, kind):
            return Assign(name, move(value), kind)
        case Accumulate(name, operation, value):
            return Accumulate(name, operation, move(value))
        case Track(_, _, _, value, place, _):
            return replace(node, value=move(value), place=move(place))
        case Store(tensor, indices, value):
            target = move(Read(tensor, indices))
            return Store(target.tensor, target.indices, move(value)) if isinstance(target, Read) else node
        case Update(tensor, indices, operation, value):
            target = move(Read(tensor, indices))
            return Update(target.tensor, target.indices, operation, move(value)) if isinstance(target, Read) else node
        case _:
            return node


def shifted(node: Node, span: Span, rows: set[Expr]) -> Node:
    """The node with the index counted from the start of the span, but for the rows, which start there."""
    actual = add(span.start, span.index)

    def move(expr: Expr) -> Expr:
        if isinstance(expr, Read) and expr in rows:
            return expr
        if expr == span.index:
            return actual
        return rebuild(expr, tuple(move(p) for p in parts(expr)))

    return mapped(node, move)
