"""A derivation in a user's hands: `print(d["fc1_W"])`, `.steps`, `.expr`, `.latex()`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sympy import Expr

from bpgen.collection import paused
from bpgen.derive import second_order
from bpgen.emit.document import document
from bpgen.ir.derivation import Adjoint, Derivation, Step
from bpgen.spell import FormulaSpeller, LatexSpeller, order_of


@dataclass(frozen=True)
class Gradient:
    """∂L/∂x of one tensor: the formula, its sympy expression, and the steps that led to it."""

    adjoint: Adjoint
    derivation: Derivation

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return one step for each equation that reads the tensor."""
        return self.adjoint.steps

    @property
    def expr(self) -> Expr:
        """Return the right side as a sympy expression."""
        return self.adjoint.equation.rhs

    def latex(self) -> str:
        """Return the equation as LaTeX."""
        return LatexSpeller(order_of(self.derivation.network.tensors.values())).equation(
            self.adjoint.equation
        )

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def __str__(self) -> str:
        return FormulaSpeller(order_of(self.derivation.network.tensors.values())).equation(
            self.adjoint.equation
        )


@dataclass(frozen=True)
class Document:
    """The derivation of a whole network: `print(d)` shows it, `d["fc1_W"]` is ∂L/∂fc1_W."""

    derivation: Derivation

    def __getitem__(self, name: str) -> Gradient:
        """Return ∂L/∂name.

        Errors: UnknownNameError if `name` has no cotangent.
        """
        return Gradient(self.derivation.adjoint_of(name), self.derivation)

    def __iter__(self) -> Iterator[str]:
        return iter(self.derivation.adjoints)

    @paused()
    def render(
        self,
        form: str = "text",
        *,
        wrt: str | None = None,
        steps: bool = False,
        second: bool = False,
    ) -> str:
        """Return the document, or what leads to ∂L/∂wrt, as `emit.document` describes it.

        With `second` it goes on to products with the Hessian, and with the matrix of Gauss and
        Newton where the loss is a function of the outputs.
        """
        found = second_order(self.derivation) if second else ()
        return document(self.derivation, format=form, wrt=wrt, steps=steps, second=found)

    def __str__(self) -> str:
        return self.render()

    def _repr_markdown_(self) -> str:
        return self.render("markdown")
