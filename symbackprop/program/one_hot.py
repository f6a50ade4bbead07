"""One-hot terms apart: `g[n,k] = a[n,k] + where(k == t[n], b[n], 0)` is `g[n,k] = a[n,k]`, then `g[n, t[n]] += b[n]`.

The condition holds at one place of each row, and array statements would test it at all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as with_fields

from symbackprop.notation import printer
from symbackprop.notation.binding import free_indices, substitute
from symbackprop.notation.nodes import ZERO, Add, Compare, Expr, Index, Mul, Read, Where, add, mul, walk
from symbackprop.program.statements import Statement


@dataclass(frozen=True, slots=True)
class _Term:
    """`value` where `index == place`, 0 elsewhere."""

    index: Index
    place: Expr
    value: Expr


def apart(statement: Statement) -> tuple[Statement, ...]:
    """The statements in place of one: itself, or a map of what is left and a scatter for each one-hot term.

    Needs: a map. Keeps: its values. Gives: terms whose value does not depend on the index that the condition settles.
    """
    if statement.kind != "map":
        return (statement,)
    rest, terms = _split(statement.body, statement.indices)
    if not terms:
        return (statement,)
    scatters = tuple(_scatter(statement, term) for term in terms)
    if rest == ZERO:
        return scatters
    text = f"{printer.expression(statement.element)} = {printer.expression(rest)}"
    return with_fields(statement, body=rest, comment=text), *scatters


def _split(expr: Expr, scope: tuple[Index, ...]) -> tuple[Expr, list[_Term]]:
    """The expression without its one-hot terms, and those terms."""
    match expr:
        case Where(Compare("==", left, right), then, other) if other == ZERO:
            term = _term(left, right, then, scope) or _term(right, left, then, scope)
            return (ZERO, [term]) if term is not None else (expr, [])
        case Add(parts):
            found = [_split(part, scope) for part in parts]
            return add(*(rest for rest, _ in found)), [term for _, terms in found for term in terms]
        case Mul(factors):
            return _of_product(expr, factors, scope)
        case _:
            return expr, []


def _of_product(expr: Mul, factors: tuple[Expr, ...], scope: tuple[Index, ...]) -> tuple[Expr, list[_Term]]:
    for at, factor in enumerate(factors):
        rest, terms = _split(factor, scope)
        if not terms:
            continue
        others = (*factors[:at], *factors[at + 1 :])
        if any(term.index in free_indices(other) for term in terms for other in others):
            break
        return mul(*others, rest), [_Term(t.index, t.place, mul(*others, t.value)) for t in terms]
    return expr, []


def _term(index: Expr, place: Expr, value: Expr, scope: tuple[Index, ...]) -> _Term | None:
    if not isinstance(index, Index) or index not in scope or index in (*free_indices(place), *free_indices(value)):
        return None
    return _Term(index, place, value) if any(isinstance(e, Read) for e in walk(place)) else None


def _scatter(statement: Statement, term: _Term) -> Statement:
    domain = tuple(i for i in statement.indices if i != term.index)
    positions = tuple(substitute(i, {term.index: term.place}) for i in statement.indices)
    text = f"{printer.expression(Read(statement.target, positions))} += {printer.expression(term.value)}"
    indices = tuple(Index(f"i{at}", i.extent) for at, i in enumerate(statement.indices))
    return Statement(
        "scatter",
        statement.target,
        indices,
        domain,
        term.value,
        Read(statement.target, indices),
        positions,
        statement.wanted_by,
        text,
    )
