r"""The tokens of a formula's LaTeX, each with its place; what only spaces or sizes things is passed over.

Kinds: `number`, `word` (a run of letters, or \text{...} of one name), `command` (\mu), `text` (\text{...} that is
prose), `space` (\quad), `prime`, and the characters of the mathematics as themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from symbackprop.documents.latex.tree import Span
from symbackprop.errors import UserError

LONGEST = 20_000  # characters of one formula


class NotRead(UserError):
    """A formula, or a part of one, that cannot be read; `span` is the place, `token` what stands there."""

    def __init__(self, message: str, span: Span, token: str = "") -> None:
        self.message, self.span, self.token = message, span, token
        super().__init__(f"{message}, at character {span[0] + 1}" + (f" (`{token}`)" if token else ""))


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its kind, its text, its place, and whether space stands before it."""

    kind: str
    text: str
    span: Span
    spaced: bool = False


def names(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


PASSED = names(
    r"\left \right \big \Big \bigg \Bigg \bigl \bigr \Bigl \Bigr \biggl \biggr \displaystyle "
    r"\textstyle \limits \nolimits \nonumber \notag \, \; \: \! \> \scriptstyle \hfill"
)
WIDE = names(r"\quad \qquad")
FONTS = names(r"\mathrm \mathds \mathbf \mathcal \mathit \mathsf \boldsymbol \bm \mathbb \operatorname \mathop")
TEXTS = names(r"\text \textrm \textit \textbf \mbox \textsf")
DROPPED = names(r"\label \tag \vspace \hspace \begin \end \color")  # with what stands in their braces
OVERSET = names(r"\overset \stackrel \underset")
CASES = re.compile(r"\\(begin|end)\{cases\}")
SAME = {
    "×": r"\times", "·": r"\cdot", "∗": "*", "−": "-", "–": "-", "∂": r"\partial", "∑": r"\sum", "Σ": r"\sum",
    "≤": r"\le", "≥": r"\ge", "′": "'", "μ": r"\mu", "σ": r"\sigma", "ε": r"\epsilon", "ϵ": r"\epsilon", "γ": r"\gamma",
    "β": r"\beta", "δ": r"\delta", "√": r"\sqrt", "∈": r"\in", "←": r"\leftarrow", "→": r"\to", "π": r"\pi",
}  # fmt: skip
ALIAS = {
    r"\varepsilon": r"\epsilon", r"\leq": r"\le", r"\geq": r"\ge", r"\rightarrow": r"\to", r"\dfrac": r"\frac",
    r"\tfrac": r"\frac", r"\ldots": r"\dots", r"\cdots": r"\dots", r"\dotsb": r"\dots", r"\gets": r"\leftarrow",
    r"\ast": "*", r"\prime": "'", r"\lbrace": "(", r"\rbrace": ")", r"\{": "(", r"\}": ")", r"\lvert": "|",
    r"\rvert": "|", r"\coloneqq": "=", r"\equiv": "=", r"\vdots": r"\dots", r"\widehat": r"\hat", r"\overline": r"\bar",
    r"\partial{}": r"\partial", r"\colon": ":", r"\intercal": r"\top",
}  # fmt: skip
CONDITIONAL = frozenset(("if", "when", "where", "else", "otherwise", "only", "for"))

_TOKEN = re.compile(
    r"(?P<blank>\s+|~|&|(?<!\\)%[^\n]*(?:\n|$)|\\\\(?:\[[^\]]*\])?|\\ )"
    r"|(?P<number>\d{1,3}(?:,\d{3})+(?!\d)|\d+(?:\.\d+)?|\.\d+)"
    r"|(?P<command>\\[A-Za-z]+|\\.)"
    r"|(?P<word>[A-Za-z]+)"
    r"|(?P<prime>['’]+)"
    r"|(?P<other>.)",
    re.DOTALL,
)


def tokens(text: str) -> list[Token]:
    """The tokens of a formula. Raises NotRead for one that is too long or whose text braces do not close."""
    if len(text) > LONGEST:
        raise NotRead(f"a formula of {len(text)} characters (at most {LONGEST} are read)", (0, 0))
    found: list[Token] = []
    at, spaced, cases = 0, False, False
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None  # the last alternative takes any character
        kind, piece, start, at = match.lastgroup or "other", match.group(), at, match.end()
        mark = CASES.match(text, start)
        if mark is not None:
            cases, at = mark[1] == "begin", mark.end()
            found.append(
                Token("cases", "", (start, at), spaced) if cases else Token(r"\end", r"\end", (start, at), spaced)
            )
            continue
        if kind == "blank":
            if cases and piece[0] in "&\\" and not piece[1:2].isspace():
                found.append(Token(piece[:2], piece[:2], (start, at), spaced))
            spaced = True
            continue
        if kind == "other" and piece in SAME:
            piece = SAME[piece]
            kind = "command" if piece.startswith("\\") else "other"
        if kind == "command":
            piece = ALIAS.get(piece, piece)
            if piece in PASSED:
                at = _passed_size(piece, text, at)
                spaced = True
                continue
            if piece in OVERSET:
                at = _behind_braces(text, at)
                relation = re.compile(r"\s*\{\s*=\s*\}").match(text, at)
                if relation is None:
                    raise NotRead("something set over what is no `=`", (start, at), piece)
                at = relation.end()
                found.append(Token("=", "=", (start, at), spaced))
                continue
            if piece in DROPPED:
                at = _behind_braces(text, at)
                continue
            if piece in TEXTS or piece in FONTS:
                more, at = _text(piece, text, start, at, spaced)
                found += more
                spaced = False
                continue
            kind = "space" if piece in WIDE else "command" if piece.startswith("\\") and len(piece) > 2 else "other"
            if kind == "other" and piece.startswith("\\"):
                piece = piece[1:]
                if piece.isspace():
                    spaced = True
                    continue
        found.append(Token(piece if kind == "other" else kind, piece, (start, at), spaced))
        spaced = False
    return found


def _passed_size(piece: str, text: str, at: int) -> int:
    # `\left.` and `\right.` stand for a bracket that is not there
    return at + 1 if piece in (r"\left", r"\right") and text[at : at + 1] == "." else at


def _behind_braces(text: str, at: int) -> int:
    start = at
    while at < len(text) and text[at].isspace():
        at += 1
    return _closing(text, at) if text[at : at + 1] == "{" else start


def _closing(text: str, at: int) -> int:
    """The place behind the brace that closes the one at `at`."""
    depth = 0
    for place in range(at, len(text)):
        if text[place] == "{":
            depth += 1
        elif text[place] == "}":
            depth -= 1
            if depth == 0:
                return place + 1
    raise NotRead("a brace that is not closed", (at, at + 1), "{")


def _text(piece: str, text: str, start: int, at: int, spaced: bool) -> tuple[list[Token], int]:
    """`\\text{...}`: a name if it is one, else prose, with formulas between dollars; a font makes a name."""
    while at < len(text) and text[at].isspace():
        at += 1
    if text[at : at + 1] != "{":
        if piece in FONTS and at < len(text):
            return [Token("word", text[at], (start, at + 1), spaced)], at + 1
        raise NotRead(f"braces are missing behind {piece}", (start, at), piece)
    end = _closing(text, at)
    inside = text[at + 1 : end - 1].replace(r"\_", "_").strip()
    if piece in TEXTS and "$" in inside:
        return _between_dollars(text, at + 1, end - 1), end
    if piece in FONTS and inside == "1":
        return [Token("indicator", inside, (start, end), spaced)], end
    single = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", inside) is not None and inside.lower() not in CONDITIONAL
    if single and not (piece in TEXTS and len(inside) > 1 and _starts_prose(text, start)):
        return [Token("word", inside, (start, end), spaced)], end
    nested = re.fullmatch(r"([A-Za-z]+)_\{?([A-Za-z])\}?", inside)
    if nested:
        return [Token("word", inside, (start, end), spaced)], end
    if piece in FONTS and "\\" in inside:
        raise NotRead(f"{piece} around a formula", (start, end), inside)
    return [Token("text", inside, (start, end), spaced)], end


def _between_dollars(text: str, start: int, end: int) -> list[Token]:
    """The tokens of words with formulas between dollars: `if $x > 0$`."""
    found: list[Token] = []
    for count, piece in enumerate(text[start:end].split("$")):
        if count % 2:
            found += [Token(t.kind, t.text, (t.span[0] + start, t.span[1] + start), t.spaced) for t in tokens(piece)]
        elif piece.strip(" ,."):
            found.append(Token("text", piece.strip(), (start, start + len(piece)), True))
        start += len(piece) + 1
    return found


def _starts_prose(text: str, start: int) -> bool:
    return text[:start].rstrip().endswith((r"\quad", r"\qquad", ","))
