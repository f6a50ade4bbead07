"""The plan of a layer's kernels in words: what is computed, what is kept, and what shares a pass over memory."""

from __future__ import annotations

from collections.abc import Iterator

from symbackprop.calculus.derivation import Derivation
from symbackprop.emit.costs import cost_lines, traffic
from symbackprop.emit.header import wrapped
from symbackprop.loops.kernel import Kernel, Nest, Pass
from symbackprop.notation.nodes import Call, Index, walk
from symbackprop.notation.printer import expression
from symbackprop.program.forms import cheap
from symbackprop.program.statements import Program, Statement

KINDS = {"map": "element by element", "scatter": "each term to its element"}

COUNTED = [
    "",
    "    An operation is an addition, a product, a comparison or a function at one point of a statement. Bytes are",
    "    4 for each element of an array, as float32 has; at least: each input, saved tensor, output and gradient once.",
]


def plan_text(derivation: Derivation, program: Program, kernel: Kernel) -> str:
    """The form of each gradient, the array statements of a program, then the loops of a kernel, then the costs."""
    layer = program.layer
    lines = [f"Plan of {layer.name}", "=" * len(f"Plan of {layer.name}"), "", *_gradients(derivation, program)]
    lines += ["Array statements (numpy)", ""]
    lines += _statements("forward", program.forward)
    lines += [*_kept(program), ""]
    lines += _statements("backward", program.backward)
    lines += ["Loops (numba); the statements of one nest share a pass over memory", ""]
    lines += _nests("forward", kernel.forward)
    lines += [*_kept(kernel.program), ""]
    if kernel.alone is not None:
        lines += _nests("forward where nothing is kept (keep=False)", kernel.alone)
    lines += _nests("backward", kernel.backward)
    return "\n".join([*lines, "Costs", "", *(f"    {line}" for line in cost_lines(program)), *COUNTED]) + "\n"


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


def _kept(program: Program) -> Iterator[str]:
    """What the forward pass saves and the backward pass computes again, each with the rule that decides it."""
    yield f"saved      {', '.join(program.saved) or 'nothing'}"
    made = {s.target: s for s in program.forward}
    for name in program.saved:
        yield f"           {name}: {_why_saved(name, made.get(name), program)}"
    for name in dict.fromkeys(s.target for s in program.backward if s.target in made):
        yield f"           {name} is computed again: sums, products and powers of what is at hand, and no memory held"


def _why_saved(name: str, statement: Statement | None, program: Program) -> str:
    if statement is None:
        return "an input that the backward pass reads"
    if name in program.layer.outputs:
        return "an output that the backward pass reads"
    if statement.kind != "map":
        return "to compute it again is a pass over what it reduces"
    if any(isinstance(e, Call) for e in walk(statement.body)):
        return "to compute it again costs its function at every element"
    if not cheap(statement.body):
        return "to compute it again costs a quotient, a root or a choice at every element"
    return "to compute it again would keep other tensors as large in its place"


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
        yield from (f"       {new} takes the place of {old} in memory" for old, new in nest.taken)
    yield ""


def _moves(nest: Nest) -> str:
    """The passes over memory of a nest, and how many bytes they move in float32."""
    listed = ", ".join(f"{access.kind} {access.tensor}" for access in nest.traffic)
    return f"moves {traffic(access.axes for access in nest.traffic)} bytes: {listed}"


def _names(indices: tuple[Index, ...]) -> str:
    return ", ".join(expression(index) for index in indices)


def _wanted(inputs: tuple[str, ...]) -> str:
    return f" (for {', '.join(f'grad_{name}' for name in inputs)})" if inputs else ""
