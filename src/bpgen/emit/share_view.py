"""How an emitted trainer shares a batch among threads, if the examples allow it."""

from __future__ import annotations

import textwrap
from typing import Any

from bpgen.emit.layout import Memory
from bpgen.emit.wrap import WIDTH, arguments
from bpgen.ir.program import Program, steps_of
from bpgen.ir.tensor import Role
from bpgen.lower.lives import written
from bpgen.lower.share import Coupling, Shares

_INIT = "    def __init__() -> None:"
_ARGS = ("self", "params: Params", "batch: int = 64", "seed: int = 0")
_SHARED = (
    "`threads` share each batch, each with memory of its own{}: this pays where a step takes "
    "milliseconds. The same number of threads gives the same bits."
)
_MEETING = ", and meet where an example reads a sum over the batch"


def share_fields(program: Program, memory: Memory, found: Shares | Coupling) -> dict[str, Any]:
    """Return the strings by which the templates write threads; without `share` there are none."""
    network = program.network
    noise = bool(network.of_role(Role.NOISE))
    abstract = ", ".join(["Callable", "Iterator", *(["Sequence"] if noise else [])])
    largest, has_states = _largest_sum(program), bool(program.advance)
    if isinstance(found, Coupling):
        why = f"{found.equation.out.name}, {found.reason}"
        told = f"One thread has a whole batch, for its examples are coupled: {why}."
        return {
            "abstract": abstract,
            "share": False,
            "trainer_doc": tuple(textwrap.wrap(told, WIDTH)),
            "trainer_args": arguments(_INIT, _ARGS),
        }
    drawn = ["self.seed", "self.steps"] if noise else []
    blas, meeting = "self.one_thread_of_blas()", "self.meetings[len(batch[0])].attended(jobs)"
    return {
        "abstract": abstract,
        "share": True,
        "largest_sum": largest,
        "has_states": has_states,
        "trainer_doc": tuple(textwrap.wrap(_SHARED.format(_MEETING if largest else ""), WIDTH)),
        "trainer_args": arguments(_INIT, [*_ARGS, "threads: int = 1"]),
        "team_args": "seed: int, step: int, " if noise else "",
        "team_call": ", ".join(["p", *drawn, *(t.name for t in network.inputs)]),
        "team_context": f"{blas}, {meeting}" if largest else blas,
        "team_params": "self.params_of(p)" if has_states else "[p] * len(parts)",
        "part_weights": tuple(
            f"np.multiply({at}, a.N / a.BATCH, out={at})"
            for name, at in memory.names.items()
            if name in found.whole
        ),
    }


def _largest_sum(program: Program) -> str:
    """Return how many entries parts add where they meet, at most; nothing if they never do."""
    met = [written(s) for s in steps_of(program.computed) if s.meets]
    return str(max(t.entries for t in met)) if met else ""
