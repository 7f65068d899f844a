"""The workspaces of a numpy module: pieces of memory, buffers as rows of them, and constants."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import sympy

from bpgen.emit.functions import Functions
from bpgen.emit.layout import Memory, buffer_field, scratch_lines, shape, tile_lines
from bpgen.emit.tensors import as_tuple
from bpgen.emit.view import FieldView, WorkspaceView
from bpgen.emit.wrap import wrapped_code
from bpgen.ir.program import Program, steps_of
from bpgen.ir.tensor import Role
from bpgen.lower.held import blocks, buffers
from bpgen.lower.lives import SECOND, TRAINING, Lives, lives, predicting
from bpgen.lower.workspace import NARROW, Buffer, Piece, Rows, Workspace, assigned
from bpgen.spell import FormulaSpeller
from bpgen.targets.numpy.in_place import is_in_place
from bpgen.targets.numpy.scalar import scalar
from bpgen.targets.numpy.scratch import Axes, Register, Scratch, Tile

LENT = "lent"  # what code calls the function that sees rows as another type
APART = "apart"  # … that sees them as a matrix whose rows do not touch
DTYPES = {
    "float": "dtype",
    "bool": "bool",
    "int": "np.intp",
    "int32": "np.int32",
    "double": "np.float64",
    NARROW: "narrow",
}
_DOCS = {
    "Activations": "What prediction computes for a batch of N examples.",
    "Workspace": "What a step of training computes: activations, and cotangents from them.",
    "Tangents": "The workspace of a gradient, and how everything in it moves along a direction.",
}


@dataclass(frozen=True, slots=True)
class Workspaces:
    """The workspaces of one program, when all its functions are written."""

    program: Program
    memory: Memory
    speller: FormulaSpeller
    written: Functions

    def views(self) -> tuple[WorkspaceView, ...]:
        """Return what prediction needs, what training needs, and what second derivatives need."""
        needed = {"Activations": predicting(self.program), "Workspace": TRAINING}
        if self.program.second:
            needed["Tangents"] = (*TRAINING, SECOND)
        bases = ("", *(f"({name})" for name in needed))
        return tuple(
            self._view(name, base, lives(self.program, functions))
            for base, (name, functions) in zip(bases, needed.items(), strict=False)
        )

    def training(self) -> Workspace:
        """Return the memory of a step of training."""
        alive = lives(self.program, TRAINING)
        return self._assigned(alive, self._buffers(alive))

    def _view(self, name: str, base: str, alive: Lives) -> WorkspaceView:
        held_buffers = self._buffers(alive)
        held = self._assigned(alive, held_buffers)
        users = Counter(rows.piece for rows in held.rows.values())
        shared = {
            piece: rows
            for piece, rows in held.pieces.items()
            if (users[piece] > 1 and piece.border is None) or _is_of_tiles(piece)
        }
        tiles = {r.name: r for r in self._scratch.shapes if r.rows}
        by_name, bordered = {b.name: b for b in held_buffers}, dict[Rows, str]()
        fields = []
        for buffer in (by_name[name] for name in held.rows):
            rows = held.rows[buffer.name]
            made = _made(buffer)
            if rows.piece.border is not None:
                first = bordered.setdefault(rows, buffer.name)
                made = made if first == buffer.name else f"self.{first}"
            elif rows.piece in shared:
                part = f"{called(rows.piece)}[{rows.begin}:{rows.begin + rows.count}]"
                tile = tiles.get(buffer.name)
                row = f"{called(rows.piece)}[{rows.begin}]"
                made = seen_as(part, buffer) if tile is None else _apart(row, tile)
            fields.append(buffer_field(buffer.name, made, self._formula(buffer.name)))
            fields += self._parts(buffer.name)
        return WorkspaceView(
            name,
            base,
            _DOCS[name],
            pieces=tuple(
                f"{called(p)} = np.empty({size_of(p, rows)})" for p, rows in shared.items()
            ),
            buffers=(*self._tables(alive), *fields),
            meets=not base and any(s.meets for s in steps_of(self.program.computed)),
            tiles=(*tile_lines(self._scratch, alive.times), *_tile_sizes(shared)),
            constants=scratch_lines(self._scratch, alive.times),
        )

    @property
    def _scratch(self) -> Scratch:
        return self.written.network.scratch

    # ---- addresses -------------------------------------------------------------------------------

    def _assigned(self, alive: Lives, found: Sequence[Buffer]) -> Workspace:
        moments = {time: moment for moment, time in alive.times.items()}
        names = self.memory.names

        def in_place(out: Buffer, operand: Buffer, time: int) -> bool:
            if out.indices != operand.indices or not {out.name, operand.name} <= names.keys():
                return False
            aliases = self._aliases(operand.name, alive)
            lines = self.written.code[moments[time].function][moments[time].step]
            return is_in_place(lines, names[out.name], names[operand.name], aliases)

        return assigned(found, blocks(self.program), in_place)

    def _buffers(self, alive: Lives) -> list[Buffer]:
        """Return what lies in memory: tensors, and registers in the steps that compute in them."""
        found = buffers(self.program, alive)
        used = {}
        for register in self._scratch.shapes:
            moments = self._scratch.used[register.name]
            times = tuple(range(t, t + 1) for m, t in alive.times.items() if m in moments)
            if times:
                used[register] = times
        tile = Tile.of(tuple((r.rows, r.columns) for r in used if r.rows))
        for register, times in used.items():
            row = tile if register.rows else None
            found.append(Buffer(register.name, register.axes, register.kind, times, row=row))
        return found

    def _aliases(self, name: str, alive: Lives) -> set[str]:
        """Return what code calls views of the memory of a tensor."""
        own = re.compile(rf"{re.escape(self.memory.names[name])}\b")
        seen = {self.memory.names[view] for view, root in alive.roots.items() if root == name}
        return seen | {
            f"a.{view}" for view, made in self._scratch.views.items() if own.search(made)
        }

    # ---- text ------------------------------------------------------------------------------------

    def _tables(self, alive: Lives) -> tuple[FieldView, ...]:
        found = []
        for t in self.program.network.of_role(Role.TABLE):
            if t.name in alive.touched:
                dtype = "np.intp" if t.is_integer else "dtype"
                made = f'TABLES["{t.name}"].astype({dtype})'
                found.append(buffer_field(t.name, made, self._formula(t.name)))
        return tuple(found)

    def _parts(self, name: str) -> Iterator[FieldView]:
        """Yield the tensors that lie in a buffer before ones."""
        for whole in self.program.wholes:
            if whole.tensor.name == name:
                for part in whole.parts:
                    end = self.program.arrays[part].indices[0].extent
                    yield buffer_field(part, f"self.{name}[:{end}]", self._formula(part))

    def _formula(self, name: str) -> str:
        """Return a tensor as formulas write it; registers have no formula."""
        tensor = self.program.arrays.get(name)
        return "" if tensor is None else self.speller.spell(tensor.canonical)


def _is_of_tiles(piece: Piece) -> bool:
    return any(isinstance(e, Tile) for e in piece.row)


def _tile_sizes(pieces: Iterable[Piece]) -> Iterator[str]:
    """Yield the line that says how many entries the largest tile has, where tiles share memory."""
    for extent in (e for piece in pieces for e in piece.row):
        if isinstance(extent, Tile):
            sizes = list(
                dict.fromkeys(f"{_count(r)} * pitch({_count(c)})" for r, c in extent.shapes)
            )
            largest = f"max({', '.join(sizes)})" if len(sizes) > 1 else sizes[0]
            yield from wrapped_code(f"{extent} = {largest}", 4)


def _made(buffer: Buffer) -> str:
    """Return the code that makes a buffer with memory of its own; a border is filled once."""
    arguments = f"{shape(buffer.indices)}, {DTYPES[buffer.kind]}"
    if buffer.border is None:
        return f"np.empty({arguments})"
    if buffer.border.value == 0:
        return f"np.zeros({arguments})"
    value = "-np.inf" if buffer.border.value == -sympy.oo else scalar(buffer.border.value)
    return f"np.full({shape(buffer.indices)}, {value}, {DTYPES[buffer.kind]})"


def seen_as(rows: str, buffer: Buffer) -> str:
    """Return the code that sees rows of a piece as the array that they are for a while."""
    if buffer.kind in {"float", NARROW}:
        return f"{rows}.reshape({shape(buffer.indices)})"
    return f"{LENT}({rows}, {DTYPES[buffer.kind]}, {_sizes(buffer.indices)})"


def _apart(memory: str, tile: Register) -> str:
    """Return the code that sees memory as a tile, whose rows lie apart."""
    return f"{APART}({memory}, {_count(tile.rows)}, {_sizes(tile.axes)})"


def _count(axes: Axes) -> str:
    return " * ".join(i.extent.name for i in axes)


def _sizes(axes: Axes) -> str:
    return as_tuple(i.extent.name for i in axes)


def called(piece: Piece) -> str:
    """Return what code calls a piece: `rows_N`, each of N numbers."""
    kind = (NARROW,) if piece.kind == NARROW else ()
    return "_".join((*kind, "rows", *(e.name for e in piece.row)))


def size_of(piece: Piece, rows: int) -> str:
    """Return the shape of a piece, and its dtype."""
    row = " * ".join(e.name for e in piece.row)
    return f"{f'({rows}, {row})' if row else rows}, {DTYPES[piece.kind]}"
