"""What the limits of a sum may have to be: the range of its index, or one limit as the other one mirrored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from symbackprop.documents.latex.tree import Big, End, Minus, Name, Num, Plus, Tree, bare, walk
from symbackprop.documents.legend import Part
from symbackprop.documents.meant import Meant
from symbackprop.documents.names import is_letter, letter_of, slot_of, standings
from symbackprop.documents.stock import Edit

ONE = Num(Fraction(1), "1")
ZERO = Num(Fraction(0), "0")


def of_limits(tree: Big, part: Part) -> Iterator[tuple[Tree, Edit]]:
    """The sum with one limit, or both, put right."""
    if tree.low is None or tree.high is None:
        return
    lows, highs = [_mirrored(tree.high, part)], [_mirrored(tree.low, part)]
    ends = _ends(tree, part)
    if ends is not None:
        lows.append(ends[0])
        highs.append(ends[1])
    for low in lows:
        if low != tree.low:
            low = replace(low, span=tree.low.span)
            yield replace(tree, low=low), Edit("bound", tree.low, low, 1)
    for high in highs:
        if high != tree.high:
            high = replace(high, span=tree.high.span)
            yield replace(tree, high=high), Edit("bound", tree.high, high, 1)


def _mirrored(limit: Tree, part: Part) -> Tree:
    """`i - r` for `i + r`: what holds no index letter has its sign turned."""
    limit = bare(limit)
    terms = limit.terms if isinstance(limit, Plus) else (limit,)
    moved = [any(isinstance(t, Name) and _is_index(t, part) for t in walk(term)) for term in terms]
    if not any(moved):
        return _negative(limit)
    turned = tuple(t if m else _negative(t) for t, m in zip(terms, moved, strict=True))
    return turned[0] if len(turned) == 1 else Plus(turned)


def _is_index(name: Name, part: Part) -> bool:
    return is_letter(name, part) and not any(s.base == name.base for s in part.symbols)


def _negative(tree: Tree) -> Tree:
    return tree.body if isinstance(tree, Minus) else Minus(tree)


def _ends(tree: Big, part: Part) -> tuple[Tree, Tree] | None:
    """The first and the last value of the index, where it stands alone at an axis."""
    letter = letter_of(tree.variable)
    for standing in standings(tree.body, part):
        if standing.letter == letter:
            return first_and_last(standing.meant, standing.formal, part)
    return None


def first_and_last(meant: Meant, formal: str, part: Part) -> tuple[Tree, Tree]:
    """The first and the last value of an index of a symbol, in the document's names where it has them."""
    low, size = _printed(meant, formal, part)
    if low is None or size is None:
        first, behind = (End(meant.base, formal, upper) for upper in (False, True))
        return low or first, Plus((behind, Minus(ONE)))
    if low == ZERO:
        return low, Plus((size, Minus(ONE)))
    return (low, size) if low == ONE else (low, Plus((low, size, Minus(ONE))))


def _printed(meant: Meant, formal: str, part: Part) -> tuple[Tree | None, Tree | None]:
    """The low end and the size of an axis in the document's names; None where they have none."""
    axis, sign = slot_of(meant, formal)
    if sign < 0:
        return None, None
    slot, extent = bare(meant.slots[axis]), part.layer.axes(meant.tensor)[axis]
    terms = slot.terms if isinstance(slot, Plus) else (slot,)
    rest = tuple(_negative(t) for t in terms if bare(t) != Name(formal))
    low: Tree = ZERO if not rest else rest[0] if len(rest) == 1 else Plus(rest)
    named = [k for k, v in part.constants.items() if isinstance(v, Name) and v.base == getattr(extent, "name", "")]
    return low, Name(named[0]) if named else None
