"""The function relu of each element."""

from symbackprop.notation.model import define, indices, layer, relu, tensor

n, d = indices("n d", sizes="N D")
x = tensor("x", n, d)

y = define("y", [n, d], relu(x[n, d]))

LAYER = layer("relu", inputs=[x], definitions=[y], doc=__doc__)
