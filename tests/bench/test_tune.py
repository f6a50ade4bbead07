"""Constants for this machine: what is tried, what is taken, what is read back, and what is ignored aloud."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbackprop.__main__ import run
from symbackprop.bench import tune
from symbackprop.bench.race import Seconds
from symbackprop.bench.tune import Trial, constants, search, workload

ROOT = Path(__file__).parents[2]
SETTINGS = "symbackprop.generated.numba._vectors.settings"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never the file of whoever runs the tests; and the constants are put back."""
    monkeypatch.setenv("SYMBACKPROP_CACHE", str(tmp_path))
    before = [(constant, constant.get()) for constant in constants()]
    yield
    for constant, value in before:
        constant.set(value)


def race_in_which(fast: dict[str, float]) -> Any:
    """A race in the place of the real one: values of constants have their times, all others 1 s."""

    def race(calls: Any, blocks: int, budget: float) -> dict[str, Seconds]:
        (first, *_) = calls.values()
        own = fast.get(first.args[0].name)
        times = {name: 0.5 if own is not None and float(name) == own else 1.0 for name in calls}
        return {name: Seconds(t, t, t, t) for name, t in times.items()}

    return race


def read_in_a_new_process(expression: str) -> tuple[str, str]:
    """What another process sees, and what it says on standard error."""
    code = f"from importlib import import_module; s = import_module({SETTINGS!r}); print({expression})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip(), done.stderr.strip()


def test_a_faster_value_is_taken_and_planned_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "_calls", lambda cases: [(None, lambda: None)])
    monkeypatch.setattr(tune, "race", race_in_which({"winograd.tiles": 64}))
    trials = {trial.name: trial for trial in search(60)}
    winograd: Any = import_module("symbackprop.generated.numba._vectors.winograd")

    assert trials["winograd.tiles"] == Trial("winograd.tiles", 48, 64, 0.5)
    assert all(t.after == t.before for name, t in trials.items() if name != "winograd.tiles")
    assert winograd._TILES == 64


def test_what_was_found_is_read_by_the_next_process() -> None:
    path = tune.save([Trial("winograd.tiles", 48, 64, 0.5), Trial("correlation.copy", 1, 1, 1.0)])

    assert json.loads(path.read_text(encoding="utf-8"))["constants"] == {"winograd.tiles": 64}
    assert read_in_a_new_process("s.setting('winograd.tiles', 48), s.setting('correlation.copy', 7)") == ("64 7", "")


@pytest.mark.parametrize(
    "content, reason",
    [
        ('{"kernels": "others", "constants": {"winograd.tiles": 64}}', "it was made for other kernels"),
        ('{"kernels": "others", "constants": {"winograd.tiles": -1}}', "a constant is no positive number"),
        ("{", "it cannot be read"),
        ("[]", "it cannot be read"),
    ],
)
def test_a_file_that_does_not_fit_is_ignored_with_one_line(content: str, reason: str) -> None:
    tune.saved_at().write_text(content, encoding="utf-8")
    value, said = read_in_a_new_process("s.setting('winograd.tiles', 48)")

    assert value == "48"
    assert reason in said
    assert len(said.splitlines()) == 1


def test_the_file_can_be_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    tune.save([Trial("winograd.tiles", 48, 64, 0.5)])
    monkeypatch.setenv("SYMBACKPROP_TUNED", "0")

    assert read_in_a_new_process("s.setting('winograd.tiles', 48)") == ("48", "")


def test_results_change_by_no_more_than_rounding() -> None:
    module: Any = import_module("symbackprop.generated.numba.conv2d")
    rng = np.random.default_rng(0)
    x, weight = (rng.standard_normal(s, dtype=np.float32) for s in ((2, 16, 15, 17), (24, 16, 3, 3)))
    bias = np.zeros(24, np.float32)
    expected, _ = module.forward(x, weight, bias, pad=1)
    for constant in constants():
        for value in constant.tried:
            found: list[Any] = []
            call = lambda: found.append(module.forward(x, weight, bias, pad=1)[0])  # noqa: B023, E731
            tune._with(constant, value, module, call)
            np.testing.assert_allclose(found[0], expected, atol=1e-5 * np.abs(expected).max())


def test_the_work_is_drawn_at_random() -> None:
    assert workload(0) == workload(0)
    assert workload(0) != workload(1)


def test_the_command_says_what_it_found_and_forgets_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = [Trial("winograd.tiles", 48, 64, 0.9), Trial("correlation.copy", 7, 7, 1.0)]
    monkeypatch.setattr(tune, "search", lambda *given: iter(trials))

    assert run(["tune"]) == 0
    said = capsys.readouterr().out
    assert "winograd.tiles: 48 -> 64, which saves 10 % of the time" in said
    assert "correlation.copy: 7 stays" in said
    assert f"wrote {tune.saved_at()}" in said
    assert run(["tune", "--forget"]) == 0
    assert not tune.saved_at().exists()
