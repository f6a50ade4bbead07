"""A layer from a document's equations."""

from __future__ import annotations

from typing import Any

import pytest

from symbackprop.documents.layers import layer_of, statement
from symbackprop.documents.source import in_text
from symbackprop.equations import load
from symbackprop.errors import UserError

NORM = r"""
$$\mu = \frac{1}{m} \sum_{i=1}^m x_i$$
$$v = \frac{1}{m} \sum_{i=1}^m (x_i - \mu)^2$$
$$y_i = \gamma \frac{x_i - \mu}{\sqrt{v + \epsilon}} + \beta$$
"""
HEADER = "layer norm\ninput x[N, D], gamma[D], beta[D]\nparam eps = 1e-5"
NAMES = {
    "x_i": "x[i-1, d]", r"\mu": "mu[d]", "v": "var[d]", "y_i": "y[i-1, d]", r"\gamma": "gamma[d]",
    r"\beta": "beta[d]", r"\epsilon": "eps", "m": "N",
}  # fmt: skip


def stated(text: str, **data: Any) -> Any:
    return layer_of(in_text(text), statement({"header": HEADER, "names": NAMES, **data}))


def test_the_equations_of_a_document_become_a_layer() -> None:
    layer = stated(NORM)

    assert [d.name for d in layer.definitions] == ["mu", "var", "y"]
    assert layer.outputs == ("y",)


def test_the_order_of_the_equations_does_not_matter() -> None:
    backwards = "\n".join(reversed(NORM.strip().split("\n")))

    assert {d.name: d.body for d in stated(backwards).definitions} == {d.name: d.body for d in stated(NORM).definitions}


def test_an_equation_that_is_missing_is_named() -> None:
    with pytest.raises(UserError, match="no equation was found for mu"):
        stated(NORM.replace(r"\mu =", r"\mu \approx"))


def test_centred_taps_become_indices_from_zero() -> None:
    header = "layer turned\ninput x[H], w[R]\nsize P = H - R + 1\nrange i = P, n = R"
    names = {"G(i)": "g[i-(N-1)/2]", "f(i)": "x[i]", "K(n)": "w[n+(N-1)/2]", "N": "R"}
    text = r"$$G(i) = \sum_{n=-(N-1)/2}^{(N-1)/2} f(i+n) K(-n)$$"

    with pytest.raises(UserError):  # half a size is no index of the notation
        layer_of(in_text(text), statement({"header": header, "names": names}))


def test_a_read_layer_is_derived_like_any_other() -> None:
    from symbackprop.calculus.derive import derive
    from symbackprop.check.derivation import verify

    assert verify(derive(stated(NORM)), draws=2).gradients > 0
    assert load("batchnorm1d").name == "batchnorm1d"
