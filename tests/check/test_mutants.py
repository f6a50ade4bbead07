"""Generated kernels with one slip each: every sign that is flipped in an equation of theirs is caught."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from symbackprop import build
from symbackprop.check import modules as checks_of
from symbackprop.check.calls import blocks_agree
from symbackprop.check.report import Outcome
from symbackprop.check.subjects import Subject
from symbackprop.errors import CheckFailed
from symbackprop.notation.layer import Layer

CHECKS: tuple[Callable[[Subject, int], Outcome], ...] = (
    checks_of.values_agree,
    checks_of.gradients_agree,
    checks_of.differences_agree,
    blocks_agree,
)


def tensors(layer: Layer) -> set[str]:
    """The names that equations of the layer and of its gradients assign to."""
    named = {t.name for t in layer.inputs} | {d.name for d in layer.definitions}
    return named | {f"grad_{name}" for name in named}


def target_of(statement: ast.stmt) -> str:
    """The name that a statement assigns to, or nothing."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
    while isinstance(target, ast.Subscript):
        target = target.value
    return target.id if isinstance(target, ast.Name) else ""


def flips(tree: ast.Module, layer: Layer) -> Iterator[tuple[ast.AST, ast.operator]]:
    """Each sum and difference in an equation, also where it says what to read, with the other operator."""
    for statement in ast.walk(tree):
        sums = isinstance(statement, ast.AugAssign)  # whatever is added up, in parts or in whole
        parts = {f"{name}_split" for name in tensors(layer)}
        if sums or (isinstance(statement, ast.Assign) and target_of(statement) in {*tensors(layer), *parts}):
            for node in ast.walk(statement):
                operator = getattr(node, "op", None)
                if isinstance(operator, ast.Add | ast.Sub):
                    yield node, ast.Sub() if isinstance(operator, ast.Add) else ast.Add()


def run_module(tree: ast.Module) -> ModuleType:
    """The syntax tree as a module."""
    module = ModuleType("mutant")
    sys.modules["mutant"] = module
    exec(compile(tree, "mutant.py", "exec"), module.__dict__)
    return module


def caught(subject: Subject) -> bool:
    """Whether one of the checks says no."""
    try:
        for check in CHECKS:
            check(subject, 0)
    except CheckFailed:
        return True
    return False


@pytest.mark.parametrize("name", ["conv2d", "batchnorm2d", "batchnorm1d"])
def test_every_flipped_sign_in_a_kernel_is_caught(name: str) -> None:
    layer = build.load(name)
    tree = ast.parse(build.module(build.derive(layer), "numpy"))
    tried, survivors = 0, []
    for node, other in flips(tree, layer):
        before = node.op  # type: ignore[attr-defined]
        node.op = other  # type: ignore[attr-defined]
        tried += 1
        if not caught(Subject(layer, "mutant", run_module(tree))):
            survivors.append(ast.unparse(node))
        node.op = before  # type: ignore[attr-defined]

    assert tried > 3
    assert survivors == []


@pytest.mark.parametrize("name", ["conv2d", "batchnorm2d"])
def test_the_kernel_itself_passes(name: str) -> None:
    layer = build.load(name)
    subject = Subject(layer, "numpy", run_module(ast.parse(build.module(build.derive(layer), "numpy"))))

    assert all(check(subject, 0).points > 0 for check in CHECKS if check is not blocks_agree)
