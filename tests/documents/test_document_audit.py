"""The audit on four documents, and on formulas that are wrong in ways that people are."""

from __future__ import annotations

import json
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from symbackprop.documents.audit import Audit, audit, statements_of
from symbackprop.documents.claims import claims
from symbackprop.documents.guess import legend_for
from symbackprop.documents.judge import FAILS, HOLDS, HOLDS_IF, NO_CLAIM, NOT_DECIDED, NOT_READ, judge
from symbackprop.documents.legend import legend_of
from symbackprop.documents.locate import located
from symbackprop.documents.report import FORMATS, as_markdown
from symbackprop.documents.source import Formula, title
from symbackprop.equations import load
from tests.documents.page import DOCUMENTS, HEAD, PAGE
from tests.documents.page import audited as document

HERE = Path(__file__).parent
JUDGED = ("definition", "derivative", "step", "statistic")

NORM: dict[str, Any] = {
    "layer": "batchnorm1d",
    "loss": ["J"],
    "names": {
        "x_i": "x[i-1, d]",
        r"\hat{x}_i": "xhat[i-1, d]",
        "u_i": "y[i-1, d]",
        r"\mu": "mu[d]",
        r"\sigma^2": "var[d]",
        r"\gamma": "gamma[d]",
        r"\beta": "beta[d]",
        r"\epsilon": "eps",
        "m": "N",
    },
}
CONV: dict[str, Any] = {
    "layer": "conv2d",
    "silent": ["k", "c"],
    "fix": {"N": 1},
    "names": {
        "Y(k, i, j)": "y[0, k, i, j]",
        "X(c, i, j)": "x[0, c, i, j]",
        "W(k, c, u, v)": "weight[k, c, u, v]",
        "b_k": "bias[k]",
        "R": "R",
        "S": "S",
        "C": "C",
        "H'": "P",
        "H": "H",
        "p": "pad",
        "s": "stride",
        "P": "P",
        "Q": "Q",
    },
}


def audited(*texts: str, legend: dict[str, Any] = NORM) -> Audit:
    return audit([Formula(text, at + 1) for at, text in enumerate(texts)], legend_of(legend, load))


def entries(name: str) -> list[dict[str, Any]]:
    found = tomllib.loads((HERE / f"{name}.toml").read_text(encoding="utf-8"))["formula"]
    assert isinstance(found, list)
    return found


@pytest.fixture(scope="module", params=DOCUMENTS)
def name(request: pytest.FixtureRequest) -> str:
    """A document; with the scope of the module, so that its claims are tested together on one audit."""
    return str(request.param)


def test_every_formula_of_a_document_gets_the_verdict_that_it_deserves(name: str) -> None:
    found: dict[str, list[str]] = {}
    for finding in document(name).findings:
        found.setdefault(finding.formula.name, []).append(finding.verdict)

    assert found == {entry["id"]: entry["verdict"] for entry in entries(name)}


def test_the_page_on_the_documents_is_what_the_audit_says(name: str) -> None:
    """`python -m tests.documents.page` writes it."""
    assert as_markdown(document(name)) in PAGE.read_text(encoding="utf-8")


def test_the_page_has_a_section_for_each_document_and_no_other() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page.startswith(HEAD)
    assert [s.partition("\n")[0] for s in page.split("\n## ")[1:]] == [title(HERE / f"{n}.toml") for n in DOCUMENTS]


def test_whatever_is_wrong_or_needs_a_convention_has_its_evidence(name: str) -> None:
    bare = [e["id"] for e in entries(name) if {FAILS, HOLDS_IF} & set(e["verdict"]) and not e.get("evidence")]

    assert bare == []


# ------------------------------------------------------------------------------------- verdicts and reasons


