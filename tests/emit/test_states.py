"""What a module keeps beside its parameters: running values, parameters at rest, tables."""

import subprocess
import sys

import numpy as np
import pytest

import bpgen as bp

KEEPING = '''"""Running values, an average of a weight, a layer at rest and tables."""
import bpgen as bp
from bpgen.activations import tanh
from bpgen.layers import batch_norm, dropout, linear
from bpgen.losses import mean_squared_error
from bpgen.optimizers import adamw

x = bp.input("x", 3)
y = bp.input("y", 2)
n, d = x.indices
h = tanh(batch_norm(linear(x, 5, name="fc1"), name="bn"))
h = dropout(tanh(linear(h, 7, name="fc2")), 0.25)

k, j = h.indices[1], bp.index("j", 2)
W = bp.parameter("W", k, j)
average = bp.state("average", k, j, start=0)
bp.update(average, 0.75 * average[k, j] + 0.25 * W[k, j])
right = bp.sum(h[n, k] * W[k, j], over=k)
z = bp.define("z", (n, j), right, predict=bp.sum(h[n, k] * average[k, j], over=k))

turn = bp.table("turn", (j,), [1, 0])
scale = bp.table("scale", (j,), [0.1, -2.5])
turned = bp.define("turned", (n, j), scale[j] * z[n, turn[j]])

steps = bp.state("steps", start=0)
bp.update(steps, steps[()] + 1)
doubled = bp.state("doubled", start=0)
bp.update(doubled, doubled[()] + 2 * steps[()])
model = bp.Model(
    loss=mean_squared_error(turned, y),
    outputs={"z": z, "steps": steps},
    optimizer=adamw(0.01, weight_decay=0.1, clip=1.0),
    frozen=["fc2"],
)
'''
TRAINED = ["fc1_W", "fc1_b", "bn_gain", "bn_shift", "W"]
STATES = ["bn_mean", "bn_var", "average", "steps", "doubled"]


@pytest.fixture
def keeping(tmp_path):
    path = tmp_path / "keeping.py"
    path.write_text(KEEPING, encoding="utf-8")
    return path


@pytest.fixture
def net(emitted, keeping):
    return emitted(keeping, "float64")


def test_states_lie_behind_the_parameters_in_one_vector(net):
    params = net.init(seed=0)
    assert list(net.PARAMETERS) == TRAINED
    assert sorted(net.KEPT) == sorted([*STATES, "fc2_W", "fc2_b"])
    params.storage[:] = np.arange(len(params.storage))
    found = [np.ravel(getattr(params, name)) for name in (*net.PARAMETERS, *net.KEPT)]
    np.testing.assert_array_equal(np.concatenate(found), params.storage)
    np.testing.assert_array_equal(params.flat, params.storage[: len(params.flat)])
    assert np.shares_memory(params.flat, params.storage)
    _, grads = net.loss_and_grad(net.init(), **net.example(11))
    assert grads.flat.shape == params.flat.shape
    assert not hasattr(grads, "bn_mean")
    assert not hasattr(grads, "fc2_W")


def test_they_start_as_declared(net):
    params = net.init(seed=0)
    np.testing.assert_array_equal(params.bn_mean, np.zeros(5))
    np.testing.assert_array_equal(params.bn_var, np.ones(5))
    assert params.fc2_W.std() > 0


def test_a_parameter_at_rest_starts_as_it_would_in_training(net, keeping, tmp_path):
    text = KEEPING.replace('    frozen=["fc2"],\n', "")
    (tmp_path / "moving.py").write_text(text, encoding="utf-8")
    moving = bp.load(tmp_path / "moving.py").emit(
        path=tmp_path / "moving_numpy.py", dtype="float64"
    )
    ours, theirs = net.init(seed=3), moving.init(seed=3)
    for name in (*net.PARAMETERS, *net.KEPT):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)


def test_nothing_but_a_step_changes_a_state(net):
    params, batch = net.init(seed=1), net.example(11)
    before = params.storage.copy()
    net.loss_and_grad(params, **batch)
    net.loss(params, **batch)
    net.predict(params, x=batch["x"])
    np.testing.assert_array_equal(params.storage, before)


def test_a_step_gives_every_state_its_next_value_and_leaves_what_rests(net):
    trainer, batch = net.Trainer(net.init(seed=1), batch=11), net.example(11)
    params = trainer.params
    rest = params.fc2_W.copy(), params.fc2_b.copy()
    mean, var, average = np.zeros(5), np.ones(5), np.zeros((7, 2))
    for _ in range(3):
        z = batch["x"] @ params.fc1_W + params.fc1_b
        mean = 0.9 * mean + 0.1 * z.mean(0)
        var = 0.9 * var + 0.1 * z.var(0, ddof=1)
        average = 0.75 * average + 0.25 * params.W
        trainer.step(**batch)
    np.testing.assert_allclose(params.bn_mean, mean, rtol=1e-13)
    np.testing.assert_allclose(params.bn_var, var, rtol=1e-13)
    np.testing.assert_allclose(params.average, average, rtol=1e-13)
    np.testing.assert_array_equal(params.fc2_W, rest[0])
    np.testing.assert_array_equal(params.fc2_b, rest[1])


