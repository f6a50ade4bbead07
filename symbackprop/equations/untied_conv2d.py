"""Two-dimensional cross-correlation with an untied bias: one for each filter and each place of the output."""

from symbackprop.notation.model import define, indices, layer, parameter, size, sizes, tensor, total

N, C, H, W, K, R, S = sizes("N C H W K R S")
stride = parameter("stride", default=1, integer=True)
pad = parameter("pad", default=0, integer=True)
P, Q = size("P", (H + 2 * pad - R) // stride + 1), size("Q", (W + 2 * pad - S) // stride + 1)

n, k, p, q, c, r, s = indices("n k p q c r s", [N, K, P, Q, C, R, S])
x, weight, bias = tensor("x", N, C, H, W, outside=0), tensor("weight", K, C, R, S), tensor("bias", K, P, Q)

patch = x[n, c, stride * p + r - pad, stride * q + s - pad]
y = define("y", [n, k, p, q], bias[k, p, q] + total(patch * weight[k, c, r, s], over=(c, r, s)))

LAYER = layer("untied_conv2d", inputs=[x, weight, bias], definitions=[y], doc=__doc__)
