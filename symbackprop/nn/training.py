"""The training loop: epochs of updates, what each came to, and a run that goes on where it was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from symbackprop.errors import UserError
from symbackprop.nn.batches import batches, updates
from symbackprop.nn.digits import Data
from symbackprop.nn.optimise import SGD, hold_shifts
from symbackprop.nn.sequential import Sequential
from symbackprop.nn.state import load, save

Array = npt.NDArray[Any]
Watch = Callable[[int, float], None]  # the number of the update within the epoch, and its loss


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. `floor` holds every shift of batch norm above `-floor*sigma` (see `hold_shifts`)."""

    epochs: int = 10
    regime: str = "mini-batch"
    size: int = 64
    seed: int = 0
    floor: float | None = None
    floor_of: str = "input"


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to: means over its updates, and the same on the examples held out, after it."""

    number: int
    loss: float
    accuracy: float
    held_out_loss: float
    held_out_accuracy: float
    seconds: float


def train(
    network: Sequential,
    optimiser: SGD,
    data: Data,
    plan: Plan,
    done: int = 0,
    watch: Watch = lambda update, loss: None,
) -> Iterator[Epoch]:
    """Train from the epoch after `done` on; gives each epoch when it is over.

    All random choices of an epoch follow from the plan's seed and the epoch's number, so that a run that goes on
    from a checkpoint does what one in a single go would have done, bit for bit.
    """
    for number in range(done + 1, plan.epochs + 1):
        start = perf_counter()
        network.rng = np.random.default_rng((plan.seed, number, 1))
        order = np.random.default_rng((plan.seed, number, 0))
        loss = right = 0.0
        for update, chosen in enumerate(batches(len(data.labels), plan.regime, plan.size, order), start=1):
            labels = data.labels[chosen]
            step = network.step(data.images[chosen], labels)
            optimiser.step(network.parameters, step.gradients)
            if plan.floor is not None:
                hold_shifts(network, plan.floor, plan.floor_of)
            loss += step.loss * len(chosen)
            right += float((step.results.argmax(1) == labels).sum())
            watch(update, step.loss)
        seconds = perf_counter() - start
        held_out = evaluate(network, data.held_out_images, data.held_out_labels)
        yield Epoch(number, loss / len(data.labels), right / len(data.labels), *held_out, seconds)


def updates_of(data: Data, plan: Plan) -> int:
    """How many updates an epoch has."""
    return updates(len(data.labels), plan.regime, plan.size)


def evaluate(network: Sequential, images: Array, labels: Array, size: int = 250) -> tuple[float, float]:
    """The mean loss and the share of right answers, with the statistics that were kept."""
    loss = right = 0.0
    for at in range(0, len(labels), size):
        some, theirs = images[at : at + size], labels[at : at + size]
        value, results = network.judge(some, theirs)
        loss += value * len(some)
        right += float((results.argmax(1) == theirs).sum())
    return loss / len(labels), right / len(labels)


# ------------------------------------------------------------------------------------------- checkpoints


def save_run(path: Path, network: Sequential, optimiser: SGD, epochs: list[Epoch], about: dict[str, Any]) -> None:
    """Write everything that a run needs to go on; see `state.save`. `about` says what run it is."""
    groups = {"parameters": network.parameters, "kept": network.kept, "velocity": optimiser.velocity}
    save(path, groups, {"run": about, "epochs": [asdict(epoch) for epoch in epochs]})


def load_run(path: Path, network: Sequential, optimiser: SGD, about: dict[str, Any]) -> list[Epoch]:
    """Take over the state of a run. Gives: its epochs so far.

    Raises: UserError where the file is no checkpoint, or one of a run that differs in anything that `about` says.
    """
    groups, told = load(path)
    theirs, epochs = told.get("run"), told.get("epochs")
    if not isinstance(theirs, dict) or not isinstance(epochs, list):
        raise UserError(f"{path} holds no training run")
    for name in dict.fromkeys((*about, *theirs)):
        if about.get(name) != theirs.get(name):
            raise UserError(
                f"{path} is of a run with {name} = {theirs.get(name)}, and this one has {about.get(name)}; "
                "give both the same, or another file"
            )
    network.load(groups.get("parameters", {}), groups.get("kept", {}))
    optimiser.velocity = dict(groups.get("velocity", {}))
    return [Epoch(**epoch) for epoch in epochs]
