"""Whether a result may lie where an operand does that is read for the last time: from the code.

It may if nothing of the operand is read once a part of the result is written. An entry-by-entry
function may write what it reads, if it reads each entry where it writes it.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator

import numpy as np

_OWN = ("erf",)  # functions of the emitted module that work entry by entry


def is_in_place(lines: Iterable[str], out: str, operand: str, aliases: Collection[str]) -> bool:
    """Whether code is right if the arrays `out` and `operand`, as it calls them, are the same.

    `aliases` are other names of the operand's memory: views of it.
    """
    written = False
    for node in _statements(ast.parse("\n".join(lines)).body):
        names = {ast.unparse(n) for n in ast.walk(node) if isinstance(n, ast.Attribute)}
        first = not written and out in names
        written = written or first
        if not written:
            continue
        if not names.isdisjoint(aliases):
            return False
        if operand in names and not (first and _is_entry_by_entry(node, out, operand)):
            return False
    return written


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield simple statements in order; a condition has none but numbers of turns."""
    for node in body:
        if isinstance(node, ast.If):
            yield from _statements((*node.body, *node.orelse))
        else:
            yield node


def _is_entry_by_entry(node: ast.stmt, out: str, operand: str) -> bool:
    """Whether a call writes `out` entry by entry, each from the same entry of `operand`."""
    match node:
        case ast.Expr(ast.Call(func, arguments, [ast.keyword("out", target)])):
            same = ast.unparse(target).replace(out, operand, 1)
            others = [a for a in arguments if ast.unparse(a) != same]
            reads = {ast.unparse(n) for a in others for n in ast.walk(a)}
            is_whole = ast.unparse(target) == out or ast.unparse(target).startswith(f"{out}[")
            return is_whole and _is_ufunc(func) and reads.isdisjoint({operand, out})
        case _:
            return False


def _is_ufunc(func: ast.expr) -> bool:
    match func:
        case ast.Name(name):
            return name in _OWN
        case ast.Attribute(ast.Name("np"), name):
            found = getattr(np, name, None)
            return isinstance(found, np.ufunc) and found.signature is None
        case _:
            return False
