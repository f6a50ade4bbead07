"""Minimal filtering in vectors: correlations against float64 at each width, and what is left to other families."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numba
import numpy as np
import pytest

from tests.emit.test_numba_vectors import load
from tests.emit.widths import printed

SHAPES = [  # N, C, H, W, K, R, S, pad, dilation, groups
    (2, 64, 14, 14, 33, 3, 3, 1, 1, 1),
    (1, 20, 9, 11, 50, 5, 5, 2, 1, 1),
    (2, 17, 23, 31, 18, 3, 3, 0, 2, 1),
    (1, 33, 7, 50, 20, 3, 3, 2, 3, 1),
    (2, 16, 1, 100, 16, 1, 7, 0, 1, 1),
    (3, 7, 5, 4, 70, 5, 3, 3, 1, 1),
    (1, 130, 20, 6, 16, 3, 3, 1, 1, 1),
    (2, 9, 40, 5, 7, 3, 1, 0, 1, 1),
    (1, 12, 9, 70, 20, 3, 3, 1, 1, 2),
]
MOST = 1e-5  # of the largest output


def padded(x: np.ndarray, pad: int) -> np.ndarray:
    return np.pad(x.astype(float), ((0, 0), (0, 0), (pad, pad), (pad, pad)))


def errors(v: ModuleType, shape: tuple[int, ...], seed: int = 0) -> list[float]:
    """The greatest errors of y and of grad_x beside float64, relative to the largest number of each."""
    n, c, h, w, k, r, s, pad, dilation, groups = shape
    p, q = h + 2 * pad - dilation * (r - 1), w + 2 * pad - dilation * (s - 1)
    rng, at, d, m = np.random.default_rng(seed), v.at, c // groups, k // groups
    sizes = ((n, c, h, w), (k, d, r, s), (n, k, p, q), (k,))
    x, weight, dy, bias = (rng.normal(size=size).astype("float32") for size in sizes)
    taps = (weight.shape, (at(g=m, k=1), at(c=1), at(r=1), at(s=1)))
    window = (x.shape, (at(n=1), at(g=d, c=1), at(-pad, p=1, r=dilation), at(-pad, q=1, s=dilation)))
    out = (dy.shape, (at(n=1), at(g=m, k=1), at(p=1), at(q=1)))
    image = (x.shape, (at(n=1), at(g=d, c=1), at(h=1), at(w=1)))
    back = (dy.shape, (at(n=1), at(g=m, k=1), at(pad, h=1, r=-dilation), at(pad, w=1, s=-dilation)))
    y, grad_x = np.full_like(dy, np.nan), np.full_like(x, np.nan)
    forward = v.plan(
        4, {"n": n, "g": groups, "k": m, "p": p, "q": q, "c": d, "r": r, "s": s}, out, window, taps,
        term=((k,), (at(g=m, k=1),)),
    )  # fmt: skip
    v.compute(forward, y, x, weight, term=bias)
    backward = v.plan(4, {"n": n, "g": groups, "c": d, "h": h, "w": w, "k": m, "r": r, "s": s}, image, back, taps)
    v.compute(backward, grad_x, dy, weight)
    seen, expected, spread = padded(x, pad), np.zeros(dy.shape), np.zeros(padded(x, pad).shape)
    for g in range(groups):
        ks, cs = slice(g * m, g * m + m), slice(g * d, g * d + d)
        for a in range(r):
            for b in range(s):
                part = (slice(None), cs, slice(dilation * a, dilation * a + p), slice(dilation * b, dilation * b + q))
                one = weight[ks, :, a, b].astype(float)
                expected[:, ks] += np.einsum("ncpq,kc->nkpq", seen[part], one)
                spread[part] += np.einsum("nkpq,kc->ncpq", dy[:, ks].astype(float), one)
    inner = spread[:, :, pad : pad + h, pad : pad + w]
    pairs = ((y, expected + bias[:, None, None]), (grad_x, inner))
    return [float(np.abs(a - e).max() / np.abs(e).max()) for a, e in pairs]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The package at the width of this machine."""
    return load(tmp_path_factory.mktemp("filtering"), "winograd")


@pytest.mark.parametrize("shape", SHAPES)
def test_correlations_and_their_gradients_are_right(vectors: ModuleType, shape: tuple[int, ...]) -> None:
    assert max(errors(vectors, shape)) < MOST


