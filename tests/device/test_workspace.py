"""Launches share one memory on the device, and none writes where another still has to read."""

from typing import Any

import numpy as np
import pytest
from tests.device.test_tiles import WIDE
from tests.emit.test_loops import DEEP
from tests.lower.test_workspace import dead, poisoned

import bpgen as bp
from bpgen.declare.load import zoo
from bpgen.device.arrays import Device
from bpgen.device.host import has_compiler
from bpgen.device.standin import installed
from bpgen.emit.cuda_workspaces import DeviceWorkspaces
from bpgen.execute.load import load_module
from bpgen.lower.workspace import Workspace
from bpgen.summary import memory
from bpgen.summary import workspace as workspace_of

needs_compiler = pytest.mark.skipif(not has_compiler(), reason="needs g++")
ROWS, GUARD = 3, 64
OTHERS = {"deep": DEEP.replace("BLOCKS", "3"), "wide": WIDE}
SHARED = ["digits_mlp", "lenet_digits", "variational_autoencoder", *OTHERS]


@pytest.fixture
def load(tmp_path):
    """Return a model, and import its module on the stand-in."""

    def build(name, device=None, **bounds):
        declared, path = tmp_path / f"{name}.py", tmp_path / f"{name}_net.py"
        if name in OTHERS:
            declared.write_text(OTHERS[name], encoding="utf-8")
        model = bp.load(declared if name in OTHERS else name)
        path.write_text(model.source("cupy", **bounds), encoding="utf-8")
        with installed(device):
            net: Any = load_module(path)
        return model, net

    return build


def run(net):
    """Return the loss and the gradient at the start."""
    loss, grads = net.loss_and_grad(net.init(seed=0), **net.example(ROWS))
    return loss, grads.flat.get()


@pytest.mark.parametrize("name", zoo())
def test_the_workspace_is_little_more_than_what_is_needed_at_once(name):
    # A few rows lie idle, so that the next buffer is aligned: that shows in a small network. So do
    # the numbers that do not grow with the batch, which lie apart.
    held = workspace_of(bp.load(name).program())
    for batch in (64, 1000):
        idle = 8 * 4 * batch + 512
        assert held.bytes(batch) <= 1.1 * held.bound(batch) + idle


@needs_compiler
@pytest.mark.parametrize("name", SHARED)
def test_what_a_trainer_allocates_is_foretold(name, load):
    model, net = load(name)
    trainer = net.Trainer(net.init(1), ROWS)
    trainer.step(**net.example(ROWS))
    holders = [vars(x) for x in (trainer.params, trainer.grads, trainer.state)]
    holders += [vars(a) for a in trainer._workspaces.values()]
    holders += [turn.device for turns in trainer._turns.values() for turn in turns]
    kernels = trainer.state.kernels
    holders += [kernels._products._rooms] if hasattr(kernels, "_products") else []
    arrays = {x.place: x for held in holders for x in held.values() if hasattr(x, "place")}
    allocated = sum(x._around.nbytes - 2 * GUARD * x.itemsize for x in arrays.values())
    # Besides, some numbers of the optimizer; and the seed.
    assert 0 <= allocated - sum(memory(model.program(), ROWS).values()) <= 100


@needs_compiler
def test_a_batch_that_does_not_fit_is_refused_with_the_largest_that_does(load):
    room = 10**6
    _, net = load("digits_mlp", Device(room=room))
    with pytest.raises(MemoryError, match=r"takes [0-9,]+ bytes of the device") as caught:
        net.Trainer(net.init(1), 10**5)
    fits = int(str(caught.value).rsplit(" ", 1)[1])
    assert 100 < fits < 10**5
    _, net = load("digits_mlp", Device(room=room))
    found = net.Trainer(net.init(1), int(0.9 * fits)).step(**net.example(int(0.9 * fits)))
    assert np.isfinite(found)
    with pytest.raises(MemoryError):
        net.loss_and_grad(net.init(1), **net.example(2 * fits))


def poison(a, held, time):
    """Write NaN where nothing lives at `time`; return how many rows that is."""
    free, done = dead(held, time, held.pieces), 0
    for name, rows in held.rows.items():
        array = getattr(a, name)
        size = int(np.prod([e.count(ROWS) for e in rows.piece.row]))
        count = held.pieces[rows.piece] * size
        begin = array.data.ptr - rows.begin * size * 4
        whole = array._device.at(begin, count, np.float32).reshape(-1, size)
        mask = free.pop(rows.piece, np.zeros(len(whole), bool))
        whole[mask] = np.nan
        done += int(mask.sum())
    return done


@needs_compiler
@pytest.mark.parametrize("name", SHARED)
def test_nothing_is_read_where_no_buffer_lives(name, load):
    model, net = load(name)
    loss, gradient = run(net)
    alive, held = DeviceWorkspaces.of(model.program()).training()
    with poisoned(net, alive, held, poison) as done:
        again, poisoned_gradient = run(net)
    assert done[0] > 0
    assert again == loss
    np.testing.assert_array_equal(poisoned_gradient, gradient)


def is_written_over(name, life, held):
    """Whether another buffer lies in the same rows at the end of a life."""
    others = (n for n, rows in held.rows.items() if rows == held.rows[name] and n != name)
    return any(life.stop - 1 in other for n in others for other in held.lives[n])


@needs_compiler
@pytest.mark.parametrize("name", ["deep", "digits_mlp"])
def test_a_life_that_ends_too_early_is_found(name, load):
    model, net = load(name)
    alive, held = DeviceWorkspaces.of(model.program()).training()
    ends = {n: held.lives[n][-1] for n, rows in held.rows.items() if not rows.piece.of}
    # What is written over in its last launch holds what is written there.
    shared = {n: life for n, life in ends.items() if not is_written_over(n, life, held)}
    saved, life = max(shared.items(), key=lambda item: len(item[1]))
    cut = {**held.lives, saved: (range(life.start, life.stop - 1),)}
    _, expected = run(net)
    with (
        poisoned(net, alive, Workspace(held.rows, cut, cut), poison),
        np.errstate(invalid="ignore"),
    ):
        _, gradient = run(net)
    assert not np.array_equal(gradient, expected), saved


def test_what_a_map_reads_for_the_last_time_is_written_over():
    held = workspace_of(bp.load("char_gpt").program())
    for out, operand in (("d_z1", "d_gelu1"), ("d_att_score", "d_p1")):
        assert held.rows[out] == held.rows[operand]
