"""Where each tensor lives in an emitted module, and what code calls it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import sympy
from sympy import Expr

from bpgen.emit.view import FieldView
from bpgen.emit.wrap import WIDTH, wrapped_code
from bpgen.ir.index import Extent, Index
from bpgen.ir.optimizer import GRADIENT, THETA
from bpgen.ir.program import Place, Program, View, steps_of
from bpgen.ir.reshape import is_rebound
from bpgen.ir.tensor import KEPT, Role, Tensor
from bpgen.spell import FormulaSpeller
from bpgen.targets.numpy.scalar import scalar
from bpgen.targets.numpy.scratch import Register, Scratch


@dataclass(frozen=True, slots=True)
class Memory:
    """The names of tensors in code, and which buffers the workspaces hold.

    `direction` and `product` are what code calls v and Hv in a product with the Hessian.
    """

    names: Mapping[str, str]
    update_names: Mapping[str, str]
    activations: tuple[Tensor, ...]
    cotangents: tuple[Tensor, ...]
    tangents: tuple[Tensor, ...]
    extents: tuple[Extent, ...]
    rebound: frozenset[str]
    borders: Mapping[str, Expr]
    direction: str
    product: str

    @classmethod
    def of(cls, program: Program) -> Memory:
        """Name every tensor of `program`: `p.W`, `g.W`, `a.z1`, `a.d_z1`, or an argument `x`."""
        closed = program.derivation.network
        gradients = {
            program.derivation.gradient_of(t.name): t.name for t in program.network.parameters
        }
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
        first = program.forward + program.loss + program.predict + program.score
        steps = steps_of(first + program.advance + program.backward + program.second)
        views = {
            step.equation.out.name
            for step in steps
            if isinstance(step.statements[0], View) and is_rebound(step.statements[0])
        }
        borders = {
            step.equation.out.name: step.statements[0].pad.value
            for step in steps
            if isinstance(step.statements[0], Place)
        }
        made = dict.fromkeys(step.equation.out for step in steps_of(first))
        noise = dict.fromkeys(program.network.of_role(Role.NOISE))
        advanced = [
            s.equation.out for s in steps_of(program.advance) if s.equation.out.role not in KEPT
        ]
        later = dict.fromkeys([*advanced, *(s.equation.out for s in steps_of(program.backward))])
        last = dict.fromkeys(s.equation.out for s in steps_of(program.second))
        after = {t: None for t in later if t not in made}
        return cls(
            names,
            update,
            _lying(program, (*noise, *made), views),
            _lying(program, after, {*gradients, *views}),
            _lying(program, last, {*products, *views}),
            closed.extents(),
            frozenset(views),
            borders,
            direction,
            product,
        )

    def fields(self, tensors: Sequence[Tensor], speller: FormulaSpeller) -> tuple[FieldView, ...]:
        """Return the buffers of a workspace, each with its shape; a border is filled once."""
        return tuple(buffer_field(t, self._made(t), speller.spell(t.canonical)) for t in tensors)

    def _made(self, tensor: Tensor) -> str:
        shape, dtype = _shape(tensor.indices), "np.intp" if tensor.is_integer else "dtype"
        if tensor.role is Role.TABLE:
            return f'TABLES["{tensor.name}"].astype({dtype})'
        border = self.borders.get(tensor.name)
        if border is None:
            return f"np.empty({shape}, {dtype})"
        if border == 0:
            return f"np.zeros({shape}, {dtype})"
        value = "-np.inf" if border == -sympy.oo else scalar(border)
        return f"np.full({shape}, {value}, {dtype})"


def _lying(
    program: Program, tensors: Iterable[Tensor], without: Collection[str]
) -> tuple[Tensor, ...]:
    """Return tensors with their axes as they lie in memory, but for those `without`."""
    return tuple(program.arrays[t.name] for t in tensors if t.name not in without)


def buffer_field(tensor: Tensor, made: str, formula: str) -> FieldView:
    """Return a buffer of a workspace, on three lines where one cannot hold it."""
    if len(f"self.{tensor.name} = {made}  # {formula}") > WIDTH - 4:
        call, _, arguments = made.removesuffix(")").partition("(")
        made = f"{call}(\n            {arguments}\n        )"
    return FieldView(tensor.name, "", formula, make=made)


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


def _shape(axes: Sequence[Index], names: Mapping[str, str] | None = None) -> str:
    sizes = [_size(i, names or {}) for i in axes]
    return f"{sizes[0]}" if len(sizes) == 1 else f"({', '.join(sizes)})"


def _size(index: Index, names: Mapping[str, str]) -> str:
    name = index.extent.name
    return names.get(name, name)


def scratch_lines(
    scratch: Scratch, names: Mapping[str, str] | None = None, without: Scratch | None = None
) -> tuple[str, ...]:
    """Return the lines that make constants, registers and views, but for what `without` has.

    A register is one piece of memory under every shape. `names` says what code calls an extent.
    """
    names = names or {}
    known = without.constants if without else {}
    constants = {k: v for k, v in sorted(scratch.constants.items()) if k not in known}
    lines = [f"self.{name} = {_named(made, names)}" for name, made in constants.items()]
    lines += [f"{name} = self.{made}" for name, made in sorted(scratch.parts.items())]
    registers: dict[tuple[str, str], list[Register]] = {}
    for register in scratch.shapes:
        registers.setdefault((register.letter, register.kind), []).append(register)
    for (letter, kind), seen in sorted(registers.items()):
        lines += _register_lines(letter, kind, seen, names)
    seen_before = without.views if without else {}
    views = {k: v for k, v in sorted(scratch.views.items()) if k not in seen_before}
    owner = f"{scratch.owner}."
    for name, made in views.items():
        lines += _view_lines(f"self.{name}", made.replace(owner, "self.", 1))
    return tuple(wrapped for line in lines for wrapped in wrapped_code(line, 4))


def _view_lines(name: str, made: str) -> list[str]:
    """Return the line that makes a view, or two: the windows, and the steps between them."""
    if len(f"{name} = {made}") <= WIDTH - 4 or not made.endswith("]"):
        return [f"{name} = {made}"]
    windows, _, steps = made.rpartition("[")
    return [f"{name} = {windows}", f"{name} = {name}[{steps}"]


def _register_lines(
    letter: str, kind: str, seen: Sequence[Register], names: Mapping[str, str]
) -> list[str]:
    dtype = {"float": "dtype", "bool": "bool", "int": "np.intp", "double": "np.float64"}[kind]
    if len(seen) == 1:
        return [f"self.{seen[0].name} = np.empty({_shape(seen[0].axes, names)}, {dtype})"]
    sizes = list(dict.fromkeys(_count(r, names) for r in seen))
    most = sizes[0] if len(sizes) == 1 else f"max({', '.join(sizes)})"
    return [
        f"{letter} = np.empty({most}, {dtype})",
        *(
            f"self.{r.name} = {letter}[{_upto(r, names)}].reshape({_shape(r.axes, names)})"
            for r in seen
        ),
    ]


def _named(made: str, names: Mapping[str, str]) -> str:
    for extent, name in names.items():
        made = re.sub(rf"\b{extent}\b", name, made)
    return made


def _count(register: Register, names: Mapping[str, str]) -> str:
    return " * ".join(_size(i, names) for i in register.axes) or "1"


def _upto(register: Register, names: Mapping[str, str]) -> str:
    count = _count(register, names)
    return f": {count}" if " " in count else f":{count}"
