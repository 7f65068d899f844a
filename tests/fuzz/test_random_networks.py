"""Random networks: their gradients are proved, and the emitted modules compute them.

`python -m pytest tests/fuzz --networks 20000`, or `make fuzz N=20000`, tries more of them.
"""

import pytest
from tests.fuzz import laws
from tests.fuzz.conftest import CHUNK
from tests.fuzz.search import Broken, search

from bpgen.derive import chain_rule
from bpgen.derive.merge import merged
from bpgen.targets.numpy import turns

# A maximum of equal values lies on its switch, wherever it is read; few models have one.
_DECIDED = 0.9


def test_the_gradient_of_a_random_network_is_proved(proved, searched):
    assert searched(laws.is_proved, proved) >= _DECIDED * CHUNK


def test_a_random_emitted_module_computes_its_loss_and_gradient(emitted, searched):
    searched(laws.is_computed, emitted + 1_000_000)


def test_threads_find_the_loss_and_the_gradient_of_a_random_network(searched):
    assert searched(laws.is_shared, 3_000_000) > 0


def test_a_random_program_assigns_every_buffer_once_and_computes_nothing_in_vain(searched):
    searched(laws.is_lowered, 2_000_000)


def test_a_fault_of_the_emitted_code_is_found_and_cut_down(monkeypatch):
    # A turn of a loop looks beyond the end of what it lays into a larger tensor.
    monkeypatch.setattr(turns, "_inside", lambda target, place, fixed, lines: lines)
    with pytest.raises(Broken) as found:
        search(laws.is_computed, networks=100, start=8003)
    assert "IndexError" in str(found.value)
    assert found.value.text.count("bp.define") + found.value.text.count("bp.recurrence") < 6


def test_a_fault_of_the_chain_rule_is_found_and_shown_by_a_small_model_file(
    monkeypatch, bpgen, folder
):
    with monkeypatch.context() as faulty:
        # What a tensor gains by its second reader is lost.
        faulty.setattr(chain_rule, "merged", lambda terms: merged(terms[:1]))
        with pytest.raises(Broken) as found:
            search(laws.is_proved, networks=CHUNK, start=0)
        (folder / "model.py").write_text(found.value.text, encoding="utf-8")
        shown = bpgen("check", "model.py")
        assert shown.exit_code == 1, shown.output
        assert "REFUTED" in shown.output
    assert bpgen("check", "model.py").exit_code == 0
    assert found.value.text in str(found.value)
    declared = [line for line in found.value.text.splitlines() if "bp.define" in line]
    assert len(declared) <= 6, found.value.text
