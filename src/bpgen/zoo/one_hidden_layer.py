"""One hidden layer of tanh units and squared errors, the textbook case."""

import bpgen as bp
from bpgen.activations import tanh
from bpgen.layers import linear
from bpgen.losses import mean_squared_error
from bpgen.optimizers import sgd

x = bp.input("x", 10)  # x[n,d]: ten measurements of a patient, standardised
y = bp.input("y", 1)  # the progress of the disease after a year, standardised

h = tanh(linear(x, 8, name="fc1"))
prediction = linear(h, 1, name="fc2")

model = bp.Model(
    loss=mean_squared_error(prediction, y),
    outputs={"prediction": prediction},
    optimizer=sgd(0.05),
    data="diabetes",
    epochs=40,
)
