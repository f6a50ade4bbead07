"""What a pass has to do at the least, counted in its equations: floating-point operations and bytes."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from symbackprop.analysis.costs import costs, gradient_multiply_adds
from symbackprop.check.point import Point
from symbackprop.notation.nodes import Read, walk
from symbackprop.program.statements import Program, Statement


def operations(point: Point, wrt: tuple[str, ...]) -> int:
    """Two for each multiply-add of the forward pass, or of the gradients of `wrt`; 0 where there is none."""
    layer = point.layer
    return 2 * (gradient_multiply_adds(layer, point, wrt) if wrt else costs(layer, point).multiply_adds)


def elements(program: Program, point: Point, wrt: tuple[str, ...]) -> int:
    """The elements that a pass reads and writes at least once.

    Forward: inputs and outputs. Gradients: what the planned statements read of the saved arrays and of the gradients
    that come in, and the gradients that go out.
    """
    if not wrt:
        return costs(point.layer, point).moved
    needed = _needed(program, {f"grad_{name}" for name in wrt})
    read = {e.tensor for s in needed for e in (*walk(s.body), *walk(s.result)) if isinstance(e, Read)}
    incoming = [point.shape(name) for name in point.layer.outputs if f"grad_{name}" in read]
    saved = [_shape(program, point, name) for name in program.saved if name in read]
    return sum(map(prod, (*incoming, *saved, *(point.shape(name) for name in wrt))))


def _needed(program: Program, targets: set[str]) -> list[Statement]:
    """The statements of the backward pass that the targets follow from."""
    found: list[Statement] = []
    for statement in reversed(program.backward):
        if statement.target in targets:
            found.append(statement)
            nodes = (*walk(statement.body), *walk(statement.result), *_all(statement.positions))
            targets = targets | {e.tensor for e in nodes if isinstance(e, Read)}
    return found


def _all(positions: Iterable[object]) -> list[object]:
    return [node for position in positions for node in walk(position)]  # type: ignore[arg-type]


def _shape(program: Program, point: Point, name: str) -> tuple[int, ...]:
    """The shape of an input, of a definition, or of what the planner computes once."""
    for statement in program.forward:
        if statement.target == name:
            return tuple(point.extent(index.extent) for index in statement.indices)
    return point.shape(name)
