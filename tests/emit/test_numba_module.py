"""Compiled modules: right in float32 too, the same for any number of threads, and light to import."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from symbackprop import build, equations
from symbackprop.calculus.derive import derive
from symbackprop.emit.numba_module import numba_module
from symbackprop.emit.numba_vectors import vectors_package
from symbackprop.loops.lower import lower
from symbackprop.notation.reader import read
from symbackprop.program.plan import plan


def load(name: str, folder: Path) -> ModuleType:
    """The generated module of a built-in layer, written to a folder and imported from there."""
    text = numba_module(lower(plan(derive(equations.load(name)), scatter_strided=False, inline=True)))
    path = folder / f"compiled_{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def batchnorm(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """Batch normalisation of images."""
    return load("batchnorm2d", tmp_path_factory.mktemp("batchnorm"))


@pytest.fixture(scope="module")
def conv(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """Convolution of images."""
    return load("conv2d", tmp_path_factory.mktemp("conv"))


def draw(*shape: int, seed: int = 0) -> Any:
    """Normal numbers in float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_importing_compiles_nothing(tmp_path: Path) -> None:
    module = load("batchnorm2d", tmp_path)
    kernels = [f for f in vars(module).values() if isinstance(f, Dispatcher)]

    assert kernels
    assert [f.signatures for f in kernels] == [[] for _ in kernels]


def test_the_variance_of_a_million_floats_far_from_zero_is_right(batchnorm: ModuleType) -> None:
    x = (1e4 + draw(10, 1, 500, 200).astype(float)).astype(np.float32)
    _, saved = batchnorm.forward(x, np.ones(1, np.float32), np.zeros(1, np.float32), eps=0.0)
    variance = float(saved.inv_sqrt_var[0]) ** -2

    assert variance == pytest.approx(x.astype(float).var(), rel=1e-5)


def test_a_first_value_that_is_an_outlier_does_not_spoil_the_variance(batchnorm: ModuleType) -> None:
    x = draw(10, 1, 100, 100)
    x[0, 0, 0, 0] = 1e5
    _, saved = batchnorm.forward(x, np.ones(1, np.float32), np.zeros(1, np.float32), eps=0.0)

    assert float(saved.inv_sqrt_var[0]) ** -2 == pytest.approx(x.astype(float).var(), rel=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_channel(batchnorm: ModuleType, value: float) -> None:
    x = draw(2, 3, 4, 5)
    x[0, 1, 0, 0] = value
    y, _ = batchnorm.forward(x, np.ones(3, np.float32), np.zeros(3, np.float32))

    assert np.isnan(y[:, 1]).all()
    assert np.isfinite(y[:, [0, 2]]).all()


def test_float32_comes_out_as_float32_whatever_the_layout(conv: ModuleType) -> None:
    x, weight, bias = draw(2, 3, 9, 8), draw(4, 3, 3, 2, seed=1), draw(4, seed=2)
    y, saved = conv.forward(x, weight, bias, stride=2, pad=1)
    apart, _ = conv.forward(np.asfortranarray(x), weight[:, :, ::-1][:, :, ::-1], bias, stride=2, pad=1)
    grads = conv.backward(saved, np.asfortranarray(y))

    assert {y.dtype, grads.x.dtype, grads.weight.dtype, grads.bias.dtype} == {np.dtype(np.float32)}
    assert np.array_equal(y, apart)


@pytest.mark.parametrize("options", [{"stride": 1, "pad": 1}, {"stride": 3, "pad": 2, "dilation": 2}])
def test_compiled_loops_compute_what_the_equations_say(conv: ModuleType, options: dict[str, int]) -> None:
    stride, pad, dilation = options["stride"], options["pad"], options.get("dilation", 1)
    x, weight, bias = draw(2, 6, 10, 11), draw(4, 6, 3, 3, seed=1), draw(4, seed=2)
    y, saved = conv.forward(x, weight, bias, **options)
    dy = draw(*y.shape, seed=3)
    grads = conv.backward(saved, dy)
    padded = np.pad(x.astype(float), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    reach = dilation * 2 + 1
    windows = np.lib.stride_tricks.sliding_window_view(padded, (reach, reach), (2, 3))
    windows = windows[:, :, ::stride, ::stride, ::dilation, ::dilation]

    assert np.allclose(y, np.einsum("ncpqrs,kcrs->nkpq", windows, weight) + bias[:, None, None], atol=1e-5)
    assert np.allclose(grads.weight, np.einsum("ncpqrs,nkpq->kcrs", windows, dy), atol=1e-4)
    # <dy, conv(x)> = <grad_x, x>, which says the same of grad_x
    assert np.vdot(dy, y - bias[:, None, None]) == pytest.approx(float(np.vdot(grads.x, x)), rel=1e-4)


def test_the_number_of_threads_changes_no_bit(conv: ModuleType, batchnorm: ModuleType) -> None:
    x, weight, bias = draw(3, 8, 12, 12), draw(8, 8, 3, 3, seed=1), draw(8, seed=2)
    found = []
    before = numba.get_num_threads()
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            y, saved = conv.forward(x, weight, bias, pad=1)
            z, saved_too = batchnorm.forward(y, bias, bias)
            found.append([y, z, *conv.backward(saved, y), *batchnorm.backward(saved_too, y)])
    finally:
        numba.set_num_threads(before)

    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))


