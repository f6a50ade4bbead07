"""Contractions in vectors: each product against float64, for shapes that no width divides, at each width."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
import pytest

from symbackprop.emit.numba_vectors import vectors_package
from tests.emit.widths import printed

SHAPES = [  # N, C, H, W, K, R, stride, pad, dilation
    (2, 3, 9, 8, 5, 3, 1, 1, 1),
    (1, 5, 19, 28, 11, 5, 2, 2, 1),
    (2, 17, 7, 50, 4, 1, 1, 0, 1),
    (1, 7, 23, 21, 9, 3, 3, 2, 2),
    (3, 4, 8, 8, 13, 1, 2, 0, 1),
    (1, 40, 12, 13, 10, 3, 1, 3, 1),
]


def load(folder: Path, family: str | None = None) -> ModuleType:
    """The package, written to a folder, with everything left to the vectors, or to one family of them."""
    package = folder / "vectors_under_test"
    package.mkdir(exist_ok=True)
    for name in [n for n in sys.modules if n.split(".")[0] == package.name]:
        del sys.modules[name]
    for name, text in vectors_package().items():
        (package / name).write_text(text)
    spec = importlib.util.spec_from_file_location(package.name, package / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[package.name] = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        if family is not None:
            patch.setenv("SYMBACKPROP_FAMILY", family)
        spec.loader.exec_module(module)
    module._FEW = 0
    module._PLAIN = math.inf
    return module


def convolutions(v: ModuleType, shape: tuple[int, ...], real: str) -> float:
    """The greatest error of y, grad_x and grad_weight beside float64, relative to the greatest number."""
    n, c, h, w, k, r, stride, pad, dilation = shape
    p, q = ((e + 2 * pad - dilation * (r - 1) - 1) // stride + 1 for e in (h, w))
    rng, at = np.random.default_rng(0), v.at
    x, weight, bias, dy = (rng.normal(size=s).astype(real) for s in ((n, c, h, w), (k, c, r, r), k, (n, k, p, q)))
    taps = (weight.shape, (at(k=1), at(c=1), at(r=1), at(s=1)))
    window = (x.shape, (at(n=1), at(c=1), at(-pad, p=stride, r=dilation), at(-pad, q=stride, s=dilation)))
    out = (dy.shape, (at(n=1), at(k=1), at(p=1), at(q=1)))
    image = (x.shape, (at(n=1), at(c=1), at(h=1), at(w=1)))
    back = (dy.shape, (at(n=1), at(k=1), at(pad, stride, h=1, r=-dilation), at(pad, stride, w=1, s=-dilation)))
    sizes = {"n": n, "k": k, "p": p, "q": q, "c": c, "r": r, "s": r}
    y, grad_x, grad_weight = np.full_like(dy, np.nan), np.full_like(x, np.nan), np.full_like(weight, np.nan)
    v.compute(v.plan(x.itemsize, sizes, out, window, taps, term=((k,), (at(k=1),))), y, x, weight, term=bias)
    v.compute(v.plan(x.itemsize, sizes, taps, window, out), grad_weight, x, dy)
    sizes = {"n": n, "c": c, "h": h, "w": w, "k": k, "r": r, "s": r}
    v.compute(v.plan(x.itemsize, sizes, image, back, taps), grad_x, dy, weight)
    return max(map(_error, (y, grad_x, grad_weight), _expected(x, weight, bias, dy, stride, pad, dilation)))


def _expected(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, dy: np.ndarray, stride: int, pad: int, dilation: int
) -> tuple[np.ndarray, ...]:
    padded, taps = np.pad(x.astype(float), ((0, 0), (0, 0), (pad, pad), (pad, pad))), weight.shape[2]
    y, grad_padded, grad_weight = np.zeros(dy.shape), np.zeros(padded.shape), np.zeros(weight.shape)
    for r in range(taps):
        for s in range(taps):
            rows = slice(dilation * r, dilation * r + stride * (dy.shape[2] - 1) + 1, stride)
            columns = slice(dilation * s, dilation * s + stride * (dy.shape[3] - 1) + 1, stride)
            seen, one = padded[:, :, rows, columns], weight[:, :, r, s].astype(float)
            y += np.einsum("ncpq,kc->nkpq", seen, one)
            grad_weight[:, :, r, s] = np.einsum("nkpq,ncpq->kc", dy.astype(float), seen)
            grad_padded[:, :, rows, columns] += np.einsum("nkpq,kc->ncpq", dy, one)
    inner = grad_padded[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]]
    return y + bias[:, None, None], inner, grad_weight


def _error(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def volumes(v: ModuleType, real: str, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A correlation of volumes in groups, with strides, dilations, padding and a factor; and the same in float64."""
    n, g, c, k, sizes, taps = 2, 3, 4, 5, (7, 9, 21), (2, 1, 4)
    strides, dilations, pads = (2, 1, 1), (1, 1, 3), (1, 0, 4)
    axes = list(zip(sizes, taps, strides, dilations, pads, strict=True))
    out = [(e + 2 * p - d * (r - 1) - 1) // s + 1 for e, r, s, d, p in axes]
    rng, at = np.random.default_rng(1), v.at
    x, weight, scale = (rng.normal(size=s).astype(real) for s in ((n, g * c, *sizes), (g * k, c, *taps), g * k))
    extents = dict(zip("ngkdpqcrst", (n, g, k, *out, c, *taps), strict=True))
    places = [at(-pads[a], **{"dpq"[a]: strides[a], "rst"[a]: dilations[a]}) for a in range(3)]
    y = np.full((n, g * k, *out), np.nan, real)
    plan = v.plan(
        x.itemsize, extents, (y.shape, (at(n=1), at(g=k, k=1), at(d=1), at(p=1), at(q=1))),
        (x.shape, (at(n=1), at(g=c, c=1), *places)), (weight.shape, (at(g=k, k=1), at(c=1), at(r=1), at(s=1), at(t=1))),
        factor=(scale.shape, (at(g=k, k=1),)),
    )  # fmt: skip
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        v.compute(plan, y, x, weight, factor=scale, scale=0.5)
    finally:
        numba.set_num_threads(before)
    padded = np.pad(x.astype(float), ((0, 0), (0, 0), *((p, p) for p in pads)))
    expected = np.zeros((n, g, k, *out))
    for where in np.ndindex(*taps):
        each = zip(where, dilations, strides, out, strict=True)
        cut = [slice(w * d, w * d + s * (o - 1) + 1, s) for w, d, s, o in each]
        seen = padded[(slice(None), slice(None), *cut)].reshape(n, g, c, *out)
        expected += np.einsum("ngcdpq,gkc->ngkdpq", seen, weight.astype(float).reshape(g, k, c, *taps)[(..., *where)])
    return y, expected.reshape(y.shape) * 0.5 * scale.astype(float)[:, None, None, None]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The module at the width of this machine."""
    return load(tmp_path_factory.mktemp("vectors"))


@pytest.mark.parametrize("shape", SHAPES)
def test_products_over_windows_are_right_in_float32(vectors: ModuleType, shape: tuple[int, ...]) -> None:
    assert convolutions(vectors, shape, "float32") < 2e-6


def test_products_are_right_in_float64(vectors: ModuleType) -> None:
    assert max(convolutions(vectors, shape, "float64") for shape in SHAPES) < 1e-14


@pytest.mark.parametrize("family", ["correlation", "matrix"])
def test_each_family_computes_all_of_it_alone(
    vectors: ModuleType, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    monkeypatch.setattr(vectors, "_FORCED", family)

    assert max(convolutions(vectors, shape, "float32") for shape in SHAPES[1:4:2]) < 2e-6


@pytest.mark.parametrize("family", ["correlation", "matrix"])
@pytest.mark.parametrize("real", ["float32", "float64"])
def test_volumes_in_groups_are_right(
    vectors: ModuleType, monkeypatch: pytest.MonkeyPatch, family: str, real: str
) -> None:
    monkeypatch.setattr(vectors, "_FORCED", family)

    assert _error(*volumes(vectors, real)) < (2e-6 if real == "float32" else 1e-14)


def test_the_number_of_threads_changes_no_bit_of_a_correlation(
    vectors: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "_FORCED", "correlation")
    monkeypatch.setattr(vectors.correlation, "_PARALLEL", 0)
    one, many = (volumes(vectors, "float64", threads)[0] for threads in (1, numba.get_num_threads()))

    assert np.array_equal(one, many)


@pytest.mark.parametrize("width", ["32", "16", "4"])
def test_products_are_right_at_a_narrower_width(tmp_path: Path, width: str) -> None:
    code = (
        "import sys; from pathlib import Path; import tests.emit.test_numba_vectors as t;"
        "v = t.load(Path(sys.argv[1])); assert v.lanes.BYTES == width;"
        "print(max(t.convolutions(v, s, 'float32') for s in t.SHAPES[1:4:2])); v._FORCED = 'matrix';"
        "print(max(t._error(*t.products(v, s, 'float32', 1)) for s in t.LAYOUTS))"
    )

    assert max(printed(width, code, tmp_path)) < 2e-6


def product(v: ModuleType, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b by the module."""
    (m, k), n, at = a.shape, b.shape[1], v.at
    result = np.empty((m, n), a.dtype)
    sizes = {"i": m, "j": n, "k": k}
    plan = v.plan(
        a.itemsize, sizes, ((m, n), (at(i=1), at(j=1))), ((k, n), (at(k=1), at(j=1))), ((m, k), (at(i=1), at(k=1)))
    )
    v.compute(plan, result, b, a)
    return result


LAYOUTS = [  # batches, rows, columns, terms; how rows and columns lie; along what factor and term change
    (3, 65, 70, 40, "bmk", "bnk", "bn", "m"),
    (1, 33, 2, 300, "bkm", "bkn", "m", "bmn"),
    (2, 100, 29, 513, "bmk", "bkn", None, "m"),
    (1, 3, 1, 9000, "bkm", "bnk", "b", None),
    (2, 16, 47, 1, "mbk", "nkb", "n", "n"),
    (1, 257, 64, 1024, "mkb", "bnk", None, None),
]


def products(v: ModuleType, layout: tuple[Any, ...], real: str, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """A product of matrices in one of many layouts, and the same in float64."""
    *counts, rows, columns, factor, term = layout
    sizes, rng = dict(zip("bmnk", counts, strict=True)), np.random.default_rng(2)

    def stated(axes: str) -> tuple[Any, ...]:
        return tuple(sizes[i] for i in axes), tuple(v.at(**{i: 1}) for i in axes)

    def drawn(axes: str | None) -> np.ndarray | None:
        return None if axes is None else rng.normal(size=stated(axes)[0]).astype(real)

    a, b, by, plus = drawn(rows), drawn(columns), drawn(factor), drawn(term)
    outer = [None if axes is None else stated(axes) for axes in (factor, term)]
    y, before = np.full(stated("bnm")[0], np.nan, real), numba.get_num_threads()
    plan = v.plan(y.itemsize, sizes, stated("bnm"), stated(rows), stated(columns), *outer)
    numba.set_num_threads(threads)
    try:
        v.compute(plan, y, a, b, by, plus, scale=0.5)
    finally:
        numba.set_num_threads(before)
    wide = np.longdouble if real == "float64" else np.float64
    expected = 0.5 * np.einsum(f"{rows},{columns}->bnm", *(one.astype(wide) for one in (a, b) if one is not None))
    if by is not None:
        expected = np.einsum(f"bnm,{factor}->bnm", expected, by)
    if plus is not None:
        expected = expected + np.einsum(f"{term},bnm->bnm", plus, np.ones(y.shape))
    return y, expected


@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_products_are_right_in_any_layout_and_in_any_number_of_threads(
    vectors: ModuleType, monkeypatch: pytest.MonkeyPatch, layout: tuple[Any, ...], real: str
) -> None:
    monkeypatch.setattr(vectors, "_FORCED", "matrix")
    monkeypatch.setattr(vectors.matrix, "_PARALLEL", 0)
    (one, expected), (many, _) = (products(vectors, layout, real, n) for n in (1, numba.get_num_threads()))

    assert _error(one, expected) < (2e-6 if real == "float32" else 1e-14)
    assert np.array_equal(one, many)


def test_the_error_of_a_long_sum_does_not_grow_with_its_length(vectors: ModuleType) -> None:
    a, b = np.full((4, 1_000_000), 0.1, np.float32), np.ones((1_000_000, 4), np.float32)

    # 256 equal terms are rounded alike, up to 256/2^24; a sum in float32 alone would be off by a hundredth
    assert np.allclose(product(vectors, a, b), 1e6 * float(np.float32(0.1)), rtol=1e-5)


def test_the_number_of_threads_changes_no_bit_of_a_product(vectors: ModuleType) -> None:
    rng, before = np.random.default_rng(0), numba.get_num_threads()
    a, b = rng.normal(size=(37, 3000)), rng.normal(size=(3000, 53))
    found = []
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            found.append(product(vectors, a, b))
    finally:
        numba.set_num_threads(before)

    assert np.array_equal(*found)


def test_what_is_not_finite_stays_in_its_row_and_column(vectors: ModuleType) -> None:
    a, b = np.ones((9, 300)), np.ones((300, 21))
    a[2, 7], b[5, 4] = np.nan, np.inf
    found = product(vectors, a, b)
    touched = np.zeros((9, 21), bool)
    touched[2], touched[:, 4] = True, True

    assert np.array_equal(~np.isfinite(found), touched)


def test_no_other_width_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBACKPROP_VECTOR_BYTES", "48")
    with pytest.raises(ValueError, match="64, 32, 16 or 4"):
        load(tmp_path)
