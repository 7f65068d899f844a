"""The measurements of the checker run, and a small part of them comes out as the whole does."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


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
