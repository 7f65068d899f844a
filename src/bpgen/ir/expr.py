"""The nodes of a formula that sympy does not have.

A formula is a scalar sympy expression. Its leaves are accesses `W[d,h]`; around them stand sympy's
own functions (`exp`, `tanh`, `erf`, `log1p`, …) and the nodes below. Only `Where` and `Hold` take
part in differentiation, and each only says what it is: a choice between two formulas, and a
constant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, cast

import sympy
from sympy import Expr
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean
from sympy.printing.pretty.stringpict import prettyForm

from bpgen.ir.affine import Affine, affine
from bpgen.ir.index import Index


class Access(Expr):
    """One entry of a tensor: `x[n,d]`, `logits[n, digit[n]]`, `A[i,i]`."""

    is_commutative = True
    # Not `is_real`: sympy would ask about the sign of every difference that is compared.
    is_finite = True

    @property
    def head(self) -> sympy.Symbol:
        """Return the tensor's symbol."""
        return cast("sympy.Symbol", self.args[0])

    @property
    def name(self) -> str:
        """Return the tensor's name."""
        return str(self.head.name)

    @property
    def indices(self) -> tuple[Expr, ...]:
        """Return the index expressions, one an axis."""
        return cast("tuple[Expr, ...]", self.args[1:])

    def _sympystr(self, _printer: object) -> str:
        return f"{self.name}[{','.join(map(str, self.indices))}]"

    def _latex(self, printer: Any) -> str:
        at = ",".join(printer.doprint(i).strip("$") for i in self.indices)
        return rf"\mathrm{{{self.name.replace('_', chr(92) + '_')}}}_{{{at}}}"


def access(name: str, indices: Iterable[Expr]) -> Access:
    """Return the access `name[indices]`, equal to every other one of that name and indices."""
    return Access(sympy.Symbol(name, real=True), *indices)


class Sum(Expr):
    """`Σ_over body`, as the user writes it; equations hold it as a term (see `ir.equation`)."""

    args: tuple[Expr, sympy.Tuple]
    is_commutative = True
    is_real = True

    def __new__(cls, body: Expr, over: Iterable[Index]) -> Any:
        """Return the sum of `body` over the indices `over`."""
        return Expr.__new__(cls, sympy.sympify(body), sympy.Tuple(*over))

    @property
    def body(self) -> Expr:
        """Return the summand."""
        return self.args[0]

    @property
    def over(self) -> tuple[Index, ...]:
        """Return the indices the sum runs over."""
        return cast("tuple[Index, ...]", self.args[1].args)

    # sympy prints by the name of a class, and has a `Sum` and a `Max` of its own.
    def _sympystr(self, _printer: object) -> str:
        return f"{type(self).__name__}({self.body}, {','.join(map(str, self.over))})"

    def _pretty(self, _printer: object) -> prettyForm:
        return prettyForm(str(self))

    def _latex(self, printer: Any) -> str:
        over = ",".join(map(str, self.over))
        return rf"\{type(self).__name__.lower()}_{{{over}}} {printer.doprint(self.body).strip('$')}"


class Max(Sum):
    """`max_over body`."""


class Where(Expr):
    """`a` where `condition` holds, else `b`."""

    args: tuple[Boolean, Expr, Expr]
    is_commutative = True
    is_real = True

    def __new__(cls, condition: Any, a: Any, b: Any) -> Any:
        """Return the choice; a decided condition, or two equal branches, leave no choice."""
        condition, a, b = sympy.sympify(condition), sympy.sympify(a), sympy.sympify(b)
        if condition == sympy.true or a == b:
            return a
        if condition == sympy.false:
            return b
        return Expr.__new__(cls, condition, a, b)

    def _eval_derivative(self, symbol: sympy.Symbol) -> Expr:
        condition, a, b = self.args
        return Where(condition, a.diff(symbol), b.diff(symbol))


def sign_of(relation: Relational) -> str:
    """Return the sign of a comparison: `>`, `<=`, `==`."""
    return str(cast("Any", relation).rel_op)


def named_choice(choice: Where) -> tuple[str, tuple[Expr, ...]] | None:
    """Return the usual name of a choice and its arguments: `max`, `min`, `abs`, `sign`, or None."""
    condition, a, b = choice.args
    if not isinstance(condition, Relational):
        return None
    left, right = cast("tuple[Expr, Expr]", condition.args)
    above = sign_of(condition) in {">", ">="}
    if {left, right} == {a, b}:
        return ("max" if above == (left == a) else "min"), (a, b)
    if right == 0 and above and a == left and b in (-a, Where(left < 0, -left, 0)):
        return "abs", (a,)
    if right == 0 and above and a == 1 and b == Where(left < 0, -1, 0) != 0:
        return "sign", (left,)
    return None


class Hold(Expr):
    """A value that counts as a constant: no cotangent flows through it."""

    args: tuple[Expr]
    is_commutative = True
    is_real = True

    def _eval_derivative(self, _symbol: sympy.Symbol) -> Expr:
        return sympy.S.Zero


