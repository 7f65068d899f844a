"""The part of a view that every target has: the contract of a module, and its memory in names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bpgen.emit.functions import calls
from bpgen.emit.layout import Memory
from bpgen.emit.tensors import Tensors, as_tuple
from bpgen.emit.view import FieldView, FunctionView
from bpgen.emit.wrap import arguments, wrapped_code, wrapped_names
from bpgen.ir.network import Network
from bpgen.ir.program import Program
from bpgen.ir.tensor import Role
from bpgen.spell import FormulaSpeller

_LOSS_AND_GRAD = "def loss_and_grad() -> tuple[float, Grads]:"
NOISE_ARGS = ("seed: int = 0", "step: int = 0", "noise: dict[str, np.ndarray] | None = None")


class Contract:
    """Bring together what is public in a module; each method gives a group of strings."""

    def __init__(self, program: Program, memory: Memory, speller: FormulaSpeller) -> None:
        self._program = program
        self._net: Network = program.network
        self._memory = memory
        self.tensors = Tensors(program, memory, speller)

    def fields(
        self, dtype: str, functions: Sequence[FunctionView], *, has_noise: bool
    ) -> dict[str, Any]:
        """Return the fields of a view, of which a target may replace some by its own."""
        net, optimizer = self._net, self._program.optimizer
        tensors, accuracy = self.tensors, self.accuracy()
        return {
            "title": plain(net.doc) or f"The network {net.name}.",
            "dtype": dtype,
            "extents": self.extents(),
            "size": str(tensors.trained),
            "outputs": as_tuple(f'"{label}"' for label in net.outputs),
            "optimizer": optimizer.name,
            "loss": net.loss,
            "states_names": as_tuple(f'"{s.name}"' for s in optimizer.states),
            "has_blocks": tensors.has_blocks,
            "has_labels": any(t.is_integer for t in net.inputs),
            "has_reals": not all(t.is_integer for t in net.inputs),
            "parameters": tensors.parameters(),
            "joined": tensors.joined(),
            "tables": tensors.tables(),
            "states": tuple(FieldView(s.name, "", f"{s.name}[i]") for s in optimizer.states),
            "functions": tuple(functions),
            "accuracy": accuracy,
            "report_words": ", and the share of right answers" if accuracy else "",
            **self.storage(),
            **self.batch(has_noise=has_noise),
            **calls(functions, has_noise=has_noise),
        }

    def storage(self) -> dict[str, Any]:
        """Return what the memory of the parameters is called, with and without others beside."""
        kept = self._net.kept
        return {
            "kept": self.tensors.kept(),
            "storage": str(self.tensors.trained + sum(t.entries for t in kept)),
            "stored": "STORED" if kept else "PARAMETERS",
            "vector": "storage" if kept else "flat",
            "total": "STORAGE" if kept else "SIZE",
            "start": "params.storage" if kept else "params.flat",
            "move": "move" if kept else "v",
        }

    def batch(self, *, has_noise: bool) -> dict[str, Any]:
        """Return what is given for each batch, as arguments and as results."""
        inputs, read = self.tensors.inputs(), self.tensors.predicted()
        predicted = tuple(i for i in inputs if i.name in read)
        args = [i.name for i in inputs]
        typed = _typed(args)
        results = (f'"{k}": {self._result(v)}' for k, v in self._net.outputs.items())
        return {
            "inputs": inputs,
            "batch_args": ", ".join(args),
            "batch_typed": typed,
            "loss_and_grad_args": arguments(
                _LOSS_AND_GRAD,
                ["params: Params", "*", *typed.split(", "), *(NOISE_ARGS if has_noise else ())],
            ),
            "batch_result": f"({args[0]},)" if len(args) == 1 else ", ".join(args),
            "first": args[0],
            "length_checks": _length_checks(args),
            "predict_typed": _typed([i.name for i in predicted]),
            "predict_first": predicted[0].name,
            "predict_inputs": predicted,
            "predict_result": ", ".join(results),
            "input_names": " and ".join(args),
        }

    def _result(self, name: str) -> str:
        """Return what `predict` calls an output."""
        in_code = self._memory.names[name]
        if name in self._program.moves:
            return f"{in_code}.T"
        return f"params.{name}.copy()" if in_code == f"p.{name}" else in_code

    def extents(self) -> str:
        """Return the line that names the extents that are known."""
        known = [e for e in self._memory.extents if e.value is not None]
        return wrapped_names([e.name for e in known], [str(e.value) for e in known])

    def accuracy(self) -> tuple[str, ...]:
        """Return the lines that count right answers, where an output scores the only label."""
        net, read = self._net, self.tensors.predicted()
        tensors = self._program.derivation.network.tensors
        labels = [t for t in net.of_role(Role.LABEL) if len(t.indices) == 1]
        for label, name in net.outputs.items():
            axes = tensors[name].indices
            if len(labels) == 1 and len(axes) == 2 and axes[1].extent.value == labels[0].below:
                names = [t.name for t in net.inputs if t.name in read]
                given = ", ".join(f'{n}=data["{n}"]' for n in names)
                right = f"np.mean(guess == data['{labels[0].name}'])"
                return (
                    f'guess = predict(params, {given})["{label}"].argmax(axis=1)',
                    f'return f"loss {{loss(params, **data):.4f}}, accuracy {{{right}:.4f}}"',
                )
        return ()


def _length_checks(args: Sequence[str]) -> tuple[str, ...]:
    if len(args) == 1:
        return ()
    lengths = ", ".join(f"len({a})" for a in args)
    message = f'    raise ValueError(f"{", ".join(args)} have different lengths: {{{lengths}}}")'
    return (f"if len({{{lengths}}}) > 1:", *wrapped_code(message))


def _typed(args: Sequence[str]) -> str:
    return ", ".join(f"{a}: np.ndarray" for a in args)


def plain(doc: str) -> str:
    """Return the first line of a docstring without what could end or escape one."""
    line = doc.strip().split("\n")[0].strip()
    return "".join(c for c in line if c.isprintable() and c not in '"\\')
