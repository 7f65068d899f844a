"""An emitted file, audited before it is run, and run without letting its faults through."""

from __future__ import annotations

import ast
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bpgen.emit.audit import audited
from bpgen.emit.numpy_view import WRITTEN_FOR
from bpgen.errors import AuditError, DeviceError
from bpgen.execute.load import Emitted, load_module
from bpgen.execute.on_device import load_on_device

T = TypeVar("T")
# What a wrong statement of numpy code raises; anything else is a bug of ours.
_FAULTS = (
    ArithmeticError,
    AttributeError,
    DeviceError,
    LookupError,
    NameError,
    TypeError,
    ValueError,
)


class BrokenModuleError(Exception):
    """A module that cannot be run: why, and on which line."""


@dataclass(frozen=True, slots=True)
class File:
    """The text of a module and where it lies."""

    path: Path
    text: str

    @property
    def dtype(self) -> str:
        """Return the dtype that the module says it has; float32 if it says none."""
        for node in ast.parse(self.text).body:
            match node:
                case ast.Assign(targets=[ast.Name(id="DTYPE")], value=ast.Constant(value=str(d))):
                    return d if d in {"float32", "float64"} else "float32"
        return "float32"

    @property
    def batch(self) -> int | None:
        """Return how many examples the module says a step is written for, if it says so."""
        words = re.escape(WRITTEN_FOR).replace(r"\{\}", r"(\d+)")
        found = re.search(words, self.text)
        return int(found[1]) if found else None

    @property
    def target(self) -> str:
        """Return the array library that the module computes with."""
        imported = (n for n in ast.walk(ast.parse(self.text)) if isinstance(n, ast.Import))
        return "cupy" if any(a.name == "cupy" for n in imported for a in n.names) else "numpy"

    def load(self) -> Emitted:
        """Audit and import the module.

        Errors: BrokenModuleError if it holds what none may hold, or does not run.
        """
        try:
            audited(self.text)
        except AuditError as error:
            raise BrokenModuleError(f"it was not run: {error.facts[0]}") from None
        return self.run(lambda: imported(self.path, self.target))

    def run(self, action: Callable[[], T]) -> T:
        """Return the result of `action`, which runs the module.

        Errors: BrokenModuleError with the innermost line of the module.
        """
        try:
            return action()
        except _FAULTS as error:
            frames = traceback.extract_tb(error.__traceback__)
            lines = [f.lineno for f in frames if f.filename == str(self.path)]
            where = f"line {lines[-1]}: " if lines else ""
            raise BrokenModuleError(f"{where}{type(error).__name__}: {error}") from None


def imported(path: Path, target: str) -> Emitted:
    """Import a module of a target; one for CuPy runs on the CPU where there is no GPU."""
    return load_on_device(path)[0] if target == "cupy" else load_module(path)


def read(path: Path) -> File:
    """Return the file at `path`."""
    return File(path, path.read_text(encoding="utf-8"))
