"""Formulas that are read aloud in a transcript: "doh L by doh mu", "gamma times x1 hat", "which is".

Only what has one meaning is written down: derivatives, products, sums, equalities. "By" between two formulas, as
in "xi minus mu by root sigma square plus epsilon", does not say where its numerator begins or its root ends, and
is not guessed.
"""

from __future__ import annotations

import re

from symbackprop.documents.latex.symbols import GREEK

EQUAL = re.compile(
    r"\b(?:is going to be given by|is the final output|will be given by|is given by|which is|will be|is equal to|"
    r"equals|is)\b"
)
PLAIN = ((r"\band also\b", "plus"), (r"\binto\b|\btimes\b", r"\\cdot"), (r"\bplus\b", "+"), (r"\bminus\b", "-"))
NAME = r"(?:[a-z]+ squared?|[a-z]+\d* hat|[a-zA-Z]+\d*)"


def written(text: str) -> str | None:
    """The formula that the words say; None if they say more, or not clearly."""
    if "\\" in text or "=" in text or not re.search(r"\bdoh\b|\btimes\b|\binto\b", text, re.IGNORECASE):
        return None
    text = re.sub(r"\bDoh\b", "doh", text.strip().rstrip("."))
    if not EQUAL.search(text):
        return None
    text = EQUAL.sub(" = ", text, count=1)
    text = re.sub(rf"\bdoh ({NAME}) by doh ({NAME})", _derivative, text)
    for pattern, symbol in PLAIN:
        text = re.sub(pattern, symbol, text)
    pieces = re.split(r"(\\frac\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|\\cdot|[=+-])", text)
    found = [p if at % 2 else _words(p) for at, p in enumerate(pieces)]
    return None if any(p is None for p in found) else " ".join(p for p in found if p)


def _derivative(said: re.Match[str]) -> str:
    return rf"\frac{{\partial {_name(said[1])}}}{{\partial {_name(said[2])}}}"


def _words(text: str) -> str | None:
    """A symbol between two operations; None where other words stand there."""
    text = text.strip()
    if not text:
        return ""
    return _name(text) if re.fullmatch(NAME, text) else None


def _name(text: str) -> str:
    base, _, mark = text.partition(" ")
    greek = f"\\{base}"
    if greek in GREEK and base != "xi":  # x_i is said more often than the letter
        return f"{greek}^2" if mark.startswith("square") else greek
    match = re.fullmatch(r"([a-zA-Z])([a-z]|\d+)?", base)
    if match is None:
        return base
    letter = rf"\hat{{{match[1]}}}" if mark == "hat" else match[1]
    index = f"_{match[2]}" if match[2] else ""
    return f"{letter}{index}" + ("^2" if mark.startswith("square") else "")
