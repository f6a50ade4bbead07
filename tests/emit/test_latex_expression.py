"""Expressions in LaTeX: one claim a test, and the LaTeX reader that refuses what is not ours."""

from __future__ import annotations

import pytest

from symbackprop.emit.latex_expression import latex
from symbackprop.emit.latex_names import Spelling, for_layer
from symbackprop.emit.latex_tree import parse, width
from symbackprop.errors import InternalError
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Call,
    Compare,
    Delta,
    Expr,
    FloorDiv,
    Index,
    Mod,
    Parameter,
    Partial,
    Read,
    Reduce,
    Size,
    Where,
    add,
    both,
    divide,
    modulo,
    mul,
    negative,
    number,
    power,
    subtract,
)
from symbackprop.notation.reader import read

N, P = Size("N"), Size("P")
n, c = Index("n", N), Index("c", Size("C"))
h, r = Index("h", Size("H")), Index("r", Size("R"))
stride = Parameter("stride", integer=True)
x, mu, var = Read("x", (n, c)), Read("mu", (c,)), Read("var", (c,))
eps = Parameter("eps")


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("x", "x"),
        ("xhat", r"\hat{x}"),
        ("mu", r"\mu"),
        ("epsilon", r"\varepsilon"),
        ("muhat", r"\hat{\mu}"),
        ("inv_std", r"\mathrm{inv\_std}"),
        ("that", r"\hat{t}"),
        ("hat", r"\mathrm{hat}"),
    ],
)
def test_a_name_is_spelled_by_its_letters(name: str, spelled: str) -> None:
    assert Spelling().symbol(name) == spelled


def test_two_names_of_a_layer_never_look_the_same() -> None:
    layer = read("layer two\ninput x[L]\nparam eps = 1\nparam epsilon = 2\n\ny[l] = x[l]*eps + epsilon\noutput y\n")
    spelling = for_layer(layer)

    assert [spelling.symbol("eps"), spelling.symbol("epsilon"), spelling.loss] == [
        r"\varepsilon",
        r"\mathrm{epsilon}",
        r"\mathcal{L}",
    ]


def test_a_fresh_index_has_a_prime() -> None:
    assert latex(Read("x", (Index("n", N, 1), Index("c", N, 2)))) == "x_{n',c''}"


def test_a_gradient_is_a_quotient_of_partials() -> None:
    assert latex(Read("grad_xhat", (n, c))) == r"\frac{\partial L}{\partial \hat{x}_{n,c}}"


def test_a_sum_has_its_limits() -> None:
    assert latex(Reduce("sum", (n,), x)) == r"\sum_{n=0}^{N-1} x_{n,c}"


def test_a_compact_sum_has_none() -> None:
    assert latex(Reduce("sum", (n, c), x), Spelling(compact=True)) == r"\sum_{n,c} x_{n,c}"


def test_a_mean_divides_by_the_number_of_its_terms() -> None:
    assert latex(Reduce("mean", (n, c), x)) == r"\frac{1}{N C} \, \sum_{n=0}^{N-1} \sum_{c=0}^{C-1} x_{n,c}"


def test_the_body_of_a_sum_is_bracketed_only_where_it_is_a_sum() -> None:
    assert latex(Reduce("sum", (n,), subtract(x, mu))) == r"\sum_{n=0}^{N-1} (x_{n,c} - \mu_{c})"


def test_a_sum_stands_last_among_its_factors_and_alone_without_brackets() -> None:
    total = Reduce("sum", (n,), x)

    assert latex(mul(total, mu)) == r"\mu_{c} \, \sum_{n=0}^{N-1} x_{n,c}"


def test_an_earlier_of_two_sums_is_bracketed() -> None:
    total = Reduce("sum", (n,), x)

    assert latex(mul(total, total)).startswith(r"\left( \sum_{n=0}^{N-1} x_{n,c} \right)")


def test_an_inverse_root_stands_below_the_line() -> None:
    normalised = mul(subtract(x, mu), power(add(var, eps), number("-0.5")))

    assert latex(normalised) == r"\frac{x_{n,c} - \mu_{c}}{\sqrt{\mathrm{var}_{c} + \varepsilon}}"


def test_a_power_of_minus_three_halves_alone_keeps_its_exponent() -> None:
    assert latex(power(var, number("-1.5"))) == r"\mathrm{var}_{c}^{-3/2}"


