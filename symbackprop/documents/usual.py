r"""What a legend need not say: where the indices of a symbol stand, and symbols that are called as is customary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from symbackprop.documents.latex.reader import read_expression
from symbackprop.documents.latex.tokens import NotRead
from symbackprop.documents.latex.tree import NOWHERE, ZERO, Minus, Name, Plus, Span, Tree, bare, walk
from symbackprop.documents.meant import LegendError, Meant, layer_names
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Expr

SIGNS = {"var": r"\sigma^2", "eps": r"\epsilon", "weight": "W", "bias": "b"}  # where the name itself is no symbol
GREEK = frozenset(("alpha", "beta", "gamma", "delta", "mu", "lambda", "sigma", "theta", "tau", "rho", "eta"))
Firsts: TypeAlias = Mapping[str, Tree]


def firsts(value: Any, file: str) -> Firsts:
    """The first value of each index, by its letter; "" is for all others. Raises LegendError for what is none."""
    table = value if isinstance(value, dict) else {"": value}
    found: dict[str, Tree] = {"": ZERO}
    for letter, text in table.items():
        if isinstance(text, bool) or not isinstance(text, int | str):
            raise LegendError(
                f"{file}: first: a whole number or an expression of sizes was expected, and {text!r} came"
            )
        try:
            found[letter] = bare(read_expression(str(text)))
        except NotRead as error:
            raise LegendError(f"{file}: first `{text}`: {error}") from error
    return found


def usual_slots(letters: tuple[str, ...], axes: tuple[Expr, ...], first: Firsts) -> tuple[Tree, ...]:
    """The positions of a symbol that is given without any: its indices stand for the last axes."""
    silent = len(axes) - len(letters)
    slots: list[Tree] = [unprinted(axis, at) for at, axis in enumerate(axes[:silent])]
    return (*slots, *(_counted(letter, first.get(letter, first[""])) for letter in letters))


def unprinted(axis: Expr, at: int) -> Name:
    """A letter for an axis whose index the document does not print: the same for all symbols with this axis."""
    return letter_apart(str(getattr(axis, "name", at)).lower(), axis)


def letter_apart(letter: str, axis: Expr, span: Span = NOWHERE) -> Name:
    """A letter that stands for no index of the document, as one that the document cannot print."""
    ending = f"{getattr(axis, 'name', '')}apart"
    return Name(letter if letter.endswith("apart") else f"{letter}{ending}", span=span)


def whole(symbol: Meant, first: Firsts) -> Meant:
    """A symbol that is given without indices as a whole vector or matrix: with an index for each axis."""
    if symbol.formals or len(symbol.slots) > 2:
        return symbol
    formals = ("rowapart", "columnapart")[: len(symbol.slots)]
    return replace(symbol, formals=formals, slots=tuple(_counted(f, first[""]) for f in formals))


def _counted(letter: str, first: Tree) -> Tree:
    """A position from 0, of an index that counts from its first value."""
    if first == ZERO:
        return Name(letter)
    terms = first.terms if isinstance(first, Plus) else (first,)
    return Plus((Name(letter), *(bare(t.body) if isinstance(t, Minus) else Minus(t) for t in terms)))


# ------------------------------------------------------------------------------------------- customary names


def with_usual(
    symbols: tuple[Meant, ...], constants: Mapping[str, Tree], layer: Layer, loss: tuple[str, ...]
) -> tuple[tuple[Meant, ...], dict[str, Tree]]:
    """The names of a legend, and those of what it does not name, as is customary; no symbol gets a second meaning."""
    known = dict(constants)
    for name in layer_names(layer):
        spelled = _spelled(name)
        if spelled not in known and all(s.base != spelled for s in symbols):
            known[spelled] = Name(name)
    named = {s.tensor for s in symbols if not s.gradient}
    more = list(symbols)
    for tensor in (n for n in _tensors(layer) if n not in named):
        base, _, power = _symbol(tensor, symbols).partition("^")
        free = base not in loss and all(s.base != base or s.power != power for s in more)
        if free and (base not in known or power):
            formals, slots, above = _as_named(layer.axes(tensor), symbols, layer)
            more.append(Meant(base, power, formals, tensor, False, slots, above=above))
    return tuple(more), known


def _tensors(layer: Layer) -> Iterator[str]:
    yield from (t.name for t in layer.real_inputs)
    yield from (d.name for d in layer.definitions if not d.integer)


def _spelled(name: str) -> str:
    return SIGNS.get(name, f"\\{name}" if name in GREEK else name)


def _symbol(tensor: str, symbols: tuple[Meant, ...]) -> str:
    """The symbol of a tensor: `xhat` wears a hat over what stands for x."""
    if tensor.endswith("hat") and len(tensor) > 3:
        under = tensor.removesuffix("hat")
        letter = next((s.base for s in symbols if s.tensor == under and not s.gradient), _spelled(under))
        return rf"\hat{{{letter}}}"
    return _spelled(tensor)


def _as_named(
    axes: tuple[Expr, ...], symbols: tuple[Meant, ...], layer: Layer
) -> tuple[tuple[str, ...], tuple[Tree, ...], bool]:
    """Indices and positions as those of the first named symbol that has all of the axes; else none is printed."""
    for symbol in symbols:
        own = layer.axes(symbol.tensor)
        if axes and not symbol.gradient and all(own.count(axis) == 1 for axis in axes):
            slots = tuple(symbol.slots[own.index(axis)] for axis in axes)
            used = {t.base for slot in slots for t in walk(slot) if isinstance(t, Name)}
            above = symbol.above and symbol.formals[0] in used
            return tuple(f for f in symbol.formals if f in used), slots, above
    return (), tuple(unprinted(axis, at) for at, axis in enumerate(axes)), False
