"""Lines of at most 100 columns, broken where a person would break them."""

from __future__ import annotations

import textwrap

WIDTH = 96  # inside a function: 100 less its indentation


def wrapped_comment(formula: str) -> tuple[str, ...]:
    """Return a formula as comment text, its further lines indented."""
    return tuple(
        textwrap.wrap(formula, WIDTH - 2, subsequent_indent="    ", break_long_words=False)
    )


def wrapped_code(line: str) -> tuple[str, ...]:
    """Return a call on one line, or its arguments on lines of their own; likewise an assignment."""
    if len(line) <= WIDTH:
        return (line,)
    name, equals, value = line.partition(" = ")
    if equals and name.isidentifier():
        return (f"{name} = (", *(f"    {part}" for part in textwrap.wrap(value, WIDTH - 4)), ")")
    head, _, rest = line.partition("(")
    inner = rest[:-1]
    if len(inner) + 4 <= WIDTH:
        return (f"{head}(", f"    {inner}", ")")
    return (f"{head}(", *(f"    {arg}," for arg in _arguments(inner)), ")")


def _arguments(inner: str) -> list[str]:
    """Split arguments at the commas outside all brackets."""
    parts, depth, begin = [], 0, 0
    for place, c in enumerate(inner):
        depth += (c in "([{") - (c in ")]}")
        if c == "," and depth == 0:
            parts.append(inner[begin:place].strip())
            begin = place + 1
    return [*parts, inner[begin:].strip()]
