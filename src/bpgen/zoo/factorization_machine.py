"""Factorization machine for the progress of diabetes, a layer declared here."""

import bpgen as bp
from bpgen.losses import l2, mean_squared_error
from bpgen.optimizers import adam


def factorization_machine(x: bp.Tensor, factors: int, *, name: str) -> bp.Tensor:
    """Add what each feature says to what each pair of features says, by a few factors.

    Formula:
        u[n,r] = Σ_d x[n,d] V[d,r],  q[n,r] = Σ_d x[n,d]² V[d,r]²
        y[n]   = w0 + Σ_d w[d] x[n,d] + Σ_r (u[n,r]² - q[n,r]) / 2

    Shapes: x[n,d] -> y[n]; parameters `name_w0` = 0, `name_w[d]` = 0, `name_V[d,r]` near 0.
    Source: Rendle 2010, Factorization machines, eq. 1 and lemma 3.1.
    """
    n, d = x.indices
    r = bp.index("r", factors)
    w0 = bp.parameter(f"{name}_w0", init=bp.init.zeros())
    w = bp.parameter(f"{name}_w", d, init=bp.init.zeros())
    V = bp.parameter(f"{name}_V", d, r, init=bp.init.normal(0.1))
    u = bp.define(f"{name}_u", (n, r), bp.sum(x[n, d] * V[d, r], over=d))
    q = bp.define(f"{name}_q", (n, r), bp.sum(x[n, d] ** 2 * V[d, r] ** 2, over=d))
    pairs = bp.sum((u[n, r] ** 2 - q[n, r]) / 2, over=r)
    return bp.define(f"{name}_y", (n,), w0[()] + bp.sum(w[d] * x[n, d], over=d) + pairs)


x = bp.input("x", 10)  # x[n,d]: ten measurements of a patient, standardised
y = bp.input("y", 1)  # the progress of the disease after a year, standardised

prediction = factorization_machine(x, 4, name="fm")
n, _ = y.indices
target = bp.define("target", (n,), y[n, 0])

model = bp.Model(
    loss=mean_squared_error(prediction, target) + l2(prediction, strength=1e-2),
    outputs={"prediction": prediction},
    optimizer=adam(1e-2),
    data="diabetes",
    epochs=40,
)
