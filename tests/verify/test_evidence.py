"""The measurements of the checker run, and a small part of them comes out as the whole does."""

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.verification.subjects import NAMES, subject

from bpgen.verify.numbers import FLOAT64
from bpgen.verify.problem import lifted

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_times_a_number_has_the_gradient_times_that_number(name):
    plain, scaled = subject(name), subject(name, "1e6")
    ((point, _),) = plain.places(3, 1)
    ours, theirs = (
        s.problem().gradient(s.problem().everything(lifted(point.values, FLOAT64), FLOAT64))
        for s in (plain, scaled)
    )
    for parameter, gradient in ours.items():
        assert theirs[parameter] == pytest.approx(1e6 * gradient, rel=1e-9, abs=1e-9)


def test_edits_by_hand_are_refuted_with_their_line_and_merged_into_a_document(tmp_path):
    path = tmp_path / "verification.md"
    path.write_text("# A title\n\n## Random networks\n\nAs they were.\n")
    words = ["--part", "by_hand", "--seed", "3", "-o", str(path)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.verification", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = path.read_text()
    _, _, *rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 7
    assert all("REFUTED" in row and "line " in row for row in rows), text
    assert "As they were." in text
    assert text.index("Edited by hand") < text.index("Random networks")
