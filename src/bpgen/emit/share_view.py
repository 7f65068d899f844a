"""How an emitted trainer shares a batch among threads, if the examples allow it."""

from __future__ import annotations

import textwrap
from typing import Any

from bpgen.emit.wrap import WIDTH, arguments
from bpgen.ir.network import Network
from bpgen.ir.tensor import Role
from bpgen.lower.share import Coupling, shares_of

_INIT = "    def __init__() -> None:"
_ARGS = ("self", "params: Params", "batch: int = 64", "seed: int = 0")
_SHARED = (
    "`threads` share each batch, each with memory of its own: this pays where a step takes "
    "milliseconds. The same number of threads gives the same bits."
)


def share_fields(network: Network) -> dict[str, Any]:
    """Return the strings by which the templates write threads; `share` is empty without them."""
    found = shares_of(network)
    noise = bool(network.of_role(Role.NOISE))
    abstract = ["Callable", "Iterator", *(["Sequence"] if noise else [])]
    if isinstance(found, Coupling):
        why = f"{found.equation.out.name}, {found.reason}"
        told = f"One thread has a whole batch, for its examples are coupled: {why}."
        return {
            "share": "",
            "abstract": ", ".join(abstract),
            "trainer_doc": tuple(textwrap.wrap(told, WIDTH)),
            "trainer_args": arguments(_INIT, _ARGS),
            "team_args": "",
            "team_call": "",
        }
    drawn = ["self.seed", "self.steps"] if noise else []
    return {
        "share": _weight(found.power),
        "abstract": ", ".join(abstract),
        "trainer_doc": tuple(textwrap.wrap(_SHARED, WIDTH)),
        "trainer_args": arguments(_INIT, [*_ARGS, "threads: int = 1"]),
        "team_args": "seed: int, step: int, " if noise else "",
        "team_call": ", ".join(["p", *drawn, *(t.name for t in network.inputs)]),
    }


def _weight(power: int) -> str:
    """Return the weight of a part in Python."""
    match power:
        case 0:
            return "1.0"
        case 1:
            return "len(rows) / N"
        case _:
            return f"(len(rows) / N) ** {power}"
