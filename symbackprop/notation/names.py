"""Which names a layer may use.

The words of the notation and of Python are refused, since neither an equation nor a call could say them. Every other
name is the user's: where a generated module needs `np` or `saved` for itself, the module gives way.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from symbackprop.notation.nodes import FUNCTIONS, POSITIONS, REDUCTIONS

STATEMENTS = ("layer", "input", "integer", "param", "size", "range", "require", "output")
WORDS = (*STATEMENTS, "outside", "inf", "where", "clip", "and", "or", "not")
RESERVED: Mapping[str, str] = {
    **dict.fromkeys(keyword.kwlist, "a word of Python"),
    **dict.fromkeys((*FUNCTIONS, "pow"), "a function of the notation"),
    **dict.fromkeys((*REDUCTIONS, *POSITIONS), "a reduction of the notation"),
    **dict.fromkeys(WORDS, "a word of the notation"),
    "pi": "the constant pi",
}


def complaint(name: str) -> tuple[str, str] | None:
    """Why `name` cannot be used, and what to write instead; None where it can."""
    if name in RESERVED:
        return f"{name} is {RESERVED[name]} and cannot be a name", f"Write another name, such as {name}_ or {name}1."
    if not name[:1].isalpha():
        return f"{name} does not start with a letter", f"Write {name.strip('_') or 'a'} instead."
    if name.endswith("'"):
        return f"{name} has a prime, which only a copy of an index has", f"Write {name.rstrip(chr(39))}1 instead."
    return None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`Did you mean gamma?`, or nothing where no known name is close."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Did you mean {close[0]}?" if close else ""
