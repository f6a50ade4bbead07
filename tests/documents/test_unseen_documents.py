r"""Documents in thirteen styles, each audited with the legend that is guessed from it: nothing is said of them by hand.

A course note on softmax, one on batch norm with `\mathcal`, a LaTeX homework on a padded convolution with indices from
1 and centred taps, layer norm with primes for gradients and a symbol of its own, an LSTM cell with marked gates, a
strided convolution with its taps in brackets, mean pooling, attention, one example of softmax with cross entropy, layer
norm in other letters, a network of two layers in matrices, batch norm by its computation graph, a transposed
convolution. Eight have a legend of a few lines: a convolution with a stride, one with dilation too, one with padding
and its flipped kernel, a recitation on pooling, rectifiers and cross entropy, a classifier behind two poolings, layer
norm row by row, group norm with bars for gradients, an attention head in matrices.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path

import pytest

from symbackprop.build import load
from symbackprop.documents.audit import Audit, Effort, audit
from symbackprop.documents.guess import guessed
from symbackprop.documents.judge import FAILS, HOLDS, HOLDS_IF, NO_CLAIM
from symbackprop.documents.legend import legend_of, load_legend
from symbackprop.documents.source import formulas
from symbackprop.notation.layer import Layer

HERE = Path(__file__).parent / "unseen"
WRONG = {  # by the line on which the formula begins, and which of its relations
    ("softmax.md", "softmax.eq"): [(38, 0), (40, 0)],
    ("bn.md", "batchnorm1d"): [(30, 0), (32, 1)],
    ("conv.tex", "conv2d"): [(22, 2), (27, 0), (28, 0)],
    ("ln.tex", "layernorm"): [(23, 0), (24, 0), (25, 0)],
    ("lstm.md", "lstm.eq"): [(19, 0)],
    ("conv1d.tex", "conv1d"): [(20, 0), (21, 0)],
    ("pool.md", "avgpool2d"): [(15, 0)],
    ("attention.tex", "attention.eq"): [(16, 0), (17, 0), (18, 0)],
    ("crossentropy.md", "crossentropy.eq"): [(8, 0), (11, 0)],
    ("norm.tex", "layernorm"): [(11, 2), (17, 0)],
    ("network.tex", "network.eq"): [(6, 5)],
    ("graph.md", "batchnorm1d"): [(41, 0), (61, 0), (87, 0)],
    ("spread.md", "spread.eq"): [(19, 0), (23, 0), (25, 0)],
}
WRONG_WITH_LEGEND = {
    "recitation.tex": [34, 48],
    "dilated.md": [30, 32, 33, 34],
    "rows.tex": [15, 16],
    "heads.tex": [19, 19, 20, 20, 20],
    "padded.tex": [36, 43, 43, 56],
    "classifier.md": [45, 51, 55, 61],
    "groups.tex": [13, 13, 31, 31],
}
OPEN = {
    "lstm.md": [r"\delta h_{k} = \frac{\partial L}{\partial h_{k}}"],  # a symbol of two letters is read as a product
    "pool.md": [  # u and v have no range here
        r"\frac{\partial A_{c,i,j}}{\partial X_{c,S i + u,S j + v}} = \frac{1}{F^{2}}"
    ],
    "attention.tex": [r"a = 1, \dots, d"],
    "graph.md": [  # a set; a name for the whole layer; s is not in the equation of what is differentiated
        r"\mathcal{B} = \{x_1, \dots, x_m\}",
        r"y_{i} = B N_{\gamma,\beta} (x_{i})",
        r"\frac{\partial \hat{x}_{i}}{\partial s} = -\frac{d_{i}}{s^{2}}",
    ],
    "spread.md": [r"t = 0, \dots, T-1", r"k = 0, \dots, K-1"],
    "groups.tex": [r"g = 1, \dots, G", r"d = 1, \dots, D"],
    "norm.tex": [r"h = (h_0, \dots, h_{d-1})"],
}


def layer_of(layer: str) -> Layer:
    return load(str(HERE / layer) if layer.endswith(".eq") else layer)


@lru_cache
def legend_text(name: str, layer: str) -> str:
    return guessed(formulas(HERE / name), layer_of(layer), layer)


def audited(name: str, layer: str) -> Audit:
    legend = legend_of(tomllib.loads(legend_text(name, layer)), lambda _: layer_of(layer))
    return audit(formulas(HERE / name), legend, name, effort=Effort(mend=False))


@pytest.mark.parametrize("name, layer", WRONG)
def test_all_that_is_claimed_is_decided_and_nothing_wrong_is_called_right(name: str, layer: str) -> None:
    seen: dict[int, int] = {}
    wrong, open_ones = [], []
    for finding in audited(name, layer).findings:
        if finding.verdict == NO_CLAIM:
            continue
        at = seen[finding.formula.line] = seen.get(finding.formula.line, -1) + 1
        if finding.verdict == FAILS:
            wrong.append((finding.formula.line, at))
        elif finding.verdict not in (HOLDS, HOLDS_IF):
            open_ones.append(finding.claim)

    assert open_ones == OPEN.get(name, [])
    assert wrong == WRONG[name, layer]


@pytest.mark.parametrize("name, layer", WRONG)
def test_a_guessed_legend_is_short(name: str, layer: str) -> None:
    assert len([line for line in legend_text(name, layer).splitlines() if not line.startswith("#")]) <= 15


def test_four_lines_are_enough_for_a_convolution_with_a_stride() -> None:
    found = audit(formulas(HERE / "strided.md"), load_legend(HERE / "strided.toml", load), effort=Effort(mend=False))
    verdicts = [(f.formula.line, f.verdict) for f in found.findings if f.verdict != NO_CLAIM]

    assert verdicts == [(5, HOLDS), (6, HOLDS), (7, HOLDS_IF), (8, FAILS), (9, HOLDS_IF), (10, FAILS)]
    assert found.findings[-2].judgement.conditions == ("there is only one n",)


@pytest.mark.parametrize("name", WRONG_WITH_LEGEND)
def test_with_a_short_legend_all_is_decided_and_what_is_wrong_fails(name: str) -> None:
    file = HERE / name
    text = file.with_suffix(".toml").read_text(encoding="utf-8")
    findings = audit(formulas(file), legend_of(tomllib.loads(text), layer_of), name, effort=Effort(mend=False)).findings
    verdicts = [(f.verdict, f.formula.line, f.claim) for f in findings if f.verdict != NO_CLAIM]
    wrong = [line for verdict, line, _ in verdicts if verdict == FAILS]

    assert len(text.splitlines()) <= 15
    assert [claim for verdict, _, claim in verdicts if verdict not in (HOLDS, HOLDS_IF, FAILS)] == OPEN.get(name, [])
    assert wrong == WRONG_WITH_LEGEND[name]


def test_a_guess_is_the_same_each_time() -> None:
    name, layer = "softmax.md", "softmax.eq"

    assert guessed(formulas(HERE / name), layer_of(layer), layer) == legend_text(name, layer)


def test_the_legend_of_the_guide_is_right(tmp_path: Path) -> None:
    """The letter n is a column of the kernel in the document, and the image's number in the legend: they stay apart."""
    guide = (Path(__file__).parents[2] / "docs" / "auditing.md").read_text(encoding="utf-8")
    printed = re.search(r"(?m)(?:^    [^\n]+\n)+", guide[guide.index("    layer =") :])
    assert printed is not None
    (tmp_path / "guide.toml").write_text(re.sub(r"(?m)^    ", "", printed.group()), encoding="utf-8")
    found = audit(formulas(HERE / "conv.tex"), load_legend(tmp_path / "guide.toml", load), effort=Effort(mend=False))

    assert [f.formula.line for f in found.findings if f.verdict == FAILS] == [22, 27, 28]
    assert [f for f in found.findings if f.verdict not in (HOLDS, HOLDS_IF, FAILS, NO_CLAIM)] == []
