"""A recurrent layer in both directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bpgen import declare as bp
from bpgen.layers.naming import called


def bidirectional(
    layer: Callable[..., bp.Tensor],
    x: bp.Tensor,
    units: int,
    *,
    name: str | None = None,
    **options: Any,
) -> bp.Tensor:
    """Read a sequence from both ends, by a layer for each, and put their states side by side.

    Formula:
        forward = layer(x), backward = layer(x, reverse=True)
        y[…,t,k] = forward[…,t,k], y[…,t,K+k] = backward[…,t,k]

    Shapes: x[…,t,d] -> y[…,t,m], M = 2 K; the parameters of `layer` (rnn, lstm or gru), called
    `name_forward_…` and `name_backward_…`. `options` are those of both layers.
    Errors: those of `layer`.
    Source: Schuster & Paliwal 1997, Bidirectional recurrent neural networks.
    """
    forward = layer(x, units, name=name and f"{name}_forward", **options)
    backward = layer(x, units, name=name and f"{name}_backward", reverse=True, **options)
    *row, k = at = forward.indices
    q = bp.fresh_index(2, "q", *at)
    m = bp.fresh_index(2 * units, "m", *at, q)
    both = bp.Delta(q, 0) * forward[at] + bp.Delta(q, 1) * backward[at]
    pair = bp.define(called(name, "pair"), (*row, q, k), both)
    ends = (bp.Digit(m, k.extent, 2), bp.Digit(m, 1, k.extent))
    return bp.define(called(name, "y"), (*row, m), pair[(*row, *ends)])
