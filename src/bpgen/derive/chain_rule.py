"""The chain rule, equation by equation, backwards.

For `y[F] = Σ_R f(x[φ], …)` and every entry it reads,

    ∂L/∂x[J] += Σ_{F,R} ∂L/∂y[F] · ∂f/∂x[φ] · Π δ(φ, J)

In reverse order every cotangent is complete before it is read; that of a parameter, when the first
equation that reads the parameter has been passed. A cotangent that is a plain formula with one
reader is written into that reader; every other one gets a name, and becomes a buffer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import sympy
from sympy import Expr

from bpgen.derive.merge import merged, tidied
from bpgen.derive.monomial import is_trivial
from bpgen.derive.named import Helpers
from bpgen.derive.partial import partials
from bpgen.derive.reuse import Saved
from bpgen.derive.sift import is_moving, sift
from bpgen.derive.turn import carried, is_carried, started
from bpgen.errors import UnreachedError
from bpgen.ir.derivation import Adjoint, Derivation, Step
from bpgen.ir.equation import Equation, Op, Term, needed
from bpgen.ir.expr import Delta, Digit, Pad, accesses
from bpgen.ir.network import Network
from bpgen.ir.order import Group, Loop, flat, ordered
from bpgen.ir.tensor import Role, Tensor

# A longer formula keeps its own line: it would no longer be read at a glance.
_INLINE_OPERATIONS = 24


def derive(network: Network) -> Derivation:
    """Return the cotangent of everything between the parameters and the loss.

    Errors: UnreachedError for a parameter with no differentiable path to the loss.
    """
    walk = _Walk(Saved.of(network), active(network), Helpers(network), {}, {})
    for group, passed in _backwards(network):
        walk.back(group)
        for parameter in passed:
            walk.complete(parameter)
    for parameter in network.parameters:
        _check_reached(parameter, walk.adjoints)
    return Derivation(network, _closed(network, walk.adjoints), walk.adjoints)


def _backwards(network: Network) -> Iterator[tuple[Group, list[Tensor]]]:
    """Yield what defines tensors from the last to the first, with parameters read by none before.

    So the gradient of a layer comes before the cotangents of the layer below, and these cotangents
    need no memory beside those of the layer above.
    """
    groups = ordered(network.equations)
    readers = {name: k for k, group in reversed([*enumerate(groups)]) for name in _reads(group)}
    passed: dict[int, list[Tensor]] = {}
    for parameter in network.parameters:
        if parameter.name in readers:
            passed.setdefault(readers[parameter.name], []).append(parameter)
    for k, group in reversed([*enumerate(groups)]):
        yield group, passed.get(k, [])


def _reads(group: Group) -> set[str]:
    return {name for equation in flat((group,)) for name in equation.reads()}


@dataclass(frozen=True, slots=True)
class _Walk:
    """The way back: contributions that wait for their tensor, and the cotangents so far."""

    saved: Saved
    active: Mapping[str, Tensor]
    helpers: Helpers
    pending: dict[str, list[Step]]
    adjoints: dict[str, Adjoint]

    def back(self, group: Group, around: tuple[Loop, ...] = ()) -> None:
        """Complete the cotangents of what `group` defines, and carry them on."""
        if isinstance(group, Loop):
            self._loop(group, around)
        elif group.out.role is Role.LOSS or self.pending.get(group.out.name):
            self._equation(group, around)

    def complete(self, parameter: Tensor) -> None:
        """Complete the gradient of a parameter, if anything of the loss comes back to it."""
        if steps := self.pending.get(parameter.name):
            self.adjoints[parameter.name] = _complete(parameter, steps, self.helpers)

    def _loop(self, loop: Loop, around: tuple[Loop, ...]) -> None:
        """Carry the cotangents of the turn after over, by name; then go back through one turn."""
        reached = _reached(loop, frozenset(self.pending), self.active)
        for equation in loop.equations():
            if equation.out.name in reached:
                self.pending.setdefault(equation.out.name, [])
                for term in equation.terms:
                    if is_carried(term, loop):
                        self._add(_turn(equation, term, loop, self))
        for part in reversed(loop.body):
            self.back(part, (*around, loop))

    def _equation(self, equation: Equation, around: tuple[Loop, ...]) -> None:
        y = equation.out
        adjoint = _complete(y, self.pending.get(y.name, []), self.helpers)
        here = tuple(t for t in equation.terms if not any(is_carried(t, loop) for loop in around))
        now = replace(equation, terms=here)
        if here == equation.terms:
            steps, inlined = _through(now, adjoint, self)
        else:
            steps, inlined = _steps(now, adjoint.equation.out.canonical, self), False
        self.adjoints[y.name] = replace(adjoint, inlined=inlined)
        self._add(steps)

    def _add(self, steps: Iterable[Step]) -> None:
        for step in steps:
            self.pending.setdefault(step.of.name, []).append(step)


def _reached(loop: Loop, pending: frozenset[str], active: Mapping[str, Tensor]) -> frozenset[str]:
    """Return the tensors of a loop whose cotangent is not 0: in a turn, or in the ones before."""
    inside = {e.out.name: e for e in loop.equations()}
    stack = [name for name in inside if name in pending]
    found = set(stack)
    while stack:
        equation = inside[stack.pop()]
        for term in equation.terms:
            formulas = term.body.args if isinstance(term.body, Pad) else (term.body,)
            reads = [r.name for f in formulas for r, local in partials(f, None) if local != 0]
            fresh = {r for r in reads if r in inside and r in active} - found
            found |= fresh
            stack += sorted(fresh)
    return frozenset(found)


def _turn(equation: Equation, term: Term, loop: Loop, walk: _Walk) -> list[Step]:
    """Return the steps through an entry of the turn before, and through the start."""
    seed, steps = cotangent(equation.out).canonical, []
    of = walk.active.get(term.body.entry.name)
    if of is not None:
        read, local, back = carried(equation.out, cotangent(equation.out), term.body, loop, of)
        steps.append(Step(of, equation, read, seed, local, (("turn", back),)))
    for read, local, plain in started(cotangent(equation.out), term.body, loop):
        if read.name in walk.active:
            target = walk.active[read.name]
            first = sift(plain, read, target, equation.out.indices, walk.helpers)
            rules = (("sift", first), *tidied(first, target, walk.saved, walk.helpers))
            steps.append(Step(target, equation, read, seed, local, rules))
    return steps


def cotangent(of: Tensor) -> Tensor:
    """Return the tensor ∂L/∂of, called `d_of`."""
    return Tensor(f"d_{of.name}", of.indices, Role.COTANGENT, of=of.name)


def address(of: Tensor) -> Tensor:
    """Return the integer tensor that says where the maximum `of` stands."""
    return Tensor(f"{of.name}_at", of.indices, Role.ADDRESS)


def active(network: Network) -> Mapping[str, Tensor]:
    """Return the tensors that a parameter reaches by a differentiable path."""
    active = {t.name: t for t in network.parameters}
    passive = {Role.CONSTANT, Role.ADDRESS}
    for group in ordered(network.equations):
        grows = True
        while grows:
            fresh = {
                e.out.name: e.out
                for e in flat((group,))
                if e.out.role not in passive
                and e.out.name not in active
                and not active.keys().isdisjoint(e.reads())
            }
            active |= fresh
            grows = bool(fresh) and isinstance(group, Loop)
    return active


def _through(equation: Equation, adjoint: Adjoint, walk: _Walk) -> tuple[list[Step], bool]:
    """Carry the cotangent of the left side to everything the right side reads.

    Return the steps, and whether the cotangent's formula stands in them instead of its name.
    """
    formula = _formula(adjoint)
    if formula is not None and _has_windows(equation):
        formula = formula if is_trivial(formula) and _is_whole(formula, equation.out) else None
    if formula is not None and is_trivial(formula):
        return _steps(equation, formula, walk), True
    steps = _steps(equation, adjoint.equation.out.canonical, walk)
    alone = len(steps) == 1 and not steps[0].term.over and not steps[0].rules[0][1].over
    if formula is not None and alone and sympy.count_ops(formula) <= _INLINE_OPERATIONS:
        return _steps(equation, formula, walk), True
    return steps, False


def _has_windows(equation: Equation) -> bool:
    """Whether an entry is read elsewhere than at an index: by windows, shifts, joins of axes."""
    return any(
        isinstance(at, sympy.Add | sympy.Mul) and is_moving(at)
        for a in equation.accesses()
        for at in a.indices
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


def _steps(equation: Equation, seed: Expr, walk: _Walk) -> list[Step]:
    steps = []
    is_value = equation.is_map and len(equation.terms) == 1
    for term in equation.terms:
        for read, local in partials(term.body, equation.out.canonical if is_value else None):
            if read.name in walk.active and local != 0:
                of = walk.active[read.name]
                plain = _plain(equation, term, local if seed == 1 else seed * local)
                first = sift(plain, read, of, equation.out.indices, walk.helpers)
                rules = (("sift", first), *tidied(first, of, walk.saved, walk.helpers))
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


def _check_reached(parameter: Tensor, adjoints: Mapping[str, Adjoint]) -> None:
    if parameter.name not in adjoints:
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
    equations = flat(ordered((*forward, *backward)))
    tensors = {**network.tensors, **{e.out.name: e.out for e in equations}}
    closed = replace(network, tensors=tensors, equations=equations)
    closed.check()
    return closed
