"""What several commands ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from symbackprop.notation.layer import Layer

backend_option = click.option(
    "--backend", "backends", metavar="NAMES", help="numpy, numba, or several with commas between them.  [default: all]"
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The seed of all random draws."
)


def names_in(text: str, option: str) -> tuple[str, ...]:
    """The names in `a, b`. Raises: click.UsageError where one is missing or stands twice."""
    names = tuple(name.strip() for name in text.split(","))
    if "" in names:
        raise click.UsageError(f"{option} takes names with commas between them, and one is missing in {text!r}")
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise click.UsageError(f"{option} names {twice} twice")
    return names


def chosen_backends(text: str | None) -> tuple[str, ...]:
    """The backends of `--backend`; all of them where it is not given."""
    from symbackprop.build import BACKENDS

    names = tuple(BACKENDS) if text is None else names_in(text, "--backend")
    unknown = next((name for name in names if name not in BACKENDS), None)
    if unknown is not None:
        raise click.UsageError(f"there is no backend {unknown}; choose from {', '.join(BACKENDS)}")
    return names


def chosen_layers(names: tuple[str, ...]) -> tuple[Layer, ...]:
    """The layers of names and files, each once; all built-in ones where none is given."""
    from symbackprop.build import built_in, load

    return tuple(load(name) for name in dict.fromkeys(names)) if names else built_in()


def terminal(stderr: bool = False, width: int = 120) -> Console:
    """Where tables and bars go; a file or a pipe takes lines of `width` characters."""
    from rich.console import Console

    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=width)
