"""The transforms of minimal filtering algorithms as functions of the package: straight-line code on vectors."""

from __future__ import annotations

from fractions import Fraction

from symbackprop.filtering.algorithm import Algorithm, algorithm, point_text
from symbackprop.filtering.proof import prove, prove_code
from symbackprop.filtering.straight import Code, Step, straight

# the numbers of taps, and the outputs of the tiles to choose from; F(1, 1) is an axis without a window
SIZES = ((1, 1), (2, 3), (4, 3), (6, 3), (2, 5), (4, 5), (2, 7), (4, 7))


def filtering_fields() -> dict[str, object]:
    """What the template of correlations reads: the transforms, each once, and how much each amplifies rounding errors.

    Raises: CheckFailed where an algorithm or its code is wrong.
    """
    found = _proved([algorithm(m, r) for m, r in SIZES])
    amplified = [a for _, _, a in _amplified(found)]
    return {
        "transforms": _each(found, ("data", "filter", "output")),
        "algorithms": _amplified(found),
        "least": min(amplified),
        "most": max(amplified),
    }


def taps_fields() -> dict[str, object]:
    """The same for the taps of a correlation: F(r, m) has them as its outputs, on the points of F(m, r).

    Raises: CheckFailed where an algorithm or its code is wrong.
    """
    found = _proved([algorithm(r, m) for m, r in SIZES])
    return {"transforms": _each(found, ("filter", "output")), "algorithms": _amplified(found)}


def _proved(found: list[Algorithm]) -> list[Algorithm]:
    for one in found:
        prove(one)
    return found


def _each(found: list[Algorithm], kinds: tuple[str, ...]) -> list[dict[str, object]]:
    made = {str(transform["name"]): transform for one in found for transform in _transforms(one)}
    return [transform for kind in kinds for transform in made.values() if transform["kind"] == kind]


def _amplified(found: list[Algorithm]) -> list[tuple[int, int, float]]:
    """m, r and the amplification of each that filters."""
    return [(one.m, one.r, float(one.amplification)) for one in found if one.products > 1]


def _transforms(one: Algorithm) -> list[dict[str, object]]:
    n, m, r = one.products, one.m, one.r
    points = ", ".join(point_text(p) for p in one.points)
    matrices = {
        "data": (one.data, f"data_{n}", n, f"B^T x on the points {points}"),
        "filter": (one.filter, f"filter_{m}_{r}", r, f"G x of F({m}, {r})"),
        "output": (one.output, f"output_{m}_{r}", m, f"A^T x of F({m}, {r})"),
    }
    made = []
    for kind, (matrix, name, other, doc) in matrices.items():
        code = straight(matrix)
        prove_code(code, matrix)
        made.append(
            {
                "kind": kind,
                "name": name,
                "n": n,
                "other": other,
                "doc": f"{doc}: {code.operations} operations.",
                "arguments": [f"x{i}" for i in range(code.inputs)],
                "lines": [_line(step) for step in code.steps],
                "results": _results(code),
            }
        )
    return made


def _results(code: Code) -> list[str]:
    return [f"v.mul(0.0, x{0})" if name is None else name for name in code.outputs]


def _line(step: Step) -> str:
    if step.plus is None:
        return f"{step.name} = v.mul({_number(step.factor)}, {step.value})"
    if abs(step.factor) == 1:
        return f"{step.name} = v.{'add' if step.factor == 1 else 'sub'}({step.plus}, {step.value})"
    return f"{step.name} = v.fma({_number(step.factor)}, {step.value}, {step.plus})"


def _number(value: Fraction) -> str:
    return f"{value.numerator}.0" if value.denominator == 1 else f"{value.numerator} / {value.denominator}"
