"""The nearest formula that holds: small edits of a wrong one, the smallest first, each tried by evaluation."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product

from symbackprop.check.cases import Case
from symbackprop.documents.judge import (
    NO_VALUE,
    Convention,
    Judgement,
    Relation,
    Trial,
    attempt,
    conventions,
    quotients,
)
from symbackprop.documents.legend import Part
from symbackprop.documents.names import (
    Element,
    Plain,
    Unclear,
    is_letter,
    is_loss,
    letter_of,
    loose_letters,
    resolve,
    standings,
)
from symbackprop.documents.scenes import cases
from symbackprop.documents.tree import (
    Applied,
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
    Span,
    Times,
    Tree,
    bare,
    latex,
    parts,
    rebuild,
    walk,
)

MOST = 3  # repairs that are shown
MOST_PAIRS = 400  # pairs of edits that are tried, of each kind
HALF = Fraction(1, 2)
EXPONENTS = (HALF, -HALF, 3 * HALF, -3 * HALF, Fraction(1), Fraction(2), Fraction(-1), Fraction(-2), Fraction(3))


@dataclass(frozen=True, slots=True)
class Edit:
    """One small change: what kind, where, and how much it changes."""

    kind: str
    old: Tree
    new: Tree | None
    cost: int

    @property
    def span(self) -> Span:
        return self.old.span

    @property
    def before(self) -> str:
        return latex(self.old)

    @property
    def after(self) -> str:
        return latex(self.new) if self.new is not None else ""


@dataclass(frozen=True, slots=True)
class Repair:
    """A formula that holds, with the edits that lead to it and the conventions it needs."""

    edits: tuple[Edit, ...]
    formula: str
    conditions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Stock:
    """What an edit may put in: index letters, and symbols by the number of their indices."""

    letters: tuple[str, ...]
    symbols: tuple[tuple[str, str, int], ...]  # base, power, number of indices
    constants: tuple[str, ...]
    reals: tuple[str, ...]
    part: Part


class _Search:
    """The trials of one wrong relation."""

    def __init__(self, relation: Relation, part: Part, judgement: Judgement | None, deadline: float) -> None:
        self.relation, self.part, self.deadline = relation, part, deadline
        self.stock = _stock(relation, part)
        self.ways = _ways(relation, part, judgement)
        self.found: list[Repair] = []
        self._trials: dict[tuple[int, bool, Tree], Trial] = {}

    @property
    def late(self) -> bool:
        return time.process_time() > self.deadline

    def trial(self, way: int, small: bool, left: Tree) -> Trial:
        """The trial of right sides against a left side."""
        key = (way, small, left)
        if key not in self._trials:
            convention, low, high = self.ways[way]
            self._trials[key] = Trial(left, self.relation.when, self.part, convention, low if small else high)
        return self._trials[key]

    def consider(self, candidate: Relation, edits: tuple[Edit, ...]) -> None:
        """Keep a candidate that holds."""
        if any("remainder" in says for convention, _, _ in self.ways for says in convention.says):
            self.consider_anew(candidate, edits)  # where the division goes out is another question for each candidate
            return
        for way, (convention, _, _) in enumerate(self.ways):
            if not all(self.trial(way, small, candidate.left).agrees(candidate.right) for small in (True, False)):
                continue
            self.keep(candidate, edits, convention)
            return

    def consider_anew(self, candidate: Relation, edits: tuple[Edit, ...]) -> None:
        """Keep a candidate that holds under a convention of its own."""
        plain = self.ways[0][0]
        whole = replace(plain.setting, whole=quotients(candidate, self.part))
        self.keep(candidate, edits, Convention(("the division leaves no remainder",), plain.reading, whole))

    def keep(self, candidate: Relation, edits: tuple[Edit, ...], convention: Convention) -> None:
        """The candidate among what is found, if it holds at every case and does not beg the question."""
        if any(t == candidate.left for t in walk(candidate.right)):
            return
        try:
            outcome = attempt(candidate, self.part, convention)
        except NO_VALUE:
            return
        if outcome.difference is None and outcome.sides is not None:
            text = f"{latex(candidate.left)} = {latex(candidate.right)}"
            if all(text != r.formula for r in self.found):
                self.found.append(Repair(edits, text, (*convention.says, *outcome.sides.assumed)))

    def singles(self, least: int, most: int) -> None:
        """One edit, the smallest first, of a cost from `least` to `most`."""
        for candidate, edit in sorted(_edited(self.relation, self.stock), key=lambda pair: pair[1].cost):
            if self.late or len(self.found) == MOST or (self.found and edit.cost > self.found[0].edits[0].cost):
                return
            if least <= edit.cost <= most:
                self.consider(candidate, (edit,))

    def insertions(self) -> None:
        """A symbol, or the gradient by one, as a factor or a term that is missing."""
        if self.found:
            return
        pool = _pool(self.relation, self.stock)
        for candidate, edit in _inserted(self.relation.right, pool):
            if self.late or self.found:
                return
            self.consider(replace(self.relation, right=candidate), (edit,))

    def dangling(self) -> None:
        """Letters that are free on the right alone, each as one of the left side's."""
        if self.found:
            return
        left = [s.letter for s in standings(self.relation.left, self.part) if s.printed]
        silent = [s.letter for s in standings(self.relation.left, self.part)]
        loose = [
            s.letter
            for s in (*standings(self.relation.right, self.part), *loose_letters(self.relation.right, self.part))
        ]
        strange = [x for x in dict.fromkeys(loose) if x not in silent][:3]
        if not strange:
            return
        for chosen in product(dict.fromkeys(left), repeat=len(strange)):
            right, made = self.relation.right, []
            for letter, meant in zip(strange, chosen, strict=True):
                right, edit = _relettered(right, letter, meant)
                made.append(edit)
            if self.late or self.found:
                return
            self.consider(replace(self.relation, right=right), tuple(made))

    def pairs(self, kinds: tuple[str, ...], most: int) -> None:
        """Two edits in one term of the right side; the other terms go to the left, where their values are known."""
        if self.found:
            return
        right = bare(self.relation.right)
        terms = right.terms if isinstance(right, Plus) else (right,)
        tried = 0
        for at, term in enumerate(terms):
            others = tuple(Minus(t) if not isinstance(t, Minus) else t.body for t in (*terms[:at], *terms[at + 1 :]))
            left = Plus((self.relation.left, *others)) if others else self.relation.left
            for first, edit in edits(term, self.stock):
                if edit.kind not in kinds or edit.cost > most:
                    continue
                for second, other in edits(first, self.stock):
                    if self.late or self.found or tried > MOST_PAIRS * len(terms):
                        return
                    if other is not edit and other.kind in kinds and other.cost <= most and other.span >= edit.span:
                        tried += 1
                        self.pair(left, terms, at, second, (edit, other))

    def pair(self, left: Tree, terms: tuple[Tree, ...], at: int, new: Tree, edits: tuple[Edit, ...]) -> None:
        for way, (convention, _, _) in enumerate(self.ways):
            if self.trial(way, True, left).agrees(new):
                right = Plus((*terms[:at], new, *terms[at + 1 :])) if len(terms) > 1 else new
                self.keep(replace(self.relation, right=right), edits, convention)


