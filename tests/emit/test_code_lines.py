"""Long lines of generated code: broken where Python lets them, with the same meaning."""

from __future__ import annotations

import ast

import pytest

from symbackprop.emit.code_lines import WIDTH, broken

LONG = [
    "total = " + " + ".join(f"first_{i}*second_{i}" for i in range(12)),
    "total = call(" + ", ".join(f"argument_{i}[:, None]" for i in range(12)) + ").reshape(1, 2)",
    "    place[a, b] += (" + "*".join(f"factor_{i}**2//divisor_{i}" for i in range(12)) + ")",
    "total = f(" + " - ".join(f"g({i}, x_{i})" for i in range(20)) + ")",
    "head = np.where(" + " & ".join(f"(a_{i} >= {i})" for i in range(12)) + ", long_name_of_a_branch, 0)",
]


@pytest.mark.parametrize("line", LONG)
def test_a_broken_line_means_what_the_long_one_meant(line: str) -> None:
    pieces = broken([line])

    assert ast.dump(ast.parse("\n".join(p[4:] if line.startswith("    ") else p for p in pieces))) == ast.dump(
        ast.parse(line.strip())
    )
    assert max(map(len, pieces)) <= WIDTH + 2
    assert len(pieces) > 1


def test_a_line_that_fits_is_left_alone() -> None:
    assert broken(["y = x @ weight.T"]) == ["y = x @ weight.T"]
