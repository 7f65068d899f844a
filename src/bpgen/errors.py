"""The errors of bpgen: what, where, what disagrees, the rule, the way out.

A user's mistake is a `BpgenError` and reaches the terminal as a few lines, never as a traceback. Each
class carries the exit status of the command line and a stable code that `bpgen explain` knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from bpgen.ir.source import SourceLine


class BpgenError(Exception):
    """Say what is wrong in five facts.

    `what` is one sentence; `where` the line the user wrote; `disagree` the two things that do not fit;
    `rule` why they must; `way_out` what to write instead. Only `what` is required.
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


class LoadError(BpgenError):
    """A model file that cannot be read, or raises while it runs."""

    code = "BPG001"


class MissingFileError(BpgenError):
    """A file or a zoo model that does not exist."""

    code = "BPG002"
    exit_status = 2


class NoModelError(BpgenError):
    """A model file that defines no `model`."""

    code = "BPG005"


class ShapeError(BpgenError):
    """Two extents that must be equal and are not."""

    code = "BPG101"


class NameTakenError(BpgenError):
    """One name for two tensors."""

    code = "BPG103"


class NameSyntaxError(BpgenError):
    """A name that cannot stand in a formula and in a Python file."""

    code = "BPG104"


class ExtentError(BpgenError):
    """An extent that is not a positive integer."""

    code = "BPG105"


class IndexUseError(BpgenError):
    """An index that is neither on the left nor summed, or summed and not there."""

    code = "BPG106"


class UnreachedError(BpgenError):
    """A parameter that never reaches the loss."""

    code = "BPG107"


class LossError(BpgenError):
    """A loss that is not a scalar."""

    code = "BPG108"


class FormulaError(BpgenError):
    """A formula outside the language."""

    code = "BPG109"


class TargetError(BpgenError):
    """A target that has no spelling for a function or a statement."""

    code = "BPG110"


class OptionError(BpgenError):
    """A number outside its range, in a declaration or on the command line."""

    code = "BPG011"
    exit_status = 2


class RefutedError(BpgenError):
    """A gradient that is wrong."""

    code = "BPG201"
    exit_status = 1


class UndecidedError(BpgenError):
    """A check that could not come to a verdict."""

    code = "BPG204"
    exit_status = 4


class AuditError(BpgenError):
    """An emitted module that holds what no emitted module may hold."""

    code = "BPG305"
    exit_status = 1


class FileError(BpgenError):
    """A file that cannot be written."""

    code = "BPG302"
    exit_status = 7


class CheckpointError(BpgenError):
    """A checkpoint that is damaged, or belongs to another model."""

    code = "BPG402"
    exit_status = 5


class DataError(BpgenError):
    """Data that do not fit the declaration."""

    code = "BPG501"
    exit_status = 5


class NotFiniteError(BpgenError):
    """A loss or a gradient that is not finite."""

    code = "BPG601"
    exit_status = 6


class EnvironmentError_(BpgenError):
    """A package or a device that is missing."""

    code = "BPG801"
    exit_status = 8
