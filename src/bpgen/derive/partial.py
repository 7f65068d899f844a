"""The derivative of one scalar formula by one entry: sympy's part of the work.

Entries are replaced by scalars before sympy sees them, so nothing is ever differentiated under a
sum and no index can be captured. The scalars are numbered by position: equal formulas of different
tensors share one derivation, which is looked up from the second time on.
"""

from __future__ import annotations

from functools import lru_cache

import sympy
from sympy import Expr

from bpgen.ir.expr import Access, Pad, Where, accesses

# The saved value of the formula itself, in the scalar world.
_VALUE = sympy.Symbol("value", real=True)


def partials(body: Expr, value: Access | None) -> tuple[tuple[Access, Expr], ...]:
    """Return ∂body/∂access for every entry that `body` reads, in the order it reads them.

    `value` is the entry in which the value of `body` itself is saved, if it is; the derivative is
    written with it where that is shorter: tanh′ = 1 - h².
    """
    reads = _reads(body)
    return tuple((reads[node], local) for node, local in slopes(body, value))


def slopes(body: Expr, value: Access | None) -> tuple[tuple[Expr, Expr], ...]:
    """Return the same by the node that reads the entry: the entry, or the border it is read in."""
    reads = _reads(body)
    scalars = {a: sympy.Symbol(f"a{k}", real=True) for k, a in enumerate(reads)}
    back: dict[Expr, Expr] = {s: a for a, s in scalars.items()}
    if value is not None:
        back[_VALUE] = value
    plain = body.xreplace(scalars)
    names = tuple(scalars.values())
    locals_ = _scalar_partials(plain, names, value is not None)
    return tuple((a, e.xreplace(back)) for a, e in zip(reads, locals_, strict=True))


def _reads(body: Expr) -> dict[Expr, Access]:
    """Return what `body` reads, by the node that reads it: an entry, perhaps with a border."""
    pads = {pad: pad.entry for pad in sorted(body.atoms(Pad), key=str)}
    inside = body.xreplace({pad: sympy.Dummy() for pad in pads}) if pads else body
    return {**pads, **{a: a for a in accesses(inside) if not _is_address(inside, a)}}


def _is_address(body: Expr, entry: Access) -> bool:
    """Whether `entry` occurs only inside another access, as an address: it has no derivative."""
    outer = [a for a in accesses(body) if a != entry and any(i.has(entry) for i in a.indices)]
    return bool(outer) and not body.xreplace({a: sympy.Dummy() for a in outer}).has(entry)


@lru_cache(maxsize=4096)
def _scalar_partials(body: Expr, names: tuple[sympy.Symbol, ...], saved: bool) -> tuple[Expr, ...]:
    return tuple(_partial(body, name, saved) for name in names)


def _partial(body: Expr, name: sympy.Symbol, saved: bool) -> Expr:
    plain = body.diff(name)
    if not plain.free_symbols:
        return plain
    forms = [_bounded(plain)]
    if saved and body not in (name, -name):
        forms += [forms[0].subs(body, _VALUE), _by_inversion(body, plain)]
    allowed = _denominators(forms[0])
    fitting = [
        f for f in forms[1:] if _denominators(f) - {_VALUE} <= allowed and f.is_finite is not False
    ]
    return min([forms[0], *fitting], key=sympy.count_ops)


def _denominators(expr: Expr) -> frozenset[Expr]:
    """Return what `expr` divides by, as the bases of its negative powers."""
    powers = expr.atoms(sympy.Pow)
    return frozenset(p.base for p in powers if p.exp.is_negative and p.base.free_symbols)


def _by_inversion(body: Expr, plain: Expr) -> Expr:
    """Write the only function inside `body` by the saved value: σ = 1/(1+e) gives e = 1/σ - 1.

    It works where `body` is a quotient of two linear formulas of that function, with numbers before
    it; elsewhere `plain` is returned.
    """
    kernels = [f for f in body.atoms(sympy.Function) if f.free_symbols]
    if len(kernels) != 1 or not plain.has(kernels[0]):
        return plain
    k = sympy.Dummy("k", real=True)
    above, below = sympy.fraction(sympy.together(body.xreplace({kernels[0]: k})))
    if (above.free_symbols | below.free_symbols) != {k} or not (above * below).is_polynomial(k):
        return plain
    if sympy.degree(above, k) > 1 or sympy.degree(below, k) > 1:
        return plain
    a, b, c, d = above.coeff(k, 0), above.coeff(k, 1), below.coeff(k, 0), below.coeff(k, 1)
    written = plain.subs(kernels[0], (a - c * _VALUE) / (d * _VALUE - b))
    return plain if written.has(kernels[0]) else sympy.factor(sympy.cancel(written))


def _bounded(plain: Expr) -> Expr:
    """Split a quotient by a growing exponential, so that no power of it stands above.

    e/(1+e)² = 1/(1+e) - 1/(1+e)²: the left side is ∞/∞ where e overflows, the right side is 0.
    """
    kernels = [f for f in plain.atoms(sympy.exp) if f.free_symbols and not _is_negative(f.args[0])]
    if len(kernels) != 1 or not any(b.has(kernels[0]) for b in _denominators(plain)):
        return plain
    k = sympy.Dummy("k", real=True)
    rational = plain.xreplace({kernels[0]: k})
    if not rational.is_rational_function(k):
        return plain
    return sympy.apart(sympy.together(rational), k).xreplace({k: kernels[0]})


def _is_negative(exponent: Expr) -> bool:
    """Whether `exponent` is -|u| or -u², whose exponential cannot overflow."""
    u = -exponent
    absolute = isinstance(u, Where) and u.args[1] == -u.args[2] and u.args[1] in u.args[0].args
    return bool(absolute or u.is_nonnegative)
