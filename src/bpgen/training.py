"""The whole path of `bpgen train`: read, prove, emit, train, draw, all into one folder."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bpgen.declare.load import ZOO
from bpgen.emit.files import write
from bpgen.errors import CheckpointError, CoupledError, RefutedError, UndecidedError
from bpgen.execute import curve, dataset
from bpgen.execute.dataset import Dataset
from bpgen.execute.figure import figure
from bpgen.execute.load import Emitted, Training, load_module
from bpgen.execute.progress import shown, stages
from bpgen.execute.run import Run
from bpgen.execute.train import Outcome
from bpgen.execute.train import train as train_emitted
from bpgen.lower.share import Coupling, shares_of
from bpgen.model import Model
from bpgen.pictures import picture_of

if TYPE_CHECKING:
    from rich.console import Console

DTYPE = "float32"


@dataclass(frozen=True, slots=True)
class Plan:
    """What the user asks for: which data, for how long, into which folder."""

    data: tuple[str, ...]
    label: tuple[str, ...]
    epochs: int
    batch: int
    seed: int
    threads: int
    folder: Path
    resume: bool
    memory: int | None = None

    @property
    def shared(self) -> dict[str, int]:
        """Return the argument by which threads share a batch; a module may have none."""
        return {"threads": self.threads} if self.threads > 1 else {}


def planned(
    model: Model, folder: Path, *, data: tuple[str, ...], epochs: int | None, **options: Any
) -> Plan:
    """Return a plan with the data and the epochs that `model` names where none are given."""
    own = () if model.data is None else (model.data,)
    return Plan(data=data or own, epochs=epochs or model.epochs, folder=folder, **options)


def train(model: Model, plan: Plan, console: Console) -> Outcome:
    """Train `model` by `plan`, telling `console` of each stage.

    Errors: a DataError before anything is written; RefutedError, UndecidedError if the gradient
    is not proved; CoupledError if threads cannot share a batch; CheckpointError if there is
    nothing to resume; NotFiniteError.
    """
    _assert_shared(model, plan)
    if plan.threads > 1 and find_spec("threadpoolctl") is None:
        console.print("BLAS keeps threads of its own beside these: pip install threadpoolctl")
    data = dataset.read(plan.data, model.network.inputs, label=plan.label, dtype=DTYPE)
    dataset.split(data, seed=plan.seed, batch=plan.batch)
    bounds: dict[str, Any] = {"memory": plan.memory, "batch": plan.batch}
    _prove(model, plan.seed, console, bounds)
    run = Run(plan.folder, model.network.name)
    run.clean()
    write(run.derivation, _derivation(model))
    net = model.emit(target="numpy", path=run.module, **bounds)
    trainer = _resumed(net, run, plan) if plan.resume else _started(net, plan)
    parts = dataset.split(data, seed=trainer.seed, batch=trainer.batch)
    steps = plan.epochs * (len(parts.train) // trainer.batch)
    with shown(console, epochs=plan.epochs, steps=steps) as progress:
        outcome = train_emitted(net, trainer, parts, run, progress, epochs=plan.epochs)
    if outcome.epochs:
        curve.draw(run.curve, outcome.epochs, title=run.name)
    if outcome.test is None:
        return outcome
    return replace(outcome, shown=_shown(model, net, run, parts.test))


def profiled(
    model: Model, run: Run, data: tuple[str, ...], label: tuple[str, ...]
) -> tuple[int, dict[tuple[str, str], float]]:
    """Return the batch of a run, and the seconds at each formula of a step of its last module."""
    read = dataset.read(data or (model.data or "",), model.network.inputs, label=label, dtype=DTYPE)
    trainer = load_module(run.module).load(run.last)
    rows: dict[str, Any] = read.rows(np.arange(trainer.batch))
    return trainer.batch, trainer.profile(**rows)


def _assert_shared(model: Model, plan: Plan) -> None:
    """Refuse threads where an example needs more of the others than sums over them."""
    found = shares_of(model.program())
    if plan.threads > 1 and isinstance(found, Coupling):
        raise CoupledError(
            f"{plan.threads} threads cannot share a batch of `{model.network.name}`",
            where=found.equation.where,
            disagree=f"`{found.equation.out.name}`: {found.reason}",
            rule="Each thread has examples of its own, and of the others only sums over them all.",
            way_out="Leave out --threads; products of matrices use the threads of BLAS.",
        )


def _shown(model: Model, net: Emitted, run: Run, test: Dataset) -> str:
    """Draw the picture of a zoo model, by its best parameters, and say what it shows."""
    draw = picture_of(run.name) if model.path.parent == ZOO else None
    if draw is None:
        run.picture.unlink(missing_ok=True)  # of another model that had this folder
        return ""
    with figure(run.picture) as drawn:
        return draw(drawn, net, net.load(run.best).params, test.arrays)


def _derivation(model: Model) -> str:
    return model.derive().render("markdown", steps=True)


def _prove(model: Model, seed: int, console: Console, bounds: dict[str, Any]) -> None:
    with stages(console) as stage:
        verdict = model.check(seed=seed, progress=stage, **bounds)
    if verdict.verdict != "VERIFIED":
        kind = RefutedError if verdict.verdict == "REFUTED" else UndecidedError
        raise kind(str(verdict), way_out="Nothing was trained.")
    console.print(f"{verdict.verdict} to {verdict.digits} digits")


def _started(net: Emitted, plan: Plan) -> Training:
    return net.Trainer(net.init(plan.seed), batch=plan.batch, seed=plan.seed, **plan.shared)


def _resumed(net: Emitted, run: Run, plan: Plan) -> Training:
    if not run.last.exists():
        raise CheckpointError(
            f"there is no checkpoint {run.last}",
            rule="--resume continues a run in its own folder.",
            way_out="Train without --resume, or name the folder: -o FOLDER.",
        )
    try:
        return net.load(run.last, **plan.shared)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{run.last} cannot be continued from",
            disagree=str(error),
            rule="A checkpoint is read by the module that wrote it.",
            way_out="Train without --resume, or go back to the declaration it was written for.",
        ) from error
