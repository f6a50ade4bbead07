"""Units one after the other, with a loss at the end: forward, backward, all arrays by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from symbackprop.errors import UserError
from symbackprop.nn.blocks import Block, Modules, Take, running_average
from symbackprop.nn.modules import module
from symbackprop.nn.networks import LOSS
from symbackprop.nn.units import Shape, Unit, names

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Step:
    """What one batch gave: the loss, the results of the last unit, and the gradient of every parameter by name."""

    loss: float
    results: Array
    gradients: dict[str, Array]


class Sequential:
    """A network of generated layers of one array backend.

    `image` is the shape of one example. The shapes of the parameters follow from what the generated layers make of it:
    one example of zeros goes through as the network is built. `loss` is a generated layer of results and labels;
    `backends` gives single units another backend, by name (conv1) or kind (conv); `modules` has the modules of layers
    that are none of ours, by the name of the layer, or is a function that gives the module of every layer.
    """

    def __init__(
        self,
        units: Sequence[Unit],
        image: Shape,
        *,
        backend: str = "numba",
        loss: str = LOSS,
        dtype: npt.DTypeLike = np.float32,
        initialiser: str = "he",
        seed: int = 0,
        modules: Modules | Mapping[str, Any] | None = None,
        backends: Mapping[str, str] | None = None,
    ) -> None:
        if not units:
            raise UserError("a network needs at least one unit")
        self.units, self.image, self.backend = tuple(units), tuple(image), backend
        self.rng, self.dtype = np.random.default_rng(seed), np.dtype(dtype)
        self.own_modules = modules
        self.modules = _modules(backend, modules)
        self._loss = self.modules(loss)
        self.blocks: list[Block] = []
        self.backends = _backend_of_each(self.units, backend, backends or {})
        x: Array = np.zeros((1, *self.image), dtype)
        for name, unit in zip(names(self.units), self.units, strict=True):
            own = _modules(self.backends[name], modules)
            block = Block(name, unit, x.shape, own, dtype, initialiser, self.rng)
            try:
                x = block.forward(x, False, self.rng, running_average)
            except (TypeError, ValueError) as error:
                raise UserError(f"unit {name}: {error}") from error
            block.forget()
            self.blocks.append(block)

    def __repr__(self) -> str:
        others = {name: chosen for name, chosen in self.backends.items() if chosen != self.backend}
        lines = [f"    {block}" + (f"; {others[block.name]}" if block.name in others else "") for block in self.blocks]
        image = "x".join(map(str, self.image))
        return "\n".join([f"Sequential of {image}, {self.dtype.name}, {self.backend}:", *lines])

    @property
    def parameters(self) -> dict[str, Array]:
        """Everything that is trained, by `unit.name`: the arrays themselves."""
        return {f"{block.name}.{name}": array for block in self.blocks for name, array in block.trained.items()}

    @property
    def kept(self) -> dict[str, Array]:
        """Everything that is kept beside it (running statistics), by `unit.name`: the arrays themselves."""
        return {f"{block.name}.{name}": array for block in self.blocks for name, array in block.kept.items()}

    def forward(self, x: Array, training: bool = False, take: Take = running_average) -> Array:
        """The results of the last unit. In training statistics are taken into their running averages.

        Raises: UserError where x is not a batch of what the network was built for.
        """
        self._refuse_others(x)
        for block in self.blocks:
            x = block.forward(x, training, self.rng, take)
        return x

    def _refuse_others(self, x: Array) -> None:
        if not isinstance(x, np.ndarray) or x.dtype != self.dtype or x.shape[1:] != self.image or x.ndim == 0:
            came = f"{x.dtype} {list(x.shape)}" if isinstance(x, np.ndarray) else repr(type(x).__name__)
            expected = ", ".join(["batch", *map(str, self.image)])
            raise UserError(f"x: expected an array of {self.dtype} [{expected}], came {came}")

    def backward(self, dy: Array) -> dict[str, Array]:
        """The gradient of every parameter by name, from that of the results of the last `forward`."""
        found: dict[str, Array] = {}
        first = next((at for at, block in enumerate(self.blocks) if block.trained), len(self.blocks))
        for at in range(len(self.blocks) - 1, first - 1, -1):
            upstream, gradients = self.blocks[at].backward(dy, further=at > first)
            dy = dy if upstream is None else upstream
            found |= {f"{self.blocks[at].name}.{name}": array for name, array in gradients.items()}
        return {name: found[name] for name in self.parameters if name in found}

    def judge(self, x: Array, labels: Array) -> tuple[float, Array]:
        """The loss of a batch outside training, and the results of the last unit."""
        results = self.forward(x)
        value, _ = self._loss.forward(results, labels)
        for block in self.blocks:
            block.forget()
        return float(value), results

    def step(self, x: Array, labels: Array) -> Step:
        """Forward and backward in training, for one batch."""
        results = self.forward(x, training=True)
        value, saved = self._loss.forward(results, labels)
        gradients = self.backward(self._loss.backward(saved)[0])
        return Step(float(value), results, gradients)

    def load(self, parameters: Mapping[str, Array], kept: Mapping[str, Array] | None = None) -> None:
        """Take over all arrays by name.

        Raises: UserError where a name is missing or left over, or a shape differs; then nothing is changed.
        """
        pairs = [(self.parameters, parameters), *([(self.kept, kept)] if kept is not None else [])]
        for own, given in pairs:
            _refuse_misfits(own, given)
        for own, given in pairs:
            for name, array in own.items():
                array[...] = given[name]


def _modules(backend: str, own: Modules | Mapping[str, Any] | None) -> Modules:
    """What gives the module of a layer: our generated ones, and those of `own` before them."""
    if own is not None and not isinstance(own, Mapping):
        return own
    others = own or {}
    return lambda layer: others[layer] if layer in others else module(backend, layer)


def _backend_of_each(units: tuple[Unit, ...], backend: str, others: Mapping[str, str]) -> dict[str, str]:
    """The backend of every unit by name.

    Raises: UserError for a name in `others` that no unit has.
    """
    kinds = dict(zip(names(units), (unit.kind for unit in units), strict=True))
    for name in others:
        if name not in kinds and name not in kinds.values():
            raise UserError(f"backends: there is no unit {name}; the network has {', '.join(kinds)}")
    return {name: others.get(name, others.get(kind, backend)) for name, kind in kinds.items()}


def _refuse_misfits(own: Mapping[str, Array], given: Mapping[str, Array]) -> None:
    for name in (*own, *given):
        if name not in given:
            raise UserError(f"the state has no array {name}, which the network needs")
        if name not in own:
            raise UserError(f"the state has an array {name}, which the network has not")
        if own[name].shape != given[name].shape:
            raise UserError(f"{name} has the shape {given[name].shape}; the network needs {own[name].shape}")
        if own[name].dtype != given[name].dtype:
            raise UserError(f"{name} is of {given[name].dtype}; the network needs {own[name].dtype}")
