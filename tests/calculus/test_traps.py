"""What computer algebra gets wrong with sums and deltas: each trap of the design, and the right answer here."""

from __future__ import annotations

import time
from fractions import Fraction
from types import ModuleType

import numpy as np
import pytest

from symbackprop.build import module
from symbackprop.calculus.derive import derive
from symbackprop.check.derivation import verify
from symbackprop.check.forward import forward
from symbackprop.equations import load
from symbackprop.errors import SymbackpropError
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Reduce, walk
from symbackprop.notation.reader import read

STRIDED = """
layer strided
input x[N]
range j = (N + 1)//2
y[j] = x[2*j]
output y
"""


def numpy_module_of(layer: Layer) -> ModuleType:
    made = ModuleType(layer.name)
    exec(module(derive(layer), "numpy"), made.__dict__)
    return made


def gradient(text: str, **arrays: np.ndarray) -> dict[str, np.ndarray]:
    """All gradients of the generated NumPy module, the output gradient first among the arrays."""
    made = numpy_module_of(read(text))
    dy = arrays.pop("dy")
    _, saved = made.forward(*arrays.values())
    return made.backward(saved, dy)._asdict()


def test_a_strided_read_leaves_a_divisibility_guard() -> None:
    grads = gradient(STRIDED, dy=np.array([5.0, 7.0]), x=np.zeros(4))

    assert grads["x"].tolist() == [5.0, 0.0, 7.0, 0.0]


def test_the_order_of_two_sums_does_not_decide_the_answer() -> None:
    one = read("layer a\ninput x[N] outside 0, w[R]\nrange j = N\ny[j] = sum[r](x[2*j + r]*w[r])\noutput y\n")
    two = read("layer a\ninput w[R], x[N] outside 0\nrange j = N\ny[j] = sum[r](w[r]*x[r + 2*j])\noutput y\n")

    verify(derive(one))
    verify(derive(two))


def test_a_bound_index_is_not_captured_by_the_index_of_the_gradient() -> None:
    text = "layer a\ninput x[N]\nL = sum[i](x[i]^2)\noutput L\n"
    grads = gradient(text, dy=np.array(1.0), x=np.array([1.0, 2.0, 5.0]))

    assert grads["x"].tolist() == [2.0, 4.0, 10.0]


def test_an_empty_sum_is_refused_and_never_negative() -> None:
    layer = read("layer a\ninput x[N] outside 0\nrange i = N - 3\nL = sum[i](x[i])\noutput L\n")

    with pytest.raises(SymbackpropError, match="comes out as"):
        forward(layer, {"x": np.ones(2)})
    with pytest.raises(ValueError, match="-1"):
        numpy_module_of(layer).forward(np.ones(2))


def test_batch_norm_is_derived_at_once_and_has_two_sums() -> None:
    start = time.perf_counter()
    derivation = derive(load("batchnorm2d"))
    seconds = time.perf_counter() - start
    body = derivation.stage("x").gradient.gather.body

    assert len({e for e in walk(body) if isinstance(e, Reduce)}) == 2
    assert seconds < 10  # a doit() takes a minute; the real bound is in the benchmark


def test_a_tie_gives_the_whole_gradient_to_the_first() -> None:
    text = "layer a\ninput x[N]\ny = max[i](x[i])\noutput y\n"
    grads = gradient(text, dy=np.array(1.0), x=np.array([2.0, 3.0, 3.0, 3.0]))

    assert grads["x"].tolist() == [0.0, 1.0, 0.0, 0.0]


def test_nothing_that_depends_on_a_bound_index_is_hoisted_out_of_its_sum() -> None:
    text = "layer a\ninput x[N], m\ny[i] = x[i]*sum[j](exp(x[j] - m)*(x[j] - m)) + sum[j]((x[j] - m)^2)\noutput y\n"
    layer = read(text)
    x, m = np.array([0.5, -1.0, 2.0]), np.array(0.25)
    y, _ = numpy_module_of(layer).forward(x, m)

    np.testing.assert_allclose(y, forward(layer, {"x": x, "m": m})["y"], rtol=1e-13)


def test_an_offset_in_a_read_is_kept() -> None:
    text = "layer a\ninput x[N], w[R]\nrange p = N - R + 1\ny[p] = sum[r](x[p + r]*w[r])\noutput y\n"
    y, _ = numpy_module_of(read(text)).forward(np.array([1.0, 10.0, 100.0]), np.array([1.0, 2.0]))

    assert y.tolist() == [21.0, 210.0]


def test_a_condition_on_a_bound_index_stays_inside_its_sum() -> None:
    text = "layer a\ninput x[N], w[R]\ny[i] = x[i]*sum[r](where(r < 1, w[r], 0)) + sum[r](w[r])\noutput y\n"
    y, _ = numpy_module_of(read(text)).forward(np.array([1.0, 2.0]), np.array([3.0, 4.0]))

    assert y.tolist() == [10.0, 13.0]


def test_a_centred_sum_stays_centred() -> None:
    """At mean 1e7 an expanded variance loses ten digits; the centred one loses what the rounding of x itself costs."""
    rng = np.random.default_rng(3)
    x = 1e7 + np.round(rng.standard_normal((64, 1)), 6)
    dy = rng.standard_normal((64, 1))
    made = numpy_module_of(load("batchnorm1d"))
    _, saved = made.forward(x, np.ones(1), np.zeros(1), eps=0.0)
    grads = made.backward(saved, dy)

    np.testing.assert_allclose(grads.x[:, 0], _exact_batch_norm(x[:, 0], dy[:, 0]), rtol=1e-7, atol=1e-9)


def _exact_batch_norm(x: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """dL/dx in exact rationals up to the one square root."""
    values, g, m = [Fraction(v) for v in x], [Fraction(v) for v in dy], len(x)
    mean = sum(values) / m
    var = sum((v - mean) ** 2 for v in values) / m
    projected = sum(a * (v - mean) for a, v in zip(g, values, strict=True)) / m / var
    centred = [a - sum(g) / m - (v - mean) * projected for a, v in zip(g, values, strict=True)]
    return np.array([float(c) for c in centred]) / float(var) ** 0.5
