"""A derivation as an HTML page that stands alone: its formulas are MathML, so it needs no script and no network."""

from __future__ import annotations

from html import escape

from symbackprop.calculus.derivation import Derivation
from symbackprop.emit.latex_names import SPELLING, Spelling
from symbackprop.emit.mathml import mathml
from symbackprop.emit.story import story
from symbackprop.emit.templating import render
from symbackprop.emit.view import View
from symbackprop.notation.layer import Layer

__all__ = ["HtmlView", "derivation", "layer"]


class HtmlView(View):
    """MathML within HTML."""

    def plain(self, text: str) -> str:
        return escape(text)

    def inline(self, formula: str) -> str:
        return mathml(formula, large=False)

    def side(self, formula: str) -> str:
        return mathml(formula)


def derivation(
    derivation: Derivation,
    wrt: tuple[str, ...] | None = None,
    standalone: bool = True,
    evidence: tuple[str, ...] = (),
    form: str = "gather",
    spelling: Spelling = SPELLING,
) -> str:
    """The page of a derivation; without `standalone`, what stands in its body.

    Raises UserError for a name in `wrt` that was not derived.
    """
    told = story(derivation, wrt, evidence, form)
    view = HtmlView(told.layer, spelling)
    body = render("derivation.html.jinja", {**view.layer_fields(told.auxiliary), **view.fields(told)})
    return _page(body, f"Gradients of {told.layer.name}") if standalone else body


def layer(layer: Layer, standalone: bool = True, spelling: Spelling = SPELLING) -> str:
    """The page of the forward equations."""
    body = render("layer.html.jinja", HtmlView(layer, spelling).layer_fields())
    return _page(body, layer.name) if standalone else body


def _page(body: str, title: str) -> str:
    return render("document.html.jinja", {"body": body, "title": escape(title)})
