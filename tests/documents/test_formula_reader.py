"""The reader of a document's LaTeX: what people write, and one clear line for what cannot be read."""

from __future__ import annotations

import pytest

from symbackprop.documents.latex.cursor import Vocabulary
from symbackprop.documents.latex.reader import read, read_expression
from symbackprop.documents.latex.tokens import NotRead
from symbackprop.documents.latex.tree import Big, Group, Name, Over, Plus, Slope, Times, latex
from symbackprop.documents.source import in_text, rows
from symbackprop.documents.spoken import written


def again(text: str, vocabulary: Vocabulary | None = None) -> str:
    """The formula read and printed."""
    return latex(read(text, vocabulary)[0])


@pytest.mark.parametrize(
    "text",
    [
        r"x_{i} = \mu_{j}^{2} + \hat{x}_{i,j}",
        r"\sum_{i=1}^{m} (x_{i} - \mu)^{2}",
        r"\frac{\partial L}{\partial \hat{x}_{i}} \cdot \frac{1}{\sqrt{\sigma^{2} + \epsilon}}",
        r"C_{k,i,j}^{l} = \sum_{n=-(N - 1)/2}^{(N - 1)/2} a^{l - 1}(c, i + n) * K_{k}(c, -n) + b_{k}",
        r"-2 (x_{1} - \mu) - 2 (x_{2} - \mu)",
        r"(\sigma^{2} + \epsilon)^{-\frac{3}{2}}",
        r"\lfloor \frac{T - L}{s} \rfloor + 1",
        r"\max_{0 \le u \le f - 1} x_{s i + u}",
        r"\min_{k} \max_{j} x_{k,j}",
        r"\begin{cases} z & z > 0 \\ 0 & \text{otherwise} \end{cases}",
        r"A - (A \odot B) \mathbf{1} \mathbf{1}^{\top}",
        r"u^{*} + 1",
    ],
)
def test_what_is_printed_is_read_back_to_the_same_tree(text: str) -> None:
    first = read(text)

    assert read(latex(first[0])) == first


@pytest.mark.parametrize(
    "text, meant",
    [
        (r"\max_{0 \leq u < f,\; 0 \leq v < g} x_{u,v}", r"\max_{0 \le u \le f - 1} \max_{0 \le v \le g - 1} x_{u,v}"),
        (r"\sum_{1 \le k \le K} x_k", r"\sum_{k=1}^{K} x_{k}"),
        (r"\sum_{ij} x_{ij}", r"\sum_{i} \sum_{j} x_{i j}"),
        (r"\sum_{j<i} x_j", r"\sum_{j} \begin{cases} x_{j} & j < i \\ 0 & \text{otherwise} \end{cases}"),
        (r"\begin{cases} 1, & \text{if $z > 0$,} \\ 0, & \text{else}. \end{cases}", r"\mathbf{1}[z > 0]"),
        (r"\mathbb{1}\{z < 0\} g", r"\mathbf{1}[z < 0] g"),
    ],
)
def test_ways_to_write_the_same(text: str, meant: str) -> None:
    assert again(text) == meant


def test_a_script_may_be_part_of_a_name_and_an_index_may_stand_above() -> None:
    known = Vocabulary(marked=frozenset(("W_{Q}", "W^{(1)}")), above=frozenset("x"), letters=frozenset("Wx"))

    assert read_expression(r"W_{Q,i}", known) == Name("W_{Q}", (Name("i"),))
    assert read_expression(r"W^{[1]T}", known) == Name("W^{(1)}", (), Name("T"))
    assert read_expression(r"x^{(i)}_k", known) == Name("x", (Name("i"), Name("k")))
    assert again(r"W_{Q,i} x^{(i)}_k", known) == r"W_{Q,i} x_{k}^{(i)}"


def test_a_bracket_behind_a_symbol_of_a_derivative_holds_its_indices() -> None:
    assert read_expression(r"\frac{\partial L}{\partial w_k(s (l - 1))}").bottom.args != ()  # type: ignore[attr-defined]
    assert isinstance(read_expression(r"w_k (l - 1)"), Times)


def test_a_label_before_a_formula_of_a_plain_text_is_set_aside() -> None:
    found = in_text("mean:  \\mu = m_1\nf: x \\to y, z_1 = 2\n")

    assert [f.text for f in found] == [r"\mu = m_1", r"x \to y, z_1 = 2"]


def test_a_sum_takes_the_rest_of_its_product_and_no_further_term() -> None:
    tree = read_expression(r"\sum_{i=1}^m a_i b_i + c")

    assert isinstance(tree, Plus)
    assert isinstance(tree.terms[0], Big)
    assert isinstance(tree.terms[0].body, Times)
    assert tree.terms[1] == Name("c")


