"""Long sums with small results: the family alone, against float64, over random shapes and at each width."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numba
import numpy as np
import pytest

from tests.emit.test_numba_vectors import load
from tests.emit.widths import printed


def weight_gradient(v: ModuleType, seed: int, real: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    """A random convolution's weight gradient by the family, and its float64 value.

    One to three dimensions; groups, some of one channel; strides, dilations, pads; one image or several.
    """
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, 4))
    groups, c, k = (int(n) for n in rng.integers(1, (5, 5, 12)))
    c = 1 if rng.random() < 0.3 else c
    k = 1 if rng.random() < 0.2 else k
    n = int(rng.integers(1, 6))
    taps = [int(i) for i in rng.integers(1, 5, rank)]
    strides, dilations, pads = ([int(i) for i in rng.integers(low, 4, rank)] for low in (1, 1, 0))
    out = [int(i) for i in rng.integers(1, {1: 400, 2: 30, 3: 9}[rank], rank)]
    inside = [
        max(1, s * (o - 1) + d * (t - 1) + 1 - 2 * p + int(rng.integers(s)))
        for s, o, d, t, p in zip(strides, out, dilations, taps, pads, strict=True)
    ]
    forms = zip(inside, pads, dilations, taps, strides, strict=True)
    out = [(i + 2 * p - d * (t - 1) - 1) // s + 1 for i, p, d, t, s in forms]
    x = rng.normal(size=(n, groups * c, *inside)).astype(real)
    dy = rng.normal(size=(n, groups * k, *out)).astype(real)
    grad = np.full((groups * k, c, *taps), np.nan, real)
    at, p_names, r_names = v.at, [f"p{i}" for i in range(rank)], [f"r{i}" for i in range(rank)]
    axes = zip(pads, p_names, strides, r_names, dilations, strict=True)
    windows = [at(-pad, **{p: s, r: d}) for pad, p, s, r, d in axes]
    extents = {"g": groups, "k": k, "c": c, "n": n}
    extents |= dict(zip((*r_names, *p_names), (*taps, *out), strict=True))
    tensors = [
        (grad.shape, (at(g=k, k=1), at(c=1), *(at(**{r: 1}) for r in r_names))),
        (x.shape, (at(n=1), at(g=c, c=1), *windows)),
        (dy.shape, (at(n=1), at(g=k, k=1), *(at(**{p: 1}) for p in p_names))),
    ]
    problem = v.Problem(
        x.itemsize, extents, (*tensors, None, None), ("g",), ("c", *r_names), ("k",), ("n", *p_names), False
    )
    way = v.reduction.offer(problem)
    arrays = [a.reshape(-1) for a in (grad, x, dy, np.zeros(1, real), np.zeros(1, real))]
    way.compute(arrays, np.array([1, -np.inf, np.inf], x.dtype), numba.get_num_threads())

    padded = np.pad(x.astype(float), [(0, 0), (0, 0), *((p, p + s) for p, s in zip(pads, strides, strict=True))])
    expected = np.zeros(grad.shape)
    for tap in np.ndindex(*taps):
        shifts = zip(dilations, tap, strides, out, strict=True)
        cut = tuple(slice(d * t, d * t + s * (o - 1) + 1, s) for d, t, s, o in shifts)
        seen = padded[(slice(None), slice(None), *cut)].reshape(n, groups, c, -1)
        expected[(slice(None), slice(None), *tap)] = np.einsum(
            "ngkt,ngct->gkc", dy.reshape(n, groups, k, -1).astype(float), seen
        ).reshape(groups * k, c)
    return grad, expected


def at_both_numbers_of_threads(v: ModuleType, seed: int) -> list[np.ndarray]:
    """The same weight gradient by one thread and by all."""
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = weight_gradient(v, seed)[0]
    finally:
        numba.set_num_threads(before)
    return [alone, weight_gradient(v, seed)[0]]


def worst(v: ModuleType, seeds: range, real: str) -> float:
    """The greatest error over the seeds, relative to the greatest number."""
    found = (weight_gradient(v, seed, real) for seed in seeds)
    return max(float(np.abs(a - e).max() / max(np.abs(e).max(), 1e-9)) for a, e in found)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The module at the width of this machine."""
    return load(tmp_path_factory.mktemp("vectors"))


def test_weight_gradients_of_random_convolutions_are_right_in_float32(vectors: ModuleType) -> None:
    assert worst(vectors, range(30), "float32") < 2e-6


def test_weight_gradients_of_random_convolutions_are_right_in_float64(vectors: ModuleType) -> None:
    assert worst(vectors, range(12), "float64") < 1e-14


def only(v: ModuleType, across: bool) -> ModuleType:
    """The module with the choices alone whose vectors run across columns, or along the sum."""
    all_choices = v.reduction._choices

    def choices(*asked: object) -> list[object]:
        offered = list(all_choices(*asked))
        return [c for c in offered if c.box.across == across] or offered

    v.reduction._choices = choices
    return v


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("real", ["float32", "float64"])
def test_vectors_across_columns_and_along_the_sum_give_the_same(
    vectors: ModuleType, monkeypatch: pytest.MonkeyPatch, across: bool, real: str
) -> None:
    monkeypatch.setattr(vectors.reduction, "_choices", vectors.reduction._choices)
    only(vectors, across)

    assert worst(vectors, range(100, 116), real) < (2e-6 if real == "float32" else 1e-14)


@pytest.mark.parametrize("width", ["64", "32", "16", "4"])
def test_weight_gradients_are_right_at_a_narrower_width(tmp_path: Path, width: str) -> None:
    code = (
        "import sys; from pathlib import Path; import tests.emit.test_numba_reduction as t;"
        "v = t.load(Path(sys.argv[1])); assert v.lanes.BYTES == width;"
        "one = t.worst(t.only(v, False), range(8), 'float32');"
        "v = t.load(Path(sys.argv[1]));"
        "print(max(one, t.worst(t.only(v, True), range(8), 'float32')))"
    )

    assert max(printed(width, code, tmp_path)) < 2e-6


def test_the_number_of_threads_changes_no_bit_of_a_weight_gradient(vectors: ModuleType) -> None:
    assert all(np.array_equal(*at_both_numbers_of_threads(vectors, seed)) for seed in range(8))
