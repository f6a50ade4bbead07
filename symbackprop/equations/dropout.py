"""Dropout with a given mask of zeros and ones; what is kept is scaled up, so that the mean stays.

Source: Srivastava et al. 2014, Journal of Machine Learning Research 15.
"""

from symbackprop.notation.model import define, indices, layer, parameter, tensor

n, d = indices("n d", sizes="N D")
x, mask = tensor("x", n, d), tensor("mask", n, d, integer=True)
rate = parameter("rate", default=0.5)

y = define("y", [n, d], x[n, d] * mask[n, d] / (1 - rate))

LAYER = layer("dropout", inputs=[x, mask], definitions=[y], doc=__doc__)
