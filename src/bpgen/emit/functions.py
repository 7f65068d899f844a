"""The functions of an emitted module: steps under their formulas, and the calls between them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bpgen.emit.layout import Memory
from bpgen.emit.tensors import as_tuple
from bpgen.emit.view import FunctionView, StepView
from bpgen.emit.wrap import wrapped_code, wrapped_comment
from bpgen.ir.index import BATCH, Scalar
from bpgen.ir.optimizer import GRADIENT, THETA
from bpgen.ir.program import Blocks, Part, Program, RowBlocks, Step, Turns, steps_of
from bpgen.ir.tensor import KEPT, Tensor
from bpgen.lower.lives import SECOND, Moment, functions_of, predicting
from bpgen.lower.row_blocks import Length
from bpgen.spell import FormulaSpeller
from bpgen.targets.numpy.target import NumpyTarget
from bpgen.targets.numpy.turns import Fixed

DOCS = {
    "draw": "Draw the noise of a step, by what `random` holds, as numpy's module draws it.",
    "forward": "Compute the outputs of a batch into `a`.",
    "add_loss": "Go on from the outputs to the loss.",
    "infer": "Compute the outputs as they are predicted.",
    "add_score": "Go on from predicted outputs to the loss.",
    "advance": "Give every state its next value, from what the forward pass left in `a`.",
    "backward": "Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`.",
    "second": "Write the Hessian times a direction, from what `backward` left in `a`.",
    "update": "Change the parameters by the gradient.",
    "round_off": "Write what products read of the parameters.",
}
_WORKSPACES = {"backward": "Workspace", "advance": "Workspace", "second": "Tangents"}
_OF_A_STEP = ("forward", "add_loss", "advance", "backward", "update")
_COUNTING = "Change the parameters by the gradient; `t` counts the steps from 1."


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions of one program, and the targets whose scratch memory they use.

    `code` holds the lines of each step of the functions that are written.
    """

    program: Program
    memory: Memory
    speller: FormulaSpeller
    network: NumpyTarget
    update: NumpyTarget
    block: NumpyTarget
    code: dict[str, list[tuple[str, ...]]]

    @classmethod
    def of(cls, program: Program, memory: Memory, speller: FormulaSpeller) -> Functions:
        """Return the functions of `program` before any is written."""
        tensors, own = program.arrays, _of_update(program)
        network = NumpyTarget(memory.names, tensors, rebound=memory.rebound)
        update = NumpyTarget(memory.update_names, own, owner="s")
        block = NumpyTarget(_in_block(memory.update_names), own, owner="s", local=True)
        return cls(program, memory, speller, network, update, block, {})

    def views(self) -> tuple[FunctionView, ...]:
        """Return the functions that have a step."""
        parts = {**functions_of(self.program), "update": self.program.update}
        return tuple(self._view(name, steps) for name, steps in parts.items() if steps)

    def calling(self, call: str) -> frozenset[tuple[str, str]]:
        """Return each function and tensor whose code has a `call`, of the functions written."""
        parts = functions_of(self.program)
        return frozenset(
            (function, step.equation.out.name)
            for function, code in self.code.items()
            for step, lines in zip(steps_of(parts[function]), code, strict=True)
            if any(call in line for line in lines)
        )

    def _view(self, name: str, parts: Sequence[Part]) -> FunctionView:
        views = tuple(v for part in parts for v in self._part(part, name, {}))
        text = "\n".join(line for v in views for line in v.lines)
        free = [e.name for e in (*self.program.network.extents(), BATCH) if e.value is None]
        sizes = [size for size in free if _occurs(size, text)]
        counted = f"{', '.join(sizes)} = {', '.join(f'a.{size}' for size in sizes)}"
        prelude = (counted, "") if sizes else ()
        counting = name == "update" and self.program.optimizer.counts_steps
        doc = _COUNTING if counting else DOCS[name]
        return FunctionView(name, self._args(name, text), doc, prelude, views)

    def _args(self, name: str, text: str) -> str:
        kinds = {
            "p": "Params",
            **({self.memory.direction: "Grads"} if name == "second" else {}),
            "g": "Grads",
            **({self.memory.product: "Grads"} if name == "second" else {}),
            "a": self._workspace(name),
            "s": "State",
        }
        used = [k for k in kinds if _occurs(k, text) or (k == "a" and _counts(text))]
        args = [f"{k}: {kinds[k]}" for k in used]
        # The update reads no batch, and may call its numbers as an input is called: t, lr.
        inputs = () if name == "update" else self.program.network.inputs
        args += [f"{t.name}: np.ndarray" for t in inputs if _occurs(t.name, text)]
        if name == "update" and self.program.optimizer.counts_steps:
            args.append("t: int")
        return ", ".join(args)

    def _workspace(self, name: str) -> str:
        """Return the class of the memory that a function needs."""
        if name in predicting(self.program):
            return "Activations"
        return "Tangents" if name == SECOND else "Workspace"

    def _part(self, part: Part, name: str, fixed: Fixed) -> list[StepView]:
        """Return the views of a step, or of a loop: its head, and everything in it."""
        indent = "    " * len(fixed)
        if isinstance(part, Turns):
            turn = self._turn(part)
            values = f"range({part.index.extent})"
            values = f"reversed({values})" if part.reverse else values
            head = StepView((), (f"for {turn} in {values}:",), indent, is_head=True)
            within = {**fixed, part.index: turn}
            return [head, *(v for p in part.parts for v in self._part(p, name, within))]
        if isinstance(part, RowBlocks):
            return self._row_blocks(part, name, fixed)
        if isinstance(part, Blocks):
            return self._blocks(part, name, fixed)
        if name == "update":
            return [self._step(part, self.update.lines(part, fixed), name, len(fixed))]
        done = self.code.setdefault(name, [])
        self.network.scratch.step = Moment(name, len(done))
        done.append(self.network.lines(part, fixed))
        return [self._step(part, done[-1], name, len(fixed))]

    def _row_blocks(self, part: RowBlocks, name: str, fixed: Fixed) -> list[StepView]:
        """Return a loop over blocks of rows; code calls a block as `Slices` does."""
        assert isinstance(part.block.extent, Length)
        scratch = self.network.scratch
        scratch.step = Moment(name, len(self.code.setdefault(name, [])))
        line = f"for {scratch.rows}, {scratch.block} in {scratch.blocks(part.block.extent)}:"
        head = StepView((), (line,), "    " * len(fixed), is_head=True)
        within = {**fixed, part.index: part.block}
        return [head, *(v for p in part.parts for v in self._part(p, name, within))]

    def _step(self, step: Step, code: Sequence[str], function: str, depth: int) -> StepView:
        texts = formulas(self.speller, function, step)
        formula = [line for text in texts for line in wrapped_comment(text, 4 * depth)]
        lines = [line for one in code for line in wrapped_code(one, 4 * depth)]
        return StepView(tuple(formula), tuple(lines), "    " * depth)

    def _blocks(self, part: Blocks, name: str, fixed: Fixed) -> list[StepView]:
        """Return a loop over blocks of the flat vectors; code calls a block as its formula does."""
        views = [
            self._step(p, self.block.lines(p, fixed), name, len(fixed) + 1) for p in part.parts
        ]
        text = "\n".join(line for v in views for line in v.lines)
        whole = self.update.names
        vectors = [n for n in _in_block(whole).values() if _occurs(n, text)]
        sources = [whole[n] for n, own in _in_block(whole).items() if own in vectors]
        lines = [
            "for begin in range(0, SIZE, BLOCK):",
            "    block = slice(begin, begin + BLOCK)",
            f"    {', '.join(vectors)} = {', '.join(f'{s}[block]' for s in sources)}",
        ]
        registers = [r.name for r in self.block.scratch.shapes]
        if registers:
            parts = ", ".join(f"s.{r}[: {vectors[0]}.size]" for r in registers)
            lines.append(f"    {', '.join(registers)} = {parts}")
        return [StepView((), tuple(lines), "    " * len(fixed), is_head=True), *views]

    def _turn(self, loop: Turns) -> Scalar:
        """Return the number that counts turns: the index, unless code uses that name."""
        taken = {"p", "g", "a", "s", "l", *(t.name for t in self.program.network.inputs)}
        taken |= {self.memory.direction, self.memory.product} if self.program.hessian else set()
        name = loop.index.name.replace("′", "p")
        return Scalar(f"{name}_" if name in taken else name)


