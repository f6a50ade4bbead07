"""What every view of a derivation tells, and in what order; LaTeX, text and HTML only spell it.

A story reads nothing but the derivation. Each section is the gradient of one tensor: numbered lines with their
reasons, the last of them marked where it is the result for an input.
"""

from __future__ import annotations

from dataclasses import dataclass

from symbackprop.calculus.derivation import Derivation, Gradient, Scatter, Stage
from symbackprop.emit.abbreviations import Abbreviation, abbreviate, named_extents, with_named_extents
from symbackprop.errors import UserError
from symbackprop.notation.layer import Definition, Layer
from symbackprop.notation.nodes import Expr, Index, Number, Read, Reduce, Size, Where, walk

GUARDED = (
    "Where a condition stands under a sum or in square brackets, only the terms that satisfy it count; nothing is read "
    "for the others."
)


@dataclass(frozen=True, slots=True)
class Line:
    """`target = value`, because of `reason`; `abbreviations` say what new letters in it stand for.

    `number` counts the steps of a section from 1; the line that a section starts from has none.
    """

    number: int | None
    rule: str
    reason: str
    target: Read
    value: Expr
    abbreviations: tuple[Abbreviation, ...] = ()
    conditions: tuple[Expr, ...] = ()
    result: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """How the gradient of `tensor` comes about. `closed`: from the stages to the closed form. `why`: why no gather.

    `domain` are those of its indices that run further here than the layer's equations say.
    """

    tensor: str
    closed: bool
    domain: tuple[Index, ...]
    lines: tuple[Line, ...]
    scatters: tuple[Scatter, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """The layer as it is told, what it uses in addition, the sections, and what it all rests on."""

    layer: Layer
    extents: tuple[tuple[Size, Expr], ...]
    auxiliary: tuple[Definition, ...]
    sections: tuple[Section, ...]
    conditions: tuple[Expr, ...]
    notes: tuple[str, ...]
    evidence: tuple[str, ...]
    assumptions: tuple[str, ...]


def story(
    derivation: Derivation, wrt: tuple[str, ...] | None = None, evidence: tuple[str, ...] = (), form: str = "gather"
) -> Story:
    """The story of the gradients by `wrt` (all inputs), with only the stages that they need.

    `form` is "gather" or "scatter". Raises UserError for a name that was not derived.
    """
    layer = derivation.layer
    extents = named_extents(layer)
    stages = _needed(derivation, wrt)
    closed = {s.gradient.tensor for s in derivation.closed}
    inputs = {t.name for t in layer.inputs}
    sections = tuple(
        _section(layer, extents, s, s in derivation.closed, s.gradient.tensor in inputs - closed, form) for s in stages
    )
    told = tuple(e for s in sections for line in s.lines for e in walk(line.value))
    return Story(
        layer,
        extents,
        tuple(a for a in derivation.auxiliary if any(isinstance(e, Read) and e.tensor == a.name for e in told)),
        sections,
        derivation.conditions,
        notes(told),
        evidence,
        derivation.assumptions,
    )


def _needed(derivation: Derivation, wrt: tuple[str, ...] | None) -> tuple[Stage, ...]:
    """The stages that lead to the inputs, in their order; a closed form stands right behind its last stage."""
    names = [t.name for t in derivation.layer.real_inputs]
    available = [n for n in names if any(s.gradient.tensor == n for s in (*derivation.staged, *derivation.closed))]
    for name in wrt or ():
        if name not in available:
            raise UserError(f"no gradient of {name} here; there are those of {', '.join(available) or 'nothing'}")
    inputs = set(available if wrt is None else wrt)
    read: set[str] = set()
    kept: list[Stage] = []
    for stage in reversed(derivation.staged):
        if stage.gradient.tensor in inputs or stage.gradient.name in read:
            own = (stage, *(c for c in derivation.closed if c.gradient.tensor == stage.gradient.tensor))
            kept = [*own, *kept]
            read |= {name for s in own for name in _tensors_read(s)}
    return tuple(kept)


def _tensors_read(stage: Stage) -> set[str]:
    exprs = [e for step in stage.steps for e in (step.before, step.after)]
    exprs += [s.value for s in stage.gradient.scatters]
    return {e.tensor for expr in exprs for e in walk(expr) if isinstance(e, Read)} - {stage.gradient.name}


def _section(
    layer: Layer, extents: tuple[tuple[Size, Expr], ...], stage: Stage, closed: bool, last: bool, form: str
) -> Section:
    gradient = stage.gradient
    lines: list[Line] = []
    known: Expr | None = stage.steps[0].target if stage.steps else None
    for number, step in enumerate(stage.steps, 1):
        if step.before != known:
            lines.append(_line(layer, extents, None, "", "", step.target, step.before, ()))
        known = step.after
        lines.append(_line(layer, extents, number, step.rule, step.reason, step.target, step.after, step.conditions))
    if not lines and gradient.gather is not None:
        target = Read(gradient.name, gradient.gather.indices)
        lines.append(_line(layer, extents, None, "", "", target, gradient.gather.body, ()))
    if lines and (closed or last) and gradient.gather is not None:
        lines[-1] = _as_result(lines[-1])
    scatters = gradient.scatters if form == "scatter" or gradient.gather is None else ()
    why = gradient.why if gradient.gather is None else ""
    return Section(gradient.tensor, closed, _unlike(layer, gradient), tuple(lines), _named(scatters, extents), why)


def _unlike(layer: Layer, gradient: Gradient) -> tuple[Index, ...]:
    known = {i.name: i.extent for i in ranges(layer)}
    return tuple(i for i in gradient.indices if known.get(i.name) != i.extent)


def _named(scatters: tuple[Scatter, ...], extents: tuple[tuple[Size, Expr], ...]) -> tuple[Scatter, ...]:
    def renamed(expr: Expr) -> Expr:
        return with_named_extents(expr, extents)

    return tuple(
        Scatter(
            s.target,
            tuple(map(renamed, s.axes)),
            tuple(map(renamed, s.positions)),
            tuple(Index(i.name, renamed(i.extent), i.copy) for i in s.domain),
            renamed(s.value),
        )
        for s in scatters
    )


def _line(
    layer: Layer,
    extents: tuple[tuple[Size, Expr], ...],
    number: int | None,
    rule: str,
    reason: str,
    target: Read,
    value: Expr,
    conditions: tuple[Expr, ...],
) -> Line:
    short, abbreviations = abbreviate(with_named_extents(value, extents), target, layer)
    return Line(number, rule, reason, target, short, abbreviations, conditions)


def _as_result(line: Line) -> Line:
    return Line(
        line.number, line.rule, line.reason, line.target, line.value, line.abbreviations, line.conditions, result=True
    )


def ranges(layer: Layer) -> tuple[Index, ...]:
    """Every index of the layer, each once, in the order in which it first stands."""
    found: dict[str, Index] = {}
    for definition in layer.definitions:
        for index in definition.indices:
            found.setdefault(index.name, index)
        for node in walk(definition.body):
            for index in node.indices if isinstance(node, Reduce) else (node,) if isinstance(node, Index) else ():
                found.setdefault(index.name, index)
    return tuple(found.values())


def notes(nodes: tuple[Expr, ...]) -> tuple[str, ...]:
    """What a reader has to be told about the signs that stand in the story."""
    found: dict[str, None] = {}
    for node in nodes:
        match node:
            case Where(_, _, Number(value)) if value == 0:
                found[GUARDED] = None
    return tuple(found)
