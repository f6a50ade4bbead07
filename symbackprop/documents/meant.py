"""What a symbol of a document is in a layer, and what can be named there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from symbackprop.documents.latex.tree import Name, Tree, latex
from symbackprop.errors import UserError
from symbackprop.notation.layer import Layer


class LegendError(UserError):
    """A legend that cannot be used: says which entry, and what was expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Meant:
    """What a symbol with its formal indices is: an element of a tensor, or of its gradient.

    `slots` are the positions on the tensor's axes, as expressions of the formals, of silent letters and of sizes.
    Each is itself and equal to no other.
    """

    base: str
    power: str
    formals: tuple[str, ...]
    tensor: str
    gradient: bool
    slots: tuple[Tree, ...]
    bracketed: bool = False  # whether the legend writes its indices in brackets
    above: bool = False  # whether the first of its indices stands above, in brackets: `x^{(i)}_k`
    counts: int = 0  # what the first class, or row of a table, is called: the whole numbers of a label begin there


def layer_names(layer: Layer) -> tuple[str, ...]:
    """The sizes and parameters of a layer, by name."""
    sizes = [a.name for t in layer.inputs for a in t.axes] + [s.name for s in layer.sizes]
    return tuple(dict.fromkeys([*sizes, *(p.name for p in layer.parameters)]))


def key_text(name: Name) -> str:
    """The one spelling of a symbol with its scripts by which it is looked up."""
    return latex(replace(name, span=(0, 0))).replace(" ", "")
