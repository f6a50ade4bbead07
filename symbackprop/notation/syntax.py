"""From text to statements: bounds, brackets, lines, and the grammar. Nothing here knows what a name means.

A statement ends with the line on which its brackets are closed. Each is parsed on its own (LALR, no recursion), so a
slip in one line is reported in that line. Every bound is checked before work is spent on what breaks it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from symbackprop.errors import NotationError, Place
from symbackprop.notation.names import STATEMENTS

MAX_TEXT = 100_000
MAX_STATEMENT = 10_000
MAX_NESTING = 100
MAX_DIGITS = 60
MAX_NAME = 60

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Node:
    """A piece of syntax: `kind` is the rule of the grammar, `text` its name, number or operators.

    Lines count from the statement that it belongs to.
    """

    kind: str
    text: str
    parts: tuple[Node, ...]
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Source:
    """A text by lines, to show places of it."""

    file: str
    lines: tuple[str, ...]

    def place(self, line: int, column: int) -> Place:
        """The place, with its line made printable."""
        text = self.lines[line - 1][:MAX_STATEMENT]
        return Place(self.file, line, column, "".join(c if c.isprintable() else " " for c in text))


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: `kind` is its first word, or `definition`."""

    kind: str
    parts: tuple[Node, ...]
    line: int
    source: Source

    def place(self, node: Node | None = None) -> Place:
        """Where a node of this statement stands; without one, the statement itself."""
        node = node or self.parts[0]
        return self.source.place(self.line + node.line - 1, node.column)

    def error(self, message: str, node: Node | None = None, advice: str = "") -> NotationError:
        """An error at a node of this statement."""
        return NotationError(message, self.place(node), advice)


def split_lines(text: str, file: str) -> Source:
    """The text by lines, if it is short enough to be an equation file."""
    if len(text) > MAX_TEXT:
        raise NotationError(
            f"{file}: the text has {len(text):,} characters; a layer has at most {MAX_TEXT:,}",
            advice="Give the .eq file of one layer.",
        )
    source = Source(file, tuple(text.replace("\r\n", "\n").replace("\r", "\n").split("\n")))
    for number, line in enumerate(source.lines, start=1):
        for found in _CONTROL.finditer(line):  # in a comment, too: it would stand in a module's docstring
            message = f"`{_shown(found[0])}` means nothing here"
            raise NotationError(message, source.place(number, found.start() + 1), "Remove it.")
    return source


def statements(source: Source) -> Iterator[Statement]:
    """The statements of a text, in order.

    Raises: NotationError where brackets do not match, a bound is exceeded, or the grammar does not fit.
    """
    for line, text in _chunks(source):
        yield _parse(source, line, text)


def _chunks(source: Source) -> Iterator[tuple[int, str]]:
    """The lines of each statement with the number of its first line; empty lines and comments left out."""
    opened: list[tuple[str, int, int]] = []
    start = 0
    for number, line in enumerate(source.lines, 1):
        code = line.split("#", 1)[0]
        if not opened:
            start = number
        elif (word := re.match(r"\s*(\w+)", code)) and word[1] in STATEMENTS:
            raise _unclosed(source, opened, f" before the statement in line {number}")
        _follow_brackets(source, number, code, opened)
        if not opened and any(text.split("#", 1)[0].strip() for text in source.lines[start - 1 : number]):
            yield start, "\n".join(source.lines[start - 1 : number])
    if opened:
        raise _unclosed(source, opened, "")


def _follow_brackets(source: Source, number: int, code: str, opened: list[tuple[str, int, int]]) -> None:
    for found in re.finditer(r"[()\[\]]", code):
        bracket, column = found[0], found.start() + 1
        if bracket in "([":
            opened.append((bracket, number, column))
            if len(opened) > MAX_NESTING:
                raise NotationError(
                    f"brackets are nested over {MAX_NESTING} deep", source.place(number, column), "Name a part of it."
                )
        elif not opened or opened.pop()[0] != {")": "(", "]": "["}[bracket]:
            raise NotationError(
                f"`{bracket}` closes no bracket", source.place(number, column), "Remove it, or open it before."
            )


def _unclosed(source: Source, opened: list[tuple[str, int, int]], where: str) -> NotationError:
    bracket, line, column = opened[-1]
    return NotationError(
        f"the bracket `{bracket}` is not closed{where}",
        source.place(line, column),
        f"Close it with `{')' if bracket == '(' else ']'}`.",
    )


def _parse(source: Source, line: int, text: str) -> Statement:
    if len(text) > MAX_STATEMENT:
        message = f"the statement has {len(text):,} characters; one has at most {MAX_STATEMENT:,}"
        raise NotationError(message, source.place(line, 1), "Split it into several definitions.")
    code = re.sub("#.*", lambda comment: " " * len(comment[0]), text)
    for name in re.finditer(rf"[A-Za-z_]\w{{{MAX_NAME},}}", code):
        number = line + text.count("\n", 0, name.start())
        column = name.start() - text.rfind("\n", 0, name.start())
        raise NotationError(f"a name has more than {MAX_NAME} letters", source.place(number, column), "Shorten it.")
    try:
        node: Node = _parser().parse(text)  # type: ignore[assignment]
    except UnexpectedCharacters as error:
        place = source.place(line + error.line - 1, error.column)
        raise NotationError(f"`{_shown(error.char)}` means nothing here", place, _about_character(error.char)) from None
    except UnexpectedToken as error:
        raise _unexpected(source, line, text, error) from None
    return Statement(node.kind, node.parts, line, source)


