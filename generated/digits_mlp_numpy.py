"""Two-layer perceptron for 8×8 images of digits.

Written by `bpgen emit digits_mlp` from digits_mlp.py; needs numpy alone.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from functools import partial
from pathlib import Path
from types import FrameType

import numpy as np

DTYPE = "float32"
D, H, K = 64, 32, 10
SIZE = 2410

# Shapes of the parameters; for a batch, the shape of one example and the number of classes.
PARAMETERS = {
    "fc1_W": (D, H),
    "fc1_b": (H,),
    "fc2_W": (H, K),
    "fc2_b": (K,),
}
INPUTS = {
    "x": ((D,), None),
    "digit": ((), 10),
}
OUTPUTS = ("logits",)
STATES = ("u",)


class Params:
    """The parameters: named views into one flat vector, `flat`."""

    def __init__(self, flat: np.ndarray | None = None) -> None:
        self.flat = np.zeros(SIZE, DTYPE) if flat is None else flat
        self.fc1_W = self.flat[0:2048].reshape((D, H))
        self.fc1_b = self.flat[2048:2080].reshape((H,))
        self.fc2_W = self.flat[2080:2400].reshape((H, K))
        self.fc2_b = self.flat[2400:2410].reshape((K,))
        # Weights and the bias behind them, as one matrix.
        self.fc1_W_b = self.flat[0:2080].reshape((D + 1, H))
        self.fc2_W_b = self.flat[2080:2410].reshape((H + 1, K))


class Grads(Params):
    """The gradient: `grads.W` is ∂L/∂W, in the same order in memory."""


def lent(rows: np.ndarray, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    """Return memory of floats as an array of another type, which needs no more than these rows."""
    return rows.reshape(-1).view(dtype)[: math.prod(shape)].reshape(shape)


class Activations:
    """What prediction computes for a batch of N examples.

    Each buffer is some rows of `rows_N`, which has N numbers a row. Where two have the same rows,
    the first is needed no more when the second is written. Names in capitals are constants, such
    as C_2_OVER_N for 2/N; a name such as u_nh is scratch memory u, seen as [n,h]. N examples are at
    hand, of the BATCH that threads share.
    """

    def __init__(self, N: int, dtype: str = DTYPE, BATCH: int | None = None) -> None:
        BATCH = BATCH or N
        self.N, self.BATCH = N, BATCH
        rows_N = np.empty((32, N), dtype)
        self.x_1 = np.full((N, D + 1), 1, dtype)  # x_1[n,d]
        self.logits = np.empty((K, N), dtype)  # logits[k,n]
        self.loss = np.empty((), dtype)  # loss
        self.z1 = rows_N[0:32].reshape((H, N))  # z1[h,n]
        self.h_1 = np.full((H + 1, N), 1, dtype)  # h_1[h,n]
        self.h = self.h_1[:H]  # h[h,n]
        self.m = rows_N[10:11].reshape(N)  # m[n]
        self.e = rows_N[0:10].reshape((K, N))  # e[k,n]
        self.s = rows_N[11:12].reshape(N)  # s[n]
        self.average = rows_N[2:3].reshape(N)  # average[n]
        self.logits_at_digit = rows_N[3:4].reshape(N)  # logits_at_digit[n]
        self.i_n = lent(rows_N[0:2], np.intp, (N,))
        self.u_n = rows_N[0:1].reshape(N)
        self.v_n = rows_N[1:2].reshape(N)
        self.COUNT_N = np.array(N)
        self.C_0_1 = np.array(0.1, dtype)
        self.C_0_9 = np.array(0.9, dtype)
        self.MEAN_K = np.full(K, 1 / K, dtype)
        self.MEAN_N = np.full(N, 1 / BATCH, dtype)
        self.ONES_K = np.ones(K, dtype)
        self.RANGE_N = np.arange(N)
        self.ZERO = np.array(0, dtype)


class Workspace(Activations):
    """What a step of training computes: activations, and cotangents from them.

    Each buffer is some rows of `rows_N`, which has N numbers a row. Where two have the same rows,
    the first is needed no more when the second is written. Names in capitals are constants, such
    as C_2_OVER_N for 2/N; a name such as u_nh is scratch memory u, seen as [n,h]. N examples are at
    hand, of the BATCH that threads share.
    """

    def __init__(self, N: int, dtype: str = DTYPE, BATCH: int | None = None) -> None:
        BATCH = BATCH or N
        self.N, self.BATCH = N, BATCH
        rows_N = np.empty((74, N), dtype)
        self.x_1 = np.full((N, D + 1), 1, dtype)  # x_1[n,d]
        self.loss = np.empty((), dtype)  # loss
        self.z1 = rows_N[0:32].reshape((H, N))  # z1[h,n]
        self.h_1 = np.full((H + 1, N), 1, dtype)  # h_1[h,n]
        self.h = self.h_1[:H]  # h[h,n]
        self.logits = rows_N[32:42].reshape((K, N))  # logits[k,n]
        self.m = rows_N[54:55].reshape(N)  # m[n]
        self.e = rows_N[42:52].reshape((K, N))  # e[k,n]
        self.s = rows_N[55:56].reshape(N)  # s[n]
        self.average = rows_N[56:57].reshape(N)  # average[n]
        self.logits_at_digit = rows_N[57:58].reshape(N)  # logits_at_digit[n]
        self.i_n = lent(rows_N[52:54], np.intp, (N,))
        self.u_n = rows_N[32:33].reshape(N)
        self.v_n = rows_N[33:34].reshape(N)
        self.p = rows_N[42:52].reshape((K, N))  # p[k,n]
        self.d_logits = rows_N[64:74].reshape((K, N))  # ∂L/∂logits[k,n]
        self.d_h = rows_N[32:64].reshape((H, N))  # ∂L/∂h[h,n]
        self.d_z1 = rows_N[0:32].reshape((H, N))  # ∂L/∂z1[h,n]
        self.COUNT_N = np.array(N)
        self.C_0_1 = np.array(0.1, dtype)
        self.C_0_1_OVER_K = np.array(0.1 / K, dtype)
        self.C_0_9 = np.array(0.9, dtype)
        self.C_1_OVER_BATCH = np.array(1 / BATCH, dtype)
        self.MEAN_K = np.full(K, 1 / K, dtype)
        self.MEAN_N = np.full(N, 1 / BATCH, dtype)
        self.ONES_K = np.ones(K, dtype)
        self.ONE_HOT_K = np.eye(K, dtype=dtype)
        self.RANGE_N = np.arange(N)
        self.ZERO = np.array(0, dtype)


class State:
    """What the optimizer momentum keeps from step to step, and its scratch memory."""

    def __init__(self, dtype: str = DTYPE) -> None:
        self.u = np.zeros(SIZE, dtype)  # u[i]
        self.C_0_9 = np.array(0.9, dtype)
        self.u_i = np.empty(SIZE, dtype)
        self.SMALL = np.finfo(dtype).tiny / np.finfo(dtype).eps

    def settle(self) -> None:
        """Make 0 of numbers below the normal ones, with which some processors are slow.

        Rounded, (x + SMALL) - SMALL holds nothing of such an x, and all of a large one.
        """
        for x in (self.u,):
            np.add(x, self.SMALL, out=x)
            np.subtract(x, self.SMALL, out=x)


def init(seed: int = 0) -> Params:
    """Return parameters as training starts with them."""
    p = Params()
    rng = np.random.default_rng(seed)
    p.fc1_W[...] = rng.normal(0, math.sqrt(2 / D), (D, H))
    p.fc2_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    return p


def forward(p: Params, a: Activations, x: np.ndarray) -> None:
    """Compute the outputs of a batch into `a`."""
    # x_1[n,d] = x[n,d] (1 outside)
    np.copyto(a.x_1[:, :-1], x)

    # z1[n,h] = Σ_d x[n,d] fc1_W[d,h] + fc1_b[h]
    np.dot(p.fc1_W_b.T, a.x_1.T, out=a.z1)

    # h[n,h] = max(0, z1[n,h])
    np.maximum(a.z1, a.ZERO, out=a.h)

    # logits[n,k] = Σ_h fc2_W[h,k] h[n,h] + fc2_b[k]
    np.dot(p.fc2_W_b.T, a.h_1, out=a.logits)


def add_loss(a: Activations, digit: np.ndarray) -> None:
    """Go on from the outputs to the loss."""
    # m[n] = max_k logits[n,k]
    np.maximum.reduce(a.logits, axis=0, out=a.m)

    # e[n,k] = exp(logits[n,k] - m[n])
    np.subtract(a.logits, a.m, out=a.e)
    np.exp(a.e, out=a.e)

    # s[n] = Σ_k e[n,k]
    np.dot(a.ONES_K, a.e, out=a.s)

    # average[n] = Σ_k logits[n,k]/K
    np.dot(a.MEAN_K, a.logits, out=a.average)

    # logits_at_digit[n] = logits[n,digit[n]]
    np.multiply(digit, a.COUNT_N, out=a.i_n)
    np.add(a.i_n, a.RANGE_N, out=a.i_n)
    a.logits.take(a.i_n, out=a.logits_at_digit, mode="clip")

    # loss = Σ_n (m[n] + log(s[n]) - 0.1 average[n] - 0.9 logits_at_digit[n])/N
    np.multiply(a.logits_at_digit, a.C_0_9, out=a.u_n)
    np.log(a.s, out=a.v_n)
    np.subtract(a.v_n, a.u_n, out=a.u_n)
    np.add(a.u_n, a.m, out=a.u_n)
    np.multiply(a.average, a.C_0_1, out=a.v_n)
    np.subtract(a.u_n, a.v_n, out=a.u_n)
    np.dot(a.u_n, a.MEAN_N, out=a.loss)


def backward(p: Params, g: Grads, a: Workspace, digit: np.ndarray) -> None:
    """Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`."""
    # p[n,k] = e[n,k]/s[n]
    np.divide(a.e, a.s, out=a.p)

    # ∂L/∂logits[n,k] = (p[n,k] - 0.1/K - 0.9 δ(k,digit[n]))/N
    a.ONE_HOT_K.take(digit, axis=1, out=a.d_logits, mode="clip")
    np.multiply(a.d_logits, a.C_0_9, out=a.d_logits)
    np.subtract(a.p, a.d_logits, out=a.d_logits)
    np.subtract(a.d_logits, a.C_0_1_OVER_K, out=a.d_logits)
    np.multiply(a.d_logits, a.C_1_OVER_BATCH, out=a.d_logits)

    # ∂L/∂fc2_W[h,k] = Σ_n h[n,h] ∂L/∂logits[n,k],
    # ∂L/∂fc2_b[k] = Σ_n ∂L/∂logits[n,k]
    np.dot(a.h_1, a.d_logits.T, out=g.fc2_W_b)

    # ∂L/∂h[n,h] = Σ_k fc2_W[h,k] ∂L/∂logits[n,k]
    np.dot(p.fc2_W, a.d_logits, out=a.d_h)

    # ∂L/∂z1[n,h] = [z1[n,h] > 0] ∂L/∂h[n,h]
    np.greater(a.z1, a.ZERO, out=a.d_z1)
    np.multiply(a.d_z1, a.d_h, out=a.d_z1)

    # ∂L/∂fc1_W[d,h] = Σ_n x[n,d] ∂L/∂z1[n,h],
    # ∂L/∂fc1_b[h] = Σ_n ∂L/∂z1[n,h]
    np.dot(a.x_1.T, a.d_z1.T, out=g.fc1_W_b)


def update(p: Params, g: Grads, s: State) -> None:
    """Change the parameters by the gradient."""
    # lr ← 0.1
    lr = 0.1

    # u[i] ← g[i] + 0.9 u[i]
    np.multiply(s.u, s.C_0_9, out=s.u)
    np.add(s.u, g.flat, out=s.u)

    # θ[i] ← θ[i] - lr u[i]
    np.multiply(s.u, lr, out=s.u_i)
    np.subtract(p.flat, s.u_i, out=p.flat)


def real(name: str, value: np.ndarray, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return `value` as an array of numbers, one row an example."""
    array = np.ascontiguousarray(value, dtype)
    if array.shape[1:] != shape or array.ndim == 0:
        raise ValueError(f"{name} has shape {array.shape}; expected one row an example of {shape}")
    return array


def whole(name: str, value: np.ndarray, shape: tuple[int, ...], below: int) -> np.ndarray:
    """Return `value` as an array of integers from 0 to below-1, one row an example."""
    array = np.ascontiguousarray(value)
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} holds {array.dtype}; expected integers")
    if array.shape[1:] != shape or array.ndim == 0:
        raise ValueError(f"{name} has shape {array.shape}; expected one row an example of {shape}")
    array = array.astype(np.intp, copy=False)
    # Seen without a sign, a negative number is a huge one: the largest shows both.
    codes = array.view(np.uintp)
    if codes.size and codes.item(codes.argmax()) >= below:
        raise ValueError(f"{name} lies outside 0 … {below - 1}")
    return array


def checked(x: np.ndarray, digit: np.ndarray, dtype: str) -> tuple[np.ndarray, ...]:
    """Return a batch as contiguous arrays of the right types and equal lengths."""
    x = real("x", x, (D,), dtype)
    digit = whole("digit", digit, (), 10)
    if len({len(x), len(digit)}) > 1:
        raise ValueError(f"x, digit have different lengths: {len(x), len(digit)}")
    return x, digit


def loss_and_grad(params: Params, *, x: np.ndarray, digit: np.ndarray) -> tuple[float, Grads]:
    """Return the loss of a batch and its gradient; float64 parameters make everything float64."""
    x, digit = checked(x, digit, params.flat.dtype)
    a, g = Workspace(len(x), params.flat.dtype), Grads(np.empty_like(params.flat))
    forward(params, a, x)
    add_loss(a, digit)
    backward(params, g, a, digit)
    return float(a.loss), g


def predict(params: Params, *, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return the outputs for a batch, by name."""
    dtype = params.flat.dtype
    x = real("x", x, (D,), dtype)
    a = Activations(len(x), dtype)
    forward(params, a, x)
    return {"logits": a.logits.T}


def loss(params: Params, *, x: np.ndarray, digit: np.ndarray) -> float:
    """Return the loss of a batch as `predict` computes it, without a gradient."""
    x, digit = checked(x, digit, params.flat.dtype)
    a = Activations(len(x), params.flat.dtype)
    forward(params, a, x)
    add_loss(a, digit)
    return float(a.loss)


class Part:
    """The rows of a batch that one thread computes, with a workspace and a gradient of its own."""

    def __init__(self, rows: range, BATCH: int, g: Grads) -> None:
        self.rows = slice(rows.start, rows.stop)
        self.a, self.g = Workspace(len(rows), g.flat.dtype, BATCH), g

    def gradient(self, p: Params, x: np.ndarray, digit: np.ndarray) -> float:
        """Fill the gradient with this part's share of it, and return its share of the loss."""
        a, g = self.a, self.g
        forward(p, a, x)
        add_loss(a, digit)
        backward(p, g, a, digit)
        return float(a.loss)


class Team:
    """Threads that share each batch. What they find is added in order: as many, the same bits.

    numpy computes without the interpreter's lock. Meanwhile threadpoolctl, if it is installed,
    holds BLAS to one thread in the whole process; else start Python with OPENBLAS_NUM_THREADS=1.
    """

    def __init__(self, threads: int, g: Grads) -> None:
        self.grads = [g, *(Grads(np.empty_like(g.flat)) for _ in range(threads - 1))]
        self.pool, self.one_thread_of_blas = ThreadPoolExecutor(threads), one_thread_of_blas()
        self.parts: dict[int, list[Part]] = {}

    def gradient(self, p: Params, *batch: np.ndarray) -> float:
        """Fill the first gradient with that of a batch, and return its loss."""
        parts = self.parts_of(len(batch[0]))
        jobs: list[Future[float]] = []
        with self.one_thread_of_blas():
            for part, own in zip(parts, [p] * len(parts), strict=False):
                rows = [array[part.rows] for array in batch]
                # In a copy of the context, numpy treats overflow as the caller told it to.
                jobs.append(self.pool.submit(copy_context().run, part.gradient, own, *rows))
            wait(jobs)
        losses = [job.result() for job in jobs]
        first, *others = (part.g.flat for part in parts)
        for other in others:
            np.add(first, other, out=first)
        return sum(losses)

    def parts_of(self, N: int) -> list[Part]:
        """Return the parts of a batch of N rows: as many as there are threads, or rows."""
        if N not in self.parts:
            many = min(N, len(self.grads))
            rows = [range(N * k // many, N * (k + 1) // many) for k in range(many)]
            self.parts[N] = [Part(own, N, g) for own, g in zip(rows, self.grads, strict=False)]
        return self.parts[N]


def one_thread_of_blas() -> Callable[[], AbstractContextManager[object]]:
    """Return what holds BLAS to one thread for a while; without threadpoolctl, nothing does."""
    try:
        from threadpoolctl import ThreadpoolController
    except ModuleNotFoundError:
        return nullcontext
    return partial(ThreadpoolController().limit, limits=1, user_api="blas")


FOLLOWED = ("forward", "add_loss", "backward", "update")


def formulas() -> dict[int, tuple[str, str]]:
    """Return, for each line of the functions of a step, the function and the formula above it."""
    found, function, formula, above = {}, "", "", ""
    for number, text in enumerate(Path(__file__).read_text(encoding="utf-8").split("\n"), 1):
        line = text.strip()
        if text.startswith("def "):
            function, formula = line[4:].partition("(")[0], ""
        elif line.startswith("# "):
            formula = f"{formula} {line[2:].strip()}" if above.startswith("# ") else line[2:]
        elif not line:
            formula = ""
        elif function in FOLLOWED:
            found[number] = function, formula
        above = line
    return found


class Stopwatch:
    """Take the time of each formula, as a trace function that is called before each line.

    What a line calls counts with the line; what the watch itself takes does not, but for a fraction
    of a microsecond a line.
    """

    def __init__(self, places: dict[int, tuple[str, str]]) -> None:
        self.places, self.place, self.since = places, ("", ""), 0.0
        self.seconds = dict.fromkeys(filter(all, places.values()), 0.0)

    def enter(self, frame: FrameType, _event: str, _arg: object) -> Callable[..., object] | None:
        """Follow the functions of a step, and no others."""
        is_here = frame.f_globals.get("Stopwatch") is Stopwatch
        return self.line if is_here and frame.f_code.co_name in FOLLOWED else None

    def line(self, frame: FrameType, event: str, _arg: object) -> Callable[..., object]:
        """Stop at the end of a line, and start anew for the next one."""
        now = time.perf_counter()
        if self.place in self.seconds:
            self.seconds[self.place] += now - self.since
        self.place = self.places[frame.f_lineno] if event == "line" else ("", "")
        self.since = time.perf_counter()
        return self.line


class Trainer:
    """Parameters in training. All memory is allocated by the first step of each batch size.

    `threads` share each batch, each with memory of its own: this pays where a step takes
    milliseconds. The same number of threads gives the same bits.
    """

    def __init__(self, params: Params, batch: int = 64, seed: int = 0, threads: int = 1) -> None:
        self.params = params
        self.grads = Grads(np.empty_like(params.flat))
        self.state = State(params.flat.dtype)
        self.batch, self.seed, self.steps = batch, seed, 0
        self._workspaces: dict[int, Workspace] = {}
        self._team = Team(threads, self.grads) if threads > 1 else None

    def step(self, *, x: np.ndarray, digit: np.ndarray) -> float:
        """Train on one batch: forward, backward, update. Return the loss before the update."""
        x, digit = checked(x, digit, self.params.flat.dtype)
        p, g = self.params, self.grads
        self.steps += 1
        loss = self._gradient(x, digit)
        update(p, g, self.state)
        if self.steps % 128 == 0:
            self.state.settle()
        return loss

    def _gradient(self, x: np.ndarray, digit: np.ndarray) -> float:
        p, g = self.params, self.grads
        if self._team is not None:
            return self._team.gradient(p, x, digit)
        a = self._workspace(len(x))
        forward(p, a, x)
        add_loss(a, digit)
        backward(p, g, a, digit)
        return float(a.loss)

    def _workspace(self, N: int) -> Workspace:
        if N not in self._workspaces:
            self._workspaces[N] = Workspace(N, self.params.flat.dtype)
        return self._workspaces[N]

    def profile(self, *, steps: int = 10, **batch: np.ndarray) -> dict[tuple[str, str], float]:
        """Return the seconds that a step spends at each formula, the least of several steps.

        A copy takes the steps, by one thread, and training stays where it is.
        """
        own = Trainer(Params(self.params.flat.copy()), seed=self.seed)
        own.step(**batch)
        places, runs, before = formulas(), [], sys.gettrace()
        for _ in range(steps):
            watch = Stopwatch(places)
            sys.settrace(watch.enter)
            try:
                own.step(**batch)
            finally:
                sys.settrace(before)
            runs.append(watch.seconds)
        return {place: min(run[place] for run in runs) for place in runs[0]}


def save(path: str | Path, trainer: Trainer) -> None:
    """Write a trainer to an .npz file; a crash leaves the old file or the new one, never a part."""
    arrays = {name: getattr(trainer.params, name) for name in PARAMETERS}
    arrays |= {f"state.{name}": getattr(trainer.state, name) for name in STATES}
    arrays["run"] = np.array([trainer.steps, trainer.batch, trainer.seed])
    path = Path(path)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load(path: str | Path, threads: int = 1) -> Trainer:
    """Return the trainer that `save` wrote. Nothing in the file is run.

    Errors: ValueError if the file belongs to another model; zipfile.BadZipFile if it is damaged.
    """
    with Path(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        expected = {**PARAMETERS, **{f"state.{name}": (SIZE,) for name in STATES}, "run": (3,)}
        odd = sorted(set(expected) ^ set(file.files))
        if odd:
            raise ValueError(f"{path} is a checkpoint of another model: {', '.join(odd)}")
        arrays = {name: file[name] for name in expected}
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{path}: {name} has shape {arrays[name].shape}; expected {shape}")
    steps, batch, seed = (int(number) for number in arrays["run"])
    dtype = arrays[next(iter(PARAMETERS))].dtype
    trainer = Trainer(Params(np.empty(SIZE, dtype)), batch, seed, threads)
    for name in PARAMETERS:
        getattr(trainer.params, name)[...] = arrays[name]
    for name in STATES:
        getattr(trainer.state, name)[...] = arrays[f"state.{name}"]
    trainer.steps = steps
    return trainer


def example(N: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return a batch of N random examples."""
    rng = np.random.default_rng(seed)
    return {
        "x": rng.standard_normal((N, D)),
        "digit": rng.integers(10, size=N),
    }


def selftest(seed: int = 0) -> bool:
    """Check the gradient by Taylor's theorem, in float64, and return whether it holds.

    For a direction v, R0 = |L(θ+hv) - L(θ)| falls as h and R1 = |L(θ+hv) - L(θ) - h g·v| as h²;
    the central difference (L(θ+hv) - L(θ-hv)) / 2h agrees with g·v to many digits.
    """
    params = Params(init(seed).flat.astype(np.float64))
    rng = np.random.default_rng(seed + 1)
    params.flat += 0.1 * rng.standard_normal(SIZE)
    batch, v = example(5, seed), rng.standard_normal(SIZE)
    v /= np.sqrt(v @ v)
    start, grads = loss_and_grad(params, **batch)
    slope = float(grads.flat @ v)
    print("  h          R0             R1             central difference against g·v")
    best = np.inf
    for k in range(4, 22, 2):
        h = 2.0**-k
        up = loss_and_grad(Params(params.flat + h * v), **batch)[0]
        down = loss_and_grad(Params(params.flat - h * v), **batch)[0]
        error = abs((up - down) / (2 * h) - slope) / np.sqrt(grads.flat @ grads.flat)
        best = min(best, error)
        R0, R1 = abs(up - start), abs(up - start - h * slope)
        print(f"  2^-{k:<4}     {R0:.6e}   {R1:.6e}   {error:.1e}")
    # Rounding of the loss limits a central difference in float64 to about (2^-53)^(2/3), 2e-11.
    agrees = best < 1e-7
    print(f"the gradient {'agrees' if agrees else 'DISAGREES'}: {best:.1e} of its length")
    return agrees


def batches(
    data: dict[str, np.ndarray], batch: int, rng: np.random.Generator
) -> Iterator[dict[str, np.ndarray]]:
    """Yield shuffled batches of `batch` examples; the last one is what is left."""
    order = rng.permutation(len(data["x"]))
    for begin in range(0, len(order), batch):
        yield {name: array[order[begin : begin + batch]] for name, array in data.items()}


def report(params: Params, data: dict[str, np.ndarray]) -> str:
    """Return the loss on `data`, and the share of right answers."""
    guess = predict(params, x=data["x"])["logits"].argmax(axis=1)
    return f"loss {loss(params, **data):.4f}, accuracy {np.mean(guess == data['digit']):.4f}"


def main(argv: list[str] | None = None) -> int:
    """Train on the arrays of an .npz file, whose keys are the names of the inputs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="an .npz file with x and digit")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="share each batch among them")
    parser.add_argument("--save", help="write a checkpoint here after every epoch")
    parser.add_argument("--resume", help="continue from a checkpoint")
    parser.add_argument("--selftest", action="store_true", help="check the gradient and stop")
    args = parser.parse_args(argv)
    if args.selftest:
        return 0 if selftest(args.seed) else 1
    if args.data is None:
        parser.error("--data is needed to train")
    with np.load(args.data, allow_pickle=False) as file:
        data = dict(zip(INPUTS, checked(*(file[name] for name in INPUTS), DTYPE), strict=True))
    rows = np.random.default_rng(args.seed).permutation(len(data["x"]))
    held = max(1, len(rows) // 10)
    test = {name: array[rows[:held]] for name, array in data.items()}
    data = {name: array[rows[held:]] for name, array in data.items()}
    if args.resume:
        trainer = load(args.resume, args.threads)
    else:
        trainer = Trainer(init(args.seed), args.batch, args.seed, args.threads)
    for epoch in range(args.epochs):
        begin = time.perf_counter()
        rng = np.random.default_rng([args.seed, trainer.steps])
        for batch in batches(data, args.batch, rng):
            last = trainer.step(**batch)
        if not np.isfinite(last):
            print(f"the loss is {last} after step {trainer.steps}", file=sys.stderr)
            return 6
        seconds = time.perf_counter() - begin
        print(f"epoch {epoch + 1:3}   held out: {report(trainer.params, test)}   {seconds:.2f} s")
        if args.save:
            save(args.save, trainer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
