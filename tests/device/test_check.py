"""`check` covers the CuPy module: its kernels run on the CPU, and the verdict says so."""

import pytest

import bpgen as bp
from bpgen.device.host import has_compiler
from bpgen.errors import UndecidedError
from bpgen.execute import on_device
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


def test_without_gpu_and_compiler_there_is_no_verdict(tmp_path, monkeypatch):
    monkeypatch.setattr(on_device, "has_compiler", lambda: False)
    with pytest.raises(UndecidedError, match="cannot run here"):
        on_device.load_on_device(tmp_path / "net.py")
