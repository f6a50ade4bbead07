"""The main job on real input, from equations to gradients that are confirmed on handwritten digits.

1. The derivations of convolution and batch norm, as LaTeX in `demo_output/` and in short on the terminal.
2. The modules of all built-in layers, made anew.
3. The table of checks.
4. A convolution followed by a batch norm on real images: forward, backward, and the gradient against differences.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
import numpy.typing as npt

from symbackprop.__main__ import run
from symbackprop.build import BACKENDS, derive, load
from symbackprop.emit.story import story
from symbackprop.emit.text import formula, wrapped
from symbackprop.errors import CheckFailed, UserError

OUTPUT = Path("demo_output")
LAYERS = ("conv2d", "batchnorm2d")
SEED = 20261121
STEP = 1e-5
TOLERANCE = 1e-6  # relative; central differences in float64 reach about 1e-9 here

Array = npt.NDArray[np.float64]
Result = TypeVar("Result")


def main() -> int:
    """All four parts. Gives: the first exit status that is not 0."""
    for part in (derivations, kernels, checks, digits):
        if status := part():
            return status
    click.echo("\nAll of it holds.")
    return 0


def derivations() -> int:
    """The LaTeX documents of both layers; their text on the terminal."""
    _title("1. Derivations")
    OUTPUT.mkdir(exist_ok=True)
    for name in LAYERS:
        for form, suffix in (("latex", "tex"), ("html", "html"), ("text", "txt")):
            target = str(OUTPUT / f"{name}.{suffix}")
            standalone = ["--standalone"] if form != "text" else []
            if status := run(["derive", name, "--format", form, *standalone, "--out", target]):
                return status
        click.echo(f"\nThe gradients of {name}:\n")
        for line in results(name):
            click.echo(f"    {line}")
        click.echo()
    return 0


def results(name: str) -> Iterator[str]:
    """What the derivation of a layer comes to: the last line for each input."""
    layer = load(name)
    last = {section.tensor: section.lines[-1] for section in story(derive(layer)).sections}
    for tensor in layer.real_inputs:
        line = last[tensor.name]
        yield from wrapped(f"{formula(line.target)} = {formula(line.value)}")
        for letter in line.abbreviations:
            yield f"    where {formula(letter.letter)} = {formula(letter.value)}"


def kernels() -> int:
    """The modules of the built-in layers."""
    _title("2. Kernels")
    return run(["generate"])


def checks() -> int:
    """The table of checks."""
    _title("3. Checks")
    return run(["check", *LAYERS])


def digits() -> int:
    """Both layers on the handwritten digits, on each backend."""
    _title("4. Real images: convolution, then batch norm, on 1797 handwritten digits")
    given = inputs(load_digits())
    click.echo(f"x {list(given['x'].shape)}, weight {list(given['weight'].shape)}, stride 1, pad 1, float64")
    for backend in BACKENDS:
        network = Network(
            import_module(f"symbackprop.generated.{backend}.conv2d"),
            import_module(f"symbackprop.generated.{backend}.batchnorm2d"),
        )
        confirm(network, given, backend)
    return 0


def load_digits() -> Array:
    """The images that scikit-learn ships, x [n 1 8 8], grey values from 0 to 1."""
    try:
        from sklearn import datasets
    except ImportError:
        raise UserError("the demo reads the digits of scikit-learn: pip install 'symbackprop[demo]'") from None
    images: Array = datasets.load_digits().images / 16.0
    return images[:, None, :, :]


def inputs(x: Array) -> dict[str, Array]:
    """The images with random weights for eight channels."""
    draw = np.random.default_rng(SEED)
    return {
        "x": x,
        "weight": draw.standard_normal((8, 1, 3, 3)) / 3,
        "bias": draw.standard_normal(8),
        "gamma": 1 + 0.1 * draw.standard_normal(8),
        "beta": draw.standard_normal(8),
    }


@dataclass(frozen=True, slots=True)
class Network:
    """y = batchnorm2d(conv2d(x, weight, bias), gamma, beta)."""

    conv2d: Any
    batchnorm2d: Any

    def forward(self, given: Mapping[str, Array]) -> tuple[Array, tuple[Any, Any]]:
        """y [n k h w], and what the backward pass needs."""
        z, conv_saved = self.conv2d.forward(given["x"], given["weight"], given["bias"], pad=1)
        y, norm_saved = self.batchnorm2d.forward(z, given["gamma"], given["beta"])
        return y, (conv_saved, norm_saved)

    def backward(self, saved: tuple[Any, Any], grad_y: Array) -> dict[str, Array]:
        """The gradients of all five inputs."""
        conv_saved, norm_saved = saved
        norm = self.batchnorm2d.backward(norm_saved, grad_y)
        conv = self.conv2d.backward(conv_saved, norm.x)
        return {"x": conv.x, "weight": conv.weight, "bias": conv.bias, "gamma": norm.gamma, "beta": norm.beta}


def confirm(network: Network, given: Mapping[str, Array], backend: str) -> None:
    """Times of both passes, and each gradient against central differences along a random direction.

    Raises: CheckFailed with both numbers where they disagree.
    """
    draw = np.random.default_rng(SEED + 1)
    network.forward(given)  # compiles, where the backend does
    (y, saved), forward_seconds = timed(lambda: network.forward(given))
    grad_y = draw.standard_normal(y.shape)
    network.backward(saved, grad_y)
    gradients, backward_seconds = timed(lambda: network.backward(saved, grad_y))
    click.echo(f"\n{backend}: forward {1000 * forward_seconds:.1f} ms, backward {1000 * backward_seconds:.1f} ms")
    for name, gradient in gradients.items():
        direction = draw.standard_normal(gradient.shape)
        slope = difference(network, given, name, direction, grad_y)
        product = float(np.sum(gradient * direction))
        # the bias shifts a channel that batch norm centres again: its gradient is zero, and so only its size counts
        scale = max(abs(slope), abs(product), float(np.linalg.norm(grad_y)))
        error = abs(slope - product) / scale
        click.echo(f"  {name:<7} gradient . direction {product:+.9e}   by differences {slope:+.9e}   error {error:.1e}")
        if not error < TOLERANCE:
            raise CheckFailed(
                f"{backend}: the gradient of {name} gives {product!r}, differences {slope!r} (seed {SEED})"
            )


def difference(network: Network, given: Mapping[str, Array], name: str, direction: Array, grad_y: Array) -> float:
    """d/dt of sum(grad_y * y) at `given[name] + t * direction`, by a central difference."""
    ahead, _ = network.forward({**given, name: given[name] + STEP * direction})
    behind, _ = network.forward({**given, name: given[name] - STEP * direction})
    return float(np.sum(grad_y * (ahead - behind))) / (2 * STEP)


def timed(run_once: Callable[[], Result]) -> tuple[Result, float]:
    """The result of a run and its seconds."""
    start = time.perf_counter()
    result = run_once()
    return result, time.perf_counter() - start


def _title(text: str) -> None:
    click.echo(f"\n{text}\n{'-' * len(text)}")


if __name__ == "__main__":
    from symbackprop.__main__ import explained

    try:
        sys.exit(main())
    except Exception as error:
        sys.exit(explained(error))
