"""Repairs of matrix notation: a factor turned, factors in another order; only what fits in its sizes is tried."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations, product

from symbackprop.documents.conventions import Relation
from symbackprop.documents.judge import HOLDS, HOLDS_IF, judge
from symbackprop.documents.latex.tree import (
    Chain,
    Group,
    Name,
    Raised,
    Slope,
    Times,
    Tree,
    bare,
    latex,
    parts,
    rebuild,
    walk,
)
from symbackprop.documents.legend import Part
from symbackprop.documents.matrices import in_indices, is_matrix
from symbackprop.documents.names import is_loss
from symbackprop.documents.repairs import Repair
from symbackprop.documents.stock import Edit
from symbackprop.documents.trials import NO_VALUE

MOST_FACTORS = 3  # of one product that are reordered
MOST = 2  # repairs that are shown


def rearrangements(left: Tree, right: Tree, part: Part, deadline: float) -> tuple[Repair, ...]:
    """The right sides with factors turned or in another order that hold: those with the fewest changes first."""
    found: list[Repair] = []
    for new, edit in sorted(rearranged(right, part), key=lambda pair: pair[1].cost):
        if len(found) == MOST or time.process_time() > deadline or (found and edit.cost > found[0].edits[0].cost):
            break
        try:
            indexed = in_indices(Chain(left, (("=", new),)), part)
            judgement = judge(Relation(indexed.first, indexed.rest[0][1]), part, deadline)
        except NO_VALUE:
            continue
        if judgement.verdict in (HOLDS, HOLDS_IF):
            found.append(Repair((edit,), f"{latex(left)} = {latex(new)}", judgement.conditions))
    return tuple(found)


def rearranged(tree: Tree, part: Part) -> Iterator[tuple[Tree, Edit]]:
    """The tree with one factor turned, or with the factors of one product in another order, turned or not."""
    if is_matrix(tree, part) or (isinstance(tree, Slope) and is_loss(bare(tree.top), part)):
        yield _turned(tree), Edit("transposition", tree, _turned(tree), 1)
        return
    if isinstance(tree, Name | Slope):
        return
    if isinstance(tree, Times) and tree.sign != r"\odot":
        yield from _reordered(tree, part)
    children = parts(tree)
    for at, child in enumerate(children):
        for new, edit in rearranged(child, part):
            yield rebuild(tree, (*children[:at], new, *children[at + 1 :])), edit


def _reordered(tree: Times, part: Part) -> Iterator[tuple[Tree, Edit]]:
    places = [at for at, f in enumerate(tree.factors) if any(is_matrix(t, part) for t in walk(f))]
    if not 2 <= len(places) <= MOST_FACTORS:
        return
    for order in permutations(places):
        for turns in product((False, True), repeat=len(places)):
            moved = sum(a != b for a, b in zip(order, places, strict=True))
            if not moved and sum(turns) < 2:  # as it is, or turned alone
                continue
            factors = list(tree.factors)
            for place, source, turn in zip(places, order, turns, strict=True):
                factors[place] = _turned(tree.factors[source]) if turn else tree.factors[source]
            new = replace(tree, factors=tuple(factors))
            yield new, Edit("order" if moved else "transposition", tree, new, moved + sum(turns))


def _turned(tree: Tree) -> Tree:
    if isinstance(tree, Name):
        return replace(tree, sup=None if tree.sup is not None else Name("T"))
    if isinstance(tree, Raised):
        return tree.base
    return Raised(tree if isinstance(tree, Group) else Group(tree, span=tree.span), Name("T"), span=tree.span)
