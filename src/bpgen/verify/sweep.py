"""Error against step: the V-curves of stencils in float64, and Taylor tables in many digits.

A large step leaves the truncation error h^p, a small one the rounding 2^-53/h; between them is the
best that float64 can show. In 50 and in 100 digits the same slopes go on.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy

from bpgen.ir.derivation import Derivation
from bpgen.ir.network import Network
from bpgen.verify.check import has_flint
from bpgen.verify.decimals import Decimals, bits_of
from bpgen.verify.evidence import measure
from bpgen.verify.line import Base, Direction, Sample, base, gaussian, sample, slope, unit
from bpgen.verify.numbers import FLOAT64, Numbers
from bpgen.verify.points import generic
from bpgen.verify.problem import BUDGET, lifted, problem
from bpgen.verify.reduce import reduced
from bpgen.verify.stencils import ORDERS, weights
from bpgen.verify.switch import crossed
from bpgen.verify.taylor import Table, remainders

EXPONENTS = range(1, 41)
_DIGITS = (50, 100)
_HEIGHT = 17  # digits of float64, and a line for none


@dataclass(frozen=True, slots=True)
class Curve:
    """The relative error of one stencil at h = 2^-1, 2^-2, …; None where a switch is crossed."""

    order: int
    errors: tuple[float | None, ...]

    @property
    def best(self) -> tuple[int, float] | None:
        """Return the exponent of the best step, and the error there."""
        seen = [(e, k) for k, e in zip(EXPONENTS, self.errors, strict=True) if e is not None]
        return min(seen)[::-1] if seen else None


@dataclass(frozen=True, slots=True)
class Sweep:
    """The curves and the tables of one network along one direction."""

    network: str
    seed: int
    curves: tuple[Curve, ...]
    tables: tuple[Table, ...]

    @property
    def verdict(self) -> str:
        """Return UNDECIDED if a slope is not that of a right gradient; `check` tells why."""
        return "VERIFIED" if all(t.agrees for t in self.tables) else "UNDECIDED"

    def __str__(self) -> str:
        """Return the plot, then the tables."""
        from bpgen.verify.report import slopes

        title = f"stencils of {self.network} in float64: error against step, seed {self.seed}"
        best = [
            f"order {c.order}: {-math.log10(e) if e else 16:.1f} digits at h = 2^-{k}"
            for c in self.curves
            if c.best is not None
            for k, e in [c.best]
        ]
        tables = ["\n".join(["", *slopes(t), fitted(t)]) for t in self.tables]
        return "\n".join([title, *_plot(self.curves), *best, *tables])

    def to_json(self) -> dict[str, Any]:
        """Return curves and slopes as numbers and lists."""
        curves = [{"order": c.order, "errors": list(c.errors)} for c in self.curves]
        tables = [
            {
                "numbers": t.numbers,
                "fitted": [t.fitted(k) for k in range(3)],
                "rows": [
                    {"exponent": r.exponent, "remainders": list(r.remainders)} for r in t.rows
                ],
            }
            for t in self.tables
        ]
        return {
            "verdict": self.verdict,
            "network": self.network,
            "seed": self.seed,
            "exponents": list(EXPONENTS),
            "curves": curves,
            "tables": tables,
        }


def sweep(
    network: Network,
    derivation: Derivation,
    seed: int | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Sweep:
    """Sweep the step of every stencil along one Gaussian direction of length 1."""
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    rng = np.random.default_rng(seed)
    subject = problem(network, derivation)
    subject = reduced(subject, rng) if subject.cost > BUDGET else subject
    point = generic(subject, rng)
    way = unit(gaussian(subject, subject.parameters, rng))
    tables = []
    for digits in _DIGITS:
        progress(f"Taylor table in {digits} digits")
        at = base(subject, point, _numbers(digits))
        table = remainders(at, lifted(way, at.numbers))
        tables.append(replace(table, numbers=f"{digits} digits"))
    progress("stencils")
    claimed = float(slope(at.gradient, lifted(way, at.numbers), at.numbers))
    size = abs(claimed) or measure(at)(way)
    native = base(subject, point, FLOAT64)
    curves = _curves(native, way, claimed, size)
    return Sweep(network.name, seed, curves, tuple(tables))


def _numbers(digits: int) -> Numbers:
    if not has_flint():
        return Decimals(digits)
    from bpgen.verify.balls import Balls

    return Balls(bits_of(digits))


def _curves(at: Base, way: Direction, claimed: float, size: float) -> tuple[Curve, ...]:
    known: dict[sympy.Expr, Sample] = {}

    def there(t: sympy.Expr) -> Sample:
        if t not in known:
            known[t] = sample(at, way, t)
        return known[t]

    start = there(sympy.S.Zero)

    def error(order: int, exponent: int) -> float | None:
        total = 0.0
        for j, w in weights(order).items():
            found = there(sympy.Rational(j, 2**exponent))
            if crossed(start.switches, found.switches):
                return None
            total += float(w) * float(found.value)
        return abs(total * 2.0**exponent - claimed) / size

    return tuple(Curve(p, tuple(error(p, k) for k in EXPONENTS)) for p in ORDERS)


def _plot(curves: tuple[Curve, ...]) -> list[str]:
    """Draw the curves with characters: digits upwards, steps from large to small."""
    grid = [[" "] * len(EXPONENTS) for _ in range(_HEIGHT)]
    for curve in curves:
        for column, error in enumerate(curve.errors):
            if error is not None:
                digits = _HEIGHT - 1 if error == 0 else -math.log10(error)
                row = min(max(round(digits), 0), _HEIGHT - 1)
                seen = grid[row][column]
                grid[row][column] = str(curve.order) if seen == " " else "*"
    lines = [f"  1e-{row:<3}|{''.join(grid[row])}".rstrip() for row in reversed(range(_HEIGHT))]
    marks = "".join(f"2^-{k:<7}" for k in range(1, EXPONENTS.stop, 10))
    return [*lines, f"  {'':<6}+{'-' * len(EXPONENTS)}", f"  {'':<7}{marks}".rstrip()]


def fitted(table: Table) -> str:
    """Return the slopes fitted through all reliable rows, as a line of text."""
    names = ("R0", "R1", "R2")
    parts = []
    for order, name in enumerate(names):
        found = table.fitted(order)
        missing = "exact" if table.is_exact(order) else "below rounding"
        parts.append(f"{name} {missing if found is None else f'{found:.4f}'}")
    return f"fitted slopes: {', '.join(parts)}"
