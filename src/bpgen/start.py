"""The model file that `bpgen new` writes: a zoo model to change."""

from __future__ import annotations

import re
from importlib.resources import files

from bpgen.errors import NameSyntaxError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
_DEFAULT = "digits_mlp"


def starter(name: str) -> str:
    """Return the text of the zoo model `name`; for any other name digits_mlp, titled so.

    Errors: NameSyntaxError if `name` could not stand in a docstring.
    """
    if not _NAME.match(name):
        raise NameSyntaxError(
            f"{name!r} cannot name a model",
            rule="A name is a letter, then letters, digits, `_` and `-`.",
            way_out="Choose such a name, or that of a zoo model.",
        )
    zoo = files("bpgen") / "zoo"
    own = zoo / f"{name}.py"
    if own.is_file():
        return own.read_text(encoding="utf-8")
    text = (zoo / f"{_DEFAULT}.py").read_text(encoding="utf-8")
    return text.replace('"""', f'"""{name}: ', 1)
