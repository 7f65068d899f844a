"""Text as the long short-term memory reads and writes it."""

from bpgen.pictures.text import draw

__all__ = ["draw"]
