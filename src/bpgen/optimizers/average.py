"""The running mean that optimizers keep of gradients."""

from __future__ import annotations

from bpgen import declare as bp


def running_mean(name: str, beta: float, mean: bp.Formula, value: bp.Formula) -> bp.Formula:
    """Return beta mean + (1 - beta) value, the mean of values whose weights decay by `beta` a step.

    Errors: OptionError if `beta`, which messages call `name`, is not at least 0 and below 1.
    """
    kept = bp.option(f"`{name}`", beta, at_least=0, below=1)
    return kept * mean + (1 - kept) * value
