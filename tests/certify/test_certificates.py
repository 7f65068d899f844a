"""A module is what its certificate says, or it is refuted, by its text and by its numbers."""

import json

import pytest

from bpgen.certify import rechecked
from bpgen.certify.certificate import declaration, sealed
from bpgen.errors import CertificateError


@pytest.fixture
def certificate(certified):
    return certified / "certificate.json"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_emitted_module_fits_its_certificate(dtype, certified, certificate):
    found = rechecked(certified / f"{dtype}.py", certificate)
    assert found.verdict == "VERIFIED", found
    assert {title for title, _ in found.seen} >= {"text", "generic", "initial", "Taylor"}


def test_a_certificate_states_levels_costs_points_hashes_and_digits(certificate):
    found = json.loads(certificate.read_text())
    assert {level["level"] for level in found["levels"]} == {"L0", "L1", "L2", "L3", "L4", "L5"}
    assert all(level["seconds"] >= 0 and level["sees"] for level in found["levels"])
    assert all(len(h) == 64 for h in [found["declaration"], *found["modules"].values()])
    assert min(found["agreement"]["digits"].values()) >= 90
    names = "generic", "initial", "after 8 steps of training", "generic, all extents equal"
    assert tuple(found["agreement"]["points"]) == names
    assert found["seed"] == 3


def test_the_hash_of_a_declaration_knows_its_formulas_and_no_path(models):
    texts = {name: declaration(model.network) for name, model in models.items()}
    assert len(set(texts.values())) == len(texts)
    assert not any(".py" in text or "/" + "tmp" in text for text in texts.values())


CHANGES = {
    "a sign": ("np.subtract(", "np.add("),
    "eps of the norm": ("1e-05", "1e-06"),
    "a missing eps": ("1e-05", "0"),
    "a learning rate": ("lr = 0.1", "lr = 0.2"),
    "a comment": ("# Shapes", "# The shapes"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_module_that_was_edited_is_refuted(name, certified, certificate, tmp_path):
    old, new = CHANGES[name]
    text = (certified / "float32.py").read_text()
    assert old in text
    edited = tmp_path / "edited.py"
    edited.write_text(text.replace(old, new))
    found = rechecked(edited, certificate)
    assert found.verdict == "REFUTED"
    assert "not what was certified" in found.reason
    is_numeric = name not in {"a learning rate", "a comment"}
    assert ("is off by" in found.reason) is is_numeric


def test_a_module_that_would_run_other_code_is_not_run(certified, certificate, tmp_path):
    edited = tmp_path / "edited.py"
    mark = tmp_path / "ran"
    text = (certified / "float32.py").read_text()
    edited.write_text(text + f"\nimport subprocess\nopen({str(mark)!r}, 'w')\n")
    found = rechecked(edited, certificate)
    assert found.verdict == "REFUTED"
    assert "import of subprocess" in found.reason
    assert not mark.exists()


def test_a_certificate_that_was_changed_says_nothing(certificate, certified, tmp_path):
    known = json.loads(certificate.read_text())
    known["witnesses"][0]["loss"] *= 1 + 1e-9
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(known))
    with pytest.raises(CertificateError, match="was changed"):
        rechecked(certified / "float32.py", path)
    path.write_text(json.dumps(sealed(known)))
    assert rechecked(certified / "float32.py", path).verdict == "REFUTED"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"form": "another"}'])
def test_what_is_no_certificate_is_told_so(text, certified, tmp_path):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(CertificateError, match="is not a certificate"):
        rechecked(certified / "float32.py", path)


def test_a_gradient_that_is_not_of_its_own_loss_is_seen_without_the_record(
    certified, certificate, tmp_path
):
    text = (certified / "float64.py").read_text()
    line = next(s for s in text.splitlines() if "out=g.fc1_W" in s)
    edited = tmp_path / "edited.py"
    edited.write_text(text.replace(line, f"{line}\n    np.multiply(g.fc1_W, 1.001, out=g.fc1_W)"))
    seen = dict(rechecked(edited, certificate).seen)
    # h, up to the h² of the right part
    assert abs(float(seen["Taylor"].rpartition("^")[2]) - 1) < 0.05
    assert float(seen["complex"].split()[-2]) < 8


def test_a_certificate_that_is_not_verified_passes_its_verdict_on(certified, certificate, tmp_path):
    known = json.loads(certificate.read_text())
    path = tmp_path / "undecided.json"
    path.write_text(json.dumps(sealed({**known, "verdict": "UNDECIDED", "reason": "a switch"})))
    found = rechecked(certified / "float32.py", path)
    assert (found.verdict, found.reason) == ("UNDECIDED", "a switch")


def test_inputs_that_cannot_be_drawn_again_leave_it_undecided(certified, certificate, tmp_path):
    known = json.loads(certificate.read_text())
    for witness in known["witnesses"]:
        witness["digest"] = "0" * 64
    path = tmp_path / "other_numpy.json"
    path.write_text(json.dumps(sealed(known)))
    assert rechecked(certified / "float32.py", path).verdict == "UNDECIDED"