def repairs(relation: Relation, part: Part, judgement: Judgement | None, deadline: float) -> tuple[Repair, ...]:
    """The nearest formulas that hold: with one edit, else with two small ones. Empty if none is found in time."""
    search = _Search(relation, part, judgement, deadline)
    search.singles(1, 1)
    search.dangling()
    for kind in ("sign", "index", "bound"):
        search.pairs((kind,), 1)
    search.singles(2, 9)
    search.insertions()
    for kinds, most in ((("index", "name", "bound", "sign"), 2), (("sign", "exponent"), 2)):
        search.pairs(kinds, most)
    return tuple(search.found)


def renamings(relation: Relation, part: Part, deadline: float) -> tuple[Repair, ...]:
    """For a symbol that cannot have the indices that it has: without one of them, or another symbol in its place."""
    search = _Search(relation, part, None, deadline)
    for name in dict.fromkeys(t for t in walk(relation.right) if isinstance(t, Name)):
        try:
            resolve(name, part)
        except Unclear as unclear:
            if not unclear.count:  # an index letter; an undeclared name comes up again when a candidate is tried
                continue
        else:
            continue
        for new, edit in sorted((*_of_indices(name), *_renamed(name, search.stock)), key=lambda pair: pair[1].cost):
            if not search.late and len(search.found) < MOST:
                search.consider(replace(relation, right=_replaced(relation.right, name, new)), (edit,))
    return tuple(search.found)


