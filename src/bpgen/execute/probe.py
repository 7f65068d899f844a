"""An emitted module under examination: its gradient, and what lies in its memory after both passes.

Everything is asked through `loss_and_grad`. Its `backward` is watched meanwhile, for the workspace
that it is given is what the module computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bpgen.execute.load import Emitted as Module

Array = NDArray[Any]
Arrays = Mapping[str, Array]
_GRADIENT = "d_"


@dataclass(frozen=True, slots=True)
class Probe:
    """A module, the names of the noise that it draws, and the dtype that it is run in."""

    net: Module
    noise: Sequence[str]
    dtype: str

    def gradient(self, params: Arrays, batch: Arrays) -> tuple[float, dict[str, Array]]:
        """Return the loss and the gradient, by parameter."""
        loss, grads = self._run(params, batch)
        return loss, {name: _on_host(getattr(grads, name)) for name in self.net.PARAMETERS}

    def inside(self, params: Arrays, batch: Arrays) -> dict[str, Array]:
        """Return every array of the workspace by name, and the gradient as `d_` and the parameter.

        With complex parameters the loss is among them to its last bit.
        """
        seen: list[Any] = []
        module: Any = self.net
        backward = module.backward

        def watched(*arguments: Any) -> None:
            backward(*arguments)
            seen.extend(arguments)

        module.backward = watched
        try:
            self._run(params, batch)
        except TypeError:
            # A complex loss has no float; the workspace holds it.
            if not seen or np.dtype(self.dtype).kind != "c":
                raise
        finally:
            module.backward = backward
        workspace = next(a for a in seen if isinstance(a, module.Workspace))
        grads = next(a for a in seen if isinstance(a, module.Grads))
        found = {n: _on_host(v) for n, v in vars(workspace).items() if hasattr(v, "dtype")}
        return found | {f"{_GRADIENT}{n}": _on_host(getattr(grads, n)) for n in module.PARAMETERS}

    def _run(self, params: Arrays, batch: Arrays) -> tuple[float, Any]:
        known = {**batch, **params}
        stored = (*self.net.PARAMETERS, *getattr(self.net, "KEPT", ()))
        flat = np.concatenate([np.ravel(known[name]) for name in stored]).astype(self.dtype)
        given = {name: batch[name] for name in self.net.INPUTS}
        noise = {"noise": {name: batch[name] for name in self.noise}} if self.noise else {}
        cupy = getattr(self.net, "cp", None)
        vector = flat if cupy is None else cupy.asarray(flat)
        return self.net.loss_and_grad(self.net.Params(vector), **given, **noise)


def _on_host(array: Any) -> Array:
    """Return an array, copied from the device if it lies there."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.get())
