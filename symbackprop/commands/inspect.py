"""`list`, `show`, `derive`, `explain`: what a layer is and what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from symbackprop.calculus.derivation import Derivation


@click.command("list")
def list_layers() -> None:
    """List the built-in layers."""
    from symbackprop.build import built_in

    layers = built_in()
    width = max(len(layer.name) for layer in layers)
    for layer in layers:
        summary = layer.doc.strip().split("\n")[0]
        click.echo(f"{layer.name:<{width}}  {summary}")


@click.command()
@click.argument("layer", metavar="LAYER|FILE")
def show(layer: str) -> None:
    """Print the equations of a layer, as one would write them in a file."""
    from symbackprop.build import load
    from symbackprop.notation.printer import to_text

    click.echo(to_text(load(layer)), nl=False)


@click.command()
@click.argument("layer", metavar="LAYER|FILE")
@click.option(
    "--wrt",
    metavar="NAME",
    multiple=True,
    help="The inputs to differentiate by: a name, or several with commas. [default: all]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "latex", "html"]),
    default="text",
    show_default=True,
    help="How to write it.",
)
@click.option(
    "--form",
    "gathered",
    type=click.Choice(["gather", "scatter"]),
    default="gather",
    show_default=True,
    help="Gradients element by element, or as contributions spread over the input.",
)
@click.option("--standalone", is_flag=True, help="A document that compiles by itself (latex, html).")
@click.option("--out", type=click.Path(path_type=Path), help="Write to this file instead of the terminal.")
def derive(layer: str, wrt: tuple[str, ...], form: str, gathered: str, standalone: bool, out: Path | None) -> None:
    """Print how the gradients of a layer come about, step by step."""
    raise NotImplementedError


@click.command()
@click.argument("layer", metavar="LAYER|FILE")
def explain(layer: str) -> None:
    """Print the plan of a layer's kernels: what is computed, what is kept, what shares a pass."""
    raise NotImplementedError
