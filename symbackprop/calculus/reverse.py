"""Reverse accumulation over the definitions: the gradient of one tensor from the gradients of those that read it.

For `v[a] = E(a)` and each read `t[phi(a, b)]` inside E the contribution to the gradient of `t[j]` is
`sum over a, b of grad_v[a] * dE/d(read) * delta(j, phi(a, b))`. Eliminating the deltas gives the gather form; leaving
the sum as it stands and adding each point where it falls gives the scatter form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symbackprop.calculus.derivation import Gradient, Scatter, Stage, Step, gradient_name
from symbackprop.calculus.derivatives import Term, differential
from symbackprop.calculus.eliminate import NoGather, Solution, eliminate
from symbackprop.calculus.eliminate import tidy as tidy_indices
from symbackprop.calculus.identities import integral, tidy
from symbackprop.calculus.integer import Facts
from symbackprop.calculus.match import replace_matches
from symbackprop.calculus.recognition import vanishing_sums
from symbackprop.notation.binding import free_indices, fresh, rename_bound, same, substitute
from symbackprop.notation.layer import Definition, Layer
from symbackprop.notation.nodes import (
    ZERO,
    Add,
    Arg,
    Compare,
    Delta,
    Expr,
    Index,
    Mul,
    Partial,
    Read,
    Reduce,
    Where,
    add,
    both,
    conjuncts,
    mul,
    reduce,
    rewrite,
    walk,
    where,
)


@dataclass(frozen=True, slots=True)
class Contribution:
    """`sum over unknowns of gradient * coefficient * product of delta(target_i, positions_i)`.

    The first `outputs` unknowns are the indices of the definition that reads the tensor, the rest its summed indices.
    """

    unknowns: tuple[Index, ...]
    outputs: int
    gradient: Read
    coefficient: Expr
    positions: tuple[Expr, ...]


def target_indices(layer: Layer, tensor: str) -> tuple[Index, ...]:
    """The names of a gradient's indices: those with which the tensor is defined, or first read, or its axes' names.

    An index that stands alone at an axis lends its name; another axis `H` is called `h`.
    """
    if layer.tensor(tensor) is None:
        return layer.definition(tensor).indices
    axes = layer.axes(tensor)
    first = next(
        (e for d in layer.definitions for e in walk(d.body) if isinstance(e, Read) and e.tensor == tensor), None
    )
    chosen: list[Index] = []
    for at, extent in enumerate(axes):
        read = first.indices[at] if first is not None else None
        alone = isinstance(read, Index) and read.extent == extent
        name = read.name if alone and isinstance(read, Index) else _axis_name(layer, extent)
        chosen.append(fresh(Index(name, extent), chosen))
    return tuple(chosen)


def _axis_name(layer: Layer, extent: Expr) -> str:
    name = getattr(extent, "name", "i").lower()
    return f"i_{name}" if name in layer.names else name


def total_name(layer: Layer, tensor: str) -> str:
    """The name of a tensor's whole gradient; an output that others read has one of its own beside the incoming one."""
    real = (d for d in layer.definitions if not d.integer)
    read_later = any(isinstance(e, Read) and e.tensor == tensor for d in real for e in walk(d.body))
    return f"{gradient_name(tensor)}_total" if tensor in layer.outputs and read_later else gradient_name(tensor)


