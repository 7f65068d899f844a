"""The inverse of a window: which positions of `y` read `x[J]`, and through which kernel entry.

    y[h] = Σ_u x[h + u] W[u]      ∂L/∂x[a] = Σ_u ∂L/∂y[a - u] W[u]

The position is eliminated, the small sum over the kernel stays. Where
`a - u` leaves the positions, the cotangent has a border of zeros, a tensor of its own. With a step
of s, a = s α + ρ and u = s κ + ρ split both into residue classes, so that class and position follow
without division:

    y[h] = Σ_u x[s h + u] W[u]    ∂L/∂x[s α + ρ] = Σ_κ ∂L/∂y[α - κ] W[s κ + ρ]

Nothing is scattered, and no sum has a guard in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import sympy
from sympy import Expr

from bpgen.derive.border import Border
from bpgen.derive.named import Helpers
from bpgen.ir.affine import Affine, affine
from bpgen.ir.equation import Term
from bpgen.ir.expr import Access, Delta, Digit, indices_of, renamed
from bpgen.ir.index import Index
from bpgen.ir.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Split:
    """How an axis is written by several: `axis + shift = Σ stride · index`, the widest first."""

    parts: tuple[tuple[Expr, Index], ...]
    shift: int = 0

    @property
    def indices(self) -> tuple[Index, ...]:
        """Return the indices, the widest stride first."""
        return tuple(i for _, i in self.parts)

    @property
    def length(self) -> int:
        """Return how many values the sum takes."""
        return math.prod(_length(i) for i in self.indices)


class Window:
    """One contribution while its windows are solved for their positions."""

    def __init__(
        self,
        body: Expr,
        left: dict[Index, None],
        mapping: dict[Expr, Expr],
        of: Tensor,
        helpers: Helpers,
    ) -> None:
        """Take the product, the indices still summed, and what the others have become.

        No index of the product is an index of `of`.
        """
        self._factors = list(sympy.Mul.make_args(body))
        self._left = left
        self._mapping = mapping
        self._of = of
        self._helpers = helpers
        self._splits: dict[Index, Split] = {}
        self._solved: list[Index] = []

    def term(
        self,
        positions: tuple[Index, ...],
        windows: list[tuple[Expr, Index]],
        joins: list[tuple[Index, list[tuple[Expr, Index]]]],
        ties: list[tuple[Expr, Index]],
    ) -> Term:
        """Return the contribution with every window solved; what cannot be solved stays tied.

        `positions` are the indices to remove, if there is a choice. `joins` are axes that are a
        complete mixed radix, `j = Σ stride · index`, whose indices stay.
        """
        for j, parts in joins:
            self._splits[j] = Split(tuple(sorted(parts, key=lambda part: -_value(part[0]))))
        tied = [*ties, *((at, j) for at, j in windows if not self._solve(at, j, positions))]
        factors = [*self._factors, *(Delta(j, at) for at, j in tied)]
        border = Border(self._mapping, self._solved, self._of, self._helpers)
        term = Term(border.product(factors), tuple(self._left))
        return self._joined(term) if self._splits else term

    def _solve(self, at: Expr, j: Index, positions: tuple[Index, ...]) -> bool:
        """Name an index of `at` by `j`: a position, of largest extent, or one that stands alone."""
        found = affine(at)
        assert found is not None, f"{at} is no window"
        ours = [i for i in found.coefficients if i in self._left]
        units = [i for i in ours if abs(found.coefficients[i]) == 1]
        position = max(ours, key=lambda i: (i in positions, _length(i)), default=None)
        if position is not None and found.coefficients[position] > 1:
            solved = self._by_classes(found, position, j)
            if solved:
                return True
        if not units:
            return False
        unit = max(units, key=lambda i: (i in positions, _length(i)))
        rest = sympy.Add(*(c * i for i, c in found.coefficients.items() if i != unit))
        self._settle(unit, found.coefficients[unit] * (j - rest - found.offset))
        return True

    def _settle(self, index: Index, value: Expr) -> None:
        self._left.pop(index)
        self._mapping[index] = value
        self._solved.append(index)

    # ---- steps: residue classes ------------------------------------------------------------------

    def _by_classes(self, found: Affine, position: Index, j: Index) -> bool:
        """Solve `s·position ± u + offset = j` by classes modulo s; False if there is no such form.

        With j + shift = s α + ρ, chosen so that `offset + shift` is a multiple of s, u = s κ + ρ.
        """
        step, offset = found.coefficients[position], found.offset
        others = [i for i in found.coefficients if i != position]
        if len(others) > 1 or any(i not in self._left for i in others):
            return False
        sign = 0
        if others:
            (u,) = others
            sign = 1 if found.coefficients[u] > 0 else -1
            if abs(found.coefficients[u]) > 1:
                spread = self._spread(u, abs(found.coefficients[u]), position)
                if spread is None:
                    return False
                u = spread
        shift = -(offset + (sign < 0)) % step
        whole = sympy.Integer((offset + shift + (sign < 0)) // step)
        length = -(-(_length(j) + shift) // step)
        quotient = self._fresh(length)
        residue = self._fresh(step, quotient)
        self._splits[j] = Split(((sympy.Integer(step), quotient), (sympy.S.One, residue)), shift)
        if not sign:
            self._factors.append(Delta(residue, sympy.S.Zero))
            self._settle(position, quotient - whole)
            return True
        kernel = self._kernel(-(-_length(u) // step), quotient, residue)
        self._settle(u, step * kernel + (residue if sign > 0 else step - 1 - residue))
        self._settle(position, quotient - sign * kernel - whole + int(sign < 0))
        return True

    def _kernel(self, length: int, *avoid: Index) -> Expr:
        """Return the index of a sum over `length` entries of the kernel; 0 if there is but one."""
        if length == 1:
            return sympy.S.Zero
        kernel = self._fresh(length, *avoid)
        self._left[kernel] = None
        return kernel

    def _spread(self, u: Index, gap: int, position: Index) -> Index | None:
        """Write a kernel with gaps as one without, `Σ_u W[u] δ(k, gap u)`; return k."""
        own = [f for f in self._factors if u in indices_of(f)]
        if any(position in indices_of(f) for f in own):
            return None
        k = self._fresh(gap * (_length(u) - 1) + 1)
        axes = tuple(
            dict.fromkeys(
                i for f in own for i in sorted(indices_of(f), key=lambda i: str(i.name)) if i != u
            )
        )
        name = next((f.name for f in own if isinstance(f, Access)), "kernel")
        body = sympy.Mul(*own, Delta(k, gap * u))
        equation = self._helpers.define(f"spread_{name}", (*axes, k), Term(body, (u,)))
        self._factors = [f for f in self._factors if f not in own]
        self._factors.append(equation.out.canonical)
        self._left.pop(u)
        self._left[k] = None
        return k

    def _fresh(self, length: int, *avoid: Index) -> Index:
        # An index that is gone has a meaning still: what it has become.
        named = (*self._factors, *self._mapping, *self._mapping.values())
        seen = {i for part in named for i in indices_of(part)}
        split = [i for s in self._splits.values() for i in s.indices]
        return self._helpers.index(length, self._left, self._of.indices, seen, split, avoid)

    def _joined(self, term: Term) -> Term:
        """Name the product over the split axes, and read it at `Σ stride · index`."""
        axes = self._split_axes(summed=bool(term.over))
        split = self._helpers.define(f"split_d_{self._of.name}", axes, term)
        wide: dict[Index, Index] = {}
        for j, s in self._splits.items():
            wide[j] = j if s.length == _length(j) else self._fresh(s.length, *wide.values())
        digits = {
            i: Digit(wide[j], stride, i.extent)
            for j, s in self._splits.items()
            for stride, i in s.parts
        }
        read = renamed(split.out.canonical, digits)
        if all(wide[j] == j for j in wide):
            return Term(read)
        whole = tuple(wide.get(j, j) for j in self._of.indices)
        joined = self._helpers.define(f"joined_d_{self._of.name}", whole, Term(read))
        shifts = {j: s.shift for j, s in self._splits.items()}
        at = (j + shifts.get(j, 0) for j in self._of.indices)
        return Term(Access(joined.out.canonical.head, *at))

    def _split_axes(self, *, summed: bool) -> tuple[Index, ...]:
        """Return the axes of the product: in place; for a sum, the positions last, for one call."""
        if not summed:
            groups = (
                self._splits[j].indices if j in self._splits else (j,) for j in self._of.indices
            )
            return tuple(i for group in groups for i in group)
        plain = [j for j in self._of.indices if j not in self._splits]
        inner = [i for s in self._splits.values() for i in s.indices[1:]]
        return (*plain, *inner, *(s.indices[0] for s in self._splits.values()))


def _length(index: Index) -> int:
    return index.extent.value or 0


def _value(stride: Expr) -> int:
    return int(stride.xreplace({e: e.value for e in stride.free_symbols}))
