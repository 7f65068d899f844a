"""What a workspace holds besides buffers: scratch registers, and arrays that never change.

`a.u_nh` is register `u` seen as `[n,h]`. A register is used by one value at a time, so all its
shapes share one piece of memory. `a.ONES_N` is a constant: it is made once.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from bpgen.ir.index import Extent, Index

Axes = tuple[Index, ...]
_LETTERS = {"float": "uvwqrst", "bool": "cbf", "int": "ijkl", "double": "xyz"}


@dataclass(frozen=True, slots=True)
class Register:
    """One register under one shape."""

    letter: str
    axes: Axes
    kind: str

    @property
    def name(self) -> str:
        """Return the attribute: `u_nh`; a register without axes is `u_`."""
        return f"{self.letter}_{_letters(self.axes)}"


def _letters(axes: Axes) -> str:
    return "".join(i.name for i in axes).replace("′", "p")


@dataclass(slots=True)
class Scratch:
    """The registers of one workspace: which are in use now, and every shape that was asked for.

    `taken` are the names of tensors, which neither registers nor constants may have; with `local`
    code has registers as names of their own. `constants` are the arrays that code reads and never
    writes, `views` other ways to see a buffer: how each one is made, by its name. `used` tells in
    which steps each of all these is; `step` is the one that is being written.
    """

    owner: str
    taken: frozenset[str] = frozenset()
    local: bool = False
    _busy: set[str] = field(default_factory=set)
    shapes: dict[Register, None] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)
    used: dict[str, set[Hashable]] = field(default_factory=dict)
    step: Hashable = None

    def take(self, axes: Axes, kind: str = "float") -> Register:
        """Return a free register under the shape `axes`."""
        registers = (Register(c, axes, kind) for c in _LETTERS[kind] if c not in self._busy)
        register = next(r for r in registers if r.name not in self.taken)
        self._busy.add(register.letter)
        self.shapes[register] = None
        self._use(register.name)
        return register

    def free(self, register: Register) -> None:
        """Give a register back."""
        self._busy.discard(register.letter)

    def text(self, register: Register) -> str:
        """Return how code names a register."""
        return register.name if self.local else f"{self.owner}.{register.name}"

    def view(self, tensor: str, made: str, axes: Axes) -> str:
        """Return how code names a view of a buffer, made once: `a.x_pad_nchwuv`."""
        name = f"{tensor}_{_letters(axes)}"
        while name in self.taken or self.views.get(name, made) != made:
            name += "_"
        self.views[name] = made
        self._use(name)
        return f"{self.owner}.{name}"

    # ---- constants -------------------------------------------------------------------------------

    def zero(self) -> str:
        """Return 0 as an array, which spares numpy the conversion of a number in every call."""
        return self._constant("ZERO", "np.zeros((), dtype)")

    def ones(self, extent: Extent) -> str:
        """Return the weights of a sum over `extent` entries."""
        return self._constant(f"ONES_{extent}", f"np.ones({extent}, dtype)")

    def mean(self, extent: Extent) -> str:
        """Return the weights of a mean over `extent` entries."""
        return self._constant(f"MEAN_{extent}", f"np.full({extent}, 1 / {extent}, dtype)")

    def range_of(self, extent: Extent) -> str:
        """Return the numbers 0 … extent-1."""
        return self._constant(f"RANGE_{extent}", f"np.arange({extent})")

    def reals_of(self, extent: Extent) -> str:
        """Return the numbers 0 … extent-1, to calculate with."""
        return self._constant(f"NUMBERS_{extent}", f"np.arange({extent}, dtype=dtype)")

    def starts(self, rows: Extent, columns: Extent) -> str:
        """Return where each row of a matrix begins in memory, counted in entries."""
        return self._constant(f"STARTS_{rows}_{columns}", f"{columns} * np.arange({rows})")

    def _constant(self, name: str, made: str) -> str:
        while name in self.taken:
            name += "_"
        self.constants[name] = made
        self._use(name)
        return f"{self.owner}.{name}"

    def _use(self, name: str) -> None:
        self.used.setdefault(name, set()).add(self.step)
