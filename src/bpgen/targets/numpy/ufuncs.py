"""Where the results of a graph live, and the lines that compute them.

The result is built up in the output itself where nothing still needs what the output holds; an
operand that is read for the last time gives its memory to the result; the rest stands in scratch
registers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sympy import Expr

from bpgen.ir.expr import Access
from bpgen.targets.numpy.arrays import Arrays
from bpgen.targets.numpy.graph import LAY_OUT, SELECT, TAKE, Graph, Node
from bpgen.targets.numpy.scratch import Axes, Scratch
from bpgen.targets.numpy.values import Value, in_order, is_dense, outer_axes, shape


@dataclass(slots=True)
class Ufuncs:
    """Write formulas as ufunc calls on `arrays`."""

    arrays: Arrays
    lines: list[str] = field(default_factory=list)

    def store(self, expr: Expr, out: Value, space: Axes) -> None:
        """Compute `expr` into `out`, which may be read in `expr` too."""
        graph = Graph(self.arrays, space)
        root = graph.add(expr)
        value = _Placement(self, graph.nodes, root, out).run()
        if value.text != out.text:
            self.lines.append(f"np.copyto({out.text}, {value.along(out.axes)})")
            if value.register != out.register:
                self.free(value)

    def array(self, expr: Expr, axes: Axes, space: Axes) -> Value:
        """Return an array that holds `expr` over exactly `axes`: a view, or else a register."""
        if isinstance(expr, Access) and not self.arrays.is_apart(expr):
            value = in_order(self.arrays.read(expr), space)
            if value.axes == axes:
                return value
        register = self.scratch.take(axes)
        out = Value(self.scratch.text(register), axes, register)
        self.store(expr, out, space)
        return out

    @property
    def scratch(self) -> Scratch:
        """Return the registers."""
        return self.arrays.scratch

    def free(self, value: Value) -> None:
        """Give back the register of `value`, if it has one."""
        if value.register is not None:
            self.scratch.free(value.register)


class _Placement:
    """Give every node of one graph a place, in order, and write its line."""

    def __init__(self, ufuncs: Ufuncs, nodes: list[Node], root: int, out: Value) -> None:
        self._ufuncs = ufuncs
        self._nodes = nodes
        self._root = root
        self._out = out
        self._last_use = {a: place for place, node in enumerate(nodes) for a in node.args}
        self._values: dict[int, Value] = {}

    def run(self) -> Value:
        """Write all lines; return where the root is."""
        for place, node in enumerate(self._nodes):
            if not node.ufunc:
                self._values[place] = Value(node.text, node.axes)
            else:
                self._write(place, node)
        return self._values[self._root]

    def _write(self, place: int, node: Node) -> None:
        dying = [a for a in dict.fromkeys(node.args) if self._last_use[a] == place]
        out = self._target(place, node, dying)
        args = [self._values[a].along(node.axes) for a in node.args]
        if node.ufunc == LAY_OUT:
            line = f"np.copyto({out.text}.reshape({shape(node.digits)}), {node.text})"
            self._ufuncs.lines.append(line)
        elif node.ufunc == TAKE:
            self._ufuncs.lines.append(f'{node.text}, out={out.text}, mode="clip")')
        elif node.ufunc == SELECT:
            mask, chosen, other = args
            if other != out.text:
                self._ufuncs.lines.append(f"np.copyto({out.text}, {other})")
            self._ufuncs.lines.append(f"np.copyto({out.text}, {chosen}, where={mask})")
        else:
            args += [self._ufuncs.scratch.pieces()] if node.ufunc == "erf" else []
            self._ufuncs.lines.append(f"{node.ufunc}({', '.join(args)}, out={out.text})")
        self._values[place] = out
        for a in dying:
            if self._values[a].register not in (out.register, self._out.register):
                self._ufuncs.free(self._values[a])

    def _target(self, place: int, node: Node, dying: list[int]) -> Value:
        """Choose the memory of a result: the output, an operand read last here, or a register."""
        fits = node.kind == "float" and node.axes == self._out.axes and node.ufunc != LAY_OUT
        # `erf` is a loop over blocks of memory, which has no gaps then; nor have taken rows.
        fits = fits and (node.ufunc not in {"erf", TAKE} or is_dense(self._out.text))
        # What is on its way to an output with gaps is computed where there are none.
        fits = fits and (place == self._root or not outer_axes(self._out.text))
        if fits and self._is_open(place, node):
            return self._out
        # A choice first writes `b`, so only `b` may give its memory.
        donors = [node.args[2]] if node.ufunc == SELECT else list(node.args)
        for a in donors:
            register = self._values[a].register
            same = self._nodes[a].kind == node.kind and self._nodes[a].axes == node.axes
            if a in dying and register is not None and same and register != self._out.register:
                return self._values[a]
        register = self._ufuncs.scratch.take(node.axes, node.kind)
        return Value(self._ufuncs.scratch.text(register), node.axes, register)

    def _is_open(self, place: int, node: Node) -> bool:
        """Whether the output may be written now: nothing that is still needed is in it."""
        for other, value in self._values.items():
            if self._last_use.get(other, -1) < place or not self._overlaps(value.text):
                continue
            in_place = self._last_use[other] == place and value.text == self._out.text
            if not in_place or (node.ufunc == SELECT and other != node.args[2]):
                return False
        return not any(self._overlaps(n.text) for n in self._nodes[place + 1 :])

    def _overlaps(self, text: str) -> bool:
        """Whether `text` is the output or a view of it."""
        rest = text.removeprefix(self._out.text)
        return text.startswith(self._out.text) and not (rest[:1].isalnum() or rest[:1] == "_")
