r"""Sums and products over an index with their limits, and functions of mathematics with their arguments."""

from __future__ import annotations

from symbackprop.documents.latex.cursor import FUNCTIONS
from symbackprop.documents.latex.symbols import Symbols
from symbackprop.documents.latex.tokens import NotRead, Token
from symbackprop.documents.latex.tree import ZERO, Applied, Big, Chain, Choice, Listed, Name, Raised, Root, Tree, bare


class Sums(Symbols):
    """What binds an index, and what is applied."""

    def big(self) -> Tree:
        opened = self.next()
        low: Tree | None = None
        high: Tree | None = None
        variables: list[Name] = []
        only: Chain | None = None
        while self.is_("_", "^"):
            if self.next().text == "_":
                variables, low, only = self.below()
            else:
                high = self.argument()
        if not variables:
            raise NotRead("a sum without an index", opened.span, opened.text)
        self.skip_space()
        body = self.signed()
        operation = opened.text[1:]
        if only is not None:
            if operation != "sum":
                raise NotRead("a condition under a product", opened.span, opened.text)
            body = self.spanned(opened.span[0], Choice(only, body, ZERO))
        for variable in reversed(variables):
            body = self.spanned(opened.span[0], Big(operation, variable, low, high, body))
        return body

    def below(self) -> tuple[list[Name], Tree | None, Chain | None]:
        r"""The indices of a sum, the lower limit, and what they are not: `i,j`, `i=1`, `j \ne i`, `i=1, i \ne j`."""
        if not self.is_("{"):
            return [self.index(self.deeper(self.single))], None, None
        opened = self.next()
        variables = [self.index(self.deeper(self.factor))]
        low: Tree | None = None
        only: Chain | None = None
        while self.is_(",", "=", r"\ne", r"\neq"):
            if self.is_("="):
                self.next()
                low = self.deeper(self.sum)
            elif self.is_(","):
                self.next()
                following = self.index(self.deeper(self.factor))
                if self.is_(r"\ne", r"\neq"):
                    only = self.excluded(following)
                else:
                    variables.append(following)
            else:
                only = self.excluded(variables[-1])
        self.expect("}", opened)
        return variables, low, only

    def excluded(self, variable: Name) -> Chain:
        self.next()
        return Chain(variable, (("!=", self.deeper(self.sum)),), span=variable.span)

    @staticmethod
    def index(tree: Tree) -> Name:
        if isinstance(tree, Name) and not tree.args and tree.sup is None:
            return tree
        raise NotRead("an index was expected under the sum", tree.span)

    def function(self) -> Tree:
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
