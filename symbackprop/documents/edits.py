"""The small changes of a formula: of a sign, an exponent, an index, a limit, a factor, a term, a name, a number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import combinations

from symbackprop.documents.conventions import Relation
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
    latex,
    parts,
    rebuild,
    walk,
)
from symbackprop.documents.limits import of_limits
from symbackprop.documents.names import Element, Plain, Unclear, is_letter, is_loss, letter_of, resolve
from symbackprop.documents.stock import Edit, Stock, fraction, whole_number

HALF = Fraction(1, 2)
OF_A_SYMBOL = ("index", "name", "counting", "number", "term", "sign")  # what a derivative by it may have wrong
OTHER_RELATIONS = {"<": (">", "<="), ">": ("<", ">="), "<=": (">=", "<"), ">=": ("<=", ">"), "=": ("!=",), "!=": ("=",)}
EXPONENTS = (HALF, -HALF, 3 * HALF, -3 * HALF, Fraction(1), Fraction(2), Fraction(-1), Fraction(-2), Fraction(3))


def edited(relation: Relation, stock: Stock) -> Iterator[tuple[Relation, Edit]]:
    """The relation after each single edit; the left side too where it is more than a symbol or a gradient."""
    for new, edit in edits(relation.right, stock):
        yield replace(relation, right=new), edit
    for new, edit in (*_everywhere(relation.right, stock), *_of_the_whole(relation.right, stock)):
        yield replace(relation, right=new), edit
    left = bare(relation.left)
    if not isinstance(left, Name) and not (isinstance(left, Slope) and is_loss(bare(left.top), stock.part)):
        for new, edit in edits(relation.left, stock):  # what is to be shown is more often right
            yield replace(relation, left=new), replace(edit, cost=edit.cost + 2)


def relettered(tree: Tree, letter: str, meant: str) -> tuple[Tree, Edit]:
    """The tree with a free letter replaced wherever it is free."""
    first = next((t for t in walk(tree) if isinstance(t, Name) and letter_of(t) == letter and not t.args), Name(letter))
    return freed(tree, letter, Name(meant, span=first.span)), Edit("index", first, Name(meant, span=first.span), 1)


def freed(tree: Tree, letter: str, new: Name) -> Tree:
    if isinstance(tree, Name) and letter_of(tree) == letter and not tree.args and tree.sup is None:
        return new
    if isinstance(tree, Big) and letter_of(tree.variable) == letter:
        return tree
    return rebuild(tree, tuple(freed(part, letter, new) for part in parts(tree)))


def _everywhere(tree: Tree, stock: Stock) -> Iterator[tuple[Tree, Edit]]:
    """An edit of a symbol at all places at which it stands."""
    seen: dict[Tree, int] = {}
    for part in walk(tree):
        if isinstance(part, Name) and (part.sub or part.args):
            seen[part] = seen.get(part, 0) + 1
    for name, count in seen.items():
        if count > 1 and isinstance(name, Name):
            for new, edit in (*of_indices(name), *renamed(name, stock)):
                yield replaced(tree, name, new), edit


def _of_the_whole(tree: Tree, stock: Stock) -> Iterator[tuple[Tree, Edit]]:
    """A factor that a whole sum lacks; two sizes or parameters in each other's place."""
    if isinstance(tree, Plus):
        yield from _added(Group(tree, span=tree.span), stock)
    printed = [t for t in dict.fromkeys(walk(tree)) if isinstance(t, Name) and t.base in stock.constants and not t.sub]
    for one, other in combinations(printed, 2):
        if isinstance(one, Name) and isinstance(other, Name) and one.sup is other.sup is None:
            new = _exchanged(tree, one, other)
            yield new, Edit("names", tree, new, 3)


def _exchanged(tree: Tree, one: Name, other: Name) -> Tree:
    """The tree with two symbols in each other's place."""
    if tree == one:
        return replace(other, span=tree.span)
    if tree == other:
        return replace(one, span=tree.span)
    return rebuild(tree, tuple(_exchanged(part, one, other) for part in parts(tree)))


def replaced(tree: Tree, old: Tree, new: Tree) -> Tree:
    if tree == old:
        return new
    children = parts(tree)
    changed = tuple(replaced(child, old, new) for child in children)
    return tree if all(a is b for a, b in zip(children, changed, strict=True)) else rebuild(tree, changed)


