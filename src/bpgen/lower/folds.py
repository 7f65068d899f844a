"""Sums over windows of a tensor with a border, computed the other way round where that costs less.

    ∂L/∂x[a] = Σ_{f,u} W[f,u] padded[f,a+U-1-u]       gathers, for each a, what windows hold
    ∂L/∂x[h+u] += Σ_f W[f,u] ∂L/∂z[f,h]               adds, for each u, what a product gives

The border is never made, and the product runs over the entries that there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import sympy
from sympy import Expr

from bpgen.cost import NUMPY, Sizes, work
from bpgen.ir.affine import Affine, affine
from bpgen.ir.equation import Term
from bpgen.ir.expr import Access, Pad, access, indices_of
from bpgen.ir.index import Index
from bpgen.ir.program import Contract, Fold, Part, Place, Program, Step, steps_of
from bpgen.ir.tensor import Tensor


def folded(program: Program) -> Program:
    """Return `program` with folds for sums over windows of a border, where they cost less."""
    steps = [s for p in (program.backward, program.second) for s in p if isinstance(s, Step)]
    borders = {s.equation.out.name: s for s in steps if _is_border(s, program.tensors)}
    made = {s.equation.out.name: _folded(s, borders, program.tensors) for s in steps}
    found = {name: fold for name, fold in made.items() if fold is not None}
    if not found:
        return program

    def parts(before: Iterable[Part]) -> tuple[Part, ...]:
        return tuple(
            found.get(p.equation.out.name, p) if isinstance(p, Step) else p for p in before
        )

    backward, second = parts(program.backward), parts(program.second)
    reads = Counter(n for s in steps_of(backward + second) for n in s.equation.reads())
    unread = {name for name in borders if not reads[name]}
    return replace(program, backward=_without(backward, unread), second=_without(second, unread))


def _without(parts: tuple[Part, ...], names: set[str]) -> tuple[Part, ...]:
    return tuple(p for p in parts if not isinstance(p, Step) or p.equation.out.name not in names)


def _is_border(step: Step, tensors: Mapping[str, Tensor]) -> bool:
    """Whether a step lays a whole tensor into zeros."""
    (first, *more) = step.statements
    if more or not isinstance(first, Place) or first.pad.value != 0 or first.scale != 1:
        return False
    entry = first.pad.entry
    own = dict(zip(first.out.indices, first.parts, strict=True))
    for at, axis in zip(entry.indices, tensors[entry.name].indices, strict=True):
        index = next(iter(indices_of(at)), None)
        if index is None:
            return False
        begin, end, _ = own[index]
        if axis.extent.value is not None and end - begin != axis.extent.value:
            return False
    return len(indices_of(entry)) == len(entry.indices) == len(first.out.indices)


def _folded(step: Step, borders: Mapping[str, Step], tensors: Mapping[str, Tensor]) -> Step | None:
    """Return the step with a fold for its sum; None if it is no such sum, or costs more so."""
    first, *rest = step.statements
    if not isinstance(first, Contract) or first.accumulate or len(first.factors) != 2:
        return None
    for kernel, read in (first.factors, first.factors[::-1]):
        if isinstance(read, Access) and read.name in borders:
            border = borders[read.name].statements[0]
            assert isinstance(border, Place)
            fold = _fold(first, kernel, _seen_through(read, border), tensors)
            if fold is not None and _is_cheaper(fold, first):
                equation = step.equation
                terms = tuple(_without_border(t, read, border) for t in equation.terms)
                statements = (fold, *rest)
                return replace(step, equation=replace(equation, terms=terms), statements=statements)
    return None


def _seen_through(read: Access, border: Place) -> Access:
    """Return the entry of the tensor inside a border that `read` reads of the border."""
    at = dict(zip(border.out.indices, read.indices, strict=True))
    entry = border.pad.entry
    return access(entry.name, [sympy.expand(i.xreplace(at)) for i in entry.indices])


def _without_border(term: Term, read: Access, border: Place) -> Term:
    return Term(term.body.xreplace({read: Pad(_seen_through(read, border))}), term.over)


def _fold(
    statement: Contract, kernel: Expr, entry: Access, tensors: Mapping[str, Tensor]
) -> Fold | None:
    """Solve `h = a + base - Σ stride · u` for the position a, on each axis that windows move on."""
    own = tensors[entry.name].indices
    names = [i if isinstance(i, Index) else None for i in entry.indices]
    axes, moved = list[Index](), dict[Index, Expr]()
    for at, name, axis in zip(entry.indices, names, own, strict=True):
        if name is not None:
            axes.append(name)
            continue
        place = affine(at)
        position = None if place is None else _position(place, statement)
        if place is None or position is None:
            return None
        h = _fresh(axis, [*statement.out.indices, *statement.over, *axes])
        axes.append(h)
        windows = sympy.Add(*(-c * i for i, c in place.coefficients.items() if i != position))
        moved[position] = h + windows - place.offset
        reach = affine(moved[position])
        if reach is None or reach.least < 0 or reach.most >= (position.extent.value or 0):
            return None
    windows = tuple(i for i in statement.over if any(at.has(i) for at in moved.values()))
    over = tuple(i for i in statement.over if i not in windows)
    source = access(entry.name, axes)
    found = indices_of(kernel)
    fits = windows and set(windows) <= found and not found & set(moved)
    if not fits or found & set(axes) != set(over) or any(i.extent.value is None for i in found):
        return None
    return Fold(statement.out, kernel, source, over, tuple(moved.items()), statement.scale)


def _position(place: Affine, statement: Contract) -> Index | None:
    """Return the index of the result that moves `place` by 1, if windows alone move it back."""
    found = [i for i, c in place.coefficients.items() if i in statement.out.indices and c == 1]
    rest = {i: c for i, c in place.coefficients.items() if i not in found}
    fits = len(found) == 1 and all(i in statement.over and c < 0 for i, c in rest.items())
    return found[0] if fits else None


def _fresh(axis: Index, taken: list[Index]) -> Index:
    """Return the axis of the tensor inside the border, under a name that no other index has."""
    index = axis
    while any(index.name == i.name for i in taken):
        index = index.primed()
    return index


def _is_cheaper(fold: Fold, gather: Contract) -> bool:
    """Compare the two ways by what they take."""
    folded, gathered = (work(s, Sizes()).seconds(NUMPY) for s in (fold, gather))
    return folded < gathered
