"""The order in which factors are multiplied: the one of fewest multiply-adds.

    C[n,k] = Σ_{i,j,r} x[n,i] P[i,r] Q[j,r] z[n,j] R[k,r]

    x_dot_P[n,r] = Σ_i x[n,i] P[i,r]
    z_dot_Q[n,r] = Σ_j z[n,j] Q[j,r]
    C[n,k] = Σ_r x_dot_P[n,r] z_dot_Q[n,r] R[k,r]

Two are multiplied at a time, and summed over what no other factor needs, and not the result. Of all
orders the best is found set by set: what is best for some factors does not depend on the others.
Each factor more takes three times as long; so of more than `MANY` the best pair comes first, again
and again, or all from left to right where that costs less. A sum inside a product becomes an
equation of its own; a product without a sum stays where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import sympy
from sympy import Expr

from bpgen.cost import Sizes
from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import Access, Delta, Pad, accesses, indices_of
from bpgen.ir.index import Index
from bpgen.ir.tensor import Role, Tensor

MANY = 10  # factors of which every order is compared
_SIZES = Sizes()


@dataclass(frozen=True, slots=True)
class Product:
    """One factor, or the product of two parts, summed `over` what is needed no more.

    `axes` are what is left. `cost` is the multiply-adds of it all, `stored` the entries of parts.
    """

    factor: Expr
    parts: tuple[Product, ...]
    over: frozenset[Index]
    axes: frozenset[Index]
    cost: int
    stored: int

    @classmethod
    def of(cls, factor: Expr, needed: Collection[Index]) -> Product:
        """Return one factor with the indices that are `needed`."""
        found = indices_of(factor)
        over = found - {*needed}
        return cls(factor, (), over, found - over, _entries(found) if over else 0, 0)

    def times(self, other: Product, needed: Collection[Index]) -> Product:
        """Return the product of two with the indices that are `needed`."""
        found = self.axes | other.axes
        over = found - {*needed}
        cost = self.cost + other.cost + _entries(found)
        stored = self.stored + other.stored + _entries(self.axes) + _entries(other.axes)
        return Product(sympy.S.One, (self, other), over, found - over, cost, stored)

    @property
    def sums_inside(self) -> bool:
        """Whether a part of it is a sum."""
        return any(part.over or part.sums_inside for part in self.parts)

    @property
    def expr(self) -> Expr:
        """Return the product of all factors."""
        return sympy.Mul(*(part.expr for part in self.parts)) if self.parts else self.factor


def planned(factors: Sequence[Expr], out: Collection[Index]) -> Product:
    """Return the product of `factors`, with the indices `out`, of the fewest multiply-adds."""
    found = _best(factors, frozenset(out), whole=False)
    assert found is not None, "some order is the best"
    return found


def paired(factors: Sequence[Expr], out: Collection[Index]) -> tuple[Expr, ...]:
    """Return two products of `factors`, without a sum, that are to be multiplied and summed.

    Where there are none, return the factors.
    """
    found = _best(factors, frozenset(out), whole=True) if len(factors) > 2 else None
    return tuple(factors) if found is None else tuple(part.expr for part in found.parts)


def _best(factors: Sequence[Expr], out: frozenset[Index], *, whole: bool) -> Product | None:
    """Return the best product; with `whole`, the best of those that have no sum inside."""
    if len(factors) <= MANY:
        return _best_of_all(factors, out, whole=whole)
    found = (_in_turn(factors, out, pairs, whole=whole) for pairs in (_every_pair, _first_pair))
    return min(filter(None, found), key=_expense, default=None)


def _best_of_all(factors: Sequence[Expr], out: frozenset[Index], *, whole: bool) -> Product | None:
    """Return the best product of all orders."""
    everything = (1 << len(factors)) - 1  # a bit for each factor
    best: dict[int, Product] = {}
    for some in range(1, everything + 1):
        rest = (f for k, f in enumerate(factors) if not some >> k & 1)
        needed = out.union(*map(indices_of, rest))
        found = list(_products(some, factors, best, needed))
        if whole and some != everything:
            found = [product for product in found if not product.over]
        if found:
            best[some] = min(found, key=_expense)
    return best.get(everything)


def _expense(product: Product) -> tuple[int, int]:
    return product.cost, product.stored


def _products(
    some: int, factors: Sequence[Expr], best: Mapping[int, Product], needed: frozenset[Index]
) -> Iterator[Product]:
    """Yield the products of the factors `some`, by the best ones of fewer."""
    if some.bit_count() == 1:
        yield Product.of(factors[some.bit_length() - 1], needed)
    part = (some - 1) & some
    while part > some - part:  # each pair once
        if part in best and some - part in best:
            yield best[some - part].times(best[part], needed)
        part = (part - 1) & some


_Pairs = Callable[[int], Iterable[tuple[int, int]]]


def _every_pair(many: int) -> Iterable[tuple[int, int]]:
    return combinations(range(many), 2)


def _first_pair(many: int) -> Iterable[tuple[int, int]]:
    return [(0, 1)] if many > 1 else []


def _in_turn(
    factors: Sequence[Expr], out: frozenset[Index], pairs: _Pairs, *, whole: bool
) -> Product | None:
    """Return the product that takes the best pair of `pairs` again and again.

    That is the pair of the fewest multiply-adds and of the most entries that are no more kept.
    """
    left = [
        Product.of(f, out.union(*map(indices_of, (*factors[:k], *factors[k + 1 :]))))
        for k, f in enumerate(factors)
    ]
    if whole and any(product.over for product in left):
        return None
    while len(left) > 1:
        found = {}
        for i, j in pairs(len(left)):
            rest = [product for k, product in enumerate(left) if k not in (i, j)]
            product = left[i].times(left[j], out.union(*(other.axes for other in rest)))
            if not (whole and rest and product.over):
                kept = _entries(product.axes) - _entries(left[i].axes) - _entries(left[j].axes)
                added = product.cost - left[i].cost - left[j].cost
                found[added + kept, i, j] = [product, *rest]
        if not found:
            return None
        left = found[min(found)]
    return left[0]


def factors_of(body: Expr) -> tuple[Expr, list[Expr]]:
    """Return the number in front, and the factors behind it; a square is two factors."""
    factors = sympy.Mul.make_args(body)
    plain = [f for f in factors if not f.has(Access, Index)]
    return sympy.Mul(*plain), [base for f in factors if f not in plain for base in _unsquared(f)]


def _unsquared(factor: Expr) -> tuple[Expr, ...]:
    """Write the square of an entry as a product: its sum is that of a tensor with itself."""
    base, exponent = factor.as_base_exp()
    return (base, base) if isinstance(base, Access) and exponent == 2 else (factor,)


@dataclass(frozen=True, slots=True)
class Orders:
    """The sums inside products that have become equations, and the tensors they define."""

    taken: Collection[str]
    made: dict[str, Tensor] = field(default_factory=dict)
    _known: dict[tuple[Expr, frozenset[Index]], Equation] = field(default_factory=dict)

    def of(self, equations: Iterable[Equation], done: Iterable[Equation] = ()) -> list[Equation]:
        """Return `equations`, with sums inside products before them if they are not yet `done`."""
        found = {e.out.name: e for e in done}
        old = set(found)
        for equation in equations:
            sums: list[Equation] = []
            terms = tuple(self._ordered(t, equation, sums) for t in equation.terms)
            found |= {e.out.name: e for e in sums}
            found[equation.out.name] = replace(equation, terms=terms) if sums else equation
        return [e for name, e in found.items() if name not in old]

    def _ordered(self, term: Term, equation: Equation, sums: list[Equation]) -> Term:
        """Return a term of `equation` by `sums`, to which those inside of it are added."""
        if equation.op is not Op.SUM or not term.over or _is_in_place(term.body):
            return term
        scale, factors = factors_of(term.body)
        product = planned(factors, equation.out.indices)
        if not product.sums_inside:
            return term
        body = sympy.Mul(*(self._named(p, equation.out, sums) for p in product.parts))
        return Term(scale * body, tuple(i for i in term.over if i in product.over))

    def _named(self, product: Product, out: Tensor, sums: list[Equation]) -> Expr:
        """Return an entry of the tensor that holds a sum, or a product of such entries."""
        parts = [self._named(p, out, sums) for p in product.parts]
        body = sympy.Mul(*parts) if parts else product.factor
        if not product.over:
            return body
        key = body, product.over
        if key not in self._known:
            order = _in_order(body)
            axes = sorted((i for i in order if i in product.axes), key=_is_fixed)
            role = Role.COTANGENT if out.role is Role.COTANGENT else Role.ACTIVATION
            tensor = Tensor(self._name(body, out), tuple(axes), role)
            over = tuple(i for i in order if i in product.over)
            self._known[key] = Equation(tensor, (Term(body, over),))
            self.made[tensor.name] = tensor
        sums.append(self._known[key])
        return self._known[key].out.canonical

    def _name(self, body: Expr, out: Tensor) -> str:
        """Return the name of a sum: after its factors, if they are one or two entries."""
        factors = [b for f in sympy.Mul.make_args(body) for b in _unsquared(f)]
        names = sorted((str(a.name) for a in factors if isinstance(a, Access)), key=_is_cotangent)
        stem = f"sum_for_{out.name}"
        if len(names) == len(factors) < 3 and not _is_cotangent(names[0]):
            stem = "_dot_".join(names) if names[1:] else f"sum_{names[0]}"
        name, k = stem, 1
        while name in self.taken or name in self.made:
            name, k = f"{stem}{k + 1}", k + 1
        return name


def _in_order(body: Expr) -> tuple[Index, ...]:
    """Return the indices of `body`, those of each entry in its order."""
    ats = (at for entry in accesses(body) for at in entry.indices)
    return tuple(dict.fromkeys(i for at in (*ats, body) for i in sorted(indices_of(at), key=str)))


def _is_in_place(body: Expr) -> bool:
    """Whether a term is of some entries of its result alone."""
    factors = sympy.Mul.make_args(body)
    return body.has(Pad) or any(isinstance(f, Delta) and not _moves(f) for f in factors)


def _moves(delta: Delta) -> bool:
    return bool(delta.args[1].has(Access, Index))


def _is_cotangent(name: str) -> bool:
    return name.startswith("d_")


def _is_fixed(index: Index) -> bool:
    return index.extent.value is not None


def _entries(indices: Iterable[Index]) -> int:
    return _SIZES.entries(indices)
