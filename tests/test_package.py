"""The package as it is installed: what lands where, and what an import costs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

import symbackprop

ROOT = Path(__file__).parents[1]
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def python(code: str, cwd: Path = ROOT, path: Path = ROOT) -> str:
    """What a fresh interpreter prints."""
    environment = {"PYTHONPATH": str(path), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_listed_packages_are_the_folders_that_hold_code() -> None:
    listed = set(CONFIGURATION["tool"]["setuptools"]["packages"])
    inside = {".".join(path.parent.relative_to(ROOT).parts) for path in ROOT.glob("symbackprop/**/*.py")}
    mapped = {
        ".".join(("symbackprop", *path.parent.relative_to(ROOT).parts))
        for pattern in ("generated/**/*.py", "templates/**/*.jinja")
        for path in ROOT.glob(pattern)
    }

    assert listed == inside | mapped


def test_every_data_file_of_the_package_is_installed() -> None:
    data = CONFIGURATION["tool"]["setuptools"]["package-data"]
    kept = {
        path for package, patterns in data.items() for pattern in patterns for path in folder(package).glob(pattern)
    }
    found = {
        path
        for place in ("symbackprop", "templates", "generated")
        for path in ROOT.joinpath(place).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".nbi", ".nbc", ".tmp")
    }

    assert found == kept


def folder(package: str) -> Path:
    """Where a package stands in the checkout."""
    mapping = CONFIGURATION["tool"]["setuptools"]["package-dir"]
    for prefix in sorted(mapping, key=len, reverse=True):
        if package == prefix or package.startswith(f"{prefix}."):
            return ROOT.joinpath(mapping[prefix], *package.removeprefix(prefix).strip(".").split("."))
    raise AssertionError(package)


def test_the_version_has_one_place() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert re.fullmatch(r"\d+\.\d+\.\d+", symbackprop.__version__)
    assert "version" in CONFIGURATION["project"]["dynamic"]
    assert "## [Unreleased]" in text


def test_an_installed_distribution_has_the_version_of_the_package() -> None:
    try:
        installed = version("symbackprop")
    except PackageNotFoundError:
        pytest.skip("symbackprop is not installed here, only on the path")

    assert installed == symbackprop.__version__


@pytest.mark.parametrize("name", sorted(symbackprop._WHERE))
def test_a_public_name_is_the_one_of_its_module(name: str) -> None:
    assert getattr(symbackprop, name) is getattr(import_module(symbackprop._WHERE[name]), name)


def test_the_public_names_are_listed_once_for_people_and_once_for_machines() -> None:
    assert sorted({*symbackprop._WHERE, "__version__"}) == sorted(symbackprop.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = symbackprop.nothing


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_generated_module_costs_neither_sympy_nor_the_core(backend: str) -> None:
    loaded = python(f"import sys, symbackprop.generated.{backend}.conv2d; print(*sys.modules)").split()
    ours = {name for name in loaded if name.startswith("symbackprop.") and ".generated" not in name}

    assert not ours
    assert not {"sympy", "lark", "jinja2", "rich", "click"} & set(loaded)


def test_a_checkout_needs_no_installation(tmp_path: Path) -> None:
    code = "import symbackprop.generated.numpy.conv2d as m; print(m.__name__, m.__file__)"

    assert python(code, cwd=tmp_path).split() == [
        "symbackprop.generated.numpy.conv2d",
        str(ROOT / "generated" / "numpy" / "conv2d.py"),
    ]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the checkout, unpacked."""
    import setuptools

    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip(f"building a wheel needs setuptools 77 or newer; here is {setuptools.__version__}")
    place = tmp_path_factory.mktemp("wheel")
    source, unpacked = place / "source", place / "unpacked"
    skipped = ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "demo_output", "tests")
    copytree(ROOT, source, ignore=skipped)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(place)]
    subprocess.run([*command, str(source)], check=True, capture_output=True)
    with zipfile.ZipFile(next(place.glob("*.whl"))) as archive:
        archive.extractall(unpacked)
    return unpacked


def test_a_wheel_puts_one_package_into_site_packages(wheel: Path) -> None:
    top = {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")}

    assert top == {"symbackprop"}


def test_a_wheel_holds_the_generated_modules(wheel: Path, tmp_path: Path) -> None:
    code = "import symbackprop.generated.numpy.conv2d as m; print(m.__file__)"

    assert python(code, tmp_path, wheel).strip() == str(wheel / "symbackprop" / "generated" / "numpy" / "conv2d.py")


def test_a_wheel_generates_what_the_checkout_generates(wheel: Path, tmp_path: Path) -> None:
    python(
        "from symbackprop.__main__ import run; assert run(['generate', 'conv2d', '--out', 'out']) == 0", tmp_path, wheel
    )

    for backend in ("numpy", "numba"):
        made = (tmp_path / "out" / backend / "conv2d.py").read_text(encoding="utf-8")
        assert made == (ROOT / "generated" / backend / "conv2d.py").read_text(encoding="utf-8")


def test_an_installed_package_refuses_to_write_into_itself(wheel: Path, tmp_path: Path) -> None:
    python("from symbackprop.__main__ import run; assert run(['generate', 'conv2d']) == 2", tmp_path, wheel)
