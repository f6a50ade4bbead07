"""Rows that pass by the caches on their way to memory: the same bits, where arrays are large, and nowhere else."""

from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

KINDS = (np.float32, np.float64)


def module(layer: str) -> ModuleType:
    """A generated module."""
    return import_module(f"symbackprop.generated.numba.{layer}")


def without_caches(layer: str, folder: Path) -> ModuleType:
    """The generated module on a machine with caches that hold nothing."""
    text = Path(module(layer).__file__ or "").read_text(encoding="utf-8")
    assert text.count("_CACHES = 32 << 20") == 1
    file = folder / f"{layer}_without_caches.py"
    file.write_text(text.replace("_CACHES = 32 << 20", "_CACHES = 0"), encoding="utf-8")
    spec = spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def drawn(shape: tuple[int, ...], kind: type) -> np.ndarray:
    """Normal numbers, NaN and infinity among them."""
    values = np.random.default_rng(5).normal(size=shape).astype(kind)
    values.reshape(-1)[[3, 700, 1501]] = np.nan, np.inf, -np.inf
    return values


def passes(layer: ModuleType, inputs: tuple[np.ndarray, ...], dy: np.ndarray) -> list[np.ndarray]:
    """The output and the gradients."""
    y, saved = layer.forward(*inputs)
    return [y, *layer.backward(saved, dy)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_strip_that_passes_by_the_caches_has_the_same_bits(tmp_path: Path, kind: type) -> None:
    relu, x, dy = module("relu"), drawn((7, 30011), kind), drawn((7, 30011), kind)
    usual = passes(relu, (x,), dy)

    streamed = passes(without_caches("relu", tmp_path), (x,), dy)

    assert [a.tobytes() for a in streamed] == [a.tobytes() for a in usual]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_pass_by_the_caches_have_the_same_bits(tmp_path: Path, kind: type) -> None:
    norm = module("layernorm")
    x, dy, gamma, beta = (drawn(shape, kind) for shape in ((331, 1707), (331, 1707), (1707,), (1707,)))
    usual = passes(norm, (x, gamma, beta), dy)

    streamed = passes(without_caches("layernorm", tmp_path), (x, gamma, beta), dy)

    assert [a.tobytes() for a in streamed] == [a.tobytes() for a in usual]


def test_only_arrays_that_the_caches_cannot_hold_pass_by_them() -> None:
    streams, large, small = module("relu")._streams, 40 << 20, 4 << 20

    assert streams(16384, large)
    assert not any(streams(row, whole) for row, whole in ((16384, small), (400, large), (4 << 20, large)))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_beside_a_row_is_written(kind: type) -> None:
    from numba import njit

    stream = module("relu")._stream
    copy = njit(lambda target, row, count: stream(target, row, count))
    row = np.arange(1.0, 301.0).astype(kind)
    for first in range(17):
        for count in (1, 15, 16, 17, 64, 300):
            target = np.zeros(400, kind)
            copy(target[first:], row, count)

            assert np.array_equal(target[first : first + count], row[:count])
            assert np.count_nonzero(target) == count
