"""Spelling: a formula as text and as LaTeX, two ways to write down one tree."""

from collections.abc import Iterable

from bpgen.ir.tensor import Tensor
from bpgen.spell.derivative import derivatives_of
from bpgen.spell.formula import FormulaSpeller
from bpgen.spell.latex import LatexSpeller
from bpgen.spell.speller import Speller

__all__ = ["FormulaSpeller", "LatexSpeller", "Speller", "derivatives_of", "order_of"]


def order_of(tensors: Iterable[Tensor]) -> dict[str, int]:
    """Return the position of each tensor, by which factors of a product are sorted."""
    return {tensor.name: place for place, tensor in enumerate(tensors)}
