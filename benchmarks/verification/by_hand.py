"""One place of an emitted file edited as a hand would, and the words of the verdict."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from benchmarks.verification.settings import Settings
from benchmarks.verification.subjects import subject
from benchmarks.verification.table import table

_EPS = r"a\.C_0_00001"
# What is done, in which network, and the first line that fits with what takes its place.
_EDITS = (
    ("a sign", "dense", r"np\.subtract\((.*)\)", r"np.add(\1)"),
    ("a constant", "mixture", r"np\.multiply\((.*), a\.HALF,", r"np.multiply(\1, 0.6,"),
    ("an axis", "attention", r"np\.add\.reduce\((.*)axis=3", r"np.add.reduce(\1axis=2"),
    ("a missing eps", "norms", rf"np\.add\((.*), {_EPS}, (.*)\)", r"np.add(\1, 0, \2)"),
    ("eps of 1e-6, not 1e-5", "norms", rf"np\.add\((.*), {_EPS}, (.*)\)", r"np.add(\1, 1e-06, \2)"),
    ("a missing transposition", "attention", r"np\.dot\((.*)\.T, (.*)\)", r"np.dot(\1, \2)"),
    (
        "a missing mean",
        "states",
        r"np\.multiply\((.*), a\.C_1_OVER_BATCH, (.*)\)",
        r"np.multiply(\1, 1, \2)",
    ),
    ("a lost update of a turn", "memory", r"np\.add\((.*)\)", r"pass"),
    ("the other side of a switch", "switches", r"np\.greater\((.*)\)", r"np.less(\1)"),
)


def section(settings: Settings) -> str:
    """Return the edits, and the reason that `bpgen check --module` gives for each."""
    rows = [[what, *_said(name, old, new, settings.seed)] for what, name, old, new in _EDITS]
    return table("edit | the line as emitted | verdict", rows)


def _said(name: str, old: str, new: str, seed: int) -> tuple[str, str]:
    given = subject(name)
    lines = given.model.source().splitlines()
    first = next(k for k, line in enumerate(lines) if line.startswith("def backward("))
    inside = [*range(first, len(lines)), *range(first)]
    place = next((k for k in inside if re.match(rf" +{old}", lines[k])), None)
    if place is None:
        return "", "no such line is emitted"
    before = lines[place].strip()
    lines[place] = re.sub(old, new, lines[place])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}_numpy.py"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        found = given.model.examine(path, seed)
    return f"`{before}`", f"{found.verdict} {found.reason}".replace("|", "or")
