"""What is committed in `generated/` is what the zoo emits now."""

from pathlib import Path

from click.testing import CliRunner

from bpgen.cli import main

ROOT = Path(__file__).resolve().parents[2]


def test_generated_is_fresh_and_has_no_orphans(monkeypatch):
    monkeypatch.chdir(ROOT)
    done = CliRunner(catch_exceptions=False).invoke(main, ["emit", "--all", "--check"])
    assert done.exit_code == 0, done.output
