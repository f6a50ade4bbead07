"""What a repair may put into a formula, and the small changes that it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from symbackprop.documents.conventions import Relation
from symbackprop.documents.latex.tree import (
    Big,
    Minus,
    Name,
    Num,
    Over,
    Span,
    Tree,
    latex,
    walk,
)
from symbackprop.documents.legend import Part
from symbackprop.documents.names import is_letter, letter_of, standings


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
class Stock:
    """What an edit may put in: index letters, and symbols by the number of their indices."""

    letters: tuple[str, ...]
    symbols: tuple[tuple[str, str, int], ...]  # base, power, number of indices
    constants: tuple[str, ...]
    reals: tuple[str, ...]
    part: Part


def stock_of(relation: Relation, part: Part) -> Stock:
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
        if isinstance(part.constants[k], Name) and latex(part.constants[k]) in (*real, *map(roman, real))
    ]
    return Stock(tuple(letters), bases, tuple(plain), tuple(reals), part)


def roman(text: str) -> str:
    return rf"\mathrm{{{text}}}"


def _apart(name: Name, part: Part) -> bool:
    return all(s.base != name.base for s in part.symbols) and latex(name) not in part.labels


def whole_number(value: Fraction, span: Span) -> Tree:
    if value < 0:
        return Minus(whole_number(-value, span), span=span)
    return Num(value, str(value), span=span) if value.denominator == 1 else fraction(value, span)


def fraction(value: Fraction, span: Span = (0, 0)) -> Tree:
    if value.denominator == 1:
        return whole_number(value, span)
    top, bottom = (
        Num(Fraction(abs(value.numerator)), str(abs(value.numerator))),
        Num(Fraction(value.denominator), str(value.denominator)),
    )
    quotient = Over(top, bottom, span=span)
    return Minus(quotient, span=span) if value < 0 else quotient
