"""What a GPU refuses, or does wrong in silence."""

from __future__ import annotations

from bpgen.errors import DeviceError


def require(holds: bool, fault: str) -> None:
    """Raise DeviceError about `fault`, unless all is well."""
    if not holds:
        raise DeviceError(
            f"an emitted module does what a GPU cannot: {fault}",
            rule="Kernels see arrays of the device, of the very types that they take.",
            way_out="If the file was not edited, this is a bug in bpgen.",
        )
