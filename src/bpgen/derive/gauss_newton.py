"""The matrix of Gauss and Newton times a direction: the loss is curved, what is before it is not.

Where the loss is a function of the tensors z (outputs, say), and z of the parameters θ,

    G v = Jᵀ H J v,   J = ∂z/∂θ,  H = ∂²L/∂z²

J v is the tangent of z, H J v the tangent of ∂L/∂z along that, and Jᵀ w the gradient of σ = Σ w z
with w held. For a loss that is convex in z, G has no negative eigenvalue.
Source: N. N. Schraudolph 2002, Fast curvature matrix-vector products for second-order gradient
descent, Neural Computation 14, section 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import sympy

from bpgen.derive.chain_rule import active, derive
from bpgen.derive.tangent import directions, free, hessian, tangent
from bpgen.errors import UnreachedError
from bpgen.ir.derivation import Derivation
from bpgen.ir.equation import Equation, Term, needed
from bpgen.ir.network import Network
from bpgen.ir.order import flat, ordered
from bpgen.ir.tangent import SCALAR, Curvature
from bpgen.ir.tensor import GIVEN, Role, Tensor


def second_order(derivation: Derivation) -> tuple[Curvature, ...]:
    """Return the product with the Hessian, and that of Gauss and Newton if there is one."""
    found = gauss_newton(derivation)
    return (hessian(derivation), found) if found else (hessian(derivation),)


def gauss_newton(derivation: Derivation, at: Iterable[str] = ()) -> Curvature | None:
    """Return the product of Jᵀ H J with a direction; `at` names z, the outputs if it names nothing.

    Parameters that the loss reads besides z (a penalty) belong to z. None if the loss reads other
    tensors, through which parameters act on it past z.
    """
    network = derivation.source
    cut = _cut(network, tuple(at) or tuple(dict.fromkeys(network.outputs.values())))
    try:
        return None if cut is None else _product(derivation, cut)
    except UnreachedError:  # the loss compares z, or counts it, but does not move with it
        return None


def _product(derivation: Derivation, cut: tuple[str, ...]) -> Curvature:
    """Return the product for a loss that is a function of the tensors `cut`."""
    network = derivation.source
    along = directions(network)
    outer = tangent(network, along, [name for name in cut if name not in along])
    moved = {name: along.get(name) or outer.part(name) for name in cut}
    head = derive(_head(network, cut))
    curved = tangent(
        head.network, moved, [head.gradient_of(name) for name in cut], outer.network.tensors
    )
    weights = {name: curved.part(head.gradient_of(name)) for name in cut}
    tail = _Tail.of(network, weights, {*outer.network.tensors, *curved.network.tensors})
    every = {
        e.out.name: e
        for part in (network, outer.network, head.network, curved.network)
        for e in part.equations
    }
    equations = flat(ordered((*every.values(), *tail.equations)))
    tensors = {**network.tensors, **{t.name: t for t in along.values()}}
    tensors |= {e.out.name: e.out for e in equations}
    closed = replace(network, tensors=tensors, equations=equations, updates=())
    closed.check()
    names = {name: v.name for name, v in along.items()}
    return Curvature(derivation, closed, names, tail.parts, tuple(cut))


def _after(network: Network, cut: Iterable[str]) -> tuple[Equation, ...]:
    """Return what the loss is computed by from `cut` and what is held."""
    ends = {*cut, *(t.name for t in network.of_role(Role.CONSTANT))}
    return tuple(needed([e for e in network.equations if e.out.name not in ends], {network.loss}))


def _cut(network: Network, at: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return those of `at` that the loss reads, and the parameters it reads besides; else None."""
    after = _after(network, at)
    inside = {e.out.name for e in after}
    read = dict.fromkeys(name for e in after for name in e.reads() if name not in inside)
    moving = active(network)
    found = tuple(name for name in read if name in moving)
    parameters = {p.name for p in network.parameters}
    outer = {name for name in found if name not in parameters}
    if not outer or not outer <= set(at):
        return None
    # A parameter that acts together with z is no penalty, but part of a network that goes on.
    behind = set(outer)
    for equation in after:
        if not behind.isdisjoint(equation.reads()):
            behind.add(equation.out.name)
            if not parameters.isdisjoint(equation.reads()):
                return None
    return found


def _head(network: Network, cut: Iterable[str]) -> Network:
    """Return the loss as a function of `cut`: its tensors are the parameters."""
    equations = _after(network, cut)
    inside = {e.out.name: e.out for e in equations}
    read = dict.fromkeys(name for e in equations for name in e.reads())
    tensors = {name: network.tensors[name] for name in read if name not in inside}
    for name, tensor in tensors.items():
        given = tensor.role if tensor.role in GIVEN - {Role.PARAMETER} else Role.INPUT
        tensors[name] = replace(tensor, role=Role.PARAMETER if name in cut else given)
    return Network(f"{network.name} after", {**tensors, **inside}, equations, network.loss)


@dataclass(frozen=True, slots=True)
class _Tail:
    """The gradient of σ = Σ w z: its equations, and the tensors that hold it, by parameter."""

    equations: tuple[Equation, ...]
    parts: Mapping[str, str]

    @classmethod
    def of(cls, network: Network, weights: Mapping[str, Tensor], taken: Iterable[str]) -> _Tail:
        """Derive it; `weights` holds w by z. No tensor is called as one of `taken`."""
        taken = set(taken)
        before = needed(network.equations, weights)
        scalar = Tensor(SCALAR, (), Role.LOSS)
        terms = tuple(
            Term(w.canonical * network.tensors[z].canonical, w.indices) for z, w in weights.items()
        )
        given = {w.name: replace(w, role=Role.INPUT) for w in weights.values()}
        equations = (*before, Equation(scalar, terms))
        reached = {name for e in equations for name in e.reads()}
        tensors = {n: t for n, t in network.tensors.items() if n in reached and t.role in GIVEN} | {
            e.out.name: e.out for e in equations
        }
        found = derive(Network(network.name, {**tensors, **given}, equations, scalar.name))
        names = {
            e.out.name: free(f"s_{e.out.name}", taken)
            for e in found.backward
            if e.out.role is Role.COTANGENT
        }
        parts = {p.name: names[found.gradient_of(p.name)] for p in network.parameters}
        return cls(tuple(_renamed(e, names) for e in found.backward), parts)


def _renamed(equation: Equation, names: Mapping[str, str]) -> Equation:
    """Return `equation` with other names for tensors, on both sides."""
    heads = {
        sympy.Symbol(old, real=True): sympy.Symbol(new, real=True) for old, new in names.items()
    }
    name = names.get(equation.out.name, equation.out.name)
    terms = tuple(Term(t.body.xreplace(heads), t.over) for t in equation.terms)
    return replace(equation, out=replace(equation.out, name=name), terms=terms)
