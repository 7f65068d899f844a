"""bpgen: derive, prove and emit the gradients of a network from its forward formulas alone."""

from importlib import import_module
from typing import Any

_HOME = {
    "Model": "bpgen.model",
    "load": "bpgen.model",
    **dict.fromkeys(
        (
            *("Tensor", "activation", "define", "hold", "index", "init", "input", "label"),
            *("max", "mean", "noise", "pad", "parameter", "recurrence", "repeat", "state", "sum"),
            *("table", "update", "where"),
        ),
        "bpgen.declare",
    ),
}

__all__ = sorted(_HOME)  # noqa: PLE0605  the table above is the list


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import bpgen` stays fast."""
    if name not in _HOME:
        raise AttributeError(
            f"module 'bpgen' has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