def stage(
    layer: Layer, tensor: str, consumers: Sequence[Definition], extrema: Sequence[Definition], facts: Facts
) -> tuple[Stage, tuple[Expr, ...]]:
    """The gradient of one tensor from the gradients of its `consumers`, with the steps, and what it rests on.

    `extrema` are the integer tensors that say where each `max` and `min` of the layer is attained.
    """
    indices = target_indices(layer, tensor)
    name = total_name(layer, tensor)
    target = Read(name, indices)
    incoming: tuple[Expr, ...] = (Read(gradient_name(tensor), indices),) if tensor in layer.outputs else ()
    copies = [_apart(d, indices) for d in consumers]
    contributions = [c for d in copies for c in _contributions(layer, d, tensor, extrema)]
    steps = _chain_rule(layer, tensor, target, indices, incoming, copies, contributions)
    axes = layer.axes(tensor)
    scatters = tuple(_scatter(c, name, axes, indices, facts) for c in contributions)
    if incoming:
        scatters = (Scatter(name, axes, indices, indices, incoming[0]), *scatters)
    try:
        gathered, conditions, rules = _gather(contributions, indices, facts)
    except NoGather as reason:
        if not contributions:
            raise
        return Stage(Gradient(tensor, indices, None, scatters, str(reason)), tuple(steps)), ()
    reason_text = "; ".join(("each delta fixes one summed index", *rules))
    after = add(*incoming, *gathered)
    if contributions and after != steps[-1].after:
        steps.append(_step(target, steps[-1].after, after, "deltas eliminated", reason_text, conditions))
    after = _identities(layer, target, after, steps, facts)
    gather = Definition(name, indices, after)
    return Stage(Gradient(tensor, indices, gather, scatters), tuple(steps)), conditions


def _step(target: Read, before: Expr, after: Expr, rule: str, reason: str, conditions: tuple[Expr, ...] = ()) -> Step:
    return Step(target, before, after, rule, reason, conditions)


def _apart(definition: Definition, taken: Sequence[Index]) -> Definition:
    """The definition with its own and its bound indices renamed away from the target's."""
    chosen: list[Index] = []
    for index in definition.indices:
        chosen.append(fresh(index, [*taken, *chosen]))
    body = rename_bound(
        substitute(definition.body, dict(zip(definition.indices, chosen, strict=True))), [*taken, *chosen]
    )
    return Definition(definition.name, tuple(chosen), body, definition.place)


def extrema(layer: Layer) -> tuple[Definition, ...]:
    """One integer definition for each reduction by `max` or `min`: where it is first attained.

    One that the layer has already is taken as it is.
    """
    found: list[Definition] = []
    taken = set(layer.tensors)
    own = [d for d in layer.definitions if d.integer]
    for definition in layer.definitions:
        nodes = [e for e in walk(definition.body) if isinstance(e, Reduce) and e.operation in ("max", "min")]
        for at, node in enumerate(nodes):
            free = free_indices(node)
            indices = (*(i for i in definition.indices if i in free), *(i for i in free if i not in definition.indices))
            place = Arg(node.operation, node.indices, node.body)
            known = next((d for d in own if set(d.indices) == set(indices) and same(d.body, place)), None)
            name = f"arg{node.operation}_{definition.name}" + (f"_{at + 1}" if len(nodes) > 1 else "")
            while name in taken:
                name += "_again"
            found.append(known or Definition(name, indices, place, definition.place))
    return tuple(found)


def _contributions(
    layer: Layer, definition: Definition, tensor: str, extrema: Sequence[Definition]
) -> list[Contribution]:
    def real(name: str) -> bool:
        return name not in layer.integers

    gradient = Read(total_name(layer, definition.name), definition.indices)
    terms = _merged(
        [t for t in differential(definition.body, real) if t.read.tensor == tensor and t.coefficient != ZERO]
    )
    own = [*definition.indices, *target_indices(layer, tensor)]

    def coefficient(term: Term) -> Expr:  # a sum inside keeps apart from the sums around it
        return rename_bound(_named(term.coefficient, extrema), [*own, *term.bound])

    outputs = len(definition.indices)
    return [
        Contribution((*definition.indices, *t.bound), outputs, gradient, coefficient(t), t.read.indices) for t in terms
    ]


def _named(coefficient: Expr, extrema: Sequence[Definition]) -> Expr:
    """The coefficient with each position of an extremum read from its tensor."""
    for extremum in extrema:
        coefficient = replace_matches(
            coefficient,
            extremum.body,
            extremum.indices,
            lambda found, _, e=extremum: Read(e.name, tuple(found[i] for i in e.indices)),  # type: ignore[misc]
        )
    return coefficient


