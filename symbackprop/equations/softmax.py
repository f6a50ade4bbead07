"""Softmax over the last axis; the maximum is taken off first, so that nothing overflows."""

from symbackprop.notation.model import define, exp, highest, indices, layer, tensor, total

n, k = indices("n k", sizes="N K")
x = tensor("x", n, k)

top = define("top", [n], highest(x[n, k], over=k))
e = define("e", [n, k], exp(x[n, k] - top[n]))
norm = define("norm", [n], total(e[n, k], over=k))
y = define("y", [n, k], e[n, k] / norm[n])

LAYER = layer("softmax", inputs=[x], definitions=[top, e, norm, y], outputs=[y], doc=__doc__)
