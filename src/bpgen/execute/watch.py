"""An emitted module watched as it runs: what every buffer holds when its statements are done.

A buffer lies where others did, and others will: it says what its equation says from the statement
that completes it to its last reader, and nothing at the end. So it is read when it is written; one
that each turn of a loop writes anew, in every turn.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
GRADIENT = "d_"  # and the name of a parameter: what the module calls `g.W`
_OWNER = "a"  # what functions call the workspace
_KERNEL = re.compile(r"__global__ void kernel_(\w+)\(([^)]*)\)")


@contextmanager
def watched(module: Any) -> Iterator[dict[str, Kept]]:
    """Yield what buffers hold as the functions of `module` write them, by name."""
    path = module.loss_and_grad.__code__.co_filename
    watch = _Watch(path, _Statements.of(ast.parse(Path(path).read_text(encoding="utf-8"))))
    before = sys.gettrace()
    sys.settrace(watch.call)
    try:
        yield watch.found
    finally:
        sys.settrace(before)


@dataclass(slots=True)
class Kept:
    """What a buffer held after each turn of the loops around its statements, by their numbers.

    `loops` are what code calls these numbers. Without a loop there is one turn, ().
    """

    loops: tuple[str, ...]
    turns: dict[tuple[int, ...], Array] = field(default_factory=dict)

    def last(self) -> Array:
        """Return what the buffer held at last."""
        return next(reversed(self.turns.values()))

    def whole(self, axes: Sequence[str], lying: Sequence[str] | None = None) -> Array:
        """Return all entries of the tensor with the indices `axes`, from each turn its own.

        `lying` are the axes of the buffer, in the order that they have in memory. A buffer that has
        all of them holds them at last.
        """
        found = self.last()
        missing = [a for a in self.loops if a in axes and a not in (lying or ())]
        if found.ndim == len(axes):
            missing = []
        own = [*missing, *(lying or (a for a in axes if a not in missing))]
        if sorted(own) != sorted(axes) or found.ndim + len(missing) != len(axes):
            return found
        every = {
            tuple(turn[self.loops.index(a)] for a in missing): array
            for turn, array in self.turns.items()
        }
        shape = tuple(1 + max(turn[k] for turn in every) for k in range(len(missing)))
        stacked = np.empty((*shape, *found.shape), found.dtype)
        for turn, array in every.items():
            stacked[turn] = array
        return stacked.transpose([own.index(a) for a in axes])


@dataclass(frozen=True, slots=True)
class Writes:
    """What the code of a module writes: by assignment, by `out=`, and by kernels.

    `parts` are the buffers behind local names: `part = a.z[:, t]`. `kernels` says for each kernel
    which of its parameters it writes.
    """

    parts: Mapping[str, str]
    kernels: Mapping[str, tuple[bool, ...]]

    @classmethod
    def of(cls, tree: ast.Module) -> Writes:
        """Return what says who writes what in a module."""
        parts, kernels = {}, {}
        for node in ast.walk(tree):
            match node:
                case ast.Assign([ast.Name(name)], ast.Subscript(value)) if _buffer(value):
                    parts[name] = _buffer(value)
                case ast.Assign([ast.Name("SOURCE")], ast.Constant(str(source))):
                    for name, given in _KERNEL.findall(source):
                        kernels[name] = tuple(map(_is_written, given.split(",")))
        return cls(parts, kernels)

    def by(self, node: ast.AST) -> Iterator[str]:
        """Yield the buffers that a statement writes; `g.W` is the gradient `d_W`."""
        match node:
            case ast.Call(func=ast.Attribute(ast.Name("k")), args=arguments):
                targets = self._launched(arguments)
            case ast.Call(keywords=keywords, args=arguments, func=function):
                targets = [k.value for k in keywords if k.arg == "out"]
                if isinstance(function, ast.Attribute) and function.attr == "copyto":
                    targets += arguments[:1]
            case ast.Assign(targets=found):
                targets = list(found)
            case ast.AugAssign(target=found_one):
                targets = [found_one]
            case _:
                targets = []
        named = (_buffer(t) or self.parts.get(ast.unparse(t), "") for t in targets)
        yield from filter(None, named)

    def _launched(self, arguments: Sequence[ast.expr]) -> list[ast.expr]:
        """Return what a launch writes: of a product of matrices the third, else by its kernel."""
        match arguments:
            case [ast.Constant(str(name)), *_]:
                written = self.kernels.get(name, ())
                given = arguments[len(arguments) - len(written) :]
                return [one for one, is_out in zip(given, written, strict=False) if is_out]
            case [_, _, out, *_]:
                return [out]
            case _:
                return []


def _is_written(parameter: str) -> bool:
    return "*" in parameter and not parameter.strip().startswith("const ")


def on_host(array: Any) -> Array:
    """Return an array, copied from the device if it lies there."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.get())


