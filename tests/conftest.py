"""What the tests share: a folder of their own, and bpgen as a user calls it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from bpgen.cli import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bpgen(folder):
    """The command: `bpgen("derive", "model.py")` in that folder; what it raises beside is a bug."""

    def run(*words):
        return CliRunner(catch_exceptions=False).invoke(main, [str(word) for word in words])

    return run


@pytest.fixture
def files(folder):
    """The files that lie in that folder now."""

    def listed():
        return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}

    return listed
