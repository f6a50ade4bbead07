r"""Sums and products over an index with their limits, and functions of mathematics with their arguments."""

from __future__ import annotations

from typing import TypeAlias

from symbackprop.documents.latex.cursor import FUNCTIONS
from symbackprop.documents.latex.symbols import Symbols
from symbackprop.documents.latex.tokens import NotRead, Token
from symbackprop.documents.latex.tree import (
    ONE,
    ZERO,
    Applied,
    Big,
    Chain,
    Choice,
    Listed,
    Minus,
    Name,
    Plus,
    Raised,
    Root,
    Times,
    Tree,
    bare,
)

Range: TypeAlias = tuple[Name, Tree | None, Tree | None]  # an index, its first and its last value


class Sums(Symbols):
    """What binds an index, and what is applied."""

    def big(self) -> Tree:
        opened = self.next()
        low: Tree | None = None
        high: Tree | None = None
        ranges: list[Range] = []
        only: Chain | None = None
        while self.is_("_", "^"):
            if self.next().text == "_":
                ranges, low, only = self.below()
            else:
                high = self.argument()
        if not ranges:
            raise NotRead(f"a {opened.text} without an index", opened.span, opened.text)
        self.skip_space()
        body = self.signed()
        operation = opened.text.removeprefix("\\")
        if only is not None:
            if operation != "sum":
                raise NotRead(f"a condition under a {opened.text}", opened.span, opened.text)
            body = self.spanned(opened.span[0], Choice(only, body, ZERO))
        for variable, first, last in reversed(ranges):
            ends = (low, high) if first is None else (first, last)
            body = self.spanned(opened.span[0], Big(operation, variable, *ends, body))
        return body

    def below(self) -> tuple[list[Range], Tree | None, Chain | None]:
        r"""The indices of a sum with what each runs over, the lower limit of all, and what they are not.

        `i,j`, `ij`, `i=1`, `0 \le u < f, 0 \le v < f`, `j \ne i`, `i=1, i \ne j`, `j < i`.
        """
        if not self.is_("{"):
            return [(self.index(self.deeper(self.single)), None, None)], None, None
        opened = self.next()
        ranges: list[Range] = []
        low: Tree | None = None
        tests: list[Chain] = []
        while True:
            clause = self.deeper(self.chain)
            operations = [operation for operation, _ in clause.rest]
            if not operations:
                factors = clause.first.factors if isinstance(clause.first, Times) else (clause.first,)
                ranges += [(self.index(f), None, None) for f in factors]
            elif operations == ["="]:
                ranges.append((self.index(clause.first), None, None))
                low = clause.rest[0][1]
            elif len(operations) == 2 and set(operations) <= {"<", "<="}:
                ranges.append(self.range_of(clause))
            elif len(operations) == 1 and operations[0] in ("!=", "<", "<=", ">", ">="):
                tests.append(clause)
                if isinstance(clause.first, Name) and all(clause.first != v for v, _, _ in ranges):
                    ranges.append((self.index(clause.first), None, None))
            else:
                raise NotRead("an index was expected under the sum", clause.span)
            if not self.is_(",", ";"):
                break
            self.next()
        self.expect("}", opened)
        if len(tests) > 1:
            raise NotRead("several conditions under a sum", tests[1].span)
        return ranges, low, tests[0] if tests else None

    def range_of(self, clause: Chain) -> Range:
        """`low <= i < high` as an index with its first and its last value."""
        (first, letter), (second, high) = clause.rest
        low = clause.first if first == "<=" else Plus((clause.first, ONE), span=clause.first.span)
        last = high if second == "<=" else Plus((high, Minus(ONE)), span=high.span)
        return self.index(letter), low, last

    @staticmethod
    def index(tree: Tree) -> Name:
        if isinstance(tree, Name) and not tree.args and tree.sup is None:
            return tree
        raise NotRead("an index was expected under the sum", tree.span)

    def function(self) -> Tree:
        if FUNCTIONS[self.token.text] in ("max", "min") and self.peek().text == "_":
            return self.big()
        token = self.next()
        function = FUNCTIONS[token.text]
        power: Tree | None = None
        if self.is_("^"):
            self.next()
            power = self.script()
        result = self.applied(token, function)
        return result if power is None else self.spanned(token.span[0], Raised(result, power))

    def applied(self, token: Token, function: str) -> Tree:
        if self.is_("("):
            inner = self.bracketed()
            args = inner.items if isinstance(inner, Listed) else (bare(inner),)
        else:
            args = (self.argument() if self.is_("{") else self.factor(),)
        return self.spanned(token.span[0], Root(args[0]) if function == "sqrt" else Applied(function, args))
