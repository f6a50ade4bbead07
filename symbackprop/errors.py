"""Every way to refuse, with the way out.

Two kinds of failure are kept apart: a `UserError` is something the person can mend (a slip in an
equation file, a shape that does not fit), an `InternalError` is a fault of ours. Both are
`SymbackpropError`, so one `except` on the command line catches the family.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass


class SymbackpropError(Exception):
    """The family of all errors that this package raises on purpose."""


class UserError(SymbackpropError, ValueError):
    """Something the person can mend; the message says what, where and what to do. It is a `ValueError`, too."""


class InternalError(SymbackpropError):
    """A fault of ours: an invariant of the package does not hold."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a text something stands: file (or layer) name, line and column from 1, and the line itself."""

    file: str
    line: int
    column: int
    text: str

    def pointed(self) -> str:
        """The line with a caret under the column; of a very long line the part around it."""
        start = max(0, self.column - 100) if len(self.text) > 160 else 0
        before = "".join(map(_blank, self.text[start : self.column - 1]))
        return f"    {self.text[start : start + 160]}\n    {before}^"


def _blank(character: str) -> str:
    """White space as wide as the character on a terminal."""
    if character == "\t":
        return character
    if unicodedata.combining(character):
        return ""
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "


class NotationError(UserError):
    """An equation that cannot be read or cannot mean anything.

    `message` says what was found and what was expected; `advice` what to write instead.
    """

    def __init__(self, message: str, place: Place | None = None, advice: str = "") -> None:
        self.message, self.place, self.advice = message, place, advice
        parts = [f"{place.file}, line {place.line}, column {place.column}: {message}" if place else message]
        if place is not None:
            parts.append(place.pointed())
        if advice:
            parts.append(advice)
        super().__init__("\n".join(parts))


class CannotDerive(UserError):
    """The rules do not reach this equation: names the node, the rule set and the place."""


class CheckFailed(SymbackpropError):
    """A check said no: the message names what, where, the seed and both numbers."""
