"""The one Jinja environment. A field that a template reads and does not get stops the generation, and so does one that it gets and does not read."""  # noqa: E501

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import meta

from symbackprop.errors import InternalError


@cache
def environment() -> jinja2.Environment:
    """Strict: an undefined name is an error; blocks leave no blank lines behind."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(template_folder())),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def template_folder() -> Path:
    """`templates/` inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "templates", package.parent / "templates"):
        if folder.is_dir():
            return folder
    raise InternalError(f"no templates beside {package}")


def fields_read(name: str) -> frozenset[str]:
    """The fields that a template reads, itself or in what it extends and includes."""
    source, _, _ = _load(name)
    tree = environment().parse(source)
    found = set(meta.find_undeclared_variables(tree))
    for other in meta.find_referenced_templates(tree):
        if other is None:
            raise InternalError(f"template {name} computes the name of another template")
        found |= fields_read(other)
    return frozenset(found)


def _load(name: str) -> tuple[str, str | None, Any]:
    loader = environment().loader
    if loader is None:
        raise InternalError("the template environment has no loader")
    return loader.get_source(environment(), name)


def template_text(name: str) -> str:
    """A template as it stands."""
    return _load(name)[0]


def render(name: str, fields: Mapping[str, object]) -> str:
    """The text of a template with exactly these fields.

    Raises InternalError where the fields that are given and the fields that are read differ.
    """
    read, given = fields_read(name), frozenset(fields)
    if read != given:
        missing, unused = sorted(read - given), sorted(given - read)
        raise InternalError(f"template {name}: missing fields {missing}, unused fields {unused}")
    return environment().get_template(name).render(fields)
