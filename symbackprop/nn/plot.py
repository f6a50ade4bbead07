"""The curves of a training run as a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from symbackprop.errors import UserError
from symbackprop.nn.training import Epoch


def plot(path: Path, title: str, epochs: Sequence[Epoch]) -> None:
    """Write loss and accuracy by epoch, in training and held out, as PNG (whole or not at all).

    Raises: UserError where matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "matplotlib":
            raise
        raise UserError("the plot needs matplotlib; pip install 'symbackprop[train]'") from error
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)  # no window, no screen
    figure.suptitle(title)
    numbers = [epoch.number for epoch in epochs]
    curves = (
        ("loss", [e.loss for e in epochs], [e.held_out_loss for e in epochs]),
        ("accuracy in %", [100 * e.accuracy for e in epochs], [100 * e.held_out_accuracy for e in epochs]),
    )
    for axes, (what, training, held_out) in zip(figure.subplots(1, 2), curves, strict=True):
        axes.plot(numbers, training, marker="o", label="training")
        axes.plot(numbers, held_out, marker="s", label="held out")
        axes.set_xlabel("epoch")
        axes.set_ylabel(what)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(beside, format="png", dpi=120)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