def test_numbers_sizes_and_hyperparameters_come_first() -> None:
    assert latex(mul(x, eps, N, number(2))) == r"2 N \varepsilon x_{n,c}"


def test_a_gradient_keeps_its_place_before_a_weight() -> None:
    product = mul(Read("grad_y", (n,)), Read("w", (c,)))

    assert latex(product) == r"\frac{\partial L}{\partial y_{n}} \, w_{c}"


def test_a_minus_stands_before_its_term_even_out_of_a_sum() -> None:
    assert latex(Reduce("sum", (n,), negative(x))) == r"-\sum_{n=0}^{N-1} x_{n,c}"


def test_a_positive_term_goes_before_a_leading_minus() -> None:
    assert latex(add(negative(mu), x)) == r"x_{n,c} - \mu_{c}"


def test_a_product_of_negated_sums_keeps_brackets() -> None:
    assert latex(subtract(x, subtract(mu, var))) == r"x_{n,c} - (\mu_{c} - \mathrm{var}_{c})"


def test_a_guard_stands_under_its_sum_and_bounds_are_a_chain() -> None:
    e = subtract(h, r)
    guard = both(Compare("<=", ZERO, e), Compare("<", e, P))
    guarded = Reduce("sum", (r,), Where(guard, Read("grad_y", (e,)), ZERO))

    assert latex(guarded) == (r"\sum_{\substack{r=0 \\ 0 \le h - r < P}}^{R-1} \frac{\partial L}{\partial y_{h - r}}")


def test_a_divisibility_is_a_bar_and_makes_the_quotient_a_fraction() -> None:
    e = subtract(h, r)
    guarded = Where(Compare("==", modulo(e, stride), ZERO), Read("y", (FloorDiv(e, stride),)), ZERO)

    assert latex(guarded) == r"\left[ \mathrm{stride} \mid h - r \right] y_{(h - r)/\mathrm{stride}}"


def test_without_its_guard_the_quotient_is_a_floor() -> None:
    assert latex(Read("y", (FloorDiv(h, stride),))) == r"y_{\lfloor h/\mathrm{stride} \rfloor}"


def test_a_letter_that_must_be_whole_is_a_member_of_the_integers() -> None:
    condition = both(Compare("==", Mod(h, ONE), ZERO), Compare("==", Mod(r, ONE), ZERO))

    assert latex(condition) == r"h, r \in \mathbb{Z}"


def test_a_choice_is_set_as_cases() -> None:
    chosen = Where(Compare(">", x, ZERO), x, mu)

    assert latex(chosen) == r"\begin{cases} x_{n,c} & \text{if } x_{n,c} > 0 \\ \mu_{c} & \text{otherwise} \end{cases}"


def test_partials_and_deltas_look_like_themselves() -> None:
    chained = mul(Partial(Read("y", (n,)), Read("x", (c,))), Delta(n, c))

    assert latex(chained) == r"\frac{\partial y_{n}}{\partial x_{c}} \, \delta_{n,c}"


def test_brackets_grow_with_what_stands_in_them() -> None:
    assert latex(Call("exp", (divide(x, mu),))) == r"\exp\left( \frac{x_{n,c}}{\mu_{c}} \right)"


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        ("1e-5", "10^{-5}"),
        ("0.5", r"\frac{1}{2}"),
        ("0.044715", "0.044715"),
        ("-3", "-3"),
        ("2.5e-7", r"2.5 \cdot 10^{-7}"),
    ],
)
def test_a_number_is_spelled_as_it_is_read_best(value: str, spelled: str) -> None:
    assert latex(number(value)) == spelled


@pytest.mark.parametrize(
    "wrong", [r"\frac{a}{b", r"\left( a", "a}", r"\unknown{x}", r"\begin{cases} a & b", r"a_{b}_", r"\left a \right)"]
)
def test_latex_that_is_not_right_is_refused(wrong: str) -> None:
    with pytest.raises(InternalError, match="LaTeX that cannot be right"):
        parse(wrong)


def test_a_fraction_is_as_wide_as_its_wider_part() -> None:
    wide: Expr = divide(x, mul(mu, var, x))

    assert width(latex(wide)) < width(latex(x)) + width(latex(mul(mu, var, x)))
