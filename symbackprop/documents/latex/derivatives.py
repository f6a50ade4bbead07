r"""Derivatives in all the ways they are written, and the fractions that are none."""

from __future__ import annotations

from symbackprop.documents.latex.cursor import Cursor
from symbackprop.documents.latex.tokens import NotRead
from symbackprop.documents.latex.tree import ONE, Name, Over, Slope, Times, Tree


class Derivatives(Cursor):
    """`\\frac{\\partial L}{\\partial x}`, `\\partial L / \\partial x`, `\\nabla_x L`."""

    def begins_derivative(self, at: int) -> bool:
        """Whether a `d` or a `\\partial` opens the braces at token `at`."""
        first = self.tokens[at + 1] if at + 1 < len(self.tokens) else self.last
        return first.text == r"\partial" or (first.kind == "word" and first.text == "d")

    def fraction(self) -> Tree:
        opened = self.next()
        slope = self.is_("{") and self.begins_derivative(self.at) and self.bottom_is_derivative()
        if not slope:
            above = self.argument()
            return self.spanned(opened.span[0], Over(above, self.argument()))
        brace, letter = self.next(), self.next()
        operator = self.operator
        top: Tree = ONE if operator else self.in_derivative(self.sum)
        self.expect("}", brace)
        brace = self.next()
        self.next()
        by = self.in_derivative(self.factor)
        self.expect("}", brace)
        if not isinstance(by, Name):
            raise NotRead("a derivative by something that is no symbol", by.span)
        if operator:
            if not self.starts_factor():
                raise NotRead("a derivative of nothing", opened.span, r"\frac")
            top = self.product()
        return self.spanned(opened.span[0], Slope("d" if letter.text == "d" else "∂", top, by))

    def bottom_is_derivative(self) -> bool:
        depth, at = 0, self.at
        while at < len(self.tokens):
            depth += {"{": 1, "}": -1}.get(self.tokens[at].text, 0)
            at += 1
            if depth == 0:
                break
        alone = at - self.at == 3  # \frac{\partial}{\partial x}: an operator
        opens = at < len(self.tokens) and self.tokens[at].text == "{" and self.begins_derivative(at)
        self.operator = opens and alone
        return opens

    def inline_derivative(self) -> Tree:
        opened = self.next()
        top = self.factor()
        if not (self.is_("/") and self.peek().text == r"\partial"):
            raise NotRead("a derivative without what it is by", opened.span, opened.text)
        self.next()
        self.next()
        by = self.factor()
        if not isinstance(by, Name):
            raise NotRead("a derivative by something that is no symbol", by.span)
        return self.spanned(opened.span[0], Slope("∂", top, by))

    def nabla(self) -> Tree:
        r"""`\nabla_x L`: the derivative of L by x."""
        opened = self.next()
        self.next()
        by = self.argument()
        top = self.factor()
        if not isinstance(by, Name):
            raise NotRead("a derivative by something that is no symbol", by.span)
        return self.spanned(opened.span[0], Slope("∂", top, by))

    @staticmethod
    def outer_derivative(factors: list[Tree]) -> list[Tree]:
        r"""`d \frac{A}{dx}`: the d of the numerator printed before the fraction."""
        if len(factors) < 2 or factors[-2] != Name("d") or not isinstance(factors[-1], Over):
            return factors
        fraction = factors[-1]
        match fraction.bottom:
            case Times((Name("d", (), None, ()), Name() as by)):
                return [*factors[:-2], Slope("d", fraction.top, by, span=fraction.span)]
        return factors
