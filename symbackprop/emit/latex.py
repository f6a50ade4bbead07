r"""A layer and a derivation as LaTeX: the equations with their shapes, then every gradient, step by step.

What is printed needs amsmath and amssymb; `standalone` adds the preamble, so that the text compiles by itself.
"""

from __future__ import annotations

from symbackprop.calculus.derivation import Derivation
from symbackprop.emit.latex_expression import latex
from symbackprop.emit.latex_names import SPELLING, Spelling, escape
from symbackprop.emit.story import story
from symbackprop.emit.templating import render
from symbackprop.emit.view import View
from symbackprop.notation.layer import Layer

__all__ = ["LatexView", "derivation", "latex", "layer"]


class LatexView(View):
    """LaTeX within LaTeX."""

    def plain(self, text: str) -> str:
        return escape(text)

    def inline(self, formula: str) -> str:
        return f"${formula}$"

    def side(self, formula: str) -> str:
        return formula


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
    view = LatexView(told.layer, spelling)
    body = render("derivation.tex.jinja", {**view.layer_fields(told.auxiliary), **view.fields(told)})
    return document(body) if standalone else body


def layer(layer: Layer, standalone: bool = False, spelling: Spelling = SPELLING) -> str:
    """The forward equations with their shapes and ranges."""
    body = render("layer.tex.jinja", LatexView(layer, spelling).layer_fields())
    return document(body) if standalone else body


def document(body: str) -> str:
    """A text with the preamble that it needs."""
    return render("document.tex.jinja", {"body": body})
