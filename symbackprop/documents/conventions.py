"""The ways to take what a formula does not state itself: the plain ones first, then each convention, then several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from symbackprop.check.point import OutsideBox
from symbackprop.documents.latex.tree import Applied, Big, Chain, Minus, Name, Over, Plus, Slope, Tree, bare, walk
from symbackprop.documents.legend import Part
from symbackprop.documents.meaning import Reading, Translator
from symbackprop.documents.meant import key_text
from symbackprop.documents.names import Element, Plain, Unclear, is_letter, is_loss, resolve, slot_of, standings
from symbackprop.documents.positions import position
from symbackprop.documents.scenes import Setting, cases, scene, setting_of
from symbackprop.errors import UserError
from symbackprop.notation.nodes import Expr, FloorDiv, Size, divide
from symbackprop.notation.nodes import walk as walk_nodes

OUTSIDE = "the gradient is zero outside the output"


@dataclass(frozen=True, slots=True)
class Relation:
    """`left = right` where `when` holds; `unless` inverts the condition."""

    left: Tree
    right: Tree
    when: tuple[Chain, ...] = ()


@dataclass(frozen=True, slots=True)
class Convention:
    """A way to take a formula that it does not state itself; `says` is empty for the plain way."""

    says: tuple[str, ...]
    reading: Reading
    setting: Setting


def conventions(relation: Relation, part: Part) -> Iterator[Convention]:
    """The plain ways first, then each convention, then those together."""
    pair = (relation.left, relation.right)
    names = [t for side in pair for t in walk(side) if isinstance(t, Name)]
    spoken = _varied(names, part)
    unspoken = {p: printed for p, printed in _named(part).items() if p not in spoken}
    base = setting_of(part, (*spoken, *unspoken), _odd(part))
    local = any(isinstance(t, Slope) and not is_loss(bare(t.top), part) for side in pair for t in walk(side))
    letters = any(isinstance(t, Slope) and t.letter == "d" for side in pair for t in walk(side))
    totals = ((True, False) if letters else (False, True)) if local else (False,)
    plain = Reading()
    extra: list[tuple[tuple[str, ...], Reading, Setting]] = [((), plain, base)]
    around: list[tuple[tuple[str, ...], Reading]] = [((OUTSIDE,), Reading(zero_outside=True))]
    padded = tuple(f"{name} is zero outside, as the layer pads it" for name in _padded(part, base))
    if padded:
        around += [(padded, Reading(padded=True)), ((*padded, OUTSIDE), Reading(zero_outside=True, padded=True))]
    if beyond := _turned(pair, part):
        zero = tuple(f"{name} is zero outside its range" for name in beyond)
        around += [((*zero, *says), replace(reading, beyond=beyond)) for says, reading in (((), plain), *around)]
    if shifted := _shifted(pair, part):
        extra += [(says, reading, base) for says, reading in around]
    single = _single(relation, part, base)
    if single is not None:
        extra.append(((single[0],), plain, single[1]))
        if shifted:
            extra += [((single[0], *says), reading, single[1]) for says, reading in around]
    printed = {value.base for name in names if isinstance(value := part.constants.get(key_text(name)), Name)}
    unused = (name for name in _unused(part) if name not in printed)
    extra += [((f"{name} = 0",), plain, replace(base, zero=(*base.zero, name))) for name in unused]
    usual = {p.name: int(p.default) for p in part.layer.parameters if p.name in unspoken and p.name not in part.equal}
    if usual:
        says = tuple(f"{unspoken[name]} = {value}" for name, value in usual.items())
        extra += [((*before, *says), reading, _held(setting, usual)) for before, reading, setting in tuple(extra)]
    whole = quotients(relation, part)
    if whole:
        extra.append((("the division leaves no remainder",), plain, replace(base, whole=whole)))
    for says, reading, setting in extra:
        for total in totals:
            yield Convention(says, replace(reading, total=total), setting)


def _held(setting: Setting, values: dict[str, int]) -> Setting:
    """The setting with one value for some parameters."""
    varied = tuple(name for name in setting.varied if name not in values)
    return replace(setting, held=(*setting.held, *values.items()), varied=varied)


def _padded(part: Part, setting: Setting) -> tuple[str, ...]:
    """The inputs that the layer itself reads outside their boxes in this setting."""
    found = []
    for tensor in part.layer.real_inputs:
        known = cases(part.layer, setting)
        if tensor.outside is None or not known:
            continue
        bare_inputs = tuple(replace(t, outside=None) if t == tensor else t for t in part.layer.inputs)
        try:
            for case in known[-2:]:
                scene(replace(part.layer, inputs=bare_inputs), setting, case)
        except OutsideBox:
            found.append(tensor.name)
    return tuple(found)


def _shifted(pair: tuple[Tree, Tree], part: Part) -> bool:
    """Whether an index is shifted, or a sum's limits move with an index: only then can a read fall outside for good."""
    for tree in (t for side in pair for t in walk(side)):
        if isinstance(tree, Name) and any(isinstance(i, Plus | Minus) for i in (*tree.sub, *tree.args)):
            return True
        limits = [x for x in (tree.low, tree.high) if x is not None] if isinstance(tree, Big) else []
        if any(isinstance(t, Name) and is_letter(t, part) for x in limits for t in walk(x)):
            return True
    return False


