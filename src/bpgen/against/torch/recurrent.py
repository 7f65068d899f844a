"""Recurrent layers: torch's own modules, with the weights of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from bpgen.against.framework import Entry, Tensors, halves

_KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def weights(W: Any, b: Any, U: Any, c: Any = None, *, suffix: str = "") -> dict[str, Any]:
    """Return the parameters of a layer as torch's modules call them; its second bias is ours `c`.

    Only the last third of it is a parameter of ours: the others would add to those of `b`.
    """
    own = torch.zeros_like(b)
    if c is not None:
        own = torch.cat([torch.zeros(2 * len(c), dtype=c.dtype), c])
    found = {"weight_ih": W.T, "weight_hh": U.T, "bias_ih": b, "bias_hh": own}
    return {f"{key}_l0{suffix}": value for key, value in found.items()}


def recurrent(
    name: str,
    x: Any,
    layers: Sequence[Sequence[Any]],
    *,
    start: Any = 0,
    truncate: int | None = None,
    **options: Any,
) -> Any:
    """Return what torch's layer makes of x[…,t,d]; in both directions, if there are two `layers`.

    A layer is its parameters W, b, U and c, if it has one; `start` is its state before the first
    step, or both of its states. After every `truncate` steps the states are detached.
    """
    both = len(layers) > 1
    units = len(layers[0][2])
    made = {"batch_first": True, "bidirectional": both, "dtype": x.dtype, **options}
    module = _KINDS[name](x.shape[-1], units, **made)
    given = weights(*layers[0])
    if both:
        given |= weights(*layers[1], suffix="_reverse")
    rows = x.flatten(0, -3)
    state = _states(name, start, x, units, len(layers))
    pieces = []
    for piece in rows.split(truncate or rows.shape[1], 1):
        y, state = torch.func.functional_call(module, given, (piece, state))
        state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        pieces.append(y)
    return torch.cat(pieces, 1).unflatten(0, x.shape[:-2])


def _states(name: str, start: Any, x: Any, units: int, directions: int) -> Any:
    """Return the states before the first step, alike in both directions, as torch takes them."""
    count = 2 if name == "lstm" else 1
    starts = start if isinstance(start, tuple) else (start,) * count
    shape = (*x.shape[:-2], units)
    states = tuple(
        torch.as_tensor(s, dtype=x.dtype).expand(shape).reshape(1, -1, units) for s in starts
    )
    repeated = tuple(s.repeat(directions, 1, 1) for s in states)
    return repeated if count > 1 else repeated[0]


def _options(a: Any) -> dict[str, Any] | None:
    """Return the options of torch's module; None if it has not this activation."""
    match getattr(a, "activation", "tanh"):
        case "tanh":
            return {}
        case "relu":
            return {"nonlinearity": "relu"}
        case _:
            return None


def _layer(name: str) -> Entry:
    def apply(a: Any, p: Tensors) -> Any:
        options = _options(a)
        if options is None:
            return None
        x = a.x.flip(-2) if a.reverse else a.x
        y = recurrent(name, x, [[*p.values()]], start=a.start, truncate=a.truncate, **options)
        return y.flip(-2) if a.reverse else y

    return apply


def _both_ways(a: Any, p: Tensors) -> Any:
    """Use torch's bidirectional module, whose gradient is cut nowhere."""
    options = _options(a)
    if a.layer not in _KINDS or getattr(a, "truncate", None) is not None or options is None:
        return None
    return recurrent(a.layer, a.x, halves(p), start=getattr(a, "start", 0), **options)


ENTRIES: Mapping[str, Entry] = {
    **{name: _layer(name) for name in _KINDS},
    "bidirectional": _both_ways,
}
