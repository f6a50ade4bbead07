"""Scaled dot-product attention, for a batch of heads: softmax(q k^T / sqrt(D)) v.

Source: Vaswani et al. 2017, Attention is all you need, equation 1 (arXiv 1706.03762).
"""

from symbackprop.notation.model import define, exp, highest, indices, layer, sizes, sqrt, tensor, total

(D,) = sizes("D")
b, h, i, j, d, e = indices("b h i j d e", sizes="B H I J D E")
query, key, value = tensor("query", b, h, i, d), tensor("key", b, h, j, d), tensor("value", b, h, j, e)

score = define("score", [b, h, i, j], total(query[b, h, i, d] * key[b, h, j, d], over=d) / sqrt(D))
top = define("top", [b, h, i], highest(score[b, h, i, j], over=j))
weight = define("weight", [b, h, i, j], exp(score[b, h, i, j] - top[b, h, i]))
norm = define("norm", [b, h, i], total(weight[b, h, i, j], over=j))
attention = define("attention", [b, h, i, j], weight[b, h, i, j] / norm[b, h, i])
y = define("y", [b, h, i, e], total(attention[b, h, i, j] * value[b, h, j, e], over=j))

LAYER = layer(
    "scaled_dot_product_attention",
    inputs=[query, key, value],
    definitions=[score, top, weight, norm, attention, y],
    outputs=[y],
    doc=__doc__,
)
