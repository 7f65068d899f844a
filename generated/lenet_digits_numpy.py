"""Convolutional network for 8×8 images of digits, after LeNet-5.

Written by `bpgen emit lenet_digits` from lenet_digits.py; needs numpy alone.
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
from numpy.lib.stride_tricks import sliding_window_view

DTYPE = "float32"
D, F, C, U, V, Q, E, S, D2, H, W, A, B, K, J = 64, 16, 1, 3, 3, 32, 128, 64, 10, 8, 8, 10, 10, 4, 4
R, T, P, X, M, G = 2, 2, 6, 6, 2, 2
SIZE = 13706

# Shapes of the parameters; for a batch, the shape of one example and the number of classes.
PARAMETERS = {
    "conv1_W": (F, C, U, V),
    "conv1_b": (F,),
    "conv2_W": (Q, F, U, V),
    "conv2_b": (Q,),
    "fc1_W": (E, S),
    "fc1_b": (S,),
    "fc2_W": (S, D2),
    "fc2_b": (D2,),
}
INPUTS = {
    "x": ((D,), None),
    "digit": ((), 10),
}
OUTPUTS = ("logits",)
STATES = ("m", "v")


def tiles(extent: int, entries: int) -> list[slice]:
    """Return 0 … extent-1 in equal slices of as many rows, of so many entries, as stay in cache."""
    fits = (rows for rows in range(2, extent + 1) if rows * entries <= 524288)
    rows = max((rows for rows in fits if extent % rows == 0), default=1)
    return [slice(row, row + rows) for row in range(0, extent, rows)]


def pitch(columns: int) -> int:
    """Return how far apart rows begin: evenly, they would fall into few places of a cache."""
    return columns + 16 if columns % 512 == 0 else columns


def apart(memory: np.ndarray, rows: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return memory as a tile of this shape: a matrix of so many rows, `pitch` apart."""
    columns = math.prod(shape) // rows
    whole = memory[: rows * pitch(columns)].reshape(rows, -1)
    return whole[:, :columns].reshape(shape)


