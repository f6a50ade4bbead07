"""Updates, first values, regimes, running and population statistics, shifts held above a floor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from symbackprop.errors import UserError
from symbackprop.nn.batches import batches, updates
from symbackprop.nn.initialise import INITIALISERS, fans
from symbackprop.nn.layers import batchnorm1d, batchnorm2d, linear
from symbackprop.nn.optimise import PIECE, SGD, hold_shifts
from symbackprop.nn.sequential import Sequential
from symbackprop.nn.statistics import take_population_statistics
from symbackprop.nn.units import Running

RNG = np.random.default_rng(5)


def network(*units: Any, image: tuple[int, ...] = (3,), **options: Any) -> Sequential:
    """A network in float64 with NumPy."""
    return Sequential(units, image, backend="numpy", dtype=np.float64, **options)


# --------------------------------------------------------------------------------------------- updates


def test_momentum_and_decay_follow_their_equations() -> None:
    p, v = RNG.standard_normal(4), np.zeros(4)
    parameters, optimiser = {"p": p.copy()}, SGD(0.1, momentum=0.9, decay=0.01)
    for _ in range(3):
        g = RNG.standard_normal(4)
        optimiser.step(parameters, {"p": g})
        v = 0.9 * v + (g + 0.01 * p)
        p = p - 0.1 * v

    np.testing.assert_allclose(parameters["p"], p, rtol=1e-14)


def test_plain_descent_keeps_no_velocity_and_leaves_gradients_alone() -> None:
    parameters, gradient, optimiser = {"p": np.ones(2), "q": np.ones(2)}, np.ones(2), SGD(0.5, decay=1.0)
    optimiser.step(parameters, {"p": gradient})

    assert (parameters["p"].tolist(), parameters["q"].tolist()) == ([0, 0], [1, 1])
    assert (gradient.tolist(), optimiser.velocity) == ([1, 1], {})


@pytest.mark.parametrize("name", ["rate", "momentum", "decay"])
def test_a_negative_setting_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=name):
        SGD(**{name: -1.0})


# ---------------------------------------------------------------------------------------- first values


@pytest.mark.parametrize("name, share", [("he", 2 / 200), ("he-uniform", 2 / 200), ("glorot", 2 / 275)])
def test_first_weights_have_the_variance_of_their_rule(name: str, share: float) -> None:
    shape = (3, 8, 5, 5)
    values = np.stack([INITIALISERS[name](shape, RNG) for _ in range(200)])

    assert fans(shape) == (200, 75)
    assert fans((7, 4)) == (4, 7)
    np.testing.assert_allclose(values.var(), share, rtol=0.02)


def test_the_same_seed_gives_the_same_network() -> None:
    first, second, other = (network(linear(4), seed=s).parameters["linear.weight"] for s in (1, 1, 2))

    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


# --------------------------------------------------------------------------------------------- regimes


@pytest.mark.parametrize("regime, sizes", [("batch", [7]), ("incremental", [1] * 7), ("mini-batch", [3, 3, 1])])
def test_every_example_is_in_exactly_one_update(regime: str, sizes: list[int]) -> None:
    found = list(batches(7, regime, 3, np.random.default_rng(0)))

    assert [len(part) for part in found] == sizes
    assert sorted(np.concatenate(found).tolist()) == list(range(7))
    assert updates(7, regime, 3) == len(sizes)


def test_an_unknown_regime_is_refused() -> None:
    with pytest.raises(UserError, match="choose from batch, incremental, mini-batch"):
        list(batches(7, "stochastic", 3, RNG))


# ------------------------------------------------------------------------------------------ statistics


@pytest.mark.parametrize("running, old", [(Running(0.99, "old"), 0.99), (Running(0.01, "new"), 0.99), (Running(), 0.9)])
def test_both_conventions_of_momentum(running: Running, old: float) -> None:
    model, x = network(batchnorm1d(running=running, unbiased=False)), RNG.standard_normal((6, 3))
    model.forward(x, training=True)

    np.testing.assert_allclose(model.kept["norm.mean"], old * 0 + (1 - old) * x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(model.kept["norm.var"], old * 1 + (1 - old) * x.var(0), rtol=1e-12)


def test_a_convention_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match="weight_of"):
        Running(0.9, "keras")
    with pytest.raises(UserError, match="from 0 to 1"):
        Running(1.5)


def test_the_running_variance_is_unbiased_over_batch_and_image() -> None:
    model, x = network(batchnorm2d(running=Running(1.0)), image=(3, 2, 2)), RNG.standard_normal((5, 3, 2, 2))
    model.forward(x, training=True)

    np.testing.assert_allclose(model.kept["norm.var"], x.transpose(1, 0, 2, 3).reshape(3, 20).var(1, ddof=1))


def test_statistics_of_the_population_are_means_over_batches_with_b_over_b_minus_1() -> None:
    model, data = network(batchnorm1d(), linear(4), batchnorm1d()), RNG.standard_normal((4, 5, 3))
    take_population_statistics(model, data)

    np.testing.assert_allclose(model.kept["norm1.mean"], data.mean((0, 1)))
    np.testing.assert_allclose(model.kept["norm1.var"], data.var(1).mean(0) * 5 / 4)
    # the second unit sees what the first makes of each batch with that batch's own statistics
    hidden = (data - data.mean(1, keepdims=True)) / np.sqrt(data.var(1, keepdims=True) + 1e-5)
    hidden = hidden @ model.parameters["linear.weight"].T
    np.testing.assert_allclose(model.kept["norm2.var"], hidden.var(1).mean(0) * 5 / 4)


def test_a_population_needs_a_batch() -> None:
    with pytest.raises(UserError, match="a batch at least"):
        take_population_statistics(network(batchnorm1d()), [])


def test_outside_training_the_kept_statistics_count_and_stay() -> None:
    model, x = network(batchnorm1d()), RNG.standard_normal((1, 3))
    model.kept["norm.mean"][...] = 2
    model.kept["norm.var"][...] = 9

    np.testing.assert_allclose(model.forward(x), (x - 2) / np.sqrt(9 + 1e-5))
    assert model.kept["norm.mean"].tolist() == [2, 2, 2]


def test_gamma_sigma_and_beta_mu_give_the_input_back() -> None:  # iitp-165, with sigma = sqrt(var + eps)
    model, x = network(batchnorm1d()), RNG.standard_normal((6, 3)) * 3 + 1
    model.parameters["norm.gamma"][...] = np.sqrt(x.var(0) + 1e-5)
    model.parameters["norm.beta"][...] = x.mean(0)

    np.testing.assert_allclose(model.forward(x, training=True), x, rtol=1e-12)


# ----------------------------------------------------------------------------------------------- floor


@pytest.mark.parametrize("of, sigma", [("input", 3.0), ("output", 0.5)])
def test_a_shift_is_raised_to_minus_c_sigma_and_no_further(of: str, sigma: float) -> None:
    model = network(batchnorm1d())
    model.kept["norm.var"][...] = 9
    model.parameters["norm.gamma"][...] = -0.5
    model.parameters["norm.beta"][...] = [-10, -0.1, 4]

    assert hold_shifts(model, 2, of) == 1
    assert model.parameters["norm.beta"].tolist() == [-2 * sigma, -0.1, 4]
    assert hold_shifts(model, 2, of) == 0


def test_a_sigma_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match='expected "input" or "output"'):
        hold_shifts(network(batchnorm1d()), 1, "both")


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_update_in_pieces_is_that_of_the_whole(order: Any) -> None:
    rng = np.random.default_rng(0)
    parameter, gradient, velocity = (rng.standard_normal((7, PIECE // 3)) for _ in range(3))
    sgd = SGD(0.1, 0.9, 0.01)
    own, sgd.velocity = np.array(parameter, order=order), {"w": np.array(velocity, order=order)}
    sgd.step({"w": own}, {"w": gradient})
    moved = 0.9 * velocity + (gradient + 0.01 * parameter)

    np.testing.assert_allclose(own, parameter - 0.1 * moved, rtol=1e-12)
    np.testing.assert_allclose(sgd.velocity["w"], moved, rtol=1e-12)