def strict_bounds(relation: Relation, part: Part, deadline: float) -> tuple[Repair, ...]:
    """Limits of sums off by one, one or two of them, after which nothing is read outside its range any more."""
    plain = next(iter(conventions(relation, part)))
    search = _Search(relation, part, None, deadline)
    search.ways = [way for way in search.ways if way[0] == plain]
    if not search.ways:
        return ()
    for most in (1, 2):
        for candidate, made in _bounded(relation.right, search.stock, most):
            if search.late or search.found:
                break
            search.consider(replace(relation, right=candidate), made)
    return tuple(search.found)


def _bounded(tree: Tree, stock: _Stock, most: int) -> Iterator[tuple[Tree, tuple[Edit, ...]]]:
    for first, edit in edits(tree, stock):
        if edit.kind != "bound":
            continue
        if most == 1:
            yield first, (edit,)
            continue
        for second, other in edits(first, stock):
            if other.kind == "bound" and other.span > edit.span:
                yield second, (edit, other)


def _ways(relation: Relation, part: Part, judgement: Judgement | None) -> list[tuple[Convention, Case, Case]]:
    """The conventions under which a repair may hold, each with a small and a telling case."""
    ways = []
    for convention in conventions(relation, part):
        if any(not re.search("is zero|only one|remainder", s) for s in convention.says):
            continue
        known = cases(part.layer, convention.setting)
        if not known:
            continue
        small = known[min(1, len(known) - 1)]
        if judgement is not None and judgement.difference is not None and judgement.difference.case in known:
            small = judgement.difference.case
        ways.append((convention, small, known[-1]))
    return ways


def _stock(relation: Relation, part: Part) -> _Stock:
    letters: dict[str, None] = {}
    for side in (relation.left, relation.right):
        for standing in standings(side, part):
            if standing.printed or standing.letter in part.silent:
                letters[standing.letter] = None
        for tree in walk(side):
            if isinstance(tree, Big):
                letters[letter_of(tree.variable)] = None
            elif isinstance(tree, Name):
                inner = (i for index in (*tree.sub, *tree.args) for i in walk(index))
                letters.update(
                    {
                        letter_of(i): None
                        for i in inner
                        if isinstance(i, Name) and is_letter(i, part) and _apart(i, part)
                    }
                )
    bases = tuple((s.base, s.power, len(s.formals)) for s in part.symbols)
    plain = [k for k in part.constants if k.isalnum() or k.startswith("\\")]
    real = {p.name for p in part.layer.parameters if not p.integer}
    reals = [
        k
        for k in plain
        if isinstance(part.constants[k], Name) and latex(part.constants[k]) in (*real, *map(_roman, real))
    ]
    return _Stock(tuple(letters), bases, tuple(plain), tuple(reals), part)


def _roman(text: str) -> str:
    return rf"\mathrm{{{text}}}"


def _apart(name: Name, part: Part) -> bool:
    return all(s.base != name.base for s in part.symbols) and latex(name) not in part.labels


# --------------------------------------------------------------------------------------------------- edits


