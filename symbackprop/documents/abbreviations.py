r"""Names that a document makes up on its way: `s_i = \sqrt{v_i + \epsilon}`.

An equation whose left side is a symbol that the legend does not know, and whose right side the legend explains, says
what the symbol means from there on. It is no claim; where the symbol stands later, its meaning stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from symbackprop.documents.latex.tree import (
    Big,
    Chain,
    Choice,
    Group,
    Name,
    Raised,
    Slope,
    Span,
    Tree,
    bare,
    parts,
    rebuild,
    walk,
)
from symbackprop.documents.legend import Part
from symbackprop.documents.names import Unclear, is_loss, resolve, spread
from symbackprop.documents.own import with_definition
from symbackprop.errors import UserError


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """A symbol with its index letters, and what it stands for."""

    letters: tuple[str, ...]
    body: Tree


@dataclass(slots=True)
class Abbreviations:
    """What a document's own symbols mean, in its order; a part of the legend has its own."""

    known: dict[tuple[int, str], Abbreviation] = field(default_factory=dict)
    _defined: dict[tuple[int, tuple[str, ...]], Part] = field(default_factory=dict)

    def learn(self, chain: Chain, part: Part) -> bool:
        """Whether the statement introduces a symbol; what it means is kept."""
        left = bare(chain.first)
        if len(chain.rest) != 1 or chain.rest[0][0] != "=" or chain.when or not isinstance(left, Name):
            return False
        letters = spread([*left.sub, *left.args])
        if left.sup is not None or not all(isinstance(x, Name) and not x.sub and not x.args for x in letters):
            return False
        body = self.spelled_out(chain.rest[0][1], part)
        bases = tuple(x.base for x in letters if isinstance(x, Name))
        if any(b in part.constants or any(m.base == b for m in part.symbols) for b in bases):
            return False
        if (id(part), left.base) in self.known or len(set(bases)) != len(bases) or not _is_new(left, part):
            return False
        if not _is_explained(body, part, set(bases)):
            return False
        self.known[id(part), left.base] = Abbreviation(bases, body)
        return True

    def in_full(self, chain: Chain, part: Part) -> tuple[Chain, Part]:
        """The statement with each of the document's own symbols by what it means.

        A symbol that the loss is differentiated by stays, and is a definition of the part's layer.
        """
        slopes = (t for t in walk(chain) if isinstance(t, Slope) and is_loss(bare(t.top), part))
        by = {t.bottom.base for t in slopes}
        bases = tuple(base for owner, base in self.known if owner == id(part) and base in by)
        defined = self._with_definitions(bases, part)
        kept = frozenset(s.base for s in defined.symbols[len(part.symbols) :])
        new = self.spelled_out(chain, part, kept)
        return (new if isinstance(new, Chain) else chain), defined

    def _with_definitions(self, bases: tuple[str, ...], part: Part) -> Part:
        """The part with symbols as definitions, where something goes through them."""
        key = (id(part), bases)
        if key not in self._defined:
            defined = part
            for base in bases:
                known = self.known[id(part), base]
                try:
                    defined = with_definition(defined, base, known.letters, known.body) or defined
                except UserError:  # what has no place among the layer's equations
                    continue
            self._defined[key] = defined
        return self._defined[key]

    def spelled_out(self, tree: Tree, part: Part, kept: frozenset[str] = frozenset()) -> Tree:
        """The tree with each of the document's own symbols, but for those that are kept, by what it means."""
        if not any(owner == id(part) for owner, _ in self.known):
            return tree
        if isinstance(tree, Name) and tree.base not in kept:
            found = self.known.get((id(part), tree.base))
            indices = spread([*tree.sub, *tree.args])
            if found is not None and len(indices) == len(found.letters):
                body = _with(found.body, dict(zip(found.letters, indices, strict=True)), tree.span)
                meant = bare(body) if isinstance(bare(body), Name | Slope) else Group(bare(body), span=tree.span)
                return meant if tree.sup is None else Raised(meant, tree.sup, span=tree.span)
        if isinstance(tree, Slope) and not isinstance(bare(tree.top), Name):
            return replace(tree, top=self.spelled_out(tree.top, part, kept))
        children = parts(tree)
        if isinstance(tree, Slope):
            top = bare(tree.top)
            return tree if is_loss(top, part) else replace(tree, top=self.spelled_out(tree.top, part, kept))
        new = tuple(self.spelled_out(c, part, kept) for c in children)
        return tree if all(a is b for a, b in zip(children, new, strict=True)) else rebuild(tree, new)


def _is_new(name: Name, part: Part) -> bool:
    """Whether the legend knows nothing of the symbol."""
    try:
        resolve(name, part)
    except Unclear as unclear:
        declared = any(s.base == name.base for s in part.symbols) or is_loss(name, part)
        return not unclear.count and not declared
    return False


def _is_explained(body: Tree, part: Part, letters: set[str]) -> bool:
    """Whether the legend has a meaning for all of it."""
    bound = letters | {t.variable.base for t in walk(body) if isinstance(t, Big)}
    inside = {id(i) for t in walk(body) if isinstance(t, Name) for x in (*t.sub, *t.args) for i in walk(x)}
    inside |= {id(t.top) for t in walk(body) if isinstance(t, Slope) and is_loss(bare(t.top), part)}
    for tree in walk(body):
        if isinstance(tree, Choice):
            return False
        if isinstance(tree, Name) and id(tree) not in inside and tree.base not in bound:
            try:
                resolve(tree, part)
            except Unclear as unclear:
                if not (part.matrices and unclear.count):  # a whole matrix
                    return False
    return any(isinstance(t, Name) for t in walk(body))


def _with(tree: Tree, letters: dict[str, Tree], span: Span) -> Tree:
    """The tree at other indices; bound letters that would catch one of them are renamed."""
    if isinstance(tree, Name) and tree.base in letters and not tree.sub and not tree.args and tree.sup is None:
        return replace(letters[tree.base], span=span)
    if isinstance(tree, Big):
        own = tree.variable.base
        used = {n.base for t in letters.values() for n in walk(t) if isinstance(n, Name)}
        inner = {k: v for k, v in letters.items() if k != own}
        fresh = own
        while fresh in used:
            fresh += "'"
        if fresh != own:
            inner[own] = Name(fresh)
        low = _with(tree.low, letters, span) if tree.low is not None else None
        high = _with(tree.high, letters, span) if tree.high is not None else None
        return Big(tree.operation, Name(fresh, span=span), low, high, _with(tree.body, inner, span), span=span)
    children = tuple(_with(c, letters, span) for c in parts(tree))
    return replace(rebuild(tree, children) if children else tree, span=span)
