"""The leaky rectifier: x where it is positive, a small multiple of it elsewhere."""

from symbackprop.notation.model import define, indices, layer, parameter, tensor, where

n, d = indices("n d", sizes="N D")
x = tensor("x", n, d)
slope = parameter("slope", default=0.01)

y = define("y", [n, d], where(x[n, d] > 0, x[n, d], slope * x[n, d]))

LAYER = layer("leaky_relu", inputs=[x], definitions=[y], doc=__doc__)
