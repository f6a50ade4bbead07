"""Names for the extents of indices: `range p = (H - R)//stride + 1` gets the size name `P` in the generated code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace as with_fields

from symbackprop.notation.layer import DerivedSize, Layer
from symbackprop.notation.nodes import (
    Arg,
    Expr,
    Index,
    Number,
    Parameter,
    Read,
    Reduce,
    Size,
    parts,
    rebuild,
)
from symbackprop.program.statements import Program, Statement

Extents = Mapping[Expr, Expr]


def all_sizes(layer: Layer) -> tuple[DerivedSize, ...]:
    """The derived sizes of a layer, in declared order, then one for each range whose extent is a formula.

    The new ones are named like their index, in upper case.
    """
    sizes = list(layer.sizes)
    taken = {*layer.names, *(r.index for r in layer.ranges)}
    for one in layer.ranges:
        simple = isinstance(one.extent, Size | Parameter | Number)
        if simple or any(size.value == one.extent for size in sizes):
            continue
        name = one.index.upper() if one.index.upper() not in taken else f"{one.index.upper()}_range"
        while name in taken:
            name += "_"
        taken.add(name)
        sizes.append(DerivedSize(name, one.extent, one.place))
    return tuple(sizes)


def with_named_extents(program: Program) -> Program:
    """The program in which every extent that is the formula of a size is that size's name; its layer is kept."""
    extents = {size.value: Size(size.name) for size in all_sizes(program.layer)}
    if not extents:
        return program
    return with_fields(
        program,
        forward=tuple(_statement(s, extents) for s in program.forward),
        backward=tuple(_statement(s, extents) for s in program.backward),
        conditions=tuple(name_extents(c, extents) for c in program.conditions),
    )


def _statement(statement: Statement, extents: Extents) -> Statement:
    return with_fields(
        statement,
        indices=tuple(_index(i, extents) for i in statement.indices),
        bound=tuple(_index(i, extents) for i in statement.bound),
        body=name_extents(statement.body, extents),
        result=name_extents(statement.result, extents),
        positions=tuple(name_extents(p, extents) for p in statement.positions),
    )


def _index(index: Index, extents: Extents) -> Index:
    return Index(index.name, name_extents(index.extent, extents), index.copy)


def name_extents(expr: Expr, extents: Extents) -> Expr:
    """`expr` with every formula of a size replaced by the size, in the extents of its indices too."""
    if expr in extents:
        return extents[expr]
    if isinstance(expr, Index):
        return _index(expr, extents)
    if isinstance(expr, Reduce | Arg):
        inner = name_extents(expr.body, extents)
        return type(expr)(expr.operation, tuple(_index(i, extents) for i in expr.indices), inner)
    if isinstance(expr, Read):
        return Read(expr.tensor, tuple(name_extents(i, extents) for i in expr.indices))
    return rebuild(expr, tuple(name_extents(part, extents) for part in parts(expr)))
