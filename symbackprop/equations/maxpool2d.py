"""Max pooling; a padded place never wins."""

from symbackprop.notation.model import define, highest, indices, inf, layer, parameter, size, sizes, tensor

N, C, H, W = sizes("N C H W")
kernel = parameter("kernel", default=2, integer=True)
stride = parameter("stride", default=2, integer=True)
pad = parameter("pad", default=0, integer=True)
P, Q = size("P", (H + 2 * pad - kernel) // stride + 1), size("Q", (W + 2 * pad - kernel) // stride + 1)

n, c, p, q, r, s = indices("n c p q r s", [N, C, P, Q, kernel, kernel])
x = tensor("x", n, c, H, W, outside=-inf)

y = define("y", [n, c, p, q], highest(x[n, c, stride * p + r - pad, stride * q + s - pad], over=(r, s)))

LAYER = layer("maxpool2d", inputs=[x], definitions=[y], doc=__doc__)