def test_a_derivative_is_a_derivative_whatever_its_letter() -> None:
    round_one, straight = read_expression(r"\frac{\partial l}{\partial x_i}"), read_expression(r"\frac{dl}{dx_i}")

    assert isinstance(round_one, Slope)
    assert isinstance(straight, Slope)
    assert round_one.bottom == straight.bottom


def test_the_numerator_of_a_derivative_may_be_a_whole_expression() -> None:
    tree = read_expression(r"\frac{d \frac{C_i - \mu}{\sqrt{v}}}{d C_j}")

    assert isinstance(tree, Slope)
    assert isinstance(tree.top, Over)


def test_a_d_before_a_fraction_belongs_to_its_numerator() -> None:
    assert isinstance(read_expression(r"d \frac{A_i}{d C_j}"), Slope)


def test_brackets_with_a_comma_are_arguments_and_others_a_factor() -> None:
    assert read_expression("K(n, m)") == Name("K", args=(Name("n"), Name("m")))
    assert read_expression("m (x - 1)") == Times((Name("m"), read_expression("(x - 1)")))


def test_a_symbol_that_is_known_to_take_arguments_takes_one() -> None:
    known = Vocabulary(heads=frozenset("f"))

    assert read_expression("f(i)", known) == Name("f", args=(Name("i"),))


def test_words_behind_a_formula_are_set_aside_and_kept() -> None:
    chain = read(r"\gamma \cdot \frac{\partial J}{\partial u_i} From (4)")[0]

    assert chain.words == ("From (4)",)
    assert "From" not in latex(chain)


def test_a_condition_in_words_is_no_prose() -> None:
    chain = read(r"\delta_{a,b} = 1 \text{ if } a = b \text{ else } \delta_{a,b} = 0")[0]

    assert latex(chain.when[0]) == "a = b"
    assert latex(chain.otherwise[0]) == r"\delta_{a,b} = 0"


def test_words_of_several_letters_are_taken_apart_only_into_known_names() -> None:
    known = Vocabulary(words=frozenset(["Loss"]), letters=frozenset("Wx"))

    assert read_expression("Wx", known) == Times((Name("W"), Name("x")))
    assert read_expression("Loss", known) == Name("Loss")


def test_boxes_sizes_and_spaces_mean_nothing() -> None:
    assert again(r"\boxed{a_i} + \left( b \, c \right)") == again("a_i + (b c)")
    assert isinstance(read_expression(r"\boxed{a + b}"), Group)


@pytest.mark.parametrize(
    "text, token",
    [
        (r"a + \dots + b", r"\dots"),
        (r"\frac{a}{b", "{"),
        (r"a + \unheardof b", r"\unheardof"),
        ("(a + b", "("),
        ("a + ) b", ")"),
        (r"\sum_{i=1}", ""),
        ("x_i_j", "j"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(text: str, token: str) -> None:
    with pytest.raises(NotRead) as caught:
        read(text)

    assert caught.value.token == token
    assert "at character" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["\\" * 1_000_000, "{" * 5000, "(" * 5000, r"\frac" * 2000, r"\sqrt{" * 3000, "_" * 999]
)
def test_hostile_text_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(NotRead) as caught:
        read(text)

    assert "\n" not in str(caught.value)


def test_formulas_are_found_with_their_lines() -> None:
    text = "one\n$a_i = b_i$ and\n$$\nc_i = d_i\n$$\n\\begin{align}\ne &= f \\\\ &= g\n\\end{align}\n"

    found = [(f.text.split("\n")[0], f.line) for f in in_text(text)]

    assert found == [
        ("a_i = b_i", 2),
        ("c_i = d_i", 4),
        (r"e &= f \\ &= g", 7),
    ]


def test_a_comment_is_no_formula() -> None:
    assert in_text("% $a = b$\n$c = d$\n")[0].text == "c = d"


def test_rows_are_split_outside_braces_only() -> None:
    assert [r.text for r in rows(r"a \\ b{c \\ d} \\ e")] == ["a ", r" b{c \\ d} ", " e"]


def test_a_formula_that_is_read_aloud_is_written_down() -> None:
    said = "Doh L by doh x1 hat will be doh L by doh y1 into doh y1 by doh x1 hat"

    printed = r"\frac{\partial L}{\partial \hat{x}_1} = \frac{\partial L}{\partial y_1} "
    printed += r"\cdot \frac{\partial y_1}{\partial \hat{x}_1}"

    assert again(written(said) or "") == again(printed)


@pytest.mark.parametrize(
    "said",
    [
        "xi minus mu by root sigma square plus epsilon",
        "doh L by doh mu is this gradient here",
        "a convolution is times fun",
    ],
)
def test_words_that_leave_a_formula_open_are_not_guessed(said: str) -> None:
    assert written(said) is None