class Params:
    """The parameters: named views into one flat vector, `flat`."""

    def __init__(self, flat: np.ndarray | None = None) -> None:
        self.flat = np.zeros(SIZE, DTYPE) if flat is None else flat
        self.conv1_W = self.flat[0:144].reshape((F, C, U, V))
        self.conv1_b = self.flat[144:160].reshape((F,))
        self.conv2_W = self.flat[160:4768].reshape((Q, F, U, V))
        self.conv2_b = self.flat[4768:4800].reshape((Q,))
        self.fc1_W = self.flat[4800:12992].reshape((E, S))
        self.fc1_b = self.flat[12992:13056].reshape((S,))
        self.fc2_W = self.flat[13056:13696].reshape((S, D2))
        self.fc2_b = self.flat[13696:13706].reshape((D2,))


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
        self.TILES_H_CNUVW = tiles(H, C * N * U * V * W)
        rows_H_CNUVW = self.TILES_H_CNUVW[0].stop
        self.TILES_R_FNTUV = tiles(R, F * N * T * U * V)
        rows_R_FNTUV = self.TILES_R_FNTUV[0].stop
        TILE = max(C * U * V * pitch(rows_H_CNUVW * W * N), F * U * V * pitch(rows_R_FNTUV * T * N))
        rows_N = np.empty((1536, N), dtype)
        rows_TILE = np.empty((1, TILE), dtype)
        self.image = rows_N[0:64].reshape((C, H, W, N))  # image[c,h,w,n]
        self.logits = np.empty((D2, N), dtype)  # logits[d2,n]
        self.loss = np.empty((), dtype)  # loss
        self.image_pad = np.zeros((C, A, B, N), dtype)  # image_pad[c,a,b,n]
        self.z1 = rows_N[0:1024].reshape((F, H, W, N))  # z1[f,h,w,n]
        self.u_cuvh_wn = apart(rows_TILE[0], C * U * V, (C, U, V, rows_H_CNUVW, W, N))
        self.relu1 = rows_N[0:1024].reshape((F, H, W, N))  # relu1[f,h,w,n]
        self.pooled1 = rows_N[1024:1536].reshape((F, H, K, N))  # pooled1[f,h,k,n]
        self.edges = rows_N[0:256].reshape((F, J, K, N))  # edges[f,j,k,n]
        self.z2 = rows_N[256:384].reshape((Q, R, T, N))  # z2[q,r,t,n]
        self.u_fuvr_tn = apart(rows_TILE[0], F * U * V, (F, U, V, rows_R_FNTUV, T, N))
        self.strokes = rows_N[256:384].reshape((Q, R, T, N))  # strokes[q,r,t,n]
        self.flat1 = rows_N[0:128].reshape((N, E))  # flat1[n,e]
        self.z3 = rows_N[128:192].reshape((N, S))  # z3[n,s]
        self.hidden = rows_N[128:192].reshape((N, S))  # hidden[n,s]
        self.m = rows_N[10:11].reshape(N)  # m[n]
        self.e = rows_N[0:10].reshape((D2, N))  # e[d2,n]
        self.s = rows_N[11:12].reshape(N)  # s[n]
        self.average = rows_N[2:3].reshape(N)  # average[n]
        self.logits_at_digit = rows_N[3:4].reshape(N)  # logits_at_digit[n]
        self.i_n = lent(rows_N[0:2], np.intp, (N,))
        self.u_n = rows_N[0:1].reshape(N)
        self.v_n = rows_N[1:2].reshape(N)
        self.COUNT_N = np.array(N)
        self.C_0_1 = np.array(0.1, dtype)
        self.C_0_9 = np.array(0.9, dtype)
        self.MEAN_D2 = np.full(D2, 1 / D2, dtype)
        self.MEAN_N = np.full(N, 1 / BATCH, dtype)
        self.ONES_D2 = np.ones(D2, dtype)
        self.RANGE_N = np.arange(N)
        self.ZERO = np.array(0, dtype)
        self.edges_fuvnrt = sliding_window_view(self.edges, (R, T), (1, 2))
        self.image_pad_chwnuv = sliding_window_view(self.image_pad, (U, V), (1, 2))


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
        self.TILES_H_CNUVW = tiles(H, C * N * U * V * W)
        rows_H_CNUVW = self.TILES_H_CNUVW[0].stop
        self.TILES_R_FNTUV = tiles(R, F * N * T * U * V)
        rows_R_FNTUV = self.TILES_R_FNTUV[0].stop
        TILE = max(C * U * V * pitch(rows_H_CNUVW * W * N), F * U * V * pitch(rows_R_FNTUV * T * N))
        rows_N = np.empty((4096, N), dtype)
        rows_TILE = np.empty((1, TILE), dtype)
        rows = np.empty(9216, dtype)
        self.loss = np.empty((), dtype)  # loss
        self.image = rows_N[0:64].reshape((C, H, W, N))  # image[c,h,w,n]
        self.image_pad = np.zeros((C, A, B, N), dtype)  # image_pad[c,a,b,n]
        self.z1 = rows_N[0:1024].reshape((F, H, W, N))  # z1[f,h,w,n]
        self.u_cuvh_wn = apart(rows_TILE[0], C * U * V, (C, U, V, rows_H_CNUVW, W, N))
        self.relu1 = rows_N[1024:2048].reshape((F, H, W, N))  # relu1[f,h,w,n]
        self.pooled1 = rows_N[2048:2560].reshape((F, H, K, N))  # pooled1[f,h,k,n]
        self.edges = rows_N[2560:2816].reshape((F, J, K, N))  # edges[f,j,k,n]
        self.z2 = rows_N[2816:2944].reshape((Q, R, T, N))  # z2[q,r,t,n]
        self.u_fuvr_tn = apart(rows_TILE[0], F * U * V, (F, U, V, rows_R_FNTUV, T, N))
        self.strokes = rows_N[2944:3072].reshape((Q, R, T, N))  # strokes[q,r,t,n]
        self.flat1 = rows_N[3072:3200].reshape((N, E))  # flat1[n,e]
        self.z3 = rows_N[3200:3264].reshape((N, S))  # z3[n,s]
        self.hidden = rows_N[2944:3008].reshape((N, S))  # hidden[n,s]
        self.logits = rows_N[3008:3018].reshape((D2, N))  # logits[d2,n]
        self.m = rows_N[3030:3031].reshape(N)  # m[n]
        self.e = rows_N[3018:3028].reshape((D2, N))  # e[d2,n]
        self.s = rows_N[3031:3032].reshape(N)  # s[n]
        self.average = rows_N[3032:3033].reshape(N)  # average[n]
        self.logits_at_digit = rows_N[3033:3034].reshape(N)  # logits_at_digit[n]
        self.i_n = lent(rows_N[3028:3030], np.intp, (N,))
        self.u_n = rows_N[3008:3009].reshape(N)
        self.v_n = rows_N[3009:3010].reshape(N)
        self.p = rows_N[3018:3028].reshape((D2, N))  # p[d2,n]
        self.d_logits = rows_N[3008:3018].reshape((D2, N))  # ∂L/∂logits[d2,n]
        self.d_hidden = rows_N[2944:3008].reshape((N, S))  # ∂L/∂hidden[n,s]
        self.d_z3 = rows_N[3200:3264].reshape((N, S))  # ∂L/∂z3[n,s]
        self.d_flat1 = rows_N[2944:3072].reshape((N, E))  # ∂L/∂flat1[n,e]
        self.d_z2 = rows_N[2816:2944].reshape((Q, R, T, N))  # ∂L/∂z2[q,r,t,n]
        self.v_fuvq = rows[0:4608].reshape((F, U, V, Q))
        self.w_fuvq = rows[4608:9216].reshape((F, U, V, Q))
        self.d_edges = rows_N[3584:3840].reshape((F, J, K, N))  # ∂L/∂edges[f,j,k,n]
        self.edges_at = lent(rows_N[2560:3072], np.intp, (F, J, K, N))  # edges_at[f,j,k,n]
        self.split_d_pooled1 = rows_N[3072:3584].reshape(
            (F, J, M, K, N)
        )  # split_d_pooled1[f,j,m,k,n]
        self.u_fjkn = rows_N[2048:2304].reshape((F, J, K, N))
        self.pooled1_at = lent(rows_N[2048:3072], np.intp, (F, H, K, N))  # pooled1_at[f,h,k,n]
        self.split_d_relu1 = rows_N[1024:2048].reshape((F, H, K, G, N))  # split_d_relu1[f,h,k,g,n]
        self.u_fhkn = rows_N[3584:4096].reshape((F, H, K, N))
        self.d_z1 = rows_N[0:1024].reshape((F, H, W, N))  # ∂L/∂z1[f,h,w,n]
        self.v_fcuv = rows[0:144].reshape((F, C, U, V))
        self.COUNT_N = np.array(N)
        self.C_0_1 = np.array(0.1, dtype)
        self.C_0_1_OVER_D2 = np.array(0.1 / D2, dtype)
        self.C_0_9 = np.array(0.9, dtype)
        self.C_1_OVER_BATCH = np.array(1 / BATCH, dtype)
        self.MEAN_D2 = np.full(D2, 1 / D2, dtype)
        self.MEAN_N = np.full(N, 1 / BATCH, dtype)
        self.ONES_D2 = np.ones(D2, dtype)
        self.ONES_N = np.ones(N, dtype)
        self.ONE_HOT_D2 = np.eye(D2, dtype=dtype)
        self.RANGE_N = np.arange(N)
        self.ZERO = np.array(0, dtype)
        self.edges_fuvnrt = sliding_window_view(self.edges, (R, T), (1, 2))
        self.image_pad_chwnuv = sliding_window_view(self.image_pad, (U, V), (1, 2))


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
    p.conv1_W[...] = rng.normal(0, math.sqrt(2 / (C * U * V)), (F, C, U, V))
    p.conv2_W[...] = rng.normal(0, math.sqrt(2 / (F * U * V)), (Q, F, U, V))
    p.fc1_W[...] = rng.normal(0, math.sqrt(2 / E), (E, S))
    p.fc2_W[...] = rng.normal(0, math.sqrt(2 / S), (S, D2))
    return p