class Delta(Expr):
    """Kronecker's δ: 1 where the two indices agree, else 0.

    The first argument is an index of the equation's left side or of its sum; the second is what it
    must equal: another index, a number, or an entry of an integer tensor (`digit[n]`).
    """

    args: tuple[Index, Expr]
    is_commutative = True
    is_real = True

    def __new__(cls, index: Expr, at: Any) -> Any:
        """Return δ(index, at): 1 if they are the same expression, 0 if two different numbers."""
        at = sympy.sympify(at)
        if index == at:
            return sympy.S.One
        if isinstance(index, sympy.Integer) and isinstance(at, sympy.Integer):
            return sympy.S.Zero
        return Expr.__new__(cls, index, at)

    def _eval_derivative(self, _symbol: sympy.Symbol) -> Expr:
        return sympy.S.Zero


class Pad(Expr):
    """An entry whose indices may leave the tensor: outside it, `value` stands instead.

    In an equation it is a whole term: `x_pad[n,a] = Pad(x[n,a-1], 0)`, each index shifted by a
    number at most. Every other entry that an equation reads is inside its tensor.
    """

    args: tuple[Access, Expr]
    is_commutative = True

    def __new__(cls, entry: Expr, value: Any = 0) -> Any:
        """Return `entry`, or `value` outside its tensor."""
        return Expr.__new__(cls, entry, sympy.sympify(value))

    @property
    def entry(self) -> Access:
        """Return the entry that is read where it exists."""
        return self.args[0]

    @property
    def value(self) -> Expr:
        """Return what stands outside."""
        return self.args[1]


class Digit(Expr):
    """The digit `index // stride % extent` of an index in a mixed radix, by which a reshape reads.

    Source: D. E. Knuth, The Art of Computer Programming 2, section 4.1, mixed-radix numbers.
    """

    args: tuple[Index, Expr, Expr]
    is_commutative = True
    is_integer = True
    is_nonnegative = True

    def __new__(cls, index: Expr, stride: Any, extent: Any) -> Any:
        """Return the digit of weight `stride` and radix `extent`; that of a join is an index."""
        plain = None if isinstance(index, Index) else _digit_of(index, stride, extent)
        if plain is not None:
            return plain
        digit: Digit = Expr.__new__(cls, index, sympy.sympify(stride), sympy.sympify(extent))
        return digit

    @property
    def index(self) -> Index:
        """Return the index that is taken apart."""
        return self.args[0]

    @property
    def stride(self) -> Expr:
        """Return the weight of the digit."""
        return self.args[1]

    @property
    def extent(self) -> Expr:
        """Return the radix of the digit."""
        return self.args[2]


def _digit_of(at: Expr, stride: Any, extent: Any) -> Index | None:
    """Return the index that is a digit of a join: of 6 t + d, the digit `% 6` is d."""
    found, (step, radix) = affine(at), (_whole(e) for e in (stride, extent))
    if found is None or found.offset or not step or not radix:
        return None
    moving = {i: c for i, c in found.coefficients.items() if i.extent.value != 1}
    for index, weight in found.coefficients.items():
        others = {i: c for i, c in moving.items() if i != index}
        low = Affine({i: c for i, c in others.items() if c < step}, 0)
        high = [c for c in others.values() if c >= step]
        fits = low.least == 0 and low.most < step and all(c % (step * radix) == 0 for c in high)
        if weight == step and fits and (index.extent.value or radix + 1) <= radix:
            return index
    return None


def _whole(expr: Any) -> int:
    """Return the number of a formula of extents; 0 if one of them is free."""
    formula = sympy.sympify(expr)
    values = {e: getattr(e, "value", None) for e in formula.free_symbols}
    return 0 if None in values.values() else int(formula.xreplace(values))


@lru_cache(maxsize=1 << 16)
def accesses(expr: sympy.Basic) -> tuple[Access, ...]:
    """Return every different access in `expr`, outer before inner, always in the same order."""
    own = (expr,) if isinstance(expr, Access) else ()
    return tuple(dict.fromkeys((*own, *(a for arg in expr.args for a in accesses(arg)))))


def base_and_exponent(factor: Expr) -> tuple[Expr, Expr]:
    """Return b and e of a factor `b^e`; an exponential is its own base."""
    if isinstance(factor, sympy.exp):
        return factor, sympy.S.One
    return cast("tuple[Expr, Expr]", factor.as_base_exp())


def renamed(expr: Expr, mapping: Mapping[Expr, Expr]) -> Expr:
    """Return `expr` with symbols renamed, all at once; nothing is rebuilt where no name changes."""
    changes = {old: new for old, new in mapping.items() if old != new}
    return expr.xreplace(changes) if changes else expr


@lru_cache(maxsize=1 << 16)
def indices_of(expr: sympy.Basic) -> frozenset[Index]:
    """Return the indices that occur free in `expr`, those inside addresses too."""
    if isinstance(expr, Index):
        return frozenset({expr})
    return frozenset().union(*map(indices_of, expr.args))
