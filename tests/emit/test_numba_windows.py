"""Reductions of windows in Numba, large enough for the vectors, beside the array statements of NumPy."""

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


@pytest.mark.parametrize("kernel, kept", [(2, np.int8), (11, np.int8), (12, np.int16)])
def test_positions_of_extrema_are_kept_in_the_narrowest_type(kernel: int, kept: type[np.signedinteger]) -> None:
    module = import_module("symbackprop.generated.numba.maxpool2d")
    x = np.zeros((1, 1, kernel, kernel), np.float32)
    x[..., -1, -1] = 1
    _, saved = module.forward(x, kernel=kernel, stride=1)

    assert saved.argmax_y.dtype == kept
    assert saved.argmax_y.item() == kernel * kernel - 1
    assert np.array_equal(module.backward(saved, np.ones((1, 1, 1, 1), np.float32)).x, x)
