"""Check a model as it ships: its formulas, and the modules emitted from them in both precisions."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bpgen.execute.load import Emitted as Module
from bpgen.execute.load import load_module
from bpgen.ir.derivation import Derivation
from bpgen.ir.network import Network
from bpgen.ir.tensor import Role
from bpgen.verify import Emitted, Verdict, check

_DTYPES = ("float64", "float32")


def checked(
    network: Network,
    derivation: Derivation,
    source: Callable[[Derivation, str, str], str],
    *,
    seed: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Verdict:
    """Return the verdict on `derivation` and the modules of `source(derivation, target, dtype)`.

    Where the proof is at reduced extents, a module is emitted at these too.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def emitted(of: Derivation, stem: str) -> list[Emitted]:
            return [_emitted(of.source, source(of, "numpy", d), folder / stem, d) for d in _DTYPES]

        return check(
            network,
            derivation,
            seed=seed,
            emitted=emitted(derivation, network.name),
            emitted_from=lambda small: emitted(small, f"{network.name}_reduced"),
            progress=progress or (lambda stage: None),
        )


def _emitted(network: Network, text: str, stem: Path, dtype: str) -> Emitted:
    path = stem.with_name(f"{stem.name}_{dtype}.py")
    path.write_text(text, encoding="utf-8")
    return Emitted(f"numpy {dtype}", dtype, gradient_of(load_module(path), network, dtype))


def gradient_of(
    net: Module, network: Network, dtype: str
) -> Callable[
    [Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]]], tuple[float, dict[str, NDArray[Any]]]
]:
    """Return the gradient of an emitted module as a function of named arrays, noise included."""
    noise_names = [t.name for t in network.of_role(Role.NOISE)]
    stored = [t.name for t in (*network.parameters, *network.kept)]

    def gradient(
        params: Mapping[str, NDArray[Any]], batch: Mapping[str, NDArray[Any]]
    ) -> tuple[float, dict[str, NDArray[Any]]]:
        known = {**batch, **params}
        flat = np.concatenate([np.ravel(known[name]) for name in stored]).astype(dtype)
        given = {name: batch[name] for name in net.INPUTS}
        noise = {"noise": {name: batch[name] for name in noise_names}} if noise_names else {}
        loss, grads = net.loss_and_grad(net.Params(flat), **given, **noise)
        return loss, {name: getattr(grads, name) for name in net.PARAMETERS}

    return gradient
