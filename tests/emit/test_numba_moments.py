"""Moments taken in the pass that writes what they are of."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from symbackprop.build import derive, module
from symbackprop.modules import imported
from symbackprop.notation.reader import read

CHAIN = """layer chain
input x[N, C, H], u[N, C, H]
param eps = 1e-5
z[n,c,h] = 10000 + relu(x[n,c,h]) + u[n,c,h]
mu[c] = mean[n,h](z[n,c,h])
var[c] = mean[n,h]((z[n,c,h] - mu[c])^2)
y[n,c,h] = (z[n,c,h] - mu[c])/sqrt(var[c] + eps)
output y
"""


def made(text: str, folder: Path) -> ModuleType:
    """The Numba module of a layer beside its support package."""
    layer = read(text)
    return imported(layer.name, "numba", module(derive(layer), "numba"), folder)


@pytest.mark.parametrize("first", [0.0, np.inf])
def test_a_map_is_stored_and_its_moments_taken_in_one_pass(tmp_path: Path, first: float) -> None:
    layer, rng = made(CHAIN, tmp_path), np.random.default_rng(3)
    x, u = (rng.normal(size=(5, 3, 700)).astype("f") for _ in range(2))
    u[0, 1, 0] = first
    y, saved = layer.forward(x, u)
    z = (np.float32(10000) + np.maximum(x, 0) + u).astype("d")
    others = [c for c in range(3) if c != 1 or not first]

    np.testing.assert_allclose(saved.mu, z.mean((0, 2)), rtol=1e-6)
    np.testing.assert_allclose(saved.var[others], z.var((0, 2))[others], rtol=1e-5)
    assert np.isnan(y[:, 1]).all() == bool(first)
