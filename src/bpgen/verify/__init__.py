"""Verification: to how many digits the derived gradient is that of the forward formulas.

In: `ir.Network` and `ir.Derivation`, and emitted gradient functions to compare. Out: a `Verdict`.
True at the door: VERIFIED is said only by `conclude`, after a proof in ball arithmetic at two
points, with no switch at the points, and with wrong gradients planted and refuted in the same run.

`interpret` gives equations their meaning over any `Numbers`; `points` and `line` say where they are
read; `proof` (or `estimate`, without flint) gathers `evidence`, on which one decision stands;
`taylor`, `stencils` and `complex_step` show the same by eye. Where the extents are too large for
balls, `reduce` gives the same equations smaller ones, and what is `measured` at the declared ones
is told apart from what is proved. `emitted`, `integral`, `statements` and `precision` look at
emitted modules; `draws` and `witness` let anyone draw the same points again. `second` checks second
derivatives: the Hessian times a direction is the gradient of a scalar (`product`), and quadratic
forms come from the loss alone (`forms`, `jet`). Nothing here knows a layer by name.
Rejected: absolute tolerances (a small loss passes all of them) and fixed directions (an error
orthogonal to one is never seen).
"""

from bpgen.verify.check import check
from bpgen.verify.emitted import Emitted
from bpgen.verify.quick import proved_digits
from bpgen.verify.reduce import reductions
from bpgen.verify.second import Second, check_second
from bpgen.verify.verdict import Verdict
from bpgen.verify.witness import Witness, witnesses

__all__ = [
    "Emitted",
    "Second",
    "Verdict",
    "Witness",
    "check",
    "check_second",
    "proved_digits",
    "reductions",
    "witnesses",
]
