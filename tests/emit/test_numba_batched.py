"""Vectors across the batch: the family alone, against float64, over random convolutions in groups and at each width."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numba
import numpy as np
import pytest

from tests.emit.test_numba_vectors import load
from tests.emit.widths import printed

Pair = tuple[str, np.ndarray, np.ndarray]


def passes(v: ModuleType, seed: int, real: str = "float32") -> Iterator[Pair]:
    """A random convolution forward, its input gradient and its weight gradient, each with the float64 value.

    One to three dimensions, groups of one to three channels, strides, dilations, pads; some with a term.
    """
    rng = np.random.default_rng(seed)
    rank, groups, n = (int(i) for i in rng.integers(1, (4, 40, 5)))
    c, k = (int(i) for i in rng.integers(1, 4, 2))
    taps, strides, dilations = ([int(i) for i in rng.integers(1, 4, rank)] for _ in range(3))
    pads = [int(i) for i in rng.integers(0, 4, rank)]
    inside = [int(i) for i in rng.integers(4, {1: 60, 2: 14, 3: 8}[rank], rank)]
    forms = list(zip(inside, pads, dilations, taps, strides, strict=True))
    out = [max(1, (i + 2 * p - d * (t - 1) - 1) // s + 1) for i, p, d, t, s in forms]
    x = rng.normal(size=(n, groups * c, *inside)).astype(real)
    weight = rng.normal(size=(groups * k, c, *taps)).astype(real)
    dy = rng.normal(size=(n, groups * k, *out)).astype(real)
    bias = rng.normal(size=groups * k).astype(real) if rng.random() < 0.5 else None
    at, own = v.at, [f"p{i}" for i in range(rank)]
    extents = {"n": n, "g": groups, "k": k, "c": c}
    extents |= {f"p{i}": o for i, o in enumerate(out)} | {f"r{i}": t for i, t in enumerate(taps)}
    steps = list(enumerate(zip(pads, strides, dilations, strict=True)))
    windows = [at(-p, **{f"p{i}": s, f"r{i}": d}) for i, (p, s, d) in steps]
    filters = (weight.shape, (at(g=k, k=1), at(c=1), *(at(**{f"r{i}": 1}) for i in range(rank))))
    results = (dy.shape, (at(n=1), at(g=k, k=1), *(at(**{i: 1}) for i in own)))
    images = (x.shape, (at(n=1), at(g=c, c=1), *windows))
    # each input element gathers the outputs whose windows it is in: a division has to be whole
    undone = [at(p, s, **{f"h{i}": 1, f"r{i}": -d}) for i, (p, s, d) in steps]
    inputs = (x.shape, (at(n=1), at(g=c, c=1), *(at(**{f"h{i}": 1}) for i in range(rank))))
    gathered = (dy.shape, (at(n=1), at(g=k, k=1), *undone))
    term = None if bias is None else (bias.shape, (at(g=k, k=1),))
    places = {e: i for e, i in extents.items() if e not in own} | {f"h{i}": e for i, e in enumerate(inside)}
    for name, plan, arrays in (
        ("forward", v.plan(x.itemsize, extents, results, images, filters, term=term), (dy.shape, x, weight, bias)),
        ("input gradient", v.plan(x.itemsize, places, inputs, gathered, filters), (x.shape, dy, weight, None)),
        ("weight gradient", v.plan(x.itemsize, extents, filters, images, results), (weight.shape, x, dy, None)),
    ):
        if plan is not None:
            found = np.full(arrays[0], np.nan, real)
            v.compute(plan, found, rows=arrays[1], columns=arrays[2], term=arrays[3])
            yield name, found, expected(name, x, weight, dy, bias, pads, strides, dilations)


def expected(
    name: str, x: np.ndarray, weight: np.ndarray, dy: np.ndarray, bias: np.ndarray | None,
    pads: list[int], strides: list[int], dilations: list[int],
) -> np.ndarray:  # fmt: skip
    """The pass in float64, tap by tap."""
    taps, out, c = weight.shape[2:], dy.shape[2:], weight.shape[1]
    n, groups, k = x.shape[0], x.shape[1] // c, weight.shape[0] * c // x.shape[1]
    beyond = [(p, p + s + d * t + s * o) for p, s, d, t, o in zip(pads, strides, dilations, taps, out, strict=True)]
    padded = np.pad(x.astype(float), [(0, 0), (0, 0), *beyond])
    grouped, apart = weight.reshape(groups, k, c, *taps).astype(float), dy.reshape(n, groups, k, -1).astype(float)
    y, grad_x, grad_weight = np.zeros((n, groups, k, np.prod(out))), np.zeros(padded.shape), np.zeros(grouped.shape)
    for tap in np.ndindex(*taps):
        shifts = zip(dilations, tap, strides, out, strict=True)
        cut = (slice(None), slice(None), *(slice(d * t, d * t + s * (o - 1) + 1, s) for d, t, s, o in shifts))
        seen, weights = padded[cut].reshape(n, groups, c, -1), grouped[(..., *tap)]
        y += np.einsum("gkc,ngct->ngkt", weights, seen)
        grad_weight[(..., *tap)] = np.einsum("ngkt,ngct->gkc", apart, seen)
        grad_x[cut] += np.einsum("gkc,ngkt->ngct", weights, apart).reshape(padded[cut].shape)
    inner = tuple(slice(p, p + e) for p, e in zip(pads, x.shape[2:], strict=True))
    y = y.reshape(dy.shape) + (0 if bias is None else bias.astype(float).reshape(-1, *[1] * len(taps)))
    found = {"forward": y, "input gradient": grad_x[(slice(None), slice(None), *inner)]}
    return found.get(name, grad_weight.reshape(weight.shape))


def worst(v: ModuleType, seeds: range, real: str = "float32") -> tuple[float, dict[str, int]]:
    """The greatest error over the seeds, relative to the greatest number, and how often the family had each pass."""
    error, counts = 0.0, dict[str, int]()
    for seed in seeds:
        for name, found, right in passes(v, seed, real):
            error = max(error, float(np.abs(found - right).max() / max(np.abs(right).max(), 1e-9)))
            counts[name] = counts.get(name, 0) + 1
    return error, counts


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The module at the width of this machine, with this family alone."""
    return load(tmp_path_factory.mktemp("batched"), "batched")


@pytest.mark.parametrize(("real", "most"), [("float32", 2e-6), ("float64", 1e-14)])
def test_random_convolutions_in_groups_are_right(vectors: ModuleType, real: str, most: float) -> None:
    error, counts = worst(vectors, range(60), real)

    assert error < most
    assert min(counts[name] for name in ("forward", "input gradient", "weight gradient")) >= 15


def test_the_number_of_threads_changes_no_bit(vectors: ModuleType) -> None:
    before, found = numba.get_num_threads(), []
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            found.append([a.tobytes() for seed in range(12) for _, a, _ in passes(vectors, seed)])
    finally:
        numba.set_num_threads(before)

    assert found[0] == found[1]


@pytest.mark.parametrize("width", ["64", "32", "16"])
def test_convolutions_are_right_at_each_width(tmp_path: Path, width: str) -> None:
    code = (
        "import sys; from pathlib import Path; import tests.emit.test_numba_batched as t;"
        "v = t.load(Path(sys.argv[1]), 'batched'); assert v.lanes.BYTES == width;"
        "print(t.worst(v, range(20))[0])"
    )

    assert max(printed(width, code, tmp_path)) < 2e-6
