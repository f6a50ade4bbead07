"""Printed text is what a person would write: few parentheses, subtraction and division as such, lines that fit."""

from __future__ import annotations

import pytest

from symbackprop.errors import InternalError
from symbackprop.notation import nodes as n
from symbackprop.notation.layer import Definition, Layer, Tensor
from symbackprop.notation.nodes import Arg, Call, Delta, Expr, Index, Number, Parameter, Partial, Read, Reduce, Size
from symbackprop.notation.printer import WIDTH, expression, to_text
from symbackprop.notation.reader import read

N, I = Index("n", Size("N")), Index("i", Size("I"))
N1 = Index("n", Size("N"), 1)
A, B, C = Read("a", ()), Read("b", ()), Read("c", (N,))
TWO, HALF = n.number(2), n.number("1/2")
K = Parameter("k", True)

PRINTED: dict[str, Expr] = {
    "a + b": n.add(A, B),
    "a - b": n.subtract(A, B),
    "a - (a + b)": n.Add((A, n.Mul((n.MINUS_ONE, n.Add((A, B)))))),
    "-a + b": n.add(n.negative(A), B),
    "a - 2": n.add(A, n.number(-2)),
    "a - 2*b": n.subtract(A, n.mul(TWO, B)),
    "2*(a + b)": n.mul(TWO, n.add(A, B)),
    "a/b": n.divide(A, B),
    "1/a": n.power(A, n.MINUS_ONE),
    "a/(b*c[n])": n.divide(A, n.mul(B, C)),
    "a/b*c[n]": n.mul(n.divide(A, B), C),
    "a/(b + c[n])": n.divide(A, n.add(B, C)),
    "a/b^2": n.divide(A, n.power(B, TWO)),
    "a/sqrt(b)": n.divide(A, n.call("sqrt", B)),
    "sqrt(a)^3": n.Pow(n.power(A, HALF), n.number(3)),
    "a^b^2": n.Pow(A, n.Pow(B, TWO)),
    "(a^b)^2": n.Pow(n.Pow(A, B), TWO),
    "(-a)^2": n.power(n.negative(A), TWO),
    "-a^2": n.negative(n.power(A, TWO)),
    "(-2)^a": n.Pow(n.number(-2), A),
    "0.5*a": n.mul(HALF, A),
    "a/3": n.mul(n.number("1/3"), A),
    "2*a/3": n.mul(n.number("2/3"), A),
    "-2*a/3": n.mul(n.number("-2/3"), A),
    "a + 1/3": n.add(A, n.number("1/3")),
    "a^(1/3)": n.Pow(A, n.number("1/3")),
    "(n//2)*k + i": n.add(n.mul(n.floor_divide(N, TWO), K), I),
    "2*n//k": n.FloorDiv(n.mul(TWO, N), K),
    "-(n//2)": n.negative(n.FloorDiv(N, TWO)),
    "-n//2": n.FloorDiv(n.negative(N), TWO),
    "n % k - 1": n.subtract(n.Mod(N, K), n.ONE),
    "(n + 1)//2 % k": n.Mod(n.FloorDiv(n.add(N, n.ONE), TWO), K),
    "n//(k + 1)": n.FloorDiv(N, n.add(K, n.ONE)),
    "sum[n,i](c[n])": Reduce("sum", (N, I), C),
    "max(a, b)": Call("max", (A, B)),
    "clip(n - 1, 0, N - 1)": n.Clip(n.subtract(N, n.ONE), n.ZERO, n.subtract(Size("N"), n.ONE)),
    "x[n, i + 1]": Read("x", (N, n.add(I, n.ONE))),
    "x[n,0]": Read("x", (N, n.ZERO)),
    "where(a > 0 and not b == 1, a, b)": n.Where(
        n.Logic("and", (n.Compare(">", A, n.ZERO), n.Logic("not", (n.Compare("==", B, n.ONE),)))), A, B
    ),
    "where((a > 0 or b > 0) and n < 1, a, b)": n.Where(
        n.Logic(
            "and",
            (
                n.Logic("or", (n.Compare(">", A, n.ZERO), n.Compare(">", B, n.ZERO))),
                n.Compare("<", N, n.ONE),
            ),
        ),
        A,
        B,
    ),
}


