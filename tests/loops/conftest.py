"""A layer's text as a kernel, and as a module whose kernels run as plain Python: the same loops, not compiled."""

import sys
from pathlib import Path
from types import ModuleType

import numba
import pytest

from symbackprop.calculus.derive import derive
from symbackprop.check.subjects import Subject
from symbackprop.emit.numba_module import numba_module
from symbackprop.loops.kernel import Kernel
from symbackprop.loops.lower import lower
from symbackprop.notation.layer import Layer
from symbackprop.notation.reader import read
from symbackprop.program.plan import plan

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the strategies that all rooms share


class Loops:
    """What the tests ask of a layer's loops."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def kernel(self, layer: Layer | str) -> Kernel:
        """The kernel of a layer or of its text."""
        found = read(layer) if isinstance(layer, str) else layer
        return lower(plan(derive(found), scatter_strided=False, inline=True))

    def subject(self, layer: Layer | str) -> Subject:
        """The generated module, not compiled."""
        found = read(layer) if isinstance(layer, str) else layer
        self._patch.setattr(numba.config, "DISABLE_JIT", True)
        module = ModuleType(f"uncompiled_{found.name}")
        self._patch.setitem(sys.modules, module.__name__, module)
        exec(compile(numba_module(self.kernel(found)), f"{found.name}.py", "exec"), module.__dict__)
        return Subject(found, "numba", module)


@pytest.fixture
def loops(monkeypatch: pytest.MonkeyPatch) -> Loops:
    """Layers as loops."""
    return Loops(monkeypatch)
