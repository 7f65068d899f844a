"""What threads share of a batch, seen on modules that are emitted, imported and run."""

import builtins
import inspect
import threading
import tracemalloc

import numpy as np
import pytest

import bpgen as bp
from bpgen.declare.load import zoo
from bpgen.lower.share import Shares

N = 7  # rows, which no number of threads below divides
ARRAYS = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
SHARED = list(zoo())
STACKED = '''"""Blocks with dropout, each with noise of its own."""
import bpgen as bp
from bpgen.layers import dropout, linear
from bpgen.losses import mean_squared_error

def block(h):
    return h + dropout(linear(h, 5, name="fc"), 0.25)

x, y = bp.input("x", 5), bp.input("y", 5)
loss = mean_squared_error(bp.repeat(block, 3, x, name="block"), y)
model = bp.Model(loss=loss)
'''


@pytest.fixture
def stacked(tmp_path):
    """The path of a model whose noise has an axis before that of the batch."""
    path = tmp_path / "stacked.py"
    path.write_text(STACKED, encoding="utf-8")
    return path


def trained(net, threads, steps=2):
    """Return losses, and the first gradient, of a few steps."""
    trainer = net.Trainer(net.init(1), batch=N, seed=3, threads=threads)
    trainer.params.flat += 0.01 * np.random.default_rng(5).standard_normal(net.SIZE)
    losses = [trainer.step(**net.example(N))]
    gradient = trainer.grads.flat.copy()
    return [*losses, *(trainer.step(**net.example(N)) for _ in range(1, steps))], gradient


def agree(net):
    one, gradient = trained(net, 1)
    for threads in (2, 3, N + 2):
        losses, found = trained(net, threads)
        # In float64 the order of a sum moves what comes out by rounding alone.
        assert losses == pytest.approx(one, rel=1e-11)
        assert np.linalg.norm(found - gradient) < 1e-13 * np.linalg.norm(gradient)


@pytest.mark.parametrize("name", SHARED)
def test_threads_find_the_gradient_that_one_finds(emitted, name):
    agree(emitted(name, "float64"))


def test_threads_draw_the_noise_that_one_draws(emitted, noisy):
    agree(emitted(noisy, "float64"))


def test_noise_of_stacked_blocks_is_the_same_in_parts(emitted, stacked):
    agree(emitted(stacked, "float64"))


def test_the_same_number_of_threads_gives_the_same_bits(emitted):
    net = emitted("lenet_digits")
    one, other = (trained(net, 3, steps=4) for _ in range(2))
    assert one[0] == other[0]
    np.testing.assert_array_equal(one[1], other[1])


def test_batches_of_several_sizes_are_shared_by_one_trainer(emitted):
    net = emitted("digits_mlp")
    trainer = net.Trainer(net.init(0), threads=3)
    for rows in (8, 1, 2, 8):
        batch, start = net.example(rows), net.Params(trainer.params.flat.copy())
        loss = trainer.step(**batch)
        assert loss == pytest.approx(net.loss_and_grad(start, **batch)[0], rel=1e-5)


def test_a_steady_shared_step_allocates_no_array(emitted):
    net = emitted("char_gpt")
    trainer = net.Trainer(net.init(0), threads=2)
    batch = net.example(6)
    for _ in range(3):
        trainer.step(**batch)
    tracemalloc.start()
    try:
        trainer.step(**batch)
        left = tracemalloc.take_snapshot().filter_traces([ARRAYS])
    finally:
        tracemalloc.stop()
    assert [str(trace) for trace in left.traces] == []


def test_a_network_whose_examples_are_coupled_takes_no_threads_and_says_why(emitted):
    net = emitted("resnet_digits")
    assert "threads" not in inspect.signature(net.Trainer).parameters
    assert "mean1, a sum over the batch" in " ".join(net.Trainer.__doc__.split())


def test_what_the_caller_says_of_overflow_holds_in_every_thread(emitted):
    net = emitted("one_hidden_layer")
    params = net.init(0)
    params.flat[...] = 1e30
    with np.errstate(over="ignore", invalid="ignore"):  # otherwise a warning, which is an error
        assert not np.isfinite(net.Trainer(params, threads=2).step(**net.example(4)))


def test_threads_need_no_threadpoolctl(emitted, monkeypatch):
    real = builtins.__import__

    def without(name, *args):
        if name == "threadpoolctl":
            raise ModuleNotFoundError(name)
        return real(name, *args)

    net = emitted("digits_mlp", "float64")
    monkeypatch.setattr(builtins, "__import__", without)
    agree(net)


def test_threads_end_with_their_trainer(emitted):
    net = emitted("digits_mlp")
    before = threading.active_count()
    trainer = net.Trainer(net.init(0), threads=3)
    trainer.step(**net.example(8))
    assert threading.active_count() > before
    workers = trainer._team.pool._threads
    del trainer
    for worker in workers:
        worker.join(timeout=10)
        assert not worker.is_alive()
