"""The names of a layer's parameters: after the layer, or completed by bpgen."""

from __future__ import annotations

from bpgen import declare as bp


def called(name: str | None, stem: str) -> str | bp.Auto:
    """Return `name_stem`; without a name, a stem that bpgen completes: `W` becomes `W1`, `W2`."""
    return f"{name}_{stem}" if name else bp.Auto(stem)
