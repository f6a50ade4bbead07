"""The closed form: gradients of the stages put into one formula, and the identities that make it short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symbackprop.calculus.cost import AXIS, cost
from symbackprop.calculus.derivation import Gradient, Stage, Step
from symbackprop.calculus.identities import common_factor, factors_out, tidy
from symbackprop.calculus.integer import Facts
from symbackprop.calculus.match import form
from symbackprop.calculus.recognition import definitions_put_back, vanishing_sums
from symbackprop.calculus.reverse import inlined
from symbackprop.notation.layer import Definition, Layer
from symbackprop.notation.nodes import Expr, Read, walk

LARGEST = 400  # nodes; a formula beyond this is no closed form that anyone would read
HOPELESS = 3  # a formula this many times dearer than its stages (a contraction inside another) is not pursued
NEAREST = 5  # how many of the stages before one are tried without those before them


def closed_forms(layer: Layer, staged: Sequence[Stage], facts: Facts) -> tuple[Stage, ...]:
    """The stages whose gradient is cheaper in closed form than through the stages that it reads, in computing order.

    Needs: the stages in computing order, those of the inputs last. Keeps: every value. Gives: one formula for each
    input where that is cheaper; and for each intermediate whose gradient is still read, likewise.
    """
    gathers = {s.gradient.name: s.gradient.gather for s in staged if s.gradient.gather is not None}
    readers = _readers(staged)
    closed: dict[str, Stage] = {}
    needed: set[str] = set()
    for stage in reversed(staged):
        tensor, name = stage.gradient.tensor, stage.gradient.name
        if layer.tensor(tensor) is None and name not in needed:
            continue
        shorter_stage = _closed(layer, stage, gathers, readers, facts)
        if shorter_stage is not None:
            closed[name] = shorter_stage
        needed |= _read_by(shorter_stage or stage)
    return tuple(closed[s.gradient.name] for s in staged if s.gradient.name in closed)


def _read_by(stage: Stage) -> set[str]:
    gather = stage.gradient.gather
    bodies = [gather.body] if gather is not None else [s.value for s in stage.gradient.scatters]
    return {name for body in bodies for name in _reads(body)}


def _readers(staged: Sequence[Stage]) -> dict[str, set[str]]:
    """For each gradient the gradients that read it."""
    readers: dict[str, set[str]] = {s.gradient.name: set() for s in staged}
    for stage in staged:
        for name in _read_by(stage) & readers.keys():
            readers[name].add(stage.gradient.name)
    return readers


def _closed(
    layer: Layer, stage: Stage, gathers: dict[str, Definition], readers: dict[str, set[str]], facts: Facts
) -> Stage | None:
    """The cheapest formula among those with all stages put in, and with the nearest ones only."""
    start = stage.gradient.gather
    used = _used(start, gathers) if start is not None else []
    best: tuple[int, Stage] | None = None
    for count in dict.fromkeys((len(used), *range(min(len(used), NEAREST), 0, -1))):
        chosen = used[:count]
        steps: list[Step] = []
        expr = _put_in(start, chosen, steps) if start is not None else None
        if start is None or expr is None:
            continue
        spared = _spared(start, chosen, readers)
        before = cost(start.body, *(d.body for d in spared)) + sum(map(_stored, spared))
        if cost(tidy(expr, facts)) > HOPELESS * before:
            continue
        expr = shorter(layer, start.element, expr, steps, facts)
        saving = before - cost(expr)
        if saving > 0 and (best is None or saving > best[0]):
            gradient = Gradient(stage.gradient.tensor, start.indices, Definition(start.name, start.indices, expr), ())
            best = saving, Stage(gradient, tuple(steps))
    return best[1] if best is not None else None


def _spared(start: Definition, chosen: Sequence[Definition], readers: dict[str, set[str]]) -> list[Definition]:
    """Those of the chosen gradients that need not be computed any more: nothing else reads them."""
    gone = {start.name}
    spared: list[Definition] = []
    for definition in chosen:
        if readers[definition.name] <= gone:
            gone.add(definition.name)
            spared.append(definition)
    return spared


def _stored(definition: Definition) -> int:
    """What it costs to write a tensor and to read it again, on the scale of `cost`."""
    return 4 * int(AXIS ** len(definition.indices))


def _put_in(start: Definition, chosen: Sequence[Definition], steps: list[Step]) -> Expr | None:
    expr = start.body
    for definition in chosen:
        put = inlined(expr, {definition.name: definition}, start.indices)
        tensor = definition.name.removeprefix("grad_")
        expr = _record(steps, start.element, expr, put, "substitution", f"the gradient of {tensor} put in")
        if _nodes(expr) > LARGEST:
            return None
    return expr


def _used(start: Definition, gathers: dict[str, Definition]) -> list[Definition]:
    """The gradients that a formula reads, directly or through others, the latest computed first."""
    used: list[Definition] = []
    names = _reads(start.body) - {start.name}
    for name in reversed(gathers):
        if name in names and name != start.name:
            used.append(gathers[name])
            names |= _reads(gathers[name].body)
    return used


def _reads(body: Expr) -> set[str]:
    return {e.tensor for e in walk(body) if isinstance(e, Read)}


def _nodes(expr: Expr) -> int:
    return sum(1 for _ in walk(expr))


def _record(steps: list[Step], target: Read, before: Expr, after: Expr, rule: str, reason: str) -> Expr:
    """The step is written down; what it only puts into another order is put so by the step before it."""
    if after != before and steps and form(after) == form(before):
        steps[-1] = replace(steps[-1], after=after)
    elif after != before:
        steps.append(Step(target, before, after, rule, reason))
    return after


def _without_vanishing(layer: Layer, target: Read, expr: Expr, steps: list[Step], facts: Facts) -> Expr:
    gone = vanishing_sums(expr, layer, facts)
    reason = "what is summed cancels by the definitions: the deviations from a mean sum to zero, shares to one"
    return _record(steps, target, expr, tidy(gone, facts) if gone != expr else expr, "vanishing sum", reason)


def shorter(layer: Layer, target: Read, expr: Expr, steps: list[Step], facts: Facts) -> Expr:
    """Apply the identities while they make the expression cheaper; each that applies is a step."""
    gathered = factors_out(tidy(expr, facts), facts)
    expr = _record(steps, target, expr, gathered, "constants out of the sum", "like powers and like terms gathered")
    expr = _without_vanishing(layer, target, expr, steps, facts)
    while True:
        best, name = expr, ""
        for definition in layer.definitions:
            for candidate in definitions_put_back(expr, definition, facts):
                put = factors_out(candidate, facts)
                if cost(put) < cost(best):
                    best, name = put, definition.name
        if best is expr:
            break
        expr = _record(steps, target, expr, best, "definition recognised", f"the definition of {name} put back")
        expr = _without_vanishing(layer, target, expr, steps, facts)
    factored = tidy(common_factor(expr), facts)
    if _nodes(factored) <= _nodes(expr) + 2:
        expr = _record(steps, target, expr, factored, "common factor", "the common factor taken out")
    return expr
