"""A formula as a graph of ufuncs: which operations, in which order; not yet where the results live.

Equal subformulas are one node. Factors of fewer indices are multiplied before they are broadcast.
Whole powers are products, since `np.power` costs ten times as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import sympy
from sympy import Expr
from sympy.core.relational import Relational

from bpgen.errors import TargetError
from bpgen.ir.expr import (
    Access,
    Delta,
    Digit,
    Where,
    base_and_exponent,
    indices_of,
    named_choice,
    sign_of,
)
from bpgen.ir.index import Index
from bpgen.targets.numpy.arrays import Arrays
from bpgen.targets.numpy.integers import is_class, is_integer
from bpgen.targets.numpy.scalar import is_scalar, scalar
from bpgen.targets.numpy.scratch import Axes
from bpgen.targets.numpy.values import in_order

_UFUNCS = {
    "exp": "np.exp", "log": "np.log", "sin": "np.sin", "cos": "np.cos", "tan": "np.tan",
    "sinh": "np.sinh", "cosh": "np.cosh", "tanh": "np.tanh", "atan": "np.arctan",
    "log1p": "np.log1p", "expm1": "np.expm1", "erf": "erf",
}  # fmt: skip
_RELATIONS = {
    ">": "np.greater", ">=": "np.greater_equal", "<": "np.less", "<=": "np.less_equal",
    "==": "np.equal", "!=": "np.not_equal",
}  # fmt: skip
_CHOICES = {"max": "np.maximum", "min": "np.minimum", "abs": "np.absolute", "sign": "np.sign"}
SELECT = "select"
LAY_OUT = "lay out"
TAKE = "take"


@dataclass(frozen=True, slots=True)
class Node:
    """An operation on earlier nodes, at the places `args`, or the array `text` that is there.

    An array whose axes are `digits` may have to be laid out, so that they are joined in memory. To
    take rows, `text` is the call but for its end.
    """

    ufunc: str
    args: tuple[int, ...]
    axes: Axes
    text: str = ""
    kind: str = "float"
    digits: Axes = ()


class Graph:
    """The nodes of one formula over the axes `space`, operands before results."""

    def __init__(self, arrays: Arrays, space: Axes) -> None:
        """Take what tensors are in code, and the order of axes."""
        self._arrays = arrays
        self._space = space
        self._scratch = arrays.scratch
        self._places: dict[Node, int] = {}
        self.nodes: list[Node] = []

    def add(self, expr: sympy.Basic) -> int:  # noqa: C901  one case a node
        """Return the place of the node that computes `expr`."""
        match expr:
            case Access():
                return self._entry(expr)
            case _ if is_scalar(expr):
                return self._put(Node("", (), (), self._scratch.number(expr)))
            case sympy.Add():
                return self._sum(expr)
            case sympy.exp():
                return self._function(expr)
            case sympy.Mul():
                return self._product(expr)
            case sympy.Pow():
                return (
                    self._product(expr)
                    if expr.exp.is_negative
                    else self._power(expr.base, expr.exp)
                )
            case Index():
                return self._put(Node("", (), (expr,), self._scratch.reals_of(expr.extent)))
            case Digit():
                return self._digit(expr)
            case Where():
                return self._where(expr)
            case Delta():
                return self._delta(expr)
            case sympy.Function():
                return self._function(expr)
            case _:
                raise TargetError(
                    f"numpy has no spelling for {type(expr).__name__}", disagree=f"in {expr}"
                )

    def _put(self, node: Node) -> int:
        if node not in self._places:
            self._places[node] = len(self.nodes)
            self.nodes.append(node)
        return self._places[node]

    def _call(self, ufunc: str, *args: int, kind: str = "float") -> int:
        found = {i for a in args for i in self.nodes[a].axes}
        axes = tuple(i for i in self._space if i in found)
        return self._put(Node(ufunc, args, axes, kind=kind))

    def _entry(self, entry: Access) -> int:
        if not self._arrays.is_apart(entry):
            value = in_order(self._arrays.read(entry), self._space)
            return self._put(Node("", (), value.axes, value.text))
        axes = tuple(i for i in self._space if i in indices_of(entry))
        value, digits = self._arrays.apart(entry, axes)
        return self._put(Node(LAY_OUT, (), axes, value.text, digits=digits))

    # ---- sums and products -----------------------------------------------------------------------

    def _sum(self, expr: sympy.Add) -> int:
        """Begin with the term that is most work; add the others, then subtract the negative."""
        terms = sorted(expr.args, key=_work, reverse=True)
        minus, first = _signed(terms[0])
        value = self.add(first)
        for negative, term in sorted((_signed(t) for t in terms[1:]), key=lambda part: part[0]):
            other = self.add(term)
            if minus and not negative:
                value, minus = self._call("np.subtract", other, value), False
            else:
                value = self._call("np.add" if negative == minus else "np.subtract", value, other)
        return self._call("np.negative", value) if minus else value

    def _product(self, expr: Expr) -> int:
        number, above, below = _fraction(expr)
        if not above:
            return self._call("np.divide", self.add(number), self._factors(below))
        groups = _by_indices(above)
        parts = [self._factors(group) for group in groups]
        if len(groups) > 1 and number not in (1, -1):
            parts[0] = self._call("np.multiply", parts[0], self.add(number))
            number = sympy.S.One
        value = reduce(lambda small, large: self._call("np.multiply", large, small), parts)
        for group in _by_indices(below):
            value = self._call("np.divide", value, self._factors(group))
        if number == -1:
            return self._call("np.negative", value)
        return value if number == 1 else self._call("np.multiply", value, self.add(number))

    def _factors(self, factors: list[Expr]) -> int:
        """Return the product of factors, the one that is most work first."""
        ordered = sorted(factors, key=_work, reverse=True)
        return reduce(lambda a, b: self._call("np.multiply", a, b), map(self.add, ordered))

    def _power(self, base: Expr, exponent: Expr) -> int:
        value = self.add(base)
        if isinstance(exponent, sympy.Integer):
            return self._whole(value, int(exponent))
        if isinstance(exponent, sympy.Rational) and exponent.q == 2:
            root = self._call("np.sqrt", value)
            if exponent.p == 1:
                return root
            return self._call("np.multiply", root, self._whole(value, exponent.p // 2))
        return self._call("np.power", value, self.add(exponent))

    def _whole(self, value: int, exponent: int) -> int:
        if exponent == 1:
            return value
        half = self._whole(value, exponent // 2)
        square = self._call("np.multiply", half, half)
        return square if exponent % 2 == 0 else self._call("np.multiply", square, value)

    # ---- functions and choices -------------------------------------------------------------------

    def _function(self, expr: Expr) -> int:
        name = expr.func.__name__
        if name not in _UFUNCS:
            raise TargetError(
                f"numpy has no spelling for {name}",
                disagree=f"it stands in {expr}",
                way_out="Add it to _UFUNCS in targets/numpy/graph.py.",
            )
        return self._call(_UFUNCS[name], self.add(expr.args[0]))

    def _where(self, choice: Where) -> int:
        condition, a, b = choice.args
        known = named_choice(choice)
        if known is not None:
            name, args = known
            return self._call(_CHOICES[name], *map(self.add, sorted(args, key=is_scalar)))
        if a == 1 and b == 0:
            return self._compare(condition, "float")
        if b == 0 and _is_polynomial(a):
            return self._call("np.multiply", self.add(a), self._compare(condition, "float"))
        return self._call(SELECT, self._compare(condition, "bool"), self.add(a), self.add(b))

    def _compare(self, condition: sympy.Basic, kind: str) -> int:
        """Return 1 where `condition` holds, else 0: as numbers to multiply with, or as a mask."""
        assert isinstance(condition, Relational), f"{condition} is not a comparison"
        whole = all(is_integer(side, self._arrays.tensors) for side in condition.args)
        sides = map(self._integer if whole else self.add, condition.args)
        return self._call(_RELATIONS[sign_of(condition)], *sides, kind=kind)

    # ---- whole numbers: in floats, numpy would go by way of float64 ------------------------------

    def _delta(self, expr: Delta) -> int:
        """Return 1 where an index is its address, else 0: a row for each, or a comparison."""
        index, at = expr.args
        if isinstance(at, Access) and is_class(at, index, self._arrays.tensors):
            address = in_order(self._arrays.read(at), self._space)
            axes = tuple(i for i in self._space if i in {index, *address.axes})
            for axis, order in enumerate([(*address.axes, index), (index, *address.axes)]):
                if axes == order:
                    rows = self._scratch.one_hot(index.extent)
                    text = f"{rows}.take({address.text}, axis={axis}"
                    return self._put(Node(TAKE, (), axes, text))
        return self._call("np.equal", self._integer(at), self._integer(index))

    def _digit(self, digit: Digit, kind: str = "float") -> int:
        """Take one digit of 0 … extent-1 as a number."""
        value = self._integer(digit.index)
        if digit.stride != 1:
            value = self._call("np.floor_divide", value, self._integer(digit.stride), kind="int")
        return self._call("np.remainder", value, self._integer(digit.extent), kind=kind)

    def _integer(self, expr: sympy.Basic) -> int:
        """Return the place of the node that computes an index expression in integers."""
        match expr:
            case Access():
                return self._entry(expr)
            case _ if is_scalar(expr):
                return self._put(Node("", (), (), scalar(expr)))
            case Index():
                return self._put(Node("", (), (expr,), self._scratch.range_of(expr.extent)))
            case Digit():
                return self._digit(expr, "int")
            case sympy.Add() | sympy.Mul():
                ufunc = "np.add" if isinstance(expr, sympy.Add) else "np.multiply"
                parts = map(self._integer, sorted(expr.args, key=_work, reverse=True))
                return reduce(lambda a, b: self._call(ufunc, a, b, kind="int"), parts)
            case _:
                raise TargetError(
                    f"numpy has no whole number for {type(expr).__name__}", disagree=f"in {expr}"
                )


def _by_indices(factors: list[Expr]) -> list[list[Expr]]:
    """Group factors by the indices they have, the fewest first."""
    groups: dict[frozenset[object], list[Expr]] = {}
    for factor in sorted(factors, key=lambda f: (len(indices_of(f)), str(f))):
        groups.setdefault(frozenset(indices_of(factor)), []).append(factor)
    return list(groups.values())


def _fraction(expr: Expr) -> tuple[Expr, list[Expr], list[Expr]]:
    """Return the number in front, the factors above the line, and those below it."""
    numbers, above, below = [], [], []
    for factor in sympy.Mul.make_args(expr):
        base, exponent = base_and_exponent(factor)
        if is_scalar(factor):
            numbers.append(factor)
        elif exponent.is_negative:
            below.append(base**-exponent)
        else:
            above.append(factor)
    return sympy.Mul(*numbers), above, below


def _signed(term: Expr) -> tuple[bool, Expr]:
    number, _ = term.as_coeff_Mul()
    return (True, -term) if number.is_negative else (False, term)


def _work(expr: Expr) -> tuple[int, int, str]:
    """Return how much work a formula is: nothing for an entry, else its indices and operations."""
    if isinstance(expr, Access) or is_scalar(expr):
        return (0, len(indices_of(expr)), str(expr))
    return (len(indices_of(expr)), int(sympy.count_ops(expr)), str(expr))


def _is_polynomial(expr: sympy.Basic) -> bool:
    """Whether `expr` is finite wherever its entries are, so that a mask may multiply it."""
    if isinstance(expr, Access) or is_scalar(expr):
        return True
    whole = isinstance(expr, sympy.Pow) and expr.exp.is_Integer and expr.exp > 0
    fits = whole or isinstance(expr, sympy.Add | sympy.Mul)
    return fits and all(_is_polynomial(a) for a in expr.args)
