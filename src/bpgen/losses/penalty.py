"""Penalties on weights: which tensors they fall on, and their sum."""

from __future__ import annotations

from collections.abc import Callable

from sympy import Add

from bpgen import declare as bp
from bpgen.errors import FormulaError


def sum_over_weights(
    name: str,
    tensors: tuple[bp.Tensor, ...],
    strength: float,
    formula: Callable[[bp.Formula], bp.Formula],
) -> bp.Tensor:
    """Return `strength` Σ formula(W[I]) over all entries of all weights that `tensors` stand for.

    A parameter stands for itself; a computed tensor for every weight it is computed from, that is,
    every parameter with two axes or more: biases, gains and shifts stay free.
    Errors: FormulaError if `tensors` stand for no weight; OptionError if `strength` is not
    positive.
    """
    bp.option("`strength`", strength, above=0)
    weights = sorted({w for t in tensors for w in _weights(t)}, key=lambda w: w.serial)
    if not weights:
        raise FormulaError(
            f"{name} finds no weight",
            where=bp.here(),
            disagree=f"it is given {', '.join(map(repr, tensors)) or 'no tensor'}",
            rule="It falls on parameters, and on the weights (two axes or more) behind tensors.",
            way_out=f"Give it the network's output: {name}(logits, strength={strength!r}).",
        )
    terms = [bp.sum(strength * formula(w[w.indices]), over=w.indices) for w in weights]
    return bp.define(bp.Auto(name, always=False), (), Add(*terms))


def _weights(tensor: bp.Tensor) -> list[bp.Tensor]:
    if tensor.tensor.role is bp.Role.PARAMETER:
        return [tensor]
    reached = bp.reachable([tensor])
    return [t for t in reached if t.tensor.role is bp.Role.PARAMETER and len(t.indices) > 1]
