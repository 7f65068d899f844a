"""What the README shows is what the commands give."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from bpgen.declare.load import zoo
from bpgen.execute.sources import known

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def shown(title):
    """The block under the comment `<!-- title -->`."""
    found = re.search(rf"<!-- {re.escape(title)} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, title
    return found[1]


@pytest.fixture
def model(folder):
    (folder / "model.py").write_text(shown("model.py"))
    return folder


def test_the_derivation_shown_is_the_one_derived(model, bpgen):
    assert shown("bpgen derive") in bpgen("derive").stdout
    assert shown("bpgen derive --second") in bpgen("derive", "--second").stdout


def test_the_code_shown_is_the_one_emitted(model, bpgen):
    bpgen("emit")
    assert shown("generated/model_numpy.py") in (model / "generated" / "model_numpy.py").read_text()


def test_the_model_shown_trains_on_the_data_named(model, bpgen):
    result = bpgen("train", "--data", "diabetes", "--epochs", 20)
    assert result.exit_code == 0, result.stderr
    loss = float(result.stdout.split()[2])
    assert loss < 0.7  # the target has variance 1; a line through the data leaves 0.5


def test_every_command_has_its_line(bpgen):
    from bpgen.cli import main

    assert all(f"`bpgen {name} " in README for name in main.commands)


@pytest.mark.parametrize("room", ["layers", "activations", "losses", "optimizers"])
def test_every_definition_that_ships_is_named(room):
    shipped = import_module(f"bpgen.{room}").__all__
    assert [name for name in shipped if f"`{name}`" not in README] == []


def test_every_model_and_every_data_set_that_ships_is_named():
    assert [name for name in (*zoo(), *known()) if f"`{name}`" not in README] == []
