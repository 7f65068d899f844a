"""What DESIGN says of an emitted module, seen on modules that are emitted, imported and run."""

import ast
import math
import os
import re
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import bpgen as bp
from bpgen.declare.load import zoo
from bpgen.emit.audit import audited
from bpgen.errors import AuditError

ROWS = 8192  # so that no array of a batch hides among small objects
ARRAYS = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)


def run(*words, cwd=None, **environment):
    """Run a command as a user does, and return what it printed and how it ended."""
    return subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **environment},
        text=True,
    )


def test_parameters_are_views_into_one_vector(emitted):
    net = emitted("digits_mlp")
    params = net.init(seed=0)
    params.flat[:] = 7
    assert list(net.PARAMETERS) == ["fc1_W", "fc1_b", "fc2_W", "fc2_b"]
    for name, shape in net.PARAMETERS.items():
        view = getattr(params, name)
        assert view.shape == shape
        assert (view == 7).all()
        assert np.shares_memory(view, params.flat)


def allocated(net, rows):
    """Return the arrays that a steady step leaves behind, and the most memory it held meanwhile."""
    example = net.example(rows).items()
    batch = {k: v.astype(net.DTYPE) if v.dtype.kind == "f" else v for k, v in example}
    trainer = net.Trainer(net.init(seed=0), batch=rows)
    for _ in range(3):
        trainer.step(**batch)
    tracemalloc.start()
    try:
        trainer.step(**batch)
        _, peak = tracemalloc.get_traced_memory()
        left = tracemalloc.take_snapshot().filter_traces([ARRAYS])
    finally:
        tracemalloc.stop()
    return left.traces, peak


@pytest.mark.parametrize("model", ["digits_mlp", "residual_mlp", "NOISY"])
def test_a_steady_step_allocates_no_array(emitted, noisy, model):
    """Not for a moment: an array of one number for each example would grow with the batch.

    What stays the same is what numpy's iterator takes to broadcast, a few blocks of 8192 entries.
    """
    net = emitted(noisy if model == "NOISY" else model)
    left, peak = allocated(net, ROWS)
    left_by_more, peak_of_more = allocated(net, 4 * ROWS)
    assert [str(t) for t in (*left, *left_by_more)] == []
    assert abs(peak_of_more - peak) < ROWS, (
        f"{peak} bytes, and {peak_of_more} for 4 times the batch"
    )


def test_a_module_needs_numpy_alone(emitted, tmp_path):
    emitted("digits_mlp")
    path = tmp_path / "emitted_float32.py"
    alone = (
        "import runpy, sys; sys.modules['bpgen'] = None; "
        f"sys.argv = ['net', '--selftest']; runpy.run_path({str(path)!r}, run_name='__main__')"
    )
    done = run(sys.executable, "-I", "-c", alone)
    assert done.returncode == 0, done.stderr
    assert "the gradient agrees" in done.stdout


