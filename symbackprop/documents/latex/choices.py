r"""What depends on a condition: indicators and cases."""

from __future__ import annotations

from symbackprop.documents.latex.symbols import Symbols
from symbackprop.documents.latex.tokens import CONDITIONAL, NotRead, Token
from symbackprop.documents.latex.tree import ONE, ONES, ZERO, Chain, Choice, Name, Tree


class Choices(Symbols):
    """A value where a condition holds, another where it does not."""

    def indicator(self, token: Token) -> Tree:
        """1 where a condition holds, else 0: the condition in brackets, or below. Without one: a vector of ones."""
        start, below = self.at, self.is_("_")
        if below:
            self.next()
        if not self.is_("(", "[", "{"):
            if below:
                self.next()  # `\mathbf{1}_N`
            return self.ones(token)
        depth = 0
        while self.is_("(", "[", "{"):  # `_{\{i = j\}}`
            self.next()
            depth += 1
        condition = self.deeper(self.chain)
        for _ in range(depth):
            if not self.is_(")", "]", "}"):
                raise NotRead("a bracket was expected to close", self.token.span, self.token.text)
            self.next()
        if not condition.rest:
            if not below:  # what follows is a factor
                self.at = start
            return self.ones(token)
        return self.spanned(token.span[0], Choice(condition, ONE, ZERO))

    def ones(self, token: Token) -> Tree:
        """A vector of ones; only a font tells it from the number."""
        if token.kind != "indicator":
            raise NotRead("an indicator without its condition", token.span, token.text)
        return self.scripted(Name(ONES, span=token.span))

    def cases(self) -> Tree:
        """`\\begin{cases} value & condition \\\\ ... \\end{cases}`: the last one may hold otherwise."""
        opened = self.next()
        branches: list[tuple[Tree, Chain | None]] = []
        while not self.is_(r"\end"):
            value = self.deeper(self.sum)
            while self.is_(",", "&") or self.token.kind == "space":
                self.next()
            said = self.token.kind == "text" or (self.token.kind == "word" and self.token.text in CONDITIONAL)
            word = self.next().text.lower() if said else ""
            self.skip_space()
            branches.append((value, self.deeper(self.chain) if self.starts_factor() else None))
            if word and branches[-1][1] is None and not word.startswith(("otherwise", "else")):
                raise NotRead("a condition in words", opened.span, word)
            while self.is_(",", ".", ";"):
                self.next()
            if self.is_(r"\\"):
                self.next()
            elif not self.is_(r"\end"):
                raise NotRead("a condition was expected", self.token.span, self.token.text)
        self.next()
        if not branches or any(c is None for _, c in branches[:-1]):
            raise NotRead("cases without their conditions", opened.span, opened.text)
        last, condition = branches[-1]
        result = last if len(branches) > 1 or condition is None else Choice(condition, last, ZERO)
        for value, condition in reversed(branches[:-1]):
            assert condition is not None
            result = self.spanned(opened.span[0], Choice(condition, value, result))
        return result
