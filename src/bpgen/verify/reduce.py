"""Which extents a proof takes: the declared ones, or small ones where those are too large.

The equations hold extents as symbols, and so does their derivation: no rule of it looks at a size,
but for the relations that the reduced sizes keep. What is proved at small extents is therefore the
same derivation; only that no size it was shipped with hides a mistake is left to measure.
"""

from __future__ import annotations

from bpgen.ir.derivation import Derivation
from bpgen.ir.index import Extent
from bpgen.ir.network import Network
from bpgen.verify.relations import Relations, relations
from bpgen.verify.resized import resized
from bpgen.verify.shrink import shrunk


def reduced(network: Network, derivation: Derivation) -> tuple[Network, Derivation]:
    """Return both at the smallest extents that their equations allow."""
    both = derivation.network
    found = relations(both)
    grids = [[i.extent for i in (*e.out.indices, *t.over)] for e in both.equations for t in e.terms]
    sizes = shrunk(_sizes(both, found), found, grids)
    small: tuple[Network, Derivation] = resized((network, derivation), sizes)
    return small


def _sizes(network: Network, found: Relations) -> tuple[Extent, ...]:
    """Return all extents, and the bounds of integers, of which those tied to nothing stay."""
    tied = {e for formula in found.equal for e in formula.atoms(Extent)}
    read = {e for own in found.kept for e in own}
    bounds = sorted((tied | read) - {*network.extents()}, key=lambda e: e.name)
    found.fix(*(e for e in bounds if e not in tied))
    return (*network.extents(), *bounds)
