"""The README's blocks run: what it shows is what comes out.

In a `console` block each line after `$ ` is run in a shell, and what follows it has to be its output; a line `...`
stands for any lines, and `...` within a line for anything there; in the rows of a table, whose times differ from run
to run, any number stands for any other. `$ cat FILE` of a file that does not exist yet states the file. A `python`
block is run as it is, after the blocks before it. Blocks of other kinds are not run.

`python tests/test_readme.py` puts what the commands print now into the README; read what it changed.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TABLE = tuple("│┃┏┡└")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """The kind and the text of each fenced block."""
    for found in BLOCK.finditer(text):
        yield found.group(1), found.group(2)


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block with the output that is shown for it."""
    for piece in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, shown = piece.partition("\n")
        yield command, shown


def output(command: str, shown: str, folder: Path) -> str:
    """What a command prints in the folder; a file that is stated is written, and printed as it is stated."""
    words = shlex.split(command)
    if words[0] == "cat" and not (folder / words[1]).exists():
        (folder / words[1]).write_text(shown, encoding="utf-8")
        return shown
    bin_folder = folder / "bin"
    if not bin_folder.exists():
        bin_folder.mkdir()
        for name, line in (("symbackprop", '-m symbackprop "$@"'), ("python", '"$@"')):
            (bin_folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {line}\n')
            (bin_folder / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "110",
    }
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    lines = [line.rstrip() for line in (done.stdout + done.stderr).strip("\n").split("\n")]
    return "\n".join(lines) + "\n"


def refreshed(text: str, folder: Path) -> str:
    """The README with what its commands print now."""

    def block(found: re.Match[str]) -> str:
        if found.group(1) != "console":
            return found.group(0)
        pieces = [f"$ {command}\n{output(command, shown, folder)}" for command, shown in commands(found.group(2))]
        return f"```console\n{''.join(pieces)}```"

    return BLOCK.sub(block, text)


def plainly(text: str) -> list[str]:
    """The lines without trailing blanks; in the rows and the heading of a table without numbers and widths."""
    lines = [line.rstrip() for line in text.strip("\n").split("\n")]
    return [
        re.sub(r"[ ━─]+", " ", re.sub(r"\d[\d.]*(?:e-?\d+)?|exact", "#", line)) if line[:1] in TABLE else line
        for line in lines
    ]


def matches(shown: str, actual: str) -> bool:
    """Whether the lines are the same, `...` standing for any lines and trailing blanks for nothing."""
    lines = plainly(shown)
    escaped = [re.escape(line).replace(re.escape("..."), ".*") for line in lines]
    pattern = "\n".join("(?:.*\n?)*?" if line == ".*" else line for line in escaped)
    pattern = pattern.replace("(?:.*\n?)*?\n", "(?:.*\n)*?")
    return re.fullmatch(pattern, "\n".join(plainly(actual))) is not None


@pytest.mark.parametrize(
    ("shown", "actual", "expected"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\n...\nd", "a\nb\nc\nd", True),
        ("a\n...", "a\nb\nc", True),
        ("...\nc", "a\nb\nc", True),
        ("a\n...\nd", "a\nb\nc\ne", False),
        ("a\nb", "a\nb\nc", False),
        ("a ... c", "a b c", True),
        ("│ a │ 1.5e-16 │ ok │", "│ a │   exact │ ok │", True),
        ("│ a │ 1.5e-16 │ ok │", "│ a │ 1.5e-16 │ FAILED │", False),
        ("a ... c", "a\nc", False),
    ],
)
def test_dots_stand_for_any_lines_and_nothing_else_does(shown: str, actual: str, expected: bool) -> None:
    assert matches(shown, actual) is expected


def test_the_readme_opens_with_the_two_commands() -> None:
    first = next(blocks(README.read_text(encoding="utf-8")))[1]

    assert [line.split("#")[0].strip() for line in first.strip().split("\n")][:2] == ["make demo", "make test"]


def test_every_make_target_of_the_readme_exists() -> None:
    rules = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"^make (\w+)", README.read_text(encoding="utf-8"), re.MULTILINE))

    assert named <= rules


def test_every_file_that_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", BLOCK.sub("", README.read_text(encoding="utf-8")))

    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_block_of_the_readme_runs(tmp_path: Path) -> None:
    for kind, text in blocks(README.read_text(encoding="utf-8")):
        if kind == "console":
            for command, shown in commands(text):
                actual = output(command, shown, tmp_path)
                difference = "\n".join(difflib.unified_diff(shown.split("\n"), actual.split("\n"), lineterm="", n=1))
                assert matches(shown, actual), f"{command}: the README (-), and what is printed (+)\n{difference}"
        if kind == "python":
            environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"}
            command = [sys.executable, "-c", text]
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{text}\n{done.stderr}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        README.write_text(refreshed(README.read_text(encoding="utf-8"), Path(place)), encoding="utf-8")
