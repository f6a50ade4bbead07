layer crossentropy
input z[K], y[K]
p[i] = exp(z[i]) / sum[j](exp(z[j]))
loss = -sum[i](y[i] * log(p[i]))
output loss
