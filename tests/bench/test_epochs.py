"""An epoch of a network: who takes part, what counts, what is promised."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from symbackprop.__main__ import run
from symbackprop.bench import child, network
from symbackprop.bench.timing import Figure, figure
from symbackprop.errors import UserError


@pytest.mark.parametrize("name", ["lenet5", "lenet5-batchnorm"])
def test_a_tiny_epoch_is_measured_with_every_backend(name: str) -> None:
    found = list(network.epoch_figures(name, quick=False, images=20))
    runs = ["torch"] if importlib.util.find_spec("torch") else []

    assert [f.what for f in found] == [f"{r}, {w}" for r in [*runs, "numba", "numpy"] for w in ("epoch", "update")]
    assert all(f.median > 0 for f in found)


def test_the_update_before_each_block_does_not_count() -> None:
    batches: list[tuple[Any, Any]] = [(np.zeros(1), np.zeros(1))] * 3
    calls: list[int] = []

    assert len(network._block(lambda x, labels: calls.append(1), batches)) == 3
    assert len(calls) == 4


def test_an_epoch_has_to_keep_within_pytorchs() -> None:
    figures = list(network._told("lenet5", {"torch": [1.0, 2.0], "numba": [2.0, 2.0], "numpy": [3.0, 3.0]}))
    epochs = {f.what: f for f in figures if f.what.endswith("epoch")}

    assert (epochs["numba, epoch"].bound, epochs["numba, epoch"].within) == (3.0, False)
    assert (epochs["numpy, epoch"].bound, epochs["numpy, epoch"].within) == (9.0, True)


@pytest.mark.parametrize(("seconds", "status"), [(1.0, 0), (2.0, 1)])
def test_the_command_says_whether_it_did(seconds: float, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def given(name: str, quick: bool, watch: Callable[[str], None]) -> list[Figure]:
        return [figure(name, "numba, epoch", "s", [seconds], bound=1.5)]

    monkeypatch.setattr(child, "epoch_in_child", given)

    assert run(["bench", "lenet5"]) == status


def test_an_unknown_network_is_refused_by_the_child_and_told_here() -> None:
    with pytest.raises(UserError, match="did you mean lenet5"):
        child.epoch_in_child("lenet", True, print)
