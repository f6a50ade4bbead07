"""Which elements meet: for one element of an input of a layer, the outputs that it acts on and what it is joined with.

The answer comes from the layer's index maps, evaluated place by place. For a convolution it is the stencil of the
textbooks: the outputs that input pixel (2,2) touches, the pixels that the gradient of tap (1,1) meets.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from symbackprop.analysis.svg import box, page, words
from symbackprop.check.exact import whole
from symbackprop.check.interpret import evaluate_exact, holds
from symbackprop.check.point import Point
from symbackprop.errors import UserError
from symbackprop.notation.binding import substitute
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Expr, Index, Number, Read, Reduce, Where, number, parts

Place = tuple[int, ...]
Meeting = tuple[Place, dict[str, Place]]  # an output, and for every tensor the element that is read for it
_MOST = 200_000
_CELL = 26.0


def meetings(layer: Layer, point: Point, tensor: str, at: Place) -> tuple[Meeting, ...]:
    """Where the element `at` of an input is read, with everything that is read in the same term of the sum.

    Raises: UserError for a layer of several equations, an unknown tensor or a place outside it, or too large a layer.
    """
    if len(layer.definitions) != 1:
        raise UserError(f"a stencil is drawn of a layer of one equation, and {layer.name} has {len(layer.definitions)}")
    if layer.tensor(tensor) is None:
        raise UserError(f"{layer.name} has no input {tensor}; it has {', '.join(t.name for t in layer.inputs)}")
    shape = point.shape(tensor)
    if len(at) != len(shape) or not all(0 <= i < n for i, n in zip(at, shape, strict=True)):
        raise UserError(f"{tensor} has the shape {shape}; there is no element {at}")
    definition = layer.definitions[0]
    found: list[Meeting] = []
    for key in point.box(definition.name):
        values = {i: number(k) for i, k in zip(definition.indices, key, strict=True)}
        terms = _terms(substitute(definition.body, values), point, [0])
        found += [(key, reads) for reads in terms if reads.get(tensor) == at]
    return tuple(found)


def _terms(expr: Expr, point: Point, count: list[int]) -> Iterator[dict[str, Place]]:
    """What is read together: the reads of each term of each reduction, each at its place inside its box."""
    own: dict[str, Place] = {}
    yield from _collect(expr, point, own, count)
    if own:
        yield own


def _collect(expr: Expr, point: Point, own: dict[str, Place], count: list[int]) -> Iterator[dict[str, Place]]:
    if isinstance(expr, Reduce):
        for values in product(*(range(point.extent(i.extent)) for i in expr.indices)):
            count[0] += 1
            if count[0] > _MOST:
                raise UserError(f"{point.layer.name} is too large here for a stencil; take a smaller image")
            given = {i: number(v) for i, v in zip(expr.indices, values, strict=True)}
            yield from _terms(substitute(expr.body, given), point, count)
        return
    if isinstance(expr, Where):
        yield from _collect(expr.then if holds(expr.condition, point) else expr.other, point, own, count)
        return
    if isinstance(expr, Read):
        own[expr.tensor] = tuple(whole(evaluate_exact(i, point)) for i in expr.indices)
        return
    for part in parts(expr):
        if not isinstance(part, Index | Number):
            yield from _collect(part, point, own, count)


def touched(found: tuple[Meeting, ...]) -> tuple[Place, ...]:
    """The outputs, each once."""
    return tuple(dict.fromkeys(key for key, _ in found))


def met(found: tuple[Meeting, ...], tensor: str) -> tuple[Place, ...]:
    """The elements of another tensor, each once; those in the padding too."""
    return tuple(dict.fromkeys(reads[tensor] for _, reads in found if tensor in reads))


# --------------------------------------------------------------------------------------------- the picture


def stencil(layer: Layer, point: Point, tensor: str, at: Place) -> str:
    """The picture as SVG: the last two axes of every tensor that takes part, and of the output."""
    found = meetings(layer, point, tensor, at)
    output = layer.outputs[0]
    names = [t.name for t in layer.inputs if len(t.axes) > 1] + [output]
    marked = {name: met(found, name) for name in names[:-1]} | {output: touched(found)}
    parts: list[str] = []
    left, height = 24.0, 0.0
    for name in names:
        rows, columns = point.shape(name)[-2:]
        marks = {place[-2:] for place in marked[name]}
        top, pad = 56.0, _margin(marks, rows, columns)
        parts.append(words(left, 24, _title(name, tensor, output), 13, anchor="start"))
        parts += _grid(left, top, pad, (rows, columns), marks, at[-2:] if name == tensor else None)
        left += max((columns + 2 * pad) * _CELL, 7.6 * len(_title(name, tensor, output))) + 40
        height = max(height, top + (rows + 2 * pad) * _CELL + 24)
    place = ", ".join(map(str, at))
    return page(left, height, parts, f"What {tensor}[{place}] meets in {layer.name}")


def _title(name: str, tensor: str, output: str) -> str:
    if name == tensor:
        return f"this element of {name}"
    return f"acts on these of {name}" if name == output else f"through these of {name}"


def _margin(marks: set[Place], rows: int, columns: int) -> int:
    over = [max(-r, r - rows + 1, -c, c - columns + 1) for r, c in marks]
    return max(0, *over) if over else 0


def _grid(
    left: float, top: float, pad: int, shape: tuple[int, int], marks: set[Place], own: Place | None
) -> Iterator[str]:
    """The cells of a tensor, those in the padding that are met, and numbers outside of both."""
    rows, columns = shape
    left, top = left + pad * _CELL, top + pad * _CELL
    cells = sorted({*product(range(rows), range(columns)), *marks})
    for r, c in cells:
        inside = 0 <= r < rows and 0 <= c < columns
        fill = "#b3402a" if (r, c) == own else "white"
        if (r, c) in marks and (r, c) != own:
            fill = "#9cc3ea" if inside else "#dceafa"
        yield box(left + c * _CELL, top + r * _CELL, _CELL, _CELL, fill, "#333" if inside else "#bbb")
    for r in range(rows):
        yield words(left - pad * _CELL - 10, top + (r + 0.5) * _CELL, str(r), 10, "#777")
    for c in range(columns):
        yield words(left + (c + 0.5) * _CELL, top - pad * _CELL - 10, str(c), 10, "#777")
