"""Forward mode: the derivative of every tensor of a network along a direction.

For `y[F] = Σ_R f(x[φ], …)` and a direction along which x moves,

    ∂y/∂ε[F] = Σ_R Σ_φ ∂f/∂x[φ] · ∂x/∂ε[φ]

No index is inverted: an entry is read where it was read. A maximum moves as the entry at its
address does; held tensors, states, addresses and everything that is given stand still. A derivation
is a network too, and the tangent of its cotangents is the product of the Hessian with the
direction. Equations of a loop have their tangents in a loop.
Source: B. A. Pearlmutter 1994, Fast exact multiplication by the Hessian, Neural Computation 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import sympy
from sympy import Expr

from bpgen.derive.chain_rule import address
from bpgen.derive.merge import merged
from bpgen.derive.monomial import factored
from bpgen.derive.partial import slopes
from bpgen.derive.turn import ends
from bpgen.ir.derivation import Derivation
from bpgen.ir.equation import Equation, Op, Term, needed
from bpgen.ir.expr import Access, Delta, Pad, accesses, indices_of
from bpgen.ir.index import Index
from bpgen.ir.network import Network
from bpgen.ir.order import flat, ordered
from bpgen.ir.tangent import Curvature, Tangent
from bpgen.ir.tensor import INTEGER, Role, Tensor

_STILL = INTEGER | {Role.CONSTANT, Role.STATE}


def hessian(derivation: Derivation) -> Curvature:
    """Return the product of the Hessian with a direction `v`: v_W for a parameter W.

    It is the tangent of forward and backward equations, along all parameters at once.
    """
    gradients = {p.name: derivation.gradient_of(p.name) for p in derivation.source.parameters}
    along = directions(derivation.network)
    found = tangent(derivation.network, along, gradients.values())
    parts = {name: found.tangents[gradient] for name, gradient in gradients.items()}
    return Curvature(derivation, found.network, {n: v.name for n, v in along.items()}, parts)


def directions(network: Network) -> dict[str, Tensor]:
    """Return a direction of the parameters: for W the tensor v_W, or v_W2 if that is taken."""
    return {
        p.name: Tensor(free(f"v_{p.name}", network.tensors), p.indices, Role.DIRECTION, of=p.name)
        for p in network.parameters
    }


def tangent(
    network: Network,
    along: Mapping[str, Tensor],
    wanted: Iterable[str] | None = None,
    taken: Iterable[str] = (),
) -> Tangent:
    """Return the tangents of `network` where tensors move as `along` says, each with its own.

    `wanted` names the tensors whose tangents are asked for, all that move without it; what none of
    them needs is left out, and one that does not move has a tangent of zeros. No tangent is called
    as one of `taken`.
    """
    walk = _Walk(network, along, taken)
    asked = tuple(walk.moving if wanted is None else wanted)
    own = {name: e for name, e in walk.equations().items() if name in walk.moving}
    zero = {n: _nothing(network.tensors[n], walk.names[n]) for n in asked if n not in walk.moving}
    known = {e.out.name for e in network.equations}
    fresh = needed((*own.values(), *zero.values()), {walk.names[name] for name in asked})
    read = {name for e in fresh for name in e.reads()}
    addresses = [e for e in walk.addresses() if e.out.name in read - known]
    equations = flat(ordered((*network.equations, *addresses, *fresh)))
    tensors = {
        **network.tensors,
        **{t.name: replace(t, role=Role.DIRECTION) for t in along.values()},
    }
    tensors |= {e.out.name: e.out for e in equations}
    closed = replace(network, tensors=tensors, equations=equations)
    closed.check()
    names = {t: walk.names[t] for t in (*walk.moving, *zero) if walk.names[t] in tensors}
    return Tangent(network, closed, dict(along), names)


def _nothing(of: Tensor, name: str) -> Equation:
    return Equation(Tensor(name, of.indices, Role.TANGENT, of=of.name), (Term(sympy.S.Zero),))


def free(name: str, taken: Iterable[str]) -> str:
    """Return `name`, or with a number behind it, so that no other tensor is called so."""
    found, k = name, 1
    while found in taken:
        found, k = f"{name}{k + 1}", k + 1
    return found


@dataclass(frozen=True, slots=True)
class _Part:
    """One term of an equation: its derivative by each node that reads an entry."""

    term: Term
    locals: tuple[tuple[Expr, Expr], ...]


class _Walk:
    """The tangents of one network: which tensors move, and by which equations."""

    def __init__(self, network: Network, along: Mapping[str, Tensor], taken: Iterable[str]) -> None:
        self._network = network
        known = {*network.tensors, *taken}
        self.names = {t: free(f"t_{t}", known) for t in network.tensors}
        self.names |= {name: tensor.name for name, tensor in along.items()}
        self._along = along
        self._parts = {e.out.name: _parts(e) for e in network.equations}
        self.moving = self._moving()

    def _moving(self) -> dict[str, None]:
        """Return the tensors that move, in order; those of a loop until no more are found."""
        found = dict.fromkeys(self._along)
        for group in ordered(self._network.equations):
            inside = flat((group,))
            grows = True
            while grows:
                fresh = [e.out.name for e in inside if e.out.name not in found]
                fresh = [name for name in fresh if self._moves(name, found)]
                found |= dict.fromkeys(fresh)
                grows = bool(fresh) and len(inside) > 1
        return found

    def _moves(self, name: str, moving: Mapping[str, None]) -> bool:
        if self._network.tensors[name].role in _STILL:
            return False
        nodes = (node for part in self._parts[name] for node, _ in part.locals)
        return any(a.name in moving for node in nodes for a in _read(node))

    def equations(self) -> dict[str, Equation]:
        """Return the tangent of every equation whose left side moves, by that."""
        return {
            e.out.name: self._tangent(e)
            for e in self._network.equations
            if e.out.name in self.moving and e.out.name not in self._along
        }

    def addresses(self) -> Iterable[Equation]:
        """Return the addresses of all maxima."""
        for e in self._network.equations:
            if e.op is Op.MAX:
                yield Equation(address(e.out), e.terms, Op.ARGMAX, e.where)

    def _tangent(self, equation: Equation) -> Equation:
        y = equation.out
        out = Tensor(self.names[y.name], y.indices, Role.TANGENT, of=y.name, where=y.where)
        if equation.op is Op.MAX:
            terms = self._at_the_maximum(equation)
        else:
            parts = (t for p in self._parts[y.name] for t in self._terms(p, y))
            terms = merged([Term(factored(t.body), t.over) for t in parts])
        return Equation(out, terms, where=equation.where)

    def _terms(self, part: _Part, y: Tensor) -> list[Term]:
        """Return what one term of an equation becomes: a sum for each entry, if they are alike."""
        found = [product for node, local in part.locals for product in self._products(node, local)]
        over, whole = part.term.over, {*y.indices, *part.term.over}
        if not over or all(
            whole & indices_of(p) == whole & indices_of(part.term.body) for p in found
        ):
            return [Term(p, over) for p in found]
        return [Term(sympy.Add(*found), over)]

    def _products(self, node: Expr, local: Expr) -> list[Expr]:
        """Return the derivative by a node, times how the entries move that it reads."""
        if isinstance(node, Access):
            return [local * self._moved(node)] if node.name in self.moving else []
        assert isinstance(node, Pad), f"{node} reads no entry"
        value = [p for n, slope in slopes(node.value, None) for p in self._products(n, slope)]
        if node.entry.name in self.moving:
            return [local * Pad(self._moved(node.entry), sympy.Add(*value))]
        if not value:
            return []
        at = [(index, last) for index, last in ends(node)]
        assert len(at) == 1, f"{node} moves outside, along more than one index"
        ((index, last),) = at
        return [local * Delta(index, last) * sympy.Add(*value).xreplace({index: last})]

    def _moved(self, entry: Access) -> Expr:
        tensor = self._along.get(entry.name)
        name = tensor.name if tensor else self.names[entry.name]
        return Access(sympy.Symbol(name, real=True), *entry.indices)

    def _at_the_maximum(self, equation: Equation) -> tuple[Term, ...]:
        """Read the entries that move where the maximum stands: at its address, or by a δ."""
        (part,) = self._parts[equation.out.name]
        (index,) = part.term.over
        at = address(equation.out).canonical
        products = [p for node, local in part.locals for p in self._products(node, local)]
        body = factored(sympy.Add(*products))
        if isinstance(body, Access) and _is_plain(body, index):
            return (Term(body.xreplace({index: at})),)
        return (Term(body * Delta(index, at), (index,)),)


def _parts(equation: Equation) -> tuple[_Part, ...]:
    """Return the derivatives of every term; those that are 0 are left out."""
    is_value = equation.is_map and len(equation.terms) == 1
    if equation.op is Op.ARGMAX or equation.out.role in _STILL:
        return ()
    value = equation.out.canonical if is_value else None
    return tuple(
        _Part(t, tuple((node, local) for node, local in slopes(t.body, value) if local != 0))
        for t in equation.terms
    )


def _read(node: Expr) -> tuple[Access, ...]:
    """Return the entries that a node reads, outside its tensor too."""
    if isinstance(node, Pad):
        return (node.entry, *accesses(node.value))
    return (node,) if isinstance(node, Access) else ()


def _is_plain(body: Access, index: Index) -> bool:
    """Whether an entry is read at indices alone, once at `index`."""
    ats = body.indices
    return all(isinstance(at, Index) for at in ats) and ats.count(index) == 1
