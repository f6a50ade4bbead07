"""A derivation is data: steps, and the gradients that the last of them give. Every view of it reads only this."""

from __future__ import annotations

from dataclasses import dataclass

from symbackprop.errors import InternalError
from symbackprop.notation.display import Displayed
from symbackprop.notation.layer import Definition, Layer
from symbackprop.notation.nodes import Expr, Index, Read, walk


def gradient_name(tensor: str) -> str:
    """The name of the gradient of the loss with respect to a tensor: `grad_x`."""
    return f"grad_{tensor}"


@dataclass(frozen=True, slots=True)
class Step:
    """`target = before` becomes `target = after`, by `rule`, because of `reason`.

    `target` is an element of a gradient (`grad_x[n, c, h, w]`); `before` and `after` are equal for all sizes
    and values that satisfy `conditions`.
    """

    target: Read
    before: Expr
    after: Expr
    rule: str
    reason: str
    conditions: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Scatter:
    """`target[positions] += value` for every point of `domain` whose position lies inside the target's box.

    `axes` are the extents of the target.
    """

    target: str
    axes: tuple[Expr, ...]
    positions: tuple[Expr, ...]
    domain: tuple[Index, ...]
    value: Expr


@dataclass(frozen=True, slots=True)
class Gradient:
    """The gradient of one tensor in its two forms.

    `gather` is `grad_t[j] = ...`, or None where the positions have no exact inverse (`why` says so). The sum of
    `scatters` is equal to it; it is empty where a later identity has replaced the gathered form by a shorter one.
    """

    tensor: str
    indices: tuple[Index, ...]
    gather: Definition | None
    scatters: tuple[Scatter, ...]
    why: str = ""

    @property
    def name(self) -> str:
        """The tensor that holds the gradient: `grad_x`, or `grad_y_total` for an output that others read."""
        if self.gather is not None:
            return self.gather.name
        return self.scatters[0].target if self.scatters else gradient_name(self.tensor)


@dataclass(frozen=True, slots=True)
class Stage:
    """How one gradient comes about: the steps in order, and the gradient that the last one states."""

    gradient: Gradient
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Derivation(Displayed):
    """The backward equations of a layer with the steps that lead to them.

    `staged` goes backward through the definitions, then to the inputs; each stage may read the gradients of the
    stages before it. `closed` has a second stage for a tensor where substituting others leads to a shorter form.
    `auxiliary` are integer tensors of the forward pass that gradients read: where a `max` or `min` was attained.
    `conditions` hold for every call (a stride of at least 1). `assumptions` says in words what is assumed.
    """

    layer: Layer
    staged: tuple[Stage, ...]
    closed: tuple[Stage, ...]
    conditions: tuple[Expr, ...]
    assumptions: tuple[str, ...]
    auxiliary: tuple[Definition, ...] = ()

    def stage(self, tensor: str) -> Stage:
        """The last stage of a tensor: its closed form if there is one."""
        for stage in (*self.closed, *self.staged):
            if stage.gradient.tensor == tensor:
                return stage
        raise InternalError(f"no gradient of {tensor} was derived")

    def backward(self) -> tuple[Gradient, ...]:
        """The gradients to compute, in an order in which each reads only earlier ones; those of the inputs last.

        Closed forms where there are any; of the stages, those that something after them still reads.
        """
        derived = {s.gradient.tensor for s in self.staged}
        inputs = [t.name for t in self.layer.real_inputs if t.name in derived]
        final = [self.stage(name).gradient for name in inputs]
        needed = {name for gradient in final for name in _reads(gradient)}
        kept: list[Gradient] = []
        for stage in reversed(self.staged):
            gradient = self.stage(stage.gradient.tensor).gradient
            if gradient.tensor not in inputs and gradient.name in needed:
                kept.append(gradient)
                needed |= _reads(gradient)
        return (*reversed(kept), *final)


def _reads(gradient: Gradient) -> set[str]:
    bodies = [gradient.gather.body] if gradient.gather else [s.value for s in gradient.scatters]
    return {e.tensor for body in bodies for e in walk(body) if isinstance(e, Read)}
