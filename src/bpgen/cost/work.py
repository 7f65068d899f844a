"""What computing one statement takes: products of matrices, and passes over arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import prod

from sympy import Expr

from bpgen.cost.operations import operations
from bpgen.cost.rates import NUMPY, Rates
from bpgen.ir.affine import affine
from bpgen.ir.equation import Op
from bpgen.ir.expr import Access, accesses, indices_of
from bpgen.ir.index import Extent, Index
from bpgen.ir.optimizer import ENTRY
from bpgen.ir.program import (
    Blocks,
    Carry,
    Contract,
    Fold,
    Gather,
    Map,
    Part,
    Place,
    Program,
    Reduce,
    Single,
    Statement,
    Step,
    Turns,
    View,
)
from bpgen.ir.tensor import Role, Tensor

FLOAT = 4  # bytes
BATCH = 64  # examples, where a choice needs their number
# A product with a short side runs as if that side were longer: its kernel fills whole registers.
SHORT = 8
FEW = 5  # entries that are compared one by one


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many values an index takes: for so many examples; an index in `fixed` has one.

    `vector` are the entries of the flat vectors of an update.
    """

    batch: int = BATCH
    vector: int = 1
    fixed: frozenset[Index] = frozenset()

    @classmethod
    def of(cls, program: Program, batch: int) -> Sizes:
        """Return the sizes of a step of `program` on `batch` examples."""
        return cls(batch, sum(t.entries for t in program.network.parameters))

    def inside(self, indices: Iterable[Index]) -> Sizes:
        """Return the sizes inside one turn of loops over `indices`."""
        return replace(self, fixed=self.fixed | {*indices})

    def entries(self, indices: Iterable[Index]) -> int:
        """Return how many entries there are over `indices`."""
        return prod(self.extent(i.extent) for i in set(indices) - self.fixed)

    def extent(self, extent: Extent) -> int:
        """Return how many values an extent stands for."""
        return self.vector if extent == ENTRY.extent else extent.count(self.batch)


@dataclass(frozen=True, slots=True)
class Pass:
    """One call that computes `function` of `entries` entries and touches `bytes` of memory."""

    function: str
    entries: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Product:
    """`many` products of matrices of m×p and p×n entries."""

    many: int
    m: int
    n: int
    p: int
    bytes: int

    @property
    def multiply_adds(self) -> int:
        """Return m·n·p of all."""
        return self.many * self.m * self.n * self.p

    def seconds(self, rates: Rates) -> float:
        """Return how long they take."""
        sides = [side for side in (self.m, self.n, self.p) if side > 1]
        padded = self.many * prod(side + SHORT for side in sides)
        return max(padded / rates.multiply_adds, self.bytes / rates.bandwidth(self.bytes))


@dataclass(frozen=True, slots=True)
class Work:
    """The products and the passes of one statement, or of several."""

    products: tuple[Product, ...] = ()
    passes: tuple[Pass, ...] = ()

    def __add__(self, other: Work) -> Work:
        """Return the work of both."""
        return Work(self.products + other.products, self.passes + other.passes)

    @property
    def multiply_adds(self) -> int:
        """Return the multiply-adds of products of matrices."""
        return sum(p.multiply_adds for p in self.products)

    @property
    def bytes(self) -> int:
        """Return what all calls read and write."""
        return sum(p.bytes for p in self.products) + sum(p.bytes for p in self.passes)

    def seconds(self, rates: Rates) -> float:
        """Return how long it takes at `rates`."""
        passes = (
            max(p.entries * rates.entries.get(p.function, 0), p.bytes / rates.bandwidth(p.bytes))
            for p in self.passes
        )
        calls = len(self.products) + len(self.passes)
        return calls * rates.overhead + sum(p.seconds(rates) for p in self.products) + sum(passes)


