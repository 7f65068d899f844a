"""Where each tensor lives in an emitted module, and what code calls it."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bpgen.emit.view import FieldView
from bpgen.emit.wrap import WIDTH, wrapped_code
from bpgen.ir.index import Extent, Index
from bpgen.ir.optimizer import GRADIENT, THETA
from bpgen.ir.program import Program, steps_of
from bpgen.ir.tensor import KEPT, Role, Tensor
from bpgen.lower.lives import functions_of, is_view
from bpgen.targets.numpy.scratch import Scratch


@dataclass(frozen=True, slots=True)
class Memory:
    """The names of tensors in code, and which of them are views of others.

    `direction` and `product` are what code calls v and Hv in a product with the Hessian.
    """

    names: Mapping[str, str]
    update_names: Mapping[str, str]
    extents: tuple[Extent, ...]
    rebound: frozenset[str]
    direction: str
    product: str

    @classmethod
    def of(cls, program: Program) -> Memory:
        """Name every tensor of `program`: `p.W`, `g.W`, `a.z1`, `a.d_z1`, or an argument `x`."""
        closed = program.derivation.network
        gradients = {
            program.derivation.gradient_of(t.name): t.name for t in program.network.parameters
        }
        wholes = [whole.tensor for whole in program.wholes]
        gradients |= {t.name: t.of for t in wholes if t.role is Role.COTANGENT}
        names = {t.name: _name(t, gradients) for t in program.tensors.values()}
        inputs = {t.name for t in program.network.inputs}
        direction, product = (_free(letters, inputs) for letters in ("v", "hv"))
        products = {}
        if program.hessian is not None:
            products = {part: of for of, part in program.hessian.parts.items()}
            names |= {part: f"{product}.{of}" for part, of in products.items()}
            names |= {v: f"{direction}.{of}" for of, v in program.hessian.directions.items()}
        states = {s.name: f"s.{s.name}" for s in program.optimizer.states}
        update = {THETA.name: "p.flat", GRADIENT.name: "g.flat", **states}
        steps = (s for parts in functions_of(program).values() for s in steps_of(parts))
        return cls(
            names,
            update,
            closed.extents(),
            frozenset(s.equation.out.name for s in steps if is_view(s)),
            direction,
            product,
        )


def buffer_field(name: str, made: str, formula: str) -> FieldView:
    """Return a buffer of a workspace, on three lines where one cannot hold it."""
    comment = f"  # {formula}" if formula else ""
    if len(f"self.{name} = {made}{comment}") > WIDTH - 4:
        call, _, arguments = made.removesuffix(")").partition("(")
        if not made.endswith(")"):  # another buffer
            call, arguments = "", made
        made = f"{call}(\n            {arguments}\n        )"
    return FieldView(name, "", formula, make=made)


def _name(tensor: Tensor, gradients: Mapping[str, str]) -> str:
    if tensor.role in {Role.INPUT, Role.LABEL}:
        return tensor.name
    if tensor.role is Role.PARAMETER or tensor.role in KEPT:
        return f"p.{tensor.name}"
    if tensor.name in gradients:
        return f"g.{gradients[tensor.name]}"
    return f"a.{tensor.name}"


def _free(name: str, taken: Collection[str]) -> str:
    """Return `name`, with as many underscores behind it as make it free."""
    return _free(f"{name}_", taken) if name in taken else name


def span(begin: int, size: int) -> str:
    """Return the slice of a parameter in the flat vector."""
    return f"{begin}:{begin + size}"


def shape(axes: Sequence[Index]) -> str:
    """Return a shape in Python; that of one axis is its length."""
    sizes = [i.extent.name for i in axes]
    return sizes[0] if len(sizes) == 1 else f"({', '.join(sizes)})"


def scratch_lines(scratch: Scratch, steps: Container[Hashable]) -> tuple[str, ...]:
    """Return the lines that make the constants and the views that some of `steps` use."""

    def used(made: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        for name, how in sorted(made.items()):
            if any(step in steps for step in scratch.used[name]):
                yield f"self.{name}", how

    tiles = {made.partition("[")[0] for made in scratch.parts.values()}
    constants = {name: made for name, made in scratch.constants.items() if name not in tiles}
    lines = [f"{name} = {made}" for name, made in used(constants)]
    owner = f"{scratch.owner}."
    for name, made in used(scratch.views):
        lines += _view_lines(name, made.replace(owner, "self.", 1))
    return tuple(wrapped for line in lines for wrapped in wrapped_code(line, 4))


def tile_lines(scratch: Scratch, steps: Container[Hashable]) -> tuple[str, ...]:
    """Return the lines that make the tiles that some of `steps` use, and how long one is."""
    lines = []
    for length, made in sorted(scratch.parts.items()):
        tiles = made.partition("[")[0]
        if any(step in steps for step in scratch.used[tiles]):
            lines += [f"self.{tiles} = {scratch.constants[tiles]}", f"{length} = self.{made}"]
    return tuple(wrapped for line in lines for wrapped in wrapped_code(line, 4))


def _view_lines(name: str, made: str) -> list[str]:
    """Return the line that makes a view, or two: the windows, and the steps between them."""
    if len(f"{name} = {made}") <= WIDTH - 4 or not made.endswith("]"):
        return [f"{name} = {made}"]
    windows, _, steps = made.rpartition("[")
    return [f"{name} = {windows}", f"{name} = {name}[{steps}"]


def vector_lines(scratch: Scratch, size: str) -> tuple[str, ...]:
    """Return the lines that make what a function on vectors of length `size` computes in."""
    dtypes = {"float": "dtype", "bool": "bool"}
    registers = [f"self.{r.name} = np.empty({size}, {dtypes[r.kind]})" for r in scratch.shapes]
    constants = (f"self.{name} = {made}" for name, made in sorted(scratch.constants.items()))
    return (*(re.sub(r"\bP\b", size, made) for made in constants), *registers)
