"""Root-mean-square normalisation: divide each row by its root mean square.

Source: Zhang & Sennrich 2019 (arXiv 1910.07467).
"""

from symbackprop.notation.model import define, indices, layer, mean, parameter, sqrt, tensor

n, d = indices("n d", sizes="N D")
x, gamma = tensor("x", n, d), tensor("gamma", d)
eps = parameter("eps", default=1e-6)

rms = define("rms", [n], sqrt(mean(x[n, d] ** 2, over=d) + eps))
y = define("y", [n, d], gamma[d] * x[n, d] / rms[n])

LAYER = layer("rmsnorm", inputs=[x, gamma], definitions=[rms, y], outputs=[y], doc=__doc__)
