"""Rows that are asked for before they are read: where that helps, and that nothing is computed differently."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from symbackprop.build import derive, kernel, load
from symbackprop.loops.kernel import Ask, Nest, walk_nodes


def asked(nest: Nest) -> list[list[str]]:
    """The arrays whose rows each loop asks for."""
    return [[view.tensor for view in node.views] for node in walk_nodes(nest.body) if isinstance(node, Ask)]


def test_rows_are_asked_for_where_they_are_short_and_the_caches_do_not_hold_all() -> None:
    ahead = import_module("symbackprop.generated.numba.batchnorm2d")._rows_ahead.py_func
    large = 1 << 22

    assert [ahead(4, row, 32, large) for row in (127, 128, 196, 512, 513)] == [32, 4, 2, 1, 32]
    assert ahead(8, 128, 32, large) == 2
    assert ahead(4, 196, 32, 1 << 20) == 32


def test_a_task_asks_for_each_row_before_it_meets_it_first() -> None:
    (nest,) = kernel(derive(load("batchnorm2d"))).backward.nests

    assert asked(nest) == [["grad_y", "x"], ["grad_x"]]


def test_rows_that_follow_one_another_are_not_asked_for() -> None:
    nests = kernel(derive(load("layernorm"))).forward.nests

    assert [asked(nest) for nest in nests] == [[]] * len(nests)


@pytest.mark.parametrize("layer", ["batchnorm2d", "prelu"])
def test_what_is_asked_for_ahead_comes_out_as_in_numpy(layer: str) -> None:
    rng = np.random.default_rng(3)
    x, dy = (rng.normal(size=(41, 96, 18, 16)).astype(np.float32) for _ in range(2))
    per_channel = [rng.normal(size=96).astype(np.float32) for _ in range(2 if layer == "batchnorm2d" else 1)]
    found = []
    for backend in ("numba", "numpy"):
        module = import_module(f"symbackprop.generated.{backend}.{layer}")
        y, saved = module.forward(x, *per_channel)
        found.append([y, *module.backward(saved, dy)])

    for ours, expected in zip(*found, strict=True):
        assert np.abs(ours - expected).max() < 1e-5 * np.abs(expected).max()
