"""A fully connected layer: y = x W^T + b."""

from symbackprop.notation.model import define, indices, layer, tensor, total

n, d, k = indices("n d k", sizes="N D K")
x, weight, bias = tensor("x", n, d), tensor("weight", k, d), tensor("bias", k)

y = define("y", [n, k], bias[k] + total(x[n, d] * weight[k, d], over=d))

LAYER = layer("linear", inputs=[x, weight, bias], definitions=[y], doc=__doc__)
