"""The plan of a layer in words: which form each gradient has, what is kept, what it costs."""

from __future__ import annotations

import pytest

from symbackprop import build

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

    for part in ("saved", "moves", "operations        forward", "elements moved    forward at least"):
        assert part in plan
