"""A derivation as a document: text, Markdown, LaTeX, HTML, or JSON."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from textwrap import wrap

from bpgen.derive.report import Contribution, Entry, Line, Report, curvature_report, report
from bpgen.emit.render import environment
from bpgen.errors import OptionError
from bpgen.ir.derivation import Derivation
from bpgen.ir.equation import Op
from bpgen.ir.order import Loop
from bpgen.ir.tangent import Curvature
from bpgen.ir.tensor import KEPT, Role, Tensor
from bpgen.spell import FormulaSpeller, LatexSpeller, Speller, derivatives_of, order_of
from bpgen.spell.speller import MUL

_SHOWN = 32  # entries of a table
_WIDTH = 96
_HESSIAN = (
    "Each parameter moves along a direction, W + ε v_W: a line is the derivative by ε, at 0, of "
    "the line it names. The last ones are the Hessian times v."
)
_GAUSS_NEWTON = (
    "The loss is curved, the network before z = {at} is not: the Jacobian J of z, transposed, "
    "times the Hessian of the loss by z, times J v. σ is the sum over z ∂²L/∂ε∂z, its second "
    "factor held."
)
FORMATS = {"text": "txt", "markdown": "md", "latex": "tex", "html": "html", "json": "json"}


@dataclass(frozen=True, slots=True)
class GivenView:
    """A given tensor: its formula, its role, and its shape in words."""

    formula: str
    role: str
    shape: str


@dataclass(frozen=True, slots=True)
class EntryView:
    """A numbered equation, and how it was derived.

    `opens` are the loops that begin before it, and `indent` is how deep in loops it stands.
    """

    opens: tuple[str, ...]
    indent: str
    number: str
    name: str
    formula: str
    note: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SectionView:
    """Further equations under a title, with lines on what they are."""

    title: str
    words: tuple[str, ...]
    entries: tuple[EntryView, ...]


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A whole document."""

    title: str
    given: tuple[GivenView, ...]
    forward: tuple[EntryView, ...]
    backward: tuple[EntryView, ...]
    updates: tuple[EntryView, ...]
    second: tuple[SectionView, ...] = ()


def document(
    derivation: Derivation,
    *,
    format: str = "text",  # noqa: A002  the word a user knows
    wrt: str | None = None,
    steps: bool = False,
    second: Sequence[Curvature] = (),
) -> str:
    """Return the derivation of a network, or of ∂L/∂wrt, in one of the formats of `FORMATS`.

    `steps` shows every rewriting of every contribution, not only where it came from. `second` are
    products with second derivatives, to be shown behind.
    Errors: UnknownNameError if `wrt` has no cotangent; OptionError for an unknown format.
    """
    if wrt is not None:
        derivation.adjoint_of(wrt)
    if format not in FORMATS:
        raise OptionError(f"unknown format {format!r}", way_out=f"One of {', '.join(FORMATS)}.")
    latex = format == "latex"
    every = {**derivation.network.tensors}
    for curvature in second:
        every |= curvature.network.tensors
    spelling = LatexSpeller if latex else FormulaSpeller
    writer = _Writer(
        spelling(order_of(every.values()), derivatives_of(every.values())),
        derivation,
        latex=latex,
        steps=steps,
    )
    view = writer.view(wrt, second)
    if format == "json":
        return json.dumps(asdict(view), ensure_ascii=False, indent=2) + "\n"
    if format == "html":
        view = _escaped(view)
    template = environment().get_template(f"derivation/{format}.jinja")
    return template.render(view=view)


