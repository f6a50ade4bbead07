"""Batch normalisation, training, with the statistics of the batch as results beside y.

Source: Ioffe & Szegedy 2015, Algorithm 1 (arXiv 1502.03167).
"""

from symbackprop.notation.model import define, indices, layer, mean, parameter, sqrt, tensor

n, d = indices("n d", sizes="N D")
x, gamma, beta = tensor("x", n, d), tensor("gamma", d), tensor("beta", d)
eps = parameter("eps", default=1e-5)

mu = define("mu", [d], mean(x[n, d], over=n))
var = define("var", [d], mean((x[n, d] - mu[d]) ** 2, over=n))
xhat = define("xhat", [n, d], (x[n, d] - mu[d]) / sqrt(var[d] + eps))
y = define("y", [n, d], gamma[d] * xhat[n, d] + beta[d])
mean_of_batch = define("mean_of_batch", [d], mu[d])
var_of_batch = define("var_of_batch", [d], var[d])

LAYER = layer(
    "batchnorm1d_training",
    inputs=[x, gamma, beta],
    definitions=[mu, var, xhat, y, mean_of_batch, var_of_batch],
    outputs=[y, mean_of_batch, var_of_batch],
    doc=__doc__,
)
