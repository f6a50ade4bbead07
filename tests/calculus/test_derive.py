"""Derivations: right by exact evaluation, in the closed form of the textbooks, with every refusal named."""

from __future__ import annotations

import pytest

from symbackprop.calculus.derive import derive
from symbackprop.calculus.match import form
from symbackprop.check.derivation import verify
from symbackprop.equations import load
from symbackprop.errors import UserError
from symbackprop.notation.nodes import Compare, Mod, Read, walk
from symbackprop.notation.printer import expression
from symbackprop.notation.reader import read

LAYERS = {
    "max pooling": """
        layer maxpool
        input x[N, H, W] outside -inf
        param kernel = 2 integer, stride = 2 integer, pad = 0 integer
        range r = kernel, s = kernel
        range p = (H + 2*pad - kernel)//stride + 1, q = (W + 2*pad - kernel)//stride + 1
        y[n,p,q] = max[r,s](x[n, stride*p + r - pad, stride*q + s - pad])
        output y""",
    "cross-entropy": """
        layer cross_entropy
        input z[N, K]
        integer t[N]
        top[n] = max[k](z[n,k])
        lse[n] = top[n] + log(sum[k](exp(z[n,k] - top[n])))
        loss   = mean[n](lse[n] - z[n, t[n]])
        output loss""",
    "attention": """
        layer attention
        input q[L, D], k[M, D], v[M, E]
        s[l,m] = sum[d](q[l,d]*k[m,d])
        a[l,m] = exp(s[l,m])/sum[j](exp(s[l,j]))
        range j = M
        y[l,e] = sum[m](a[l,m]*v[m,e])
        output y""",
    "pixel shuffle": """
        layer shuffle
        input x[N, C, H, W]
        param up = 2 integer
        size D = C//(up*up)
        range c = D, h = H*up, w = W*up
        require C % (up*up) == 0
        y[n,c,h,w] = x[n, c*up*up + (h % up)*up + w % up, h//up, w//up]
        output y""",
    "circular": """
        layer circular
        input x[N], w[R]
        range n = N
        y[n] = sum[r](x[(n + r) % N]*w[r])
        output y""",
    "transposed": """
        layer transposed
        input x[N, H] outside 0, weight[R]
        param stride = 2 integer
        range i = H*stride
        y[n,i] = sum[r](where((i - r) % stride == 0, x[n, (i - r)//stride]*weight[r], 0))
        output y""",
    "a product with zeros, branches, an index table": """
        layer mixed
        input x[N, D], table[V, D], u[N]
        integer t[N]
        e[n,d] = table[t[n], d]*max(x[n,d], 0.5)
        f[n] = prod[d](x[n,d])
        z[n] = where(x[n,0] > 0 and not u[n] < 0.2, tanh(u[n])*f[n], sigmoid(u[n])^2) + erf(u[n])
        o[n] = sum[d](e[n,d]*z[n]) + x[clip(n + 1, 0, N - 1), 0]
        output o, z""",
    "an input that no output uses": "layer a\ninput x[N], unused[M]\ny[i] = 2*x[i]\noutput y",
    "an output that feeds another": "layer a\ninput x[N]\nu[i] = x[i]^2\nv[i] = u[i]*x[i]\noutput u, v",
}


def dedented(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines()) + "\n"


@pytest.mark.parametrize("name", LAYERS)
def test_every_step_and_gradient_holds_exactly(name: str) -> None:
    verify(derive(read(dedented(LAYERS[name]))), seed=11)


@pytest.mark.parametrize("name", ["conv2d", "true_conv2d", "batchnorm1d", "batchnorm2d"])
def test_the_built_in_layers_hold_exactly(name: str) -> None:
    verify(derive(load(name)), seed=5)


def test_batch_norm_comes_out_in_the_closed_form_of_the_textbooks() -> None:
    gather = derive(load("batchnorm1d"), ("x",)).stage("x").gradient.gather

    assert gather is not None
    assert expression(gather.body) == (
        "gamma[d]/(N*sqrt(var[d] + eps))"
        "*(N*grad_y[n,d] - sum[n'](grad_y[n',d]) - xhat[n,d]*sum[n'](grad_y[n',d]*xhat[n',d]))"
    )


