"""English text with program code in it: the help topics of Python, which every Python brings."""

from __future__ import annotations

from collections.abc import Mapping
from pydoc_data.topics import topics as TOPICS  # noqa: N812  a table of the standard library

import numpy as np
from numpy.typing import NDArray

from bpgen.generators import Arrays, Declared

Codes = NDArray[np.int64]

NEWLINE = 95
LENGTH = 64  # where the model declares no other
_UNKNOWN = ord("?") - ord(" ")
_PLAIN = str.maketrans("‘’“”–—…", "''\"\"--.")


def topics(inputs: Declared) -> Arrays:
    """Return windows of text, the character after each character, and where a window comes from.

    Formula:
        next_token[n,t] = the character after tokens[n,t], so tokens[n,t+1] for all but the last t

    A character is its ASCII number less 32, so 0 … 94 for space … `~`, and a newline is 95.
    Typographic quotes, dashes and dots become the plain ones, whatever else there is becomes `?`.
    A paragraph that several topics share is kept once, and windows have no character in common, so
    rows that are split lie apart.

    Shapes: tokens[n,t] and next_token[n,t] of integers below 96, t as `tokens` declares it (64).
    To a model that declares `topic`, of K classes, come windows of the K longest topics alone, as
    many of each, and topic[n] counts these from the longest.
    Source: `pydoc_data.topics` of the running Python; its versions differ in their text.
    """
    sections = _sections(TOPICS)
    length = _length(inputs)
    if "topic" not in inputs:
        text = np.concatenate([encoded(sections[name]) for name in sorted(sections)])
        return _pairs(_windows(text, length))
    longest = sorted(sections, key=lambda name: (-len(sections[name]), name))
    classes = inputs["topic"].below
    found = [_windows(encoded(sections[name]), length) for name in longest[:classes]]
    rows = min(map(len, found))
    windows = np.concatenate([windows[:rows] for windows in found])
    return {**_pairs(windows), "topic": np.repeat(np.arange(len(found)), rows)}


def encoded(text: str) -> Codes:
    """Return the characters of `text` as integers below 96."""
    plain = np.frombuffer(text.translate(_PLAIN).encode("utf-32-le"), np.uint32).astype(np.int64)
    codes = np.where((plain >= 32) & (plain < 127), plain - 32, _UNKNOWN)
    return np.where(plain == ord("\n"), NEWLINE, codes)


def decoded(codes: Codes) -> str:
    """Return the text that integers below 96 stand for."""
    return "".join("\n" if code == NEWLINE else chr(code + 32) for code in codes)


def _length(inputs: Declared) -> int:
    """Return how many tokens the model reads at a time."""
    shape = inputs["tokens"].shape if "tokens" in inputs else ()
    return shape[1] or LENGTH if len(shape) == 2 else LENGTH


def _sections(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the text of each topic, without the paragraphs that topics before it have."""
    seen: set[str] = set()
    sections = {}
    for name in sorted(texts):
        own = [p for p in dict.fromkeys(texts[name].split("\n\n")) if p.strip() not in seen]
        sections[name] = "\n\n".join(own)
        seen |= {paragraph.strip() for paragraph in own}
    return sections


def _windows(codes: Codes, length: int) -> Codes:
    """Cut `codes` into windows of `length` characters and the one after them."""
    rows = len(codes) // (length + 1)
    return codes[: rows * (length + 1)].reshape(rows, length + 1)


def _pairs(windows: Codes) -> Arrays:
    return {"tokens": windows[:, :-1], "next_token": windows[:, 1:]}
