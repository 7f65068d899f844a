"""Write text by an emitted module that predicts the character after each.

net = bp.load("char_gpt").emit()
print(written(net, net.load("runs/char_gpt/best.npz").params, "The ", 200))
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bpgen.execute.load import Emitted
from bpgen.generators.topics import decoded, encoded


def written(
    net: Emitted,
    params: Any,
    prompt: str,
    length: int,
    *,
    temperature: float = 0.7,
    seed: int = 0,
) -> str:
    """Return `prompt` and `length` characters that `net` lets follow, each drawn by what it says.

    Formula:
        p[v] ∝ exp(logits[v] / temperature), after the last characters that fit its input `tokens`

    A character is drawn as the v of the largest logits[v] / temperature + g[v], g from the Gumbel
    distribution, which has just these probabilities.

    Errors: KeyError if `net` has no input `tokens` or no output `logits`.
    """
    (context,), _ = net.INPUTS["tokens"]
    rng = np.random.default_rng(seed)
    text = list(encoded(prompt or "\n"))
    window = np.zeros((1, context), np.int64)
    for _ in range(length):
        last = text[-context:]
        window[0, : len(last)] = last
        # What stands behind the last character is in the future of it, and changes nothing.
        logits = net.predict(params, tokens=window)["logits"][0, len(last) - 1]
        text.append(int(np.argmax(logits / temperature + rng.gumbel(size=len(logits)))))
    return decoded(np.array(text[len(text) - length - len(prompt) :]))
