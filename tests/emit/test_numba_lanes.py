"""Lines of numbers in vectors: right at each width, and nothing is written beside them, nor read that is not there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from types import ModuleType

import numpy as np
import pytest
from numba import njit

from tests.emit.widths import printed

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


def images(rng: np.random.Generator) -> Iterator[tuple[tuple[int, ...], ...]]:
    """The shape of an image, the first place of a part of it or of more than it, the steps, and how many of them."""
    for width, step in product((1, 2, 3, 7, 14, 28, 33, 70), (1, 2, 3, 4, 5)):
        first = (0, int(rng.integers(-2, 3)), int(rng.integers(-4, 4)))
        yield (2, 5, width), first, (1, min(step, 2), step), (2, 4, int(rng.integers(1, 3 + width // step)))


def laid_apart(
    image: np.ndarray, first: tuple[int, ...], step: tuple[int, ...], count: tuple[int, ...], outside: float
) -> np.ndarray:
    """What `stage` makes of an image, a row for each remainder, by the definition."""
    placed = []
    for j in product(*map(range, step)):
        for u in product(*map(range, count)):
            place = tuple(f + b + s * n for f, b, s, n in zip(first, j, step, u, strict=True))
            inside = all(0 <= p < extent for p, extent in zip(place, image.shape, strict=True))
            placed.append(image[place] if inside else outside)
    return np.array(placed, image.dtype).reshape(math.prod(step), math.prod(count))


def stages(staging: ModuleType, real: str) -> None:
    """Images of which more is asked for than there is, with numbers around the parts; asserts each."""
    stage = staging.stage

    @njit
    def staged(to, size, image, shape, first, step, count, outside):
        stage(to[AROUND:], size, image, shape, first, step, count, outside)

    rng = np.random.default_rng(0)
    for shape, first, step, count in images(rng):
        image = rng.integers(1, 100, shape).astype(real)
        size, parts = math.prod(count) + 3, math.prod(step)
        to = np.full(parts * size + 2 * AROUND, -1, real)
        staged(to, size, image.reshape(-1), shape, first, step, count, image.dtype.type(101))
        rows = to[AROUND:-AROUND].reshape(parts, size)

        assert np.array_equal(rows[:, :-3], laid_apart(image, first, step, count, 101)), (shape, first, step, count)
        assert (rows[:, -3:] == -1).all()
        assert (to[:AROUND] == -1).all()
        assert (to[-AROUND:] == -1).all()


@pytest.mark.parametrize("width", ["64", "32", "16", "4"])
def test_lines_are_right_at_each_width(width: str) -> None:
    code = (
        "import tests.emit.test_numba_lanes as t; from symbackprop.generated.numba._vectors import lanes, staging;"
        "assert lanes.BYTES == width;"
        "[check(lanes, real) for check in (t.strips, t.stores_apart) for real in ('float32', 'float64')];"
        "[t.stages(staging, kind) for kind in ('float32', 'float64', 'int8')]"
    )

    assert printed(width, code) == []