def test_a_module_trains_on_its_own(emitted, tmp_path):
    net = emitted("digits_mlp")
    path, data, checkpoint = (tmp_path / f for f in ("emitted_float32.py", "data.npz", "run.npz"))
    np.savez(data, **net.example(200))
    words = [sys.executable, path, "--data", data, "--epochs", "2", "--save", checkpoint]
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch") == 2
    again = run(*words, "--resume", str(checkpoint))
    assert again.returncode == 0, again.stderr
    assert net.load(checkpoint).steps == 4 * -(-180 // 32)


def test_a_wrong_gradient_fails_its_own_selftest(emitted, tmp_path):
    emitted("digits_mlp")
    path = tmp_path / "emitted_float32.py"
    text = path.read_text(encoding="utf-8")
    wrong = text.replace("np.subtract(a.p, a.d_logits", "np.add(a.p, a.d_logits")
    assert wrong != text
    path.write_text(wrong, encoding="utf-8")
    done = run(sys.executable, path, "--selftest")
    assert done.returncode == 1
    assert "DISAGREES" in done.stdout


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loaded_trainer_goes_on_as_if_it_had_not_stopped(emitted, noisy, tmp_path, dtype):
    net = emitted(noisy, dtype)
    batch = net.example(8)
    straight = net.Trainer(net.init(seed=3), batch=8, seed=5)
    for _ in range(6):
        straight.step(**batch)
    broken = net.Trainer(net.init(seed=3), batch=8, seed=5)
    for _ in range(3):
        broken.step(**batch)
    net.save(tmp_path / "run.npz", broken)
    resumed = net.load(tmp_path / "run.npz")
    for _ in range(3):
        resumed.step(**batch)
    assert resumed.steps == straight.steps
    assert resumed.params.flat.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(resumed.params.flat, straight.params.flat)


def test_a_checkpoint_of_another_model_or_a_damaged_one_is_refused(emitted, noisy, tmp_path):
    net = emitted("digits_mlp")
    net.save(tmp_path / "run.npz", net.Trainer(net.init()))
    other = bp.load(noisy).emit(path=tmp_path / "other.py")
    with pytest.raises(ValueError, match="another model"):
        other.load(tmp_path / "run.npz")
    whole = (tmp_path / "run.npz").read_bytes()
    (tmp_path / "run.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(zipfile.BadZipFile):
        net.load(tmp_path / "run.npz")


def test_dropout_is_drawn_anew_in_each_step_and_is_off_in_predict(emitted, noisy):
    net = emitted(noisy)
    params, batch = net.init(seed=1), net.example(64)
    first = net.loss_and_grad(params, **batch, seed=0, step=1)[0]
    assert first == net.loss_and_grad(params, **batch, seed=0, step=1)[0]
    assert first != net.loss_and_grad(params, **batch, seed=0, step=2)[0]
    assert first != net.loss_and_grad(params, **batch, seed=1, step=1)[0]
    one, two = (net.predict(params, x=batch["x"])["logits"] for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_both_precisions_draw_the_same_noise(emitted, noisy):
    masks = []
    for dtype in ("float32", "float64"):
        net = emitted(noisy, dtype)
        a = net.Workspace(16)
        net.draw([a], seed=7, step=11)
        masks.append(a.mask1.astype(float))
    np.testing.assert_array_equal(*masks)


def test_a_batch_of_another_size_needs_no_new_trainer(emitted):
    net = emitted("digits_mlp")
    trainer = net.Trainer(net.init(seed=0), batch=64)
    assert np.isfinite(trainer.step(**net.example(64)))
    assert np.isfinite(trainer.step(**net.example(17)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((8, 63))}, "x has shape"),
        ({"digit": np.zeros(8)}, "expected integers"),
        ({"digit": np.full(8, 10)}, "outside 0 … 9"),
        ({"digit": np.full(8, -1)}, "outside 0 … 9"),
        ({"digit": np.zeros(7, int)}, "different lengths"),
    ],
)
def test_a_wrong_batch_is_refused(emitted, change, message):
    net = emitted("digits_mlp")
    with pytest.raises(ValueError, match=message):
        net.loss_and_grad(net.init(), **{**net.example(8), **change})


@pytest.mark.parametrize("name", zoo())
def test_every_statement_stands_under_its_formula_and_nothing_is_numbered(name):
    text = bp.load(name).source()
    lines = text.split("\n")
    functions = {f.name: f for f in ast.parse(text).body if isinstance(f, ast.FunctionDef)}
    for function in (functions[k] for k in ("forward", "backward", "update")):
        block = lines[function.body[0].end_lineno : function.end_lineno]
        steps = "\n".join(block).strip().split("\n\n")
        for step in steps:
            if step.strip() not in {"N = a.N", "BATCH = a.BATCH", "N, BATCH = a.N, a.BATCH"}:
                inside = re.sub(r"^( *for \w+ in .*:\n)+", "", step)
                assert inside.strip().startswith("# "), step
                assert any(not line.strip().startswith("#") for line in step.split("\n")), step
    assert not re.search(r"\b_?te?mp_?\d", text)
    assert max(map(len, lines)) <= 100


def test_the_text_does_not_depend_on_hash_seeds_or_folders(tmp_path):
    code = "import bpgen as bp; print(bp.load('autoencoder').source(), end='')"
    texts = set()
    for seed in ("0", "1", "2", "3"):
        done = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONHASHSEED=seed)
        assert done.returncode == 0, done.stderr
        texts.add(done.stdout)
    assert len(texts) == 1
    assert str(Path.cwd()) not in texts.pop()


@pytest.mark.parametrize(
    "line",
    ["import subprocess", "eval('1')", "from shutil import rmtree", "x = ().__class__", "def f(:"],
)
def test_an_emitted_module_is_audited(line):
    with pytest.raises(AuditError):
        audited(f"import numpy as np\n{line}\n")


def test_a_module_is_written_as_the_formatter_would(emitted, noisy, tmp_path):
    emitted(noisy)
    root = Path(__file__).resolve().parents[2]
    ruff = [sys.executable, "-m", "ruff", "format", "--check", "--config", root / "pyproject.toml"]
    done = run(*ruff, tmp_path / "emitted_float32.py")
    assert done.returncode == 0, done.stdout


def test_every_module_of_the_zoo_is_written_as_the_formatter_would():
    root = Path(__file__).resolve().parents[2]
    for words in (["format", "--check"], ["check"]):
        done = run(sys.executable, "-m", "ruff", *words, root / "generated", cwd=root)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_error_function_is_right_to_four_units_in_the_last_place(emitted, dtype):
    net = emitted("char_gpt", dtype)
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [rng.uniform(-7, 7, 20000), rng.choice([-1, 1], 9000) * 10 ** rng.uniform(-30, 1, 9000)]
    )
    x = np.append(x, [0, np.inf, -np.inf, 1e30, -1e30]).astype(dtype)
    found = np.empty_like(x)
    with np.errstate(over="ignore"):  # x² of float32
        net.erf(x, net.Activations(1).PIECES, out=found)
    exact = np.array([math.erf(float(t)) for t in x])
    units = np.abs(found - exact) / np.spacing(np.abs(exact).astype(dtype))
    assert units.max() <= 5  # four, and what `math.erf` and the difference round
    assert np.abs(found).max() == 1
