"""Instance normalisation: normalise each channel of each image over the image.

Source: Ulyanov, Vedaldi & Lempitsky 2016 (arXiv 1607.08022).
"""

from symbackprop.notation.model import define, indices, layer, mean, parameter, sqrt, tensor

n, c, h, w = indices("n c h w", sizes="N C H W")
x, gamma, beta = tensor("x", n, c, h, w), tensor("gamma", c), tensor("beta", c)
eps = parameter("eps", default=1e-5)

mu = define("mu", [n, c], mean(x[n, c, h, w], over=(h, w)))
var = define("var", [n, c], mean((x[n, c, h, w] - mu[n, c]) ** 2, over=(h, w)))
xhat = define("xhat", [n, c, h, w], (x[n, c, h, w] - mu[n, c]) / sqrt(var[n, c] + eps))
y = define("y", [n, c, h, w], gamma[c] * xhat[n, c, h, w] + beta[c])

LAYER = layer("instancenorm", inputs=[x, gamma, beta], definitions=[mu, var, xhat, y], outputs=[y], doc=__doc__)
