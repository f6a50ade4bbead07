r"""What depends on a condition: indicators and cases."""

from __future__ import annotations

from symbackprop.documents.latex.cursor import Cursor
from symbackprop.documents.latex.tokens import NotRead, Token
from symbackprop.documents.latex.tree import ONE, ZERO, Chain, Choice, Tree


class Choices(Cursor):
    """A value where a condition holds, another where it does not."""

    def indicator(self, token: Token) -> Tree:
        """1 where a condition holds, else 0: the condition in brackets, or below."""
        if self.is_("_"):
            self.next()
        if not self.is_("(", "[", "{"):
            raise NotRead("an indicator without its condition", token.span, token.text)
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
            raise NotRead("an indicator without its condition", token.span, token.text)
        return self.spanned(token.span[0], Choice(condition, ONE, ZERO))

    def cases(self) -> Tree:
        """`\\begin{cases} value & condition \\\\ ... \\end{cases}`: the last one may hold otherwise."""
        opened = self.next()
        branches: list[tuple[Tree, Chain | None]] = []
        while not self.is_(r"\end"):
            value = self.deeper(self.sum)
            while self.is_(",", "&") or self.token.kind == "space":
                self.next()
            word = self.next().text.lower() if self.token.kind == "text" else ""
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
