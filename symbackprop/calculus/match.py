"""Finding one expression inside another: matching with index variables, aware of binders and of the order of terms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import permutations

from symbackprop.notation.binding import canonical, free_indices
from symbackprop.notation.nodes import Add, Arg, Expr, Index, Mul, Reduce, Where, conjuncts, parts, rebuild, walk

Binding = dict[Index, Expr]


def match(pattern: Expr, expr: Expr, variables: Sequence[Index]) -> Binding | None:
    """The index expressions for the `variables` that make the pattern equal to `expr`, or None.

    Sums and products match in any order of their terms, reductions in any order of their indices.
    """
    for binding in _matches(pattern, expr, frozenset(variables), {}):
        if all(v in binding for v in variables):
            return {v: binding[v] for v in variables}
    return None


def _matches(pattern: Expr, expr: Expr, variables: frozenset[Index], known: Binding) -> Iterator[Binding]:
    if isinstance(pattern, Index):
        yield from _index(pattern, expr, variables, known)
    elif type(pattern) is type(expr):
        if isinstance(pattern, Add | Mul):
            yield from _any_order(parts(pattern), parts(expr), variables, known)
        elif isinstance(pattern, Reduce | Arg) and isinstance(expr, Reduce | Arg):
            yield from _binder(pattern, expr, variables, known)
        elif not parts(pattern):
            if pattern == expr:
                yield known
        elif _same_head(pattern, expr):
            yield from _in_order(parts(pattern), parts(expr), variables, known)


def _index(pattern: Index, expr: Expr, variables: frozenset[Index], known: Binding) -> Iterator[Binding]:
    if pattern in known:
        if known[pattern] == expr:
            yield known
    elif pattern in variables:
        yield {**known, pattern: expr}
    elif pattern == expr:
        yield known


def _same_head(pattern: Expr, expr: Expr) -> bool:
    """Equal but for the parts: the same function, tensor or comparison."""
    if len(parts(pattern)) != len(parts(expr)):
        return False
    attributes = ("function", "tensor", "operation")
    return all(getattr(pattern, a, None) == getattr(expr, a, None) for a in attributes)


def _in_order(
    patterns: Sequence[Expr], exprs: Sequence[Expr], variables: frozenset[Index], known: Binding
) -> Iterator[Binding]:
    if not patterns:
        yield known
        return
    for binding in _matches(patterns[0], exprs[0], variables, known):
        yield from _in_order(patterns[1:], exprs[1:], variables, binding)


def _any_order(
    patterns: Sequence[Expr], exprs: Sequence[Expr], variables: frozenset[Index], known: Binding
) -> Iterator[Binding]:
    if len(patterns) != len(exprs):
        return
    if not patterns:
        yield known
        return
    for at, expr in enumerate(exprs):
        for binding in _matches(patterns[0], expr, variables, known):
            yield from _any_order(patterns[1:], [*exprs[:at], *exprs[at + 1 :]], variables, binding)


def _binder(
    pattern: Reduce | Arg, expr: Reduce | Arg, variables: frozenset[Index], known: Binding
) -> Iterator[Binding]:
    if pattern.operation != expr.operation or len(pattern.indices) != len(expr.indices):
        return
    any_order = isinstance(expr, Reduce) and len(expr.indices) <= 4  # a position depends on the order
    orders = permutations(expr.indices) if any_order else iter([expr.indices])
    for order in orders:
        if all(p.extent == e.extent for p, e in zip(pattern.indices, order, strict=True)):
            inside: Binding = {**known, **dict(zip(pattern.indices, order, strict=True))}
            for binding in _matches(pattern.body, expr.body, variables, inside):
                outside = {k: v for k, v in binding.items() if k not in pattern.indices or k in known}
                if not any(i in expr.indices for k, v in outside.items() if k in variables for i in free_indices(v)):
                    yield outside


@lru_cache(maxsize=8192)
def form(expr: Expr) -> Expr:
    """Equal for expressions that differ only in the names of bound indices or in the order of factors and terms."""
    return _sorted(canonical(expr)) if any(isinstance(e, Reduce) for e in walk(expr)) else expr


def _sorted(expr: Expr) -> Expr:
    inner = tuple(_sorted(p) for p in parts(expr))
    if isinstance(expr, Add | Mul):
        return type(expr)(tuple(sorted(inner, key=repr)))
    return rebuild(expr, inner)


def replace_matches(
    expr: Expr,
    pattern: Expr,
    variables: Sequence[Index],
    replacement: Callable[[Binding, Sequence[Expr]], Expr | None],
    keep: Sequence[Expr] = (),
    known: tuple[Expr, ...] = (),
) -> Expr:
    """`expr` with every outermost match of the pattern replaced; what matches one of `keep` is left as it stands.

    `replacement` is told the conditions behind which the match stands, and may decline.
    """
    if any(isinstance(expr, type(k)) and match(k, expr, _standing_in(k, variables)) is not None for k in keep):
        return expr
    if isinstance(expr, type(pattern)):
        found = match(pattern, expr, variables)
        put = replacement(found, known) if found is not None else None
        if put is not None:
            return put

    def inside(part: Expr, *conditions: Expr) -> Expr:
        return replace_matches(part, pattern, variables, replacement, keep, (*known, *conditions))

    if isinstance(expr, Where):
        then = inside(expr.then, *conjuncts(expr.condition))
        return rebuild(expr, (inside(expr.condition), then, inside(expr.other)))
    return rebuild(expr, tuple(inside(p) for p in parts(expr)))


def _standing_in(pattern: Expr, variables: Sequence[Index]) -> list[Index]:
    free = free_indices(pattern)
    return [v for v in variables if v in free]
