"""Softmax cross-entropy of logits z and integer labels t, averaged over the batch."""

from symbackprop.notation.model import define, exp, highest, indices, layer, log, mean, tensor, total

n, k = indices("n k", sizes="N K")
z, t = tensor("z", n, k), tensor("t", n, integer=True)

top = define("top", [n], highest(z[n, k], over=k))
lse = define("lse", [n], top[n] + log(total(exp(z[n, k] - top[n]), over=k)))
loss = define("loss", [], mean(lse[n] - z[n, t[n]], over=n))

LAYER = layer("softmax_cross_entropy", inputs=[z, t], definitions=[top, lse, loss], outputs=[loss], doc=__doc__)
