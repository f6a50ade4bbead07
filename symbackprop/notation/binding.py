"""Binders: which indices are free, fresh copies, and substitution that never captures.

A bound index belongs to its reduction alone. `substitute` renames bound indices that a replacement
would collide with; `same` compares up to the names of bound indices. These few functions are the only
ones that look inside a binder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from symbackprop.notation.nodes import Arg, Expr, Index, Reduce, parts, rebuild


def free_indices(expr: Expr) -> tuple[Index, ...]:
    """The indices that are free in `expr`, each once, in the order in which they first stand."""
    found: dict[Index, None] = {}
    _collect(expr, frozenset(), found)
    return tuple(found)


def _collect(expr: Expr, bound: frozenset[Index], found: dict[Index, None]) -> None:
    if isinstance(expr, Index):
        if expr not in bound:
            found[expr] = None
        return
    if isinstance(expr, Reduce | Arg):
        bound = bound | frozenset(expr.indices)
    for part in parts(expr):
        _collect(part, bound, found)


def fresh(index: Index, taken: Iterable[Index]) -> Index:
    """The copy of `index` with the fewest primes whose printed name is not taken."""
    names = {(i.name, i.copy) for i in taken}
    copy = index.copy
    while (index.name, copy) in names:
        copy += 1
    return Index(index.name, index.extent, copy)


def without_primes(indices: tuple[Index, ...]) -> tuple[Index, ...]:
    """The indices as they are first written, where their names differ."""
    if len({i.name for i in indices}) < len(indices):
        return indices
    return tuple(Index(i.name, i.extent) for i in indices)


def substitute(expr: Expr, mapping: Mapping[Any, Expr]) -> Expr:
    """Replace free indices (and other leaves: sizes, parameters) by expressions, without capture.

    Needs: keys that are leaves, or expressions of which nothing is bound where they stand: the outermost are replaced.
    Keeps: the meaning of every binder. Gives: the same object if nothing changed.
    """
    if not mapping:
        return expr
    if expr in mapping:
        return mapping[expr]
    if isinstance(expr, Reduce | Arg):
        return _under_binder(expr, mapping)
    return rebuild(expr, tuple(substitute(part, mapping) for part in parts(expr)))


def _under_binder(expr: Reduce | Arg, mapping: Mapping[Any, Expr]) -> Expr:
    inside = set(free_indices(expr.body))
    live = {k: v for k, v in mapping.items() if k not in expr.indices and (not isinstance(k, Index) or k in inside)}
    if not live:
        return expr
    incoming = {i for value in live.values() for i in free_indices(value)}
    renamed: dict[Index, Index] = {}
    for index in expr.indices:
        if (index.name, index.copy) in {(i.name, i.copy) for i in incoming}:
            renamed[index] = fresh(index, incoming | inside | set(expr.indices) | set(renamed.values()))
    body = substitute(expr.body, {**live, **renamed})
    indices = tuple(renamed.get(i, i) for i in expr.indices)
    if body is expr.body and indices == expr.indices:
        return expr
    return type(expr)(expr.operation, indices, body)


def rename_bound(expr: Expr, taken: Iterable[Index]) -> Expr:
    """`expr` with every bound index renamed that collides with `taken` or with another binder on its path."""
    return _rename(expr, tuple(taken))


def _rename(expr: Expr, taken: tuple[Index, ...]) -> Expr:
    if not isinstance(expr, Reduce | Arg):
        return rebuild(expr, tuple(_rename(part, taken) for part in parts(expr)))
    chosen: list[Index] = []
    for index in expr.indices:
        chosen.append(fresh(index, (*taken, *chosen)))
    body = expr.body
    moved = {a: b for a, b in zip(expr.indices, chosen, strict=True) if a != b}
    # a rename may not collide with another index that is free in the body
    if moved:
        body = substitute(body, moved)
    body = _rename(body, (*taken, *chosen))
    return type(expr)(expr.operation, tuple(chosen), body)


def canonical(expr: Expr) -> Expr:
    """`expr` with bound indices named by their depth: equal for expressions that differ in bound names only."""
    return _canonical(expr, 0)


def _canonical(expr: Expr, depth: int) -> Expr:
    if not isinstance(expr, Reduce | Arg):
        return rebuild(expr, tuple(_canonical(part, depth) for part in parts(expr)))
    named = tuple(Index(f"_{depth + at}", i.extent) for at, i in enumerate(expr.indices))
    body = substitute(expr.body, dict(zip(expr.indices, named, strict=True)))
    return type(expr)(expr.operation, named, _canonical(body, depth + len(named)))


def same(left: Expr, right: Expr) -> bool:
    """Equal up to the names of bound indices."""
    return left == right or canonical(left) == canonical(right)
