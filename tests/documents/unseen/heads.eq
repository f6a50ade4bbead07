layer attention
input x[T, D], wq[D, E], wk[D, E], wv[D, F]

q[t,e] = sum[d](x[t,d]*wq[d,e])
k[t,e] = sum[d](x[t,d]*wk[d,e])
v[t,f] = sum[d](x[t,d]*wv[d,f])
s[t,u] = sum[e](q[t,e]*k[u,e])/sqrt(E)
a[t,u] = exp(s[t,u])/sum[j](exp(s[t,j]))
o[t,f] = sum[u](a[t,u]*v[u,f])
output o
