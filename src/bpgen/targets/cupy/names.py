"""The identifiers of one kernel: what a formula calls a tensor, an index and an extent."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# The keywords of C++, the names that the templates around a kernel define, and CUDA's own.
_TAKEN = frozenset(
    """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const
    constexpr continue decltype default delete do double else enum explicit export extern false
    float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr
    operator or or_eq private protected public register return short signed sizeof static struct
    switch template this throw true try typedef typeid typename union unsigned using virtual void
    volatile wchar_t while xor xor_eq
    real narrow narrow_of bf16
    rows map_row reduce_row once wait
    each each_random word each_of few taken put FEW by_thread by_warp by_block by_columns by_match
    product layout by_row by_column strips multiply
    panel panel_of column column_of no_panel everywhere rows_of_panel product_of_panel
    power maximum minimum sign added largest largest_at
    abs exp log sin cos tan sinh cosh tanh atan log1p expm1 erf sqrt rsqrt pow floor
    threadIdx blockIdx blockDim gridDim warpSize INFINITY NAN
    """.split()
)
_LETTERS = {"θ": "theta", "′": "p"}


@dataclass(slots=True)
class Names:
    """Give each thing a name of its own; `owners` is who has a name already."""

    owners: dict[str, object] = field(default_factory=dict)
    _given: dict[object, str] = field(default_factory=dict)

    def of(self, owner: object, wanted: str) -> str:
        """Return the name of `owner`: the wanted one, or that with underscores behind it."""
        if owner not in self._given:
            name = identifier(wanted)
            while name in _TAKEN or name in self.owners:
                name += "_"
            self.owners[name] = owner
            self._given[owner] = name
        return self._given[owner]


def identifier(name: str) -> str:
    """Return a name of the declaration as C++ allows it: θ as `theta`, n′ as `np`."""
    text = "".join(_LETTERS.get(c, c) for c in name)
    return re.sub(r"\W", "_", text)
