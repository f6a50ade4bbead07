r"""The LaTeX that we write, read back as a tree: what measures a formula, and what MathML is made from.

Only what the printer uses is known. Anything else, and a bracket that is not closed, is a fault of ours and raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest

from symbackprop.errors import InternalError

LETTERS: dict[str, str] = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "varepsilon": "ε", "epsilon": "ϵ", "zeta": "ζ", "eta": "η",
    "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π",
    "rho": "ρ", "sigma": "σ",
    "tau": "τ", "upsilon": "υ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ",
    "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Upsilon": "Υ", "Phi": "Φ", "Psi": "Ψ",
    "Omega": "Ω", "partial": "∂", "infty": "∞", "ldots": "…",
}  # fmt: skip
SIGNS: dict[str, str] = {
    "le": "≤", "ge": "≥", "ne": "≠", "in": "∈", "mid": "∣", "nmid": "∤", "land": "∧", "lor": "∨", "lnot": "¬",
"cdot": "⋅", "times": "×", "lfloor": "⌊", "rfloor": "⌋", "bmod": "mod", "pmod": "mod",
}  # fmt: skip
BIG: dict[str, str] = {"sum": "∑", "prod": "∏", "max": "max", "min": "min"}
NAMES = ("exp", "log", "tanh", "sin", "cos")
SPACES: dict[str, float] = {",": 0.3, ";": 0.5, "quad": 2.0, "qquad": 4.0, " ": 0.5}
FENCES: dict[str, str] = {"lfloor": "⌊", "rfloor": "⌋"}
ACCENTS: dict[str, str] = {"hat": "^", "bar": "¯", "tilde": "~"}
WORDS = ("mathrel", "mathrm", "mathcal", "mathbb", "text", "operatorname", "operatorname*")


@dataclass(frozen=True, slots=True)
class Node:
    """One piece: `kind` says which, `text` is what it shows itself, `parts` what stands in it."""

    kind: str
    text: str = ""
    parts: tuple[Node, ...] = ()


def parse(latex: str) -> Node:
    """The tree of a formula of ours. Raises InternalError for LaTeX that is not."""
    reader = _Reader(_tokens(latex), latex)
    row = reader.row(frozenset())
    reader.finish()
    return row


TOKEN = re.compile(r"\\(?:operatorname\*|(?:begin|end)\{\w+\*?\}|[A-Za-z]+|.)|\d+(?:\.\d+)?|'+|\s+|.", re.DOTALL)


def _tokens(latex: str) -> list[str]:
    return TOKEN.findall(latex)


class _Reader:
    """Reads tokens from left to right; lives only while one formula is read."""

    def __init__(self, tokens: list[str], latex: str) -> None:
        self._tokens, self._at, self._latex = tokens, 0, latex

    def finish(self) -> None:
        if self._at < len(self._tokens):
            raise self._fault(f"{self._tokens[self._at]} closes nothing")

    def _fault(self, what: str) -> InternalError:
        return InternalError(f"LaTeX that cannot be right: {what}, in {self._latex}")

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        if not token:
            raise self._fault("it stops too early")
        self._at += 1
        return token

    def _skip_spaces(self) -> None:
        while self._peek().isspace():
            self._at += 1

    def row(self, ends: frozenset[str]) -> Node:
        """Pieces up to one of `ends`, which stays; `}`, `\\right` and `\\end` always end a row."""
        items: list[Node] = []
        while True:
            self._skip_spaces()
            token = self._peek()
            if not token or token in ends or token in ("}", r"\right") or token.startswith(r"\end"):
                return items[0] if len(items) == 1 else Node("row", parts=tuple(items))
            items.append(self._scripted(self._atom()))

    def _scripted(self, base: Node) -> Node:
        below, above = Node("row"), Node("row")
        found = False
        while self._peek() in ("_", "^") or self._peek().startswith("'"):
            found, token = True, self._next()
            if token == "_":
                below = self._group()
            elif token == "^":
                above = self._group()
            else:
                above = Node("row", parts=(Node("sign", "′" * len(token)),))
        return Node("scripts", parts=(base, below, above)) if found else base

    def _group(self) -> Node:
        self._skip_spaces()
        if self._peek() != "{":
            return self._atom()
        self._next()
        row = self.row(frozenset())
        self._close()
        return row

    def _close(self) -> None:
        if self._next() != "}":
            raise self._fault("a brace is not closed")

    def _atom(self) -> Node:
        token = self._next()
        if token == "{":
            row = self.row(frozenset())
            self._close()
            return row
        if token.startswith("\\"):
            return self._command(token[1:])
        if token[0].isdigit():
            return Node("number", token)
        if token.isalpha():
            return Node("letter", token)
        if token in "_^&#$%~":
            raise self._fault(f"{token} stands where a symbol is expected")
        return Node("sign", token)

    def _command(self, name: str) -> Node:
        match name:
            case "frac":
                return Node("fraction", parts=(self._group(), self._group()))
            case "sqrt" | "boxed":
                return Node(name, parts=(self._group(),))
            case "left":
                return self._fenced()
            case "substack":
                return self._stack()
            case "Bigl" | "Bigr":
                return Node("sign", self._fence())
        if name in WORDS:
            return Node("word", self._plain(), (Node(name),))
        if name in ACCENTS:
            return Node("accent", ACCENTS[name], (self._group(),))
        if name in SPACES:
            return Node("space", name)
        if name.startswith("begin"):
            return self._table(name.removeprefix("begin"))
        return self._symbol(name)

    def _symbol(self, name: str) -> Node:
        for kind, table in (("letter", LETTERS), ("sign", SIGNS), ("big", BIG)):
            if name in table:
                return Node(kind, table[name])
        if name in NAMES:
            return Node("word", name, (Node("operatorname"),))
        raise self._fault(f"\\{name} is not known")

    def _plain(self) -> str:
        """The text between braces, escapes undone."""
        if self._next() != "{":
            raise self._fault("a word stands in braces")
        text, depth = "", 1
        while True:
            token = self._next()
            depth += {"{": 1, "}": -1}.get(token, 0)
            if depth == 0:
                return text
            text += {r"\,": " ", "\\ ": " "}.get(token, token.removeprefix("\\"))

    def _fenced(self) -> Node:
        left = self._fence()
        body = self.row(frozenset())
        if self._next() != r"\right":
            raise self._fault("\\left has no \\right")
        return Node("fence", left + self._fence(), (body,))

    def _fence(self) -> str:
        self._skip_spaces()
        token = self._next()
        fence = FENCES.get(token.removeprefix("\\"), token)
        if len(fence) != 1 or fence.isalnum():
            raise self._fault(f"{token} is no bracket")
        return fence

    def _stack(self) -> Node:
        if self._next() != "{":
            raise self._fault("\\substack stands before braces")
        lines = [self.row(frozenset((r"\\",)))]
        while self._peek() == r"\\":
            self._next()
            lines.append(self.row(frozenset((r"\\",))))
        self._close()
        return Node("stack", parts=tuple(lines))

    def _table(self, name: str) -> Node:
        ends = frozenset((r"\\", "&"))
        rows, cells = list[Node](), [self.row(ends)]
        while self._peek() in (r"\\", "&"):
            if self._next() == r"\\":
                rows.append(Node("row", parts=tuple(cells)))
                cells = []
            cells.append(self.row(ends))
        rows.append(Node("row", parts=tuple(cells)))
        if self._next() != rf"\end{name}":
            raise self._fault(f"\\begin{name} is not ended")
        return Node("table", name.strip("{}"), tuple(rows))


SCRIPT = 0.72  # how large a script is set beside the line
WIDE_SIGNS = frozenset("+-=<>≤≥≠∈∣∤∧∨⋅×")


def width(latex: str) -> float:
    """How wide a formula is set, in letters. An estimate, good to about a tenth."""
    return _width(parse(latex))


def _width(node: Node) -> float:
    match node.kind:
        case "row":
            return sum(map(_width, node.parts))
        case "number":
            return 0.9 * len(node.text)
        case "letter":
            return 1.3 if node.text.isupper() else 1.0
        case "sign":
            return 2.3 if node.text in WIDE_SIGNS else 0.6 * len(node.text)
        case "word":
            return 0.82 * len(node.text)
        case "space":
            return SPACES[node.text]
        case "big":
            return 2.9
        case "fraction" | "stack":
            return max(map(_width, node.parts), default=0.0) + 0.5
        case "table":
            columns = zip_longest(*(map(_width, row.parts) for row in node.parts), fillvalue=0.0)
            return sum(max(column) + 2.0 for column in columns)
        case "scripts":
            return _scripts_width(node)
        case "sqrt" | "fence" | "boxed":
            return 1.6 + _width(node.parts[0])
        case _:
            return sum(map(_width, node.parts))


def _scripts_width(node: Node) -> float:
    base, below, above = node.parts
    scripts = SCRIPT * max(_script_width(below), _script_width(above))
    return max(_width(base), scripts + 0.4) if base.kind == "big" else _width(base) + scripts


def _script_width(node: Node) -> float:
    """Signs in a script stand without space around them."""
    if node.kind == "sign" and node.text in WIDE_SIGNS:
        return 1.2
    if node.kind in ("row", "stack"):
        inner = [_script_width(part) for part in node.parts]
        return max(inner, default=0.0) if node.kind == "stack" else sum(inner)
    return _width(node)
