"""`audit`, `legend`, `read`: a document's formulas, what its names mean, and the layer that it states."""

from __future__ import annotations

import os
from pathlib import Path

import click

FORMULAS_A_PROCESS = 10  # fewer are not worth one of their own


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--legend",
    "legend_file",
    metavar="TOML",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What the document's names mean.  [default: guessed]",
)
@click.option("--layer", metavar="LAYER|FILE", help="The layer that the document speaks of.  [default: the legend's]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "markdown", "json"]),
    default="table",
    show_default=True,
    help="How to write it.",
)
@click.option("--all", "every", is_flag=True, help="List also what claims nothing.")
@click.option("--no-repairs", is_flag=True, help="Do not look for the nearest formula that holds.")
def audit(file: Path, legend_file: Path | None, layer: str | None, form: str, every: bool, no_repairs: bool) -> int:
    """Say of each formula of a document whether it is right, and what should stand there.

    FILE is Markdown, LaTeX or plain text with its formulas between dollars, or a TOML list of formulas. Exit status 0:
    all hold; 1: something fails; 2: something could not be read or decided.
    """
    from rich.console import Console
    from rich.progress import Progress

    from symbackprop.build import load
    from symbackprop.documents.audit import Effort
    from symbackprop.documents.audit import audit as audited
    from symbackprop.documents.guess import legend_for
    from symbackprop.documents.legend import load_legend
    from symbackprop.documents.report import FORMATS
    from symbackprop.documents.source import formulas, title

    found = formulas(file)
    if legend_file is not None:
        legend = load_legend(legend_file, load, layer)
    elif layer is not None:
        legend = legend_for(found, load(layer), load)
    else:
        raise click.UsageError("say which layer the document speaks of: --layer LAYER, or --legend TOML")
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("trying the formulas", total=len(found))
        jobs = max(1, min(4, os.cpu_count() or 1, len(found) // FORMULAS_A_PROCESS))
        result = audited(found, legend, title(file), lambda: progress.advance(task), Effort(not no_repairs), jobs)
    click.echo(FORMATS[form](result, every), nl=False)
    return result.status


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--layer", metavar="LAYER|FILE", required=True, help="The layer that the document speaks of.")
@click.option(
    "--out", metavar="TOML", type=click.Path(path_type=Path), help="Write to this file instead of the terminal."
)
def legend(file: Path, layer: str, out: Path | None) -> None:
    """Guess what a document's names mean, for a person to correct."""
    from pathlib import PurePosixPath

    from symbackprop.build import load
    from symbackprop.documents.guess import guessed
    from symbackprop.documents.source import formulas
    from symbackprop.writing import write

    text = guessed(formulas(file), load(layer), layer)
    if out is None:
        click.echo(text, nl=False)
    else:
        write(out.parent, {PurePosixPath(out.name): text})


@click.command("read")
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--legend",
    "legend_file",
    metavar="TOML",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What the document's names mean: shapes of its inputs, names, parameters.",
)
@click.option(
    "--out", metavar="EQ", type=click.Path(path_type=Path), help="Write to this file instead of the terminal."
)
def read_layer(file: Path, legend_file: Path, out: Path | None) -> None:
    """Turn the forward equations of a document into an equation file."""
    from pathlib import PurePosixPath

    from symbackprop.documents.layers import layer_of, load_statement
    from symbackprop.documents.source import formulas
    from symbackprop.notation.printer import to_text
    from symbackprop.writing import write

    text = to_text(layer_of(formulas(file), load_statement(legend_file)))
    if out is None:
        click.echo(text, nl=False)
    else:
        write(out.parent, {PurePosixPath(out.name): text})
