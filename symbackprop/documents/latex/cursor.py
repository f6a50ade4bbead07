"""The way of a reader over the tokens of a formula, and the rules that the parts of its grammar call of each other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from symbackprop.documents.latex.tokens import NotRead, Token
from symbackprop.documents.latex.tree import Chain, Tree

DEEPEST = 40  # levels of brackets, braces and scripts
RELATIONS = {
    "=": "=", r"\leftarrow": "=", "<": "<", ">": ">", r"\le": "<=", r"\ge": ">=", r"\in": "in", ":": ":", r"\to": "->",
    r"\approx": "~", r"\propto": "~", r"\ne": "!=", r"\neq": "!=", r"\triangleq": "=",
}  # fmt: skip
PRODUCTS = {"*": "*", r"\cdot": r"\cdot", r"\times": r"\times", r"\odot": r"\odot"}
FUNCTIONS = {
    r"\exp": "exp", r"\log": "log", r"\ln": "log", r"\max": "max", r"\min": "min", r"\tanh": "tanh", r"\sin": "sin",
    r"\cos": "cos", "exp": "exp", "log": "log", "max": "max", "min": "min", "tanh": "tanh", "relu": "relu",
    "ReLU": "relu", "sigmoid": "sigmoid", "sqrt": "sqrt", "abs": "abs", "softmax": "softmax",
}  # fmt: skip
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a document's names look like: words of several letters, and symbols whose arguments stand in brackets."""

    words: frozenset[str] = frozenset(("Loss", "loss", "Var", "Cost"))
    heads: frozenset[str] = frozenset(("E", "Var"))
    letters: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()  # all symbols of the legend
    subscripted: frozenset[str] = frozenset()  # those whose indices stand below them: a bracket behind is a factor
    marked: frozenset[str] = frozenset()  # names of which a script is a part: `W_{Q}`, `W^{(1)}`
    above: frozenset[str] = frozenset()  # symbols whose first index stands above, in brackets


def joined(found: list[Token], known: Vocabulary) -> list[Token]:
    r"""The tokens with `\mathrm{d}X` as one word where the legend has `dX`."""
    result: list[Token] = []
    for token in found:
        before = result[-1] if result else None
        if before is not None and before.kind == token.kind == "word" and before.text == "d":
            upright = before.span[1] - before.span[0] > 1
            if upright and before.text + token.text in known.words:
                result[-1] = Token("word", before.text + token.text, (before.span[0], token.span[1]), before.spaced)
                continue
        result.append(token)
    return result


def segmented(token: Token, known: Vocabulary) -> list[Token]:
    """A run of letters as the names that it is made of; one that is not made of known names stays whole."""
    text = token.text
    if token.kind != "word" or len(text) == 1 or token.span[1] - token.span[0] != len(text):
        return [token]
    if text in known.words or text in FUNCTIONS:
        return [token]
    pieces, at = [], 0
    while at < len(text):
        fits = [n for n in range(len(text) - at, 1, -1) if text[at : at + n] in known.words]
        n = fits[0] if fits else 1
        pieces.append((at, text[at : at + n]))
        at += n
    strange = [p for _, p in pieces if len(p) == 1 and p not in known.letters and p != "d"]
    if len(text) >= 3 and strange:
        return [Token("unknown", text, token.span, token.spaced)]
    start = token.span[0]
    return [
        Token("word", piece, (start + at, start + at + len(piece)), token.spaced and not at) for at, piece in pieces
    ]


class Cursor(ABC):
    """A place in the tokens, which every rule moves on as it reads."""

    def __init__(self, found: list[Token], known: Vocabulary, text: str) -> None:
        self.tokens, self.known, self.text, self.at = found, known, text, 0
        self.depth = 0
        self.operator = False  # whether the derivative that begins is `\frac{\partial}{\partial x}` of what follows
        self.differentiated = 0  # the depth at which a bracket behind a symbol holds its indices: in a derivative
        self.last = Token("end", "", (len(text), len(text)))

    @property
    def token(self) -> Token:
        return self.tokens[self.at] if self.at < len(self.tokens) else self.last

    def peek(self, ahead: int = 1) -> Token:
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else self.last

    def next(self) -> Token:
        token = self.token
        self.at += 1
        return token

    def is_(self, *texts: str) -> bool:
        return self.token.kind != "text" and self.token.text in texts and self.token.kind != "end"

    def expect(self, text: str, opened: Token) -> Token:
        if not self.is_(text):
            if self.token.kind == "end":
                raise NotRead(f"`{opened.text}` is not closed", opened.span, opened.text)
            raise NotRead(f"`{text}` was expected", self.token.span, self.token.text)
        return self.next()

    def spanned(self, start: int, tree: T) -> T:
        end = self.tokens[self.at - 1].span[1] if self.at else start
        return replace(tree, span=(start, end))  # type: ignore[type-var]

    def deeper(self, rule: Callable[[], T]) -> T:
        self.depth += 1
        if self.depth > DEEPEST:
            raise NotRead(f"more than {DEEPEST} levels of brackets", self.token.span, self.token.text)
        result = rule()
        self.depth -= 1
        return result

    def in_derivative(self, rule: Callable[[], T]) -> T:
        """What a derivative is of, or by: there a bracket behind a symbol is no factor."""
        outer, self.differentiated = self.differentiated, self.depth + 1
        result = self.deeper(rule)
        self.differentiated = outer
        return result

    # ------------------------------------------------------------------- rules that others call

    @abstractmethod
    def chain(self) -> Chain:
        """Sides with relations between them."""

    @abstractmethod
    def sum(self) -> Tree:
        """Terms with signs between them."""

    @abstractmethod
    def signed(self) -> Tree:
        """A product with a sign or none."""

    @abstractmethod
    def product(self) -> Tree:
        """Factors."""

    @abstractmethod
    def factor(self) -> Tree:
        """An atom with its power."""

    @abstractmethod
    def bracketed(self) -> Tree:
        """What stands in brackets."""

    @abstractmethod
    def argument(self) -> Tree:
        """What stands in braces, or the next single symbol."""

    @abstractmethod
    def single(self) -> Tree:
        """The next single symbol."""

    @abstractmethod
    def starts_factor(self) -> bool:
        """Whether a factor can begin here."""

    @abstractmethod
    def skip_space(self) -> None:
        """Pass over wide spaces."""
