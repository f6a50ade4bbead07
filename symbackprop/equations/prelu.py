"""The parametric rectifier: the slope below zero is learned, one for each channel.

Source: He et al. 2015 (arXiv 1502.01852).
"""

from symbackprop.notation.model import define, indices, layer, tensor, where

n, c, h, w = indices("n c h w", sizes="N C H W")
x, slope = tensor("x", n, c, h, w), tensor("slope", c)

y = define("y", [n, c, h, w], where(x[n, c, h, w] > 0, x[n, c, h, w], slope[c] * x[n, c, h, w]))

LAYER = layer("prelu", inputs=[x, slope], definitions=[y], doc=__doc__)
