"""Batch normalisation over the batch and the image."""

from symbackprop.notation.reader import read

LAYER = read("""
# Batch normalisation over the batch and the image, with the statistics of the batch (training).
layer batchnorm2d
input x[N, C, H, W], gamma[C], beta[C]
param eps = 1e-5

mu[c] = mean[n,h,w](x[n,c,h,w])
var[c] = mean[n,h,w]((x[n,c,h,w] - mu[c])^2)
xhat[n,c,h,w] = (x[n,c,h,w] - mu[c])/sqrt(var[c] + eps)
y[n,c,h,w] = gamma[c]*xhat[n,c,h,w] + beta[c]
output y
""", "batchnorm2d.eq")
