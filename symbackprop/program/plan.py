"""What is computed once, what is kept for the backward pass, and in which form each gradient is computed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace as with_fields

from symbackprop.calculus.derivation import Derivation, Gradient, Scatter, gradient_name
from symbackprop.calculus.derive import derive
from symbackprop.notation.binding import substitute
from symbackprop.notation.layer import Definition, Layer
from symbackprop.notation.nodes import Compare, Expr, Logic, Mod, Read, Reduce, Where, walk
from symbackprop.program.builder import Builder
from symbackprop.program.forms import cheap, planned_form
from symbackprop.program.inner import with_inner_definitions
from symbackprop.program.names import FreshNames
from symbackprop.program.one_hot import apart
from symbackprop.program.statements import Program, Statement


def plan(derivation: Derivation, scatter_strided: bool = True, inline: bool = False) -> Program:
    """The program of a derivation.

    - Reductions inside of other things get names of their own (`inner`), and gradients go through those.
    - Reductions are statements of their own, equal ones computed once; so are expensive parts that depend on fewer
      indices than the statement around them, and functions that stand more than once in a pass.
    - Saved for the backward pass are the inputs, outputs and forward tensors that it reads. Recomputed in place of
      saved is a definition that is a map of sums, products and integer powers (`cheap`), and whose own reads are of
      inputs, of outputs, of tensors of fewer axes, or of such definitions again: to recompute it costs no more
      memory traffic than to read it. What contains a function or a quotient of whole tensors is saved.
    - Without `inline`, a function (exp, log, tanh, ...) of whole tensors that both passes evaluate is computed in the
      forward pass and saved: to compute it again reads as much as to read it, and costs its operations on top.
    - A gradient is gathered where its positions have an inverse. With `scatter_strided`, one whose gather asks for
      divisibility is scattered: better for backends that add whole slices, worse for loops over the target.
    - With `inline` a cheap map is written into the statements that read it, in both passes: for backends that
      fuse a statement's operations into one loop. What is saved is read in the forward pass, too: it is stored anyway.
      Without `inline` a one-hot term (`where(k == t[n], a, 0)`) is a scatter of its own (`one_hot.apart`), so that
      array statements test no condition that holds once in a row.

    Needs: a derivation. Keeps: the meaning of its equations. Gives: a program without dead statements.
    """
    layer = derivation.layer
    named = with_inner_definitions(layer)
    if named != layer:
        derivation = derive(named)
    found = _planned(derivation, layer, scatter_strided, inline, frozenset())
    if not inline:
        return found
    stored = frozenset(s.target for s in found.forward if s.target in found.saved and _cheap_map(s, layer))
    return _planned(derivation, layer, scatter_strided, inline, stored) if stored else found


def _planned(
    derivation: Derivation, layer: Layer, scatter_strided: bool, inline: bool, stored: frozenset[str]
) -> Program:
    """The program of a layer, whose derivation may name more; definitions that are `stored` are read, never inlined."""
    named = derivation.layer
    gradients = derivation.backward()
    names = FreshNames(named, (d.name for d in derivation.auxiliary))
    forward = _forward(derivation, gradients, names, inline, stored)
    known = {s.target: s for s in forward.statements}
    backward = Builder(names, {}, forward, unread=(gradient_name(t.name) for t in layer.real_inputs))
    recomputed = _Recomputed(layer, known, backward, inline)
    backward.expand = recomputed.read
    chosen = [(g, _scatters(g, scatter_strided)) for g in gradients]
    backward.expect(_bodies(chosen))
    for gradient, by_scatter in chosen:
        _gradient(backward, gradient, by_scatter)
    statements = _wanted(backward.statements, layer)
    read = _read_by(statements)
    kept = live(forward.statements, {*layer.outputs, *read})
    saved = [t.name for t in layer.inputs if t.name in read] + _ordered(s.target for s in kept if s.target in read)
    own = {s.target for s in statements}
    conditions = tuple(planned_form(c) for c in derivation.conditions)
    saved = [name for name in saved if name not in own]
    if not inline:
        kept, statements = ([one for s in some for one in apart(s)] for some in (kept, statements))
    return Program(layer, tuple(kept), tuple(statements), tuple(saved), conditions)


def _forward(
    derivation: Derivation, gradients: Iterable[Gradient], names: FreshNames, inline: bool, stored: frozenset[str]
) -> Builder:  # fmt: skip
    layer = derivation.layer
    builder = Builder(names, _axes(derivation))
    definitions = _needed(derivation, gradients)
    builder.expect(planned_form(d.body) for d in definitions)
    builder.expect_later((planned_form(body) for g in gradients for body in _gradient_bodies(g)), not inline)
    known: dict[str, Statement] = {}
    if inline:
        builder.expand = lambda read: read if read.tensor in stored else _inlined(read, known, layer)
    for definition in definitions:
        builder.define(definition.name, definition.indices, planned_form(definition.body))
        known[definition.name] = builder.statements[-1]
    return builder


def _axes(derivation: Derivation) -> dict[str, tuple[Expr, ...]]:
    """The extents of every tensor that an equation of the derivation reads."""
    layer = derivation.layer
    axes = {name: layer.axes(name) for name in layer.tensors}
    gradients = {gradient_name(name): extents for name, extents in axes.items()}
    totals = {f"{name}_total": extents for name, extents in gradients.items()}
    return {**totals, **gradients, **axes, **{d.name: tuple(i.extent for i in d.indices) for d in derivation.auxiliary}}


def _needed(derivation: Derivation, gradients: Iterable[Gradient]) -> tuple[Definition, ...]:
    """The definitions that an output or a gradient reads, and where extrema were attained, in order."""
    layer = derivation.layer
    everything = (*layer.definitions, *derivation.auxiliary)
    wanted = set(layer.outputs) | {name for g in gradients for body in _gradient_bodies(g) for name in _reads(body)}
    for definition in reversed(everything):
        if definition.name in wanted:
            wanted |= _reads(definition.body)
    return tuple(d for d in everything if d.name in wanted)


def _gradient_bodies(gradient: Gradient) -> tuple[Expr, ...]:
    gathered = (gradient.gather.body,) if gradient.gather is not None else ()
    return (*gathered, *(e for s in gradient.scatters for e in (s.value, *s.positions)))


def _bodies(chosen: Iterable[tuple[Gradient, bool]]) -> list[Expr]:
    bodies: list[Expr] = []
    for gradient, by_scatter in chosen:
        if by_scatter:
            bodies += [planned_form(s.value) for s in gradient.scatters]
        elif gradient.gather is not None:
            bodies.append(planned_form(gradient.gather.body))
    return bodies


def _scatters(gradient: Gradient, scatter_strided: bool) -> bool:
    """Whether to compute a gradient by its scatters: where it must, or where that is less work.

    It is where only the gather tests divisibility, for backends that ask for it. It always is where the scatter goes to
    the places that an extremum was taken from: the gather looks at all of its taps.
    """
    if gradient.gather is None:
        return True
    if gradient.scatters and all(_finds_its_place(s) for s in gradient.scatters):
        return any(isinstance(e, Reduce) for e in walk(gradient.gather.body))
    strided = _divisibility(gradient.gather.body) and not any(_divisibility(s.value) for s in gradient.scatters)
    return scatter_strided and bool(gradient.scatters) and strided


def _finds_its_place(scatter: Scatter) -> bool:
    return any(isinstance(e, Read) for position in scatter.positions for e in walk(position))


def _divisibility(expr: Expr) -> bool:
    return any(isinstance(e, Where) and _tests_divisibility(e.condition) for e in walk(expr))


def _tests_divisibility(condition: Expr) -> bool:
    if isinstance(condition, Logic):
        return any(_tests_divisibility(c) for c in condition.arguments)
    return isinstance(condition, Compare) and isinstance(condition.left, Mod)


def _gradient(builder: Builder, gradient: Gradient, by_scatter: bool) -> None:
    if not by_scatter and gradient.gather is not None:
        builder.define(gradient.name, gradient.gather.indices, planned_form(gradient.gather.body))
        return
    for one in gradient.scatters:
        positions = tuple(planned_form(p) for p in one.positions)
        builder.scatter(one.target, one.axes, positions, one.domain, planned_form(one.value))


class _Recomputed:
    """The definitions that the backward pass computes again where it reads them."""

    def __init__(self, layer: Layer, forward: dict[str, Statement], backward: Builder, inline: bool) -> None:
        self._layer, self._forward, self._backward, self._inline = layer, forward, backward, inline
        self._done: set[str] = set()

    def read(self, read: Read) -> Expr:
        """What stands for a read in the backward pass: itself, or the body of the definition that it reads."""
        statement = self._forward.get(read.tensor)
        if statement is None or not self._again(statement):
            return read
        if self._inline:
            return _at(statement, read)
        if read.tensor not in self._done:
            self._done.add(read.tensor)
            for inner in [e for e in walk(statement.body) if isinstance(e, Read)]:
                self.read(inner)
            self._backward.statements.append(statement)
        return read

    def _again(self, statement: Statement) -> bool:
        if not _cheap_map(statement, self._layer):
            return False
        return all(self._at_hand(e, statement) for e in walk(statement.body) if isinstance(e, Read))

    def _at_hand(self, read: Read, statement: Statement) -> bool:
        if self._layer.tensor(read.tensor) is not None or read.tensor in self._layer.outputs:
            return True
        if len(read.indices) < len(statement.indices):
            return True
        inner = self._forward.get(read.tensor)
        return inner is not None and self._again(inner)


def _inlined(read: Read, known: dict[str, Statement], layer: Layer) -> Expr:
    statement = known.get(read.tensor)
    return read if statement is None or not _cheap_map(statement, layer) else _at(statement, read)


def _cheap_map(statement: Statement, layer: Layer) -> bool:
    """Whether a statement is a map that costs no more to compute again than to read, and no output."""
    return statement.kind == "map" and statement.target not in layer.outputs and cheap(statement.body)


def _at(statement: Statement, read: Read) -> Expr:
    """The body of a map at the indices of a read."""
    return substitute(statement.body, dict(zip(statement.indices, read.indices, strict=True)))


def _wanted(statements: list[Statement], layer: Layer) -> list[Statement]:
    """The backward statements with the inputs that want each; without those that nothing wants."""
    wanted: dict[str, set[str]] = {gradient_name(t.name): {t.name} for t in layer.real_inputs}
    for statement in reversed(statements):
        for name in _statement_reads(statement):
            wanted.setdefault(name, set()).update(wanted.get(statement.target, set()))
    order = [t.name for t in layer.real_inputs]
    marked = [with_fields(s, wanted_by=tuple(n for n in order if n in wanted.get(s.target, ()))) for s in statements]
    return [s for s in marked if s.wanted_by]


def live(statements: Iterable[Statement], wanted: Iterable[str]) -> list[Statement]:
    """The statements that lead to what is wanted, in order."""
    kept: list[Statement] = []
    wanted = set(wanted)
    for statement in reversed(list(statements)):
        if statement.target in wanted:
            kept.append(statement)
            wanted |= _statement_reads(statement)
    return kept[::-1]


def _read_by(statements: Iterable[Statement]) -> set[str]:
    return {name for s in statements for name in _statement_reads(s)}


def _statement_reads(statement: Statement) -> set[str]:
    inside = (statement.body, statement.result, *statement.positions)
    return {name for e in inside for name in _reads(e)} - {statement.target}


def _reads(expr: Expr) -> set[str]:
    return {e.tensor for e in walk(expr) if isinstance(e, Read)}


def _ordered(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


__all__ = ["live", "plan"]
