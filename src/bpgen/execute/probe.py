"""An emitted module under examination: its gradient, and what it computes on the way.

Everything is asked through `loss_and_grad`, which is watched meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bpgen.execute.load import Emitted as Module
from bpgen.execute.watch import GRADIENT, watched

Array = NDArray[Any]
Arrays = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Probe:
    """A module, the names of the noise that it draws, and the dtype that it is run in."""

    net: Module
    noise: Sequence[str]
    dtype: str

    def gradient(self, params: Arrays, batch: Arrays) -> tuple[float, dict[str, Array]]:
        """Return the loss and the gradient, by parameter."""
        loss, grads = self._run(params, batch)
        return loss, {name: getattr(grads, name) for name in self.net.PARAMETERS}

    def inside(
        self, params: Arrays, batch: Arrays, axes: Mapping[str, Sequence[str]]
    ) -> dict[str, Array]:
        """Return the tensors `axes`, each with its indices, and the gradient as `d_` and its name.

        With complex parameters the loss is among them to its last bit.
        """
        module: Any = self.net
        gradient: dict[str, Array] = {}
        with watched(module) as found:
            try:
                _, grads = self._run(params, batch)
                gradient = {f"{GRADIENT}{n}": getattr(grads, n) for n in module.PARAMETERS}
            except TypeError:
                # A complex loss has no float; a buffer holds it.
                if not found or np.dtype(self.dtype).kind != "c":
                    raise
        return {
            name: found[name].whole(own) for name, own in axes.items() if name in found
        } | gradient

    def _run(self, params: Arrays, batch: Arrays) -> tuple[float, Any]:
        known = {**batch, **params}
        stored = (*self.net.PARAMETERS, *getattr(self.net, "KEPT", ()))
        flat = np.concatenate([np.ravel(known[name]) for name in stored]).astype(self.dtype)
        given = {name: batch[name] for name in self.net.INPUTS}
        noise = {"noise": {name: batch[name] for name in self.noise}} if self.noise else {}
        return self.net.loss_and_grad(self.net.Params(flat), **given, **noise)
