"""Emission: a program as a file that a person would be glad to have written.

In: `ir.Program`. Out: the text of a module. True at the door: the text parses, imports only what
the target needs, holds no eval, exec or dunder access, and is the same for the same input.

Logic is in Python (`view` makes every string final), shape is in Jinja (`render`).
"""

from collections.abc import Callable
from dataclasses import replace

from bpgen.emit.audit import audited
from bpgen.emit.budget import within
from bpgen.emit.cupy_view import view_of as cupy_view_of
from bpgen.emit.numpy_view import view_of as numpy_view_of
from bpgen.emit.render import render
from bpgen.emit.view import ModuleView
from bpgen.errors import OptionError, TargetError
from bpgen.ir.program import Bound, Program, steps_of

__all__ = ["TARGETS", "bounded", "module"]

TARGETS: dict[str, Callable[..., ModuleView]] = {
    "numpy": numpy_view_of,
    "cupy": cupy_view_of,
}


def module(
    program: Program,
    declared_in: str,
    *,
    target: str = "numpy",
    dtype: str = "float32",
    precision: str = "fp32",
    memory: int | None = None,
    batch: int | None = None,
) -> str:
    """Return the text of the module that trains `program`, declared in the file `declared_in`.

    `precision` is that of products of matrices on a GPU: fp32, tf32, or bf16, in which what they
    read is stored, too. What a step does in which order is chosen for `batch` examples (64); with
    `memory` it keeps its buffers within so many bytes then.
    Errors: OptionError for a target or a dtype that does not exist, or a precision that the target
    has not; TargetError for a function the target lacks, or outputs that no input reaches.
    """
    if target not in TARGETS:
        raise OptionError(f"unknown target {target!r}", way_out=f"One of {', '.join(TARGETS)}.")
    if program.hessian is not None and target != "numpy":
        raise TargetError(
            f"{target} modules have no products with the Hessian yet",
            way_out="Leave out --with hvp, or take --target numpy.",
        )
    if precision != "fp32" and (target != "cupy" or dtype != "float32"):
        raise OptionError(
            f"{precision} is no precision of {target} modules in {dtype}",
            rule="On a GPU, products of float32 may be rounded to tf32 or bf16.",
            way_out="Leave out --precision, or take --target cupy --dtype float32.",
        )
    _check_batch(program)
    program = replace(program, batch=batch or program.batch)
    if memory is not None:
        program = bounded(program, target, Bound(memory, program.batch))
    options = {} if precision == "fp32" else {"precision": precision}
    return audited(render(target, TARGETS[target](program, declared_in, dtype, **options)))


def bounded(program: Program, target: str, bound: Bound) -> Program:
    """Return `program`, which computes so much again that a step of training keeps `bound`.

    Errors: TargetError if the target keeps none; OptionError if the least memory is more.
    """
    if target != "numpy":
        raise TargetError(
            f"{target} modules keep no bound on memory yet",
            way_out="Leave out --memory, or take --target numpy.",
        )
    return within(program, bound)


def _check_batch(program: Program) -> None:
    """Refuse outputs that no input reaches: nothing says how many examples they are for."""
    steps = steps_of(program.predict or program.forward)
    read = {name for s in steps for name in s.equation.reads()}
    if not any(t.name in read for t in program.network.inputs):
        outputs = ", ".join(f"`{name}`" for name in program.network.outputs) or "the loss"
        raise TargetError(
            "a model whose outputs depend on no input has no module",
            disagree=f"no input reaches {outputs}",
            rule="A module predicts for a batch of what the model is given.",
            way_out="Declare an input by bp.input, and compute an output from it.",
        )
