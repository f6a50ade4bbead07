"""The plan of a layer's kernels in words: what is computed, what is kept, and what shares a pass over memory."""

from __future__ import annotations

from collections.abc import Iterator

from symbackprop.calculus.derivation import Derivation
from symbackprop.emit.costs import cost_lines, traffic
from symbackprop.emit.header import wrapped
from symbackprop.loops.kernel import Kernel, Nest, Pass
from symbackprop.notation.nodes import Index
from symbackprop.notation.printer import expression
from symbackprop.program.statements import Program, Statement

KINDS = {"map": "element by element", "scatter": "each term to its element"}


def plan_text(derivation: Derivation, program: Program, kernel: Kernel) -> str:
    """The form of each gradient, the array statements of a program, then the loops of a kernel, then the costs."""
    layer = program.layer
    lines = [f"Plan of {layer.name}", "=" * len(f"Plan of {layer.name}"), "", *_gradients(derivation, program)]
    lines += ["Array statements (numpy)", ""]
    lines += _statements("forward", program.forward)
    lines += [f"saved      {', '.join(program.saved) or 'nothing'}", ""]
    lines += _statements("backward", program.backward)
    lines += ["Loops (numba); the statements of one nest share a pass over memory", ""]
    lines += _nests("forward", kernel.forward)
    lines += [f"saved      {', '.join(kernel.program.saved) or 'nothing'}", ""]
    lines += _nests("backward", kernel.backward)
    return "\n".join([*lines, "Costs", "", *(f"    {line}" for line in cost_lines(program))]) + "\n"


def _gradients(derivation: Derivation, program: Program) -> Iterator[str]:
    """Whether each gradient is gathered or scattered, and why."""
    scattered = {s.target for s in program.backward if s.kind == "scatter"}
    yield from ("Gradients", "")
    for gradient in derivation.backward():
        if gradient.gather is None:
            form = f"scattered, each term to its element: {gradient.why}"
        elif gradient.name in scattered:
            form = "gathered in loops; scattered in array statements: slices with a stride need no divisibility test"
        else:
            form = "gathered, each element a sum of what reaches it"
        yield wrapped(f"{gradient.name}: {form}", "    ")
    yield ""


def _statements(title: str, statements: tuple[Statement, ...]) -> Iterator[str]:
    yield title
    for number, statement in enumerate(statements, start=1):
        kind = KINDS.get(statement.kind, statement.kind)
        over = f" over {_names(statement.bound)}" if statement.bound else ""
        yield f"    {number}. {statement.target}: {kind}{over}{_wanted(statement.wanted_by)}"
        if statement.comment:
            yield wrapped(statement.comment, "       ")
    yield ""


def _nests(title: str, one: Pass) -> Iterator[str]:
    yield title
    for number, nest in enumerate(one.nests, start=1):
        yield f"    {number}. parallel over {_names(nest.parallel) or 'nothing'}{_wanted(nest.wanted_by)}"
        for equation in nest.equations:
            yield wrapped(equation, "       ")
        yield f"       {_moves(nest)}"
    yield ""


def _moves(nest: Nest) -> str:
    """The passes over memory of a nest, and how many elements they move."""
    listed = ", ".join(f"{access.kind} {access.tensor}" for access in nest.traffic)
    return f"moves {traffic(access.axes for access in nest.traffic)}: {listed}"


def _names(indices: tuple[Index, ...]) -> str:
    return ", ".join(expression(index) for index in indices)


def _wanted(inputs: tuple[str, ...]) -> str:
    return f" (for {', '.join(f'grad_{name}' for name in inputs)})" if inputs else ""
