"""The pieces of a page: a story whose formulas and sentences are spelled, ready to be placed by a template.

LaTeX, Markdown and HTML differ in three spellings only: plain text, a formula within a sentence, and one side of a
displayed equation. A page is one `View` with these three filled in.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable

from symbackprop.calculus.derivation import Scatter
from symbackprop.emit.abbreviations import (
    Abbreviation,
    abbreviate,
    abbreviated_scatter,
    named_extents,
    with_named_extents,
)
from symbackprop.emit.latex_conditions import spell_conditions
from symbackprop.emit.latex_expression import Printer, latex, spell_number
from symbackprop.emit.latex_layout import lines
from symbackprop.emit.latex_names import Spelling, for_layer, names_of
from symbackprop.emit.latex_tree import width
from symbackprop.emit.story import Line, Section, Story, ranges
from symbackprop.notation.layer import Definition, Layer, Tensor
from symbackprop.notation.nodes import Expr, Index, Size, conjuncts

EQUALS = 3.0  # letters that the equals sign and its alignment take
FRAME = 4.0  # and the frame around a result
NOT_IN_PROSE = frozenset(("a", "A", "I"))  # words of English before they are names
Row = tuple[str, str]  # the two sides of one line of an equation


class View(ABC):
    """Spells the parts of the story of one layer.

    `apart`: each step is a display of its own, and so states its left side again.
    """

    apart = False

    def __init__(self, layer: Layer, spelling: Spelling) -> None:
        self._layer, self._spelling = layer, for_layer(layer, spelling)
        self._names = frozenset(names_of(layer))
        self._extents = named_extents(layer)

    @abstractmethod
    def plain(self, text: str) -> str:
        """Text as text."""

    @abstractmethod
    def inline(self, formula: str) -> str:
        """A formula within a sentence."""

    @abstractmethod
    def side(self, formula: str) -> str:
        """One side of a displayed equation."""

    # sentences

    def math(self, expr: Expr) -> str:
        """The LaTeX of an expression."""
        return latex(with_named_extents(expr, self._extents), self._spelling)

    def prose(self, text: str) -> str:
        """A sentence of ours, or of the caller, in which the names of the layer are set as mathematics."""
        return "".join(self._word(piece) for piece in re.split(r"([A-Za-z]\w*)", text))

    def _word(self, word: str) -> str:
        if word in self._names and word not in NOT_IN_PROSE:
            return self.inline(self._spelling.symbol(word))
        return self.plain(word)

    # the layer

    def layer_fields(self, auxiliary: tuple[Definition, ...] = ()) -> dict[str, object]:
        """What a page about the layer places: its description, its declarations and its equations."""
        return {
            "name": self.plain(self._layer.name),
            "doc": [self.plain(part) for part in self._layer.doc.strip().split("\n\n") if part],
            "declarations": list(self._declarations()),
            "equations": self._equations(self._layer.definitions),
            "auxiliary": self._equations(auxiliary),
        }

    def _declarations(self) -> Iterable[tuple[str, str]]:
        """(what, its members), each finished."""
        layer = self._layer
        for kind, title in (("real", "Inputs"), ("integer", "Integer inputs")):
            tensors = [self._tensor(t) for t in layer.inputs if t.kind == kind]
            if tensors:
                yield title, ", ".join(tensors)
        yield "Defined", self._list(self._shape(d.name, layer.axes(d.name)) for d in layer.definitions)
        if layer.parameters:
            kinds = {True: " (integer)", False: ""}
            values = [f"{self._spelling.symbol(p.name)} = {spell_number(p.default)[0]}" for p in layer.parameters]
            integer = [kinds[p.integer] for p in layer.parameters]
            yield "Parameters", ", ".join(self.inline(v) + k for v, k in zip(values, integer, strict=True))
        sizes = [(Size(s.name), s.value) for s in layer.sizes] + list(self._extents)
        if sizes:
            flat = Printer(self._spelling, script=True)
            yield "Sizes", self._list(f"{{{flat.text(size)} = {flat.text(value)}}}" for size, value in sizes)
        yield "Indices", self._list(map(self._range, ranges(layer)))
        if layer.requirements:
            yield "Required", self._list(self._condition(r.condition) for r in layer.requirements)

    def _list(self, formulas: Iterable[str]) -> str:
        return ", ".join(map(self.inline, formulas))

    def _range(self, index: Index) -> str:
        named = with_named_extents(index, self._extents)
        return Printer(self._spelling).range(named if isinstance(named, Index) else index)

    def _tensor(self, tensor: Tensor) -> str:
        outside = "" if tensor.outside is None else f" ({self.inline(self.math(tensor.outside))} outside)"
        return self.inline(self._shape(tensor.name, tensor.axes, "R" if tensor.kind == "real" else "Z")) + outside

    def _shape(self, name: str, axes: tuple[Expr, ...], field: str = "R") -> str:
        sizes = r" \times ".join(self.math(a) for a in axes)
        return rf"{self._spelling.symbol(name)} \in \mathbb{{{field}}}" + (f"^{{{sizes}}}" if axes else "")

    def _condition(self, condition: Expr) -> str:
        return r",\; ".join(spell_conditions(Printer(self._spelling), conjuncts(condition)))

    def _equations(self, definitions: tuple[Definition, ...]) -> list[Row]:
        return [row for d in definitions for row in self._equation(d)]

    def _equation(self, definition: Definition) -> list[Row]:
        value, letters = abbreviate(with_named_extents(definition.body, self._extents), definition.element, self._layer)
        rows = self._rows(self.math(definition.element), value)
        return [*rows, *self._where(letters)]

    def _rows(self, left: str, value: Expr, reserved: float = 0.0, shown: bool = True, sign: str = "=") -> list[Row]:
        """`left = value` on lines that fit the page; the left side may be left out, but takes its room."""
        value = with_named_extents(value, self._extents)
        first, *rest = lines(value, self._spelling, width(left) + EQUALS + reserved)
        later = [("", self.side(rf"\quad {{}} {line}")) for line in rest]
        return [(self.side(left) if shown else "", self.side(f"{sign} {first}")), *later]

    # the derivation

    def fields(self, told: Story) -> dict[str, object]:
        """What a page about the derivation places, beside the layer."""
        return {
            "given": self._given() + self._total(told),
            "sections": [self._section(s) for s in told.sections],
            "notes": [self.prose(note) for note in told.notes],
            "rests": self._rests(told),
        }

    def _given(self) -> str:
        outputs = self._list(map(self._gradient, self._layer.outputs))
        verb = "is" if len(self._layer.outputs) == 1 else "are"
        return f"The loss {self.inline(self._spelling.loss)} is a function of the outputs; given {verb} {outputs}."

    def _total(self, told: Story) -> str:
        """What the upright d means, where there is one."""
        if not any(line.target.tensor in self._spelling.totals for s in told.sections for line in s.lines):
            return ""
        return " An upright d also counts what acts on the loss through definitions that read an output."

    def _gradient(self, tensor: str) -> str:
        """The gradient of an output, for a sentence."""
        known = any(d.name == tensor for d in self._layer.definitions)
        below = self.math(self._layer.definition(tensor).element) if known else self._spelling.symbol(tensor)
        return rf"\partial {self._spelling.loss} / \partial {below}"

    def _section(self, section: Section) -> dict[str, object]:
        """A heading, the chain of steps, and the result for a frame of its own where there is one."""
        chain = [line for line in section.lines if not line.result]
        results = [line for line in section.lines if line.result]
        what = "Closed form of the gradient" if section.closed else "Gradient"
        return {
            "heading": f"{what} of {self.inline(self._spelling.symbol(section.tensor))}",
            "chain": [self._step(line, 0.0, shown=self.apart or at == 0) for at, line in enumerate(chain)],
            "results": [self._step(line, FRAME, shown=True) for line in results],
            "domain": self._list(map(self._range, section.domain)),
            "why": self.prose(section.why),
            "scatters": [self._scatter(s) for s in section.scatters],
        }

    def _step(self, line: Line, reserved: float, shown: bool) -> dict[str, object]:
        rows = self._rows(self.math(line.target), line.value, reserved, shown)
        return {"reason": self._reason(line), "rows": [*rows, *self._where(line.abbreviations)]}

    def _reason(self, line: Line) -> str:
        """`2. Substitution: the forward formula of y.`"""
        if line.number is None:
            return "From above:"
        what = f"{line.number}. {self.plain(line.rule[:1].upper() + line.rule[1:])}: {self.prose(line.reason)}"
        return f"{what} (where {self._list(map(self._condition, line.conditions))})." if line.conditions else f"{what}."

    def _where(self, letters: tuple[Abbreviation, ...]) -> list[Row]:
        """What the letters stand for: on one line if they are short, else on a line each."""
        said = [f"{self.math(a.letter)} = {self.math(a.value)}" for a in letters]
        together = r", \quad ".join(said)
        if said and width(together) <= 0.75 * self._spelling.page:
            said = [together]
        return [("", self.side(rf"\quad \text{{{'and' if at else 'where'} }} {one}")) for at, one in enumerate(said)]

    def _scatter(self, scatter: Scatter) -> dict[str, object]:
        """`target += value`, and the indices for all of which it is done."""
        target, value, letters = abbreviated_scatter(scatter, self._layer)
        rows = self._rows(self.math(target), value, FRAME, sign=r"\mathrel{+}=")
        return {"rows": [*rows, *self._where(letters)], "domain": self._list(map(self._range, scatter.domain))}

    def _rests(self, told: Story) -> list[str]:
        """What was proved, sampled and assumed, a sentence each."""
        held = [f"Holds for every call with {self._list(map(self._condition, told.conditions))}."]
        assumed = [f"Assumed: {self.prose(a)}." for a in told.assumptions] or ["Assumed: nothing beyond the shapes."]
        return [*map(self.prose, told.evidence), *(held if told.conditions else []), *assumed]