def edits(tree: Tree, stock: Stock, value: bool = True, sign: bool = True) -> Iterator[tuple[Tree, Edit]]:
    """The tree after each edit of it or of one of its parts.

    `value` is False inside indices and exponents; `sign` is False where turning the sign is the same as turning that
    of a whole that was met before: a factor of a product, say.
    """
    here = _of_condition(tree) if isinstance(tree, Chain) else _here(tree, stock, value, sign)
    yield from (made for made in here if not _is_empty(made[0]))
    children = parts(tree)
    for at, child in enumerate(children):
        if isinstance(tree, Big) and at == 0:
            continue
        if isinstance(tree, Slope) and at == 0 and is_loss(bare(child), stock.part):
            continue
        inner = value and not isinstance(tree, Name) and not (isinstance(tree, Raised) and at == 1)
        inner = inner and not (isinstance(tree, Big) and at < len(children) - 1)
        for new, edit in edits(child, stock, inner, _turns(tree, at, len(children))):
            if isinstance(tree, Big) and edit.kind == "sign" and _empties(tree, child, new, at == len(children) - 2):
                continue
            if (
                isinstance(tree, Slope)
                and isinstance(bare(child), Name)
                and not (isinstance(new, Name) and edit.kind in OF_A_SYMBOL)
            ):
                continue
            rebuilt = rebuild(tree, (*children[:at], new, *children[at + 1 :]))
            if not _is_empty(rebuilt):
                yield rebuilt, edit


def _is_empty(tree: Tree) -> bool:
    """Whether it is a sum over nothing, which says nothing."""
    if not isinstance(tree, Big) or tree.low is None or tree.high is None:
        return False
    low, high = _number(tree.low), _number(tree.high)
    return low is not None and high is not None and high < low


def _number(tree: Tree) -> Fraction | None:
    if isinstance(tree, Minus):
        inner = _number(tree.body)
        return None if inner is None else -inner
    return tree.value if isinstance(tree, Num) else None


def _empties(tree: Big, old: Tree, new: Tree, upper: bool) -> bool:
    """Whether a limit that had the sign that it should have has lost it: the sum would be empty."""
    if old is tree.body:
        return False
    return isinstance(new, Minus) and not isinstance(old, Minus) if upper else isinstance(old, Minus)


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


def negated(tree: Tree) -> Tree:
    """The tree with its sign turned."""
    if isinstance(tree, Minus):
        return replace(tree.body, span=tree.span)
    return Minus(tree, span=tree.span)


def _here(tree: Tree, stock: Stock, value: bool, sign: bool) -> Iterator[tuple[Tree, Edit]]:
    if (sign and not (isinstance(tree, Num) and tree.value == 0) and not isinstance(tree, Plus)) or isinstance(
        tree, Minus
    ):
        turned = negated(tree)
        yield turned, Edit("sign", tree, turned, 1)
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
            yield rooted, Edit("exponent", tree, rooted, 2)
        case Root(body):
            for name in stock.reals:
                grown = Root(Plus((body, Name(name))), span=tree.span)
                yield grown, Edit("term", body, grown.body, 3)
            for exponent in (None, 3 * HALF):
                new = body if exponent is None else Raised(Group(body), fraction(exponent), span=tree.span)
                yield new, Edit("exponent", tree, new, 2)
        case Over(top, bottom):
            turned, rooted = Over(bottom, top, tree.slash, span=tree.span), replace(tree, bottom=Root(bottom))
            yield turned, Edit("exponent", tree, turned, 2)
            yield rooted, Edit("exponent", bottom, rooted.bottom, 2)
            yield top, Edit("factor", tree, top, 2)
        case Num(number):
            for other in (number + 1, number - 1, 2 * number, number / 2):
                if other not in (number, 0) and (value or other.denominator == 1):
                    new = whole_number(other, tree.span)
                    yield new, Edit("number", tree, new, 2)
        case Name():
            yield from _of_name(tree, stock, value)
    if value and isinstance(tree, Name | Num | Over | Times | Slope | Big | Root | Raised | Group):
        yield from _added(tree, stock)


def _of_condition(tree: Chain) -> Iterator[tuple[Tree, Edit]]:
    """A comparison the other way, or of the other kind."""
    for at, (operation, side) in enumerate(tree.rest):
        for other in OTHER_RELATIONS.get(operation, ()):
            new = replace(tree, rest=(*tree.rest[:at], (other, side), *tree.rest[at + 1 :]))
            yield new, Edit("relation", tree, new, 1)


def _of_sum(tree: Plus, terms: tuple[Tree, ...]) -> Iterator[tuple[Tree, Edit]]:
    for at, term in enumerate(terms):
        rest = (*terms[:at], *terms[at + 1 :])
        cost = 2 if isinstance(term.body if isinstance(term, Minus) else term, Num) else 4
        yield rest[0] if len(rest) == 1 else replace(tree, terms=rest), Edit("term", term, None, cost)


def _of_product(tree: Times, factors: tuple[Tree, ...]) -> Iterator[tuple[Tree, Edit]]:
    for at, factor in enumerate(factors):
        rest = (*factors[:at], *factors[at + 1 :])
        yield rest[0] if len(rest) == 1 else replace(tree, factors=rest), Edit("factor", factor, None, 2)


