"""How a notebook shows a value: as rendered mathematics.

The views live in `emit`, above everything that they show. They are found by name, and only at the moment when a
notebook asks for one, so that nothing down here depends on them and importing a layer stays light.
"""

from __future__ import annotations

from importlib import import_module

VIEWS = "symbackprop.emit.notebook"


class Displayed:
    """Gives a value the two methods that notebooks look for."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """The page of the value, its formulas as MathML."""
        return str(import_module(VIEWS).html_of(self))

    def _repr_latex_(self) -> str:
        """Its formulas, for what renders or exports LaTeX."""
        return str(import_module(VIEWS).latex_of(self))
