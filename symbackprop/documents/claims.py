"""What a statement claims: a definition, a gradient, a local derivative, a step, a shape rule, a count, or nothing.

An equation whose two sides the layer settles is a claim. One that chooses a value for something free (`K = 3`), an
update that overwrites, a range of indices that nothing in the legend settles, and a formula without a relation claim
nothing that could be wrong; they are listed as such, never as right.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from symbackprop.documents.conventions import Relation
from symbackprop.documents.latex.tree import (
    Chain,
    End,
    Listed,
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
    walk,
)
from symbackprop.documents.legend import Part
from symbackprop.documents.names import Element, Plain, Unclear, is_letter, is_loss, letter_of, resolve


@dataclass(frozen=True, slots=True)
class Claim:
    """One relation of a statement; `before` is the line before it, `note` says why there is nothing to decide."""

    text: str
    span: Span
    relation: Relation | None
    kind: str = ""
    before: Tree | None = None
    note: str = ""


def claims(chain: Chain, part: Part) -> tuple[Claim, ...]:
    """The claims of a statement, in order."""
    if not chain.rest:
        return (_nothing(chain, "mention", "it names something and says nothing of it"),)
    operations = {operation for operation, _ in chain.rest}
    if operations != {"="}:
        ranged = _range_claims(chain, part) if operations <= {"<", "<="} else ()
        return ranged or (_nothing(chain, "condition", "a condition or a membership, not an equation"),)
    found: list[Claim] = []
    before: Tree | None = None
    for _, right in chain.rest:
        found.append(_equation(chain, right, before, part))
        before = right
    if chain.otherwise and chain.when:
        found += _otherwise(chain)
    return tuple(found)


def _nothing(chain: Chain, kind: str, note: str) -> Claim:
    return Claim(latex(chain), chain.span, None, kind, None, note)


def _equation(chain: Chain, right: Tree, before: Tree | None, part: Part) -> Claim:
    left = chain.first
    right = _thousands(left, right)
    text, span = f"{latex(left)} = {latex(right)}", (left.span[0], right.span[1])
    note = _why_nothing(left, right, part)
    if note:
        return Claim(text, span, None, note[0], before, note[1])
    last = right is chain.rest[-1][1]
    return Claim(
        text, span, Relation(left, right, chain.when if last else ()), "step" if before is not None else "", before
    )


def _thousands(left: Tree, right: Tree) -> Tree:
    """`768K` behind a product of numbers: thousands."""
    numbers = all(not isinstance(t, Name) for t in walk(left))
    match right:
        case Times((Num() as count, Name(("K" | "M") as letter, (), None, ())), "") if numbers:
            factor = 1000 if letter == "K" else 1_000_000
            return Num(count.value * factor, f"{count.text}{letter}", span=right.span)
    return right


def _otherwise(chain: Chain) -> list[Claim]:
    """`a = 1 if COND else a = 0`: the second value, where the condition does not hold."""
    found = []
    for other in chain.otherwise:
        right = other.rest[-1][1] if other.rest else other.first
        opposite = tuple(_inverted(c) for c in chain.when)
        text = f"{latex(chain.first)} = {latex(right)}"
        found.append(Claim(text, other.span, Relation(chain.first, right, opposite)))
    return found


def _inverted(chain: Chain) -> Chain:
    flipped = {"=": "!=", "<": ">=", ">": "<=", "<=": ">", ">=": "<", "!=": "="}
    return Chain(chain.first, tuple((flipped.get(op, op), tree) for op, tree in chain.rest), span=chain.span)


# ------------------------------------------------------------------------------------ what is no claim


def _why_nothing(left: Tree, right: Tree, part: Part) -> tuple[str, str] | None:
    """The kind and the reason where an equation settles something rather than claiming it."""
    if isinstance(left, Listed) or isinstance(right, Listed):
        return "shape", "a list of sizes"
    bare_left = bare(left)
    terms = right.terms if isinstance(right, Plus) else (right,)
    if bare_left in [bare(t) for t in terms] and len(terms) > 1:
        return "update", _update_note(terms, bare_left)
    if isinstance(bare_left, Name) and bare_left == bare(right):
        return "definition", "both sides are the same symbol"
    if _index_condition(left, part) or _index_condition(right, part):
        return "condition", "a relation between indices"
    if isinstance(bare_left, Name):
        return _free_name(bare_left, part)
    return None


def _update_note(terms: tuple[Tree, ...], left: Tree) -> str:
    others = [t for t in terms if bare(t) != left]
    gradient = [t for t in others if any(isinstance(p, Slope) for p in walk(t)) or _differential(t)]
    if gradient and not isinstance(gradient[0], Minus):
        return "an update, not an equation; it adds the gradient, where descent subtracts it"
    return "an update, not an equation"


def _differential(tree: Tree) -> bool:
    return isinstance(tree, Times) and tree.factors[0] == Name("d")


def _index_condition(tree: Tree, part: Part) -> bool:
    """Whether a side is made of index letters alone: `i'`, `i + n`, `-n'`."""
    leaves = [t for t in walk(tree) if isinstance(t, Name)]
    if not leaves or any(not isinstance(t, Name | Num | Plus | Minus) for t in walk(tree)):
        return False
    known = known_letters(part)
    return all(is_letter(n, part) and _unknown(n, part) and (letter_of(n).rstrip("'") in known) for n in leaves)


def known_letters(part: Part) -> frozenset[str]:
    """The index letters of the legend's symbols, and those that commonly stand for one."""
    formal = {f.rstrip("'") for s in part.symbols for f in s.formals}
    return frozenset(formal | set("ijkmnpqrstuvbc"))


