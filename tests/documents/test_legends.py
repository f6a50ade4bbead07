"""Legends: checked against their layer, and guessed from a document."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from symbackprop.documents.guess import guessed, legend_for
from symbackprop.documents.latex.tree import latex
from symbackprop.documents.legend import Legend, legend_of
from symbackprop.documents.meant import LegendError
from symbackprop.documents.source import in_text
from symbackprop.equations import load

NORM = r"""
$$\mu = \frac{1}{m} \sum_{i=1}^m x_i$$
$$\sigma^2 = \frac{1}{m} \sum_{i=1}^m (x_i - \mu)^2$$
$$\hat{x}_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \epsilon}}$$
$$o_i = \gamma \hat{x}_i + \beta$$
$$\frac{\partial E}{\partial \beta} = \sum_{i=1}^m \frac{\partial E}{\partial o_i}$$
"""


def legend(**data: Any) -> Legend:
    return legend_of({"layer": "batchnorm1d", **data}, load)


@pytest.mark.parametrize(
    "data, message",
    [
        ({"names": {"x_i": "z[i]"}}, "no tensor z"),
        ({"names": {"x_i": "x[i]"}}, "has 2 axes, and 1 positions"),
        ({"names": {"m": "Z"}}, "no size or parameter Z"),
        ({"names": {"x_": "x[i, d]"}}, "the formula ends"),
        ({"fix": {"Z": 2}}, "no such size"),
        ({"fix": {"N": -1}}, "whole number"),
        ({"absent": ["bias"]}, "no such input"),
        ({"nonsense": 1}, "no entry `nonsense`"),
        ({"prime": "slope"}, "only meaning"),
        ({"sizes": {"m": "Z"}}, "no size or parameter Z"),
        ({"loss": 3}, "a list of texts"),
        ({"first": [1]}, "whole number or an expression of sizes"),
        ({"first": {"i": "("}}, "first `\\("),
        ({"lines": "a-b"}, 'written as "60-105, 120"'),
    ],
)
def test_a_legend_that_does_not_fit_its_layer_is_refused(data: dict[str, Any], message: str) -> None:
    with pytest.raises(LegendError, match=message):
        legend(**data)


def test_the_last_part_with_a_line_speaks_of_it() -> None:
    parts = legend(part=[{"lines": "5-9", "fix": {"N": 2}}])

    assert parts.part(3).fixed == {}
    assert parts.part(7).fixed == {"N": 2}


def test_a_line_without_a_part_is_an_error_and_no_guess() -> None:
    only = legend_of({"part": [{"layer": "batchnorm1d", "lines": "1-2"}]}, load)

    with pytest.raises(LegendError, match="no part for line 3"):
        only.part(3)


def test_a_guess_finds_names_counting_and_loss() -> None:
    data = tomllib.loads(guessed(in_text(NORM), load("batchnorm1d"), "batchnorm1d"))

    assert data["loss"] == ["E"]
    assert data["names"]["x_{i}"] == "x[i-1, d]"
    assert data["names"]["o_{i}"] == "y[i-1, d]"
    assert data["sizes"]["m"] == "N"


def test_a_guess_is_a_legend() -> None:
    layer = load("batchnorm1d")

    assert legend_for(in_text(NORM), layer, load).parts[0].layer is layer


def test_a_prime_is_the_gradient_of_every_symbol() -> None:
    symbols = legend(prime="gradient", names={"x_i": "x[i, d]", "g": "gamma[d]"}).parts[0].symbols

    assert [(s.base, s.tensor, s.gradient) for s in symbols][2:] == [("x'", "x", True), ("g'", "gamma", True)]


def test_indices_without_positions_stand_for_the_last_axes_and_count_from_their_first_values() -> None:
    first = {"i": "(M-1)/2", "u": "-(M-1)/2"}
    given = legend_of(
        {"layer": "conv2d", "first": first, "names": {"Y(k,i)": "y", "W(u)": "weight", "b": "bias", "M": "S"}}, load
    )
    positions = [[latex(slot) for slot in symbol.slots][-2:] for symbol in given.parts[0].symbols]

    assert positions == [["k", "i - (M - 1)/2"], [positions[1][0], "u + (M - 1)/2"], [r"\mathrm{kKapart}"]]


def test_what_is_called_as_is_customary_need_not_be_named() -> None:
    part = legend(usual=True, names={"C_{i,j}": "x[i-1, j-1]", "m": "N", "y": "gamma[d]"}).parts[0]
    symbols = {(s.base, s.power): (s.tensor, s.formals) for s in part.symbols}

    assert symbols[r"\hat{C}", ""] == ("xhat", ("i", "j"))
    assert symbols[r"\sigma", "2"] == ("var", ("j",))
    assert symbols["y", ""][0] == "gamma"  # what the legend says goes before custom
    assert {"m", "N", "D", r"\epsilon"} == set(part.constants)
    assert part.customary == {"N", "D", r"\epsilon"}


@pytest.mark.parametrize("name", ["vijay", "nptel", "iitp", "wu"])
def test_fifteen_lines_say_what_the_names_of_a_document_mean(name: str) -> None:
    text = (Path(__file__).parent / f"{name}.legend.toml").read_text(encoding="utf-8")

    assert len([line for line in text.splitlines() if line and not line.startswith("#")]) <= 15
