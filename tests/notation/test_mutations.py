"""Whatever a text contains, reading it gives a layer or one clear error, and soon."""

from __future__ import annotations

import re
import resource
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symbackprop import equations
from symbackprop.errors import NotationError
from symbackprop.notation.layer import Layer
from symbackprop.notation.printer import to_text
from symbackprop.notation.reader import read
from tests.strategies import layers

SECONDS, MEGABYTES = 2, 500  # what one text may cost
TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
BUILT_IN = [to_text(equations.load(name)) for name in ("conv2d", "batchnorm2d", "true_conv2d")]
ALIEN = [
    "(",
    ")",
    "[",
    "]",
    ",",
    "=",
    "==",
    "**",
    "'",
    "1e999",
    "9" * 80,
    "0",
    "-",
    "inf",
    "\n",
    "#",
    "x",
    "sum",
    "not",
]
ALIEN += [
    "where",
    "clip",
    "range",
    "output",
    "integer",
    "é",
    "\x00",
    "/",
    "//",
    "%",
    "^",
    "1.5",
    "outside",
    "N",
    "n",
    "mean",
]


@st.composite
def mutated(draw: Any) -> str:
    """The text of a layer with one to three tokens dropped, doubled, swapped or replaced."""
    text = draw(st.sampled_from(BUILT_IN) | layers(benign=False, depth=2).map(to_text))
    tokens = TOKEN.findall(text)
    for _ in range(draw(st.integers(1, 3))):
        at, other = (draw(st.integers(0, len(tokens) - 1)) for _ in range(2))
        kind = draw(st.sampled_from(["drop", "double", "swap", "alien"]))
        if kind == "drop" and len(tokens) > 1:
            del tokens[at]
        elif kind == "double":
            tokens.insert(at, tokens[at])
        elif kind == "swap":
            tokens[at], tokens[other] = tokens[other], tokens[at]
        else:
            tokens[at] = draw(st.sampled_from(ALIEN))
    return "".join(tokens)


def bounded(text: str) -> Layer | None:
    """The layer that a text states, or None after a clean error; within 2 s and 500 MB."""
    before, started = _most_memory(), time.process_time()
    try:
        return read(text)
    except NotationError as error:
        assert str(error)
        return None
    finally:
        assert time.process_time() - started < SECONDS
        assert _most_memory() - before < MEGABYTES


def _most_memory() -> float:
    """The most memory that this process has held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@settings(max_examples=250)
@given(mutated())
def test_a_mutated_text_gives_a_layer_or_a_notation_error(text: str) -> None:
    layer = bounded(text)

    assert layer is None or read(to_text(layer)) == layer


@settings(max_examples=200)
@given(st.text(max_size=200))
def test_any_text_gives_a_layer_or_a_notation_error(text: str) -> None:
    with pytest.raises(NotationError):
        read(text)


HEAD = "layer a\ninput x[N]\nrange n = N\ny[n] = "
BODIES = {
    "10 MB of brackets": "(" * 10_000_000,
    "brackets on many lines": "(\n" * 5_000,
    "deep brackets": "(" * 99 + "x[n]" + ")" * 99,
    "too deep brackets": "(" * 101 + "x[n]" + ")" * 101,
    "deep calls": "exp(" * 99 + "x[n]" + ")" * 99,
    "deep sums in brackets": "(1 + 2*" * 99 + "x[n]" + ")" * 99,
    "many signs": "-" * 9_000 + "x[n]",
    "many powers": "^".join(["x[n]"] * 1_900),
    "many numbers in powers": "^".join(["9"] * 4_000),
    "many nots": "where(" + "not " * 2_000 + "1 < 2, 1, 2)",
    "many conditions": "where(" + " and ".join(f"{at} < {at + 1}" for at in range(700)) + ", 1, 2)",
    "many terms": " + ".join(["x[n]"] * 1_400),
    "many remainders": "n" + "%7" * 4_000,
    "a long product of numbers": "*".join(["123456789123456789e50"] * 400),
    "a long sum of fractions": "+".join(f"1/{at}" for at in range(7_001, 8_100)),
    "a huge number": "9" * 5_000,
    "a huge exponent": "1e999999999",
    "a tiny number": "x[n]*1e-999999",
    "a tower of powers": "((((9^64)^64)^64)^64)^64",
    "a number over the largest float": "10^200*10^200",
    "many definitions": "x[n]\n" + "\n".join(f"y{at}[n] = x[n]" for at in range(3_000)),
    "many indices on the left": "x[n]\nz[" + ", ".join(f"i{at}" for at in range(1_500)) + "] = 1",
    "a wide tensor": "x[n]\ninput w[" + ", ".join(f"A{at}" for at in range(1_500)) + "]",
    "one long name": "a" * 9_000,
    "sizes of sizes": "x[n]\nsize A0 = N*N\n" + "\n".join(f"size A{at + 1} = A{at}*A{at} + A{at}" for at in range(400)),
    "sizes in reverse": "x[n]\n" + "\n".join(f"size A{at} = A{at + 1} + 1" for at in range(2_000)) + "\nsize A2000 = N",
}


@pytest.mark.parametrize("what", BODIES)
def test_a_monstrous_text_is_answered_at_once(what: str) -> None:
    before, started = _most_memory(), time.process_time()
    try:
        read(HEAD + BODIES[what] + "\noutput y\n")
    except NotationError as error:
        assert len(str(error)) < 2_000

    assert time.process_time() - started < SECONDS
    assert _most_memory() - before < MEGABYTES
