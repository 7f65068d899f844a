"""What threads share of a batch, seen on modules that are emitted, imported and run."""

import builtins
import inspect
import threading
import tracemalloc
from textwrap import dedent

import numpy as np
import pytest

import bpgen as bp
from bpgen.declare.load import zoo

N = 7  # rows, which no number of threads below divides
ARRAYS = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
HEAD = '''"""A network whose examples may depend on sums over the batch."""
import sympy
import bpgen as bp
from bpgen.activations import tanh
from bpgen.layers import batch_norm, conv2d, dropout, global_average_pool, linear
from bpgen.losses import l2, mean_squared_error

x, y = bp.input("x", 5), bp.input("y", 3)
z = linear(x, 3, name="fc")
n, k = z.indices
m, d = n.primed(), x.indices[1]
error = (z[n, k] - y[n, k]) ** 2
'''
NETWORKS = {
    "noise of stacked blocks": """
        def block(h):
            return h + dropout(linear(h, 3, name="up"), 0.25)

        loss = mean_squared_error(bp.repeat(block, 3, z, name="block"), y)
    """,
    "batch norm beside a penalty": """
        h = dropout(tanh(batch_norm(z, name="norm")), 0.25)
        loss = mean_squared_error(linear(h, 3, name="head"), y) + l2(z, strength=0.1)
    """,
    "batch norm in stacked blocks": """
        def block(h):
            return h + tanh(batch_norm(linear(h, 3, name="up"), name="norm"))

        loss = mean_squared_error(bp.repeat(block, 3, z, name="block"), y)
    """,
    "batch norm of images": """
        image = bp.input("image", 2, 5, 7)
        h = tanh(batch_norm(conv2d(image, 3, 3, padding=1, bias=False, name="conv")))
        loss = mean_squared_error(global_average_pool(h) + z, y)
    """,
    "statistics of the batch in a loop over time": """
        t = bp.index("t", 4)
        h = bp.recurrence("h", (n, t, k), over=t)
        mean = bp.define("mean", (t, k), bp.mean(h[n, t - 1, k], over=n))
        h.becomes(sympy.tanh(z[n, k] + h[n, t - 1, k] - mean[t, k]))
        loss = mean_squared_error(bp.define("last", (n, k), h[n, 3, k]), y)
    """,
    "a root of a mean": """
        loss = bp.define("loss", (), sympy.sqrt(bp.mean(error, over=(n, k))))
    """,
    "an exponential of a mean, which the gradient reads": """
        loss = bp.define("loss", (), sympy.exp(bp.mean(error, over=(n, k))))
    """,
    "a mean with weights of the batch": """
        w = bp.input("w")
        parts = bp.sum(w[n] ** 2 * error, over=(n, k)) / bp.sum(w[n] ** 2, over=n)
        loss = bp.define("loss", (), parts)
    """,
    "a sum over the batch beside what has no batch": """
        P = bp.parameter("P", d)
        whole = bp.sum(sympy.exp(P[d]), over=d)
        loss = bp.define("loss", (), bp.sum(error, over=(n, k)) / 2 + whole)
    """,
    "products of sums over the batch": """
        total = bp.define("total", (k,), bp.sum(z[n, k], over=n))
        square = bp.define("square", (k,), bp.mean(error, over=n))
        loss = bp.define("loss", (), bp.sum(total[k] * square[k], over=k))
    """,
    "a gradient that an example reads": """
        shift = bp.parameter("shift", k)
        mean = bp.define("mean", (k,), bp.mean(z[m, k], over=m))
        loss = mean_squared_error(tanh(z - mean + shift), y)
    """,
    "a state that follows the batch": """
        scale = bp.state("scale", k, start=1)
        bp.update(scale, 0.9 * scale[k] + 0.1 * bp.mean(z[n, k] ** 2, over=n))
        loss = mean_squared_error(bp.define("scaled", (n, k), z[n, k] / scale[k]), y)
    """,
    "a state that predictions alone read": """
        average = bp.state("average", k, start=0)
        bp.update(average, 0.75 * average[k] + 0.25 * bp.mean(z[n, k], over=n))
        centred = bp.define("centred", (n, k), z[n, k] + 0, predict=z[n, k] - average[k])
        loss = mean_squared_error(centred, y)
    """,
    "a state that counts steps": """
        steps = bp.state("steps", start=1)
        bp.update(steps, steps[()] + 1)
        loss = mean_squared_error(bp.define("scaled", (n, k), z[n, k] * steps[()]), y)
    """,
}
COUPLED = """
near = bp.define("near", (n, m), bp.sum(z[n, k] * z[m, k], over=k))
loss = bp.define("loss", (), bp.mean(near[n, m] ** 2, over=(n, m)))
"""


@pytest.fixture
def declared(tmp_path):
    """Return the path of a model that is declared by a few lines behind `HEAD`."""

    def write(lines):
        path = tmp_path / "declared.py"
        text = f"{HEAD}{dedent(lines)}\nmodel = bp.Model(loss=loss)\n"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def normed(emitted, declared):
    """A module whose parts meet."""
    return emitted(declared(NETWORKS["batch norm beside a penalty"]), "float64")


