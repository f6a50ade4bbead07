"""Integer divisions, bounds, and positions that are tested: computed once, where all that they need is known.

A division takes as long as a dozen multiplications, and the compiler may not move it out of a loop by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from symbackprop.loops.inner import mapped
from symbackprop.loops.kernel import Accumulate, Assign, Loop, Node, Test, Track, View, Wanted, expressions, walk_nodes
from symbackprop.notation.binding import substitute
from symbackprop.notation.nodes import (
    ZERO,
    Add,
    Call,
    Clip,
    Compare,
    Expr,
    FloorDiv,
    Index,
    Mod,
    Mul,
    Number,
    Parameter,
    Read,
    Size,
    conjuncts,
    parts,
    walk,
)

NewName = Callable[[str], str]
_INTEGER = (Call, Add, Mul, FloorDiv, Mod, Clip, Index, Size, Parameter, Number)


def hoist(body: tuple[Node, ...], known: Iterable[Index], new_name: NewName) -> tuple[Node, ...]:
    """The body with divisions and tested positions of known indices in locals before it, loop by loop.

    Needs: integer expressions whose divisors are never zero. Keeps: every value.
    """
    local = {n.name for n in walk_nodes(body) if isinstance(n, Assign)}
    return without_unread(_hoist(body, tuple(known), frozenset(local), new_name))


def without_unread(body: tuple[Node, ...], kept: Iterable[str] = ()) -> tuple[Node, ...]:
    """The body without the locals that nothing in it reads, nor `kept` names."""
    while True:
        read = {e.name for n in walk_nodes(body) for x in expressions(n) for e in walk(x) if isinstance(e, Parameter)}
        read |= {e.tensor for n in walk_nodes(body) for x in expressions(n) for e in walk(x) if isinstance(e, Read)}
        read |= {n.name for n in walk_nodes(body) if isinstance(n, Accumulate | Track)} | set(kept)
        read |= {n.best for n in walk_nodes(body) if isinstance(n, Track)}
        left = _assigning(body, read)
        if left == body:
            return body
        body = left


def _assigning(body: tuple[Node, ...], names: set[str]) -> tuple[Node, ...]:
    nodes: list[Node] = []
    for node in body:
        match node:
            case Assign(name, _, _) if name not in names:
                continue
            case Loop() | Wanted():
                nodes.append(replace(node, body=_assigning(node.body, names)))
            case Test():
                nodes.append(replace(node, body=_assigning(node.body, names), other=_assigning(node.other, names)))
            case _:
                nodes.append(node)
    return tuple(nodes)


def _hoist(
    body: tuple[Node, ...], known: tuple[Index, ...], local: frozenset[str], new_name: NewName
) -> tuple[Node, ...]:
    names: dict[Expr, Parameter] = {}
    assigned: list[Node] = []
    for expr, wish in (*_tested(body), *_bounds(body), *_divided(body)):
        if expr in names or not _available(expr, known, local):
            continue
        moved = substitute(expr, names)
        names[expr] = Parameter(new_name(wish), True)
        assigned.append(Assign(names[expr].name, moved, "integer"))
    body = tuple(_renamed(node, names) for node in body)
    return (*assigned, *(_inside(node, known, local, new_name) for node in body))


def _inside(node: Node, known: tuple[Index, ...], local: frozenset[str], new_name: NewName) -> Node:
    match node:
        case Loop(index, _, _, body, _):
            return replace(node, body=_hoist(body, (*known, index), local, new_name))
        case Test(_, body, other):
            return replace(
                node,
                body=tuple(_inside(n, known, local, new_name) for n in body),
                other=tuple(_inside(n, known, local, new_name) for n in other),
            )
        case Wanted(_, body):
            return replace(node, body=tuple(_inside(n, known, local, new_name) for n in body))
        case _:
            return node


def _tested(body: tuple[Node, ...]) -> Iterator[tuple[Expr, str]]:
    """The computed positions that a test of this body compares with an axis, named after the axis."""
    for node in _same_level(body):
        if not isinstance(node, Test):
            continue
        conditions = conjuncts(node.condition)
        for first, second in pairwise(conditions):
            match first, second:
                case Compare("<=", zero, a), Compare("<", b, Size(name)) if zero == ZERO and a == b:
                    if isinstance(a, Add | FloorDiv):
                        yield a, name.lower() if name.lower() != name else f"{name}_at"


def _same_level(body: tuple[Node, ...]) -> Iterator[Node]:
    """The nodes of a body that are reached without entering a loop."""
    for node in body:
        yield node
        match node:
            case Test(_, inner, other):
                yield from _same_level(inner)
                yield from _same_level(other)
            case Wanted(_, inner):
                yield from _same_level(inner)


def _bounds(body: tuple[Node, ...]) -> Iterator[tuple[Expr, str]]:
    """The computed bounds of loops inside the loops of this body, in the loops or in locals before them."""
    for node in _same_level(body):
        if isinstance(node, Loop):
            for inner in walk_nodes(node.body):
                match inner:
                    case Loop(index, start, stop, _, _):
                        yield from (
                            (bound, f"{index.name}_{end}")
                            for bound, end in ((start, "start"), (stop, "stop"))
                            if isinstance(bound, Call)
                        )
                    case Assign(name, Call() as bound, "integer"):
                        yield bound, name


def _divided(body: tuple[Node, ...]) -> Iterator[tuple[Expr, str]]:
    """The divisions that stand inside a loop of this body."""
    for node in _same_level(body):
        if isinstance(node, Loop):
            for inner in walk_nodes((node,)):
                for expr in expressions(inner):
                    yield from ((e, _wish(e)) for e in walk(expr) if isinstance(e, FloorDiv | Mod))


def _wish(expr: Expr) -> str:
    """A name for a quotient or a remainder: `k_over_M`, `c_mod_D`."""
    match expr:
        case FloorDiv(Index(name, _, _), Size(by) | Parameter(by, _)):
            return f"{name}_over_{by}"
        case Mod(Index(name, _, _), Size(by) | Parameter(by, _)):
            return f"{name}_mod_{by}"
        case FloorDiv():
            return "quotient"
        case _:
            return "remainder"


def _available(expr: Expr, known: tuple[Index, ...], local: frozenset[str]) -> bool:
    """Whether an integer expression needs nothing but known indices, sizes and parameters, and one index at least."""
    leaves = [e for e in walk(expr) if not parts(e)]
    if any(isinstance(e, Read) for e in walk(expr)) or not all(isinstance(e, _INTEGER) for e in walk(expr)):
        return False
    if any(isinstance(e, Parameter) and e.name in local for e in leaves):
        return False
    indices = [e for e in leaves if isinstance(e, Index)]
    return bool(indices) and all(i in known for i in indices)


def _renamed(node: Node, names: dict[Expr, Parameter]) -> Node:
    if not names:
        return node

    def move(expr: Expr) -> Expr:
        return substitute(expr, names)

    match node:
        case Loop(_, start, stop, body, _):
            return replace(node, start=move(start), stop=move(stop), body=tuple(_renamed(n, names) for n in body))
        case Test(condition, body, other):
            return Test(
                move(condition), tuple(_renamed(n, names) for n in body), tuple(_renamed(n, names) for n in other)
            )
        case Wanted(inputs, body):
            return Wanted(inputs, tuple(_renamed(n, names) for n in body))
        case View(name, tensor, leading, start, step):
            return View(name, tensor, tuple(move(i) for i in leading), move(start), move(step))
        case _:
            return mapped(node, move)
