"""Long short-term memory."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.activations import sigmoid, tanh
from bpgen.layers.recurrent import Start, cell


def lstm(
    x: bp.Tensor,
    units: int,
    *,
    reverse: bool = False,
    truncate: int | None = None,
    start: tuple[Start, Start] = (0, 0),
    name: str | None = None,
) -> bp.Tensor:
    """Read a sequence step by step, with a memory that gates write, keep and show.

    Formula:
        z[…,t,m] = Σ_d x[…,t,d] W[d,m] + Σ_j h[…,t-1,j] U[j,m] + b[m]
        zi, zf, zg, zo = the four quarters of z, in this order
        i = σ(zi), f = σ(zf), g = tanh(zg), o = σ(zo)
        c[…,t,k] = f[…,t,k] c[…,t-1,k] + i[…,t,k] g[…,t,k]
        h[…,t,k] = o[…,t,k] tanh(c[…,t,k])

    With `reverse` it runs from the last step to the first, and reads step t+1 instead.

    Shapes: x[…,t,d] -> h[…,t,k]; `start` holds h[…,-1,k] and c[…,-1,k], numbers or tensors over
    […,k] or [k]; parameters `name_W[d,m]`, `name_U[j,m]`, `name_b[m]` (uniform, ±1/√K), M = 4 K.
    Units: `truncate` counts steps: cotangents flow back within stretches of so many.
    Errors: ShapeError if `x` has no axis for steps, or a start another shape; OptionError if
    `truncate` is not a positive integer.
    Source: Hochreiter & Schmidhuber 1997, Long short-term memory; forget gate: Gers, Schmidhuber &
    Cummins 2000, Learning to forget.
    """
    own = cell("lstm", x, units, name=name, reverse=reverse, truncate=truncate)
    at, k = own.at, own.unit
    h, h_past = own.state("h", start[0])
    c, c_past = own.state("c", start[1])
    gate = own.gates(own.inputs(4, past=h_past), 4)
    zi, zf, zg, zo = (own.define(stem, gate(q)) for q, stem in enumerate(("zi", "zf", "zg", "zo")))
    i, f = own.define("i", sigmoid(zi[at])), own.define("f", sigmoid(zf[at]))
    g, o = own.define("g", tanh(zg[at])), own.define("o", sigmoid(zo[at]))
    c.becomes(f[at] * c_past(k) + i[at] * g[at])
    shown = own.define("c_tanh", tanh(c[at]))
    h.becomes(o[at] * shown[at])
    return h