def _edited(relation: Relation, stock: _Stock) -> Iterator[tuple[Relation, Edit]]:
    """The relation after each single edit; the left side too where it is more than a symbol or a gradient."""
    for new, edit in edits(relation.right, stock):
        yield replace(relation, right=new), edit
    for new, edit in _everywhere(relation.right, stock):
        yield replace(relation, right=new), edit
    left = bare(relation.left)
    if not isinstance(left, Name) and not (isinstance(left, Slope) and is_loss(bare(left.top), stock.part)):
        for new, edit in edits(relation.left, stock):
            yield replace(relation, left=new), edit


def _pool(relation: Relation, stock: _Stock) -> tuple[Tree, ...]:
    """The symbols of the legend at the letters of the formula, and the gradients by them."""
    loss = next((t.top for t in walk(relation.left) if isinstance(t, Slope) and is_loss(bare(t.top), stock.part)), None)
    found: list[Tree] = [Name(base) for base in stock.reals]
    for base, power, count in stock.symbols:
        sup = _number(Fraction(power), (0, 0)) if power.isdigit() else None
        for chosen in product(stock.letters[:4], repeat=count) if count < 3 else ():
            element = Name(base, tuple(Name(letter) for letter in chosen), sup)
            found += [element, Slope("∂", loss, element)] if loss is not None else [element]
    return (*_links(relation, found, loss), *found)


def _links(relation: Relation, found: list[Tree], loss: Tree | None) -> list[Tree]:
    """What a chain rule may lack: a local derivative by what the left side differentiates by, or a whole term."""
    left = bare(relation.left)
    if loss is None or not isinstance(left, Slope):
        return []
    used = [t.bottom for t in walk(relation.right) if isinstance(t, Slope)]
    between = dict.fromkeys((*used, *(t for t in found if isinstance(t, Name) and (t.sub or t.sup or t.args))))
    local = [Slope("∂", name, left.bottom) for name in between if name != left.bottom]
    return [*local, *(Times((Slope("∂", loss, link.top), link)) for link in local if isinstance(link.top, Name))]


def _inserted(tree: Tree, pool: tuple[Tree, ...]) -> Iterator[tuple[Tree, Edit]]:
    """The tree with a symbol put in at each place at which a factor or a term can stand."""
    if isinstance(tree, Name | Slope | Num):
        places: tuple[Tree, ...] = ()
    else:
        places = parts(tree)
    if not isinstance(tree, Big):
        for symbol in pool:
            grown: Tree = Times((symbol, tree), span=tree.span)
            yield grown, _edit("factor", tree, grown, 4)
            if isinstance(tree, Minus | Plus | Times | Slope | Name | Num):
                more: Tree = Plus((symbol, tree), span=tree.span)
                yield more, _edit("term", tree, more, 4)
                if isinstance(symbol, Name):
                    less: Tree = Plus((tree, Minus(symbol)), span=tree.span)
                    yield less, _edit("term", tree, less, 4)
    for at, child in enumerate(places):
        if isinstance(tree, Big) and at < len(places) - 1:
            continue
        for new, edit in _inserted(child, pool):
            yield rebuild(tree, (*places[:at], new, *places[at + 1 :])), edit


def _relettered(tree: Tree, letter: str, meant: str) -> tuple[Tree, Edit]:
    """The tree with a free letter replaced wherever it is free."""
    first = next((t for t in walk(tree) if isinstance(t, Name) and letter_of(t) == letter and not t.args), Name(letter))
    return _freed(tree, letter, Name(meant, span=first.span)), Edit("index", first, Name(meant, span=first.span), 1)


def _freed(tree: Tree, letter: str, new: Name) -> Tree:
    if isinstance(tree, Name) and letter_of(tree) == letter and not tree.args and tree.sup is None:
        return new
    if isinstance(tree, Big) and letter_of(tree.variable) == letter:
        return tree
    return rebuild(tree, tuple(_freed(part, letter, new) for part in parts(tree)))


