"""What `bpgen check` shows: a verdict on the gradients, and one on second derivatives."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bpgen.model import Model
    from bpgen.verify.second import Second
    from bpgen.verify.verdict import Verdict

# The gravest first: one of them decides for all.
_WORDS = ("REFUTED", "UNDECIDED", "VERIFIED")


def shown(
    model: Model,
    seed: int | None,
    progress: Callable[[str], None],
    *,
    second: bool = False,
    order: int = 0,
    as_json: bool = False,
) -> tuple[str, str]:
    """Check `model`; return the report, and VERIFIED, REFUTED or UNDECIDED.

    With `second`, or an `order` of Taylor coefficients, second derivatives are checked at the same
    seed; in JSON they are the key `second` of the verdict.
    """
    first = model.check(seed=seed, progress=progress)
    found: list[Verdict | Second] = [first]
    if second or order:
        found.append(model.check_second(first.seed, order, progress))
    words = {verdict.verdict for verdict in found}
    text = _as_json(found) if as_json else "\n\n".join(map(str, found))
    return text, next(word for word in _WORDS if word in words)


def _as_json(found: Sequence[Verdict | Second]) -> str:
    plain = found[0].to_json()
    if len(found) > 1:
        plain["second"] = found[1].to_json()
    return json.dumps(plain, indent=2)
