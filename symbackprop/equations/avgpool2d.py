"""Average pooling; padded places count as zeros."""

from symbackprop.notation.model import define, indices, layer, mean, parameter, size, sizes, tensor

N, C, H, W = sizes("N C H W")
kernel = parameter("kernel", default=2, integer=True)
stride = parameter("stride", default=2, integer=True)
pad = parameter("pad", default=0, integer=True)
P, Q = size("P", (H + 2 * pad - kernel) // stride + 1), size("Q", (W + 2 * pad - kernel) // stride + 1)

n, c, p, q, r, s = indices("n c p q r s", [N, C, P, Q, kernel, kernel])
x = tensor("x", n, c, H, W, outside=0)

y = define("y", [n, c, p, q], mean(x[n, c, stride * p + r - pad, stride * q + s - pad], over=(r, s)))

LAYER = layer("avgpool2d", inputs=[x], definitions=[y], doc=__doc__)
