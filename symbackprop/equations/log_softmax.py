"""The logarithm of softmax over the last axis; the maximum is taken off first, so that nothing overflows."""

from symbackprop.notation.model import define, exp, highest, indices, layer, log, tensor, total

n, k = indices("n k", sizes="N K")
x = tensor("x", n, k)

top = define("top", [n], highest(x[n, k], over=k))
lse = define("lse", [n], top[n] + log(total(exp(x[n, k] - top[n]), over=k)))
y = define("y", [n, k], x[n, k] - lse[n])

LAYER = layer("log_softmax", inputs=[x], definitions=[top, lse, y], outputs=[y], doc=__doc__)
