"""What one symbol of a formula is, by the legend: scripts that are labels, powers and indices told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from symbackprop.documents.latex.tree import (
    Big,
    Group,
    Minus,
    Name,
    Num,
    Plus,
    Slope,
    Span,
    Times,
    Tree,
    bare,
    latex,
    parts,
    walk,
)
from symbackprop.documents.legend import DEFAULT_LABELS, Part
from symbackprop.documents.meant import Meant, key_text
from symbackprop.errors import UserError


class Unclear(UserError):
    """A name or a part of a formula that the legend gives no meaning; never a free variable."""

    def __init__(self, message: str, span: Span, token: str = "", count: bool = False) -> None:
        self.message, self.span, self.token = message, span, token
        self.count = count  # a declared name with a number of indices that it cannot have
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a tensor, or of its gradient: a position for each formal index, and the power it stands in.

    `dropped` are the formals that the document leaves out here; `assumed` what was taken for granted.
    """

    meant: Meant
    given: Mapping[str, Tree]
    power: Tree | None
    half: bool = False
    dropped: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plain:
    """A size, parameter or number, and the power it stands in."""

    value: Tree
    power: Tree | None
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kronecker:
    """1 where the two indices are equal, else 0."""

    left: Tree
    right: Tree


def unlabelled(name: Name, part: Part) -> Name:
    """The symbol without the scripts that are labels."""
    if name.sup is not None and latex(bare(name.sup)).replace(" ", "") in part.labels:
        name = replace(name, sup=None)
    own = part.labels - frozenset(DEFAULT_LABELS)  # `l` below a symbol is more often an index
    kept = tuple(s for s in name.sub if latex(s).replace(" ", "") not in own or _is_size(name, part))
    return name if len(kept) == len(name.sub) else replace(name, sub=kept)


def _is_size(name: Name, part: Part) -> bool:
    return key_text(replace(name, sup=None)) in part.constants


def resolve(name: Name, part: Part) -> Element | Plain | Kronecker:
    """What a symbol is. Raises Unclear where the legend does not say."""
    found = _known(name, part)
    if isinstance(found, Unclear):
        raise Unclear(found.message, name.span, found.token, found.count)
    return found


@lru_cache(maxsize=20_000)
def _known(name: Name, part: Part) -> Element | Plain | Kronecker | Unclear:
    try:
        return _resolved(name, part)
    except Unclear as unclear:
        return unclear


def _resolved(name: Name, part: Part) -> Element | Plain | Kronecker:
    name = unlabelled(name, part)
    for whole, power in ((name, None), (replace(name, sup=None), name.sup)):
        key = key_text(whole)
        if key in part.constants:
            assumed = (part.assumed[key],) if key in part.assumed else ()
            return Plain(part.constants[key], power, assumed)
    fitting = [s for s in part.symbols if s.base == name.base]
    if fitting and isinstance(name.sup, Group) and all(s.power != latex(name.sup) for s in fitting):
        raise Unclear(f"what stands in brackets above `{latex(name)}` is not declared", name.span, latex(name))
    if not fitting:
        if name.base == r"\delta" and len(spread([*name.sub])) == 2 and not name.args:
            return Kronecker(*spread([*name.sub]))
        raise Unclear(f"`{latex(name)}` is not declared in the legend", name.span, latex(name))
    exact = latex(name.sup) if name.sup is not None else ""
    same = [s for s in fitting if s.power == exact and s.power]
    plain = [s for s in fitting if not s.power]
    squares = [s for s in fitting if s.power == "2"]
    for choice, power, half in ((same, None, False), (plain, name.sup, False), (squares, name.sup, True)):
        if choice:
            return _element(name, choice, power, half, part)
    raise Unclear(f"`{latex(name)}`: the legend has {fitting[0].base}^{fitting[0].power} only", name.span, latex(name))


