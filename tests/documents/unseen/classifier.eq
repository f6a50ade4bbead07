# Leaky ReLU, average pooling, global average pooling, a classifier and cross entropy, for one example of class t.
layer classifier
input a[C, I, J], w[K, C], b[K]
integer t
param alpha = 0.01
param pool = 2 integer
size U = I//pool
size V = J//pool
range u = U, v = V, r = pool, s = pool, j = K, k = K

h[c,i,m] = where(a[c,i,m] > 0, a[c,i,m], alpha*a[c,i,m])
p[c,u,v] = mean[r,s](h[c, pool*u + r, pool*v + s])
g[c]     = mean[u,v](p[c,u,v])
z[k]     = sum[c](w[k,c]*g[c]) + b[k]
yhat[k]  = exp(z[k])/sum[j](exp(z[j]))
y[k]     = where(t == k, 1, 0)
loss     = -log(yhat[t])
output loss
