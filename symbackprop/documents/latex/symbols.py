r"""Symbols: decorations, primes, subscripts, superscripts, arguments in brackets."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from symbackprop.documents.latex.cursor import Cursor
from symbackprop.documents.latex.tokens import NotRead, names
from symbackprop.documents.latex.tree import Applied, Group, Listed, Name, Num, Times, Tree, bare, latex

ACCENTS = frozenset((r"\hat", r"\bar", r"\tilde", r"\dot", r"\vec", r"\check"))
GREEK = names(
    r"\alpha \beta \gamma \delta \epsilon \zeta \eta \theta \iota \kappa \lambda \mu \nu \xi \pi \rho \sigma "
    r"\tau \upsilon \phi \chi \psi \omega \Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Phi \Psi \Omega \ell "
    r"\varphi \vartheta \varrho \nabla \top"
)


STARS = ("*", r"\star")


class Symbols(Cursor):
    """Names with all that stands at them."""

    def name(self) -> Tree:
        token = self.next()
        if token.text not in ACCENTS:
            return self.scripted(Name(token.text, span=token.span))
        inner = self.argument()
        if not isinstance(inner, Name) or inner.args:
            raise NotRead(f"{token.text} over something that is no symbol", token.span, token.text)
        return self.scripted(replace(inner, base=f"{token.text}{{{inner.base}}}", span=token.span))

    def scripted(self, name: Name) -> Tree:
        """A symbol with its primes, scripts and arguments, in whatever order they are printed."""
        start = name.span[0]
        while True:
            if self.token.kind == "prime":
                name = replace(name, base=name.base + "'" * len(self.next().text))
            elif self.is_("_"):
                self.next()
                if name.sub:
                    raise NotRead("a second subscript", self.token.span, self.token.text)
                name = replace(name, sub=self.subscripts())
            elif self.is_("^") and self.primes():
                name = replace(name, base=name.base + "'" * self.primes())
                self.skip_primes()
            elif self.is_("^") and (mark := self.star()):
                name = replace(name, base=f"{name.base}^{{*}}")
                self.at += mark
            elif self.is_("^") and name.sup is None:
                self.next()
                name = replace(name, sup=self.script())
            elif self.is_("(", "[") and self.calls(name):
                opened = self.token
                inner = self.bracketed()
                args = inner.items if isinstance(inner, Listed) else (bare(inner),)
                return self.spanned(start, replace(self.marked(name), args=args, bracket=opened.text))
            else:
                return self.settled(start, name)

    def settled(self, start: int, name: Name) -> Tree:
        r"""`e^x` is the exponential and `\sigma(x)` the sigmoid, where the legend has no such symbols."""
        name = self.marked(name)
        plain = not name.sub and not name.args
        if (
            name.base == "e"
            and plain
            and name.sup is not None
            and not {"e"} & (self.known.letters | self.known.declared)
        ):
            return self.spanned(start, Applied("exp", (name.sup,)))
        if name == Name(r"\sigma") and self.is_("(") and r"\sigma" not in self.known.declared:
            return self.spanned(start, Applied("sigmoid", (bare(self.bracketed()),)))
        return self.spanned(start, name)

    def marked(self, name: Name) -> Name:
        """The symbol with the scripts that are part of its name in the name, and an index above among the others."""
        if name.sub and (known := f"{name.base}_{{{latex(name.sub[0])}}}") in self.known.marked:
            name = replace(name, base=known, sub=name.sub[1:])
        match name.sup:
            case Group():
                mark, rest = name.sup, None
            case Times((Group() as mark, Name() as rest), ""):  # `W^{(1)T}`
                pass
            case _:
                return name
        if (known := f"{name.base}^{{{latex(mark)}}}") in self.known.marked:
            return replace(name, base=known, sup=rest)
        others = bool(self.known.above) and name.base not in self.known.declared
        if (others or name.base in self.known.above) and not isinstance(bare(mark), Num):
            return replace(name, sub=(bare(mark), *name.sub), sup=rest, above=True)
        return name

    def primes(self) -> int:
        """How many primes `^'` or `^{''}` is, 0 if it is something else."""
        if self.peek().kind == "prime" or self.peek().text == "'":
            return len(self.peek().text)
        inside = self.peek().text == "{" and (self.peek(2).kind == "prime" or self.peek(2).text == "'")
        return len(self.peek(2).text) if inside and self.peek(3).text == "}" else 0

    def star(self) -> int:
        """The tokens of `^*` or `^{*}`, which tells a symbol apart; 0 if it is something else."""
        if self.peek().text in STARS:
            return 2
        return 4 if self.peek().text == "{" and self.peek(2).text in STARS and self.peek(3).text == "}" else 0

    def skip_primes(self) -> None:
        self.at += 4 if self.peek().text == "{" else 2

    def calls(self, name: Name) -> bool:
        """Whether the bracket that follows holds arguments: it has a comma, or the symbol is known to take some."""
        if self.differentiated and self.depth == self.differentiated:
            return True
        one = name.sub and name.base in self.known.subscripted
        if not one and (name.base in self.known.heads or self.is_("[")):
            return self.is_("(") or name.base in self.known.heads
        depth = 0
        for at in range(self.at, len(self.tokens)):
            text = self.tokens[at].text
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(text, 0)
            if depth == 0:
                return False
            if depth == 1 and text == ",":
                return True
        return False

    def subscripts(self) -> tuple[Tree, ...]:
        if not self.is_("{"):
            return (self.deeper(self.single_script),)
        opened = self.next()
        found = [self.deeper(self.sum)]
        while self.is_(","):
            self.next()
            found.append(self.deeper(self.sum))
        self.expect("}", opened)
        return tuple(found)

    def single_script(self) -> Tree:
        token = self.token
        if token.kind == "number":
            self.next()
            return Num(Fraction(token.text), token.text, span=token.span)
        return self.single()

    def script(self) -> Tree:
        if not self.is_("{"):
            return self.deeper(self.single_script)
        return self.argument()
