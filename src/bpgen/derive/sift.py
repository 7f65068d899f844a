"""The index calculus of the chain rule, which finds the entries of `y` that read `x[J]`.

    ∂L/∂x[J] += Σ_{F,R} f(F,R) Π_k δ(φ_k(F,R), J_k)

Each index expression φ_k of the access removes one index from the sum by naming it after J_k: an
index stands for itself, a reshape is undone digit by digit, a window is solved for the position
(`derive.window`). What cannot be removed stays as a δ: an address that comes from data, or a second
use of the same index.
"""

from __future__ import annotations

import sympy
from sympy import Expr

from bpgen.derive.named import Helpers
from bpgen.derive.window import Window
from bpgen.ir.affine import affine
from bpgen.ir.equation import Term
from bpgen.ir.expr import Access, Delta, Digit, indices_of
from bpgen.ir.index import Index
from bpgen.ir.tensor import Tensor

Pairs = list[tuple[Expr, Index]]
Parts = list[tuple[Expr, Index]]


def sift(
    plain: Term, read: Access, of: Tensor, positions: tuple[Index, ...], helpers: Helpers
) -> Term:
    """Return the contribution `plain`, a sum over all indices, to the entry `of[J]` that it reads.

    `positions` are the indices of the equation's left side, for which windows are solved. What the
    contribution needs by name (a border around a cotangent) is named in `helpers`.
    """
    return collapsed(_Sift(plain, read, of, positions, helpers).term())


def collapsed(term: Term) -> Term:
    """Remove a δ that ties a summed index to a number: Σ_t δ(t,0) f(t) = f(0)."""
    for factor in sympy.Mul.make_args(term.body):
        if (
            isinstance(factor, Delta)
            and factor.args[0] in term.over
            and not is_moving(factor.args[1])
        ):
            index, at = factor.args
            rest = term.body.xreplace({factor: sympy.S.One}).xreplace({index: at})
            return collapsed(Term(rest, tuple(i for i in term.over if i != index)))
    return term


def is_moving(at: Expr) -> bool:
    """Whether an index expression takes more than one value: it holds an index, or data."""
    return bool(at.has(Access, Index))