def test_all_states_change_at_once(net):
    """Each step adds twice the number of steps before it."""
    trainer, batch = net.Trainer(net.init(), batch=5), net.example(5)
    for count in range(1, 5):
        trainer.step(**batch)
        assert trainer.params.steps == count
        assert trainer.params.doubled == count * (count - 1)


def test_prediction_reads_the_states(net):
    trainer, batch = net.Trainer(net.init(seed=1), batch=11), net.example(11)
    for _ in range(4):
        trainer.step(**batch)
    p, x = trainer.params, batch["x"]
    rstd = 1 / np.sqrt(p.bn_var + 1e-5)
    xhat = (x @ p.fc1_W + p.fc1_b - p.bn_mean) * rstd
    h = np.tanh(np.tanh(xhat * p.bn_gain + p.bn_shift) @ p.fc2_W + p.fc2_b)
    z = h @ p.average
    found = net.predict(p, x=x)
    np.testing.assert_allclose(found["z"], z, rtol=1e-12)
    assert found["steps"] == 4
    loss = np.mean((z[:, ::-1] * [0.1, -2.5] - batch["y"]) ** 2)
    np.testing.assert_allclose(net.loss(p, **batch), loss, rtol=1e-12)


def test_an_output_is_no_view_of_a_state(net):
    params = net.init()
    net.predict(params, x=net.example(3)["x"])["steps"][...] = 7
    assert params.steps == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loaded_trainer_goes_on_with_the_states_it_had(emitted, keeping, tmp_path, dtype):
    net = emitted(keeping, dtype)
    batch = net.example(8)
    straight, broken = (net.Trainer(net.init(seed=3), batch=8, seed=5) for _ in range(2))
    for _ in range(3):
        straight.step(**batch)
        broken.step(**batch)
    net.save(tmp_path / "run.npz", broken)
    resumed = net.load(tmp_path / "run.npz")
    for _ in range(3):
        straight.step(**batch)
        resumed.step(**batch)
    np.testing.assert_array_equal(resumed.params.storage, straight.params.storage)
    assert resumed.params.storage.dtype == np.dtype(dtype)


def test_a_batch_of_one_counts_as_variance_0_and_stays_finite(net):
    trainer, batch = net.Trainer(net.init(seed=1), batch=1), net.example(1)
    loss = trainer.step(**batch)
    assert np.isfinite(loss)
    np.testing.assert_allclose(trainer.params.bn_var, 0.9)
    assert np.isfinite(trainer.params.storage).all()


def test_its_selftest_holds_and_its_gradient_is_proved(net, keeping, tmp_path):
    path = tmp_path / "emitted_float64.py"
    done = subprocess.run([sys.executable, path, "--selftest"], capture_output=True, check=False)
    assert done.returncode == 0
    verdict = bp.load(keeping).check(seed=0)
    assert verdict.verdict == "VERIFIED", str(verdict)


def test_a_step_with_states_allocates_no_array(emitted, keeping):
    net = emitted(keeping)
    trainer = net.Trainer(net.init(), batch=64)
    batch = {k: v.astype(net.DTYPE) for k, v in net.example(64).items()}
    trainer.step(**batch)
    arrays = {k: v for k, v in vars(trainer._workspaces[64]).items() if isinstance(v, np.ndarray)}
    trainer.step(**batch)
    after = vars(trainer._workspaces[64])
    assert all(np.shares_memory(v, after[k]) for k, v in arrays.items() if v.size)


def test_the_derivation_prints_updates_and_what_is_given(keeping):
    text = str(bp.load(keeping).derive())
    _, updates = text.split("Updates\n")
    assert "average[e,j] ← W[e,j]/4 + 3 average[e,j]/4" in updates
    assert "doubled ← 2 steps + doubled" in updates
    assert "   frozen parameter, 5 × 7\n" in text
    assert "turn[j]   table, 2, 0 … 1: 1 0" in text
    assert "scale[j]   table, 2: 0.1 -2.5" in text
    assert "[bn_mean[h] in prediction]" in text


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "html", "json"])
def test_every_format_has_the_updates(keeping, form):
    text = bp.load(keeping).derive().render(form)
    assert "pdates" in text
    assert text.count("doubled") >= 2
