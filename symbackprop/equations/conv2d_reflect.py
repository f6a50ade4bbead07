"""Cross-correlation whose image is mirrored at its border, the border itself not repeated.

The mirrored image repeats after 2*(H - 1) rows; in its second half the rows run back.
"""

from symbackprop.notation.model import clip, define, indices, layer, parameter, size, sizes, tensor, total

N, C, H, W, K, R, S = sizes("N C H W K R S")
stride = parameter("stride", default=1, integer=True)
pad = parameter("pad", default=1, integer=True)
U, V = size("U", 2 * H - 2), size("V", 2 * W - 2)
P = size("P", (H + 2 * pad - R) // stride + 1)
Q = size("Q", (W + 2 * pad - S) // stride + 1)

n, k, p, q, c, r, s = indices("n k p q c r s", [N, K, P, Q, C, R, S])
x, weight, bias = tensor("x", n, c, H, W), tensor("weight", k, c, r, s), tensor("bias", k)

row, column = (stride * p + r - pad) % U, (stride * q + s - pad) % V
patch = x[n, c, clip(row, 0, U - row), clip(column, 0, V - column)]
y = define("y", [n, k, p, q], bias[k] + total(patch * weight[k, c, r, s], over=(c, r, s)))

LAYER = layer("conv2d_reflect", inputs=[x, weight, bias], definitions=[y], doc=__doc__)
