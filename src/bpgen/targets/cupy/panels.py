"""Panels: matrices that are in no memory, since kernels compute their entries where they read them.

A product `x[s,r,c] = Σ_k f[s,r,k] g[s,c,k]`, maps of its entries, sums and maxima of its rows or
columns, and products that sum over these: as where each position weighs all others, in whatever
way. In memory are the sums, the maxima and the results; the panel itself, rows times columns, is
computed anew in each kernel that needs it, a tile after the other. Its formulas are those of the
program, none is rescaled: so any equations of this form are a panel. `worth` says if it pays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sympy import Expr

from bpgen.ir.equation import Equation, Op
from bpgen.ir.expr import Access, accesses, indices_of
from bpgen.ir.tensor import KEPT, Role
from bpgen.targets.cupy.fusion import Entrywise, Member, Part, Total, bodies
from bpgen.targets.cupy.memory import Memory
from bpgen.targets.cupy.shapes import Axes, Matrices, matrices

_SHARED = KEPT | {Role.LOSS, Role.SCALAR}
MOST = 2  # products that an entry follows from in one kernel: each takes registers


@dataclass(frozen=True, slots=True)
class Panel:
    """What is computed over rows and columns alike: products first, then maps, in order."""

    indices: Axes
    rows: Axes
    columns: Axes
    parts: Mapping[str, Part]
    equations: Mapping[str, Equation]

    def sources(self, bodies: Iterable[Expr]) -> tuple[tuple[Access, ...], tuple[Entrywise, ...]]:
        """Return the entries of products that formulas follow from, and the maps between."""
        found = [a for body in bodies for a in accesses(body)]
        maps = list[Entrywise]()
        for part in reversed([*self.parts.values()]):
            if isinstance(part, Entrywise) and any(a.name == part.out.name for a in found):
                maps.insert(0, part)
                found = [*accesses(part.body), *found]
        is_product = {name: isinstance(part, Total) for name, part in self.parts.items()}
        products = (a for a in found if is_product.get(a.name, False))
        return tuple(dict.fromkeys(products)), tuple(maps)

    def without(self, names: Collection[str]) -> Panel:
        """Return the panel without some tensors, which are in memory then."""
        parts = {name: part for name, part in self.parts.items() if name not in names}
        return replace(self, parts=parts)

    def product(self, name: str) -> tuple[Total, Matrices]:
        """Return a product, and its operands."""
        part = self.parts[name]
        assert isinstance(part, Total)
        found = matrices(part, self.indices)
        assert found is not None
        return part, found


@dataclass(frozen=True, slots=True)
class End:
    """What is left of a panel in memory: a sum or a maximum of each row or column of a formula.

    `kept` are the indices of the panel that stay, `over` those that the sum runs over. With indices
    `across` it is a product of `factor`, an entry of the panel, and of `other`.
    """

    part: Total
    kept: Axes
    over: Axes
    across: Axes = ()
    factor: Access | None = None
    other: Expr | None = None

    @property
    def body(self) -> Expr:
        """Return the formula of the panel's entries that is summed."""
        return self.part.term.body if self.factor is None else self.factor


def panel_read(part: Part, panels: Iterable[Panel]) -> Panel | None:
    """Return the panel that a part ends; None if it reads none."""
    read = {a.name for body in bodies(part) for a in accesses(body)}
    return next((panel for panel in panels if read & panel.parts.keys()), None)


def evaluated(part: Part, panels: Iterable[Panel]) -> tuple[Expr, ...]:
    """Return all formulas that the kernel of a part evaluates: its own, and those of a panel."""
    panel = panel_read(part, panels)
    if panel is None:
        return bodies(part)
    products, maps = panel.sources(bodies(part))
    heads = (panel.product(a.name)[0].term.body for a in products)
    return (*bodies(part), *(m.body for m in maps), *heads)


def end_of(part: Part, panel: Panel) -> End | None:
    """Return what a sum makes of a panel; None if it is no end of it."""
    if not isinstance(part, Total) or _reads(part.plain, panel.parts):
        return None
    over, own = set(part.term.over), set(part.out.indices)
    ways = ((panel.rows, panel.columns), (panel.columns, panel.rows))
    found = next(((kept, gone) for kept, gone in ways if set(gone) == over), None)
    if found is None:
        return None
    kept, gone = found
    stay = set(panel.indices) - over
    if own == stay:
        return End(part, kept, gone)
    for factor, other in (part.factors, part.factors[::-1]) if len(part.factors) == 2 else ():
        across = tuple(i for i in part.out.indices if i not in stay)
        is_entry = isinstance(factor, Access) and factor.name in panel.parts
        is_free = not _reads(other, panel.parts) and not indices_of(other) & set(kept)
        if is_entry and is_free and own == stay | set(across) and part.op is Op.SUM:
            return End(part, kept, gone, across, factor, other)
    return None


