"""`bench`: times and memory."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--json", "json_file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to this file too.")
@click.option("--quick", is_flag=True, help="Fewer repetitions and smaller arrays.")
def bench(json_file: Path | None, quick: bool) -> int:
    """Measure times and memory: derivations, generation, imports, kernels."""
    raise NotImplementedError
