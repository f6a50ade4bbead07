"""What a forward pass costs, counted in the equations at concrete sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from symbackprop.check.point import Point
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Add, Call, Expr, Index, Mul, Number, Pow, Read, Reduce, Where, parts, walk


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one forward pass. A multiply-add counts among the operations as two.

    `moved` counts the elements of the inputs and the outputs: what has to cross the memory bus at least once.
    """

    multiply_adds: int
    operations: int
    moved: int


def costs(layer: Layer, point: Point) -> Costs:
    """The costs of the layer's equations as they are written, taps that meet padding included."""
    adds = operations = 0
    for definition in layer.definitions:
        box = prod(_extents(definition.indices, point))
        adds += box * sum(_multiply_adds(definition.body, point))
        operations += box * _operations(definition.body, point)
    arrays = (*(tensor.name for tensor in layer.inputs), *layer.outputs)
    return Costs(adds, operations, sum(prod(point.shape(name)) for name in arrays))


def gradient_multiply_adds(layer: Layer, point: Point, wrt: tuple[str, ...]) -> int:
    """The multiply-adds of the gradients of `wrt`: a product in a sum gives one for each factor that depends on them.

    So a convolution's input gradient has as many as its forward pass, whatever its stride: a tap that meets no output
    costs nothing. Products with what is held fixed outside of sums are not counted, as they are not forward.
    """
    varying, total = set(wrt), 0
    for definition in layer.definitions:
        box = prod(_extents(definition.indices, point))
        total += box * sum(_gradient_multiply_adds(definition.body, point, varying))
        if any(isinstance(e, Read) and e.tensor in varying for e in walk(definition.body)):
            varying.add(definition.name)
    return total


def _gradient_multiply_adds(expr: Expr, point: Point, varying: set[str]) -> Iterator[int]:
    for part in parts(expr):
        inner = sum(_gradient_multiply_adds(part, point, varying))
        yield inner * (prod(_extents(expr.indices, point)) if isinstance(expr, Reduce) else 1)
    if isinstance(expr, Reduce) and expr.operation == "sum" and isinstance(expr.body, Mul) and _reads(expr.body) > 1:
        factors = [f for f in expr.body.factors if isinstance(f, Read) and f.tensor in varying]
        yield len(factors) * prod(_extents(expr.indices, point))


def _extents(indices: tuple[Index, ...], point: Point) -> list[int]:
    return [point.extent(index.extent) for index in indices]


def _multiply_adds(expr: Expr, point: Point) -> Iterator[int]:
    """One for every term that a sum adds up where that term is a product of two elements or more."""
    for part in parts(expr):
        inner = sum(_multiply_adds(part, point))
        yield inner * (prod(_extents(expr.indices, point)) if isinstance(expr, Reduce) else 1)
    if isinstance(expr, Reduce) and expr.operation == "sum" and _reads(expr.body) > 1:
        yield prod(_extents(expr.indices, point))


def _reads(expr: Expr) -> int:
    """How many elements a product multiplies; 1 for anything else."""
    return sum(isinstance(factor, Read) for factor in expr.factors) if isinstance(expr, Mul) else 1


def _operations(expr: Expr, point: Point) -> int:
    """Additions, products, comparisons and functions of one element; index arithmetic is not counted."""
    match expr:
        case Add(terms):
            here = len(terms) - 1
        case Mul(factors):
            # a minus sign comes with the addition that it stands in
            here = len(factors) - 1 - (1 if isinstance(factors[0], Number) and abs(factors[0].value) == 1 else 0)
        case Pow() | Call():
            here = 1
        case Reduce(_, indices, body):
            return prod(_extents(indices, point)) * (_operations(body, point) + 1)
        case Where(_, then, other):
            return 1 + max(_operations(then, point), _operations(other, point))
        case _:
            return 0
    return here + sum(_operations(part, point) for part in parts(expr))
