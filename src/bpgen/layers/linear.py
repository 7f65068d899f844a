"""The affine map of the last axis."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.errors import ShapeError
from bpgen.layers.sharing import shared_weight


def linear(
    x: bp.Tensor,
    units: int,
    *,
    name: str | None = None,
    bias: bool = True,
    init: bp.init.Rule | None = None,
    inputs: int | None = None,
    weight: bp.Tensor | None = None,
    transposed: bool = False,
) -> bp.Tensor:
    """Multiply the last axis of `x` by a matrix and add a bias.

    Formula:
        z[…,h] = Σ_d x[…,d] W[d,h] + b[h]

    Shapes: x[…,d] -> z[…,h]; parameters `name_W[d,h]` (he), `name_b[h]` = 0.
    `inputs` states D; it need not be given. `weight` is a matrix W[d,h] that is there already, and
    with `transposed` one W[h,d]: an output layer that shares the table of an embedding.
    Errors: ShapeError if `x` has no axis but the batch, if `inputs` is not the extent of its last
    axis, or if `weight` has another size.
    """
    *outer, d = last_axis(x, "linear", inputs)
    h = bp.fresh_index(units, "h", *x.indices)
    if weight is None:
        weight = bp.parameter(f"{name}_W" if name else bp.Auto("W"), d, h, init=init)
    else:
        sizes = (units, d.extent.value) if transposed else (d.extent.value, units)
        axes = shared_weight("linear", weight, *sizes)
        own = axes[0] if transposed else axes[1]
        h = h if own in x.indices else own
    entry = weight[h, d] if transposed else weight[d, h]
    z = bp.sum(x[x.indices] * entry, over=d)
    if bias:
        b = bp.parameter(f"{name}_b" if name else bp.Auto("b"), h, init=bp.init.zeros())
        z = z + b[h]
    return bp.define(bp.Auto("z"), (*outer, h), z)


def last_axis(x: bp.Tensor, layer: str, stated: int | None = None) -> tuple[bp.Index, ...]:
    """Return the indices of `x`, whose last one `layer` works on and is to have `stated` values.

    Errors: ShapeError if there is no axis but the batch, or it has another extent.
    """
    if not x.indices or x.indices[-1].extent.value is None:
        raise ShapeError(
            f"{layer} needs an axis besides the batch",
            where=bp.here(),
            disagree=f"it is given {x!r}",
            way_out="Declare the input with an extent: bp.input(…, 64).",
        )
    last = x.indices[-1]
    if stated is not None and stated != last.extent.value:
        raise ShapeError(
            f"{layer} cannot follow `{x.label}`",
            where=bp.here(),
            disagree=f"{x!r} has {last.extent} = {last.extent.value}; inputs={stated}",
            rule=f"Σ_{last} runs over both, so the two must be equal.",
            way_out=f"Drop inputs={stated} to take the size from `{x.label}`.",
        )
    return x.indices
