"""Text as the gated recurrent unit reads and writes it."""

from bpgen.pictures.text import draw

__all__ = ["draw"]
