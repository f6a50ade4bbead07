"""`check`: whether the derivations and modules of layers are right."""

from __future__ import annotations

import click

from symbackprop.commands.options import backend_option, seed_option


@click.command()
@click.argument("layers", metavar="[LAYER|FILE]...", nargs=-1)
@backend_option
@seed_option
def check(layers: tuple[str, ...], backends: str | None, seed: int) -> int:
    """Check the derivations and modules of layers; without arguments, of all built-in ones."""
    raise NotImplementedError
