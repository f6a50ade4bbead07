"""Twelve kinds of small damage to a formula, each planted in one place: what the audit has to see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

from symbackprop.documents.latex.tree import (
    Big,
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
    parts,
    rebuild,
    walk,
)
from symbackprop.documents.legend import Part
from symbackprop.documents.names import Element, Unclear, resolve, spread, unlabelled

Damage = Callable[[Tree], Iterator[Tree]]


def number(value: int) -> Num:
    return Num(Fraction(value), str(value))


def sign_turned(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, Plus):
        for at, term in enumerate(tree.terms):
            turned = term.body if isinstance(term, Minus) else Minus(term)
            yield replace(tree, terms=(*tree.terms[:at], turned, *tree.terms[at + 1 :]))
    elif isinstance(tree, Minus):
        yield tree.body


def index_moved(tree: Tree) -> Iterator[Tree]:
    """One index of a symbol one place further, or two of them in each other's place."""
    if not isinstance(tree, Name):
        return
    for field in ("sub", "args"):
        indices = tuple(spread([*(tree.sub if field == "sub" else tree.args)]))
        for at, index in enumerate(indices):
            moved = (*indices[:at], _next(index), *indices[at + 1 :])
            swapped = (*indices[:at], *reversed(indices[at : at + 2]), *indices[at + 2 :])
            for new in dict.fromkeys((moved, swapped)):
                if new != indices:
                    yield replace(tree, sub=new) if field == "sub" else replace(tree, args=new)


def _next(index: Tree) -> Tree:
    if isinstance(index, Num):
        return number(int(index.value) + 1)
    return Plus((*(index.terms if isinstance(index, Plus) else (index,)), number(1)))


def exponent_turned(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, Raised):
        turned = tree.exponent.body if isinstance(tree.exponent, Minus) else Minus(tree.exponent)
        yield replace(tree, exponent=turned)


def root_lost(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, Root):
        yield Group(tree.body)


def square_lost(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, Raised) and isinstance(tree.exponent, Num) and tree.exponent.value == 2:
        yield tree.base
    if isinstance(tree, Name) and isinstance(tree.sup, Num) and tree.sup.value == 2:
        yield replace(tree, sup=number(3))


def factor_lost(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, Times):
        for at in range(len(tree.factors)):
            rest = (*tree.factors[:at], *tree.factors[at + 1 :])
            yield replace(tree, factors=rest) if len(rest) > 1 else rest[0]


def factor_two(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, Times | Over | Big):
        yield Times((number(2), tree))


def fraction_turned(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, Over):
        yield replace(tree, top=tree.bottom, bottom=tree.top)


def sum_lost(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, Big):
        yield tree.body


def bound_moved(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, Big) and tree.low is not None and tree.high is not None:
        yield replace(tree, high=Plus((tree.high, Minus(number(1)))))
        yield replace(tree, low=Plus((tree.low, number(1))))


def term_lost(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, Plus):
        for at in range(len(tree.terms)):
            rest = (*tree.terms[:at], *tree.terms[at + 1 :])
            yield replace(tree, terms=rest) if len(rest) > 1 else rest[0]


def number_changed(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, Num) and tree.value > 1:
        yield number(int(tree.value) + 1)


KINDS: tuple[Damage, ...] = (
    sign_turned, index_moved, exponent_turned, root_lost, square_lost, factor_lost,
    factor_two, fraction_turned, sum_lost, bound_moved, term_lost, number_changed,
)  # fmt: skip


def planted(tree: Tree, kind: Damage, part: Part) -> Iterator[Tree]:
    """The tree with this damage at each place at which it can stand; scripts that only mark a symbol are left alone."""
    if kind is not index_moved or _has_indices(tree, part):
        yield from kind(tree)
    if isinstance(tree, Name) or (isinstance(tree, Slope) and kind is not index_moved):
        return
    children = parts(tree)
    for at, child in enumerate(children):
        if isinstance(tree, Big) and at == 0:
            continue
        for new in planted(child, kind, part):
            yield rebuild(tree, (*children[:at], new, *children[at + 1 :]))


def _has_indices(tree: Tree, part: Part) -> bool:
    if not isinstance(tree, Name) or unlabelled(tree, part) != tree:
        return False
    try:
        found = resolve(tree, part)
    except Unclear:
        return False
    used = {t for slot in found.meant.slots for t in walk(slot)} if isinstance(found, Element) else set()
    return isinstance(found, Element) and any(Name(formal) in used for formal in found.given)
