"""One-dimensional cross-correlation, with stride, padding and dilation.

Source: Dumoulin & Visin 2016, A guide to convolution arithmetic (arXiv 1603.07285).
"""

from symbackprop.notation.model import define, indices, layer, parameter, size, sizes, tensor, total

N, C, W, K, S = sizes("N C W K S")
stride = parameter("stride", default=1, integer=True)
pad = parameter("pad", default=0, integer=True)
dilation = parameter("dilation", default=1, integer=True)
Q = size("Q", (W + 2 * pad - dilation * (S - 1) - 1) // stride + 1)

n, k, q, c, s = indices("n k q c s", [N, K, Q, C, S])
x, weight, bias = tensor("x", n, c, W, outside=0), tensor("weight", k, c, s), tensor("bias", k)

y = define("y", [n, k, q], bias[k] + total(x[n, c, stride * q + dilation * s - pad] * weight[k, c, s], over=(c, s)))

LAYER = layer("conv1d", inputs=[x, weight, bias], definitions=[y], doc=__doc__)
