"""Letters for what would make a formula hard to read: a long position in a guard, a long extent of an index.

The letters are those that the layer itself uses: the position along the axis `p` of `y` is called `p`, and the
number of values of `p` is called `P` where the layer has no name for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from symbackprop.calculus.derivation import Scatter, gradient_name
from symbackprop.emit.latex_names import names_of
from symbackprop.errors import InternalError
from symbackprop.notation.binding import fresh
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Arg,
    Compare,
    Delta,
    Expr,
    FloorDiv,
    Index,
    Mod,
    Number,
    Parameter,
    Read,
    Reduce,
    Size,
    Where,
    divide,
    parts,
    rebuild,
    walk,
)

GUARDED, ANYWHERE = 7, 14  # nodes: a position with more is worth a letter if a guard speaks of it too, or anyway


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """`letter` stands for `value`."""

    letter: Index
    value: Expr


def named_extents(layer: Layer) -> tuple[tuple[Size, Expr], ...]:
    """A size for each extent that has no name: `P` for the extent of `p`, where no other `P` is about."""
    taken = set(names_of(layer))
    found: list[tuple[Size, Expr]] = []
    for item in layer.ranges:
        name = item.index.upper()
        known = any(value == item.extent for _, value in found)
        if known or isinstance(item.extent, Size | Parameter | Number) or name in taken or name == item.index:
            continue
        taken.add(name)
        found.append((Size(name), item.extent))
    return tuple(found)


def with_named_extents(expr: Expr, extents: tuple[tuple[Size, Expr], ...]) -> Expr:
    """The expression with the names in place of the extents, those of its indices too."""
    return _renamed(expr, {value: size for size, value in extents}) if extents else expr


def _renamed(expr: Expr, names: dict[Expr, Size]) -> Expr:
    if expr in names:
        return names[expr]
    match expr:
        case Index(name, extent, copy):
            return Index(name, names[extent], copy) if extent in names else expr
        case Reduce(operation, indices, body):
            return Reduce(operation, _indices(indices, names), _renamed(body, names))
        case Arg(operation, indices, body):
            return Arg(operation, _indices(indices, names), _renamed(body, names))
        case _:
            return rebuild(expr, tuple(_renamed(part, names) for part in parts(expr)))


def _indices(indices: tuple[Index, ...], names: dict[Expr, Size]) -> tuple[Index, ...]:
    return tuple(Index(i.name, names[i.extent], i.copy) if i.extent in names else i for i in indices)


def abbreviate(expr: Expr, target: Read, layer: Layer) -> tuple[Expr, tuple[Abbreviation, ...]]:
    """`expr` with a letter for each long position: in a read, in a delta, and in the guards that speak of it.

    A quotient that its guard makes even is abbreviated as the fraction, and the guard says that the letter is whole.
    """
    conditions = [node.condition for node in walk(expr) if isinstance(node, Where)]
    guards = [c for condition in conditions for c in walk(condition) if isinstance(c, Compare)]
    sides = [side for c in guards for side in (c.left, c.right)]
    spoken = {FloorDiv(s.dividend, s.divisor) if isinstance(s, Mod) else s for s in sides}
    taken = [e for part in (target, expr) for e in walk(part) if isinstance(e, Index)]
    taken += [i for e in walk(expr) if isinstance(e, Reduce | Arg) for i in e.indices]
    letters: dict[Expr, Index] = {}
    for position, name in _positions(expr, layer):
        if position not in letters and _is_long(position, position in spoken):
            letters[position] = fresh(Index(name, position), (*taken, *letters.values()))
    even: dict[Mod, Expr] = {Mod(e.dividend, e.divisor): e for e in letters if isinstance(e, FloorDiv)}
    found = tuple(Abbreviation(letter, _value(position, guards)) for position, letter in letters.items())
    return _shortened(expr, letters, even), found


def abbreviated_scatter(scatter: Scatter, layer: Layer) -> tuple[Read, Expr, tuple[Abbreviation, ...]]:
    """The element that a scatter adds to and what it adds, with letters for what is long in either."""
    target = Read(scatter.target, scatter.positions)
    both, letters = abbreviate(Compare("==", target, scatter.value), Read(scatter.target, ()), layer)
    match both:
        case Compare(_, Read() as short, value):
            return short, value, letters
        case _:
            raise InternalError(f"the scatter into {scatter.target} has lost its target")


def _positions(expr: Expr, layer: Layer) -> Iterator[tuple[Expr, str]]:
    """What stands at the axes of tensors, with the letter that the layer has for the axis."""
    for node in walk(expr):
        match node:
            case Read(tensor, indices):
                yield from zip(indices, _letters(tensor, layer), strict=False)
            case Delta(Index(name, _, _), other) | Delta(other, Index(name, _, _)):
                yield other, name
            case _:
                pass


def _letters(tensor: str, layer: Layer) -> tuple[str, ...]:
    """The indices of a definition; for an input, the sizes of its axes in lower case."""
    for definition in layer.definitions:
        if tensor in (definition.name, gradient_name(definition.name)):
            return tuple(i.name for i in definition.indices)
    known = layer.tensor(tensor) or layer.tensor(tensor.removeprefix("grad_"))
    return tuple(a.name.lower() for a in known.axes) if known else ()


def _is_long(position: Expr, guarded: bool) -> bool:
    nodes = sum(1 for _ in walk(position))
    return nodes > ANYWHERE or (guarded and (nodes > GUARDED or isinstance(position, FloorDiv)))


def _value(position: Expr, guards: list[Compare]) -> Expr:
    match position:
        case FloorDiv(dividend, divisor) if Compare("==", Mod(dividend, divisor), ZERO) in guards:
            return divide(dividend, divisor)
        case _:
            return position


def _shortened(expr: Expr, letters: dict[Expr, Index], even: dict[Mod, Expr]) -> Expr:
    if expr in letters:
        return letters[expr]
    match expr:
        case Compare("==", Mod() as remainder, right) if remainder in even and right == ZERO:
            return Compare("==", Mod(letters[even[remainder]], ONE), ZERO)
        case _:
            return rebuild(expr, tuple(_shortened(part, letters, even) for part in parts(expr)))
