"""A legend as a spelling: our derivation in the letters of a document, counted as the document counts.

A letter is taken over where it means the same: a symbol that is a tensor, a name that is a size or a parameter, an
index that stands in a position alone or beside numbers and sizes: `i-(N-1)/2` counts from a place that depends on a
size. An index that the document does not print keeps our letter.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from symbackprop.calculus.derivation import gradient_name
from symbackprop.documents.latex.tree import Name, Plus, Tree, walk
from symbackprop.documents.legend import Part, load_legend
from symbackprop.documents.meant import Meant
from symbackprop.documents.positions import position
from symbackprop.emit.latex_names import Spelling, names_of
from symbackprop.emit.latex_tree import parse
from symbackprop.emit.story import ranges
from symbackprop.errors import InternalError
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import ZERO, Expr, Index, add, negative
from symbackprop.notation.tidying import collected


def spelling_for(layer: Layer, legend: Path, load: Callable[[str], Layer], source: str) -> Spelling:
    """The spelling of the first part of a legend that speaks of the layer.

    Raises: LegendError where no part does, and the names of the legend are not those of the layer `source`.
    """
    found = [p for p in load_legend(legend, load).parts if p.layer.name == layer.name]
    return spelling(found[0] if found else load_legend(legend, load, source).parts[0], layer)


def spelling(part: Part, layer: Layer) -> Spelling:
    """The letters and the counting of a part of a legend, for a layer."""
    names: dict[str, str] = {}
    for meant in part.symbols:
        names.setdefault(gradient_name(meant.tensor) if meant.gradient else meant.tensor, _symbol(meant))
    for printed, value in part.constants.items():
        if isinstance(value, Name) and not value.sub:
            names.setdefault(value.base, printed)
    bases: dict[str, Expr] = {}
    for meant in part.symbols:
        for index, slot in zip(_indices(layer, meant.tensor), meant.slots, strict=True):
            known = _counted(slot, meant.formals, part)
            if index is None or known is None or known[0] in names.values():
                continue
            if index.name not in names:
                names[index.name], bases[index.name] = known
    return Spelling(
        tuple((name, printed) for name, printed in names.items() if _can_be_set(printed)),
        part.loss[0],
        bases=tuple((name, base) for name, base in bases.items() if base != ZERO),
        offsets=tuple(_offsets(part, layer, bases)),
    )


def _can_be_set(printed: str) -> bool:
    try:
        parse(printed)
    except InternalError:  # a sign that our pages do not know: our own letter stands there
        return False
    return True


def _symbol(meant: Meant) -> str:
    # braces, so that indices and powers can stand behind a symbol that has scripts
    if meant.power:
        return f"{{{meant.base}^{{{meant.power}}}}}"
    return f"{{{meant.base}}}" if "_" in meant.base or "^" in meant.base else meant.base


def _indices(layer: Layer, tensor: str) -> tuple[Index | None, ...]:
    """The index that a tensor has on each axis: its own, or the first that runs over the axis."""
    own = next((d.indices for d in layer.definitions if d.name == tensor), None)
    if own is not None:
        return own
    running = {index.extent: index for index in reversed(ranges(layer))}
    return tuple(running.get(axis) for axis in layer.axes(tensor))


def _counted(slot: Tree, formals: tuple[str, ...], part: Part) -> tuple[str, Expr] | None:
    """The letter of a position and the value at which it is the first: `i-1` is (i, 1), `i-(N-1)/2` (i, (N-1)/2)."""
    terms = slot.terms if isinstance(slot, Plus) else (slot,)
    letters = [t.base for t in terms if isinstance(t, Name) and t.base in formals]
    others = tuple(t for t in terms if not (isinstance(t, Name) and t.base in formals))
    if len(letters) != 1 or any(isinstance(n, Name) and n.base in formals for t in others for n in walk(t)):
        return None
    return letters[0], collected(negative(add(*(position(t, {}, part) for t in others))))


def _offsets(part: Part, layer: Layer, bases: dict[str, Expr]) -> list[tuple[str, tuple[Expr, ...]]]:
    """How far each position of a tensor is moved: as the legend says of it, else as its index is."""
    said = {m.tensor: m for m in reversed(part.symbols)}
    found = []
    for tensor in (n for n in names_of(layer) if n in said or layer.tensor(n) or n in _defined(layer)):
        moved = [bases.get(index.name, ZERO) if index is not None else ZERO for index in _indices(layer, tensor)]
        for axis, slot in enumerate(said[tensor].slots if tensor in said else ()):
            known = _counted(slot, said[tensor].formals, part)
            if known is not None:
                moved[axis] = known[1]
        if any(m != ZERO for m in moved):
            found += [(tensor, tuple(moved)), (gradient_name(tensor), tuple(moved))]
    return found


def _defined(layer: Layer) -> frozenset[str]:
    return frozenset(d.name for d in layer.definitions)
