"""The proof that an algorithm is the correlation: an identity of polynomials in the elements of g and d, exact."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy as _untyped

from symbackprop.errors import CheckFailed
from symbackprop.filtering.algorithm import Algorithm, Matrix
from symbackprop.filtering.straight import Code

sympy: Any = _untyped


def prove(one: Algorithm) -> str:
    """A^T [(G g) . (B^T d)] - sum[j](d[i + j] g[j]) is the zero polynomial for each i. Gives: what was proved.

    Raises: CheckFailed with the output and what is left of it.
    """
    g, d = _symbols("g", one.r), _symbols("d", one.products)
    products = [a * b for a, b in zip(_times(one.filter, g), _times(one.data, d), strict=True)]
    for i, found in enumerate(_times(one.output, products)):
        left = sympy.expand(found - sum(d[i + j] * g[j] for j in range(one.r)))
        if left != 0:
            raise CheckFailed(f"F({one.m}, {one.r}) is not the correlation: output {i} is off by {left}")
    terms = one.m * one.r
    outputs = f"the {one.m} outputs, expanded as polynomials, are the correlation"
    return f"{outputs}: all but its {terms} terms d[i + j] g[j] cancel"


def prove_code(code: Code, matrix: Matrix) -> str:
    """What straight-line code computes, expanded, is the product with the matrix. Gives: what was proved.

    Raises: CheckFailed with the output and what is left of it.
    """
    inputs = _symbols("x", code.inputs)
    found = code.run(inputs, _number)
    for i, (value, expected) in enumerate(zip(found, _times(matrix, inputs), strict=True)):
        left = sympy.expand(value - expected)
        if left != 0:
            raise CheckFailed(f"the code of a transform is wrong: output {i} is off by {left}")
    return f"the code has the {len(found)} outputs of its matrix"


def _symbols(name: str, count: int) -> list[Any]:
    return list(sympy.symbols(f"{name}0:{count}"))


def _times(matrix: Matrix, values: list[Any]) -> list[Any]:
    return [sum(_number(a) * v for a, v in zip(row, values, strict=True)) for row in matrix]


def _number(value: Fraction) -> Any:
    return sympy.Rational(value.numerator, value.denominator)
