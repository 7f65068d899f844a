"""A hundred sung notes, as they were sung and as they are after correction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bpgen.execute.load import Emitted
from bpgen.generators.sung_notes import OFF, sung_notes
from bpgen.pictures import Arrays

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTES, SEED = 100, 1  # other notes than the model is trained on, which are drawn by seed 0


def draw(figure: Figure, net: Emitted, params: Any, test: Arrays) -> str:
    """Show how many cents each of a hundred new notes is off, before and after correction."""
    del test  # the notes that are shown are new to the whole data set
    song = sung_notes({}, rows=NOTES, seed=SEED)
    before = song["error"][:, 0]
    after = before - net.predict(params, spectrum=song["spectrum"])["cents"][:, 0]
    number = np.arange(1, NOTES + 1)
    figure.set_size_inches(7, 3)
    axes = figure.subplots()
    axes.axhline(0, color="#a0a0a0", linewidth=0.8)
    axes.vlines(number, after, before, color="#d0d0d0", linewidth=0.8)
    axes.plot(number, before, "o", color="#d1605e", ms=3, label="as sung")
    axes.plot(number, after, "o", color="#4878a8", ms=3, label="corrected")
    axes.set(xlabel="number of the note", ylabel="cents off pitch", ylim=(-OFF - 5, OFF + 20))
    axes.legend(frameon=False, loc="upper right", ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    off, left = (np.median(np.abs(cents)) for cents in (before, after))
    return f"median error of {NOTES} notes {off:.1f} cents as sung, {left:.1f} corrected"
