"""A kernel as a Numba module: compiled loops, and the functions around them that every backend has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from symbackprop.calculus.derivation import gradient_name
from symbackprop.emit.module_parts import (
    forward_result,
    may_keep,
    module_parts,
    numbers_imports,
    want,
    wanted_condition,
)
from symbackprop.emit.numba_contraction import contraction_function
from symbackprop.emit.numba_elementary import FUNCTIONS, elementary, with_those_called
from symbackprop.emit.numba_expressions import HELPERS
from symbackprop.emit.numba_nests import KernelFunction, function_name, kernel_function
from symbackprop.emit.spelling import Names, identifier, integer
from symbackprop.emit.templating import render
from symbackprop.loops.kernel import Allocation, Kernel, Nest, Pass
from symbackprop.loops.streams import PIECE
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import mul, number
from symbackprop.program.extents import all_sizes


def numba_module(kernel: Kernel) -> str:
    """The text of the module: complete in itself, compiled at the first call and cached beside the file.

    Needs: a kernel. Gives: Python that imports numpy, numba (with llvmlite) and `_vectors`, generated beside it.
    """
    layer = kernel.program.layer
    kernel = kernel if may_keep(layer) else replace(kernel, alone=None)
    names = Names(_taken(kernel))
    word = _accuracy(kernel)
    forward = _functions(kernel.forward, names, layer, word)
    backward = _functions(kernel.backward, names, layer, word)
    alone = () if kernel.alone is None else _functions(kernel.alone, names, layer, word)
    dtype = f"{identifier(layer.real_inputs[0].name)}.dtype"
    shared = module_parts(
        kernel.program,
        "numba",
        [
            *_contiguous(_forward_inputs(kernel)),
            *_alone(kernel, alone, dtype),
            *_pass_lines(kernel.forward, forward, layer, dtype),
        ],
        [*_contiguous(_gradients_read(kernel)), *_pass_lines(kernel.backward, backward, layer, "dtype")],
        {},
        accuracy=word is not None,
        always_keeps=kernel.alone is not None,
    )
    made = (*forward, *alone, *backward)
    functions = [text for f in made for text in ((f.faster.text,) if f.faster else ()) + (f.text,)]
    used = tuple(h for h in HELPERS if any(re.search(rf"\b_{h}\(", text) for text in functions))
    called = _row_functions(functions, used)
    own = {
        "imports": _imports(functions, used, called, shared.helpers),
        "functions": functions,
        "scalar_helpers": used,
        "cached": bool(functions),
        "piece": PIECE,
        "row_functions": tuple(elementary(name) for name in called),
    }
    return render("numba_module.py.jinja", {**shared.as_fields(), **own})


_CALLED_BY = {"sigmoid": ("exp",), "softplus": ("exp", "log")}  # what the helpers in the template call
_SUPPORT = (
    "",
    "try:",
    "    from . import _vectors",
    "except ImportError:  # this file belongs to no package",
    "    try:",
    "        import _vectors",
    "    except ImportError:  # and stands alone: plain loops compute everything",
    "        _vectors = None",
)


_CACHING = (
    "from numba.core.caching import CompileResultCacheImpl, FunctionCache",
    "from numba.core.dispatcher import Dispatcher",
    "from numba.core.serialize import dumps",
)


def _row_functions(functions: list[str], scalar_helpers: tuple[str, ...]) -> tuple[str, ...]:
    """The elementary functions that the kernels and the helpers call, and what those call."""
    called = [name for name in FUNCTIONS if any(re.search(rf"\b_{name}\(", text) for text in functions)]
    return with_those_called((*called, *(name for h in scalar_helpers for name in _CALLED_BY.get(h, ()))))


def _imports(
    functions: list[str], scalar_helpers: tuple[str, ...], called: tuple[str, ...], helpers: tuple[str, ...]
) -> tuple[str, ...]:
    """What the module uses, and nothing more."""
    code = "\n".join(functions)
    calls_math = "math." in code or "stream" in scalar_helpers or "log" in called or "tanh" in called or "erf" in called
    vectors = "_vectors." in code or "stage" in scalar_helpers
    streams = "stream" in scalar_helpers
    intrinsics = streams or "rows_ahead" in scalar_helpers
    parallel = "prange(" in code
    threads = "share" in scalar_helpers
    used = [
        *(["config", "get_num_threads"] if threads else []),
        "njit",
        *(["prange"] if parallel else []),
        *(["set_num_threads"] if threads else []),
        *(["types"] if called or intrinsics or parallel else []),
    ]
    extending = [*(["intrinsic"] if intrinsics else []), *(["overload"] if called or streams else [])]
    return (
        *(["import math"] if calls_math else []),
        *(["import pickle"] if code else []),
        *(["from functools import lru_cache"] if "@lru_cache" in code else []),
        *(["from hashlib import sha256"] if code else []),
        *numbers_imports(helpers),
        "from typing import NamedTuple",
        "",
        "import numpy as np",
        *(["from llvmlite import ir"] if intrinsics else []),
        *([f"from numba import {', '.join(used)}"] if "@njit" in code or scalar_helpers else []),
        *(["from numba.core import cgutils"] if intrinsics else []),
        *(_CACHING if code else []),
        *([f"from numba.extending import {', '.join(extending)}"] if extending else []),
        *(["from numba.np.arrayobj import populate_array"] if streams else []),
        *(_SUPPORT if vectors else []),
    )


def _passes(kernel: Kernel) -> tuple[Pass, ...]:
    return tuple(one for one in (kernel.forward, kernel.backward, kernel.alone) if one is not None)


def _taken(kernel: Kernel) -> set[str]:
    """The names in the bodies of `forward` and `backward`, which no kernel may have."""
    layer = kernel.program.layer
    arrays = {a.name for p in _passes(kernel) for n in p.nests for a in n.arrays}
    return arrays | set(_scalars(layer)) | {f"_{name}" for name in (*HELPERS, *FUNCTIONS)}


def _scalars(layer: Layer) -> tuple[str, ...]:
    """The sizes of the axes, the derived sizes and the hyperparameters, as declared."""
    axes = [a.name for t in layer.inputs for a in t.axes]
    return tuple(dict.fromkeys((*axes, *(s.name for s in all_sizes(layer)), *(p.name for p in layer.parameters))))


def _accuracy(kernel: Kernel) -> str | None:
    """The keyword by which a caller asks for products as they stand; None without such sums, or where it is taken."""
    layer = kernel.program.layer
    nests = [nest for one in _passes(kernel) for nest in one.nests]
    taken = {*_taken(kernel), *map(identifier, layer.tensors)}
    if "accuracy" in taken or all(nest.contraction is None for nest in nests):
        return None
    return "accuracy"


def _alone(kernel: Kernel, functions: tuple[KernelFunction, ...], dtype: str) -> list[str]:
    """What a caller gets who keeps nothing, where that is computed in another way."""
    layer = kernel.program.layer
    if kernel.alone is None:
        return []
    lines = [*_pass_lines(kernel.alone, functions, layer, dtype), f"return {forward_result(layer, {})}, None"]
    return ["if not keep:", *(f"    {line}" for line in lines)]


def _functions(one: Pass, names: Names, layer: Layer, accuracy: str | None) -> tuple[KernelFunction, ...]:
    return tuple(_function(nest, names, _scalars(layer), accuracy) for nest in one.nests)


def _function(nest: Nest, names: Names, scalars: tuple[str, ...], accuracy: str | None) -> KernelFunction:
    """The loops of a nest, and the vectors of a contraction."""
    loops = kernel_function(nest, function_name(nest, names), scalars)
    if nest.contraction is None:
        return loops
    name, plan = names.new(f"_contract_{nest.name}"), names.new(f"_plan_{nest.name}")
    return replace(loops, faster=contraction_function(nest.contraction, plan, name, scalars, accuracy))


def _forward_inputs(kernel: Kernel) -> tuple[str, ...]:
    """The inputs that some nest reads: arrays whose elements do not lie in order are copied once, in `forward`."""
    read = {a.name for p in _passes(kernel) for n in p.nests for a in n.arrays if not a.written}
    return tuple(t.name for t in kernel.program.layer.inputs if t.name in read)


def _gradients_read(kernel: Kernel) -> tuple[str, ...]:
    read = {a.name for n in kernel.backward.nests for a in n.arrays if not a.written}
    return tuple(name for y in kernel.program.layer.outputs if (name := gradient_name(y)) in read)


def _contiguous(tensors: Iterable[str]) -> list[str]:
    return [f'{identifier(t)} = np.asarray({identifier(t)}, order="C")' for t in tensors]


def _pass_lines(one: Pass, functions: tuple[KernelFunction, ...], layer: Layer, dtype: str) -> list[str]:
    """Each nest with the arrays that it is the first to write, under the condition that it is wanted."""
    lines: list[str] = []
    made: set[str] = set()
    for nest, function in zip(one.nests, functions, strict=True):
        written = {a.name for a in nest.arrays if a.written}
        new = [a for a in one.allocations if a.name in written and a.name not in made]
        made |= written
        early = [a for a in new if _read_without(a, nest, one.nests)]
        lines += [_allocation(a, dtype, function.streamed) for a in early]
        inner = [_allocation(a, dtype, function.streamed) for a in new if a not in early]
        inner += [*_calls(function), *_dropped(nest, new, layer)]
        condition = wanted_condition(layer, nest.wanted_by) if nest.wanted_by else ""
        lines += [f"if {condition}:", *(f"    {line}" for line in inner)] if condition else inner
    return lines


def _read_without(a: Allocation, nest: Nest, nests: tuple[Nest, ...]) -> bool:
    """Whether a nest that is called also where this one is not has the array among its arguments."""
    others = [n for n in nests if n is not nest and any(b.name == a.name for b in n.arrays)]
    return any(not set(n.wanted_by) <= set(nest.wanted_by) for n in others)


def _allocation(a: Allocation, dtype: str, streamed: tuple[str, ...]) -> str:
    if a.over:
        return f"{identifier(a.name)} = {identifier(a.over)}  # overwritten: nothing reads it after this"
    shape = ", ".join(integer(e) for e in a.axes) + ("," if len(a.axes) == 1 else "")
    # the narrowest signed type of positions: 0 to places - 1 fit where -places does
    kind = dtype if a.places is None else f"np.min_scalar_type({integer(mul(number(-1), a.places))})"
    made = "np.zeros" if a.zero else "_empty" if a.name in streamed else "np.empty"
    return f"{identifier(a.name)} = {made}(({shape}), {kind})"


def _calls(function: KernelFunction) -> list[str]:
    if function.faster is None:
        return _call(function)
    first, *rest = _call(function.faster)
    lines = [f"if not {first}", *rest]
    lines[-1] += ":"
    return [*lines, *(f"    {line}" for line in _call(function))]


def _call(function: KernelFunction) -> list[str]:
    line = f"{function.name}({', '.join(function.arguments)})"
    if len(line) <= 110:
        return [line]
    lines, current = [f"{function.name}("], "   "
    for argument in function.arguments:
        if len(current) + len(argument) > 108:
            lines.append(current)
            current = "   "
        current += f" {argument},"
    return [*lines, current, ")"]


def _dropped(nest: Nest, new: list[Allocation], layer: Layer) -> list[str]:
    """A gradient that the nest has room for but that is not asked for is None."""
    gradients = {gradient_name(t.name): t.name for t in layer.real_inputs}
    lines = []
    for a in new:
        if a.name in gradients and a.wanted_by != nest.wanted_by:
            lines += [f"if not {want(gradients[a.name])}:", f"    {identifier(a.name)} = None"]
    return lines