def panels_of(
    training: Sequence[Member],
    prediction: Sequence[Member],
    memory: Memory,
    results: Collection[str],
) -> tuple[Panel, ...]:
    """Return all panels of the equations of a step, in order, if prediction has the same.

    What is among `results`, or is seen under other indices, must be in memory.
    """
    members = [*prediction, *training]
    parts = {m.part.out.name: m.part for m in members}
    equations = {m.part.out.name: m.equation for m in members}
    refused = {*results, *map(memory.root, memory.seen)}
    refused |= {name for name, part in parts.items() if part.out.role in _SHARED}
    for part in (m.part for m in members):
        if part != parts[part.out.name] or part.accumulate:
            refused.add(part.out.name)
    search = _Search([m.part for m in members], [m.part for m in training], memory)
    found = dict[tuple[Axes, Axes, Axes], Panel]()
    for name, part in parts.items():
        of = _product(part) if name not in refused else None
        key = (part.out.indices, of.rows, of.columns) if of else None
        if key and key not in found:
            taken = {name for other in found.values() for name in other.parts}
            panel = search.largest(Panel(*key, parts, equations).without(refused), taken)
            if any(isinstance(p, Total) for p in panel.parts.values()):
                found[key] = panel
                ends = {n for n, part in parts.items() if panel_read(part, [panel])}
                refused |= ends | panel.parts.keys()
    return tuple(found.values())


def _product(part: Part) -> Matrices | None:
    """Return the operands of a product to which nothing is added; None for anything else."""
    if not isinstance(part, Total) or part.op is not Op.SUM or part.plain != 0:
        return None
    return matrices(part, part.out.indices)


@dataclass(frozen=True, slots=True)
class _Search:
    """All that is computed, and what of it in a step."""

    parts: Sequence[Part]
    training: Sequence[Part]
    memory: Memory

    def largest(self, panel: Panel, taken: Collection[str]) -> Panel:
        """Return as much of a panel as need not be in memory: what reads it is in it, or an end.

        What is `taken` by another panel is no end.
        """
        panel = panel.without({name for name, p in panel.parts.items() if not _is_of(p, panel)})
        while True:
            bad = panel.parts.keys() - _linked(panel)
            bad |= set(_stale(panel, self.training, self.memory))
            for part in self.parts:
                read = [a for body in bodies(part) for a in accesses(body) if a.name in panel.parts]
                if read and (part.out.name in taken or not _may_read(part, read, panel)):
                    bad |= {a.name for a in read}
            if not bad:
                return panel
            panel = panel.without(bad)


def _is_of(part: Part, panel: Panel) -> bool:
    """Whether a part is a map over rows and columns, or a product of these."""
    if part.out.indices != panel.indices:
        return False
    if isinstance(part, Entrywise):
        return True
    of = _product(part)
    return of is not None and (of.rows, of.columns) == (panel.rows, panel.columns)


def _linked(panel: Panel) -> set[str]:
    """Return the products of a panel, and the maps that follow from some."""
    found = {name for name, part in panel.parts.items() if isinstance(part, Total)}
    for name, part in panel.parts.items():
        if isinstance(part, Entrywise) and any(a.name in found for a in accesses(part.body)):
            found.add(name)
    return found


def _may_read(part: Part, read: Sequence[Access], panel: Panel) -> bool:
    """Whether a part reads its own entry of a panel, or a product at its row, or at its column."""
    for a in read:
        of = panel.parts[a.name]
        pairs = zip(a.indices, of.out.indices, strict=True)
        is_known = isinstance(of, Total) and all(at == own or at.is_Integer for at, own in pairs)
        if a != of.out.canonical and not is_known:
            return False
    if part.out.name in panel.parts:
        return isinstance(part, Entrywise)
    end = end_of(part, panel)
    return end is not None and len(panel.sources([end.body])[0]) <= MOST


def _stale(panel: Panel, training: Sequence[Part], memory: Memory) -> Iterator[str]:
    """Yield what reads a tensor that is written again later: it cannot be computed then."""
    last = {memory.root(part.out.name): place for place, part in enumerate(training)}
    for place, part in enumerate(training):
        if part.out.name in panel.parts:
            reads = (memory.root(a.name) for body in bodies(part) for a in accesses(body))
            if any(last.get(root, -1) > place for root in reads):
                yield part.out.name


def _reads(expr: Expr, names: Collection[str]) -> bool:
    return any(a.name in names for a in accesses(expr))
