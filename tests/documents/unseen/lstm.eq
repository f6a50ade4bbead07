layer lstm_cell
input ai[K], af[K], ao[K], ag[K], c0[K]

i[k] = sigmoid(ai[k])
f[k] = sigmoid(af[k])
o[k] = sigmoid(ao[k])
g[k] = tanh(ag[k])
c[k] = f[k]*c0[k] + i[k]*g[k]
h[k] = o[k]*tanh(c[k])
output h
