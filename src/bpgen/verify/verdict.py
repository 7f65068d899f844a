"""The verdict: what was shown about a gradient, by which evidence, and what was not shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

from bpgen.ir.source import SourceLine
from bpgen.verify.canaries import Canary
from bpgen.verify.diagnosis import Diagnosis
from bpgen.verify.emitted import Comparison
from bpgen.verify.held import Held
from bpgen.verify.integral import Integral
from bpgen.verify.levels import Level
from bpgen.verify.measured import Measured
from bpgen.verify.precision import Loser
from bpgen.verify.stencils import Stencil
from bpgen.verify.summary import Agreement, Kinks
from bpgen.verify.taylor import Table


@dataclass(frozen=True, slots=True)
class Verdict:
    """VERIFIED, REFUTED or UNDECIDED, and what it rests on: None or () where no level ran.

    `extents` are those of the proof; where they are reduced, `declared` are the model's own, and
    `measured` is what was seen there.
    """

    verdict: str
    network: str
    seed: int
    parameters: Mapping[str, int]
    extents: Mapping[str, int]
    declared: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    agreement: Agreement | None = None
    holes: tuple[str, ...] = ()
    table: Table | None = None
    stencils: tuple[Stencil, ...] = ()
    complex_step: float | None = None
    kinks: Kinks | None = None
    held: tuple[Held, ...] = ()
    canaries: tuple[Canary, ...] = ()
    emitted: tuple[Comparison, ...] = ()
    integrals: tuple[Integral, ...] = ()
    loser: Loser | None = None
    measured: Measured | None = None
    diagnosis: Diagnosis | None = None
    levels: tuple[Level, ...] = ()

    @property
    def digits(self) -> int:
        """Return to how many digits every gradient is shown right; 0 if nothing is shown."""
        return self.agreement.worst if self.agreement else 0

    def __str__(self) -> str:
        """Return the report for people."""
        from bpgen.verify.report import report

        return report(self)

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as numbers, strings, lists and dictionaries."""
        return {**_plain(self), "digits": self.digits}


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {str(k): _plain(v) for k, v in value.items()}
        case list() | tuple():
            return [_plain(v) for v in value]
        case Enum():
            return value.value
        case SourceLine():
            return str(value)
        case float() if not math.isfinite(value):
            return None
        case None | bool() | int() | float() | str():
            return value
        case _:
            return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
