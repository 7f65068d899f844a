"""The functions of an emitted module: steps under their formulas, and the calls between them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bpgen.emit.layout import Memory
from bpgen.emit.view import FunctionView, StepView
from bpgen.emit.wrap import wrapped_code, wrapped_comment
from bpgen.ir.optimizer import GRADIENT, THETA
from bpgen.ir.program import Program, Step
from bpgen.ir.tensor import Tensor
from bpgen.spell import FormulaSpeller
from bpgen.targets.numpy.target import NumpyTarget

_DOCS = {
    "forward": "Compute the outputs of a batch into `a`.",
    "add_loss": "Go on from the outputs to the loss.",
    "infer": "Compute the outputs as they are predicted.",
    "add_score": "Go on from predicted outputs to the loss.",
    "backward": "Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`.",
    "update": "Change the parameters by the gradient.",
}
_COUNTING = "Change the parameters by the gradient; `t` counts the steps from 1."


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions of one program, and the targets whose scratch memory they use."""

    program: Program
    speller: FormulaSpeller
    forward: NumpyTarget
    backward: NumpyTarget
    update: NumpyTarget

    @classmethod
    def of(cls, program: Program, memory: Memory, speller: FormulaSpeller) -> Functions:
        """Return the functions of `program` before any is written."""
        tensors = program.derivation.network.tensors
        return cls(
            program,
            speller,
            NumpyTarget(memory.names, tensors, rebound=memory.rebound),
            NumpyTarget(memory.names, tensors, rebound=memory.rebound),
            NumpyTarget(memory.update_names, _of_update(program), owner="s"),
        )

    def views(self) -> tuple[FunctionView, ...]:
        """Return the functions that have a step."""
        program = self.program
        parts = (
            ("forward", program.forward, self.forward),
            ("add_loss", program.loss, self.forward),
            ("infer", program.predict, self.forward),
            ("add_score", program.score, self.forward),
            ("backward", program.backward, self.backward),
            ("update", program.update, self.update),
        )
        return tuple(self._view(name, steps, target) for name, steps, target in parts if steps)

    def _view(self, name: str, steps: Sequence[Step], target: NumpyTarget) -> FunctionView:
        sign = "←" if name == "update" else "="
        views = tuple(self._step(s, target, sign) for s in steps)
        text = "\n".join(line for v in views for line in v.lines)
        free = [e.name for e in self.program.network.extents() if e.value is None]
        sizes = [size for size in free if _occurs(size, text)]
        prelude = (*(f"{size} = a.{size}" for size in sizes), *([""] if sizes else []))
        counting = name == "update" and self.program.optimizer.counts_steps
        doc = _COUNTING if counting else _DOCS[name]
        return FunctionView(name, self._args(name, text), doc, prelude, views)

    def _args(self, name: str, text: str) -> str:
        kinds = {
            "p": "Params",
            "g": "Grads",
            "a": "Workspace" if name == "backward" else "Activations",
            "s": "State",
        }
        used = [k for k in kinds if _occurs(k, text) or (k == "a" and _occurs("N", text))]
        args = [f"{k}: {kinds[k]}" for k in used]
        # The update reads no batch, and may call its numbers as an input is called: t, lr.
        inputs = () if name == "update" else self.program.network.inputs
        args += [f"{t.name}: np.ndarray" for t in inputs if _occurs(t.name, text)]
        if name == "update" and self.program.optimizer.counts_steps:
            args.append("t: int")
        return ", ".join(args)

    def _step(self, step: Step, target: NumpyTarget, sign: str) -> StepView:
        formula = wrapped_comment(self.speller.equation(step.equation, sign))
        lines = [line for code in target.lines(step) for line in wrapped_code(code)]
        return StepView(formula, tuple(lines))


def _of_update(program: Program) -> dict[str, Tensor]:
    """Return the tensors of the optimizer; one of the network may have the same name."""
    return {t.name: t for t in (THETA, GRADIENT, *program.optimizer.states)}


def calls(functions: Sequence[FunctionView], *, has_noise: bool) -> dict[str, Any]:
    """Return how the public functions call the others, with the arguments each one takes."""
    call = {
        f.name: f"{f.name}({', '.join(a.split(':')[0] for a in f.args.split(', '))})"
        for f in functions
    }
    training = [call[n] for n in ("forward", "add_loss", "backward") if n in call]
    outputs = call.get("infer", call["forward"])
    rest = "add_score" if "add_score" in call else "add_loss"
    score = [outputs, *([call[rest]] if rest in call else [])]
    update = re.sub(r"\bs\b", "self.state", re.sub(r"\bt\b", "self.steps", call["update"]))
    draw = ["draw(a, seed, step, noise)"] if has_noise else []
    draw_next = ["draw(a, self.seed, self.steps)"] if has_noise else []
    return {
        "train_calls": (*draw, *map(_by_params, training)),
        "predict_calls": (_by_params(outputs),),
        "score_calls": tuple(map(_by_params, score)),
        "step_calls": (*draw_next, *training, update),
    }


def _by_params(call: str) -> str:
    return call.replace("(p,", "(params,")


def _occurs(name: str, text: str) -> bool:
    code = re.sub(r'"[^"]*"', "", text)
    return re.search(rf"(?<![\w.]){re.escape(name)}\b", code) is not None
