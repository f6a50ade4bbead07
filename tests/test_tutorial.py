"""The tutorial runs: its commands print what it shows, its Python runs after what stands before it."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from pathlib import Path

from tests.test_readme import ROOT, blocks, commands, matches, output

PAGE = ROOT / "docs" / "tutorial.md"


def test_every_block_of_the_tutorial_runs(tmp_path: Path) -> None:
    before = ""
    for kind, text in blocks(PAGE.read_text(encoding="utf-8")):
        if kind == "console":
            for command, shown in commands(text):
                actual = output(command, shown, tmp_path)
                difference = "\n".join(difflib.unified_diff(shown.split("\n"), actual.split("\n"), lineterm="", n=1))
                assert matches(shown, actual), f"{command}: the page (-), and what is printed (+)\n{difference}"
        if kind == "python":
            before += text
            command = [sys.executable, "-c", before]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{text}\n{done.stderr}"
