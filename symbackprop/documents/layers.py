"""The layer that a document states: its forward equations, read by a legend, as a `Layer`.

The legend gives what no formula says: the inputs with their axes, and the parameters, as the first statements of an
equation file (`header`). The names of what the document defines stand in `[names]` like all others; their axes are
those of the indices that they share with the inputs.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from symbackprop.documents.audit import spoken_words, statements_of
from symbackprop.documents.latex.tokens import NotRead
from symbackprop.documents.latex.tree import Name, Tree, bare, latex
from symbackprop.documents.legend import Part, legend_of
from symbackprop.documents.meaning import plain_translator
from symbackprop.documents.meant import LegendError
from symbackprop.documents.names import Element, Unclear, resolve
from symbackprop.documents.positions import free_letters
from symbackprop.documents.source import Formula
from symbackprop.errors import UserError
from symbackprop.notation.binding import free_indices, substitute
from symbackprop.notation.layer import Definition, Layer, Range
from symbackprop.notation.nodes import (
    ZERO,
    Expr,
    Index,
    Read,
    Reduce,
    Size,
    parts,
    rebuild,
    walk,
)
from symbackprop.notation.printer import to_text
from symbackprop.notation.reader import read
from symbackprop.notation.tidying import tidy

_STUB = "unstated"


def load_statement(path: Path) -> Part:
    """The legend of a layer to be read: `header`, `[names]` and the rest."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise LegendError(f"{path}: this is not TOML: {error}") from error
    return statement(data, str(path))


def statement(data: dict[str, Any], file: str = "legend") -> Part:
    """The legend of a table with a `header`."""
    header = data.get("header")
    if not isinstance(header, str):
        raise LegendError(f"{file}: a `header` is needed: the layer's name, its inputs with their axes, its parameters")
    declared = read(f"{header}\n{_STUB} = 0\noutput {_STUB}\n", file)
    names = data.get("names", {})
    layer = replace(declared, definitions=(), outputs=())
    axes = _axes_of_letters(names, layer)
    inputs = {t.name for t in layer.inputs}
    stubs: list[Definition] = []
    for value in names.values() if isinstance(names, dict) else ():
        tensor, slots = _target(str(value))
        if slots is not None and tensor not in inputs and all(d.name != tensor for d in stubs):
            stubs.append(_stub(tensor, slots, axes, file))
    whole = replace(layer, definitions=tuple(stubs))
    rest = {k: v for k, v in data.items() if k != "header"}
    return legend_of({**rest, "layer": layer.name}, lambda _: whole, file, apart=False).parts[0]


def _target(value: str) -> tuple[str, list[str] | None]:
    name, bracket, inside = value.strip().partition("[")
    if not bracket:
        return name, None
    return name.strip(), [s.strip() for s in inside.rstrip("] ").split(",")] if inside.rstrip("] ") else []


def _letter(slot: str) -> str:
    return next((c for c in slot if c.isalpha()), slot)


def _axes_of_letters(names: object, layer: Layer) -> dict[str, Expr]:
    """The axis of each index letter, by the inputs at which it stands."""
    axes: dict[str, Expr] = {}
    for value in names.values() if isinstance(names, dict) else ():
        tensor, slots = _target(str(value))
        declared = layer.tensor(tensor)
        if declared is not None and slots is not None:
            for slot, axis in zip(slots, declared.axes, strict=False):
                axes.setdefault(_letter(slot), axis)
    for ranged in layer.ranges:
        axes[ranged.index] = ranged.extent
    return axes


def _stub(tensor: str, slots: list[str], axes: dict[str, Expr], file: str) -> Definition:
    indices = []
    for slot in slots:
        letter = _letter(slot)
        if letter not in axes:
            raise LegendError(
                f"{file}: {tensor}: the index {letter} stands at no input; give it a `range` in the header"
            )
        indices.append(Index(letter, axes[letter]))
    return Definition(tensor, tuple(indices), ZERO)


