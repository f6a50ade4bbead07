r"""What a notebook shows for a layer or a derivation: HTML with MathML, and LaTeX for what prefers that.

The LaTeX is sentences with `$$ ... $$` between them: MathJax renders it as it stands, and it is right inside a
document as well.
"""

from __future__ import annotations

from functools import singledispatch

from symbackprop.calculus.derivation import Derivation
from symbackprop.emit import html
from symbackprop.emit.latex import LatexView
from symbackprop.emit.latex_names import SPELLING
from symbackprop.emit.story import story
from symbackprop.emit.templating import render
from symbackprop.errors import InternalError
from symbackprop.notation.layer import Layer


class NotebookView(LatexView):
    """LaTeX in which each step is a display of its own."""

    apart = True


@singledispatch
def html_of(value: object) -> str:
    """The HTML of a value."""
    raise InternalError(f"a notebook cannot show a {type(value).__name__}")


@singledispatch
def latex_of(value: object) -> str:
    """The LaTeX of a value."""
    raise InternalError(f"a notebook cannot show a {type(value).__name__}")


@html_of.register
def _(value: Layer) -> str:
    return html.layer(value, standalone=False)


@html_of.register
def _(value: Derivation) -> str:
    return html.derivation(value, standalone=False)


@latex_of.register
def _(value: Layer) -> str:
    return render("notebook_layer.tex.jinja", {"equations": NotebookView(value, SPELLING).layer_fields()["equations"]})


@latex_of.register
def _(value: Derivation) -> str:
    fields = NotebookView(value.layer, SPELLING).fields(story(value))
    return render("notebook_derivation.tex.jinja", {"sections": fields["sections"]})
