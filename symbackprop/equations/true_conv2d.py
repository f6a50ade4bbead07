"""The convolution of the mathematicians: the kernel is turned by 180 degrees."""

from symbackprop.notation.reader import read

LAYER = read("""
# Two-dimensional convolution in the strict sense: the kernel is turned by 180 degrees.
layer true_conv2d
input x[N, C, H, W] outside 0, weight[K, C, R, S], bias[K]
param stride = 1 integer, pad = 0 integer, dilation = 1 integer
size P = (H + 2*pad - dilation*(R - 1) - 1)//stride + 1
size Q = (W + 2*pad - dilation*(S - 1) - 1)//stride + 1
range r = R, s = S, p = P, q = Q

y[n,k,p,q] = bias[k] + sum[c,r,s](x[n, c, stride*p + dilation*r - pad, stride*q + dilation*s - pad] *
    weight[k, c, R - 1 - r, S - 1 - s])
output y
""", "true_conv2d.eq")
