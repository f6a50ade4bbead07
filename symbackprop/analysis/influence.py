"""The influence diagram of a layer: which tensor acts on which, forward, and how the gradients come back."""

from __future__ import annotations

from symbackprop.analysis.svg import arrow, box, page, words
from symbackprop.calculus.derivation import gradient_name
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Read, walk
from symbackprop.notation.printer import expression

FORWARD, BACKWARD = "#1f5fa8", "#b3402a"
_CHARACTER, _HEIGHT, _GAP, _LEVEL, _SWING = 8.0, 46.0, 34.0, 120.0, 42.0


def influences(layer: Layer) -> tuple[tuple[str, str], ...]:
    """Pairs `(a, b)`: the definition b reads the tensor a. In order of definition, and of reading."""
    return tuple(
        (name, definition.name)
        for definition in layer.definitions
        for name in dict.fromkeys(n.tensor for n in walk(definition.body) if isinstance(n, Read))
    )


def backward_influences(layer: Layer) -> tuple[tuple[str, str], ...]:
    """Pairs `(grad_b, grad_a)`: the gradient of a is made from that of b. The last definitions first."""
    real = {t.name for t in layer.real_inputs} | {d.name for d in layer.definitions}
    pairs = [(gradient_name(b), gradient_name(a)) for a, b in influences(layer) if a in real]
    return tuple(reversed(pairs))


def levels(layer: Layer) -> dict[str, int]:
    """How many definitions lie between a tensor and the inputs, on the longest way."""
    found = {tensor.name: 0 for tensor in layer.inputs}
    for definition in layer.definitions:
        read = [found[a] for a, b in influences(layer) if b == definition.name]
        found[definition.name] = 1 + max(read, default=0)
    return found


def influence_diagram(layer: Layer) -> str:
    """The diagram as SVG: tensors from inputs (top) to outputs, forward solid, gradients dashed."""
    places, width = _places(layer)
    height = _LEVEL * max(levels(layer).values()) + _HEIGHT + 96
    real = {t.name for t in layer.real_inputs} | {d.name for d in layer.definitions}
    parts: list[str] = []
    for a, b in influences(layer):
        parts.append(_link(places[a], places[b], FORWARD, -6))
        if a in real:
            parts.append(_link(places[b], places[a], BACKWARD, 6))
    for name, (x, y, wide) in places.items():
        fill = "#eaf1fa" if layer.tensor(name) else "#f3f9ee" if name in layer.outputs else "white"
        parts.append(box(x - wide / 2, y - _HEIGHT / 2, wide, _HEIGHT, fill, round_=6))
        parts.append(words(x, y - 9, _label(layer, name)))
        parts.append(words(x, y + 11, f"∂L/∂{name}" if name in real else "integers", 11, BACKWARD))
    parts += [
        arrow([(16, height - 22), (52, height - 22)], FORWARD),
        words(60, height - 22, "acts on", 12, FORWARD, "start"),
        arrow([(136, height - 22), (172, height - 22)], BACKWARD, dashed=True),
        words(180, height - 22, "gradient goes to", 12, BACKWARD, "start"),
    ]
    return page(max(width, 320), height, parts, f"What acts on what in {layer.name}, forward and backward")


def _label(layer: Layer, name: str) -> str:
    tensor = layer.tensor(name)
    if tensor is not None:
        return f"{name}[{', '.join(axis.name for axis in tensor.axes)}]" if tensor.axes else name
    return expression(layer.definition(name).element)


def _places(layer: Layer) -> tuple[dict[str, tuple[float, float, float]], float]:
    """The middle and the width of every tensor's box, and the width of the whole."""
    rows: dict[int, list[str]] = {}
    for name, level in levels(layer).items():
        rows.setdefault(level, []).append(name)
    wide = {name: _CHARACTER * len(_label(layer, name)) + 24 for names in rows.values() for name in names}
    lengths = {level: sum(wide[n] for n in names) + _GAP * (len(names) + 1) for level, names in rows.items()}
    margin = _SWING * max(rows) / 2  # room for the links that swing out
    width = max(lengths.values()) + 2 * margin
    places: dict[str, tuple[float, float, float]] = {}
    for level, names in sorted(rows.items()):
        x = (width - lengths[level]) / 2 + _GAP
        for name in names:
            places[name] = (x + wide[name] / 2, 16 + _HEIGHT / 2 + _LEVEL * level, wide[name])
            x += wide[name] + _GAP
    return places, width


def _link(start: tuple[float, float, float], end: tuple[float, float, float], colour: str, aside: float) -> str:
    (x, y, _), (u, v, _) = start, end
    down = 1 if v > y else -1
    rows = round(abs(v - y) / _LEVEL)
    upper, lower = (x, u) if down > 0 else (u, x)
    # a link past other rows swings out, to the side on which its upper end stands
    bend = 0.0 if rows < 2 else (-1 if upper < lower else 1) * _SWING * rows
    y, v = y + down * _HEIGHT / 2, v - down * _HEIGHT / 2
    pull = (v - y) / 2.5
    points = [(x + aside, y), (x + aside + bend, y + pull), (u + aside + bend, v - pull), (u + aside, v)]
    return arrow(points, colour, dashed=colour == BACKWARD)