def forward(p: Params, a: Activations, x: np.ndarray) -> None:
    """Compute the outputs of a batch into `a`."""
    # image[n,c,h,w] = x[n,64 c + 8 h + w]
    np.copyto(a.image, x.reshape(-1, C, H, W).transpose(1, 2, 3, 0))

    # image_pad[n,c,a,b] = image[n,c,a-1,b-1] (0 outside)
    np.copyto(a.image_pad[:, 1:-1, 1:-1, :], a.image)

    # z1[n,f,h,w] = Σ_{c,u,v} conv1_W[f,c,u,v] image_pad[n,c,h+u,v+w] + conv1_b[f]
    for tile in a.TILES_H_CNUVW:
        np.copyto(a.u_cuvh_wn, a.image_pad_chwnuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            p.conv1_W.reshape(F, C * U * V),
            a.u_cuvh_wn.reshape(C * U * V, -1),
            out=a.z1[:, tile].reshape(F, -1),
        )
    np.add(a.z1, p.conv1_b[:, None, None, None], out=a.z1)

    # relu1[n,f,h,w] = max(0, z1[n,f,h,w])
    np.maximum(a.z1, a.ZERO, out=a.relu1)

    # pooled1[n,f,h,k] = max_g relu1[n,f,h,2 k + g]
    np.maximum(a.relu1[:, :, ::2, :], a.relu1[:, :, 1::2, :], out=a.pooled1)

    # edges[n,f,j,k] = max_m pooled1[n,f,2 j + m,k]
    np.maximum(a.pooled1[:, ::2, :, :], a.pooled1[:, 1::2, :, :], out=a.edges)

    # z2[n,q,r,t] = Σ_{f,u,v} conv2_W[q,f,u,v] edges[n,f,r+u,t+v] + conv2_b[q]
    for tile in a.TILES_R_FNTUV:
        np.copyto(a.u_fuvr_tn, a.edges_fuvnrt[:, :, :, :, tile].transpose(0, 1, 2, 4, 5, 3))
        np.matmul(
            p.conv2_W.reshape(Q, F * U * V),
            a.u_fuvr_tn.reshape(F * U * V, -1),
            out=a.z2[:, tile].reshape(Q, -1),
        )
    np.add(a.z2, p.conv2_b[:, None, None, None], out=a.z2)

    # strokes[n,q,r,t] = max(0, z2[n,q,r,t])
    np.maximum(a.z2, a.ZERO, out=a.strokes)

    # flat1[n,R T q + T r + t] = strokes[n,q,r,t]
    np.copyto(a.flat1, a.strokes.reshape(E, -1).T)

    # z3[n,s] = Σ_e fc1_W[e,s] flat1[n,e] + fc1_b[s]
    np.dot(a.flat1, p.fc1_W, out=a.z3)
    np.add(a.z3, p.fc1_b, out=a.z3)

    # hidden[n,s] = max(0, z3[n,s])
    np.maximum(a.z3, a.ZERO, out=a.hidden)

    # logits[n,d2] = Σ_s fc2_W[s,d2] hidden[n,s] + fc2_b[d2]
    np.dot(p.fc2_W.T, a.hidden.T, out=a.logits)
    np.add(a.logits, p.fc2_b[:, None], out=a.logits)


