"""The keyword `accuracy` of modules whose sums of products may take minimal filtering."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from symbackprop import build
from symbackprop.notation.reader import read


class Recorder:
    """In place of the vectors: what was asked for, and zeros."""

    def __init__(self) -> None:
        self.strict: list[bool] = []

    def at(self, *numbers: int, **coefficients: int) -> None:
        """A place."""

    def plan(self, *arguments: object, strict: bool, **tensors: object) -> object:
        self.strict.append(strict)
        return object()

    def compute(self, plan: object, target: np.ndarray, **arrays: object) -> None:
        target[:] = 0


@pytest.fixture
def conv2d(tmp_path: Path) -> ModuleType:
    """The module of conv2d, which leaves everything to a recorder."""
    path = tmp_path / "conv2d_recorded.py"
    path.write_text(build.module(build.derive(build.load("conv2d")), "numba"))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, path.stem, module)
        spec.loader.exec_module(module)
    module._vectors = Recorder()
    return module


def draws(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


def test_the_word_reaches_every_sum_of_products(conv2d: ModuleType) -> None:
    x, weight, bias = draws((1, 2, 5, 5), (3, 2, 3, 3), (3,))
    for word, strict in (({}, False), ({"accuracy": "strict"}, True), ({"accuracy": "default"}, False)):
        conv2d._vectors.strict.clear()
        y, saved = conv2d.forward(x, weight, bias, **word)
        conv2d.backward(saved, y, wrt=("x", "weight"), **word)

        # a plan that was made before is not made again
        assert conv2d._vectors.strict == ([] if word == {"accuracy": "default"} else [strict] * 3)


def test_the_object_keeps_the_word(conv2d: ModuleType) -> None:
    x, weight, bias = draws((1, 2, 5, 5), (3, 2, 3, 3), (3,))
    layer = conv2d.Conv2d(pad=1, accuracy="strict")
    layer.backward(layer.forward(x, weight, bias), wrt=("x",))

    assert conv2d._vectors.strict == [True, True]


@pytest.mark.parametrize("word", ["Strict", None, 1, np.ones(2)])
def test_another_word_is_refused(conv2d: ModuleType, word: object) -> None:
    x, weight, bias = draws((1, 2, 5, 5), (3, 2, 3, 3), (3,))

    with pytest.raises(ValueError, match='accuracy: expected "default" or "strict", came'):
        conv2d.forward(x, weight, bias, accuracy=word)


def test_a_layer_that_has_the_name_keeps_it() -> None:
    text = "layer scaled\ninput x[N, D], weight[K, D]\nparam accuracy = 1.0\n\n"
    layer = read(text + "y[n,k] = accuracy*sum[d](x[n,d]*weight[k,d])\noutput y\n", "scaled.eq")
    made = build.module(build.derive(layer), "numba")

    assert "def forward(x, weight, *, accuracy=1.0, keep=True):" in made
    assert "strict" not in made


def test_a_module_without_sums_of_products_has_no_such_keyword() -> None:
    assert "accuracy" not in build.module(build.derive(build.load("relu")), "numba")
