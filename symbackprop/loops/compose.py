"""Maps of the elements of a sum of products, written into the statement of the sum.

A contraction ends with `min(max(scale*factor*sum + term, low), high)` for each element that it stores. Where nothing
is kept for backward, an affine map of its sum (a bias, batch normalisation with given statistics) and bounds (ReLU)
need no pass of their own. What the factor and the term are made of has fewer indices and is computed before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from symbackprop.loops.absorb import absorbed, only_reader
from symbackprop.loops.contraction import contraction
from symbackprop.loops.tensors import Tensors
from symbackprop.notation import printer
from symbackprop.notation.binding import free_indices, substitute
from symbackprop.notation.nodes import ONE, ZERO, Add, Call, Expr, Index, Mul, Read, add, mul, rebuild, walk
from symbackprop.program.names import FreshNames
from symbackprop.program.plan import live
from symbackprop.program.statements import Program, Statement


def without_keeping(program: Program) -> Program | None:
    """The forward pass of a program that keeps nothing, with maps in the sums that they are of; None if there are none.

    Needs: a program whose extents are named. Keeps: the values of the outputs.
    """
    outputs = frozenset(program.layer.outputs)
    forward = absorbed(live(program.forward, outputs), outputs)
    names = FreshNames(program.layer, (s.target for s in (*program.forward, *program.backward)))
    alone = replace(program, forward=forward, backward=(), saved=())
    found = alone
    for statement in forward:
        found = _with_its_map(found, statement, outputs, names)
    return None if found is alone else found


def _with_its_map(program: Program, statement: Statement, kept: frozenset[str], names: FreshNames) -> Program:
    """The program with the only map of a sum's elements in its place, if that is a contraction still."""
    if statement.kind != "sum" or statement.target in kept:
        return program
    if contraction(statement, Tensors.of(program)) is None:
        return program
    reader = only_reader(statement, program.forward)
    made = None if reader is None else _composed(statement, reader, names)
    if reader is None or made is None:
        return program
    at = program.forward.index(reader)
    trial = (*program.forward[:at], *made, *program.forward[at + 1 :])
    composed = replace(program, forward=tuple(s for s in trial if s is not statement))
    return program if contraction(made[-1], Tensors.of(composed)) is None else composed


def _composed(statement: Statement, reader: Statement, names: FreshNames) -> tuple[Statement, ...] | None:
    """The sum with the target and the result of the map that reads it, after what its factor and term are."""
    read = next(e for e in walk(reader.body) if isinstance(e, Read) and e.tensor == statement.target)
    moved: dict[Expr, Expr] = dict(zip(statement.indices, read.indices, strict=True))
    if set(free_indices(reader.body)) & set(statement.bound):
        return None
    own = reader.element
    inner = substitute(substitute(statement.result, moved), {read: own})
    ends = _split(substitute(reader.body, {read: inner}), own)
    if ends is None:
        return None
    before: list[Statement] = []
    factor = _element(ends.factor, reader.indices, names, before)
    term = _element(ends.term, reader.indices, names, before)
    result = ends.around(add(mul(factor, own), term))
    body = substitute(statement.body, moved)
    return (*before, replace(statement, target=own.tensor, indices=reader.indices, body=body, result=result,
                             comment=f"{statement.comment}; {reader.comment}"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Ends:
    """`around(factor*sum + term)`, where `bounds` are the calls around it, the outermost first."""

    factor: Expr
    term: Expr
    bounds: tuple[tuple[Call, int], ...] = ()

    def around(self, expr: Expr) -> Expr:
        for call, at in reversed(self.bounds):
            expr = rebuild(call, (*call.arguments[:at], expr, *call.arguments[at + 1 :]))
        return expr


def _split(expr: Expr, element: Read) -> _Ends | None:
    """Factor and term of an affine map of the element, inside of functions that may be bounds."""
    if isinstance(expr, Call):
        moving = [at for at, a in enumerate(expr.arguments) if _has(a, element)]
        inner = _split(expr.arguments[moving[0]], element) if len(moving) == 1 else None
        return None if inner is None else replace(inner, bounds=((expr, moving[0]), *inner.bounds))
    found = _affine(expr, element)
    return None if found is None else _Ends(*found)


def _affine(expr: Expr, element: Read) -> tuple[Expr, Expr] | None:
    """Factor and term of `factor*element + term`, or None where the expression is not of that kind."""
    if not _has(expr, element):
        return ZERO, expr
    match expr:
        case Read():
            return ONE, ZERO
        case Add(terms):
            found = [_affine(t, element) for t in terms]
            if any(f is None for f in found):
                return None
            pairs = [f for f in found if f is not None]
            return add(*(f for f, _ in pairs)), add(*(t for _, t in pairs))
        case Mul(factors):
            moving = [f for f in factors if _has(f, element)]
            inner = _affine(moving[0], element) if len(moving) == 1 else None
            rest = mul(*(f for f in factors if not _has(f, element)))
            return None if inner is None else (mul(inner[0], rest), mul(inner[1], rest))
        case _:
            return None


def _element(expr: Expr, scope: tuple[Index, ...], names: FreshNames, before: list[Statement]) -> Expr:
    """`expr`, or an element of a tensor that is computed before, if that has fewer indices than `scope`."""
    reads = [e for e in walk(expr) if isinstance(e, Read)]
    indices = tuple(i for i in scope if i in free_indices(expr))
    if not reads or isinstance(expr, Read) or indices == scope:
        return expr
    name = names.of(expr)
    element = Read(name, indices)
    text = f"{printer.expression(element)} = {printer.expression(expr)}"
    before.append(Statement("map", name, indices, (), expr, element, comment=text))
    return element


def _has(expr: Expr, element: Read) -> bool:
    return any(e == element for e in walk(expr))


__all__ = ["without_keeping"]
