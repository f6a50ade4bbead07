"""What is checked: a generated module of a layer, called through its public interface, and points to call it at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from symbackprop.check.arithmetic import WatchfulFloat64
from symbackprop.check.cases import Case, draw_case, draw_integers, point_at
from symbackprop.check.forward import Array, Arrays, point_of, slopes_are_finite, to_array
from symbackprop.check.forward import gradients as dual_gradients
from symbackprop.check.rounding import roundings
from symbackprop.emit.spelling import identifier
from symbackprop.errors import CheckFailed, UserError
from symbackprop.notation.layer import Layer, Tensor
from symbackprop.notation.nodes import Expr

T = TypeVar("T")
PROFILES = ("ones", "uneven", "equal", "small", "uneven", "larger", "uneven", "wide")
VALUES = 1e-10  # float64 values and gradients, against the largest number of their tensor
MARGIN = 16  # bounds of rounding that are allowed: a module computes the same in another order
ATTEMPTS = 20  # cases that are drawn for one sample
TIME_LIMIT = 120.0  # seconds for calls that must end, the compilation included
STYLES = ("normal", "normal", "normal", "positive", "unit", "mixed", "mixed", "mixed")
WIDE_ENOUGH = 1e-2  # a distance from the next kink that differences are content with


@dataclass(frozen=True, slots=True)
class Sample:
    """A point at which a module is called, with what the interpreter says of it.

    `gap` is the distance to the nearest kink: the least difference of two numbers that are compared on the way.
    """

    case: Case
    arrays: Arrays
    parameters: Mapping[str, float | int]
    outputs: Mapping[str, Array]
    cotangents: Mapping[str, Array]
    gap: float

    def gradients(self, layer: Layer) -> dict[str, Array]:
        """The gradients of the weighted outputs, by dual numbers."""
        return dual_gradients(layer, self.arrays, self.parameters, self.cotangents)


def spelled(parameters: Mapping[str, float | int]) -> dict[str, float | int]:
    """The hyperparameters by the names that they have in a module."""
    return {identifier(name): value for name, value in parameters.items()}


@dataclass(frozen=True, slots=True)
class Subject:
    """A generated module and the layer that it was generated from."""

    layer: Layer
    backend: str
    module: Any

    def forward(self, arrays: Arrays, parameters: Mapping[str, float | int]) -> tuple[dict[str, Array], Any]:
        """The outputs by name, and what is saved."""
        given = [arrays[t.name] for t in self.layer.inputs]
        result, saved = self._called("forward", lambda: self.module.forward(*given, **spelled(parameters)))
        names = self.layer.outputs
        return ({names[0]: result} if len(names) == 1 else {n: getattr(result, identifier(n)) for n in names}), saved

    def backward(
        self, saved: Any, cotangents: Mapping[str, Array | None], wrt: tuple[str, ...] | None = None
    ) -> dict[str, Array]:
        """The gradients by the names of the inputs."""
        given = [cotangents[y] for y in self.layer.outputs]
        chosen = {} if wrt is None else {"wrt": wrt}
        grads = self._called("backward", lambda: self.module.backward(saved, *given, **chosen))
        return {t.name: getattr(grads, identifier(t.name)) for t in self.layer.real_inputs}

    def backward_without_gradient(self, saved: Any) -> dict[str, Array]:
        """The gradients of a scalar output whose own gradient is left out."""
        grads = self._called("backward", lambda: self.module.backward(saved))
        return {t.name: getattr(grads, identifier(t.name)) for t in self.layer.real_inputs}

    def weighted(self, arrays: Arrays, sample: Sample) -> float:
        """The loss `sum(cotangent * output)`."""
        outputs, _ = self.forward(arrays, sample.parameters)
        return float(sum((outputs[y] * sample.cotangents[y]).sum() for y in self.layer.outputs))

    def _called(self, what: str, call: Callable[[], Any]) -> Any:
        """The result of the call; an exception is a failure of the module."""
        try:
            with np.errstate(all="ignore"):
                return call()
        except Exception as error:
            raise CheckFailed(f"{self}: {what} raises {type(error).__name__}: {error}") from error

    def __str__(self) -> str:
        return f"layer {self.layer.name}, backend {self.backend}"


def within_time_limit(what: str, work: Callable[[], T]) -> T:
    """The result of the work. Raises CheckFailed if it does not end in time; its own exceptions pass through."""
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(TIME_LIMIT)
    if errors:
        raise errors[0]
    if not results:
        raise CheckFailed(f"{what} does not end within {TIME_LIMIT:.0f} s")
    return results[0]


def allowed_rounding(layer: Layer, sample: Sample, roundoff: float) -> Callable[[str], Array]:
    """What rounding may do to an output or a gradient, by its name; computed when a comparison asks for it."""
    known: dict[str, Array] = {}

    def bound(name: str) -> Array:
        if not known:
            known.update(roundings(layer, sample.arrays, sample.parameters, sample.cotangents))
        return np.asarray(MARGIN * roundoff * known[name])

    return bound


def samples(subject: Subject, seed: int, draws: int) -> Iterator[tuple[Sample, str]]:
    """Points of growing variety, each with its description."""
    for draw in range(draws):
        profile = PROFILES[draw % len(PROFILES)]
        sample = draw_sample(subject.layer, (seed, draw), profile)
        yield sample, f"{sample.case}, seed {seed}, draw {draw} ({profile})"


def run(subject: Subject, arrays: Arrays, cotangents: Arrays, sample: Sample) -> dict[str, Array]:
    """Outputs, and gradients as `grad_x`, of one call of each pass."""
    outputs, saved = subject.forward(arrays, sample.parameters)
    grads = subject.backward(saved, cotangents)
    return outputs | {f"grad_{name}": g for name, g in grads.items()}


def draw_sample(
    layer: Layer, seed: Sequence[int], profile: str, most_work: int = 20_000, conditions: tuple[Expr, ...] = ()
) -> Sample:
    """A case with float64 inputs, hyperparameters near their defaults, and normal cotangents.

    All definitions and gradients are finite there, and of several draws it is the one farthest from a kink. Where the
    sizes of the profile give none (a deviation of one number, divided by), other sizes do.
    Raises CheckFailed if no finite one is found.
    """
    rng = np.random.default_rng(list(seed))
    for attempt in range(ATTEMPTS):
        case = draw_case(layer, rng, profile if attempt < ATTEMPTS // 2 else "uneven", most_work, conditions)
        found = sorted(_samples(layer, case, rng), key=lambda s: -min(s.gap, WIDE_ENOUGH))
        sample = next((s for s in found if slopes_are_finite(layer, s.arrays, s.parameters)), None)
        if sample is not None:
            return sample
    raise CheckFailed(f"layer {layer.name}: no inputs were found at which it is finite, seed {tuple(seed)}, {profile}")


def _samples(layer: Layer, case: Case, rng: np.random.Generator) -> Iterator[Sample]:
    """Finite samples of the case, up to the first one far enough from a kink."""
    for style in STYLES:
        arrays, parameters = draw_arrays(layer, case, rng, style), draw_parameters(layer, case, rng)
        watch = WatchfulFloat64()
        try:
            point = point_of(layer, arrays, parameters, watch)
            values = {d.name: to_array(point.all_of(d.name), point.shape(d.name)) for d in layer.definitions}
        except UserError:
            continue
        if all(np.isfinite(v).all() for v in values.values()):
            outputs = {y: values[y] for y in layer.outputs}
            cotangents = {y: np.asarray(rng.normal(size=v.shape)) for y, v in outputs.items()}
            yield Sample(case, arrays, parameters, outputs, cotangents, watch.gap)
            if watch.gap > WIDE_ENOUGH:
                return


def draw_arrays(layer: Layer, case: Case, rng: np.random.Generator, style: str = "normal") -> dict[str, Array]:
    """Inputs of the case's shapes: real ones by the style, integer ones in range."""
    point = point_at(layer, case)
    integers = draw_integers(point, rng)

    def drawn(tensor: Tensor) -> Array:
        shape = point.shape(tensor.name)
        if tensor.kind == "integer":
            return to_array(integers[tensor.name], shape).astype(np.int64)
        chosen = str(rng.choice(("normal", "positive", "unit"))) if style == "mixed" else style
        if chosen == "normal":
            return np.asarray(rng.normal(size=shape))
        return np.asarray(rng.uniform(0.5, 2.0, shape) if chosen == "positive" else rng.uniform(0.1, 0.9, shape))

    return {tensor.name: drawn(tensor) for tensor in layer.inputs}


def draw_parameters(layer: Layer, case: Case, rng: np.random.Generator) -> dict[str, float | int]:
    """The case's integer parameters, and real ones within a fifth of their defaults."""
    reals = {p.name: float(p.default) * float(rng.uniform(0.8, 1.2)) for p in layer.parameters if not p.integer}
    return {**dict(case.parameters), **reals}
