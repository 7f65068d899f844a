"""Parameters that a model keeps as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bpgen.declare.variable import Variable, here
from bpgen.errors import FrozenError, LossError, nearest
from bpgen.ir.tensor import Role


def frozen_names(
    frozen: Sequence[str], parameters: Sequence[Variable], names: Mapping[int, str]
) -> frozenset[str]:
    """Return the names of the parameters that are not trained.

    They are those declared so, and those that `frozen` names: `fc1_W`, or `fc1` for all of `fc1_…`.
    Errors: FrozenError for a name that no parameter has; LossError if none is left to train.
    """
    every = [names[v.serial] for v in parameters]
    found = {names[v.serial] for v in parameters if v.tensor.role is Role.FROZEN}
    layers = {name[:k] for name in every for k, c in enumerate(name) if c == "_"}
    for wish in [frozen] if isinstance(frozen, str) else frozen:
        fitting = {name for name in every if name == wish or name.startswith(f"{wish}_")}
        if not fitting:
            raise FrozenError(
                f"no parameter is called `{wish}`, and none `{wish}_…`",
                where=here(),
                rule="`frozen` names parameters, or layers by their `name=`.",
                way_out=nearest(wish, sorted({*every, *layers})),
            )
        found |= fitting
    if len(found) == len(every):
        raise LossError(
            "every parameter is frozen",
            where=here(),
            disagree=", ".join(every),
            rule="A gradient is taken by parameters: without one, nothing can be trained.",
            way_out="Leave one of them out of `frozen`.",
        )
    return frozenset(found)
