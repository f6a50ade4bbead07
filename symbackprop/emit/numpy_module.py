"""The NumPy module of a program: every statement vectorised, the call's checks and the object form around them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from symbackprop.calculus.derivation import gradient_name
from symbackprop.emit.call_checks import checked_tables
from symbackprop.emit.header import gradient_argument
from symbackprop.emit.module_parts import module_parts, numbers_imports, refuse_without_real_input, wanted_condition
from symbackprop.emit.numpy_context import Context, context, variable
from symbackprop.emit.numpy_statements import extremum_lines, positions_of, statement_lines
from symbackprop.emit.spelling import RESERVED, Names, identifier
from symbackprop.emit.templating import render
from symbackprop.program.extents import all_sizes, with_named_extents
from symbackprop.program.statements import Program, Statement

PANEL_BYTES = 8 * 2**20  # many products to a block, of rows that are long enough to pay for a call
TILE_BYTES = 2**19  # a few arrays of this size stay in a core's cache
ARRAY_HELPERS = ("_blocks", "_walk", "_padded", "_sum_of_products", "_scatter_add", "_scatter_once", "_kept",
                 "_sigmoid", "_softplus", "_erf")  # fmt: skip


def numpy_module(program: Program) -> str:
    """The text of the module `<layer>.py` for NumPy."""
    refuse_without_real_input(program.layer)
    program = with_named_extents(program)
    forward = _forward(program)
    backward = _backward(program)
    results = {name: f"np.asarray({variable(name)})" for name in program.layer.outputs if not program.layer.axes(name)}
    parts = module_parts(program, "numpy", forward, backward, results)
    code = "\n".join((*forward, *backward))
    used = tuple(h for h in ARRAY_HELPERS if re.search(rf"\b{h}\(", code))
    fields = parts.as_fields() | {
        "imports": _imports(code, parts.helpers),
        "panel_bytes": f"{PANEL_BYTES >> 20} * 2**20" if "_PANEL_BYTES" in code else "",
        "tile_bytes": f"2**{TILE_BYTES.bit_length() - 1}" if "_TILE_BYTES" in code else "",
        "array_helpers": used,
    }
    return render("numpy_module.py.jinja", fields)


def _imports(code: str, helpers: tuple[str, ...]) -> tuple[str, ...]:
    lines = [*numbers_imports(helpers), "from typing import NamedTuple", "", "import numpy as np"]
    if "as_strided(" in code:
        lines.append("from numpy.lib.stride_tricks import as_strided")
    return tuple(lines)


def _forward(program: Program) -> list[str]:
    found = context(program, _names(program), checked_tables(program.layer))
    lines = _blocks(program.forward, found)
    if re.search(r"\bdtype\b", "\n".join(re.sub(r"dtype=", "", line) for line in lines)):
        lines.insert(0, f"dtype = {identifier(program.layer.real_inputs[0].name)}.dtype")
    return lines


def _backward(program: Program) -> list[str]:
    found = context(program, _names(program), checked_tables(program.layer))
    lines: list[str] = []
    done: set[str] = set()
    last = ""
    for statement in program.backward:
        body = statement_lines(statement, found, statement.target not in done)
        done.add(statement.target)
        test = wanted_condition(program.layer, statement.wanted_by)
        if test and test != last:
            lines.append(f"if {test}:")
        lines += [f"    {line}" for line in body] if test else body
        last = test
    return lines + _scalars(program)


def _scalars(program: Program) -> list[str]:
    names = [gradient_name(t.name) for t in program.layer.real_inputs if not t.axes]
    return [f"{name} = None if {name} is None else np.asarray({name})" for name in names]


def _blocks(statements: Iterable[Statement], found: Context) -> list[str]:
    lines: list[str] = []
    waiting = list(statements)
    done: set[str] = set()
    while waiting:
        statement = waiting.pop(0)
        place = next((s for s in waiting if positions_of(s, statement)), None)
        together = extremum_lines(statement, place, found) if place is not None else None
        if together is not None and place is not None:
            waiting.remove(place)
        lines += together if together is not None else statement_lines(statement, found, statement.target not in done)
        done.add(statement.target)
    return lines


def _names(program: Program) -> Names:
    """The names that are taken in a function of the module."""
    layer = program.layer
    targets = (s.target for s in (*program.forward, *program.backward))
    taken = {identifier(n) for n in (*layer.names, *(s.name for s in all_sizes(layer)), *targets)}
    taken |= {gradient_name(n) for n in (*(t.name for t in layer.inputs), *layer.outputs)}
    taken |= {gradient_argument(layer, y) for y in layer.outputs} | {f"want_{t.name}" for t in layer.inputs}
    return Names(taken | set(RESERVED) | set(ARRAY_HELPERS))