@pytest.mark.parametrize("seed", range(6))
def test_random_correlations_are_right(vectors: ModuleType, seed: int) -> None:
    rng = np.random.default_rng(seed)
    r, s, dilation = int(rng.choice([3, 5])), int(rng.choice([3, 5, 7])), int(rng.integers(1, 4))
    r = 3 if s == 7 else r
    n, c, k, pad = (int(rng.integers(low, high)) for low, high in ((1, 4), (2, 70), (2, 70), (0, 4)))
    least = dilation * (max(r, s) - 1)
    h, w = (int(rng.integers(max(2, least - 2 * pad + 2), least + 30)) for _ in range(2))

    try:
        found = errors(vectors, (n, c, h, w, k, r, s, pad, dilation, 1), seed)
    except AttributeError:  # 3 by 7 taps: no pair of algorithms is exact enough
        assert s == 7
        return
    assert max(found) < MOST


def tap_error(v: ModuleType, shape: tuple[int, ...]) -> float:
    """The greatest error of grad_weight beside float64, relative to its largest number."""
    n, c, h, w, k, r, s, pad, dilation, groups = shape
    p, q = h + 2 * pad - dilation * (r - 1), w + 2 * pad - dilation * (s - 1)
    rng, at, d, m = np.random.default_rng(0), v.at, c // groups, k // groups
    x, dy = (rng.normal(size=size).astype("float32") for size in ((n, c, h, w), (n, k, p, q)))
    found, expected, seen = np.full((k, d, r, s), np.nan, "float32"), np.zeros((k, d, r, s)), padded(x, pad)
    plan = v.plan(
        4,
        {"g": groups, "k": m, "c": d, "r": r, "s": s, "n": n, "p": p, "q": q},
        (found.shape, (at(g=m, k=1), at(c=1), at(r=1), at(s=1))),
        (x.shape, (at(n=1), at(g=d, c=1), at(-pad, p=1, r=dilation), at(-pad, q=1, s=dilation))),
        (dy.shape, (at(n=1), at(g=m, k=1), at(p=1), at(q=1))),
        term=((d,), (at(c=1),)),
    )
    term = rng.normal(size=d).astype("float32")
    v.compute(plan, found, x, dy, term=term, scale=0.5)
    for g in range(groups):
        ks, cs = slice(g * m, g * m + m), slice(g * d, g * d + d)
        for a in range(r):
            for b in range(s):
                part = seen[:, cs, dilation * a : dilation * a + p, dilation * b : dilation * b + q]
                expected[ks, :, a, b] = np.einsum("nkpq,ncpq->kc", dy[:, ks].astype(float), part)
    expected = 0.5 * expected + term[:, None, None]
    return float(np.abs(found - expected).max() / np.abs(expected).max())


TAPS = [  # of the same form
    (2, 64, 14, 14, 64, 3, 3, 1, 1, 1),
    (2, 17, 23, 31, 18, 3, 3, 0, 2, 1),
    (1, 33, 17, 50, 20, 3, 3, 2, 3, 1),
    (3, 16, 1, 200, 16, 1, 7, 0, 1, 1),
    (3, 7, 25, 14, 70, 5, 3, 3, 1, 1),
    (2, 9, 40, 15, 7, 3, 1, 0, 1, 1),
    (2, 12, 19, 30, 20, 3, 3, 1, 1, 2),
    (16, 8, 30, 30, 8, 3, 3, 1, 1, 1),
]


