"""A batch comes to the device while the step before runs, and nobody reads it before it is there.

The stand-in knows what each stream and the host have waited for; what modules forget, it finds.
"""

from typing import Any

import numpy as np
import pytest

import bpgen as bp
from bpgen.device.arrays import Device
from bpgen.device.host import has_compiler
from bpgen.device.order import HOST
from bpgen.device.standin import installed
from bpgen.errors import DeviceError
from bpgen.execute.load import load_module

ROWS = 7
needs_compiler = pytest.mark.skipif(not has_compiler(), reason="needs g++")


@pytest.fixture
def trained(tmp_path):
    """A trainer after some steps that nobody waited for, of a module without some lines."""

    def train(*without, steps=5, model="one_hidden_layer", waits=False):
        text, device = bp.load(model).source("cupy"), Device()
        for line in without:
            assert text.count(line) == 1, line
            text = text.replace(line, "")
        path = tmp_path / "net.py"
        path.write_text(text, encoding="utf-8")
        with installed(device):
            net: Any = load_module(path)
        trainer = net.Trainer(net.init(1), ROWS)
        batches = [net.example(ROWS, seed=step) for step in range(steps)]
        losses = [(trainer.step if waits else trainer.start)(**batch) for batch in batches]
        return device, trainer, losses

    return train


@needs_compiler
def test_who_does_not_wait_trains_as_who_does(trained):
    _, one, losses = trained(waits=True)
    _, other, _ = trained()
    assert other.loss() == losses[-1]
    np.testing.assert_array_equal(one.params.flat.get(), other.params.flat.get())


@needs_compiler
def test_a_batch_is_copied_while_the_step_before_runs(trained):
    device, trainer, _ = trained()
    compute, copies = trainer.stream.ptr, trainer.copies.ptr
    order = device.order
    per_step = len(trainer._turns[ROWS][0].graph._work)
    assert order.done[compute] == 5 * per_step
    # The fifth batch came to where the third was read; that the fourth was, nobody had to know.
    assert order.known[copies][compute] == 3 * per_step
    assert order.known[HOST].get(compute, 0) < 3 * per_step
    trainer.loss()
    assert order.known[HOST][compute] == order.done[compute]


FORGOTTEN = [
    ("            self.stream.wait_event(turn.copied)\n", "does not wait"),
    ("        self.copied.record(stream)\n", "does not wait"),
    ("        stream.wait_event(self.read)\n", "does not wait"),
    ("            turn.read.record(self.stream)\n", "does not wait"),
    ("        self.copied.synchronize()\n", "nobody waited for its copy"),
]


@needs_compiler
@pytest.mark.parametrize(("line", "message"), FORGOTTEN, ids=[x.strip() for x, _ in FORGOTTEN])
def test_a_module_that_forgets_to_wait_is_refused(trained, line, message):
    with pytest.raises(DeviceError, match=message):
        trained(line)


@needs_compiler
def test_batches_of_several_sizes_may_take_turns(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(bp.load("digits_mlp").source("cupy"), encoding="utf-8")
    ends = []
    for graph in (True, False):
        with installed():
            net: Any = load_module(path)
        trainer = net.Trainer(net.init(1), ROWS, graph=graph)
        for step, rows in enumerate((7, 7, 3, 7, 3, 3, 7, 3, 3)):
            trainer.start(**net.example(rows, seed=step))
        ends.append((trainer.loss(), trainer.params.flat.get()))
    assert ends[0][0] == ends[1][0]
    np.testing.assert_array_equal(ends[0][1], ends[1][1])


@needs_compiler
def test_two_trainers_share_no_memory_of_the_library(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(bp.load("variational_autoencoder").source("cupy"), encoding="utf-8")
    with installed():
        net: Any = load_module(path)
    one, other = (net.Trainer(net.init(seed), 3) for seed in (1, 2))
    for step in range(3):
        one.start(**net.example(3, seed=step))
        other.start(**net.example(3, seed=step))
    assert np.isfinite([one.loss(), other.loss()]).all()


@pytest.fixture
def cupy():
    """The stand-in."""
    with installed() as found:
        yield found


def pinned(cupy, size=3):
    """Return numbers in memory of the host that is pinned."""
    memory = cupy.cuda.alloc_pinned_memory(4 * size)
    found = np.ndarray(size, np.float32, memory)
    found[:] = 1
    return found


def test_a_read_waits_for_the_event_behind_a_copy(cupy):
    array, copies = cupy.empty(3, np.float32), cupy.cuda.Stream()
    reader, event = cupy.cuda.Stream(), cupy.cuda.Event()
    array.set(pinned(cupy), copies)
    reader.wait_event(event)  # it was not recorded: nobody waits
    with reader, pytest.raises(DeviceError, match="does not wait"):
        array.get()
    event.record(copies)
    reader.wait_event(event)
    with reader:
        assert array.get().sum() == 3


def test_the_null_stream_waits_for_all_others_and_they_for_it(cupy):
    array, stream = cupy.zeros(3, np.float32), cupy.cuda.Stream()
    with stream:
        array.fill(2)
    array.fill(3)
    with stream:
        assert array.get().sum() == 9


def test_memory_that_a_copy_may_read_is_left_alone(cupy):
    array, copies, event = cupy.empty(3, np.float32), cupy.cuda.Stream(), cupy.cuda.Event()
    host = pinned(cupy)
    array.set(host, copies)
    event.record(copies)
    host[0] = 5
    with pytest.raises(DeviceError, match="written while it is read"):
        event.synchronize()


def test_a_copy_that_nobody_waits_for_reads_pinned_memory(cupy):
    with pytest.raises(DeviceError, match="not pinned"):
        cupy.empty(3, np.float32).set(np.ones(3, np.float32), cupy.cuda.Stream())
