"""The workspaces of a CuPy module: memory that its launches share by their lives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bpgen.emit.cuda_functions import CudaFunctions
from bpgen.emit.cuda_layout import DeviceMemory
from bpgen.emit.layout import Memory as HostMemory
from bpgen.emit.layout import buffer_field, shape
from bpgen.emit.view import FieldView, WorkspaceView
from bpgen.emit.workspaces import DTYPES, called, seen_as, size_of
from bpgen.ir.program import Program
from bpgen.ir.tensor import Role, Tensor
from bpgen.lower import on_device
from bpgen.lower.lives import DRAW, TRAINING, predicting
from bpgen.lower.workspace import NARROW, Buffer, Piece, Rows, Workspace, assigned
from bpgen.spell import FormulaSpeller, order_of
from bpgen.targets.cupy.lives import DeviceLives
from bpgen.targets.cupy.memory import Memory
from bpgen.targets.cupy.noise import RANDOM

_DOCS = {
    "Activations": "What prediction computes for a batch of N examples, on the device.",
    "Workspace": "What a step of training computes: activations, and cotangents from them.",
}
# Rows, so that 16 bytes of a buffer can be moved at once. With N examples a row is N numbers: then
# buffers begin at multiples of 256 bytes, too, if N is a multiple of 16.
_OF_BATCH, _OF_NUMBERS = 4, 64
_KINDS = {"int": "int32", "real": "float", "narrow": NARROW}


@dataclass(frozen=True, slots=True)
class DeviceWorkspaces:
    """The workspaces of one program, whose functions are written."""

    program: Program
    memory: DeviceMemory
    written: CudaFunctions
    speller: FormulaSpeller

    @classmethod
    def of(cls, program: Program, precision: str = "fp32") -> DeviceWorkspaces:
        """Return the workspaces of a program, of which all functions are written now.

        `precision` is that of products.
        """
        program = on_device(program)
        device = DeviceMemory.of(program, HostMemory.of(program), precision)
        speller = FormulaSpeller(order_of(program.tensors.values()))
        return cls(program, device, CudaFunctions.of(program, device, speller), speller)

    def views(self) -> tuple[WorkspaceView, ...]:
        """Return what prediction needs, and what training needs."""
        outputs = self.program.network.outputs.values()
        predicted = self._view("Activations", "", predicting(self.program), outputs)
        return predicted, self._view("Workspace", "(Activations)", TRAINING, ())

    def training(self) -> tuple[DeviceLives, Workspace]:
        """Return the memory of a step of training, and when it is needed."""
        alive = self.written.called(TRAINING)
        return alive, _assigned(alive, self._buffers(alive, ()))

    def needed(self) -> dict[str, Any]:
        """Return how many numbers a step takes, integers that the host sends, and narrow ones."""
        _, held = self.training()
        narrow = {p: rows for p, rows in held.pieces.items() if p.kind == NARROW}
        numbers = {p: rows for p, rows in held.pieces.items() if p.kind != NARROW}
        integers = dict[Piece, int]()
        for t in (*self.memory.given, *self.memory.sent):
            buffer = Buffer(t.name, t.indices, "float", ())
            found = integers if t.is_integer else numbers
            found[buffer.piece(())] = found.get(buffer.piece(()), 0) + buffer.rows(())
        return {
            "numbers_needed": _sum(numbers),
            "integers_needed": _sum(integers),
            "narrow_needed": _sum(narrow),
        }

    def _view(
        self, name: str, base: str, functions: Sequence[str], results: Collection[str]
    ) -> WorkspaceView:
        alive = self.written.called(functions)
        buffers = {b.name: b for b in self._buffers(alive, results)}
        held = _assigned(alive, tuple(buffers.values()))
        users = Counter(rows.piece for rows in held.rows.values())
        shared = {piece: rows for piece, rows in held.pieces.items() if users[piece] > 1}
        fields = [*self._given(functions), *self._random(functions)]
        for tensor, rows in held.rows.items():
            made = _made(buffers[tensor], rows, shared)
            fields.append(buffer_field(tensor, made, self._formula(buffers[tensor])))
        pieces = tuple(f"{called(p)} = cp.empty({size_of(p, rows)})" for p, rows in shared.items())
        return WorkspaceView(name, base, _DOCS[name], pieces=pieces, buffers=tuple(fields))

    # ---- what there is ---------------------------------------------------------------------------

    def _buffers(self, alive: DeviceLives, results: Collection[str]) -> list[Buffer]:
        """Return the buffer of every tensor; what callers read, or the host sends, is alone."""
        memory, given = self._held, {t.name for t in self.memory.given}
        read = {memory.root(name) for name in (self.program.network.loss, *results)}
        always = (range(len(alive.launches)),)
        found = []
        for name, times in alive.lives.items():
            if memory.names[name].startswith("a.") and name not in given:
                axes, kind = memory.axes(name), _KINDS[memory.kind(name)]
                step = _OF_BATCH if any(i.extent.value is None for i in axes) else _OF_NUMBERS
                step *= 2 if kind == NARROW else 1
                own = always if name in read else times
                found.append(Buffer(name, axes, kind, own, name in read, aligned=step))
        return found

    def _given(self, functions: Sequence[str]) -> Iterator[FieldView]:
        """Yield what no kernel writes: what the host sends, and tables."""
        for t in self.memory.given:
            if t.role is not Role.NOISE or functions == TRAINING:
                formula = self.speller.spell(t.canonical)
                yield buffer_field(t.name, _from_host(t), formula)

    def _random(self, functions: Sequence[str]) -> Iterator[FieldView]:
        """Yield the buffer of what kernels draw noise from."""
        if functions == TRAINING and DRAW in self.written.launches:
            name = RANDOM.partition(".")[2]
            yield FieldView(name, "", "seed and step", make="cp.empty(2, np.uint64)")

    @property
    def _held(self) -> Memory:
        return self.written.target.held()

    def _formula(self, buffer: Buffer) -> str:
        """Return a tensor as formulas write it, with the axes that it has in memory."""
        tensor = self._held.tensors[buffer.name]
        return self.speller.spell(Tensor(tensor.name, buffer.indices, tensor.role).canonical)


def _assigned(alive: DeviceLives, buffers: Sequence[Buffer]) -> Workspace:
    def in_place(out: Buffer, operand: Buffer, time: int) -> bool:
        pairs = alive.launches[time].touched.in_place
        alike = (out.indices, out.kind) == (operand.indices, operand.kind)
        return alike and (out.name, operand.name) in pairs

    return assigned(buffers, (), in_place)


# ---- text ----------------------------------------------------------------------------------------


def _made(buffer: Buffer, rows: Rows, shared: Mapping[Piece, int]) -> str:
    """Return the code that makes a buffer, or sees rows of a piece as the array that they are."""
    if rows.piece in shared:
        part = f"{called(rows.piece)}[{rows.begin}:{rows.begin + rows.count}]"
        return seen_as(part, buffer)
    return f"cp.empty({shape(buffer.indices)}, {DTYPES[buffer.kind]})"


def _from_host(tensor: Tensor) -> str:
    dtype = "np.int32" if tensor.is_integer else "dtype"
    if tensor.role is Role.TABLE:
        return f'cp.asarray(TABLES["{tensor.name}"].astype({dtype}))'
    return f"cp.empty({shape(tensor.indices)}, {dtype})"


def _sum(pieces: Mapping[Piece, int]) -> str:
    """Return how many numbers some pieces have, in Python."""
    counts: dict[str, int] = {}
    for piece, rows in pieces.items():
        row = "".join(f" * {e.name}" for e in piece.row)
        counts[row] = counts.get(row, 0) + rows
    return " + ".join(f"{rows}{row}" for row, rows in counts.items()) or "0"
