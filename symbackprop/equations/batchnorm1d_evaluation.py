"""Batch normalisation, evaluation: with given statistics it is an affine map of each feature.

Source: Ioffe & Szegedy 2015, Algorithm 2 (arXiv 1502.03167).
"""

from symbackprop.notation.model import define, indices, layer, parameter, sqrt, tensor

n, d = indices("n d", sizes="N D")
x, gamma, beta = tensor("x", n, d), tensor("gamma", d), tensor("beta", d)
mu, var = tensor("mu", d), tensor("var", d)
eps = parameter("eps", default=1e-5)

y = define("y", [n, d], gamma[d] * (x[n, d] - mu[d]) / sqrt(var[d] + eps) + beta[d])

LAYER = layer("batchnorm1d_evaluation", inputs=[x, gamma, beta, mu, var], definitions=[y], doc=__doc__)
