"""The keyword `accuracy` of modules whose sums of products may take minimal filtering."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import numpy as np
import pytest

from symbackprop import build
from symbackprop.emit.numba_vectors import vectors_package
from symbackprop.notation.reader import read


@pytest.fixture(scope="module")
def conv2d(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The module of conv2d with minimal filtering as the only family, in place of the plain loops."""
    folder = tmp_path_factory.mktemp("accuracy") / "accuracy_under_test"
    (folder / "_vectors").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "conv2d.py").write_text(build.module(build.derive(build.load("conv2d")), "numba"))
    for name, text in vectors_package().items():
        (folder / "_vectors" / name).write_text(text)
    sys.path.insert(0, str(folder.parent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYMBACKPROP_FAMILY", "winograd")
        module = importlib.import_module("accuracy_under_test.conv2d")
    sys.path.remove(str(folder.parent))
    return module


def draws(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


def test_strict_sums_spread_no_nan_over_a_tile(conv2d: ModuleType) -> None:
    x, weight, bias = draws((1, 32, 12, 12), (16, 32, 3, 3), (16,))
    x[0, 0, 5, 5] = np.nan
    filtered, _ = conv2d.forward(x, weight, bias, pad=1)
    strict, saved = conv2d.forward(x, weight, bias, pad=1, accuracy="strict")

    assert np.isnan(strict).sum() == 16 * 9
    assert np.isnan(filtered).sum() > 16 * 9
    finite = ~np.isnan(filtered)
    assert np.allclose(filtered[finite], strict[finite], atol=1e-4)
    strict_grads = conv2d.backward(saved, np.ones_like(strict), wrt=("x",), accuracy="strict")
    grads = conv2d.backward(saved, np.ones_like(strict), wrt=("x",))
    assert np.allclose(grads.x, strict_grads.x, atol=1e-4)
    assert not np.array_equal(grads.x, strict_grads.x)


def test_the_object_keeps_the_word(conv2d: ModuleType) -> None:
    x, weight, bias = draws((1, 32, 12, 12), (16, 32, 3, 3), (16,))
    layer = conv2d.Conv2d(pad=1, accuracy="strict")

    assert np.array_equal(layer.forward(x, weight, bias), conv2d.forward(x, weight, bias, pad=1, accuracy="strict")[0])


@pytest.mark.parametrize("word", ["Strict", None, 1, np.ones(2)])
def test_another_word_is_refused(conv2d: ModuleType, word: object) -> None:
    x, weight, bias = draws((1, 32, 12, 12), (16, 32, 3, 3), (16,))

    with pytest.raises(ValueError, match='accuracy: expected "default" or "strict", came'):
        conv2d.forward(x, weight, bias, accuracy=word)


def test_a_layer_that_has_the_name_keeps_it() -> None:
    text = "layer scaled\ninput x[N, D], weight[K, D]\nparam accuracy = 1.0\n\n"
    layer = read(text + "y[n,k] = accuracy*sum[d](x[n,d]*weight[k,d])\noutput y\n", "scaled.eq")
    made = build.module(build.derive(layer), "numba")

    assert "def forward(x, weight, *, accuracy=1.0):" in made
    assert "strict" not in made


def test_a_module_without_sums_of_products_has_no_such_keyword() -> None:
    assert "accuracy" not in build.module(build.derive(build.load("relu")), "numba")
