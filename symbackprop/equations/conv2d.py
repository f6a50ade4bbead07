"""Two-dimensional cross-correlation: what the deep-learning libraries call convolution.

Each of the groups joins D of the C channels of x to M of the K channels of y.
Source: Dumoulin & Visin 2016, A guide to convolution arithmetic (arXiv 1603.07285).
"""

from symbackprop.notation.model import Eq, define, indices, layer, parameter, size, sizes, tensor, total

N, C, H, W, K, R, S = sizes("N C H W K R S")
stride = parameter("stride", default=1, integer=True)
pad = parameter("pad", default=0, integer=True)
dilation = parameter("dilation", default=1, integer=True)
groups = parameter("groups", default=1, integer=True)
D, M = size("D", C // groups), size("M", K // groups)
P = size("P", (H + 2 * pad - dilation * (R - 1) - 1) // stride + 1)
Q = size("Q", (W + 2 * pad - dilation * (S - 1) - 1) // stride + 1)

n, k, p, q, c, r, s = indices("n k p q c r s", [N, K, P, Q, D, R, S])
x, weight, bias = tensor("x", N, C, H, W, outside=0), tensor("weight", K, D, R, S), tensor("bias", K)

patch = x[n, (k // M) * D + c, stride * p + dilation * r - pad, stride * q + dilation * s - pad]
y = define("y", [n, k, p, q], bias[k] + total(patch * weight[k, c, r, s], over=(c, r, s)))

LAYER = layer(
    "conv2d",
    inputs=[x, weight, bias],
    definitions=[y],
    require=[Eq(C % groups, 0), Eq(K % groups, 0)],
    doc=__doc__,
)
