"""A guess made better by trying it: a change is kept if more of the document's formulas hold with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from itertools import combinations

from symbackprop.check.arithmetic import Redraw
from symbackprop.documents.audit import spoken_words, statements_of
from symbackprop.documents.claims import claims
from symbackprop.documents.conventions import Relation
from symbackprop.documents.draft import CENTRED, MARKS, Draft, Symbol, symbol_for
from symbackprop.documents.latex.tokens import NotRead
from symbackprop.documents.latex.tree import ONES, Slope, walk
from symbackprop.documents.legend import Part, legend_of
from symbackprop.documents.matrices import ShapesDiffer, in_indices
from symbackprop.documents.meant import LegendError, layer_names
from symbackprop.documents.names import Unclear
from symbackprop.documents.repairs import ways_of
from symbackprop.documents.seen import Seen
from symbackprop.documents.source import Formula
from symbackprop.documents.trials import NO_VALUE, Trial
from symbackprop.errors import UserError

LONGEST_SEARCH = 12.0  # seconds of one processor
MOST = 14  # formulas that are tried
WORTH = {"holds": 3.0, "fails": -1.0, "open": 0.0}


def refined(draft: Draft, seen: Seen) -> Draft:
    """The draft after all changes, one at a time, by which more formulas hold."""
    deadline = time.process_time() + LONGEST_SEARCH
    score = _Score(seen, deadline)
    best = score(draft)
    improved = True
    while improved and time.process_time() < deadline and best < score.most:
        improved = False
        for changed in _changes(draft, seen):
            if time.process_time() > deadline:
                break
            worth = score(changed)
            if worth > best:
                draft, best, improved = changed, worth, True
                break
    return draft


class _Score:
    """How many of a few formulas hold with a draft: definitions first, then what they are differentiated to."""

    def __init__(self, seen: Seen, deadline: float) -> None:
        self.deadline = deadline
        self.formulas = tuple(dict.fromkeys(f for f, c in sorted(seen.chains, key=_order) if c.rest))[:MOST]
        self.spoken = spoken_words(self.formulas)
        self.most = WORTH["holds"] * 10 * len(self.formulas)
        self._known: dict[Draft, float] = {}

    def __call__(self, draft: Draft) -> float:
        if draft not in self._known:
            self._known[draft] = self._found(draft)
        return self._known[draft]

    def _found(self, draft: Draft) -> float:
        try:
            part = legend_of(draft.data(), lambda _: draft.layer, "the draft").parts[0]
        except (LegendError, UserError):
            return -1e9
        alone = sum(value == 1 for value in part.fixed.values())  # where there is one of all, all holds
        return sum(self._of(formula, part) for formula in self.formulas) - 0.5 * alone

    def _of(self, formula: Formula, part: Part) -> float:
        try:
            chains = statements_of(formula.text, part.vocabulary(self.spoken))
        except (NotRead, RecursionError):
            return 0.0
        worth = 0.0
        for chain in chains:
            try:
                indexed = in_indices(chain, part)
            except ShapesDiffer:
                worth += WORTH["fails"]
                continue
            except Unclear:
                continue
            for claim in claims(indexed, part):
                if time.process_time() > self.deadline:
                    return -1e9  # too late to tell
                if claim.relation is not None:
                    worth += WORTH[_tried(claim.relation, part)]
        return worth


def _order(pair: tuple[Formula, object]) -> tuple[int, int]:
    formula, chain = pair
    slopes = sum(isinstance(t, Slope) for t in walk(chain))  # type: ignore[arg-type]
    return min(slopes, 2), len(formula.text)


def _tried(relation: Relation, part: Part) -> str:
    """Whether a relation holds at two cases under one of the first conventions: a quick answer."""
    try:
        ways = ways_of(relation, part, None)[:3]
        if not ways:
            return "open"
        for convention, low, high in ways:
            if all(
                Trial(relation.left, relation.when, part, convention, case).agrees(relation.right)
                for case in (low, high)
            ):
                return "holds"
        left = Trial(relation.left, relation.when, part, ways[0][0], ways[0][1])
        left.values(relation.right, relation.right)
    except (Redraw, *NO_VALUE):
        return "open"
    return "fails"


# ------------------------------------------------------------------------------------------------ changes


def _changes(draft: Draft, seen: Seen) -> Iterator[Draft]:
    """All drafts that are one change away, the likelier first."""
    yield from _swapped(draft)
    yield from _alike(draft)
    yield from _marked(draft, seen)
    yield from _pairings(draft, seen)
    yield from _countings(draft)
    yield from _sizes(draft, seen)
    yield from _paddings(draft)
    yield from _gradients(draft, seen)
    yield from _axes(draft)


def _free(draft: Draft, seen: Seen) -> list[str]:
    taken = {s.spelling for s in draft.symbols} | {k for k, _ in draft.constants} | set(draft.loss)
    return [s for s in seen.indices if s not in taken and not seen.is_index(s) and s != ONES]


def _free_symbols(draft: Draft, seen: Seen) -> list[str]:
    """Those that may be tensors: no sizes that limits are made of."""
    return [s for s in _free(draft, seen) if s not in seen.sizes]


def _usual(draft: Draft) -> dict[str, str]:
    known = {x: c for s in draft.symbols for x, c in zip(s.letters, s.counts, strict=True)}
    return {**known, "": next(iter(known.values()), "0")}


def _silent(draft: Draft) -> frozenset[str]:
    """The sizes of tensors that are written without any index."""
    bare = [s for s in draft.symbols if not s.letters]
    return frozenset(getattr(a, "name", "") for s in bare for a in draft.layer.axes(s.tensor))


def _pairings(draft: Draft, seen: Seen) -> Iterator[Draft]:
    """Another symbol for a tensor: first for those that have none."""
    layer = draft.layer
    tensors = [t.name for t in layer.real_inputs] + [d.name for d in layer.definitions]
    has = {s.tensor for s in draft.symbols if not s.gradient}
    silent = _silent(draft)
    for tensor in sorted(tensors, key=lambda t: t in has):
        for spelling in _free_symbols(draft, seen):
            symbol = symbol_for(seen, spelling, tensor, layer, _usual(draft), silent)
            if symbol is not None:
                yield draft.with_symbol(symbol)
    for parameter in (p.name for p in layer.parameters if not p.integer):
        if all(v != parameter for _, v in draft.constants):
            yield from (draft.with_constant(s, parameter) for s in _free(draft, seen) if s in seen.plain)
    shown = [s for s in draft.symbols if not s.gradient]
    for at, one in enumerate(shown):
        for other in shown[at + 1 :]:
            a = symbol_for(seen, one.spelling, other.tensor, layer, _usual(draft), silent)
            b = symbol_for(seen, other.spelling, one.tensor, layer, _usual(draft), silent)
            if a is not None and b is not None:
                rest = tuple(s for s in draft.symbols if s not in (one, other))
                yield replace(draft, symbols=(*rest, a, b))


def _alike(draft: Draft) -> Iterator[Draft]:
    """Another first value of all indices, or of all that stand for one size."""
    sizes = dict.fromkeys(s for symbol in draft.symbols for s in _sizes_of(symbol, draft))
    for size in ("", *sizes):
        for value in ("0", "1"):
            yield replace(draft, symbols=tuple(_counted(s, draft, size, value) for s in draft.symbols))


def _countings(draft: Draft) -> Iterator[Draft]:
    """Another first value of one index of a symbol, or of all of them."""
    kernels = [getattr(a, "name", "") for t in draft.layer.inputs for a in t.axes]
    middles = [f"-{k}" for k in dict.fromkeys(kernels) if any(CENTRED in s.counts for s in draft.symbols)]
    for symbol in draft.symbols:
        for at in range(len(symbol.counts)):
            for value in ("0", "1", CENTRED, *middles):
                if value != symbol.counts[at]:
                    counts = (*symbol.counts[:at], value, *symbol.counts[at + 1 :])
                    yield _exchanged(draft, symbol, replace(symbol, counts=counts))
        for value in ("0", "1", CENTRED):
            yield _exchanged(draft, symbol, replace(symbol, counts=(value,) * len(symbol.counts)))


def _sizes_of(symbol: Symbol, draft: Draft) -> tuple[str, ...]:
    axes = draft.layer.axes(symbol.tensor)
    return tuple(getattr(axes[at], "name", "") for at in symbol.axes)


def _counted(symbol: Symbol, draft: Draft, size: str, value: str) -> Symbol:
    """The symbol with another first value on the axes of a size; "" is every size."""
    pairs = zip(symbol.counts, _sizes_of(symbol, draft), strict=True)
    return replace(symbol, counts=tuple(value if size in (of, "") and c != CENTRED else c for c, of in pairs))


def _exchanged(draft: Draft, old: Symbol, new: Symbol) -> Draft:
    return replace(draft, symbols=tuple(new if s == old else s for s in draft.symbols))


def _swapped(draft: Draft) -> Iterator[Draft]:
    """Two names of sizes in each other's place."""
    for one, other in combinations(draft.constants, 2):
        swapped = {one: (one[0], other[1]), other: (other[0], one[1])}
        yield replace(draft, constants=tuple(swapped.get(pair, pair) for pair in draft.constants))


