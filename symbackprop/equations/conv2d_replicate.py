"""Cross-correlation whose border goes on: padding by the nearest element."""

from symbackprop.notation.model import clip, define, indices, layer, parameter, size, sizes, tensor, total

N, C, H, W, K, R, S = sizes("N C H W K R S")
stride = parameter("stride", default=1, integer=True)
pad = parameter("pad", default=1, integer=True)
P = size("P", (H + 2 * pad - R) // stride + 1)
Q = size("Q", (W + 2 * pad - S) // stride + 1)

n, k, p, q, c, r, s = indices("n k p q c r s", [N, K, P, Q, C, R, S])
x, weight, bias = tensor("x", n, c, H, W), tensor("weight", k, c, r, s), tensor("bias", k)

row, column = clip(stride * p + r - pad, 0, H - 1), clip(stride * q + s - pad, 0, W - 1)
y = define("y", [n, k, p, q], bias[k] + total(x[n, c, row, column] * weight[k, c, r, s], over=(c, r, s)))

LAYER = layer("conv2d_replicate", inputs=[x, weight, bias], definitions=[y], doc=__doc__)
