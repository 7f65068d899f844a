"""The order of axes in memory: where features are few, they come before the examples.

    m[n] = max_k logits[n,k]     is a maximum of rows of memory, where logits lies as logits[k,n]

What a step brings together, or spreads, over the features of each example is then one operation on
long runs of memory. Tensors that meet entry by entry lie in the same order; products of matrices
take either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sympy import Expr

from bpgen.ir.equation import Op
from bpgen.ir.expr import Access, accesses, indices_of
from bpgen.ir.index import Index
from bpgen.ir.program import Contract, Gather, Map, Program, Reduce, Step, steps_of
from bpgen.ir.tensor import GIVEN, Move, Role, Tensor
from bpgen.lower.reorder import Whole, formulas_of, names_of, reordered, unwrapped

FEATURES_FIRST = Move(0, -1)

# The most features with which examples lie along memory. Measured: steps of perceptrons with two
# hidden layers as wide as the input, by the time with examples as rows and a bias apart; in
# brackets a bias is apart in both. For 8, 32, 128 and 512 examples:
#     8 features   0.84 (1.04)   0.80 (0.97)   0.66 (0.78)   0.51 (0.56)
#    32            0.88 (1.05)   0.83 (0.97)   0.75 (0.84)   0.78 (0.81)
#    64            0.91 (1.06)   0.84 (0.95)   0.88 (0.92)   0.93 (1.02)
#   128            0.96 (1.12)   0.83 (0.89)   1.06 (1.10)   0.97 (1.00)
# Without a softmax at the end, 64 features take 1.0 to 1.2 of the time with 128 examples or more:
# products of transposed matrices are slower.
NARROW = 32


def features_first(program: Program) -> Program:
    """Return `program` with the batch as the last axis of matrices that have few features."""
    return reordered(program, dict.fromkeys(sorted(_turned(program)), FEATURES_FIRST))


def _turned(program: Program) -> frozenset[str]:
    """Return the matrices that may be turned, with all that they meet entry by entry."""
    matrices = {t.name for t in program.tensors.values() if _is_of_batch(t)}
    free = matrices & set(_free(program))
    statements = [unwrapped(s) for step in steps_of(program.computed) for s in step.statements]
    meetings = [matrices & set(names_of(s)) for s in statements if isinstance(s, Map | Reduce)]
    waiting = matrices - free
    waiting |= {n for s in statements if not _fits(s) for n in matrices & set(names_of(s))}
    kept: set[str] = set()
    while waiting:
        kept |= waiting
        waiting = set[str]().union(*(names for names in meetings if names & waiting)) - kept
    return frozenset(free - kept)


def _is_of_batch(tensor: Tensor) -> bool:
    return len(tensor.indices) > 1 and None in tensor.shape


def _free(program: Program) -> Iterator[str]:
    """Yield matrices of a batch with few features, which no loop reads and no user gives."""
    loops = steps_of(p for p in program.computed if not isinstance(p, Step))
    in_loops = {name for s in loops for name in (s.equation.out.name, *s.equation.reads())}
    for tensor in program.tensors.values():
        is_made = tensor.role not in GIVEN | {Role.SCALAR} and tensor.name not in program.moves
        match tensor.shape:
            case (None, int(features)) if is_made and tensor.name not in in_loops:
                if features <= NARROW and not tensor.is_integer:
                    yield tensor.name


def _fits(statement: Whole) -> bool:
    """Whether a statement is as quick on matrices that are turned."""
    entries = {a for formula in formulas_of(statement) for a in accesses(formula)}
    if not all(_is_plain(at) for a in entries for at in a.indices):
        return False
    match statement:
        case Map():
            return True
        case Reduce(op=op):
            return op is not Op.ARGMAX
        case Contract(over=over, factors=factors):
            batch = {i for i in statement.out.indices if i.extent.value is None}
            are_matrices = all(len(indices_of(f)) <= 2 for f in factors)
            return are_matrices and len(factors) == 2 and not _in_all(batch - set(over), factors)
        case Gather(out=out):
            return len(out.indices) == 1
        case _:
            return False


def _in_all(indices: Iterable[Index], formulas: tuple[Expr, ...]) -> bool:
    return any(all(f.has(i) for f in formulas) for i in indices)


def _is_plain(at: Expr) -> bool:
    return isinstance(at, Index | Access) or not at.has(Index)
