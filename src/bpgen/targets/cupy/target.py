"""The CuPy target: the kernels of a program, and the lines that launch them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sympy import Expr

from bpgen.ir.equation import Term
from bpgen.ir.expr import accesses
from bpgen.ir.index import Index, Scalar
from bpgen.ir.program import Part as ProgramPart
from bpgen.ir.program import Step
from bpgen.ir.tensor import Role, Tensor
from bpgen.spell import FormulaSpeller, order_of
from bpgen.targets.cupy.ends import write_end
from bpgen.targets.cupy.fusion import Entrywise, Member, Part, Total, bodies
from bpgen.targets.cupy.groups import Group, Round, grouped
from bpgen.targets.cupy.kernel import Draft, Fixed, Kernel, Launch
from bpgen.targets.cupy.maps import write_maps
from bpgen.targets.cupy.matches import matches_of, write_matches
from bpgen.targets.cupy.matmul import MATMUL, matmul
from bpgen.targets.cupy.memory import Memory
from bpgen.targets.cupy.names import identifier
from bpgen.targets.cupy.noise import draw_of, is_drawn
from bpgen.targets.cupy.panels import end_of, panel_read
from bpgen.targets.cupy.rows import row_of, write_rows
from bpgen.targets.cupy.shapes import Written, write
from bpgen.targets.cupy.tiles import Tile
from bpgen.targets.cupy.touched import entries, touched


@dataclass(frozen=True, slots=True)
class Rounds:
    """Launches that are carried out in turn for each value of an index."""

    head: str
    index: Index
    body: tuple[Launch | Rounds, ...]


@dataclass(slots=True)
class CupyTarget:
    """Write the functions of one program; `kernels` are those that they launch, each once."""

    memory: Memory
    speller: FormulaSpeller
    turn: dict[Index, str]
    kernels: dict[str, Kernel] = field(default_factory=dict)
    shapes: dict[tuple[str, ...], str] = field(default_factory=dict)
    tiles: list[Tile] = field(default_factory=list)

    def held(self) -> Memory:
        """Return the memory of the program, with what is copied to tiles."""
        memory = self.memory
        for tile in self.tiles:
            memory = tile.within(memory)
        return memory

    def launches(self, parts: Sequence[ProgramPart], function: str) -> tuple[Launch | Rounds, ...]:
        """Return what a function does, in order."""
        return self._launches(grouped(parts, self.memory, {}), function, {})

    def draws(self, tensors: Iterable[Tensor]) -> tuple[Launch, ...]:
        """Return what draws the noise of a step, as far as kernels do."""
        found = []
        for tensor in filter(is_drawn, tensors):
            name = self._free([identifier(tensor.name)], "draw")
            self.kernels[name], launch = draw_of(tensor, self.memory, name, self.speller)
            found.append(launch)
        return tuple(found)

    def updates(self, steps: Sequence[Step]) -> tuple[Launch | Rounds, ...]:
        """Return what the optimizer does: its numbers first, if nothing else decides them."""
        ordered = _numbers_first(_folded(steps))
        return self._launches(grouped(ordered, self.memory, {}, assigned=True), "update", {})

    def count(self, formula: str, argument: str) -> Launch:
        """Return the launch that adds 1 to the integer `t`."""
        lines = ("each(1, [=](int) { ++*t; });",)
        self.kernels["count_step"] = Kernel("count_step", (formula,), ("int *t",), lines)
        return Launch((formula,), f'k.each("count_step", 1, {argument})')

    def _launches(
        self, groups: Iterable[Group | Round], function: str, fixed: Fixed
    ) -> tuple[Launch | Rounds, ...]:
        found: list[Launch | Rounds] = []
        for group in groups:
            if isinstance(group, Round):
                found.append(self._rounds(group, function, fixed))
            else:
                found.extend(self._launch(group, function, fixed))
        return tuple(found)

    def _rounds(self, of: Round, function: str, fixed: Fixed) -> Rounds:
        index = of.turns.index
        turn = self.turn[index]
        values = f"range({index.extent})"
        values = f"reversed({values})" if of.turns.reverse else values
        within = {**fixed, index: turn}
        body = self._launches(of.body, function, within)
        return Rounds(f"for {turn} in {values}:", index, body)

    def _formula(self, member: Member) -> str:
        return self.speller.equation(member.equation, member.sign)

    def _launch(self, group: Group, function: str, fixed: Fixed) -> Iterable[Launch]:
        part = group[0].part
        ends = panel_read(part, self.memory.panels) is not None
        product = None if ends else matmul(part, fixed, self.memory)
        if product is None:
            yield self._kernel(group, function, fixed)
            return
        for tile in product.tiles:
            self.tiles.append(tile)
            yield self._filled(tile, function, fixed)
        yield Launch((self._formula(group[0]),), product.line, product.touched)

    def _filled(self, tile: Tile, function: str, fixed: Fixed) -> Launch:
        """Return what copies entries to a tile."""
        part, memory = Entrywise(tile.tensor, tile.read, accumulate=False), tile.within(self.memory)
        draft = Draft(memory.at(entries([part], memory), fixed), fixed)
        written = write_maps(draft, [part])
        formula = f"{self.speller.spell(tile.tensor.canonical)} = {self.speller.spell(tile.read)}"
        name = self._kept(draft, written.lines, [formula], [part], function)
        return _launch(name, written, draft, (formula,), [part])

    def _kernel(self, group: Group, function: str, fixed: Fixed) -> Launch:
        parts = [m.part for m in group]
        is_number = parts[-1].out.role is Role.SCALAR and not isinstance(parts[0], Total)
        order = order_of(self.memory.tensors.values())
        memory = self.memory.at(entries(parts, self.memory), fixed)
        draft = Draft(memory, fixed, "double" if is_number else "real", order)
        written = self._written(draft, parts)
        formulas = [*self._before(parts[0]), *map(self._formula, group)]
        name = self._kept(draft, written.lines, formulas, parts, function)
        is_row = len(parts) > 1 and row_of(parts, fixed, memory) is not None
        return _launch(name, written, draft, tuple(formulas), parts, is_row=is_row)

    def _before(self, part: Part) -> list[str]:
        """Return the formulas of the panel that a part ends, as far as it follows from them."""
        panel = panel_read(part, self.memory.panels)
        if panel is None:
            return []
        products, maps = panel.sources(bodies(part))
        names = dict.fromkeys([a.name for a in products] + [m.out.name for m in maps])
        return [self.speller.equation(panel.equations[name], "=") for name in names]

    def _written(self, draft: Draft, parts: Sequence[Part]) -> Written:
        """Return the kernel of a group, in the shape that its first part asks for."""
        panel = panel_read(parts[0], self.memory.panels)
        end = end_of(parts[0], panel) if panel else None
        if panel and end:
            return write_end(draft, end, panel)
        row = row_of(parts, draft.fixed, self.memory) if len(parts) > 1 else None
        if row is not None:
            return write_rows(draft, parts, row)
        matches = matches_of(parts[0], draft.moving(parts[0].out.indices))
        if matches is not None:
            return write_matches(draft, parts, matches)
        return (write if isinstance(parts[0], Total) else write_maps)(draft, parts)

    def _kept(
        self,
        draft: Draft,
        lines: Sequence[str],
        formulas: Sequence[str],
        parts: Sequence[Part],
        function: str,
    ) -> str:
        """Return the name of a kernel; one that computes other tensors in the same way is kept."""
        shape = draft.shape(lines)
        if shape not in self.shapes:
            name = self._name(parts, function)
            self.shapes[shape] = name
            self.kernels[name] = draft.kernel(name, formulas, lines)
        name, out = self.shapes[shape], parts[-1].out.name
        kernel = self.kernels[name]
        if kernel.formulas != tuple(formulas) and out not in kernel.likewise:
            self.kernels[name] = replace(kernel, likewise=(*kernel.likewise, out))
        return name

    def _name(self, parts: Sequence[Part], function: str) -> str:
        """Return a name that says what is computed, and that no kernel has."""
        out = self.memory.root(parts[-1].out.name)
        base = identifier(out)
        reads = [identifier(a.name) for p in parts for a in accesses(bodies(p)[0])]
        return self._free([base, *(f"{base}_from_{r}" for r in reads[:1])], function)

    def _free(self, wanted: Sequence[str], function: str) -> str:
        """Return the first of some names that no kernel has; else one that names the function."""
        last = f"{wanted[0]}_in_{function}"
        wanted = [*wanted, last, *(f"{last}_{k}" for k in range(2, 2 + len(self.kernels)))]
        return next(name for name in wanted if name not in {*self.kernels, MATMUL})


def _launch(
    name: str,
    written: Written,
    draft: Draft,
    formulas: tuple[str, ...],
    parts: Sequence[Part],
    *,
    is_row: bool = False,
) -> Launch:
    given = ", ".join([f'"{name}"', *written.sizes, *draft.arguments()])
    found = touched(parts, draft.memory, draft.given(), is_row=is_row)
    return Launch(formulas, f"k.{written.method}({given})", found)


def _folded(steps: Iterable[Step]) -> list[Step]:
    """Write a number that is known now, such as a constant rate, into the formulas that read it.

    Its own step stays, so that the formula is shown, if something is left to compute.
    """
    known: dict[Expr, Expr] = {}
    found = []
    for step in steps:
        out = step.equation.out
        terms = tuple(Term(t.body.xreplace(known), t.over) for t in step.equation.terms)
        is_plain = len(terms) == 1 and not terms[0].over
        if out.role is Role.SCALAR and is_plain and terms[0].body.is_number:
            known[Scalar(out.name)] = terms[0].body
            continue
        known.pop(Scalar(out.name), None)
        found.append(replace(step, equation=replace(step.equation, terms=terms)))
    return found


def _numbers_first(steps: Sequence[Step]) -> list[Step]:
    """Put numbers that follow from the number of the step alone before all else."""
    names = [s.equation.out.name for s in steps if s.equation.out.role is Role.SCALAR]
    early: list[Step] = []
    ready: set[str] = set()
    for step in steps:
        equation = step.equation
        read = {str(s) for t in equation.terms for s in t.body.atoms(Scalar)} & set(names)
        is_number = equation.out.role is Role.SCALAR and names.count(equation.out.name) == 1
        if is_number and not equation.accesses() and read <= ready:
            early.append(step)
            ready.add(equation.out.name)
    return [*early, *(s for s in steps if s not in early)]
