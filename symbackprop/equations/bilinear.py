"""A bilinear layer: each output is a bilinear form of two inputs."""

from symbackprop.notation.model import define, indices, layer, tensor, total

n, i, j, k = indices("n i j k", sizes="N I J K")
x, z, weight, bias = tensor("x", n, i), tensor("z", n, j), tensor("weight", k, i, j), tensor("bias", k)

y = define("y", [n, k], bias[k] + total(x[n, i] * z[n, j] * weight[k, i, j], over=(i, j)))

LAYER = layer("bilinear", inputs=[x, z, weight, bias], definitions=[y], doc=__doc__)
