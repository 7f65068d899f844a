"""What DESIGN says of an emitted module, of those for CuPy too."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bpgen as bp
from bpgen.declare.load import zoo
from bpgen.errors import OptionError


def run(*words, **environment):
    """Run a command as a user does, and return what it printed and how it ended."""
    return subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
        text=True,
    )


@pytest.mark.parametrize("name", zoo())
def test_every_launch_and_every_kernel_stands_under_its_formula(name):
    text = bp.load(name).source("cupy")
    functions = {f.name: f for f in ast.parse(text).body if isinstance(f, ast.FunctionDef)}
    lines = text.split("\n")
    for function in (functions[k] for k in ("forward", "backward", "update")):
        block = "\n".join(lines[function.body[0].end_lineno : function.end_lineno])
        for step in re.split(r"\n\n", block.strip()):
            if "k." in step:
                heads = r"(\s*(N = a\.N|k = .*|P = .*|for .*:)\n)*\s*# "
                assert re.match(heads, step), step
    source = text.split('r"""')[1].split('"""')[0]
    for kernel in source.split("\n\n"):
        if 'extern "C"' in kernel:
            assert kernel.strip().startswith("// "), kernel
    assert max(map(len, lines)) <= 100


def test_the_text_does_not_depend_on_hash_seeds():
    code = "import bpgen as bp; print(bp.load('{}').source('cupy'), end='')"
    for name in ("variational_autoencoder", "lenet_digits"):
        texts = {
            run(sys.executable, "-c", code.format(name), PYTHONHASHSEED=seed).stdout
            for seed in ("0", "1", "2")
        }
        assert len(texts) == 1
        assert "kernel_" in texts.pop()


def test_a_module_is_written_as_the_formatter_would(noisy, tmp_path):
    path = tmp_path / "noisy_cupy.py"
    path.write_text(bp.load(noisy).source("cupy"), encoding="utf-8")
    config = Path(__file__).resolve().parents[2] / "pyproject.toml"
    done = run(sys.executable, "-m", "ruff", "format", "--check", "--config", config, path)
    assert done.returncode == 0, done.stdout


def test_the_file_grows_with_the_kernels_that_differ_and_not_with_depth():
    source = bp.load("residual_mlp").source("cupy")
    assert source.count('extern "C"') < 40
    assert len(re.findall(r"\n    k\.", source)) > 100


def test_an_unknown_target_is_refused():
    with pytest.raises(OptionError, match="unknown target 'fortran'"):
        bp.load("wine").source("fortran")
