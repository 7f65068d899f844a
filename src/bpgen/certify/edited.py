"""A module against its model: every buffer after both passes, and the first line that is wrong."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bpgen.certify.lines import Edit, block_of, edits
from bpgen.certify.module import BrokenModuleError, File, imported, read
from bpgen.certify.outcome import Examination
from bpgen.execute.probe import Probe
from bpgen.execute.promotion import promotion
from bpgen.ir.derivation import Derivation
from bpgen.ir.tensor import Role
from bpgen.verify.emitted import Emitted, compare
from bpgen.verify.evidence import Outcome
from bpgen.verify.line import base
from bpgen.verify.numbers import EXTENDED, Array
from bpgen.verify.points import generic
from bpgen.verify.problem import problem
from bpgen.verify.statements import Fault, Truth

Arrays = Mapping[str, Array]
Source = Callable[[str, str, int | None], str]
Axes = Mapping[str, Sequence[str]]
Facts = list[tuple[str, str]]


def examined(
    module: Path,
    derivation: Derivation,
    source: Source,
    lying: Axes,
    seed: int | None = None,
) -> Examination:
    """Say whether the file at `module` computes what `derivation` says, and where it does not.

    `source(target, dtype, batch)` is the text that is emitted now; `lying` are the axes of its
    buffers, in the order that they have in memory. A file that computes the same gradient by
    another text was edited elsewhere (its update, say), and is REFUTED too.
    """
    file = read(module)
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    try:
        net = file.load()
        emitted = source(file.target, file.dtype, file.batch)
        changed = edits(file.text, emitted)
        fault, facts = _numbers(file, net, emitted, (derivation, lying), seed)
    except BrokenModuleError as error:
        changed = _changed(file, source)
        where = f"; {changed[0]}" if changed else ""
        return Examination("REFUTED", str(module), f"the module does not run: {error}{where}")
    seen = [("edited", str(edit)) for edit in changed[:5]] + facts
    if fault:
        return Examination("REFUTED", str(module), _reason(file, fault, changed), tuple(seen))
    if changed:
        reason = f"{changed[0]}; the gradient is right all the same"
        return Examination("REFUTED", str(module), reason, tuple(seen))
    return Examination("VERIFIED", str(module), "", tuple(seen))


def _changed(file: File, source: Source) -> tuple[Edit, ...]:
    try:
        return edits(file.text, source(file.target, file.dtype, file.batch))
    except SyntaxError:
        return ()


def _numbers(
    file: File, net: object, emitted: str, formulas: tuple[Derivation, Axes], seed: int
) -> tuple[Fault | str, Facts]:
    """Return the first fault of what the module computes, and what else was seen."""
    derivation, lying = formulas
    network = derivation.source
    noise = tuple(t.name for t in network.of_role(Role.NOISE))
    subject = problem(network, derivation)
    point = generic(subject, np.random.default_rng(seed))
    at = base(subject, point, EXTENDED)
    own = {p.name for p in network.parameters}
    params = {n: v for n, v in point.values.items() if n in own}
    batch = {n: v for n, v in point.values.items() if n not in own}
    axes = {e.out.name: [i.name for i in e.out.indices] for e in derivation.network.equations}
    wide = Probe(net, noise, "float64")  # type: ignore[arg-type]  # what `load` returned
    inside = file.run(lambda: wide.inside(params, batch, axes, lying))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "emitted.py"
        path.write_text(emitted, encoding="utf-8")
        sound = Probe(imported(path, file.target), noise, "float64").inside(
            params, batch, axes, lying
        )
    shown = Probe(wide.net, noise, file.dtype)

    def drift(params: Arrays, batch: Arrays) -> str:
        is_numpy = file.target == "numpy"  # kernels say their types
        return str(promotion(shown, file.text, params, batch) or "") if is_numpy else ""

    code = Emitted(f"{file.target} {file.dtype}", file.dtype, shown.gradient, drift)
    comparison = file.run(lambda: compare(code, at, point))
    what = comparison.fault or f"|g - formula| <= {comparison.error:.1e} |g|"
    truth = Truth.of(at, point)
    compared = truth.right(sound)
    facts: Facts = [
        ("seed", str(seed)),
        ("buffers", f"{len(compared)} compared with their equations"),
        ("emitted", f"{code.label}  {what}"),
    ]
    fault = truth.first_fault(inside, compared)
    if fault is not None:
        return fault, facts
    return (comparison.fault if comparison.outcome is Outcome.REFUTES else ""), facts


def _reason(file: File, fault: Fault | str, changed: tuple[Edit, ...]) -> str:
    """Name the edit that makes the fault: one in the block of the tensor, else the first."""
    if isinstance(fault, str):
        return f"{changed[0]}; {fault}" if changed else fault
    block = block_of(file.text, fault.tensor)
    inside = [edit for edit in changed if edit.line in block]
    if inside or changed:
        return f"{(inside or list(changed))[0]}; first wrong: {fault}"
    return f"line {block.start}: {fault}" if block else str(fault)