def _element(name: Name, choice: list[Meant], power: Tree | None, half: bool, part: Part) -> Element | Kronecker:
    indices = [*name.sub, *name.args]
    for meant in choice:
        if len(meant.formals) == len(indices):
            return _given(name, meant, meant.formals, indices, power, half)
    for meant in choice:
        needed = len(meant.formals)
        apart = spread(indices)
        if len(apart) == needed:
            return _given(name, meant, meant.formals, apart, power, half)
        for count in (len(indices), len(apart)):
            kept = tuple(f for f in meant.formals if f not in part.silent)
            few = indices if count == len(indices) else apart
            if count < needed and count in (len(kept), needed - 1):
                formals = kept if count == len(kept) else _without_one(meant.formals, part.silent)
                if len(formals) == count:
                    return _given(name, meant, formals, few, power, half)
    if name.base == r"\delta" and len(spread([*name.sub])) == 2 and not name.args:
        return Kronecker(*spread([*name.sub]))
    meant = choice[0]
    if not meant.formals and len(name.sub) == 1 and not name.args and isinstance(name.sub[0], Name):
        taken = replace(name, sub=())
        return Element(meant, {}, power, half, (), (f"{latex(name)} is read as {latex(taken)}",))
    needs = f"the indices {', '.join(meant.formals)}" if meant.formals else "no index"
    raise Unclear(
        f"`{latex(name)}`: {meant.base} has {needs} in the legend, and {len(indices)} came",
        name.span,
        latex(name),
        True,
    )


def _without_one(formals: tuple[str, ...], silent: tuple[str, ...]) -> tuple[str, ...]:
    """The formals without the first that may be left out."""
    for at, formal in enumerate(formals):
        if formal in silent:
            return (*formals[:at], *formals[at + 1 :])
    return formals


def spread(indices: list[Tree]) -> list[Tree]:
    """`x_{11}` and `x_{ij}` as two indices each."""
    found: list[Tree] = []
    for index in indices:
        if isinstance(index, Num) and index.text.isdigit():
            found += [Num(Fraction(c), c, span=index.span) for c in index.text]
        elif isinstance(index, Times) and not index.sign:
            found += index.factors
        else:
            found.append(index)
    return found


def _given(
    name: Name, meant: Meant, formals: tuple[str, ...], indices: list[Tree], power: Tree | None, half: bool
) -> Element:
    used = in_positions(meant)
    given = dict(zip(formals, indices, strict=True))
    for formal, index in given.items():
        if formal not in used and index != Name(formal):
            raise Unclear(f"`{latex(name)}`: {formal} was expected in its brackets", index.span, latex(index))
    dropped = tuple(f for f in meant.formals if f not in formals)
    return Element(meant, given, power, half, dropped)


@dataclass(frozen=True, slots=True)
class Standing:
    """An index letter that stands alone at an axis of a tensor; `printed` is False where the document leaves it out."""

    letter: str
    meant: Meant
    formal: str
    printed: bool


class _Kept:
    """What was found of a tree, by the tree itself: formulas that differ in one place share all other parts."""

    def __init__(self, most: int = 60_000) -> None:
        self._found: dict[tuple[int, int], tuple[Tree, Part, tuple[Standing, ...]]] = {}
        self._most = most

    def get(self, tree: Tree, part: Part, find: Callable[[Tree, Part], tuple[Standing, ...]]) -> tuple[Standing, ...]:
        key = (id(tree), id(part))
        kept = self._found.get(key)
        if kept is None:
            if len(self._found) > self._most:
                self._found.clear()
            kept = self._found[key] = (tree, part, find(tree, part))  # with both, so that no other gets their ids
        return kept[2]


_STANDINGS, _LOOSE = _Kept(), _Kept()


def standings(tree: Tree, part: Part) -> tuple[Standing, ...]:
    """Where free index letters stand alone, in the order of the formula."""
    return _STANDINGS.get(tree, part, _standings)


def _standings(tree: Tree, part: Part) -> tuple[Standing, ...]:
    if isinstance(tree, Name):
        return tuple(_at_name(tree, part))
    if isinstance(tree, Slope) and is_loss(bare(tree.top), part):
        return standings(tree.bottom, part)
    return _unbound(tree, part, standings)