def _merged(terms: Sequence[Term]) -> list[Term]:
    """Terms of the same read under the same sum are one term."""
    merged: dict[tuple[tuple[Index, ...], Read], Expr] = {}
    for t in terms:
        key = (t.bound, t.read)
        merged[key] = add(merged[key], t.coefficient) if key in merged else t.coefficient
    return [Term(bound, read, coefficient) for (bound, read), coefficient in merged.items()]


# -- the steps up to the deltas ------------------------------------------------------------------------------------


def _chain_rule(
    layer: Layer,
    tensor: str,
    target: Read,
    indices: tuple[Index, ...],
    incoming: tuple[Expr, ...],
    copies: Sequence[Definition],
    contributions: Sequence[Contribution],
) -> list[Step]:
    if not copies:
        after = add(*incoming)
        reason = "nothing else reads it" if incoming else "no output depends on it"
        return [_step(target, target, after, "chain rule", reason)]
    element = Read(tensor, target.indices)

    def chained(of: Definition, value: Expr) -> Expr:
        return reduce("sum", of.indices, mul(Read(total_name(layer, of.name), of.indices), Partial(value, element)))

    by_name = add(*incoming, *(chained(d, d.element) for d in copies))
    by_formula = add(*incoming, *(chained(d, d.body) for d in copies))
    readers = _listed([d.name for d in copies])
    differentiated = add(*incoming, *(_delta_sum(c, indices) for c in contributions))
    return [
        _step(target, target, by_name, "chain rule", f"{tensor} acts through every element of {readers}"),
        _step(target, by_name, by_formula, "substitution", f"the forward formula of {readers}"),
        _step(
            target,
            by_formula,
            differentiated,
            "differentiation",
            "only equal positions contribute: a delta for each axis",
        ),
    ]


def _listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]


def _delta_sum(c: Contribution, indices: Sequence[Index]) -> Expr:
    deltas = [Delta(j, phi) for j, phi in zip(indices, c.positions, strict=True)]
    return reduce("sum", c.unknowns, mul(c.gradient, c.coefficient, *deltas))


# -- gather and scatter --------------------------------------------------------------------------------------------


def _gather(
    contributions: Sequence[Contribution], indices: tuple[Index, ...], facts: Facts
) -> tuple[list[Expr], tuple[Expr, ...], tuple[str, ...]]:
    gathered: list[Expr] = []
    conditions: dict[Expr, None] = {}
    rules: dict[str, None] = {}
    for c in contributions:
        guards, value = _guards_and_value(c, facts)
        equalities = [g for g in guards if _equality(g, facts)]
        solution, remaining = _solved(c, guards, equalities, indices, facts)
        gathered.append(_summed(solution, remaining, value, facts))
        conditions.update(dict.fromkeys(solution.conditions))
        rules.update(dict.fromkeys(solution.rules))
    return gathered, tuple(conditions), tuple(rules)


def _solved(
    c: Contribution, guards: list[Expr], equalities: list[Expr], indices: tuple[Index, ...], facts: Facts
) -> tuple[Solution, list[Expr]]:
    """The deltas solved together with the guards that are equations, or without them where that has no inverse."""
    deltas = list(zip(c.positions, indices, strict=True))
    also = [(g.left, g.right) for g in equalities if isinstance(g, Compare)]
    try:
        return eliminate([*deltas, *also], c.unknowns, c.outputs, facts, indices), [
            g for g in guards if g not in equalities
        ]
    except NoGather:
        if not also:
            raise
        return eliminate(deltas, c.unknowns, c.outputs, facts, indices), guards


def _guards_and_value(c: Contribution, facts: Facts) -> tuple[list[Expr], Expr]:
    value = tidy(mul(c.gradient, c.coefficient), Facts(integers=facts.integers))
    if isinstance(value, Where) and value.other == ZERO:
        return list(conjuncts(value.condition)), value.then
    return [], value


