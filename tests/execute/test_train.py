"""Training is the loop it claims to be: whole epochs, resumable to the bit, finite throughout."""

import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest

from bpgen.errors import NotFiniteError
from bpgen.execute.dataset import Dataset, split
from bpgen.execute.history import read
from bpgen.execute.interrupt import Interrupt
from bpgen.execute.run import Run
from bpgen.execute.score import score
from bpgen.execute.train import train

N, D, BATCH, EPOCHS = 61, 3, 7, 4
STEPS_AN_EPOCH = 7  # of the 49 rows that train


class Trainer:
    """w follows the mean of x: the loss is Σ (x - w)² / 2, and a step goes along its gradient."""

    def __init__(self, params, batch, seed=0, rate=0.1, steps=0):
        self.params, self.batch, self.seed, self.rate, self.steps = params, batch, seed, rate, steps

    def step(self, x):
        self.steps += 1
        self.params = self.params - self.rate * (self.params - x.mean(axis=0))
        return loss(self.params, x)


def loss(params, x):
    return float(((x - params) ** 2).sum(axis=1).mean() / 2)


def save(path, trainer):
    np.savez(path, params=trainer.params, steps=trainer.steps)


def load(path):
    with np.load(path) as saved:
        return Trainer(saved["params"], BATCH, steps=int(saved["steps"]))


NET = SimpleNamespace(loss=loss, save=save, load=load, INPUTS={"x": ((D,), None)}, OUTPUTS=())


class Watch:
    """Notes what training tells, and interrupts it after so many steps."""

    def __init__(self, interrupt_at=None):
        self.interrupt_at, self.steps, self.epochs = interrupt_at, [], []

    def step(self, steps):
        self.steps.append(steps)
        if steps == self.interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)

    def epoch(self, epoch):
        self.epochs.append(epoch)


@pytest.fixture
def parts():
    rows = np.random.default_rng(5).normal(size=(N, D))
    return split(Dataset({"x": rows}), seed=0, batch=BATCH)


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path, "net")


def started(rate=0.1):
    return Trainer(np.full(D, 4.0), BATCH, rate=rate)


def test_training_takes_every_step_logs_every_epoch_and_keeps_the_best(parts, run):
    watch = Watch()
    outcome = train(NET, started(), parts, run, watch, epochs=EPOCHS)
    assert watch.steps == list(range(1, EPOCHS * STEPS_AN_EPOCH + 1))
    assert read(run.log, steps=10**9) == list(outcome.epochs) == watch.epochs
    assert outcome.epochs[-1].validation.loss < outcome.epochs[0].validation.loss
    assert outcome.test == score(NET, load(run.best).params, parts.test)


@pytest.mark.parametrize("stopped", [1, STEPS_AN_EPOCH - 1, STEPS_AN_EPOCH, STEPS_AN_EPOCH + 1])
def test_a_run_that_is_interrupted_and_resumed_equals_one_that_is_not(stopped, parts, run):
    whole = started()
    train(NET, whole, parts, run, Watch(), epochs=EPOCHS)
    broken = train(NET, started(), parts, run, Watch(interrupt_at=stopped), epochs=EPOCHS)
    assert broken.test is None
    resumed = load(run.last)
    assert resumed.steps == stopped
    outcome = train(NET, resumed, parts, run, Watch(), epochs=EPOCHS)
    assert (resumed.params == whole.params).all()
    assert [epoch.number for epoch in outcome.epochs] == list(range(1, EPOCHS + 1))


def test_a_complete_run_that_is_resumed_has_only_its_test_to_do(parts, run):
    first = train(NET, started(), parts, run, Watch(), epochs=EPOCHS)
    watch = Watch()
    again = train(NET, load(run.last), parts, run, watch, epochs=EPOCHS)
    assert again == first
    assert watch.steps == []


def test_a_loss_that_is_not_finite_stops_training(parts, run):
    with pytest.raises(NotFiniteError, match=r"the loss is (inf|nan) at step \d+") as caught:
        train(NET, started(rate=1e30), parts, run, Watch(), epochs=EPOCHS)
    assert "the last finite loss was" in str(caught.value)
    assert caught.value.exit_status == 6
    assert not run.best.exists()


def test_the_second_interrupt_acts_at_once():
    with Interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_signals_are_given_back():
    before = signal.getsignal(signal.SIGINT)
    with Interrupt():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_accuracy_counts_the_labels_that_the_largest_output_hits():
    logits = np.eye(5)[[0, 1, 2, 3, 4, 0, 1]]
    net = SimpleNamespace(
        INPUTS={"x": ((5,), None), "y": ((), 5)},
        OUTPUTS=("h", "logits"),
        loss=lambda params, **batch: 2.0,
        predict=lambda params, x: {"h": x[:, :4], "logits": x},
    )
    labels = np.array([0, 1, 2, 3, 4, 1, 0])
    scored = score(net, None, Dataset({"x": logits, "y": labels}))
    assert scored.loss == 2.0
    assert scored.accuracy == 5 / 7


def test_tokens_that_prediction_reads_are_no_label():
    tokens, following = np.array([[0, 1], [2, 3]]), np.array([[1, 2], [3, 3]])
    net = SimpleNamespace(
        INPUTS={"tokens": ((2,), 5), "next_token": ((2,), 5)},
        loss=lambda params, **batch: 2.0,
        predict=lambda params, tokens: {"logits": np.eye(5)[tokens + 1]},
    )
    scored = score(net, None, Dataset({"tokens": tokens, "next_token": following}))
    assert scored.accuracy == 3 / 4


def test_rows_scored_in_blocks_count_alike():
    rows = np.random.default_rng(5).normal(size=(2500, D))
    scored = score(NET, np.zeros(D), Dataset({"x": rows}))
    assert scored.loss == pytest.approx(loss(np.zeros(D), rows), rel=1e-12)  # another order of sums
    assert scored.accuracy is None