def _of_big(tree: Big, stock: Stock) -> Iterator[tuple[Tree, Edit]]:
    for name in ("low", "high"):
        limit = tree.low if name == "low" else tree.high
        if limit is None:
            continue
        for step in (1, -1):
            new_limit = stepped(limit, step)
            new = replace(tree, low=new_limit) if name == "low" else replace(tree, high=new_limit)
            yield new, Edit("bound", limit, new_limit, 1)
    for letter in stock.letters:
        if letter != letter_of(tree.variable):
            variable = Name(letter, span=tree.variable.span)
            yield replace(tree, variable=variable), Edit("index", tree.variable, variable, 1)
    yield from of_limits(tree, stock.part)
    yield tree.body, Edit("sum", tree, tree.body, 2)


def stepped(limit: Tree, step: int) -> Tree:
    if isinstance(limit, Num):
        return whole_number(limit.value + step, limit.span)
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
    yield tree.base, Edit("exponent", tree.exponent, None, 2)
    for exponent in EXPONENTS:
        new = fraction(exponent, tree.exponent.span)
        if latex(new) != latex(tree.exponent):
            yield replace(tree, exponent=new), Edit("exponent", tree.exponent, new, 2)


def _of_name(tree: Name, stock: Stock, value: bool) -> Iterator[tuple[Tree, Edit]]:
    if isinstance(tree.sup, Num):
        for exponent in (1, 2, 3, -1):
            if tree.sup.value != exponent:
                new = replace(tree, sup=whole_number(Fraction(exponent), tree.sup.span) if exponent != 1 else None)
                yield new, Edit("exponent", tree, new, 2)
    elif value and tree.sup is None and not tree.args:
        new = replace(tree, sup=whole_number(Fraction(2), tree.span))
        yield new, Edit("exponent", tree, new, 3)
    if not value:
        yield from _of_index(tree, stock)
    yield from of_indices(tree)
    yield from renamed(tree, stock)


def _of_index(tree: Name, stock: Stock) -> Iterator[tuple[Tree, Edit]]:
    if is_letter(tree, stock.part) and letter_of(tree) in stock.letters:
        for letter in stock.letters:
            if letter != letter_of(tree):
                new = Name(letter, span=tree.span)
                yield new, Edit("index", tree, new, 1)
        for step in (1, -1):
            shifted = stepped(tree, step)
            yield shifted, Edit("counting", tree, shifted, 2)


def of_indices(tree: Name) -> Iterator[tuple[Tree, Edit]]:
    """An index too many; two in each other's place."""
    for field_name in ("sub", "args"):
        items: tuple[Tree, ...] = tree.sub if field_name == "sub" else tree.args
        for at in range(len(items)):
            kept = (*items[:at], *items[at + 1 :])
            new = replace(tree, sub=kept) if field_name == "sub" else replace(tree, args=kept)
            yield new, Edit("index", tree, new, 2)
        for at in range(len(items) - 1):
            if items[at] != items[at + 1]:
                swapped = (*items[:at], items[at + 1], items[at], *items[at + 2 :])
                new = replace(tree, sub=swapped) if field_name == "sub" else replace(tree, args=swapped)
                yield new, Edit("index", tree, new, 2)


def renamed(tree: Name, stock: Stock) -> Iterator[tuple[Tree, Edit]]:
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
                yield new, Edit("name", tree, new, 2)
    elif found is None or isinstance(found, Element):
        for base, power, needed in stock.symbols:
            if base != tree.base and (needed == count or (found is None and needed <= count)):
                sup = (
                    whole_number(Fraction(power), tree.span) if power.isdigit() else tree.sup if found is None else None
                )
                new = replace(tree, base=base, sup=sup)
                yield new, Edit("name", tree, new, 2)


def _added(tree: Tree, stock: Stock) -> Iterator[tuple[Tree, Edit]]:
    """A factor or a sum that is missing."""
    for number in (Fraction(2), HALF) if not isinstance(tree, Num) else ():
        factor = fraction(number, tree.span)
        new: Tree = Times((factor, tree), span=tree.span)
        yield new, Edit("factor", tree, new, 3)
    for constant in stock.constants[:8]:
        name = Name(constant, span=tree.span)
        for factor in (name, Over(Num(Fraction(1), "1"), name)):
            new = Times((factor, tree), span=tree.span)
            yield new, Edit("factor", tree, new, 4)
    for base, power, needed in stock.symbols:
        if needed == 0 and not power:
            new = Times((Name(base), tree), span=tree.span)
            yield new, Edit("factor", tree, new, 4)
    inside = {letter_of(t) for t in walk(tree) if isinstance(t, Name) and not t.args and not t.sub}
    for letter in stock.letters:
        if letter in inside:
            new = Big("sum", Name(letter), None, None, tree, span=tree.span)
            yield new, Edit("sum", tree, new, 3)
