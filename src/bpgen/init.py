"""Initialisers: how a parameter starts, as a law and a scale written by the fans.

A rule is called with the fans of a parameter when it is declared: `he()(fan_in, fan_out)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

from bpgen.ir.tensor import Init

Rule = Callable[[Any, Any], Init]


def zeros() -> Rule:
    """Start at 0."""
    return constant(0)


def constant(value: float) -> Rule:
    """Start all entries at `value`."""
    return lambda fan_in, fan_out: Init("constant", sympy.sympify(value))


def normal(std: float = 1.0) -> Rule:
    """Draw from a normal distribution with mean 0 and standard deviation `std`."""
    return lambda fan_in, fan_out: Init("normal", sympy.sympify(std))


def uniform(bound: float = 1.0) -> Rule:
    """Draw uniformly between -bound and +bound."""
    return lambda fan_in, fan_out: Init("uniform", sympy.sympify(bound))


def glorot() -> Rule:
    """Draw uniformly between ±√(6 / (fan_in + fan_out)).

    Source: Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural
    networks, eq. 16.
    """
    return lambda fan_in, fan_out: Init(
        "uniform", sympy.sqrt(sympy.sympify(6) / (fan_in + fan_out))
    )


def he() -> Rule:
    """Draw from a normal distribution with standard deviation √(2 / fan_in).

    Source: He, Zhang, Ren & Sun 2015, arXiv:1502.01852, eq. 10.
    """
    return lambda fan_in, fan_out: Init("normal", sympy.sqrt(sympy.sympify(2) / fan_in))


def lecun() -> Rule:
    """Draw from a normal distribution with standard deviation 1 / √fan_in.

    Source: LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, section 4.6.
    """
    return lambda fan_in, fan_out: Init("normal", sympy.sqrt(sympy.sympify(1) / fan_in))


def orthogonal(gain: float = 1.0) -> Rule:
    """Start at `gain` times a matrix with orthonormal columns (or rows, if it is wide).

    Source: Saxe, McClelland & Ganguli 2013, arXiv:1312.6120.
    """
    return lambda fan_in, fan_out: Init("orthogonal", sympy.sympify(gain))