def test_the_gradient_of_the_mean_through_the_variance_vanishes_by_a_step_that_says_why() -> None:
    steps = [s for stage in derive(load("batchnorm2d")).staged if stage.gradient.tensor == "mu" for s in stage.steps]

    assert [s.reason for s in steps if s.rule == "vanishing sum"] == [
        "the deviations from a mean sum to zero: mu is the mean"
    ]


def test_a_strided_convolution_gathers_with_a_divisibility_guard() -> None:
    gather = derive(load("conv2d"), ("x",)).stage("x").gradient.gather

    assert gather is not None
    assert any(isinstance(e, Compare) and isinstance(e.left, Mod) for e in walk(gather.body))


def test_reading_through_a_table_stays_a_scatter_and_says_why() -> None:
    layer = read("layer embedding\ninput table[V, D]\ninteger t[N]\ny[n,d] = table[t[n], d]\noutput y\n")
    gradient = derive(layer).stage("table").gradient

    assert gradient.gather is None
    assert gradient.why == "the position is read from an integer tensor"
    assert [expression(p) for p in gradient.scatters[0].positions] == ["t[n]", "d'"]


def test_only_the_stages_that_lead_to_the_chosen_input_are_derived() -> None:
    derivation = derive(load("batchnorm2d"), ("beta",))

    assert [s.gradient.tensor for s in derivation.staged] == ["beta"]


def test_an_unknown_input_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UserError, match=r"no real input 'z'.*x, gamma, beta"):
        derive(load("batchnorm1d"), ("z",))


def test_a_derivation_never_reads_a_gradient_that_comes_later() -> None:
    known = {"grad_y"}
    for gradient in derive(load("batchnorm2d")).backward():
        assert gradient.gather is not None
        reads = {e.tensor for e in walk(gradient.gather.body) if isinstance(e, Read) and e.tensor.startswith("grad_")}

        assert reads <= known
        known.add(gradient.name)


def test_a_closed_form_never_divides_by_a_factor_that_may_be_zero() -> None:
    layer = read("layer scaled\ninput x[N, D], gamma[D]\ny[n,d] = gamma[d]*x[n,d]\nz[n,d] = y[n,d]^2\noutput z\n")
    for stage in derive(layer).closed:
        assert stage.gradient.gather is not None
        assert "/" not in expression(stage.gradient.gather.body)


def test_a_root_that_has_a_name_is_not_taken_again() -> None:
    layer = read("""
        layer standardised
        input x[N, D]
        param eps = 1e-5
        mu[n]  = mean[d](x[n,d])
        std[n] = sqrt(mean[d]((x[n,d] - mu[n])^2) + eps)
        y[n,d] = (x[n,d] - mu[n])/std[n]
        output y
    """)
    gather = derive(layer).closed[-1].gradient.gather
    assert gather is not None

    assert "sqrt" not in expression(gather.body)


def test_no_step_says_what_the_step_before_it_says() -> None:
    layer = read("""
        layer moving_average
        input x[N, T], decay
        range i = T, j = T
        a = sigmoid(decay)
        y[n,i] = (1 - a)*sum[j](where(j <= i, a^(i - j)*x[n,j], 0))
        output y
    """)
    derivation = derive(layer)
    steps = [step for stage in (*derivation.staged, *derivation.closed) for step in stage.steps]

    assert derivation.closed
    assert all(form(step.before) != form(step.after) for step in steps)


def test_softmax_comes_out_in_the_closed_form_of_the_textbooks() -> None:
    gather = derive(load("softmax")).stage("x").gradient.gather

    assert gather is not None
    assert expression(gather.body) == "y[n,k]*(grad_y[n,k] - sum[k'](grad_y[n,k']*y[n,k']))"


@pytest.mark.parametrize(
    "text",
    [
        "layer a\ninput x[N,C,H]\ny = sum[h,n](prod[c](x[n,c,h] + x[n,c,(-h + 1)//2 % H]))\noutput y\n",
        "layer a\ninput weight[C]\nrange r = 2\ny = sum[r](weight[(3*r)//2 % C]^2)\noutput y\n",
    ],
)
def test_a_quotient_of_a_quotient_has_no_range_of_its_own(text: str) -> None:
    derivation = derive(read(text))

    verify(derivation)
    assert derivation.staged[-1].gradient.gather is None
