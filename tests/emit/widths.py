"""Code at another width of vectors: that is chosen where the support module is imported, so in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def printed(width: str, code: str, *arguments: Path) -> list[float]:
    """The numbers that a Python prints whose vectors have so many bytes; `lanes.BYTES` has to be `width` in it."""
    environment = {**os.environ, "SYMBACKPROP_VECTOR_BYTES": width, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", f"width = {width}; {code}", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return [float(number) for number in done.stdout.split()]
