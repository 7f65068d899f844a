"""What every loss asks of the tensors it compares: the same extents, so that entry meets entry."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.errors import ShapeError


def paired(
    loss: str, prediction: bp.Tensor, *others: bp.Tensor, axis: bool = False
) -> tuple[bp.Index, ...]:
    """Return the indices of `prediction`, by which each of `others` can be read too.

    `axis` asks for an axis besides the batch.
    Errors: ShapeError if one of `others` has other extents, or if there is no such axis.
    """
    if axis and (len(prediction.indices) < 2 or prediction.indices[-1].extent.value is None):
        raise ShapeError(
            f"{loss} needs an axis besides the batch",
            where=bp.here(),
            disagree=f"it is given {prediction!r}",
            way_out="Give the prediction an axis to sum over.",
        )
    for other in others:
        if prediction.tensor.shape != other.tensor.shape:
            raise ShapeError(
                f"{loss} cannot compare `{prediction.label}` with `{other.label}`",
                where=bp.here(),
                disagree=f"{described(prediction)}; {described(other)}",
                rule="They are compared entry by entry, and nothing is broadcast.",
                way_out="Give both the same extents: one output for each target.",
            )
    return prediction.indices


def residual(loss: str, prediction: bp.Tensor, target: bp.Tensor) -> bp.Tensor:
    """Return r[I] = prediction[I] - target[I].

    Errors: ShapeError if the extents differ.
    """
    at = paired(loss, prediction, target)
    return bp.define(bp.Auto("r", always=False), at, prediction[at] - target[at])


def described(tensor: bp.Tensor) -> str:
    """Return a tensor and its extents as a message states them: `y[n,k] has N = batch, K = 3`."""
    axes = ", ".join(f"{i.extent} = {i.extent.value or 'batch'}" for i in tensor.indices)
    return f"{tensor!r} has {axes or 'no axis'}"