def test_a_formula_that_fails_shows_where_and_what_should_stand_there() -> None:
    finding = audited(r"\frac{\partial \hat{x}_i}{\partial \mu} = \frac{1}{\sqrt{\sigma^2 + \epsilon}}").findings[0]

    assert finding.verdict == FAILS
    assert finding.judgement.difference is not None
    assert finding.judgement.difference.left != finding.judgement.difference.right
    assert finding.repairs[0].edits[0].kind == "sign"


def test_an_undeclared_name_is_never_a_free_variable() -> None:
    found = audited(r"\hat{x}_i + q = q + \hat{x}_i", r"\hat{x}_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \zeta}}")

    assert [f.verdict for f in found.findings] == [NOT_DECIDED, NOT_DECIDED]
    assert r"`\zeta` is not declared" in found.findings[1].judgement.reason


def test_an_index_that_nothing_binds_makes_a_formula_wrong() -> None:
    finding = audited(r"\mu = \frac{1}{m} \sum_{i=1}^m x_j").findings[0]

    assert finding.verdict == FAILS
    assert "index j on the right" in finding.judgement.reason


def test_each_line_is_judged_for_itself_and_against_the_line_before() -> None:
    found = audited(
        r"\frac{\partial J}{\partial \hat{x}_i} &= "
        r"\frac{\partial J}{\partial u_i} \frac{\partial u_i}{\partial \hat{x}_i} \\"
        r"&= \frac{\partial J}{\partial u_i} \beta \\ &= \beta \frac{\partial J}{\partial u_i}"
    )

    assert [f.verdict for f in found.findings] == [HOLDS, FAILS, FAILS]
    assert found.findings[1].step == "does not follow from the line before"
    assert "wrong already" in found.findings[2].step


def test_a_formula_that_begins_with_a_relation_goes_on_with_the_one_before() -> None:
    found = audited(r"\frac{\partial \mu}{\partial x_i} = \frac{1}{m}", r"= \frac{2}{2 m}")

    assert [f.verdict for f in found.findings] == [HOLDS, HOLDS]


def test_a_local_derivative_holds_all_else_fixed_and_a_total_one_does_not() -> None:
    local = r"\frac{\partial \hat{x}_i}{\partial x_i} = \frac{1}{\sqrt{\sigma^2 + \epsilon}}"
    total = r"\frac{d J}{d x_i} = \sum_{j=1}^m \frac{dJ}{d\hat{x}_j} \frac{d\hat{x}_j}{dx_i}"
    found = audited(local, total)

    assert [f.verdict for f in found.findings] == [HOLDS, HOLDS]
    assert found.findings[1].judgement.reading == "with total derivatives"


def test_counting_from_the_wrong_end_is_seen() -> None:
    assert audited(r"\mu = \frac{1}{m} \sum_{i=0}^{m-1} x_i").findings[0].verdict == FAILS


def test_a_gradient_that_is_zero_outside_is_a_convention_that_is_named() -> None:
    text = (
        r"\frac{\partial L}{\partial X(c, i, j)} = \sum_k \sum_{u=0}^{R-1} \sum_{v=0}^{S-1} "
        r"\frac{\partial L}{\partial Y(k, i - u, j - v)} W(k, c, u, v)"
    )
    finding = audited(text, legend=CONV).findings[0]

    assert finding.verdict == HOLDS_IF
    assert finding.judgement.conditions == ("the gradient is zero outside the output", "s = 1", "p = 0")


def test_a_bound_that_is_off_by_one_fails_even_where_it_adds_zero() -> None:
    text = (
        r"\frac{\partial L}{\partial W(k, c, u, v)} = \sum_{i=0}^{P} \sum_{j=0}^{Q-1} "
        r"\frac{\partial L}{\partial Y(k, i, j)} X(c, i + u, j + v)"
    )
    finding = audited(text, legend=CONV).findings[0]

    assert finding.verdict == FAILS
    assert finding.repairs[0].edits[0].kind == "bound"


