"""Transposed convolution: each element of x is spread over a patch of y, the patches a stride apart.

A tap reaches the element (p + pad - dilation*r)/stride of x, if the stride divides it.
Source: Dumoulin & Visin 2016, A guide to convolution arithmetic, section 4 (arXiv 1603.07285).
"""

from symbackprop.notation.model import And, Eq, define, indices, layer, parameter, size, sizes, tensor, total, where

N, C, H, W, K, R, S = sizes("N C H W K R S")
stride = parameter("stride", default=1, integer=True)
pad = parameter("pad", default=0, integer=True)
dilation = parameter("dilation", default=1, integer=True)
P = size("P", (H - 1) * stride + dilation * (R - 1) + 1 - 2 * pad)
Q = size("Q", (W - 1) * stride + dilation * (S - 1) + 1 - 2 * pad)

n, k, p, q, c, r, s = indices("n k p q c r s", [N, K, P, Q, C, R, S])
x, weight, bias = tensor("x", n, c, H, W, outside=0), tensor("weight", c, k, r, s), tensor("bias", k)

row, column = p + pad - dilation * r, q + pad - dilation * s
reached = And(Eq(row % stride, 0), Eq(column % stride, 0))
spread = where(reached, x[n, c, row // stride, column // stride] * weight[c, k, r, s], 0)
y = define("y", [n, k, p, q], bias[k] + total(spread, over=(c, r, s)))

LAYER = layer("transposed_conv2d", inputs=[x, weight, bias], definitions=[y], doc=__doc__)
