"""Lines of numbers in vectors: right at each width, and nothing is written beside them, nor read that is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numba import njit

ROOT = Path(__file__).parents[2]
AROUND = 40  # numbers beside what is written


def strips(lanes: ModuleType, real: str) -> None:
    """Copies with zeros around them, of each length, step and beginning; asserts each."""
    strip = lanes.strip

    @njit
    def copied(to, at, source, first, step, low, high, count):
        strip(to, at, source, first, step, low, high, count)

    for count, step in product((*range(1, 20), 33, 50), (1, 2, 3, 4)):
        for low, high in ((0, count), (count // 3, count), (0, count - count // 4), (count // 2, count // 2)):
            last = max(0, high - low - 1) * step  # the last number that is read is the last one there is
            source = np.arange(1, last + 2, dtype=real)
            to = np.full(count + 2 * AROUND, -1, real)
            copied(to, AROUND, source, -low * step, step, low, high, count)
            expected = np.zeros(count, real)
            expected[low:high] = source[::step][: high - low]

            assert np.array_equal(to[AROUND : AROUND + count], expected), (count, step, low, high)
            assert (to[:AROUND] == -1).all(), (count, step, low, high)
            assert (to[AROUND + count :] == -1).all(), (count, step, low, high)


def stores_apart(lanes: ModuleType, real: str) -> None:
    """Results to every second or third place; asserts that the places between them stay as they were."""
    for step in (2, 3):
        scaled = lanes.scaled_apart(step)

        @njit
        def stored(to, at, source, first, count, by, plus, low, high, scaled=scaled):
            scaled(to, at, source, first, count, by, plus, low, high)

        for count in (*range(1, 20), 33, 50):
            source, to = np.arange(count, dtype=real), np.full(count * step + 2 * AROUND, -1, real)
            kind = to.dtype.type
            stored(to, AROUND, source, 0, count, kind(2), kind(1), kind(3), kind(41))
            expected = np.full(to.size, -1, real)
            expected[AROUND : AROUND + step * count : step] = np.clip(2 * source + 1, 3, 41)

            assert np.array_equal(to, expected), (count, step)


@pytest.mark.parametrize("width", ["64", "32", "16", "4"])
def test_lines_are_right_at_each_width(width: str) -> None:
    code = (
        "import tests.emit.test_numba_lanes as t; from symbackprop.generated.numba._vectors import lanes;"
        f"assert lanes.BYTES == {width};"
        "[check(lanes, real) for check in (t.strips, t.stores_apart) for real in ('float32', 'float64')]"
    )
    environment = {**os.environ, "SYMBACKPROP_VECTOR_BYTES": width, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=ROOT)

    assert done.returncode == 0, done.stderr
