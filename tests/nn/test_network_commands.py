"""`summary` and `train` on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbackprop.__main__ import run
from symbackprop.nn import digits as digits_module
from symbackprop.nn.digits import Data
from symbackprop.nn.state import load


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two dozen random images in the place of the digits."""
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((32, 1, 28, 28)).astype(np.float32), rng.integers(0, 10, 32)
    data = Data(images[8:], labels[8:], images[:8], labels[:8])
    monkeypatch.setattr(digits_module, "digits", lambda *given, **named: data)


def test_a_summary_has_every_unit_and_the_totals(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["summary", "lenet5", "--input", "1x28x28"]) == 0
    text = capsys.readouterr().out

    assert "50x20x5x5, 50" in text
    assert "1,256,080" in text  # parameters
    assert "6,522,000" in text  # multiply-adds


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["summary", "lenet"], "did you mean lenet5"),
        (["summary", "lenet5", "--input", "1x28xx"], "write the sizes with x between them"),
        (["summary", "lenet5", "--input", "0x28x28"], "is no shape"),
        (["summary", "lenet5", "--input", "1x27x3"], "unit pool2: layer maxpool2d: size Q comes out as 0"),
        (["summary", "lenet5", "--input", "28x28"], "unit conv1: layer conv2d: x has 4 axes"),
        (["train", "lenet5", "--regime", "stochastic"], "is not one of"),
        (["train", "lenet6"], "there is no network lenet6"),
    ],
)
def test_a_slip_is_one_clear_message(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    error = capsys.readouterr().err

    assert message in error
    assert "Traceback" not in error


@pytest.mark.usefixtures("few_digits")
def test_a_training_writes_a_checkpoint_and_a_picture_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib draws the curves")
    options = ["--backend", "numpy", "--size", "8", "--rate", "0.001"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run(["train", "lenet5", *options, "--epochs", "2", "--out", str(whole)]) == 0
    assert run(["train", "lenet5", *options, "--epochs", "1", "--out", str(parts)]) == 0
    assert run(["train", "lenet5", *options, "--epochs", "2", "--out", str(parts), "--resume"]) == 0
    text = capsys.readouterr().out

    assert "epoch  2 of 2: loss" in text
    assert "held out: " in text
    assert (whole / "lenet5.png").read_bytes().startswith(b"\x89PNG")
    assert _weights(whole) == _weights(parts)
    assert sorted(path.name for path in parts.iterdir()) == ["lenet5.npz", "lenet5.png"]
    assert run(["train", "lenet5", *options, "--decay", "0.5", "--out", str(parts), "--resume"]) == 2
    assert "decay = 0.0005, and this one has 0.5" in capsys.readouterr().err


def _weights(folder: Path) -> dict[str, Any]:
    groups, _ = load(folder / "lenet5.npz")
    return {f"{group}/{name}": a.tobytes() for group, arrays in groups.items() for name, a in arrays.items()}


@pytest.mark.usefixtures("few_digits")
def test_going_on_without_a_checkpoint_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "lenet5", "--backend", "numpy", "--out", str(tmp_path), "--resume"]) == 2

    assert "lenet5.npz: No such file" in capsys.readouterr().err
