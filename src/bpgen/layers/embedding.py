"""The table of vectors that integers stand for."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.errors import FormulaError
from bpgen.layers.naming import called
from bpgen.layers.sharing import shared_weight


def embedding(
    tokens: bp.Tensor,
    features: int,
    *,
    name: str | None = None,
    init: bp.init.Rule | None = None,
    weight: bp.Tensor | None = None,
) -> bp.Tensor:
    """Look up the vector of each token in a table that training changes.

    Formula:
        y[…,h] = W[tokens[…], h]

    Shapes: tokens[…] of integers below V -> y[…,h]; parameter `name_W[v,h]` (normal, deviation 1),
    or `weight`, a matrix of that size that is there already.
    Errors: FormulaError if `tokens` are not integers with a stated bound; ShapeError if `weight`
    has another size.
    Source: Bengio, Ducharme, Vincent & Jauvin 2003, A neural probabilistic language model,
    section 2.
    """
    vocabulary = tokens.tensor.below
    if vocabulary is None:
        raise FormulaError(
            f"embedding cannot look up `{tokens.label}`",
            where=bp.here(),
            disagree=f"the entries of {tokens!r} are real numbers",
            rule="An entry says which row of the table is read, so it is an integer.",
            way_out='Declare tokens: bp.input("tokens", …, dtype="int", below=96).',
        )
    at = tokens.indices
    v = bp.fresh_index(vocabulary, "v", *at)
    h = bp.fresh_index(features, "h", *at, v)
    if weight is None:
        weight = bp.parameter(called(name, "W"), v, h, init=init or bp.init.normal())
    else:
        _, own = shared_weight("embedding", weight, vocabulary, features)
        h = h if own in at else own
    return bp.define(bp.Auto("y"), (*at, h), weight[tokens[at], h])
