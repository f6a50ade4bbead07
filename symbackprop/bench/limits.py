"""The machine's limits, measured beside the kernels: multiply-adds from registers, and copying through memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numba import njit, prange, types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

ACCUMULATORS = 12  # enough to hide the latency of two units, few enough for sixteen registers
ROUNDS = 200_000
COPIED = 1 << 25  # float32 numbers: 128 MB, more than any cache keeps

# neither says what types it has
ir: Any = import_module("llvmlite.ir")
cgutils: Any = untyped_cgutils
_lanes: Any = import_module("symbackprop.generated.numba._vectors.lanes")


def _multiply_adds_of(typing: Any, rounds: Any, factor: Any) -> Any:
    """`rounds` times a multiply-add on each of the accumulators, all of them in vector registers."""
    signature = types.float32(types.int64, types.float32)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rounds, factor = arguments
        index, width = ir.IntType(64), max(1, _lanes.BYTES // 4)
        vector = ir.VectorType(ir.FloatType(), width)
        fused = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{width}f32"
        )
        spread = ir.Constant(vector, ir.Undefined)
        for lane in range(width):
            spread = builder.insert_element(spread, factor, ir.IntType(32)(lane))
        start, body, end = builder.block, builder.append_basic_block("rounds"), builder.append_basic_block("end")
        builder.branch(body)
        builder.position_at_end(body)
        done = builder.phi(index)
        sums = [builder.phi(vector) for _ in range(ACCUMULATORS)]
        new = [builder.call(fused, [one, spread, spread]) for one in sums]
        after = builder.add(done, index(1))
        done.add_incoming(index(0), start)
        done.add_incoming(after, body)
        for at, (one, value) in enumerate(zip(sums, new, strict=True)):
            one.add_incoming(ir.Constant(vector, [float(at)] * width), start)
            one.add_incoming(value, body)
        builder.cbranch(builder.icmp_signed("<", after, rounds), body, end)
        builder.position_at_end(end)
        total = new[0]
        for value in new[1:]:
            total = builder.fadd(total, value)
        result = builder.extract_element(total, ir.IntType(32)(0))
        for lane in range(1, width):
            result = builder.fadd(result, builder.extract_element(total, ir.IntType(32)(lane)))
        return result

    return signature, generate


_multiply_adds: Any = intrinsic(_multiply_adds_of)


@njit(parallel=True, nogil=True)
def _on_all(results: Any, rounds: int, factor: Any) -> None:
    for thread in prange(len(results)):
        results[thread] = _multiply_adds(rounds, factor)


@njit(parallel=True, nogil=True)
def _copy(to: Any, source: Any, parts: int) -> None:
    for part in prange(parts):
        start, stop = len(source) * part // parts, len(source) * (part + 1) // parts
        to[start:stop] = source[start:stop]


def multiply_adds(threads: int) -> tuple[Callable[[], object], float]:
    """A call that does nothing but multiply-adds in float32, and how many operations that is (two for each)."""
    results, width = np.zeros(threads, np.float32), max(1, _lanes.BYTES // 4)
    return partial(_on_all, results, ROUNDS, np.float32(0.5)), 2.0 * ROUNDS * ACCUMULATORS * width * threads


def copying(threads: int) -> tuple[Callable[[], object], float]:
    """A call that copies, and how many bytes it moves: each counted once as it is read and once as it is written."""
    source, to = np.ones(COPIED, np.float32), np.zeros(COPIED, np.float32)
    return partial(_copy, to, source, 4 * threads), 2.0 * source.nbytes


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
