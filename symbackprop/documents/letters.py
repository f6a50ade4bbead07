"""A legend as a spelling: our derivation in the letters of a document, counted as the document counts.

A letter is taken over where it means the same: a symbol that is a tensor, a name that is a size or a parameter, an
index that stands in a position alone or beside a whole number. A position such as `i-(N-1)/2` counts from a place
that depends on a size; its index keeps our letter. So does an index that the document does not print.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from symbackprop.calculus.derivation import gradient_name
from symbackprop.documents.latex.tree import Minus, Name, Num, Plus, Tree
from symbackprop.documents.legend import Part, load_legend
from symbackprop.documents.meant import Meant
from symbackprop.emit.latex_names import Spelling, names_of
from symbackprop.emit.latex_tree import parse
from symbackprop.emit.story import ranges
from symbackprop.errors import InternalError
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Index


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
    bases: dict[str, int] = {}
    for meant in part.symbols:
        for index, slot in zip(_indices(layer, meant.tensor), meant.slots, strict=True):
            known = _counted(slot)
            if index is None or known is None or known[0] not in meant.formals or known[0] in names.values():
                continue
            if index.name not in names:
                names[index.name], bases[index.name] = known
    return Spelling(
        tuple((name, printed) for name, printed in names.items() if _can_be_set(printed)),
        part.loss[0],
        bases=tuple((name, base) for name, base in bases.items() if base),
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
    return f"{{{meant.base}^{{{meant.power}}}}}" if meant.power else meant.base if "_" not in meant.base else (
        f"{{{meant.base}}}"
    )  # fmt: skip


def _indices(layer: Layer, tensor: str) -> tuple[Index | None, ...]:
    """The index that a tensor has on each axis: its own, or the first that runs over the axis."""
    own = next((d.indices for d in layer.definitions if d.name == tensor), None)
    if own is not None:
        return own
    running = {index.extent: index for index in reversed(ranges(layer))}
    return tuple(running.get(axis) for axis in layer.axes(tensor))


def _counted(slot: Tree) -> tuple[str, int] | None:
    """The letter of a position and the value at which it is the first: `i-1` is (i, 1)."""
    match slot:
        case Name(letter, (), None, ()):
            return letter, 0
        case Plus((Name(letter, (), None, ()), Minus(Num(value)))) if value.denominator == 1:
            return letter, int(value)
        case Plus((Name(letter, (), None, ()), Num(value))) if value.denominator == 1:
            return letter, -int(value)
        case _:
            return None


def _offsets(part: Part, layer: Layer, bases: dict[str, int]) -> list[tuple[str, tuple[int, ...]]]:
    """How far each position of a tensor is moved: as the legend says of it, else as its index is."""
    said = {m.tensor: m for m in reversed(part.symbols)}
    found = []
    for tensor in (n for n in names_of(layer) if n in said or layer.tensor(n) or n in _defined(layer)):
        moved = [bases.get(index.name, 0) if index is not None else 0 for index in _indices(layer, tensor)]
        for axis, slot in enumerate(said[tensor].slots if tensor in said else ()):
            known = _counted(slot)
            if known is not None and known[0] in said[tensor].formals:
                moved[axis] = known[1]
        if any(moved):
            found += [(tensor, tuple(moved)), (gradient_name(tensor), tuple(moved))]
    return found


def _defined(layer: Layer) -> frozenset[str]:
    return frozenset(d.name for d in layer.definitions)
