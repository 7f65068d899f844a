"""What is promised about time, in processor seconds, since the clock of a shared machine lies."""

import resource
import subprocess
import sys
import time

import bpgen as bp
from bpgen.declare.load import ZOO


def test_three_hundred_residual_blocks_are_derived_within_five_seconds(tmp_path):
    text = (ZOO / "residual_mlp.py").read_text(encoding="utf-8")
    path = tmp_path / "deep.py"
    path.write_text(text.replace("BLOCKS = 20", "BLOCKS = 300"), encoding="utf-8")
    model = bp.load(path)
    assert len(model.network.parameters) > 1800

    def seconds():
        begin = time.process_time()
        model.derive()
        return time.process_time() - begin

    assert min(seconds() for _ in range(2)) < 5


def test_the_derivation_of_digits_mlp_is_printed_within_a_second_and_a_half():
    def seconds():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        words = [sys.executable, "-m", "bpgen", "derive", "digits_mlp"]
        subprocess.run(words, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 1.5
