"""Edits of an emitted module, one at a time, as a hand would make them.

Source: R. A. DeMillo, R. J. Lipton & F. G. Sayward 1978, Hints on test data selection.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SWAPS = {
    "add": "subtract",
    "subtract": "add",
    "multiply": "divide",
    "divide": "multiply",
    "exp": "tanh",
    "tanh": "exp",
    "maximum": "minimum",
    "log": "exp",
    "greater": "less",
}
ORDERED = {"subtract", "divide", "dot", "matmul", "greater", "less"}
PASSES = {"forward", "add_loss", "backward"}
TINY = 1e-3


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: its kind, what stands there now, where, in which pass, and the whole text."""

    operator: str
    what: str
    line: int
    within: str
    text: str


def edits(text: str) -> Iterator[Edit]:
    """Yield the module with one edit in one of both passes, for every edit there is."""
    functions = [f for f in ast.parse(text).body if isinstance(f, ast.FunctionDef)]
    for function in (f for f in functions if f.name in PASSES):
        for node in ast.walk(function):
            if getattr(node, "end_lineno", 0) == getattr(node, "lineno", 1):
                for operator, new in _changes(node):
                    line = node.lineno  # type: ignore[attr-defined]  # one with a line
                    yield Edit(operator, new, line, function.name, _put(text, node, new))


def _changes(node: ast.AST) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Attribute(value=ast.Name(id="np"), attr=name) if name in SWAPS:
            yield "another function", f"np.{SWAPS[name]}"
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            yield from _constants(value)
        case ast.Attribute(value=inner, attr="T"):
            yield "transpose dropped", ast.unparse(inner)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield "sign dropped", ast.unparse(operand)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr=name), args=[a, b, *rest]):
            if name in ORDERED and ast.unparse(a) != ast.unparse(b):
                swapped = ast.Call(node.func, [b, a, *rest], node.keywords)
                yield "operands exchanged", ast.unparse(swapped)
        case ast.Expr(value=ast.Call()):
            yield "statement dropped", "pass"


def _constants(value: float) -> Iterator[tuple[str, str]]:
    if 0 < value < TINY:
        yield "eps dropped", "0"
        yield "eps changed", repr(value / 10)
        return
    yield "constant + 1", repr(value + 1)
    if isinstance(value, float):
        yield "off by 1e-6", repr(value * (1 + 1e-6))


def _put(text: str, node: Any, new: str) -> str:
    lines = text.splitlines(keepends=True)
    line = lines[node.lineno - 1].encode()
    line = line[: node.col_offset] + new.encode() + line[node.end_col_offset :]
    return "".join([*lines[: node.lineno - 1], line.decode(), *lines[node.lineno :]])
