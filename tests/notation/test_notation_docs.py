"""What the page about the notation shows is what happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from symbackprop.errors import NotationError
from symbackprop.notation import syntax
from symbackprop.notation.declarations import MAX_DEFINITIONS
from symbackprop.notation.layer import Layer
from symbackprop.notation.printer import to_text
from symbackprop.notation.reader import read

PAGE = (Path(__file__).parents[2] / "docs" / "notation.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    """The fenced blocks of one kind."""
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", blocks("eq"))
def test_an_example_is_a_layer(text: str) -> None:
    assert read(to_text(read(text))) == read(text)


@pytest.mark.parametrize("text, message", list(zip(blocks("eq-wrong"), blocks("text"), strict=True)))
def test_an_error_reads_as_it_is_shown(text: str, message: str) -> None:
    name = text.split()[1]
    with pytest.raises(NotationError) as caught:
        read(text, f"{name}.eq")

    assert str(caught.value) == message.rstrip("\n")


@pytest.mark.parametrize("code", blocks("python"))
def test_an_example_in_python_makes_a_layer(code: str) -> None:
    made: dict[str, object] = {}
    exec(compile(code, "docs/notation.md", "exec"), made)

    assert isinstance(list(made.values())[-1], Layer)


def test_the_bounds_are_those_of_the_reader() -> None:
    for bound in (syntax.MAX_TEXT, syntax.MAX_STATEMENT, MAX_DEFINITIONS, syntax.MAX_NESTING, syntax.MAX_DIGITS):
        assert re.search(rf"\| {bound:,} ", PAGE)
