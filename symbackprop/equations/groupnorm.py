"""Group normalisation: normalise groups of channels of each image; each group has D channels.

Source: Wu & He 2018 (arXiv 1803.08494).
"""

from symbackprop.notation.model import Eq, define, indices, layer, mean, parameter, size, sizes, sqrt, tensor

N, C, H, W = sizes("N C H W")
groups = parameter("groups", default=2, integer=True)
eps = parameter("eps", default=1e-5)
D = size("D", C // groups)

n, g, d, c, h, w = indices("n g d c h w", [N, groups, D, C, H, W])
x, gamma, beta = tensor("x", n, c, h, w), tensor("gamma", c), tensor("beta", c)

mu = define("mu", [n, g], mean(x[n, g * D + d, h, w], over=(d, h, w)))
var = define("var", [n, g], mean((x[n, g * D + d, h, w] - mu[n, g]) ** 2, over=(d, h, w)))
xhat = define("xhat", [n, c, h, w], (x[n, c, h, w] - mu[n, c // D]) / sqrt(var[n, c // D] + eps))
y = define("y", [n, c, h, w], gamma[c] * xhat[n, c, h, w] + beta[c])

LAYER = layer(
    "groupnorm",
    inputs=[x, gamma, beta],
    definitions=[mu, var, xhat, y],
    outputs=[y],
    require=[Eq(C % groups, 0)],
    doc=__doc__,
)
