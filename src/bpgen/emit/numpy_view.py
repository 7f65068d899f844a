"""From a program to the view of its numpy module."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from bpgen.emit.layout import Memory, fields, scratch_lines, span
from bpgen.emit.view import FieldView, FunctionView, ModuleView, StepView
from bpgen.emit.wrap import wrapped_code, wrapped_comment
from bpgen.ir.network import Network
from bpgen.ir.program import Program, Step
from bpgen.ir.tensor import Role, Tensor
from bpgen.spell import FormulaSpeller, order_of
from bpgen.targets.numpy.scalar import scalar
from bpgen.targets.numpy.target import NumpyTarget


def view_of(program: Program, declared_in: str, dtype: str) -> ModuleView:
    """Return the view of the module that trains `program`."""
    return _Writer(program, declared_in, dtype).view()


_NOISE_ARGS = ", seed: int = 0, step: int = 0, noise: dict[str, np.ndarray] | None = None"


class _Writer:
    """Bring the parts of one module together; each method gives a group of strings."""

    def __init__(self, program: Program, declared_in: str, dtype: str) -> None:
        self._program = program
        self._net: Network = program.network
        self._declared_in, self._dtype = declared_in, dtype
        self._tensors = program.derivation.network.tensors
        self._memory = Memory.of(program)
        self._speller = FormulaSpeller(order_of(self._tensors.values()))
        self._forward = NumpyTarget(self._memory.names, self._tensors)
        self._backward = NumpyTarget(self._memory.names, self._tensors)
        self._update = NumpyTarget(self._memory.update_names, self._tensors, owner="s")

    def view(self) -> ModuleView:
        """Return every string of the module."""
        functions = self._functions()
        init = self._init()
        inputs = [self._input(t) for t in self._net.inputs]
        predicted = [i for i in inputs if i.name in self._predict_names()]
        code = "\n".join([*init, *(line for f in functions for s in f.steps for line in s.lines)])
        noise = self._noise()
        args = [i.name for i in inputs]
        return ModuleView(
            title=_plain(self._net.doc) or f"The network {self._net.name}.",
            origin=f"Written by `bpgen emit {self._net.name}` from {self._declared_in}; needs numpy alone.",
            dtype=self._dtype,
            extents=self._extents(),
            size=f"{sum(t.entries for t in self._net.parameters)}",
            outputs=_tuple([f'"{label}"' for label in self._net.outputs]),
            optimizer=self._program.optimizer.name,
            loss=self._net.loss,
            states_names=_tuple([f'"{s.name}"' for s in self._program.optimizer.states]),
            constants=tuple(
                f"RANGE_{e} = np.arange({e})" for e in _found(r"(?<![\w.])RANGE_(\w+)", code)
            ),
            needs_math="math." in code or "orthogonal(" in code,
            needs_erf="erf(" in code,
            needs_orthogonal="orthogonal(" in code,
            has_labels=any(t.is_integer for t in self._net.inputs),
            parameters=self._parameters(),
            inputs=tuple(inputs),
            states=tuple(
                FieldView(s.name, "", f"{s.name}[i]") for s in self._program.optimizer.states
            ),
            activations=fields(self._memory.activations, self._speller),
            cotangents=fields(self._memory.cotangents, self._speller),
            forward_scratch=(*_held(code, "a"), *scratch_lines(self._forward.scratch)),
            backward_scratch=scratch_lines(self._backward.scratch),
            update_scratch=(
                *(line.replace("(P,", "(SIZE,") for line in _held(code, "s")),
                *scratch_lines(self._update.scratch, {"P": "SIZE"}),
            ),
            init=init,
            functions=functions,
            noise=noise,
            batch_args=", ".join(args),
            batch_typed=_typed(args),
            loss_and_grad_args=f"params: Params, *, {_typed(args)}{_NOISE_ARGS if noise else ''}",
            batch_result=_result(args),
            first=args[0],
            length_checks=self._length_checks(args),
            predict_typed=_typed([i.name for i in predicted]),
            predict_first=predicted[0].name,
            predict_inputs=tuple(predicted),
            predict_result=", ".join(
                f'"{k}": {self._memory.names[v]}' for k, v in self._net.outputs.items()
            ),
            accuracy=self._accuracy(),
            report_words=", and the share of right answers" if self._accuracy() else "",
            input_names=" and ".join(args),
            **self._calls(functions, bool(noise)),
        )

    # ---- functions -------------------------------------------------------------------------------

    def _functions(self) -> tuple[FunctionView, ...]:
        program, written = self._program, []
        written.append(
            self._function(
                "forward",
                "Compute the outputs of a batch into `a`.",
                program.forward,
                self._forward,
            )
        )
        written.append(
            self._function(
                "add_loss", "Go on from the outputs to the loss.", program.loss, self._forward
            )
        )
        if program.predict:
            written.append(
                self._function(
                    "infer",
                    "Compute the outputs as they are predicted.",
                    program.predict,
                    self._forward,
                )
            )
            written.append(
                self._function(
                    "add_score",
                    "Go on from predicted outputs to the loss.",
                    program.score,
                    self._forward,
                )
            )
        doc = "Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`."
        written.append(self._function("backward", doc, program.backward, self._backward))
        doc = (
            "Change the parameters by the gradient; `t` counts the steps from 1."
            if program.optimizer.counts_steps
            else "Change the parameters by the gradient."
        )
        written.append(self._function("update", doc, program.update, self._update, "←"))
        return tuple(f for f in written if f.steps)

    def _function(
        self, name: str, doc: str, steps: Sequence[Step], target: NumpyTarget, sign: str = "="
    ) -> FunctionView:
        views = tuple(self._step(s, target, sign) for s in steps)
        text = "\n".join(line for v in views for line in v.lines)
        sizes = [e.name for e in self._net.extents() if e.value is None and _occurs(e.name, text)]
        prelude = (*(f"{size} = a.{size}" for size in sizes), *([""] if sizes else []))
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
        args += [f"{t.name}: np.ndarray" for t in self._net.inputs if _occurs(t.name, text)]
        if name == "update" and self._program.optimizer.counts_steps:
            args.append("t: int")
        return ", ".join(args)

    def _step(self, step: Step, target: NumpyTarget, sign: str) -> StepView:
        formula = wrapped_comment(self._speller.equation(step.equation, sign))
        lines = [line for code in target.lines(step) for line in wrapped_code(code)]
        return StepView(formula, tuple(lines))

    def _calls(self, functions: Sequence[FunctionView], noise: bool) -> dict[str, tuple[str, ...]]:
        """Return how the public functions call the others, with the arguments each one takes."""
        call = {
            f.name: f"{f.name}({', '.join(a.split(':')[0] for a in f.args.split(', '))})"
            for f in functions
        }
        training = [call[n] for n in ("forward", "add_loss", "backward") if n in call]
        outputs = call.get("infer", call["forward"])
        score = [
            outputs,
            *(call[n] for n in (("add_score",) if "infer" in call else ("add_loss",)) if n in call),
        ]
        draw = ["draw(a, seed, step, noise)"] if noise else []
        by_params = [line.replace("(p,", "(params,") for line in training]
        steps = ["draw(a, self.seed, self.steps)"] if noise else []
        update = call["update"].replace("s", "self.state", 0)
        update = re.sub(r"\bs\b", "self.state", re.sub(r"\bt\b", "self.steps", update))
        return {
            "train_calls": (*draw, *by_params),
            "predict_calls": (outputs.replace("(p,", "(params,"),),
            "score_calls": tuple(line.replace("(p,", "(params,") for line in score),
            "step_calls": (*steps, *training, update),
        }

    # ---- tensors ---------------------------------------------------------------------------------

    def _parameters(self) -> tuple[FieldView, ...]:
        found, begin = [], 0
        for t in self._net.parameters:
            size = t.entries
            shape = _tuple([i.extent.name for i in t.indices])
            found.append(
                FieldView(t.name, shape, self._speller.spell(t.canonical), span(begin, size))
            )
            begin += size
        return tuple(found)

    def _input(self, t: Tensor) -> FieldView:
        shape = _tuple([i.extent.name for i in t.indices[1:]])
        free = (
            "N" if len(t.indices) == 1 else _tuple(["N", *(i.extent.name for i in t.indices[1:])])
        )
        if t.is_integer:
            check = f'{t.name} = whole("{t.name}", {t.name}, {shape}, {t.below})'
            return FieldView(
                t.name,
                shape,
                below=str(t.below),
                check=check,
                example=f"rng.integers({t.below}, size={free})",
            )
        check = f'{t.name} = real("{t.name}", {t.name}, {shape}, dtype)'
        if t.name not in self._predict_names():
            return FieldView(
                t.name, shape, below="None", check=check, example=f"rng.random({free})"
            )
        return FieldView(
            t.name, shape, below="None", check=check, example=f"rng.standard_normal({free})"
        )

    def _predict_names(self) -> frozenset[str]:
        steps = self._program.predict or self._program.forward
        return frozenset(name for s in steps for name in s.equation.reads())

    def _length_checks(self, args: Sequence[str]) -> tuple[str, ...]:
        if len(args) == 1:
            return ()
        lengths = ", ".join(f"len({a})" for a in args)
        return (
            f"if len({{{lengths}}}) > 1:",
            f'    raise ValueError(f"{", ".join(args)} have different lengths: {{{lengths}}}")',
        )

    def _init(self) -> tuple[str, ...]:
        lines: list[str] = []
        for t in self._net.parameters:
            assert t.init is not None
            scale = scalar(t.init.scale)
            shape = _tuple([i.extent.name for i in t.indices])
            match t.init.law:
                case "constant":
                    lines += [] if t.init.scale == 0 else [f"p.{t.name}[...] = {scale}"]
                case "normal":
                    lines.append(f"p.{t.name}[...] = rng.normal(0, {scale}, {shape})")
                case "uniform":
                    lines.append(f"p.{t.name}[...] = rng.uniform(-{scale}, {scale}, {shape})")
                case "orthogonal":
                    lines.append(f"p.{t.name}[...] = orthogonal(rng, {shape}, {scale})")
        return tuple(line for code in lines for line in wrapped_code(code))

    def _noise(self) -> tuple[str, ...]:
        lines: list[str] = []
        for t in self._net.of_role(Role.NOISE):
            assert t.noise is not None
            key, at = zlib.crc32(t.name.encode()), self._memory.names[t.name]
            lines.append(
                f"rng = np.random.Generator(np.random.Philox(key=[seed, {key}], counter=[0, 0, 0, step]))"
            )
            draws = {
                "bernoulli": f"np.less(rng.random({at}.shape), {t.noise.rate!r}, out={at})",
                "uniform": f"{at}[...] = rng.random({at}.shape)",
                "normal": f"{at}[...] = rng.standard_normal({at}.shape)",
            }
            lines.append(draws[t.noise.law])
        return tuple(lines)

    # ---- sizes -----------------------------------------------------------------------------------

    def _extents(self) -> str:
        known = [e for e in self._memory.extents if e.value is not None]
        names, values = ", ".join(e.name for e in known), ", ".join(str(e.value) for e in known)
        return f"{names} = {values}" if known else ""

    def _accuracy(self) -> tuple[str, ...]:
        """Return the lines that count right answers, where an output scores the classes of the one label."""
        labels = [t for t in self._net.of_role(Role.LABEL) if len(t.indices) == 1]
        for label, name in self._net.outputs.items():
            axes = self._tensors[name].indices
            if len(labels) == 1 and len(axes) == 2 and axes[1].extent.value == labels[0].below:
                given = ", ".join(f'{n}=data["{n}"]' for n in self._inputs_of_predict())
                right = f"np.mean(guess == data['{labels[0].name}'])"
                return (
                    f'guess = predict(params, {given})["{label}"].argmax(axis=1)',
                    f'return f"loss {{loss(params, **data):.4f}}, accuracy {{{right}:.4f}}"',
                )
        return ()

    def _inputs_of_predict(self) -> list[str]:
        return [t.name for t in self._net.inputs if t.name in self._predict_names()]


def _held(code: str, owner: str) -> tuple[str, ...]:
    """Return the lines that make the constants of a workspace: zero, ones, means, ranges, starts of rows."""
    zero = ["self.ZERO = np.zeros((), dtype)"] if f"{owner}.ZERO" in code else []
    return (
        *zero,
        *(f"self.ONES_{e} = np.ones({e}, dtype)" for e in _found(rf"\b{owner}\.ONES_(\w+)", code)),
        *(
            f"self.MEAN_{e} = np.full({e}, 1 / {e}, dtype)"
            for e in _found(rf"\b{owner}\.MEAN_(\w+)", code)
        ),
        *(f"self.RANGE_{e} = np.arange({e})" for e in _found(rf"\b{owner}\.RANGE_(\w+)", code)),
        *(
            f"self.STARTS_{n}_{k} = {k} * np.arange({n})  # of the rows of [{n}, {k}] in memory"
            for n, k in _found(rf"\b{owner}\.STARTS_(\w+?)_(\w+)", code)
        ),
    )


def _found(pattern: str, code: str) -> list[Any]:
    return sorted(set(re.findall(pattern, code)))


def _occurs(name: str, text: str) -> bool:
    code = re.sub(r'"[^"]*"', "", text)
    return re.search(rf"(?<![\w.]){re.escape(name)}\b", code) is not None


def _tuple(items: Iterable[str]) -> str:
    found = list(items)
    return f"({found[0]},)" if len(found) == 1 else f"({', '.join(found)})"


def _typed(args: Sequence[str]) -> str:
    return ", ".join(f"{a}: np.ndarray" for a in args)


def _result(args: Sequence[str]) -> str:
    return f"({args[0]},)" if len(args) == 1 else ", ".join(args)


def _plain(doc: str) -> str:
    """Return the first line of a docstring without what could end or escape one."""
    line = doc.strip().split("\n")[0].strip()
    return "".join(c for c in line if c.isprintable() and c not in '"\\')
