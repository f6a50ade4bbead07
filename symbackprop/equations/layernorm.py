"""Layer normalisation: normalise each row over its features.

Source: Ba, Kiros & Hinton 2016 (arXiv 1607.06450).
"""

from symbackprop.notation.model import define, indices, layer, mean, parameter, sqrt, tensor

n, d = indices("n d", sizes="N D")
x, gamma, beta = tensor("x", n, d), tensor("gamma", d), tensor("beta", d)
eps = parameter("eps", default=1e-5)

mu = define("mu", [n], mean(x[n, d], over=d))
var = define("var", [n], mean((x[n, d] - mu[n]) ** 2, over=d))
xhat = define("xhat", [n, d], (x[n, d] - mu[n]) / sqrt(var[n] + eps))
y = define("y", [n, d], gamma[d] * xhat[n, d] + beta[d])

LAYER = layer("layernorm", inputs=[x, gamma, beta], definitions=[mu, var, xhat, y], outputs=[y], doc=__doc__)
