"""`check`: whether the derivations and modules of layers are right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from symbackprop.commands.options import backend_option, chosen_backends, chosen_layers, seed_option, terminal

if TYPE_CHECKING:
    from symbackprop.check.report import Check, Row

LINES_OF_A_MESSAGE = 6


@click.command()
@click.argument("layers", metavar="[LAYER|FILE]...", nargs=-1)
@backend_option
@seed_option
def check(layers: tuple[str, ...], backends: str | None, seed: int) -> int:
    """Check the derivations and modules of layers; without arguments, of all built-in ones."""
    from symbackprop import build
    from symbackprop.check.report import failures, table

    rows = build.check(chosen_layers(layers), chosen_backends(backends), seed, _watched)
    terminal().print(table(rows, title=f"checks, seed {seed}"))
    failed = failures(rows)
    for message, names in _by_message(failed).items():
        click.echo(f"symbackprop: {', '.join(names)}: {message}", err=True)
    return 1 if failed else 0


def _by_message(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The checks that say the same, under the first lines of what they say."""
    found: dict[str, list[str]] = {}
    for row in rows:
        lines = row.note.splitlines()
        message = "\n".join([*lines[:LINES_OF_A_MESSAGE], *(["..."] if len(lines) > LINES_OF_A_MESSAGE else [])])
        found.setdefault(message, []).append(row.what)
    return found


def _watched(checks: Sequence[Check]) -> Iterator[Check]:
    """The checks, with a bar in the terminal that says how far they have come."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=terminal(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(checks))
        for one in checks:
            bar.update(task, description=f"{one.layer} {one.backend}: {one.what}")
            yield one
            bar.advance(task)
