"""From a program to the view of its numpy module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bpgen.emit.functions import Functions, calls
from bpgen.emit.layout import Memory, scratch_lines
from bpgen.emit.second_view import second_view
from bpgen.emit.tensors import Tensors, as_tuple
from bpgen.emit.view import FieldView, ModuleView
from bpgen.emit.wrap import arguments, wrapped_code, wrapped_names
from bpgen.ir.network import Network
from bpgen.ir.program import Blocks, Program
from bpgen.ir.tensor import Role
from bpgen.lower import batch_last, folded
from bpgen.spell import FormulaSpeller, derivatives_of, order_of
from bpgen.targets.numpy.scratch import ENTRIES
from bpgen.targets.numpy.windows import WINDOWS

_LOSS_AND_GRAD = "def loss_and_grad() -> tuple[float, Grads]:"
_NOISE_ARGS = ("seed: int = 0", "step: int = 0", "noise: dict[str, np.ndarray] | None = None")


def view_of(program: Program, declared_in: str, dtype: str) -> ModuleView:
    """Return the view of the module that trains `program`."""
    return Writer(batch_last(folded(program))).view(declared_in, dtype)


class Writer:
    """Bring the parts of one module together; each method gives a group of strings."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._net: Network = program.network
        self._memory = Memory.of(program)
        self._speller = FormulaSpeller(
            order_of(program.tensors.values()), derivatives_of(program.tensors.values())
        )
        self._tensors = Tensors(program, self._memory, self._speller)
        self._functions = Functions.of(program, self._memory, self._speller)

    def view(self, declared_in: str, dtype: str) -> ModuleView:
        """Return every string of the module."""
        net, optimizer = self._net, self._program.optimizer
        functions, init = self._functions.views(), self._tensors.init()
        code = "\n".join([*init, *(line for f in functions for s in f.steps for line in s.lines)])
        noise, accuracy = self._tensors.noise(self._functions.forward.scratch), self.accuracy()
        buffers = self._buffers()
        second = second_view(
            self._functions,
            functions,
            [t.name for t in net.inputs],
            _NOISE_ARGS if noise else (),
            self._speller,
        )
        scratch = [*buffers["forward_scratch"], *buffers["backward_scratch"]]
        code += "\n".join([*scratch, *(second.scratch if second else ())])
        return ModuleView(
            title=plain(net.doc) or f"The network {net.name}.",
            origin=plain(
                f"Written by `bpgen emit {net.name}` from {declared_in}; needs numpy alone."
            ),
            dtype=dtype,
            extents=self.extents(),
            size=str(self._tensors.trained),
            outputs=as_tuple(f'"{label}"' for label in net.outputs),
            optimizer=optimizer.name,
            loss=net.loss,
            states_names=as_tuple(f'"{s.name}"' for s in optimizer.states),
            needs_math="math." in code or "orthogonal(" in code or self._tensors.has_blocks,
            needs_erf="erf(" in code,
            needs_windows=f"{WINDOWS}(" in code,
            tile=str(ENTRIES) if "= tiles(" in code else "",
            needs_orthogonal="orthogonal(" in code,
            has_blocks=self._tensors.has_blocks,
            has_labels=any(t.is_integer for t in net.inputs),
            has_reals=not all(t.is_integer for t in net.inputs),
            parameters=self._tensors.parameters(),
            tables=self._tensors.tables(),
            states=tuple(FieldView(s.name, "", f"{s.name}[i]") for s in optimizer.states),
            init=init,
            functions=functions,
            noise=noise,
            accuracy=accuracy,
            report_words=", and the share of right answers" if accuracy else "",
            second=second,
            **self.storage(),
            **buffers,
            **self.batch(has_noise=bool(noise)),
            **calls(functions, has_noise=bool(noise)),
        )

    def storage(self) -> dict[str, Any]:
        """Return what the memory of the parameters is called, with and without others beside."""
        kept = self._net.kept
        return {
            "kept": self._tensors.kept(),
            "storage": str(self._tensors.trained + sum(t.entries for t in kept)),
            "stored": "STORED" if kept else "PARAMETERS",
            "vector": "storage" if kept else "flat",
            "total": "STORAGE" if kept else "SIZE",
            "start": "params.storage" if kept else "params.flat",
            "move": "move" if kept else "v",
        }

    def _buffers(self) -> dict[str, Any]:
        """Return what the workspaces hold; call it when all functions are written."""
        written, forward = self._functions, self._functions.forward.scratch
        return {
            "activations": self._memory.fields(
                (*self._net.of_role(Role.TABLE), *self._memory.activations), self._speller
            ),
            "cotangents": self._memory.fields(self._memory.cotangents, self._speller),
            "forward_scratch": scratch_lines(forward),
            "backward_scratch": scratch_lines(written.backward.scratch, without=forward),
            "update_scratch": (
                *scratch_lines(written.update.scratch, {"P": "SIZE"}),
                *scratch_lines(
                    written.block.scratch, {"P": "BLOCK"}, without=written.update.scratch
                ),
            ),
            "block": next((str(p.size) for p in self._program.update if isinstance(p, Blocks)), ""),
        }

    def batch(self, *, has_noise: bool) -> dict[str, Any]:
        """Return what is given for each batch, as arguments and as results."""
        inputs, read = self._tensors.inputs(), self._tensors.predicted()
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
                ["params: Params", "*", *typed.split(", "), *(_NOISE_ARGS if has_noise else ())],
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
        return f"params.{name}.copy()" if in_code == f"p.{name}" else in_code

    def extents(self) -> str:
        """Return the line that names the extents that are known."""
        known = [e for e in self._memory.extents if e.value is not None]
        return wrapped_names([e.name for e in known], [str(e.value) for e in known])

    def accuracy(self) -> tuple[str, ...]:
        """Return the lines that count right answers, where an output scores the only label."""
        net, read = self._net, self._tensors.predicted()
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
