"""A gated recurrence forwards and a plain one backwards in time, counted events as targets."""

import bpgen as bp
from bpgen.layers import gru, linear, rnn
from bpgen.losses import poisson_nll

x = bp.input("x", 4, 2)
count = bp.input("count", 4, 1)

h = rnn(gru(x, 3, name="gru"), 2, reverse=True, name="rnn")
rate = linear(h, 1, name="fc")
loss = poisson_nll(rate, count)
model = bp.Model(loss=loss, outputs={"log_rate": rate})