def _sizes(draft: Draft, seen: Seen) -> Iterator[Draft]:
    """A name for a size or a whole-number parameter."""
    for spelling in _free(draft, seen):
        if spelling in seen.plain and "^" not in spelling:
            yield from (draft.with_constant(spelling, name) for name in layer_names(draft.layer))


def _paddings(draft: Draft) -> Iterator[Draft]:
    """Another value of the parameters that are whole numbers."""
    for parameter in draft.layer.parameters:
        if parameter.integer and all(v != parameter.name for _, v in draft.constants):
            for value in (0, 1, 2):
                if dict(draft.fixed).get(parameter.name, int(parameter.default)) != value:
                    yield draft.with_fixed(parameter.name, value)


def _marked(draft: Draft, seen: Seen) -> Iterator[Draft]:
    """Symbols that wear one mark, as the gradients of those that do not."""
    free = _free(draft, seen)
    for mark in MARKS:
        worn = {mark.format(s.spelling): s for s in draft.symbols if not s.gradient}
        alike = [(x, worn[x]) for x in free if x in worn and len(seen.letters(x)) == len(worn[x].letters)]
        if len(alike) > 1:
            symbols = [replace(s, spelling=x, letters=seen.letters(x), gradient=True) for x, s in alike]
            yield reduce(Draft.with_symbol, symbols, draft)


def _gradients(draft: Draft, seen: Seen) -> Iterator[Draft]:
    """A symbol that is the gradient of an output, or of a tensor whose symbol it holds."""
    for spelling in _free(draft, seen):
        for known in draft.symbols:
            alike = known.spelling in spelling or known.tensor in draft.layer.outputs
            if not known.gradient and alike and len(seen.letters(spelling)) == len(known.letters):
                new = replace(known, spelling=spelling, letters=seen.letters(spelling), gradient=True)
                yield draft.with_symbol(replace(new, bracketed=spelling in seen.bracketed))


def _axes(draft: Draft) -> Iterator[Draft]:
    """Indices that stand for the first axes in place of the last, or in the other order."""
    for symbol in draft.symbols:
        count = len(symbol.letters)
        if count and symbol.axes != tuple(range(count)):
            yield _exchanged(draft, symbol, replace(symbol, axes=tuple(range(count))))
        if count == 2:
            yield _exchanged(draft, symbol, replace(symbol, axes=(symbol.axes[1], symbol.axes[0])))
