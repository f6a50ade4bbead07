"""The function sigmoid of each element."""

from symbackprop.notation.model import define, indices, layer, sigmoid, tensor

n, d = indices("n d", sizes="N D")
x = tensor("x", n, d)

y = define("y", [n, d], sigmoid(x[n, d]))

LAYER = layer("sigmoid", inputs=[x], definitions=[y], doc=__doc__)