def _everywhere(tree: Tree, stock: _Stock) -> Iterator[tuple[Tree, Edit]]:
    """An edit of a symbol at all places at which it stands."""
    seen: dict[Tree, int] = {}
    for part in walk(tree):
        if isinstance(part, Name) and (part.sub or part.args):
            seen[part] = seen.get(part, 0) + 1
    for name, count in seen.items():
        if count > 1 and isinstance(name, Name):
            for new, edit in (*_of_indices(name), *_renamed(name, stock)):
                yield _replaced(tree, name, new), edit


def _replaced(tree: Tree, old: Tree, new: Tree) -> Tree:
    if tree == old:
        return new
    children = parts(tree)
    changed = tuple(_replaced(child, old, new) for child in children)
    return tree if all(a is b for a, b in zip(children, changed, strict=True)) else rebuild(tree, changed)


def edits(tree: Tree, stock: _Stock, value: bool = True, sign: bool = True) -> Iterator[tuple[Tree, Edit]]:
    """The tree after each edit of it or of one of its parts.

    `value` is False inside indices and exponents; `sign` is False where turning the sign is the same as turning that
    of a whole that was met before: a factor of a product, say.
    """
    yield from _here(tree, stock, value, sign)
    children = parts(tree)
    for at, child in enumerate(children):
        if isinstance(tree, Big) and at == 0:
            continue
        if isinstance(tree, Slope) and at == 0 and is_loss(bare(child), stock.part):
            continue
        inner = value and not isinstance(tree, Name) and not (isinstance(tree, Raised) and at == 1)
        inner = inner and not (isinstance(tree, Big) and at < len(children) - 1)
        for new, edit in edits(child, stock, inner, _turns(tree, at, len(children))):
            if (
                isinstance(tree, Slope)
                and isinstance(bare(child), Name)
                and not (isinstance(new, Name) and edit.kind in ("index", "name", "counting"))
            ):
                continue
            yield rebuild(tree, (*children[:at], new, *children[at + 1 :])), edit


def _turns(tree: Tree, at: int, count: int) -> bool:
    """Whether the sign of a part is one of its own."""
    match tree:
        case Plus() | Applied():
            return True
        case Raised():
            return at == 1
        case Big():
            return at < count - 1
        case Name(_, sub, sup, _):
            return not (sup is not None and at == len(sub))
        case _:
            return False


def _edit(kind: str, before: Tree, after: Tree | None, cost: int) -> Edit:
    return Edit(kind, before, after, cost)


def negated(tree: Tree) -> Tree:
    """The tree with its sign turned."""
    if isinstance(tree, Minus):
        return replace(tree.body, span=tree.span)
    return Minus(tree, span=tree.span)


def _here(tree: Tree, stock: _Stock, value: bool, sign: bool) -> Iterator[tuple[Tree, Edit]]:
    if (sign and not (isinstance(tree, Num) and tree.value == 0) and not isinstance(tree, Plus)) or isinstance(
        tree, Minus
    ):
        turned = negated(tree)
        yield turned, _edit("sign", tree, turned, 1)
    match tree:
        case Plus(terms):
            yield from _of_sum(tree, terms)
        case Times(factors):
            yield from _of_product(tree, factors)
        case Big():
            yield from _of_big(tree, stock)
        case Raised():
            yield from _of_power(tree)
        case Group(Plus() as body):
            rooted: Tree = Root(body, span=tree.span)
            yield rooted, _edit("exponent", tree, rooted, 2)
        case Root(body):
            for name in stock.reals:
                grown = Root(Plus((body, Name(name))), span=tree.span)
                yield grown, _edit("term", tree, grown, 3)
            for exponent in (None, 3 * HALF):
                new = body if exponent is None else Raised(Group(body), _fraction(exponent), span=tree.span)
                yield new, _edit("exponent", tree, new, 2)
        case Over(top, bottom):
            turned, rooted = Over(bottom, top, tree.slash, span=tree.span), replace(tree, bottom=Root(bottom))
            yield turned, _edit("exponent", tree, turned, 2)
            yield rooted, _edit("exponent", bottom, rooted.bottom, 2)
            yield top, _edit("factor", tree, top, 2)
        case Num(number):
            for other in (number + 1, number - 1, 2 * number, number / 2):
                if other not in (number, 0) and (value or other.denominator == 1):
                    new = _number(other, tree.span)
                    yield new, _edit("number", tree, new, 2)
        case Name():
            yield from _of_name(tree, stock, value)
    if value and isinstance(tree, Name | Over | Times | Slope | Big | Root | Raised):
        yield from _added(tree, stock)


