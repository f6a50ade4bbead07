"""Scaled functions: where backward reads `e[n,k]` only in `e[n,k]*s[n]` and forward knows `s`, it keeps the product.

Probabilities in place of exponentials and their sums: the rows are scaled once, and not in each backward pass.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from dataclasses import replace as with_fields

from symbackprop.notation import printer
from symbackprop.notation.binding import free_indices, substitute
from symbackprop.notation.nodes import Call, Expr, Index, Mul, Read, mul, rewrite, walk
from symbackprop.program.names import FreshNames
from symbackprop.program.statements import Statement

Statements = list[Statement]


def products_kept(
    forward: Statements, backward: Statements, outer: Collection[str], names: FreshNames
) -> tuple[Statements, Statements]:
    """Both passes, with each such product computed in forward over the memory of the function's values.

    The rule: array statements scale rows in a pass that takes about twice as long as a product of whole tensors or with
    a number. The product is kept where every multiplication of the function's values in backward is by one smaller
    tensor, out of what forward has, and has no other smaller factor: the scaling is then gone from backward. Where
    another smaller factor stays (`grad[n]*s[n]*e[n,k]`), the two are multiplied first and backward scales once
    in any case, so forward is spared the pass.

    Needs: statements in computing order; `outer` are the inputs and outputs. Keeps: the values of every gradient.
    """
    for function in [s for s in forward if s.kind == "map" and isinstance(s.body, Call) and s.target not in outer]:
        found = _scaling(function, forward, backward, outer)
        if found is not None:
            forward, backward = _moved(function, found, forward, backward, names)
    return forward, backward


@dataclass(frozen=True, slots=True)
class _Scaling:
    """The smaller tensor's statement, and at which of the function's axes it is read."""

    statement: Statement
    at: tuple[int, ...]


def _scaling(
    function: Statement, forward: Statements, backward: Statements, outer: Collection[str]
) -> _Scaling | None:
    """The one scaling of a function's values in backward; None where it is not one, or not all that backward reads."""
    known = {*outer, *(s.target for s in forward)}
    small = {s.target: s for s in backward if s.kind == "map" and not s.unsure and _reads(s) <= known}
    found: set[tuple[str, tuple[int, ...]]] = set()
    products = reads = 0
    for expr in (e for s in backward for e in (s.body, s.result, *s.positions)):
        reads += sum(isinstance(e, Read) and e.tensor == function.target for e in walk(expr))
        for product in (e for e in walk(expr) if isinstance(e, Mul)):
            one = next((f for f in product.factors if isinstance(f, Read) and f.tensor == function.target), None)
            if one is None:
                continue
            scale = _only_smaller(product, one)
            if scale is None or scale.tensor not in small:
                return None
            products += 1
            found.add((scale.tensor, tuple(one.indices.index(i) for i in scale.indices)))
    if products != reads or len(found) != 1 or function.unsure:
        return None
    name, at = found.pop()
    rest = (e for s in backward if s.target != name for part in _parts(s) for e in walk(part))
    others = sum(isinstance(e, Read) and e.tensor == name for e in rest)
    return _Scaling(small[name], at) if others == products else None


def _only_smaller(product: Mul, one: Read) -> Read | None:
    """The only factor of fewer indices than the function's values, if it is a tensor; None if there are others."""
    if not _bare(one):
        return None
    mine = set(one.indices)
    smaller = [f for f in product.factors if 0 < len(set(free_indices(f)) & mine) < len(mine) or _apart(f, mine)]
    scale = smaller[0] if len(smaller) == 1 else None
    return scale if isinstance(scale, Read) and _bare(scale) and set(scale.indices) < mine else None


def _apart(factor: Expr, mine: set[Expr]) -> bool:
    free = set(free_indices(factor))
    return bool(free) and not free & mine


def _bare(read: Read) -> bool:
    return all(isinstance(i, Index) for i in read.indices) and len(set(read.indices)) == len(read.indices)


def _moved(
    function: Statement, scaling: _Scaling, forward: Statements, backward: Statements, names: FreshNames
) -> tuple[Statements, Statements]:
    scale = scaling.statement
    indices = {own: function.indices[at] for own, at in zip(scale.indices, scaling.at, strict=True)}
    scale = with_fields(scale, indices=tuple(indices.values()), body=substitute(scale.body, dict(indices)))
    scale = with_fields(scale, result=scale.element, comment=_equation(scale, scale.body))
    body = mul(function.element, scale.element)
    name = names.of(body)
    kept = Statement("map", name, function.indices, (), body, Read(name, function.indices), over=function.target)
    kept = with_fields(kept, comment=_equation(kept, body))
    needed = {function.target} | _reads(scale)
    place = 1 + max(at for at, s in enumerate(forward) if s.target in needed or function.target in _reads(s))
    rest = [_with_product(s, function.target, scale.target, name) for s in backward if s.target != scale.target]
    return [*forward[:place], scale, kept, *forward[place:]], rest


def _equation(statement: Statement, body: Expr) -> str:
    return f"{printer.expression(statement.element)} = {printer.expression(body)}"


def _with_product(statement: Statement, function: str, scale: str, name: str) -> Statement:
    def rule(expr: Expr) -> Expr:
        if not isinstance(expr, Mul):
            return expr
        one = next((f for f in expr.factors if isinstance(f, Read) and f.tensor == function), None)
        if one is None:
            return expr
        rest = [f for f in expr.factors if f != one and not (isinstance(f, Read) and f.tensor == scale)]
        return mul(*rest, Read(name, one.indices))

    body, result, *positions = (rewrite(e, rule) for e in _parts(statement))
    changed = with_fields(statement, body=body, result=result, positions=tuple(positions))
    if changed == statement or statement.kind != "map":
        return changed
    return with_fields(changed, comment=_equation(changed, body))


def _parts(statement: Statement) -> tuple[Expr, ...]:
    return (statement.body, statement.result, *statement.positions)


def _reads(statement: Statement) -> set[str]:
    return {e.tensor for part in _parts(statement) for e in walk(part) if isinstance(e, Read)} - {statement.target}


__all__ = ["products_kept"]
