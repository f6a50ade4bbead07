"""Twelve kinds of small damage to a formula, each planted in one place: what the audit has to see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

from symbackprop.documents.tree import (
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
)

Damage = Callable[[Tree], Iterator[Tree]]


def number(value: int) -> Num:
    return Num(Fraction(value), str(value))


def sign_of_a_term(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, Plus):
        for at, term in enumerate(tree.terms):
            turned = term.body if isinstance(term, Minus) else Minus(term)
            yield replace(tree, terms=(*tree.terms[:at], turned, *tree.terms[at + 1 :]))


def sign_lost(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, Minus):
        yield tree.body


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
    sign_of_a_term, sign_lost, exponent_turned, root_lost, square_lost, factor_lost,
    factor_two, fraction_turned, sum_lost, bound_moved, term_lost, number_changed,
)  # fmt: skip


def planted(tree: Tree, kind: Damage) -> Iterator[Tree]:
    """The tree with this damage at each place at which it can stand; indices are left alone."""
    yield from kind(tree)
    if isinstance(tree, Slope | Name):
        return
    children = parts(tree)
    for at, child in enumerate(children):
        if isinstance(tree, Big) and at == 0:
            continue
        for new in planted(child, kind):
            yield rebuild(tree, (*children[:at], new, *children[at + 1 :]))
