"""Measure of how far a sung note is off pitch, from the spectrum around the note that was meant."""

import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import linear
from bpgen.losses import mean_absolute_error
from bpgen.optimizers import adam

spectrum = bp.input("spectrum", 128)  # spectrum[n,b]: 0 … 1 for -60 … 0 dB, a bin every 25 cents
error = bp.input("error", 1)  # cents: what was sung less what was meant

h1 = relu(linear(spectrum, 64, name="fc1"))
h2 = relu(linear(h1, 32, name="fc2"))
cents = linear(h2, 1, name="fc3") * 50  # an error is half a semitone at most

model = bp.Model(
    loss=mean_absolute_error(cents, error),
    outputs={"cents": cents},
    optimizer=adam(2e-3),
    data="sung_notes",
    epochs=40,
)
