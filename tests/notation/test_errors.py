"""Each slip gets one message that names its place, what was expected, and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from symbackprop.errors import NotationError, Place
from symbackprop.notation.reader import read, read_file

HEAD = """layer a
input x[N, C], gamma[C], b
integer t[N]
param eps = 1e-5, k = 2 integer
"""

# what stands in lines 5 and 6; the place of the error; words of its message
SLIPS: dict[str, tuple[str, tuple[int, int], str]] = {
    "a control character in a comment": ("y[n,c] = x[n,c] # a\x00b", (5, 20), "Remove it"),
    "unknown tensor": ("y[n,c] = x[n,c]*gama[c]", (5, 17), "Did you mean gamma?"),
    "too few indices": ("y[n,c] = x[n]*gamma[c]", (5, 10), "x with 1 index, but x has the axes [N, C]\n"),
    "no indices": ("y[n,c] = x*gamma[c] + x[n,c]", (5, 10), "Write x[n, c]."),
    "an index of a scalar": ("y[n,c] = b[n]*x[n,c]", (5, 10), "b is a scalar"),
    "wrong axis": (
        "y[n,c] = x[n,c]*gamma[n]",
        (5, 23),
        "y uses index n (size N) on gamma, which has the axes [C]",
    ),
    "wrong axis, way out": ("y[n,c] = x[n,c]*gamma[n]", (5, 23), "Write gamma[c], or give gamma the axis N."),
    "free index": ("y[n] = x[n,c]", (5, 12), "index c, which is neither on the left nor bound by a reduction"),
    "unused index": ("range m = 3\ny[n] = sum[c,m](x[n,c])", (6, 14), "sum runs over index m, which does not occur"),
    "bound twice": ("y[n] = sum[n](x[n,0])", (5, 12), "already has a value"),
    "defined twice": ("y[n] = x[n,0]\ny[n] = 2", (6, 1), "y is declared a second time; it is a definition (line 5)"),
    "used before its definition": ("y[n] = z[n]\nz[n] = x[n,0]", (5, 8), "before its definition in line 6"),
    "defined by itself": ("y[n] = y[n] + x[n,0]", (5, 8), "y is used in its own definition"),
    "two meanings": ("y[k] = x[k,0]", (5, 3), "k means two things: an index here, and a parameter in line 4"),
    "a size as an index": ("y[N] = x[N,0]", (5, 3), "such as n"),
    "real parameter in an index": ("y[n] = x[n,eps]", (5, 12), "eps is a real parameter"),
    "division in an index": ("y[n] = x[n,k/2]", (5, 14), "Floor division is written //"),
    "fraction in an index": ("y[n] = x[n,1.5]", (5, 12), "1.5 is not an integer"),
    "real tensor in an index": ("y[n] = x[n, gamma[0]]", (5, 13), "gamma is real and cannot stand in an index"),
    "power in an index": ("y[n] = x[n, k^2]", (5, 13), "Write the product out"),
    "a divisor with an index": ("y[n] = x[n, n//(n + 1)]", (5, 17), "A divisor is made of integers"),
    "a negative divisor": ("y[n] = x[n, n//(-2)]", (5, 17), "Divide by 1 or more"),
    "no end": ("y[n] = x[n + 1, 0]", (5, 3), "has no range and stands alone at no axis"),
    "always outside": ("y[n] = x[n, C]", (5, 13), "the axis runs from 0 to C - 1"),
    "below zero": ("y[n] = x[n, -1]", (5, 13), "Give x an outside value (`x[N, C] outside 0`)"),
    "a step too far": ("range n = N\ny[n] = x[n + 1, 0]", (6, 10), "n + 1 reaches N"),
    "a range too long": ("range n = N + 2\ny[n] = x[n, 0]", (6, 10), "n reaches N + 1"),
    "a definition read outside": ("z[n] = x[n,0]\ny[n] = z[n] - z[n-1]", (6, 17), "reads z outside its axis n"),
    "empty range": ("range i = 0\ny[i] = x[0, 0]", (5, 7), "never 1 or more"),
    "size of itself": ("size A = B + 1\nsize B = A - 1\ny[n] = x[n,0]", (5, 6), "size A depends on itself"),
    "too many arguments": ("y[n] = exp(x[n,0], 2)", (5, 8), "exp takes 1 argument, but 2 came"),
    "maximum of one": ("y[n] = max(x[n,0])", (5, 8), "write max[i](...)"),
    "sum without index": ("y[n] = sum(x[n,0])", (5, 8), "sum needs the indices"),
    "sum of nothing": ("y[n] = sum[](x[n,0])", (5, 8), "takes indices and one expression"),
    "unknown reduction": ("y[n] = summ[c](x[n,c])", (5, 8), "Did you mean sum?"),
    "unknown function": ("y[n] = sqr(x[n,0])", (5, 8), "Did you mean sqrt?"),
    "a tensor called": ("y[n] = x(n,0)", (5, 8), "x is a tensor, not a function"),
    "no operator": ("y[n] = 2x[n,0]", (5, 9), "A product is written with *"),
    "power too large": ("y[n] = x[n,0] + 10^400", (5, 17), "the power is too large or too small"),
    "power too small": ("y[n] = x[n,0] + 0.1^302.5", (5, 17), "the power is too large or too small"),
    "a choice of Python": ("y[n] = x[n,0] if x[n,0] > 0 else 0", (5, 15), "written where(CONDITION, A, B)"),
    "a dot": ("y[n] = x[n,0]·2", (5, 14), "Write *."),
    "a long minus": ("y[n] = x[n,0] − 2", (5, 15), "Write -"),
    "an exponent above": ("y[n] = x[n,0]²", (5, 14), "A power is written with ^"),
    "a large sigma": ("y[n] = ∑x[n,0]", (5, 8), "Write sum[i](...)"),
    "matrix product of Python": ("y[n] = x[n,0] @ gamma[0]", (5, 15), "Write the sum over the shared index"),
    "power of Python": ("y[n] = x[n,0]**2", (5, 15), "A power is written with ^"),
    "cut off": ("y[n] = x[n,0] +", (5, 16), "open a bracket first"),
    "open bracket": ("y[n] = (x[n,0] +", (5, 8), "the bracket `(` is not closed before the statement in line 6"),
    "closed twice": ("y[n] = x[n,0])", (5, 14), "`)` closes no bracket"),
    "single equals": ("y[n] = where(x[n,0] = 0, 1, 2)", (5, 21), "A comparison is written =="),
    "no condition": ("y[n] = where(x[n,0], 1, 2)", (5, 14), "a value stands where a condition is expected"),
    "chained": ("y[n] = where(0 < x[n,0] < 1, 1, 2)", (5, 14), "Write a < b and b < c"),
    "condition as a value": ("y[n] = x[n,0] > 0", (5, 8), "Write where(condition, a, b)"),
    "left side twice": ("y[n,n] = x[n,0]", (5, 5), "index n stands twice on the left"),
    "left side compound": ("y[n+1] = x[n,0]", (5, 3), "the left side takes plain indices"),
    "division by zero": ("y[n] = x[n,0]/0", (5, 15), "division by zero"),
    "a word of the notation": ("where[n] = x[n,0]", (5, 1), "cannot be a name"),
    "a word of Python": ("lambda[n] = x[n,0]", (5, 1), "Write another name, such as lambda_"),
    "a gradient's name": ("grad_x[n] = x[n,0]", (5, 1), "the name that the gradient of x will have"),
    "greek": ("y[n] = γ[n]", (5, 8), "Greek letters are spelled out"),
    "parameter twice": ("param k = 3\ny[n] = x[n,0]", (5, 7), "k is declared a second time"),
    "integer with a fraction": (
        "param j = 1.5 integer\ny[n] = x[n,0]",
        (5, 11),
        "the default of integer parameter j is 1.5",
    ),
    "axis of a number": ("input w[N, 3]\ny[n] = x[n,0]", (5, 12), "size NAME = ..."),
    "infinity as a value": ("y[n] = inf*x[n,0]", (5, 8), "inf is a word of the notation"),
    "requirement of a tensor": ("require b > 1\ny[n] = x[n,0]", (5, 9), "tensor b stands in"),
    "no output of that name": ("y[n] = x[n,0]\noutput z", (6, 8), "output z is not defined"),
    "input as output": ("y[n] = x[n,0]\noutput x", (6, 8), "output x is an input"),
}


@pytest.mark.parametrize("what", SLIPS)
def test_a_slip_is_reported_at_its_place_with_the_way_out(what: str) -> None:
    text, (line, column), words = SLIPS[what]
    with pytest.raises(NotationError) as caught:
        read(f"{HEAD}{text}\noutput y\n", "a.eq")

    place = caught.value.place
    assert place is not None
    assert (place.file, place.line, place.column) == ("a.eq", line, column)
    assert words in str(caught.value)


WHOLE = {
    "": "Begin with `layer NAME`.",
    "input x[N]\ny[n] = x[n]\noutput y": "does not begin with `layer NAME`",
    "layer a\nlayer b": "a second layer begins",
    "layer a\ninput x[N]\noutput x": "the layer has no definition",
    "layer a\ninput x[N]\ny[n] = x[n]": "End with `output y`.",
    "layer class\ninput x[N]\ny[n] = x[n]\noutput y": "no module can be called class",
    "layer __init__\ninput x[N]\ny[n] = x[n]\noutput y": "no module can be called __init__",
}


@pytest.mark.parametrize("text", WHOLE)
def test_a_text_that_is_no_layer_says_what_is_missing(text: str) -> None:
    with pytest.raises(NotationError) as caught:
        read(text)

    assert WHOLE[text] in str(caught.value)


def test_the_line_is_shown_with_a_caret_under_the_place() -> None:
    with pytest.raises(NotationError) as caught:
        read(f"{HEAD}y[n,c] =\tx[n,c]*gama[c]\noutput y\n", "a.eq")

    assert str(caught.value).split("\n") == [
        "a.eq, line 5, column 17: y uses gama, but no tensor, definition, size, parameter or index has this name",
        "    y[n,c] = x[n,c]*gama[c]",
        "                    ^",
        "Did you mean gamma?",
    ]


def test_the_caret_stands_under_the_place_behind_wide_characters_and_tabs() -> None:
    line = "\t日本e\u0301 = x"

    assert Place("a.tex", 1, line.index("x") + 1, line).pointed() == f"    {line}\n    \t{' ' * 8}^"


def test_a_size_in_the_place_of_an_index_is_named_in_capitals_where_it_is_declared() -> None:
    with pytest.raises(NotationError, match="Name the size N where it is declared"):
        read("layer a\ninput x[n]\ny[n] = x[n]\noutput y\n")


def test_a_name_that_begins_with_a_digit_is_told_so() -> None:
    with pytest.raises(NotationError, match="A name begins with a letter"):
        read("layer 2a\ninput x[N]\ny[n] = x[n]\noutput y\n")


FILES = {
    "is not text": (b"\xff\xfe\x00layer", "is not text in UTF-8 .*\nSave the file as UTF-8."),
    "is too long": (b"# " + b"\x80" * 1_000_000, "a layer has at most"),
    "contains control characters": (b"layer a\x00b", "means nothing here"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_no_equation_file_is_refused_by_name(what: str, tmp_path: Path) -> None:
    content, words = FILES[what]
    path = tmp_path / "bad.eq"
    path.write_bytes(content)

    with pytest.raises(NotationError, match=words) as caught:
        read_file(path)
    assert "bad.eq" in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.eq", tmp_path):
        with pytest.raises(NotationError, match="cannot be read"):
            read_file(path)
