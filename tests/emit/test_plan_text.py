"""The plan of a layer in words: which form each gradient has, what is kept, what it costs."""

from __future__ import annotations

import pytest

from symbackprop import build
from symbackprop.notation.reader import read

SAYS = {
    "linear": "grad_x: gathered, each element a sum of what reaches it",
    "conv2d": "grad_x: gathered in loops; scattered in array statements",
    "embedding": "grad_weight: scattered, each term to its element: the position is read from an integer tensor",
}


@pytest.mark.parametrize("name", SAYS)
def test_the_form_of_each_gradient_is_said_with_its_reason(name: str) -> None:
    assert SAYS[name] in build.explanation(build.load(name))


def test_the_plan_names_what_is_kept_what_shares_a_pass_and_what_it_costs() -> None:
    plan = build.explanation(build.load("batchnorm2d"))

    for part in ("saved", "moves", "operations        forward", "float32 bytes     forward at least"):
        assert part in plan


def test_the_plan_says_why_a_tensor_is_kept() -> None:
    plan = build.explanation(build.load("softmax_cross_entropy"))

    assert "exp_z: to compute it again costs its function at every element" in plan
    assert "sum_exp_z: to compute it again is a pass over what it reduces" in plan
    assert "t: an input that the backward pass reads" in plan


def test_the_pass_that_keeps_nothing_is_shown_where_it_is_another_one() -> None:
    fused = """
        layer rectified
        input x[N, D], weight[K, D], bias[K]
        y[n,k] = relu(bias[k] + sum[d](x[n,d]*weight[k,d]))
        output y
    """
    plan = build.explanation(read(fused))
    kept, alone = plan.split("forward where nothing is kept (keep=False)")

    assert "moves" in alone.split("backward")[0]
    assert alone.split("backward")[0].count(". parallel") < kept.split("Loops")[1].count(". parallel")
    assert "keep=False" not in build.explanation(build.load("softmax"))


def test_bytes_are_four_for_each_element() -> None:
    plan = build.explanation(build.load("relu"))

    assert "float32 bytes     forward at least 8*D*N" in plan
