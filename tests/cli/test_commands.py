"""What each command prints and writes, and the status it ends with."""

import json
import sys
from types import SimpleNamespace

import pytest

from bpgen.model import Model


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("text", "∂L/∂fc1_W[d,h] = Σ_n x[n,d] ∂L/∂z1[n,h]"),
        ("markdown", "## Backward"),
        ("latex", r"\begin{equation}"),
        ("html", "<!doctype html>"),
        ("json", '"backward": ['),
    ],
)
def test_derive_prints_every_format(form, words, bpgen):
    result = bpgen("derive", "digits_mlp", "--format", form)
    assert result.exit_code == 0, result.stderr
    assert words in result.stdout
    assert result.stderr == ""


def test_derive_writes_to_a_file_what_it_would_print(folder, bpgen):
    printed = bpgen("derive", "digits_mlp").stdout
    result = bpgen("derive", "digits_mlp", "-o", "d.txt")
    assert (result.exit_code, result.stdout) == (0, "")
    assert (folder / "d.txt").read_text() == printed


def test_wrt_leaves_out_what_does_not_lead_to_the_tensor(bpgen):
    printed = bpgen("derive", "digits_mlp", "--wrt", "fc2_W").stdout
    assert "∂L/∂fc2_W" in printed
    assert "∂L/∂fc1_W" not in printed


def test_steps_show_more_than_the_derivation_alone(bpgen):
    short, long = (bpgen("derive", "digits_mlp", *more).stdout for more in ([], ["--steps"]))
    assert "sift" in long
    assert len(long.splitlines()) > len(short.splitlines())


def test_the_second_order_stands_behind_the_gradients(bpgen):
    for form, words in (("text", "∂²L/∂ε∂fc1_W[d,h] = "), ("latex", r"\partial^{2} L")):
        short = bpgen("derive", "wine", "--format", form)
        long = bpgen("derive", "wine", "--format", form, "--second")
        assert long.exit_code == 0, long.stderr
        assert words in long.stdout
        assert words not in short.stdout


@pytest.mark.parametrize("form", ["markdown", "html", "json"])
def test_the_second_order_is_shown_in_every_format(form, bpgen):
    shown = bpgen("derive", "wine", "--format", form, "--second").stdout
    assert "Second order: the Hessian" in shown
    assert "Second order: Gauss-Newton" in shown


def test_check_verifies_second_derivatives_when_asked(bpgen):
    result = bpgen("check", "wine", "--seed", 5, "--second", "--jet", 4)
    assert result.exit_code == 0, result.stdout
    assert "VERIFIED   products with ∂²loss/∂θ² of wine" in result.stdout
    assert "t^4 " in result.stdout


def test_second_derivatives_are_a_key_of_the_verdict_in_json(bpgen):
    verdict = json.loads(bpgen("check", "wine", "--second", "--json").stdout)
    assert verdict["verdict"] == verdict["second"]["verdict"] == "VERIFIED"
    assert verdict["seed"] == verdict["second"]["product"]["seed"]


def test_emit_adds_products_when_asked(folder, bpgen):
    result = bpgen("emit", "wine", "--with", "hvp", "-o", "w.py")
    assert result.exit_code == 0, result.stderr
    assert "def hvp(" in (folder / "w.py").read_text()


def test_check_prints_the_verdict_and_the_table(bpgen):
    result = bpgen("check", "wine", "--seed", 5)
    assert result.exit_code == 0, result.stdout
    assert result.stdout.startswith("VERIFIED")
    assert "seed 5" in result.stdout


def test_check_prints_json_for_programs(bpgen):
    verdict = json.loads(bpgen("check", "wine", "--json").stdout)
    assert verdict["verdict"] == "VERIFIED"
    assert verdict["digits"] >= 90


@pytest.mark.parametrize(("verdict", "status"), [("REFUTED", 1), ("UNDECIDED", 4)])
def test_what_is_not_verified_has_its_own_status_and_is_not_trained(
    verdict, status, bpgen, files, monkeypatch
):
    found = SimpleNamespace(verdict=verdict)
    monkeypatch.setattr(Model, "check", lambda self, **options: found)
    assert bpgen("check", "wine").exit_code == status
    assert bpgen("train", "wine", "--data", "wine").exit_code == status
    assert files() == set()


def test_a_certificate_goes_with_the_module_it_was_written_for(folder, bpgen):
    (folder / "wine.json").write_text(bpgen("check", "wine", "--json").stdout)
    bpgen("emit", "wine", "-o", "wine_numpy.py")
    right = bpgen("check", "--certificate", "wine.json", "wine_numpy.py")
    assert (right.exit_code, right.stdout.split()[0]) == (0, "VERIFIED")
    path = folder / "wine_numpy.py"
    path.write_text(path.read_text().replace("np.tanh(", "np.sin("))
    wrong = bpgen("check", "--certificate", "wine.json", "wine_numpy.py")
    assert (wrong.exit_code, wrong.stdout.split()[0]) == (1, "REFUTED")
    against_model = bpgen("check", "wine", "--module", "wine_numpy.py", "--json")
    assert against_model.exit_code == 1
    assert "`np.sin(" in json.loads(against_model.stdout)["reason"]


def test_a_certificate_that_is_none_is_wrong_data(folder, bpgen):
    (folder / "none.json").write_text("{}")
    bpgen("emit", "wine", "-o", "wine_numpy.py")
    result = bpgen("check", "--certificate", "none.json", "wine_numpy.py")
    assert result.exit_code == 5
    assert "CertificateError [BPG509]" in result.stderr


