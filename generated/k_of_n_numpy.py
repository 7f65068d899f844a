"""Classifier of 8×8 images of digits by units that see six of the 64 pixels each.

Written by `bpgen emit k_of_n` from k_of_n.py; needs numpy alone.
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
D, H, J, K = 64, 64, 6, 10
SIZE = 1098

# Shapes of the parameters; for a batch, the shape of one example and the number of classes.
PARAMETERS = {
    "seen_W": (H, J),
    "seen_b": (H,),
    "out_W": (H, K),
    "out_b": (K,),
}
INPUTS = {
    "x": ((D,), None),
    "digit": ((), 10),
}
OUTPUTS = ("logits",)
STATES = ("m", "v")

# Numbers that the declaration gives.
TABLES = {
    "seen_pattern": np.reshape((
        16, 25, 32, 45, 49, 63, 18, 29, 32, 36, 46, 57, 15, 16, 37, 45, 57, 62, 18, 43, 45, 47, 54,
        56, 6, 26, 27, 37, 57, 61, 0, 15, 28, 34, 49, 51, 0, 23, 31, 41, 42, 50, 12, 14, 19, 36, 51,
        53, 5, 14, 20, 27, 48, 58, 6, 29, 34, 35, 44, 55, 28, 32, 37, 48, 58, 62, 11, 18, 23, 35,
        60, 63, 5, 29, 36, 39, 47, 56, 25, 34, 50, 54, 57, 60, 16, 37, 41, 49, 52, 56, 27, 34, 40,
        56, 58, 62, 4, 30, 37, 39, 46, 54, 7, 13, 14, 21, 43, 50, 2, 6, 8, 36, 43, 48, 1, 32, 38,
        40, 41, 53, 1, 2, 22, 23, 33, 60, 7, 11, 13, 50, 56, 59, 1, 6, 13, 16, 25, 41, 2, 6, 10, 20,
        30, 63, 10, 11, 21, 44, 51, 57, 3, 21, 39, 41, 53, 57, 10, 14, 26, 29, 35, 63, 16, 18, 22,
        30, 33, 52, 0, 2, 17, 20, 33, 45, 14, 17, 21, 22, 57, 60, 24, 26, 37, 41, 43, 59, 0, 11, 14,
        20, 24, 40, 24, 25, 26, 34, 44, 51, 2, 9, 16, 27, 33, 39, 19, 28, 31, 33, 46, 54, 11, 27,
        48, 50, 53, 63, 5, 25, 37, 43, 44, 61, 0, 12, 18, 33, 43, 51, 5, 7, 17, 39, 54, 62, 5, 17,
        24, 28, 51, 61, 8, 22, 32, 40, 46, 51, 1, 2, 16, 35, 42, 51, 2, 44, 47, 55, 56, 60, 23, 34,
        38, 39, 42, 55, 0, 9, 12, 21, 35, 50, 2, 10, 20, 37, 42, 62, 15, 17, 18, 23, 30, 33, 2, 4,
        10, 21, 25, 31, 5, 24, 29, 52, 55, 62, 19, 20, 26, 28, 42, 47, 23, 38, 40, 52, 55, 61, 0, 3,
        5, 25, 45, 61, 26, 27, 29, 30, 36, 42, 15, 21, 22, 27, 48, 59, 3, 28, 42, 43, 51, 55, 2, 7,
        12, 13, 23, 59, 8, 9, 11, 23, 33, 63, 8, 24, 31, 42, 55, 57, 12, 19, 30, 42, 54, 61, 13, 20,
        35, 52, 56, 59, 2, 8, 15, 37, 48, 53, 2, 4, 5, 42, 48, 54, 0, 2, 10, 13, 20, 52, 8, 31, 32,
        39, 56, 59,
    ), (H, J)),
}  # fmt: skip


class Params:
    """The parameters: named views into one flat vector, `flat`."""

    def __init__(self, flat: np.ndarray | None = None) -> None:
        self.flat = np.zeros(SIZE, DTYPE) if flat is None else flat
        self.seen_W = self.flat[0:384].reshape((H, J))
        self.seen_b = self.flat[384:448].reshape((H,))
        self.out_W = self.flat[448:1088].reshape((H, K))
        self.out_b = self.flat[1088:1098].reshape((K,))


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
        rows_N = np.empty((448, N), dtype)
        self.seen_pattern = TABLES["seen_pattern"].astype(np.intp)  # seen_pattern[h,j]
        self.x_at_seen_pattern = rows_N[0:384].reshape((N, H, J))  # x_at_seen_pattern[n,h,j]
        self.logits = np.empty((K, N), dtype)  # logits[k,n]
        self.loss = np.empty((), dtype)  # loss
        self.z1 = rows_N[384:448].reshape((N, H))  # z1[n,h]
        self.h = rows_N[384:448].reshape((N, H))  # h[n,h]
        self.m = rows_N[10:11].reshape(N)  # m[n]
        self.e = rows_N[0:10].reshape((K, N))  # e[k,n]
        self.s = rows_N[11:12].reshape(N)  # s[n]
        self.logits_at_digit = rows_N[2:3].reshape(N)  # logits_at_digit[n]
        self.i_n = lent(rows_N[0:2], np.intp, (N,))
        self.u_n = rows_N[0:1].reshape(N)
        self.COUNT_N = np.array(N)
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
        rows_N = np.empty((537, N), dtype)
        self.seen_pattern = TABLES["seen_pattern"].astype(np.intp)  # seen_pattern[h,j]
        self.loss = np.empty((), dtype)  # loss
        self.x_at_seen_pattern = rows_N[0:384].reshape((N, H, J))  # x_at_seen_pattern[n,h,j]
        self.z1 = rows_N[384:448].reshape((N, H))  # z1[n,h]
        self.h = rows_N[448:512].reshape((N, H))  # h[n,h]
        self.logits = rows_N[512:522].reshape((K, N))  # logits[k,n]
        self.m = rows_N[534:535].reshape(N)  # m[n]
        self.e = rows_N[522:532].reshape((K, N))  # e[k,n]
        self.s = rows_N[535:536].reshape(N)  # s[n]
        self.logits_at_digit = rows_N[536:537].reshape(N)  # logits_at_digit[n]
        self.i_n = lent(rows_N[532:534], np.intp, (N,))
        self.u_n = rows_N[512:513].reshape(N)
        self.p = rows_N[522:532].reshape((K, N))  # p[k,n]
        self.d_logits = rows_N[512:522].reshape((K, N))  # ∂L/∂logits[k,n]
        self.d_h = rows_N[448:512].reshape((N, H))  # ∂L/∂h[n,h]
        self.d_z1 = rows_N[384:448].reshape((N, H))  # ∂L/∂z1[n,h]
        self.COUNT_N = np.array(N)
        self.C_1_OVER_BATCH = np.array(1 / BATCH, dtype)
        self.MEAN_N = np.full(N, 1 / BATCH, dtype)
        self.ONES_K = np.ones(K, dtype)
        self.ONES_N = np.ones(N, dtype)
        self.ONE_HOT_K = np.eye(K, dtype=dtype)
        self.RANGE_N = np.arange(N)
        self.ZERO = np.array(0, dtype)


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
    p.seen_W[...] = rng.normal(0, math.sqrt(2 / J), (H, J))
    p.out_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    return p


def forward(p: Params, a: Activations, x: np.ndarray) -> None:
    """Compute the outputs of a batch into `a`."""
    # x_at_seen_pattern[n,h,j] = x[n,seen_pattern[h,j]]
    x.take(a.seen_pattern, axis=1, out=a.x_at_seen_pattern, mode="clip")

    # z1[n,h] = Σ_j seen_W[h,j] x_at_seen_pattern[n,h,j] + seen_b[h]
    np.matmul(p.seen_W[:, None, :], a.x_at_seen_pattern.transpose(1, 2, 0), out=a.z1.T[:, None, :])
    np.add(a.z1, p.seen_b, out=a.z1)

    # h[n,h] = max(0, z1[n,h])
    np.maximum(a.z1, a.ZERO, out=a.h)

    # logits[n,k] = Σ_h out_W[h,k] h[n,h] + out_b[k]
    np.dot(p.out_W.T, a.h.T, out=a.logits)
    np.add(a.logits, p.out_b[:, None], out=a.logits)


def add_loss(a: Activations, digit: np.ndarray) -> None:
    """Go on from the outputs to the loss."""
    # m[n] = max_k logits[n,k]
    np.maximum.reduce(a.logits, axis=0, out=a.m)

    # e[n,k] = exp(logits[n,k] - m[n])
    np.subtract(a.logits, a.m, out=a.e)
    np.exp(a.e, out=a.e)

    # s[n] = Σ_k e[n,k]
    np.dot(a.ONES_K, a.e, out=a.s)

    # logits_at_digit[n] = logits[n,digit[n]]
    np.multiply(digit, a.COUNT_N, out=a.i_n)
    np.add(a.i_n, a.RANGE_N, out=a.i_n)
    a.logits.take(a.i_n, out=a.logits_at_digit, mode="clip")

    # loss = Σ_n (m[n] + log(s[n]) - logits_at_digit[n])/N
    np.log(a.s, out=a.u_n)
    np.add(a.u_n, a.m, out=a.u_n)
    np.subtract(a.u_n, a.logits_at_digit, out=a.u_n)
    np.dot(a.u_n, a.MEAN_N, out=a.loss)


def backward(p: Params, g: Grads, a: Workspace, digit: np.ndarray) -> None:
    """Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`."""
    # p[n,k] = e[n,k]/s[n]
    np.divide(a.e, a.s, out=a.p)

    # ∂L/∂logits[n,k] = (p[n,k] - δ(k,digit[n]))/N
    a.ONE_HOT_K.take(digit, axis=1, out=a.d_logits, mode="clip")
    np.subtract(a.p, a.d_logits, out=a.d_logits)
    np.multiply(a.d_logits, a.C_1_OVER_BATCH, out=a.d_logits)

    # ∂L/∂out_W[h,k] = Σ_n h[n,h] ∂L/∂logits[n,k]
    np.dot(a.h.T, a.d_logits.T, out=g.out_W)

    # ∂L/∂out_b[k] = Σ_n ∂L/∂logits[n,k]
    np.dot(a.d_logits, a.ONES_N, out=g.out_b)

    # ∂L/∂h[n,h] = Σ_k out_W[h,k] ∂L/∂logits[n,k]
    np.dot(a.d_logits.T, p.out_W.T, out=a.d_h)

    # ∂L/∂z1[n,h] = [z1[n,h] > 0] ∂L/∂h[n,h]
    np.greater(a.z1, a.ZERO, out=a.d_z1)
    np.multiply(a.d_z1, a.d_h, out=a.d_z1)

    # ∂L/∂seen_W[h,j] = Σ_n x_at_seen_pattern[n,h,j] ∂L/∂z1[n,h]
    np.matmul(
        a.d_z1.T[:, None, :], a.x_at_seen_pattern.transpose(1, 0, 2), out=g.seen_W[:, None, :]
    )

    # ∂L/∂seen_b[h] = Σ_n ∂L/∂z1[n,h]
    np.dot(a.ONES_N, a.d_z1, out=g.seen_b)


def update(p: Params, g: Grads, s: State, t: int) -> None:
    """Change the parameters by the gradient; `t` counts the steps from 1."""
    # lr ← 0.003
    lr = 0.003

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
        update(p, g, self.state, self.steps)
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
