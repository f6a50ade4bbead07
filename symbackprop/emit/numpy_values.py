"""A piece of NumPy text that stands for an array, with the indices of its axes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace as with_fields

from symbackprop.emit.spelling import ATOM, TEST, bracket
from symbackprop.notation.nodes import Index

Indices = tuple[Index, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """Text for an array whose axes are `axes`, in the order of the statement's indices.

    `weak` is a Python number: it takes the dtype of whatever it meets. `view` shares memory with a tensor.
    """

    text: str
    binds: int
    axes: Indices = ()
    weak: bool = False
    view: bool = False

    def at(self, place: int) -> str:
        """The text, in parentheses where its place asks for them."""
        return bracket(self.text, self.binds, place)


def union(values: Iterable[Value], scope: Indices) -> Indices:
    """The axes of an array that all the values can be broadcast to, in the order of the scope."""
    found = {i for value in values for i in value.axes}
    return tuple(i for i in scope if i in found)


def aligned(value: Value, axes: Indices) -> Value:
    """The value with `None` where it lacks an axis, so that NumPy broadcasts it along `axes`."""
    if not value.axes:
        return value
    start = axes.index(value.axes[0])
    places = [":" if i in value.axes else "None" for i in axes[start:]]
    if "None" not in places:
        return value
    return with_fields(value, text=f"{value.at(ATOM)}[{', '.join(places)}]", binds=ATOM)


def binary(sign: str, left: Value, right: Value, binds: int, scope: Indices) -> Value:
    """`left sign right`, broadcast; `binds` is how tightly the sign binds."""
    axes = union((left, right), scope)
    a, b = aligned(left, axes), aligned(right, axes)
    spaced = sign if sign in ("*", "/", "**") else f" {sign} "
    text = f"{a.at(binds)}{spaced}{b.at(binds + 1)}"
    return Value(text, binds, axes, left.weak and right.weak)


def call(function: str, arguments: Iterable[Value], scope: Indices) -> Value:
    """`function(arguments)`, broadcast."""
    arguments = list(arguments)
    axes = union(arguments, scope)
    text = f"{function}({', '.join(aligned(a, axes).at(TEST) for a in arguments)})"
    return Value(text, ATOM, axes, all(a.weak for a in arguments))


def pattern(places: list[str]) -> str:
    """An index in brackets; trailing full slices are left out, and none at all is nothing."""
    while places and places[-1] == ":":
        places = places[:-1]
    return f"[{', '.join(places)}]" if places else ""


def reshaped(value: Value, dims: Iterable[str]) -> Value:
    """The value in another shape; a reshape right before it has no effect and is left out."""
    text = value.at(ATOM)
    if text.endswith(")"):
        start = _opening(text)
        if text[:start].endswith(".reshape"):
            text = text[: start - len(".reshape")]
    return with_fields(value, text=f"{text}.reshape({', '.join(dims)})", binds=ATOM)


def _opening(text: str) -> int:
    """Where the bracket opens that the last character closes."""
    depth = 0
    for at in range(len(text) - 1, -1, -1):
        depth += (text[at] in ")]") - (text[at] in "([")
        if depth == 0:
            return at
    return 0


def tuple_text(items: Iterable[str]) -> str:
    """A Python tuple of the items."""
    items = list(items)
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
