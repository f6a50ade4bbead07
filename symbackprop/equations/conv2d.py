"""Two-dimensional cross-correlation, with stride, padding, dilation and groups."""

from symbackprop.notation.reader import read

LAYER = read("""
# Two-dimensional cross-correlation: what the deep-learning libraries call convolution.
layer conv2d
input x[N, C, H, W] outside 0, weight[K, D, R, S], bias[K]
param stride = 1 integer, pad = 0 integer, dilation = 1 integer, groups = 1 integer
size D = C//groups
size M = K//groups
size P = (H + 2*pad - dilation*(R - 1) - 1)//stride + 1
size Q = (W + 2*pad - dilation*(S - 1) - 1)//stride + 1
range c = D, p = P, q = Q
require C % groups == 0, K % groups == 0

y[n,k,p,q] = bias[k] + sum[c,r,s](x[n, (k//M)*D + c, stride*p + dilation*r - pad, stride*q + dilation*s - pad] *
    weight[k,c,r,s])
output y
""", "conv2d.eq")
