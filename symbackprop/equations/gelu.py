"""The Gaussian error linear unit: x times the probability that a standard normal variable is below x.

Source: Hendrycks & Gimpel 2016 (arXiv 1606.08415).
"""

from symbackprop.notation.model import define, erf, indices, layer, sqrt, tensor

n, d = indices("n d", sizes="N D")
x = tensor("x", n, d)

y = define("y", [n, d], x[n, d] * (1 + erf(x[n, d] / sqrt(2))) / 2)

LAYER = layer("gelu", inputs=[x], definitions=[y], doc=__doc__)
