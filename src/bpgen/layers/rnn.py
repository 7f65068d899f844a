"""The simple recurrent layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bpgen import declare as bp
from bpgen.activations import tanh
from bpgen.errors import OptionError
from bpgen.layers.recurrent import Start, cell


def rnn(
    x: bp.Tensor,
    units: int,
    *,
    activation: Callable[[Any], Any] = tanh,
    reverse: bool = False,
    truncate: int | None = None,
    start: Start = 0,
    name: str | None = None,
) -> bp.Tensor:
    """Read a sequence step by step, and keep what was read in a state.

    Formula:
        z[…,t,k] = Σ_d x[…,t,d] W[d,k] + Σ_j h[…,t-1,j] U[j,k] + b[k]
        h[…,t,k] = activation(z[…,t,k])

    With `reverse` it runs from the last step to the first, and reads h[…,t+1,j]. `activation` is a
    formula of one entry: what `bp.activation` returns.

    Shapes: x[…,t,d] -> h[…,t,k]; `start` is h[…,-1,k], a number or a tensor over […,k] or [k];
    parameters `name_W[d,k]`, `name_U[j,k]`, `name_b[k]` (uniform, ±1/√K).
    Units: `truncate` counts steps: cotangents flow back within stretches of so many.
    Errors: ShapeError if `x` has no axis for steps, or `start` another shape; OptionError if
    `truncate` is not a positive integer, or `activation` no formula of one entry.
    Source: Elman 1990, Finding structure in time, section 3; truncation: Williams & Peng 1990, An
    efficient gradient-based algorithm for on-line training of recurrent network trajectories.
    """
    own = cell("rnn", x, units, name=name, reverse=reverse, truncate=truncate)
    h, past = own.state("h", start)
    k = own.unit
    d = x.indices[-1]
    W, b = own.parameter("W", d, k), own.parameter("b", k)
    summed = bp.sum(x[x.indices] * W[d, k], over=d) + own.product(past, k) + b[k]
    z = own.define("z", summed)
    h.becomes(_of_an_entry(activation, z[own.at]))
    return h


def _of_an_entry(activation: Callable[[Any], Any], z: bp.Formula) -> bp.Formula:
    try:
        return activation(z)
    except TypeError as error:
        raise OptionError(
            "`activation` of rnn is no formula of one entry",
            where=bp.here(),
            disagree=f"{getattr(activation, '__name__', activation)}(z[n,t,k]) raises: {error}",
            rule="A state is computed entry by entry; a layer with equations of its own is not.",
            way_out="Give tanh, relu, …, or bp.activation(lambda z: …).",
        ) from error