def test_a_sweep_is_printed_and_drawn(folder, bpgen):
    result = bpgen("check", "wine", "--sweep", "--seed", 5, "-o", "wine.svg")
    assert result.exit_code == 0, result.stdout
    assert "fitted slopes: R0 1.0" in result.stdout
    assert (folder / "wine.svg").read_text().startswith("<?xml")


def test_a_framework_that_is_missing_is_said_with_what_to_install(bpgen, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "bpgen.against.torch", raising=False)
    result = bpgen("check", "wine", "--against", "torch")
    assert result.exit_code == 8
    assert "bpgen[oracle]" in result.stderr


@pytest.mark.parametrize(
    "words", [["--sweep", "--against", "jax"], ["-o", "x.svg"], ["--against", "tensorflow"]]
)
def test_check_refuses_plainly_what_does_not_go_together(words, bpgen, files):
    assert bpgen("check", "wine", *words).exit_code == 2
    assert files() == set()


def test_emit_writes_where_the_contract_says(bpgen, files):
    assert bpgen("emit", "wine").exit_code == 0
    assert files() == {"generated/wine_numpy.py"}


def test_emit_writes_where_and_in_which_dtype_it_is_told(folder, bpgen):
    assert bpgen("emit", "wine", "-o", "w.py", "--dtype", "float64").exit_code == 0
    assert 'DTYPE = "float64"' in (folder / "w.py").read_text()


def test_emit_check_writes_nothing_and_shows_what_is_stale(folder, bpgen, files):
    missing = bpgen("emit", "wine", "--check")
    assert (missing.exit_code, files()) == (1, set())
    bpgen("emit", "wine")
    assert bpgen("emit", "wine", "--check").output == ""
    path = folder / "generated" / "wine_numpy.py"
    path.write_text(path.read_text() + "x = 1\n")
    stale = bpgen("emit", "wine", "--check")
    assert stale.exit_code == 1
    assert "-x = 1" in stale.stdout
    assert "StaleError [BPG304]" in stale.stderr
    assert path.read_text().endswith("x = 1\n")


def test_emit_all_finds_a_file_that_no_model_emits(folder, bpgen):
    bpgen("emit", "--all")
    assert bpgen("emit", "--all", "--check").output == ""
    (folder / "generated" / "orphan_numpy.py").touch()
    assert "orphan_numpy.py" in bpgen("emit", "--all", "--check").stdout


@pytest.mark.parametrize("words", [["--all", "-o", "x.py"], ["--target", "fortran"]])
def test_emit_refuses_plainly_what_it_cannot_do(words, bpgen, files):
    assert bpgen("emit", "wine", *words).exit_code == 2
    assert files() == set()


def test_summary_counts_what_a_reader_can_count(bpgen):
    found = json.loads(bpgen("summary", "digits_mlp", "--batch", "7", "--json").stdout)
    first = next(row for row in found["statements"] if row["name"] == "z1")
    assert first["parameters"] == 64 * 32 + 32
    # The bias is one more row of the weights, and is multiplied by 1.
    assert first["multiply_adds"] == 7 * 65 * 32
    # The product reads x and W and writes z.
    assert first["bytes"] == 4 * (7 * 65 + 65 * 32 + 7 * 32)
    assert found["parameters"] == 64 * 32 + 32 + 32 * 10 + 10
    # Forward, the gradient of both matrices, and that of the hidden layer.
    assert found["multiply-adds"] == 7 * (2 * 65 * 32 + 2 * 33 * 10 + 32 * 10)
    assert sum(row["share"] for row in found["statements"]) == pytest.approx(1)
    held = found["workspace"]
    assert held["bound"] <= held["bytes"] < held["unshared"]
    # z, h and what the loss reads of them live until the gradient has read them.
    assert held["bytes"] >= 4 * 7 * (32 + 32 + 10)


def test_summary_says_what_a_bound_on_memory_costs(bpgen):
    assert "(again)" not in bpgen("summary", "three_layer_relu").stdout
    bounded = bpgen("summary", "three_layer_relu", "--memory", "70kB").stdout
    again = [line.split("[")[0].strip() for line in bounded.splitlines() if ") (again)" in line]
    assert again
    assert f"70 kB for 64 examples: recomputes {', '.join(sorted(again))}; about" in bounded
    refused = bpgen("summary", "three_layer_relu", "--memory", "1kB")
    assert "more memory than 1,000 bytes" in refused.stderr
    assert "is the least that was found" in refused.stderr


def test_summary_says_which_sum_is_no_product_of_matrices(bpgen):
    found = json.loads(bpgen("summary", "factorization_machine", "--json").stdout)
    slow = [row["formula"] for row in found["statements"] if row["einsum"]]
    assert slow == ["sum_for_d_fm_V[d] = Σ_n x[n,d]² r[n]"]
    assert f"{slow[0]} (einsum)" in bpgen("summary", "factorization_machine").stdout


@pytest.mark.parametrize("width", [60, 80, 119, 160])
def test_summary_fits_the_terminal_and_shows_repeated_blocks_once(bpgen, monkeypatch, width):
    from bpgen.cli import options

    monkeypatch.setattr(options, "WIDTH", width)
    lines = bpgen("summary", "char_gpt").stdout.splitlines()
    assert max(map(len, lines)) <= width
    assert sum(line.strip().startswith("att_score[b,n,a,d,s] =") for line in lines) == 1
    assert any("×2" in line for line in lines)
