r"""Documents in five styles, each audited with the legend that is guessed from it: nothing is said of them by hand.

A course note on softmax, one on batch norm with `\mathcal`, a LaTeX homework on a padded convolution with indices from
1 and centred taps, layer norm with primes for gradients and a symbol of its own, an LSTM cell with marked gates.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from symbackprop.build import load
from symbackprop.documents.audit import Audit, Effort, audit
from symbackprop.documents.guess import guessed, legend_for
from symbackprop.documents.judge import FAILS, HOLDS, HOLDS_IF, NO_CLAIM
from symbackprop.documents.legend import load_legend
from symbackprop.documents.source import formulas

HERE = Path(__file__).parent / "unseen"
WRONG = {  # by the line on which the formula begins, and which of its relations
    ("softmax.md", "softmax.eq"): [(38, 0), (40, 0)],
    ("bn.md", "batchnorm1d"): [(30, 0), (32, 1)],
    ("conv.tex", "conv2d"): [(22, 2), (27, 0), (28, 0)],
    ("ln.tex", "layernorm"): [(23, 0), (24, 0), (25, 0)],
    ("lstm.md", "lstm.eq"): [(19, 0)],
}
OPEN = {
    "lstm.md": [r"\delta h_{k} = \frac{\partial L}{\partial h_{k}}"]
}  # a symbol of two letters is read as a product


def audited(name: str, layer: str, mend: bool = False) -> Audit:
    found = formulas(HERE / name)
    source = load(str(HERE / layer) if layer.endswith(".eq") else layer)
    return audit(found, legend_for(found, source, load), name, effort=Effort(mend))


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
def test_a_guessed_legend_is_short_and_the_same_each_time(name: str, layer: str) -> None:
    found = formulas(HERE / name)
    source = load(str(HERE / layer) if layer.endswith(".eq") else layer)
    text = guessed(found, source, layer)

    assert text == guessed(found, source, layer)
    assert len([line for line in text.splitlines() if not line.startswith("#")]) <= 20


def test_the_legend_of_the_guide_is_right(tmp_path: Path) -> None:
    """The letter n is a column of the kernel in the document, and the image's number in the legend: they stay apart."""
    guide = (Path(__file__).parents[2] / "docs" / "auditing.md").read_text(encoding="utf-8")
    printed = re.search(r"(?m)(?:^    [^\n]+\n)+", guide[guide.index("    layer =") :])
    assert printed is not None
    (tmp_path / "guide.toml").write_text(re.sub(r"(?m)^    ", "", printed.group()), encoding="utf-8")
    found = audit(formulas(HERE / "conv.tex"), load_legend(tmp_path / "guide.toml", load), effort=Effort(mend=False))

    assert [f.formula.line for f in found.findings if f.verdict == FAILS] == [22, 27, 28]
    assert [f for f in found.findings if f.verdict not in (HOLDS, HOLDS_IF, FAILS, NO_CLAIM)] == []