def loose_letters(tree: Tree, part: Part) -> tuple[Standing, ...]:
    """Free letters wherever they stand, that the legend uses as an index of a symbol: with that symbol and index."""
    return _LOOSE.get(tree, part, _loose)


def _loose(tree: Tree, part: Part) -> tuple[Standing, ...]:
    inner = _unbound(tree, part, loose_letters)
    if isinstance(tree, Name) and not any(s.base == tree.base for s in part.symbols) and is_letter(tree, part):
        letter = letter_of(tree)
        for formal in (letter, letter.rstrip("'")):
            symbol = next((s for s in part.symbols for f in s.formals if f == formal), None)
            if symbol is not None:
                return (Standing(letter, symbol, formal, True), *inner)
    return inner


def _unbound(tree: Tree, part: Part, find: Callable[[Tree, Part], tuple[Standing, ...]]) -> tuple[Standing, ...]:
    """What is found in the parts, without the letter that the tree binds."""
    if isinstance(tree, Big):
        limits = tuple(s for limit in (tree.low, tree.high) if limit is not None for s in find(limit, part))
        letter = letter_of(tree.variable)
        return (*limits, *(s for s in find(tree.body, part) if s.letter != letter))
    return tuple(s for inner in parts(tree) for s in find(inner, part))


def is_loss(tree: Tree, part: Part) -> bool:
    """Whether it is the loss itself."""
    return (
        isinstance(tree, Name)
        and not tree.args
        and latex(replace(tree, sup=None)) in (*part.loss, *(_roman(x) for x in part.loss))
    )


def _roman(text: str) -> str:
    return rf"\mathrm{{{text}}}"


def _at_name(name: Name, part: Part) -> Iterator[Standing]:
    try:
        found = resolve(name, part)
    except Unclear:
        return
    if not isinstance(found, Element):
        return
    for formal, index in found.given.items():
        if formal in in_positions(found.meant) and isinstance(index, Name) and is_letter(index, part):
            yield Standing(letter_of(index), found.meant, formal, True)
    for formal in (*found.dropped, *silent_letters(found.meant, part)):
        yield Standing(formal, found.meant, formal, False)


@lru_cache(maxsize=2_000)
def in_positions(meant: Meant) -> frozenset[str]:
    """The names that stand in the positions of a symbol."""
    return frozenset(p.base for slot in meant.slots for p in walk(slot) if isinstance(p, Name))


@lru_cache(maxsize=2_000)
def silent_letters(meant: Meant, part: Part) -> tuple[str, ...]:
    """The letters in the positions of a symbol that the document does not print."""
    sizes = {t.name for x in part.layer.inputs for t in x.axes} | {s.name for s in part.layer.sizes}
    sizes |= {p.name for p in part.layer.parameters} | set(part.constants)
    found = [p.base for s in meant.slots for p in walk(s) if isinstance(p, Name)]
    return tuple(dict.fromkeys(f for f in found if f not in meant.formals and f not in sizes))


@lru_cache(maxsize=20_000)
def is_letter(index: Tree, part: Part) -> bool:
    """Whether it is a symbol that stands for an index: no size, no number."""
    if not isinstance(index, Name) or index.args or index.sup is not None or key_text(index) in part.constants:
        return False
    return not index.sub or all(s.base != index.base for s in part.symbols)  # else a label: `p_{y_n}`


def letter_of(name: Name) -> str:
    """The spelling of an index letter."""
    return name.base if not name.sub else key_text(name)


def slot_of(meant: Meant, formal: str) -> tuple[int, int]:
    """The axis at which a formal index stands, and its sign there."""
    for axis, slot in enumerate(meant.slots):
        terms = slot.terms if isinstance(slot, Plus) else (slot,)
        for term in terms:
            sign = -1 if isinstance(term, Minus) else 1
            inner = bare(term.body) if isinstance(term, Minus) else bare(term)
            if inner == Name(formal):
                return axis, sign
    raise Unclear(f"{meant.base}: the index {formal} does not stand alone in a position of the legend", (0, 0), formal)
