layer groups
input x[N, G, D, H, W], gamma[G, D], beta[G, D]
param eps = 1e-5
m[n,g] = mean[d,h,w](x[n,g,d,h,w])
v[n,g] = mean[d,h,w]((x[n,g,d,h,w] - m[n,g])^2)
r[n,g] = 1/sqrt(v[n,g] + eps)
xhat[n,g,d,h,w] = r[n,g]*(x[n,g,d,h,w] - m[n,g])
y[n,g,d,h,w] = gamma[g,d]*xhat[n,g,d,h,w] + beta[g,d]
output y
