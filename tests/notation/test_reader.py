"""Each statement, expression and index form of the notation means what it says."""

from __future__ import annotations

from fractions import Fraction

import pytest

from symbackprop.notation import nodes as n
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Call, Clip, Compare, Expr, Index, Infinity, Logic, Number, Parameter, Read, Size
from symbackprop.notation.reader import read

HEAD = """layer a
input x[N, C] outside 0, b
integer t[N]
param eps = 1e-5, k = 2 integer
size P = N//k + 1
range r = 3, p = P
"""
N, C = Index("n", Size("N")), Index("c", Size("C"))
R, P = Index("r", Number(Fraction(3))), Index("p", Size("P"))
K = Parameter("k", True)
X, B = Read("x", (N, C)), Read("b", ())


def layer_of(body: str, left: str = "y[n,c]") -> Layer:
    """A layer with one definition over x[n,c], b and the indices n, c, r, p."""
    return read(f"{HEAD}z[n,c] = x[n,c]\n{left} = {body}\noutput y\n")


def body_of(body: str, left: str = "y[n,c]") -> Expr:
    """The right side as it is read."""
    return layer_of(body, left).definition("y").body


EXPRESSIONS: dict[str, Expr] = {
    "2*x[n,c] + b": n.add(n.mul(n.number(2), X), B),
    "x[n,c] - b": n.subtract(X, B),
    "x[n,c]/b": n.divide(X, B),
    "-x[n,c]^2": n.negative(n.power(X, n.number(2))),
    "b^x[n,c]^2": n.Pow(B, n.Pow(X, n.number(2))),
    "x[n,c]^-1": n.Pow(X, n.MINUS_ONE),
    "pow(x[n,c], b)": n.Pow(X, B),
    "(x[n,c] + b)*2": n.mul(n.number(2), n.add(X, B)),
    "0.1": n.number("1/10"),
    "1e-5": n.number("1/100000"),
    "2.5e3 + .5": n.number("5001/2"),
    "eps": Parameter("eps"),
    "k": K,
    "P": Size("P"),
    "n": N,
    "pi": n.Constant("pi"),
    "max(x[n,c], b)": Call("max", (X, B)),
    "min(x[n,c], b)": Call("min", (X, B)),
    "sqrt(x[n,c])": n.power(X, n.number("1/2")),
    **{f"{f}(x[n,c])": n.call(f, X) for f, count in n.FUNCTIONS.items() if count == 1},
    **{f"{o}[r](x[n,c]*r)": n.Reduce(o, (R,), n.mul(X, R)) for o in n.REDUCTIONS},
    "sum[r,p](r*p)": n.Reduce("sum", (R, P), n.mul(R, P)),
    "sum[r](x[n,r]*max[p](p - r))": n.Reduce(
        "sum", (R,), n.mul(Read("x", (N, R)), n.Reduce("max", (P,), n.subtract(P, R)))
    ),
    **{f"where(b {o} 1, 2, 3)": n.Where(Compare(o, B, n.ONE), n.number(2), n.number(3)) for o in n.COMPARISONS},
    "where(b > 0 and n < c or not b == 1, b, 0)": n.Where(
        Logic(
            "or",
            (
                Logic("and", (Compare(">", B, n.ZERO), Compare("<", N, C))),
                Logic("not", (Compare("==", B, n.ONE),)),
            ),
        ),
        B,
        n.ZERO,
    ),
    "where((b > 0), b, 0)": n.Where(Compare(">", B, n.ZERO), B, n.ZERO),
    "x[0, c + 1]": Read("x", (n.ZERO, n.add(C, n.ONE))),
    "x[k*n - 2, N - 1 - n]": Read(
        "x", (n.subtract(n.mul(K, N), n.number(2)), n.subtract(n.subtract(Size("N"), n.ONE), N))
    ),
    "x[n//2, c % k]": Read("x", (n.FloorDiv(N, n.number(2)), n.Mod(C, K))),
    "x[-n//2, 2*(n//C) % 3]": Read(
        "x",
        (
            n.FloorDiv(n.negative(N), n.number(2)),
            n.Mod(n.mul(n.number(2), n.FloorDiv(N, Size("C"))), n.number(3)),
        ),
    ),
    "x[clip(n - 1, 0, N - 1), c]": Read("x", (Clip(n.subtract(N, n.ONE), n.ZERO, n.subtract(Size("N"), n.ONE)), C)),
    "x[t[n], t[t[0]] + 1]": Read("x", (Read("t", (N,)), n.add(Read("t", (Read("t", (n.ZERO,)),)), n.ONE))),
    "n//2 + n % 2": n.add(n.FloorDiv(N, n.number(2)), n.Mod(N, n.number(2))),
    "(x[n,c]\n  + b)  # on two lines": n.add(X, B),
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_means_what_it_says(text: str) -> None:
    assert body_of(text) == EXPRESSIONS[text]


def test_the_declarations_are_read_with_their_kinds_and_values() -> None:
    layer = layer_of("x[n,c]*b")

    assert [(t.name, t.kind, t.outside) for t in layer.inputs] == [
        ("x", "real", n.ZERO),
        ("b", "real", None),
        ("t", "integer", None),
    ]
    assert [(p.name, p.default, p.integer) for p in layer.parameters] == [
        ("eps", Fraction(1, 100000), False),
        ("k", Fraction(2), True),
    ]
    assert [(s.name, s.value) for s in layer.sizes] == [("P", n.add(n.FloorDiv(Size("N"), K), n.ONE))]
    assert [(r.index, r.extent) for r in layer.ranges] == [("r", n.number(3)), ("p", Size("P"))]


def test_infinity_and_signed_numbers_stand_outside_a_tensor() -> None:
    layer = read("layer a\ninput x[N] outside -inf, w[N] outside inf, v[N] outside -1/2\ny[n] = x[n]\noutput y")

    assert [t.outside for t in layer.inputs] == [Infinity(-1), Infinity(1), n.number("-1/2")]


def test_a_requirement_is_a_condition_of_sizes_and_integer_parameters() -> None:
    layer = read("layer a\ninput x[N]\nparam g = 1 integer\nrequire N % g == 0, g >= 1\ny[n] = x[n]\noutput y")

    g = Parameter("g", True)
    assert [r.condition for r in layer.requirements] == [
        Compare("==", n.Mod(Size("N"), g), n.ZERO),
        Compare(">=", g, n.ONE),
    ]


def test_sizes_are_put_in_an_order_in_which_each_uses_only_earlier_ones() -> None:
    layer = read("layer a\ninput x[N]\nsize A = B + 1\nsize B = N + 1\ny[n] = x[n]\noutput y")

    assert [s.name for s in layer.sizes] == ["B", "A"]


def test_an_index_runs_over_the_axis_at_which_it_stands_alone_anywhere_in_the_layer() -> None:
    layer = read("layer a\ninput x[N] outside 0\nz[i] = x[i+1]\ny[i] = x[i]\noutput y, z")

    assert layer.definition("z").indices == (Index("i", Size("N")),)


def test_an_index_of_a_definition_gives_its_length_to_the_index_that_reads_it() -> None:
    layer = read("layer a\ninput x[N] outside 0\nrange p = N//2\nz[p] = x[2*p]\ny[q] = z[q]\noutput y")

    assert layer.definition("y").indices == (Index("q", n.FloorDiv(Size("N"), n.number(2))),)


def test_a_primed_index_is_a_copy_of_the_index() -> None:
    layer = read("layer a\ninput x[N]\ny[n] = sum[n'](x[n']*x[n])\noutput y")

    copy = Index("n", Size("N"), 1)
    assert layer.definition("y").body == n.Reduce("sum", (copy,), n.mul(Read("x", (copy,)), Read("x", (N,))))


def test_a_guarded_read_may_leave_its_axis() -> None:
    layer = read("layer a\ninput x[N]\ny[n] = where(n > 0, x[n-1], 0) + x[n]\noutput y")

    assert layer.outputs == ("y",)


@pytest.mark.parametrize("text", ["# One.\n# Two.\n\nlayer a", "layer a  # no\n# One.\n# Two.\n"])
def test_the_comment_at_the_top_is_the_description(text: str) -> None:
    layer = read(f"{text}\ninput x[N]\n# not this one\ny[n] = x[n]\noutput y")

    assert layer.doc == "One.\nTwo."


def test_layers_are_equal_whatever_their_comments_and_places() -> None:
    plain = read("layer a\ninput x[N]\ny[n] = x[n]\noutput y")
    other = read("# Other.\n\nlayer a\n\ninput x[N]\n\ny[n] = (x[n]\n)\noutput y\n", "elsewhere.eq")

    assert plain == other


def test_lines_may_end_as_on_any_system() -> None:
    text = "layer a\ninput x[N]\ny[n] = x[n]\noutput y\n"

    assert read(text.replace("\n", "\r\n")) == read(text)
