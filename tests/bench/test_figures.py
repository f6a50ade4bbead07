"""The measurements: what a figure says, and that a missed bound is seen."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from symbackprop import __main__ as program
from symbackprop.bench import against_hand, calls, kernels, pipeline
from symbackprop.bench.cases import relu
from symbackprop.bench.timing import figure, in_turns
from symbackprop.build import derive, kernel, load
from symbackprop.errors import CheckFailed
from symbackprop.notation.reader import read


def test_a_figure_is_the_median_between_its_quartiles() -> None:
    found = figure("a", "b", "s", [5.0, 1.0, 3.0, 2.0, 4.0])

    assert (found.low, found.median, found.high) == (2.0, 3.0, 4.0)


def test_runs_are_measured_in_turns_after_a_round_that_does_not_count() -> None:
    order: list[str] = []
    seconds = in_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)

    assert order == ["a", "b"] * 3
    assert [len(values) for values in seconds.values()] == [2, 2]


def test_batch_norm_moves_its_activations_no_more_than_it_may() -> None:
    plan = kernel(derive(load("batchnorm2d")))
    axes = plan.program.layer.axes("x")

    assert kernels.activations_moved(plan.forward, axes) <= 4
    assert kernels.activations_moved(plan.backward, axes) <= 5


@pytest.mark.parametrize(("seconds", "status"), [(0.5, 0), (1.5, 1)])
def test_a_missed_bound_is_status_1_and_stands_in_the_json(
    seconds: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "pipeline_figures", lambda _: [figure("x", "derivation", "s", [seconds], bound=1.0)])
    monkeypatch.setattr(calls, "call_figures", lambda *_: [])
    monkeypatch.setattr(kernels, "kernel_figures", lambda *_: [])
    monkeypatch.setattr(against_hand, "hand_figures", lambda *_: [])
    monkeypatch.setattr(against_hand, "convolution_figures", lambda *_: [])

    assert program.run(["bench", "--json", str(tmp_path / "b.json")]) == status
    written = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))
    assert [f["within"] for f in written["figures"]] == [status == 0]


def test_the_versions_by_hand_agree_with_the_generated_modules() -> None:
    figures = list(against_hand.hand_figures(1, quick=True))

    assert len(figures) == 10
    assert all(f.bound == against_hand.MOST for f in figures)


def test_the_convolutions_by_hand_agree_with_the_generated_modules() -> None:
    figures = list(against_hand.convolution_figures(1, quick=True))

    assert len(figures) == 9
    assert all(f.bound == against_hand.SAME for f in figures)


def test_a_version_by_hand_that_is_wrong_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(against_hand.by_hand.Linear, "forward", staticmethod(lambda x, w, b: (x @ w.T, (x, w))))

    with pytest.raises(CheckFailed, match="linear: result 0 differs"):
        list(against_hand.hand_figures(1, quick=True))


def test_the_derivation_of_many_definitions_keeps_its_bound() -> None:
    lines = [f"h{at + 1}[n,c] = tanh(h{at}[n,c])*w[c] + mean[m](h{at}[m,c])" for at in range(40)]
    layer = read("\n".join(["layer deep", "input h0[N, C], w[C]", "range n = N, m = N", *lines, "output h40"]))
    started = time.process_time()
    derive(layer)

    assert time.process_time() - started < 10


def test_the_derivation_of_attention_keeps_its_bound() -> None:
    started = time.process_time()
    derive(load("scaled_dot_product_attention"))

    assert time.process_time() - started < 2


def test_calls_on_tiny_arrays_are_timed_forward_and_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "TINY", (relu(1, 16),))
    monkeypatch.setattr(calls, "FIRST", ())
    figures = list(calls.call_figures(3, quick=False))

    assert [f.what for f in figures] == ["numba forward, a call", "numba backward, a call"]
    assert all(f.unit == "us" and f.bound == calls.MOST_OF_A_CALL for f in figures)


def test_the_second_process_finds_what_the_first_one_compiled(tmp_path: Path) -> None:
    (_, before), (_, after) = (calls.first_calls(relu(8, 1024), tmp_path) for _ in range(2))

    assert any((tmp_path / "cache").rglob("*.nbi"))
    assert sum(after.values()) < sum(before.values())
