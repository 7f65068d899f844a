"""The gated recurrent unit."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.activations import sigmoid, tanh
from bpgen.layers.recurrent import Start, cell


def gru(
    x: bp.Tensor,
    units: int,
    *,
    reverse: bool = False,
    truncate: int | None = None,
    start: Start = 0,
    name: str | None = None,
) -> bp.Tensor:
    """Read a sequence step by step, with gates that reset the state and keep it.

    Formula:
        v[…,t,m] = Σ_d x[…,t,d] W[d,m] + b[m]
        u[…,t,m] = Σ_j h[…,t-1,j] U[j,m]
        zr, zz = vr + ur, vz + uz and zn = vn + r (un + c), of the thirds r, z, n of v and u
        r = σ(zr), z = σ(zz), new = tanh(zn)
        h[…,t,k] = (1 - z[…,t,k]) new[…,t,k] + z[…,t,k] h[…,t-1,k]

    With `reverse` it runs from the last step to the first, and reads h[…,t+1,j].

    Shapes: x[…,t,d] -> h[…,t,k]; `start` is h[…,-1,k], a number or a tensor over […,k] or [k];
    parameters `name_W[d,m]`, `name_U[j,m]`, `name_b[m]`, `name_c[k]` (uniform, ±1/√K), M = 3 K.
    Units: `truncate` counts steps: cotangents flow back within stretches of so many.
    Errors: ShapeError if `x` has no axis for steps, or `start` another shape; OptionError if
    `truncate` is not a positive integer.
    Source: Cho, van Merriënboer, Gulcehre, Bahdanau, Bougares, Schwenk & Bengio 2014,
    arXiv:1406.1078, section 2.3; the reset after the product: arXiv:1412.3555, footnote 1.
    """
    own = cell("gru", x, units, name=name, reverse=reverse, truncate=truncate)
    at, k = own.at, own.unit
    h, past = own.state("h", start)
    v = own.inputs(3, stem="v")
    m = v.indices[-1]
    u = bp.define(own.label("u"), v.indices, own.product(past, m))
    from_x, from_h = own.gates(v, 3), own.gates(u, 3)
    zr, zz = own.define("zr", from_x(0) + from_h(0)), own.define("zz", from_x(1) + from_h(1))
    r, z = own.define("r", sigmoid(zr[at])), own.define("z", sigmoid(zz[at]))
    un = own.define("un", from_h(2) + own.parameter("c", k)[k])
    zn = own.define("zn", from_x(2) + r[at] * un[at])
    new = own.define("new", tanh(zn[at]))
    h.becomes((1 - z[at]) * new[at] + z[at] * past(k))
    return h
