"""The chain rule through the entry before: from one turn of a loop to the next.

For `y[…,t,…] = x[…,t-1,…]`, and v outside, the cotangent runs the other way:

    ∂L/∂x[…,t,…] += ∂L/∂y[…,t+1,…], and 0 outside
    ∂L/∂v[…]     += ∂L/∂y[…,0,…]
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Expr

from bpgen.derive.partial import partials
from bpgen.derive.sift import collapsed
from bpgen.ir.equation import Term
from bpgen.ir.expr import Access, Delta, Pad, renamed
from bpgen.ir.index import Index
from bpgen.ir.order import Loop
from bpgen.ir.tensor import Tensor


def is_carried(term: Term, loop: Loop) -> bool:
    """Whether `term` is an entry of the turn before, at the index of `loop`."""
    return isinstance(term.body, Pad) and bool(_by(term.body, loop.index))


def carried(y: Tensor, seed: Tensor, pad: Pad, loop: Loop, of: Tensor) -> tuple[Access, Expr, Term]:
    """Return the entry that is read, its local derivative, and what its tensor `of` gains."""
    by = _by(pad, loop.index)
    here = pad.entry.xreplace({loop.index + by: loop.index}).indices
    assert {*here} == {*y.indices}, f"{pad} is no shift"
    mapping: dict[Expr, Expr] = dict(zip(here, of.indices, strict=True))
    turn = mapping[loop.index]
    back = renamed(seed.canonical, mapping).xreplace({turn: turn - by})
    return pad.entry, sympy.S.One, Term(Pad(back, 0))


def started(seed: Tensor, pad: Pad, loop: Loop) -> Iterator[tuple[Access, Expr, Term]]:
    """Yield each entry of the start, its local derivative, and the product before it is sifted."""
    first = Delta(loop.index, outside(loop.index, _by(pad, loop.index)))
    for read, local in partials(pad.value, None):
        plain = Term(first * local * seed.canonical, seed.indices)
        yield read.xreplace(dict([first.args])), first * local, collapsed(plain)


def folded(terms: list[Term]) -> list[Term]:
    """Write what stands at the one index outside a shift as its value outside.

    `x[b+1] (0 outside) + δ(b,B-1) v` is `x[b+1] (v outside)`.
    """
    rest = [t for t in terms if not isinstance(t.body, Pad)]
    found = []
    for term in terms:
        if isinstance(term.body, Pad):
            pad, value = term.body, term.body.value
            for index, first in ends(pad):
                here = [t for t in rest if not t.over and _is_at(t.body, index, first)]
                rest = [t for t in rest if t not in here]
                value += sympy.Add(
                    *(t.body.subs(Delta(index, first), 1).xreplace({index: first}) for t in here)
                )
            found.append(Term(Pad(pad.entry, value)))
    return [*rest, *found]


def outside(index: Index, by: int) -> Expr:
    """Return the one value of `index` at which `index + by` is outside."""
    return sympy.S.Zero if by < 0 else index.extent - 1


def _by(pad: Pad, index: Index) -> int:
    """Return by how much the entry is shifted along `index`."""
    found = [at - index for at in pad.entry.indices if at.has(index)]
    return int(found[0]) if len(found) == 1 and found[0].is_Integer else 0


def ends(pad: Pad) -> Iterator[tuple[Index, Expr]]:
    """Yield each index along which a pad is shifted by one, and its value outside."""
    for at in pad.entry.indices:
        number, index = at.as_coeff_Add()
        if isinstance(index, Index) and abs(number) == 1:
            yield index, outside(index, int(number))


def _is_at(body: Expr, index: Index, first: Expr) -> bool:
    return Delta(index, first) in sympy.Mul.make_args(body)
