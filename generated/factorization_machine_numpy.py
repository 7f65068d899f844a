"""Factorization machine for the progress of diabetes, a layer declared here.

Written by `bpgen emit factorization_machine` from factorization_machine.py; needs numpy alone.
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
D, H, R = 10, 1, 4
SIZE = 51

# Shapes of the parameters; for a batch, the shape of one example and the number of classes.
PARAMETERS = {
    "fm_w0": (),
    "fm_w": (D,),
    "fm_V": (D, R),
}
INPUTS = {
    "x": ((D,), None),
    "y": ((H,), None),
}
OUTPUTS = ("prediction",)
STATES = ("m", "v")


class Params:
    """The parameters: named views into one flat vector, `flat`."""

    def __init__(self, flat: np.ndarray | None = None) -> None:
        self.flat = np.zeros(SIZE, DTYPE) if flat is None else flat
        self.fm_w0 = self.flat[0:1].reshape(())
        self.fm_w = self.flat[1:11].reshape((D,))
        self.fm_V = self.flat[11:51].reshape((D, R))


class Grads(Params):
    """The gradient: `grads.W` is ∂L/∂W, in the same order in memory."""


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
        rows_N = np.empty((18, N), dtype)
        rows = np.empty(40, dtype)
        self.fm_u = rows_N[10:14].reshape((R, N))  # fm_u[r,n]
        self.fm_y = np.empty(N, dtype)  # fm_y[n]
        self.loss = np.empty((), dtype)  # loss
        self.fm_q = rows_N[14:18].reshape((R, N))  # fm_q[r,n]
        self.u_dr = rows[0:40].reshape((D, R))
        self.v_nd = rows_N[0:10].reshape((N, D))
        self.u_rn = rows_N[0:4].reshape((R, N))
        self.v_rn = rows_N[4:8].reshape((R, N))
        self.v_n = rows_N[8:9].reshape(N)
        self.r = rows_N[0:1].reshape(N)  # r[n]
        self.mean_squared_error = rows[0:1].reshape(())  # mean_squared_error
        self.l2 = rows[1:2].reshape(())  # l2
        self.C_0_01 = np.array(0.01, dtype)
        self.C_1_OVER_BATCH = np.array(1 / BATCH, dtype)
        self.C_N_OVER_BATCH = np.array(N / BATCH, dtype)
        self.HALF = np.array(0.5, dtype)
        self.ONES_R = np.ones(R, dtype)


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
        rows_N = np.empty((18, N), dtype)
        rows = np.empty(60, dtype)
        self.loss = np.empty((), dtype)  # loss
        self.fm_u = rows_N[0:4].reshape((R, N))  # fm_u[r,n]
        self.fm_q = rows_N[14:18].reshape((R, N))  # fm_q[r,n]
        self.u_dr = rows[0:40].reshape((D, R))
        self.v_nd = rows_N[4:14].reshape((N, D))
        self.fm_y = rows_N[4:5].reshape(N)  # fm_y[n]
        self.u_rn = rows_N[5:9].reshape((R, N))
        self.v_rn = rows_N[9:13].reshape((R, N))
        self.v_n = rows_N[13:14].reshape(N)
        self.r = rows_N[4:5].reshape(N)  # r[n]
        self.mean_squared_error = rows[0:1].reshape(())  # mean_squared_error
        self.l2 = rows[1:2].reshape(())  # l2
        self.d_fm_u = rows_N[0:4].reshape((R, N))  # ∂L/∂fm_u[r,n]
        self.u_n = rows_N[5:6].reshape(N)
        self.sum_for_d_fm_V = rows[40:50].reshape(D)  # sum_for_d_fm_V[d]
        self.u_nd = rows_N[5:15].reshape((N, D))
        self.u_d = rows[50:60].reshape(D)
        self.v_dr = rows[0:40].reshape((D, R))
        self.C_0_01 = np.array(0.01, dtype)
        self.C_0_02_N_OVER_BATCH = np.array(0.02 * N / BATCH, dtype)
        self.C_1_OVER_BATCH = np.array(1 / BATCH, dtype)
        self.C_2_OVER_BATCH = np.array(2 / BATCH, dtype)
        self.C_N_OVER_BATCH = np.array(N / BATCH, dtype)
        self.HALF = np.array(0.5, dtype)
        self.ONES_N = np.ones(N, dtype)
        self.ONES_R = np.ones(R, dtype)


class State:
    """What the optimizer adam keeps from step to step, and its scratch memory."""

    def __init__(self, dtype: str = DTYPE) -> None:
        self.m = np.zeros(SIZE, dtype)  # m[i]
        self.v = np.zeros(SIZE, dtype)  # v[i]
        self.C_0_001 = np.array(0.001, dtype)
        self.C_0_1 = np.array(0.1, dtype)
        self.C_0_9 = np.array(0.9, dtype)
        self.C_0_999 = np.array(0.999, dtype)
        self.u_i = np.empty(SIZE, dtype)
        self.SMALL = np.finfo(dtype).tiny / np.finfo(dtype).eps

    def settle(self) -> None:
        """Make 0 of numbers below the normal ones, with which some processors are slow.

        Rounded, (x + SMALL) - SMALL holds nothing of such an x, and all of a large one.
        """
        for x in (self.m, self.v):
            np.add(x, self.SMALL, out=x)
            np.subtract(x, self.SMALL, out=x)


def init(seed: int = 0) -> Params:
    """Return parameters as training starts with them."""
    p = Params()
    rng = np.random.default_rng(seed)
    p.fm_V[...] = rng.normal(0, 0.1, (D, R))
    return p


def forward(p: Params, a: Activations, x: np.ndarray) -> None:
    """Compute the outputs of a batch into `a`."""
    # fm_u[n,r] = Σ_d x[n,d] fm_V[d,r]
    np.dot(p.fm_V.T, x.T, out=a.fm_u)

    # fm_q[n,r] = Σ_d x[n,d]² fm_V[d,r]²
    np.multiply(p.fm_V, p.fm_V, out=a.u_dr)
    np.multiply(x, x, out=a.v_nd)
    np.dot(a.u_dr.T, a.v_nd.T, out=a.fm_q)

    # fm_y[n] = Σ_d x[n,d] fm_w[d] + Σ_r (fm_u[n,r]²/2 - fm_q[n,r]/2) + fm_w0
    np.dot(p.fm_w, x.T, out=a.fm_y)
    np.multiply(a.fm_u, a.fm_u, out=a.u_rn)
    np.multiply(a.u_rn, a.HALF, out=a.u_rn)
    np.multiply(a.fm_q, a.HALF, out=a.v_rn)
    np.subtract(a.u_rn, a.v_rn, out=a.u_rn)
    np.dot(a.ONES_R, a.u_rn, out=a.v_n)
    np.add(a.fm_y, a.v_n, out=a.fm_y)
    np.add(a.fm_y, p.fm_w0, out=a.fm_y)


def add_loss(p: Params, a: Activations, y: np.ndarray) -> None:
    """Go on from the outputs to the loss."""
    # target[n] = y[n,0]
    a.target = y[:, 0]

    # r[n] = fm_y[n] - target[n]
    np.subtract(a.fm_y, a.target, out=a.r)

    # mean_squared_error = Σ_n r[n]²/N
    np.dot(a.r, a.r, out=a.mean_squared_error)
    np.multiply(a.mean_squared_error, a.C_1_OVER_BATCH, out=a.mean_squared_error)

    # l2 = Σ_{d,r} 0.01 fm_V[d,r]²
    np.dot(p.fm_V.ravel(), p.fm_V.ravel(), out=a.l2)
    np.multiply(a.l2, a.C_0_01, out=a.l2)

    # loss = mean_squared_error + l2
    np.multiply(a.l2, a.C_N_OVER_BATCH, out=a.loss)
    np.add(a.loss, a.mean_squared_error, out=a.loss)


def backward(p: Params, g: Grads, a: Workspace, x: np.ndarray) -> None:
    """Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`."""
    # ∂L/∂fm_w0 = Σ_n 2 r[n]/N
    np.dot(a.r, a.ONES_N, out=g.fm_w0)
    np.multiply(g.fm_w0, a.C_2_OVER_BATCH, out=g.fm_w0)

    # ∂L/∂fm_w[d] = Σ_n 2 x[n,d] r[n]/N
    np.dot(a.r, x, out=g.fm_w)
    np.multiply(g.fm_w, a.C_2_OVER_BATCH, out=g.fm_w)

    # ∂L/∂fm_u[n,r] = 2 fm_u[n,r] r[n]/N
    np.multiply(a.r, a.C_2_OVER_BATCH, out=a.u_n)
    np.multiply(a.fm_u, a.u_n, out=a.d_fm_u)

    # sum_for_d_fm_V[d] = Σ_n x[n,d]² r[n]
    np.multiply(x, a.r[:, None], out=a.u_nd)
    np.einsum("nd,nd->d", x, a.u_nd, out=a.sum_for_d_fm_V)

    # ∂L/∂fm_V[d,r] = Σ_n x[n,d] ∂L/∂fm_u[n,r] + fm_V[d,r] (0.02 - 2 sum_for_d_fm_V[d]/N)
    np.dot(x.T, a.d_fm_u.T, out=g.fm_V)
    np.multiply(a.sum_for_d_fm_V, a.C_2_OVER_BATCH, out=a.u_d)
    np.subtract(a.C_0_02_N_OVER_BATCH, a.u_d, out=a.u_d)
    np.multiply(p.fm_V, a.u_d[:, None], out=a.v_dr)
    np.add(a.v_dr, g.fm_V, out=g.fm_V)


def update(p: Params, g: Grads, s: State, t: int) -> None:
    """Change the parameters by the gradient; `t` counts the steps from 1."""
    # lr ← 0.01
    lr = 0.01

    # c2 ← √(1 - 0.999^t)
    c2 = math.sqrt(1 - 0.999**t)

    # lr_t ← c2 lr/(1 - 0.9^t)
    lr_t = c2 * lr / (1 - 0.9**t)

    # m[i] ← 0.9 m[i] + 0.1 g[i]
    np.multiply(s.m, s.C_0_9, out=s.m)
    np.multiply(g.flat, s.C_0_1, out=s.u_i)
    np.add(s.m, s.u_i, out=s.m)

    # v[i] ← 0.999 v[i] + 0.001 g[i]²
    np.multiply(g.flat, g.flat, out=s.u_i)
    np.multiply(s.u_i, s.C_0_001, out=s.u_i)
    np.multiply(s.v, s.C_0_999, out=s.v)
    np.add(s.u_i, s.v, out=s.v)

    # θ[i] ← θ[i] - lr_t m[i]/(1e-08 c2 + √v[i])
    np.sqrt(s.v, out=s.u_i)
    np.add(s.u_i, 1e-08 * c2, out=s.u_i)
    np.divide(s.m, s.u_i, out=s.u_i)
    np.multiply(s.u_i, lr_t, out=s.u_i)
    np.subtract(p.flat, s.u_i, out=p.flat)


def real(name: str, value: np.ndarray, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return `value` as an array of numbers, one row an example."""
    array = np.ascontiguousarray(value, dtype)
    if array.shape[1:] != shape or array.ndim == 0:
        raise ValueError(f"{name} has shape {array.shape}; expected one row an example of {shape}")
    return array


def checked(x: np.ndarray, y: np.ndarray, dtype: str) -> tuple[np.ndarray, ...]:
    """Return a batch as contiguous arrays of the right types and equal lengths."""
    x = real("x", x, (D,), dtype)
    y = real("y", y, (H,), dtype)
    if len({len(x), len(y)}) > 1:
        raise ValueError(f"x, y have different lengths: {len(x), len(y)}")
    return x, y


def loss_and_grad(params: Params, *, x: np.ndarray, y: np.ndarray) -> tuple[float, Grads]:
    """Return the loss of a batch and its gradient; float64 parameters make everything float64."""
    x, y = checked(x, y, params.flat.dtype)
    a, g = Workspace(len(x), params.flat.dtype), Grads(np.empty_like(params.flat))
    forward(params, a, x)
    add_loss(params, a, y)
    backward(params, g, a, x)
    return float(a.loss), g


def predict(params: Params, *, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return the outputs for a batch, by name."""
    dtype = params.flat.dtype
    x = real("x", x, (D,), dtype)
    a = Activations(len(x), dtype)
    forward(params, a, x)
    return {"prediction": a.fm_y}


def loss(params: Params, *, x: np.ndarray, y: np.ndarray) -> float:
    """Return the loss of a batch as `predict` computes it, without a gradient."""
    x, y = checked(x, y, params.flat.dtype)
    a = Activations(len(x), params.flat.dtype)
    forward(params, a, x)
    add_loss(params, a, y)
    return float(a.loss)


class Part:
    """The rows of a batch that one thread computes, with a workspace and a gradient of its own."""

    def __init__(self, rows: range, BATCH: int, g: Grads) -> None:
        self.rows = slice(rows.start, rows.stop)
        self.a, self.g = Workspace(len(rows), g.flat.dtype, BATCH), g

    def gradient(self, p: Params, x: np.ndarray, y: np.ndarray) -> float:
        """Fill the gradient with this part's share of it, and return its share of the loss."""
        a, g = self.a, self.g
        forward(p, a, x)
        add_loss(p, a, y)
        backward(p, g, a, x)
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

    def step(self, *, x: np.ndarray, y: np.ndarray) -> float:
        """Train on one batch: forward, backward, update. Return the loss before the update."""
        x, y = checked(x, y, self.params.flat.dtype)
        p, g = self.params, self.grads
        self.steps += 1
        loss = self._gradient(x, y)
        update(p, g, self.state, self.steps)
        if self.steps % 128 == 0:
            self.state.settle()
        return loss

    def _gradient(self, x: np.ndarray, y: np.ndarray) -> float:
        p, g = self.params, self.grads
        if self._team is not None:
            return self._team.gradient(p, x, y)
        a = self._workspace(len(x))
        forward(p, a, x)
        add_loss(p, a, y)
        backward(p, g, a, x)
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
        "y": rng.random((N, H)),
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
    """Return the loss on `data`."""
    return f"loss {loss(params, **data):.4f}"


def main(argv: list[str] | None = None) -> int:
    """Train on the arrays of an .npz file, whose keys are the names of the inputs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="an .npz file with x and y")
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