class _Sift:
    """What is left of the sum, and what each removed index has become."""

    def __init__(
        self,
        plain: Term,
        read: Access,
        of: Tensor,
        positions: tuple[Index, ...],
        helpers: Helpers,
    ) -> None:
        apart = _apart(read, of.indices, plain.over)
        self.body = plain.body.xreplace(apart)
        self.left = dict.fromkeys(apart.get(i, i) for i in plain.over)
        self.mapping: dict[Expr, Expr] = {}
        ats = (at.xreplace(apart) for at in read.indices)
        self._pairs = list(zip(ats, of.indices, strict=True))
        self._of = of
        self._positions = tuple(apart.get(i, i) for i in positions)
        self._helpers = helpers

    def term(self) -> Term:
        """Return the contribution, every index removed that can be."""
        self._digits()
        windows, joins, ties = self._reads()
        names = {j.name for j in self._of.indices}
        for index in [i for i in self.left if i.name in names]:
            self.mapping[index] = index.primed()
        if windows or (joins and not self._is_entry(joins)):
            solved = Window(self.body, self.left, self.mapping, self._of, self._helpers)
            return solved.term(self._positions, windows, joins, ties)
        for j, parts in joins:
            self.mapping |= {i: Digit(j, stride, i.extent) for stride, i in parts}
        over = tuple(self.mapping.get(i, i) for i in self.left)
        deltas = [Delta(j, at.xreplace(self.mapping)) for at, j in ties]
        body = self.body.xreplace(self.mapping) if self.mapping else self.body
        return Term(sympy.Mul(body, *deltas), over)

    def _reads(self) -> tuple[Pairs, list[tuple[Index, Parts]], Pairs]:
        """Tell windows, joins of axes, and what stays tied; name the indices that stand alone."""
        windows: Pairs = []
        joins: list[tuple[Index, Parts]] = []
        ties: Pairs = []
        for at, j in self._pairs:
            if j.extent.value == 1 and at == 0:
                continue
            if isinstance(at, Index) and at in self.left and _is_whole(at, j):
                self._name(at, j)
            elif isinstance(at, Digit) and at.index in self.mapping:
                continue
            elif (parts := self._composed(at)) and _covers(parts, j.extent):
                joins.append((j, parts))
                self.left = {i: None for i in self.left if all(i != own for _, own in parts)}
            elif _is_window(at, j):
                windows.append((at, j))
            else:
                ties.append((at, j))
        return windows, joins, ties

    def _is_entry(self, joins: list[tuple[Index, Parts]]) -> bool:
        """Whether the product is one entry, which has every digit, and a number: it is a view."""
        moving = [f for f in sympy.Mul.make_args(self.body) if indices_of(f)]
        digits = {i for _, parts in joins for _, i in parts}
        entry = moving[0] if len(moving) == 1 else None
        return isinstance(entry, Access) and digits <= indices_of(entry)

    def _name(self, index: Index, j: Expr) -> None:
        self.left.pop(index)
        if index != j:
            self.mapping[index] = j

    def _digits(self) -> None:
        """Undo a reshape: the digits of one index give it back as Σ stride · digit.

        A digit that is not read is summed over: an upsampled entry is read at all its places.
        """
        found: dict[Index, list[tuple[Expr, Expr, Expr]]] = {}
        for at, j in self._pairs:
            if isinstance(at, Digit) and at.index in self.left:
                found.setdefault(at.index, []).append((at.stride, at.extent, j))
        for index, digits in found.items():
            more = self._missing(index, digits)
            if more is not None:
                self.left.pop(index)
                self.left.update(dict.fromkeys(i for _, _, i in more))
                self.mapping[index] = sympy.Add(*(s * j for s, _, j in [*digits, *more]))
                self.mapping |= {Digit(index, s, r): j for s, r, j in digits}

    def _missing(
        self, index: Index, digits: list[tuple[Expr, Expr, Expr]]
    ) -> list[tuple[Expr, Expr, Index]] | None:
        """Return digits that make the mixed radix complete; None if there are none that do."""
        want, more = 1, []
        ends = [(_number(s), _number(r)) for s, r, _ in digits]
        for stride, radix in sorted([*ends, (_number(index.extent), 1)]):
            if not want or not radix or stride % want:
                return None
            if stride > want:
                fresh = self._helpers.index(stride // want, self.left, self._of.indices)
                more.append((sympy.Integer(want), fresh.extent, fresh))
            want = stride * radix
        return more if want == _number(index.extent) else None

    def _composed(self, at: Expr) -> Parts:
        """Return strides and indices of a join of axes, `g R + r`; nothing if it is none."""
        parts = [_strided(term) for term in sympy.Add.make_args(at)]
        pairs = [p for p in parts if p is not None and p[1] in self.left]
        return pairs if len(pairs) == len(parts) > 1 else []


def _is_whole(index: Index, axis: Index) -> bool:
    """Whether `index` visits all of the axis, and not its first entries alone."""
    return bool(index.extent.value == axis.extent.value)


def _is_window(at: Expr, axis: Index) -> bool:
    """Whether an axis is read by an affine expression, or at its first entries alone."""
    alone = isinstance(at, Index) and _is_whole(at, axis)
    return not alone and is_moving(at) and affine(at) is not None


def _apart(read: Access, target: tuple[Index, ...], bound: tuple[Index, ...]) -> dict[Index, Index]:
    """Rename what a window shares with the target: `h′ = h - u` says something, `h = h - u` not."""
    if not any(isinstance(at, sympy.Add | sympy.Mul) for at in read.indices):
        return {}
    names = {j.name for j in target}
    return {i: i.primed() for i in bound if i.name in names}


def _strided(term: Expr) -> tuple[Expr, Index] | None:
    indices = [s for s in sympy.Mul.make_args(term) if isinstance(s, Index)]
    return (sympy.cancel(term / indices[0]), indices[0]) if len(indices) == 1 else None


def _covers(parts: Parts, extent: Expr) -> bool:
    """Whether strides and extents make a complete mixed radix 1, r1, r1·r2, …, `extent`."""
    want = 1
    for stride, radix in sorted((_number(s), _number(i.extent)) for s, i in parts):
        if stride != want or radix == 0:
            return False
        want *= radix
    return want == _number(extent)


def _number(expr: Expr) -> int:
    """Return the value of a formula of extents; 0 if one of them is free."""
    values = {e: getattr(e, "value", None) for e in expr.free_symbols}
    return 0 if None in values.values() else int(expr.xreplace(values))