def test_only_the_gradients_that_are_asked_for_come_back(batchnorm: ModuleType) -> None:
    x, gamma = draw(2, 3, 4, 5), draw(3, seed=1)
    y, saved = batchnorm.forward(x, gamma, gamma)
    every, some = batchnorm.backward(saved, y), batchnorm.backward(saved, y, wrt=("gamma",))

    assert some.x is None
    assert some.beta is None
    assert np.array_equal(some.gamma, every.gamma)


def test_a_sum_to_one_number_is_split_the_same_way_for_any_number_of_threads(tmp_path: Path) -> None:
    module = load("mse", tmp_path)
    x = draw(300, 331)
    before = numba.get_num_threads()
    try:
        losses = []
        for threads in (1, before):
            numba.set_num_threads(threads)
            losses.append(module.forward(x, np.zeros_like(x))[0])
    finally:
        numba.set_num_threads(before)

    assert losses[0] == losses[1]
    assert float(losses[0]) == pytest.approx((x.astype(float) ** 2).mean(), rel=1e-6)


def test_a_module_finds_its_vectors_where_it_belongs_to_no_package(tmp_path: Path) -> None:
    layer = build.load("linear")
    generated = ("linear.py", build.module(build.derive(layer), "numba"))
    for name, text in (generated, *((f"_vectors/{n}", t) for n, t in vectors_package().items())):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import linear; print(linear._vectors.__file__)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)

    assert done.stdout.strip() == str(tmp_path / "_vectors" / "__init__.py"), done.stderr


def test_a_gradient_that_is_scattered_to_and_then_scaled_begins_as_zeros() -> None:
    """Its array was made without them, since the last statement writes every element."""
    source = """layer sample
        input x[N, N] outside 0, spare[C, H]
        param stride = 2 integer, pad = 1 integer
        range c = C, h = H, r = 2, q = (H - 1)//stride + 1
        require stride >= 1
        v[q] = where(prod[r,c](max[n,h](x[n, (stride*n + c) % 3]*(h + 1))*(r + 1)) > 0.25,
            prod[r,c](max[n,h](x[n, (stride*n + c) % 3]*(h + 1))*(r + 1))^1.5*q, 0.5)
        y[n,h,q] = x[stride*q + 1, n//2] + v[clip(q + 2*n - pad, 0, (H - 1)//stride)]
        output v, y"""
    kernels = lower(plan(derive(read(source)), scatter_strided=False, inline=True))
    text = numba_module(kernels)

    assert "grad_v_total = np.zeros(" in text
    assert "grad_v_total = np.empty(" not in text
