r"""The formulas of a file: what stands in `$...$`, `$$...$$`, `\(...\)`, `\[...\]` and in LaTeX's environments.

A `.toml` file is a list of formulas: `[[formula]]` with `latex`, and `id`, `line`, `kind` where they are known. A text
without any of these marks is taken a formula a line where the line has a relation in it.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from symbackprop.errors import UserError

LARGEST = 4_000_000  # bytes of a document
_MATH = re.compile(
    r"(?<!\\)\$\$(?P<display>.+?)(?<!\\)\$\$"
    r"|(?<!\\)\$(?!\$)(?P<inline>(?:[^$\n]|\n(?!\s*\n))+?)(?<!\\)\$"
    r"|\\\[(?P<bracket>.+?)\\\]"
    r"|\\\((?P<round>.+?)\\\)"
    r"|\\begin\{(?P<env>equation|align|gather|multline|eqnarray|displaymath|math)(?P<star>\*?)\}(?P<body>.+?)"
    r"\\end\{(?P=env)(?P=star)\}",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Formula:
    """One printed formula: its text, the line on which it begins, and what a list says of it."""

    text: str
    line: int
    name: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a formula: an aligned derivation has several. `offset` is its place in the formula's text."""

    text: str
    offset: int


def formulas(path: Path) -> tuple[Formula, ...]:
    """The formulas of a file, in order. Raises UserError where there are none, or the file is no text."""
    data = path.read_bytes()
    if len(data) > LARGEST:
        raise UserError(f"{path}: {len(data)} bytes; a document has at most {LARGEST}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        what = (
            "an image or another binary file"
            if b"\0" in data[:1000] or data[:4] in (b"\x89PNG", b"%PDF")
            else "no text in UTF-8"
        )
        raise UserError(f"{path}: this is {what}; formulas are read from text") from error
    found = _listed(text, path) if path.suffix == ".toml" else in_text(text)
    if not found:
        raise UserError(f"{path}: there is no formula in it; formulas stand in $...$, $$...$$ or a LaTeX environment")
    return found


def title(path: Path) -> str:
    """What a document is called: the `title` of a list of formulas, or the file's name."""
    if path.suffix == ".toml":
        named = tomllib.loads(path.read_text(encoding="utf-8")).get("title")
        if isinstance(named, str):
            return named
    return path.name


def _listed(text: str, path: Path) -> tuple[Formula, ...]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: this is not TOML: {error}") from error
    entries = data.get("formula")
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and isinstance(e.get("latex"), str) for e in entries
    ):
        raise UserError(f"{path}: a list of formulas has [[formula]] tables with `latex`")
    found = []
    for at, entry in enumerate(entries):
        line, name, kind = int(entry.get("line", at + 1)), str(entry.get("id", "")), str(entry.get("kind", ""))
        found += [Formula(latex, line, name, kind) for latex in pieces(entry["latex"])]
    return tuple(found)


def pieces(latex: str) -> tuple[str, ...]:
    """The formulas of one entry: what stands between dollars where there are any, else a formula a line."""
    marked = [m.group() for m in _MATH.finditer(latex)]
    if marked:
        return tuple(f.text for f in in_text(latex))
    return tuple(piece for line in latex.split("\n") for piece in _cells(line) if piece.strip())


def _cells(line: str) -> list[str]:
    """A row of a table is a formula a cell."""
    if not line.strip().startswith("|"):
        return [line]
    return [cell.strip() for cell in line.strip().strip("|").split("|") if cell.strip(" -:")]


def in_text(text: str) -> tuple[Formula, ...]:
    """The formulas of a text."""
    found = []
    for match in _MATH.finditer(_without_comments(text)):
        group = next(g for g in ("display", "inline", "bracket", "round", "body") if match[g] is not None)
        if match[group].strip():
            line = text.count("\n", 0, match.start(group)) + 1
            lead = len(match[group]) - len(match[group].lstrip())
            line += match[group][:lead].count("\n")
            found.append(Formula(match[group].strip(), line))
    if found:
        return tuple(found)
    lines = enumerate((_unlabelled(line) for line in text.split("\n")), 1)
    return tuple(Formula(line, at) for at, line in lines if "=" in line and re.search(r"[\\_^]", line))


def _unlabelled(line: str) -> str:
    """A line of a plain text without the label before its formula: `mean:  \\mu = ...`."""
    label = re.match(r"\s*[^=:]*:\s+(?=.*=)", line)
    return line[label.end() :].strip() if label else line.strip()


def _without_comments(text: str) -> str:
    """The text with LaTeX comments blanked, place by place."""
    return re.sub(r"(?m)^\s*%[^\n]*|(?<=\s)%(?=\s)[^\n]*", lambda m: " " * len(m.group()), text)


def rows(text: str) -> tuple[Row, ...]:
    r"""The rows of a formula: split at `\\` outside braces, environments' marks passed over."""
    found: list[Row] = []
    depth, start, at = 0, 0, 0
    while at < len(text):
        if text[at] == "\\":
            depth += text.startswith(r"\begin{cases}", at) - text.startswith(r"\end{cases}", at)
            if text.startswith("\\\\", at) and depth == 0:
                found.append(Row(text[start:at], start))
                at += 2
                start = at
                continue
            at += 2
            continue
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
    found.append(Row(text[start:], start))
    return tuple(r for r in found if re.sub(r"\\(?:begin|end)\{[^}]*\}|\s|&", "", r.text))
