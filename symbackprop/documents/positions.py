"""Where the legend puts the elements of a symbol: positions and ranges in terms of the layer, and free letters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from symbackprop.documents.latex.tree import Group, Minus, Name, Num, Over, Plus, Raised, Times, Tree, latex
from symbackprop.documents.legend import Part
from symbackprop.documents.meant import Meant
from symbackprop.documents.names import Standing, Unclear, loose_letters, silent_letters, slot_of, standings
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Compare,
    Expr,
    Index,
    Number,
    Parameter,
    Size,
    add,
    both,
    divide,
    mul,
    negative,
    power,
    subtract,
)


@dataclass(frozen=True, slots=True, eq=False)
class Letter:
    """A free index letter of a formula: it runs over `low + index`. `printed` is False for one that is left out.

    There is one for each letter at an axis: each is itself and equal to no other.
    """

    name: str
    index: Index
    low: Expr
    tensor: str
    axis: int
    printed: bool

    @property
    def value(self) -> Expr:
        return add(self.low, self.index)


def constant(tree: Tree, part: Part) -> Expr:
    """An expression of the layer's own sizes and parameters, as the legend has it."""
    return _of(tree, lambda name: layer_constant(name, part.layer))


def position(tree: Tree, given: Mapping[str, Expr], part: Part) -> Expr:
    """A position of the legend: formal indices by their values, the document's sizes, the layer's sizes, numbers."""

    def meant(name: str) -> Expr:
        if name in given:
            return given[name]
        return constant(part.constants[name], part) if name in part.constants else layer_constant(name, part.layer)

    return _of(tree, meant)


def _of(tree: Tree, meant: Callable[[str], Expr]) -> Expr:
    match tree:
        case Name(base):
            return meant(base)
        case Num(value):
            return Number(value)
        case Group(body):
            return _of(body, meant)
        case Minus(body):
            return negative(_of(body, meant))
        case Plus(terms):
            return add(*(_of(t, meant) for t in terms))
        case Times(factors):
            return mul(*(_of(f, meant) for f in factors))
        case Over(top, bottom):
            return divide(_of(top, meant), _of(bottom, meant))
        case Raised(base, exponent):
            return power(_of(base, meant), _of(exponent, meant))
        case _:
            raise Unclear("a position of the legend is made of sums and products", tree.span, latex(tree))


@lru_cache(maxsize=4_000)
def range_of(meant: Meant, formal: str, part: Part) -> tuple[Expr, Expr, int]:
    """The range of a letter that stands alone for a formal index: its low end, its extent and the axis."""
    axis, sign = slot_of(meant, formal)
    extent = part.layer.axes(meant.tensor)[axis]
    letters: dict[str, Expr] = dict.fromkeys((*meant.formals, *silent_letters(meant, part)), ZERO)
    offset = position(meant.slots[axis], letters, part)
    low = negative(offset) if sign > 0 else subtract(offset, subtract(extent, ONE))
    return low, extent, axis


def inside(layer: Layer, tensor: str, indices: tuple[Expr, ...]) -> Expr:
    """The condition that a position lies in the box of a tensor."""
    tests: list[Expr] = []
    for extent, index in zip(layer.axes(tensor), indices, strict=True):
        if isinstance(index, Index) and index.extent == extent:
            continue
        tests += [Compare(">=", index, ZERO), Compare("<", index, extent)]
    return both(*tests)


def free_letters(trees: Iterable[Tree], part: Part) -> tuple[Letter, ...]:
    """The letters that no sum binds, with the range of the axis at which each first stands."""
    trees = tuple(trees)
    found: dict[str, tuple[Standing, bool]] = {}
    for tree in trees:
        for standing in standings(tree, part):
            known = found.get(standing.letter)
            if known is None:
                found[standing.letter] = standing, standing.printed
            elif standing.printed and not known[1]:
                found[standing.letter] = known[0], True
    for tree in trees:
        for loose in loose_letters(tree, part):
            if loose.letter not in found:
                found[loose.letter] = loose, True
    return tuple([_letter(part, x, s.meant, s.formal, printed) for x, (s, printed) in found.items()])


@lru_cache(maxsize=4_000)
def _letter(part: Part, letter: str, meant: Meant, formal: str, printed: bool) -> Letter:
    low, extent, axis = range_of(meant, formal, part)
    return Letter(letter, Index(identifier(letter), extent), low, meant.tensor, axis, printed)


def identifier(letter: str) -> str:
    """A letter as the name of an index: primes and scripts as underscores."""
    kept = "".join(c if c.isalnum() else "_" for c in letter.replace("'", "_")).strip("_")
    return f"{kept}{'_' * letter.count(chr(39))}" or "i"


def layer_constant(name: str, layer: Layer) -> Expr:
    """A size or parameter of the layer."""
    for parameter in layer.parameters:
        if parameter.name == name:
            return Parameter(name, parameter.integer)
    if any(a.name == name for t in layer.inputs for a in t.axes) or any(s.name == name for s in layer.sizes):
        return Size(name)
    raise Unclear(f"the layer {layer.name} has no size or parameter {name}", (0, 0), name)
