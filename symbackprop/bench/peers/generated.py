"""Our generated modules."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

from symbackprop.bench.tasks import Array, Run, Runs, Task
from symbackprop.emit.spelling import identifier


def runs(task: Task, module: ModuleType) -> Runs:
    """The passes of a task by a generated module."""
    given, params = list(task.inputs.values()), {identifier(k): v for k, v in task.case.params.items()}
    found: dict[str, Run] = {}
    saved = module.forward(*given, **params)[1] if any(one.wrt for one in task.case.passes) else None
    for one in task.case.passes:
        if one.wrt:
            names = tuple(identifier(name) for name in one.wrt)
            found[one.name] = Run(
                partial(module.backward, saved, *task.gradients, wrt=names), partial(_gradients, names=names)
            )
        else:
            found[one.name] = Run(partial(module.forward, *given, **params), _output)
    return found


def _gradients(result: Any, names: tuple[str, ...]) -> tuple[Array, ...]:
    return tuple(getattr(result, name) for name in names)


def _output(result: Any) -> tuple[Array, ...]:
    output, _ = result
    return (output[0] if hasattr(output, "_fields") else output,)
