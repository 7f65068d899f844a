"""`check` covers the CuPy module: its kernels run on the CPU, and the verdict says so."""

from typing import Any

import pytest

import bpgen as bp
from bpgen.device.host import has_compiler
from bpgen.device.standin import installed
from bpgen.errors import UndecidedError
from bpgen.execute import on_device
from bpgen.execute.load import load_module
from bpgen.execute.proof import checked


@pytest.mark.skipif(not has_compiler(), reason="needs g++")
def test_a_sound_module_is_verified_and_the_verdict_says_where_its_kernels_ran():
    found = bp.load("one_hidden_layer").check(seed=1, target="cupy")
    assert found.verdict == "VERIFIED"
    assert all("on the CPU, by g++" in code.label for code in found.emitted)
    assert "cupy float32 (on the CPU, by g++)" in str(found)


@pytest.mark.skipif(not has_compiler(), reason="needs g++")
def test_a_kernel_with_a_wrong_sign_is_refuted():
    model = bp.load("one_hidden_layer")

    def spoiled(derivation, target, dtype):
        text = model._source(derivation, target, dtype)
        assert "(1_r - power<2>" in text
        return text.replace("(1_r - power<2>", "(1_r + power<2>")

    found = checked(model.network, model.derive().derivation, spoiled, target="cupy", seed=1)
    assert found.verdict == "REFUTED"
    assert "cupy" in found.reason


@pytest.mark.skipif(not has_compiler(), reason="needs g++")
def test_a_file_is_examined_as_the_target_it_was_emitted_for(tmp_path):
    model = bp.load("one_hidden_layer")
    path = tmp_path / "net.py"
    path.write_text(model.source("cupy"), encoding="utf-8")
    assert model.examine(path, seed=1).verdict == "VERIFIED"
    path.write_text(model.source("cupy").replace("max", "min", 1), encoding="utf-8")
    assert model.examine(path, seed=1).verdict == "REFUTED"


@pytest.mark.skipif(not has_compiler(), reason="needs g++")
def test_every_buffer_is_compared_when_its_kernel_has_written_it(tmp_path):
    model, path = bp.load("char_lstm"), tmp_path / "net.py"
    path.write_text(model.source("cupy"), encoding="utf-8")
    with installed():
        net: Any = load_module(path)
    buffers = vars(net.Workspace(2))
    equations = model.derive().derivation.network.equations
    made = {e.out.name for e in equations if not e.out.is_integer} & set(buffers)
    found = model.examine(path, seed=2)
    assert found.verdict == "VERIFIED"
    count = len(made) + len(model.network.parameters)
    assert dict(found.seen)["buffers"].startswith(f"{count} compared")


def test_without_gpu_and_compiler_there_is_no_verdict(tmp_path, monkeypatch):
    monkeypatch.setattr(on_device, "has_compiler", lambda: False)
    with pytest.raises(UndecidedError, match="cannot run here"):
        on_device.load_on_device(tmp_path / "net.py")
