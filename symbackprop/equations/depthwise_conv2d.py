"""Depthwise cross-correlation: each channel has a kernel of its own.

Source: Chollet 2017, Xception (arXiv 1610.02357).
"""

from symbackprop.notation.model import define, indices, layer, parameter, size, sizes, tensor, total

N, C, H, W, R, S = sizes("N C H W R S")
stride = parameter("stride", default=1, integer=True)
pad = parameter("pad", default=0, integer=True)
dilation = parameter("dilation", default=1, integer=True)
P = size("P", (H + 2 * pad - dilation * (R - 1) - 1) // stride + 1)
Q = size("Q", (W + 2 * pad - dilation * (S - 1) - 1) // stride + 1)

n, c, p, q, r, s = indices("n c p q r s", [N, C, P, Q, R, S])
x, weight, bias = tensor("x", n, c, H, W, outside=0), tensor("weight", c, r, s), tensor("bias", c)

patch = x[n, c, stride * p + dilation * r - pad, stride * q + dilation * s - pad]
y = define("y", [n, c, p, q], bias[c] + total(patch * weight[c, r, s], over=(r, s)))

LAYER = layer("depthwise_conv2d", inputs=[x, weight, bias], definitions=[y], doc=__doc__)
