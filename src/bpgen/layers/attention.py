"""Scaled dot-product attention with several heads."""

from __future__ import annotations

from functools import partial

import sympy

from bpgen import declare as bp
from bpgen.errors import ShapeError
from bpgen.layers.causal_softmax import causal_softmax
from bpgen.layers.demands import needed_axes, part
from bpgen.layers.masked_softmax import masked_softmax
from bpgen.layers.naming import called
from bpgen.layers.rotary import turned
from bpgen.layers.softmax import softmax
from bpgen.losses.pairing import described


def attention(
    x: bp.Tensor,
    heads: int,
    *,
    keys: bp.Tensor | None = None,
    causal: bool = False,
    mask: bp.Tensor | None = None,
    rotary: bool = False,
    groups: int | None = None,
    bias: bool = True,
    name: str | None = None,
    init: bp.init.Rule | None = None,
) -> bp.Tensor:
    """Let each position take from all positions what it asks for, once for each head.

    Formula:
        q[…,t,a,k]     = Σ_d x[…,t,d] Wq[d,a,k] + bq[a,k]
        key[…,s,a,k]   = Σ_e keys[…,s,e] Wk[e,a,k]
        value[…,s,a,k] = Σ_e keys[…,s,e] Wv[e,a,k] + bv[a,k]
        score[…,a,t,s] = Σ_k q[…,t,a,k] key[…,s,a,k] / √K
        p[…,a,t,s]     = softmax of score[…,a,t,s] over s (over s ≤ t if `causal`)
        mixed[…,t,a,k] = Σ_s p[…,a,t,s] value[…,s,a,k]
        o[…,t,h]       = Σ_a Σ_k mixed[…,t,a,k] Wo[a,k,h] + bo[h]

    With `groups` there are as many heads of keys and values, each shared by heads / groups heads
    of queries: q, score, mixed and Wo have an axis r after a. Keys need no bias: it would cancel
    in the softmax. `mask[n,s]`, or `mask[n,t,s]`, is positive where a position is seen; a query
    that sees nothing has mixed = 0. `rotary` turns queries and keys by their positions first.

    Shapes: x[…,t,d] -> o[…,t,h] with H = D = heads K; keys[…,s,e], or `x` itself if not given;
    parameters `name_Wq`, `name_Wk`, `name_Wv`, `name_Wo` (glorot), `name_bq`, `name_bv`,
    `name_bo` = 0.
    Errors: ShapeError if `heads` does not divide D, or `groups` does not divide `heads`, or the
    keys are not those of the same examples, or the mask does not fit.
    Source: Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser & Polosukhin 2017,
    arXiv:1706.03762, section 3.2; groups: Ainslie, Lee-Thorp, de Jong, Zemlyanskiy, Lebrón &
    Sanghai 2023, arXiv:2305.13245, section 2.2.
    """
    *row, _, d = needed_axes(x, "attention", "x[n,t,d]")
    source = x if keys is None else _checked_keys(x, keys)
    *_, positions, e = source.indices
    head, k = _heads(d, heads, heads if groups is None else groups, (*x.indices, positions, e))
    s = bp.fresh_index(positions.extent.value or 0, "s", *x.indices, e, *head, k)
    project = partial(_projected, name=name, init=init or bp.init.glorot())
    q = project("q", x, x.indices, (*head, k), bias=bias)
    key = project("k", source, (*row, s, e), (head[0], k), bias=False)
    value = project("v", source, (*row, s, e), (head[0], k), bias=bias)
    mixed = _mixed(q, key, value, head, causal=causal, mask=mask, rotary=rotary, name=name)
    h = bp.fresh_index(d.extent.value or 0, "h", *mixed.indices)
    return project("o", mixed, mixed.indices, (h,), bias=bias, over=(*head, k))


def _mixed(
    q: bp.Tensor,
    key: bp.Tensor,
    value: bp.Tensor,
    head: tuple[bp.Index, ...],
    *,
    causal: bool,
    mask: bp.Tensor | None,
    rotary: bool,
    name: str | None,
) -> bp.Tensor:
    """Return the values of all positions, each weighed by how well its key answers the query."""
    *row, s, _, k = key.indices
    t = q.indices[len(row)]
    at = (*row, *head, t, s)
    if rotary:
        q, key = turned(q, t, 10000), turned(key, s, 10000)
    query = q[q.indices] / sympy.sqrt(k.extent)
    score = bp.define(called(name, "score"), at, bp.sum(query * key[key.indices], over=k))
    if mask is not None:
        p = masked_softmax(score, mask, causal=causal)
    else:
        p = causal_softmax(score) if causal else softmax(score)
    taken = bp.sum(p[at] * value[value.indices], over=s)
    return bp.define(called(name, "mixed"), (*row, t, *head, k), taken)


def _projected(
    stem: str,
    x: bp.Tensor,
    at: tuple[bp.Index, ...],
    to: tuple[bp.Index, ...],
    *,
    over: tuple[bp.Index, ...] = (),
    name: str | None,
    init: bp.init.Rule,
    bias: bool,
) -> bp.Tensor:
    """Return `stem[…,I] = Σ_J x[…,J] Wstem[J,I] + bstem[I]`: I are `to`, J `over` or the last."""
    inner = over or at[-1:]
    fans = {"fan_in": bp.size(inner), "fan_out": bp.size(to)}
    W = bp.parameter(called(name, f"W{stem}"), *inner, *to, init=init, **fans)
    z = bp.sum(x[at] * W[(*inner, *to)], over=inner)
    if bias:
        z = z + bp.parameter(called(name, f"b{stem}"), *to, init=bp.init.zeros())[to]
    return bp.define(called(name, stem), (*at[: -len(inner)], *to), z)


def _heads(
    d: bp.Index, heads: int, groups: int, avoid: tuple[bp.Index, ...]
) -> tuple[tuple[bp.Index, ...], bp.Index]:
    """Return the indices of the heads of queries, those of keys first, and that inside a head."""
    width = part("attention", "heads", d, heads)
    every = bp.fresh_index(heads, "a", *avoid)
    shared = part("attention", "groups", every, groups)
    a = bp.fresh_index(groups, "a", *avoid)
    r = bp.fresh_index(shared, "r", *avoid, a)
    k = bp.fresh_index(width, "k", *avoid, a, r)
    return ((a,) if shared == 1 else (a, r)), k


def _checked_keys(x: bp.Tensor, keys: bp.Tensor) -> bp.Tensor:
    at = needed_axes(keys, "attention", "keys[n,s,e]")
    if at[:-2] != x.indices[:-2]:
        raise ShapeError(
            f"attention cannot take keys from `{keys.label}`",
            where=bp.here(),
            disagree=f"{described(x)}; {described(keys)}",
            rule="Both are of the same examples: all axes but the last two agree.",
            way_out=f"Give keys the axes {x!r} has, but for positions and features.",
        )
    return keys
