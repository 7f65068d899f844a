"""Find the statement of a module at which an array leaves the dtype that it was given.

numpy promotes in silence: integers of 64 bits times float32 are float64. The module is run with
arrays that note every such operation and the line it stands on; what is written into memory that
was made for float64 is wanted, and not noted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bpgen.execute.probe import Probe

_MAKERS = ("empty", "zeros", "ones", "full", "arange", "array", "asarray", "ascontiguousarray")


@dataclass(frozen=True, slots=True)
class Promotion:
    """The line of a statement, its text, and the dtypes that met in it."""

    line: int
    statement: str
    dtypes: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.statement}   computes {self.dtypes}"


def promotion(
    probe: Probe, text: str, params: Mapping[str, NDArray[Any]], batch: Mapping[str, NDArray[Any]]
) -> Promotion | None:
    """Return the first statement of the module that computes in a wider dtype, or None."""
    found: list[tuple[int, str]] = []
    module: Any = probe.net

    def note(dtypes: str) -> None:
        frame = sys._getframe(1)  # noqa: SLF001  the line of the module that is being run
        while frame is not None and frame.f_code.co_filename != module.__file__:
            frame = frame.f_back  # type: ignore[assignment]  # the outermost frame has none
        if frame is not None:
            found.append((frame.f_lineno, dtypes))

    narrow = np.dtype(probe.dtype)
    with _watching(module, narrow, note):
        probe.gradient(params, batch)
    if not found:
        return None
    line, dtypes = found[0]
    return Promotion(line, text.splitlines()[line - 1].strip(), dtypes)


@contextmanager
def _watching(module: Any, narrow: np.dtype[Any], note: Callable[[str], None]) -> Iterator[None]:
    """Let the module make arrays that note; its own numpy comes back at the end."""
    module.np = _Library(narrow, note)
    try:
        yield
    finally:
        module.np = np


class _Library:
    """numpy, but for the functions that make arrays: theirs note what is done with them."""

    def __init__(self, narrow: np.dtype[Any], note: Callable[[str], None]) -> None:
        self._narrow, self._note = narrow, note

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if name not in _MAKERS:
            return found

        def make(*arguments: Any, **options: Any) -> Any:
            return _noting(found(*arguments, **options), self._narrow, self._note)

        return make


class _Noting(np.ndarray[Any, Any]):
    """An array whose operations are told to `note` when they run in a wider dtype."""

    narrow: np.dtype[Any]
    note: Callable[[str], None]

    def __array_finalize__(self, origin: Any) -> None:
        if isinstance(origin, _Noting):
            self.narrow, self.note = origin.narrow, origin.note

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        out = options.get("out") or ()
        wide = _loop(ufunc, method, inputs, out)
        _tell(self, f"{ufunc.__name__}: {wide}", _dtypes(inputs), _dtypes(out), wide)
        options = {**options, "out": tuple(map(_plain, out))} if out else options
        options = {k: _plain(v) for k, v in options.items()}
        result = getattr(ufunc, method)(*map(_plain, inputs), **options)
        return out[0] if out else _noting(result, self.narrow, self.note)

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        del types
        out = options.get("out")
        options = {k: _plain(v) for k, v in options.items()}
        result = function(*[_plain(i) for i in inputs], **options)
        given = _dtypes([i for i in inputs if isinstance(i, np.ndarray)])
        made = getattr(result, "dtype", None)
        _tell(self, f"{function.__name__}: {made}", given, _dtypes([out]), made)
        return out if out is not None else _noting(result, self.narrow, self.note)


def _tell(
    self: _Noting,
    what: str,
    given: list[np.dtype[Any]],
    out: list[np.dtype[Any]],
    made: np.dtype[Any] | None,
) -> None:
    """Note a float wider than the module's that neither came in nor has memory made for it."""
    wider = made is not None and made.kind == "f" and made.itemsize > self.narrow.itemsize
    if wider and made not in given and made not in out:
        self.note(f"{what} from {', '.join(map(str, given))}")


def _loop(ufunc: Any, method: str, inputs: Any, out: Any) -> np.dtype[Any] | None:
    """Return the dtype that a ufunc computes in."""
    if method != "__call__":
        return None
    dtypes = [_kind(i) for i in inputs]
    missing = (None,) * (ufunc.nout - len(out))
    wanted = (*dtypes, *(o.dtype for o in out), *missing)
    try:
        resolved = ufunc.resolve_dtypes(wanted, casting="unsafe")
    except TypeError:
        return None
    floats = [d for d in resolved if d.kind == "f"]
    return max(floats, key=lambda d: d.itemsize, default=None)


def _kind(value: Any) -> Any:
    is_python = isinstance(value, int | float) and not isinstance(value, np.generic)
    return type(value) if is_python else np.asarray(_plain(value)).dtype


def _dtypes(values: Any) -> list[np.dtype[Any]]:
    return [v.dtype for v in values if isinstance(v, np.ndarray)]


def _plain(value: Any) -> Any:
    if isinstance(value, _Noting):
        return value.view(np.ndarray)
    if isinstance(value, tuple | list) and any(isinstance(v, _Noting) for v in value):
        return type(value)(map(_plain, value))
    return value


def _noting(value: Any, narrow: np.dtype[Any], note: Callable[[str], None]) -> Any:
    if not isinstance(value, np.ndarray) or isinstance(value, _Noting):
        return value
    seen = value.view(_Noting)
    seen.narrow, seen.note = narrow, note
    return seen
