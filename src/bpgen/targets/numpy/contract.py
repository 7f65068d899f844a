"""A sum of products of two arrays as one call: `np.matmul(x, p.W, out=a.z)`.

The indices of `out[I] = Σ_R A B` fall into four groups: in both factors and in the result (batch),
in both and summed, in the left one and the result, in the right one and the result. That decides
the call; axes are put in order by views, and groups of axes that lie together in memory are joined.
Where views do not do, `product` copies an operand first.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_letters

from bpgen.ir.index import Index
from bpgen.targets.numpy.scratch import Axes
from bpgen.targets.numpy.values import Value, in_order, is_dense, outer_axes


@dataclass(frozen=True, slots=True)
class Groups:
    """The indices of a product, each group in the order of the result."""

    batch: Axes
    left: Axes
    right: Axes
    over: Axes


def contraction(a: Value, b: Value, over: Axes, out: Value) -> str | None:
    """Return the call that writes Σ_over a b into `out`; None if views do not do."""
    groups = _groups(a, b, over, out.axes)
    if groups is None or a.strided or b.strided:
        return None
    if groups.batch + groups.right + groups.left == out.axes and groups.left:
        a, b = b, a
        groups = Groups(groups.batch, groups.right, groups.left, groups.over)
    if not groups.left and not groups.right:
        return _dot(a, b, groups, out)
    # A stack of matrices is written through a view, whatever the order of the result's axes.
    if not groups.batch and groups.left + groups.right != out.axes:
        return None
    return _product(a, b, groups, out)


def _groups(a: Value, b: Value, over: Axes, out: Axes) -> Groups | None:
    """Sort the indices; None if one is summed in one factor alone."""
    if not set(over) <= set(a.axes) & set(b.axes):
        return None
    both = set(a.axes) & set(b.axes) - set(over)
    return Groups(
        tuple(i for i in out if i in both),
        tuple(i for i in out if i in a.axes and i not in both),
        tuple(i for i in out if i in b.axes and i not in both),
        over,
    )


def _dot(a: Value, b: Value, groups: Groups, out: Value) -> str | None:
    if groups.batch:
        if a.axes == b.axes == groups.batch + groups.over and len(groups.over) == 1:
            return f"np.vecdot({a.text}, {b.text}, out={out.text})"
        return None
    order = a.axes
    b = in_order(b, order)
    flat = "" if len(order) == 1 else ".ravel()"
    call = "np.dot" if is_dense(out.text) else "np.matmul"
    return f"{call}({a.text}{flat}, {b.text}{flat}, out={out.text})"


def _product(a: Value, b: Value, groups: Groups, out: Value) -> str | None:
    """Write `np.matmul`; where there is no batch, several indices become one by `reshape`."""
    if groups.batch:
        return _stacked(a, b, groups, out)
    left, right = _joined(a, groups.left, groups.over), _joined(b, groups.over, groups.right)
    to = _joined(out, groups.left, groups.right)
    if left is None or right is None or to is None:
        return None
    # np.dot spends less on the call than np.matmul, but wants its result in memory order, and
    # copies a factor with gaps.
    fits = is_dense(to) and not outer_axes(left) and not outer_axes(right)
    call = "np.dot" if fits else "np.matmul"
    return f"{call}({left}, {right}, out={to})"


def _stacked(a: Value, b: Value, groups: Groups, out: Value) -> str | None:
    """Write `np.matmul` of stacks of matrices, one matrix for each entry of the batch.

    Further indices of one factor stack its matrices too; the other's are the same along them.
    """
    if len(groups.over) > 1:
        return None
    rows, columns = groups.left[-1:], groups.right[-1:]
    stack = groups.batch + groups.left[:-1] + groups.right[:-1]
    left = _matrix(a, stack, rows, groups.over)
    right = _matrix(b, stack, groups.over, columns)
    to = _matrix(out, stack, rows, columns)
    return f"np.matmul({left}, {right}, out={to})"


def _matrix(value: Value, stack: Axes, rows: Axes, columns: Axes) -> str:
    """Return a stack of matrices; a missing index becomes an axis of length 1."""
    value = in_order(value, stack + rows + columns)
    own = [i in value.axes for i in stack]
    if rows and columns and all(own):
        return value.text
    at = [*own, bool(rows), bool(columns)]
    return f"{value.text}[{', '.join(':' if here else 'None' for here in at)}]"


def _joined(value: Value, rows: Axes, columns: Axes) -> str | None:
    """Return a matrix (or a vector) with rows and columns of several indices; None if no view."""
    if len(rows) <= 1 and len(columns) <= 1:
        return in_order(value, rows + columns).text
    gap = outer_axes(value.text)
    if any(len(g) > 1 and any(value.axes.index(i) < gap for i in g) for g in (rows, columns)):
        return None
    if value.axes == rows + columns:
        return f"{value.text}.reshape({_matrix_shape(rows, columns)})"
    if value.axes == columns + rows:
        return f"{value.text}.reshape({_matrix_shape(columns, rows)}).T"
    return None


def _matrix_shape(rows: Axes, columns: Axes) -> str:
    sizes = [_length(group) for group in (rows, columns) if group]
    return ", ".join(sizes)


def _length(group: Axes) -> str:
    if any(i.extent.value is None for i in group):
        return "-1"
    return " * ".join(i.extent.name for i in group)


def einsum(factors: list[Value], out: Value) -> str:
    """Return the call that fits always; a plain loop, for shapes that no product covers."""
    letters: dict[Index, str] = {}
    for i in dict.fromkeys(i for v in [*factors, out] for i in v.axes):
        free = (c for c in i.name[:1] + ascii_letters if c not in letters.values())
        letters[i] = next(free)
    names = ",".join("".join(letters[i] for i in v.axes) for v in factors)
    target = "".join(letters[i] for i in out.axes)
    arrays = ", ".join(v.text for v in factors)
    return f'np.einsum("{names}->{target}", {arrays}, out={out.text})'
