"""The loops of every kind of statement give the values and gradients that the equations have."""

from typing import Any

import pytest
import strategies
from hypothesis import HealthCheck, Phase, assume, given, settings

from symbackprop.check.modules import gradients_agree, values_agree
from symbackprop.errors import CheckFailed, UserError

LAYERS = {
    "a contraction": "layer one\ninput x[N, C], w[K, C], b[K]\ny[n,k] = b[k] + sum[c](x[n,c]*w[k,c])\noutput y\n",
    "three factors": """layer one
input x[N, C], y[N, D], w[K, C, D]
z[n,k] = sum[c,d](x[n,c]*w[k,c,d]*y[n,d])
output z
""",
    "a sliding maximum": """layer one
input x[N, H, W] outside -inf
param kernel = 2 integer, stride = 2 integer, pad = 0 integer
range r = kernel, s = kernel
range p = (H + 2*pad - kernel)//stride + 1, q = (W + 2*pad - kernel)//stride + 1
y[n,p,q] = max[r,s](x[n, stride*p + r - pad, stride*q + s - pad])
output y
""",
    "windows of three axes, the last without taps": """layer one
input x[N, D, H, C] outside 1
param a = 2 integer, b = 3 integer, pad = 1 integer
range r = 2, s = 3
range p = (D + 2*pad - 2)//a + 1, q = (H + 2*pad - 2*2 - 1)//b + 1
y[n,p,q,c] = min[r,s](x[n, a*p + r - pad, b*q + 2*s - pad, c])
z[n,p,q,c] = sum[r,s](x[n, a*p + r - pad, b*q + 2*s - pad, c]^2)/7
output y, z
""",
    "windows whose taps run backwards": """layer one
input x[N, W] outside 0, k[S]
size Q = W + S - 1
range q = Q
y[n,q] = sum[s](x[n, q - s]*k[s])
output y
""",
    "a correlation in groups": """layer one
input x[N, C, W] outside 0, w[K, D, S]
param stride = 1 integer, pad = 0 integer, dilation = 1 integer, groups = 1 integer
size D = C//groups
size M = K//groups
size Q = (W + 2*pad - dilation*(S - 1) - 1)//stride + 1
range c = D, q = Q
require C % groups == 0
require K % groups == 0
y[n,k,q] = sum[c,s](x[n, (k//M)*D + c, stride*q + dilation*s - pad]*w[k,c,s])
output y
""",
    "a strided scatter written as a gather": """layer one
input x[N, C, H] outside 0, w[C, K, R]
param stride = 2 integer, pad = 0 integer
size P = (H - 1)*stride - 2*pad + R
range p = P
y[n,k,p] = sum[c,r](where((p + pad - r) % stride == 0, x[n, c, (p + pad - r)//stride]*w[c,k,r], 0))
output y
""",
    "statistics of each row": """layer one
input x[N, D], g[D]
param eps = 1e-5
mu[n] = mean[d](x[n,d])
var[n] = mean[d]((x[n,d] - mu[n])^2)
y[n,d] = g[d]*(x[n,d] - mu[n])/sqrt(var[n] + eps)
output y
""",
    "column sums beside rows of two axes": """layer one
input x[A, B, D], g[D], b[D]
top[a,c] = mean[d](x[a,c,d])
y[a,c,d] = g[d]*(x[a,c,d] - top[a,c])^2 + b[d]
range c = B
output y
""",
    "statistics of each column": """layer one
input x[N, D], g[D]
param eps = 1e-5
mu[d] = mean[n](x[n,d])
var[d] = mean[n]((x[n,d] - mu[d])^2)
y[n,d] = g[d]*(x[n,d] - mu[d])/sqrt(var[d] + eps)
output y
""",
    "a softmax over the middle axis": """layer one
input z[N, C, H]
top[n,h] = max[c](z[n,c,h])
total[n,h] = sum[c](exp(z[n,c,h] - top[n,h]))
y[n,c,h] = exp(z[n,c,h] - top[n,h])/total[n,h]
output y
""",
    "a softmax whose numbers stay in its result": """layer one
input z[N, C]
top[n] = max[c](z[n,c])
e[n,c] = exp(z[n,c] - top[n])
total[n] = sum[c](e[n,c])
y[n,c] = e[n,c]/total[n]
output y
""",
    "a softmax whose numbers are read once more": """layer one
input z[N, C]
top[n] = max[c](z[n,c])
e[n,c] = exp(z[n,c] - top[n])
total[n] = sum[c](e[n,c])
y[n,c] = e[n,c]/total[n]
power[n] = sum[c](y[n,c]^2)
u[n,c] = e[n,c]*power[n]
output y, u
""",
    "reads through an integer tensor": """layer one
input w[V, D], z[N, K]
integer t[N], u[N]
y[n,d] = w[t[n], d]
loss = mean[n](log(sum[k](exp(z[n,k]))) - z[n, u[n]])
output y, loss
""",
    "products and first extrema": """layer one
input x[N, C, H]
y[n,h] = prod[c](x[n,c,h])
z[n] = min[c,h](x[n,c,h])*prod[c,h](x[n,c,h])
output y, z
""",
    "quotients, remainders and clips": """layer one
input x[N, C, W], k[S]
param f = 2 integer, pad = 1 integer
size D = C//f
size P = f*W
range c = D, p = P
require C % f == 0
y[n,c,p] = x[n, c*f + p % f, p//f] + sum[s](x[n, c, clip(p//f + s - pad, 0, W - 1)]*k[s])
output y
""",
    "conditions on indices and values": """layer one
input x[N, C], a
param slope = 0.01
range j = C
b[n,c] = where(x[n,c] > 0 and c < C - 1, x[n,c], slope*x[n,c])*a
y[n,c] = sum[j](where(j <= c, b[n,j], 0)) + c*sigmoid(x[n,c]) + softplus(x[n,c])*erf(x[n,c]) + abs(b[n,c])
m = mean[n,c](y[n,c]^3)
output m
""",
}


@pytest.mark.parametrize("what", LAYERS)
def test_loops_compute_the_equations_and_their_gradients(what: str, loops: Any) -> None:
    subject = loops.subject(LAYERS[what])

    values_agree(subject, 1, 4)
    gradients_agree(subject, 1, 4)


@given(layer=strategies.layers())
@settings(
    max_examples=12, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
def test_loops_compute_layers_that_nobody_thought_of(layer: Any, loops: Any) -> None:
    try:
        loops.kernel(layer)
    except (RuntimeError, StopIteration, UserError):
        assume(False)  # no derivation: that is for the tests of the calculus to say
    subject = loops.subject(layer)

    try:
        values_agree(subject, 1, 2)
    except CheckFailed as error:
        if "were found" not in str(error):  # no point at which the layer is finite
            raise
