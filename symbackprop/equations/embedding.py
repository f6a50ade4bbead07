"""An embedding: row t of a table, for each integer t."""

from symbackprop.notation.model import define, indices, layer, tensor

n, v, d = indices("n v d", sizes="N V D")
weight, t = tensor("weight", v, d), tensor("t", n, integer=True)

y = define("y", [n, d], weight[t[n], d])

LAYER = layer("embedding", inputs=[weight, t], definitions=[y], doc=__doc__)