def _equality(condition: Expr, facts: Facts) -> bool:
    return isinstance(condition, Compare) and condition.operation == "==" and integral(condition, facts)


def _summed(solution: Solution, guards: Sequence[Expr], value: Expr, facts: Facts) -> Expr:
    condition = both(*solution.guards, *(solution.apply(g, facts) for g in guards))
    return reduce("sum", solution.remaining, where(condition, solution.apply(value, facts), ZERO))


def _scatter(c: Contribution, name: str, axes: tuple[Expr, ...], indices: tuple[Index, ...], facts: Facts) -> Scatter:
    """The sum as it stands; where an extremum selects a point, only the point that it selects."""
    value = mul(c.gradient, c.coefficient)
    chosen = [d for d in (value.factors if isinstance(value, Mul) else (value,)) if isinstance(d, Delta)]
    others = mul(*(f for f in (value.factors if isinstance(value, Mul) else (value,)) if f not in chosen))
    taps = c.unknowns[c.outputs :]
    if chosen and taps:
        try:
            solution = eliminate([(d.left, d.right) for d in chosen], taps, 0, facts, (*indices, *c.unknowns))
        except NoGather:
            solution = None
        if solution is not None:
            positions = tuple(tidy_indices(substitute(p, solution.values), facts) for p in c.positions)
            body = where(both(*solution.guards), solution.apply(others, facts), ZERO)
            return Scatter(name, axes, positions, (*c.unknowns[: c.outputs], *solution.remaining), tidy(body, facts))
    return Scatter(name, axes, c.positions, c.unknowns, tidy(value, facts))


# -- the identities of a stage -------------------------------------------------------------------------------------


def _identities(layer: Layer, target: Read, expr: Expr, steps: list[Step], facts: Facts) -> Expr:
    gone = vanishing_sums(expr, layer, facts)
    if gone != expr:
        names = " and ".join(_vanishing_names(expr, gone, layer))
        reason = f"the deviations from a mean sum to zero{f': {names}' if names else ''}"
        steps.append(_step(target, expr, gone, "vanishing sum", reason))
        expr = gone
    after = tidy(expr, facts)
    if after == ZERO != expr:
        steps.append(_step(target, expr, after, "cancellation", "the terms cancel"))
    elif after != expr:
        steps.append(
            _step(
                target,
                expr,
                after,
                "constants out of the sum",
                "what the summed indices do not touch stands before the sum",
            )
        )
    return after


def _vanishing_names(before: Expr, after: Expr, layer: Layer) -> list[str]:
    """The means whose deviations were found to vanish, for the reason of a step."""
    kept = {e for e in walk(after) if isinstance(e, Reduce)}
    lost = [e for e in walk(before) if isinstance(e, Reduce) and e not in kept and isinstance(_sum_in(e.body), Add)]
    means = {d.name for d in layer.definitions if isinstance(d.body, Reduce) and d.body.operation == "mean"}
    return list(
        dict.fromkeys(
            f"{e.tensor} is the mean" for r in lost for e in walk(r.body) if isinstance(e, Read) and e.tensor in means
        )
    )


def _sum_in(body: Expr) -> Expr | None:
    return next((f for f in (body.factors if isinstance(body, Mul) else (body,)) if isinstance(f, Add)), None)


def inlined(expr: Expr, gathers: Mapping[str, Definition], taken: Sequence[Index]) -> Expr:
    """`expr` with every read of a gradient in `gathers` replaced by its formula, fresh bound indices throughout."""

    def put(node: Expr) -> Expr:
        if isinstance(node, Read) and node.tensor in gathers:
            definition = gathers[node.tensor]
            return substitute(definition.body, dict(zip(definition.indices, node.indices, strict=True)))
        return node

    return rename_bound(rewrite(expr, put), taken)
