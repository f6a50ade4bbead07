"""What is done with a sum as it is stored (factors, terms, bounds), and forward passes that keep nothing."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from symbackprop.build import derive, kernel, module
from symbackprop.modules import imported
from symbackprop.notation.reader import read
from tests.emit.test_numba_vectors import load

CONVOLUTION = """layer fused
input x[N, C, H, W] outside 0, weight[K, C, R, S], gamma[K], beta[K], mu[K], var[K]
param eps = 1e-5
range p = H, q = W

z[n,k,p,q] = sum[c,r,s](x[n, c, p + r - 1, q + s - 1]*weight[k,c,r,s])
v[n,k,p,q] = gamma[k]*(z[n,k,p,q] - mu[k])/sqrt(var[k] + eps) + beta[k]
y[n,k,p,q] = relu(v[n,k,p,q])
output y
"""
LINEAR = """layer fused
input x[N, D], weight[K, D], bias[K]
param top = 6
y[n,k] = min(max(3 - 0.5*(bias[k] + sum[d](x[n,d]*weight[k,d])), 0), top)
output y
"""
RESIDUAL = """layer fused
input x[N, D], weight[D, E], other[N, E]
h[n,e] = sum[d](x[n,d]*weight[d,e])
y[n,e] = other[n,e] + 2*h[n,e]
output y
"""
CURVED = """layer fused
input x[N, D], weight[K, D]
y[n,k] = tanh(sum[d](x[n,d]*weight[k,d]))
output y
"""
SHAPES = {
    CONVOLUTION: {"x": (2, 8, 15, 18), "weight": (9, 8, 3, 3), "gamma": (9,), "beta": (9,), "mu": (9,), "var": (9,)},
    LINEAR: {"x": (33, 70), "weight": (41, 70), "bias": (41,)},
    RESIDUAL: {"x": (33, 70), "weight": (70, 37), "other": (33, 37)},
}


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The support package, with everything left to the vectors."""
    return load(tmp_path_factory.mktemp("vectors"))


@pytest.mark.parametrize("family", ["correlation", "matrix", "reduction", "winograd"])
@pytest.mark.parametrize("other", [(9,), (2, 9, 15, 18)])
def test_each_family_keeps_between_bounds(
    vectors: ModuleType, monkeypatch: pytest.MonkeyPatch, family: str, other: tuple[int, ...]
) -> None:
    monkeypatch.setattr(vectors, "_FORCED", family)
    rng, at = np.random.default_rng(5), vectors.at
    x, weight, by, plus = (rng.normal(size=s).astype("f") for s in ((2, 8, 15, 18), (9, 8, 3, 3), other, other))
    x[1, 2, 3, 4] = np.nan
    y, plain = np.empty((2, 9, 15, 18), "f"), np.empty((2, 9, 15, 18), "f")
    out = (at(n=1), at(k=1), at(p=1), at(q=1))
    places = out if len(other) > 1 else (at(k=1),)
    sizes = {"n": 2, "k": 9, "p": 15, "q": 18, "c": 8, "r": 3, "s": 3}
    window = (x.shape, (at(n=1), at(c=1), at(-1, p=1, r=1), at(-1, q=1, s=1)))
    taps = (weight.shape, (at(k=1), at(c=1), at(r=1), at(s=1)))
    plan = vectors.plan(4, sizes, (y.shape, out), window, taps, factor=(other, places), term=(other, places))
    vectors.compute(plan, plain, x, weight, factor=by, term=plus, scale=0.25)
    vectors.compute(plan, y, x, weight, factor=by, term=plus, scale=0.25, low=-0.5, high=1.5)

    assert np.isnan(plain).any()
    np.testing.assert_array_equal(y, np.clip(plain, np.float32(-0.5), np.float32(1.5)))


def made(text: str, folder: Path) -> ModuleType:
    """The module of a layer beside its support package."""
    layer = read(text)
    return imported(layer.name, "numba", module(derive(layer), "numba"), folder)


@pytest.mark.parametrize("text", SHAPES)
@pytest.mark.parametrize("real", ["f4", "f8"])
def test_what_keeps_nothing_is_the_same(tmp_path: Path, text: str, real: str) -> None:
    layer = made(text, tmp_path)
    rng = np.random.default_rng(3)
    inputs = {name: np.abs(rng.normal(size=s)) - (name != "var") * 0.7 for name, s in SHAPES[text].items()}
    inputs = {name: one.astype(real) for name, one in inputs.items()}
    y, saved = layer.forward(**inputs)
    alone, nothing = layer.forward(**inputs, keep=False)

    assert saved is not None
    assert nothing is None
    np.testing.assert_allclose(alone, y, rtol=0, atol=(2e-5 if real == "f4" else 1e-13) * np.abs(y).max())


@pytest.mark.parametrize(
    ("text", "ends"),
    [(CONVOLUTION, "factor=.*, term=.*, low=0.0"), (LINEAR, "scale=-0.5, low=0.0, high=top"), (RESIDUAL, "term=other")],
)
def test_one_contraction_is_all_that_is_left(text: str, ends: str) -> None:
    loops = kernel(derive(read(text)))

    assert loops.alone is not None
    assert loops.alone.nests[-1].contraction is not None
    assert re.search(rf"_vectors.compute\(plan, y, .*{ends}", module(derive(read(text)), "numba"))


def test_other_functions_have_a_pass_of_their_own() -> None:
    assert kernel(derive(read(CURVED))).alone is None


def test_a_layer_that_has_the_name_keep_has_no_such_keyword() -> None:
    text = module(derive(read("layer own\ninput x[N], keep[N]\ny[n] = x[n]*keep[n]\noutput y\n")), "numpy")

    assert "def forward(x, keep):" in text
    assert "keep=" not in text