def _of_sum(tree: Plus, terms: tuple[Tree, ...]) -> Iterator[tuple[Tree, Edit]]:
    for at, term in enumerate(terms):
        rest = (*terms[:at], *terms[at + 1 :])
        cost = 2 if isinstance(term.body if isinstance(term, Minus) else term, Num) else 3
        yield rest[0] if len(rest) == 1 else replace(tree, terms=rest), _edit("term", term, None, cost)


def _of_product(tree: Times, factors: tuple[Tree, ...]) -> Iterator[tuple[Tree, Edit]]:
    for at, factor in enumerate(factors):
        rest = (*factors[:at], *factors[at + 1 :])
        yield rest[0] if len(rest) == 1 else replace(tree, factors=rest), _edit("factor", factor, None, 2)


def _of_big(tree: Big, stock: _Stock) -> Iterator[tuple[Tree, Edit]]:
    for name in ("low", "high"):
        limit = tree.low if name == "low" else tree.high
        if limit is None:
            continue
        for step in (1, -1):
            new_limit = _stepped(limit, step)
            new = replace(tree, low=new_limit) if name == "low" else replace(tree, high=new_limit)
            yield new, _edit("bound", limit, new_limit, 1)
    for letter in stock.letters:
        if letter != letter_of(tree.variable):
            variable = Name(letter, span=tree.variable.span)
            yield replace(tree, variable=variable), _edit("index", tree.variable, variable, 1)
    yield tree.body, _edit("sum", tree, tree.body, 2)


def _stepped(limit: Tree, step: int) -> Tree:
    if isinstance(limit, Num):
        return _number(limit.value + step, limit.span)
    one: Tree = Num(Fraction(1), "1", span=limit.span)
    terms = list(limit.terms) if isinstance(limit, Plus) else [limit]
    opposite = Minus(one) if step > 0 else one
    if opposite in terms:  # `N - 1 + 1` is `N`
        terms.remove(opposite)
        if not terms:
            return Num(Fraction(0), "0", span=limit.span)
        return terms[0] if len(terms) == 1 else Plus(tuple(terms), span=limit.span)
    return Plus((*terms, one if step > 0 else Minus(one)), span=limit.span)


def _of_power(tree: Raised) -> Iterator[tuple[Tree, Edit]]:
    yield tree.base, _edit("exponent", tree.exponent, None, 2)
    for exponent in EXPONENTS:
        new = _fraction(exponent, tree.exponent.span)
        if latex(new) != latex(tree.exponent):
            yield replace(tree, exponent=new), _edit("exponent", tree.exponent, new, 2)


def _of_name(tree: Name, stock: _Stock, value: bool) -> Iterator[tuple[Tree, Edit]]:
    if isinstance(tree.sup, Num):
        for exponent in (1, 2, 3, -1):
            if tree.sup.value != exponent:
                new = replace(tree, sup=_number(Fraction(exponent), tree.sup.span) if exponent != 1 else None)
                yield new, _edit("exponent", tree, new, 2)
    elif value and tree.sup is None and not tree.args:
        new = replace(tree, sup=_number(Fraction(2), tree.span))
        yield new, _edit("exponent", tree, new, 3)
    if not value:
        yield from _of_index(tree, stock)
    yield from _of_indices(tree)
    yield from _renamed(tree, stock)


