"""Global average pooling: the mean of each channel over the image."""

from symbackprop.notation.model import define, indices, layer, mean, tensor

n, c, h, w = indices("n c h w", sizes="N C H W")
x = tensor("x", n, c, h, w)

y = define("y", [n, c], mean(x[n, c, h, w], over=(h, w)))

LAYER = layer("global_avgpool2d", inputs=[x], definitions=[y], doc=__doc__)
