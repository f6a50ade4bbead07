"""Minimal filtering algorithms: each is proved, and a wrong one is not."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from symbackprop import __main__ as program
from symbackprop.errors import CheckFailed, UserError
from symbackprop.filtering.algorithm import Algorithm, Matrix, algorithm, default_points, read_points
from symbackprop.filtering.proof import prove, prove_code
from symbackprop.filtering.straight import straight

SIZES = [(m, r) for m in range(1, 8) for r in range(1, 8) if m + r <= 10]


@pytest.mark.parametrize("m, r", SIZES)
def test_every_algorithm_is_proved_and_so_is_its_code(m: int, r: int) -> None:
    one = algorithm(m, r)
    prove(one)
    for matrix in (one.output, one.filter, one.data):
        prove_code(straight(matrix), matrix)


@pytest.mark.parametrize("points", ["0,1,-1,2,-2,inf", "inf,5,1/3,-7,0,2/9", "1,2,3,4,5,6"])
def test_any_points_do(points: str) -> None:
    prove(algorithm(4, 3, read_points(points)))


def changed(matrix: Matrix, i: int, k: int, by: Fraction) -> Matrix:
    """The matrix with one number off."""
    return tuple(tuple(v + by * ((i, k) == (a, b)) for b, v in enumerate(row)) for a, row in enumerate(matrix))


@pytest.mark.parametrize("name", ["output", "filter", "data"])
def test_one_wrong_number_in_a_matrix_is_caught(name: str) -> None:
    one = algorithm(4, 3)
    matrix = getattr(one, name)
    wrong: Algorithm = replace(one, **{name: changed(matrix, 2, 1, Fraction(1, 10**9))})

    with pytest.raises(CheckFailed, match=r"F\(4, 3\) is not the correlation: output \d is off by"):
        prove(wrong)


def test_a_filter_that_runs_backwards_is_caught() -> None:
    one = algorithm(2, 3)
    backwards = replace(one, filter=tuple(row[::-1] for row in one.filter))

    with pytest.raises(CheckFailed):
        prove(backwards)


def test_wrong_code_is_caught() -> None:
    one = algorithm(4, 3)
    code = straight(one.data)
    steps = (*code.steps[:-1], replace(code.steps[-1], factor=-code.steps[-1].factor))

    with pytest.raises(CheckFailed, match="output 5 is off by"):
        prove_code(replace(code, steps=steps), one.data)


def test_pairs_of_points_share_their_operations() -> None:
    one = algorithm(4, 3)

    # without sharing: 3 terms less one in two rows, 4 less one in four of them
    assert straight(one.data).operations == 12
    assert straight(one.output).operations == 12


def test_the_default_points_of_six_are_two_thirds_and_four_thirds() -> None:
    assert default_points(6) == read_points("0, 2/3, -2/3, 4/3, -4/3, inf")


def test_the_default_points_make_smaller_numbers_than_whole_ones() -> None:
    whole = algorithm(4, 3, read_points("0,1,-1,2,-2,inf"))

    assert algorithm(4, 3).amplification < whole.amplification
    assert algorithm(1, 5).amplification >= 1


@pytest.mark.parametrize(
    "m, r, points, message",
    [
        (0, 3, None, "m, the number of outputs: expected a whole number of at least 1, came 0"),
        (2, -1, None, "r, the number of taps: expected a whole number of at least 1, came -1"),
        (15, 3, None, r"F\(15, 3\) needs m \+ r - 1 = 17 points"),
        (2, 3, "0,1,inf", "expected m \\+ r - 1 = 4 of them"),
        (2, 3, "0,1,1,inf", "expected each once, came 1 twice"),
        (2, 3, "0,1,2/0,inf", "expected numbers like 2/3 and inf"),
    ],
)
def test_nonsense_is_refused(m: int, r: int, points: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        algorithm(m, r, None if points is None else read_points(points))


def test_the_command_prints_algorithm_matrices_counts_and_proof(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run(["derive", "winograd", "--m", "2", "--r", "3"]) == 0
    text = capsys.readouterr().out

    expected = (
        "4 products",
        "Points: 0, 1, -1, inf",
        "B^T (4 x 4)",
        "4 additions",
        "Proved: the 2 outputs, expanded",
    )
    assert [part for part in expected if part not in text] == []


def test_the_page_in_latex_has_balanced_braces_and_every_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run(["derive", "winograd", "--m", "4", "--r", "3", "--format", "latex", "--standalone"]) == 0
    text = capsys.readouterr().out

    assert text.count("{") == text.count("}")
    assert text.count(r"\begin{array}") == 3
    assert text.rstrip().endswith(r"\end{document}")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["winograd"], "--m 4 --r 3"),
        (["winograd", "--m", "4"], "winograd takes both"),
        (["winograd", "--m", "4", "--r", "3", "--wrt", "x"], "are for layers"),
        (["winograd", "--m", "4", "--r", "3", "--format", "html"], "text or latex"),
        (["conv2d", "--m", "4", "--r", "3"], "are for `derive winograd`, came conv2d"),
        (["winograd", "--m", "4", "--r", "x"], "not a valid integer"),
    ],
)
def test_the_command_says_what_it_wants(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run(["derive", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_layer_called_winograd_is_derived_from_its_file(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(str(tmp_path))
    text = "layer winograd\ninput x[N], gamma[N]\n\ny[n] = gamma[n]*x[n]\noutput y\n"
    for name in ("winograd", "winograd.eq"):
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)

        assert program.run(["derive", name]) == 0
        assert "Gradients of winograd" in capsys.readouterr().out


def test_points_are_exact() -> None:
    assert read_points("1/3, inf") == (Fraction(1, 3), None)
