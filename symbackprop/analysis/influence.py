"""The influence diagram of a layer: which tensor acts on which, forward, and how the gradients come back."""

from __future__ import annotations

from dataclasses import dataclass

from symbackprop.analysis.svg import arrow, box, page, words
from symbackprop.calculus.derivation import gradient_name
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Read, walk
from symbackprop.notation.printer import expression

FORWARD, BACKWARD = "#1f5fa8", "#b3402a"
_CHARACTER, _HEIGHT, _GAP, _LEVEL = 8.0, 46.0, 34.0, 112.0
_APART, _LANE, _CLEAR = 4.0, 9.0, 14.0  # the two lines of a link; steps of a curve; its distance from boxes

Point = tuple[float, float]
Curve = tuple[Point, Point, Point, Point]


@dataclass(frozen=True, slots=True)
class _Place:
    """The middle and the width of a box."""

    x: float
    y: float
    wide: float

    @property
    def bottom(self) -> float:
        return self.y + _HEIGHT / 2

    @property
    def right(self) -> float:
        return self.x + self.wide / 2


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
    places = _places(layer)
    curves = _curves(layer, places)
    left = min(0.0, *(x for curve in curves.values() for x, _ in _along(curve))) - _GAP
    right = max(*(place.right for place in places.values()), *(x for c in curves.values() for x, _ in _along(c))) + _GAP
    real = {t.name for t in layer.real_inputs} | {d.name for d in layer.definitions}
    parts: list[str] = []
    for (a, _), curve in curves.items():
        parts.append(arrow([(x - left - _APART, y) for x, y in curve], FORWARD))
        if a in real:
            parts.append(arrow([(x - left + _APART, y) for x, y in reversed(curve)], BACKWARD, dashed=True))
    for name, place in places.items():
        x, y = place.x - left, place.y
        fill = "#eaf1fa" if layer.tensor(name) else "#f3f9ee" if name in layer.outputs else "white"
        parts.append(box(x - place.wide / 2, y - _HEIGHT / 2, place.wide, _HEIGHT, fill, round_=6))
        parts.append(words(x, y - 9, _label(layer, name)))
        parts.append(words(x, y + 11, f"∂L/∂{name}" if name in real else "integers", 11, BACKWARD))
    height = max(place.bottom for place in places.values()) + 56
    parts += [
        arrow([(16, height - 22), (52, height - 22)], FORWARD),
        words(60, height - 22, "acts on", 12, FORWARD, "start"),
        arrow([(136, height - 22), (172, height - 22)], BACKWARD, dashed=True),
        words(180, height - 22, "gradient goes to", 12, BACKWARD, "start"),
    ]
    return page(max(right - left, 320), height, parts, f"What acts on what in {layer.name}, forward and backward")


def _label(layer: Layer, name: str) -> str:
    tensor = layer.tensor(name)
    if tensor is not None:
        return f"{name}[{', '.join(axis.name for axis in tensor.axes)}]" if tensor.axes else name
    return expression(layer.definition(name).element)


def _places(layer: Layer) -> dict[str, _Place]:
    """The box of every tensor, in rows by level, each row around the middle."""
    rows: dict[int, list[str]] = {}
    for name, level in levels(layer).items():
        rows.setdefault(level, []).append(name)
    wide = {name: max(_CHARACTER * len(_label(layer, name)), 70.0) + 24 for names in rows.values() for name in names}
    lengths = {level: sum(wide[n] for n in names) + _GAP * (len(names) - 1) for level, names in rows.items()}
    places: dict[str, _Place] = {}
    for level, names in sorted(rows.items()):
        x = (max(lengths.values()) - lengths[level]) / 2
        for name in names:
            places[name] = _Place(x + wide[name] / 2, 16 + _HEIGHT / 2 + _LEVEL * level, wide[name])
            x += wide[name] + _GAP
    return places


def _curves(layer: Layer, places: dict[str, _Place]) -> dict[tuple[str, str], Curve]:
    """A curve for each influence: its ends side by side along the edges of the boxes, around the boxes between."""
    pairs = influences(layer)
    curves: dict[tuple[str, str], Curve] = {}
    for a, b in pairs:
        start = _port(places[a], [places[y] for x, y in pairs if x == a], places[b])
        end = _port(places[b], [places[x] for x, y in pairs if y == b], places[a])
        between = [p for p in places.values() if places[a].bottom < p.y < places[b].y - _HEIGHT]
        outside = 1 if start + end >= 2 * places[b].x else -1
        ends = (start, places[a].bottom), (end, places[b].y - _HEIGHT / 2)
        bends = (side * outside * step * _LANE for step in range(60) for side in (1, -1))
        curves[a, b] = next(c for c in (_curve(*ends, bend) for bend in bends) if _free(c, between, curves))
    return curves


def _port(place: _Place, others: list[_Place], other: _Place) -> float:
    """Where on the edge of a box the link to another one ends: in the order in which the others stand.

    Of those above each other the farther ones come outermost, where their links have room to pass the nearer ones.
    """
    ordered = sorted(others, key=lambda o: (o.x, abs(o.y - place.y) * (-1 if place.x < o.x else 1)))
    share = (ordered.index(other) + 0.5) / len(ordered)
    return place.x + (share - 0.5) * (place.wide - 20)


def _curve(start: Point, end: Point, bend: float) -> Curve:
    (x, y), (u, v) = start, end
    pull = (v - y) / 2.5
    return start, (x + bend, y + pull), (u + bend, v - pull), end


def _along(curve: Curve) -> list[Point]:
    """Points on a curve, close to each other."""
    found = []
    for step in range(33):
        t = step / 32
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        x, y = (sum(w * point[axis] for w, point in zip(weights, curve, strict=True)) for axis in (0, 1))
        found.append((x, y))
    return found


def _free(curve: Curve, between: list[_Place], others: dict[tuple[str, str], Curve]) -> bool:
    """Whether a curve passes beside the boxes between its ends, and does not run along another one."""
    points = _along(curve)
    near = _HEIGHT / 2 + _CLEAR
    if any(abs(x - p.x) < p.wide / 2 + _CLEAR and abs(y - p.y) < near for x, y in points for p in between):
        return False
    middle = points[16]
    return not between or all(
        min(abs(middle[0] - x) + abs(middle[1] - y) for x, y in _along(other)) > _CLEAR for other in others.values()
    )
