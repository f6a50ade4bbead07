"""Batch normalisation, evaluation: with given statistics it is an affine map of each channel.

Source: Ioffe & Szegedy 2015, Algorithm 2 (arXiv 1502.03167).
"""

from symbackprop.notation.model import define, indices, layer, parameter, sqrt, tensor

n, c, h, w = indices("n c h w", sizes="N C H W")
x, gamma, beta = tensor("x", n, c, h, w), tensor("gamma", c), tensor("beta", c)
mu, var = tensor("mu", c), tensor("var", c)
eps = parameter("eps", default=1e-5)

y = define("y", [n, c, h, w], gamma[c] * (x[n, c, h, w] - mu[c]) / sqrt(var[c] + eps) + beta[c])

LAYER = layer("batchnorm2d_evaluation", inputs=[x, gamma, beta, mu, var], definitions=[y], doc=__doc__)
