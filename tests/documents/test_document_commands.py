"""The commands on documents: one clear line for what cannot be used, and the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from symbackprop.__main__ import run

HERE = Path(__file__).parent
GOOD = r"$$\mu = \frac{1}{m} \sum_{i=1}^m x_i$$"


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = run([str(a) for a in arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_an_audit_without_a_legend_guesses_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.md").write_text(GOOD)

    status, out, _ = command(capsys, "audit", tmp_path / "notes.md", "--layer", "batchnorm1d")

    assert status == 0
    assert "HOLDS" in out


def test_a_legend_that_was_guessed_can_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.md").write_text(GOOD + "\n" + GOOD.replace("i=1", "i=2"))
    command(capsys, "legend", tmp_path / "notes.md", "--layer", "batchnorm1d", "--out", tmp_path / "l.toml")

    status, out, _ = command(
        capsys, "audit", tmp_path / "notes.md", "--legend", tmp_path / "l.toml", "--format", "json"
    )

    assert status == 1
    assert [f["verdict"] for f in json.loads(out)["findings"]] == ["holds", "fails"]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"no formula at all", "there is no formula in it"),
        (b"\x89PNG\r\n\x1a\n\0\0\xff", "an image or another binary file"),
        (b"$$\\frac{a}{b$$", "is not closed"),
    ],
)
def test_what_is_no_document_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    (tmp_path / "notes.md").write_bytes(content)

    status, out, err = command(capsys, "audit", tmp_path / "notes.md", "--layer", "batchnorm1d")

    assert status == 2
    assert message in out + err


def test_a_broken_legend_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.md").write_text(GOOD)
    (tmp_path / "l.toml").write_text('layer = "batchnorm1d"\n[names]\n"x_i" = "nothing[i, d]"\n')

    status, _, err = command(capsys, "audit", tmp_path / "notes.md", "--legend", tmp_path / "l.toml")

    assert status == 2
    assert "no tensor nothing" in err


def test_neither_legend_nor_layer_is_a_question_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.md").write_text(GOOD)

    status, _, err = command(capsys, "audit", tmp_path / "notes.md")

    assert status == 2
    assert "--layer LAYER, or --legend TOML" in err


def test_the_equations_of_a_document_are_written_as_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.md").write_text(GOOD)
    (tmp_path / "l.toml").write_text(
        'header = "layer middle\\ninput x[N, D]"\n[names]\n"x_i" = "x[i-1, d]"\n"\\\\mu" = "mu[d]"\nm = "N"\n'
    )

    status, out, _ = command(capsys, "read", tmp_path / "notes.md", "--legend", tmp_path / "l.toml")

    assert status == 0
    assert "mu[d] = 1/N*sum[i](x[i,d])" in out


def test_a_derivation_is_printed_in_the_letters_and_counting_of_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    legend = HERE / "vijay.legend.toml"

    status, out, err = command(capsys, "derive", "batchnorm1d", "--wrt", "x", "--format", "latex", "--legend", legend)

    assert (status, err) == (0, "")
    assert r"\mu_{d} &= \frac{1}{m} \, \sum_{i=1}^{m} x_{i,d}" in out
    assert r"\frac{\partial J}{\partial \hat{x}_{i,d}} &= \sum_{i'=1}^{m}" in out
    assert r"{\sigma^{2}}_{d} + \epsilon" in out


def test_a_derivation_as_text_is_in_the_letters_of_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    legend = HERE / "vijay.legend.toml"

    status, out, err = command(capsys, "derive", "batchnorm1d", "--wrt", "x", "--legend", legend)

    assert (status, err) == (0, "")
    assert "inputs      x[m, D], gamma[D], beta[D]" in out
    assert "0 <= d < D, 1 <= i <= m" in out
    assert "u[i,d] = gamma[d]*xhat[i,d] + beta[d]" in out
    assert "Gradient of sigma2" in out


def test_positions_that_count_from_the_middle_are_printed_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A kernel turned by 180 degrees, its taps from -(N-1)/2 to (N-1)/2: K_{-n}."""
    (tmp_path / "turned.eq").write_text("layer turned\ninput x[H] outside 0, w[R]\nrange h = H, r = R\n"
                                        "y[h] = sum[r](x[h + r] * w[R - 1 - r])\noutput y\n")  # fmt: skip
    (tmp_path / "l.toml").write_text(f'layer = "{tmp_path}/turned.eq"\nfirst = {{ n = "-(N-1)/2" }}\nodd = ["N"]\n'
                                     '[names]\n"a_h" = "x"\n"K_n" = "w"\n"y_h" = "y"\nN = "R"\n')  # fmt: skip

    status, out, err = command(
        capsys, "derive", tmp_path / "turned.eq", "--format", "latex", "--legend", tmp_path / "l.toml"
    )

    assert (status, err) == (0, "")
    assert r"\sum_{n=-\frac{1}{2} \, (N-1)}^{\frac{1}{2} \, (N-1)}" in out
    assert "K_{-n}" in out

    _, text, _ = command(capsys, "derive", tmp_path / "turned.eq", "--legend", tmp_path / "l.toml")

    assert "-(N - 1)/2 <= n < (N + 1)/2" in text
    assert "y[h] = sum[n](a[h + n + (N - 1)/2]*K[-n])" in text


def test_positions_that_count_from_different_places_are_moved_each_by_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """y counts from 1 and x from 0: y_i reads x at i-1+j."""
    (tmp_path / "smooth.eq").write_text("layer smooth\ninput x[N], weight[R]\nsize P = N - R + 1\nrange p = P\n"
                                        "y[p] = sum[r](weight[r] * x[p + r])\noutput y\n")  # fmt: skip
    (tmp_path / "l.toml").write_text(f'layer = "{tmp_path}/smooth.eq"\n[names]\n'
                                     '"y_i" = "y[i-1]"\n"x_k" = "x[k]"\n"w_j" = "weight[j]"\n')  # fmt: skip

    status, out, err = command(
        capsys, "derive", tmp_path / "smooth.eq", "--format", "latex", "--legend", tmp_path / "l.toml"
    )

    assert (status, err) == (0, "")
    assert r"y_{i} &= \sum_{j=0}^{R-1} w_{j} x_{i - 1 + j}" in out

    _, text, _ = command(capsys, "derive", tmp_path / "smooth.eq", "--legend", tmp_path / "l.toml")

    assert "y[i] = sum[r](w[r]*x[i - 1 + r])" in text
    assert "1 <= i <= P" in text
