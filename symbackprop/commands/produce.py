"""`generate`, `check`: the modules of a layer, and whether they are right."""

from __future__ import annotations

from pathlib import Path

import click


def _backends(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    known = ("numpy", "numba")
    for name in names:
        if name not in known:
            raise click.BadParameter(f"there is no backend {name}; choose from {', '.join(known)}")
    if not names:
        raise click.BadParameter(f"no backend is named; choose from {', '.join(known)}")
    return names


backend_option = click.option("--backend", "backends", default="numpy,numba", show_default=True, callback=_backends, metavar="NAMES", help="One or more, with commas between them.")


@click.command()
@click.argument("layers", metavar="[LAYER|FILE]...", nargs=-1)
@backend_option
@click.option("--out", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="The folder to write to, as DIR/<backend>/<layer>.py. [default: generated/ of this checkout]")
@click.option("--check", is_flag=True, help="Write nothing; fail if anything on disk differs.")
def generate(layers: tuple[str, ...], backends: tuple[str, ...], out: Path | None, check: bool) -> int:
    """Write the modules of layers; without arguments, of all built-in ones."""
    raise NotImplementedError


@click.command()
@click.argument("layers", metavar="[LAYER|FILE]...", nargs=-1)
@backend_option
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all random draws.")
def check(layers: tuple[str, ...], backends: tuple[str, ...], seed: int) -> int:
    """Check the derivations and modules of layers; without arguments, of all built-in ones."""
    raise NotImplementedError
