"""What holds between the rooms: imports run one way, the same bytes come out, templates get what they read."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "symbackprop"

# A room may import rooms of a lower rank, and itself. `equations` and `calculus` never see each other.
RANKS = {
    "errors": 0,
    "filtering": 1,
    "nn": 1,
    "notation": 1,
    "equations": 2,
    "calculus": 2,
    "program": 3,
    "loops": 4,
    "emit": 5,
    "check": 6,
    "writing": 6,
    "documents": 7,
    "modules": 7,
    "build": 8,
    "analysis": 9,
    "bench": 10,
    "commands": 11,
    "__main__": 12,
    "demo": 13,
}
NUMBA_COMES_WITH = {"numba", "llvmlite", "hashlib", "pickle"}
GENERATED_MAY_IMPORT = {"__future__", "functools", "math", "numbers", "numpy", "typing"} | NUMBA_COMES_WITH
VECTORS_MAY_IMPORT = GENERATED_MAY_IMPORT | {"itertools", "json", "os", "sys", "threading", "types"}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, wherever in it, with the line; relative ones as `.name`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield node.lineno, base
            if base == "symbackprop":
                for alias in node.names:
                    yield node.lineno, f"symbackprop.{alias.name}"


def room(path: Path) -> str:
    """The room of a file: its folder in the package, or itself."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def wrong_imports(path: Path) -> list[str]:
    """The imports of a file that run the wrong way."""
    here, found = room(path), []
    for line, name in imports(path):
        if name.startswith("."):
            found.append(f"{path}:{line} imports {name}: write the whole name")
        if not name.startswith("symbackprop."):
            continue
        there = name.split(".")[1]
        if there in RANKS and there != here and RANKS[there] >= RANKS[here]:
            found.append(f"{path}:{line} imports {name}: {there} is not below {here}")
        if there in ("generated", "templates"):
            found.append(f"{path}:{line} imports {name}: only names made at run time lead there")
    return found


def sources(*folders: str) -> list[Path]:
    """The Python files of folders of the repository, in order."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_every_part_of_the_package_has_a_rank() -> None:
    rooms = {room(path) for path in sources("symbackprop")} - {"__init__"}

    assert rooms == set(RANKS)


def test_imports_run_one_way() -> None:
    files = [path for path in sources("symbackprop") if path != PACKAGE / "__init__.py"]

    assert [fault for path in files for fault in wrong_imports(path)] == []


def test_an_import_that_runs_back_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "notation").mkdir()
    wrong = tmp_path / "notation" / "slip.py"
    wrong.write_text("def late():\n    from symbackprop.check import forward\n    return forward\n")

    assert wrong_imports(wrong) == [f"{wrong}:2 imports symbackprop.check: check is not below notation"]


def test_the_package_itself_imports_nothing_at_once() -> None:
    body = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")).body
    at_once = [node.module for node in body if isinstance(node, ast.ImportFrom)]
    at_once += [alias.name for node in body if isinstance(node, ast.Import) for alias in node.names]

    assert set(at_once) == {"__future__", "importlib", "pathlib", "typing"}


def test_generated_modules_import_arrays_and_nothing_of_ours() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sources("generated")
        for line, name in imports(path)
        if (
            name.split(".")[0] not in (VECTORS_MAY_IMPORT if path.parent.name == "_vectors" else GENERATED_MAY_IMPORT)
            and not ((name.startswith(".") or name == "_vectors") and "numba" in path.parts)
        )
        or (name.split(".")[0] in NUMBA_COMES_WITH and "numba" not in path.parts)
    }

    assert found == set()


@pytest.mark.parametrize("seed", ["1", "20261121"])
def test_what_is_committed_is_what_is_generated_under_any_hash_seed(seed: str) -> None:
    command = [sys.executable, "-m", "symbackprop", "generate", "--check"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_template_that_reads_another_field_stops_the_generation(tmp_path: Path) -> None:
    templating = pytest.importorskip("symbackprop.emit.templating")
    errors = pytest.importorskip("symbackprop.errors")
    (tmp_path / "page.jinja").write_text("{{ title }} {{ body }}")
    environment = templating.environment().overlay(loader=__import__("jinja2").FileSystemLoader(str(tmp_path)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(templating, "environment", lambda: environment)

        assert templating.render("page.jinja", {"title": "a", "body": "b"}) == "a b"
        with pytest.raises(errors.InternalError, match="body"):
            templating.render("page.jinja", {"title": "a"})
        with pytest.raises(errors.InternalError, match="footer"):
            templating.render("page.jinja", {"title": "a", "body": "b", "footer": "c"})


def test_no_text_names_a_place_on_a_machine_or_something_left_to_do() -> None:
    names = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("templates/**/*.jinja"),
        ROOT / "pyproject.toml",
    ]
    names += sources("symbackprop", "generated", "tests")
    unwanted = re.compile(r"/(?:home|root|Users|work)/|\b(?:TO[D]O|FIX[M]E|XX[X])\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in names
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if unwanted.search(line)
    ]

    assert found == []
