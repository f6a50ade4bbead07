layer softmax_loss
input z[K], t[K]

p[k] = exp(z[k])/sum[j](exp(z[j]))
loss = -sum[k](t[k]*log(p[k]))
output loss
