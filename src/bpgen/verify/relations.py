"""What equations demand of extents: the relations that any sizes must keep.

An address `at` on an axis of extent A is inside the axis for every entry if its largest value is
below A. With smaller extents each index runs over fewer values, so that this largest value alone
has to be watched, and the room above it is kept as it is:

    A - 1 - max(at) = what it is at the declared extents

That one rule ties an index to the axis it runs over, a joined axis to its parts (C = G R), the
input of a window to its output and its width, a padded axis to the bare one, and a table to the
integers that are looked up in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import cast

import sympy
from sympy import Basic, Expr
from sympy.core.relational import Relational

from bpgen.ir.equation import Equation, Term
from bpgen.ir.expr import Access, Delta, Digit, Pad, accesses
from bpgen.ir.index import Extent, Index
from bpgen.ir.network import Network
from bpgen.ir.tensor import Role, Tensor
from bpgen.verify.radix import Digits, digits_of, is_complete, joined

Sizes = Mapping[Extent, int]

# A factor 2 of a formula shall not be taken for an extent, nor an axis of one entry for none.
LEAST = 3


@dataclass(slots=True)
class Relations:
    """What sizes must keep: `equal` formulas vanish, `fixed` extents stay, `kept` tests hold.

    A test comes with the extents that it reads.
    """

    equal: dict[Expr, None] = field(default_factory=dict)
    fixed: dict[Extent, None] = field(default_factory=dict)
    kept: dict[tuple[Extent, ...], list[Callable[[Sizes], bool]]] = field(default_factory=dict)

    def fix(self, *formulas: Basic) -> None:
        """Let the extents of `formulas` stay as they are."""
        self.fixed |= dict.fromkeys(e for f in formulas for e in extents_of(f))

    def hold(self, sizes: Sizes, changed: AbstractSet[Extent]) -> bool:
        """Whether no changed extent grows or degenerates, and every test that reads one holds."""
        limits = {e: (min(e.value or 0, LEAST), e.value or 0) for e in changed}
        if any(not least <= sizes[e] <= most for e, (least, most) in limits.items()):
            return False
        tests = (test for own, kept in self.kept.items() if changed & {*own} for test in kept)
        return all(test(sizes) for test in tests)

    def fix_all_but_plain(self) -> None:
        """Fix the extents that stand in anything but `A = B`: in windows, digits, comparisons."""
        plain = {f for f in self.equal if _is_plain(f)}
        self.fix(*(f for f in self.equal if f not in plain))
        self.fix(*(e for own in self.kept for e in own))

    def equate(self, formula: Expr) -> None:
        """Keep the value that `formula` has at the declared extents."""
        rest = sympy.expand(formula - at_declared(formula))
        if rest != 0:
            self.equal[rest] = None

    def keep(self, formulas: tuple[Basic, ...], test: Callable[[Sizes], bool]) -> None:
        """Keep `test` true, which reads the extents of `formulas`."""
        own = tuple(dict.fromkeys(e for f in formulas for e in extents_of(f)))
        self.kept.setdefault(own, []).append(test)


def _is_plain(formula: Expr) -> bool:
    return {term.as_coeff_Mul()[0] for term in formula.args} == {1, -1} and all(
        isinstance(term.as_coeff_Mul()[1], Extent) for term in formula.args
    )


def extents_of(formula: Basic) -> tuple[Extent, ...]:
    """Return the extents that `formula` depends on, those of its indices too, sorted by name."""
    symbols = formula.free_symbols
    found = {s for s in symbols if isinstance(s, Extent)}
    found |= {s.extent for s in symbols if isinstance(s, Index)}
    return tuple(sorted(found, key=lambda e: (e.name, e.value or 0)))


def at_declared(formula: Expr) -> Expr:
    """Return `formula` at the declared extents; those that are free stay symbols."""
    return sympy.sympify(formula.xreplace({e: e.value or e for e in extents_of(formula)}))


def number(formula: Expr, sizes: Sizes) -> int:
    """Return the value of a formula of extents at `sizes`."""
    return int(formula.xreplace(dict(sizes)))


def bound(tensor: Tensor) -> Extent:
    """Return the extent that the integers of `tensor` lie below, as a size like all others."""
    return Extent(f"{tensor.name}·below", tensor.below)


def relations(network: Network) -> Relations:
    """Return what the equations of `network` demand of its extents."""
    found = Relations()
    ranges = Ranges(network)
    for tensor in network.of_role(Role.TABLE):
        if tensor.is_integer:  # its numbers are addresses: none may be lost, and none reach farther
            found.fix(bound(tensor), *tensor.indices)
    for equation in network.all_equations:
        for term in (*equation.terms, *(equation.predict or ())):
            _of_term(term, ranges, found)
    return found


@dataclass(frozen=True, slots=True)
class Ranges:
    """The values that formulas of integers take in `network`."""

    network: Network

    def of(self, at: Basic) -> tuple[Expr, Expr] | None:
        """Return the least and the largest value of `at` as formulas of extents, or None."""
        match at:
            case sympy.Integer() | Extent():
                return at, at
            case Index():
                return sympy.S.Zero, at.extent - 1
            case Digit():
                return sympy.S.Zero, at.extent - 1
            case Access():
                below = self.below(self.network.tensors[at.name])
                return None if below is None else (sympy.S.Zero, below - 1)
            case sympy.Add():
                parts = [self.of(a) for a in at.args]
                if None in parts:
                    return None
                ends = zip(*cast("list[tuple[Expr, Expr]]", parts), strict=True)
                low, high = (sympy.Add(*end) for end in ends)
                return low, high
            case sympy.Mul():
                return self._of_product(at)
            case _:
                return None

    def _of_product(self, at: sympy.Mul) -> tuple[Expr, Expr] | None:
        """Take a coefficient off: a number times extents, which are positive."""
        scale = sympy.Mul(*(a for a in at.args if isinstance(a, sympy.Integer | Extent)))
        rest = [a for a in at.args if not isinstance(a, sympy.Integer | Extent)]
        inner = self.of(rest[0]) if len(rest) == 1 else None
        if not rest:
            return scale, scale
        if inner is None:
            return None
        low, high = (scale * end for end in inner)
        return (high, low) if scale.could_extract_minus_sign() else (low, high)

    def below(self, tensor: Tensor) -> Expr | None:
        """Return what the integers of `tensor` lie below; None for real numbers."""
        if tensor.below is not None:
            return bound(tensor)
        if tensor.role is not Role.ADDRESS:
            return None
        (term, *_) = cast("Equation", self.network.equation_of(tensor.name)).terms
        if term.over:
            return term.over[0].extent
        # With a border, or read elsewhere: the same addresses.
        return next((self.below(self.network.tensors[a.name]) for a in accesses(term.body)), None)


def _of_term(term: Term, ranges: Ranges, found: Relations) -> None:
    padded = {pad.entry for pad in term.body.atoms(Pad)}
    for read in accesses(term.body):
        for axis, at in zip(ranges.network.tensors[read.name].indices, read.indices, strict=True):
            if at != axis:
                _of_address(at, axis.extent, ranges, found, is_padded=read in padded)
        for digits in digits_of(read.indices):
            _of_digits(digits, found)
    for digit in sorted(term.body.atoms(Digit), key=str):
        if at_declared(digit.index.extent - digit.stride * digit.extent) == 0:
            found.equate(digit.index.extent - digit.stride * digit.extent)
    for condition in sorted(term.body.atoms(Relational, Delta), key=str):
        _of_comparison(condition, ranges, found)


def _of_address(
    at: Basic, extent: Extent, ranges: Ranges, found: Relations, *, is_padded: bool
) -> None:
    """Keep the room above an address; where a choice guards it, or in doubt, keep the extents."""
    ends = ranges.of(at)
    if ends is None:
        found.fix(at, extent)
        return
    low, room = at_declared(ends[0]), sympy.expand(extent - 1 - ends[1])
    if not (low.is_Integer and at_declared(room).is_Integer):
        found.fix(at, extent)
    elif isinstance(at, sympy.Integer):
        found.keep((extent,), lambda sizes: sizes[extent] > int(at))
    elif not is_padded and (at_declared(room) < 0 or (low < 0 and extents_of(ends[0]))):
        found.fix(at, extent, ends[1])
    else:
        found.equate(room)
        digits = joined(at)
        if digits is not None:
            _keep_complete(digits, extent, found)


def _of_digits(digits: tuple[Index, Digits], found: Relations) -> None:
    """Keep what is split complete: every value of the index is read back from its digits."""
    index, parts = digits
    if is_complete(parts, index.extent, {}):
        found.equate(index.extent - sympy.Mul(*(radix for _, radix in parts)))
        _keep_complete(parts, index.extent, found)


def _keep_complete(digits: Digits, extent: Extent, found: Relations) -> None:
    if is_complete(digits, extent, {}):
        formulas = (extent, *(part for digit in digits for part in digit))
        found.keep(formulas, lambda sizes: is_complete(digits, extent, sizes))


def _of_comparison(condition: Basic, ranges: Ranges, found: Relations) -> None:
    """Keep what a comparison of integers can come out as: below, equal, above."""
    left, right = condition.args
    ends = ranges.of(left - right)
    if ends is None:
        return
    low, high = ends
    if not (at_declared(low).is_Integer and at_declared(high).is_Integer):
        return
    both = [e for e in _bounds(left, right, ranges) if e is not None]
    if len(both) == 2 and at_declared(both[0] - both[1]) == 0:
        found.equate(both[0] - both[1])
    pattern = _pattern(int(at_declared(low)), int(at_declared(high)))
    found.keep(
        (low, high), lambda sizes: _pattern(number(low, sizes), number(high, sizes)) == pattern
    )


def _bounds(left: Basic, right: Basic, ranges: Ranges) -> Iterator[Expr | None]:
    """Yield the extents of an index and of the integers that it is compared with."""
    if {type(left), type(right)} == {Index, Access}:
        for side in (left, right):
            if isinstance(side, Index):
                yield side.extent
            elif isinstance(side, Access):
                yield ranges.below(ranges.network.tensors[side.name])


def _pattern(low: int, high: int) -> tuple[bool, bool, bool]:
    return low < 0, low <= 0 <= high, high > 0
