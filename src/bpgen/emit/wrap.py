"""Lines of at most 100 columns, broken where a person would break them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

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
    if equals and name.isidentifier() and len(_clauses(value)) > 1:
        parts = [part for clause in _clauses(value) for part in _clause(clause, width - 4)]
        return (f"{name} = (", *(f"    {part}" for part in parts), ")")
    head, inner, tail = _bracket(line)
    if len(inner) + 4 <= width:
        return (head, f"    {inner}", tail)
    arguments = [part for arg in _arguments(inner) for part in _argument(arg, width - 4)]
    return (head, *(f"    {part}" for part in arguments), tail)


def _clause(clause: str, width: int) -> list[str]:
    """Return a clause of a conditional; what follows a long `else` in brackets on its own lines."""
    word, opened, inner = clause.partition("(")
    if len(clause) <= width or word.strip() != "else" or not inner.endswith(")"):
        return textwrap.wrap(clause, width)
    inner = inner.removesuffix(")")
    whole = len(inner) <= width - 4
    parts = [inner] if whole else [p for c in _clauses(inner) for p in _clause(c, width - 4)]
    return [f"{word}{opened}", *(f"    {part}" for part in parts), ")"]


def _argument(arg: str, width: int) -> tuple[str, ...]:
    """Return an argument on a line of its own, or, if it is a long call, on several."""
    if len(arg) < width or not arg.endswith(")"):
        return (f"{arg},",)
    *lines, last = _wrapped(arg, width - 1)
    return (*lines, f"{last},")


def wrapped_names(names: Sequence[str], values: Sequence[str]) -> str:
    """Return an assignment of values to names, on as many lines as it needs."""
    lines: list[str] = []
    begin = 0
    for end in range(1, len(names) + 1):
        line = f"{', '.join(names[begin:end])} = {', '.join(values[begin:end])}"
        if len(line) > WIDTH + 4:
            begin = end - 1
            line = f"{names[begin]} = {values[begin]}"
        elif lines and begin < end - 1:
            lines.pop()
        lines.append(line)
    return "\n".join(lines)


def _bracket(line: str) -> tuple[str, str, str]:
    """Return a line up to its first call, or else slice; what is inside; and the rest of it."""
    begin = line.index("(" if "(" in line else "[") + 1
    depths = enumerate(_depths(line))
    place = next(k for k, depth in depths if k >= begin and depth == 0)
    return line[:begin], line[begin:place], line[place:]


def _arguments(inner: str) -> list[str]:
    """Split arguments at the commas outside all brackets."""
    return [part.removesuffix(",") for part in _split(inner, (", ",), after=1)]


def _clauses(value: str) -> list[str]:
    """Split a conditional before its `if` and its `else`, outside all brackets."""
    return _split(value, (" if ", " else "), after=0)


def _split(text: str, marks: tuple[str, ...], *, after: int) -> list[str]:
    """Cut `text` at every mark outside brackets and strings, `after` characters into the mark."""
    parts, begin = [], 0
    for place, depth in enumerate(_depths(text)):
        if depth == 0 and text.startswith(marks, place):
            parts.append(text[begin : place + after].strip())
            begin = place + after
    return [*parts, text[begin:].strip()]


def _depths(text: str) -> Iterator[int]:
    """Yield, for each character, how many brackets and strings are open behind it."""
    depth, quoted = 0, False
    for c in text:
        quoted ^= c == '"'
        depth += 0 if quoted else (c in "([{") - (c in ")]}")
        yield depth + quoted
