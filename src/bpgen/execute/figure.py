"""Figures as files: the same drawing gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def figure(path: Path) -> Iterator[Figure]:
    """Yield an empty figure, and write what was drawn on it to `path` as SVG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "bpgen", "svg.fonttype": "none", "font.size": 9}):
        drawn = Figure(layout="constrained")
        FigureCanvasSVG(drawn)
        yield drawn
        drawn.savefig(path, metadata={"Date": None})
