"""A small network, and mistakes planted in its derivation."""

from dataclasses import replace
from typing import Any

import sympy

import bpgen as bp
from bpgen.declare.network import network
from bpgen.ir.derivation import Derivation
from bpgen.ir.equation import Term
from bpgen.ir.network import Network
from bpgen.verify import check

D, H, K = 5, 7, 11


def mlp(activation=sympy.tanh, scale=1):
    """x[n,d] → act(x W + b) V + c → softmax cross entropy, times `scale`; all by formulas."""
    x, label = bp.input("x", D), bp.label("answer", classes=K)
    n, d = x.indices
    h, k = bp.index("h", H), bp.index("k", K)
    W = bp.parameter("W", d, h)
    b = bp.parameter("b", h, init=bp.init.zeros())
    V = bp.parameter("V", h, k)
    c = bp.parameter("c", k, init=bp.init.zeros())
    z = bp.define("z", (n, h), bp.sum(x[n, d] * W[d, h], over=d) + b[h])
    y = bp.define("y", (n, h), activation(z[n, h]))
    u = bp.define("u", (n, k), bp.sum(y[n, h] * V[h, k], over=h) + c[k])
    m = bp.define("m", (n,), bp.hold(bp.max(u[n, k], over=k)))
    e = bp.define("e", (n, k), sympy.exp(u[n, k] - m[n]))
    total = bp.define("total", (n,), bp.sum(e[n, k], over=k))
    right = sympy.log(total[n]) + m[n] - u[n, label[n]]
    return network(bp.define("loss", (), scale * bp.mean(right, over=n)), {}, name="mlp")


def tampered(derivation, name, change):
    """The derivation with the terms of the equation of `name` changed."""
    equations = tuple(
        replace(e, terms=change(e)) if e.out.name == name else e
        for e in derivation.network.equations
    )
    assert equations != derivation.network.equations
    return replace(derivation, network=replace(derivation.network, equations=equations))


def scaled(factor):
    """The change that multiplies every term by a formula of the left side's indices."""
    return lambda equation: tuple(
        Term(t.body * (factor(*equation.out.indices) if callable(factor) else factor), t.over)
        for t in equation.terms
    )


def checked(net: Network, derivation: Derivation, **options: Any) -> Any:
    """The verdict, whose parts a test reads without asking whether they are there."""
    return check(net, derivation, **options)
