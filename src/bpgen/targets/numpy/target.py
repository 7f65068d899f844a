"""The numpy target: each statement as calls into memory that is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import sympy

from bpgen.ir.equation import Op
from bpgen.ir.expr import Access, accesses, indices_of
from bpgen.ir.index import BATCH, Index
from bpgen.ir.program import (
    Contract,
    Fold,
    Gather,
    Map,
    Place,
    Reduce,
    Statement,
    Step,
    View,
)
from bpgen.ir.tensor import Role, Tensor
from bpgen.lower.row_blocks import Length
from bpgen.targets.numpy.arrays import Arrays
from bpgen.targets.numpy.contract import contraction, einsum
from bpgen.targets.numpy.folds import fold
from bpgen.targets.numpy.gathers import gather
from bpgen.targets.numpy.places import place, view
from bpgen.targets.numpy.product import by_copies
from bpgen.targets.numpy.scalar import scalar
from bpgen.targets.numpy.scratch import Axes, Scratch
from bpgen.targets.numpy.terms import by_terms
from bpgen.targets.numpy.turns import Fixed, Slices, at, written_at
from bpgen.targets.numpy.ufuncs import Ufuncs
from bpgen.targets.numpy.unrolled import is_small_window, largest, spread, spread_axis
from bpgen.targets.numpy.values import Value, in_order, is_dense, outer_axes

_ONE: sympy.Expr = sympy.S.One
_REDUCTIONS = {Op.SUM: "np.add.reduce", Op.MAX: "np.maximum.reduce", Op.ARGMAX: "np.argmax"}


class NumpyTarget:
    """Spell statements for one workspace."""

    def __init__(
        self,
        names: Mapping[str, str],
        tensors: Mapping[str, Tensor],
        owner: str = "a",
        *,
        rebound: frozenset[str] = frozenset(),
        local: bool = False,
    ) -> None:
        """Take how code names each tensor; `owner` is the workspace that holds scratch.

        `rebound` are the tensors that are views of others; with `local` registers are names of
        their own.
        """
        self.names = names
        owners = {name.partition(".")[0] for name in names.values()}
        # Functions call the batch N, and the optimizer's memory s.
        self.scratch = Scratch(owner, frozenset({*tensors, *owners, "N", "s"}), local)
        self.tensors = tensors
        self._arrays = Arrays(names, tensors, self.scratch, rebound)

    def lines(self, step: Step, fixed: Fixed | None = None) -> tuple[str, ...]:
        """Return the code of one step, in a turn of the loops over the indices `fixed`."""
        self.scratch.serving = step.equation.out.name
        lines = [line for s in step.statements for line in at(self, s, fixed or {})]
        if step.meets:
            lines.append(f"{self.scratch.owner}.meet({written_at(self, step, fixed or {})})")
        return tuple(lines)

    def seeing(self, slices: Slices) -> NumpyTarget:
        """Return this target with slices among its tensors, and the same scratch memory."""
        rebound = self._arrays.rebound.union(slices.made)
        target = NumpyTarget(
            slices.all_names(), slices.all_tensors(), self.scratch.owner, rebound=rebound
        )
        target.scratch = self.scratch
        target._arrays = replace(target._arrays, scratch=self.scratch)
        return target

    def statement(self, statement: Statement) -> list[str]:
        """Return the code of one statement about whole tensors."""
        match statement:
            case Map(out=Tensor(role=Role.SCALAR)):
                return [f"{statement.out.name} = {scalar(statement.body)}"]
            case Map():
                return self._map(statement)
            case Reduce():
                return self._reduce(statement)
            case Contract():
                return self._contract(statement)
            case Fold():
                return self._fold(statement)
            case Gather():
                return gather(self._arrays, statement)
            case View():
                return view(self._arrays, statement)
            case Place():
                return place(self._arrays, statement)
            case _:
                raise AssertionError(f"{statement} has its place elsewhere")

    def _out(self, tensor: Tensor) -> Value:
        return Value(self.names[tensor.name], tensor.indices)

    def _map(self, statement: Map) -> list[str]:
        axis = spread_axis(statement)
        if axis is not None:
            return spread(self._arrays, statement, self._out(statement.out), axis)
        ufuncs = Ufuncs(self._arrays)
        body = statement.body
        if statement.accumulate:
            body = sympy.Add(statement.out.canonical, body)
        ufuncs.store(body, self._out(statement.out), statement.out.indices)
        return ufuncs.lines

    # ---- sums ------------------------------------------------------------------------------------

    def _reduce(self, statement: Reduce) -> list[str]:
        """Write a sum, a maximum, or the address of a maximum, over any axes."""
        if is_small_window(statement) and not statement.accumulate:
            return largest(self._arrays, statement, self._out(statement.out))
        ufuncs = Ufuncs(self._arrays)
        number, body = _scaled(statement.body) if statement.op is Op.SUM else (_ONE, statement.body)
        space = _memory_order(body, (*statement.out.indices, *statement.over))
        found = indices_of(body)
        array = ufuncs.array(body, tuple(i for i in space if i in found), space)
        if statement.op is Op.ARGMAX:
            array = self._laid_out(ufuncs, array)
        lines = self._reduced(statement, array, number, found)
        ufuncs.free(array)
        return [*ufuncs.lines, *lines]

    def _reduced(
        self, statement: Reduce, array: Value, number: sympy.Expr, found: frozenset[Index]
    ) -> list[str]:
        """Bring the entries of `array`, which has the indices `found`, together."""
        product = _weighted(array, statement.over) if statement.op is Op.SUM else None
        if product is not None:
            return self._by_product(statement, product, number, array.axes)
        call = _REDUCTIONS[statement.op]
        scale = sympy.Mul(number, *(i.extent for i in statement.over if i not in found))
        if statement.out.role is Role.SCALAR:
            total = _times(f"float({call}({array.text}))", scale)
            return [f"{statement.out.name} = {total}"]
        out, lines = self._target(statement, _without(array.axes, statement.over))
        if out.register is not None:
            self.scratch.free(out.register)
        axes = [str(array.axes.index(i)) for i in statement.over if i in found]
        where = axes[0] if len(axes) == 1 else f"({', '.join(axes)})"
        reduced = f"{call}({array.text}, axis={where}, out={out.text})"
        return [reduced, *self._scaling(out, scale), *lines]

    def _laid_out(self, ufuncs: Ufuncs, array: Value) -> Value:
        """Copy a view whose entries lie apart: numpy would, in memory of its own."""
        if not array.strided:
            return array
        register = self.scratch.take(array.axes)
        copy = Value(self.scratch.text(register), array.axes, register)
        ufuncs.lines.append(f"np.copyto({copy.text}, {array.text})")
        return copy

    def _by_product(
        self, statement: Reduce, call: str, number: sympy.Expr, axes: Axes
    ) -> list[str]:
        """Write a sum as a product with ones, a mean as one with 1/N: BLAS adds faster."""
        extent = statement.over[0].extent
        whole = 1 / number
        is_mean = whole == extent or (whole == BATCH and extent.value is None)
        weights = self.scratch.mean(extent, whole) if is_mean else self.scratch.ones(extent)
        scale = _ONE if is_mean else number
        if statement.out.role is Role.SCALAR:
            total = _times(f"float({call.format(weights=weights, out='')})", scale)
            return [f"{statement.out.name} = {total}"]
        out, lines = self._target(statement, _without(axes, statement.over))
        if out.register is not None:
            self.scratch.free(out.register)
        # np.dot takes no result with gaps in memory, and copies a factor that has some.
        fits = is_dense(out.text) and not outer_axes(call)
        call = call if fits else call.replace("np.dot", "np.matmul")
        product = call.format(weights=weights, out=f", out={out.text}")
        return [product, *self._scaling(out, scale), *lines]

    def _fold(self, statement: Fold) -> list[str]:
        out = self._out(statement.out)
        return [*fold(self._arrays, statement, out), *self._scaling(out, statement.scale)]

    def _contract(self, statement: Contract) -> list[str]:
        ufuncs = Ufuncs(self._arrays)
        space = (*statement.out.indices, *statement.over)
        arrays = []
        for factor in statement.factors:
            found = indices_of(factor)
            order = _memory_order(factor, space)
            arrays.append(ufuncs.array(factor, tuple(i for i in order if i in found), order))
        if statement.out.role is Role.SCALAR:
            a, b = arrays
            total = _times(f"float(np.dot({a.text}, {b.text}))", statement.scale)
            return [*ufuncs.lines, f"{statement.out.name} = {total}"]
        over = statement.over
        present = {i for array in arrays for i in array.axes}
        out, lines = self._target(
            statement, tuple(i for i in statement.out.indices if i in present)
        )
        ufuncs.lines += self._product(arrays, over, out)
        for value in (*arrays, out):
            ufuncs.free(value)
        return [*ufuncs.lines, *self._scaling(out, statement.scale), *lines]

    def _product(self, arrays: list[Value], over: Axes, out: Value) -> list[str]:
        """Write a sum of products: by few terms, by views, by copies, or by a plain loop."""
        if len(arrays) == 2:
            a, b = arrays
            terms = by_terms(a, b, over, out, self.scratch)
            if terms is not None:
                return terms
            call = contraction(a, b, over, out)
            if call is not None:
                return [call]
            lines = by_copies(a, b, over, out, self.scratch)
            if lines is not None:
                return lines
        return [einsum(arrays, out)]

    def _scaling(self, out: Value, scale: sympy.Expr) -> list[str]:
        if scale == 1:
            return []
        return [f"np.multiply({out.text}, {self.scratch.number(scale)}, out={out.text})"]

    def _target(self, statement: Reduce | Contract, axes: Axes) -> tuple[Value, list[str]]:
        """Return where a sum over the axes `axes` is written, and the lines that follow.

        That is the result itself, its axes in the order of `axes`; or a register, if the sum is to
        be added to the result, or repeated along axes it does not have. The register is the
        caller's to free.
        """
        out = self._out(statement.out)
        if not statement.accumulate and set(axes) == set(out.axes):
            return in_order(out, axes), []
        own = tuple(i for i in out.axes if i in axes)
        register = self.scratch.take(own)
        value = Value(self.scratch.text(register), own, register)
        spread = value.along(out.axes)
        line = f"np.copyto({out.text}, {spread})"
        if statement.accumulate:
            line = f"np.add({out.text}, {spread}, out={out.text})"
        return in_order(value, axes), [line]


def _without(axes: Axes, over: Axes) -> Axes:
    return tuple(i for i in axes if i not in over)


def _weighted(array: Value, over: Axes) -> str | None:
    """Return the product that sums an array of one or two axes over one of them, or None."""
    if len(over) != 1 or over[0] not in array.axes or len(array.axes) > 2 or array.strided:
        return None
    if array.axes[-1] == over[0]:
        # By rows, so that what is in the same block does not matter for any bit.
        if isinstance(array.axes[0].extent, Length):
            return f"np.vecdot({array.text}, {{weights}}{{out}})"
        return f"np.dot({array.text}, {{weights}}{{out}})"
    return f"np.dot({{weights}}, {array.text}{{out}})"


def _times(number: str, scale: sympy.Expr) -> str:
    return number if scale == 1 else f"{number} * {scalar(scale)}"


def _scaled(body: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    factors = sympy.Mul.make_args(body)
    plain = [f for f in factors if not f.has(Access, Index)]
    return sympy.Mul(*plain), sympy.Mul(*(f for f in factors if f not in plain))


def _memory_order(factor: sympy.Expr, space: Axes) -> Axes:
    """Return the order of axes of a factor: its widest entry's, to read it as it lies.

    Where no part of a product has all of its indices, those of the result and of the sum stay
    together, as a product of matrices wants them.
    """
    entries = accesses(factor)
    read = [max(entries, key=lambda a: len(a.indices))] if entries else []
    own = [i for a in read for i in a.indices if isinstance(i, Index)]
    if isinstance(factor, Access) and len(own) == len(factor.indices):
        return tuple(dict.fromkeys(own))
    if any(len(indices_of(at)) > 1 for a in read for at in a.indices):
        return space
    if own and all(indices_of(p) < indices_of(factor) for p in sympy.Mul.make_args(factor)):
        begin = space.index(own[0])
        return space[begin:] + space[:begin]
    return tuple(dict.fromkeys((*own, *space)))
