"""Train the emitted module: epochs of whole batches, a checkpoint after each, the best one kept.

The number of steps taken says where training stands: rows are drawn by seed and epoch alone,
so a run that is continued takes the steps that an unbroken one takes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bpgen.errors import NotFiniteError
from bpgen.execute import history
from bpgen.execute.dataset import Split, batches
from bpgen.execute.history import Epoch, Score
from bpgen.execute.interrupt import Interrupt
from bpgen.execute.load import Emitted, Training
from bpgen.execute.run import Run
from bpgen.execute.score import score


class Progress(Protocol):
    """Who is told of the training as it goes."""

    def step(self, steps: int) -> None:
        """Take note that `steps` steps are done."""

    def epoch(self, epoch: Epoch) -> None:
        """Take note of a complete epoch."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How training ended: the epochs, and the best checkpoint's score on the test rows.

    `test` is None if training was interrupted. `shown` says what the picture of the model shows.
    """

    epochs: tuple[Epoch, ...]
    test: Score | None
    shown: str = ""

    def __str__(self) -> str:
        """Return the score, and what the picture shows."""
        return f"{self.test}; {self.shown}" if self.shown else f"{self.test}"


def train(
    net: Emitted, trainer: Training, parts: Split, run: Run, progress: Progress, *, epochs: int
) -> Outcome:
    """Train until `epochs` epochs are complete in all, or until Ctrl-C.

    Errors: NotFiniteError if a loss is not finite; the checkpoint of the epoch before is kept.
    """
    done = history.read(run.log, steps=trainer.steps)
    history.rewrite(run.log, done)
    with Interrupt() as interrupt, np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        for number in range(len(done) + 1, epochs + 1):
            loss = _epoch(trainer, parts, number, progress, interrupt)
            if trainer.steps < number * (len(parts.train) // trainer.batch):
                net.save(run.last, trainer)
                return Outcome(tuple(done), None)
            validation = score(net, trainer.params, parts.validation)
            _check_finite(validation.loss, loss, trainer.steps)
            if all(validation.loss < before.validation.loss for before in done):
                net.save(run.best, trainer)
            done.append(Epoch(number, trainer.steps, Score(loss), validation))
            history.append(run.log, done[-1])
            net.save(run.last, trainer)  # after the log: what it has reached is logged
            progress.epoch(done[-1])
            if interrupt.asked and number < epochs:
                return Outcome(tuple(done), None)
        return Outcome(tuple(done), score(net, net.load(run.best).params, parts.test))


def _epoch(
    trainer: Training, parts: Split, number: int, progress: Progress, interrupt: Interrupt
) -> float:
    """Take the steps of epoch `number` that are still to take; return their mean loss."""
    rows = batches(len(parts.train), batch=trainer.batch, seed=trainer.seed, epoch=number)
    losses: list[float] = []
    for which in rows[trainer.steps - (number - 1) * len(rows) :]:
        loss = trainer.step(**parts.train.rows(which))
        _check_finite(loss, losses[-1] if losses else None, trainer.steps)
        losses.append(loss)
        progress.step(trainer.steps)
        if interrupt.asked:
            break
    return math.fsum(losses) / max(1, len(losses))


def _check_finite(loss: float, before: float | None, step: int) -> None:
    if math.isfinite(loss):
        return
    raise NotFiniteError(
        f"the loss is {loss} at step {step}",
        disagree="" if before is None else f"the last finite loss was {before:.6g}",
        rule="No step can be taken along a gradient that is not finite.",
        way_out="Lower the learning rate, or clip the gradient: adam(1e-3, clip=1.0).",
    )
