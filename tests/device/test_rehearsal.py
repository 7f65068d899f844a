"""The tests that need a GPU run without one, for small models: they do not fail at the first."""

import subprocess
import sys
from pathlib import Path

import pytest

from bpgen.device.host import has_compiler

GPU = Path(__file__).parents[1] / "gpu"


@pytest.mark.skipif(not has_compiler(), reason="needs g++")
def test_the_tests_of_the_gpu_pass_in_rehearsal():
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "--rehearse", "-n", "0", str(GPU)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
