"""Schedules: the learning rate as a formula of the step number t = 1, 2, ….

A schedule stands where an optimizer takes its rate: `adam(cosine(1e-3, steps=2000, warmup=100))`.
In: numbers. Out: a function of t that returns a formula; a user may write `lambda t: 1 / t`.
"""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.declare.rule import Schedule

__all__ = ["constant", "cosine", "one_cycle", "step"]


def constant(rate: float) -> Schedule:
    """Keep the rate.

    Formula:
        lr(t) = rate

    Errors: OptionError if `rate` is not positive.
    """
    kept = bp.option("`rate`", rate, above=0)
    return lambda t: kept


def step(rate: float, *, every: int, factor: float = 0.1) -> Schedule:
    """Multiply the rate by `factor` every `every` steps.

    Formula:
        lr(t) = rate factor^⌊(t - 1) / every⌋

    Errors: OptionError if `rate` is not positive, `every` is below 1, or `factor` is not above 0
    and at most 1.
    """
    first = bp.option("`rate`", rate, above=0)
    width = bp.option("`every`", every, at_least=1)
    drop = bp.option("`factor`", factor, above=0, at_most=1)
    # With t - 1/2 the floor is the same, and no rounding can bring it below.
    return lambda t: first * drop ** sympy.floor((t - sympy.S.Half) / width)


def cosine(rate: float, *, steps: int, warmup: int = 0, lowest: float = 0) -> Schedule:
    """Rise along a line for `warmup` steps, then fall to `lowest` along half a cosine.

    Formula:
        lr(t) = rate t / warmup                                        for t ≤ warmup
        lr(t) = lowest + (rate - lowest) (1 + cos(π s)) / 2            for warmup < t ≤ steps
        lr(t) = lowest                                                 for t > steps

    where s = (t - 1 - warmup) / (steps - warmup), as in PyTorch's `CosineAnnealingLR`.

    Errors: OptionError if `rate` is not positive, `lowest` is not at least 0 and below `rate`,
    `warmup` is negative, or `steps` is not above `warmup`.
    Source: Loshchilov & Hutter 2016, arXiv:1608.03983, eq. 5; the warm-up: Goyal et al. 2017,
    arXiv:1706.02677, section 2.2.
    """
    top = bp.option("`rate`", rate, above=0)
    low = bp.option("`lowest`", lowest, at_least=0, below=rate)
    rising = bp.option("`warmup`", warmup, at_least=0)
    end = bp.option("`steps`", steps, above=warmup)

    def schedule(t: bp.Formula) -> bp.Formula:
        falling = _half_cosine(top, low, (t - 1 - rising) / (end - rising))
        late = bp.where(t > end, low, falling)
        return bp.where(t <= rising, top * t / rising, late) if rising else late

    return schedule


def one_cycle(
    rate: float, *, steps: int, rising: float = 0.3, start: float = 25, end: float = 1e4
) -> Schedule:
    """Rise from `rate`/`start` to `rate` and fall far below, each along half a cosine.

    Formula:
        low = rate / start,  last = low / end,  top = rising steps
        lr(t) = from low to rate, at (t - 1) / (top - 1) of the way            for t ≤ top
        lr(t) = from rate to last, at (t - top) / (steps - top) of the way     for top < t ≤ steps
        lr(t) = last                                                           for t > steps

    where the value at the share s of the way from a to b is b + (a - b) (1 + cos(π s)) / 2, and
    `rising` is the share of steps that rise. Meaning and defaults are those of PyTorch's
    `OneCycleLR`.

    Errors: OptionError if `rate` is not positive, `rising` is not above 0 and below 1, `start` or
    `end` is below 1, or there are not more than 1/`rising` steps.
    Source: Smith & Topin 2017, arXiv:1708.07120.
    """
    highest = bp.option("`rate`", rate, above=0)
    low = highest / bp.option("`start`", start, at_least=1)
    last = low / bp.option("`end`", end, at_least=1)
    share = bp.option("`rising`", rising, above=0, below=1)
    count = bp.option("`steps`", steps, above=1 / share)
    top = share * count

    def schedule(t: bp.Formula) -> bp.Formula:
        up = _half_cosine(low, highest, (t - 1) / (top - 1))
        down = _half_cosine(highest, last, (t - top) / (count - top))
        return bp.where(t <= top, up, bp.where(t <= count, down, last))

    return schedule


def _half_cosine(first: bp.Formula, last: bp.Formula, share: bp.Formula) -> bp.Formula:
    return last + (first - last) * (1 + sympy.cos(sympy.pi * share)) / 2