def _unknown(name: Name, part: Part) -> bool:
    return not any(s.base == name.base for s in part.symbols)


def _free_name(name: Name, part: Part) -> tuple[str, str] | None:
    """A size that arrays bind, or a parameter, on the left: the equation chooses it."""
    try:
        found = resolve(name, part)
    except Unclear:
        return None
    if isinstance(found, Plain) and isinstance(found.value, Name) and found.power is None:
        derived = {s.name for s in part.layer.sizes}
        if found.value.base not in derived:
            return "setting", f"it chooses {latex(name)}; nothing in the layer settles it"
    return None


def chooses(relation: Relation, part: Part) -> bool:
    """Whether an input of the layer is set to another symbol: `\\gamma = \\sigma`."""
    left, right = bare(relation.left), bare(relation.right)
    if not isinstance(left, Name) or not isinstance(right, Name | Num):
        return False
    found = resolve(left, part)
    return isinstance(found, Element) and not found.meant.gradient and part.layer.tensor(found.meant.tensor) is not None


# ------------------------------------------------------------------------------------------------- ranges


def _range_claims(chain: Chain, part: Part) -> tuple[Claim, ...]:
    """`A <= i < B`: both ends of the range of an index of the legend."""
    if len(chain.rest) != 2 or not isinstance(chain.rest[0][1], Name):
        return ()
    (first, letter), (second, high) = chain.rest
    assert isinstance(letter, Name)
    symbol = next((s for s in part.symbols if letter_of(letter) in s.formals), None)
    if symbol is None:
        return ()
    one = Num(Fraction(1), "1")
    low = chain.first if first == "<=" else Plus((chain.first, one), span=chain.first.span)
    end = high if second == "<" else Plus((high, one), span=high.span)
    text = latex(chain)
    return tuple(
        Claim(
            f"{text} ({which} end)",
            printed.span,
            Relation(End(symbol.base, letter_of(letter), upper), printed),
            "range",
        )
        for which, printed, upper in (("lower", low, False), ("upper", end, True))
    )


# -------------------------------------------------------------------------------------------------- kinds


def kind_of(claim: Claim, part: Part) -> str:
    """What a claim is called in a report."""
    if claim.relation is None:
        return claim.kind
    left = bare(claim.relation.left)
    if isinstance(left, Slope):
        return "gradient" if is_loss(bare(left.top), part) else "local derivative"
    if isinstance(left, Name):
        try:
            found = resolve(left, part)
        except Unclear:
            return "definition"
        if isinstance(found, Plain):
            return "shape rule"
        if isinstance(found, Element) and found.meant.gradient:
            return "gradient"
        return "definition"
    return "count" if all(not isinstance(t, Name) for t in walk(left)) else "equation"
