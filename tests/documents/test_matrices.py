"""Matrix notation, judged as the index notation that it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from symbackprop.documents.audit import Finding, audit
from symbackprop.documents.judge import FAILS, HOLDS, NO_CLAIM, NOT_DECIDED
from symbackprop.documents.legend import legend_of
from symbackprop.documents.source import Formula, formulas
from symbackprop.equations import load

LINEAR: dict[str, Any] = {
    "layer": "linear",
    "matrices": True,
    "usual": True,
    "names": {"X": "x", "Y": "y", "dX": "grad x", "dW": "grad weight", "dY": "grad y", "db": "grad bias"},
}


def judged(text: str, legend: dict[str, Any] = LINEAR) -> Finding:
    (finding,) = audit([Formula(text, 1)], legend_of(legend, load)).findings
    return finding


def test_notes_in_matrix_notation_are_judged() -> None:
    found = audit(formulas(Path(__file__).parent / "unseen" / "linear.md"), legend_of(LINEAR, load)).findings

    assert [f.formula.line for f in found if f.verdict == FAILS] == [6, 7, 10, 11]
    assert [f.verdict for f in found if f.verdict not in (HOLDS, FAILS)] == [NO_CLAIM]


@pytest.mark.parametrize(
    "text, edit",
    [
        (r"dX = dY W^T", ("transposition", "W^{T}", "W")),
        (r"dX = W dY", ("order", r"W \mathrm{dY}", r"\mathrm{dY} W")),
        (r"dW = X^T dY", ("order", r"X^{T} \mathrm{dY}", r"\mathrm{dY}^{T} X")),
        (
            r"\frac{\partial L}{\partial W} = \frac{\partial L}{\partial Y} X",
            ("transposition", r"\frac{\partial L}{\partial Y}", r"(\frac{\partial L}{\partial Y})^{T}"),
        ),
    ],
)
def test_a_factor_is_turned_or_moved_to_where_it_fits(text: str, edit: tuple[str, str, str]) -> None:
    finding = judged(text)

    assert finding.verdict == FAILS
    assert "sizes do not fit" in finding.judgement.reason
    assert [(e.kind, e.before, e.after) for e in finding.repairs[0].edits] == [edit]


def test_a_square_matrix_the_wrong_way_round_is_wrong_though_its_sizes_fit() -> None:
    square = "layer square\ninput A[N, N], x[N, N]\ny[i,j] = sum[k](A[i,k]*x[k,j])\noutput y\n"
    finding = judged(
        "dx = A dy", {"equations": square, "matrices": True, "names": {"A": "A", "dx": "grad x", "dy": "grad y"}}
    )

    assert finding.verdict == FAILS
    assert [(e.kind, e.before, e.after) for e in finding.repairs[0].edits] == [("transposition", "A", "A^{T}")]


def test_vectors_are_columns_and_two_of_them_make_a_number_or_a_matrix() -> None:
    one = "layer one\ninput W[K, D], x[D], b[K]\ny[k] = sum[d](W[k,d]*x[d]) + b[k]\noutput y\n"
    legend = {"equations": one, "matrices": True, "usual": True, "names": {"W": "W", r"\delta": "grad y"}}
    texts = {
        "y = W x + b": HOLDS,
        "y^T = x^T W^T + b^T": HOLDS,
        r"\frac{\partial L}{\partial W} = \delta x^T": HOLDS,
        r"\frac{\partial L}{\partial W} = x \delta^T": FAILS,
        r"\frac{\partial L}{\partial x} = W^\top \delta": HOLDS,
        r"\delta^T W x = x^T W^T \delta": HOLDS,
        r"\frac{\partial L}{\partial x} = x^2": NOT_DECIDED,
    }

    assert {text: judged(text, legend).verdict for text in texts} == texts


def test_functions_and_the_odot_product_are_meant_element_by_element() -> None:
    cell = "layer cell\ninput W[K, D], x[D]\na[k] = sum[d](W[k,d]*x[d])\nh[k] = tanh(a[k])\noutput h\n"
    legend = {"equations": cell, "matrices": True, "usual": True, "names": {"W": "W", r"\delta": "grad h"}}
    right = r"\frac{\partial L}{\partial x} = W^T (\delta \odot (1 - h \odot h))"
    loose = r"\frac{\partial L}{\partial a} = (1 - h \odot h) \odot \delta"

    assert [judged(text, legend).verdict for text in ("h = \\tanh(W x)", right, loose)] == [HOLDS, HOLDS, HOLDS]
    assert judged(right.replace(r"\odot", ""), legend).verdict == FAILS


def test_a_matrix_by_a_matrix_without_indices_is_said_to_lack_them() -> None:
    finding = judged(r"\frac{\partial Y}{\partial X} = W")

    assert finding.verdict == NOT_DECIDED
    assert "has 4 indices" in finding.judgement.reason
    assert r"write `\frac{\partial Y_{i,j}}{\partial X_{k,l}}`" in finding.judgement.reason
