"""Sums of windows in Numba, large enough for the vectors, beside the array statements of NumPy."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest


@pytest.mark.parametrize("kernel, stride, pad", [(2, 2, 0), (3, 2, 1), (3, 1, 1), (4, 3, 2)])
@pytest.mark.parametrize("real, allowed", [("float32", 2e-6), ("float64", 1e-14)])
def test_the_gradient_of_a_mean_pooling_is_that_of_numpy(
    kernel: int, stride: int, pad: int, real: str, allowed: float
) -> None:
    rng, params = np.random.default_rng(0), {"kernel": kernel, "stride": stride, "pad": pad}
    x = rng.normal(size=(3, 5, 29, 37)).astype(real)
    found = []
    for backend in ("numba", "numpy"):
        module = import_module(f"symbackprop.generated.{backend}.avgpool2d")
        y, saved = module.forward(x, **params)
        found.append(module.backward(saved, np.random.default_rng(1).normal(size=y.shape).astype(real)).x)

    assert np.abs(found[0] - found[1]).max() < allowed * np.abs(found[1]).max()
