"""The pages of derivations: what they must say, in order, and that TeX sets them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.dom.minidom
from functools import cache
from pathlib import Path

import pytest

from symbackprop import equations
from symbackprop.calculus.derivation import Derivation
from symbackprop.calculus.derive import derive
from symbackprop.emit import html, latex, text
from symbackprop.emit.latex_layout import lines
from symbackprop.emit.latex_names import Spelling
from symbackprop.emit.latex_tree import parse, width
from symbackprop.errors import UserError
from symbackprop.notation.nodes import Index, Read, Reduce, Size, add
from symbackprop.notation.reader import read

PAGES = ("conv2d", "batchnorm2d", "maxpool2d", "softmax_cross_entropy", "conv2d_reflect", "gelu")


@cache
def derived(name: str) -> Derivation:
    return derive(equations.load(name))


def formulas(page: str) -> list[str]:
    """Every formula of a LaTeX page, one line of an alignment at a time."""
    blocks = re.findall(r"\\begin\{align\*\}(.*?)\\end\{align\*\}", page, re.DOTALL)
    blocks += re.findall(r"\\boxed\{\\;\\begin\{aligned\}(.*?)\\end\{aligned\}", page, re.DOTALL)
    prose = [line for block in blocks for line in re.findall(r"\\intertext\{(.*)\}", block)]
    rows = [row for block in blocks for row in re.sub(r"\\intertext\{.*\}", "", block).split(" \\\\\n")]
    inline = [f for line in (*prose, re.sub(r"(?s)\\begin\{align.*?\\end\{align\*\}", "", page))
              for f in re.findall(r"\$(.+?)\$", line)]  # fmt: skip
    return [side.strip() for row in rows for side in row.split("&", 1)] + inline


def position(page: str, *wanted: str) -> list[int]:
    found = [page.find(w) for w in wanted]
    assert -1 not in found, wanted[found.index(-1)]
    return found


@pytest.mark.parametrize("name", PAGES)
def test_every_printed_formula_is_whole_and_uses_known_commands(name: str) -> None:
    printed = formulas(latex.derivation(derived(name)))

    assert printed
    for formula in printed:
        parse(formula)


@pytest.mark.parametrize("name", PAGES)
def test_no_line_is_wider_than_the_page(name: str) -> None:
    wide = [f for f in formulas(latex.derivation(derived(name))) if width(f) > Spelling().page + 4]

    assert wide == []


def test_batch_norm_is_told_in_stages_that_end_in_the_closed_form() -> None:
    page = latex.derivation(derived("batchnorm2d"), wrt=("x",))
    stages = position(page, r"Gradient of $\hat{x}$", r"Gradient of $\mathrm{var}$", r"Gradient of $\mu$",
                      "Gradient of $x$", "Closed form of the gradient of $x$", r"\boxed")  # fmt: skip

    assert stages == sorted(stages)


def test_the_result_of_batch_norm_is_the_closed_form_of_the_textbooks() -> None:
    page = latex.derivation(derived("batchnorm2d"), wrt=("x",), spelling=Spelling(compact=True, page=200))
    boxed = page[page.index(r"\boxed") :].split("\n")[1]

    assert boxed == (
        r"\frac{\partial L}{\partial x_{n,c,h,w}} &= "
        r"\frac{\gamma_{c}}{N H W \, \sqrt{\mathrm{var}_{c} + \varepsilon}} \, "
        r"\left( N H W \, \frac{\partial L}{\partial y_{n,c,h,w}} "
        r"- \sum_{n',h',w'} \frac{\partial L}{\partial y_{n',c,h',w'}} "
        r"- \hat{x}_{n,c,h,w} \, \sum_{n',h',w'} \frac{\partial L}{\partial y_{n',c,h',w'}} \, \hat{x}_{n',c,h',w'} "
        r"\right)"
    )


def test_only_the_stages_that_an_input_needs_are_told() -> None:
    page = latex.derivation(derived("batchnorm2d"), wrt=("beta",))

    assert re.findall(r"\\subsection\*\{(.*)\}", page) == [r"Gradient of $\beta$", "What this rests on"]


def test_the_guards_of_convolution_name_the_output_position_by_its_own_letter() -> None:
    page = text.derivation(derived("conv2d"), wrt=("x",))

    assert "where p = (h + pad - dilation*r)/stride, q = (w + pad - dilation*s)/stride" in page


def test_a_name_that_was_not_derived_is_refused() -> None:
    with pytest.raises(UserError, match="no gradient of z here; there are those of x, gamma, beta"):
        latex.derivation(derived("batchnorm2d"), wrt=("z",))


def test_what_the_caller_knows_stands_at_the_end_before_what_is_assumed() -> None:
    page = text.derivation(derived("maxpool2d"), evidence=("Every step was checked.",))
    ends = position(page, "What this rests on", "- Every step was checked.", "- Assumed: max over indices")

    assert ends == sorted(ends)


def test_both_forms_of_a_gradient_can_be_told() -> None:
    page = text.derivation(derived("conv2d"), wrt=("x",), form="scatter")

    assert "stride*p + dilation*r - pad" in page[page.index(" += ") - 80 : page.index(" += ")]


def test_an_output_that_others_read_has_a_stage_and_a_total_derivative() -> None:
    derivation = derive(read("layer two\ninput x[N]\n\ns[n] = x[n]^2\nloss = sum[n](s[n])\noutput s, loss\n"))

    assert "Gradient of s\n" in text.derivation(derivation, wrt=("x",))
    assert r"\frac{\mathrm{d} L}{\mathrm{d} s_{n}} &=" in latex.derivation(derivation, wrt=("x",))


def test_a_long_sum_is_broken_before_its_signs() -> None:
    n = Index("n", Size("N"))
    long = add(*(Reduce("sum", (n,), Read(name, (n,))) for name in "abcdefghijklm"))
    made = lines(long, Spelling(page=40))

    assert len(made) > 1
    assert all(line.startswith("+ ") for line in made[1:])
    assert " ".join(made) == latex.latex(long)


def test_a_layer_is_shown_with_its_shapes() -> None:
    shown = text.layer(equations.load("batchnorm1d"))

    assert position(shown, "inputs      x[N, D], gamma[D], beta[D]", "defined     mu[D], var[D], xhat[N, D], y[N, D]")


@pytest.mark.parametrize("name", PAGES)
def test_an_html_page_is_well_formed_and_needs_nothing_from_elsewhere(name: str) -> None:
    page = html.derivation(derived(name))

    assert "http" not in page
    assert "<script" not in page
    for formula in re.findall(r"<math.*?</math>", page):
        xml.dom.minidom.parseString(formula.replace("&#160;", " "))


def test_a_notebook_finds_both_displays_of_a_layer_and_of_a_derivation() -> None:
    derivation = derived("batchnorm1d")

    for value in (derivation, derivation.layer):
        assert "<math" in value._repr_html_()
        assert value._repr_latex_().count("$$") % 2 == 0


def test_reading_a_layer_does_not_load_the_views() -> None:
    code = "import sys, symbackprop.notation.layer; print(any(m.startswith('symbackprop.emit') for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("form", ["gather", "scatter"])
def test_the_standalone_document_is_set_by_tex_without_wide_lines(form: str, tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed; the formulas are parsed all the same")
    (tmp_path / "page.tex").write_text(latex.derivation(derived("batchnorm2d"), standalone=True, form=form))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def test_the_page_is_the_same_under_any_hash_seed() -> None:
    code = (
        "from symbackprop import equations; from symbackprop.calculus.derive import derive;"
        "from symbackprop.emit import latex, text; d = derive(equations.load('maxpool2d'));"
        "print(latex.derivation(d), text.derivation(d, form='scatter'))"
    )
    pages = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }

    assert len(pages) == 1
