"""A network of generated layers: its arrays, its passes, and gradients that differences confirm."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

import symbackprop
from symbackprop.build import texts
from symbackprop.errors import UserError
from symbackprop.modules import imported
from symbackprop.nn.layers import (
    batchnorm1d,
    batchnorm2d,
    conv,
    dropout,
    elementwise,
    flatten,
    generated,
    linear,
    maxpool,
    relu,
    untied_conv,
)
from symbackprop.nn.modules import module
from symbackprop.nn.sequential import Sequential
from symbackprop.nn.units import Axis, Call, Trained, Unit

ROOT = Path(__file__).parents[2]
Array = np.ndarray[Any, Any]
UNITS = (conv(3, 3, pad=1), batchnorm2d(), elementwise("tanh"), maxpool(2), flatten(), linear(5), batchnorm1d())
UNITS = (*UNITS, relu(), linear(4))


def small(units: tuple[Unit, ...] = UNITS, image: tuple[int, ...] = (2, 6, 6), **options: Any) -> Sequential:
    """A small network, in float64 with NumPy."""
    return Sequential(units, image, **{"backend": "numpy", "dtype": np.float64, **options})


def batch(n: int = 8, image: tuple[int, ...] = (2, 6, 6), classes: int = 4) -> tuple[Array, Array]:
    """Random images and labels."""
    rng = np.random.default_rng(3)
    return rng.standard_normal((n, *image)), rng.integers(0, classes, n)


def test_arrays_have_the_names_of_their_units() -> None:
    network = small()

    assert list(network.parameters) == [
        *("conv.weight", "conv.bias", "norm1.gamma", "norm1.beta", "linear1.weight", "linear1.bias"),
        *("norm2.gamma", "norm2.beta", "linear2.weight", "linear2.bias"),
    ]
    assert list(network.kept) == ["norm1.mean", "norm1.var", "norm2.mean", "norm2.var"]
    assert network.parameters["linear1.weight"].shape == (5, 27)


def test_the_gradient_of_every_parameter_agrees_with_differences() -> None:
    network, (x, labels) = small(), batch()
    gradients = network.step(x, labels).gradients
    rng, h = np.random.default_rng(1), 1e-6

    assert list(gradients) == list(network.parameters)
    for name, array in network.parameters.items():
        direction = rng.standard_normal(array.shape)
        losses = []
        for sign in (1, -2):  # forward by h, then back to -h
            array += sign * h * direction
            losses.append(network.step(x, labels).loss)
        array += h * direction

        expected = (losses[0] - losses[1]) / (2 * h)
        np.testing.assert_allclose((gradients[name] * direction).sum(), expected, rtol=1e-6, atol=1e-9, err_msg=name)


def test_a_wrong_gradient_does_not_agree_with_differences() -> None:
    class Flipped:
        """The linear layer with the sign of one gradient turned."""

        def __init__(self) -> None:
            self.right = module("numpy", "linear")
            self.Gradients, self.forward = self.right.Gradients, self.right.forward

        def backward(self, *given: Any, **options: Any) -> Any:
            found = self.right.backward(*given, **options)
            return found._replace(weight=-found.weight)

    network = small(modules=lambda layer: Flipped() if layer == "linear" else module("numpy", layer))

    with pytest.raises(AssertionError):
        _check_one(network, "linear2.weight")
    _check_one(small(), "linear2.weight")


OWN = """
layer affine_channels
input x[N, C, H, W], weight[C], shift[C]
param power = 1.0
y[n,c,h,w] = weight[c]^power*x[n,c,h,w] + shift[c]
output y
"""


def test_a_layer_of_ones_own_is_trained_beside_ours(tmp_path: Path) -> None:
    layer = symbackprop.read(OWN)
    own = imported(layer.name, "numpy", texts([layer], ("numpy",))[PurePosixPath("numpy/affine_channels.py")], tmp_path)
    arrays = Trained("weight", (Axis(1),), "ones"), Trained("shift", (Axis(1),), "zeros")
    units = (conv(2, 3), generated("affine_channels", *arrays, power=2.0), flatten(), linear(4))
    network = small(units, modules={"affine_channels": own})
    x, labels = batch()
    expected = network.step(x, labels).gradients["affine_channels.weight"]
    losses = []
    for h in (1e-6, -2e-6):
        network.parameters["affine_channels.weight"][1] += h
        losses.append(network.step(x, labels).loss)

    np.testing.assert_allclose((losses[0] - losses[1]) / 2e-6, expected[1], rtol=1e-6)


def test_a_unit_that_lacks_an_array_of_its_call_is_refused() -> None:
    call = Call("linear", ("weight", "bias"))

    with pytest.raises(UserError, match="unit linear: linear takes bias, which the unit has not: weight"):
        small((flatten(), Unit("linear", call, call, (Trained("weight", (4, Axis(1))),))))


def test_a_layer_with_other_inputs_than_the_unit_gives_is_refused() -> None:
    with pytest.raises(UserError, match=r"unit linear: .*bias"):
        small((flatten(), generated("linear", Trained("weight", (4, Axis(1))))))


@pytest.mark.parametrize("change", [lambda x: x[:, :1], lambda x: x.astype(np.float32), lambda x: x.tolist()])
def test_a_batch_that_the_network_was_not_built_for_is_refused(change: Callable[[Array], Any]) -> None:
    x, labels = batch()

    with pytest.raises(UserError, match=r"x: expected an array of float64 \[batch, 2, 6, 6\], came "):
        small().step(change(x), labels)


def _check_one(network: Sequential, name: str) -> None:
    x, labels = batch()
    array, gradient = network.parameters[name], network.step(x, labels).gradients[name]
    array[0, 0] += 1e-6
    after = network.step(x, labels).loss
    array[0, 0] -= 2e-6
    np.testing.assert_allclose(gradient[0, 0], (after - network.step(x, labels).loss) / 2e-6, rtol=1e-5)


def test_backends_agree() -> None:
    x, _ = batch()
    first, second = (small(UNITS[:4], backend=b) for b in ("numpy", "numba"))
    actual, expected = first.forward(x, training=True), second.forward(x, training=True)

    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)
    for (name, a), b in zip(first.backward(actual).items(), second.backward(actual).values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11, err_msg=name)


def test_float32_stays_float32() -> None:
    network, (x, labels) = small(dtype=np.float32), batch()
    step = network.step(x.astype(np.float32), labels)

    assert {a.dtype for a in (*network.parameters.values(), *network.kept.values(), *step.gradients.values())} == {
        np.dtype(np.float32)
    }


def test_a_tied_bias_before_batch_norm_has_no_gradient_and_an_untied_one_has() -> None:
    tail = (batchnorm2d(), elementwise("tanh"), flatten(), linear(4))
    x, labels = batch()
    tied = small((conv(3, 3), *tail)).step(x, labels).gradients["conv.bias"]
    untied = small((untied_conv(3, 3, (4, 4)), *tail)).step(x, labels).gradients["conv.bias"]

    assert np.abs(tied).max() < 1e-15
    assert np.abs(untied).max() > 1e-3
    # the parts of an untied gradient that all places of a channel share are what a tied bias would have
    assert np.abs(untied.sum((1, 2))).max() < 1e-15


def test_dropout_scales_in_training_and_does_nothing_outside() -> None:
    network, x = small((dropout(0.25),), (40,)), np.ones((50, 40))
    dropped = network.forward(x, training=True)

    assert network.forward(x) is x
    assert set(np.round(np.unique(dropped), 12)) == {0.0, round(1 / 0.75, 12)}
    assert abs(dropped.mean() - 1) < 0.05


def test_what_nothing_is_trained_before_needs_no_gradient() -> None:
    network, (x, labels) = small((maxpool(2), flatten(), linear(4))), batch()
    calls: list[str] = []
    for block in network.blocks:
        block.backward = lambda *given, own=block.backward, name=block.name, **o: calls.append(name) or own(*given, **o)  # type: ignore[method-assign, misc]
    network.step(x, labels)

    assert calls == ["linear"]


def test_a_network_trains_without_sympy_and_without_the_core() -> None:
    code = (
        "import sys, numpy as np\n"
        "from symbackprop.nn.layers import conv, flatten, linear\n"
        "from symbackprop.nn.sequential import Sequential\n"
        "from symbackprop.nn import digits, modules, networks, optimise, plot, state, statistics, training\n"
        "n = Sequential([conv(2, 3), flatten(), linear(3)], (1, 5, 5), backend='numpy')\n"
        "s = n.step(np.ones((2, 1, 5, 5), np.float32), np.array([0, 1]))\n"
        "optimise.SGD(0.1).step(n.parameters, s.gradients)\n"
        "print(*sorted(m for m in sys.modules if m.split('.')[0] == 'sympy' or m.startswith('symbackprop.')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    rooms = {name.split(".")[1] for name in done.stdout.split() if name.startswith("symbackprop.")}

    assert "sympy" not in done.stdout.split()
    assert rooms == {"errors", "generated", "nn"}


# ------------------------------------------------------------------------------------------- bad input


def test_units_that_do_not_fit_are_named() -> None:
    with pytest.raises(UserError, match=r"unit conv2: .*P"):
        small((conv(4, 5), conv(4, 9)))
    with pytest.raises(UserError, match="unit linear: x: expected 2 axes"):
        small((linear(4),))
    with pytest.raises(UserError, match="cannot be divided into 3 groups"):
        small((conv(3, 3, groups=3),))
    with pytest.raises(UserError, match="takes the size of axis 3"):
        small((Unit("odd", Call("linear"), None, (Trained("weight", (Axis(3),)),)),), (4,))


def test_an_unknown_layer_or_backend_is_refused() -> None:
    with pytest.raises(UserError, match="no generated layer tanhh for numpy"):
        small((elementwise("tanhh"),))
    with pytest.raises(UserError, match="no array backend torch"):
        small(backend="torch")
    with pytest.raises(UserError, match="needs at least one unit"):
        small(())


def test_a_batch_norm_of_one_value_is_refused() -> None:
    network, (x, labels) = small((batchnorm1d(), linear(4)), (3,)), batch(1, (3,))

    with pytest.raises(UserError, match="one value in a batch has no variance"):
        network.step(x, labels)


def test_single_units_have_another_backend_by_name_or_kind() -> None:
    network = small(UNITS[:4], backends={"conv": "numba"})
    same = small(UNITS[:4])
    x = np.random.default_rng(0).standard_normal((2, *network.image))

    assert network.backends["conv"] == "numba"
    assert set(network.backends.values()) == {"numpy", "numba"}
    np.testing.assert_allclose(network.forward(x), same.forward(x), rtol=1e-10)


def test_a_backend_for_a_unit_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="there is no unit convolution; the network has conv"):
        small(UNITS[:4], backends={"convolution": "numba"})


def test_a_network_shows_its_units_with_layers_and_shapes() -> None:
    network = Sequential([conv(2, 3, pad=1), flatten(), linear(3)], (1, 5, 5), backends={"flatten": "numpy"})

    assert repr(network).splitlines() == [
        "Sequential of 1x5x5, float32, numba:",
        "    conv: conv2d(stride=1, pad=1, groups=1), weight 2x1x3x3, bias 2",
        "    flatten: flatten(); numpy",
        "    linear: linear(), weight 3x50, bias 3",
    ]
