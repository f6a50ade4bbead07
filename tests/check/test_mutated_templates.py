"""Templates with one slip each: the module that comes out is caught by the checks, or refuses to be made."""

from __future__ import annotations

import ast

import jinja2
import pytest

from symbackprop import build
from symbackprop.check.report import Outcome
from symbackprop.check.subjects import Subject
from symbackprop.emit import templating
from symbackprop.errors import CheckFailed, SymbackpropError
from tests.check.test_mutants import CHECKS, run_module

SLIPS = [
    (
        "conv2d",
        "_numpy_helpers.py.jinja",
        "np.full(shape, value, array.dtype)",
        "np.full(shape, value + 1, array.dtype)",
    ),
    ("conv2d", "_numpy_helpers.py.jinja", "slice(before, before + size)", "slice(0, size)"),
    ("conv2d", "_numpy_helpers.py.jinja", "stop = start + step * count", "stop = start + step * (count - 1)"),
    ("sigmoid", "_numpy_helpers.py.jinja", "np.where(x >= 0, 1, small)", "np.where(x <= 0, 1, small)"),
    ("batchnorm1d", "_module.py.jinja", "return Gradients(", "return Gradients(*("),
]


def checked(name: str) -> list[Outcome]:
    layer = build.load(name)
    source = build.module(build.derive(layer), "numpy")
    subject = Subject(layer, "mutant", run_module(ast.parse(source)))
    return [check(subject, 0) for check in CHECKS[:3]]


@pytest.mark.parametrize(("name", "template", "line", "slip"), SLIPS)
def test_a_slip_in_a_template_is_caught(
    name: str, template: str, line: str, slip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _, _ = templating._load(template)
    assert line in source
    whole = templating.environment()
    changed = jinja2.ChoiceLoader([jinja2.DictLoader({template: source.replace(line, slip)}), whole.loader])
    mutant = whole.overlay(loader=changed, cache_size=0)
    monkeypatch.setattr(templating, "environment", lambda: mutant)

    with pytest.raises((CheckFailed, SymbackpropError)):
        checked(name)


@pytest.mark.parametrize("name", sorted({slip[0] for slip in SLIPS}))
def test_without_the_slip_the_same_checks_pass(name: str) -> None:
    assert all(outcome.points > 0 for outcome in checked(name))
