"""Scratch memory: a few registers, each seen under the shapes it is needed in.

`a.u_nh` is register `u` seen as `[n,h]`. A register is used by one value at a time, so all its
shapes share one piece of memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bpgen.ir.index import Index

Axes = tuple[Index, ...]
_LETTERS = {"float": "uvwqrst", "bool": "cbf", "int": "ijkl"}


@dataclass(frozen=True, slots=True)
class Register:
    """One register under one shape."""

    letter: str
    axes: Axes
    kind: str

    @property
    def name(self) -> str:
        """Return the attribute: `u_nh`; a register without axes is `u_`."""
        return f"{self.letter}_{''.join(i.name for i in self.axes).replace('′', 'p')}"


@dataclass(slots=True)
class Scratch:
    """The registers of one workspace: which are in use now, and every shape that was asked for."""

    owner: str
    _busy: set[str] = field(default_factory=set)
    shapes: dict[Register, None] = field(default_factory=dict)

    def take(self, axes: Axes, kind: str = "float") -> Register:
        """Return a free register under the shape `axes`."""
        letter = next(c for c in _LETTERS[kind] if c not in self._busy)
        self._busy.add(letter)
        register = Register(letter, axes, kind)
        self.shapes[register] = None
        return register

    def free(self, register: Register) -> None:
        """Give a register back."""
        self._busy.discard(register.letter)

    def text(self, register: Register) -> str:
        """Return how code names a register."""
        return f"{self.owner}.{register.name}"
