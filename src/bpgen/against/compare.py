"""Run a model's calls in a framework; compare every tensor, and the gradient if all is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bpgen.against.framework import Framework, Tensors
from bpgen.against.replay import Block, Computed, replayed, value_of
from bpgen.against.truth import Truth, truth
from bpgen.verify.numbers import Array
from bpgen.verify.rounding import distance

# A framework's own function may take another way to the same number.
_OTHER_WAY = 64
_GRADIENT = "gradient"


@dataclass(frozen=True, slots=True)
class Part:
    """One call: what it made, how far the framework is from it, and what rounding explains."""

    entry: str
    tensor: str
    error: float | None
    limit: float = 0.0

    @property
    def agrees(self) -> bool | None:
        """Whether the framework agrees; None if it has no counterpart."""
        return None if self.error is None else self.error <= self.limit

    def __str__(self) -> str:
        if self.error is None:
            return f"{self.entry}  {self.tensor}: no counterpart"
        text = f"{self.entry}  {self.tensor}: off by {self.error:.1e} of its size"
        return text if self.agrees else f"{text}; rounding explains {self.limit:.1e}"


@dataclass(frozen=True, slots=True)
class Against:
    """The comparison of one model with one framework.

    `borrowed` are the tensors between the inputs and the loss that the equations gave.
    """

    framework: str
    network: str
    seed: int
    parts: tuple[Part, ...]
    borrowed: tuple[str, ...]

    @property
    def chained(self) -> bool:
        """Whether the framework computes the loss from the inputs alone."""
        return not self.borrowed

    @property
    def verdict(self) -> str:
        """Return REFUTED if any part disagrees, UNDECIDED if none could be compared."""
        if any(p.agrees is False for p in self.parts):
            return "REFUTED"
        return "VERIFIED" if any(p.agrees for p in self.parts) else "UNDECIDED"

    def __str__(self) -> str:
        """Return the verdict, then one line for each call."""
        calls = [p for p in self.parts if p.entry != _GRADIENT]
        compared = [p for p in calls if p.agrees is not None]
        title = f"the forward of {self.network} against {self.framework}, seed {self.seed}"
        counted = f"{len(compared)} of {len(calls)} calls have a counterpart"
        between = ", ".join(self.borrowed) or "no number of bpgen's"
        lines = [f"  {part}" for part in self.parts]
        chain = f"between the inputs and the loss: {between}"
        return "\n".join([f"{self.verdict:<9}  {title}", f"  {counted}; {chain}", *lines])

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as numbers, strings and lists."""
        parts = [
            {"entry": p.entry, "tensor": p.tensor, "error": p.error, "limit": p.limit}
            for p in self.parts
        ]
        return {
            "verdict": self.verdict,
            "framework": self.framework,
            "network": self.network,
            "seed": self.seed,
            "chained": self.chained,
            "borrowed": list(self.borrowed),
            "parts": parts,
        }


def against(name: str, framework: Framework, seed: int | None = None) -> Against:
    """Compare the model file `name` with `framework`, call by call, at a point `seed` draws."""
    return compared(truth(name, seed), framework)


def compared(known: Truth, framework: Framework) -> Against:
    """Compare a model with `framework`.

    A call reads what the framework computed for the calls before it; where one had no counterpart,
    the values that the equations give. The gradient is compared if there was none such.
    """
    parameters = {n: framework.tensor(v) for n, v in known.parameters.items()}
    found = tuple(replayed(framework, known.chain, parameters))
    loss = value_of(known.loss, found)
    borrowed = (known.loss,) if loss is None else tuple(sorted(loss.borrowed))
    parts = [_part(known, framework, call) for call in found]
    if not borrowed:
        parts += _gradients(known, framework, parameters)
    return Against(framework.NAME, known.network, known.seed, tuple(parts), borrowed)


def _part(known: Truth, framework: Framework, call: Computed) -> Part:
    if call.value is None:
        return Part(call.entry, _label(call.name, call.block), None)
    array = framework.array(call.value.tensor)
    return _measured(known, call.entry, call.name, array, call.block)


def _gradients(known: Truth, framework: Framework, parameters: Tensors) -> Iterator[Part]:
    """Compare the gradients with those of the framework's own differentiation."""

    def loss_of(given: Tensors) -> Any:
        loss = value_of(known.loss, replayed(framework, known.chain, given))
        assert loss is not None
        return loss.tensor

    _, slopes = framework.differentiated(loss_of, parameters)
    for name, array in slopes.items():
        yield _measured(known, _GRADIENT, known.gradient_of(name), array)


def _measured(known: Truth, entry: str, name: str, array: Array, block: Block = ()) -> Part:
    true = known.chain.values[name][block]
    size = float(np.abs(true).max(initial=0)) or 1.0
    error = distance(array, true) if array.shape == true.shape else float("inf")
    return Part(entry, _label(name, block), error / size, _OTHER_WAY * known.limits[name] / size)


def _label(name: str, block: Block) -> str:
    return f"{name}[{','.join(map(str, block))}]" if block else name