def test_a_kernel_that_is_turned_is_not_the_same_layer() -> None:
    text = r"Y(k, i, j) = \sum_{c=0}^{C-1} \sum_{u=0}^{R-1} \sum_{v=0}^{S-1} X(c, i - u, j - v) W(k, c, u, v) + b_k"

    assert audited(text, legend=CONV).findings[0].verdict == FAILS


def test_a_shape_rule_without_rounding_holds_where_the_stride_divides() -> None:
    right, wrong = audited("H' = (H - R + 2 p)/s + 1", "H' = (H - R + p)/s + 1", legend=CONV).findings

    assert (right.verdict, wrong.verdict) == (HOLDS_IF, FAILS)
    assert wrong.repairs[0].edits[0].after == "2 p"


@pytest.mark.parametrize("text", ["m = 5", r"\gamma = \mu", r"x_i = x_i + \gamma", r"\hat{x}_i", "i < m"])
def test_what_claims_nothing_is_never_called_right(text: str) -> None:
    assert audited(text).findings[0].verdict in (NO_CLAIM, NOT_DECIDED)


def test_counts_are_arithmetic() -> None:
    assert [f.verdict for f in audited("3*5*5 + 1 = 76", "75*10240 = 768K", "3*5 = 16").findings] == [
        HOLDS,
        HOLDS,
        FAILS,
    ]


# ----------------------------------------------------------------------------------------- a new document


def test_a_document_that_nobody_saw_is_judged_with_the_guessed_legend() -> None:
    text = (
        r"$$\mu = \frac{1}{n} \sum_{i=1}^n x_i$$ $$v = \frac{1}{n} \sum_{i=1}^n (x_i - \mu)^2$$"
        r"$$y_i = \gamma \frac{x_i - \mu}{\sqrt{v + \epsilon}} + \beta$$"
        r"$$\frac{\partial L}{\partial \beta} = \sum_{i=1}^n \frac{\partial L}{\partial y_i}$$"
        r"$$\frac{\partial L}{\partial \gamma} = "
        r"\sum_{i=1}^n \frac{\partial L}{\partial y_i} \frac{x_i - \mu}{v + \epsilon}$$"
    )
    from symbackprop.documents.source import in_text

    found = audit(in_text(text), legend_for(in_text(text), load("batchnorm1d"), load))

    assert [f.verdict for f in found.findings] == [HOLDS, HOLDS, HOLDS, HOLDS, FAILS]
    assert found.findings[4].repairs != ()


# --------------------------------------------------------------------------------------------------- reports


def test_every_format_says_the_same() -> None:
    found = audited(r"\mu = \frac{1}{m} \sum_{i=1}^m x_i", r"\mu = \sum_{i=1}^m x_i", r"a + \dots")
    table, markdown, data = (FORMATS[form](found, True) for form in ("table", "markdown", "json"))

    assert found.status == 1
    assert json.loads(data)["counts"] == {HOLDS: 1, FAILS: 1, NOT_READ: 1}
    assert "the first that is wrong: line 2" in table
    assert "### Errata" in markdown


def test_the_status_tells_wrong_from_unread() -> None:
    right, wrong, unread = r"\mu = \frac{1}{m} \sum_{i=1}^m x_i", r"\mu = m", r"\mu = \dots"

    assert [audited(text).status for text in (right, wrong, unread)] == [0, 1, 2]


def test_processes_share_a_document_and_say_what_one_says() -> None:
    texts = (
        r"s_i = \hat{x}_i + \beta",
        r"u_i &= s_i \\ &= \gamma \hat{x}_i + \beta",
        r"= \gamma \hat{x}_i",
        r"a + \dots",
    )
    found, meant = [Formula(text, at) for at, text in enumerate(texts)], legend_of(NORM, load)
    together = audit(found, meant, jobs=2)

    assert [(f.claim, f.verdict, f.step) for f in together.findings] == [
        (f.claim, f.verdict, f.step) for f in audit(found, meant).findings
    ]
    assert [f.verdict for f in together.findings] == [NO_CLAIM, FAILS, HOLDS, FAILS, NOT_READ]


