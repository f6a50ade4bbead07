"""From a layer to its derivation: backward through the definitions, then to the inputs, then the closed forms."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence

from symbackprop.calculus.closed import closed_forms
from symbackprop.calculus.derivation import Derivation, Stage
from symbackprop.calculus.integer import Facts
from symbackprop.calculus.places import readable_everywhere
from symbackprop.calculus.reverse import extrema, stage
from symbackprop.errors import CannotDerive, UserError
from symbackprop.notation.layer import Definition, Layer
from symbackprop.notation.nodes import Call, Compare, Expr, Read, Reduce, Where, walk

TIES = {
    "relu": "relu'(0) = 0",
    "abs": "abs'(0) = 0",
    "sign": "sign' = 0 everywhere",
}


def derive(layer: Layer, wrt: str | Sequence[str] | None = None) -> Derivation:
    """The gradients of `sum over outputs y of sum(grad_y * y)` with respect to the inputs `wrt` (all real ones).

    Raises UserError for a name in `wrt` that is no real input, CannotDerive where a rule is missing.
    """
    if not isinstance(layer, Layer):
        came = f"{reprlib.repr(layer)} of type {type(layer).__name__}"  # type: ignore[unreachable]  # in Python anything may come
        raise UserError(f"derive: expected a Layer, came {came}; load(name), read(text) and read_file(path) give one")
    names = tuple(t.name for t in layer.real_inputs)
    chosen = names if wrt is None else (wrt,) if isinstance(wrt, str) else tuple(dict.fromkeys(wrt))
    for name in chosen:
        if name not in names:
            raise UserError(
                f"layer {layer.name} has no real input {name!r} to differentiate; it has {', '.join(names) or 'none'}"
            )
    positions = extrema(layer)
    facts = Facts.of(layer, tuple(p.name for p in positions))
    staged: list[Stage] = []
    conditions: dict[Expr, None] = {}
    wanted = _leading_to(layer, chosen)
    alive = set(layer.outputs)
    for definition in reversed(layer.definitions):
        consumers = _consumers(layer, definition.name, alive)
        if consumers or definition.name in layer.outputs:
            alive.add(definition.name)
            if consumers and definition.name in wanted:
                staged.append(_stage(layer, definition.name, consumers, positions, facts, conditions))
    staged += [_stage(layer, name, _consumers(layer, name, alive), positions, facts, conditions) for name in chosen]
    shortened = closed_forms(layer, staged, facts)
    return Derivation(
        layer,
        tuple(staged),
        shortened,
        tuple(conditions),
        _assumptions(layer),
        readable_everywhere(layer, _read_by(layer, (*staged, *shortened), positions), facts),
    )


def _stage(
    layer: Layer,
    tensor: str,
    consumers: list[Definition],
    positions: tuple[Definition, ...],
    facts: Facts,
    conditions: dict[Expr, None],
) -> Stage:
    try:
        result, needed = stage(layer, tensor, consumers, positions, facts)
    except CannotDerive as error:
        raise CannotDerive(f"layer {layer.name}, gradient of {tensor}: {error}") from error
    conditions.update(dict.fromkeys(needed))
    return result


def _read_by(layer: Layer, stages: tuple[Stage, ...], positions: tuple[Definition, ...]) -> tuple[Definition, ...]:
    used = {name for s in stages for step in s.steps for name in _reads(step.after)}
    used |= {
        name
        for s in stages
        for scatter in s.gradient.scatters
        for e in (scatter.value, *scatter.positions)
        for name in _reads(e)
    }
    return tuple(p for p in positions if p.name in used and p not in layer.definitions)


def _consumers(layer: Layer, tensor: str, alive: set[str]) -> list[Definition]:
    """The definitions that read the tensor and reach an output, those nearest to it first."""
    readers = [d for d in reversed(layer.definitions) if not d.integer and tensor in _reads(d.body)]
    return [d for d in readers if d.name in alive and d.name != tensor]


def _reads(body: Expr) -> set[str]:
    return {e.tensor for e in walk(body) if isinstance(e, Read)}


def _leading_to(layer: Layer, inputs: tuple[str, ...]) -> set[str]:
    """The definitions through which one of the inputs acts."""
    reached = set(inputs)
    for definition in layer.definitions:
        if _reads(definition.body) & reached and not definition.integer:
            reached.add(definition.name)
    return reached - set(inputs)


def _assumptions(layer: Layer) -> tuple[str, ...]:
    """What the derivation assumes at kinks and ties, for the functions that stand in the layer."""
    found: dict[str, None] = {}
    for node in (e for d in layer.definitions for e in walk(d.body)):
        match node:
            case Call(name, (_,)) if name in TIES:
                found[TIES[name]] = None
            case Call(("max" | "min") as name, _):
                found[f"{name}(a, b) passes the gradient to a at a tie"] = None
            case Reduce(("max" | "min") as name, _, _):
                found[f"{name} over indices passes the gradient to the first element that attains it, row-major"] = None
            case Where(condition, _, _) if any(isinstance(e, Compare) for e in walk(condition)):
                found["where takes the branch that its condition takes; the condition itself has no gradient"] = None
    return tuple(found)
