"""The functions of a CuPy module: launches under their formulas, and the kernels they launch."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from bpgen.emit.cuda_layout import DeviceMemory
from bpgen.emit.cuda_storage import ROUND
from bpgen.emit.cuda_view import KernelView
from bpgen.emit.functions import DOCS
from bpgen.emit.view import FunctionView, StepView
from bpgen.emit.wrap import WIDTH, wrapped_code, wrapped_comment
from bpgen.ir.index import Index
from bpgen.ir.program import Part, Program, Step, Turns, steps_of
from bpgen.ir.tensor import Role
from bpgen.spell import FormulaSpeller
from bpgen.targets.cupy.kernel import Kernel, Launch
from bpgen.targets.cupy.target import CupyTarget, Rounds

_COUNTED = "t ← t + 1"
_PLACE = 72  # columns of an entry's place that stay together
_KERNELS = {"update": "s.kernels", "round_off": "Kernels.of(p.flat.dtype)"}  # those of vectors
_SHOWN = 6  # tensors that a kernel computes likewise


@dataclass(frozen=True, slots=True)
class CudaFunctions:
    """The functions of one program."""

    program: Program
    target: CupyTarget
    update: CupyTarget

    @classmethod
    def of(cls, program: Program, memory: DeviceMemory, speller: FormulaSpeller) -> CudaFunctions:
        """Return the functions of `program` before any is written."""
        turns = _turns(program)
        target = CupyTarget(memory.network, speller, turns)
        return cls(
            program,
            target,
            CupyTarget(memory.update, speller, turns, target.kernels, target.shapes),
        )

    @property
    def is_rounded(self) -> bool:
        """Whether products read a copy of the parameters."""
        return self.update.memory.factor == "narrow"

    @property
    def update_steps(self) -> tuple[Step, ...]:
        """Return what the optimizer does, and what follows from it for products."""
        return (*steps_of(self.program.update), *((ROUND,) if self.is_rounded else ()))

    def views(self) -> tuple[FunctionView, ...]:
        """Return the functions that launch something."""
        program = self.program
        parts = (
            ("forward", program.forward),
            ("add_loss", program.loss),
            ("infer", program.predict),
            ("add_score", program.score),
            ("advance", program.advance),
            ("backward", program.backward),
        )
        draws = self.target.draws(program.network.of_role(Role.NOISE))
        found = [self._view("draw", draws)] if draws else []
        found += [
            self._view(name, self.target.launches(steps, name)) for name, steps in parts if steps
        ]
        launches = self.update.updates(self.update_steps)
        if program.optimizer.counts_steps:
            launches = (self.update.count(_COUNTED, "s.t"), *launches)
        found.append(self._view("update", launches))
        if self.is_rounded:
            found.append(self._view("round_off", self.update.updates((ROUND,))))
        return tuple(found)

    def kernels(self) -> tuple[KernelView, ...]:
        """Return the kernels, in the order in which they are first launched."""
        return tuple(kernel_view(k) for k in self.target.kernels.values())

    def _view(self, name: str, launches: Sequence[Launch | Rounds]) -> FunctionView:
        steps = tuple(view for part in launches for view in _views(part, 0))
        text = "\n".join(line for step in steps for line in step.lines)
        prelude = [f"k = {_KERNELS.get(name, 'a.kernels')}"]
        if name in _KERNELS:
            prelude.append("P = SIZE")
        else:
            free = [e.name for e in self.program.network.extents() if e.value is None]
            prelude += [f"{size} = a.{size}" for size in free if _occurs(size, text)]
        return FunctionView(name, _args(name, text), DOCS[name], (*prelude, ""), steps)


def _args(name: str, text: str) -> str:
    kinds = {
        "p": "Params",
        "g": "Grads",
        "a": "Workspace" if name in {"draw", "backward", "advance"} else "Activations",
    }
    if name in _KERNELS:
        kinds = {"p": "Params", "g": "Grads", "s": "State"}
    needed = {"update": "s", "round_off": "p"}.get(name, "a")
    return ", ".join(f"{k}: {kinds[k]}" for k in kinds if k == needed or _occurs(k, text))


def _views(part: Launch | Rounds, depth: int) -> list[StepView]:
    indent = "    " * depth
    if isinstance(part, Rounds):
        head = StepView((), (part.head,), indent, is_head=True)
        return [head, *(v for p in part.body for v in _views(p, depth + 1))]
    comment = [line for f in part.formulas for line in wrapped_comment(f, len(indent))]
    return [StepView(tuple(comment), wrapped_code(part.line, len(indent)), indent)]


def kernel_view(kernel: Kernel) -> KernelView:
    """Return a kernel as lines."""
    comment = [line for f in kernel.formulas for line in wrapped_comment(f)]
    others = [f"∂L/∂{n[2:]}" if n.startswith("d_") else n for n in kernel.likewise]
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        comment += wrapped_comment(f"Likewise {', '.join(others[:_SHOWN])}{more}.")
    lines = [line for text in kernel.lines for line in _wrapped(text)]
    return KernelView(kernel.name, tuple(comment), _head(kernel), tuple(lines))


def _wrapped(line: str) -> list[str]:
    """Return a line of C++ in lines of at most 100 columns, broken outside short brackets."""
    margin = " " * (len(line) - len(line.lstrip()))
    whole = re.sub(rf"\[[^\[\]]{{,{_PLACE}}}\]", lambda found: found[0].replace(" ", "\0"), line)
    lines = textwrap.wrap(whole, WIDTH, subsequent_indent=f"{margin}    ", break_on_hyphens=False)
    return [part.replace("\0", " ") for part in lines]


def _head(kernel: Kernel) -> tuple[str, ...]:
    """Return the first lines of a kernel: its name and its parameters."""
    begin = f'extern "C" __global__ void kernel_{kernel.name}('
    given = ", ".join(kernel.parameters)
    if len(begin) + len(given) + 3 <= WIDTH:
        return (f"{begin}{given}) {{",)
    # A parameter stays whole: its spaces are hidden while lines are broken between them.
    hidden = ", ".join(p.replace(" ", "\0") for p in kernel.parameters)
    lines = [line.replace("\0", " ") for line in textwrap.wrap(hidden, WIDTH)]
    return (begin, *(f"    {line}" for line in lines), ") {")


def _turns(program: Program) -> dict[Index, str]:
    """Return what Python calls the index of each loop."""
    taken = {"p", "g", "a", "s", "k"}
    found: dict[Index, str] = {}

    def collect(parts: Sequence[Part]) -> None:
        for part in parts:
            if isinstance(part, Turns):
                name = part.index.name.replace("′", "p")
                found[part.index] = f"{name}_" if name in taken else name
                collect(part.parts)

    for parts in (program.forward, program.loss, program.predict, program.score):
        collect(parts)
    collect(program.advance)
    collect(program.backward)
    return found


def launched(name: str, functions: Sequence[FunctionView]) -> bool:
    """Whether some launch is given `name`."""
    lines = (line for f in functions for s in f.steps for line in s.lines)
    return any(re.search(rf"\b{re.escape(name)}\b", line) for line in lines)


def _occurs(name: str, text: str) -> bool:
    code = re.sub(r'"[^"]*"', "", text)
    return re.search(rf"(?<![\w.]){re.escape(name)}\b", code) is not None
