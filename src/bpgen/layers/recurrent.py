"""What recurrent layers share: the state before, and the gates that one product gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy

from bpgen import declare as bp
from bpgen.errors import OptionError
from bpgen.layers.demands import needed_axes
from bpgen.layers.naming import called

Start = bp.Tensor | float
Past = Callable[[bp.Index], Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """A layer over the sequence `x[…,t,d]` whose state has an entry for each value of `unit`."""

    x: bp.Tensor
    unit: bp.Index
    name: str | None
    reverse: bool
    truncate: int | None

    @property
    def time(self) -> bp.Index:
        """Return the index that the layer runs over."""
        return self.x.indices[-2]

    @property
    def at(self) -> tuple[bp.Index, ...]:
        """Return the axes of the state: `[…,t,k]`."""
        return (*self.x.indices[:-1], self.unit)

    def label(self, stem: str) -> str | bp.Auto:
        """Return the name of a tensor: after the layer, or completed by bpgen."""
        return f"{self.name}_{stem}" if self.name else bp.Auto(stem, always=False)

    def index(self, size: int, letter: str) -> bp.Index:
        """Return an index that is none of the sequence or the state."""
        return bp.fresh_index(size, letter, *self.x.indices, self.unit)

    def parameter(self, stem: str, *axes: bp.Index) -> bp.Tensor:
        """Return a parameter that starts between ±1/√K."""
        bound = 1 / sympy.sqrt(self.unit.extent)
        return bp.parameter(called(self.name, stem), *axes, init=bp.init.uniform(bound))

    def define(self, stem: str, formula: Any) -> bp.Tensor:
        """Return the tensor `stem[…,t,k] = formula`."""
        return bp.define(self.label(stem), self.at, formula)

    def state(self, stem: str, start: Start) -> tuple[bp.Recurrence, Past]:
        """Return a state without a formula, and a function that reads the state before.

        At every `truncate`-th step no cotangent flows to the state before, but to the start.
        """
        *row, t, k = self.at
        state = bp.recurrence(self.label(stem), self.at, over=t, start=start)
        near = t + 1 if self.reverse else t - 1
        if self.truncate is None:
            return state, lambda j: state[(*row, near, j)]
        entry, steps = state[(*row, near, k)], t.extent - 1 - t if self.reverse else t
        cut = bp.hold(entry)
        if isinstance(start, bp.Tensor):
            cut = bp.where(steps > 0, cut, entry)
        flows = bp.Digit(steps, 1, self.truncate) > 0
        kept = self.define(f"{stem}_kept", bp.where(flows, entry, cut))
        return state, lambda j: kept[(*row, t, j)]

    def inputs(self, parts: int, *, stem: str = "z", past: Past | None = None) -> bp.Tensor:
        """Return `z[…,t,m] = Σ_d x W + b`, and Σ_j h U besides if the state before is given."""
        *row, d = self.x.indices
        m = self.index(parts * (self.unit.extent.value or 0), "m")
        W, b = self.parameter("W", d, m), self.parameter("b", m)
        z = bp.sum(self.x[self.x.indices] * W[d, m], over=d) + b[m]
        if past is not None:
            z = z + self.product(past, m)
        return bp.define(self.label(stem), (*row, m), z)

    def product(self, past: Past, m: bp.Index) -> Any:
        """Return the formula `Σ_j h[…,t-1,j] U[j,m]`."""
        j = bp.fresh_index(self.unit.extent.value or 0, "j", *self.x.indices, self.unit, m)
        return bp.sum(past(j) * self.parameter("U", j, m)[j, m], over=j)

    def gates(self, z: bp.Tensor, parts: int) -> Callable[[int], Any]:
        """Return a function that reads the entries of a gate: `z[…,t,qK+k]` for gate q."""
        *row, k = self.at
        q = bp.fresh_index(parts, "q", *self.at, *z.indices)
        label = bp.Auto("{}_by_gate", always=False, of=(z,))
        split = bp.define(label, (*row, q, k), z[(*row, q * k.extent + k)])
        return lambda gate: split[(*row, gate, k)]


def cell(
    layer: str,
    x: bp.Tensor,
    units: int,
    *,
    name: str | None,
    reverse: bool,
    truncate: int | None,
) -> Cell:
    """Return the cell of a layer over the sequence `x`.

    Errors: ShapeError if `x` is no sequence; OptionError if `truncate` is not a positive integer.
    """
    axes = needed_axes(x, layer, "x[n,t,d]")
    if truncate is not None and (not isinstance(truncate, int) or truncate < 1):
        raise OptionError(
            "`truncate` is out of range",
            where=bp.here(),
            disagree=f"it is {truncate!r}; it must be a number of steps, at least 1",
            way_out="Give the number of steps that a cotangent flows back, or None for all.",
        )
    return Cell(x, bp.fresh_index(units, "k", *axes), name, reverse, truncate)
