"""Batch normalisation, training: normalise each channel over the batch and the volume.

Source: Ioffe & Szegedy 2015, Algorithm 1 (arXiv 1502.03167).
"""

from symbackprop.notation.model import define, indices, layer, mean, parameter, sqrt, tensor

n, c, d, h, w = indices("n c d h w", sizes="N C D H W")
x, gamma, beta = tensor("x", n, c, d, h, w), tensor("gamma", c), tensor("beta", c)
eps = parameter("eps", default=1e-5)

mu = define("mu", [c], mean(x[n, c, d, h, w], over=(n, d, h, w)))
var = define("var", [c], mean((x[n, c, d, h, w] - mu[c]) ** 2, over=(n, d, h, w)))
xhat = define("xhat", [n, c, d, h, w], (x[n, c, d, h, w] - mu[c]) / sqrt(var[c] + eps))
y = define("y", [n, c, d, h, w], gamma[c] * xhat[n, c, d, h, w] + beta[c])

LAYER = layer("batchnorm3d", inputs=[x, gamma, beta], definitions=[mu, var, xhat, y], outputs=[y], doc=__doc__)
