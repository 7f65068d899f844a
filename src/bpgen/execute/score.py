"""Score parameters on rows they were not trained on."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import signature
from typing import Any

import numpy as np

from bpgen.execute.dataset import Dataset
from bpgen.execute.history import Score
from bpgen.execute.load import Emitted

_ROWS = 128  # scored at a time, so that the memory does not grow with the data


def score(net: Emitted, params: Any, dataset: Dataset) -> Score:
    """Return the loss of `params` on `dataset`, and the accuracy if an output fits a label."""
    loss = 0.0
    hits: list[float] = []
    for rows in _blocks(len(dataset)):
        batch = dataset.rows(rows)
        loss += net.loss(params, **batch) * (rows.stop - rows.start)
        hits.extend(_hits(net, params, batch))
    return Score(loss / len(dataset), float(np.mean(hits)) if hits else None)


def _blocks(rows: int) -> Iterator[slice]:
    for start in range(0, rows, _ROWS):
        yield slice(start, min(start + _ROWS, rows))


def _hits(net: Emitted, params: Any, batch: dict[str, Any]) -> Iterator[float]:
    """Yield for each label 1 if its class has the largest output, else 0.

    A label is an integer input that prediction does without. An output belongs to it if it has one
    axis more, with an entry for each class.
    """
    integers = {name: below for name, (_, below) in net.INPUTS.items() if below is not None}
    if not integers:
        return
    needed = {name: batch[name] for name in signature(net.predict).parameters if name in batch}
    labels = {name: below for name, below in integers.items() if name not in needed}
    outputs = net.predict(params, **needed)
    for name, below in labels.items():
        shape = (*batch[name].shape, below)
        scores = next((out for out in outputs.values() if out.shape == shape), None)
        if scores is not None:
            yield from (scores.argmax(axis=-1) == batch[name]).astype(float).ravel()
