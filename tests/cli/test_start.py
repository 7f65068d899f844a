"""The command starts quickly and leaves quietly."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

from bpgen import zoo
from bpgen.cli.options import amount

HELP_SECONDS = 0.1
BPGEN = [sys.executable, "-c", "from bpgen.cli import main; main(prog_name='bpgen')"]


def seconds(command, **options):
    """The time the processor gave to `command`: what else runs on the machine does not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_help_is_there_within_a_tenth_of_a_second(tmp_path):
    compiled = os.environ | {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    times = [seconds([*BPGEN, "--help"], env=compiled) for _ in range(9)]
    assert min(times) < HELP_SECONDS  # the first compiles, and a busy machine slows the others


def test_the_package_and_its_commands_import_nothing_heavy():
    code = "import sys, bpgen, bpgen.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    heavy = {"sympy", "numpy", "matplotlib", "jinja2", "rich", "flint", "mpmath"}
    assert not heavy & set(loaded.stdout.split())


def test_python_m_bpgen_is_bpgen():
    shown = [
        subprocess.run(command, check=True, capture_output=True).stdout
        for command in ([*BPGEN, "--help"], [sys.executable, "-m", "bpgen", "--help"])
    ]
    assert shown[0] == shown[1]


def test_a_reader_that_goes_away_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        result = subprocess.run(
            [*BPGEN, "derive", "digits_mlp"], stdout=closed, stderr=subprocess.PIPE, check=False
        )
    assert result.stderr == b""


def test_a_terminal_without_greek_letters_is_no_error():
    result = subprocess.run(
        [*BPGEN, "summary", "digits_mlp"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        check=True,
        capture_output=True,
    )
    assert b"z1[n,h] = ?_d x[n,d] fc1_W[d,h]" in result.stdout


def test_a_full_disk_is_told_of():
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [*BPGEN, "derive", "digits_mlp"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert result.returncode == 7
    assert b"No space left on device" in result.stderr
    assert b"Traceback" not in result.stderr


def test_no_escape_sequence_is_written_where_no_terminal_is():
    for words in (["derive", "digits_mlp"], ["summary", "digits_mlp"]):
        result = subprocess.run([*BPGEN, *words], check=True, capture_output=True)
        assert b"\x1b" not in result.stdout + result.stderr


def test_a_new_model_is_one_that_can_be_derived(bpgen):
    assert bpgen("new", "spiral").exit_code == 0
    assert Path("model.py").read_text().startswith('"""spiral: ')
    assert "∂L/∂" in bpgen("derive").stdout


def test_a_new_model_can_be_a_copy_of_the_zoo(folder, bpgen):
    assert bpgen("new", "autoencoder").exit_code == 0
    original = Path(zoo.__file__).with_name("autoencoder.py")
    assert (folder / "model.py").read_text() == original.read_text()


@pytest.mark.parametrize(
    ("written", "bytes_"),
    [("64MB", 64_000_000), ("1.5 GB", 1_500_000_000), ("500KB", 500_000), ("2KiB", 2048)],
)
def test_an_amount_of_memory_is_read_as_people_write_it(written, bytes_):
    assert amount(written) == bytes_


@pytest.mark.parametrize("written", ["", "MB", "64 elephants", "-1MB"])
def test_what_is_no_amount_of_memory_is_refused(written):
    with pytest.raises(click.BadParameter, match="no amount of memory"):
        amount(written)
