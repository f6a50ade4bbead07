"""Batch normalisation, training, with the statistics of the batch as results beside y.

Source: Ioffe & Szegedy 2015, Algorithm 1 (arXiv 1502.03167).
"""

from symbackprop.notation.model import define, indices, layer, mean, parameter, sqrt, tensor

n, c, h, w = indices("n c h w", sizes="N C H W")
x, gamma, beta = tensor("x", n, c, h, w), tensor("gamma", c), tensor("beta", c)
eps = parameter("eps", default=1e-5)

mu = define("mu", [c], mean(x[n, c, h, w], over=(n, h, w)))
var = define("var", [c], mean((x[n, c, h, w] - mu[c]) ** 2, over=(n, h, w)))
xhat = define("xhat", [n, c, h, w], (x[n, c, h, w] - mu[c]) / sqrt(var[c] + eps))
y = define("y", [n, c, h, w], gamma[c] * xhat[n, c, h, w] + beta[c])
mean_of_batch = define("mean_of_batch", [c], mu[c])
var_of_batch = define("var_of_batch", [c], var[c])

LAYER = layer(
    "batchnorm2d_training",
    inputs=[x, gamma, beta],
    definitions=[mu, var, xhat, y, mean_of_batch, var_of_batch],
    outputs=[y, mean_of_batch, var_of_batch],
    doc=__doc__,
)
