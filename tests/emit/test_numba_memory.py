"""What a call takes beside its tensors: 256 MB at most, however many threads there are."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from symbackprop.generated.numba import _vectors

MOST = 256 << 20
SHAPES = [  # groups, N, C, H, W, K, R, stride: large images, many channels, long sums, many groups
    (1, 1, 3, 2000, 2000, 64, 7, 2),
    (1, 64, 512, 56, 56, 512, 3, 1),
    (1, 4, 2048, 7, 7, 2048, 3, 1),
    (1, 1, 1, 9, 400_000, 40, 9, 3),
    (1, 8, 64, 224, 224, 64, 11, 2),
    (5000, 8, 1, 30, 30, 1, 3, 1),
    (300, 3, 2, 40, 20, 3, 5, 2),
]


class Taken(Exception):
    """Raised in place of taking memory."""


def problems(shape: tuple[int, ...], size: int) -> list[Any]:
    """A convolution's forward pass and weight gradient."""
    g, n, c, h, w, k, r, stride = shape
    p, q = ((e - r) // stride + 1 for e in (h, w))
    at = _vectors.at
    x = ((n, g * c, h, w), (at(n=1), at(g=c, c=1), at(p=stride, r=1), at(q=stride, s=1)))
    weight = ((g * k, c, r, r), (at(g=k, k=1), at(c=1), at(r=1), at(s=1)))
    y = ((n, g * k, p, q), (at(n=1), at(g=k, k=1), at(p=1), at(q=1)))
    extents = {"g": g, "n": n, "k": k, "p": p, "q": q, "c": c, "r": r, "s": r}
    problem, batch = _vectors.Problem, ("g",) if g > 1 else ()
    return [
        problem(size, extents, (y, x, weight, None, None), batch, ("n", "p", "q"), ("k",), ("c", "r", "s"), False),
        problem(size, extents, (weight, x, y, None, None), batch, ("c", "r", "s"), ("k",), ("n", "p", "q"), False),
    ]


def taken(family: ModuleType, problem: Any, threads: int, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """The bytes that the family's way takes with so many threads; None where it has no way."""
    way = family.offer(problem)
    if way is None:
        return None
    found = SimpleNamespace(bytes=0)

    def workspace(count: int, real: np.dtype[Any]) -> np.ndarray:
        found.bytes = int(count) * real.itemsize
        raise Taken

    monkeypatch.setattr(family, "workspace", workspace)
    real = np.dtype(np.float32 if problem.size == 4 else np.float64)
    with pytest.raises(Taken):
        way.compute([np.zeros(1, real)] * 5, np.zeros(3, real), threads)
    return found.bytes


@pytest.mark.parametrize("size", [4, 8])
@pytest.mark.parametrize("name", _vectors.FAMILIES)
def test_scratch_memory_is_bounded_whatever_the_number_of_threads(
    name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = _vectors.FAMILIES[name]
    every = [one for shape in SHAPES for one in problems(shape, size)]
    found = [taken(family, one, threads, monkeypatch) for one in every for threads in (1, 64, 512)]

    assert all(one <= MOST for one in found if one is not None), found
    assert any(found) or (size == 8 and name.startswith("winograd"))
