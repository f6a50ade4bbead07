"""Two-dimensional convolution in the strict sense: the kernel is turned by 180 degrees.

Source: Dumoulin & Visin 2016, A guide to convolution arithmetic (arXiv 1603.07285), for stride, padding, dilation.
"""

from symbackprop.notation.model import define, indices, layer, parameter, size, sizes, tensor, total

N, C, H, W, K, R, S = sizes("N C H W K R S")
stride = parameter("stride", default=1, integer=True)
pad = parameter("pad", default=0, integer=True)
dilation = parameter("dilation", default=1, integer=True)
P = size("P", (H + 2 * pad - dilation * (R - 1) - 1) // stride + 1)
Q = size("Q", (W + 2 * pad - dilation * (S - 1) - 1) // stride + 1)

n, k, p, q, c, r, s = indices("n k p q c r s", [N, K, P, Q, C, R, S])
x, weight, bias = tensor("x", n, c, H, W, outside=0), tensor("weight", k, c, r, s), tensor("bias", k)

patch = x[n, c, stride * p + dilation * r - pad, stride * q + dilation * s - pad]
turned = weight[k, c, R - 1 - r, S - 1 - s]
y = define("y", [n, k, p, q], bias[k] + total(patch * turned, over=(c, r, s)))

LAYER = layer("true_conv2d", inputs=[x, weight, bias], definitions=[y], doc=__doc__)
