"""Text as the transformer reads and writes it."""

from bpgen.pictures.text import draw

__all__ = ["draw"]
