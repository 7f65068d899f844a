"""Look at every emitted module before it is written or run."""

from __future__ import annotations

import ast

from bpgen.errors import AuditError

_STANDARD = (
    "__future__ argparse collections.abc concurrent.futures contextlib contextvars functools math "
    "itertools os pathlib sys threading time types"
)
_ARRAYS = "numpy numpy.lib.stride_tricks cupy nvmath.bindings threadpoolctl"
_IMPORTS = frozenset(f"{_STANDARD} {_ARRAYS}".split())
_CALLS = frozenset(
    {"eval", "exec", "compile", "__import__", "globals", "locals", "setattr", "delattr", "input"}
)


def audited(text: str) -> str:
    """Return `text` if it is a module that bpgen may write.

    Errors: AuditError if it does not parse, imports anything but numpy, cupy and a few modules of
    the standard library, or calls what could run other code.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise AuditError(
            "the emitted module is not Python", disagree=f"line {error.lineno}: {error.msg}"
        ) from None
    for node in ast.walk(tree):
        finding = _finding(node)
        if finding:
            raise AuditError(
                "the emitted module holds what none may hold",
                disagree=f"line {getattr(node, 'lineno', 0)}: {finding}",
                rule="A name of the declaration has reached the code unchecked: "
                "this is a bug in bpgen.",
            )
    return text


def _finding(node: ast.AST) -> str:
    match node:
        case ast.Import(names=names):
            odd = [a.name for a in names if a.name not in _IMPORTS]
            return f"import of {odd[0]}" if odd else ""
        case ast.ImportFrom(module=module) if module not in _IMPORTS:
            return f"import from {module}"
        case ast.Call(func=ast.Name(id=name)) if name in _CALLS:
            return f"call of {name}"
        case ast.Attribute(attr=attr) if attr.startswith("__") and attr not in {
            "__init__",
            "__doc__",
        }:
            return f"access to {attr}"
        case _:
            return ""
