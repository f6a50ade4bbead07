r"""Expressions, by precedence.

sum       = ["+" | "-"] product (("+" | "-") product)*
product   = factor (["*" | "\cdot" | "\times" | "/"] factor)*     a \sum takes the rest of its product
factor    = number | symbol | fraction | derivative | root | function | bracket, with "^"
"""

from __future__ import annotations

from fractions import Fraction

from symbackprop.documents.latex.choices import Choices
from symbackprop.documents.latex.cursor import FUNCTIONS, PRODUCTS, RELATIONS
from symbackprop.documents.latex.derivatives import Derivatives
from symbackprop.documents.latex.sums import Sums
from symbackprop.documents.latex.symbols import ACCENTS, GREEK
from symbackprop.documents.latex.tokens import NotRead, Token
from symbackprop.documents.latex.tree import (
    ONE,
    ZERO,
    Applied,
    Chain,
    Choice,
    Group,
    Listed,
    Minus,
    Name,
    Num,
    Over,
    Plus,
    Raised,
    Root,
    Times,
    Tree,
)

CLOSING = {"(": ")", "[": "]", "{": "}"}
ROUNDED = {r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}
FRAMES = frozenset((r"\boxed", r"\underbrace", r"\overbrace", r"\underline", r"\mathbin"))


