"""What a document says of its symbols: their index lists, limits of sums, what is differentiated, labels."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from symbackprop.documents.audit import spoken_words, statements_of
from symbackprop.documents.latex.cursor import Vocabulary
from symbackprop.documents.latex.tokens import NotRead
from symbackprop.documents.latex.tree import (
    Big,
    Chain,
    Group,
    Name,
    Num,
    Raised,
    Slope,
    Times,
    Tree,
    bare,
    latex,
    walk,
)
from symbackprop.documents.legend import DEFAULT_LABELS
from symbackprop.documents.matrices import TRANSPOSED
from symbackprop.documents.meant import key_text
from symbackprop.documents.names import spread
from symbackprop.documents.source import Formula

# a symbol with its indices in brackets, told by a derivative: `\partial w_k(l)`
HEAD = re.compile(r"\\partial\s*(\\?[A-Za-z]+)(?:[_^](?:\{[^{}]*\}|\w))*\s*\(")


@dataclass(slots=True)
class Seen:
    """What a document says of its symbols."""

    indices: dict[str, Counter[tuple[str, ...]]] = field(default_factory=dict)  # spelling -> its index lists
    bracketed: dict[str, None] = field(default_factory=dict)  # spellings whose indices stand in brackets
    lows: dict[str, str] = field(default_factory=dict)  # index letter -> lower limit
    highs: dict[str, str] = field(default_factory=dict)
    ranges: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)  # limits by symbol and letter
    loss: dict[str, None] = field(default_factory=dict)
    left: dict[str, frozenset[str]] = field(default_factory=dict)  # what is defined -> the symbols that it is made of
    plain: dict[str, None] = field(default_factory=dict)  # symbols without any index
    gradients: dict[str, str] = field(default_factory=dict)  # spelling of a gradient -> what it is the gradient by
    labels: dict[str, None] = field(default_factory=dict)
    chains: list[tuple[Formula, Chain]] = field(default_factory=list)
    alone: set[tuple[str, tuple[str, ...]]] = field(default_factory=set)  # a symbol with a list of single letters
    bound: dict[str, None] = field(default_factory=dict)  # letters that a sum runs over
    marked: frozenset[str] = frozenset()  # bases that letters above tell apart: a^i, a^f
    sizes: dict[str, None] = field(default_factory=dict)  # what limits are made of
    above: dict[str, None] = field(default_factory=dict)  # spellings whose first index stands above, in brackets
    matrices: bool = False  # whether something is transposed, or multiplied element by element

    def range_of(self, spelling: str, letter: str, own: bool) -> tuple[str, str]:
        """The limits of a letter in a sum over this symbol, or in any sum; empty where there are none."""
        return (
            self.ranges.get((spelling, letter), ("", ""))
            if own
            else (self.lows.get(letter, ""), self.highs.get(letter, ""))
        )

    def is_index(self, spelling: str) -> bool:
        """Whether it only counts; a Greek letter does where a sum runs over it."""
        if spelling.startswith("\\"):
            return spelling in self.bound
        lists = ((symbol, indices) for symbol, known in self.indices.items() for indices in known)
        return spelling in self.bound or any(spelling in one[1] for one in lists if one in self.alone)

    def letters(self, spelling: str) -> tuple[str, ...]:
        """The index list that a symbol most often has, as letters."""
        lists = [(n, count) for n, count in self.indices[spelling].items() if all(n)]
        if not lists:
            return ()
        most = max(len(n) for n, _ in lists)
        long = [pair for pair in lists if len(pair[0]) == most]
        usual = max(long, key=lambda pair: ((spelling, pair[0]) in self.alone, pair[1]))[0]
        return usual if len(set(usual)) == len(usual) else tuple("ijkmnpqr"[: len(usual)])


def look(found: tuple[Formula, ...]) -> Seen:
    """All that can be seen without knowing what a name means."""
    basic, spoken = Vocabulary(), spoken_words(found)
    heads = frozenset(m[1] for f in found for m in HEAD.finditer(f.text))
    vocabulary = Vocabulary(basic.words | spoken, basic.heads | heads, basic.letters)
    seen = Seen()
    for formula in found:
        try:
            chains = statements_of(formula.text, vocabulary)
        except (NotRead, RecursionError):
            continue
        seen.chains += [(formula, _without_sets(chain)) for chain in chains]
    seen.marked = _marked(seen)
    for tree in (t for _, chain in seen.chains for t in walk(chain)):
        if isinstance(tree, Big):
            seen.bound[tree.variable.base] = None
        seen.matrices |= _of_matrices(tree)
    limits = (
        x for _, c in seen.chains for t in walk(c) if isinstance(t, Big) for x in (t.low, t.high) if x is not None
    )
    for name in (t for limit in limits for t in walk(limit) if isinstance(t, Name) and not t.args):
        if name.base not in seen.bound and not any(s.base in seen.bound for s in name.sub if isinstance(s, Name)):
            seen.sizes[key_text(name)] = None
    for _, chain in seen.chains:
        _look_at(chain, seen)
    for letter in [x for x in seen.labels if seen.is_index(x)]:  # it stands above one symbol and counts below another
        del seen.labels[letter]
    return seen


def _without_sets(chain: Chain) -> Chain:
    """A membership without its set, which is made of no symbols of the layer."""
    return Chain(chain.first) if any(operation == "in" for operation, _ in chain.rest) else chain


def _of_matrices(tree: Tree) -> bool:
    if isinstance(tree, Times):
        return tree.sign == r"\odot"
    above = tree.sup if isinstance(tree, Name) else tree.exponent if isinstance(tree, Raised) else None
    return isinstance(above, Name) and above.base in TRANSPOSED[:2]


def _marked(seen: Seen) -> frozenset[str]:
    above: dict[str, set[str]] = {}
    for tree in (t for _, chain in seen.chains for t in walk(chain)):
        if isinstance(tree, Name) and tree.sup is not None and _mark(tree).isalpha():
            above.setdefault(tree.base, set()).add(_mark(tree))
    return frozenset(base for base, marks in above.items() if len(marks - set(DEFAULT_LABELS)) > 1)


def _mark(name: Name) -> str:
    return latex(name.sup).replace(" ", "") if name.sup is not None else ""


def _look_at(chain: Chain, seen: Seen) -> None:
    left = bare(chain.first)
    if chain.rest and chain.rest[0][0] == "=" and isinstance(left, Name):
        made_of = (spelling(t, seen.marked) for t in walk(chain.rest[0][1]) if isinstance(t, Name))
        seen.left.setdefault(spelling(left, seen.marked), frozenset(made_of))
        _look_at_gradient(left, chain.rest[0][1], seen)
    if chain.rest and chain.rest[0][0] == "=" and isinstance(chain.rest[0][1], Name):
        _look_at_gradient(chain.rest[0][1], left, seen)
    inside: set[int] = set()
    for tree in walk(chain):
        if isinstance(tree, Slope):
            top = bare(tree.top)
            if is_a_loss(top) and isinstance(top, Name):
                seen.loss[top.base] = None
                inside.add(id(top))
        elif isinstance(tree, Big):
            letter = tree.variable.base
            inside.add(id(tree.variable))
            if tree.low is not None and tree.high is not None:
                seen.lows.setdefault(letter, latex(tree.low))
                seen.highs.setdefault(letter, latex(tree.high))
                for name in (t for t in walk(tree.body) if isinstance(t, Name)):
                    if any(isinstance(s, Name) and s.base == letter for s in spread([*name.sub, *name.args])):
                        of = spelling(name, seen.marked)
                        seen.ranges.setdefault((of, letter), (latex(tree.low), latex(tree.high)))
        elif isinstance(tree, Name) and id(tree) not in inside:
            if _is_a_mark(tree.sup) or _is_above(tree):
                inside |= {id(t) for t in walk(tree.sup)} if tree.sup is not None else set()
            inside |= {id(s) for s in tree.sub if key_text(tree) in seen.sizes or below_mark(tree)}
            _look_at_name(tree, seen)
    _look_at_range(chain, seen)


def is_a_loss(top: Tree) -> bool:
    """Whether what is differentiated looks like a loss."""
    if not isinstance(top, Name) or top.sub or top.args or top.sup is not None:
        return False
    return top.base in ("L", "J", "E", "l", "C", r"\ell", r"\mathcal{L}") or top.base.lower() in ("loss", "cost")


def _look_at_gradient(name: Name, value: Tree, seen: Seen) -> None:
    value = bare(value)
    if isinstance(value, Slope) and is_a_loss(bare(value.top)) and not is_a_loss(name):
        seen.gradients.setdefault(spelling(name, seen.marked), spelling(value.bottom, seen.marked))


def _look_at_range(chain: Chain, seen: Seen) -> None:
    """`1 <= i <= m` says as much as a sum's limits."""
    if len(chain.rest) == 2 and {op for op, _ in chain.rest} <= {"<", "<="} and isinstance(chain.rest[0][1], Name):
        (first, letter), (second, high) = chain.rest
        if isinstance(letter, Name) and first == "<=":
            seen.lows.setdefault(letter.base, latex(chain.first))
            seen.highs.setdefault(letter.base, latex(high) + (" - 1" if second == "<" else ""))


