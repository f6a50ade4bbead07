"""`list`, `show`, `derive`, `explain`: what a layer is and what follows from it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import click

from symbackprop.commands.options import names_in


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
@click.option("--wrt", metavar="NAMES", help="Inputs, with commas between them.  [default: all]")
@click.option("--twice", is_flag=True, help="The derivative of the gradient: --wrt names one input.")
@click.option("--format", "view", type=click.Choice(["text", "latex", "html"]), default="text", show_default=True)
@click.option(
    "--form",
    type=click.Choice(["gather", "scatter"]),
    default="gather",
    show_default=True,
    help="Each element of a gradient as a sum, or each term sent to its element.",
)
@click.option(
    "--legend",
    metavar="TOML",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="In the letters of the document that this legend speaks of, counted as it counts.",
)
@click.option("--standalone", is_flag=True, help="A complete document, for latex and html.")
@click.option("--m", type=int, help="For winograd: the outputs of a tile.")
@click.option("--r", type=int, help="For winograd: the taps of the filter.")
@click.option(
    "--points",
    metavar="LIST",
    help="For winograd: m + r - 1 points, as in 0,1,-1,inf.  [default: 0, pairs up to 2, inf]",
)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Write to FILE.  [default: the terminal]")
def derive(
    layer: str,
    wrt: str | None,
    twice: bool,
    view: str,
    form: str,
    legend: Path | None,
    standalone: bool,
    m: int | None,
    r: int | None,
    points: str | None,
    out: Path | None,
) -> None:
    """Print how the gradients of a layer come about, step by step, each step checked.

    `derive winograd --m 4 --r 3` prints a minimal filtering algorithm: m outputs by m + r - 1 products.
    """
    if (m, r, points) != (None, None, None):
        if layer != "winograd":
            raise click.UsageError(f"--m, --r and --points are for `derive winograd`, came {layer}")
        if wrt is not None or twice or form != "gather" or legend is not None:
            raise click.UsageError(
                "--wrt, --twice, --form and --legend are for layers; with --m and --r no layer is derived"
            )
        _derive_filtering(m, r, points, view, standalone, out)
        return
    if layer == "winograd" and not Path(layer).exists():
        raise click.UsageError("winograd takes the outputs of a tile and the taps of the filter: --m 4 --r 3")
    from symbackprop.build import derivation_text, load, second_order
    from symbackprop.documents.letters import spelling_for
    from symbackprop.documents.renaming import counting, renamed, words_for
    from symbackprop.emit.latex_names import SPELLING

    if standalone and view == "text":
        raise click.UsageError("--standalone is for --format latex and html; text is complete as it is")
    names = None if wrt is None else names_in(wrt, "--wrt")
    if twice and (names is None or len(names) != 1):
        raise click.UsageError("--twice takes one input: --wrt x")
    derived = second_order(load(layer), names[0]) if twice and names else load(layer)
    spelling = SPELLING if legend is None else spelling_for(derived, legend, load, layer)
    if legend is not None and view == "text":
        words = words_for(derived, spelling)
        names = None if names is None else tuple(words.get(n, n) for n in names)
        derived, spelling = renamed(derived, words), counting(spelling, words)
    _print(derivation_text(derived, names, view, form, standalone, spelling), out)


def _derive_filtering(
    m: int | None, r: int | None, points: str | None, view: str, standalone: bool, out: Path | None
) -> None:
    from symbackprop.build import filtering

    if m is None or r is None:
        raise click.UsageError("winograd takes both: --m, the outputs of a tile, and --r, the taps of the filter")
    if view == "html":
        raise click.UsageError("a filtering algorithm is printed as --format text or latex")
    if standalone and view == "text":
        raise click.UsageError("--standalone is for --format latex; text is complete as it is")
    _print(filtering(m, r, points, view, standalone), out)


def _print(text: str, out: Path | None) -> None:
    """The text on the terminal, or in a file."""
    from symbackprop.writing import write

    text = text.rstrip("\n") + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    write(out.parent, {PurePosixPath(out.name): text})
    click.echo(f"wrote {out}")


@click.command()
@click.argument("layer", metavar="LAYER|FILE")
def explain(layer: str) -> None:
    """Print the plan of a layer's kernels: what is computed, what is kept, what shares a pass."""
    from symbackprop.build import explanation, load

    click.echo(explanation(load(layer)), nl=False)
