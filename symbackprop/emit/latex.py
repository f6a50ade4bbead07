r"""A layer and a derivation as LaTeX: the equations with their shapes, then every gradient, step by step.

What is printed needs amsmath and amssymb; `standalone` adds the preamble, so that the text compiles by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from symbackprop.calculus.derivation import Derivation, Scatter
from symbackprop.emit.abbreviations import Abbreviation, named_extents, with_named_extents
from symbackprop.emit.latex_conditions import conjuncts, spell_conditions
from symbackprop.emit.latex_expression import Printer, latex, spell_number
from symbackprop.emit.latex_layout import lines
from symbackprop.emit.latex_names import SPELLING, Spelling, escape, for_layer, names_of
from symbackprop.emit.latex_tree import width
from symbackprop.emit.story import Line, Section, Story, ranges, story
from symbackprop.emit.templating import render
from symbackprop.notation.layer import Definition, Layer, Tensor
from symbackprop.notation.nodes import Expr, Index, Read, Size

__all__ = ["derivation", "latex", "layer"]

EQUALS = 3.0  # letters that the equals sign and its alignment take
FRAME = 4.0  # and the frame around a result
NOT_IN_PROSE = frozenset(("a", "A", "I"))  # words of English before they are names


def derivation(
    derivation: Derivation,
    wrt: tuple[str, ...] | None = None,
    standalone: bool = False,
    evidence: tuple[str, ...] = (),
    form: str = "gather",
    spelling: Spelling = SPELLING,
) -> str:
    """The whole derivation: the layer, a section for each gradient that `wrt` needs, and what all of it rests on.

    `evidence` are sentences of the caller about what was proved and what was sampled; `form` is "gather" or "scatter".
    Raises UserError for a name in `wrt` that was not derived.
    """
    told = story(derivation, wrt, evidence, form)
    view = LatexView(told.layer, for_layer(told.layer, spelling))
    fields = {
        "title": view.title("Gradients of"),
        "layer": view.layer(told.auxiliary),
        "given": view.given(),
        "sections": [view.section(s) for s in told.sections],
        "notes": [view.prose(note) for note in told.notes],
        "rests": view.rests(told),
    }
    body = render("derivation.tex.jinja", fields)
    return document(body) if standalone else body


def layer(layer: Layer, standalone: bool = False, spelling: Spelling = SPELLING) -> str:
    """The forward equations with their shapes and ranges."""
    view = LatexView(layer, for_layer(layer, spelling))
    body = f"{view.title('The layer')}\n\n{view.layer(())}"
    return document(body) if standalone else body


def document(body: str) -> str:
    """A complete document around a body."""
    return render("document.tex.jinja", {"body": body})


class LatexView:
    """Spells the parts of one story; `names` and `spelling` are those of its layer."""

    def __init__(self, layer: Layer, spelling: Spelling) -> None:
        self._layer, self._spelling = layer, spelling
        self._names = frozenset(names_of(layer))
        self._extents = named_extents(layer)

    def math(self, expr: Expr) -> str:
        return latex(with_named_extents(expr, self._extents), self._spelling)

    def title(self, what: str) -> str:
        return rf"\section*{{{what} \texttt{{{escape(self._layer.name)}}}}}"

    def prose(self, text: str) -> str:
        """A sentence of ours in which the names of the layer are set as mathematics."""
        pieces = re.split(r"([A-Za-z]\w*)", text)
        return "".join(self._word(piece) for piece in pieces)

    def _word(self, word: str) -> str:
        if word in self._names and word not in NOT_IN_PROSE:
            return f"${self._spelling.symbol(word)}$"
        return escape(word)

    # the layer

    def layer(self, auxiliary: tuple[Definition, ...]) -> str:
        """The declarations and the equations; `auxiliary` are stated behind them."""
        return render(
            "layer.tex.jinja",
            {
                "doc": [escape(line) for line in self._layer.doc.strip().split("\n\n") if line],
                "declarations": list(self.declarations()),
                "equations": self.equations(self._layer.definitions),
                "auxiliary": self.equations(auxiliary) if auxiliary else "",
            },
        )

    def declarations(self) -> Iterable[tuple[str, str]]:
        """(what, its members), each finished."""
        declared = self._layer
        for kind, title in (("real", "Inputs"), ("integer", "Integer inputs")):
            tensors = [self._tensor(t) for t in declared.inputs if t.kind == kind]
            if tensors:
                yield title, ", ".join(tensors)
        yield "Defined", ", ".join(f"${self._shape(d.name, declared.axes(d.name))}$" for d in declared.definitions)
        if declared.parameters:
            yield "Parameters", ", ".join(
                f"${self._spelling.symbol(p.name)} = {spell_number(p.default)[0]}${' (integer)' if p.integer else ''}"
                for p in declared.parameters
            )
        sizes = [(Size(s.name), s.value) for s in declared.sizes] + list(self._extents)
        if sizes:
            inline = Printer(self._spelling, script=True)
            yield "Sizes", ", ".join(f"${{{self.math(size)} = {inline.text(value)}}}$" for size, value in sizes)
        yield "Indices", ", ".join(f"$0 \\le {self.math(i)} < {self.math(i.extent)}$" for i in ranges(declared))
        if declared.requirements:
            yield "Required", ", ".join(f"${self._condition(r.condition)}$" for r in declared.requirements)

    def _tensor(self, tensor: Tensor) -> str:
        outside = "" if tensor.outside is None else f" (${self.math(tensor.outside)}$ outside)"
        return f"${self._shape(tensor.name, tensor.axes, 'R' if tensor.kind == 'real' else 'Z')}${outside}"

    def _shape(self, name: str, axes: tuple[Expr, ...], field: str = "R") -> str:
        sizes = r" \times ".join(self.math(a) for a in axes)
        return rf"{self._spelling.symbol(name)} \in \mathbb{{{field}}}" + (f"^{{{sizes}}}" if axes else "")

    def _condition(self, condition: Expr) -> str:
        return r",\; ".join(spell_conditions(Printer(self._spelling), conjuncts(condition)))

    def equations(self, definitions: tuple[Definition, ...]) -> str:
        """The definitions as aligned rows."""
        return " \\\\\n".join(row for d in definitions for row in self.rows(self.math(d.element), d.body))

    def rows(self, left: str, value: Expr, reserved: float = 0.0, shown: bool = True) -> list[str]:
        """`left = value` as aligned rows that fit the page; the left side may be left out, but takes its room."""
        value = with_named_extents(value, self._extents)
        made = lines(value, self._spelling, width(left) + EQUALS + reserved)
        first, *rest = made
        return [f"{left if shown else ''} &= {first}".strip(), *(rf"&\quad {{}} {line}" for line in rest)]

    # the derivation

    def given(self) -> str:
        """What the derivation starts from."""
        loss = self._spelling.loss
        outputs = [f"${self.gradient(name)}$" for name in self._layer.outputs]
        verb = "is" if len(outputs) == 1 else "are"
        return f"The loss ${loss}$ is a function of the outputs; given {verb} {', '.join(outputs)}."

    def gradient(self, tensor: str) -> str:
        """The gradient of a tensor as its element at its own indices."""
        known = self._layer.tensor(tensor)
        if known is None:
            tensor = self.math(self._layer.definition(tensor).element)
        else:
            tensor = self._spelling.symbol(tensor)
        return rf"\partial {self._spelling.loss} / \partial {tensor}"

    def section(self, section: Section) -> dict[str, object]:
        """A heading, the chain of steps, and the result in its frame where there is one."""
        symbol = f"${self._spelling.symbol(section.tensor)}$"
        chain = [line for line in section.lines if not line.result]
        result = next((line for line in section.lines if line.result), None)
        return {
            "heading": f"{'Closed form of the gradient' if section.closed else 'Gradient'} of {symbol}",
            "chain": [self._step(line, shown=at == 0) for at, line in enumerate(chain)],
            "result": self._result(result) if result else None,
            "why": self.prose(section.why),
            "scatters": [self._scatter(s) for s in section.scatters],
        }

    def _step(self, line: Line, shown: bool) -> dict[str, str]:
        rows = self.rows(self.math(line.target), line.value, shown=shown)
        rows += [rf"&\quad {self._where(line.abbreviations)}"] if line.abbreviations else []
        return {"reason": self.reason(line), "rows": " \\\\\n".join(rows)}

    def _result(self, line: Line) -> dict[str, str]:
        rows = self.rows(self.math(line.target), line.value, reserved=FRAME)
        rows += [rf"&\quad {self._where(line.abbreviations)}"] if line.abbreviations else []
        return {"reason": self.reason(line), "rows": " \\\\\n".join(rows)}

    def reason(self, line: Line) -> str:
        """`2. Substitution: the forward formula of y.`"""
        if line.number is None:
            return "From above:"
        needs = ", ".join(f"${self._condition(c)}$" for c in line.conditions)
        what = f"{line.number}. {escape(line.rule[:1].upper() + line.rule[1:])}: {self.prose(line.reason)}"
        return f"{what} (where {needs})." if needs else f"{what}."

    def _where(self, abbreviations: tuple[Abbreviation, ...]) -> str:
        said = r", \quad ".join(f"{self.math(a.letter)} = {self.math(a.value)}" for a in abbreviations)
        return rf"\text{{where }} {said}"

    def _scatter(self, scatter: Scatter) -> str:
        element = self.math(Read(scatter.target, scatter.positions))
        made = lines(scatter.value, self._spelling, width(element) + EQUALS)
        over = self._domain(scatter.domain)
        return " \\\\\n".join([f"{element} &\\mathrel{{+}}= {made[0]}", *(rf"&\quad {{}} {m}" for m in made[1:]), over])

    def _domain(self, domain: tuple[Index, ...]) -> str:
        said = r",\; ".join(f"0 \\le {self.math(i)} < {self.math(i.extent)}" for i in domain)
        return rf"&\quad \text{{for }} {said}" if domain else "&"

    def rests(self, told: Story) -> list[str]:
        """What was proved, sampled and assumed, a sentence each."""
        held = [f"Holds for every call with {', '.join(f'${self._condition(c)}$' for c in told.conditions)}."]
        assumed = [f"Assumed: {self.prose(a)}." for a in told.assumptions] or ["Assumed: nothing beyond the shapes."]
        return [*map(self.prose, told.evidence), *(held if told.conditions else []), *assumed]
