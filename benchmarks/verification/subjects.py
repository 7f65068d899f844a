"""The networks that mistakes are made in, each as declared and with its loss scaled."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import bpgen as bp
from bpgen.ir.derivation import Derivation
from bpgen.model import Model
from bpgen.verify.draws import single
from bpgen.verify.line import Direction, gaussian
from bpgen.verify.points import Point, generic
from bpgen.verify.problem import Problem, problem

_MODELS = Path(__file__).parent / "models"
NAMES = tuple(sorted(path.stem for path in _MODELS.glob("[!_]*.py")))
SCALES = ("1", "1e-6", "1e6")
_SCALED = """
import sympy

scaled = bp.define("scaled", (), sympy.Rational("{scale}") * loss[()])
model = bp.Model(loss=scaled)
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """One network, and its right derivation."""

    name: str
    scale: str
    model: Model
    derivation: Derivation

    def problem(self, derivation: Derivation | None = None) -> Problem:
        """Return what is proved: that of the right derivation, or of a wrong one."""
        return problem(self.model.network, derivation or self.derivation)

    def places(self, seed: int, count: int) -> list[tuple[Point, Direction]]:
        """Return generic points, and a direction at each; weights grow from one to the next.

        So thresholds fall between them that no weights of usual size come near to.
        """
        subject, rng = self.problem(), np.random.default_rng(seed)
        names = {p.name for p in subject.parameters}
        found: list[tuple[Point, Direction]] = []
        for k in range(count):
            point = generic(subject, rng)
            wide = {n: single(v * (1 + k / 8)) for n, v in point.values.items() if n in names}
            direction = gaussian(subject, subject.parameters, rng)
            found.append((replace(point, values={**point.values, **wide}), direction))
        return found


def subject(name: str, scale: str = "1") -> Subject:
    """Return the network `name`, with `scale` times its loss."""
    path = _MODELS / f"{name}.py"
    if scale == "1":
        model = bp.load(path)
    else:
        with tempfile.TemporaryDirectory() as folder:
            scaled = Path(folder) / f"{name}.py"
            text = path.read_text(encoding="utf-8") + _SCALED.format(scale=scale)
            scaled.write_text(text, encoding="utf-8")
            model = bp.load(scaled)
    return Subject(name, scale, model, model.derive().derivation)