def add_loss(a: Activations, digit: np.ndarray) -> None:
    """Go on from the outputs to the loss."""
    # m[n] = max_d2 logits[n,d2]
    np.maximum.reduce(a.logits, axis=0, out=a.m)

    # e[n,d2] = exp(logits[n,d2] - m[n])
    np.subtract(a.logits, a.m, out=a.e)
    np.exp(a.e, out=a.e)

    # s[n] = Σ_d2 e[n,d2]
    np.dot(a.ONES_D2, a.e, out=a.s)

    # average[n] = Σ_d2 logits[n,d2]/D2
    np.dot(a.MEAN_D2, a.logits, out=a.average)

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
    # p[n,d2] = e[n,d2]/s[n]
    np.divide(a.e, a.s, out=a.p)

    # ∂L/∂logits[n,d2] = (p[n,d2] - 0.1/D2 - 0.9 δ(d2,digit[n]))/N
    a.ONE_HOT_D2.take(digit, axis=1, out=a.d_logits, mode="clip")
    np.multiply(a.d_logits, a.C_0_9, out=a.d_logits)
    np.subtract(a.p, a.d_logits, out=a.d_logits)
    np.subtract(a.d_logits, a.C_0_1_OVER_D2, out=a.d_logits)
    np.multiply(a.d_logits, a.C_1_OVER_BATCH, out=a.d_logits)

    # ∂L/∂fc2_W[s,d2] = Σ_n hidden[n,s] ∂L/∂logits[n,d2]
    np.dot(a.hidden.T, a.d_logits.T, out=g.fc2_W)

    # ∂L/∂fc2_b[d2] = Σ_n ∂L/∂logits[n,d2]
    np.dot(a.d_logits, a.ONES_N, out=g.fc2_b)

    # ∂L/∂hidden[n,s] = Σ_d2 fc2_W[s,d2] ∂L/∂logits[n,d2]
    np.dot(a.d_logits.T, p.fc2_W.T, out=a.d_hidden)

    # ∂L/∂z3[n,s] = [z3[n,s] > 0] ∂L/∂hidden[n,s]
    np.greater(a.z3, a.ZERO, out=a.d_z3)
    np.multiply(a.d_z3, a.d_hidden, out=a.d_z3)

    # ∂L/∂fc1_W[e,s] = Σ_n flat1[n,e] ∂L/∂z3[n,s]
    np.dot(a.flat1.T, a.d_z3, out=g.fc1_W)

    # ∂L/∂fc1_b[s] = Σ_n ∂L/∂z3[n,s]
    np.dot(a.ONES_N, a.d_z3, out=g.fc1_b)

    # ∂L/∂flat1[n,e] = Σ_s fc1_W[e,s] ∂L/∂z3[n,s]
    np.dot(a.d_z3, p.fc1_W.T, out=a.d_flat1)

    # ∂L/∂z2[n,q,r,t] = [z2[n,q,r,t] > 0] ∂L/∂flat1[n,R T q + T r + t]
    np.greater(a.z2, a.ZERO, out=a.d_z2)
    np.multiply(a.d_z2, a.d_flat1.reshape(-1, Q, R, T).transpose(1, 2, 3, 0), out=a.d_z2)

    # ∂L/∂conv2_W[q,f,u,v] = Σ_{n,r,t} edges[n,f,r+u,t+v] ∂L/∂z2[n,q,r,t]
    a.v_fuvq[...] = 0
    for tile in a.TILES_R_FNTUV:
        np.copyto(a.u_fuvr_tn, a.edges_fuvnrt[:, :, :, :, tile].transpose(0, 1, 2, 4, 5, 3))
        np.matmul(
            a.u_fuvr_tn.reshape(F * U * V, -1),
            a.d_z2[:, tile].reshape(Q, -1).swapaxes(-1, -2),
            out=a.w_fuvq.reshape(F * U * V, Q),
        )
        np.add(a.v_fuvq, a.w_fuvq, out=a.v_fuvq)
    np.copyto(g.conv2_W, a.v_fuvq.transpose(3, 0, 1, 2))

    # ∂L/∂conv2_b[q] = Σ_{n,r,t} ∂L/∂z2[n,q,r,t]
    np.add.reduce(a.d_z2, axis=(1, 2, 3), out=g.conv2_b)

    # ∂L/∂edges[n,f,j,k] = Σ_{q,u,v} conv2_W[q,f,u,v] (∂L/∂z2[n,q,j-u,k-v] (0 outside))
    a.d_edges[...] = 0
    for tile in a.TILES_R_FNTUV:
        np.matmul(
            p.conv2_W.reshape(Q, F * U * V).swapaxes(-1, -2),
            a.d_z2[:, tile].reshape(Q, -1),
            out=a.u_fuvr_tn.reshape(F * U * V, -1),
        )
        for u, v in np.ndindex(U, V):
            part = a.d_edges[:, tile.start + u : tile.stop + u, v : v + T]
            np.add(part, a.u_fuvr_tn[:, u, v], out=part)

    # edges_at[n,f,j,k] = argmax_m pooled1[n,f,2 j + m,k]
    np.greater(a.pooled1[:, 1::2, :, :], a.pooled1[:, ::2, :, :], out=a.edges_at)

    # split_d_pooled1[n,f,j,m,k] = δ(m,edges_at[n,f,j,k]) ∂L/∂edges[n,f,j,k]
    np.equal(a.edges_at, 0, out=a.u_fjkn)
    np.multiply(a.u_fjkn, a.d_edges, out=a.split_d_pooled1[:, :, 0])
    np.equal(a.edges_at, 1, out=a.u_fjkn)
    np.multiply(a.u_fjkn, a.d_edges, out=a.split_d_pooled1[:, :, 1])

    # ∂L/∂pooled1[n,f,2 j + m,k] = split_d_pooled1[n,f,j,m,k]
    a.d_pooled1 = a.split_d_pooled1.reshape(F, H, K, -1)

    # pooled1_at[n,f,h,k] = argmax_g relu1[n,f,h,2 k + g]
    np.greater(a.relu1[:, :, 1::2, :], a.relu1[:, :, ::2, :], out=a.pooled1_at)

    # split_d_relu1[n,f,h,k,g] = δ(g,pooled1_at[n,f,h,k]) ∂L/∂pooled1[n,f,h,k]
    np.equal(a.pooled1_at, 0, out=a.u_fhkn)
    np.multiply(a.u_fhkn, a.d_pooled1, out=a.split_d_relu1[:, :, :, 0])
    np.equal(a.pooled1_at, 1, out=a.u_fhkn)
    np.multiply(a.u_fhkn, a.d_pooled1, out=a.split_d_relu1[:, :, :, 1])

    # ∂L/∂relu1[n,f,h,2 k + g] = split_d_relu1[n,f,h,k,g]
    a.d_relu1 = a.split_d_relu1.reshape(F, H, W, -1)

    # ∂L/∂z1[n,f,h,w] = [z1[n,f,h,w] > 0] ∂L/∂relu1[n,f,h,w]
    np.greater(a.z1, a.ZERO, out=a.d_z1)
    np.multiply(a.d_z1, a.d_relu1, out=a.d_z1)

    # ∂L/∂conv1_W[f,c,u,v] = Σ_{n,h,w} image_pad[n,c,h+u,v+w] ∂L/∂z1[n,f,h,w]
    g.conv1_W[...] = 0
    for tile in a.TILES_H_CNUVW:
        np.copyto(a.u_cuvh_wn, a.image_pad_chwnuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            a.d_z1[:, tile].reshape(F, -1),
            a.u_cuvh_wn.reshape(C * U * V, -1).swapaxes(-1, -2),
            out=a.v_fcuv.reshape(F, C * U * V),
        )
        np.add(g.conv1_W, a.v_fcuv, out=g.conv1_W)

    # ∂L/∂conv1_b[f] = Σ_{n,h,w} ∂L/∂z1[n,f,h,w]
    np.add.reduce(a.d_z1, axis=(1, 2, 3), out=g.conv1_b)


def update(p: Params, g: Grads, s: State, t: int) -> None:
    """Change the parameters by the gradient; `t` counts the steps from 1."""
    # lr ← (0 if t > 1350 else 0.002 cos(π (t/1350 - 1/1350)) + 0.002)
    lr = 0 if t > 1350 else 0.002 * math.cos(math.pi * (t / 1350 - 1 / 1350)) + 0.002

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
