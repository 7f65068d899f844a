"""One minus the overlap of two sets."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.losses.pairing import paired


def dice(prediction: bp.Tensor, target: bp.Tensor, *, smooth: float = 1) -> bp.Tensor:
    """Average over examples one minus the overlap of predicted probabilities and answers 0 and 1.

    Formula:
        both[n] = Σ prediction[n,…] target[n,…]
        size[n] = Σ prediction[n,…] + Σ target[n,…]
        L       = mean ( 1 - (2 both[n] + smooth) / (size[n] + smooth) )

    Shapes: prediction[n,…], target[n,…] -> L; sums run over all axes but the batch. A network that
    ends with logits is given as `dice(sigmoid(logits), target)`.
    Units: `smooth` counts entries: it is what an empty set overlaps with itself.
    Errors: ShapeError if the two have different extents, or no axis but the batch; OptionError if
    `smooth` is not positive.
    Source: Milletari, Navab & Ahmadi 2016, arXiv:1606.04797, section 3, there with squares in
    size[n].
    """
    spare = bp.option("`smooth`", smooth, above=0)
    n, *rest = at = paired("dice", prediction, target, axis=True)
    row = (n,)
    product = bp.sum(prediction[at] * target[at], over=rest)
    both = bp.define(bp.Auto("both", always=False), row, product)
    sizes = bp.sum(prediction[at] + target[at], over=rest)
    size = bp.define(bp.Auto("size", always=False), row, sizes)
    entry = 1 - (2 * both[row] + spare) / (size[row] + spare)
    return bp.define(bp.Auto("dice", always=False), (), bp.mean(entry, over=n))
