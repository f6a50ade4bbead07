layer mlp
input x[D], w1[H, D], b1[H], w2[K, H], b2[K]

z1[h] = b1[h] + sum[d](w1[h,d]*x[d])
a1[h] = relu(z1[h])
z2[k] = b2[k] + sum[h](w2[k,h]*a1[h])
output z2
