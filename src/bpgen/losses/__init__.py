"""Losses: what a network is trained to make small.

In: a prediction and what it is compared with, entry by entry. Out: a scalar, the mean over all
entries. True at the door: the two have the same extents (nothing is broadcast), and the loss is
finite for predictions up to 1e4 in size (a logarithm of a rate: up to 500).

`l1` and `l2` are terms to add to a loss:
`softmax_cross_entropy(logits, digit) + l2(logits, strength=1e-4)`.
"""

from bpgen.losses.cosine_distance import cosine_distance
from bpgen.losses.dice import dice
from bpgen.losses.evidence_lower_bound import evidence_lower_bound
from bpgen.losses.focal import focal
from bpgen.losses.gaussian_nll import gaussian_nll
from bpgen.losses.hinge import hinge
from bpgen.losses.huber import huber
from bpgen.losses.kl_divergence import kl_divergence
from bpgen.losses.l1 import l1
from bpgen.losses.l2 import l2
from bpgen.losses.mean_absolute_error import mean_absolute_error
from bpgen.losses.mean_squared_error import mean_squared_error
from bpgen.losses.mixture_density import mixture_density
from bpgen.losses.poisson_nll import poisson_nll
from bpgen.losses.sigmoid_cross_entropy import sigmoid_cross_entropy
from bpgen.losses.softmax_cross_entropy import softmax_cross_entropy

__all__ = [
    "cosine_distance",
    "dice",
    "evidence_lower_bound",
    "focal",
    "gaussian_nll",
    "hinge",
    "huber",
    "kl_divergence",
    "l1",
    "l2",
    "mean_absolute_error",
    "mean_squared_error",
    "mixture_density",
    "poisson_nll",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
]