class _Writer:
    """Turn the entries of a report into strings of one spelling."""

    def __init__(
        self, speller: Speller, derivation: Derivation, *, latex: bool, steps: bool
    ) -> None:
        self._speller, self._derivation = speller, derivation
        self._latex, self._steps = latex, steps

    def view(self, wrt: str | None, second: Sequence[Curvature]) -> DocumentView:
        """Return the document, or the part that leads to ∂L/∂wrt."""
        network = self._derivation.source
        found = report(self._derivation, wrt)
        tables = network.of_role(Role.TABLE)
        doc = network.doc.strip().split("\n")[0]
        return DocumentView(
            title=f"{network.name}: {doc}" if doc else network.name,
            given=tuple(
                self._given(t)
                for t in (*network.inputs, *network.parameters, *network.kept, *tables)
            ),
            forward=self._entries(found.forward),
            backward=self._entries(found.backward),
            updates=self._entries(found.updates),
            second=tuple(self._sections(second, report(self._derivation))),
        )

    def _sections(self, second: Sequence[Curvature], found: Report) -> Iterator[SectionView]:
        before = [*found.forward, *found.backward, *found.updates]
        for curvature in second:
            entries = curvature_report(curvature, before)
            before += entries
            at = ", ".join(curvature.at)
            words = _GAUSS_NEWTON.format(at=at) if curvature.at else _HESSIAN
            title = "Second order: Gauss-Newton" if curvature.at else "Second order: the Hessian"
            yield SectionView(title, tuple(wrap(words, _WIDTH)), self._entries(entries))

    def _given(self, tensor: Tensor) -> GivenView:
        sizes = [
            i.extent.name if v is None else str(v)
            for i, v in zip(tensor.indices, tensor.shape, strict=True)
        ]
        below = f", 0 … {tensor.below - 1}" if tensor.below is not None else ""
        times = r" \times " if self._latex else " × "
        return GivenView(
            self._speller.spell(tensor.canonical),
            tensor.role.value,
            times.join(sizes) + below + _numbers(tensor),
        )

    def _entries(self, entries: Sequence[Entry]) -> tuple[EntryView, ...]:
        before = [(), *(e.loops for e in entries)]
        return tuple(self._entry(e, past) for e, past in zip(entries, before, strict=False))

    def _opens(self, loops: Sequence[Loop], past: Sequence[Loop]) -> Iterator[str]:
        """Yield a line for each loop that begins: `for t = 0 … T-1`."""
        for depth, loop in enumerate(loops):
            if depth >= len(past) or past[depth] is not loop:
                first, last = "0", self._speller.spell(loop.index.extent - 1)
                ends = (last, first) if loop.reverse else (first, last)
                yield self._indent(depth) + self._speller.turns(str(loop.index), *ends)

    def _indent(self, depth: int) -> str:
        return (r"\quad " if self._latex else "    ") * depth

    def _entry(self, entry: Entry, past: Sequence[Loop]) -> EntryView:
        note = ""
        if entry.inlined:
            note = "written into its reader" if entry.contributions else "the start"
        elif entry.helper:
            note = "named, to be computed once"
        elif entry.equation.predict is not None:
            note = f"{self._speller.terms(entry.equation.predict)} in prediction"
        elif entry.moves:
            note = f"({entry.moves}) by ε"
        steps = [s for c in entry.contributions for s in self._contribution(c)]
        if len(entry.contributions) > 1 and self._steps:
            terms = entry.equation.terms
            steps.append(f"merge: {self._speller.terms(terms)}")
        name = entry.equation.out.name
        arrow = r"\leftarrow" if self._latex else "←"
        sign = arrow if entry.equation.out.role in KEPT else "="
        formula = self._speller.equation(entry.equation, sign)
        return EntryView(
            tuple(self._opens(entry.loops, past)),
            self._indent(len(entry.loops)),
            str(entry.number),
            name,
            formula,
            note,
            tuple(steps),
        )

    def _contribution(self, contribution: Contribution) -> list[str]:
        seed, local = (self._speller.tight(f, MUL) for f in (contribution.seed, contribution.local))
        product = f"{seed} · {local}"
        read = self._speller.spell(contribution.read)
        head = f"({contribution.through}) reads {read}: {product}"
        if not self._steps:
            return [head]
        return [head, *(self._line(line) for line in contribution.lines)]

    def _line(self, line: Line) -> str:
        return f"    {line.rule}: {self._speller.terms((line.term,), Op.SUM)}"


def _numbers(tensor: Tensor) -> str:
    """Return the entries of a table, or the first of them."""
    shown = [repr(value) for value in tensor.values[:_SHOWN]]
    more = ["…"] if len(tensor.values) > _SHOWN else []
    return f": {' '.join([*shown, *more])}" if shown else ""


def _escaped(view: DocumentView) -> DocumentView:
    """Return the view with every string safe in HTML."""

    def entry(e: EntryView) -> EntryView:
        return EntryView(
            tuple(html.escape(o) for o in e.opens),
            e.indent,
            e.number,
            html.escape(e.name),
            html.escape(e.formula),
            html.escape(e.note),
            tuple(html.escape(s) for s in e.steps),
        )

    given = tuple(GivenView(html.escape(g.formula), g.role, g.shape) for g in view.given)
    return DocumentView(
        html.escape(view.title),
        given,
        tuple(map(entry, view.forward)),
        tuple(map(entry, view.backward)),
        tuple(map(entry, view.updates)),
        tuple(
            SectionView(s.title, tuple(map(html.escape, s.words)), tuple(map(entry, s.entries)))
            for s in view.second
        ),
    )
