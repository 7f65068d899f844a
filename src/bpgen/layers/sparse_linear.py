"""The affine map whose outputs see a few inputs each."""

from __future__ import annotations

from random import Random

from bpgen import declare as bp
from bpgen.layers.linear import last_axis
from bpgen.layers.naming import called


def sparse_linear(
    x: bp.Tensor,
    units: int,
    k: int,
    *,
    seed: int = 0,
    name: str | None = None,
    bias: bool = True,
    init: bp.init.Rule | None = None,
) -> bp.Tensor:
    """Connect each output with `k` of the D inputs, one of the C(D, k) choices, drawn once.

    Formula:
        pattern[h,j] = the inputs that output h sees, in rising order
        z[…,h] = Σ_j x[…, pattern[h,j]] W[h,j] + b[h]

    Each output's choice is drawn by `seed` from all C(D, k) with equal chance, independently of the
    others, by the numbers `random.Random(seed).random()`, which every Python gives alike.

    Shapes: x[…,d] -> z[…,h]; parameters `name_W[h,j]` (he, fan k), `name_b[h]` = 0; table
    `name_pattern[h,j]`.
    Errors: ShapeError if `x` has no axis but the batch; OptionError unless `k` is from 1 to D;
    ExtentError if it is no whole number.
    Source: the choice by algorithm F2 of Floyd, in Bentley 1987, Programming pearls: a sample of
    brilliance.
    """
    *outer, d = at = last_axis(x, "sparse_linear")
    inputs = d.extent.value or 0
    bp.option("`k`", k, at_least=1, at_most=inputs)
    h = bp.fresh_index(units, "h", *at)
    j = bp.fresh_index(k, "j", *at, h)
    random = Random(seed)  # noqa: S311  a pattern is no secret
    drawn = [_choice(random, inputs, k) for _ in range(units)]
    pattern = bp.table(called(name, "pattern"), (h, j), drawn)
    W = bp.parameter(called(name, "W"), h, j, init=init, fan_in=j.extent, fan_out=h.extent)
    z = bp.sum(x[(*outer, pattern[h, j])] * W[h, j], over=j)
    if bias:
        z = z + bp.parameter(called(name, "b"), h, init=bp.init.zeros())[h]
    return bp.define(bp.Auto("z"), (*outer, h), z)


def _choice(random: Random, inputs: int, k: int) -> list[int]:
    """Return k different numbers of 0 … inputs-1, in rising order."""
    chosen: set[int] = set()
    for last in range(inputs - k, inputs):
        drawn = int(random.random() * (last + 1))
        chosen.add(last if drawn in chosen else drawn)
    return sorted(chosen)
