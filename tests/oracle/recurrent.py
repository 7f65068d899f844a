"""The recurrent layers in torch: its own modules with our weights, and loops that cut gradients."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]


def weights(p: Tensors, name: str, suffix: str = "") -> Tensors:
    """The parameters of the layer `name` as torch's modules call them."""
    b = p[f"{name}_b"]
    own = torch.zeros_like(b)
    if f"{name}_c" in p:
        c = p[f"{name}_c"]
        own = torch.cat([torch.zeros(2 * len(c), dtype=c.dtype), c])
    found = {
        "weight_ih": p[f"{name}_W"].T,
        "weight_hh": p[f"{name}_U"].T,
        "bias_ih": b,
        "bias_hh": own,
    }
    return {f"{key}_l0{suffix}": value for key, value in found.items()}


def recurrent(
    kind: type[torch.nn.RNNBase], x: Tensor, p: Tensors, name: str, *start: Tensor
) -> Tensor:
    """Torch's layer over x[n,t,d]; `start` are the states before the first step."""
    layer = kind(x.shape[-1], len(p[f"{name}_U"]), batch_first=True, dtype=x.dtype)
    states = tuple(s.expand(1, len(x), s.shape[-1]).contiguous() for s in start)
    given = (x, states if len(states) > 1 else states[0]) if states else (x,)
    y: Tensor = torch.func.functional_call(layer, weights(p, name), given)[0]
    return y


def both_ways(kind: type[torch.nn.RNNBase], x: Tensor, p: Tensors, name: str) -> Tensor:
    """Torch's bidirectional layer."""
    units = len(p[f"{name}_forward_U"])
    layer = kind(x.shape[-1], units, batch_first=True, bidirectional=True, dtype=x.dtype)
    given = {**weights(p, f"{name}_forward"), **weights(p, f"{name}_backward", "_reverse")}
    y: Tensor = torch.func.functional_call(layer, given, (x,))[0]
    return y


def backwards(layer: Callable[..., Tensor], x: Tensor, *rest: object) -> Tensor:
    """A layer over the sequence in reverse."""
    return layer(x.flip(1), *rest).flip(1)


def cut_lstm(x: Tensor, p: Tensors, name: str, every: int, *start: Tensor) -> Tensor:
    """LSTM as a loop, whose states are detached at every `every`-th step but the first."""
    zeros = torch.zeros(len(x), len(p[f"{name}_U"]), dtype=x.dtype)
    h, c = start or (zeros, zeros)
    states = []
    for t in range(x.shape[1]):
        if t and t % every == 0:
            h, c = h.detach(), c.detach()
        z = x[:, t] @ p[f"{name}_W"] + h @ p[f"{name}_U"] + p[f"{name}_b"]
        i, f, g, o = z.chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        states.append(h)
    return torch.stack(states, 1)


def cut_rnn(x: Tensor, p: Tensors, name: str, every: int) -> Tensor:
    """A simple recurrence as a loop, cut likewise."""
    h = torch.zeros(len(x), len(p[f"{name}_U"]), dtype=x.dtype)
    states = []
    for t in range(x.shape[1]):
        h = h.detach() if t % every == 0 else h
        h = (x[:, t] @ p[f"{name}_W"] + h @ p[f"{name}_U"] + p[f"{name}_b"]).tanh()
        states.append(h)
    return torch.stack(states, 1)
