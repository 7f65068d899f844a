"""The form of an error: what, where, what disagrees, the rule, the way out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from bpgen.ir.source import SourceLine


class BpgenError(Exception):
    """Say what is wrong in five facts.

    `what` is one sentence; `where` the line the user wrote; `disagree` the two things that do not
    fit; `rule` why they must; `way_out` what to write instead. Only `what` is required.
    """

    code: ClassVar[str] = "BPG000"
    exit_status: ClassVar[int] = 3

    def __init__(
        self,
        what: str,
        *,
        where: SourceLine | None = None,
        disagree: str = "",
        rule: str = "",
        way_out: str = "",
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.facts = tuple(fact for fact in (disagree, rule, way_out) if fact)

    def __str__(self) -> str:
        """Return the facts, one a line, the first with the class and the code."""
        lines = [f"{type(self).__name__} [{self.code}]: {self.what}"]
        if self.where is not None:
            lines.append(f"  {self.where}")
        return "\n".join([*lines, *(f"  {fact}" for fact in self.facts)])


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a way out for an unknown `name`: the known ones it resembles, or all of them."""
    from difflib import get_close_matches

    names = sorted(known)
    close = " or ".join(f"`{match}`" for match in get_close_matches(name, names))
    return f"Did you mean {close}?" if close else f"Known: {', '.join(names) or 'none'}."
