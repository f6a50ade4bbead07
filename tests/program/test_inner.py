"""Reductions inside of other things: which become definitions, and what backward gains."""

from __future__ import annotations

import pytest

from symbackprop.calculus.derive import derive
from symbackprop.notation.printer import expression
from symbackprop.notation.reader import read
from symbackprop.program.inner import with_inner_definitions
from symbackprop.program.plan import plan

LINEAR = "input x[N, D], weight[K, D], bias[K]"


def parted(declarations: str, body: str) -> list[str]:
    layer = read(f"layer one\n{declarations}\n{body}\noutput y\n")
    return [f"{expression(d.element)} = {expression(d.body)}" for d in with_inner_definitions(layer).definitions]


def test_a_product_inside_of_a_function_gets_a_name() -> None:
    assert parted(LINEAR, "y[n,k] = relu(bias[k] + sum[d](x[n,d]*weight[k,d]))") == [
        "sum_x_weight[n,k] = sum[d](x[n,d]*weight[k,d])",
        "y[n,k] = relu(bias[k] + sum_x_weight[n,k])",
    ]


def test_equal_ones_get_one_name_and_those_inside_come_first() -> None:
    inner = "tanh(sum[d](x[n,d]*weight[m,d]))"

    body = f"y[n,k] = exp(sum[m]({inner}*b[k,m])) + sum[m]({inner})"

    assert parted("input x[N, D], weight[M, D], b[K, M]", body) == [
        "sum_x_weight[n,m] = sum[d](x[n,d]*weight[m,d])",
        "sum_tanh_x_weight_b[n,k] = sum[m](tanh(sum_x_weight[n,m])*b[k,m])",
        "y[n,k] = exp(sum_tanh_x_weight_b[n,k]) + sum[m](tanh(sum_x_weight[n,m]))",
    ]


@pytest.mark.parametrize(
    "body",
    [
        "y[n,k] = bias[k] + 2*sum[d](x[n,d]*weight[k,d])",  # only added
        "y[n,d] = x[n,d]/sqrt(mean[e](x[n,e]^2))",  # every read has the reduction's index
        "y[n,d] = x[n,d]*sum[k](bias[k])",  # none to add up over
    ],
)
def test_what_gains_nothing_stays(body: str) -> None:
    assert len(parted(LINEAR, body)) == 1


def test_behind_a_condition_only_what_can_be_read_everywhere() -> None:
    windows = "range p = N, r = 2\n"
    body = "y[p,d] = where(p > 0, exp(sum[r](x[p + r - 1, d])), 0)"

    assert len(parted("input x[N, D]\n" + windows, body.replace("p > 0", "p > 0 and p + 1 < N"))) == 1
    assert len(parted("input x[N, D] outside 0\n" + windows, body)) == 2


def test_backward_computes_no_sum_of_forward_again() -> None:
    layer = read(
        "layer one\ninput x[N, C, H] outside 0, weight[K, C, R]\nparam pad = 1 integer\nrange p = H + 2*pad - R + 1\n"
        "y[n,k,p] = max(sum[c,r](x[n, c, p + r - pad]*weight[k,c,r]), 0)\noutput y\n"
    )
    program = plan(derive(layer))
    kinds = [(s.kind, s.target) for s in program.backward]

    assert program.layer == layer
    assert kinds == [("map", "grad_sum_x_weight"), ("sum", "grad_x"), ("sum", "grad_weight")]
    assert "sum_x_weight" in program.saved
