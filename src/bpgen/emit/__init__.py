"""Emission: a program as a file that a person would be glad to have written.

In: `ir.Program`. Out: the text of a module. True at the door: the text parses, imports only what
the target needs, holds no eval, exec or dunder access, and is the same for the same input.

Logic is in Python (`view` makes every string final), shape is in Jinja (`render`).
"""

from bpgen.emit.audit import audited
from bpgen.emit.numpy_view import view_of
from bpgen.emit.render import render
from bpgen.ir.program import Program

__all__ = ["module"]


def module(
    program: Program, declared_in: str, *, target: str = "numpy", dtype: str = "float32"
) -> str:
    """Return the text of the module that trains `program`, declared in the file `declared_in`.

    Errors: OptionError for a target or a dtype that does not exist; TargetError for a function the
    target lacks.
    """
    return audited(render(target, view_of(program, declared_in, dtype)))
