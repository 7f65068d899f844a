"""Axes of a few entries, written out: numpy spends more on a loop of three than on three calls.

y[n,h] = max_u x[n,2 h + u] with two values of u is np.maximum(x[:, ::2], x[:, 1::2], out=y).
"""

from __future__ import annotations

from dataclasses import replace

import sympy
from sympy import Expr

from bpgen.ir.equation import Op
from bpgen.ir.expr import Access, Delta, accesses, indices_of
from bpgen.ir.index import Index
from bpgen.ir.program import Map, Reduce
from bpgen.targets.numpy.arrays import Arrays
from bpgen.targets.numpy.ufuncs import Ufuncs
from bpgen.targets.numpy.values import Value, in_order

MOST = 5  # entries


def is_small_window(statement: Reduce) -> bool:
    """Whether a statement takes the largest of a few entries of one tensor, each a view."""
    over, body = statement.over, statement.body
    if statement.op is Op.SUM or len(over) != 1 or not isinstance(body, Access):
        return False
    is_window = any(at.has(over[0]) and len(indices_of(at)) > 1 for at in body.indices)
    return is_window and _is_few(over[0])


def largest(arrays: Arrays, statement: Reduce, out: Value) -> list[str]:
    """Return the lines that compare the entries one by one; a tie goes to the first."""
    (index,) = statement.over
    assert isinstance(statement.body, Access)
    entries = [
        in_order(arrays.read(_at(statement.body, index, k)), out.axes).text
        for k in range(index.extent.value or 0)
    ]
    if statement.op is Op.MAX:
        return _chain(entries, out.text)
    return _address(arrays, entries, out)


def _chain(entries: list[str], to: str) -> list[str]:
    first, second, *rest = entries
    lines = [f"np.maximum({first}, {second}, out={to})"]
    return lines + [f"np.maximum({to}, {entry}, out={to})" for entry in rest]


def _address(arrays: Arrays, entries: list[str], out: Value) -> list[str]:
    """Move on to an entry where it is larger than the best before it."""
    first, second, *rest = entries
    lines = [f"np.greater({second}, {first}, out={out.text})"]
    if not rest:
        return lines
    scratch = arrays.scratch
    best, mask = scratch.take(out.axes), scratch.take(out.axes, "bool")
    largest_so_far, is_larger = scratch.text(best), scratch.text(mask)
    lines += _chain(entries[:2], largest_so_far)
    for place, entry in enumerate(rest, start=2):
        lines.append(f"np.greater({entry}, {largest_so_far}, out={is_larger})")
        lines.append(f"np.copyto({out.text}, {place}, where={is_larger})")
        if entry is not rest[-1]:
            lines.append(f"np.maximum({largest_so_far}, {entry}, out={largest_so_far})")
    scratch.free(best)
    scratch.free(mask)
    return lines


def spread_axis(statement: Map) -> Index | None:
    """Return the axis along which an entry goes to the place that an address names, if short."""
    out = statement.out.indices
    if statement.accumulate or len(out) < 3:
        return None
    found = [d.args[0] for d in statement.body.atoms(Delta)]
    if len(found) != 1 or found[0] not in out or not _is_few(found[0]):
        return None
    others = [a for a in accesses(statement.body) if found[0] in indices_of(a)]
    index: Index = found[0]
    return None if others else index


def spread(arrays: Arrays, statement: Map, out: Value, index: Index) -> list[str]:
    """Return the lines that write the entries of the axis `index` one after the other."""
    ufuncs = Ufuncs(arrays)
    place = out.axes.index(index)
    rest = tuple(i for i in out.axes if i != index)
    for k in range(index.extent.value or 0):
        marks = ", ".join(str(k) if i == index else ":" for i in out.axes[: place + 1])
        part = replace(out, text=f"{out.text}[{marks}]", axes=rest)
        ufuncs.store(_at(statement.body, index, k), part, rest)
    return ufuncs.lines


def _is_few(index: Index) -> bool:
    return index.extent.value is not None and 2 <= index.extent.value <= MOST


def _at(expr: Expr, index: Index, place: int) -> Expr:
    return expr.xreplace({index: sympy.Integer(place)})
