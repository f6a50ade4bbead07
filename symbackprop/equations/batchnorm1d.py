"""Batch normalisation over the batch."""

from symbackprop.notation.reader import read

LAYER = read("""
# Batch normalisation over the batch, with the statistics of the batch (training).
layer batchnorm1d
input x[N, D], gamma[D], beta[D]
param eps = 1e-5

mu[d] = mean[n](x[n,d])
var[d] = mean[n]((x[n,d] - mu[d])^2)
xhat[n,d] = (x[n,d] - mu[d])/sqrt(var[d] + eps)
y[n,d] = gamma[d]*xhat[n,d] + beta[d]
output y
""", "batchnorm1d.eq")
