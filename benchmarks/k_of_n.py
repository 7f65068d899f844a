"""How accuracy depends on the number of connections: the zoo's k_of_n at several k.

Each of 64 units sees k of the 64 pixels of a digit; at k = 64 the layer is the usual one. The model
file of the zoo is declared anew for each k, emitted, and trained three times on other rows, from
other first weights.

    python -m benchmarks.k_of_n            prints the table
    python -m benchmarks.k_of_n -o FILE    writes it, and a plot beside it (FILE with .svg)
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import bpgen as bp
from bpgen.declare.load import ZOO
from bpgen.execute import dataset
from bpgen.execute.figure import figure
from bpgen.execute.score import score

CHOICES = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64)
SEEDS, EPOCHS, BATCH = (0, 1, 2), 60, 32


@dataclass(frozen=True)
class Row:
    """What one k comes to: connections into the layer, and the test accuracy for each seed."""

    k: int
    connections: int
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean of the accuracies."""
        return sum(self.accuracies) / len(self.accuracies)


def main() -> None:
    """Train at every k and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path)
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        rows = [measured(k, Path(folder)) for k in CHOICES]
    text = table(rows)
    print(text)
    if output is not None:
        output.write_text(text, encoding="utf-8")
        draw(rows, output.with_suffix(".svg"))


def measured(k: int, folder: Path) -> Row:
    """Declare the model for `k`, emit it, and train it once for each seed."""
    model = declared(k, folder)
    net = model.emit(path=folder / f"k_of_{k}_numpy.py")
    read = dataset.read(["digits"], model.network.inputs, dtype="float32")
    accuracies = []
    for seed in SEEDS:
        parts = dataset.split(read, seed=seed, batch=BATCH)
        trainer = net.Trainer(net.init(seed), batch=BATCH, seed=seed)
        for epoch in range(1, EPOCHS + 1):
            for rows in dataset.batches(len(parts.train), batch=BATCH, seed=seed, epoch=epoch):
                trainer.step(**parts.train.rows(rows))
        accuracies.append(score(net, trainer.params, parts.test).accuracy or 0.0)
    return Row(k, int(np.prod(net.PARAMETERS["seen_W"])), tuple(accuracies))


def declared(k: int, folder: Path) -> bp.Model:
    """Return the zoo's model with another `K`."""
    text = (ZOO / "k_of_n.py").read_text(encoding="utf-8")
    path = folder / f"k_of_{k}.py"
    path.write_text(text.replace("K = 6\n", f"K = {k}\n"), encoding="utf-8")
    model: bp.Model = bp.load(path)
    return model


def table(rows: list[Row]) -> str:
    """Return the results as Markdown."""
    lines = [
        f"Test accuracy of k_of_n after {EPOCHS} epochs of batches of {BATCH}, {len(SEEDS)} seeds.",
        "",
        "| k | connections | accuracy | lowest | highest |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        numbers = (row.mean, min(row.accuracies), max(row.accuracies))
        lines.append(
            f"| {row.k} | {row.connections} | {' | '.join(f'{number:.1%}' for number in numbers)} |"
        )
    return "\n".join(lines) + "\n"


def draw(rows: list[Row], path: Path) -> None:
    """Draw accuracy against connections; the same rows give the same bytes."""
    with figure(path) as drawn:
        drawn.set_size_inches(4.5, 3)
        axes = drawn.subplots()
        connections = [row.connections for row in rows]
        axes.plot(connections, [100 * row.mean for row in rows], color="#4878a8")
        for row in rows:
            accuracies = [100 * accuracy for accuracy in row.accuracies]
            axes.plot([row.connections] * len(accuracies), accuracies, ".", color="#4878a8")
            top = (row.connections, max(accuracies))
            axes.annotate(f"{row.k}", top, (0, 4), textcoords="offset points", ha="center")
        axes.set_xscale("log", base=2)
        axes.set_xticks(connections[::2], [f"{c}" for c in connections[::2]], minor=False)
        axes.set_xlabel("connections into the layer; numbers in the picture: k")
        axes.set_ylabel("test accuracy, %")
        axes.grid(visible=True, alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
