"""A network with a long and short memory, read at its last step."""

import bpgen as bp
from bpgen.layers import linear, lstm
from bpgen.losses import mean_squared_error

x = bp.input("x", 5, 2)
y = bp.input("y", 2)

h = lstm(x, 3, name="lstm")
prediction = linear(h[:, -1], 2, name="fc")
loss = mean_squared_error(prediction, y)
model = bp.Model(loss=loss, outputs={"y": prediction})
