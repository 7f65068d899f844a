"""The long form of an error code: the docstring of the class that carries it."""

from __future__ import annotations

import inspect

from bpgen import errors
from bpgen.errors import BpgenError, UnknownNameError, nearest


def codes() -> dict[str, type[BpgenError]]:
    """Return every kind of mistake by its code, in order."""
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    kinds = [k for k in classes if issubclass(k, BpgenError) and k is not BpgenError]
    return {kind.code: kind for kind in sorted(kinds, key=lambda kind: kind.code)}


def explain(code: str) -> str:
    """Return what `code` stands for, why it is a mistake, and what to do.

    Errors: UnknownNameError if no mistake has this code.
    """
    known = codes()
    if code.upper() not in known:
        raise UnknownNameError(f"no mistake has the code {code}", way_out=nearest(code, known))
    kind = known[code.upper()]
    return f"{kind.code} {kind.__name__}, exit status {kind.exit_status}\n\n{inspect.getdoc(kind)}"
