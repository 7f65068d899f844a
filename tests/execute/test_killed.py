"""A run that is killed goes on from its last checkpoint, and ends as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time

import numpy as np

EPOCHS = 90


def started(folder, *more):
    """A training of the digits in a process of its own."""
    words = ["train", "digits_mlp", "--epochs", str(EPOCHS), "-o", str(folder), *more]
    return subprocess.Popen(
        [sys.executable, "-m", "bpgen", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def epochs(folder):
    log = folder / "log.jsonl"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_a_run_killed_at_any_moment_ends_with_the_bits_of_an_unbroken_one(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert started(whole).wait(120) == 0
    seed = time.time_ns()
    rng = np.random.default_rng(seed)
    for _ in range(3):
        process = started(broken, *(["--resume"] if (broken / "last.npz").exists() else []))
        before = epochs(broken)
        while process.poll() is None and epochs(broken) == before:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.05))  # somewhere in an epoch, or in the writing of one
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(120) == -signal.SIGKILL, f"seed {seed}"
    (broken / "last.npz.1.part").write_bytes(b"half of a checkpoint")
    assert epochs(broken) < EPOCHS
    assert started(broken, "--resume").wait(120) == 0
    one, other = np.load(whole / "last.npz"), np.load(broken / "last.npz")
    assert one.files == other.files
    for name in one.files:
        np.testing.assert_array_equal(one[name], other[name], err_msg=f"seed {seed}")
    assert epochs(broken) == EPOCHS
    assert not list(broken.glob("*.part"))
