"""Where a file differs from what is emitted, and which lines compute a tensor."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from bpgen.execute.watch import Writes


@dataclass(frozen=True, slots=True)
class Edit:
    """A line of a file that is not what is emitted: what it is, and what it would be."""

    line: int
    found: str
    emitted: str

    def __str__(self) -> str:
        if not self.found:
            return f"line {self.line}: missing `{self.emitted}`"
        instead = f" instead of `{self.emitted}`" if self.emitted else ""
        return f"line {self.line}: `{self.found}`{instead}"


def edits(text: str, emitted: str) -> tuple[Edit, ...]:
    """Return the lines of `text` that compute something else than `emitted`; comments aside."""
    if ast.dump(ast.parse(text)) == ast.dump(ast.parse(emitted)):
        return ()
    ours, theirs = text.splitlines(), emitted.splitlines()
    found = []
    matcher = difflib.SequenceMatcher(None, theirs, ours, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind != "equal":
            for k in range(max(b - a, d - c)):
                new = ours[c + k].strip() if c + k < d else ""
                old = theirs[a + k].strip() if a + k < b else ""
                if not _is_prose(new) or not _is_prose(old):
                    found.append(Edit(min(c + k, max(c, d - 1)) + 1, new, old))
    return tuple(found)


def _is_prose(line: str) -> bool:
    return not line or line.startswith("#")


def block_of(text: str, tensor: str) -> range:
    """Return the lines of the block that writes `tensor` last: its formula and its statements."""
    written = [line for name, line in _writes(ast.parse(text)) if name == tensor]
    if not written:
        return range(0)
    lines = text.splitlines()
    first = last = written[-1]
    while first > 1 and lines[first - 2].strip():
        first -= 1
    while last < len(lines) and lines[last].strip():
        last += 1
    return range(first, last + 1)


def _writes(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield each buffer that a statement writes, and the line."""
    writes = Writes.of(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call | ast.Assign | ast.AugAssign):
            yield from ((name, node.lineno) for name in writes.by(node))
