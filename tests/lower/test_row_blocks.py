"""Chains of maps in blocks of rows: the same bits for any length of a block, in less memory."""

from dataclasses import replace

import numpy as np
import pytest
import sympy
from hypothesis import HealthCheck, given, settings
from tests.derive.conftest import values_of
from tests.lower.strategies import networks
from tests.lower.test_workspace import poison, poisoned

import bpgen as bp
from bpgen.activations import gelu, relu
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.emit import module
from bpgen.emit.budget import workspace
from bpgen.execute.load import load_module
from bpgen.execute.proof import gradient_of
from bpgen.ir.program import RowBlocks
from bpgen.layers import attention, batch_norm, conv2d, flatten, layer_norm, linear
from bpgen.losses import mean_squared_error
from bpgen.lower import in_memory, lower
from bpgen.lower.by_rows import BLOCK, BLOCKS_AT_LEAST
from bpgen.lower.lives import TRAINING, lives
from bpgen.optimizers import sgd
from bpgen.summary import rows
from bpgen.verify.interpret import evaluate
from bpgen.verify.numbers import FLOAT64

N = 7
MANY = 10**7  # examples, of which even short rows are more than a cache holds
few = settings(
    max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def normed():
    """A norm of matrices, whose rows BLAS sums, and an activation of many passes."""
    x, y = bp.input("x", 5), bp.input("y", 3)
    h = layer_norm(gelu(linear(x, 11, name="fc1")), name="norm")
    return bp.Model(mean_squared_error(linear(h, 3, name="fc2"), y))


def stacked():
    """Blocks of attention in a loop, with a softmax that needs no buffer but for a block."""
    x, y = bp.input("x", 5, 6), bp.input("y", 3)

    def block(h):
        h = h + attention(layer_norm(h, name="ln1"), 2, causal=True, name="att")
        return h + gelu(linear(layer_norm(h, name="ln2"), 6, name="up"))

    z = linear(flatten(bp.repeat(block, 2, x, name="block")), 3, name="out")
    return bp.Model(mean_squared_error(z, y))


def convolved():
    """Rows that are channels, laid into a border; the batch comes last."""
    x, y = bp.input("x", 2, 7, 5), bp.input("y", 3)
    h = relu(batch_norm(conv2d(x, 3, 3, padding=1, name="conv1"), name="norm1"))
    h = batch_norm(conv2d(h, 5, 3, padding=1, name="conv2"), name="norm2")
    return bp.Model(mean_squared_error(linear(flatten(gelu(h)), 3, name="out"), y))


def paired():
    """Rows that read all the others: p[n,k] = Σ_m tanh(h[n,k] h[m,k])."""
    x, y = bp.input("x", 5), bp.input("y", 3)
    h = gelu(linear(x, 3, name="fc"))
    n, k = h.indices
    m = n.primed()
    p = bp.define("p", (n, k), bp.sum(sympy.tanh(h[n, k] * h[m, k]), over=m))
    return bp.Model(mean_squared_error(gelu(p), y))


MODELS = {"norm": normed, "attention": stacked, "channels": convolved}


def cut(length):
    """Return what makes blocks of so many rows, whatever the cache holds."""

    def blocks(extent, entries):
        found = [slice(k, min(k + length, extent)) for k in range(0, extent, length)]
        return [(rows, slice(0, rows.stop - rows.start)) for rows in found]

    return blocks


def loaded(model, path, **bounds):
    path.write_text(model.source(dtype="float64", **bounds), encoding="utf-8")
    return load_module(path)


def in_blocks_of(length, net):
    """Return a module whose blocks have so many rows."""
    net.blocks = cut(length)
    return net


def run(net, **threads):
    """Return the loss of a step, and the parameters and the gradient that it leaves."""
    trainer = net.Trainer(net.init(seed=0), N, **threads)
    loss = trainer.step(**net.example(N))
    return loss, trainer.params.flat.copy(), trainer.grads.flat.copy()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_of_any_length_give_the_same_bits(name, threads, tmp_path):
    net = loaded(MODELS[name](), tmp_path / "net.py", batch=MANY)
    expected = run(net, threads=threads)
    for length in (1, 2, 3, 5):
        again = run(in_blocks_of(length, net), threads=threads)
        for found, whole in zip(again, expected, strict=True):
            assert np.array_equal(found, whole), length


@pytest.mark.parametrize("declared", [*MODELS.values(), paired])
def test_a_step_in_blocks_is_the_step_of_a_module_without(declared, tmp_path):
    net = in_blocks_of(2, loaded(declared(), tmp_path / "net.py", batch=MANY))
    plain = loaded(declared(), tmp_path / "plain.py")
    assert not hasattr(plain, "blocks")
    for found, whole in zip(run(net), run(plain), strict=True):
        # Sums of rows by BLAS may be rounded in another order.
        np.testing.assert_allclose(found, whole, rtol=1e-12, atol=1e-14)


@few
@given(networks())
def test_a_random_module_in_blocks_gives_the_interpreters_values(tmp_path_factory, declared):
    net = network(*declared, name="random")
    derivation = derive(net)
    text = module(lower(derivation, sgd()), "random.py", dtype="float64", batch=MANY)
    path = tmp_path_factory.mktemp("blocks") / "random_numpy.py"
    path.write_text(text, encoding="utf-8")
    emitted = in_blocks_of(1, load_module(path))
    values = values_of(net)
    extents = {e: e.value or 2 for e in derivation.network.extents()}
    known = evaluate(derivation.network.equations, values, extents, FLOAT64)
    loss, gradient = gradient_of(emitted, net, "float64")(values, values)
    # Sums of float64 in another order, through at most a dozen layers.
    np.testing.assert_allclose(loss, known[net.loss], rtol=1e-10)
    largest = max(np.abs(known[f"d_{t.name}"]).max() for t in net.parameters)
    for t in net.parameters:
        assert np.abs(gradient[t.name] - known[f"d_{t.name}"]).max() <= 1e-10 * largest, t.name


# ---- where it pays -------------------------------------------------------------------------------


def test_blocks_cover_all_rows_and_are_one_where_the_cache_holds_them(tmp_path):
    blocks = loaded(normed(), tmp_path / "net.py", batch=MANY).blocks
    assert blocks(7, 11) == [(slice(0, 7), slice(0, 7))]
    for extent, row in ((1009, 1 << 17), (5, 1 << 23), (40_000_003, 3)):
        found = blocks(extent, row)
        assert [rows.start for rows, _ in found[1:]] == [rows.stop for rows, _ in found[:-1]]
        assert (found[0][0].start, found[-1][0].stop) == (0, extent)
        assert all(own == slice(0, rows.stop - rows.start) for rows, own in found)
        assert max(own.stop for _, own in found) == max(1, BLOCK // row)
    assert len(blocks(BLOCKS_AT_LEAST, BLOCK)) > 1
    assert len(blocks(BLOCKS_AT_LEAST - 1, BLOCK)) == 1


def blocks_of(model, batch):
    program = in_memory(replace(model.program(), batch=batch))
    return [part for part in program.computed if isinstance(part, RowBlocks)]


def test_chains_are_in_blocks_for_a_batch_that_no_cache_holds():
    assert blocks_of(normed(), MANY)
    assert not blocks_of(normed(), 64)


def test_what_passes_over_its_arrays_once_is_not_in_blocks():
    x, y = bp.input("x", 5), bp.input("y", 3)
    h = relu(linear(x, 67, name="fc1"))
    assert not blocks_of(bp.Model(mean_squared_error(linear(h, 3, name="fc2"), y)), MANY)


# ---- memory --------------------------------------------------------------------------------------


def test_what_only_a_block_needs_has_the_memory_of_one(tmp_path):
    net = in_blocks_of(2, loaded(stacked(), tmp_path / "net.py", batch=MANY))
    a = net.Workspace(N)
    assert (len(a.e), len(a.s)) == (2, 2)
    assert (len(a.p[0]), len(a.xhat1[0])) == (N, N)  # which the gradient reads
    plain = loaded(stacked(), tmp_path / "plain.py")
    assert held(net.Activations(N)) < held(plain.Activations(N))


def held(workspace):
    """Return the bytes of all memory of a workspace."""
    arrays = [value for value in vars(workspace).values() if isinstance(value, np.ndarray)]
    bases = {id(base): base for base in (a if a.base is None else a.base for a in arrays)}
    return sum(base.nbytes for base in bases.values())


@pytest.mark.parametrize("name", MODELS)
def test_no_row_is_overwritten_while_a_block_needs_it(name):
    held = workspace(replace(MODELS[name]().program(), batch=MANY))
    times = {n: {t for life in held.lives[n] for t in life} for n in held.rows}
    own = {n: {t for life in held.own[n] for t in life} for n in held.rows}
    names = list(held.rows)
    for k, a in enumerate(names):
        for b in names[:k]:
            one, other = held.rows[a], held.rows[b]
            apart = one.begin + one.count <= other.begin or other.begin + other.count <= one.begin
            # In the place of another lies what has the same rows; one step reads and writes one.
            same = (one.begin, one.count) == (other.begin, other.count)
            in_place = same and len(own[a] & own[b]) <= 1
            assert apart or one.piece != other.piece or not times[a] & times[b] or in_place


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_read_where_no_buffer_lives_in_blocks(name, tmp_path):
    program = replace(MODELS[name]().program(), batch=MANY)
    net = in_blocks_of(2, loaded(MODELS[name](), tmp_path / "net.py", batch=MANY))
    loss, grads = net.loss_and_grad(net.init(seed=0), **net.example(N))
    with poisoned(net, lives(in_memory(program), TRAINING), workspace(program), poison) as done:
        again, found = net.loss_and_grad(net.init(seed=0), **net.example(N))
    assert done[0] > 0
    assert again == loss
    assert np.array_equal(found.flat, grads.flat)


def test_blocks_and_a_budget_go_together(tmp_path):
    model = stacked()
    most = int(0.8 * workspace(replace(model.program(), batch=MANY)).bytes(MANY))
    net = loaded(model, tmp_path / "net.py", batch=MANY, memory=most)
    assert "Memory bounded" in net.__doc__
    for found, whole in zip(
        run(in_blocks_of(3, net)), run(loaded(model, tmp_path / "plain.py")), strict=True
    ):
        # Sums of rows by BLAS may be rounded in another order.
        np.testing.assert_allclose(found, whole, rtol=1e-12, atol=1e-14)


# ---- what a file says ----------------------------------------------------------------------------


def test_a_module_in_blocks_is_examined_as_the_one_for_its_batch(tmp_path):
    model, path = normed(), tmp_path / "net.py"
    path.write_text(model.source(batch=MANY), encoding="utf-8")
    assert model.examine(path, seed=1).verdict == "VERIFIED"
    path.write_text(model.source(batch=MANY).replace("a.HALF, out=a.Phi1", "a.ONE, out=a.Phi1"))
    assert model.examine(path, seed=1).verdict == "REFUTED"


def test_a_profile_of_blocks_has_the_formulas_that_are_foretold(tmp_path):
    model = stacked()
    net = loaded(model, tmp_path / "net.py", batch=MANY)
    measured = net.Trainer(net.init(seed=0), N).profile(steps=1, **net.example(N))
    foretold = {row.place for row in rows(in_memory(replace(model.program(), batch=MANY)), N)}
    assert set(measured) == foretold
