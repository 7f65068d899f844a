"""An edited module is refuted by line, and by the first equation that its memory contradicts."""

import random
import re
from types import SimpleNamespace

import numpy as np
import pytest
from tests.certify.edits import edits

import bpgen as bp
from bpgen.certify import examined
from bpgen.certify.lines import block_of

NAMES = ("one_hidden_layer", "normed", "mixture_density", "k_of_n")
# Edits of each module that are looked at, drawn once: all of them take a minute.
COUNT = 30


@pytest.fixture(scope="module", params=NAMES)
def model(request, models):
    """A model, its derivation and the text of its module, made once."""
    declared = models[request.param]
    return SimpleNamespace(
        declared=declared, derivation=declared.derive().derivation, text=declared.source()
    )


def looked_at(model, text, path):
    path.write_text(text)
    with np.errstate(all="ignore"):
        lying = model.declared.lying()
        return examined(path, model.derivation, lambda *given: model.text, lying, seed=2)


def test_the_module_as_emitted_is_verified(model, tmp_path):
    for dtype in ("float32", "float64"):
        path = tmp_path / f"{dtype}.py"
        path.write_text(model.declared.source(dtype=dtype))
        found = model.declared.examine(path, seed=2)
        assert found.verdict == "VERIFIED", found


def test_every_edit_is_refuted_with_its_line_and_the_equation_it_breaks(model, tmp_path):
    every = list(edits(model.text))
    chosen = random.Random(5).sample(every, min(COUNT, len(every)))  # noqa: S311  a sample
    silent = []
    for edit in chosen:
        found = looked_at(model, edit.text, tmp_path / "edited.py")
        case = f"{edit.what} on line {edit.line}"
        assert found.verdict == "REFUTED", case
        assert re.search(rf"line {edit.line}\b", found.reason), f"{case}: {found.reason}"
        if "right all the same" in found.reason:
            silent.append(case)
    # A factor 1 that is dropped, or a write that another one follows, changes no number.
    assert len(silent) <= 0.1 * len(chosen), silent


def test_the_block_of_the_first_wrong_tensor_holds_the_edit(model, tmp_path):
    lines = model.text.splitlines()
    place = next(
        k for k, s in enumerate(lines) if s.startswith("    # ∂L/∂") and "out=a.d_" in lines[k + 1]
    )
    end = place + next(k for k, s in enumerate(lines[place:]) if not s.strip())
    written = re.findall(r"out=a\.(d_\w+)\)", "\n".join(lines[place:end]))[-1]
    lines.insert(end, f"    np.multiply(a.{written}, 1.0001, out=a.{written})")
    found = looked_at(model, "\n".join(lines), tmp_path / "edited.py")
    assert f"line {end + 1}:" in found.reason
    assert f"first wrong: ∂L/∂{written.removeprefix('d_')}[" in found.reason
    assert end + 1 in block_of("\n".join(lines), written)


@pytest.mark.parametrize("name", ["char_gpt", "char_lstm", "lenet_digits"])
def test_every_buffer_is_compared_although_buffers_share_memory(name, tmp_path):
    model = bp.load(name)
    path = tmp_path / f"{name}_numpy.py"
    path.write_text(model.source())
    found = model.examine(path, seed=2)
    equations = model.derive().derivation.network.equations
    # A border that lowering folds away has no buffer.
    count = sum(not e.out.is_integer for e in equations) - (name == "lenet_digits")
    assert found.verdict == "VERIFIED"
    assert dict(found.seen)["buffers"].startswith(f"{count} compared")


def test_comments_and_layout_may_change(model, tmp_path):
    text = model.text.replace("# Shapes of the parameters", "# The shapes")
    assert looked_at(model, text, tmp_path / "edited.py").verdict == "VERIFIED"


def test_a_step_that_is_edited_outside_both_passes_is_refuted_by_its_line(models, tmp_path):
    model = models["normed"]
    path = tmp_path / "edited.py"
    text = model.source()
    line = 1 + next(k for k, s in enumerate(text.splitlines()) if s.strip() == "lr = 0.1")
    path.write_text(text.replace("    lr = 0.1", "    lr = 0.2"))
    found = model.examine(path, seed=2)
    assert found.verdict == "REFUTED"
    assert found.reason.startswith(f"line {line}: `lr = 0.2` instead of `lr = 0.1`")


def test_a_mask_of_integers_that_promotes_is_refuted_by_its_line(models, tmp_path):
    model = models["normed"]
    text = model.source()
    line = next(s for s in text.splitlines() if s.startswith("    np.tanh("))
    into = re.findall(r"out=(a\.\w+)", line)[0]
    mask = f"    np.multiply({into}, np.ones({into}.shape, int), out={into}, casting='unsafe')"
    path = tmp_path / "edited.py"
    path.write_text(text.replace(line, f"{line}\n{mask}"))
    found = model.examine(path, seed=2)
    number = 1 + text.splitlines().index(line) + 1
    assert found.verdict == "REFUTED"
    assert f"float32 is left: line {number}" in dict(found.seen)["emitted"]


def test_a_module_that_does_not_parse_or_run_is_refuted_with_the_line(models, tmp_path):
    model, path = models["normed"], tmp_path / "edited.py"
    text = model.source()
    path.write_text(text.replace("def forward(", "def forward(("))
    assert model.examine(path, seed=2).verdict == "REFUTED"
    path.write_text(text.replace("np.tanh(", "np.tanhh("))
    found = model.examine(path, seed=2)
    assert found.verdict == "REFUTED"
    assert re.search(r"line \d+: AttributeError", found.reason)
