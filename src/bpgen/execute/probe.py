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
from bpgen.execute.watch import GRADIENT, on_host, watched

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
        return loss, {name: on_host(getattr(grads, name)) for name in self.net.PARAMETERS}

    def inside(
        self,
        params: Arrays,
        batch: Arrays,
        axes: Mapping[str, Sequence[str]],
        lying: Mapping[str, Sequence[str]],
    ) -> dict[str, Array]:
        """Return the tensors `axes`, each with its indices, and the gradient as `d_` and its name.

        `lying` are the axes of their buffers, in the order that they have in memory.
        With complex parameters the loss is among them to its last bit.
        """
        module: Any = self.net
        if hasattr(module, "cp"):  # there axes lie as they are declared
            lying = {n: [a for a in axes[n] if a in lying.get(n, axes[n])] for n in axes}
        gradient: dict[str, Array] = {}
        with watched(module) as found:
            try:
                _, grads = self._run(params, batch)
                own = {n: on_host(getattr(grads, n)) for n in module.PARAMETERS}
                gradient = {f"{GRADIENT}{n}": array for n, array in own.items()}
            except TypeError:
                # A complex loss has no float; a buffer holds it.
                if not found or np.dtype(self.dtype).kind != "c":
                    raise
        return {
            name: found[name].whole(own, lying.get(name))
            for name, own in axes.items()
            if name in found
        } | gradient

    def _run(self, params: Arrays, batch: Arrays) -> tuple[float, Any]:
        known = {**batch, **params}
        stored = (*self.net.PARAMETERS, *getattr(self.net, "KEPT", ()))
        flat = np.concatenate([np.ravel(known[name]) for name in stored]).astype(self.dtype)
        given = {name: batch[name] for name in self.net.INPUTS}
        noise = {"noise": {name: batch[name] for name in self.noise}} if self.noise else {}
        cupy = getattr(self.net, "cp", None)
        vector = flat if cupy is None else cupy.asarray(flat)
        return self.net.loss_and_grad(self.net.Params(vector), **given, **noise)