def _of_index(tree: Name, stock: _Stock) -> Iterator[tuple[Tree, Edit]]:
    if is_letter(tree, stock.part) and letter_of(tree) in stock.letters:
        for letter in stock.letters:
            if letter != letter_of(tree):
                new = Name(letter, span=tree.span)
                yield new, _edit("index", tree, new, 1)
        for step in (1, -1):
            shifted = _stepped(tree, step)
            yield shifted, _edit("counting", tree, shifted, 2)


def _of_indices(tree: Name) -> Iterator[tuple[Tree, Edit]]:
    """An index too many; two in each other's place."""
    for field_name in ("sub", "args"):
        items: tuple[Tree, ...] = tree.sub if field_name == "sub" else tree.args
        for at in range(len(items)):
            kept = (*items[:at], *items[at + 1 :])
            new = replace(tree, sub=kept) if field_name == "sub" else replace(tree, args=kept)
            yield new, _edit("index", tree, new, 2)
        for at in range(len(items) - 1):
            if items[at] != items[at + 1]:
                swapped = (*items[:at], items[at + 1], items[at], *items[at + 2 :])
                new = replace(tree, sub=swapped) if field_name == "sub" else replace(tree, args=swapped)
                yield new, _edit("index", tree, new, 2)


def _renamed(tree: Name, stock: _Stock) -> Iterator[tuple[Tree, Edit]]:
    count = len(tree.sub) + len(tree.args)
    try:
        found = resolve(tree, stock.part)
    except Unclear as unclear:
        if not unclear.count:
            return
        found = None
    if isinstance(found, Plain):
        for other in stock.constants:
            if other != tree.base and not tree.sub:
                new = replace(tree, base=other)
                yield new, _edit("name", tree, new, 2)
    elif found is None or isinstance(found, Element):
        for base, power, needed in stock.symbols:
            if base != tree.base and (needed == count or (found is None and needed <= count)):
                sup = _number(Fraction(power), tree.span) if power.isdigit() else tree.sup if found is None else None
                new = replace(tree, base=base, sup=sup)
                yield new, _edit("name", tree, new, 2)


def _added(tree: Tree, stock: _Stock) -> Iterator[tuple[Tree, Edit]]:
    """A factor or a sum that is missing."""
    for number in (Fraction(2), HALF):
        factor = _fraction(number, tree.span)
        new: Tree = Times((factor, tree), span=tree.span)
        yield new, _edit("factor", tree, new, 3)
    for constant in stock.constants[:8]:
        name = Name(constant, span=tree.span)
        for factor in (name, Over(Num(Fraction(1), "1"), name)):
            new = Times((factor, tree), span=tree.span)
            yield new, _edit("factor", tree, new, 4)
    for base, power, needed in stock.symbols:
        if needed == 0 and not power:
            new = Times((Name(base), tree), span=tree.span)
            yield new, _edit("factor", tree, new, 4)
    inside = {letter_of(t) for t in walk(tree) if isinstance(t, Name) and not t.args and not t.sub}
    for letter in stock.letters:
        if letter in inside:
            new = Big("sum", Name(letter), None, None, tree, span=tree.span)
            yield new, _edit("sum", tree, new, 3)


def _number(value: Fraction, span: Span) -> Tree:
    if value < 0:
        return Minus(_number(-value, span), span=span)
    return Num(value, str(value), span=span) if value.denominator == 1 else _fraction(value, span)


def _fraction(value: Fraction, span: Span = (0, 0)) -> Tree:
    if value.denominator == 1:
        return _number(value, span)
    top, bottom = (
        Num(Fraction(abs(value.numerator)), str(abs(value.numerator))),
        Num(Fraction(value.denominator), str(value.denominator)),
    )
    quotient = Over(top, bottom, span=span)
    return Minus(quotient, span=span) if value < 0 else quotient
