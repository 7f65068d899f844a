"""One kernel in writing: its parameters as formulas ask for them, and the text it becomes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sympy
from sympy import Expr

from bpgen.ir.affine import affine
from bpgen.ir.expr import Access, Digit
from bpgen.ir.index import Extent, Index, Scalar
from bpgen.ir.tensor import Tensor
from bpgen.targets.cupy.memory import Memory, Touched
from bpgen.targets.cupy.names import Names
from bpgen.targets.cupy.speller import CudaSpeller, Entry

Fixed = Mapping[Index, str]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel as text: its parameters and its lines, under the formulas it computes.

    `likewise` are further tensors that it computes, from others in the same way.
    """

    name: str
    formulas: tuple[str, ...]
    parameters: tuple[str, ...]
    lines: tuple[str, ...]
    likewise: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Launch:
    """A line of Python that launches a kernel: `k.each("h", N * H, a.z1, a.h, N)`."""

    formulas: tuple[str, ...]
    line: str
    touched: Touched = field(default_factory=Touched)


@dataclass(slots=True)
class Draft:
    """A kernel in writing, for one value of the indices `fixed`, which Python counts.

    `real` is the type of its values.
    """

    memory: Memory
    fixed: Fixed
    real: str = "real"
    order: Mapping[str, int] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    flat: dict[tuple[Index, ...], str] = field(default_factory=dict)
    used: set[Index] = field(default_factory=set)
    _reads: dict[str, str] = field(default_factory=dict)
    _writes: dict[str, str] = field(default_factory=dict)
    _locals: dict[str, str] = field(default_factory=dict)
    _known: dict[Access, str] = field(default_factory=dict)
    _sizes: dict[Extent, str] = field(default_factory=dict)
    _turns: dict[Index, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Keep the names of known extents, which every kernel sees."""
        for tensor in self.memory.tensors.values():
            for index in tensor.indices:
                self.names.owners.setdefault(index.extent.name, index.extent)

    # ---- formulas --------------------------------------------------------------------------------

    @property
    def speller(self) -> CudaSpeller:
        """Return what writes formulas of this kernel."""
        return CudaSpeller(self.entry, self.symbol, self.inside, self.real, self.order)

    def value(self, expr: Expr) -> str:
        """Return a value of type `real`."""
        return self.speller.value(expr)

    def bare(self, expr: Expr) -> str:
        """Return a value that stands alone, without brackets around all of it."""
        text = self.value(expr)
        if not text.startswith("("):
            return text
        depth = 0
        for place, c in enumerate(text):
            depth += (c == "(") - (c == ")")
            if depth == 0 and place < len(text) - 1:
                return text
        return text[1:-1]

    def entry(self, read: Access) -> Entry:
        """Return an entry of a tensor by its place in memory, or the name of one in no memory."""
        if read in self._known:
            return Entry(self._known[read], is_integer=False)
        if read.name in self.memory.local:
            return Entry(self._local(read.name), self.memory.kind(read.name) == "int")
        pointer = self.pointer(read.name)
        is_integer = self.memory.kind(read.name) == "int"
        has_axes = bool(self.memory.axes(read.name))
        text = f"{pointer}[{self._place(read)}]" if has_axes else f"*{pointer}"
        return Entry(text, is_integer)

    def written(self, tensor: Tensor) -> str:
        """Return the entry of a result that a thread stores; one in no memory is declared."""
        if tensor.name in self.memory.local:
            kind = "int" if self.memory.kind(tensor.name) == "int" else "real"
            return f"const {kind} {self._local(tensor.name)}"
        root = self.memory.root(tensor.name)
        self.pointer(root)
        self._writes.setdefault(root, self._reads[root])
        return self.entry(tensor.canonical).text

    def place(self, tensor: Tensor) -> str:
        """Return where the entry of a result lies that a thread stores."""
        return self._place(tensor.canonical)

    def known_as(self, read: Access) -> str:
        """Return the name of an entry that a formula is given."""
        name = self._known[read] = self.names.of(read, read.name)
        self._locals[str(read)] = name
        return name

    def _local(self, name: str) -> str:
        """Return what the kernel calls a value that is in no memory."""
        return self._locals.setdefault(name, self.names.of(name, name))

    def pointer(self, name: str) -> str:
        """Return what the kernel calls the memory of a tensor."""
        root = self.memory.root(name)
        if root not in self._reads:
            self._reads[root] = self.names.of(root, root)
        return self._reads[root]

    def whole(self) -> dict[str, str]:
        """Return the type of every array that begins at a multiple of 16 bytes, by pointer."""
        roots = {p: root for root, p in self._reads.items() if self.memory.is_aligned(root)}
        return {p: self.memory.kind(root) for p, root in roots.items()}

    def given(self) -> frozenset[str]:
        """Return the tensors whose memory the kernel is given."""
        return frozenset(self._reads)

    def written_pointers(self) -> tuple[str, ...]:
        """Return what the kernel calls the memory of its results."""
        return tuple(self._writes.values())

    def symbol(self, symbol: sympy.Symbol) -> str:
        """Return what the kernel calls an index, an extent or a number."""
        if isinstance(symbol, Scalar):
            number = f"*{self.pointer(symbol.name)}"
            return (
                number if self.memory.kind(symbol.name) == self.real else f"{self.real}({number})"
            )
        if isinstance(symbol, Extent):
            return self.size(symbol)
        assert isinstance(symbol, Index), f"{symbol} is no index"
        if symbol in self.fixed:
            self._turns.setdefault(symbol, self.names.of(symbol, symbol.name))
        self.used.add(symbol)
        return self.names.of(symbol, symbol.name)

    def size(self, extent: Extent) -> str:
        """Return what the kernel calls an extent; a free one is a parameter."""
        if extent.value is None:
            self._sizes.setdefault(extent, extent.name)
        return str(extent.name)

    def inside(self, read: Access) -> str:
        """Return the condition under which the indices of an entry are inside its tensor."""
        tests = []
        for at, axis in zip(read.indices, self.memory.tensors[read.name].indices, strict=True):
            is_own = isinstance(at, Index) and at.extent == axis.extent
            if is_own or at.has(Access) or isinstance(at, Digit):
                continue
            text, found = self.speller.address(at), affine(at)
            end = axis.extent.value
            if found is None or end is None or found.least < 0:
                tests.append(f"{text} >= 0")
            if found is None or end is None or found.most >= end:
                tests.append(f"{text} < {self.size(axis.extent)}")
        return " && ".join(tests)

    def _place(self, read: Access) -> str:
        """Return where an entry lies in memory, by Horner's scheme; runs of axes count as one."""
        axes, indices = self.memory.axes(read.name), self.memory.held(read.name, read.indices)
        text, place = "0", 0
        while place < len(axes):
            run = self._run(indices[place:], axes[place:])
            part = self.flat.get(indices[place : place + run]) if run else None
            part = part or self.speller.address(indices[place])
            behind = axes[place : place + max(run, 1)]
            if text == "0":
                text = part
            else:
                head = f"({text})" if _is_sum(text) else text
                extents = " * ".join(self.size(i.extent) for i in behind)
                text = f"{head} * {extents}" if len(behind) == 1 else f"{head} * ({extents})"
                text += "" if part == "0" else f" + {part}"
            place += len(behind)
        return text

    def _run(self, indices: tuple[Expr, ...], axes: tuple[Index, ...]) -> int:
        """Return how many of the next indices one variable counts together."""
        for length in range(len(axes), 1, -1):
            same = [getattr(i, "extent", None) for i in indices[:length]]
            if indices[:length] in self.flat and same == [i.extent for i in axes[:length]]:
                return length
        return 0

    # ---- indices ---------------------------------------------------------------------------------

    def moving(self, indices: Sequence[Index]) -> tuple[Index, ...]:
        """Return the indices that are not fixed."""
        return tuple(i for i in indices if i not in self.fixed)

    def flatten(self, indices: tuple[Index, ...], wanted: str) -> str:
        """Return the variable that counts the entries over `indices`: the index, if it is alone."""
        if len(indices) == 1:
            name = self.names.of(indices[0], indices[0].name)
        else:
            name = self.names.of(("flat", indices, wanted), wanted)
        self.flat[indices] = name
        return name

    def decode(self, variable: str, indices: tuple[Index, ...]) -> list[str]:
        """Return the lines that take `variable` apart into those of `indices` that are used."""
        if len(indices) < 2:
            return []
        parts = []
        for place, index in enumerate(indices):
            if index not in self.used:
                continue
            behind = [self.size(i.extent) for i in indices[place + 1 :]]
            text = variable
            if len(behind) == 1:
                text = f"{variable} / {behind[0]}"
            elif behind:
                text = f"{variable} / ({' * '.join(behind)})"
            if place:
                text += f" % {self.size(index.extent)}"
            parts.append(f"{self.names.of(index, index.name)} = {text}")
        return [f"const int {', '.join(parts)};"] if parts else []

    # ---- the whole -------------------------------------------------------------------------------

    def kernel(self, name: str, formulas: Sequence[str], lines: Sequence[str]) -> Kernel:
        """Return the kernel when all of its formulas are written."""
        parameters = []
        for root, pointer in self._reads.items():
            if root not in self._writes:
                parameters.append(f"const {self.memory.kind(root)} *{pointer}")
        parameters += [f"{self.memory.kind(root)} *{p}" for root, p in self._writes.items()]
        parameters += [f"int {size}" for size in self._sizes.values()]
        parameters += [f"int {turn}" for turn in self._turns.values()]
        return Kernel(name, tuple(formulas), tuple(parameters), tuple(lines))

    def shape(self, lines: Sequence[str]) -> tuple[str, ...]:
        """Return what two kernels share that differ by the names of their tensors alone."""
        order = [*(r for r in self._reads if r not in self._writes), *self._writes]
        names = [*(self._reads[root] for root in order), *self._locals.values()]
        numbers = {name: f"@{place}" for place, name in enumerate(names)}
        pattern = re.compile(rf"\b({'|'.join(map(re.escape, numbers))})\b")
        kinds = [f"{self.memory.kind(root)} {root in self._writes}" for root in order]
        text = [pattern.sub(lambda found: numbers[found[0]], line) for line in lines]
        return (*kinds, *self._sizes.values(), *self._turns.values(), *text)

    def arguments(self) -> list[str]:
        """Return what Python gives for each parameter."""
        read = [self.memory.text(root) for root in self._reads if root not in self._writes]
        written = [self.memory.text(root) for root in self._writes]
        return [
            *read,
            *written,
            *self._sizes.values(),
            *(self.fixed[index] for index in self._turns),
        ]


def _is_sum(text: str) -> bool:
    """Whether an index expression must stand in brackets before it is multiplied."""
    while (bare := re.sub(r"\([^()]*\)|\[[^\[\]]*\]", "", text)) != text:
        text = bare
    return re.search(r" [-+%/] ", text) is not None


def count(indices: Sequence[Index]) -> str:
    """Return how many entries there are over `indices`, in Python and in C++."""
    return " * ".join(i.extent.name for i in indices) or "1"
