"""The verdict reads as text and as JSON."""

import json

import pytest
from tests.verify.planted import checked, scaled, tampered


def test_the_report_states_every_level(net, derivation):
    text = str(checked(net, derivation, seed=1))
    for word in ("VERIFIED", "digits", "slope", "2^-50", "-1/280", "complex", "teeth", "not shown"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize("change", [None, scaled(-1)])
def test_the_verdict_is_json(net, derivation, change):
    subject = tampered(derivation, "d_W", change) if change else derivation
    verdict = checked(net, subject, seed=1)
    plain = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
    assert plain["verdict"] == verdict.verdict
    assert plain["digits"] == verdict.digits
    assert plain["table"]["rows"][0]["exponent"] == 10


def test_progress_is_told_by_stage(net, derivation):
    stages: list[str] = []
    checked(net, derivation, seed=1, progress=stages.append)
    assert stages[0] == "points"
    assert "proof" in stages
