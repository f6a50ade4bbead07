r"""LaTeX of index notation into trees: a parser by precedence over the tokens; nothing of the text is ever run.

    statement = clause ("," clause)*, words set aside
    clause    = sum (("=" | "<" | ...) sum)*
    sum       = ["+" | "-"] product (("+" | "-") product)*
    product   = factor (["*" | "\cdot" | "\times" | "/"] factor)*     a \sum takes the rest of its product
    factor    = number | symbol | fraction | derivative | root | function | bracket, with "^"

What cannot be read is a `NotRead` with the place and the token; an ellipsis is one of these things.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeVar

from symbackprop.documents.tokens import CONDITIONAL, NotRead, Token, names, tokens
from symbackprop.documents.tree import (
    Applied,
    Big,
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
    Slope,
    Span,
    Times,
    Tree,
    bare,
)

DEEPEST = 40  # levels of brackets, braces and scripts
RELATIONS = {
    "=": "=", r"\leftarrow": "=", "<": "<", ">": ">", r"\le": "<=", r"\ge": ">=", r"\in": "in", ":": ":", r"\to": "->",
    r"\approx": "~", r"\propto": "~", r"\ne": "!=", r"\neq": "!=", r"\triangleq": "=",
}  # fmt: skip
PRODUCTS = {"*": "*", r"\cdot": r"\cdot", r"\times": r"\times", r"\odot": r"\odot"}
ONE, ZERO = Num(Fraction(1), "1"), Num(Fraction(0), "0")
FUNCTIONS = {
    r"\exp": "exp", r"\log": "log", r"\ln": "log", r"\max": "max", r"\min": "min", r"\tanh": "tanh", r"\sin": "sin",
    r"\cos": "cos", "exp": "exp", "log": "log", "max": "max", "min": "min", "tanh": "tanh", "relu": "relu",
    "ReLU": "relu", "sigmoid": "sigmoid", "sqrt": "sqrt", "abs": "abs",
}  # fmt: skip
ACCENTS = frozenset((r"\hat", r"\bar", r"\tilde", r"\dot", r"\vec", r"\check"))
FRAMES = frozenset((r"\boxed", r"\underbrace", r"\overbrace", r"\underline", r"\mathbin"))
GREEK = names(
    r"\alpha \beta \gamma \delta \epsilon \zeta \eta \theta \iota \kappa \lambda \mu \nu \xi \pi \rho \sigma "
    r"\tau \upsilon \phi \chi \psi \omega \Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Phi \Psi \Omega \ell "
    r"\varphi \vartheta \varrho \nabla"
)
CLOSING = {"(": ")", "[": "]", "{": "}"}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a document's names look like: words of several letters, and symbols whose arguments stand in brackets."""

    words: frozenset[str] = frozenset(("Loss", "loss", "Var", "Cost"))
    heads: frozenset[str] = frozenset(("E", "Var"))
    letters: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()  # all symbols of the legend
    subscripted: frozenset[str] = frozenset()  # those whose indices stand below them: a bracket behind is a factor


def read(text: str, vocabulary: Vocabulary | None = None) -> tuple[Chain, ...]:
    """The statements of one formula (one row). Raises NotRead with the place and the token."""
    known = vocabulary or Vocabulary()
    found = [piece for token in tokens(text) for piece in _segmented(token, known)]
    return _Parser(found, known, text).statement()


def read_expression(text: str, vocabulary: Vocabulary | None = None) -> Tree:
    """One expression and nothing else."""
    chains = read(text, vocabulary)
    if len(chains) != 1 or chains[0].rest or chains[0].words or chains[0].when:
        raise NotRead("one expression was expected", (0, len(text)), text)
    return chains[0].first


def _segmented(token: Token, known: Vocabulary) -> list[Token]:
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


