"""A bound on memory: what the backward pass computes again so that a step of training keeps it."""

from __future__ import annotations

from dataclasses import replace

from bpgen.cost import BATCH, Sizes, seconds
from bpgen.emit.functions import Functions
from bpgen.emit.layout import Memory
from bpgen.emit.workspaces import Workspaces
from bpgen.errors import OptionError
from bpgen.ir.program import Bound, Program
from bpgen.lower import in_memory
from bpgen.lower.again import candidates
from bpgen.lower.savings import Needs, Plan
from bpgen.lower.turns import inward
from bpgen.lower.workspace import Workspace
from bpgen.spell import FormulaSpeller, order_of

_FEW = 12  # names in a sentence
_FINEST = 64  # parts of all memory: how near the least is found


def workspace(program: Program) -> Workspace:
    """Return the memory of a step of training, as the numpy module of `program` has it."""
    return written(program).training()


def written(program: Program) -> Workspaces:
    """Return the functions of the numpy module of `program`, and what they compute in."""
    program = in_memory(program)
    memory, speller = Memory.of(program), FormulaSpeller(order_of(program.tensors.values()))
    functions = Functions.of(program, memory, speller)
    functions.views()
    return Workspaces(program, memory, speller, functions)


def said_of_bound(program: Program) -> str:
    """Return the bound on memory, and what `backward` computes again for it, as a sentence."""
    bound, again = program.bound, program.again
    if bound is None:
        return ""
    told = f"Memory bounded to {_amount(bound.bytes)} for {bound.batch} examples: "
    if not again:
        return f"{told}nothing has to be computed again."
    names = ", ".join(again[:_FEW]) + (f" and {len(again) - _FEW} more" if again[_FEW:] else "")
    return f"{told}recomputes {names}; about {100 * price(program):.2g} % more time a step."


def _amount(size: int) -> str:
    """Return a number of bytes as an option takes it: 64 MB."""
    units = {"GB": 10**9, "MB": 10**6, "kB": 10**3, "B": 1}
    unit = next(unit for unit, least in units.items() if size >= least or least == 1)
    return f"{size / units[unit]:g} {unit}"


def price(program: Program) -> float:
    """Return how much longer a step takes, in parts of it, by what it computes again."""
    sizes = Sizes.of(program, program.bound.batch if program.bound else BATCH)
    longer, plain = (
        seconds((*p.forward, *p.loss, *p.advance, *p.backward, *p.update), sizes)
        for p in map(in_memory, (program, replace(program, again=())))
    )
    return longer / plain - 1


def within(program: Program, bound: Bound) -> Program:
    """Return `program`, which computes so much again that a step of training keeps the bound.

    Errors: OptionError if the least memory that was found is more.
    """
    program = replace(inward(program), bound=bound)
    needs = Needs.of(program, bound.batch)
    found, plan = program, needs.plan()
    most = plan.peak
    while (taken := _taken(found)) > bound.bytes:
        # Buffers with places take more than they need at the worst time: so much less is left.
        most = min(most, plan.peak) - (taken - bound.bytes)
        more = needs.within(plan, most)
        if more is None:
            return _least(program, needs)
        plan, found = more, _again(program, more)
    return found


def _least(program: Program, needs: Needs) -> Program:
    """Return the program that takes least memory of all that are found, if it keeps the bound."""
    first = least = needs.plan()
    low, high = 0, first.peak
    while high - low > first.peak // _FINEST:
        middle = (low + high) // 2
        plan = needs.within(first, middle)
        low, high, least = (middle, high, least) if plan is None else (low, middle, plan)
    found, bound = _again(program, least), program.bound
    assert bound is not None, "there is a bound to keep"
    if _taken(found) <= bound.bytes:
        return found
    raise OptionError(
        f"a step of training needs more memory than {bound.bytes:,} bytes",
        disagree=f"{_taken(found):,} bytes for {bound.batch} examples is the least that was found",
        rule="What the backward pass reads is saved, or computed again from what is saved.",
        way_out="Give more memory, or a smaller batch by --batch.",
    )


def _again(program: Program, plan: Plan) -> Program:
    """Return `program` with what `plan` computes again, in the order of the forward pass."""
    return replace(program, again=tuple(name for name in candidates(program) if name in plan.again))


def _taken(program: Program) -> int:
    assert program.bound is not None, "a bound is for some examples"
    return workspace(program).bytes(program.bound.batch)
