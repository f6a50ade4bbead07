"""One epoch of training, with our backends and with PyTorch, some batches of each in turns."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from time import perf_counter, sleep
from typing import Any

import numpy as np
import numpy.typing as npt

from symbackprop.bench.timing import Figure, figure
from symbackprop.nn.networks import network
from symbackprop.nn.optimise import SGD
from symbackprop.nn.sequential import Sequential
from symbackprop.nn.units import Unit

Array = npt.NDArray[Any]
Update = Callable[[Array, Array], object]
IMAGES, SIZE, SHAPE = 4000, 64, (1, 28, 28)
BLOCK, PAUSE = 9, 0.03  # updates; seconds
RATE, MOMENTUM, DECAY = 0.01, 0.9, 5e-4
WITHIN = {"numba": 1.0, "numpy": 3.0}  # times what PyTorch takes


def epoch_figures(
    name: str, quick: bool, images: int = IMAGES, watch: Callable[[str], None] = lambda what: None
) -> Iterator[Figure]:
    """The seconds of an epoch of a network, and the milliseconds of its updates; with `quick` of a tenth of one.

    Blocks of updates in turns, so that a slow moment of the machine hits all. Before each a pause, after which the
    threads of the one before wait no longer, and an update that does not count.
    Raises: UserError where there is no such network.
    """
    units = network(name)
    runs: dict[str, Update] = {"torch": _torch(units)} if importlib.util.find_spec("torch") is not None else {}
    runs |= {backend: _ours(units, backend) for backend in WITHIN}
    rng = np.random.default_rng(0)
    count = images // 10 if quick else images
    data = rng.standard_normal((count, *SHAPE), dtype=np.float32), rng.integers(0, 10, count)
    batches = [(data[0][at : at + SIZE], data[1][at : at + SIZE]) for at in range(0, count, SIZE)]
    for update in runs.values():  # compiling and first allocations do not count
        update(*batches[0])
        update(*batches[-1])
    seconds: dict[str, list[float]] = {run: [] for run in runs}
    for at in range(0, len(batches), BLOCK):
        for run, update in runs.items():
            watch(f"{run}, update {at + 1} of {len(batches)}")
            seconds[run] += _block(update, batches[at : at + BLOCK])
    yield from _told(f"{name}, {count} images, batch {SIZE}", seconds)


def _block(update: Update, batches: list[tuple[Array, Array]]) -> list[float]:
    """The seconds of an update for each of the batches."""
    sleep(PAUSE)
    update(*batches[0])
    seconds = []
    for batch in batches:
        start = perf_counter()
        update(*batch)
        seconds.append(perf_counter() - start)
    return seconds


def _told(subject: str, seconds: dict[str, list[float]]) -> Iterator[Figure]:
    torch = seconds.get("torch")
    for run, each in seconds.items():
        bound = sum(torch) * WITHIN[run] if torch and run in WITHIN else None
        ratio = f"{sum(each) / sum(torch):.2f} times torch" if torch and run != "torch" else ""
        yield figure(subject, f"{run}, epoch", "s", [sum(each)], bound, ratio)
        yield figure(subject, f"{run}, update", "ms", [1000 * s for s in each])


def _ours(units: tuple[Unit, ...], backend: str) -> Update:
    own, optimiser = Sequential(units, SHAPE, backend=backend), SGD(RATE, MOMENTUM, DECAY)
    return lambda x, labels: optimiser.step(own.parameters, own.step(x, labels).gradients)


def _torch(units: tuple[Unit, ...]) -> Update:
    import torch

    shapes = Sequential(units, SHAPE, backend="numpy")  # the sizes of what is trained
    model = torch.nn.Sequential(*(_twin(torch.nn, block.unit, block.trained) for block in shapes.blocks))
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)

    def update(x: Array, labels: Array) -> None:
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(labels)).backward()
        optimiser.step()

    return update


def _twin(nn: Any, unit: Unit, arrays: dict[str, Array]) -> Any:
    """The unit as PyTorch calls it, for the units of the networks that are measured."""
    params: dict[str, Any] = dict(unit.training.params)
    makers: dict[str, Callable[[], Any]] = {
        "conv": lambda: nn.Conv2d(
            arrays["weight"].shape[1],
            arrays["weight"].shape[0],
            arrays["weight"].shape[2:],
            stride=params["stride"],
            padding=params["pad"],
            bias="bias" in arrays,
        ),
        "linear": lambda: nn.Linear(*arrays["weight"].shape[::-1]),
        "norm": lambda: nn.BatchNorm2d(arrays["gamma"].size),
        "pool": lambda: nn.MaxPool2d(params["kernel"], params["stride"], params["pad"]),
        "relu": nn.ReLU,
        "flatten": nn.Flatten,
    }
    return makers[unit.kind]()
