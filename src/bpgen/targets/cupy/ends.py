"""The kernels in which panels end: a sum or a maximum of each row or column, or a product.

A kernel is given what it multiplies for an entry of the panel, and the formula that follows from
it. Where a condition on two indices fails for all of a tile, as `s ≤ t` does beyond a diagonal, and
the formula is 0 there, the tile is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import sympy
from sympy import Expr
from sympy.core.relational import Relational

from bpgen.ir.affine import affine
from bpgen.ir.equation import Op
from bpgen.ir.expr import Access, Where, indices_of, sign_of
from bpgen.targets.cupy.fusion import Entrywise
from bpgen.targets.cupy.kernel import Draft, count
from bpgen.targets.cupy.panels import MOST, End, Panel
from bpgen.targets.cupy.shapes import (
    Axes,
    Written,
    call,
    in_lambda,
    layout,
    operation,
    placed,
    size,
    stored,
    stores,
    within,
)

_TILE = "64"  # rows and columns of a panel that a block computes at once


def write_end(draft: Draft, end: End, panel: Panel) -> Written:
    """Return the kernel of an end."""
    stack = tuple(i for i in draft.moving(panel.indices) if i not in {*end.kept, *end.over})
    axes = {"s": stack, "r": end.kept, "c": end.over, "j": end.across}
    counters = {letter: (draft.flatten(own, letter), own) for letter, own in axes.items()}
    return _Writer(draft, end, panel, counters).written()


@dataclass(frozen=True, slots=True)
class _Writer:
    """An end in writing; `counters` count a stack, its rows, its columns, and those of a result."""

    draft: Draft
    end: End
    panel: Panel
    counters: dict[str, tuple[str, Axes]]

    def written(self) -> Written:
        """Return the kernel."""
        end, draft = self.end, self.draft
        products, maps = self.panel.sources([end.body])
        known = [f"real {draft.known_as(read)}" for read in products]
        known += ["real"] * (MOST - len(known))
        value = self.of("src", lambda: [*self._lines(maps), self._return(end.body)], known)
        panels = [self._product(read) for read in products]
        panels += [["no_panel()"]] * (MOST - len(panels))
        other = end.other
        if other is None:
            op, kind, total = operation(end.part)
            name, sizes = f"rows_of_panel<{op}>", "src"
            lambdas = [value, self._store("sr", kind, total)]
        else:
            name, sizes = f"product_of_panel<{layout(other, end.across)}>", "srcj"
            right = self.of("scj", lambda: [self._return(other)])
            lambdas = [value, right, self._store("srj", "real", "sum")]
        text = call(name, self.sizes(sizes), [self._reached(), *lambdas, *panels])
        counts = (count(self.counters[letter][1]) for letter in "srj")
        return Written(text, "product", (_TILE, *counts))

    def _lines(self, maps: Sequence[Entrywise]) -> list[str]:
        return [line for part in maps for line in stores(self.draft, part)]

    def _return(self, formula: Expr) -> str:
        return f"return {self.draft.bare(formula)};"

    def sizes(self, letters: str) -> list[str]:
        return [size(self.draft, self.counters[letter][1]) for letter in letters]

    def of(
        self, letters: str, lines: Callable[[], list[str]], more: Sequence[str] = ()
    ) -> list[str]:
        """Return a lambda of some counters; there is always a stack, if only of one."""
        counters = [self.counters[letter] for letter in letters]
        body = within(self.draft, counters, lines)
        given = [f"int {name}" if axes else "int" for name, axes in counters]
        return in_lambda(", ".join([*given, *more]), body)

    def _store(self, letters: str, kind: str, word: str) -> list[str]:
        draft, part = self.draft, self.end.part
        total = draft.names.of(("total",), word)
        scale = part.scale if self.end.other is not None else sympy.S.One
        scaled = total if scale == 1 else f"{draft.value(scale)} * {total}"
        return self.of(
            letters,
            lambda: placed(draft, [part], stored(draft, [part], scaled)),
            [f"{kind} {total}"],
        )

    def _product(self, read: Access) -> list[str]:
        """Return a product of which the panel has entries: how long it is, and its operands."""
        part, of = self.panel.product(read.name)
        places = dict(zip(part.out.indices, read.indices, strict=True))
        left, right = (of.left, of.right) if self.end.kept == of.rows else (of.right, of.left)
        left, right = (part.scale * left).xreplace(places), right.xreplace(places)
        over = part.term.over
        k = self.draft.flatten(over, "k")
        inner = replace(self, counters={**self.counters, "k": (k, over)})
        operands = [
            inner.of("srk", lambda: [self._return(left)]),
            inner.of("skc", lambda: [self._return(right)]),
        ]
        kind = "panel_of" if is_along(read, self.end) else "column_of"
        layouts = f"{layout(left, over)}, {layout(right, self.end.over)}"
        lines = call(f"{kind}<{layouts}>", inner.sizes("k"), operands)
        return [*lines[:-1], lines[-1].removesuffix(";")]

    # ---- tiles that are left out -----------------------------------------------------------------

    def _reached(self) -> list[str]:
        """Return when a tile counts: if a condition holds where it is likeliest to.

        It is a lambda of the first and the last row, and of the first and the last column.
        """
        condition = _condition(self.end, self.panel)
        if condition is None:
            return ["everywhere()"]
        difference, sign = affine(condition.lhs - condition.rhs), sign_of(condition)
        assert difference is not None
        given = []
        for index in (*self.end.kept, *self.end.over):
            name = f"int {self.draft.symbol(index)}"
            is_first = (difference.coefficients.get(index, 0) > 0) == (sign[0] == "<")
            given += [name, "int"] if is_first else ["int", name]
        speller = self.draft.speller
        sides = speller.address(condition.lhs), sign, speller.address(condition.rhs)
        return in_lambda(", ".join(given), [f"return {speller.relation(*sides)};"])


def is_along(formula: Expr, end: End) -> bool:
    """Whether a formula differs from column to column."""
    return not indices_of(formula).isdisjoint(end.over)


def is_half(end: End, panel: Panel) -> bool:
    """Whether many tiles are left out: about half of them, beyond a diagonal."""
    return _condition(end, panel) is not None


def _condition(end: End, panel: Panel) -> Relational | None:
    """Return a comparison of one row and one column without which a tile need not be computed.

    Where it does not hold, all values of a row are the same: 0, or one that counts once.
    """
    if len(end.kept) != 1 or len(end.over) != 1:
        return None
    own = {*end.kept, *end.over}
    for condition in _conditions(end, panel):
        difference = affine(condition.lhs - condition.rhs)
        if difference and set(difference.coefficients) <= own and sign_of(condition)[0] in "<>":
            return condition
    return None


def _conditions(end: End, panel: Panel) -> Iterator[Relational]:
    """Yield the conditions on indices under which the values of a row differ."""
    match end.part.op, end.body:
        case Op.SUM, body:
            yield from _without_which_it_is_0(body, panel)
        case Op.MAX, Where() as body:
            condition, _, other = body.args
            if isinstance(condition, Relational) and not is_along(other, end):
                yield condition


def _without_which_it_is_0(formula: Expr, panel: Panel) -> Iterator[Relational]:
    """Yield conditions on indices without which a formula is 0."""
    match formula:
        case sympy.Mul():
            for factor in formula.args:
                yield from _without_which_it_is_0(factor, panel)
        case Where():
            condition, a, b = formula.args
            if b == 0:
                if isinstance(condition, Relational) and not condition.has(Access):
                    yield condition
                yield from _without_which_it_is_0(a, panel)
        case Access():
            part = panel.parts.get(formula.name)
            if isinstance(part, Entrywise):
                yield from _without_which_it_is_0(part.body, panel)
        case _:
            return