def _in_block(names: Mapping[str, str]) -> dict[str, str]:
    """Return how code calls a block of each flat vector."""
    own = {THETA.name: "theta", GRADIENT.name: "grad"}
    return {name: own.get(name, name) for name in names}


def formulas(speller: FormulaSpeller, function: str, step: Step) -> tuple[str, ...]:
    """Return how comments write what a step computes: one formula, or several with commas."""
    texts = [speller.equation(e, sign(function, step)) for e in step.equations]
    return (*(f"{text}," for text in texts[:-1]), texts[-1])


def sign(function: str, step: Step) -> str:
    """Return how a comment writes a step: a state, and all that the optimizer does, is assigned."""
    if step.adds:
        return "+="
    return "←" if function == "update" or step.equation.out.role in KEPT else "="


def _of_update(program: Program) -> dict[str, Tensor]:
    """Return the tensors of the optimizer; one of the network may have the same name."""
    return {t.name: t for t in (THETA, GRADIENT, *program.optimizer.states)}


def calls(
    functions: Sequence[FunctionView], *, has_noise: bool, drawn: str = "[a]"
) -> dict[str, Any]:
    """Return how the public functions call the others, with the arguments each one takes.

    `drawn` is what noise is drawn for: one workspace, or a list of them.
    """
    call = {
        f.name: f"{f.name}({', '.join(a.split(':')[0] for a in f.args.split(', '))})"
        for f in functions
    }
    training = [call[n] for n in ("forward", "add_loss", "backward") if n in call]
    stepping = [call[n] for n in _OF_A_STEP if n in call and n != "update"]
    outputs = call.get("infer", call["forward"])
    rest = "add_score" if "add_score" in call else "add_loss"
    score = [outputs, *([call[rest]] if rest in call else [])]
    update = re.sub(r"\bs\b", "self.state", re.sub(r"\bt\b", "self.steps", call["update"]))
    draw = [f"draw({drawn}, seed, step, noise)"] if has_noise else []
    draw_next = [f"draw({drawn}, self.seed, self.steps)"] if has_noise else []
    return {
        "train_calls": (*draw, *map(_by_params, training)),
        "predict_calls": (_by_params(outputs),),
        "score_calls": tuple(map(_by_params, score)),
        "followed": as_tuple(f'"{n}"' for n in _OF_A_STEP if n in call),
        "part_calls": tuple(stepping),
        "update_call": update,
        "gradient_calls": (*draw_next, *stepping),
        "step_calls": (*draw_next, *stepping, update),
    }


def _by_params(call: str) -> str:
    return call.replace("(p,", "(params,")


def _counts(text: str) -> bool:
    return _occurs("N", text) or _occurs(BATCH.name, text)


def _occurs(name: str, text: str) -> bool:
    code = re.sub(r'"[^"]*"', "", text)
    return re.search(rf"(?<![\w.]){re.escape(name)}\b", code) is not None
