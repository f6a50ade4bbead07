"""Batch normalisation, training: normalise each channel over the batch and the image.

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

LAYER = layer("batchnorm2d", inputs=[x, gamma, beta], definitions=[mu, var, xhat, y], outputs=[y], doc=__doc__)
