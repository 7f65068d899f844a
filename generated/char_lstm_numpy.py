"""Long short-term memory that reads text and predicts the character after each.

Written by `bpgen emit char_lstm` from char_lstm.py; needs numpy alone.
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
D, V, H, M, J, K, E, Q = 64, 96, 32, 512, 128, 128, 96, 4
SIZE = 97888

# Shapes of the parameters; for a batch, the shape of one example and the number of classes.
PARAMETERS = {
    "characters_W": (V, H),
    "lstm_W": (H, M),
    "lstm_b": (M,),
    "lstm_U": (J, M),
    "head_W": (K, E),
    "head_b": (E,),
}
INPUTS = {
    "tokens": ((D,), 96),
    "next_token": ((D,), 96),
}
OUTPUTS = ("logits",)
STATES = ("m", "v")


class Params:
    """The parameters: named views into one flat vector, `flat`."""

    def __init__(self, flat: np.ndarray | None = None) -> None:
        self.flat = np.zeros(SIZE, DTYPE) if flat is None else flat
        self.characters_W = self.flat[0:3072].reshape((V, H))
        self.lstm_W = self.flat[3072:19456].reshape((H, M))
        self.lstm_b = self.flat[19456:19968].reshape((M,))
        self.lstm_U = self.flat[19968:85504].reshape((J, M))
        self.head_W = self.flat[85504:97792].reshape((K, E))
        self.head_b = self.flat[97792:97888].reshape((E,))


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
        rows_N = np.empty((107008, N), dtype)
        self.y1 = rows_N[32768:34816].reshape((N, D, H))  # y1[n,d,h]
        self.logits = np.empty((N, D, E), dtype)  # logits[n,d,e]
        self.loss = np.empty((), dtype)  # loss
        self.lstm_z = rows_N[0:32768].reshape((D, N, M))  # lstm_z[d,n,m]
        self.u_dnh = rows_N[34816:36864].reshape((D, N, H))
        self.lstm_h = rows_N[32768:40960].reshape((D, N, K))  # lstm_h[d,n,k]
        self.lstm_h_before = rows_N[40960:49152].reshape((D, N, K))  # lstm_h_before[d,n,k]
        self.lstm_i = rows_N[49152:57344].reshape((D, N, K))  # lstm_i[d,n,k]
        self.lstm_f = rows_N[57344:65536].reshape((D, N, K))  # lstm_f[d,n,k]
        self.lstm_g = rows_N[65536:73728].reshape((D, N, K))  # lstm_g[d,n,k]
        self.lstm_o = rows_N[73728:81920].reshape((D, N, K))  # lstm_o[d,n,k]
        self.lstm_c = rows_N[81920:90112].reshape((D, N, K))  # lstm_c[d,n,k]
        self.lstm_c_before = rows_N[90112:98304].reshape((D, N, K))  # lstm_c_before[d,n,k]
        self.lstm_c_tanh = rows_N[98304:106496].reshape((D, N, K))  # lstm_c_tanh[d,n,k]
        self.u_nm = rows_N[106496:107008].reshape((N, M))
        self.u_nk = rows_N[106496:106624].reshape((N, K))
        self.u_ndk = rows_N[0:8192].reshape((N, D, K))
        self.m = rows_N[6144:6208].reshape((N, D))  # m[n,d]
        self.e = rows_N[0:6144].reshape((N, D, E))  # e[n,d,e]
        self.s = rows_N[6208:6272].reshape((N, D))  # s[n,d]
        self.logits_at_next_token = rows_N[128:192].reshape((N, D))  # logits_at_next_token[n,d]
        self.i_nd = lent(rows_N[0:128], np.intp, (N, D))
        self.u_nd = rows_N[0:64].reshape((N, D))
        self.COUNT_D = np.array(D)
        self.COUNT_E = np.array(E)
        self.C_1_OVER_BATCH_D = np.array(1 / (BATCH * D), dtype)
        self.HALF = np.array(0.5, dtype)
        self.RANGE_D = np.arange(D)
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
        rows_N = np.empty((125184, N), dtype)
        self.loss = np.empty((), dtype)  # loss
        self.y1 = rows_N[122880:124928].reshape((N, D, H))  # y1[n,d,h]
        self.lstm_z = rows_N[0:32768].reshape((D, N, M))  # lstm_z[d,n,m]
        self.u_dnh = rows_N[32768:34816].reshape((D, N, H))
        self.lstm_h = rows_N[32768:40960].reshape((D, N, K))  # lstm_h[d,n,k]
        self.lstm_h_before = rows_N[40960:49152].reshape((D, N, K))  # lstm_h_before[d,n,k]
        self.lstm_i = rows_N[49152:57344].reshape((D, N, K))  # lstm_i[d,n,k]
        self.lstm_f = rows_N[57344:65536].reshape((D, N, K))  # lstm_f[d,n,k]
        self.lstm_g = rows_N[65536:73728].reshape((D, N, K))  # lstm_g[d,n,k]
        self.lstm_o = rows_N[73728:81920].reshape((D, N, K))  # lstm_o[d,n,k]
        self.lstm_c = rows_N[81920:90112].reshape((D, N, K))  # lstm_c[d,n,k]
        self.lstm_c_before = rows_N[90112:98304].reshape((D, N, K))  # lstm_c_before[d,n,k]
        self.lstm_c_tanh = rows_N[98304:106496].reshape((D, N, K))  # lstm_c_tanh[d,n,k]
        self.u_nm = rows_N[106496:107008].reshape((N, M))
        self.u_nk = rows_N[124928:125056].reshape((N, K))
        self.logits = rows_N[8192:14336].reshape((N, D, E))  # logits[n,d,e]
        self.u_ndk = rows_N[0:8192].reshape((N, D, K))
        self.m = rows_N[6272:6336].reshape((N, D))  # m[n,d]
        self.e = rows_N[0:6144].reshape((N, D, E))  # e[n,d,e]
        self.s = rows_N[6336:6400].reshape((N, D))  # s[n,d]
        self.logits_at_next_token = rows_N[6400:6464].reshape((N, D))  # logits_at_next_token[n,d]
        self.i_nd = lent(rows_N[6144:6272], np.intp, (N, D))
        self.u_nd = rows_N[6144:6208].reshape((N, D))
        self.p = rows_N[0:6144].reshape((N, D, E))  # p[n,d,e]
        self.d_logits = rows_N[6144:12288].reshape((N, D, E))  # ∂L/∂logits[n,d,e]
        self.u_dne = rows_N[0:6144].reshape((D, N, E))
        self.d_lstm_h = rows_N[81920:90112].reshape((D, N, K))  # ∂L/∂lstm_h[d,n,k]
        self.transposed_lstm_U = np.empty((M, K), dtype)  # transposed_lstm_U[m,k]
        self.d_lstm_h_before = rows_N[106496:114688].reshape((D, N, K))  # ∂L/∂lstm_h_before[d,n,k]
        self.d_lstm_c_before = rows_N[114688:122880].reshape((D, N, K))  # ∂L/∂lstm_c_before[d,n,k]
        self.d_lstm_z_by_gate = rows_N[0:32768].reshape((D, N, Q, K))  # ∂L/∂lstm_z_by_gate[d,n,q,k]
        self.d_lstm_c = rows_N[125056:125184].reshape((N, K))  # ∂L/∂lstm_c[n,k]
        self.d_y1 = rows_N[65536:67584].reshape((N, D, H))  # ∂L/∂y1[n,d,h]
        self.u_ndm = rows_N[32768:65536].reshape((N, D, M))
        self.u_ndv = rows_N[0:6144].reshape((N, D, V))
        self.COUNT_D = np.array(D)
        self.COUNT_E = np.array(E)
        self.C_1_OVER_BATCH_D = np.array(1 / (BATCH * D), dtype)
        self.HALF = np.array(0.5, dtype)
        self.ONE = np.array(1, dtype)
        self.ONE_HOT_E = np.eye(E, dtype=dtype)
        self.ONE_HOT_V = np.eye(V, dtype=dtype)
        self.RANGE_D = np.arange(D)
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
    p.characters_W[...] = rng.normal(0, 1.0, (V, H))
    p.lstm_W[...] = rng.uniform(-math.sqrt(1 / K), math.sqrt(1 / K), (H, M))
    p.lstm_b[...] = rng.uniform(-math.sqrt(1 / K), math.sqrt(1 / K), (M,))
    p.lstm_U[...] = rng.uniform(-math.sqrt(1 / K), math.sqrt(1 / K), (J, M))
    p.head_W[...] = rng.normal(0, math.sqrt(2 / K), (K, E))
    return p


def forward(p: Params, a: Activations, tokens: np.ndarray) -> None:
    """Compute the outputs of a batch into `a`."""
    N = a.N

    # y1[n,d,h] = characters_W[tokens[n,d],h]
    p.characters_W.take(tokens, axis=0, out=a.y1, mode="clip")

    # lstm_z[n,d,m] = Σ_h lstm_W[h,m] y1[n,d,h] + lstm_b[m]
    np.copyto(a.u_dnh, a.y1.transpose(1, 0, 2))
    np.matmul(a.u_dnh.reshape(D * N, H), p.lstm_W, out=a.lstm_z.reshape(D * N, M))
    np.add(a.lstm_z, p.lstm_b, out=a.lstm_z)

    # lstm_z_by_gate[n,d,q,k] = lstm_z[n,d,K q + k]
    a.lstm_z_by_gate = a.lstm_z.reshape(D, -1, Q, K)

    # lstm_zi[n,d,k] = lstm_z_by_gate[n,d,0,k]
    a.lstm_zi = a.lstm_z_by_gate[:, :, 0]

    # lstm_zf[n,d,k] = lstm_z_by_gate[n,d,1,k]
    a.lstm_zf = a.lstm_z_by_gate[:, :, 1]

    # lstm_zg[n,d,k] = lstm_z_by_gate[n,d,2,k]
    a.lstm_zg = a.lstm_z_by_gate[:, :, 2]

    # lstm_zo[n,d,k] = lstm_z_by_gate[n,d,3,k]
    a.lstm_zo = a.lstm_z_by_gate[:, :, 3]

    for d in range(D):
        # lstm_h_before[n,d,k] = lstm_h[n,d-1,k] (0 outside)
        if d > 0:
            np.copyto(a.lstm_h_before[d], a.lstm_h[d - 1])
        else:
            np.copyto(a.lstm_h_before[d], a.ZERO)

        # lstm_z[n,d,m] += Σ_j lstm_U[j,m] lstm_h_before[n,d,j]
        np.dot(a.lstm_h_before[d], p.lstm_U, out=a.u_nm)
        np.add(a.lstm_z[d], a.u_nm, out=a.lstm_z[d])

        # lstm_i[n,d,k] = tanh(lstm_zi[n,d,k]/2)/2 + 1/2
        np.multiply(a.lstm_zi[d], a.HALF, out=a.lstm_i[d])
        np.tanh(a.lstm_i[d], out=a.lstm_i[d])
        np.multiply(a.lstm_i[d], a.HALF, out=a.lstm_i[d])
        np.add(a.lstm_i[d], a.HALF, out=a.lstm_i[d])

        # lstm_f[n,d,k] = tanh(lstm_zf[n,d,k]/2)/2 + 1/2
        np.multiply(a.lstm_zf[d], a.HALF, out=a.lstm_f[d])
        np.tanh(a.lstm_f[d], out=a.lstm_f[d])
        np.multiply(a.lstm_f[d], a.HALF, out=a.lstm_f[d])
        np.add(a.lstm_f[d], a.HALF, out=a.lstm_f[d])

        # lstm_g[n,d,k] = tanh(lstm_zg[n,d,k])
        np.tanh(a.lstm_zg[d], out=a.lstm_g[d])

        # lstm_o[n,d,k] = tanh(lstm_zo[n,d,k]/2)/2 + 1/2
        np.multiply(a.lstm_zo[d], a.HALF, out=a.lstm_o[d])
        np.tanh(a.lstm_o[d], out=a.lstm_o[d])
        np.multiply(a.lstm_o[d], a.HALF, out=a.lstm_o[d])
        np.add(a.lstm_o[d], a.HALF, out=a.lstm_o[d])

        # lstm_c_before[n,d,k] = lstm_c[n,d-1,k] (0 outside)
        if d > 0:
            np.copyto(a.lstm_c_before[d], a.lstm_c[d - 1])
        else:
            np.copyto(a.lstm_c_before[d], a.ZERO)

        # lstm_c[n,d,k] = lstm_i[n,d,k] lstm_g[n,d,k] + lstm_f[n,d,k] lstm_c_before[n,d,k]
        np.multiply(a.lstm_i[d], a.lstm_g[d], out=a.lstm_c[d])
        np.multiply(a.lstm_f[d], a.lstm_c_before[d], out=a.u_nk)
        np.add(a.lstm_c[d], a.u_nk, out=a.lstm_c[d])

        # lstm_c_tanh[n,d,k] = tanh(lstm_c[n,d,k])
        np.tanh(a.lstm_c[d], out=a.lstm_c_tanh[d])

        # lstm_h[n,d,k] = lstm_o[n,d,k] lstm_c_tanh[n,d,k]
        np.multiply(a.lstm_o[d], a.lstm_c_tanh[d], out=a.lstm_h[d])

    # logits[n,d,e] = Σ_k head_W[k,e] lstm_h[n,d,k] + head_b[e]
    np.copyto(a.u_ndk, a.lstm_h.transpose(1, 0, 2))
    np.matmul(a.u_ndk.reshape(N * D, K), p.head_W, out=a.logits.reshape(N * D, E))
    np.add(a.logits, p.head_b, out=a.logits)


def add_loss(a: Activations, next_token: np.ndarray) -> None:
    """Go on from the outputs to the loss."""
    # m[n,d] = max_e logits[n,d,e]
    np.maximum.reduce(a.logits, axis=2, out=a.m)

    # e[n,d,e] = exp(logits[n,d,e] - m[n,d])
    np.subtract(a.logits, a.m[:, :, None], out=a.e)
    np.exp(a.e, out=a.e)

    # s[n,d] = Σ_e e[n,d,e]
    np.add.reduce(a.e, axis=2, out=a.s)

    # logits_at_next_token[n,d] = logits[n,d,next_token[n,d]]
    np.multiply(a.RANGE_N[:, None], a.COUNT_D, out=a.i_nd)
    np.add(a.i_nd, a.RANGE_D, out=a.i_nd)
    np.multiply(a.i_nd, a.COUNT_E, out=a.i_nd)
    np.add(a.i_nd, next_token, out=a.i_nd)
    a.logits.take(a.i_nd, out=a.logits_at_next_token, mode="clip")

    # loss = Σ_{n,d} (m[n,d] + log(s[n,d]) - logits_at_next_token[n,d])/(D N)
    np.log(a.s, out=a.u_nd)
    np.add(a.u_nd, a.m, out=a.u_nd)
    np.subtract(a.u_nd, a.logits_at_next_token, out=a.u_nd)
    np.add.reduce(a.u_nd, axis=(0, 1), out=a.loss)
    np.multiply(a.loss, a.C_1_OVER_BATCH_D, out=a.loss)


def backward(p: Params, g: Grads, a: Workspace, tokens: np.ndarray, next_token: np.ndarray) -> None:
    """Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`."""
    N = a.N

    # p[n,d,e] = e[n,d,e]/s[n,d]
    np.divide(a.e, a.s[:, :, None], out=a.p)

    # ∂L/∂logits[n,d,e] = (p[n,d,e] - δ(e,next_token[n,d]))/(D N)
    a.ONE_HOT_E.take(next_token, axis=0, out=a.d_logits, mode="clip")
    np.subtract(a.p, a.d_logits, out=a.d_logits)
    np.multiply(a.d_logits, a.C_1_OVER_BATCH_D, out=a.d_logits)

    # ∂L/∂head_W[k,e] = Σ_{n,d} lstm_h[n,d,k] ∂L/∂logits[n,d,e]
    np.copyto(a.u_dne, a.d_logits.transpose(1, 0, 2))
    np.matmul(a.lstm_h.reshape(D * N, K).swapaxes(-1, -2), a.u_dne.reshape(D * N, E), out=g.head_W)

    # ∂L/∂head_b[e] = Σ_{n,d} ∂L/∂logits[n,d,e]
    np.add.reduce(a.d_logits, axis=(0, 1), out=g.head_b)

    # ∂L/∂lstm_h[n,d,k] = Σ_e head_W[k,e] ∂L/∂logits[n,d,e]
    np.copyto(a.u_dne, a.d_logits.transpose(1, 0, 2))
    np.matmul(
        a.u_dne.reshape(D * N, E), p.head_W.swapaxes(-1, -2), out=a.d_lstm_h.reshape(D * N, K)
    )

    # ∂L/∂lstm_z[n,d,K q + k] = ∂L/∂lstm_z_by_gate[n,d,q,k]
    a.d_lstm_z = a.d_lstm_z_by_gate.reshape(D, -1, M)

    # transposed_lstm_U[m,k] = lstm_U[k,m]
    np.copyto(a.transposed_lstm_U, p.lstm_U.T)

    for d in reversed(range(D)):
        # ∂L/∂lstm_h[n,d,k] += ∂L/∂lstm_h_before[n,d+1,k] (0 outside)
        if d < D - 1:
            np.add(a.d_lstm_h_before[d + 1], a.d_lstm_h[d], out=a.d_lstm_h[d])

        # ∂L/∂lstm_c[n,d,k] = ∂L/∂lstm_c_before[n,d+1,k] (0 outside) + lstm_o[n,d,k] (1 -
        #     lstm_c_tanh[n,d,k]²) ∂L/∂lstm_h[n,d,k]
        np.multiply(a.lstm_c_tanh[d], a.lstm_c_tanh[d], out=a.d_lstm_c)
        np.subtract(a.ONE, a.d_lstm_c, out=a.d_lstm_c)
        np.multiply(a.d_lstm_c, a.lstm_o[d], out=a.d_lstm_c)
        np.multiply(a.d_lstm_c, a.d_lstm_h[d], out=a.d_lstm_c)
        if d < D - 1:
            np.add(a.d_lstm_c, a.d_lstm_c_before[d + 1], out=a.d_lstm_c)

        # ∂L/∂lstm_c_before[n,d,k] = lstm_f[n,d,k] ∂L/∂lstm_c[n,d,k]
        np.multiply(a.d_lstm_c, a.lstm_f[d], out=a.d_lstm_c_before[d])

        # ∂L/∂lstm_z_by_gate[n,d,q,k] = δ(q,3) lstm_h[n,d,k] (1 - lstm_o[n,d,k]) ∂L/∂lstm_h[n,d,k] +
        #     δ(q,2) lstm_i[n,d,k] (1 - lstm_g[n,d,k]²) ∂L/∂lstm_c[n,d,k] + δ(q,1) lstm_f[n,d,k] (1
        #     - lstm_f[n,d,k]) lstm_c_before[n,d,k] ∂L/∂lstm_c[n,d,k] + δ(q,0) lstm_i[n,d,k] (1 -
        #     lstm_i[n,d,k]) lstm_g[n,d,k] ∂L/∂lstm_c[n,d,k]
        np.subtract(a.ONE, a.lstm_o[d], out=a.u_nk)
        np.multiply(a.u_nk, a.lstm_h[d], out=a.u_nk)
        np.multiply(a.u_nk, a.d_lstm_h[d], out=a.d_lstm_z_by_gate[d, :, 3])
        np.multiply(a.lstm_g[d], a.lstm_g[d], out=a.u_nk)
        np.subtract(a.ONE, a.u_nk, out=a.u_nk)
        np.multiply(a.u_nk, a.d_lstm_c, out=a.u_nk)
        np.multiply(a.u_nk, a.lstm_i[d], out=a.d_lstm_z_by_gate[d, :, 2])
        np.subtract(a.ONE, a.lstm_f[d], out=a.u_nk)
        np.multiply(a.u_nk, a.d_lstm_c, out=a.u_nk)
        np.multiply(a.u_nk, a.lstm_f[d], out=a.u_nk)
        np.multiply(a.u_nk, a.lstm_c_before[d], out=a.d_lstm_z_by_gate[d, :, 1])
        np.subtract(a.ONE, a.lstm_i[d], out=a.u_nk)
        np.multiply(a.u_nk, a.d_lstm_c, out=a.u_nk)
        np.multiply(a.u_nk, a.lstm_i[d], out=a.u_nk)
        np.multiply(a.u_nk, a.lstm_g[d], out=a.d_lstm_z_by_gate[d, :, 0])

        # ∂L/∂lstm_h_before[n,d,k] = Σ_m transposed_lstm_U[m,k] ∂L/∂lstm_z[n,d,m]
        np.dot(a.d_lstm_z[d], a.transposed_lstm_U, out=a.d_lstm_h_before[d])

    # ∂L/∂lstm_W[h,m] = Σ_{n,d} y1[n,d,h] ∂L/∂lstm_z[n,d,m]
    np.copyto(a.u_dnh, a.y1.transpose(1, 0, 2))
    np.matmul(
        a.u_dnh.reshape(D * N, H).swapaxes(-1, -2), a.d_lstm_z.reshape(D * N, M), out=g.lstm_W
    )

    # ∂L/∂lstm_b[m] = Σ_{n,d} ∂L/∂lstm_z[n,d,m]
    np.add.reduce(a.d_lstm_z, axis=(0, 1), out=g.lstm_b)

    # ∂L/∂lstm_U[j,m] = Σ_{n,d} lstm_h_before[n,d,j] ∂L/∂lstm_z[n,d,m]
    np.dot(a.lstm_h_before.reshape(-1, J).T, a.d_lstm_z.reshape(-1, M), out=g.lstm_U)

    # ∂L/∂y1[n,d,h] = Σ_m lstm_W[h,m] ∂L/∂lstm_z[n,d,m]
    np.copyto(a.u_ndm, a.d_lstm_z.transpose(1, 0, 2))
    np.matmul(a.u_ndm.reshape(N * D, M), p.lstm_W.swapaxes(-1, -2), out=a.d_y1.reshape(N * D, H))

    # ∂L/∂characters_W[v,h] = Σ_{n,d} δ(v,tokens[n,d]) ∂L/∂y1[n,d,h]
    a.ONE_HOT_V.take(tokens, axis=0, out=a.u_ndv, mode="clip")
    np.dot(a.u_ndv.reshape(-1, V).T, a.d_y1.reshape(-1, H), out=g.characters_W)


def update(p: Params, g: Grads, s: State, t: int) -> None:
    """Change the parameters by the gradient; `t` counts the steps from 1."""
    # lr ← 0.003
    lr = 0.003

    # g_square ← Σ_i g[i]²
    g_square = float(np.dot(g.flat, g.flat))

    # g_norm ← √g_square
    g_norm = math.sqrt(g_square)

    # g_scale ← (1/g_norm if g_norm > 1 else 1)
    g_scale = 1 / g_norm if g_norm > 1 else 1

    # c2 ← √(1 - 0.999^t)
    c2 = math.sqrt(1 - 0.999**t)

    # lr_t ← c2 lr/(1 - 0.9^t)
    lr_t = c2 * lr / (1 - 0.9**t)

    # g[i] ← g_scale g[i]
    np.multiply(g.flat, g_scale, out=g.flat)

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


def checked(tokens: np.ndarray, next_token: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return a batch as contiguous arrays of the right types and equal lengths."""
    tokens = whole("tokens", tokens, (D,), 96)
    next_token = whole("next_token", next_token, (D,), 96)
    if len({len(tokens), len(next_token)}) > 1:
        raise ValueError(
            f"tokens, next_token have different lengths: {len(tokens), len(next_token)}"
        )
    return tokens, next_token


def loss_and_grad(
    params: Params,
    *,
    tokens: np.ndarray,
    next_token: np.ndarray,
) -> tuple[float, Grads]:
    """Return the loss of a batch and its gradient; float64 parameters make everything float64."""
    tokens, next_token = checked(tokens, next_token)
    a, g = Workspace(len(tokens), params.flat.dtype), Grads(np.empty_like(params.flat))
    forward(params, a, tokens)
    add_loss(a, next_token)
    backward(params, g, a, tokens, next_token)
    return float(a.loss), g


def predict(params: Params, *, tokens: np.ndarray) -> dict[str, np.ndarray]:
    """Return the outputs for a batch, by name."""
    dtype = params.flat.dtype
    tokens = whole("tokens", tokens, (D,), 96)
    a = Activations(len(tokens), dtype)
    forward(params, a, tokens)
    return {"logits": a.logits}


def loss(params: Params, *, tokens: np.ndarray, next_token: np.ndarray) -> float:
    """Return the loss of a batch as `predict` computes it, without a gradient."""
    tokens, next_token = checked(tokens, next_token)
    a = Activations(len(tokens), params.flat.dtype)
    forward(params, a, tokens)
    add_loss(a, next_token)
    return float(a.loss)


class Part:
    """The rows of a batch that one thread computes, with a workspace and a gradient of its own."""

    def __init__(self, rows: range, BATCH: int, g: Grads) -> None:
        self.rows = slice(rows.start, rows.stop)
        self.a, self.g = Workspace(len(rows), g.flat.dtype, BATCH), g

    def gradient(self, p: Params, tokens: np.ndarray, next_token: np.ndarray) -> float:
        """Fill the gradient with this part's share of it, and return its share of the loss."""
        a, g = self.a, self.g
        forward(p, a, tokens)
        add_loss(a, next_token)
        backward(p, g, a, tokens, next_token)
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

    def step(self, *, tokens: np.ndarray, next_token: np.ndarray) -> float:
        """Train on one batch: forward, backward, update. Return the loss before the update."""
        tokens, next_token = checked(tokens, next_token)
        p, g = self.params, self.grads
        self.steps += 1
        loss = self._gradient(tokens, next_token)
        update(p, g, self.state, self.steps)
        if self.steps % 128 == 0:
            self.state.settle()
        return loss

    def _gradient(self, tokens: np.ndarray, next_token: np.ndarray) -> float:
        p, g = self.params, self.grads
        if self._team is not None:
            return self._team.gradient(p, tokens, next_token)
        a = self._workspace(len(tokens))
        forward(p, a, tokens)
        add_loss(a, next_token)
        backward(p, g, a, tokens, next_token)
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
        "tokens": rng.integers(96, size=(N, D)),
        "next_token": rng.integers(96, size=(N, D)),
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
    order = rng.permutation(len(data["tokens"]))
    for begin in range(0, len(order), batch):
        yield {name: array[order[begin : begin + batch]] for name, array in data.items()}


def report(params: Params, data: dict[str, np.ndarray]) -> str:
    """Return the loss on `data`."""
    return f"loss {loss(params, **data):.4f}"


def main(argv: list[str] | None = None) -> int:
    """Train on the arrays of an .npz file, whose keys are the names of the inputs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="an .npz file with tokens and next_token")
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
        data = dict(zip(INPUTS, checked(*(file[name] for name in INPUTS)), strict=True))
    rows = np.random.default_rng(args.seed).permutation(len(data["tokens"]))
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
