"""Three-dimensional cross-correlation, with stride, padding and dilation.

Source: Dumoulin & Visin 2016, A guide to convolution arithmetic (arXiv 1603.07285).
"""

from symbackprop.notation.model import define, indices, layer, parameter, size, sizes, tensor, total

N, C, D, H, W, K, T, R, S = sizes("N C D H W K T R S")
stride = parameter("stride", default=1, integer=True)
pad = parameter("pad", default=0, integer=True)
dilation = parameter("dilation", default=1, integer=True)
O = size("O", (D + 2 * pad - dilation * (T - 1) - 1) // stride + 1)
P = size("P", (H + 2 * pad - dilation * (R - 1) - 1) // stride + 1)
Q = size("Q", (W + 2 * pad - dilation * (S - 1) - 1) // stride + 1)

n, k, o, p, q, c, t, r, s = indices("n k o p q c t r s", [N, K, O, P, Q, C, T, R, S])
x, weight, bias = tensor("x", n, c, D, H, W, outside=0), tensor("weight", k, c, t, r, s), tensor("bias", k)

depth, row, column = (stride * at + dilation * tap - pad for at, tap in ((o, t), (p, r), (q, s)))
y = define(
    "y", [n, k, o, p, q], bias[k] + total(x[n, c, depth, row, column] * weight[k, c, t, r, s], over=(c, t, r, s))
)

LAYER = layer("conv3d", inputs=[x, weight, bias], definitions=[y], doc=__doc__)