def test_what_is_read_outside_its_range_is_the_place() -> None:
    legend = {"layer": "batchnorm1d", "loss": ["J"], "usual": True, "names": {"x_{i,j}": "x[i, j]", "m": "N"}}
    text = r"\hat{x}_{i,j} = \frac{x_{i,j} - \mu_{j+1}}{\sqrt{\sigma_j^2 + \epsilon}}"
    part = legend_of(legend, load).parts[0]
    (claim,) = claims(statements_of(text, part.vocabulary())[0], part)
    assert claim.relation is not None
    place = located(claim.relation, part, judge(claim.relation, part), time.process_time() + 9)

    assert (place.text, place.why) == (r"\mu_{j + 1}", "it is read outside its range")


def test_repairs_come_out_the_same_every_time() -> None:
    text = r"\sigma^2 = \frac{1}{m} \sum_{i=1}^m (x_i + \mu)^2"

    assert audited(text).findings[0].repairs == audited(text).findings[0].repairs


def judged_as(text: str, data: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The verdict on one formula, and what it needs."""
    finding = audit([Formula(text, 1)], legend_of(data, load)).findings[0]
    return finding.verdict, finding.judgement.conditions


def test_a_limit_that_is_right_for_a_kernel_of_1_and_of_3_is_wrong() -> None:
    data = {"layer": "conv1d", "odd": ["S"], "first": {"m": "-(S-1)/2"}, "fix": {"N": 1}, "usual": True,
            "names": {"a_{c,i}": "x", "K_{k,c,m}": "weight", "y_{k,i}": "y", "b_k": "bias"}}  # fmt: skip
    right = r"y_{k,i} = b_k + \sum_{c} \sum_{m=-(S-1)/2}^{(S-1)/2} a_{c, i + m + (S-1)/2} K_{k,c,m}"

    assert judged_as(right, data)[0] == HOLDS
    assert judged_as(right.replace("^{(S-1)/2}", "^{2/(S-1)}"), data)[0] == FAILS


def test_what_leaves_out_a_padding_that_the_legend_names_holds_only_without_it() -> None:
    left = r"\frac{\partial J}{\partial W(k, c, u, v)} = \sum_{i=0}^{P-1} \sum_{j=0}^{Q-1}"
    left += r"\frac{\partial J}{\partial Y(k, i, j)}"

    assert judged_as(rf"{left} X(c, s i + u, s j + v)", {**CONV, "loss": ["J"]})[1] == ("p = 0",)


def test_an_identity_of_exp_and_log_that_no_exact_arithmetic_knows_holds() -> None:
    """The layer subtracts the largest score first."""
    data = {
        "layer": "softmax_cross_entropy",
        "loss": ["L"],
        "first": 1,
        "names": {"z_{n,k}": "z", "t_n": "t", "N": "N", "K": "K"},
    }
    right = r"L = -\frac{1}{N} \sum_{n=1}^{N} \log \frac{\exp(z_{n,t_n})}{\sum_{k=1}^{K} \exp(z_{n,k})}"

    assert judged_as(right, data) == (HOLDS, ())
    assert judged_as(right.replace(r"\log", r"2 \log"), data)[0] == FAILS
    assert "equal up to rounding" in FORMATS["table"](audited(right, legend=data), True)


def test_a_sum_over_more_than_can_be_tried_is_not_decided_at_once() -> None:
    data = {"layer": "relu", "names": {"x_{i,j}": "x", "y_{i,j}": "y"}}
    started = time.process_time()

    assert judged_as(r"y_{i,j} = \sum_{k=1}^{1000} \sum_{l=1}^{1000} \sum_{m=1}^{1000} x_{i,j}", data)[0] == NOT_DECIDED
    assert judged_as(r"y_{i,j} = \sum_{k=1}^{10^{100}} x_{i,j}", data)[0] == NOT_DECIDED
    assert time.process_time() - started < 10
