"""What a formula may lack: a symbol, a gradient, a link of a chain rule, as a factor or a term, where one can stand.

A product has one place for a factor, wherever in it the factor is printed; a term can stand where brackets, a
fraction, a root, a limit or the whole side hold a sum. Only symbols whose index letters are bound there are put in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from typing import TypeGuard

from symbackprop.documents.conventions import Relation
from symbackprop.documents.edits import freed, replaced
from symbackprop.documents.latex.tree import (
    Applied,
    Big,
    Chain,
    Group,
    Minus,
    Name,
    Num,
    Over,
    Plus,
    Raised,
    Root,
    Slope,
    Times,
    Tree,
    bare,
    parts,
    rebuild,
    walk,
)
from symbackprop.documents.legend import Part
from symbackprop.documents.meant import Meant
from symbackprop.documents.names import Element, Unclear, is_loss, letter_of, resolve, standings
from symbackprop.documents.stock import Edit, Stock, whole_number
from symbackprop.documents.trials import vanishes

UNIT, TWO = Num(Fraction(1), "1"), Num(Fraction(2), "2")
MOST_OF_ONE = 32  # index lists that are tried for one symbol


@dataclass(frozen=True, slots=True)
class Pool:
    """What can be put in: symbols and gradients, sizes and numbers, each with the index letters that it needs."""

    symbols: tuple[tuple[Tree, frozenset[str]], ...]
    sizes: tuple[Tree, ...]
    silent: frozenset[str]
    free: frozenset[str]

    def at(self, scope: frozenset[str]) -> Iterator[Tree]:
        """The symbols whose letters are bound in a scope."""
        return (tree for tree, letters in self.symbols if letters <= scope)


def pools_of(relation: Relation, stock: Stock) -> tuple[Pool, Pool]:
    """Single symbols, those that the formula prints first; then what is made of several: brackets, terms, sums."""
    part, left = stock.part, relation.left
    loss = next((t.top for t in walk(left) if isinstance(t, Slope) and is_loss(bare(t.top), part)), None)
    free = {s.letter for s in standings(left, part) if s.printed}
    bound = {letter_of(t.variable) for t in walk(relation.right) if isinstance(t, Big)}
    printed = [t for side in (relation.right, left) for t in walk(side) if _is_element(t, part)]
    slopes: list[Tree] = [t for t in walk(relation.right) if isinstance(t, Slope)]
    formals = {f for m in part.symbols for f in m.formals} if not free | bound else set()  # the only sum may be lost
    scope = sorted(free | bound | formals)
    numerals = {i.value for n in printed if isinstance(n, Name) for i in (*n.sub, *n.args) if isinstance(i, Num)}
    near = sorted({v + step for v in numerals for step in (-1, 0, 1) if v + step >= 0})
    counted = [Num(v, str(v)) for v in near]
    known = {t.base for t in printed if isinstance(t, Name)}
    others = [
        e
        for m in part.symbols
        if not m.gradient or m.base in known
        for e in _elements(m, scope, sorted(bound), counted, m.base in known)
    ]
    found: list[Tree] = [t for t in dict.fromkeys([*printed, *slopes, *others]) if bare(left) != t]
    if loss is not None:
        found += [Slope("∂", loss, t) for t in found if isinstance(t, Name) and t != _by(left)]
    groups = [g for t in walk(relation.right) if isinstance(t, Group) for g in _relettered(t, scope, counted, part)]
    roots = dict.fromkeys(t for side in (relation.right, left) for t in walk(side) if isinstance(t, Root))
    reals: list[Tree] = [Name(r) for r in stock.reals]
    links = _links(left, found, loss)
    found = [*reals, *(t for t in links if isinstance(t, Slope)), *found]
    slopes_and_names = [t for t in found if isinstance(t, Name | Slope)]
    last: list[Tree] = [
        *groups,
        *(Over(UNIT, root) for root in roots),
        *roots,
        *(t for t in links if not isinstance(t, Slope)),
        *(Big("sum", Name(x), None, None, t) for t, x in _summed(slopes_and_names, scope, part)),
    ]
    silent = frozenset(s.letter for s in standings(left, part) if not s.printed) | frozenset(part.silent)
    sizes: list[Tree] = [Name(c) for c in stock.constants if c not in stock.reals]
    integers = {p.name for p in part.layer.parameters if p.integer}
    sizes += [
        Times((TWO, Name(name)))  # a padding on both sides
        for name in stock.constants
        if isinstance(value := part.constants[name], Name) and value.base in integers
    ]

    def telling(trees: list[Tree]) -> tuple[tuple[Tree, frozenset[str]], ...]:
        kept = (t for t in dict.fromkeys(trees) if not (isinstance(t, Slope | Times | Big) and vanishes(t, part)))
        return tuple((t, frozenset(_letters(t, part)) - silent) for t in kept)

    simple = Pool(telling(found), (*sizes, Num(Fraction(1), "1")), silent, frozenset(free))
    return simple, Pool(telling(last), (), silent, frozenset(free))


def _letters(tree: Tree, part: Part) -> set[str]:
    """The index letters of a symbol, those inside its positions too."""
    alone = {s.letter for s in standings(tree, part) if s.printed}
    names = [t for t in walk(tree) if isinstance(t, Name)]
    inside = {letter_of(t) for n in names for i in (*n.sub, *n.args) for t in walk(i) if isinstance(t, Name)}
    inside -= {letter_of(t.variable) for t in walk(tree) if isinstance(t, Big)}
    return alone | {x for x in inside if x not in part.constants and not any(s.base == x for s in part.symbols)}


def _relettered(group: Group, scope: list[str], counted: list[Num], part: Part) -> Iterator[Tree]:
    """What stands in brackets, and the same at another index."""
    yield group
    for letter in sorted(_letters(group, part)):
        for other in scope:
            if other != letter:
                yield freed(group, letter, Name(other))
    for old in dict.fromkeys(i for n in walk(group) if isinstance(n, Name) for i in n.sub if isinstance(i, Num)):
        for name in (n for n in walk(group) if isinstance(n, Name) and old in n.sub):
            for new in counted:
                yield replaced(group, name, replace(name, sub=tuple(new if i == old else i for i in name.sub)))


def _summed(elements: Sequence[Tree], scope: list[str], part: Part) -> Iterator[tuple[Tree, str]]:
    """Symbols with one index letter that can be summed over."""
    for tree in elements:
        letters = [x for x in _letters(tree, part) if x in scope]
        if len(letters) == 1:
            yield tree, letters[0]


def _is_element(tree: Tree, part: Part) -> bool:
    if not isinstance(tree, Name):
        return False
    try:
        return isinstance(resolve(tree, part), Element)
    except Unclear:
        return False


def _by(left: Tree) -> Tree | None:
    return left.bottom if isinstance(left, Slope) else None


def _elements(meant: Meant, scope: list[str], bound: list[str], counted: list[Num], printed: bool) -> Iterator[Name]:
    """A symbol at the letters of the formula: at those that its own indices are called by, else at any few."""
    sup = whole_number(Fraction(meant.power), (0, 0)) if meant.power.isdigit() else None
    formals = {f.rstrip("'") for f in meant.formals}
    choices: list[list[Tree]] = []
    for formal in meant.formals:
        alike: list[Tree] = [Name(x) for x in scope if x.rstrip("'") == formal.rstrip("'")]
        if not printed:
            alike += [Plus((a, moved)) for a in alike for x in bound if x not in formals for moved in _moves(x)]
        choices.append([*alike, *counted])
    if len(meant.formals) < 3 and not all(choices):
        choices = [[Name(x) for x in scope] for _ in meant.formals]
    for _, chosen in zip(range(MOST_OF_ONE), product(*choices), strict=False):
        yield Name(meant.base, (), sup, chosen) if len(chosen) > 2 else Name(meant.base, chosen, sup)


def _moves(letter: str) -> tuple[Tree, Tree]:
    return Name(letter), Minus(Name(letter))


def _links(left: Tree, found: list[Tree], loss: Tree | None) -> list[Tree]:
    """What a chain rule may lack: a local derivative by what the left side differentiates by, or a whole term."""
    left = bare(left)
    if loss is None or not isinstance(left, Slope):
        return []
    used = [t.bottom for t in found if isinstance(t, Slope)]
    between = dict.fromkeys((*used, *(t for t in found if isinstance(t, Name) and (t.sub or t.sup or t.args))))
    local = [Slope("∂", name, left.bottom) for name in between if name != left.bottom]
    return [*local, *(Times((Slope("∂", loss, link.top), link)) for link in local if isinstance(link.top, Name))]


def routed(tree: Tree, by: Name, part: Part) -> Iterator[tuple[Tree, Edit]]:
    r"""The tree with what a chain rule lacks: one of two links `\frac{df}{du} \frac{du}{dx}`, or a term for what else f
    is of.
    """
    if isinstance(tree, Name | Slope | Num):
        return
    whole = tree.body if isinstance(tree, Group) else tree
    terms = whole.terms if isinstance(whole, Plus) else (whole,)
    if isinstance(tree, Plus) or (isinstance(tree, Group) and isinstance(whole, Times)):
        for new, edit in (*_with_links(whole, terms, by, part), *_with_terms(whole, terms, by, part)):
            yield Group(new, span=tree.span) if isinstance(tree, Group) else new, edit
    children = parts(tree)
    for at, child in enumerate(children):
        for new, edit in routed(child, by, part):
            yield rebuild(tree, (*children[:at], new, *children[at + 1 :])), edit


def _with_terms(whole: Tree, terms: tuple[Tree, ...], by: Name, part: Part) -> Iterator[tuple[Tree, Edit]]:
    for term in _missing_links(terms, by, part):
        more: Tree = Plus((*terms, term), span=whole.span)
        yield more, Edit("term", whole, more, 4)


def _with_links(whole: Tree, terms: tuple[Tree, ...], by: Name, part: Part) -> Iterator[tuple[Tree, Edit]]:
    """Each term with the one of its two links that it lacks."""
    links = [[f for f in map(bare, _factors(bare(t))) if _is_local(f, part)] for t in terms]
    tops = dict.fromkeys(f.top for found in links for f in found if f.bottom != by)
    for at, (term, found) in enumerate(zip(terms, links, strict=True)):
        if len(found) != 1:
            continue
        lone, top = found[0], bare(found[0].top)
        lacking: list[Tree] = [Slope("∂", f, top) for f in tops if isinstance(top, Name) and lone.bottom == by]
        if lone.bottom != by:
            lacking = [Slope("∂", lone.bottom, by)]
        for link in lacking:
            new: Tree = Times((link, term), span=term.span)
            terms_now = (*terms[:at], new, *terms[at + 1 :])
            yield (Plus(terms_now, span=whole.span) if len(terms) > 1 else new), Edit("factor", term, new, 4)


def _is_local(tree: Tree, part: Part) -> TypeGuard[Slope]:
    return isinstance(tree, Slope) and not is_loss(bare(tree.top), part)


def _missing_links(terms: tuple[Tree, ...], by: Name, part: Part) -> Iterator[Tree]:
    factors = (bare(f) for t in terms for f in _factors(bare(t)))
    local = [f for f in factors if _is_local(f, part) and f.top != by]
    printed = [f.top for f in local] + [f.bottom for f in local]
    for top in dict.fromkeys(f.top for f in local if f.bottom != by):
        known = {f.bottom for f in local if f.top == top}
        inside = printed if isinstance(bare(top), Name) else list(walk(top))
        for link in dict.fromkeys(t for t in inside if _is_element(t, part)):
            if isinstance(link, Name) and link not in known and link != top:
                yield Times((Slope("∂", top, link), Slope("∂", link, by)))


def _factors(tree: Tree) -> tuple[Tree, ...]:
    return tree.factors if isinstance(tree, Times) else (tree,)


def inserted(tree: Tree, pool: Pool) -> Iterator[tuple[Tree, Edit]]:
    """The tree with one symbol put in, as a factor or a term."""
    yield from _inserted(tree, pool, pool.free, True, True)


def _inserted(
    tree: Tree, pool: Pool, scope: frozenset[str], factor: bool, term: bool, exact: bool = False
) -> Iterator[tuple[Tree, Edit]]:
    if isinstance(tree, Chain):  # a condition has places for terms in its sides alone
        factor = term = False
    if factor and not exact and not isinstance(tree, Plus | Minus | Group):
        for symbol in pool.at(scope):
            grown: Tree = Times((symbol, tree), span=tree.span)
            yield grown, Edit("factor", tree, grown, 4)
    if term:
        yield from _terms(tree, pool, scope, exact)
    if isinstance(tree, Name | Slope | Num):
        return
    children = parts(tree)
    for at, child in enumerate(children):
        if isinstance(tree, Big) and at == 0:
            continue
        limit = isinstance(tree, Big) and at < len(children) - 1
        inner = scope | {letter_of(tree.variable)} if isinstance(tree, Big) and not limit else scope
        sums = limit or isinstance(tree, Group | Over | Root | Applied) or (isinstance(tree, Raised) and at == 1)
        whole = not isinstance(tree, Times) and not (isinstance(tree, Over) and at == 0)
        for new, edit in _inserted(child, pool, inner, whole, sums, exact or limit):
            yield rebuild(tree, (*children[:at], new, *children[at + 1 :])), edit


def _terms(tree: Tree, pool: Pool, scope: frozenset[str], exact: bool) -> Iterator[tuple[Tree, Edit]]:
    """Terms at a place that holds a sum; sizes and letters where it is one of whole numbers."""
    symbols = [*(Name(x) for x in sorted(scope)), *pool.sizes] if exact else [*pool.at(scope), *pool.sizes]
    own = tree.terms if isinstance(tree, Plus) else (tree,)
    where = _sum_in(tree)
    for symbol in symbols:
        kind = "bound" if exact else "term"
        if not any(isinstance(t, Minus) and bare(t.body) == bare(symbol) for t in own):  # else it takes a term away
            more: Tree = Plus((symbol, *own), span=tree.span)
            yield more, Edit(kind, where, more, 4)
        if all(bare(t) != bare(symbol) for t in own):
            less: Tree = Plus((*own, Minus(symbol)), span=tree.span)
            yield less, Edit(kind, where, less, 4)


def _sum_in(tree: Tree) -> Tree:
    """Where a product lacks a term: the one sum among its factors, which could have held it as well."""
    factors = tree.factors if isinstance(tree, Times) else ()
    sums = [f for f in factors if isinstance(f, Group) and isinstance(f.body, Plus | Minus)]
    return sums[0] if len(sums) == 1 else tree
