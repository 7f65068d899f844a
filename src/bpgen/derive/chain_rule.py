"""The chain rule, equation by equation, backwards.

For `y[F] = Σ_R f(x[φ], …)` and every entry it reads,

    ∂L/∂x[J] += Σ_{F,R} ∂L/∂y[F] · ∂f/∂x[φ] · Π δ(φ, J)

In reverse order every cotangent is complete before it is read. A cotangent that is a plain formula
with one reader is written into that reader; every other one gets a name, and becomes a buffer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import sympy
from sympy import Expr

from bpgen.derive.merge import merged, tidied
from bpgen.derive.monomial import is_trivial
from bpgen.derive.named import Helpers
from bpgen.derive.partial import partials
from bpgen.derive.reuse import Saved
from bpgen.derive.sift import sift
from bpgen.errors import UnreachedError
from bpgen.ir.derivation import Adjoint, Derivation, Step
from bpgen.ir.equation import Equation, Op, Term, needed
from bpgen.ir.expr import Delta, Digit, Pad, accesses
from bpgen.ir.network import Network
from bpgen.ir.tensor import Role, Tensor

# A longer formula keeps its own line: it would no longer be read at a glance.
_INLINE_OPERATIONS = 24


def derive(network: Network) -> Derivation:
    """Return the cotangent of everything between the parameters and the loss.

    Errors: UnreachedError for a parameter with no differentiable path to the loss.
    """
    saved, active = Saved.of(network), _active(network)
    helpers = Helpers(network)
    pending: dict[str, list[Step]] = {}
    adjoints: dict[str, Adjoint] = {}
    for equation in reversed(network.equations):
        y = equation.out
        if y.role is Role.LOSS or pending.get(y.name):
            adjoint = _complete(y, pending.get(y.name, []), helpers)
            steps, inlined = _through(equation, adjoint, active, saved, helpers)
            adjoints[y.name] = Adjoint(y, adjoint.equation, adjoint.steps, adjoint.helpers, inlined)
            for step in steps:
                pending.setdefault(step.of.name, []).append(step)
    for parameter in network.parameters:
        _check_reached(parameter, pending)
        adjoints[parameter.name] = _complete(parameter, pending[parameter.name], helpers)
    return Derivation(network, _closed(network, adjoints), adjoints)


def cotangent(of: Tensor) -> Tensor:
    """Return the tensor ∂L/∂of, called `d_of`."""
    return Tensor(f"d_{of.name}", of.indices, Role.COTANGENT, of=of.name)


def address(of: Tensor) -> Tensor:
    """Return the integer tensor that says where the maximum `of` stands."""
    return Tensor(f"{of.name}_at", of.indices, Role.ADDRESS)


def _active(network: Network) -> Mapping[str, Tensor]:
    """Return the tensors that a parameter reaches by a differentiable path."""
    active = {t.name: t for t in network.parameters}
    for equation in network.equations:
        out = equation.out
        if out.role not in {Role.CONSTANT, Role.ADDRESS} and any(
            r in active for r in equation.reads()
        ):
            active[out.name] = out
    return active


def _through(
    equation: Equation,
    adjoint: Adjoint,
    active: Mapping[str, Tensor],
    saved: Saved,
    helpers: Helpers,
) -> tuple[list[Step], bool]:
    """Carry the cotangent of the left side to everything the right side reads.

    Return the steps, and whether the cotangent's formula stands in them instead of its name.
    """
    formula = _formula(adjoint)
    if formula is not None and _has_windows(equation):
        formula = formula if is_trivial(formula) and _is_whole(formula, equation.out) else None
    if formula is not None and is_trivial(formula):
        return _steps(equation, formula, active, saved, helpers), True
    steps = _steps(equation, adjoint.equation.out.canonical, active, saved, helpers)
    alone = len(steps) == 1 and not steps[0].term.over and not steps[0].rules[0][1].over
    if formula is not None and alone and sympy.count_ops(formula) <= _INLINE_OPERATIONS:
        return _steps(equation, formula, active, saved, helpers), True
    return steps, False


def _has_windows(equation: Equation) -> bool:
    """Whether an entry is read elsewhere than at an index: by windows, shifts, joins of axes."""
    return any(
        isinstance(at, sympy.Add | sympy.Mul) for a in equation.accesses() for at in a.indices
    )


def _is_whole(formula: Expr, out: Tensor) -> bool:
    """Whether `formula` is one entry, of all indices of `out`, none of them shifted or split."""
    return [set(a.indices) for a in accesses(formula)] == [set(out.indices)]


def _formula(adjoint: Adjoint) -> Expr | None:
    """Return the cotangent as a formula of entries, if nothing is summed or re-indexed in it."""
    equation = adjoint.equation
    apart = (Delta, Pad, Digit)
    if not equation.is_map or len(equation.terms) != 1 or equation.terms[0].body.has(*apart):
        return None
    return equation.terms[0].body


def _steps(
    equation: Equation, seed: Expr, active: Mapping[str, Tensor], saved: Saved, helpers: Helpers
) -> list[Step]:
    steps = []
    is_value = equation.is_map and len(equation.terms) == 1
    for term in equation.terms:
        for read, local in partials(term.body, equation.out.canonical if is_value else None):
            if read.name in active and local != 0:
                of = active[read.name]
                plain = _plain(equation, term, local if seed == 1 else seed * local)
                first = sift(plain, read, of, equation.out.indices, helpers)
                rules = (("sift", first), *tidied(first, of, saved, helpers))
                if rules[-1][1].body != 0:
                    steps.append(Step(of, equation, read, seed, local, rules))
    return steps


def _plain(equation: Equation, term: Term, product: Expr) -> Term:
    """Return the contribution before any rule; the cotangent of a maximum goes to its address."""
    over = equation.out.indices + term.over
    if equation.op is Op.MAX:
        return Term(product * Delta(term.over[0], address(equation.out).canonical), over)
    return Term(product, over)


def _complete(of: Tensor, steps: list[Step], helpers: Helpers) -> Adjoint:
    """Add up the contributions to one cotangent."""
    if of.role is Role.LOSS:
        return Adjoint(of, Equation(cotangent(of), (Term(sympy.S.One),)), ())
    terms = merged([step.term for step in steps])
    equation = Equation(cotangent(of), terms, where=of.where)
    return Adjoint(of, equation, tuple(steps), helpers.read_by(equation))


def _check_reached(parameter: Tensor, pending: Mapping[str, list[Step]]) -> None:
    if not pending.get(parameter.name):
        raise UnreachedError(
            f"parameter `{parameter.name}` never reaches the loss",
            where=parameter.where,
            disagree=f"∂L/∂{parameter.name} is 0 everywhere",
            rule="A parameter that the loss does not depend on cannot be trained; "
            "bp.hold cuts such a path.",
            way_out="Use it in a differentiable part of the loss, or delete it.",
        )


def _closed(network: Network, adjoints: Mapping[str, Adjoint]) -> Network:
    """Return the network with its cotangents: forward, addresses of maxima, then backward."""
    found: dict[str, Equation] = {}
    for adjoint in adjoints.values():
        named = adjoint.helpers if adjoint.inlined else (*adjoint.helpers, adjoint.equation)
        for equation in named:
            found.setdefault(equation.out.name, equation)
    backward = needed(found.values(), {f"d_{t.name}" for t in network.parameters})
    read = {name for equation in backward for name in equation.reads()}
    forward: list[Equation] = []
    for equation in network.equations:
        forward.append(equation)
        at = address(equation.out)
        if equation.op is Op.MAX and at.name in read:
            forward.append(Equation(at, equation.terms, Op.ARGMAX, equation.where))
    equations = (*forward, *backward)
    tensors = {**network.tensors, **{e.out.name: e.out for e in equations}}
    closed = replace(network, tensors=tensors, equations=equations)
    closed.check()
    return closed