@pytest.mark.parametrize("text", PRINTED)
def test_an_expression_is_printed_as_a_person_would_write_it(text: str) -> None:
    assert expression(PRINTED[text]) == text


# of this the reader asks more: each index of a reduction is used
UNREAD = ("sum[n,i](c[n])",)


@pytest.mark.parametrize("text", [text for text in PRINTED if text not in UNREAD])
def test_a_printed_expression_is_read_back(text: str) -> None:
    definition = Definition("y", (N, I), PRINTED[text])
    head = "layer l\ninput a, b, c[N], x[N, I] outside 0\nparam k = 1 integer\nrange n = N, i = I\n"
    layer = read(f"{head}y[n,i] = {text}\noutput y\n")

    assert layer.definitions == (definition,)


NUMBERS = {
    "1e-5": "1/100000",
    "0.044715": "0.044715",
    "0.01": "1/100",
    "1.5": "3/2",
    "1/3": "1/3",
    "-0.25": "-1/4",
    "100000": "100000",
    "1e20": "1e20",
    "1.5e-10": "1.5e-10",
}


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_is_printed_exactly(text: str) -> None:
    assert expression(n.number(NUMBERS[text])) == text


def test_what_only_derivations_contain_is_printed_too() -> None:
    partial = Partial(n.power(C, TWO), Read("c", (N,)))
    texts = [expression(e) for e in (N1, Delta(N1, n.add(N, n.ONE)), partial, Arg("max", (N,), C), n.Infinity(-1))]

    assert texts == ["n'", "delta(n', n + 1)", "d(c[n]^2)/d(c[n])", "argmax[n](c[n])", "-inf"]


def test_a_layer_with_a_delta_cannot_be_written_in_the_notation() -> None:
    x = Tensor("x", (Size("N"),))
    body = n.mul(Read("x", (N,)), Delta(N, n.ZERO))
    layer = Layer("l", (x,), (), (), (), (), (Definition("y", (N,), body),), ("y",))

    with pytest.raises(InternalError, match="delta"):
        to_text(layer)


def test_long_statements_are_broken_after_an_operator_inside_brackets() -> None:
    terms = " + ".join(f"first[n]*second[n]^{at}" for at in range(2, 40))
    text = f"layer l\ninput first[N], second[N]\ny[n] = {terms}\nz = sum[n](y[n]*({terms}))\noutput y, z\n"
    layer = read(text)
    printed = to_text(layer)

    assert read(printed) == layer
    assert max(map(len, printed.split("\n"))) <= WIDTH


def test_many_inputs_are_listed_on_several_lines() -> None:
    names = [f"tensor_number_{at}" for at in range(30)]
    text = "layer l\n" + "".join(f"input {name}[N]\n" for name in names) + "y[n] = tensor_number_0[n]\noutput y\n"
    printed = to_text(read(text))

    assert read(printed) == read(text)
    assert max(map(len, printed.split("\n"))) <= WIDTH


def test_a_layer_is_printed_like_the_example_of_the_notation() -> None:
    text = """# Batch normalisation with the statistics of the batch (training).
layer batchnorm2d
input x[N, C, H, W], gamma[C], beta[C]
param eps = 1e-5

mu[c]         = mean[n,h,w](x[n,c,h,w])
var[c]        = mean[n,h,w]((x[n,c,h,w] - mu[c])^2)
xhat[n,c,h,w] = (x[n,c,h,w] - mu[c])/sqrt(var[c] + eps)
y[n,c,h,w]    = gamma[c]*xhat[n,c,h,w] + beta[c]
output y
"""

    assert to_text(read(text)) == text


def test_an_unknown_node_is_a_fault_of_ours() -> None:
    class Alien(Expr):
        __slots__ = ()

    with pytest.raises(InternalError, match="Alien"):
        expression(n.add(Alien(), Number(TWO.value)))
