"""SymPy expressions become the layer that a person would have written, whatever order SymPy keeps them in."""

from __future__ import annotations

import subprocess
import sys

import pytest
import sympy
from sympy import Eq, Idx, IndexedBase, Integer, KroneckerDelta, Max, Piecewise, Product, Sum, Symbol, symbols

from symbackprop import equations
from symbackprop.errors import NotationError
from symbackprop.notation.model import (
    And,
    Ne,
    clip,
    define,
    from_sympy,
    highest,
    indices,
    layer,
    maximum,
    mean,
    parameter,
    relu,
    size,
    sizes,
    tensor,
    total,
    where,
)
from symbackprop.notation.printer import to_text
from symbackprop.notation.reader import read
from symbackprop.notation.sympy_out import arguments, to_sympy

N, C = symbols("N C", integer=True)
n, c = Idx("n", N), Idx("c", C)
x, w = IndexedBase("x", shape=(N, C)), IndexedBase("w", shape=(C,))
y, z = IndexedBase("y"), IndexedBase("z")
eps = Symbol("eps")


def text_of(body: object, *left: object, **more: object) -> str:
    """The definition that from_sympy makes of `y[left] = body`."""
    made = from_sympy("sample", [Eq(y[left or (n,)], body, evaluate=False)], inputs=[x, w], **more)  # type: ignore[arg-type]
    return next(line for line in to_text(made).split("\n") if line.startswith("y"))


