"""What was measured, as a file: rows that were not measured anew stay."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.gaps import Gap
from benchmarks.limits import Limits
from benchmarks.race import Result, Row
from benchmarks.workload import WORKLOADS


@dataclass(frozen=True, slots=True)
class Record:
    """All rows, of one machine."""

    machine: str
    rows: tuple[Row, ...]

    def with_row(self, row: Row) -> Record:
        """Return the record with `row` in the place of the one it repeats."""
        kept = [old for old in self.rows if _key(old) != _key(row)]
        return Record(self.machine, tuple(sorted([*kept, row], key=_key)))

    def of(self, threads: int) -> tuple[Row, ...]:
        """Return the rows with so many threads."""
        return tuple(row for row in self.rows if row.threads == threads)

    @property
    def threads(self) -> tuple[int, ...]:
        """Return the numbers of threads that were measured."""
        return tuple(sorted({row.threads for row in self.rows}))


def read(path: Path, machine: str) -> Record:
    """Return the record of `path`, or an empty one if it is of another machine."""
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["machine"] == machine:
            return Record(machine, tuple(map(_row, found["rows"])))
    return Record(machine, ())


def write(path: Path, record: Record) -> None:
    """Write the record."""
    text = json.dumps(_rounded(asdict(record)), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _key(row: Row) -> tuple[int, int]:
    return row.threads, list(WORKLOADS).index(row.workload)


def _row(found: dict[str, Any]) -> Row:
    results: dict[str, Result] = {}
    for name, result in found["results"].items():
        times: dict[str, Any] = {k: tuple(result[k]) for k in ("seconds", "processor")}
        results[name] = Result(**{**result, **times})
    gaps = tuple(Gap(**gap) for gap in found["gaps"])
    rest = {key: found[key] for key in ("workload", "threads", "emit")}
    return Row(**rest, limits=Limits(**found["limits"]), results=results, gaps=gaps)


def _rounded(value: object) -> object:
    """Return the same with four digits of every number that is not whole."""
    match value:
        case float():
            return float(f"{value:.4g}")
        case dict():
            return {key: _rounded(each) for key, each in value.items()}
        case str() | int():
            return value
        case Iterable():
            return [_rounded(each) for each in value]
    raise TypeError(value)
