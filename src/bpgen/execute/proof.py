"""Check a model as it ships: its formulas, and the modules emitted from them in both precisions."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bpgen.execute.load import Emitted as Module
from bpgen.execute.load import load_module
from bpgen.execute.probe import Probe
from bpgen.execute.promotion import promotion
from bpgen.ir.derivation import Derivation
from bpgen.ir.network import Network
from bpgen.ir.tensor import Role
from bpgen.verify import Emitted, Verdict, check

Arrays = Mapping[str, NDArray[Any]]
Gradient = Callable[[Arrays, Arrays], tuple[float, dict[str, NDArray[Any]]]]
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
    probe = probe_of(load_module(path), network, dtype)

    def drift(params: Arrays, batch: Arrays) -> str:
        found = promotion(probe, text, params, batch)
        return "" if found is None else str(found)

    return Emitted(f"numpy {dtype}", dtype, probe.gradient, drift)


def gradient_of(net: Module, network: Network, dtype: str) -> Gradient:
    """Return the gradient of an emitted module as a function of named arrays, noise included."""
    return probe_of(net, network, dtype).gradient


def probe_of(net: Module, network: Network, dtype: str) -> Probe:
    """Return an emitted module under examination, noise included."""
    return Probe(net, tuple(t.name for t in network.of_role(Role.NOISE)), dtype)
