"""What a workspace holds besides buffers: scratch registers, and arrays that never change.

`a.u_nh` is register `u` seen as `[n,h]`. A register is used by one value at a time, so all its
shapes share one piece of memory. `a.ONES_N` is a constant: it is made once.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import chain, count
from math import prod

from sympy import Expr

from bpgen.ir.index import Extent, Index, Scalar
from bpgen.lower.row_blocks import Length
from bpgen.targets.numpy.constants import formula_of, name_of
from bpgen.targets.numpy.scalar import scalar

Axes = tuple[Index, ...]
# Entries of a tile of windows: 2 MB of float32, so that few tiles leave the cache. Measured: from
# 0.3 to 4 MB the time of a product changes by less than a tenth.
ENTRIES = 1 << 19
# Rows of a tile that begin a multiple of EVEN entries apart fall into few places of a cache, so GAP
# entries lie between them. Measured: a product of 64 rows by 1024 columns takes 0.77 of the time.
EVEN = 512
GAP = 16
_LETTERS = {"float": "uvwqrst", "bool": "cbf", "int": "ijkl", "double": "xyz"}


class Part(Extent):
    """How many values of an index one tile takes, known when the batch is.

    It is the largest divisor of `whole` with which a tile stays in the cache; a row of it has the
    entries that `row` count.
    """

    whole: Extent
    row: tuple[Extent, ...]

    @classmethod
    def of(cls, name: str, whole: Extent, row: tuple[Extent, ...]) -> Part:
        """Return the part of `whole`, called `name`."""
        part = cls(name, None)
        part.whole, part.row = whole, row
        return part

    def count(self, batch: int) -> int:
        """Return how many values there are, with so many examples in a batch."""
        whole, entries = self.whole.count(batch), prod(e.count(batch) for e in self.row)
        fits = (n for n in range(2, whole + 1) if n * entries <= ENTRIES and whole % n == 0)
        return max(fits, default=1)


class Tile(Extent):
    """How many entries the largest of some tiles has, with what lies between its rows."""

    shapes: tuple[tuple[Axes, Axes], ...]

    @classmethod
    def of(cls, shapes: tuple[tuple[Axes, Axes], ...]) -> Tile:
        """Return the size that holds a matrix of each of `shapes`, its rows and its columns."""
        tile = cls("TILE", None)
        tile.shapes = shapes
        return tile

    def count(self, batch: int) -> int:
        """Return how many entries there are, with so many examples in a batch."""

        def size(axes: Axes) -> int:
            return prod(i.extent.count(batch) for i in axes)

        return max(size(rows) * pitch(size(columns)) for rows, columns in self.shapes)


def pitch(columns: int) -> int:
    """Return how far apart rows of so many entries begin in a tile."""
    return columns + GAP if columns % EVEN == 0 else columns


@dataclass(frozen=True, slots=True)
class Register:
    """One register under one shape; `rows` are the axes of a tile that are rows of its matrix."""

    letter: str
    axes: Axes
    kind: str
    rows: Axes = ()

    @property
    def columns(self) -> Axes:
        """Return the axes of a tile that are columns of its matrix."""
        return self.axes[len(self.rows) :]

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
    code has registers as names of their own. `constants` are the arrays that keep what they are
    made with, and what `erf` computes in; `views` other ways to see a buffer: how each one is made,
    by its name. `parts` are how many values of an index a tile takes. `serving` is the tensor that
    is computed now.
    """

    owner: str
    taken: frozenset[str] = frozenset()
    local: bool = False
    _busy: set[str] = field(default_factory=set)
    shapes: dict[Register, None] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    used: dict[str, set[Hashable]] = field(default_factory=dict)
    step: Hashable = None
    serving: str = ""

    def take(self, axes: Axes, kind: str = "float", rows: Axes = ()) -> Register:
        """Return a free register under the shape `axes`; a tile says which of them are `rows`."""
        registers = (Register(c, axes, kind, rows) for c in _LETTERS[kind] if c not in self._busy)
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
        if self.local:
            return register.name
        lengths = [isinstance(i.extent, Length) for i in register.axes]
        cut = f"[{', '.join([':'] * lengths.index(True) + [self.block])}]" if any(lengths) else ""
        return f"{self.owner}.{register.name}{cut}"

    def view(self, tensor: str, made: str, axes: Axes) -> str:
        """Return how code names a view of a buffer, made once: `a.x_pad_nchwuv`."""
        name = f"{tensor}_{_letters(axes)}"
        while name in self.taken or self.views.get(name, made) != made:
            name += "_"
        self.views[name] = made
        self._use(name)
        return f"{self.owner}.{name}"

    # ---- constants -------------------------------------------------------------------------------

    def number(self, expr: Expr) -> str:
        """Return a number as an array, which spares numpy its conversion in every call.

        What a Python number is in it changes from call to call: that stays an expression.
        """
        if expr.atoms(Scalar):
            return scalar(expr)
        formula = formula_of(expr)
        made = f"np.array({scalar(expr)}, dtype){formula and f'  # {formula}'}"
        return self._constant(name_of(expr, self.serving), made)

    def ones(self, extent: Extent) -> str:
        """Return the weights of a sum over `extent` entries."""
        return self._constant(f"ONES_{extent}", f"np.ones({extent}, dtype)")

    def mean(self, extent: Extent, whole: Expr) -> str:
        """Return the weights of a mean over `whole` entries, of which `extent` are at hand."""
        return self._constant(f"MEAN_{extent}", f"np.full({extent}, 1 / {whole}, dtype)")

    def range_of(self, extent: Extent) -> str:
        """Return the numbers 0 … extent-1."""
        return self._constant(f"RANGE_{extent}", f"np.arange({extent})")

    def count(self, extent: Extent) -> str:
        """Return how many values an index takes, as an array to calculate addresses with."""
        return self._constant(f"COUNT_{extent}", f"np.array({extent})")

    def one_hot(self, extent: Extent) -> str:
        """Return the matrix whose row i is 1 at i, and 0 elsewhere."""
        return self._constant(f"ONE_HOT_{extent}", f"np.eye({extent}, dtype=dtype)")

    def reals_of(self, extent: Extent) -> str:
        """Return the numbers 0 … extent-1, to calculate with."""
        return self._constant(f"NUMBERS_{extent}", f"np.arange({extent}, dtype=dtype)")

    def starts(self, rows: Extent, columns: Extent) -> str:
        """Return where each row of a matrix begins in memory, counted in entries."""
        return self._constant(f"STARTS_{rows}_{columns}", f"{columns} * np.arange({rows})")

    def pieces(self) -> str:
        """Return the memory in which `erf` computes one piece after the other."""
        return self._constant("PIECES", "np.empty((3, ERF_PIECE), dtype)")

    @property
    def tile(self) -> str:
        """Return what code calls a slice of an axis in a loop over tiles."""
        return self.free_name("tile")

    @property
    def rows(self) -> str:
        """Return what code calls a block of rows, in a loop over blocks."""
        return self.free_name("rows")

    @property
    def block(self) -> str:
        """Return what code calls the same block in a buffer that holds one."""
        return self.free_name("block")

    def free_name(self, name: str) -> str:
        """Return `name` for a variable of a loop, or a longer one if code uses that for another."""
        return f"{name}_" if name in self.taken else name

    # ---- tiles -----------------------------------------------------------------------------------

    def tiles(self, axis: Index, others: Axes) -> tuple[str, Index]:
        """Return what code calls the slices of `axis`, and the index over the values of one.

        A row of a tile has the entries that `others` count.
        """
        sizes = sorted(i.extent.name for i in others)
        name, row = f"TILES_{axis.extent}_{''.join(sizes)}", " * ".join(sizes) or "1"
        text = self._constant(name, f"tiles({axis.extent}, {row})")
        own = text.removeprefix(f"{self.owner}.")
        part = Part.of(own.replace("TILES", "rows"), axis.extent, tuple(i.extent for i in others))
        self.parts[part.name] = f"{own}[0].stop"
        return text, Index(f"{axis.name}_", part)

    def blocks(self, length: Length) -> str:
        """Return what code calls the blocks of rows, each as `rows` and as `block`."""
        whole = length.whole
        text = self._constant(f"BLOCKS_{whole}", f"blocks({whole}, {scalar(length.row)})")
        self.parts[length.name] = f"{text.removeprefix(f'{self.owner}.')}[0][0].stop"
        return text

    def _constant(self, name: str, made: str) -> str:
        known = next((own for own, how in self.constants.items() if how == made), None)
        names = chain((known or name,), (f"{name}_{k}" for k in count(2)))
        name = next(n for n in names if n not in self.taken and self.constants.get(n, made) == made)
        self.constants[name] = made
        self._use(name)
        return f"{self.owner}.{name}"

    def _use(self, name: str) -> None:
        self.used.setdefault(name, set()).add(self.step)