def layer_of(found: tuple[Formula, ...], part: Part) -> Layer:
    """The layer whose definitions the formulas state, each by the first equation for it.

    Raises: UserError where a definition is missing or cannot be read.
    """
    vocabulary = part.vocabulary(spoken_words(found))
    stated: dict[str, Definition] = {}
    trouble: dict[str, str] = {}
    for formula in found:
        try:
            chains = statements_of(formula.text, vocabulary)
        except (NotRead, RecursionError) as error:
            trouble.setdefault("", f"line {formula.line}: {error}")
            continue
        for chain in chains:
            if chain.rest and chain.rest[0][0] == "=" and not chain.known:
                _state(chain.first, chain.rest[0][1], part, stated, trouble, formula)
    missing = [d.name for d in part.layer.definitions if d.name not in stated]
    if missing:
        why = "; ".join(trouble.values())
        raise UserError(f"no equation was found for {', '.join(missing)}" + (f" ({why})" if why else ""))
    return _assembled(part.layer, tuple(stated.values()))


def _state(
    left: Tree, right: Tree, part: Part, stated: dict[str, Definition], trouble: dict[str, str], formula: Formula
) -> None:
    target = bare(left)
    if not isinstance(target, Name):
        return
    try:
        element = resolve(target, part)
        if not isinstance(element, Element) or element.meant.gradient or element.meant.tensor in stated:
            return
        if element.power is not None or part.layer.tensor(element.meant.tensor) is not None:
            return
        letters = free_letters((left, right), part)
        translator = plain_translator(part, letters)
        indices = tuple(tidy(i) for i in translator.position(element))
        body = tidy(translator.expr(right))
    except Unclear as unclear:
        trouble.setdefault(latex(target), f"line {formula.line}: {unclear}")
        return
    if all(isinstance(i, Index) for i in indices):
        stated[element.meant.tensor] = Definition(element.meant.tensor, indices, body)  # type: ignore[arg-type]
    else:
        trouble.setdefault(latex(target), f"line {formula.line}: {latex(target)} is not stated for all its elements")


def _assembled(layer: Layer, definitions: tuple[Definition, ...]) -> Layer:
    """The layer with its definitions in an order in which each reads only earlier ones."""
    ordered: list[Definition] = []
    waiting = list(definitions)
    while waiting:
        ready = [d for d in waiting if not _reads(d) & {w.name for w in waiting}]
        if not ready:
            raise UserError(f"the equations of {', '.join(d.name for d in waiting)} go round in a circle")
        ordered += ready
        waiting = [d for d in waiting if d not in ready]
    used = {name for d in ordered for name in _reads(d)}
    outputs = tuple(d.name for d in ordered if d.name not in used)
    plain = [Definition(d.name, d.indices, _unprimed(d.body)) for d in ordered]
    ranges = {e.name: e.extent for d in plain for e in _indices(d) if not isinstance(e.extent, Size)}
    declared = {r.index for r in layer.ranges}
    more = tuple(Range(name, tidy(extent)) for name, extent in ranges.items() if name not in declared)
    whole = replace(layer, ranges=(*layer.ranges, *more), definitions=tuple(plain), outputs=outputs)
    return read(to_text(whole), layer.name)  # what is written is what is meant, or it is refused here


def _reads(definition: Definition) -> set[str]:
    return {e.tensor for e in walk(definition.body) if isinstance(e, Read)}


def _indices(definition: Definition) -> list[Index]:
    bound = [i for e in walk(definition.body) if isinstance(e, Reduce) for i in e.indices]
    return [*definition.indices, *bound]


def _unprimed(expr: Expr) -> Expr:
    """Bound indices without their copies: no two on one path have the same letter, or they get another one."""
    if isinstance(expr, Reduce):
        taken = {i.name for i in free_indices(expr)}
        renamed: dict[Index, Index] = {}
        for index in expr.indices:
            name = index.name
            while name in taken:
                name += "_"
            taken.add(name)
            renamed[index] = Index(name, index.extent)
        body = substitute(expr.body, renamed)
        return Reduce(expr.operation, tuple(renamed.values()), _unprimed(body))
    return rebuild(expr, tuple(_unprimed(part) for part in parts(expr)))
