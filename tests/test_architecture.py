"""The house stands as it was drawn: who imports whom, how large a room is, what templates hold."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import jinja2.meta
import numpy as np
import pytest
import sympy
from jinja2 import Environment, nodes

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "bpgen"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TEMPLATES = sorted((ROOT / "templates").rglob("*.jinja"))
CATALOG = ("layers", "activations", "losses")
PIPELINE = ("ir", "spell", "derive", "verify", "lower", "targets", "emit", "execute")

FILE_LINES = 300
FUNCTION_LINES = 50
TEMPLATE_LINES = 60

# What a template may hold: text, loops, tests of a flag, macros, attributes of `view`.
ALLOWED_NODES = (
    nodes.Block,
    nodes.Call,
    nodes.CallBlock,
    nodes.Extends,
    nodes.For,
    nodes.FromImport,
    nodes.Getattr,
    nodes.If,
    nodes.Import,
    nodes.Include,
    nodes.Keyword,
    nodes.Macro,
    nodes.Not,
    nodes.Name,
    nodes.Const,
    nodes.Output,
    nodes.Template,
    nodes.TemplateData,
)


def relative(path):
    return str(path.relative_to(ROOT))


def test_every_room_imports_only_what_lies_below_it():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_file_and_no_function_is_too_long(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FILE_LINES
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef):
            lines = ast.get_source_segment(text, function) or ""
            assert lines.count("\n") < FUNCTION_LINES, function.name


def definitions():
    """The names of the catalog, but for those that mathematics or numpy has too: tanh, pad."""
    stems = {path.stem for room in CATALOG for path in (PACKAGE / room).rglob("*.py")}
    stems -= {"__init__"}
    return {stem for stem in stems if not hasattr(sympy, stem) and not hasattr(np, stem)}


def words(path):
    """Every word that the code of a file is made of: identifiers and strings, no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield from re.findall(r"\w+", node.value)
        for field in ("id", "attr", "name", "arg"):
            if isinstance(getattr(node, field, None), str):
                yield getattr(node, field)


@pytest.mark.parametrize("room", PIPELINE)
def test_the_pipeline_names_no_definition_of_the_catalog(room):
    known = definitions()
    assert known
    for path in (PACKAGE / room).rglob("*.py"):
        assert not known & set(words(path)), relative(path)


@pytest.mark.parametrize("path", TEMPLATES, ids=relative)
def test_a_template_holds_shape_and_no_logic(path):
    text = path.read_text(encoding="utf-8")
    tree = Environment(autoescape=True).parse(text)
    assert len(text.splitlines()) <= TEMPLATE_LINES
    assert jinja2.meta.find_undeclared_variables(tree) <= {"view"}
    strange = [
        f"line {node.lineno}: {type(node).__name__}"
        for node in tree.find_all(nodes.Node)
        if not isinstance(node, ALLOWED_NODES)
    ]
    assert not strange


@pytest.mark.parametrize("path", TEMPLATES, ids=relative)
def test_a_template_calls_nothing_but_macros(path):
    tree = Environment(autoescape=True).parse(path.read_text(encoding="utf-8"))
    macros = {macro.name for macro in tree.find_all(nodes.Macro)}
    imported = {name for imports in tree.find_all(nodes.FromImport) for name in imports.names}
    for call in tree.find_all(nodes.Call):
        assert isinstance(call.node, nodes.Name)
        assert call.node.name in macros | imported


def test_every_code_explains_one_kind_of_mistake():
    from bpgen.errors import BpgenError
    from bpgen.explain import codes, explain

    def kinds(of):
        return {of}.union(*(kinds(kind) for kind in of.__subclasses__()))

    every = {
        kind for kind in kinds(BpgenError) - {BpgenError} if kind.__module__.startswith("bpgen")
    }
    assert {kind.__name__ for kind in every} == {kind.__name__ for kind in codes().values()}
    assert len({kind.code for kind in every}) == len(every)
    assert all(len(explain(code).splitlines()) > 2 for code in codes())
