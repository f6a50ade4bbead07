"""Shapes of a picture in SVG, as text: what the two kinds of pictures here are made of."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

FONT = "font-family='DejaVu Sans Mono, Menlo, monospace'"


def page(width: float, height: float, parts: Sequence[str], title: str) -> str:
    """A whole picture; the title is read aloud where pictures are not seen."""
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:g}' height='{height:g}' "
        f"viewBox='0 0 {width:g} {height:g}' role='img'>"
    )
    marker = (
        "<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' markerHeight='7' orient='auto'>"
        "<path d='M0,0 L8,4 L0,8 z' fill='context-stroke'/></marker></defs>"
    )
    ground = f"<rect width='{width:g}' height='{height:g}' fill='white'/>"
    return "\n".join([head, f"<title>{escape(title)}</title>", marker, ground, *parts, "</svg>"]) + "\n"


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
    start, *rest = [f"{x:g},{y:g}" for x, y in points]
    path = f"M{start} C{' '.join(rest)}" if len(rest) == 3 else f"M{start} L{' '.join(rest)}"
    dash = " stroke-dasharray='5 4'" if dashed else ""
    return f"<path d='{path}' fill='none' stroke='{colour}' stroke-width='1.4'{dash} marker-end='url(#tip)'/>"
