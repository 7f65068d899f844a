"""Draw the V-curves of a sweep: error of a finite difference over its step."""

from __future__ import annotations

from pathlib import Path

from bpgen.execute.figure import figure
from bpgen.verify.sweep import EXPONENTS, Sweep

_COLOURS = {2: "#4878a8", 4: "#d1605e", 6: "#6a9f58", 8: "#967662"}
# A stencil that hits the truth to the last bit stands at the rounding of float64.
_LEAST = 2.0**-53


def draw(path: Path, found: Sweep) -> None:
    """Write the curves of `found` to `path` as SVG; the same sweep gives the same bytes."""
    with figure(path) as drawn:
        drawn.set_size_inches(5.5, 3.5)
        axes = drawn.subplots()
        for curve in found.curves:
            pairs = zip(EXPONENTS, curve.errors, strict=True)
            seen = [(2.0**-k, max(e, _LEAST)) for k, e in pairs if e is not None]
            axes.loglog(
                [h for h, _ in seen],
                [e for _, e in seen],
                color=_COLOURS[curve.order],
                label=f"order {curve.order}",
                linewidth=1.5,
            )
        axes.set_xlabel("step h")
        axes.set_ylabel("relative error")
        axes.set_title(f"{found.network}: stencils in float64, seed {found.seed}")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
