"""A model file while it is written: its text, and the tensors that the text defines.

The text is the description: a network is what running it declares, and a failure prints it.
"""

import math
import re
from typing import Any

from hypothesis import strategies as st

EXTENTS = (1, 2, 3, 4, 5, 6, 7)
_HEAD = '''"""A random network."""

import sympy
from sympy.codegen.cfunctions import expm1, log1p

import bpgen as bp
from bpgen import activations, layers
from bpgen.declare import Digit
'''
_LETTERS = "abcdefghjkmpqrstuvwxyz"
# No tensor may have more entries, for three examples.
_ENTRIES = 180


class Refused(Exception):  # noqa: N818  it is what became of a line
    """The last line of the page cannot be run."""


class Text(str):
    """The text of a model, which an error shows once, not twice; and the model that it declares.

    It is None where a line cannot be run.
    """

    __slots__ = ("model",)

    def __new__(cls, text, model):
        own: Any = super().__new__(cls, text)
        own.model = model
        return own

    def __repr__(self):
        return f"a model of {self.count(chr(10))} lines"


class Page:
    """What a drawn model has written so far; each line is run as soon as it stands there."""

    def __init__(self, draw):
        self.draw = draw
        self.tensors = []
        self.parameters = {}
        self._read = set()
        self._counts = {}
        self._values = {}
        self._lines = []
        self._extents = {}
        self.line(_HEAD)

    @property
    def text(self):
        return Text("\n".join(self._lines) + "\n", self._values.get("model"))

    # ---- choices ---------------------------------------------------------------------------------

    def pick(self, options):
        return self.draw(st.sampled_from(list(options)))

    def whole(self, least, most):
        return self.draw(st.integers(least, most))

    def flip(self):
        return self.draw(st.booleans())

    def order(self, letters):
        return tuple(self.draw(st.permutations(list(letters)))) if self.flip() else tuple(letters)

    def some(self, letters):
        return tuple(a for a in letters if self.flip())

    # ---- lines -----------------------------------------------------------------------------------

    def line(self, text):
        self._lines.append(text)
        try:
            exec(text, self._values)  # noqa: S102  a model file is code
        except Exception as error:
            raise Refused from error

    def name(self, stem):
        self._counts[stem] = self._counts.get(stem, 0) + 1
        return f"{stem}{self._counts[stem]}"

    def shape(self, tensor):
        """The extents of a tensor; None is the batch."""
        return tuple(i.extent.value for i in self._values[tensor].indices)

    def size(self, extents):
        return math.prod(3 if e is None else e for e in extents)

    def fits(self, letters):
        return self.size(self.extent(a) for a in letters) <= _ENTRIES

    def open(self, tensor):
        """Give the indices of a tensor letters, for the formula that comes next."""
        self._extents = {}
        indices = self._values[tensor].indices
        taken = {"n"} | {str(i.name) for i in indices}
        for index in indices:
            free = (c for c in _LETTERS if c not in taken and c not in self._extents)
            own = str(index.name)
            fine = len(own) == 1 and own not in self._extents
            self._extents[own if fine else next(free)] = index.extent.value
        letters = tuple(self._extents)
        if letters:
            comma = "," if len(letters) == 1 else ""
            self.line(f"\n{', '.join(letters)}{comma} = {tensor}.indices")
        else:
            self.line("")
        self._taken = taken | set(letters)
        return letters

    def index(self, extent, letters=_LETTERS):
        """Write an index that no tensor opened has; return its letter."""
        letter = next(c for c in letters + _LETTERS if c not in self._taken)
        self._taken.add(letter)
        self._extents[letter] = extent
        self.line(f'{letter} = bp.index("{letter}", {extent})')
        return letter

    def extent(self, letter):
        return self._extents[letter]

    def is_batch(self, letter):
        return self._extents[letter] is None

    def free(self, letters, least=1):
        """Return the letters of known extent, `least` or more, in their order."""
        known = (a for a in letters if not self.is_batch(a))
        return [a for a in known if self.extent(a) >= least]

    def given(self, kind, extents, options=""):
        """Write an input or labels, and return the name."""
        name = self.name({"input": "x", "label": "digit"}[kind])
        sizes = "".join(f", {e}" for e in extents)
        self.line(f'{name} = bp.{kind}("{name}"{sizes}{options})')
        return name

    def parameter(self, letters):
        name = self.name("W")
        at = "".join(f", {a}" for a in letters)
        self.line(f'{name} = bp.parameter("{name}"{at}, init=bp.init.normal(0.7))')
        self.parameters[name] = letters
        return name

    def whole_of(self, parameter):
        """Write the entry of a parameter at the indices it was declared with."""
        return self.entry(parameter, self.parameters[parameter])

    def batch(self, tensor):
        """Write the batch index of a tensor that has no letter yet; return it."""
        self.line(f"n = {tensor}.indices[0]")
        self._taken.add("n")
        self._extents["n"] = None
        return "n"

    def begin(self):
        """Start a formula that opens no tensor."""
        self._extents, self._taken = {}, {"n"}

    def define(self, at, formula):
        name = self.name("y")
        self.line(f'{name} = bp.define("{name}", {listed(at)}, {formula})')
        self._read.update(re.findall(r"\w+(?=\[)", formula))
        self.tensors.append(name)
        return name

    def becomes(self, state, formula):
        """Give a state its formula."""
        self.line(f"{state}.becomes({formula})")
        self._read.update(re.findall(r"\w+(?=\[)", formula))
        self._read.discard(state)
        self.tensors.append(state)
        return state

    def apply(self, call):
        """Write what a function of tensors returns."""
        name = self.name("y")
        self._read.update(re.findall(r"\by\d+\b", call))
        self.line(f"{name} = {call}")
        self.tensors.append(name)
        return name

    def entry(self, tensor, at):
        return f"{tensor}[{', '.join(at)}]" if at else f"{tensor}[()]"

    @property
    def leaves(self):
        """What nothing reads: the loss must."""
        named = [*self.parameters, *self.tensors]
        return [t for t in named if t not in self._read]


def listed(at):
    return f"({at[0]},)" if len(at) == 1 else f"({', '.join(at)})"