def seconds(parts: Iterable[Part], sizes: Sizes, rates: Rates = NUMPY) -> float:
    """Return how long parts of a program take, in all turns of their loops."""
    found = 0.0
    for part in parts:
        match part:
            case Turns(parts=inner, index=index):
                found += sizes.entries((index,)) * seconds(inner, sizes.inside((index,)), rates)
            case Blocks(parts=inner):
                found += seconds(inner, sizes, rates)
            case Step(statements=statements):
                found += sum(work(s, sizes).seconds(rates) for s in statements)
    return found


def work(statement: Statement, sizes: Sizes) -> Work:
    """Return what it takes to compute `statement`."""
    match statement:
        case View() | Map(out=Tensor(role=Role.SCALAR)):  # a number takes Python no time
            return Work()
        case Single(index=index, statement=inner):
            return work(inner, sizes.inside((index,)))
        case Contract(out=out, factors=factors, over=over):
            return _contract(factors, frozenset(out.indices) | set(over), over, sizes)
        case Fold(kernel=kernel, entry=entry, over=over):
            found = indices_of(kernel) | indices_of(entry)
            product = _contract((kernel, entry), found, over, sizes)
            return product + Work(passes=(_one("fold", found - set(over), sizes),))
        case Reduce(out=out, body=body, over=over, op=op):
            reduced = _reduced(frozenset(out.indices), over, op, sizes)
            return Work(passes=(*_passes(body, sizes), *reduced))
        case Gather(out=out):
            return Work(passes=(_one("take", frozenset(out.indices), sizes),))
        case Place(out=out) | Carry(out=out):
            return Work(passes=(_one("copy", frozenset(out.indices), sizes),))
        case Map(out=out, body=body, accumulate=accumulate):
            passes = list(_passes(body, sizes))
            if accumulate or not passes:
                passes.append(_one("add" if accumulate else "copy", frozenset(out.indices), sizes))
            return Work(passes=tuple(passes))


def _reduced(
    left: frozenset[Index], over: tuple[Index, ...], op: Op, sizes: Sizes
) -> tuple[Pass, ...]:
    """Return the calls that bring entries together: one, or one for each of a few entries."""
    read, many = sizes.entries(left | set(over)), sizes.entries(over)
    if op is Op.SUM:
        return (Pass("add", read, FLOAT * (read + sizes.entries(left))),)
    if many <= FEW:
        return (_one("arithmetic", left, sizes),) * many
    return (Pass("largest of a row", sizes.entries(left), FLOAT * read),)


def _contract(
    factors: tuple[Expr, ...], whole: frozenset[Index], over: tuple[Index, ...], sizes: Sizes
) -> Work:
    """Return the work of a product of two, after what makes them: formulas, and windows."""
    passes = [p for f in factors for p in _passes(f, sizes)]
    passes += [_one("windows", indices_of(f), sizes) for f in factors if _slides(f)]
    first, *rest = map(indices_of, factors)
    second = frozenset().union(*rest)
    left, right = first - second - set(over), second - first - set(over)
    read = sum(sizes.entries(indices_of(f)) for f in factors)
    product = Product(
        many=sizes.entries(whole - left - right - set(over)),
        m=sizes.entries(left),
        n=sizes.entries(right),
        p=sizes.entries(over),
        bytes=FLOAT * (read + sizes.entries(whole - set(over))),
    )
    return Work((product,), tuple(passes))


def _slides(factor: Expr) -> bool:
    """Whether a factor reads a tensor through windows, which are laid out first."""
    found = [affine(at) for a in accesses(factor) for at in a.indices if not at.has(Access)]
    return any(at is not None and len(at.coefficients) > 1 for at in found)


def _passes(expr: Expr, sizes: Sizes) -> Iterator[Pass]:
    """Yield the calls that compute `expr`, each over the indices of what it computes."""
    for function, indices in operations(expr):
        yield _one(function, indices, sizes)


def _one(function: str, indices: frozenset[Index], sizes: Sizes) -> Pass:
    """Return a call that reads two arrays, or one twice, and writes one."""
    entries = sizes.entries(indices)
    return Pass(function, entries, 3 * FLOAT * entries)