def _is_a_mark(script: Tree | None) -> bool:
    """Whether what stands above tells the number of a layer, or turns a matrix."""
    if script is None:
        return False
    text = latex(bare(script)).replace(" ", "")
    return text in DEFAULT_LABELS or text in TRANSPOSED or isinstance(bare(script), Num)


def _is_above(name: Name) -> bool:
    """Whether an index stands above, in brackets."""
    return isinstance(name.sup, Group) and isinstance(bare(name.sup), Name) and not _is_a_mark(name.sup)


def below_mark(name: Name) -> str:
    """The capital or the word below a symbol that is part of its name: `Q` of `W_Q`."""
    first = name.sub[0] if name.sub else None
    if not isinstance(first, Name) or first.sub or name.base.startswith("\\") or first.base.startswith("\\"):
        return ""
    return first.base if first.base.isupper() or len(first.base.rstrip("'")) > 1 else ""


def _look_at_name(name: Name, seen: Seen) -> None:
    if key_text(name) in seen.sizes:
        seen.plain[key_text(name)] = None
        seen.indices.setdefault(key_text(name), Counter())[()] += 1
        return
    letters: list[str] = []
    alone = True
    scripts = [*name.sub[bool(below_mark(name)) :], *name.args]
    if _is_above(name) and name.sup is not None:
        seen.above[spelling(name, seen.marked)] = None
        scripts.insert(0, bare(name.sup))
    for index in spread(scripts):
        if name.base.startswith("\\") and isinstance(index, Name) and index.base.isupper() and not name.args:
            seen.labels[index.base] = None
        elif isinstance(index, Name):
            letters.append(index.base)
        else:
            alone = False
            inside = [t.base for t in walk(index) if isinstance(t, Name)]
            first = next((x for x in inside if x in seen.bound), inside[0] if inside else "")
            letters.append(first if first.islower() else "")
    sup = latex(name.sup).replace(" ", "") if name.sup is not None else ""
    known = spelling(name, seen.marked)
    if sup.isalpha() and not _is_a_mark(name.sup) and name.base not in seen.marked:
        seen.labels[sup] = None
    if name.args:
        seen.bracketed[known] = None
    if not letters:
        seen.plain[known] = None
    seen.indices.setdefault(known, Counter())[tuple(letters)] += 1
    if alone:
        seen.alone.add((known, tuple(letters)))


def spelling(name: Name, marked: frozenset[str] = frozenset()) -> str:
    """The symbol without its indices; with its square, or a mark above that tells it apart, which is another symbol."""
    if name.base in marked and _mark(name).isalpha():
        return f"{name.base}^{_mark(name)}"
    above = name.sup.factors[0] if isinstance(name.sup, Times) else name.sup  # `W^{(1)T}`
    if isinstance(above, Group) and isinstance(bare(above), Num):
        return f"{name.base}^{{{latex(above)}}}"
    if mark := below_mark(name):
        return f"{name.base}_{{{mark}}}"
    squared = isinstance(name.sup, Num) and name.sup.value == 2 and name.base.startswith("\\")
    return f"{name.base}^2" if squared else name.base
