"""Text as a model of characters reads it, and text that it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bpgen.execute.dataset import Dataset
from bpgen.execute.load import Emitted
from bpgen.execute.score import score
from bpgen.execute.writing import written
from bpgen.generators.topics import decoded
from bpgen.pictures import Arrays

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS, WRITTEN = 6, 6  # lines of held-out text, and of written text
PROMPT = "The "
DEAREST = 8  # bits, in the darkest shade


def draw(figure: Figure, net: Emitted, params: Any, test: Arrays) -> str:
    """Show what each character of held-out text costs the model, and text of its own below.

    Formula:
        bits = -log₂ of the probability that the model gave the character
    """
    tokens, following = test["tokens"][:ROWS], test["next_token"][:ROWS]
    cost = bits(net.predict(params, tokens=tokens)["logits"], following)
    width = tokens.shape[1]
    own = written(net, params, PROMPT, WRITTEN * width - len(PROMPT))
    figure.set_size_inches(8, 4.2)
    above, below = figure.subplots(2, 1)
    _page(above, [decoded(row) for row in following], cost)
    above.set_title("held-out text; the darker, the more bits a character cost", loc="left")
    lines = [own[begin : begin + width] for begin in range(0, len(own), width)]
    _page(below, lines, np.zeros((len(lines), width)))
    below.set_title(f"written after “{PROMPT}”", loc="left")
    spent = score(net, params, Dataset(test)).loss / np.log(2)
    sentence = " ".join(own[:width].split())
    return f"{spent:.2f} bits a character, {entropy(test):.2f} by its frequency; writes: {sentence}"


def bits(logits: NDArray[Any], following: NDArray[Any]) -> NDArray[Any]:
    """Return what each character costs: -log₂ of its share in exp(logits)."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    right = np.take_along_axis(shifted, following[..., None], axis=-1)[..., 0]
    return np.asarray((np.log(np.exp(shifted).sum(axis=-1)) - right) / np.log(2))


def entropy(test: Arrays) -> float:
    """Return what a character costs that is coded by its frequency alone, in bits.

    Formula:
        -Σ_v f[v] log₂ f[v], f[v] the share of v among all characters
    """
    count = np.bincount(test["next_token"].ravel())
    share = count[count > 0] / count.sum()
    return float(-np.sum(share * np.log2(share)))


def _page(axes: Axes, lines: list[str], cost: NDArray[Any]) -> None:
    """Write `lines` one below the other, each character on a ground of what it costs."""
    axes.imshow(cost, cmap="Reds", vmin=0, vmax=1.5 * DEAREST, aspect="auto")
    for row, line in enumerate(lines):
        for column, character in enumerate(line):
            if character != " ":
                shown = {"\n": "↵", "$": r"\$"}.get(character, character)
                axes.text(column, row, shown, ha="center", va="center", family="monospace")
    axes.set_axis_off()
