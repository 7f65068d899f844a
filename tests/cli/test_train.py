"""`bpgen train`: a folder with everything in it, and every way a run can end."""

import json
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

MADE = {"best.npz", "curve.svg", "derivation.md", "last.npz", "log.jsonl", "net_numpy.py"}

MODEL = '''"""A line through the diabetes data."""
import bpgen as bp
from bpgen.layers import linear
from bpgen.losses import mean_squared_error
from bpgen.optimizers import sgd
x = bp.input("x", 10)
y = bp.input("y", 1)
model = bp.Model(loss=mean_squared_error(linear(x, 1), y), optimizer=sgd(RATE))
'''


@pytest.fixture
def train(folder, bpgen):
    """Write net.py with a learning rate and train it into run/."""

    def run(*words, rate=0.01):
        (folder / "net.py").write_text(MODEL.replace("RATE", str(rate)))
        return bpgen("train", "net.py", "--data", "diabetes", "-o", "run", *words)

    return run


def epochs(folder):
    return [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]


def test_a_run_leaves_all_it_made_in_one_folder(folder, train, files):
    result = train("--epochs", 3)
    assert result.exit_code == 0, result.stderr
    assert files() == {"net.py", *(f"run/{name}" for name in MADE)}
    assert result.stdout.startswith("test loss 0.")
    assert all(f"run/{name}" in result.stdout for name in MADE)
    assert "VERIFIED" in result.stderr
    assert "epoch 3: training loss" in result.stderr
    losses = [epoch["validation"]["loss"] for epoch in epochs(folder)]
    assert losses[0] > losses[1] > losses[2]


def test_the_same_command_gives_the_same_bytes(folder, train):
    made = []
    for _ in range(2):
        train("--epochs", 2, "--seed", 3)
        paths = sorted((folder / "run").iterdir())
        made.append({p.name: p.read_bytes() for p in paths if p.suffix != ".npz"})
    assert made[0] == made[1]


def test_a_run_that_is_continued_equals_one_of_the_same_length(folder, train):
    train("--epochs", 4)
    whole = dict(np.load(folder / "run" / "last.npz"))
    train("--epochs", 2)
    result = train("--epochs", 4, "--resume")
    assert result.exit_code == 0, result.stderr
    continued = np.load(folder / "run" / "last.npz")
    assert all((continued[name] == array).all() for name, array in whole.items())
    assert [epoch["number"] for epoch in epochs(folder)] == [1, 2, 3, 4]


def test_a_label_has_its_accuracy_reported(bpgen):
    result = bpgen("train", "wine", "--data", "wine", "--epochs", 2)
    assert result.exit_code == 0, result.stderr
    assert "accuracy" in result.stdout.splitlines()[0]
    assert "runs/wine/curve.svg" in result.stdout


def test_arrays_that_no_input_is_named_after_are_ignored(bpgen):
    result = bpgen("train", "autoencoder", "--data", "digits", "--epochs", 1)
    assert result.exit_code == 0, result.stderr
    assert "accuracy" not in result.stdout


def test_without_options_the_model_says_on_what_and_for_how_long(folder, bpgen):
    result = bpgen("train", "wine")
    assert result.exit_code == 0, result.stderr
    assert len((folder / "runs" / "wine" / "log.jsonl").read_text().splitlines()) == 60


def test_a_model_with_a_picture_ends_with_it(folder, bpgen):
    result = bpgen("train", "pitch_correction", "--epochs", 1)
    assert result.exit_code == 0, result.stderr
    assert "median error of 100 notes" in result.stdout.splitlines()[0]
    assert "runs/pitch_correction/picture.svg" in result.stdout
    assert (folder / "runs" / "pitch_correction" / "picture.svg").is_file()


def test_a_user_s_model_is_no_model_of_the_zoo_by_its_name(folder, files, bpgen):
    text = MODEL.replace("RATE", "1e-2").replace("optimizer=", 'data="diabetes", optimizer=')
    (folder / "pitch_correction.py").write_text(text)
    result = bpgen("train", "pitch_correction.py", "--epochs", 1)
    assert result.exit_code == 0, result.stderr
    assert "runs/pitch_correction/picture.svg" not in files()


