"""The roof: a declared model, and everything that is done with it.

    model = bp.load("model.py")
    d = model.derive();  d["fc1_W"].steps
    v = model.check(seed=0)
    net = model.emit(target="numpy")

This module and the command line alone see both towers: the catalog, and the pipeline that knows no
definition by name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bpgen.collection import paused
from bpgen.declare.given import is_name
from bpgen.declare.load import locate, run
from bpgen.declare.network import final_names
from bpgen.declare.network import network as make_network
from bpgen.declare.option import option
from bpgen.declare.variable import Variable, here
from bpgen.errors import FormulaError, NoModelError
from bpgen.ir.optimizer import Optimizer
from bpgen.optimizers import sgd

if TYPE_CHECKING:
    from bpgen.certify.outcome import Examination
    from bpgen.document import Document
    from bpgen.execute.load import Emitted
    from bpgen.ir.derivation import Derivation
    from bpgen.ir.program import Program
    from bpgen.lower.workspace import Workspace
    from bpgen.verify.second import Second
    from bpgen.verify.verdict import Verdict


class Model:
    """A network with its loss, its outputs and its optimizer."""

    def __init__(
        self,
        loss: Variable,
        outputs: Mapping[str, Variable] | None = None,
        optimizer: Optimizer | None = None,
        *,
        data: str | None = None,
        epochs: int = 20,
        frozen: Sequence[str] = (),
    ) -> None:
        """Declare a model; tensors that the calling file binds to names are called so.

        `outputs` are what `predict` returns, by name. `optimizer` is plain gradient descent unless
        given. `frozen` names parameters that are not trained, or layers: `frozen=["fc1"]`. `data`
        and `epochs` are what `bpgen train` takes where its options name none.
        Errors: see `declare.network.network`; OptionError if `epochs` is not at least 1.
        """
        if not isinstance(loss, Variable):
            raise FormulaError(
                "the loss of a model is not a tensor",
                where=here(),
                disagree=f"it is {type(loss).__name__}",
                way_out="Give what a loss of bpgen.losses returns, or bp.define(name, (), …).",
            )
        frame = sys._getframe(1)  # noqa: SLF001  the names that the model file binds
        bound = {k: v for k, v in frame.f_globals.items() if isinstance(v, Variable)}
        stem = Path(frame.f_code.co_filename).stem
        name = stem if is_name(stem) else "model"
        doc = frame.f_globals.get("__doc__") or ""
        self.optimizer = optimizer or sgd()
        self.data, self.epochs = data, int(option("`epochs`", epochs, at_least=1))
        self.network = make_network(
            loss, outputs or {}, name=name, doc=doc, bound=bound, frozen=frozen
        )
        self.path = Path(frame.f_code.co_filename)
        self._declared = (loss, outputs or {}, bound)

    def names(self) -> dict[int, str]:
        """Return the name of every tensor in the network, by the serial of its variable."""
        return final_names(*self._declared)

    @paused()
    def derive(self) -> Document:
        """Return the derivation: `d["fc1_W"]` is ∂L/∂fc1_W with its steps; `print(d)` shows all."""
        from bpgen.derive import derive
        from bpgen.document import Document

        return Document(derive(self.network))

    def check(
        self,
        seed: int | None = None,
        progress: Callable[[str], None] | None = None,
        target: str = "numpy",
        **bounds: Any,
    ) -> Verdict:
        """Verify the gradients of the formulas and of the emitted module; return the verdict.

        The kernels of a CuPy module run on the GPU, or on the CPU where there is none. `bounds` are
        `memory` and `batch`, as `source` has them.
        """
        from bpgen.execute.proof import checked

        derivation = self.derive().derivation
        source = partial(self._source, **bounds)
        return checked(
            self.network, derivation, source, target=target, seed=seed, progress=progress
        )

    def certificate(self, verdict: Verdict, target: str = "numpy") -> dict[str, Any]:
        """Return `verdict` as a document that a module can be checked against without the model.

        It holds seeds of points, what the gradient is there, and the hashes of the declaration and
        of the modules that `source` gives.
        """
        from bpgen.certify import certificate

        modules = {f"{target} {d}": self.source(target, d) for d in ("float32", "float64")}
        return certificate(verdict, self.network, self.derive().derivation, modules)

    def examine(self, module: Path | str, seed: int | None = None) -> Examination:
        """Say whether an emitted file computes what the model declares, and where it does not.

        Every buffer is compared with its equation; a file that was edited is refuted by line.
        """
        from bpgen.certify import examined

        def source(target: str, dtype: str, batch: int | None) -> str:
            return self.source(target, dtype, batch=batch)

        return examined(Path(module), self.derive().derivation, source, self.lying(), seed)

    def lying(self) -> dict[str, tuple[str, ...]]:
        """Return the axes of each buffer of the numpy module, in the order of memory, by name."""
        from bpgen.lower import in_memory

        # A file is examined with few examples, and one block of rows holds all of them.
        arrays = in_memory(replace(self.program(), batch=1)).arrays
        return {name: tuple(i.name for i in t.indices) for name, t in arrays.items()}

    def check_second(
        self,
        seed: int | None = None,
        order: int = 0,
        progress: Callable[[str], None] | None = None,
    ) -> Second:
        """Verify products with second derivatives, and the Taylor coefficients up to t^order."""
        from bpgen.derive import hessian
        from bpgen.execute.proof import second_checked

        return second_checked(
            hessian(self.derive().derivation),
            lambda dtype: self.source(dtype=dtype, extras=("hvp",)),
            seed=seed,
            order=order,
            progress=progress,
        )

    @paused()
    def program(self) -> Program:
        """Return what an emitted module does: its statements, in order."""
        from bpgen.lower import lower

        return lower(self.derive().derivation, self.optimizer)

    @paused()
    def source(
        self,
        target: str = "numpy",
        dtype: str = "float32",
        extras: Sequence[str] = (),
        **bounds: Any,
    ) -> str:
        """Return the text of the emitted module; of `extras`, "hvp" adds products with the Hessian.

        `precision=` is that of products on a GPU: "tf32" rounds what is multiplied, "bf16" stores
        it so. Where a choice needs the number of examples, it is `batch=` (64). With `memory=` the
        backward pass computes again what the forward pass left, until buffers of a step take no
        more bytes then, in float32.
        Errors: TargetError if the target is unknown or cannot spell a function of the model;
        OptionError if so little memory is not enough.
        """
        return self._source(self.derive().derivation, target, dtype, extras, **bounds)

    @paused()
    def _source(
        self,
        derivation: Derivation,
        target: str,
        dtype: str,
        extras: Sequence[str] = (),
        **bounds: Any,
    ) -> str:
        """Return the text of the module of a derivation, the model's own or a reduced one."""
        from bpgen.derive import hessian
        from bpgen.emit import module
        from bpgen.lower import lower

        second = hessian(derivation) if "hvp" in extras else None
        program = lower(derivation, self.optimizer, second)
        return module(program, self.path.name, target=target, dtype=dtype, **bounds)

    def workspace(self) -> Workspace:
        """Return where the buffers of a training step lie: `bytes(batch)`, `bound(batch)`."""
        from bpgen.emit.budget import workspace

        return workspace(self.program())

    def emit(
        self,
        target: str = "numpy",
        path: Path | str | None = None,
        dtype: str = "float32",
        extras: Sequence[str] = (),
        **bounds: Any,
    ) -> Emitted:
        """Write the emitted module to `path` and import it; the rest is that of `source`.

        Without `path` it is `generated/<model>_<target>.py`.
        """
        from bpgen.emit.files import default_path, write
        from bpgen.execute.load import load_module

        where = Path(path) if path is not None else default_path(self.network.name, target)
        write(where, self.source(target, dtype, extras, **bounds))
        return load_module(where)

    def _repr_markdown_(self) -> str:
        return self.derive()._repr_markdown_()


@paused()
def load(name: str | Path = "model.py") -> Model:
    """Return the `model` that a file, or a model of the zoo, defines.

    The file is run, as `python` would run it: a model file is code.
    Errors: MissingFileError, LoadError, NoModelError, and whatever the declaration raises.
    """
    path = locate(name)
    values: dict[str, Any] = run(path)
    model = values.get("model")
    if isinstance(model, Model):
        return model
    found = [k for k, v in values.items() if isinstance(v, Model)]
    raise NoModelError(
        f"{path.name} defines no `model`",
        disagree=f"it defines {', '.join(f'`{k}`' for k in found)}" if found else "",
        rule="The tools load the module-level name `model`.",
        way_out="End the file with: model = bp.Model(loss=…, outputs={…}, optimizer=…)",
    )
