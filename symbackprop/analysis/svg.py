"""Shapes of a picture in SVG, as text: what the two kinds of pictures here are made of."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import hypot

_TIP = 9.0
FONT = "font-family='DejaVu Sans Mono, Menlo, monospace'"


def page(width: float, height: float, parts: Sequence[str], title: str) -> str:
    """A whole picture; the title is read aloud where pictures are not seen."""
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:g}' height='{height:g}' "
        f"viewBox='0 0 {width:g} {height:g}' role='img'>"
    )
    ground = f"<rect width='{width:g}' height='{height:g}' fill='white'/>"
    return "\n".join([head, f"<title>{escape(title)}</title>", ground, *parts, "</svg>"]) + "\n"


def box(
    x: float, y: float, width: float, height: float, fill: str = "white", line: str = "#333", round_: float = 0
) -> str:
    """A rectangle."""
    place = f"x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='{round_:g}'"
    return f"<rect {place} fill='{fill}' stroke='{line}'/>"


def words(x: float, y: float, text: str, size: float = 13, fill: str = "#111", anchor: str = "middle") -> str:
    """A line of text, its middle (or start) at the point."""
    place = f"x='{x:g}' y='{y:g}' text-anchor='{anchor}' dominant-baseline='central'"
    return f"<text {place} {FONT} font-size='{size:g}' fill='{fill}'>{escape(text)}</text>"


def arrow(points: Sequence[tuple[float, float]], colour: str = "#333", dashed: bool = False) -> str:
    """A smooth line through two or four points (the inner ones pull it), with a tip at its end."""
    (u, v), (x, y) = points[-2:]
    length = hypot(x - u, y - v) or 1.0
    ahead, aside = ((x - u) / length, (y - v) / length), ((v - y) / length, (x - u) / length)
    corners = [(x - _TIP * ahead[0] + side * aside[0], y - _TIP * ahead[1] + side * aside[1]) for side in (3.5, -3.5)]
    # the line ends inside of its tip; a marker would take its colour from the line in some programs only
    start, *rest = [f"{a:g},{b:g}" for a, b in (*points[:-1], (x - 4 * ahead[0], y - 4 * ahead[1]))]
    path = f"M{start} C{' '.join(rest)}" if len(rest) == 3 else f"M{start} L{' '.join(rest)}"
    tip = " L".join(f"{a:.1f},{b:.1f}" for a, b in ((x, y), *corners))
    dash = " stroke-dasharray='5 4'" if dashed else ""
    line = f"<path d='{path}' fill='none' stroke='{colour}' stroke-width='1.4'{dash}/>"
    return f"{line}<path d='M{tip} z' fill='{colour}'/>"