def test_the_whole_zoo_takes_a_line_a_model(bpgen, monkeypatch):
    monkeypatch.setattr("bpgen.declare.load.zoo", lambda: ("mixture_density", "wine"))
    result = bpgen("train", "--all", "--epochs", 1, "-o", "made")
    assert result.exit_code == 0, result.stderr
    first, second = result.stdout.splitlines()
    assert first.startswith("mixture_density ")
    assert first.endswith("  made/mixture_density/picture.svg")
    assert second.endswith("%  made/wine/curve.svg")


def test_a_loss_that_is_not_finite_ends_with_status_6(train):
    result = train("--epochs", 9, rate=1e30)
    assert result.exit_code == 6
    assert "NotFiniteError [BPG601]" in result.stderr
    assert "step " in result.stderr
    assert "Traceback" not in result.stderr


def truncate(path):
    path.write_bytes(path.read_bytes()[:200])


def pickled(path):
    np.savez(path, run=np.array([{}], dtype=object), allow_pickle=True)


def of_another_model(path):
    np.savez(path, W=np.ones((2, 3)))


@pytest.mark.parametrize("spoil", [truncate, pickled, of_another_model])
def test_a_checkpoint_that_does_not_serve_ends_with_status_5(spoil, folder, train):
    train("--epochs", 1)
    spoil(folder / "run" / "last.npz")
    result = train("--epochs", 2, "--resume")
    assert result.exit_code == 5
    assert "CheckpointError [BPG402]" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_run_that_never_was_cannot_be_continued(train):
    result = train("--resume")
    assert result.exit_code == 5
    assert "there is no checkpoint run/last.npz" in result.stderr


def test_ctrl_c_keeps_a_checkpoint_and_says_how_to_continue(folder):
    (folder / "net.py").write_text(MODEL.replace("RATE", "1e-3"))
    words = ["train", "net.py", "--data", "diabetes", "--epochs", "1000000"]
    words += ["--batch", "32", "--seed", "3", "-o", "run"]
    bpgen = [sys.executable, "-m", "bpgen"]
    process = subprocess.Popen([*bpgen, *words], stderr=subprocess.PIPE, text=True)
    log = folder / "run" / "log.jsonl"
    while not (log.exists() and log.read_text().count("\n") > 2):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    message = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "Traceback" not in message
    command = shlex.split(message.partition("Continue: ")[2])
    assert command == ["bpgen", *words, "--resume"]
    done = len(log.read_text().splitlines())
    command[command.index("--epochs") + 1] = str(done + 1)
    subprocess.run([*bpgen, *command[1:]], check=True, capture_output=True)
    assert [epoch["number"] for epoch in epochs(folder)] == list(range(1, done + 2))


def test_threads_share_batches_and_go_on_after_an_interruption(folder, train):
    alone, shared = (
        (train("--epochs", 2, "--threads", threads), epochs(folder))[1] for threads in (1, 3)
    )
    for one, other in zip(alone, shared, strict=True):
        # In float32, sums in another order differ by rounding.
        assert other["train"]["loss"] == pytest.approx(one["train"]["loss"], rel=1e-4)
    assert train("--epochs", 3, "--threads", 3, "--resume").exit_code == 0
    assert len(epochs(folder)) == 3


PAIRS = '''"""Examples that are compared by pairs."""
import bpgen as bp
from bpgen.layers import linear
z = linear(bp.input("x", 10), 3)
n, k = z.indices
m = n.primed()
near = bp.define("near", (n, m), bp.sum(z[n, k] * z[m, k], over=k))
model = bp.Model(loss=bp.define("loss", (), bp.mean(near[n, m] ** 2, over=(n, m))))
'''


def test_examples_that_are_compared_by_pairs_are_not_shared(folder, bpgen, files):
    (folder / "pairs.py").write_text(PAIRS)
    result = bpgen("train", "pairs.py", "--data", "diabetes", "--threads", 2)
    assert result.exit_code == 3
    assert 'near = bp.define("near"' in result.stderr
    assert "`near`: it pairs one example with another" in result.stderr
    assert files() == {"pairs.py"}


def test_a_profile_shows_every_formula_as_measured_and_as_foretold(train):
    result = train("--epochs", 1, "--profile")
    assert result.exit_code == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if line.strip().startswith("r[")]
    assert len(lines) == 1
    assert lines[0].count("%") == 2
