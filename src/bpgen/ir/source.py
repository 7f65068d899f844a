"""Where the user wrote a thing: a file, a line, and the text of that line."""

from __future__ import annotations

import linecache
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One line of a model file.

    `file` is the path as Python knows it; only its last part is printed, so that no text depends on
    where a project lies.
    """

    file: str
    line: int

    @property
    def text(self) -> str:
        """Return the line as the user wrote it, stripped."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        return f"{PurePath(self.file).name}:{self.line}   {self.text}".rstrip()
