"""The mean squared error of x against a target."""

from symbackprop.notation.model import define, indices, layer, mean, tensor

n, d = indices("n d", sizes="N D")
x, target = tensor("x", n, d), tensor("target", n, d)

loss = define("loss", [], mean((x[n, d] - target[n, d]) ** 2, over=(n, d)))

LAYER = layer("mse", inputs=[x, target], definitions=[loss], doc=__doc__)
