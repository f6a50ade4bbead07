"""NumPy modules against the interpreter of the equations: values and gradients, dtypes, layouts, memory, errors."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
import tracemalloc
import types
from functools import cache
from typing import Any

import numpy as np
import pytest

from symbackprop.calculus.derive import derive
from symbackprop.check.calls import layouts_agree, outputs_agree, subsets_agree
from symbackprop.check.forward import forward, gradients
from symbackprop.check.modules import gradients_agree, single_agrees, values_agree
from symbackprop.check.subjects import Subject
from symbackprop.emit.numpy_module import numpy_module
from symbackprop.notation.reader import read
from symbackprop.program.plan import plan

LAYERS = {
    "choices": """
        layer choices
        input x[N, K], s[N], t[K]
        y[n] = sum[k](where(s[n]^2 > t[k]^2, x[n,k]*log(s[n]^2), 0))
        output y""",
    "batchnorm": """
        layer batchnorm2d
        input x[N, C, H, W], gamma[C], beta[C]
        param eps = 1e-5
        mu[c]         = mean[n,h,w](x[n,c,h,w])
        var[c]        = mean[n,h,w]((x[n,c,h,w] - mu[c])^2)
        xhat[n,c,h,w] = (x[n,c,h,w] - mu[c]) / sqrt(var[c] + eps)
        y[n,c,h,w]    = gamma[c]*xhat[n,c,h,w] + beta[c]
        output y""",
    "conv": """
        layer conv2d
        input x[N, C, H, W] outside 0, weight[K, D, R, S], bias[K]
        param stride = 1 integer, pad = 0 integer, dilation = 1 integer, groups = 1 integer
        require C % groups == 0
        require K % groups == 0
        size D = C//groups
        size M = K//groups
        size P = (H + 2*pad - dilation*(R - 1) - 1)//stride + 1
        size Q = (W + 2*pad - dilation*(S - 1) - 1)//stride + 1
        range p = P, q = Q
        y[n,k,p,q] = bias[k] + sum[d,r,s](x[n, (k//M)*D + d, stride*p + dilation*r - pad,
            stride*q + dilation*s - pad]*weight[k,d,r,s])
        output y""",
    "flipped": """
        layer flipped
        input x[N, C, H] outside 0, weight[K, C, R]
        param pad = 0 integer
        range p = H + 2*pad - R + 1
        y[n,k,p] = sum[c,r](x[n, c, p + R - 1 - r - pad]*weight[k,c,r])
        output y""",
    "maxpool": """
        layer maxpool2d
        input x[N, C, H, W] outside -inf
        param kernel = 2 integer, stride = 2 integer, pad = 0 integer
        range r = kernel, s = kernel
        range p = (H + 2*pad - kernel)//stride + 1, q = (W + 2*pad - kernel)//stride + 1
        y[n,c,p,q] = max[r,s](x[n, c, stride*p + r - pad, stride*q + s - pad])
        output y""",
    "spread": """
        layer spread
        input x[N, C, H] outside 0, weight[C, K, R], bias[K]
        param stride = 2 integer, pad = 0 integer
        require stride >= 1
        size P = R + stride*(H - 1) - 2*pad
        range p = P
        y[n,k,p] = bias[k] + sum[c,r](where((p + pad - r) % stride == 0,
            x[n, c, (p + pad - r)//stride]*weight[c,k,r], 0))
        output y""",
    "spread_reversed": """
        layer spread_reversed
        input x[N, H] outside 0, weight[R]
        param stride = 2 integer
        require stride >= 1
        size P = R + stride*(H - 1)
        range p = P
        y[n,p] = 2*sum[r](where((P - 1 - p - r) % stride == 0, x[n, (P - 1 - p - r)//stride]*weight[r], 0))
        output y""",
    "spread_guarded": """
        layer spread_guarded
        input x[N, H], weight[R]
        param stride = 3 integer
        require stride >= 1
        size P = R + stride*H
        range p = P
        y[n,p] = sum[r](where(p >= r and p - r < stride*H and (p - r) % stride == 0,
            x[n, (p - r)//stride]*weight[r], 0))
        output y""",
    "spread_over_ones": """
        layer spread_over_ones
        input x[N, H] outside 1, weight[R]
        param stride = 2 integer
        require stride >= 1
        size P = R + stride*(H - 1)
        range p = P
        y[n,p] = sum[r](where((p - r) % stride == 0, x[n, (p - r)//stride]*weight[r], 0))
        output y""",
    "depthwise": """
        layer depthwise
        input x[N, C, H] outside 0, weight[C, R]
        param stride = 1 integer
        range p = (H - R)//stride + 1
        y[n,c,p] = sum[r](x[n, c, stride*p + r]*weight[c,r])
        output y""",
    "cross_entropy": """
        layer cross_entropy
        input z[N, K]
        integer t[N]
        top[n] = max[k](z[n,k])
        lse[n] = top[n] + log(sum[k](exp(z[n,k] - top[n])))
        loss   = mean[n](lse[n] - z[n, t[n]])
        output loss""",
    "attention": """
        layer attention
        input q[B, T, D], k[B, S, D], v[B, S, E]
        score[b,t,s] = sum[d](q[b,t,d]*k[b,s,d])/sqrt(D)
        top[b,t] = max[s](score[b,t,s])
        w[b,t,s] = exp(score[b,t,s] - top[b,t])
        y[b,t,e] = sum[s](w[b,t,s]*v[b,s,e])/sum[s](w[b,t,s])
        output y""",
    "functions": """
        layer functions
        input x[N, D], z[D]
        y[n,d] = sigmoid(x[n,d]) + tanh(z[d])*softplus(x[n,d]) + relu(x[n,d]) + erf(z[d])*cos(x[n,d])
        u[n] = prod[d](x[n,d]) + max[d](abs(x[n,d])) + sum[d](where(x[n,d] > 0, log(x[n,d]), z[d]^3))
        output y, u""",
    "shuffle": """
        layer shuffle
        input x[N, C, H]
        param f = 2 integer
        require C % f == 0
        size K = C//f
        range k = K, p = H*f
        y[n,k,p] = x[n, k*f + p % f, p//f]
        output y""",
    "circular": """
        layer circular
        input x[N, H], weight[R]
        range h = H
        y[n,h] = sum[r](x[n, (h + r) % H]*weight[r])
        output y""",
    "replicate": """
        layer replicate
        input x[N, C, H], weight[K, C, R]
        param pad = 1 integer
        range p = H + 2*pad - R + 1
        y[n,k,p] = sum[c,r](x[n, c, clip(p + r - pad, 0, H - 1)]*weight[k,c,r])
        output y""",
    "transposed": """
        layer transposed
        input x[N, C, H], weight[C, K, R]
        param stride = 2 integer
        range p = stride*(H - 1) + R
        y[n,k,p] = sum[c,r](where((p - r) % stride == 0 and p >= r and (p - r)//stride < H,
            x[n, c, (p - r)//stride]*weight[c,k,r], 0))
        output y""",
    "embedding": """
        layer embedding
        input table[V, D]
        integer ids[N, T]
        y[n,t,d] = table[ids[n,t], d]
        output y""",
    "distances": """
        layer distances
        input x[N, D], w[K, D]
        y[n,k] = sum[d](abs(x[n,d] - w[k,d]))
        output y""",
    "mirrored": """
        layer mirrored
        input x[N, D]
        range d = D - 1
        y[n,d] = x[n,d+1]*x[n,d] + 2*x[n,D-1-d]
        output y""",
    "choice": """
        layer choice
        input x[N], z[D]
        param mode = 1 integer
        y[n,d] = where(mode >= 2, x[n], z[d])
        output y""",
    "diagonal": """
        layer diagonal
        input a[N, N], spare[K]
        y[n] = a[n,n] + 1
        output y""",
}


@cache
def text(name: str) -> str:
    return numpy_module(plan(derive(read(LAYERS[name]))))


@cache
def module(name: str) -> Any:
    made = types.ModuleType(f"generated_{name}")
    sys.modules[made.__name__] = made
    exec(compile(text(name), f"{name}.py", "exec"), made.__dict__)
    return made


@pytest.mark.parametrize("name, walked", [("spread", True), ("spread_reversed", False), ("spread_over_ones", False)])
def test_a_sum_where_a_stride_divides_is_walked_by_the_quotient(name: str, walked: bool) -> None:
    code = [line for line in text(name).split("def forward")[1].splitlines() if not line.strip().startswith("#")]

    assert any("% stride" in line for line in code) != walked


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("check", [values_agree, gradients_agree, single_agrees, subsets_agree, layouts_agree])
def test_a_module_agrees_with_the_interpreter(name: str, check: Any) -> None:
    check(Subject(read(LAYERS[name]), "numpy", module(name)), seed=3, draws=3)


def test_a_scalar_output_needs_no_gradient_and_several_take_none() -> None:
    for name in ("cross_entropy", "functions"):
        outputs_agree(Subject(read(LAYERS[name]), "numpy", module(name)), seed=1)


SHAPES = [
    ((2, 4, 5, 6), (6, 2, 3, 2), {"stride": 2, "pad": 1, "dilation": 1, "groups": 2}),
    ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    ((2, 3, 4, 5), (2, 3, 4, 5), {}),
    ((1, 2, 7, 6), (3, 2, 2, 3), {"stride": 3, "pad": 2, "dilation": 2}),
    ((3, 4, 3, 3), (4, 1, 1, 2), {"stride": 2, "groups": 4}),
]


@pytest.mark.parametrize("shape, kernel, parameters", SHAPES)
@pytest.mark.parametrize("panel", [1, 2**20])
def test_conv_is_right_for_every_stride_pad_dilation_and_group(
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    parameters: dict[str, int],
    panel: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module("conv"), "_PANEL_BYTES", panel)
    layer, rng = read(LAYERS["conv"]), np.random.default_rng(0)
    arrays = {"x": rng.normal(size=shape), "weight": rng.normal(size=kernel), "bias": rng.normal(size=kernel[0])}
    y, saved = module("conv").forward(*arrays.values(), **parameters)
    dy = rng.normal(size=y.shape)
    grads = module("conv").backward(saved, dy)
    truth = gradients(layer, arrays, parameters, {"y": dy})

    np.testing.assert_allclose(y, forward(layer, arrays, parameters)["y"], atol=1e-12)
    for name, expected in truth.items():
        np.testing.assert_allclose(getattr(grads, name), expected, atol=1e-11)


def test_conv_on_a_large_batch_stays_within_its_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = module("conv")
    monkeypatch.setattr(conv, "_PANEL_BYTES", 2**20)
    x, weight, bias = np.ones((64, 8, 32, 32), "f"), np.ones((8, 8, 3, 3), "f"), np.zeros(8, "f")
    tracemalloc.start()
    y, saved = conv.forward(x, weight, bias, pad=1)
    conv.backward(saved, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    # the input padded, the output, a gradient and its sum with margins are each one batch; the full im2col is nine
    assert peak < 5 * x.nbytes + 8 * 2**20


def test_one_large_image_is_cut_by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = module("conv")
    monkeypatch.setattr(conv, "_PANEL_BYTES", 2**20)
    x, weight, bias = np.ones((1, 16, 128, 128), "f"), np.ones((4, 16, 5, 5), "f"), np.zeros(4, "f")
    tracemalloc.start()
    conv.forward(x, weight, bias)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 2 * x.nbytes + 4 * 2**20


def test_float32_sums_do_not_lose_digits() -> None:
    batchnorm = module("batchnorm")
    x = (1e4 + np.random.default_rng(1).normal(size=(64, 1, 64, 64))).astype("f")
    y, _ = batchnorm.forward(x, np.ones(1, "f"), np.zeros(1, "f"))
    truth, _ = batchnorm.forward(x.astype(float), np.ones(1), np.zeros(1))

    assert y.dtype == np.float32
    assert abs(y - truth).max() < 2e-3  # x itself has steps of 1e-3 there
    assert abs(y.mean(dtype=float)) < 1e-3


def test_a_branch_not_taken_neither_warns_nor_comes_through() -> None:
    x, z = np.array([[-1.0, 0.0, 2.0]]), np.ones(3)
    with np.errstate(all="raise"):
        outputs, saved = module("functions").forward(x, z)
        grads = module("functions").backward(saved, np.ones((1, 3)), np.ones(1))

    assert np.isfinite(outputs.u).all()
    assert np.isfinite(grads.x).all()


def test_what_is_computed_once_for_a_branch_neither_warns_nor_comes_through() -> None:
    with np.errstate(all="raise"):
        y, saved = module("choices").forward(np.ones((2, 2)), np.array([0.0, 2.0]), np.array([0.5, 0.0]))
        grads = module("choices").backward(saved, np.ones(2))

    assert y.tolist() == [0.0, 2 * math.log(4)]
    assert grads.s.tolist() == [0.0, 2.0]
    assert grads.x.tolist() == [[0.0, 0.0], [math.log(4), math.log(4)]]


def test_sigmoid_and_softplus_do_not_overflow() -> None:
    with np.errstate(over="raise"):
        outputs, _ = module("functions").forward(np.array([[-1e4, 1e4, 1.0]]), np.full(3, 0.5))

    assert outputs.y[0, 0] == pytest.approx(math.erf(0.5) * math.cos(-1e4), abs=1e-12)


@pytest.mark.parametrize("dtype, accuracy", [("d", 4e-16), ("f", 2e-7)])
def test_erf_is_accurate_to_the_last_digits(dtype: str, accuracy: float) -> None:
    x = np.linspace(-7, 7, 5001).astype(dtype)
    found = module("functions")._erf(x)
    truth = np.array([math.erf(float(v)) for v in x])

    assert found.dtype == x.dtype
    assert abs(found - truth).max() <= accuracy


def test_a_nan_in_the_data_passes_through() -> None:
    x = np.ones((1, 1, 4, 4))
    x[0, 0, 1, 1] = np.nan
    y, saved = module("maxpool").forward(x)

    assert np.isnan(y[0, 0, 0, 0])
    assert not np.isnan(y[0, 0, 1, 1])
    assert module("maxpool").backward(saved, np.ones_like(y)).x[0, 0, 1, 1] == 1


def test_outputs_and_gradients_share_no_memory_with_what_came_in() -> None:
    table, ids = np.ones((3, 2)), np.array([[0, 1]])
    y, saved = module("embedding").forward(table, ids)
    dy = np.ones(y.shape)
    grads = module("embedding").backward(saved, dy)

    assert not any(np.shares_memory(a, b) for a, b in itertools.product((y, grads.table), (table, dy)))


def test_the_gradient_of_an_input_that_nothing_reads_is_zeros() -> None:
    _, saved = module("diagonal").forward(np.ones((3, 3)), np.ones(5))

    assert module("diagonal").backward(saved, np.ones(3)).spare.tolist() == [0.0] * 5


def test_the_object_form_gives_what_the_functions_give() -> None:
    conv, rng = module("conv"), np.random.default_rng(5)
    x, weight, bias = rng.normal(size=(1, 2, 5, 5)), rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3)
    layer = conv.Conv2d(stride=2, pad=1)
    y, saved = conv.forward(x, weight, bias, stride=2, pad=1)

    np.testing.assert_array_equal(layer.forward(x, weight, bias), y)
    np.testing.assert_array_equal(layer.backward(y, wrt=("x",)).x, conv.backward(saved, y).x)
    with pytest.raises(RuntimeError, match="forward must be called before backward"):
        conv.Conv2d().backward(y)


def test_no_module_loops_over_a_batch_a_channel_or_a_pixel() -> None:
    for name in LAYERS:
        heads = [line.strip() for line in text(name).splitlines() if line.strip().startswith("for ")]
        ranges = {head.split("range(")[1].rstrip("):") for head in heads if "in range(" in head and "count" not in head}

        assert ranges <= {"R", "S", "kernel"}, name


def test_the_same_text_comes_out_under_any_hash_seed() -> None:
    program = (
        "import sys; sys.path.insert(0, 'tests/emit')\n"
        "from symbackprop.calculus.derive import derive\n"
        "from symbackprop.emit.numpy_module import numpy_module\n"
        "from symbackprop.notation.reader import read\n"
        "from symbackprop.program.plan import plan\n"
        "import hashlib\n"
        f"layers = {[LAYERS['conv'], LAYERS['functions'], LAYERS['attention']]!r}\n"
        "print(hashlib.sha256(''.join(numpy_module(plan(derive(read(t)))) for t in layers).encode()).hexdigest())\n"
    )
    found = {
        subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "."},
                       capture_output=True, text=True, check=True).stdout
        for seed in ("0", "1", "77")
    }  # fmt: skip

    assert len(found) == 1


def test_the_gradient_of_a_maximum_over_windows_goes_back_in_slices() -> None:
    source = text("maxpool")

    assert "_scatter_add" not in source
    assert "argmax_y" in source.split("_kept(")[1].split(")")[0]


def test_positions_of_extrema_take_few_bytes() -> None:
    x = np.random.default_rng(0).standard_normal((1, 1, 24, 24))
    small, large = (module("maxpool").forward(x, kernel=k, stride=1)[1].argmax_y for k in (3, 12))

    assert (small.dtype, large.dtype) == (np.int8, np.int16)


def test_what_comes_in_as_a_gradient_is_not_written_over() -> None:
    source = "layer two\ninput x[N]\nu[n] = 2*x[n]\ny[n] = u[clip(n + 1, 0, N - 1)]^2\noutput u, y"
    made = types.ModuleType("two")
    exec(numpy_module(plan(derive(read(source)))), made.__dict__)
    _, saved = made.forward(np.ones(4))
    du = np.ones(4)
    made.backward(saved, du, np.ones(4))

    assert du.tolist() == [1, 1, 1, 1]


def test_a_product_with_a_factor_of_indices_alone_is_written() -> None:
    made = types.ModuleType("weighted")
    source = """layer weighted
        input x[N, N]
        size P = N//2 + 1
        param stride = 2 integer, pad = 1 integer
        require stride >= 1
        range c = N, p = P, r = 2, q = (N - 1)//stride + 1
        v[c,p,r] = sum[q](relu(x[(2*c + pad) % stride % N, (-q + stride*p + N - 1)//N % N])/(1 +
            tanh(abs((3*r + 3*q - 1) % (stride*N) % N))^2))
        output v"""
    exec(numpy_module(plan(derive(read(source)))), made.__dict__)
    v, _ = made.forward(np.eye(3))

    assert v.shape == (3, 2, 2)


@pytest.mark.parametrize("body", ["tanh(x[clip(t[0], 0, N - 1), h])", "x[clip(t[0], 0, N - 1), h]"])
def test_a_row_picked_by_one_element_of_a_tensor_is_not_written_over(body: str) -> None:
    made = types.ModuleType("picked")
    source = f"layer picked\ninput x[N, H]\ninteger t[N]\ny[h] = {body}\noutput y"
    exec(numpy_module(plan(derive(read(source)))), made.__dict__)
    x = np.ones((2, 3))
    y, saved = made.forward(x, np.array([1, 0]))
    grad = made.backward(saved, y).x
    grad += 1

    assert x.tolist() == [[1] * 3] * 2
    assert not np.shares_memory(x, y)


def test_a_sum_along_memory_is_exact_to_float32_whatever_its_length() -> None:
    made = types.ModuleType("total")
    source = "layer total\ninput x[N, D]\ny[n] = mean[d](x[n,d])\noutput y"
    exec(numpy_module(plan(derive(read(source)))), made.__dict__)
    x = (1e4 + np.random.default_rng(0).standard_normal((1, 3_000_000))).astype(np.float32)
    y, _ = made.forward(x)

    assert abs(float(y[0]) - x.mean(dtype=np.float64)) < 2e-3
