"""`generate`: the modules of layers, written or compared."""

from __future__ import annotations

from pathlib import Path

import click

from symbackprop.commands.options import backend_option, chosen_backends, chosen_layers


@click.command()
@click.argument("layers", metavar="[LAYER|FILE]...", nargs=-1)
@backend_option
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write to DIR/<backend>/<layer>.py.  [default: generated/ of this checkout]",
)
@click.option("--check", is_flag=True, help="Write nothing; fail if anything on disk differs.")
def generate(layers: tuple[str, ...], backends: str | None, out: Path | None, check: bool) -> int:
    """Write the modules of layers; without arguments, of all built-in ones."""
    from symbackprop import build

    chosen = chosen_layers(layers) if layers else None
    changed = build.generate(chosen, chosen_backends(backends), out, check)
    if check:
        for difference in changed:
            click.echo(difference)
        if changed:
            click.echo("symbackprop: run the same command without --check to write these anew", err=True)
        return 1 if changed else 0
    for difference in changed:
        click.echo(f"{'removed' if difference.kind == 'stale' else 'wrote'} {difference.path}")
    if not changed:
        click.echo(f"{out or build.generated_folder()}: everything is as it should be")
    return 0