WRITTEN = {
    "y[n] = sum[c](x[n,c]*w[c])": Sum(w[c] * x[n, c], (c, 0, C - 1)),
    "y[n] = sum[c](x[n,c]*w[c]) ": Sum(x[n, c] * w[c], c),
    "y[n] = prod[c](x[n,c])": Product(x[n, c], (c, 0, C - 1)),
    "y[n] = x[n,0] - w[0]": -w[0] + x[n, 0],
    "y[n] = x[n,0]/sqrt(1 + w[0]^2)": x[n, 0] / sympy.sqrt(w[0] ** 2 + 1),
    "y[n] = x[n,0]/w[0]^2": x[n, 0] / w[0] ** 2,
    "y[n] = 0.5*x[n,0]*(1 + tanh(x[n,0]))": x[n, 0] * (1 + sympy.tanh(x[n, 0])) / 2,
    "y[n] = exp(x[n,0])*log(w[0])": sympy.log(w[0]) * sympy.exp(x[n, 0]),
    "y[n] = x[n, (n - 1)//2]": x[n, (n - 1) // 2],
    "y[n] = x[n, n % C]": x[n, n % C],
    "y[n] = x[n, C - 1 - n]": x[n, C - 1 - n],
    "y[n] = max(x[n,0], w[0])": Max(w[0], x[n, 0]),
    "y[n] = where(n < 2, x[n,0], w[0])": Piecewise((x[n, 0], n < 2), (w[0], True)),
    "y[n] = x[n,0]*where(n == 1, 1, 0)": x[n, 0] * KroneckerDelta(n, 1),
    "y[n] = pi*x[n,0]": sympy.pi * x[n, 0],
    "y[n] = 0.1*x[n,0]": 0.1 * x[n, 0],
    "y[n] = abs(x[n,0])": sympy.Abs(x[n, 0]),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_plain_sympy_is_written_in_textbook_order(text: str) -> None:
    assert text_of(WRITTEN[text]) == text.strip()


def test_a_sum_that_starts_elsewhere_is_shifted_to_zero() -> None:
    i = Symbol("i", integer=True)
    made = from_sympy("sample", [Eq(y[n], Sum(x[n, i - 1], (i, 1, C)))], inputs=[x])

    assert to_text(made).split("\n")[-3:-1] == ["y[n] = sum[i](x[n,i])", "output y"]


def test_a_whole_layer_of_plain_sympy_equals_the_one_that_is_read() -> None:
    mu, var, xhat = (IndexedBase(name) for name in ("mu", "var", "xhat"))
    gamma, beta = IndexedBase("gamma", shape=(C,)), IndexedBase("beta", shape=(C,))
    made = from_sympy(
        "batchnorm1d",
        [
            Eq(mu[c], Sum(x[n, c], n) / N),
            Eq(var[c], Sum((x[n, c] - mu[c]) ** 2, n) / N),
            Eq(xhat[n, c], (x[n, c] - mu[c]) / sympy.sqrt(var[c] + eps)),
            Eq(y[n, c], gamma[c] * xhat[n, c] + beta[c]),
        ],
        inputs=[x, gamma, beta],
        parameters={eps: 1e-5},
    )

    assert made == read("""layer batchnorm1d
        input x[N, C], gamma[C], beta[C]
        param eps = 1e-5
        mu[c] = sum[n](x[n,c])/N
        var[c] = sum[n]((x[n,c] - mu[c])^2)/N
        xhat[n,c] = (x[n,c] - mu[c])/sqrt(var[c] + eps)
        y[n,c] = gamma[c]*xhat[n,c] + beta[c]
        output y""")


def test_the_helpers_say_what_plain_sympy_cannot() -> None:
    M, T = sizes("M T")
    stride = parameter("stride", default=2, integer=True)
    slope = parameter("slope", default=0.1)
    P = size("P", (M - 1) // stride + 1)
    i, p, k = indices("i p k", [M, P, 3])
    v, t = tensor("v", M, outside=0), tensor("t", T, integer=True)
    a = define("a", [p], highest(v[stride * p + k], over=k) + slope * mean(v[i], over=i))
    b = define("b", [], total(maximum(a[p], relu(v[clip(t[0], 0, M - 1)])), over=p))
    made = layer("sample", inputs=[v, t], definitions=[a, b], outputs=[a, b], require=[And(M > 1, Ne(stride, 0))])

    assert made == read("""layer sample
        input v[M] outside 0
        integer t[T]
        param stride = 2 integer, slope = 0.1
        size P = (M - 1)//stride + 1
        range p = P, k = 3
        require M > 1 and stride != 0
        a[p] = max[k](v[stride*p + k]) + slope*mean[i](v[i])
        b = sum[p](max(a[p], relu(v[clip(t[0], 0, M - 1)])))
        output a, b""")


def test_the_order_of_the_arguments_of_a_maximum_is_kept() -> None:
    assert text_of(maximum(w[0], x[n, 0])) == "y[n] = max(w[0], x[n,0])"


def test_a_condition_of_several_is_written_in_a_fixed_order() -> None:
    assert text_of(where(And(n > 1, c < 2), 1, 0) * x[n, c], n, c) == "y[n,c] = x[n,c]*where(c < 2 and n > 1, 1, 0)"


# gelu is left out: SymPy turns x/sqrt(2) into sqrt(2)*x/2
@pytest.mark.parametrize("name", [name for name in equations.names() if name != "gelu"])
def test_a_layer_goes_to_sympy_and_comes_back(name: str) -> None:
    built = equations.load(name)

    assert from_sympy(**arguments(built)) == built
    assert all(isinstance(equation, Eq) for equation in to_sympy(built))


WRONG = {
    "a decided comparison": (lambda: where(Integer(1) < 2, x[n, 0], 0), "is not a condition that depends on anything"),
    "an unknown function": (lambda: sympy.gamma(x[n, 0]), "gamma of 1 arguments is not a function of the notation"),
    "an integral": (lambda: sympy.Integral(eps, (eps, 0, 1)), "has no counterpart in the notation"),
    "a late index": (lambda: x[n, Idx("j", (1, 3))], "starts at 1"),
    "two lengths": (lambda: Sum(x[n, c], (c, 0, 4)) + w[c], "index c runs over"),
    "itself": (lambda: y[n], "y is used in its own definition"),
    "a free index": (lambda: x[n, c], "neither on the left nor bound by a reduction"),
    "an unknown name": (lambda: x[n, 0] * Symbol("lamda"), "y uses lamda"),
}


@pytest.mark.parametrize("what", WRONG)
def test_an_expression_that_cannot_be_said_is_refused(what: str) -> None:
    make, words = WRONG[what]
    with pytest.raises(NotationError, match=words):
        text_of(make())


def test_an_input_without_a_shape_is_refused() -> None:
    with pytest.raises(NotationError, match="has no shape"):
        from_sympy("sample", [Eq(y[n], z[n])], inputs=[z])


def test_the_notation_is_there_without_sympy() -> None:
    code = (
        "import sys, symbackprop.notation, symbackprop.notation.reader, symbackprop.notation.printer\n"
        "from symbackprop import equations; equations.names()\n"
        "assert 'sympy' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_gives_the_same_text_under_any_hash_seed() -> None:
    code = (
        "from symbackprop import equations; from symbackprop.notation.printer import to_text\n"
        "print([to_text(equations.load(name)) for name in equations.names()])"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
        ).stdout
        for seed in ("1", "77")
    }

    assert len(texts) == 1