@pytest.fixture(scope="module")
def taps(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The package with the family of taps."""
    return load(tmp_path_factory.mktemp("taps"), "winograd_taps")


def test_gradients_by_the_taps_are_right(taps: ModuleType) -> None:
    assert max(tap_error(taps, shape) for shape in TAPS) < MOST


def test_the_number_of_threads_changes_no_bit_of_the_taps(taps: ModuleType) -> None:
    before = numba.get_num_threads()
    try:
        found = []
        for threads in (1, before):
            numba.set_num_threads(threads)
            found.append(tap_error(taps, TAPS[-1]))
    finally:
        numba.set_num_threads(before)

    assert found[0] == found[1]


@pytest.mark.parametrize("width", ["32", pytest.param("16", marks=pytest.mark.slow), "4"])
def test_correlations_are_right_at_a_narrower_width(tmp_path: Path, width: str) -> None:
    code = (
        "import sys; from pathlib import Path; import tests.emit.test_numba_winograd as t;"
        "v = t.load(Path(sys.argv[1])); assert v.lanes.BYTES == width;"
        "v._FORCED = 'winograd'; errors = [e for s in t.SHAPES for e in t.errors(v, s)];"
        "v._FORCED = 'winograd_taps'; errors += [t.tap_error(v, s) for s in t.TAPS];"
        "print(max(errors))"
    )

    assert max(printed(width, code, tmp_path)) < MOST


def one_channel_last(v: ModuleType, factor: bool) -> float:
    """The error of a correlation whose tensors have their channels last, with a factor and a term for each element."""
    rng, at = np.random.default_rng(0), v.at
    shapes = ((2, 9, 13, 20), (3, 3, 20, 24), (2, 9, 13, 24), (2, 9, 13, 24))
    x, weight, by, plus = (rng.normal(size=shape).astype("float32") for shape in shapes)
    y = np.full(by.shape, np.nan, "float32")
    own = (by.shape, (at(n=1), at(p=1), at(q=1), at(k=1)))
    plan = v.plan(
        4,
        {"n": 2, "p": 9, "q": 13, "k": 24, "c": 20, "r": 3, "s": 3},
        own,
        (x.shape, (at(n=1), at(-1, p=1, r=1), at(-1, q=1, s=1), at(c=1))),
        (weight.shape, (at(r=1), at(s=1), at(c=1), at(k=1))),
        factor=own if factor else None,
        term=own,
    )
    v.compute(plan, y, x, weight, factor=by if factor else None, term=plus, scale=0.5)
    seen = np.pad(x.astype(float), ((0, 0), (1, 1), (1, 1), (0, 0)))
    total = sum(
        np.einsum("npqc,ck->npqk", seen[:, a : a + 9, b : b + 13], weight[a, b].astype(float))
        for a in range(3)
        for b in range(3)
    )
    expected = 0.5 * total * (by if factor else 1) + plus
    return float(np.abs(y - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("factor", [True, False])
def test_channels_may_come_last_and_factors_and_terms_be_of_any_shape(vectors: ModuleType, factor: bool) -> None:
    assert one_channel_last(vectors, factor) < MOST


def test_the_number_of_threads_changes_no_bit(vectors: ModuleType) -> None:
    rng, before, at = np.random.default_rng(0), numba.get_num_threads(), vectors.at
    x, weight = rng.normal(size=(3, 40, 19, 26)).astype("float32"), rng.normal(size=(24, 40, 3, 3)).astype("float32")
    found = []
    plan = vectors.plan(
        4,
        {"n": 3, "k": 24, "p": 17, "q": 24, "c": 40, "r": 3, "s": 3},
        ((3, 24, 17, 24), (at(n=1), at(k=1), at(p=1), at(q=1))),
        (x.shape, (at(n=1), at(c=1), at(p=1, r=1), at(q=1, s=1))),
        (weight.shape, (at(k=1), at(c=1), at(r=1), at(s=1))),
    )
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            found.append(np.empty((3, 24, 17, 24), "float32"))
            vectors.compute(plan, found[-1], x, weight)
    finally:
        numba.set_num_threads(before)

    assert np.array_equal(*found)


def planned(v: ModuleType, size: int = 4, stride: int = 1, taps: int = 3, strict: bool = False) -> object:
    """The plan of a correlation over one axis, or None."""
    at, q = v.at, 60
    return v.plan(
        size,
        {"n": 2, "k": 32, "q": q, "c": 32, "s": taps},
        ((2, 32, q), (at(n=1), at(k=1), at(q=1))),
        ((2, 32, 200), (at(n=1), at(c=1), at(q=stride, s=1))),
        ((32, 32, taps), (at(k=1), at(c=1), at(s=1))),
        strict=strict,
    )


def test_what_is_no_form_of_this_family_is_left_to_the_others(vectors: ModuleType) -> None:
    assert planned(vectors) is not None
    assert planned(vectors, size=8) is None
    assert planned(vectors, strict=True) is None
    assert planned(vectors, stride=2) is None
    assert planned(vectors, taps=1) is None


def test_the_error_stays_small_over_many_channels(vectors: ModuleType) -> None:
    assert max(errors(vectors, (1, 512, 8, 8, 16, 3, 3, 1, 1, 1))) < MOST


def test_a_nan_reaches_the_outputs_of_its_tiles_and_no_more(vectors: ModuleType) -> None:
    at, x = vectors.at, np.zeros((1, 16, 60), "float32")
    x[0, 3, 31] = np.nan
    y = np.zeros((1, 16, 58), "float32")
    sizes = {"n": 1, "k": 16, "q": 58, "c": 16, "s": 3}
    plan = vectors.plan(
        4,
        sizes,
        (y.shape, (at(n=1), at(k=1), at(q=1))),
        (x.shape, (at(n=1), at(c=1), at(q=1, s=1))),
        ((16, 16, 3), (at(k=1), at(c=1), at(s=1))),
    )
    vectors.compute(plan, y, x, np.ones((16, 16, 3), "float32"))
    spoilt = np.flatnonzero(np.isnan(y[0, 0]))

    assert {29, 30, 31} <= set(spoilt)
    assert len(spoilt) < 16
