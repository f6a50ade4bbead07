"""Breaks long lines of generated Python at commas and operators of their outermost brackets."""

from __future__ import annotations

from collections.abc import Iterable

WIDTH = 104  # beside the indent of a function's body
_SUMS = (" + ", " - ", " @ ", " & ", " | ")


def broken(lines: Iterable[str]) -> list[str]:
    """The lines, each that is too long broken into several."""
    return [piece for line in lines for piece in _broken(line)]


def _broken(line: str, inside: bool = False) -> list[str]:
    """The line on several; `inside` a bracket it may be broken at any operator."""
    indent = line[: len(line) - len(line.lstrip())]
    text = line.strip()
    if len(line) <= WIDTH or text.startswith("#"):
        return [line]
    wrapped = _in_brackets(text, indent)
    if wrapped:
        return wrapped
    pieces = _at_operators(text) if inside else []
    if len(pieces) > 1 and len(_split(text, (", ",))) == 1:
        first, *others = _filled(pieces, indent, "")
        later = [f"    {one}" if len(one) <= WIDTH - 4 else one for one in others]
        return [b for one in (first, *later) for b in _broken(one, len(_at_operators(one.strip())) < len(pieces))]
    start = _widest(text)
    if start is None:
        return [line]
    head, content, tail = text[: start + 1], text[start + 1 : _closing(text, start)], text[_closing(text, start) :]
    pieces = _at_commas(content)
    if len(pieces) < 2:
        pieces = _at_operators(content)
        if len(pieces) < 2:
            return [line]
        body = _filled(pieces, indent + "    ", "")
    else:
        closed = [*(f"{p}," for p in pieces[:-1]), pieces[-1]]
        body = _filled(closed, indent + "    ", " ")
    return [indent + head, *(b for one in body for b in _broken(one, True)), indent + tail]


def _in_brackets(text: str, indent: str) -> list[str]:
    """An assignment of a sum that stands in no bracket, given one; empty for any other line."""
    sides = _split(text, (" = ", " += "), keep=True)
    if len(sides) != 2 or not sides[1].startswith((" = ", " += ")):
        return []
    sign, value = sides[1].split("= ", 1)
    pieces = _split(value, _SUMS, keep=True)
    if len(pieces) < 2:
        return []
    body = _filled(pieces, indent + "    ", "")
    return [f"{indent}{sides[0]}{sign}= (", *(b for one in body for b in _broken(one, True)), f"{indent})"]


def _filled(pieces: list[str], indent: str, glue: str) -> list[str]:
    """The pieces on as few lines as they fit."""
    lines: list[str] = []
    for piece in pieces:
        longer = f"{lines[-1]}{glue}{piece}" if lines else ""
        if lines and len(longer) <= WIDTH:
            lines[-1] = longer
        else:
            lines.append(indent + piece.strip())
    return lines


def _widest(text: str) -> int | None:
    """Where the outermost bracket with the most text in it opens."""
    best, at = None, 0
    while at < len(text):
        if text[at] in "([":
            end = _closing(text, at)
            if best is None or end - at > best[1] - best[0]:
                best = (at, end)
            at = end
        at += 1
    return best[0] if best is not None and best[1] - best[0] > 20 else None


def _closing(text: str, start: int) -> int:
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] in "([{") - (text[at] in ")]}")
        if depth == 0:
            return at
    return len(text) - 1


def _at_commas(text: str) -> list[str]:
    return [piece.strip() for piece in _split(text, (", ",))]


def _at_operators(text: str) -> list[str]:
    """Pieces that begin with an operator, but for the first: at sums, or at products where there is no sum."""
    pieces = _split(text, _SUMS, keep=True)
    return pieces if len(pieces) > 1 else _split(text, ("*", "/"), keep=True)


def _split(text: str, marks: tuple[str, ...], keep: bool = False) -> list[str]:
    pieces, depth, last, at = [], 0, 0, 0
    while at < len(text):
        depth += (text[at] in "([{") - (text[at] in ")]}")
        mark = next((m for m in marks if depth == 0 and text.startswith(m, at)), None)
        if at == 0 or (mark in ("*", "/") and mark in (text[at - 1], text[at + 1 : at + 2])):
            mark = None  # a power or a floor division
        if mark is not None:
            pieces.append(text[last:at])
            last = at if keep else at + len(mark)
            at += len(mark) - 1
        at += 1
    pieces.append(text[last:])
    return pieces
