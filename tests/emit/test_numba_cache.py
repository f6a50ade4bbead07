"""The cache on disk, which processes share; and the same numbers from any number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# one process: the layer forward and backward with a fixed seed, and a mark of all bits that came out
PROCESS = """
import hashlib, sys
import numpy as np
import numba
from symbackprop.generated.numba import LAYER as module
numba.set_num_threads(int(sys.argv[1]))
rng = np.random.default_rng(0)
draw = lambda *s: rng.standard_normal(s).astype(np.float32)
y, saved = module.forward(ARGUMENTS)
grads = module.backward(saved, draw(*y.shape))
marks = hashlib.sha256()
for array in (y, *grads):
    marks.update(np.ascontiguousarray(array).tobytes())
print(marks.hexdigest())
"""
LAYERS = {
    "relu": "draw(64, 700)",
    "conv2d": "draw(2, 16, 20, 20), draw(24, 16, 3, 3), draw(24), pad=1",
    "linear": "draw(70, 130), draw(90, 130), draw(90)",
    "batchnorm2d": "draw(5, 7, 30, 31), draw(7), draw(7)",
    "softmax": "draw(300, 77)",
    "maxpool2d": "draw(3, 5, 40, 42)",
    "layernorm": "draw(130, 97), draw(97), draw(97)",
}


def begin(layer: str, cache: Path, threads: int = 2, **environment: str) -> subprocess.Popen[str]:
    """A process that computes the layer with this cache and so many threads."""
    code = PROCESS.replace("LAYER", layer).replace("ARGUMENTS", LAYERS[layer])
    given = {"NUMBA_CACHE_DIR": str(cache), "NUMBA_NUM_THREADS": "2", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(
        [sys.executable, "-c", code, str(threads)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **given},
    )  # fmt: skip


def result(process: subprocess.Popen[str]) -> str:
    """The mark that it prints."""
    out, errors = process.communicate()

    assert process.returncode == 0, errors
    return out.strip()


def test_processes_that_start_together_share_an_empty_cache(tmp_path: Path) -> None:
    together = [begin("softmax", tmp_path) for _ in range(4)]
    marks = {result(process) for process in together}

    assert len(marks) == 1
    assert marks == {result(begin("softmax", tmp_path))}


@pytest.mark.parametrize("layer", LAYERS)
def test_the_number_of_threads_changes_no_bit_of_a_layer(layer: str, tmp_path: Path) -> None:
    one = result(begin(layer, tmp_path, 1))

    assert result(begin(layer, tmp_path, 2)) == one


@pytest.mark.parametrize("family", ["correlation", "matrix", "reduction", "winograd", "winograd_taps"])
def test_the_number_of_threads_changes_no_bit_of_a_family(family: str, tmp_path: Path) -> None:
    one = result(begin("conv2d", tmp_path, 1, SYMBACKPROP_FAMILY=family))

    assert result(begin("conv2d", tmp_path, 2, SYMBACKPROP_FAMILY=family)) == one


def cut(file: Path) -> None:
    """As a full disk or a killed machine leaves it."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def flipped(file: Path) -> None:
    """One bit of the compiled code is another one; all else can be read."""
    kept = bytearray(file.read_bytes())
    kept[len(kept) * 3 // 4] ^= 4
    file.write_bytes(bytes(kept))


@pytest.mark.parametrize("layer, damage", [("relu", cut), ("relu", emptied), ("relu", flipped), ("linear", flipped)])
def test_what_is_damaged_in_the_cache_is_compiled_anew(
    layer: str, damage: Callable[[Path], None], tmp_path: Path
) -> None:
    right = result(begin(layer, tmp_path))
    files = sorted(tmp_path.rglob("*.nb[ic]"))
    for file in files:
        damage(file)
    found = {result(begin(layer, tmp_path)) for _ in range(2)}

    assert files
    assert found == {right}


def test_all_kernels_of_a_layer_come_from_the_cache(tmp_path: Path) -> None:
    result(begin("linear", tmp_path))
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.nb[ic]")}
    process = begin("linear", tmp_path)
    _, errors = process.communicate()

    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.nb[ic]")} == before
    assert "NumbaWarning" not in errors
