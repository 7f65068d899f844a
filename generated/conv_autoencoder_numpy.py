"""Convolutional autoencoder that squeezes 8×8 images of digits through sixteen numbers.

Written by `bpgen emit conv_autoencoder` from conv_autoencoder.py; needs numpy alone.
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
D, F, C, U, V, R, U2, V2, D2, H, W, A, B, J, K, T = 64, 8, 1, 3, 3, 4, 4, 4, 1, 8, 8, 9, 9, 4, 4, 5
S, H2, W2, A2, B2, Q, M, J2, K2, H3, W3, E, G, A3, B3 = 5, 2, 2, 4, 4, 2, 2, 3, 3, 6, 6, 4, 4, 6, 6
J3, K3, H4, W4, E2, U3, V3, P, X, Y, R2, Z, S2, G2 = 5, 5, 10, 10, 64, 2, 2, 7, 7, 5, 2, 3, 6, 6
Q2 = 2
SIZE = 1021

# Shapes of the parameters; for a batch, the shape of one example and the number of classes.
PARAMETERS = {
    "down1_W": (F, C, U, V),
    "down1_b": (F,),
    "down2_W": (R, F, U, V),
    "down2_b": (R,),
    "up1_W": (R, F, U2, V2),
    "up1_b": (F,),
    "up2_W": (F, D2, U2, V2),
    "up2_b": (D2,),
}
INPUTS = {
    "x": ((D,), None),
}
OUTPUTS = ("code", "image")
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
        self.down1_W = self.flat[0:72].reshape((F, C, U, V))
        self.down1_b = self.flat[72:80].reshape((F,))
        self.down2_W = self.flat[80:368].reshape((R, F, U, V))
        self.down2_b = self.flat[368:372].reshape((R,))
        self.up1_W = self.flat[372:884].reshape((R, F, U2, V2))
        self.up1_b = self.flat[884:892].reshape((F,))
        self.up2_W = self.flat[892:1020].reshape((F, D2, U2, V2))
        self.up2_b = self.flat[1020:1021].reshape((D2,))


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
        self.TILES_J_CKNUV = tiles(J, C * K * N * U * V)
        rows_J_CKNUV = self.TILES_J_CKNUV[0].stop
        TILE = C * U * V * pitch(rows_J_CKNUV * K * N)
        rows_N = np.empty((900, N), dtype)
        rows_TILE = np.empty((1, TILE), dtype)
        rows = np.empty(512, dtype)
        self.image = rows_N[0:64].reshape((C, H, W, N))  # image[c,h,w,n]
        self.code = np.empty((N, R, H2, W2), dtype)  # code[n,r,h2,w2]
        self.sigmoid1 = np.empty((N, E2), dtype)  # sigmoid1[n,e2]
        self.loss = np.empty((), dtype)  # loss
        self.image_pad = np.zeros((C, A, B, N), dtype)  # image_pad[c,a,b,n]
        self.z1 = rows_N[0:128].reshape((F, J, K, N))  # z1[f,j,k,n]
        self.u_cuvj_kn = apart(rows_TILE[0], C * U * V, (C, U, V, rows_J_CKNUV, K, N))
        self.halves = rows_N[0:128].reshape((F, J, K, N))  # halves[f,j,k,n]
        self.halves_pad1 = np.zeros((F, T, S, N), dtype)  # halves_pad1[f,t,s,n]
        self.u_nh2w2fuv = rows_N[0:288].reshape((N, H2, W2, F, U, V))
        self.code_pad = np.zeros((R, A2, B2, N), dtype)  # code_pad[r,a2,b2,n]
        self.classes1 = rows_N[0:288].reshape((F, Q, M, J2, K2, N))  # classes1[f,q,m,j2,k2,n]
        self.u_fqmru3v3 = rows[0:512].reshape((F, Q, M, R, U3, V3))
        self.v_ru3v3j2k2n = rows_N[288:432].reshape((R, U3, V3, J2, K2, N))
        self.grown_split1 = rows_N[288:576].reshape(
            (F, J2, Q, K2, M, N)
        )  # grown_split1[f,j2,q,k2,m,n]
        self.z2 = rows_N[0:128].reshape((F, E, G, N))  # z2[f,e,g,n]
        self.grown = rows_N[0:128].reshape((F, E, G, N))  # grown[f,e,g,n]
        self.grown_pad1 = np.zeros((F, A3, B3, N), dtype)  # grown_pad1[f,a3,b3,n]
        self.classes2 = rows_N[800:900].reshape((D2, Q, M, J3, K3, N))  # classes2[d2,q,m,j3,k3,n]
        self.u_d2qmfu3v3 = rows[0:128].reshape((D2, Q, M, F, U3, V3))
        self.v_fu3v3j3k3n = rows_N[0:800].reshape((F, U3, V3, J3, K3, N))
        self.grown_split2 = rows_N[0:100].reshape(
            (D2, J3, Q, K3, M, N)
        )  # grown_split2[d2,j3,q,k3,m,n]
        self.drawn = rows_N[100:164].reshape((D2, H, W, N))  # drawn[d2,h,w,n]
        self.logits = rows_N[0:64].reshape((N, E2))  # logits[n,e2]
        self.m = rows_N[64:128].reshape((N, E2))  # m[n,e2]
        self.e = rows_N[128:192].reshape((N, E2))  # e[n,e2]
        self.s = rows_N[192:256].reshape((N, E2))  # s[n,e2]
        self.u_ne2 = rows_N[128:192].reshape((N, E2))
        self.v_ne2 = rows_N[256:320].reshape((N, E2))
        self.C_1_OVER_BATCH_E2 = np.array(1 / (BATCH * E2), dtype)
        self.HALF = np.array(0.5, dtype)
        self.ZERO = np.array(0, dtype)
        self.code_pad_rj2k2nu3v3 = sliding_window_view(self.code_pad, (U3, V3), (1, 2))
        self.code_pad_rj2k2nu3v3 = self.code_pad_rj2k2nu3v3[:, :, :, :, ::-1, ::-1]
        self.grown_pad1_fj3k3nu3v3 = sliding_window_view(self.grown_pad1, (U3, V3), (1, 2))
        self.grown_pad1_fj3k3nu3v3 = self.grown_pad1_fj3k3nu3v3[:, :, :, :, ::-1, ::-1]
        self.halves_pad1_fuvnh2w2 = sliding_window_view(self.halves_pad1, (3, 3), (1, 2))
        self.halves_pad1_fuvnh2w2 = self.halves_pad1_fuvnh2w2[:, :, :, :, ::2, ::2]
        self.image_pad_cjknuv = sliding_window_view(self.image_pad, (U, V), (1, 2))
        self.image_pad_cjknuv = self.image_pad_cjknuv[:, ::2, ::2, :, :, :]


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
        self.TILES_H2_FNUVW2 = tiles(H2, F * N * U * V * W2)
        rows_H2_FNUVW2 = self.TILES_H2_FNUVW2[0].stop
        self.TILES_J_CKNUV = tiles(J, C * K * N * U * V)
        rows_J_CKNUV = self.TILES_J_CKNUV[0].stop
        TILE = max(
            C * U * V * pitch(rows_J_CKNUV * K * N), F * U * V * pitch(rows_H2_FNUVW2 * W2 * N)
        )
        rows_N = np.empty((2240, N), dtype)
        rows_TILE = np.empty((1, TILE), dtype)
        rows = np.empty(576, dtype)
        self.loss = np.empty((), dtype)  # loss
        self.image = rows_N[0:64].reshape((C, H, W, N))  # image[c,h,w,n]
        self.image_pad = np.zeros((C, A, B, N), dtype)  # image_pad[c,a,b,n]
        self.z1 = rows_N[2048:2176].reshape((F, J, K, N))  # z1[f,j,k,n]
        self.u_cuvj_kn = apart(rows_TILE[0], C * U * V, (C, U, V, rows_J_CKNUV, K, N))
        self.halves = rows_N[0:128].reshape((F, J, K, N))  # halves[f,j,k,n]
        self.halves_pad1 = np.zeros((F, T, S, N), dtype)  # halves_pad1[f,t,s,n]
        self.code = rows_N[288:304].reshape((N, R, H2, W2))  # code[n,r,h2,w2]
        self.u_nh2w2fuv = rows_N[0:288].reshape((N, H2, W2, F, U, V))
        self.code_pad = np.zeros((R, A2, B2, N), dtype)  # code_pad[r,a2,b2,n]
        self.classes1 = rows_N[0:288].reshape((F, Q, M, J2, K2, N))  # classes1[f,q,m,j2,k2,n]
        self.u_fqmru3v3 = rows[0:512].reshape((F, Q, M, R, U3, V3))
        self.v_ru3v3j2k2n = rows_N[288:432].reshape((R, U3, V3, J2, K2, N))
        self.grown_split1 = rows_N[288:576].reshape(
            (F, J2, Q, K2, M, N)
        )  # grown_split1[f,j2,q,k2,m,n]
        self.z2 = rows_N[864:992].reshape((F, E, G, N))  # z2[f,e,g,n]
        self.grown = rows_N[0:128].reshape((F, E, G, N))  # grown[f,e,g,n]
        self.grown_pad1 = np.zeros((F, A3, B3, N), dtype)  # grown_pad1[f,a3,b3,n]
        self.classes2 = rows_N[992:1092].reshape((D2, Q, M, J3, K3, N))  # classes2[d2,q,m,j3,k3,n]
        self.u_d2qmfu3v3 = rows[0:128].reshape((D2, Q, M, F, U3, V3))
        self.v_fu3v3j3k3n = rows_N[0:800].reshape((F, U3, V3, J3, K3, N))
        self.grown_split2 = rows_N[0:100].reshape(
            (D2, J3, Q, K3, M, N)
        )  # grown_split2[d2,j3,q,k3,m,n]
        self.drawn = rows_N[100:164].reshape((D2, H, W, N))  # drawn[d2,h,w,n]
        self.logits = rows_N[0:64].reshape((N, E2))  # logits[n,e2]
        self.sigmoid1 = rows_N[64:128].reshape((N, E2))  # sigmoid1[n,e2]
        self.m = rows_N[64:128].reshape((N, E2))  # m[n,e2]
        self.e = rows_N[128:192].reshape((N, E2))  # e[n,e2]
        self.s = rows_N[192:256].reshape((N, E2))  # s[n,e2]
        self.u_ne2 = rows_N[256:320].reshape((N, E2))
        self.v_ne2 = rows_N[320:384].reshape((N, E2))
        self.p = rows_N[128:192].reshape((N, E2))  # p[n,e2]
        self.d_drawn = rows_N[0:64].reshape((D2, H, W, N))  # ∂L/∂drawn[d2,h,w,n]
        self.d_grown2 = np.zeros((D2, H4, W4, N), dtype)  # ∂L/∂grown2[d2,h4,w4,n]
        self.split_d_up2_W = rows[0:128].reshape(
            (F, D2, Q, M, U3, V3)
        )  # split_d_up2_W[f,d2,q,m,u3,v3]
        self.u_fu3v3j3k3n = rows_N[0:800].reshape((F, U3, V3, J3, K3, N))
        self.padded_d_classes2 = np.zeros(
            (D2, Q, M, P, X, N), dtype
        )  # padded_d_classes2[d2,q,m,p,x,n]
        self.d_grown_pad1 = rows_N[576:864].reshape((F, A3, B3, N))  # ∂L/∂grown_pad1[f,a3,b3,n]
        self.u_d2qmu3v3f = rows[0:128].reshape((D2, Q, M, U3, V3, F))
        self.v_d2qmu3v3a3b3n = rows_N[0:576].reshape((D2, Q, M, U3, V3, A3, B3, N))
        self.d_z2 = rows_N[864:992].reshape((F, E, G, N))  # ∂L/∂z2[f,e,g,n]
        self.d_grown1 = self.grown_pad1  # ∂L/∂grown1[f,h3,w3,n]
        self.split_d_up1_W = rows[0:512].reshape(
            (R, F, Q, M, U3, V3)
        )  # split_d_up1_W[r,f,q,m,u3,v3]
        self.u_ru3v3j2k2n = rows_N[0:144].reshape((R, U3, V3, J2, K2, N))
        self.padded_d_classes1 = np.zeros(
            (F, Q, M, S, Y, N), dtype
        )  # padded_d_classes1[f,q,m,s,y,n]
        self.d_code_pad = rows_N[2176:2240].reshape((R, A2, B2, N))  # ∂L/∂code_pad[r,a2,b2,n]
        self.u_fqmu3v3r = rows[0:512].reshape((F, Q, M, U3, V3, R))
        self.v_fqmu3v3a2b2n = rows_N[0:2048].reshape((F, Q, M, U3, V3, A2, B2, N))
        self.d_code = rows_N[0:16].reshape((R, H2, W2, N))  # ∂L/∂code[r,h2,w2,n]
        self.u_fuvh2_w2n = apart(rows_TILE[0], F * U * V, (F, U, V, rows_H2_FNUVW2, W2, N))
        self.v_fuvr = rows[0:288].reshape((F, U, V, R))
        self.w_fuvr = rows[288:576].reshape((F, U, V, R))
        self.padded_d_code = self.code_pad  # padded_d_code[r,k,j,n]
        self.padded_down2_W = np.zeros((R, F, K, J), dtype)  # padded_down2_W[r,f,k,j]
        self.split_d_halves_pad1 = rows_N[0:288].reshape(
            (F, Q, R2, Z, K2, N)
        )  # split_d_halves_pad1[f,q,r2,z,k2,n]
        self.u_fqr2rmq2 = rows[0:512].reshape((F, Q, R2, R, M, Q2))
        self.v_rmq2zk2n = rows_N[288:432].reshape((R, M, Q2, Z, K2, N))
        self.joined_d_halves_pad1 = rows_N[288:576].reshape(
            (F, S2, G2, N)
        )  # joined_d_halves_pad1[f,s2,g2,n]
        self.d_z1 = rows_N[2048:2176].reshape((F, J, K, N))  # ∂L/∂z1[f,j,k,n]
        self.v_cuvf = rows[0:72].reshape((C, U, V, F))
        self.w_cuvf = rows[72:144].reshape((C, U, V, F))
        self.C_1_OVER_BATCH_E2 = np.array(1 / (BATCH * E2), dtype)
        self.HALF = np.array(0.5, dtype)
        self.ZERO = np.array(0, dtype)
        self.code_pad_rj2k2nu3v3 = sliding_window_view(self.code_pad, (U3, V3), (1, 2))
        self.code_pad_rj2k2nu3v3 = self.code_pad_rj2k2nu3v3[:, :, :, :, ::-1, ::-1]
        self.grown_pad1_fj3k3nu3v3 = sliding_window_view(self.grown_pad1, (U3, V3), (1, 2))
        self.grown_pad1_fj3k3nu3v3 = self.grown_pad1_fj3k3nu3v3[:, :, :, :, ::-1, ::-1]
        self.halves_pad1_fuvnh2w2 = sliding_window_view(self.halves_pad1, (3, 3), (1, 2))
        self.halves_pad1_fuvnh2w2 = self.halves_pad1_fuvnh2w2[:, :, :, :, ::2, ::2]
        self.image_pad_cjknuv = sliding_window_view(self.image_pad, (U, V), (1, 2))
        self.image_pad_cjknuv = self.image_pad_cjknuv[:, ::2, ::2, :, :, :]
        self.padded_d_classes1_fqma2b2nu3v3 = sliding_window_view(
            self.padded_d_classes1, (U3, V3), (3, 4)
        )
        self.padded_d_classes2_d2qma3b3nu3v3 = sliding_window_view(
            self.padded_d_classes2, (U3, V3), (3, 4)
        )
        self.padded_d_code_rzk2nmq2 = sliding_window_view(self.padded_d_code, (M, Q2), (1, 2))
        self.padded_d_code_rzk2nmq2 = self.padded_d_code_rzk2nmq2[:, :, :, :, ::-1, ::-1]


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
    p.down1_W[...] = rng.normal(0, math.sqrt(2 / (C * U * V)), (F, C, U, V))
    p.down2_W[...] = rng.normal(0, math.sqrt(2 / (F * U * V)), (R, F, U, V))
    p.up1_W[...] = rng.normal(0, math.sqrt(8 / (R * U2 * V2)), (R, F, U2, V2))
    p.up2_W[...] = rng.normal(0, math.sqrt(8 / (F * U2 * V2)), (F, D2, U2, V2))
    return p


def forward(p: Params, a: Activations, x: np.ndarray) -> None:
    """Compute the outputs of a batch into `a`."""
    N = a.N

    # image[n,c,h,w] = x[n,64 c + 8 h + w]
    np.copyto(a.image, x.reshape(-1, C, H, W).transpose(1, 2, 3, 0))

    # image_pad[n,c,a,b] = image[n,c,a-1,b-1] (0 outside)
    np.copyto(a.image_pad[:, 1:, 1:, :], a.image)

    # z1[n,f,j,k] = Σ_{c,u,v} down1_W[f,c,u,v] image_pad[n,c,2 j + u,2 k + v] + down1_b[f]
    for tile in a.TILES_J_CKNUV:
        np.copyto(a.u_cuvj_kn, a.image_pad_cjknuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            p.down1_W.reshape(F, C * U * V),
            a.u_cuvj_kn.reshape(C * U * V, -1),
            out=a.z1[:, tile].reshape(F, -1),
        )
    np.add(a.z1, p.down1_b[:, None, None, None], out=a.z1)

    # halves[n,f,j,k] = max(0, z1[n,f,j,k])
    np.maximum(a.z1, a.ZERO, out=a.halves)

    # halves_pad1[n,f,t,s] = halves[n,f,t-1,s-1] (0 outside)
    np.copyto(a.halves_pad1[:, 1:, 1:, :], a.halves)

    # code[n,r,h2,w2] = Σ_{f,u,v} down2_W[r,f,u,v] halves_pad1[n,f,2 h2 + u,2 w2 + v] + down2_b[r]
    np.copyto(a.u_nh2w2fuv, a.halves_pad1_fuvnh2w2.transpose(3, 4, 5, 0, 1, 2))
    np.matmul(
        p.down2_W.reshape(R, F * U * V),
        a.u_nh2w2fuv.reshape(N, H2 * W2, F * U * V).swapaxes(-1, -2),
        out=a.code.reshape(N, R, H2 * W2),
    )
    np.add(a.code, p.down2_b[:, None, None], out=a.code)

    # code_pad[n,r,a2,b2] = code[n,r,a2-1,b2-1] (0 outside)
    np.copyto(a.code_pad[:, 1:-1, 1:-1, :], a.code.transpose(1, 2, 3, 0))

    # classes1[n,f,q,m,j2,k2] = Σ_{r,u3,v3} up1_W[r,f,2 u3 + q,2 v3 + m] code_pad[n,r,j2 + 1 - u3,k2
    #     + 1 - v3]
    np.copyto(a.u_fqmru3v3, p.up1_W.reshape(R, F, U3, Q, V3, M).transpose(1, 3, 5, 0, 2, 4))
    np.copyto(a.v_ru3v3j2k2n, a.code_pad_rj2k2nu3v3.transpose(0, 4, 5, 1, 2, 3))
    np.matmul(
        a.u_fqmru3v3.reshape(F * Q * M, R * U3 * V3),
        a.v_ru3v3j2k2n.reshape(R * U3 * V3, J2 * K2 * N),
        out=a.classes1.reshape(F * Q * M, J2 * K2 * N),
    )

    # grown_split1[n,f,j2,q,k2,m] = classes1[n,f,q,m,j2,k2]
    np.copyto(a.grown_split1, a.classes1.transpose(0, 3, 1, 4, 2, 5))

    # grown1[n,f,2 j2 + q,2 k2 + m] = grown_split1[n,f,j2,q,k2,m]
    a.grown1 = a.grown_split1.reshape(F, H3, W3, -1)

    # z2[n,f,e,g] = up1_b[f] + grown1[n,f,e+1,g+1]
    np.add(a.grown1[:, 1:5, 1:5, :], p.up1_b[:, None, None, None], out=a.z2)

    # grown[n,f,e,g] = max(0, z2[n,f,e,g])
    np.maximum(a.z2, a.ZERO, out=a.grown)

    # grown_pad1[n,f,a3,b3] = grown[n,f,a3-1,b3-1] (0 outside)
    np.copyto(a.grown_pad1[:, 1:-1, 1:-1, :], a.grown)

    # classes2[n,d2,q,m,j3,k3] = Σ_{f,u3,v3} up2_W[f,d2,2 u3 + q,2 v3 + m] grown_pad1[n,f,j3 + 1 -
    #     u3,k3 + 1 - v3]
    np.copyto(a.u_d2qmfu3v3, p.up2_W.reshape(F, D2, U3, Q, V3, M).transpose(1, 3, 5, 0, 2, 4))
    np.copyto(a.v_fu3v3j3k3n, a.grown_pad1_fj3k3nu3v3.transpose(0, 4, 5, 1, 2, 3))
    np.matmul(
        a.u_d2qmfu3v3.reshape(D2 * Q * M, F * U3 * V3),
        a.v_fu3v3j3k3n.reshape(F * U3 * V3, J3 * K3 * N),
        out=a.classes2.reshape(D2 * Q * M, J3 * K3 * N),
    )

    # grown_split2[n,d2,j3,q,k3,m] = classes2[n,d2,q,m,j3,k3]
    np.copyto(a.grown_split2, a.classes2.transpose(0, 3, 1, 4, 2, 5))

    # grown2[n,d2,2 j3 + q,2 k3 + m] = grown_split2[n,d2,j3,q,k3,m]
    a.grown2 = a.grown_split2.reshape(D2, H4, W4, -1)

    # drawn[n,d2,h,w] = up2_b[d2] + grown2[n,d2,h+1,w+1]
    np.add(a.grown2[:, 1:9, 1:9, :], p.up2_b[:, None, None, None], out=a.drawn)

    # logits[n,H W d2 + W h + w] = drawn[n,d2,h,w]
    np.copyto(a.logits, a.drawn.reshape(E2, -1).T)

    # sigmoid1[n,e2] = tanh(logits[n,e2]/2)/2 + 1/2
    np.multiply(a.logits, a.HALF, out=a.sigmoid1)
    np.tanh(a.sigmoid1, out=a.sigmoid1)
    np.multiply(a.sigmoid1, a.HALF, out=a.sigmoid1)
    np.add(a.sigmoid1, a.HALF, out=a.sigmoid1)


def add_loss(a: Activations, x: np.ndarray) -> None:
    """Go on from the outputs to the loss."""
    # m[n,e2] = max(0, logits[n,e2])
    np.maximum(a.logits, a.ZERO, out=a.m)

    # e[n,e2] = exp(logits[n,e2] - m[n,e2])
    np.subtract(a.logits, a.m, out=a.e)
    np.exp(a.e, out=a.e)

    # s[n,e2] = exp(-m[n,e2]) + e[n,e2]
    np.negative(a.m, out=a.s)
    np.exp(a.s, out=a.s)
    np.add(a.s, a.e, out=a.s)

    # loss = Σ_{n,e2} (m[n,e2] + log(s[n,e2]) - x[n,e2] logits[n,e2])/(E2 N)
    np.multiply(x, a.logits, out=a.u_ne2)
    np.log(a.s, out=a.v_ne2)
    np.subtract(a.v_ne2, a.u_ne2, out=a.u_ne2)
    np.add(a.u_ne2, a.m, out=a.u_ne2)
    np.add.reduce(a.u_ne2, axis=(0, 1), out=a.loss)
    np.multiply(a.loss, a.C_1_OVER_BATCH_E2, out=a.loss)


def backward(p: Params, g: Grads, a: Workspace, x: np.ndarray) -> None:
    """Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`."""
    N = a.N

    # p[n,e2] = e[n,e2]/s[n,e2]
    np.divide(a.e, a.s, out=a.p)

    # ∂L/∂drawn[n,d2,h,w] = (p[n,H W d2 + W h + w] - x[n,H W d2 + W h + w])/(E2 N)
    np.subtract(
        a.p.reshape(-1, D2, H, W).transpose(1, 2, 3, 0),
        x.reshape(-1, D2, H, W).transpose(1, 2, 3, 0),
        out=a.d_drawn,
    )
    np.multiply(a.d_drawn, a.C_1_OVER_BATCH_E2, out=a.d_drawn)

    # ∂L/∂up2_b[d2] = Σ_{n,h,w} ∂L/∂drawn[n,d2,h,w]
    np.add.reduce(a.d_drawn, axis=(1, 2, 3), out=g.up2_b)

    # ∂L/∂grown2[n,d2,h4,w4] = ∂L/∂drawn[n,d2,h4-1,w4-1] (0 outside)
    np.copyto(a.d_grown2[:, 1:-1, 1:-1, :], a.d_drawn)

    # ∂L/∂classes2[n,d2,q,m,j3,k3] = ∂L/∂grown2[n,d2,2 j3 + q,2 k3 + m]
    a.d_classes2 = a.d_grown2.reshape(D2, J3, Q, K3, M, -1).transpose(0, 2, 4, 1, 3, 5)

    # split_d_up2_W[f,d2,q,m,u3,v3] = Σ_{n,j3,k3} grown_pad1[n,f,j3 + 1 - u3,k3 + 1 - v3]
    #     ∂L/∂classes2[n,d2,q,m,j3,k3]
    np.copyto(a.u_fu3v3j3k3n, a.grown_pad1_fj3k3nu3v3.transpose(0, 4, 5, 1, 2, 3))
    np.matmul(
        a.d_classes2.reshape(D2 * Q * M, J3 * K3 * N),
        a.u_fu3v3j3k3n.reshape(F, U3 * V3, J3 * K3 * N).swapaxes(-1, -2),
        out=a.split_d_up2_W.reshape(F, D2 * Q * M, U3 * V3),
    )

    # ∂L/∂up2_W[f,d2,2 u3 + q,2 v3 + m] = split_d_up2_W[f,d2,q,m,u3,v3]
    np.copyto(g.up2_W.reshape(F, D2, U3, Q, V3, M), a.split_d_up2_W.transpose(0, 1, 4, 2, 5, 3))

    # padded_d_classes2[n,d2,q,m,p,x] = ∂L/∂classes2[n,d2,q,m,p-1,x-1] (0 outside)
    np.copyto(a.padded_d_classes2[:, :, :, 1:-1, 1:-1, :], a.d_classes2)

    # ∂L/∂grown_pad1[n,f,a3,b3] = Σ_{d2,q,m,u3,v3} up2_W[f,d2,2 u3 + q,2 v3 + m]
    #     padded_d_classes2[n,d2,q,m,a3+u3,b3+v3]
    np.copyto(a.u_d2qmu3v3f, p.up2_W.reshape(F, D2, U3, Q, V3, M).transpose(1, 3, 5, 2, 4, 0))
    np.copyto(
        a.v_d2qmu3v3a3b3n, a.padded_d_classes2_d2qma3b3nu3v3.transpose(0, 1, 2, 6, 7, 3, 4, 5)
    )
    np.matmul(
        a.u_d2qmu3v3f.reshape(D2 * Q * M * U3 * V3, F).swapaxes(-1, -2),
        a.v_d2qmu3v3a3b3n.reshape(D2 * Q * M * U3 * V3, A3 * B3 * N),
        out=a.d_grown_pad1.reshape(F, A3 * B3 * N),
    )

    # ∂L/∂z2[n,f,e,g] = [z2[n,f,e,g] > 0] ∂L/∂grown_pad1[n,f,e+1,g+1]
    np.greater(a.z2, a.ZERO, out=a.d_z2)
    np.multiply(a.d_z2, a.d_grown_pad1[:, 1:5, 1:5, :], out=a.d_z2)

    # ∂L/∂up1_b[f] = Σ_{n,e,g} ∂L/∂z2[n,f,e,g]
    np.add.reduce(a.d_z2, axis=(1, 2, 3), out=g.up1_b)

    # ∂L/∂grown1[n,f,h3,w3] = ∂L/∂z2[n,f,h3-1,w3-1] (0 outside)
    np.copyto(a.d_grown1[:, 1:-1, 1:-1, :], a.d_z2)

    # ∂L/∂classes1[n,f,q,m,j2,k2] = ∂L/∂grown1[n,f,2 j2 + q,2 k2 + m]
    a.d_classes1 = a.d_grown1.reshape(F, J2, Q, K2, M, -1).transpose(0, 2, 4, 1, 3, 5)

    # split_d_up1_W[r,f,q,m,u3,v3] = Σ_{n,j2,k2} code_pad[n,r,j2 + 1 - u3,k2 + 1 - v3]
    #     ∂L/∂classes1[n,f,q,m,j2,k2]
    np.copyto(a.u_ru3v3j2k2n, a.code_pad_rj2k2nu3v3.transpose(0, 4, 5, 1, 2, 3))
    np.matmul(
        a.d_classes1.reshape(F * Q * M, J2 * K2 * N),
        a.u_ru3v3j2k2n.reshape(R, U3 * V3, J2 * K2 * N).swapaxes(-1, -2),
        out=a.split_d_up1_W.reshape(R, F * Q * M, U3 * V3),
    )

    # ∂L/∂up1_W[r,f,2 u3 + q,2 v3 + m] = split_d_up1_W[r,f,q,m,u3,v3]
    np.copyto(g.up1_W.reshape(R, F, U3, Q, V3, M), a.split_d_up1_W.transpose(0, 1, 4, 2, 5, 3))

    # padded_d_classes1[n,f,q,m,s,y] = ∂L/∂classes1[n,f,q,m,s-1,y-1] (0 outside)
    np.copyto(a.padded_d_classes1[:, :, :, 1:-1, 1:-1, :], a.d_classes1)

    # ∂L/∂code_pad[n,r,a2,b2] = Σ_{f,q,m,u3,v3} up1_W[r,f,2 u3 + q,2 v3 + m]
    #     padded_d_classes1[n,f,q,m,a2+u3,b2+v3]
    np.copyto(a.u_fqmu3v3r, p.up1_W.reshape(R, F, U3, Q, V3, M).transpose(1, 3, 5, 2, 4, 0))
    np.copyto(a.v_fqmu3v3a2b2n, a.padded_d_classes1_fqma2b2nu3v3.transpose(0, 1, 2, 6, 7, 3, 4, 5))
    np.matmul(
        a.u_fqmu3v3r.reshape(F * Q * M * U3 * V3, R).swapaxes(-1, -2),
        a.v_fqmu3v3a2b2n.reshape(F * Q * M * U3 * V3, A2 * B2 * N),
        out=a.d_code_pad.reshape(R, A2 * B2 * N),
    )

    # ∂L/∂code[n,r,h2,w2] = ∂L/∂code_pad[n,r,h2+1,w2+1]
    np.copyto(a.d_code, a.d_code_pad[:, 1:3, 1:3, :])

    # ∂L/∂down2_W[r,f,u,v] = Σ_{n,h2,w2} halves_pad1[n,f,2 h2 + u,2 w2 + v] ∂L/∂code[n,r,h2,w2]
    a.v_fuvr[...] = 0
    for tile in a.TILES_H2_FNUVW2:
        np.copyto(
            a.u_fuvh2_w2n, a.halves_pad1_fuvnh2w2[:, :, :, :, tile].transpose(0, 1, 2, 4, 5, 3)
        )
        np.matmul(
            a.u_fuvh2_w2n.reshape(F * U * V, -1),
            a.d_code[:, tile].reshape(R, -1).swapaxes(-1, -2),
            out=a.w_fuvr.reshape(F * U * V, R),
        )
        np.add(a.v_fuvr, a.w_fuvr, out=a.v_fuvr)
    np.copyto(g.down2_W, a.v_fuvr.transpose(3, 0, 1, 2))

    # ∂L/∂down2_b[r] = Σ_{n,h2,w2} ∂L/∂code[n,r,h2,w2]
    np.add.reduce(a.d_code, axis=(1, 2, 3), out=g.down2_b)

    # padded_d_code[n,r,k,j] = ∂L/∂code[n,r,k-1,j-1] (0 outside)
    np.copyto(a.padded_d_code[:, 1:-1, 1:-1, :], a.d_code)

    # padded_down2_W[r,f,k,j] = down2_W[r,f,k,j] (0 outside)
    np.copyto(a.padded_down2_W[:, :, :-1, :-1], p.down2_W)

    # split_d_halves_pad1[n,f,q,r2,z,k2] = Σ_{r,m,q2} padded_down2_W[r,f,2 m + q,2 q2 + r2]
    #     padded_d_code[n,r,z + 1 - m,k2 + 1 - q2]
    np.copyto(
        a.u_fqr2rmq2, a.padded_down2_W.reshape(R, F, M, Q, Q2, R2).transpose(1, 3, 5, 0, 2, 4)
    )
    np.copyto(a.v_rmq2zk2n, a.padded_d_code_rzk2nmq2.transpose(0, 4, 5, 1, 2, 3))
    np.matmul(
        a.u_fqr2rmq2.reshape(F * Q * R2, R * M * Q2),
        a.v_rmq2zk2n.reshape(R * M * Q2, Z * K2 * N),
        out=a.split_d_halves_pad1.reshape(F * Q * R2, Z * K2 * N),
    )

    # joined_d_halves_pad1[n,f,2 z + q,2 k2 + r2] = split_d_halves_pad1[n,f,q,r2,z,k2]
    np.copyto(
        a.joined_d_halves_pad1.reshape(F, Z, Q, K2, R2, -1),
        a.split_d_halves_pad1.transpose(0, 3, 1, 4, 2, 5),
    )

    # ∂L/∂z1[n,f,j,k] = [z1[n,f,j,k] > 0] joined_d_halves_pad1[n,f,j+1,k+1]
    np.greater(a.z1, a.ZERO, out=a.d_z1)
    np.multiply(a.d_z1, a.joined_d_halves_pad1[:, 1:5, 1:5, :], out=a.d_z1)

    # ∂L/∂down1_W[f,c,u,v] = Σ_{n,j,k} image_pad[n,c,2 j + u,2 k + v] ∂L/∂z1[n,f,j,k]
    a.v_cuvf[...] = 0
    for tile in a.TILES_J_CKNUV:
        np.copyto(a.u_cuvj_kn, a.image_pad_cjknuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            a.u_cuvj_kn.reshape(C * U * V, -1),
            a.d_z1[:, tile].reshape(F, -1).swapaxes(-1, -2),
            out=a.w_cuvf.reshape(C * U * V, F),
        )
        np.add(a.v_cuvf, a.w_cuvf, out=a.v_cuvf)
    np.copyto(g.down1_W, a.v_cuvf.transpose(3, 0, 1, 2))

    # ∂L/∂down1_b[f] = Σ_{n,j,k} ∂L/∂z1[n,f,j,k]
    np.add.reduce(a.d_z1, axis=(1, 2, 3), out=g.down1_b)


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


def checked(x: np.ndarray, dtype: str) -> tuple[np.ndarray, ...]:
    """Return a batch as contiguous arrays of the right types and equal lengths."""
    x = real("x", x, (D,), dtype)
    return (x,)


def loss_and_grad(params: Params, *, x: np.ndarray) -> tuple[float, Grads]:
    """Return the loss of a batch and its gradient; float64 parameters make everything float64."""
    (x,) = checked(x, params.flat.dtype)
    a, g = Workspace(len(x), params.flat.dtype), Grads(np.empty_like(params.flat))
    forward(params, a, x)
    add_loss(a, x)
    backward(params, g, a, x)
    return float(a.loss), g


def predict(params: Params, *, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return the outputs for a batch, by name."""
    dtype = params.flat.dtype
    x = real("x", x, (D,), dtype)
    a = Activations(len(x), dtype)
    forward(params, a, x)
    return {"code": a.code, "image": a.sigmoid1}


def loss(params: Params, *, x: np.ndarray) -> float:
    """Return the loss of a batch as `predict` computes it, without a gradient."""
    (x,) = checked(x, params.flat.dtype)
    a = Activations(len(x), params.flat.dtype)
    forward(params, a, x)
    add_loss(a, x)
    return float(a.loss)


class Part:
    """The rows of a batch that one thread computes, with a workspace and a gradient of its own."""

    def __init__(self, rows: range, BATCH: int, g: Grads) -> None:
        self.rows = slice(rows.start, rows.stop)
        self.a, self.g = Workspace(len(rows), g.flat.dtype, BATCH), g

    def gradient(self, p: Params, x: np.ndarray) -> float:
        """Fill the gradient with this part's share of it, and return its share of the loss."""
        a, g = self.a, self.g
        forward(p, a, x)
        add_loss(a, x)
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

    def step(self, *, x: np.ndarray) -> float:
        """Train on one batch: forward, backward, update. Return the loss before the update."""
        (x,) = checked(x, self.params.flat.dtype)
        p, g = self.params, self.grads
        self.steps += 1
        loss = self._gradient(x)
        update(p, g, self.state, self.steps)
        if self.steps % 128 == 0:
            self.state.settle()
        return loss

    def _gradient(self, x: np.ndarray) -> float:
        p, g = self.params, self.grads
        if self._team is not None:
            return self._team.gradient(p, x)
        a = self._workspace(len(x))
        forward(p, a, x)
        add_loss(a, x)
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
    parser.add_argument("--data", help="an .npz file with x")
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