class _Parser:
    def __init__(self, found: list[Token], known: Vocabulary, text: str) -> None:
        self.tokens, self.known, self.text, self.at = found, known, text, 0
        self.depth = 0
        self.operator = False  # whether the derivative that begins is `\frac{\partial}{\partial x}` of what follows
        self.last = Token("end", "", (len(text), len(text)))

    # -------------------------------------------------------------------------------------------- tokens

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

    # --------------------------------------------------------------------------------------- statements

    def statement(self) -> tuple[Chain, ...]:
        chains = [self.chain()]
        while True:
            self.skip_space()
            if self.is_(",", ";", ".") and self.peek().kind != "end":
                self.next()
                self.skip_space()
                if not self.starts_factor() and not self.is_("-", "+"):
                    break
                chains.append(self.chain())
            elif self.starts_factor() and self.tokens[self.at - 1].kind == "space" and not self.prose():
                if not self.goes_on():
                    break
                chains.append(self.chain())  # `a = b \quad c = d`
            else:
                break
        return self.finished(chains)

    def goes_on(self) -> bool:
        """Whether a relation still comes: what stands behind a wide space without one are words."""
        return any(t.text in RELATIONS and t.kind in ("command", t.text) for t in self.tokens[self.at :])

    def finished(self, chains: list[Chain]) -> tuple[Chain, ...]:
        """Conditions in words belong to the last clause; other words are set aside."""
        when: tuple[Chain, ...] = ()
        otherwise: tuple[Chain, ...] = ()
        words: list[str] = []
        while self.token.kind != "end":
            if self.is_(",", ".", ";"):
                self.next()
            elif self.token.kind == "text" and self.token.text.lower().split()[:1] in (
                [w] for w in CONDITIONAL - {"for"}
            ):
                opening = self.next()
                meant = (self.chain(),) if self.starts_factor() else ()
                if not meant:
                    raise NotRead("a condition in words", opening.span, opening.text)
                if opening.text.lower().startswith(("else", "otherwise")):
                    otherwise = meant
                else:
                    when = meant
            elif self.token.kind in ("text", "space") or self.prose() or self.tokens[self.at - 1].kind == "space":
                words.append(self.prose_text())
                self.at = len(self.tokens)
            else:
                raise NotRead("what stands here cannot be read on", self.token.span, self.token.text)
        strange = next((t for t in self.tokens if t.kind == "unknown"), None)
        formal = any(t.kind == "command" or t.text in ("_", "^") for t in self.tokens)
        behind = strange is not None and formal and strange.span[0] >= chains[-1].span[1]
        if strange is not None and not chains[0].rest and not behind:
            raise NotRead("words where a formula was expected", strange.span, strange.text)
        last = replace(chains[-1], words=tuple(words), when=when, otherwise=otherwise)
        return (*chains[:-1], last)

    def prose_text(self) -> str:
        """The words from here on, as a person reads them."""
        rest = self.text[self.token.span[0] :]
        rest = re.sub(r"\\(?:label|tag)\{[^}]*\}|\\[A-Za-z]+\s?|\\.|[{}$]", " ", rest)
        return " ".join(rest.split())

    def skip_space(self) -> None:
        while self.token.kind == "space":
            self.next()

    def chain(self) -> Chain:
        self.skip_space()
        start = self.token.span[0]
        first = self.sum()
        rest: list[tuple[str, Tree]] = []
        while self.token.text in RELATIONS and self.token.kind in ("command", self.token.text):
            relation = RELATIONS[self.next().text]
            if relation == ":" and self.is_("="):
                relation = RELATIONS[self.next().text]
            self.skip_space()
            rest.append((relation, self.sum()))
        return self.spanned(start, Chain(first, tuple(rest)))

    # -------------------------------------------------------------------------------------- expressions

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
                factors.append(self.factor())
            else:
                break
            factors = self.outer_derivative(factors)
        return factors[0] if len(factors) == 1 else self.spanned(start, Times(tuple(factors), sign))

    @staticmethod
    def times(factors: list[Tree], sign: str) -> Tree:
        return Times(tuple(factors), sign, span=(factors[0].span[0], factors[-1].span[1]))

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

    def starts_factor(self) -> bool:
        kind, text = self.token.kind, self.token.text
        if kind in ("number", "word", "unknown", "indicator", "cases", "(", "[", "{"):
            return True
        return kind == "command" and text not in RELATIONS and text not in PRODUCTS and text != r"\star"

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

    # --------------------------------------------------------------------------------------- derivatives

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
        top: Tree = ONE if operator else self.deeper(self.sum)
        self.expect("}", brace)
        brace = self.next()
        self.next()
        by = self.deeper(self.factor)
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

    # ---------------------------------------------------------------------------------- sums, functions

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

    # -------------------------------------------------------------------------------------------- names

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
            elif self.is_("^") and name.sup is None:
                self.next()
                name = replace(name, sup=self.script())
            elif self.is_("(", "[") and self.calls(name):
                opened = self.token
                inner = self.bracketed()
                args = inner.items if isinstance(inner, Listed) else (bare(inner),)
                return self.spanned(start, replace(name, args=args, bracket=opened.text))
            else:
                return self.settled(start, name)

    def settled(self, start: int, name: Name) -> Tree:
        r"""`e^x` is the exponential and `\sigma(x)` the sigmoid, where the legend has no such symbols."""
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

    def primes(self) -> int:
        """How many primes `^'` or `^{''}` is, 0 if it is something else."""
        if self.peek().kind == "prime" or self.peek().text == "'":
            return len(self.peek().text)
        inside = self.peek().text == "{" and (self.peek(2).kind == "prime" or self.peek(2).text == "'")
        return len(self.peek(2).text) if inside and self.peek(3).text == "}" else 0

    def skip_primes(self) -> None:
        self.at += 4 if self.peek().text == "{" else 2

    def calls(self, name: Name) -> bool:
        """Whether the bracket that follows holds arguments: it has a comma, or the symbol is known to take some."""
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


def place(span: Span, text: str) -> str:
    """The piece of the text at a span, on one line."""
    return " ".join(text[span[0] : span[1]].split())
