"""The one door to Jinja: a view and the templates give the text of a file."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import jinja2

from bpgen.emit.view import ModuleView


def templates() -> Path:
    """Return the folder of the templates: in the wheel, or at the top of a checkout."""
    inside = Path(__file__).resolve().parents[1] / "templates"
    return inside if inside.is_dir() else Path(__file__).resolve().parents[3] / "templates"


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """Return the environment: undefined names are errors, nothing is escaped, no filter is ours."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  the text is Python, and only checked names reach it
    )


def render(target: str, view: ModuleView) -> str:
    """Return the module that `view` describes, with at most two empty lines in a row."""
    text = environment().get_template(f"{target}/module.py.jinja").render(view=view)
    return re.sub(r"\n{4,}", "\n\n\n", re.sub(r"[ ]+\n", "\n", text)).strip() + "\n"
