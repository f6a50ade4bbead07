"""Whole random layers through the whole pipeline, and each layer that was once treated wrongly."""

from __future__ import annotations

import pytest

from symbackprop import build
from symbackprop.calculus.derive import derive
from symbackprop.check.subjects import Subject
from symbackprop.errors import CheckFailed
from symbackprop.notation.layer import Layer
from symbackprop.notation.printer import to_text
from symbackprop.notation.reader import read
from tests import random_layers
from tests.random_layers import complaint_of, examine, module_of
from tests.shrinking import smallest


@pytest.fixture
def _as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels of Numba run as they are written, not compiled."""
    monkeypatch.setattr("numba.config.DISABLE_JIT", True)


@pytest.mark.usefixtures("_as_python")
@pytest.mark.parametrize("seed", range(3))
def test_random_layers_pass_every_check(seed: int) -> None:
    tally = random_layers.run(6, 1000 + seed)

    assert tally.failures == []
    assert tally.passed == 6


def test_compiled_kernels_of_a_random_layer_pass_every_check() -> None:
    tally = random_layers.run(1, 2001)

    assert tally.failures == []


# what a run has found, each reduced to the least that shows it
FOUND = {
    "a condition on indices guards what other conditions read": """
        layer a
        input x[N, C] outside 1.5, weight[N, C, H]
        size P = H//2 + 1
        range p = P
        y[n] = min(mean[c,p](x[n, 3*n + C - 1]*C*weight[clip(p - c, 0, N - 1), c, (2*n + C - 1) % H]),
            x[0, n + n + C - 1]*weight[n, 0, 2*n % H]*x[n, (n + C - 1) % C])
        output y""",
    "a choice by a constant beside an array has all axes of the reduction": """
        layer a
        input x[H, N]
        range q = H
        y[n] = x[0,n]*prod[q](where(1.5 <= 0.001, x[q, 0], -2/7))
        output y""",
    "a function of what is reduced is another one than that of the finished target": """
        layer a
        input x[N, C]
        u = sign(tanh(prod[n](x[n,0])))
        v = x[0,0]*tanh(u)
        output v""",
    "a guard reads a sum that its own nest keeps in a row": """
        layer a
        input x[N, N] outside 0, bias[C, H, N] outside 1.5
        param eps = 0.5, stride = 2 integer, pad = 1 integer
        range r = 2, q = (H - 1)//stride + 1
        require stride >= 1
        y[r,n,q] = max(where((q + stride*q - pad)//2 != 0, softplus(x[2*n + stride*r + 1, 2*r - 1]), 1.5*
            bias[clip((r - 1)//2, 0, C - 1), clip(2*r - 1, 0, H - 1), n]),
            sum[h,c](eps*(h + 1)*bias[c,h,n])/(1 + tanh(erf(C))^2))
        output y""",
    "a root is not taken out of the guards that keep it real": """
        layer a
        input weight, bias[C]
        param eps = 0.5
        y = where(min(bias[0] + weight, eps) > 0.25, min(bias[0] + weight, eps)^1.5*weight, eps)
        output y""",
    "an index that cancels in each position of a mean is no axis of it": """
        layer a
        input x[N, C, H] outside 0
        param stride = 2 integer
        range p = H//2 + 1
        require stride >= 1
        best[h,n] = argmin[c](mean[p](x[n, h + c, 0]*x[0, stride*p % stride, n + 1]))
        u[h,c]    = x[0,c,0]*x[0, best[0,0], h]
        output u""",
    "an index that cancels in each position of a product counts all the same": """
        layer a
        input x[N, H]
        range p = H, r = 2, h = H
        y[h,r] = sum[n,p](x[n, (h + p - p) % H]^3/(1 + tanh(n + r)))
        output y""",
    "the quotient of a sum has not the range of the quotient of one index": """
        layer a
        input weight[C, H, N] outside 0
        range r = 2
        y[r] = weight[5*r % 3 % C, 2*r + C - 1, clip(r + 1, 0, N - 1)]^2
        output y""",
    "a read behind `and` is not done before the condition is known": """
        layer a
        input weight[H, N] outside 1.5
        input spare[C]
        param stride = 2 integer, pad = 1 integer
        range c = C, p = H//2 + 1, q = (H - 1)//stride + 1
        require stride >= 1
        y[n,c] = prod[q](min[h,p](weight[stride*c + pad, n]*weight[h,n]*(p + 1))*(q + 1))
        output y""",
    "a read in the second condition is padded where the first guards it": """
        layer a
        input x[H, N] outside 1.5
        param eps = 0.5, stride = 2 integer, pad = 1 integer
        range h = H, r = 2, q = (H - 1)//stride + 1
        require stride >= 1
        y[h,r,q] = log(1 + tanh(max[n](eps*x[q + pad, n]))^2)
        output y""",
    "reads in both branches and behind both connectives count only where they happen": """
        layer a
        input x[N], k[N]
        y[n] = where(n == 0, k[n], x[n-1]) + where(n == 0 or x[n-1] > 0, 1, k[n]) + where(n > 0 and x[n-1] > 0, k[n], 2)
        output y""",
    "a sum over elements that are there only under a condition keeps the condition": """
        layer a
        input x[C] outside 0
        range r = 2, q = C
        y[r,c,q] = erf(x[r]^3 - x[c])
        output y""",
    "a sum in the other branch is guarded by the opposite": """
        layer a
        input x[N, C], k[N]
        y[n] = (where(n == 0, k[n], sum[c](x[n-1,c]^2)) +
            where(n > 0, exp(sum[c](x[n-1,c]))*sum[c](x[n-1,c]), prod[c](x[n,c])))
        output y""",
    "two pairs of axes that are walked as one do not share a name": """
        layer a
        input weight[N], bias[C, H, N]
        range n = N, c = C, p = H//2 + 1, r = 2, q = (H - 1)//2 + 1
        v[r,n] = max(bias[0,0,n], weight[n])/(1 + tanh(mean[q,c](max[p](
            weight[n]*bias[clip((q + c)//2, 0, C - 1), clip(3*r - 1, 0, H - 1), (c + p)//2 % N])))^2)
        output v""",
    "a difference of what is rounded to the places of 1 is no evidence": """
        layer a
        input x[N, N]
        range q = 2
        y = log(1 + tanh(max[q,n](0.001*(q + 1)*x[n, N - 1 - n]))^2)
        output y""",
    "what one input wants is asked anew behind a loop that all want": """
        layer a
        input x[N] outside 0, weight[N, C, H] outside 0
        range h = H
        v[n] = weight[0,0,0]
        y[c,n] = weight[0,c,0] + v[0] + tanh(sum[h](x[n]*v[(n + h) % N]))
        output y""",
    "a read behind the first of several conditions is prepared as it is read": """
        layer a
        input weight[C, H, N] outside 1.5
        range p = H//2 + 1
        u[p] = sin(min[n](weight[n + p, 0, n]))
        output u""",
    "a condition on reals bounds no loop": """
        layer a
        input weight[C, H] outside 0
        range q = H
        u[q] = where(cos(C) < q, weight[0,0], 1)
        output u""",
    "a quick wave is as uncertain as its argument, and asks for short steps": """
        layer a
        input x[N] outside 0
        range c = 3, p = N//2 + 1
        v = cos(prod[p,c](10*x[p + p]*(c + 1)))
        y[n] = v*n + cos(max[c](prod[p](20*x[p]*(c + 1))*x[n]))
        output y""",
    "a whole number that stands twice in a product counts twice, not four times": """
        layer a
        input spare[C]
        param eps = 0.5
        range c = C
        u[c] = c*c*eps
        y = u[-1 % C]
        output y""",
    "a scatter to a diagonal starts from zeros beside it too": """
        layer a
        input x[C, H, C] outside 0
        range h = H
        y[c,h] = sin(x[c, clip(2*h - 1, 0, H - 1), c])
        output y""",
    "an index beside the position of an extremum, and inside it, moves a quotient": """
        layer a
        input x[C, N]
        range c = C, q = 2, p = 3
        y[q,c] = max[p](x[clip((q + c)//2, 0, C - 1), (c + p)//2 % N])
        output y""",
    "the gradient of y is not called as a parameter is": """
        layer a
        input x[N, H]
        param dy = 1 integer, grad = 0.5
        y[n,h] = x[n, (h - dy) % H]*sigmoid(grad*x[n,h])
        output y""",
    "a term of zeros says how far an index runs": """
        layer a
        input x[N], shape[H]
        y[h] = sum[n](x[n]^2*(h + 1)) + 0*shape[h]
        output y""",
    "what a later condition computes is computed where those before it hold": """
        layer a
        input x[C, N] outside 0
        range p = 2
        v[p,n] = x[p + 1, n] + n
        y[p] = min(x[p + C - 1, 0], 1/(1 + tanh(sum[n](v[p,n]*(n + 1)))^2))
        output v, y""",
    "an index that cancels is no axis of what is read": """
        layer a
        input bias[C] outside 0, spare[H, N]
        range n = N, h = H, r = 2
        y = mean[h](sum[n,r](bias[h - h]*n*r))
        output y""",
    "a position that is the same for every place of its definition is an integer in an index": """
        layer a
        input x[C, N], bias[N]
        integer t[C, N]
        best[c] = argmin[n](max(C, bias[n]))
        y[c] = sum[n](x[c, best[clip(t[c,n], 0, C - 1)]])
        output y""",
    "a window whose rows leave the tensor reads what stands outside": """
        layer a
        input x[N, H] outside 1.5
        range n = N, p = H//2 + 1, r = 2
        y[n,p] = max[r](x[2*n, p + r])
        output y""",
    "the position of an extremum behind a condition is not looked for where it does not hold": """
        layer a
        input x[N, H]
        range n = N, p = H - 1, r = 2
        require H >= 2
        y[n,p] = where(n + 1 < N, max[r](x[n + 1, p + r]), 0)
        output y""",
    "a window behind a condition is not read where it does not hold": """
        layer a
        input x[N, H]
        range n = N, p = H - 1, r = 2
        require H >= 2
        y[n,p] = max[r](where(n + 1 < N, x[n + 1, p + r], 0))
        output y""",
    "the remainder of a position and of its quotient comes from one table": """
        layer a
        input x[C, N] outside 0
        range n = N + 1, c = C, r = 2
        y[r] = max[n,c](x[(n + 1 - c) % C, n]*(r + 1))
        output y""",
    "what a loop tests counts from where the loop starts, too": """
        layer a
        input x[N, C], weight[N, C, H, N] outside 0, bias[C, N, H, C, N] outside 0
        integer t[C, N]
        param eps = 0.5, stride = 2 integer, pad = 1 integer
        range r = 2
        require stride >= 1
        require H % stride == 0
        v = where(bias[clip(1, 0, C - 1), 0, 2 % H, (C - 1)//2, -pad] > 0.25,
            sqrt(bias[clip(1, 0, C - 1), 0, 2 % H, (C - 1)//2, -pad])*bias[C - 1, 0, clip(pad, 0, H - 1), C - 1, -pad],
            x[N - 1, 0])
        y = prod[r,n]((0.001 - v)*
            bias[0, (n - n - pad) % N % N, (2*r + n - pad)//2, clip(t[0,n], 0, C - 1), r + C - 1])*weight[N - 1,
            (-pad) % 3 % C, (C - 1)//2, clip(t[0,0], 0, N - 1)]
        output y""",
    "a definition is recognised only where it has elements": """
        layer a
        input z[N, F], h[N, H]
        require F == 2*H
        range j = H
        i[n,j] = sigmoid(z[n,j])
        y[n,j] = i[n,j] + sigmoid(z[n, j + H])*h[n,j]
        output y""",
    "a minus before a remainder is a minus of the remainder": """
        layer a
        input x[N], z
        param pad = 3 integer, k = 2 integer
        range n = N
        y[n] = -(pad % (k + 3))*x[n] - (pad//k)*x[n]^2 - exp(x[n])*(N % k)
        v[n] = -1*((n + 1) % k)*((n + pad)//k)
        s    = -(pad % (k + 3))*z - (pad//k)/(1 + z^2)*(N % k)
        output y, v, s""",
    "a maximum that is found number by number is not written into a number": """
        layer a
        input x[N, C, H, N, C, H]
        param stride = 2 integer
        range r = 2, q = (H - 1)//stride + 1
        require stride >= 1
        y[c] = where(x[0,0,0,0,c,0] < C, 1, max[r,q](x[0, clip(c + r, 0, 1), (q + c) % H, 0, 0, 0]))
        output y""",
    "a product whose target has an index that no factor has is no product of matrices": """
        layer a
        input x[N, C, H, N, C, H] outside 1.5
        param stride = 2 integer, pad = 1 integer
        size P = H//2 + 1
        range p = P, r = 2, q = (H - 1)//stride + 1
        require stride >= 1
        y[r,q,h] = sum[n,p](x[q + 1, (n + stride*n - pad) % C, 0, n, -n + 3*q + pad, r + 1]*
            x[n, clip(-q - pad, 0, C - 1), 0, (2*n - 1) % N, -p % C, h])
        output y""",
    "a scatter in place of a sum goes on over groups of channels": """
        layer a
        input x[N, C, H] outside 0, weight[C, M, R]
        param groups = 2 integer, stride = 2 integer, pad = 1 integer
        require C % groups == 0
        size D = C//groups
        range k = M*groups, p = (H - 1)*stride - 2*pad + R, d = D
        y[n,k,p] = sum[d,r](where((p + pad - r) % stride == 0, x[n, (k//M)*D + d, (p + pad - r)//stride]*
            weight[(k//M)*D + d, k % M, r], 0))
        output y""",
    "two neighbouring axes that stand twice in a read are walked as one at both places": """
        layer a
        input x[N, H, N, H]
        y = sum[n,h](exp(x[n,h,n,h]))
        output y""",
}


@pytest.mark.usefixtures("_as_python")
@pytest.mark.parametrize("what", FOUND)
def test_what_was_once_found_passes_every_check(what: str) -> None:
    examine(read(FOUND[what]), draws=8)


# layers whose gradients, as layers, were once treated wrongly
FOUND_TWICE = {
    "a sum inside a sum over the same index gets an index of its own": (
        "a",
        """
        layer a
        input a[N, M], v[M]
        k[n,m] = exp(-a[n,m]^2)
        u[n] = 1/sum[m](k[n,m]*exp(v[m]))
        w[m] = exp(v[m])/sum[n](k[n,m]*u[n])
        cost = sum[n,m](u[n]*k[n,m]*w[m]*a[n,m])
        output cost""",
    ),
    "the rows of a table are those of the input, which the gradient does not read": (
        "w",
        """
        layer a
        input w[V, D], s[N, L]
        integer t[N, L]
        y[n,d] = sum[l](where(t[n,l] != 0, s[n,l]*w[t[n,l], d], 0))
        output y""",
    ),
    "a parameter squared stays a product in an index": (
        "x",
        """
        layer a
        input x[C, H, W]
        param f = 2 integer
        size A = f*f
        size D = C*A
        size P = H//f
        size Q = W//f
        range k = D, p = P, q = Q
        require H % f == 0, W % f == 0
        y[k,p,q] = x[k//A, f*p + (k//f)%f, f*q + k%f]
        output y""",
    ),
    "where no place of a window counts, nothing is divided by their number": (
        "x",
        """
        layer a
        input x[N, H] outside 0
        param k = 1 integer, pad = 1 integer
        range r = k, p = H + 2*pad - k + 1
        y[n,p] = sum[r](x[n, p + r - pad])/sum[r](where(p + r - pad >= 0 and p + r - pad < H, 1, 0))
        output y""",
    ),
}


@pytest.mark.usefixtures("_as_python")
@pytest.mark.parametrize("what", FOUND_TWICE)
def test_the_gradient_of_what_was_once_found_passes_every_check(what: str) -> None:
    wrt, text = FOUND_TWICE[what]
    examine(read(text).gradient(wrt), draws=4)


SCALED = """layer scaled
input x[N, C], gamma[C]
y[n,c] = gamma[c]*tanh(x[n,c])
output y
"""


def test_a_wrong_module_is_complained_of(monkeypatch: pytest.MonkeyPatch) -> None:
    right = build.module

    def wrong(derivation: object, backend: str) -> str:
        return right(derivation, backend).replace("(1 - ", "(1 + ")  # type: ignore[arg-type]

    monkeypatch.setattr(build, "module", wrong)

    assert "grad_x" in complaint_of(read(SCALED), ("numpy",))


def test_a_failing_layer_is_reduced_to_what_fails() -> None:
    layer = read("""layer a
        input x[N, C], weight[C, N] outside 0
        u[n,c] = x[n,c]^2 + exp(weight[c, n + 1])
        y[n] = max[c](tanh(u[n,c] + x[n,c]) - u[n,0])
        output u, y""")

    def complaint(smaller: Layer) -> str:
        return "a tanh" if "tanh" in to_text(smaller) else ""

    assert "".join(to_text(smallest(layer, complaint)).split()) == "layerainputx[N,C]y[n]=max[c](tanh(x[n,c]))outputy"


def test_the_same_seed_draws_the_same_layers_and_no_two_alike() -> None:
    first, second = list(random_layers.drawn(10, 5)), list(random_layers.drawn(10, 5))

    assert first == second
    assert len(set(map(str, first))) == 10


def test_a_module_in_memory_is_called_like_one_on_disk() -> None:
    derivation = derive(read(SCALED))
    subject = Subject(derivation.layer, "numpy", module_of(build.module(derivation, "numpy"), "numpy"))

    with pytest.raises(CheckFailed, match="forward raises"):
        subject.forward({"x": 1, "gamma": 2}, {})  # type: ignore[dict-item]
