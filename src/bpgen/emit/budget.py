"""A bound on memory: what the backward pass computes again so that a step of training keeps it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from bpgen.emit.functions import Functions
from bpgen.emit.layout import Memory
from bpgen.emit.workspaces import Workspaces
from bpgen.emit.wrap import WIDTH
from bpgen.errors import OptionError
from bpgen.ir.program import Program, steps_of
from bpgen.lower import in_memory
from bpgen.lower.again import Origin, candidates, cost
from bpgen.lower.held import buffers
from bpgen.lower.lives import TRAINING, lives
from bpgen.lower.turns import by_turns, inward
from bpgen.lower.workspace import Workspace
from bpgen.spell import FormulaSpeller, order_of

_TRIED = 8  # tensors that are tried for each one that is chosen


@dataclass(frozen=True, slots=True)
class Budget:
    """The most bytes that a step of training may take, in float32, and for how many examples."""

    bytes: int
    batch: int = 64


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


def within(program: Program, budget: Budget, measured: Callable[[Program], Workspace]) -> Program:
    """Return `program`, which computes so much again that a step of training keeps the budget.

    `measured` is the memory that a target needs for it.
    Errors: OptionError if the least memory that was found is more.
    """
    program = inward(program)
    found = _chosen(program, budget, lambda p: measured(p).bytes(budget.batch))
    origins = candidates(program)
    return replace(program, again=tuple(name for name in origins if name in found))


def computed_again(program: Program, *, is_timed: bool) -> tuple[str, ...]:
    """Return what a module says of a backward pass that computes again what it does not keep.

    `is_timed` if what a core does in a nanosecond says how long that takes.
    """
    if not program.again:
        return ()
    again = (s for s in steps_of(program.backward) if s.equation.out.name in program.again)
    parts = program.forward + program.loss + program.advance + program.backward
    extra = cost(program, again, 1)
    share = extra.time / (cost(program, steps_of(parts), 1).time - extra.time)
    told = (
        f"To save memory `backward` computes again {', '.join(program.again)}: "
        f"{extra.multiply_adds:,} multiply-adds and {extra.bytes:,} bytes moved for each example"
    )
    told += f", about {100 * share:.0f} % of the time of a step." if is_timed else "."
    return ("", *textwrap.wrap(told, WIDTH))


def _chosen(program: Program, budget: Budget, measure: Callable[[Program], int]) -> set[str]:
    """Choose tensors by what they save for their time, until `measure` keeps the budget."""
    origins = candidates(program)
    chosen: set[str] = set()
    least = taken = measure(program)
    while taken > budget.bytes:
        name = _next(program, origins, chosen, budget.batch)
        if name is None:
            raise OptionError(
                f"a step of training needs more memory than {budget.bytes:,} bytes",
                disagree=f"{least:,} bytes for {budget.batch} examples is the least that was found",
                rule="What the backward pass reads is saved, or computed again from what is saved.",
                way_out="Give more memory, or a smaller batch by --batch.",
            )
        chosen.add(name)
        taken = measure(replace(program, again=tuple(sorted(chosen))))
        least = min(least, taken)
    return chosen


def _next(
    program: Program, origins: Mapping[str, Origin], chosen: Collection[str], batch: int
) -> str | None:
    """Return the tensor that saves most at the worst time, for the time it takes."""

    def worst(names: Collection[str]) -> tuple[int, dict[str, int]]:
        return _worst(by_turns(replace(program, again=tuple(sorted(names)))), batch)

    before, sizes = worst(chosen)
    times = {n: cost(program, (origins[n].step,), batch).time for n in sizes if n in origins}
    waiting = sorted((n for n in times if n not in chosen), key=lambda n: (-sizes[n] / times[n], n))
    gains = {n: (before - worst({*chosen, n})[0]) / times[n] for n in waiting[:_TRIED]}
    return max(gains, key=lambda n: gains[n], default=None)


def _worst(program: Program, batch: int) -> tuple[int, dict[str, int]]:
    """Return what the tensors of the worst time take, all together and each by its name."""
    needed: dict[int, dict[str, int]] = {}
    for buffer in buffers(program, lives(program, TRAINING)):
        size = buffer.piece(()).bytes(buffer.rows(()), batch)
        for time in (time for life in buffer.lives for time in life):
            needed.setdefault(time, {})[buffer.name] = size
    worst = max(needed.values(), key=lambda sizes: sum(sizes.values()))
    return sum(worst.values()), worst
