"""Flatten: the channels and the image of each example as one row, in row-major order."""

from symbackprop.notation.model import define, indices, layer, size, sizes, tensor

N, C, H, W = sizes("N C H W")
A, D = size("A", H * W), size("D", C * H * W)

n, d = indices("n d", [N, D])
x = tensor("x", N, C, H, W)

y = define("y", [n, d], x[n, d // A, d % A // W, d % A % W])

LAYER = layer("flatten", inputs=[x], definitions=[y], doc=__doc__)
