layer attention
input q[M, D], k[N, D], v[N, B]

s[m,n] = sum[d](q[m,d]*k[n,d])/sqrt(D)
p[m,n] = exp(s[m,n])/sum[j](exp(s[m,j]))
o[m,b] = sum[n](p[m,n]*v[n,b])
output o
