# A transposed convolution in one dimension, one channel.
layer spread
input x[T], w[K], b
param stride = 2 integer
size  L = stride*(T - 1) + K
range n = L

y[n] = b + sum[t,k](where(n == stride*t + k, x[t]*w[k], 0))
output y
