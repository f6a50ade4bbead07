"""The function tanh of each element."""

from symbackprop.notation.model import define, indices, layer, tanh, tensor

n, d = indices("n d", sizes="N D")
x = tensor("x", n, d)

y = define("y", [n, d], tanh(x[n, d]))

LAYER = layer("tanh", inputs=[x], definitions=[y], doc=__doc__)
