"""A program: array statements for forward and backward, each a map, one reduction, or a scatter."""

from __future__ import annotations

from dataclasses import dataclass

from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Expr, Index, Read


@dataclass(frozen=True, slots=True)
class Statement:
    """One array statement over all `indices` of the target.

    | kind | meaning |
    | --- | --- |
    | `map` | `target[indices] = body` |
    | `sum mean prod max min` | `target[indices] = result`, where `target[indices]` is `body` reduced over `bound` |
    | `argmax argmin` | the row-major position over `bound` of the first extremum of `body`; an integer tensor |
    | `scatter` | `target[positions] += body` for every point of `bound`; see below |

    A scatter drops positions outside the target's box; its target starts as zeros, and `indices` only give its axes.
    `body`, `positions` and `result` contain neither `Reduce` nor `Arg`. A guard stands as `Where(condition, value, 0)`.
    `result` is `target[indices]` itself where nothing is left to do after a reduction, and the body's element in a map.
    `wanted_by` names the inputs whose gradients need the statement (empty in the forward pass).
    `comment` is the equation that it computes, for the reader of the generated code.
    `unsure`: it stands behind a condition in the equations, and need be no finite number where that does not hold.
    """

    kind: str
    target: str
    indices: tuple[Index, ...]
    bound: tuple[Index, ...]
    body: Expr
    result: Expr
    positions: tuple[Expr, ...] = ()
    wanted_by: tuple[str, ...] = ()
    comment: str = ""
    unsure: bool = False

    @property
    def element(self) -> Read:
        """The target at its indices."""
        return Read(self.target, self.indices)


@dataclass(frozen=True, slots=True)
class Program:
    """What a module computes. `saved` names the inputs and forward tensors that the backward pass reads, in order.

    The gradient of output `y` comes in as tensor `grad_y`, that of input `x` goes out as `grad_x`.
    `conditions` are what sizes and parameters must satisfy beside the layer's own requirements.
    """

    layer: Layer
    forward: tuple[Statement, ...]
    backward: tuple[Statement, ...]
    saved: tuple[str, ...]
    conditions: tuple[Expr, ...]
