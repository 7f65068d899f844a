"""Lines of at most 100 columns, broken where a person would break them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

WIDTH = 96  # inside a function: 100 less its indentation


def wrapped_comment(formula: str, inside: int = 0) -> tuple[str, ...]:
    """Return a formula as comment text, its further lines indented; `inside` columns are taken."""
    width = WIDTH - 2 - inside
    return tuple(textwrap.wrap(formula, width, subsequent_indent="    ", break_long_words=False))


def wrapped_code(line: str, inside: int = 0) -> tuple[str, ...]:
    """Return a call on one line, or its arguments on lines of their own; likewise an assignment.

    `inside` columns of the line are taken.
    """
    own = line.lstrip(" ")
    margin = line[: len(line) - len(own)]
    return tuple(margin + part for part in _wrapped(own, WIDTH - inside - len(margin)))


def arguments(head: str, given: Sequence[str]) -> str:
    """Return arguments, one a line where the line `head`, which lacks them, has no room for all."""
    line = ", ".join(given)
    if len(head) + len(line) <= WIDTH + 4:
        return line
    margin = " " * (len(head) - len(head.lstrip(" ")))
    return "".join(f"\n{margin}    {arg}," for arg in given) + f"\n{margin}"


def _wrapped(line: str, width: int) -> tuple[str, ...]:
    if len(line) <= width:
        return (line,)
    name, equals, value = line.partition(" = ")
    if equals and name.isidentifier():
        parts = [line for clause in _clauses(value) for line in textwrap.wrap(clause, width - 4)]
        return (f"{name} = (", *(f"    {part}" for part in parts), ")")
    head, inner, tail = _call(line)
    if len(inner) + 4 <= width:
        return (f"{head}(", f"    {inner}", f"){tail}")
    return (f"{head}(", *(f"    {arg}," for arg in _arguments(inner)), f"){tail}")


def _call(line: str) -> tuple[str, str, str]:
    """Return what stands before the first call's arguments, these, and what follows them."""
    begin = line.index("(")
    depth = 0
    for place in range(begin, len(line)):
        depth += (line[place] in "([{") - (line[place] in ")]}")
        if depth == 0:
            break
    return line[:begin], line[begin + 1 : place], line[place + 1 :]


def _arguments(inner: str) -> list[str]:
    """Split arguments at the commas outside all brackets."""
    return [part.removesuffix(",") for part in _split(inner, (", ",), after=1)]


def _clauses(value: str) -> list[str]:
    """Split a conditional before its `if` and its `else`, outside all brackets."""
    return _split(value, (" if ", " else "), after=0)


def _split(text: str, marks: tuple[str, ...], *, after: int) -> list[str]:
    """Cut `text` at every mark outside all brackets, `after` characters into the mark."""
    parts, depth, begin = [], 0, 0
    for place, c in enumerate(text):
        depth += (c in "([{") - (c in ")]}")
        if depth == 0 and text.startswith(marks, place):
            parts.append(text[begin : place + after].strip())
            begin = place + after
    return [*parts, text[begin:].strip()]
