"""A minimal filtering algorithm as a page: how it comes about, its matrices and code, its costs, what was proved."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from symbackprop.emit.templating import render
from symbackprop.filtering.algorithm import INFINITY, Algorithm, Matrix, point_text
from symbackprop.filtering.proof import prove, prove_code
from symbackprop.filtering.straight import Code, straight


@dataclass(frozen=True, slots=True)
class Transform:
    """A matrix of the algorithm on the page: its symbol, what it is applied to, and its code."""

    what: str
    symbol: str
    argument: str
    matrix: Matrix
    code: Code


def transforms(one: Algorithm) -> tuple[Transform, ...]:
    """The transforms of filter, data and outputs."""
    return (
        Transform("the filter", "G", "g", one.filter, straight(one.filter)),
        Transform("the data", "B^T", "d", one.data, straight(one.data)),
        Transform("the outputs", "A^T", "p", one.output, straight(one.output)),
    )


def filtering_text(one: Algorithm) -> str:
    """The page in plain text. Raises: CheckFailed where the algorithm or its code is wrong."""
    found = transforms(one)
    sections = [{"title": _title(t), "rows": _rows(t.matrix), "code": _code(t), "count": _count(t.code)} for t in found]
    return render("filtering.txt.jinja", {**_fields(one), "points": _points(one), "sections": sections})


def filtering_latex(one: Algorithm) -> str:
    """The page in LaTeX. Raises: CheckFailed where the algorithm or its code is wrong."""
    found = transforms(one)
    sections = [
        {"what": t.what, "symbol": t.symbol, "rows": _latex_rows(t.matrix), "count": _count(t.code)} for t in found
    ]
    points = ", ".join(r"\infty" if p is INFINITY else _latex_number(p) for p in one.points)
    return render("filtering.tex.jinja", {**_fields(one), "points": points, "sections": sections})


def _fields(one: Algorithm) -> dict[str, object]:
    """What both pages say; everything on them is proved first."""
    claims = [prove(one)]
    for t in transforms(one):
        prove_code(t.code, t.matrix)
    claims.append("the straight-line code of each transform, expanded, is the product with its matrix")
    n, m, r = one.products, one.m, one.r
    return {
        "m": m,
        "r": r,
        "products": n,
        "direct": m * r,
        "square_products": n * n,
        "square_direct": (m * r) ** 2,
        "saved": f"{m * r / n:.3g}",
        "square_saved": f"{(m * r / n) ** 2:.3g}",
        "amplification": f"{float(one.amplification):.3g}",
        "square_amplification": f"{float(one.amplification) ** 2:.3g}",
        "proofs": claims,
    }


def _points(one: Algorithm) -> str:
    return ", ".join(point_text(p) for p in one.points)


def _title(t: Transform) -> str:
    return f"{t.symbol} ({len(t.matrix)} x {len(t.matrix[0])}), the transform of {t.what}"


def _count(code: Code) -> str:
    parts = (f"{code.multiplications} multiplications", f"{code.additions} additions")
    return f"{' and '.join(parts)}, {code.operations} operations where a multiplication and its addition are one"


def _rows(matrix: Matrix) -> list[str]:
    cells = [[str(value) for value in row] for row in matrix]
    widths = [max(len(row[k]) for row in cells) for k in range(len(matrix[0]))]
    return ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in cells]


def _code(t: Transform) -> list[str]:
    """The steps in the letters of the page; a value that an output is stands under the output's name."""
    named = {f"x{i}": f"{t.argument}{i}" for i in range(t.code.inputs)}
    result = {"G": "u", "B^T": "v", "A^T": "y"}[t.symbol]
    ends: dict[str, str] = {}
    copies = []
    for i, name in enumerate(t.code.outputs):
        if name is None or name in named or name in ends:
            copies.append(f"{result}{i} = {0 if name is None else {**named, **ends}[name]}")
        else:
            ends[name] = f"{result}{i}"
    named |= ends
    lines = [step.renamed({**{s.name: s.name for s in t.code.steps}, **named}).text for step in t.code.steps]
    return [*lines, *copies]


def _latex_rows(matrix: Matrix) -> list[str]:
    return [" & ".join(map(_latex_number, row)) for row in matrix]


def _latex_number(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value)
    return rf"{'-' if value < 0 else ''}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"
