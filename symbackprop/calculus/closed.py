"""The closed form: the staged gradients put into one formula, and the identities that make it short."""

from __future__ import annotations

from collections.abc import Sequence

from symbackprop.calculus.cost import cost
from symbackprop.calculus.derivation import Gradient, Stage, Step
from symbackprop.calculus.identities import common_factor, definitions_put_back, tidy, vanishing_sums
from symbackprop.calculus.integer import Facts
from symbackprop.calculus.reverse import inlined
from symbackprop.notation.layer import Definition, Layer
from symbackprop.notation.nodes import Expr, Read, walk

LARGEST = 600  # nodes; a formula beyond this is no closed form that anyone would read


def closed_form(layer: Layer, final: Stage, before: Sequence[Stage], facts: Facts) -> Stage | None:
    """The closed form of one input's gradient, or None where it would not be cheaper than the stages.

    Needs: the stage of the input and the stages of the intermediates. Keeps: the value. Gives: one formula in the
    tensors of the forward pass and the gradients of the outputs.
    """
    start = final.gradient.gather
    used = _used(start, before) if start else []
    if start is None or not used:
        return None
    target = start.element
    steps: list[Step] = []
    gathers = {s.gradient.name: s.gradient.gather for s in used if s.gradient.gather is not None}
    expr = start.body
    for definition in gathers.values():
        expr = _record(
            steps,
            target,
            expr,
            inlined(expr, {definition.name: definition}, start.indices),
            "substitution",
            f"the gradient of {_tensor(definition.name, used)} put in",
        )
        if _nodes(expr) > LARGEST:
            return None
    expr = shorter(layer, target, expr, steps, facts)
    if cost(expr) >= cost(start.body, *(g.body for g in gathers.values())):
        return None
    return Stage(
        Gradient(final.gradient.tensor, start.indices, Definition(start.name, start.indices, expr), ()), tuple(steps)
    )


def _nodes(expr: Expr) -> int:
    return sum(1 for _ in walk(expr))


def _tensor(name: str, used: Sequence[Stage]) -> str:
    return next(s.gradient.tensor for s in used if s.gradient.name == name)


def _used(start: Definition, before: Sequence[Stage]) -> list[Stage]:
    """The stages that a formula reads, directly or through others, those nearest to the input first."""
    used: list[Stage] = []
    names = {e.tensor for e in walk(start.body) if isinstance(e, Read)}
    for stage in reversed(before):
        if stage.gradient.name in names and stage.gradient.gather is not None:
            used.append(stage)
            names |= {e.tensor for e in walk(stage.gradient.gather.body) if isinstance(e, Read)}
    return used


def _record(steps: list[Step], target: Read, before: Expr, after: Expr, rule: str, reason: str) -> Expr:
    if after != before:
        steps.append(Step(target, before, after, rule, reason))
    return after


def shorter(layer: Layer, target: Read, expr: Expr, steps: list[Step], facts: Facts) -> Expr:
    """Apply the identities while they make the expression cheaper; each that applies is a step."""
    expr = _record(
        steps, target, expr, tidy(expr, facts), "constants out of the sum", "like powers and like terms gathered"
    )
    expr = _record(
        steps,
        target,
        expr,
        vanishing_sums(expr, layer, facts),
        "vanishing sum",
        "the deviations from a mean sum to zero",
    )
    while True:
        best, name = expr, ""
        for definition in layer.definitions:
            for candidate in definitions_put_back(expr, definition, facts):
                if cost(candidate) < cost(best):
                    best, name = candidate, definition.name
        if best is expr:
            break
        expr = _record(steps, target, expr, best, "definition recognised", f"the definition of {name} put back")
    factored = tidy(common_factor(expr), facts)
    if _nodes(factored) <= _nodes(expr) + 2:
        expr = _record(steps, target, expr, factored, "common factor", "the common factor taken out")
    return expr
