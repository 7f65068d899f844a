"""What came of examining a module: the verdict, the reason, and what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Examination:
    """VERIFIED, REFUTED or UNDECIDED for one file; `seen` are the facts by what was asked."""

    verdict: str
    module: str
    reason: str = ""
    seen: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Return the verdict first, then the facts."""
        reason = [f"  {'reason':<11}{self.reason}"] if self.reason else []
        facts = [f"  {title:<11}{text}" for title, text in self.seen]
        return "\n".join([f"{self.verdict:<9}  {self.module}", *reason, *facts])

    def to_json(self) -> dict[str, Any]:
        """Return the examination as strings and lists."""
        seen = [{"what": title, "found": text} for title, text in self.seen]
        return {
            "verdict": self.verdict,
            "module": self.module,
            "reason": self.reason,
            "seen": seen,
        }