def _buffer(target: ast.AST) -> str:
    """Return the buffer behind views: `a.z[:, t]`, `a.W.reshape(…)`, `a.W.T`."""
    match target:
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return f"{GRADIENT}{name}" if owner == "g" else name
        case ast.Attribute(value=inner) | ast.Subscript(value=inner):
            return _buffer(inner)
        case ast.Call(func=ast.Attribute(value=inner)):
            return _buffer(inner)
        case _:
            return ""


@dataclass(frozen=True, slots=True)
class _Statements:
    """The buffers written on each line; the loops around it; the views made of each buffer."""

    written: dict[int, tuple[str, ...]] = field(default_factory=dict)
    loops: dict[int, tuple[str, ...]] = field(default_factory=dict)
    views: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: ast.Module) -> _Statements:
        found, writes = cls(), Writes.of(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr | ast.Assign | ast.AugAssign):
                names = tuple(name for part in ast.walk(node) for name in writes.by(part))
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                found.written.update(dict.fromkeys(lines, names))
            match node:
                case ast.For(target=ast.Name(index), iter=ast.Call()):  # turns; tiles are a list
                    for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                        found.loops[line] = (*found.loops.get(line, ()), index)
                case ast.Assign([ast.Attribute(ast.Name("a"), view)], value) if _buffer(value):
                    found.views.setdefault(_buffer(value), []).append(view)
        return found

    def seen(self, name: str) -> Iterator[str]:
        """Yield a buffer and the views of it."""
        yield name
        for view in self.views.get(name, ()):
            yield from self.seen(view)


@dataclass(slots=True)
class _Watch:
    """What is kept while a module runs: copies of buffers, each made behind its statements."""

    path: str
    statements: _Statements
    found: dict[str, Kept] = field(default_factory=dict)

    def call(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        """Watch the lines of a function that is given a workspace."""
        del event, argument
        code = frame.f_code
        mine = code.co_filename == self.path
        return _Lines(self).line if mine and _OWNER in code.co_varnames else None

    def keep(self, frame: FrameType, line: int) -> None:
        """Keep what the statement on `line` has written."""
        owner, loops = frame.f_locals.get(_OWNER), self.statements.loops.get(line, ())
        turn = tuple(frame.f_locals[index] for index in loops)
        for written in self.statements.written.get(line, ()):
            for name in self.statements.seen(written):
                array = getattr(owner, name, None)
                if hasattr(array, "dtype"):
                    kept = self.found.get(name)
                    if kept is None or kept.loops != loops:
                        kept = self.found[name] = Kept(loops)
                    kept.turns[turn] = on_host(array).copy()


@dataclass(slots=True)
class _Lines:
    """The lines of one call: when one begins, the one before is done."""

    watch: _Watch
    last: int = 0

    def line(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        """Keep what the line before has written."""
        del event, argument
        self.watch.keep(frame, self.last)
        self.last = frame.f_lineno
        return self.line
