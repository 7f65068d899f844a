"""Means of embedded tokens, read out by the same table that they were read from."""

import bpgen as bp
from bpgen.layers import embedding, linear
from bpgen.losses import focal

tokens = bp.input("tokens", 5, dtype="int", below=7)
wanted = bp.input("wanted", 7)

table = bp.parameter("table", bp.index("v", 7), bp.index("c", 3))
h = embedding(tokens, 3, weight=table)
n, t, c = h.indices
bag = bp.define("bag", (n, c), bp.mean(h[n, t, c], over=t))
logits = linear(bag, 7, weight=table, transposed=True, name="out")
loss = focal(logits, wanted)
model = bp.Model(loss=loss, outputs={"logits": logits})
