"""The certificate: everything a verdict rests on, and what it takes to check a module again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from bpgen.ir.derivation import Derivation
from bpgen.ir.network import Network
from bpgen.ir.tensor import Tensor
from bpgen.spell import FormulaSpeller, order_of
from bpgen.verify import Verdict, witnesses

FORM = "bpgen certificate 1"
_SEAL = "seal"


def certificate(
    verdict: Verdict, network: Network, derivation: Derivation, modules: Mapping[str, str]
) -> dict[str, Any]:
    """Return `verdict` with witnesses, and the hashes of the declaration and of `modules`.

    `modules` are the texts of emitted modules by what they are called. The last entry is the hash
    of all the others.
    """
    rng = np.random.default_rng([verdict.seed, 1])
    points = [asdict(w) for w in witnesses(network, derivation, rng)]
    found = {
        "form": FORM,
        **verdict.to_json(),
        "loss": network.loss,
        "declaration": digest_of(declaration(network)),
        "modules": {name: digest_of(text) for name, text in modules.items()},
        "witnesses": points,
    }
    return sealed(json.loads(json.dumps(found)))


def sealed(found: dict[str, Any]) -> dict[str, Any]:
    """Return a certificate with the hash of everything in it."""
    bare = {k: v for k, v in found.items() if k != _SEAL}
    return {**bare, _SEAL: digest_of(json.dumps(bare, sort_keys=True))}


def is_whole(found: Mapping[str, Any]) -> bool:
    """Whether nothing in a certificate was changed since it was sealed."""
    return bool(sealed(dict(found))[_SEAL] == found.get(_SEAL))


def declaration(network: Network) -> str:
    """Return a network as text: every tensor, every equation; no path, no line, no date."""
    speller = FormulaSpeller(order_of(network.tensors.values()))
    tensors = [_tensor(t, speller) for t in network.tensors.values()]
    equations = [f"{e.op.name} {speller.equation(e)}" for e in network.all_equations]
    predicted = [
        f"predict {speller.equation(e.for_prediction())}"
        for e in network.all_equations
        if e.predict is not None
    ]
    outputs = [f"output {label} = {name}" for label, name in network.outputs.items()]
    return "\n".join([*tensors, *equations, *predicted, *outputs, f"loss {network.loss}", ""])


def digest_of(text: str) -> str:
    """Return the sha256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _tensor(tensor: Tensor, speller: FormulaSpeller) -> str:
    facts = [tensor.role.value, f"{speller.spell(tensor.canonical)}", f"shape {tensor.shape}"]
    if tensor.below is not None:
        facts.append(f"below {tensor.below}")
    if tensor.init is not None:
        facts.append(f"init {tensor.init.law} {tensor.init.scale}")
    if tensor.noise is not None:
        facts.append(f"noise {tensor.noise.law} {tensor.noise.rate!r}")
    if tensor.values:
        facts.append(f"values {tensor.values!r}")
    return ", ".join(facts)