def _turned(pair: tuple[Tree, Tree], part: Part) -> tuple[str, ...]:
    """The inputs that are read at the difference of two indices, `w_{n - s t}`: a kernel that is meant to end there.

    An input whose value outside is declared is what the layer pads.
    """
    found: dict[str, None] = {}
    for name in (t for side in pair for t in walk(side) if isinstance(t, Name)):
        if not any(_is_difference(index, part) for index in (*name.sub, *name.args)):
            continue
        try:
            meant = resolve(name, part)
        except Unclear:
            continue
        if isinstance(meant, Element) and not meant.meant.gradient and not meant.meant.counts:
            declared = part.layer.tensor(meant.meant.tensor)
            if declared is not None and declared.outside is None:
                found[meant.meant.tensor] = None
    return tuple(found)


def _is_difference(index: Tree, part: Part) -> bool:
    terms = index.terms if isinstance(index, Plus) else ()
    signs = {
        isinstance(term, Minus) for term in terms if any(isinstance(t, Name) and is_letter(t, part) for t in walk(term))
    }
    return signs == {True, False}


def _varied(names: list[Name], part: Part) -> tuple[str, ...]:
    """The integer parameters of the layer that the formula speaks of."""
    found: dict[str, None] = {}
    for name in names:
        try:
            meant = resolve(name, part)
        except Unclear:
            continue
        if isinstance(meant, Plain):
            for leaf in walk(meant.value):
                if isinstance(leaf, Name) and any(p.name == leaf.base and p.integer for p in part.layer.parameters):
                    found[leaf.base] = None
    return tuple(found)


def _named(part: Part) -> dict[str, str]:
    """The integer parameters that the legend names, as it does: what leaves one out may be about all its values."""
    integers = [p.name for p in part.layer.parameters if p.integer and p.name not in part.fixed]
    found = {name: name for name in part.equal if name in integers}
    for printed, value in part.constants.items():
        if printed not in part.customary:
            for leaf in walk(value):
                if isinstance(leaf, Name) and leaf.base in integers:
                    found.setdefault(leaf.base, printed)
    return found


def _odd(part: Part) -> tuple[Expr, ...]:
    return tuple(position(Name(name), {}, part) for name in part.odd)


