"""Operations and memory traffic of a program, as formulas in its sizes."""

from __future__ import annotations

from collections.abc import Iterable

from symbackprop.emit.spelling import integer
from symbackprop.notation.nodes import Add, Call, Expr, Index, Mul, Number, Pow, Where, add, mul, number, parts
from symbackprop.program.statements import Program, Statement

Costs = dict[tuple[Expr, ...], int]


def operations(statements: Iterable[Statement]) -> str:
    """The arithmetic operations of the statements: the size of each domain times the operations at each point.

    An addition, a product, a comparison or a function counts as one; index arithmetic is not counted.
    """
    total: Costs = {}
    for s in statements:
        inner = _count(s.body) + (1 if s.kind != "map" else 0)
        _tally(total, (*s.indices, *s.bound) if s.kind != "scatter" else s.bound, inner)
        if s.kind not in ("map", "scatter"):
            _tally(total, s.indices, _count(s.result))
    return formula(total)


def _tally(total: Costs, indices: tuple[Index, ...], count: int) -> None:
    box = tuple(sorted((i.extent for i in indices if i.extent != number(1)), key=repr))
    if count:
        total[box] = total.get(box, 0) + count


def _count(expr: Expr) -> int:
    here = 0
    match expr:
        case Add(terms):
            here = len(terms) - 1
        case Mul(factors):
            here = len(factors) - 1 - (1 if isinstance(factors[0], Number) and abs(factors[0].value) == 1 else 0)
        case Pow() | Call():
            here = 1
        case Where(_, then, other):
            return 1 + _count(then) + _count(other)
        case _:
            return 0
    return here + sum(_count(part) for part in parts(expr))


BYTES = 4  # of an element in float32; integers count alike


def traffic(arrays: Iterable[tuple[Expr, ...]]) -> str:
    """The bytes of float32 arrays of these axes together: 4 times the product of the axes of each, added up."""
    total: Costs = {}
    for axes in arrays:
        box = tuple(sorted((e for e in axes if e != number(1)), key=repr))
        total[box] = total.get(box, 0) + BYTES
    return formula(total)


def formula(total: Costs) -> str:
    """The sum of count times sizes, largest domains first."""
    ordered = sorted(total.items(), key=lambda item: -len(item[0]))
    terms = [mul(number(count), *box) for box, count in ordered]
    return integer(add(*terms)) if terms else "0"


def cost_lines(program: Program) -> list[str]:
    """Lines for the module's docstring: operations, and the bytes that must at least be moved in float32."""
    layer = program.layer
    inputs = [layer.axes(t.name) for t in layer.inputs]
    outputs = [layer.axes(name) for name in layer.outputs]
    forward = [*inputs, *outputs]
    saved = [layer.axes(name) for name in program.saved if name in layer.tensors]
    backward = [*saved, *outputs, *(layer.axes(t.name) for t in layer.real_inputs)]
    return [
        f"operations        forward {operations(program.forward)}",
        f"                  backward {operations(program.backward)}",
        f"float32 bytes     forward at least {traffic(forward)}",
        f"                  backward at least {traffic(backward)}",
    ]