def trained(net, threads, steps=2):
    """Return losses, the first gradient, and parameters and states after a few steps."""
    trainer = net.Trainer(net.init(1), batch=N, seed=3, threads=threads)
    trainer.params.flat += 0.01 * np.random.default_rng(5).standard_normal(net.SIZE)
    losses = [trainer.step(**net.example(N))]
    gradient = trainer.grads.flat.copy()
    losses += [trainer.step(**net.example(N, seed)) for seed in range(1, steps)]
    return losses, gradient, getattr(trainer.params, "storage", trainer.params.flat)


def agree(net):
    losses, gradient, kept = trained(net, 1)
    for threads in (2, 3, N + 2):
        found = trained(net, threads)
        # In float64 the order of a sum moves what comes out by rounding alone.
        assert found[0] == pytest.approx(losses, rel=1e-11)
        assert np.linalg.norm(found[1] - gradient) < 1e-13 * np.linalg.norm(gradient)
        assert np.linalg.norm(found[2] - kept) < 1e-11 * np.linalg.norm(kept)


@pytest.mark.parametrize("name", zoo())
def test_threads_find_the_gradient_that_one_finds(emitted, name):
    agree(emitted(name, "float64"))


def test_threads_draw_the_noise_that_one_draws(emitted, noisy):
    agree(emitted(noisy, "float64"))


@pytest.mark.parametrize("name", NETWORKS)
def test_what_depends_on_sums_over_the_batch_is_shared(emitted, declared, name):
    agree(emitted(declared(NETWORKS[name]), "float64"))


@pytest.mark.parametrize("name", ["lenet_digits", "resnet_digits"])
def test_the_same_number_of_threads_gives_the_same_bits(emitted, name):
    net = emitted(name)
    one, other = (trained(net, 3, steps=4) for _ in range(2))
    assert one[0] == other[0]
    np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_array_equal(one[2], other[2])


def test_batches_of_several_sizes_are_shared_by_one_trainer(emitted):
    net = emitted("digits_mlp")
    trainer = net.Trainer(net.init(0), threads=3)
    for rows in (8, 1, 2, 8):
        batch, start = net.example(rows), net.Params(trainer.params.flat.copy())
        loss = trainer.step(**batch)
        assert loss == pytest.approx(net.loss_and_grad(start, **batch)[0], rel=1e-5)


@pytest.mark.parametrize("name", ["char_gpt", "resnet_digits"])
def test_a_steady_shared_step_allocates_no_array(emitted, name):
    net = emitted(name)
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


def test_a_network_whose_examples_are_coupled_takes_no_threads_and_says_why(emitted, declared):
    net = emitted(declared(COUPLED))
    assert "threads" not in inspect.signature(net.Trainer).parameters
    assert "near, it pairs one example with another" in " ".join(net.Trainer.__doc__.split())


@pytest.mark.parametrize("function", ["forward", "backward"])
def test_nobody_waits_for_a_thread_that_fails(normed, monkeypatch, function):
    real, trainer = getattr(normed, function), normed.Trainer(normed.init(0), threads=3)

    def failing(*given):
        if any(getattr(a, "N", 0) == N // 3 + 1 for a in given):  # the last part has a row more
            raise ArithmeticError("a part fails")
        real(*given)

    with monkeypatch.context() as faulty:
        faulty.setattr(normed, function, failing)
        with pytest.raises(ArithmeticError, match="a part fails"):
            trainer.step(**normed.example(N))
    start, batch = normed.Params(trainer.params.storage.copy()), normed.example(N)
    known, _ = normed.loss_and_grad(start, **batch, seed=0, step=trainer.steps + 1)
    assert trainer.step(**batch) == pytest.approx(known, rel=1e-12)


def test_nobody_waits_for_a_thread_that_never_starts(normed, monkeypatch):
    trainer = normed.Trainer(normed.init(0), threads=2)
    trainer.step(**normed.example(N))
    submit = trainer._team.pool.submit
    started = [submit(int)]

    def interrupted(*job):
        if len(started) == 2:
            raise KeyboardInterrupt
        started.append(submit(*job))
        return started[-1]

    with monkeypatch.context() as faulty:
        faulty.setattr(trainer._team.pool, "submit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trainer.step(**normed.example(N))
    assert all(job.done() for job in started)
    assert np.isfinite(trainer.step(**normed.example(N)))


def test_a_backward_pass_that_computes_again_is_shared(declared, tmp_path):
    model = bp.load(declared(NETWORKS["batch norm in stacked blocks"]))
    memory = model.workspace().bytes(N) * 4 // 5
    net = model.emit(path=tmp_path / "frugal.py", dtype="float64", memory=memory, batch=N)
    assert "recomputes" in net.__doc__
    agree(net)


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
