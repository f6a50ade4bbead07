"""`draw`: pictures of layers."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import click

from symbackprop.commands.network import ShapeType


@click.command()
@click.argument("layer", metavar="LAYER|FILE")
@click.option(
    "--at",
    metavar="TENSOR:I,J,...",
    help="What meets this element of an input: x:0,0,2,2.  [default: what acts on what in the layer]",
)
@click.option("--shape", "shapes", metavar="TENSOR=AxBx...", multiple=True, help="The shape of an input, for --at.")
@click.option("--param", "params", metavar="NAME=VALUE", multiple=True, help="A hyperparameter, for --at.")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Write to FILE.  [default: the terminal]")
def draw(layer: str, at: str | None, shapes: tuple[str, ...], params: tuple[str, ...], out: Path | None) -> None:
    """Draw a layer as SVG: which intermediate depends on which, or which elements meet.

    symbackprop draw batchnorm2d

    symbackprop draw conv2d --at x:0,0,2,2 --shape x=1x1x5x5 --shape weight=1x1x3x3 --shape bias=1
    """
    from symbackprop.analysis.bound import bind
    from symbackprop.analysis.influence import influence_diagram
    from symbackprop.analysis.stencil import stencil
    from symbackprop.build import load
    from symbackprop.writing import write

    chosen = load(layer)
    if at is None:
        picture = influence_diagram(chosen)
    else:
        point = bind(chosen, {name: _shape(value) for name, value in map(_pair, shapes)}, _numbers(params))
        tensor, place = _place(at)
        picture = stencil(chosen, point, tensor, place)
    if out is None:
        click.echo(picture, nl=False)
        return
    write(out.parent, {PurePosixPath(out.name): picture})
    click.echo(f"wrote {out}")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise click.UsageError(f"{text}: write a name, = and a value, as x=1x1x5x5 or pad=1")
    return name, value


def _shape(text: str) -> tuple[int, ...]:
    return ShapeType().convert(text, None, None)


def _numbers(params: tuple[str, ...]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in map(_pair, params):
        try:
            found[name] = float(value)
        except ValueError as error:
            raise click.UsageError(f"{name}: {value} is no number") from error
    return found


def _place(text: str) -> tuple[str, tuple[int, ...]]:
    tensor, _, place = text.partition(":")
    numbers = place.split(",") if place else []
    if not tensor or not all(n.strip().isdecimal() for n in numbers):
        raise click.UsageError(f"--at {text}: write a tensor and a place in it, as x:0,0,2,2")
    return tensor, tuple(int(n) for n in numbers)
