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
from bpgen.execute.on_device import load_on_device
from bpgen.execute.probe import Probe
from bpgen.execute.promotion import promotion
from bpgen.ir.derivation import Derivation
from bpgen.ir.network import Network
from bpgen.ir.tangent import Curvature
from bpgen.ir.tensor import Role
from bpgen.verify import Emitted, Second, Verdict, check, check_second

Arrays = Mapping[str, NDArray[Any]]
Gradient = Callable[[Arrays, Arrays], tuple[float, dict[str, NDArray[Any]]]]
_DTYPES = ("float64", "float32")


def checked(
    network: Network,
    derivation: Derivation,
    source: Callable[[Derivation, str, str], str],
    *,
    target: str = "numpy",
    seed: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Verdict:
    """Return the verdict on `derivation` and the modules of `source(derivation, target, dtype)`.

    Where the proof is at reduced extents, a module is emitted at these too.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def emitted(of: Derivation, stem: str) -> list[Emitted]:
            write = _on_device if target == "cupy" else _emitted
            return [write(of.source, source(of, target, d), folder / stem, d) for d in _DTYPES]

        return check(
            network,
            derivation,
            seed=seed,
            emitted=emitted(derivation, network.name),
            emitted_from=lambda small: emitted(small, f"{network.name}_reduced"),
            progress=progress or (lambda stage: None),
        )


def second_checked(
    hessian: Curvature,
    source: Callable[[str], str],
    *,
    seed: int | None = None,
    order: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Second:
    """Return the verdict on second derivatives, and on the products of `source(dtype)`."""
    with tempfile.TemporaryDirectory() as name:
        codes = []
        for dtype in _DTYPES:
            path = Path(name) / f"{hessian.derivation.source.name}_{dtype}.py"
            path.write_text(source(dtype), encoding="utf-8")
            product = product_of(load_module(path), hessian, dtype)
            codes.append(Emitted(f"numpy {dtype}", dtype, product))
        told = progress or (lambda stage: None)
        return check_second(hessian, seed=seed, order=order, emitted=codes, progress=told)


def _emitted(network: Network, text: str, stem: Path, dtype: str) -> Emitted:
    path = stem.with_name(f"{stem.name}_{dtype}.py")
    path.write_text(text, encoding="utf-8")
    probe = probe_of(load_module(path), network, dtype)

    def drift(params: Arrays, batch: Arrays) -> str:
        found = promotion(probe, text, params, batch)
        return "" if found is None else str(found)

    return Emitted(f"numpy {dtype}", dtype, probe.gradient, drift)


def _on_device(network: Network, text: str, stem: Path, dtype: str) -> Emitted:
    path = stem.with_name(f"{stem.name}_{dtype}.py")
    path.write_text(text, encoding="utf-8")
    net, where = load_on_device(path)
    return Emitted(f"cupy {dtype} {where}", dtype, probe_of(net, network, dtype).gradient)


def gradient_of(net: Module, network: Network, dtype: str) -> Gradient:
    """Return the gradient of an emitted module as a function of named arrays, noise included."""
    return probe_of(net, network, dtype).gradient


def probe_of(net: Module, network: Network, dtype: str) -> Probe:
    """Return an emitted module under examination, noise included."""
    return Probe(net, tuple(t.name for t in network.of_role(Role.NOISE)), dtype)


def product_of(net: Module, hessian: Curvature, dtype: str) -> Gradient:
    """Return v·∇L and the Hessian times v of an emitted module, as functions of named arrays.

    The batch holds the direction, by the names that `hessian` gives it.
    """

    def product(params: Arrays, batch: Arrays) -> tuple[float, dict[str, NDArray[Any]]]:
        known = {**batch, **params}
        flat, given = _arguments(net, hessian.derivation.source, known, dtype)
        along = [np.ravel(known[hessian.directions[name]]) for name in net.PARAMETERS]
        v = net.Grads(np.concatenate(along).astype(dtype))
        at = net.Hessian(net.Params(flat), **given)
        found = at.times(v)
        slope = float(at.grads.flat.astype(np.float64) @ v.flat)
        return slope, {name: getattr(found, name) for name in net.PARAMETERS}

    return product


def _arguments(
    net: Module, network: Network, known: Mapping[str, NDArray[Any]], dtype: str
) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return the parameters in one vector, and what else a module is given, noise included."""
    stored = [t.name for t in (*network.parameters, *network.kept)]
    flat = np.concatenate([np.ravel(known[name]) for name in stored]).astype(dtype)
    given: dict[str, Any] = {name: known[name] for name in net.INPUTS}
    noise = [t.name for t in network.of_role(Role.NOISE)]
    if noise:
        given["noise"] = {name: known[name] for name in noise}
    return flat, given