def _single(relation: Relation, part: Part, base: Setting) -> tuple[str, Setting] | None:
    """Axes whose index the formula leaves out have one element only."""
    dropped: dict[str, str] = {}
    for side in (relation.left, relation.right):
        for tree in walk(side):
            if isinstance(tree, Name):
                try:
                    found = resolve(tree, part)
                except Unclear:
                    continue
                if isinstance(found, Element):
                    for letter in found.dropped:
                        size = _axis_size(found, letter, part)
                        if size is not None:
                            dropped[size] = letter
    dropped |= _not_summed(relation, part)
    printed = {s.letter for side in (relation.left, relation.right) for s in standings(side, part) if s.printed}
    held = {size: 1 for size, letter in dropped.items() if size not in part.fixed and letter not in printed}
    if not held:
        return None
    letters = dict.fromkeys(dropped[s].removesuffix(f"{s}apart") for s in held)
    says = f"there is only one {' and one '.join(letters)}"
    return says, replace(base, held=(*base.held, *held.items()))


def _not_summed(relation: Relation, part: Part) -> dict[str, str]:
    """Sizes of axes of which the right side leaves the index out and the left side has none: nothing sums over it."""

    def unprinted(tree: Tree) -> dict[str, str]:
        left_out = [(s, slot_of(s.meant, s.formal)[0]) for s in standings(tree, part) if not s.printed]
        sizes = ((part.layer.axes(s.meant.tensor)[axis], s.letter) for s, axis in left_out)
        return {size.name: letter for size, letter in sizes if isinstance(size, Size)}

    known = {s.letter for s in standings(relation.left, part)}
    return {size: letter for size, letter in unprinted(relation.right).items() if letter not in known}


def _axis_size(found: Element, letter: str, part: Part) -> str | None:
    for slot, extent in zip(found.meant.slots, part.layer.axes(found.meant.tensor), strict=True):
        if isinstance(slot, Name) and slot.base == letter and isinstance(extent, Size):
            return extent.name
    return None


def _unused(part: Part) -> tuple[str, ...]:
    """The real parameters of the layer that neither the formula nor the legend names."""
    said = (value for name, value in part.constants.items() if name not in part.customary)
    used = {leaf.base for value in said for leaf in walk(value) if isinstance(leaf, Name)}
    return tuple(p.name for p in part.layer.parameters if not p.integer and p.name not in used)


def quotients(relation: Relation, part: Part) -> tuple[Expr, ...]:
    """The quotients that the layer rounds down, where the formula divides so or speaks of such a size."""
    rounded = {s.name: [e for e in walk_nodes(s.value) if isinstance(e, FloorDiv)] for s in part.layer.sizes}
    divisors = {e.divisor for found in rounded.values() for e in found}
    translator = Translator(part, Reading(), ())
    speaks = _rounds_an_index(relation, part, rounded)
    for tree in (t for side in (relation.left, relation.right) for t in walk(side)):
        try:
            if isinstance(tree, Over):
                speaks |= translator.expr(tree.bottom) in divisors
            elif isinstance(tree, Name):
                meant = translator.expr(tree)
                speaks |= isinstance(meant, Size) and bool(rounded.get(meant.name))
        except UserError:
            continue
    if not speaks:
        return ()
    return tuple(dict.fromkeys(divide(e.dividend, e.divisor) for found in rounded.values() for e in found))


def _rounds_an_index(relation: Relation, part: Part, rounded: dict[str, list[FloorDiv]]) -> bool:
    r"""Whether an axis of a rounded size is read at a rounded index: `p_{\lfloor i/2 \rfloor}` for every i."""
    for name in (t for side in (relation.left, relation.right) for t in walk(side) if isinstance(t, Name)):
        if not any(isinstance(index, Applied) and index.function == "floor" for index in (*name.sub, *name.args)):
            continue
        symbol = next((s for s in part.symbols if s.base == name.base), None)
        axes = part.layer.axes(symbol.tensor) if symbol is not None else ()
        if any(isinstance(axis, Size) and rounded.get(axis.name) for axis in axes):
            return True
    return False
