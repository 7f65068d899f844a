"""Edits of an emitted module, one at a time, as a hand would make them.

Source: R. A. DeMillo, R. J. Lipton & F. G. Sayward 1978, Hints on test data selection.
"""

import ast

SWAPS = {
    "add": "subtract",
    "subtract": "add",
    "multiply": "divide",
    "divide": "multiply",
    "exp": "tanh",
    "tanh": "exp",
    "maximum": "minimum",
    "log": "exp",
}
PASSES = {"forward", "add_loss", "backward"}


def edits(text):
    """Yield what was done, the line, and the text of the module with one edit in both passes."""
    passes = [f for f in ast.parse(text).body if getattr(f, "name", "") in PASSES]
    for node in (n for f in passes for n in ast.walk(f)):
        if getattr(node, "end_lineno", 0) != getattr(node, "lineno", 1):
            continue
        match node:
            case ast.Attribute(value=ast.Name(id="np"), attr=name) if name in SWAPS:
                yield f"np.{SWAPS[name]}", node.lineno, _put(text, node, f"np.{SWAPS[name]}")
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                yield f"{value + 1}", node.lineno, _put(text, node, repr(value + 1))
            case ast.Attribute(value=inner, attr="T"):
                yield "no .T", node.lineno, _put(text, node, ast.unparse(inner))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                yield "no sign", node.lineno, _put(text, node, ast.unparse(operand))
            case ast.Expr(value=ast.Call()):
                yield "no statement", node.lineno, _put(text, node, "pass")


def _put(text, node, new):
    lines = text.splitlines(keepends=True)
    line = lines[node.lineno - 1].encode()
    line = line[: node.col_offset] + new.encode() + line[node.end_col_offset :]
    return "".join([*lines[: node.lineno - 1], line.decode(), *lines[node.lineno :]])