class Expressions(Derivatives, Sums, Choices):
    """Sums of products of factors."""

    def sum(self) -> Tree:
        start = self.token.span[0]
        terms = [self.signed()]
        while self.is_("+", "-"):
            terms.append(self.term())
        return terms[0] if len(terms) == 1 else self.spanned(start, Plus(tuple(terms)))

    def signed(self) -> Tree:
        return self.term() if self.is_("+", "-") else self.product()

    def term(self) -> Tree:
        sign = self.next()
        self.skip_space()
        body = self.term() if self.is_("+", "-") else self.product()
        return self.spanned(sign.span[0], Minus(body)) if sign.text == "-" else body

    def product(self) -> Tree:
        start = self.token.span[0]
        factors = [self.factor()]
        sign = ""
        while True:
            if self.is_(*PRODUCTS):
                if (
                    self.is_(r"\odot") and len(factors) > 1 and sign != r"\odot"
                ):  # it binds less than what stands side by side
                    factors, sign = [self.times(factors, sign)], ""
                sign = sign or PRODUCTS[self.token.text]
                self.next()
                self.skip_space()
                factors.append(self.term() if self.is_("-") else self.factor())
            elif self.is_("/"):
                self.next()
                bottom = self.factor()
                top = factors[0] if len(factors) == 1 else self.times(factors, sign)
                factors = [self.spanned(start, Over(top, bottom, True))]
            elif self.is_(r"\star"):  # read, though only a legend could say what it does
                self.next()
                left = factors[0] if len(factors) == 1 else self.times(factors, sign)
                factors = [self.spanned(start, Applied("star", (left, self.factor())))]
            elif self.starts_factor() and not self.prose():
                more = self.factor()
                factors[-1:] = [self.times([factors[-1], more], "")] if sign == r"\odot" else [factors[-1], more]
            else:
                break
            factors = self.outer_derivative(factors)
        return factors[0] if len(factors) == 1 else self.spanned(start, Times(tuple(factors), sign))

    @staticmethod
    def times(factors: list[Tree], sign: str) -> Tree:
        return Times(tuple(factors), sign, span=(factors[0].span[0], factors[-1].span[1]))

    def starts_factor(self) -> bool:
        kind, text = self.token.kind, self.token.text
        if kind in ("number", "word", "unknown", "indicator", "cases", "(", "[", "{"):
            return True
        return kind == "command" and text not in (*RELATIONS, *PRODUCTS, *ROUNDED.values(), r"\star")

    def prose(self) -> bool:
        """Whether the words that a formula trails off into begin here."""
        token, after = self.token, self.peek()
        if (
            self.depth
            or token.kind != "unknown"
            or not (token.spaced or (self.at and self.tokens[self.at - 1].kind == "space"))
        ):
            return False
        return after.text not in ("_", "^") and not (after.text == "(" and self.peek(2).kind != "number")

    def factor(self) -> Tree:
        start = self.token.span[0]
        base = self.atom()
        while self.is_("^"):
            if isinstance(base, Name) and base.sup is None and not base.args:
                break
            self.next()
            base = self.spanned(start, Raised(base, self.script()))
        return base

    def atom(self) -> Tree:
        token = self.token
        match token.kind:
            case "number":
                self.next()
                if token.text == "1" and (self.is_("_") or self.text[self.token.span[0] :].startswith(r"\{")):
                    return self.indicator(token)
                return Num(Fraction(token.text.replace(",", "")), token.text, span=token.span)
            case "word" | "unknown":
                return self.function() if token.text in FUNCTIONS else self.name()
            case "command":
                return self.command()
            case "(" | "[":
                return self.bracketed()
            case "indicator":
                self.next()
                return self.indicator(token)
            case "cases":
                return self.cases()
            case "{":
                opened = self.next()
                inner = self.deeper(self.sum)
                self.expect("}", opened)
                return self.scripted(inner) if isinstance(inner, Name) and not inner.sub else inner
            case "end":
                raise NotRead("the formula ends where a symbol or number was expected", token.span)
            case "text":
                raise NotRead("words stand where a symbol or number was expected", token.span, token.text)
            case "space":
                self.next()
                return self.atom()
            case _:
                raise NotRead("a symbol or number was expected", token.span, token.text)

    def bracketed(self) -> Tree:
        opened = self.next()
        items = [self.deeper(self.sum)]
        if opened.text == "[" and self.is_("=", r"\ne", r"\neq", "<", ">", r"\le", r"\ge"):  # `[i = j]`
            relation = RELATIONS[self.next().text]
            chain = Chain(items[0], ((relation, self.deeper(self.sum)),), span=opened.span)
            self.expect("]", opened)
            return self.spanned(opened.span[0], Choice(chain, ONE, ZERO))
        while self.is_(","):
            self.next()
            items.append(self.deeper(self.sum))
        self.expect(CLOSING[opened.text], opened)
        inner: Tree = Group(items[0]) if len(items) == 1 else Listed(tuple(items))
        return self.spanned(opened.span[0], inner)

    def command(self) -> Tree:
        token = self.token
        if token.text in (r"\sum", r"\prod"):
            return self.big()
        if token.text == r"\frac":
            return self.fraction()
        if token.text == r"\sqrt":
            self.next()
            return self.spanned(token.span[0], Root(self.argument()))
        if token.text in FUNCTIONS:
            return self.function()
        if token.text in ROUNDED:
            return self.rounded()
        if token.text in FRAMES:
            self.next()
            inner = self.argument()
            return inner if isinstance(inner, Name | Num) else Group(inner, span=inner.span)
        if token.text == r"\partial":
            return self.inline_derivative()
        if token.text == r"\nabla" and self.peek().text == "_":
            return self.nabla()
        if token.text in ACCENTS or token.text in GREEK:
            return self.name()
        if token.text == r"\dots":
            raise NotRead("an ellipsis: what stands for it is not guessed", token.span, token.text)
        raise NotRead("this command has no meaning here", token.span, token.text)

    def rounded(self) -> Tree:
        """What is rounded down or up to a whole number."""
        opened = self.next()
        inner = self.deeper(self.sum)
        self.expect(ROUNDED[opened.text], opened)
        return self.spanned(opened.span[0], Applied(opened.text[2:], (inner,)))

    def argument(self) -> Tree:
        """What stands in braces, or the next single symbol."""
        if not self.is_("{"):
            return self.deeper(self.single)
        opened = self.next()
        inner = self.deeper(self.sum)
        self.expect("}", opened)
        return inner

    def single(self) -> Tree:
        token = self.token
        if token.kind == "word" and len(token.text) > 1 and token.span[1] - token.span[0] == len(token.text):
            raise NotRead("braces are missing around a word", token.span, token.text)
        if token.kind == "number" and len(token.text) > 1:  # \frac12
            first, rest = token.text[0], token.text[1:]
            start = token.span[0]
            self.tokens[self.at] = Token("number", rest, (start + 1, token.span[1]))
            return Num(Fraction(first), first, span=(start, start + 1))
        if token.kind == "word":
            self.next()
            return Name(token.text, span=token.span)
        if token.kind == "command" and token.text in GREEK:
            self.next()
            return Name(token.text, span=token.span)
        return self.atom()