def _shown(char: str) -> str:
    return char if char.isprintable() else f"\\x{ord(char):02x}"


_SYMBOLS = {
    **dict.fromkeys("·⋅×∗", "Write *."),
    **dict.fromkeys("−–—", "Write - (the sign of the keyboard)."),
    **dict.fromkeys("²³", "A power is written with ^, as in x^2."),
    **dict.fromkeys("{}", "Use ( ) or [ ]."),
    **dict.fromkeys("\"'“”‘’", "Nothing is quoted here."),
    "÷": "Write /.",
    "≤": "Write <=.",
    "≥": "Write >=.",
    "≠": "Write !=.",
    "∞": "Write inf.",
    "√": "Write sqrt(...).",
    "∑": "Write sum[i](...).",
    "∏": "Write prod[i](...).",
    "@": "Write the sum over the shared index: sum[k](a[i,k]*b[k,j]).",
    "?": "Write where(CONDITION, A, B).",
    "&": "Write `and`.",
    "|": "Write `or`.",
    "!": "Write `not`.",
    ";": "Write each statement on its own line.",
    ":": "A range is written `range i = N`.",
}


def _about_character(char: str) -> str:
    if char.isalpha():
        return "Names are ASCII letters, digits and _; Greek letters are spelled out (gamma)."
    return _SYMBOLS.get(char, "Remove it.")


def _unexpected(source: Source, line: int, text: str, error: UnexpectedToken) -> NotationError:
    token = error.token
    expected = _expected(error.expected)
    if token.type == "$END":
        lines = [code.split("#", 1)[0].rstrip() for code in text.split("\n")]
        last = max(number for number, code in enumerate(lines) if code)
        place = source.place(line + last, len(lines[last]) + 1)
        advice = "A statement ends with the line on which its brackets are closed: to go on, open a bracket first."
        return NotationError(f"the statement ends where {expected} was expected", place, advice)
    place = source.place(line + (token.line or 1) - 1, token.column or 1)
    before = text[: token.start_pos].rstrip() if token.start_pos else ""
    shown = token if len(token) <= 40 else token[:37] + "..."
    advice = _about_token(token, before, error.expected)
    return NotationError(f"found `{shown}` where {expected} was expected", place, advice)


def _expected(terminals: set[str]) -> str:
    if "LAYER" in terminals:
        return "a statement or a name"
    if "NUMBER" in terminals:
        return "a number, a name or `(`" if "RSQB" not in terminals else "a list"
    if terminals <= {"NAME"}:
        return "a name"
    if "PLUS" in terminals:
        inside = "$END" not in terminals
        return "an operator, a comma or a closing bracket" if inside else "an operator or the end of the statement"
    names = sorted(f"`{_SPELLED.get(terminal, terminal.lower())}`" for terminal in terminals if terminal != "$END")
    return " or ".join(names) or "the end of the line"


_SPELLED = {"EQUAL": "=", "LSQB": "[", "RSQB": "]", "LPAR": "(", "RPAR": ")", "COMMA": ",", "CIRCUMFLEX": "^"}


def _about_token(token: Token, before: str, expected: set[str]) -> str:
    if token.type == "NUMBER" and expected <= {"NAME"}:
        return "A name begins with a letter."
    if token in ("if", "else"):
        return "A choice is written where(CONDITION, A, B)."
    if token == "*" and before.endswith("*"):
        return "A power is written with ^, as in x^2."
    if token.type in ("NAME", "NUMBER", "LPAR") and re.search(r"[\w)\]']$", before):
        return "A product is written with *, as in 2*x."
    if token == "=":
        return "A comparison is written ==; a definition is a statement of its own."
    if token == "+":
        return "Leave the sign out."
    if token.type in ("LAYER", "INPUT", "INTEGER", "PARAM", "SIZE", "RANGE", "REQUIRE", "OUTPUT", "OUTSIDE", "NOT"):
        return f"{token} is a word of the notation; choose another name, or begin a new line."
    return ""


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="basic", transformer=_ToNodes(), maybe_placeholders=False)


def _node(kind: str, children: list[Any], first: Token | Node, text: str = "") -> Node:
    parts = tuple(c for c in children if isinstance(c, Node))
    return Node(kind, text, parts, first.line or 1, first.column or 1)


class _ToNodes(Transformer[Token, Node]):
    """Builds a Node for each rule: its text is the tokens that the rule keeps, its place that of its first piece."""

    def __default__(self, data: Any, children: list[Any], meta: Any) -> Any:
        if str(data).startswith("_"):  # a repetition, which the parser inlines itself
            return Tree(data, children)
        tokens = [c for c in children if isinstance(c, Token)]
        first = children[0] if children else Node("list", "", (), 1, 1)
        return _node(str(data), children, first, " ".join(map(str, tokens)))

    def layer(self, children: list[Any]) -> Node:
        return _node("layer", [_node("name", [], children[1], str(children[1]))], children[0])
