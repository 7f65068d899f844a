"""Residual network of convolutions with batch norm, for 8×8 images of digits.

Written by `bpgen emit resnet_digits` from resnet_digits.py; needs numpy alone.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import copy_context
from functools import partial
from itertools import cycle
from pathlib import Path
from threading import Barrier
from types import FrameType

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

DTYPE = "float32"
D, F, C, U, V, E, G, M, Q, S, H2, H, W, A, B = 64, 16, 1, 3, 3, 16, 32, 1, 1, 32, 10, 8, 8, 10, 10
J, K, R, T, A2, B2, P, Y, R2, X, K2, Z, U2, V2, Q2 = 4, 4, 9, 9, 6, 6, 8, 2, 2, 5, 5, 2, 4, 4, 12
E2, J2 = 12, 2
SIZE = 19706
STORAGE = 19994

# Shapes of the parameters; for a batch, the shape of one example and the number of classes.
PARAMETERS = {
    "stem_W": (F, C, U, V),
    "stem_norm_gain": (F,),
    "stem_norm_shift": (F,),
    "block1_conv1_W": (E, F, U, V),
    "block1_conv1_norm_gain": (E,),
    "block1_conv1_norm_shift": (E,),
    "block1_conv2_W": (F, E, U, V),
    "block1_conv2_norm_gain": (F,),
    "block1_conv2_norm_shift": (F,),
    "block2_skip_W": (G, F, M, Q),
    "block2_skip_norm_gain": (G,),
    "block2_skip_norm_shift": (G,),
    "block2_conv1_W": (G, F, U, V),
    "block2_conv1_norm_gain": (G,),
    "block2_conv1_norm_shift": (G,),
    "block2_conv2_W": (S, G, U, V),
    "block2_conv2_norm_gain": (S,),
    "block2_conv2_norm_shift": (S,),
    "fc_W": (G, H2),
    "fc_b": (H2,),
}
# What lies beside them, without a gradient.
KEPT = {
    "stem_norm_mean": (F,),
    "stem_norm_var": (F,),
    "block1_conv1_norm_mean": (E,),
    "block1_conv1_norm_var": (E,),
    "block1_conv2_norm_mean": (F,),
    "block1_conv2_norm_var": (F,),
    "block2_skip_norm_mean": (G,),
    "block2_skip_norm_var": (G,),
    "block2_conv1_norm_mean": (G,),
    "block2_conv1_norm_var": (G,),
    "block2_conv2_norm_mean": (S,),
    "block2_conv2_norm_var": (S,),
}
STORED = {**PARAMETERS, **KEPT}
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
    """The parameters and what is kept beside them: named views into one vector, `storage`.

    Its first part, `flat`, is what a gradient changes; states and parameters at rest lie behind.
    """

    def __init__(self, storage: np.ndarray | None = None, flat: np.ndarray | None = None) -> None:
        self.storage = np.zeros(STORAGE, DTYPE) if storage is None else storage
        self.flat = self.storage[:SIZE] if flat is None else flat
        self.stem_W = self.flat[0:144].reshape((F, C, U, V))
        self.stem_norm_gain = self.flat[144:160].reshape((F,))
        self.stem_norm_shift = self.flat[160:176].reshape((F,))
        self.block1_conv1_W = self.flat[176:2480].reshape((E, F, U, V))
        self.block1_conv1_norm_gain = self.flat[2480:2496].reshape((E,))
        self.block1_conv1_norm_shift = self.flat[2496:2512].reshape((E,))
        self.block1_conv2_W = self.flat[2512:4816].reshape((F, E, U, V))
        self.block1_conv2_norm_gain = self.flat[4816:4832].reshape((F,))
        self.block1_conv2_norm_shift = self.flat[4832:4848].reshape((F,))
        self.block2_skip_W = self.flat[4848:5360].reshape((G, F, M, Q))
        self.block2_skip_norm_gain = self.flat[5360:5392].reshape((G,))
        self.block2_skip_norm_shift = self.flat[5392:5424].reshape((G,))
        self.block2_conv1_W = self.flat[5424:10032].reshape((G, F, U, V))
        self.block2_conv1_norm_gain = self.flat[10032:10064].reshape((G,))
        self.block2_conv1_norm_shift = self.flat[10064:10096].reshape((G,))
        self.block2_conv2_W = self.flat[10096:19312].reshape((S, G, U, V))
        self.block2_conv2_norm_gain = self.flat[19312:19344].reshape((S,))
        self.block2_conv2_norm_shift = self.flat[19344:19376].reshape((S,))
        self.fc_W = self.flat[19376:19696].reshape((G, H2))
        self.fc_b = self.flat[19696:19706].reshape((H2,))
        self.stem_norm_mean = self.storage[19706:19722].reshape((F,))
        self.stem_norm_var = self.storage[19722:19738].reshape((F,))
        self.block1_conv1_norm_mean = self.storage[19738:19754].reshape((E,))
        self.block1_conv1_norm_var = self.storage[19754:19770].reshape((E,))
        self.block1_conv2_norm_mean = self.storage[19770:19786].reshape((F,))
        self.block1_conv2_norm_var = self.storage[19786:19802].reshape((F,))
        self.block2_skip_norm_mean = self.storage[19802:19834].reshape((G,))
        self.block2_skip_norm_var = self.storage[19834:19866].reshape((G,))
        self.block2_conv1_norm_mean = self.storage[19866:19898].reshape((G,))
        self.block2_conv1_norm_var = self.storage[19898:19930].reshape((G,))
        self.block2_conv2_norm_mean = self.storage[19930:19962].reshape((S,))
        self.block2_conv2_norm_var = self.storage[19962:19994].reshape((S,))


class Grads:
    """The gradient: `grads.W` is ∂L/∂W, in the same order in memory as the parameters."""

    def __init__(self, flat: np.ndarray) -> None:
        self.flat = flat
        self.stem_W = self.flat[0:144].reshape((F, C, U, V))
        self.stem_norm_gain = self.flat[144:160].reshape((F,))
        self.stem_norm_shift = self.flat[160:176].reshape((F,))
        self.block1_conv1_W = self.flat[176:2480].reshape((E, F, U, V))
        self.block1_conv1_norm_gain = self.flat[2480:2496].reshape((E,))
        self.block1_conv1_norm_shift = self.flat[2496:2512].reshape((E,))
        self.block1_conv2_W = self.flat[2512:4816].reshape((F, E, U, V))
        self.block1_conv2_norm_gain = self.flat[4816:4832].reshape((F,))
        self.block1_conv2_norm_shift = self.flat[4832:4848].reshape((F,))
        self.block2_skip_W = self.flat[4848:5360].reshape((G, F, M, Q))
        self.block2_skip_norm_gain = self.flat[5360:5392].reshape((G,))
        self.block2_skip_norm_shift = self.flat[5392:5424].reshape((G,))
        self.block2_conv1_W = self.flat[5424:10032].reshape((G, F, U, V))
        self.block2_conv1_norm_gain = self.flat[10032:10064].reshape((G,))
        self.block2_conv1_norm_shift = self.flat[10064:10096].reshape((G,))
        self.block2_conv2_W = self.flat[10096:19312].reshape((S, G, U, V))
        self.block2_conv2_norm_gain = self.flat[19312:19344].reshape((S,))
        self.block2_conv2_norm_shift = self.flat[19344:19376].reshape((S,))
        self.fc_W = self.flat[19376:19696].reshape((G, H2))
        self.fc_b = self.flat[19696:19706].reshape((H2,))


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
        self.TILES_H_ENUVW = tiles(H, E * N * U * V * W)
        rows_H_ENUVW = self.TILES_H_ENUVW[0].stop
        self.TILES_H_FNUVW = tiles(H, F * N * U * V * W)
        rows_H_FNUVW = self.TILES_H_FNUVW[0].stop
        self.TILES_J_FKNUV = tiles(J, F * K * N * U * V)
        rows_J_FKNUV = self.TILES_J_FKNUV[0].stop
        self.TILES_J_GKNUV = tiles(J, G * K * N * U * V)
        rows_J_GKNUV = self.TILES_J_GKNUV[0].stop
        TILE = max(
            C * U * V * pitch(rows_H_CNUVW * W * N),
            F * U * V * pitch(rows_H_FNUVW * W * N),
            E * U * V * pitch(rows_H_ENUVW * W * N),
            F * U * V * pitch(rows_J_FKNUV * K * N),
            G * U * V * pitch(rows_J_GKNUV * K * N),
        )
        rows_N = np.empty((2048, N), dtype)
        rows_TILE = np.empty((1, TILE), dtype)
        rows = np.empty(512, dtype)
        self.shaped1 = rows_N[0:64].reshape((C, H, W, N))  # shaped1[c,h,w,n]
        self.logits = np.empty((H2, N), dtype)  # logits[h2,n]
        self.loss = np.empty((), dtype)  # loss
        self.shaped1_pad = np.zeros((C, A, B, N), dtype)  # shaped1_pad[c,a,b,n]
        self.z1 = rows_N[0:1024].reshape((F, H, W, N))  # z1[f,h,w,n]
        self.u_cuvh_wn = apart(rows_TILE[0], C * U * V, (C, U, V, rows_H_CNUVW, W, N))
        self.mean1 = rows[0:16].reshape(F)  # mean1[f]
        self.var1 = rows[16:32].reshape(F)  # var1[f]
        self.rstd1 = rows[16:32].reshape(F)  # rstd1[f]
        self.xhat1 = rows_N[0:1024].reshape((F, H, W, N))  # xhat1[f,h,w,n]
        self.y1 = rows_N[0:1024].reshape((F, H, W, N))  # y1[f,h,w,n]
        self.relu1 = rows_N[0:1024].reshape((F, H, W, N))  # relu1[f,h,w,n]
        self.relu1_pad1 = np.zeros((F, A, B, N), dtype)  # relu1_pad1[f,a,b,n]
        self.z2 = rows_N[1024:2048].reshape((E, H, W, N))  # z2[e,h,w,n]
        self.u_fuvh_wn = apart(rows_TILE[0], F * U * V, (F, U, V, rows_H_FNUVW, W, N))
        self.mean2 = rows[0:16].reshape(E)  # mean2[e]
        self.var2 = rows[16:32].reshape(E)  # var2[e]
        self.rstd2 = rows[16:32].reshape(E)  # rstd2[e]
        self.xhat2 = rows_N[1024:2048].reshape((E, H, W, N))  # xhat2[e,h,w,n]
        self.y2 = rows_N[1024:2048].reshape((E, H, W, N))  # y2[e,h,w,n]
        self.relu2 = rows_N[1024:2048].reshape((E, H, W, N))  # relu2[e,h,w,n]
        self.relu2_pad1 = self.relu1_pad1  # relu2_pad1[e,a,b,n]
        self.z3 = rows_N[1024:2048].reshape((F, H, W, N))  # z3[f,h,w,n]
        self.u_euvh_wn = apart(rows_TILE[0], E * U * V, (E, U, V, rows_H_ENUVW, W, N))
        self.mean3 = rows[0:16].reshape(F)  # mean3[f]
        self.var3 = rows[16:32].reshape(F)  # var3[f]
        self.rstd3 = rows[16:32].reshape(F)  # rstd3[f]
        self.xhat3 = rows_N[1024:2048].reshape((F, H, W, N))  # xhat3[f,h,w,n]
        self.y3 = rows_N[1024:2048].reshape((F, H, W, N))  # y3[f,h,w,n]
        self.sum1 = rows_N[0:1024].reshape((F, H, W, N))  # sum1[f,h,w,n]
        self.relu3 = rows_N[0:1024].reshape((F, H, W, N))  # relu3[f,h,w,n]
        self.z4 = rows_N[1024:1536].reshape((G, J, K, N))  # z4[g,j,k,n]
        self.u_fg = rows[0:512].reshape((F, G))
        self.v_fjkn = rows_N[1536:1792].reshape((F, J, K, N))
        self.mean4 = rows[0:32].reshape(G)  # mean4[g]
        self.var4 = rows[32:64].reshape(G)  # var4[g]
        self.rstd4 = rows[32:64].reshape(G)  # rstd4[g]
        self.xhat4 = rows_N[1024:1536].reshape((G, J, K, N))  # xhat4[g,j,k,n]
        self.y4 = rows_N[1024:1536].reshape((G, J, K, N))  # y4[g,j,k,n]
        self.relu3_pad1 = np.zeros((F, R, T, N), dtype)  # relu3_pad1[f,r,t,n]
        self.z5 = rows_N[0:512].reshape((G, J, K, N))  # z5[g,j,k,n]
        self.u_fuvj_kn = apart(rows_TILE[0], F * U * V, (F, U, V, rows_J_FKNUV, K, N))
        self.mean5 = rows[0:32].reshape(G)  # mean5[g]
        self.var5 = rows[32:64].reshape(G)  # var5[g]
        self.rstd5 = rows[32:64].reshape(G)  # rstd5[g]
        self.xhat5 = rows_N[0:512].reshape((G, J, K, N))  # xhat5[g,j,k,n]
        self.y5 = rows_N[0:512].reshape((G, J, K, N))  # y5[g,j,k,n]
        self.relu4 = rows_N[0:512].reshape((G, J, K, N))  # relu4[g,j,k,n]
        self.relu4_pad1 = np.zeros((G, A2, B2, N), dtype)  # relu4_pad1[g,a2,b2,n]
        self.z6 = rows_N[0:512].reshape((S, J, K, N))  # z6[s,j,k,n]
        self.u_guvj_kn = apart(rows_TILE[0], G * U * V, (G, U, V, rows_J_GKNUV, K, N))
        self.mean6 = rows[0:32].reshape(S)  # mean6[s]
        self.var6 = rows[32:64].reshape(S)  # var6[s]
        self.rstd6 = rows[32:64].reshape(S)  # rstd6[s]
        self.xhat6 = rows_N[0:512].reshape((S, J, K, N))  # xhat6[s,j,k,n]
        self.y6 = rows_N[0:512].reshape((S, J, K, N))  # y6[s,j,k,n]
        self.sum2 = rows_N[1024:1536].reshape((G, J, K, N))  # sum2[g,j,k,n]
        self.h = rows_N[1024:1536].reshape((G, J, K, N))  # h[g,j,k,n]
        self.pooled1 = rows_N[0:32].reshape((N, G))  # pooled1[n,g]
        self.m = rows_N[10:11].reshape(N)  # m[n]
        self.e = rows_N[0:10].reshape((H2, N))  # e[h2,n]
        self.s = rows_N[11:12].reshape(N)  # s[n]
        self.average = rows_N[2:3].reshape(N)  # average[n]
        self.logits_at_digit = rows_N[3:4].reshape(N)  # logits_at_digit[n]
        self.i_n = lent(rows_N[0:2], np.intp, (N,))
        self.u_n = rows_N[0:1].reshape(N)
        self.v_n = rows_N[1:2].reshape(N)
        self.COUNT_N = np.array(N)
        self.C_0_00001 = np.array(1e-05, dtype)
        self.C_0_1 = np.array(0.1, dtype)
        self.C_0_9 = np.array(0.9, dtype)
        self.C_1_OVER_J_K = np.array(1 / (J * K), dtype)
        self.MEAN_H2 = np.full(H2, 1 / H2, dtype)
        self.MEAN_N = np.full(N, 1 / BATCH, dtype)
        self.ONE = np.array(1, dtype)
        self.ONES_H2 = np.ones(H2, dtype)
        self.RANGE_N = np.arange(N)
        self.ZERO = np.array(0, dtype)
        self.relu1_pad1_fhwnuv = sliding_window_view(self.relu1_pad1, (U, V), (1, 2))
        self.relu2_pad1_ehwnuv = sliding_window_view(self.relu2_pad1, (U, V), (1, 2))
        self.relu3_pad1_fjknuv = sliding_window_view(self.relu3_pad1, (U, V), (1, 2))
        self.relu3_pad1_fjknuv = self.relu3_pad1_fjknuv[:, ::2, ::2, :, :, :]
        self.relu4_pad1_gjknuv = sliding_window_view(self.relu4_pad1, (U, V), (1, 2))
        self.shaped1_pad_chwnuv = sliding_window_view(self.shaped1_pad, (U, V), (1, 2))

    def meet(self, x: np.ndarray) -> None:
        """Make of `x`, a sum over N examples, the sum over BATCH: for one thread, it is that."""


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
        self.TILES_H_ENUVW = tiles(H, E * N * U * V * W)
        rows_H_ENUVW = self.TILES_H_ENUVW[0].stop
        self.TILES_H_FNUVW = tiles(H, F * N * U * V * W)
        rows_H_FNUVW = self.TILES_H_FNUVW[0].stop
        self.TILES_J_FJ2KNR2YZ = tiles(J, F * J2 * K * N * R2 * Y * Z)
        rows_J_FJ2KNR2YZ = self.TILES_J_FJ2KNR2YZ[0].stop
        self.TILES_J_FKN = tiles(J, F * K * N)
        rows_J_FKN = self.TILES_J_FKN[0].stop
        self.TILES_J_FKNUV = tiles(J, F * K * N * U * V)
        rows_J_FKNUV = self.TILES_J_FKNUV[0].stop
        self.TILES_J_GKNUV = tiles(J, G * K * N * U * V)
        rows_J_GKNUV = self.TILES_J_GKNUV[0].stop
        TILE = max(
            C * U * V * pitch(rows_H_CNUVW * W * N),
            F * U * V * pitch(rows_H_FNUVW * W * N),
            E * U * V * pitch(rows_H_ENUVW * W * N),
            F * U * V * pitch(rows_J_FKNUV * K * N),
            G * U * V * pitch(rows_J_GKNUV * K * N),
            F * Y * R2 * J2 * Z * pitch(rows_J_FJ2KNR2YZ * K * N),
            F * pitch(rows_J_FKN * K * N),
        )
        rows_N = np.empty((11392, N), dtype)
        rows_TILE = np.empty((1, TILE), dtype)
        rows = np.empty(18544, dtype)
        self.loss = np.empty((), dtype)  # loss
        self.shaped1 = rows_N[0:64].reshape((C, H, W, N))  # shaped1[c,h,w,n]
        self.shaped1_pad = np.zeros((C, A, B, N), dtype)  # shaped1_pad[c,a,b,n]
        self.z1 = rows_N[3200:4224].reshape((F, H, W, N))  # z1[f,h,w,n]
        self.u_cuvh_wn = apart(rows_TILE[0], C * U * V, (C, U, V, rows_H_CNUVW, W, N))
        self.mean1 = rows[512:528].reshape(F)  # mean1[f]
        self.var1 = rows[528:544].reshape(F)  # var1[f]
        self.u_fhwn = rows_N[4224:5248].reshape((F, H, W, N))
        self.rstd1 = rows[18496:18512].reshape(F)  # rstd1[f]
        self.xhat1 = rows_N[3200:4224].reshape((F, H, W, N))  # xhat1[f,h,w,n]
        self.y1 = rows_N[5248:6272].reshape((F, H, W, N))  # y1[f,h,w,n]
        self.relu1 = rows_N[6272:7296].reshape((F, H, W, N))  # relu1[f,h,w,n]
        self.relu1_pad1 = np.zeros((F, A, B, N), dtype)  # relu1_pad1[f,a,b,n]
        self.z2 = rows_N[7296:8320].reshape((E, H, W, N))  # z2[e,h,w,n]
        self.u_fuvh_wn = apart(rows_TILE[0], F * U * V, (F, U, V, rows_H_FNUVW, W, N))
        self.mean2 = rows[544:560].reshape(E)  # mean2[e]
        self.var2 = rows[560:576].reshape(E)  # var2[e]
        self.u_ehwn = rows_N[0:1024].reshape((E, H, W, N))
        self.rstd2 = rows[18512:18528].reshape(E)  # rstd2[e]
        self.xhat2 = rows_N[7296:8320].reshape((E, H, W, N))  # xhat2[e,h,w,n]
        self.y2 = rows_N[8320:9344].reshape((E, H, W, N))  # y2[e,h,w,n]
        self.relu2 = rows_N[0:1024].reshape((E, H, W, N))  # relu2[e,h,w,n]
        self.relu2_pad1 = np.zeros((E, A, B, N), dtype)  # relu2_pad1[e,a,b,n]
        self.z3 = rows_N[9344:10368].reshape((F, H, W, N))  # z3[f,h,w,n]
        self.u_euvh_wn = apart(rows_TILE[0], E * U * V, (E, U, V, rows_H_ENUVW, W, N))
        self.mean3 = rows[576:592].reshape(F)  # mean3[f]
        self.var3 = rows[592:608].reshape(F)  # var3[f]
        self.rstd3 = rows[18528:18544].reshape(F)  # rstd3[f]
        self.xhat3 = rows_N[9344:10368].reshape((F, H, W, N))  # xhat3[f,h,w,n]
        self.y3 = rows_N[0:1024].reshape((F, H, W, N))  # y3[f,h,w,n]
        self.sum1 = rows_N[6272:7296].reshape((F, H, W, N))  # sum1[f,h,w,n]
        self.relu3 = rows_N[4224:5248].reshape((F, H, W, N))  # relu3[f,h,w,n]
        self.z4 = rows_N[10368:10880].reshape((G, J, K, N))  # z4[g,j,k,n]
        self.u_fg = rows[0:512].reshape((F, G))
        self.v_fjkn = rows_N[0:256].reshape((F, J, K, N))
        self.mean4 = rows[0:32].reshape(G)  # mean4[g]
        self.var4 = rows[32:64].reshape(G)  # var4[g]
        self.u_gjkn = rows_N[0:512].reshape((G, J, K, N))
        self.rstd4 = rows[18432:18464].reshape(G)  # rstd4[g]
        self.xhat4 = rows_N[10368:10880].reshape((G, J, K, N))  # xhat4[g,j,k,n]
        self.y4 = rows_N[10880:11392].reshape((G, J, K, N))  # y4[g,j,k,n]
        self.relu3_pad1 = np.zeros((F, R, T, N), dtype)  # relu3_pad1[f,r,t,n]
        self.z5 = rows_N[1600:2112].reshape((G, J, K, N))  # z5[g,j,k,n]
        self.u_fuvj_kn = apart(rows_TILE[0], F * U * V, (F, U, V, rows_J_FKNUV, K, N))
        self.mean5 = rows[64:96].reshape(G)  # mean5[g]
        self.var5 = rows[96:128].reshape(G)  # var5[g]
        self.rstd5 = rows[18464:18496].reshape(G)  # rstd5[g]
        self.xhat5 = rows_N[1600:2112].reshape((G, J, K, N))  # xhat5[g,j,k,n]
        self.y5 = rows_N[2112:2624].reshape((G, J, K, N))  # y5[g,j,k,n]
        self.relu4 = rows_N[0:512].reshape((G, J, K, N))  # relu4[g,j,k,n]
        self.relu4_pad1 = np.zeros((G, A2, B2, N), dtype)  # relu4_pad1[g,a2,b2,n]
        self.z6 = rows_N[2624:3136].reshape((S, J, K, N))  # z6[s,j,k,n]
        self.u_guvj_kn = apart(rows_TILE[0], G * U * V, (G, U, V, rows_J_GKNUV, K, N))
        self.mean6 = rows[128:160].reshape(S)  # mean6[s]
        self.var6 = rows[160:192].reshape(S)  # var6[s]
        self.u_sjkn = rows_N[0:512].reshape((S, J, K, N))
        self.rstd6 = rows[192:224].reshape(S)  # rstd6[s]
        self.xhat6 = rows_N[2624:3136].reshape((S, J, K, N))  # xhat6[s,j,k,n]
        self.y6 = rows_N[0:512].reshape((S, J, K, N))  # y6[s,j,k,n]
        self.sum2 = rows_N[10880:11392].reshape((G, J, K, N))  # sum2[g,j,k,n]
        self.h = rows_N[0:512].reshape((G, J, K, N))  # h[g,j,k,n]
        self.pooled1 = rows_N[512:544].reshape((N, G))  # pooled1[n,g]
        self.logits = rows_N[0:10].reshape((H2, N))  # logits[h2,n]
        self.m = rows_N[22:23].reshape(N)  # m[n]
        self.e = rows_N[10:20].reshape((H2, N))  # e[h2,n]
        self.s = rows_N[23:24].reshape(N)  # s[n]
        self.average = rows_N[24:25].reshape(N)  # average[n]
        self.logits_at_digit = rows_N[25:26].reshape(N)  # logits_at_digit[n]
        self.i_n = lent(rows_N[20:22], np.intp, (N,))
        self.u_n = rows_N[0:1].reshape(N)
        self.v_n = rows_N[1:2].reshape(N)
        self.u_f = rows[224:240].reshape(F)
        self.u_e = rows[224:240].reshape(E)
        self.u_g = rows[224:256].reshape(G)
        self.u_s = rows[0:32].reshape(S)
        self.p = rows_N[10:20].reshape((H2, N))  # p[h2,n]
        self.d_logits = rows_N[32:42].reshape((H2, N))  # ∂L/∂logits[h2,n]
        self.d_pooled1 = rows_N[0:32].reshape((N, G))  # ∂L/∂pooled1[n,g]
        self.d_sum2 = rows_N[10880:11392].reshape((G, J, K, N))  # ∂L/∂sum2[g,j,k,n]
        self.u_gn = rows_N[32:64].reshape((G, N))
        self.d_xhat6 = rows_N[0:512].reshape((S, J, K, N))  # ∂L/∂xhat6[s,j,k,n]
        self.xhat6_dot_d_xhat6 = rows[32:64].reshape(S)  # xhat6_dot_d_xhat6[s]
        self.sum_d_xhat6 = rows[64:96].reshape(S)  # sum_d_xhat6[s]
        self.d_z6 = rows_N[2624:3136].reshape((S, J, K, N))  # ∂L/∂z6[s,j,k,n]
        self.v_guvs = rows[0:9216].reshape((G, U, V, S))
        self.w_guvs = rows[9216:18432].reshape((G, U, V, S))
        self.d_relu4_pad1 = rows_N[0:1152].reshape((G, A2, B2, N))  # ∂L/∂relu4_pad1[g,a2,b2,n]
        self.d_y5 = rows_N[2112:2624].reshape((G, J, K, N))  # ∂L/∂y5[g,j,k,n]
        self.d_xhat5 = rows_N[2112:2624].reshape((G, J, K, N))  # ∂L/∂xhat5[g,j,k,n]
        self.xhat5_dot_d_xhat5 = rows[0:32].reshape(G)  # xhat5_dot_d_xhat5[g]
        self.sum_d_xhat5 = rows[32:64].reshape(G)  # sum_d_xhat5[g]
        self.d_z5 = rows_N[1600:2112].reshape((G, J, K, N))  # ∂L/∂z5[g,j,k,n]
        self.v_fuvg = rows[0:4608].reshape((F, U, V, G))
        self.w_fuvg = rows[4608:9216].reshape((F, U, V, G))
        self.padded_block2_conv1_W = np.zeros((G, F, K, J), dtype)  # padded_block2_conv1_W[g,f,k,j]
        self.split_d_relu3_pad1 = rows_N[0:1600].reshape(
            (F, Y, R2, X, K2, N)
        )  # split_d_relu3_pad1[f,y,r2,x,k2,n]
        self.u_fyr2j2zg = rows[0:8192].reshape((F, Y, R2, J2, Z, G))
        self.v_fyr2j2zj_kn = apart(
            rows_TILE[0], F * Y * R2 * J2 * Z, (F, Y, R2, J2, Z, rows_J_FJ2KNR2YZ, K, N)
        )
        self.joined_d_relu3_pad1 = rows_N[1600:3200].reshape(
            (F, A, B, N)
        )  # joined_d_relu3_pad1[f,a,b,n]
        self.d_xhat4 = rows_N[10880:11392].reshape((G, J, K, N))  # ∂L/∂xhat4[g,j,k,n]
        self.xhat4_dot_d_xhat4 = rows[0:32].reshape(G)  # xhat4_dot_d_xhat4[g]
        self.sum_d_xhat4 = rows[32:64].reshape(G)  # sum_d_xhat4[g]
        self.d_z4 = rows_N[10368:10880].reshape((G, J, K, N))  # ∂L/∂z4[g,j,k,n]
        self.relu3_dot_d_z4 = rows[0:512].reshape((G, F))  # relu3_dot_d_z4[g,f]
        self.u_fj_kn = apart(rows_TILE[0], F, (F, rows_J_FKN, K, N))
        self.v_gf = rows[512:1024].reshape((G, F))
        self.split_d_relu3 = rows_N[0:1024].reshape(
            (F, Y, Z, U2, V2, N)
        )  # split_d_relu3[f,y,z,u2,v2,n]
        self.u_fu2v2n = rows_N[1024:1280].reshape((F, U2, V2, N))
        self.d_relu3 = rows_N[10368:11392].reshape((F, H, W, N))  # ∂L/∂relu3[f,h,w,n]
        self.d_sum1 = rows_N[6272:7296].reshape((F, H, W, N))  # ∂L/∂sum1[f,h,w,n]
        self.d_xhat3 = rows_N[0:1024].reshape((F, H, W, N))  # ∂L/∂xhat3[f,h,w,n]
        self.xhat3_dot_d_xhat3 = rows[0:16].reshape(F)  # xhat3_dot_d_xhat3[f]
        self.sum_d_xhat3 = rows[16:32].reshape(F)  # sum_d_xhat3[f]
        self.d_z3 = rows_N[9344:10368].reshape((F, H, W, N))  # ∂L/∂z3[f,h,w,n]
        self.v_euvf = rows[0:2304].reshape((E, U, V, F))
        self.w_euvf = rows[2304:4608].reshape((E, U, V, F))
        self.d_relu2_pad1 = rows_N[0:1600].reshape((E, A, B, N))  # ∂L/∂relu2_pad1[e,a,b,n]
        self.d_y2 = rows_N[8320:9344].reshape((E, H, W, N))  # ∂L/∂y2[e,h,w,n]
        self.d_xhat2 = rows_N[8320:9344].reshape((E, H, W, N))  # ∂L/∂xhat2[e,h,w,n]
        self.xhat2_dot_d_xhat2 = rows[0:16].reshape(E)  # xhat2_dot_d_xhat2[e]
        self.sum_d_xhat2 = rows[16:32].reshape(E)  # sum_d_xhat2[e]
        self.d_z2 = rows_N[7296:8320].reshape((E, H, W, N))  # ∂L/∂z2[e,h,w,n]
        self.v_fuve = rows[0:2304].reshape((F, U, V, E))
        self.w_fuve = rows[2304:4608].reshape((F, U, V, E))
        self.d_relu1_pad1 = rows_N[0:1600].reshape((F, A, B, N))  # ∂L/∂relu1_pad1[f,a,b,n]
        self.d_y1 = rows_N[6272:7296].reshape((F, H, W, N))  # ∂L/∂y1[f,h,w,n]
        self.d_xhat1 = rows_N[6272:7296].reshape((F, H, W, N))  # ∂L/∂xhat1[f,h,w,n]
        self.xhat1_dot_d_xhat1 = rows[0:16].reshape(F)  # xhat1_dot_d_xhat1[f]
        self.sum_d_xhat1 = rows[16:32].reshape(F)  # sum_d_xhat1[f]
        self.d_z1 = rows_N[3200:4224].reshape((F, H, W, N))  # ∂L/∂z1[f,h,w,n]
        self.v_fcuv = rows[0:144].reshape((F, C, U, V))
        self.COUNT_N = np.array(N)
        self.C_0_00001 = np.array(1e-05, dtype)
        self.C_0_1 = np.array(0.1, dtype)
        self.C_0_1_OVER_H2 = np.array(0.1 / H2, dtype)
        self.C_0_9 = np.array(0.9, dtype)
        self.C_1_OVER_BATCH = np.array(1 / BATCH, dtype)
        self.C_1_OVER_BATCH_H_W = np.array(1 / (BATCH * H * W), dtype)
        self.C_1_OVER_BATCH_J_K = np.array(1 / (BATCH * J * K), dtype)
        self.C_1_OVER_J_K = np.array(1 / (J * K), dtype)
        self.C_BLOCK2_SKIP_NORM_VAR = np.array(
            0.1 * BATCH * J * K / max(1, BATCH * J * K - 1), dtype
        )
        self.C_STEM_NORM_VAR = np.array(0.1 * BATCH * H * W / max(1, BATCH * H * W - 1), dtype)
        self.MEAN_H2 = np.full(H2, 1 / H2, dtype)
        self.MEAN_N = np.full(N, 1 / BATCH, dtype)
        self.ONE = np.array(1, dtype)
        self.ONES_H2 = np.ones(H2, dtype)
        self.ONES_N = np.ones(N, dtype)
        self.ONE_HOT_H2 = np.eye(H2, dtype=dtype)
        self.RANGE_N = np.arange(N)
        self.ZERO = np.array(0, dtype)
        self.relu1_pad1_fhwnuv = sliding_window_view(self.relu1_pad1, (U, V), (1, 2))
        self.relu2_pad1_ehwnuv = sliding_window_view(self.relu2_pad1, (U, V), (1, 2))
        self.relu3_pad1_fjknuv = sliding_window_view(self.relu3_pad1, (U, V), (1, 2))
        self.relu3_pad1_fjknuv = self.relu3_pad1_fjknuv[:, ::2, ::2, :, :, :]
        self.relu4_pad1_gjknuv = sliding_window_view(self.relu4_pad1, (U, V), (1, 2))
        self.shaped1_pad_chwnuv = sliding_window_view(self.shaped1_pad, (U, V), (1, 2))


class State:
    """What the optimizer adamw keeps from step to step, and its scratch memory."""

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
    p.stem_W[...] = rng.normal(0, math.sqrt(2 / (C * U * V)), (F, C, U, V))
    p.stem_norm_gain[...] = 1
    p.stem_norm_var[...] = 1
    p.block1_conv1_W[...] = rng.normal(0, math.sqrt(2 / (F * U * V)), (E, F, U, V))
    p.block1_conv1_norm_gain[...] = 1
    p.block1_conv1_norm_var[...] = 1
    p.block1_conv2_W[...] = rng.normal(0, math.sqrt(2 / (E * U * V)), (F, E, U, V))
    p.block1_conv2_norm_gain[...] = 1
    p.block1_conv2_norm_var[...] = 1
    p.block2_skip_W[...] = rng.normal(0, math.sqrt(2 / (F * M * Q)), (G, F, M, Q))
    p.block2_skip_norm_gain[...] = 1
    p.block2_skip_norm_var[...] = 1
    p.block2_conv1_W[...] = rng.normal(0, math.sqrt(2 / (F * U * V)), (G, F, U, V))
    p.block2_conv1_norm_gain[...] = 1
    p.block2_conv1_norm_var[...] = 1
    p.block2_conv2_W[...] = rng.normal(0, math.sqrt(2 / (G * U * V)), (S, G, U, V))
    p.block2_conv2_norm_gain[...] = 1
    p.block2_conv2_norm_var[...] = 1
    p.fc_W[...] = rng.normal(0, math.sqrt(2 / G), (G, H2))
    return p


def forward(p: Params, a: Workspace, x: np.ndarray) -> None:
    """Compute the outputs of a batch into `a`."""
    N = a.N

    # shaped1[n,c,h,w] = x[n,64 c + 8 h + w]
    np.copyto(a.shaped1, x.reshape(-1, C, H, W).transpose(1, 2, 3, 0))

    # shaped1_pad[n,c,a,b] = shaped1[n,c,a-1,b-1] (0 outside)
    np.copyto(a.shaped1_pad[:, 1:-1, 1:-1, :], a.shaped1)

    # z1[n,f,h,w] = Σ_{c,u,v} stem_W[f,c,u,v] shaped1_pad[n,c,h+u,v+w]
    for tile in a.TILES_H_CNUVW:
        np.copyto(a.u_cuvh_wn, a.shaped1_pad_chwnuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            p.stem_W.reshape(F, C * U * V),
            a.u_cuvh_wn.reshape(C * U * V, -1),
            out=a.z1[:, tile].reshape(F, -1),
        )

    # mean1[f] = Σ_{n,h,w} z1[n,f,h,w]/(H N W)
    np.add.reduce(a.z1, axis=(1, 2, 3), out=a.mean1)
    np.multiply(a.mean1, a.C_1_OVER_BATCH_H_W, out=a.mean1)
    a.meet(a.mean1)

    # var1[f] = Σ_{n,h,w} (z1[n,f,h,w] - mean1[f])²/(H N W)
    np.subtract(a.z1, a.mean1[:, None, None, None], out=a.u_fhwn)
    np.multiply(a.u_fhwn, a.u_fhwn, out=a.u_fhwn)
    np.add.reduce(a.u_fhwn, axis=(1, 2, 3), out=a.var1)
    np.multiply(a.var1, a.C_1_OVER_BATCH_H_W, out=a.var1)
    a.meet(a.var1)

    # rstd1[f] = 1/√(var1[f] + 1e-05)
    np.add(a.var1, a.C_0_00001, out=a.rstd1)
    np.sqrt(a.rstd1, out=a.rstd1)
    np.divide(a.ONE, a.rstd1, out=a.rstd1)

    # xhat1[n,f,h,w] = (z1[n,f,h,w] - mean1[f]) rstd1[f]
    np.subtract(a.z1, a.mean1[:, None, None, None], out=a.xhat1)
    np.multiply(a.xhat1, a.rstd1[:, None, None, None], out=a.xhat1)

    # y1[n,f,h,w] = stem_norm_gain[f] xhat1[n,f,h,w] + stem_norm_shift[f]
    np.multiply(a.xhat1, p.stem_norm_gain[:, None, None, None], out=a.y1)
    np.add(a.y1, p.stem_norm_shift[:, None, None, None], out=a.y1)

    # relu1[n,f,h,w] = max(0, y1[n,f,h,w])
    np.maximum(a.y1, a.ZERO, out=a.relu1)

    # relu1_pad1[n,f,a,b] = relu1[n,f,a-1,b-1] (0 outside)
    np.copyto(a.relu1_pad1[:, 1:-1, 1:-1, :], a.relu1)

    # z2[n,e,h,w] = Σ_{f,u,v} block1_conv1_W[e,f,u,v] relu1_pad1[n,f,h+u,v+w]
    for tile in a.TILES_H_FNUVW:
        np.copyto(a.u_fuvh_wn, a.relu1_pad1_fhwnuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            p.block1_conv1_W.reshape(E, F * U * V),
            a.u_fuvh_wn.reshape(F * U * V, -1),
            out=a.z2[:, tile].reshape(E, -1),
        )

    # mean2[e] = Σ_{n,h,w} z2[n,e,h,w]/(H N W)
    np.add.reduce(a.z2, axis=(1, 2, 3), out=a.mean2)
    np.multiply(a.mean2, a.C_1_OVER_BATCH_H_W, out=a.mean2)
    a.meet(a.mean2)

    # var2[e] = Σ_{n,h,w} (z2[n,e,h,w] - mean2[e])²/(H N W)
    np.subtract(a.z2, a.mean2[:, None, None, None], out=a.u_ehwn)
    np.multiply(a.u_ehwn, a.u_ehwn, out=a.u_ehwn)
    np.add.reduce(a.u_ehwn, axis=(1, 2, 3), out=a.var2)
    np.multiply(a.var2, a.C_1_OVER_BATCH_H_W, out=a.var2)
    a.meet(a.var2)

    # rstd2[e] = 1/√(var2[e] + 1e-05)
    np.add(a.var2, a.C_0_00001, out=a.rstd2)
    np.sqrt(a.rstd2, out=a.rstd2)
    np.divide(a.ONE, a.rstd2, out=a.rstd2)

    # xhat2[n,e,h,w] = (z2[n,e,h,w] - mean2[e]) rstd2[e]
    np.subtract(a.z2, a.mean2[:, None, None, None], out=a.xhat2)
    np.multiply(a.xhat2, a.rstd2[:, None, None, None], out=a.xhat2)

    # y2[n,e,h,w] = block1_conv1_norm_gain[e] xhat2[n,e,h,w] + block1_conv1_norm_shift[e]
    np.multiply(a.xhat2, p.block1_conv1_norm_gain[:, None, None, None], out=a.y2)
    np.add(a.y2, p.block1_conv1_norm_shift[:, None, None, None], out=a.y2)

    # relu2[n,e,h,w] = max(0, y2[n,e,h,w])
    np.maximum(a.y2, a.ZERO, out=a.relu2)

    # relu2_pad1[n,e,a,b] = relu2[n,e,a-1,b-1] (0 outside)
    np.copyto(a.relu2_pad1[:, 1:-1, 1:-1, :], a.relu2)

    # z3[n,f,h,w] = Σ_{e,u,v} block1_conv2_W[f,e,u,v] relu2_pad1[n,e,h+u,v+w]
    for tile in a.TILES_H_ENUVW:
        np.copyto(a.u_euvh_wn, a.relu2_pad1_ehwnuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            p.block1_conv2_W.reshape(F, E * U * V),
            a.u_euvh_wn.reshape(E * U * V, -1),
            out=a.z3[:, tile].reshape(F, -1),
        )

    # mean3[f] = Σ_{n,h,w} z3[n,f,h,w]/(H N W)
    np.add.reduce(a.z3, axis=(1, 2, 3), out=a.mean3)
    np.multiply(a.mean3, a.C_1_OVER_BATCH_H_W, out=a.mean3)
    a.meet(a.mean3)

    # var3[f] = Σ_{n,h,w} (z3[n,f,h,w] - mean3[f])²/(H N W)
    np.subtract(a.z3, a.mean3[:, None, None, None], out=a.u_fhwn)
    np.multiply(a.u_fhwn, a.u_fhwn, out=a.u_fhwn)
    np.add.reduce(a.u_fhwn, axis=(1, 2, 3), out=a.var3)
    np.multiply(a.var3, a.C_1_OVER_BATCH_H_W, out=a.var3)
    a.meet(a.var3)

    # rstd3[f] = 1/√(var3[f] + 1e-05)
    np.add(a.var3, a.C_0_00001, out=a.rstd3)
    np.sqrt(a.rstd3, out=a.rstd3)
    np.divide(a.ONE, a.rstd3, out=a.rstd3)

    # xhat3[n,f,h,w] = (z3[n,f,h,w] - mean3[f]) rstd3[f]
    np.subtract(a.z3, a.mean3[:, None, None, None], out=a.xhat3)
    np.multiply(a.xhat3, a.rstd3[:, None, None, None], out=a.xhat3)

    # y3[n,f,h,w] = block1_conv2_norm_gain[f] xhat3[n,f,h,w] + block1_conv2_norm_shift[f]
    np.multiply(a.xhat3, p.block1_conv2_norm_gain[:, None, None, None], out=a.y3)
    np.add(a.y3, p.block1_conv2_norm_shift[:, None, None, None], out=a.y3)

    # sum1[n,f,h,w] = relu1[n,f,h,w] + y3[n,f,h,w]
    np.add(a.y3, a.relu1, out=a.sum1)

    # relu3[n,f,h,w] = max(0, sum1[n,f,h,w])
    np.maximum(a.sum1, a.ZERO, out=a.relu3)

    # z4[n,g,j,k] = Σ_f block2_skip_W[g,f,0,0] relu3[n,f,2 j,2 k]
    np.copyto(a.u_fg, p.block2_skip_W[:, :, 0, 0].T)
    np.copyto(a.v_fjkn, a.relu3[:, ::2, ::2, :])
    np.matmul(
        a.u_fg.swapaxes(-1, -2), a.v_fjkn.reshape(F, J * K * N), out=a.z4.reshape(G, J * K * N)
    )

    # mean4[g] = Σ_{n,j,k} z4[n,g,j,k]/(J K N)
    np.add.reduce(a.z4, axis=(1, 2, 3), out=a.mean4)
    np.multiply(a.mean4, a.C_1_OVER_BATCH_J_K, out=a.mean4)
    a.meet(a.mean4)

    # var4[g] = Σ_{n,j,k} (z4[n,g,j,k] - mean4[g])²/(J K N)
    np.subtract(a.z4, a.mean4[:, None, None, None], out=a.u_gjkn)
    np.multiply(a.u_gjkn, a.u_gjkn, out=a.u_gjkn)
    np.add.reduce(a.u_gjkn, axis=(1, 2, 3), out=a.var4)
    np.multiply(a.var4, a.C_1_OVER_BATCH_J_K, out=a.var4)
    a.meet(a.var4)

    # rstd4[g] = 1/√(var4[g] + 1e-05)
    np.add(a.var4, a.C_0_00001, out=a.rstd4)
    np.sqrt(a.rstd4, out=a.rstd4)
    np.divide(a.ONE, a.rstd4, out=a.rstd4)

    # xhat4[n,g,j,k] = (z4[n,g,j,k] - mean4[g]) rstd4[g]
    np.subtract(a.z4, a.mean4[:, None, None, None], out=a.xhat4)
    np.multiply(a.xhat4, a.rstd4[:, None, None, None], out=a.xhat4)

    # y4[n,g,j,k] = block2_skip_norm_gain[g] xhat4[n,g,j,k] + block2_skip_norm_shift[g]
    np.multiply(a.xhat4, p.block2_skip_norm_gain[:, None, None, None], out=a.y4)
    np.add(a.y4, p.block2_skip_norm_shift[:, None, None, None], out=a.y4)

    # relu3_pad1[n,f,r,t] = relu3[n,f,r-1,t-1] (0 outside)
    np.copyto(a.relu3_pad1[:, 1:, 1:, :], a.relu3)

    # z5[n,g,j,k] = Σ_{f,u,v} block2_conv1_W[g,f,u,v] relu3_pad1[n,f,2 j + u,2 k + v]
    for tile in a.TILES_J_FKNUV:
        np.copyto(a.u_fuvj_kn, a.relu3_pad1_fjknuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            p.block2_conv1_W.reshape(G, F * U * V),
            a.u_fuvj_kn.reshape(F * U * V, -1),
            out=a.z5[:, tile].reshape(G, -1),
        )

    # mean5[g] = Σ_{n,j,k} z5[n,g,j,k]/(J K N)
    np.add.reduce(a.z5, axis=(1, 2, 3), out=a.mean5)
    np.multiply(a.mean5, a.C_1_OVER_BATCH_J_K, out=a.mean5)
    a.meet(a.mean5)

    # var5[g] = Σ_{n,j,k} (z5[n,g,j,k] - mean5[g])²/(J K N)
    np.subtract(a.z5, a.mean5[:, None, None, None], out=a.u_gjkn)
    np.multiply(a.u_gjkn, a.u_gjkn, out=a.u_gjkn)
    np.add.reduce(a.u_gjkn, axis=(1, 2, 3), out=a.var5)
    np.multiply(a.var5, a.C_1_OVER_BATCH_J_K, out=a.var5)
    a.meet(a.var5)

    # rstd5[g] = 1/√(var5[g] + 1e-05)
    np.add(a.var5, a.C_0_00001, out=a.rstd5)
    np.sqrt(a.rstd5, out=a.rstd5)
    np.divide(a.ONE, a.rstd5, out=a.rstd5)

    # xhat5[n,g,j,k] = (z5[n,g,j,k] - mean5[g]) rstd5[g]
    np.subtract(a.z5, a.mean5[:, None, None, None], out=a.xhat5)
    np.multiply(a.xhat5, a.rstd5[:, None, None, None], out=a.xhat5)

    # y5[n,g,j,k] = block2_conv1_norm_gain[g] xhat5[n,g,j,k] + block2_conv1_norm_shift[g]
    np.multiply(a.xhat5, p.block2_conv1_norm_gain[:, None, None, None], out=a.y5)
    np.add(a.y5, p.block2_conv1_norm_shift[:, None, None, None], out=a.y5)

    # relu4[n,g,j,k] = max(0, y5[n,g,j,k])
    np.maximum(a.y5, a.ZERO, out=a.relu4)

    # relu4_pad1[n,g,a2,b2] = relu4[n,g,a2-1,b2-1] (0 outside)
    np.copyto(a.relu4_pad1[:, 1:-1, 1:-1, :], a.relu4)

    # z6[n,s,j,k] = Σ_{g,u,v} block2_conv2_W[s,g,u,v] relu4_pad1[n,g,j+u,k+v]
    for tile in a.TILES_J_GKNUV:
        np.copyto(a.u_guvj_kn, a.relu4_pad1_gjknuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            p.block2_conv2_W.reshape(S, G * U * V),
            a.u_guvj_kn.reshape(G * U * V, -1),
            out=a.z6[:, tile].reshape(S, -1),
        )

    # mean6[s] = Σ_{n,j,k} z6[n,s,j,k]/(J K N)
    np.add.reduce(a.z6, axis=(1, 2, 3), out=a.mean6)
    np.multiply(a.mean6, a.C_1_OVER_BATCH_J_K, out=a.mean6)
    a.meet(a.mean6)

    # var6[s] = Σ_{n,j,k} (z6[n,s,j,k] - mean6[s])²/(J K N)
    np.subtract(a.z6, a.mean6[:, None, None, None], out=a.u_sjkn)
    np.multiply(a.u_sjkn, a.u_sjkn, out=a.u_sjkn)
    np.add.reduce(a.u_sjkn, axis=(1, 2, 3), out=a.var6)
    np.multiply(a.var6, a.C_1_OVER_BATCH_J_K, out=a.var6)
    a.meet(a.var6)

    # rstd6[s] = 1/√(var6[s] + 1e-05)
    np.add(a.var6, a.C_0_00001, out=a.rstd6)
    np.sqrt(a.rstd6, out=a.rstd6)
    np.divide(a.ONE, a.rstd6, out=a.rstd6)

    # xhat6[n,s,j,k] = (z6[n,s,j,k] - mean6[s]) rstd6[s]
    np.subtract(a.z6, a.mean6[:, None, None, None], out=a.xhat6)
    np.multiply(a.xhat6, a.rstd6[:, None, None, None], out=a.xhat6)

    # y6[n,s,j,k] = block2_conv2_norm_gain[s] xhat6[n,s,j,k] + block2_conv2_norm_shift[s]
    np.multiply(a.xhat6, p.block2_conv2_norm_gain[:, None, None, None], out=a.y6)
    np.add(a.y6, p.block2_conv2_norm_shift[:, None, None, None], out=a.y6)

    # sum2[n,g,j,k] = y4[n,g,j,k] + y6[n,g,j,k]
    np.add(a.y6, a.y4, out=a.sum2)

    # h[n,g,j,k] = max(0, sum2[n,g,j,k])
    np.maximum(a.sum2, a.ZERO, out=a.h)

    # pooled1[n,g] = Σ_{j,k} h[n,g,j,k]/(J K)
    np.add.reduce(a.h, axis=(1, 2), out=a.pooled1.T)
    np.multiply(a.pooled1.T, a.C_1_OVER_J_K, out=a.pooled1.T)

    # logits[n,h2] = Σ_g fc_W[g,h2] pooled1[n,g] + fc_b[h2]
    np.dot(p.fc_W.T, a.pooled1.T, out=a.logits)
    np.add(a.logits, p.fc_b[:, None], out=a.logits)


def add_loss(a: Activations, digit: np.ndarray) -> None:
    """Go on from the outputs to the loss."""
    # m[n] = max_h2 logits[n,h2]
    np.maximum.reduce(a.logits, axis=0, out=a.m)

    # e[n,h2] = exp(logits[n,h2] - m[n])
    np.subtract(a.logits, a.m, out=a.e)
    np.exp(a.e, out=a.e)

    # s[n] = Σ_h2 e[n,h2]
    np.dot(a.ONES_H2, a.e, out=a.s)

    # average[n] = Σ_h2 logits[n,h2]/H2
    np.dot(a.MEAN_H2, a.logits, out=a.average)

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


def infer(p: Params, a: Activations, x: np.ndarray) -> None:
    """Compute the outputs as they are predicted."""
    N = a.N

    # shaped1[n,c,h,w] = x[n,64 c + 8 h + w]
    np.copyto(a.shaped1, x.reshape(-1, C, H, W).transpose(1, 2, 3, 0))

    # shaped1_pad[n,c,a,b] = shaped1[n,c,a-1,b-1] (0 outside)
    np.copyto(a.shaped1_pad[:, 1:-1, 1:-1, :], a.shaped1)

    # z1[n,f,h,w] = Σ_{c,u,v} stem_W[f,c,u,v] shaped1_pad[n,c,h+u,v+w]
    for tile in a.TILES_H_CNUVW:
        np.copyto(a.u_cuvh_wn, a.shaped1_pad_chwnuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            p.stem_W.reshape(F, C * U * V),
            a.u_cuvh_wn.reshape(C * U * V, -1),
            out=a.z1[:, tile].reshape(F, -1),
        )

    # mean1[f] = stem_norm_mean[f]
    np.copyto(a.mean1, p.stem_norm_mean)

    # var1[f] = stem_norm_var[f]
    np.copyto(a.var1, p.stem_norm_var)

    # rstd1[f] = 1/√(var1[f] + 1e-05)
    np.add(a.var1, a.C_0_00001, out=a.rstd1)
    np.sqrt(a.rstd1, out=a.rstd1)
    np.divide(a.ONE, a.rstd1, out=a.rstd1)

    # xhat1[n,f,h,w] = (z1[n,f,h,w] - mean1[f]) rstd1[f]
    np.subtract(a.z1, a.mean1[:, None, None, None], out=a.xhat1)
    np.multiply(a.xhat1, a.rstd1[:, None, None, None], out=a.xhat1)

    # y1[n,f,h,w] = stem_norm_gain[f] xhat1[n,f,h,w] + stem_norm_shift[f]
    np.multiply(a.xhat1, p.stem_norm_gain[:, None, None, None], out=a.y1)
    np.add(a.y1, p.stem_norm_shift[:, None, None, None], out=a.y1)

    # relu1[n,f,h,w] = max(0, y1[n,f,h,w])
    np.maximum(a.y1, a.ZERO, out=a.relu1)

    # relu1_pad1[n,f,a,b] = relu1[n,f,a-1,b-1] (0 outside)
    np.copyto(a.relu1_pad1[:, 1:-1, 1:-1, :], a.relu1)

    # z2[n,e,h,w] = Σ_{f,u,v} block1_conv1_W[e,f,u,v] relu1_pad1[n,f,h+u,v+w]
    for tile in a.TILES_H_FNUVW:
        np.copyto(a.u_fuvh_wn, a.relu1_pad1_fhwnuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            p.block1_conv1_W.reshape(E, F * U * V),
            a.u_fuvh_wn.reshape(F * U * V, -1),
            out=a.z2[:, tile].reshape(E, -1),
        )

    # mean2[e] = block1_conv1_norm_mean[e]
    np.copyto(a.mean2, p.block1_conv1_norm_mean)

    # var2[e] = block1_conv1_norm_var[e]
    np.copyto(a.var2, p.block1_conv1_norm_var)

    # rstd2[e] = 1/√(var2[e] + 1e-05)
    np.add(a.var2, a.C_0_00001, out=a.rstd2)
    np.sqrt(a.rstd2, out=a.rstd2)
    np.divide(a.ONE, a.rstd2, out=a.rstd2)

    # xhat2[n,e,h,w] = (z2[n,e,h,w] - mean2[e]) rstd2[e]
    np.subtract(a.z2, a.mean2[:, None, None, None], out=a.xhat2)
    np.multiply(a.xhat2, a.rstd2[:, None, None, None], out=a.xhat2)

    # y2[n,e,h,w] = block1_conv1_norm_gain[e] xhat2[n,e,h,w] + block1_conv1_norm_shift[e]
    np.multiply(a.xhat2, p.block1_conv1_norm_gain[:, None, None, None], out=a.y2)
    np.add(a.y2, p.block1_conv1_norm_shift[:, None, None, None], out=a.y2)

    # relu2[n,e,h,w] = max(0, y2[n,e,h,w])
    np.maximum(a.y2, a.ZERO, out=a.relu2)

    # relu2_pad1[n,e,a,b] = relu2[n,e,a-1,b-1] (0 outside)
    np.copyto(a.relu2_pad1[:, 1:-1, 1:-1, :], a.relu2)

    # z3[n,f,h,w] = Σ_{e,u,v} block1_conv2_W[f,e,u,v] relu2_pad1[n,e,h+u,v+w]
    for tile in a.TILES_H_ENUVW:
        np.copyto(a.u_euvh_wn, a.relu2_pad1_ehwnuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            p.block1_conv2_W.reshape(F, E * U * V),
            a.u_euvh_wn.reshape(E * U * V, -1),
            out=a.z3[:, tile].reshape(F, -1),
        )

    # mean3[f] = block1_conv2_norm_mean[f]
    np.copyto(a.mean3, p.block1_conv2_norm_mean)

    # var3[f] = block1_conv2_norm_var[f]
    np.copyto(a.var3, p.block1_conv2_norm_var)

    # rstd3[f] = 1/√(var3[f] + 1e-05)
    np.add(a.var3, a.C_0_00001, out=a.rstd3)
    np.sqrt(a.rstd3, out=a.rstd3)
    np.divide(a.ONE, a.rstd3, out=a.rstd3)

    # xhat3[n,f,h,w] = (z3[n,f,h,w] - mean3[f]) rstd3[f]
    np.subtract(a.z3, a.mean3[:, None, None, None], out=a.xhat3)
    np.multiply(a.xhat3, a.rstd3[:, None, None, None], out=a.xhat3)

    # y3[n,f,h,w] = block1_conv2_norm_gain[f] xhat3[n,f,h,w] + block1_conv2_norm_shift[f]
    np.multiply(a.xhat3, p.block1_conv2_norm_gain[:, None, None, None], out=a.y3)
    np.add(a.y3, p.block1_conv2_norm_shift[:, None, None, None], out=a.y3)

    # sum1[n,f,h,w] = relu1[n,f,h,w] + y3[n,f,h,w]
    np.add(a.y3, a.relu1, out=a.sum1)

    # relu3[n,f,h,w] = max(0, sum1[n,f,h,w])
    np.maximum(a.sum1, a.ZERO, out=a.relu3)

    # z4[n,g,j,k] = Σ_f block2_skip_W[g,f,0,0] relu3[n,f,2 j,2 k]
    np.copyto(a.u_fg, p.block2_skip_W[:, :, 0, 0].T)
    np.copyto(a.v_fjkn, a.relu3[:, ::2, ::2, :])
    np.matmul(
        a.u_fg.swapaxes(-1, -2), a.v_fjkn.reshape(F, J * K * N), out=a.z4.reshape(G, J * K * N)
    )

    # mean4[g] = block2_skip_norm_mean[g]
    np.copyto(a.mean4, p.block2_skip_norm_mean)

    # var4[g] = block2_skip_norm_var[g]
    np.copyto(a.var4, p.block2_skip_norm_var)

    # rstd4[g] = 1/√(var4[g] + 1e-05)
    np.add(a.var4, a.C_0_00001, out=a.rstd4)
    np.sqrt(a.rstd4, out=a.rstd4)
    np.divide(a.ONE, a.rstd4, out=a.rstd4)

    # xhat4[n,g,j,k] = (z4[n,g,j,k] - mean4[g]) rstd4[g]
    np.subtract(a.z4, a.mean4[:, None, None, None], out=a.xhat4)
    np.multiply(a.xhat4, a.rstd4[:, None, None, None], out=a.xhat4)

    # y4[n,g,j,k] = block2_skip_norm_gain[g] xhat4[n,g,j,k] + block2_skip_norm_shift[g]
    np.multiply(a.xhat4, p.block2_skip_norm_gain[:, None, None, None], out=a.y4)
    np.add(a.y4, p.block2_skip_norm_shift[:, None, None, None], out=a.y4)

    # relu3_pad1[n,f,r,t] = relu3[n,f,r-1,t-1] (0 outside)
    np.copyto(a.relu3_pad1[:, 1:, 1:, :], a.relu3)

    # z5[n,g,j,k] = Σ_{f,u,v} block2_conv1_W[g,f,u,v] relu3_pad1[n,f,2 j + u,2 k + v]
    for tile in a.TILES_J_FKNUV:
        np.copyto(a.u_fuvj_kn, a.relu3_pad1_fjknuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            p.block2_conv1_W.reshape(G, F * U * V),
            a.u_fuvj_kn.reshape(F * U * V, -1),
            out=a.z5[:, tile].reshape(G, -1),
        )

    # mean5[g] = block2_conv1_norm_mean[g]
    np.copyto(a.mean5, p.block2_conv1_norm_mean)

    # var5[g] = block2_conv1_norm_var[g]
    np.copyto(a.var5, p.block2_conv1_norm_var)

    # rstd5[g] = 1/√(var5[g] + 1e-05)
    np.add(a.var5, a.C_0_00001, out=a.rstd5)
    np.sqrt(a.rstd5, out=a.rstd5)
    np.divide(a.ONE, a.rstd5, out=a.rstd5)

    # xhat5[n,g,j,k] = (z5[n,g,j,k] - mean5[g]) rstd5[g]
    np.subtract(a.z5, a.mean5[:, None, None, None], out=a.xhat5)
    np.multiply(a.xhat5, a.rstd5[:, None, None, None], out=a.xhat5)

    # y5[n,g,j,k] = block2_conv1_norm_gain[g] xhat5[n,g,j,k] + block2_conv1_norm_shift[g]
    np.multiply(a.xhat5, p.block2_conv1_norm_gain[:, None, None, None], out=a.y5)
    np.add(a.y5, p.block2_conv1_norm_shift[:, None, None, None], out=a.y5)

    # relu4[n,g,j,k] = max(0, y5[n,g,j,k])
    np.maximum(a.y5, a.ZERO, out=a.relu4)

    # relu4_pad1[n,g,a2,b2] = relu4[n,g,a2-1,b2-1] (0 outside)
    np.copyto(a.relu4_pad1[:, 1:-1, 1:-1, :], a.relu4)

    # z6[n,s,j,k] = Σ_{g,u,v} block2_conv2_W[s,g,u,v] relu4_pad1[n,g,j+u,k+v]
    for tile in a.TILES_J_GKNUV:
        np.copyto(a.u_guvj_kn, a.relu4_pad1_gjknuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            p.block2_conv2_W.reshape(S, G * U * V),
            a.u_guvj_kn.reshape(G * U * V, -1),
            out=a.z6[:, tile].reshape(S, -1),
        )

    # mean6[s] = block2_conv2_norm_mean[s]
    np.copyto(a.mean6, p.block2_conv2_norm_mean)

    # var6[s] = block2_conv2_norm_var[s]
    np.copyto(a.var6, p.block2_conv2_norm_var)

    # rstd6[s] = 1/√(var6[s] + 1e-05)
    np.add(a.var6, a.C_0_00001, out=a.rstd6)
    np.sqrt(a.rstd6, out=a.rstd6)
    np.divide(a.ONE, a.rstd6, out=a.rstd6)

    # xhat6[n,s,j,k] = (z6[n,s,j,k] - mean6[s]) rstd6[s]
    np.subtract(a.z6, a.mean6[:, None, None, None], out=a.xhat6)
    np.multiply(a.xhat6, a.rstd6[:, None, None, None], out=a.xhat6)

    # y6[n,s,j,k] = block2_conv2_norm_gain[s] xhat6[n,s,j,k] + block2_conv2_norm_shift[s]
    np.multiply(a.xhat6, p.block2_conv2_norm_gain[:, None, None, None], out=a.y6)
    np.add(a.y6, p.block2_conv2_norm_shift[:, None, None, None], out=a.y6)

    # sum2[n,g,j,k] = y4[n,g,j,k] + y6[n,g,j,k]
    np.add(a.y6, a.y4, out=a.sum2)

    # h[n,g,j,k] = max(0, sum2[n,g,j,k])
    np.maximum(a.sum2, a.ZERO, out=a.h)

    # pooled1[n,g] = Σ_{j,k} h[n,g,j,k]/(J K)
    np.add.reduce(a.h, axis=(1, 2), out=a.pooled1.T)
    np.multiply(a.pooled1.T, a.C_1_OVER_J_K, out=a.pooled1.T)

    # logits[n,h2] = Σ_g fc_W[g,h2] pooled1[n,g] + fc_b[h2]
    np.dot(p.fc_W.T, a.pooled1.T, out=a.logits)
    np.add(a.logits, p.fc_b[:, None], out=a.logits)


def advance(p: Params, a: Workspace) -> None:
    """Give every state its next value, from what the forward pass left in `a`."""
    # stem_norm_mean[f] ← 0.9 stem_norm_mean[f] + 0.1 mean1[f]
    np.multiply(p.stem_norm_mean, a.C_0_9, out=p.stem_norm_mean)
    np.multiply(a.mean1, a.C_0_1, out=a.u_f)
    np.add(p.stem_norm_mean, a.u_f, out=p.stem_norm_mean)

    # stem_norm_var[f] ← 0.9 stem_norm_var[f] + 0.1 H N W var1[f]/max(1, H N W - 1)
    np.multiply(a.var1, a.C_STEM_NORM_VAR, out=a.u_f)
    np.multiply(p.stem_norm_var, a.C_0_9, out=p.stem_norm_var)
    np.add(a.u_f, p.stem_norm_var, out=p.stem_norm_var)

    # block1_conv1_norm_mean[e] ← 0.9 block1_conv1_norm_mean[e] + 0.1 mean2[e]
    np.multiply(p.block1_conv1_norm_mean, a.C_0_9, out=p.block1_conv1_norm_mean)
    np.multiply(a.mean2, a.C_0_1, out=a.u_e)
    np.add(p.block1_conv1_norm_mean, a.u_e, out=p.block1_conv1_norm_mean)

    # block1_conv1_norm_var[e] ← 0.9 block1_conv1_norm_var[e] + 0.1 H N W var2[e]/max(1, H N W - 1)
    np.multiply(a.var2, a.C_STEM_NORM_VAR, out=a.u_e)
    np.multiply(p.block1_conv1_norm_var, a.C_0_9, out=p.block1_conv1_norm_var)
    np.add(a.u_e, p.block1_conv1_norm_var, out=p.block1_conv1_norm_var)

    # block1_conv2_norm_mean[f] ← 0.9 block1_conv2_norm_mean[f] + 0.1 mean3[f]
    np.multiply(p.block1_conv2_norm_mean, a.C_0_9, out=p.block1_conv2_norm_mean)
    np.multiply(a.mean3, a.C_0_1, out=a.u_f)
    np.add(p.block1_conv2_norm_mean, a.u_f, out=p.block1_conv2_norm_mean)

    # block1_conv2_norm_var[f] ← 0.9 block1_conv2_norm_var[f] + 0.1 H N W var3[f]/max(1, H N W - 1)
    np.multiply(a.var3, a.C_STEM_NORM_VAR, out=a.u_f)
    np.multiply(p.block1_conv2_norm_var, a.C_0_9, out=p.block1_conv2_norm_var)
    np.add(a.u_f, p.block1_conv2_norm_var, out=p.block1_conv2_norm_var)

    # block2_skip_norm_mean[g] ← 0.9 block2_skip_norm_mean[g] + 0.1 mean4[g]
    np.multiply(p.block2_skip_norm_mean, a.C_0_9, out=p.block2_skip_norm_mean)
    np.multiply(a.mean4, a.C_0_1, out=a.u_g)
    np.add(p.block2_skip_norm_mean, a.u_g, out=p.block2_skip_norm_mean)

    # block2_skip_norm_var[g] ← 0.9 block2_skip_norm_var[g] + 0.1 J K N var4[g]/max(1, J K N - 1)
    np.multiply(a.var4, a.C_BLOCK2_SKIP_NORM_VAR, out=a.u_g)
    np.multiply(p.block2_skip_norm_var, a.C_0_9, out=p.block2_skip_norm_var)
    np.add(a.u_g, p.block2_skip_norm_var, out=p.block2_skip_norm_var)

    # block2_conv1_norm_mean[g] ← 0.9 block2_conv1_norm_mean[g] + 0.1 mean5[g]
    np.multiply(p.block2_conv1_norm_mean, a.C_0_9, out=p.block2_conv1_norm_mean)
    np.multiply(a.mean5, a.C_0_1, out=a.u_g)
    np.add(p.block2_conv1_norm_mean, a.u_g, out=p.block2_conv1_norm_mean)

    # block2_conv1_norm_var[g] ← 0.9 block2_conv1_norm_var[g] + 0.1 J K N var5[g]/max(1, J K N - 1)
    np.multiply(a.var5, a.C_BLOCK2_SKIP_NORM_VAR, out=a.u_g)
    np.multiply(p.block2_conv1_norm_var, a.C_0_9, out=p.block2_conv1_norm_var)
    np.add(a.u_g, p.block2_conv1_norm_var, out=p.block2_conv1_norm_var)

    # block2_conv2_norm_mean[s] ← 0.9 block2_conv2_norm_mean[s] + 0.1 mean6[s]
    np.multiply(p.block2_conv2_norm_mean, a.C_0_9, out=p.block2_conv2_norm_mean)
    np.multiply(a.mean6, a.C_0_1, out=a.u_s)
    np.add(p.block2_conv2_norm_mean, a.u_s, out=p.block2_conv2_norm_mean)

    # block2_conv2_norm_var[s] ← 0.9 block2_conv2_norm_var[s] + 0.1 J K N var6[s]/max(1, J K N - 1)
    np.multiply(a.var6, a.C_BLOCK2_SKIP_NORM_VAR, out=a.u_s)
    np.multiply(p.block2_conv2_norm_var, a.C_0_9, out=p.block2_conv2_norm_var)
    np.add(a.u_s, p.block2_conv2_norm_var, out=p.block2_conv2_norm_var)


def backward(p: Params, g: Grads, a: Workspace, digit: np.ndarray) -> None:
    """Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`."""
    # p[n,h2] = e[n,h2]/s[n]
    np.divide(a.e, a.s, out=a.p)

    # ∂L/∂logits[n,h2] = (p[n,h2] - 0.1/H2 - 0.9 δ(h2,digit[n]))/N
    a.ONE_HOT_H2.take(digit, axis=1, out=a.d_logits, mode="clip")
    np.multiply(a.d_logits, a.C_0_9, out=a.d_logits)
    np.subtract(a.p, a.d_logits, out=a.d_logits)
    np.subtract(a.d_logits, a.C_0_1_OVER_H2, out=a.d_logits)
    np.multiply(a.d_logits, a.C_1_OVER_BATCH, out=a.d_logits)

    # ∂L/∂fc_W[g,h2] = Σ_n pooled1[n,g] ∂L/∂logits[n,h2]
    np.dot(a.pooled1.T, a.d_logits.T, out=g.fc_W)

    # ∂L/∂fc_b[h2] = Σ_n ∂L/∂logits[n,h2]
    np.dot(a.d_logits, a.ONES_N, out=g.fc_b)

    # ∂L/∂pooled1[n,g] = Σ_h2 fc_W[g,h2] ∂L/∂logits[n,h2]
    np.dot(a.d_logits.T, p.fc_W.T, out=a.d_pooled1)

    # ∂L/∂sum2[n,g,j,k] = [sum2[n,g,j,k] > 0] ∂L/∂pooled1[n,g]/(J K)
    np.greater(a.sum2, a.ZERO, out=a.d_sum2)
    np.multiply(a.d_pooled1.T, a.C_1_OVER_J_K, out=a.u_gn)
    np.multiply(a.d_sum2, a.u_gn[:, None, None, :], out=a.d_sum2)

    # ∂L/∂block2_conv2_norm_gain[s] = Σ_{n,j,k} xhat6[n,s,j,k] ∂L/∂sum2[n,s,j,k]
    np.einsum("sjkn,sjkn->s", a.d_sum2, a.xhat6, out=g.block2_conv2_norm_gain)

    # ∂L/∂block2_conv2_norm_shift[s] = Σ_{n,j,k} ∂L/∂sum2[n,s,j,k]
    np.add.reduce(a.d_sum2, axis=(1, 2, 3), out=g.block2_conv2_norm_shift)

    # ∂L/∂xhat6[n,s,j,k] = block2_conv2_norm_gain[s] ∂L/∂sum2[n,s,j,k]
    np.multiply(a.d_sum2, p.block2_conv2_norm_gain[:, None, None, None], out=a.d_xhat6)

    # xhat6_dot_d_xhat6[s] = Σ_{n,j,k} xhat6[n,s,j,k] ∂L/∂xhat6[n,s,j,k]
    np.einsum("sjkn,sjkn->s", a.d_xhat6, a.xhat6, out=a.xhat6_dot_d_xhat6)
    a.meet(a.xhat6_dot_d_xhat6)

    # sum_d_xhat6[s] = Σ_{n,j,k} ∂L/∂xhat6[n,s,j,k]
    np.add.reduce(a.d_xhat6, axis=(1, 2, 3), out=a.sum_d_xhat6)
    a.meet(a.sum_d_xhat6)

    # ∂L/∂z6[n,s,j,k] = rstd6[s] (∂L/∂xhat6[n,s,j,k] - xhat6[n,s,j,k] xhat6_dot_d_xhat6[s]/(J K N) -
    #     sum_d_xhat6[s]/(J K N))
    np.multiply(a.xhat6_dot_d_xhat6, a.C_1_OVER_BATCH_J_K, out=a.u_s)
    np.multiply(a.xhat6, a.u_s[:, None, None, None], out=a.d_z6)
    np.subtract(a.d_xhat6, a.d_z6, out=a.d_z6)
    np.multiply(a.sum_d_xhat6, a.C_1_OVER_BATCH_J_K, out=a.u_s)
    np.subtract(a.d_z6, a.u_s[:, None, None, None], out=a.d_z6)
    np.multiply(a.d_z6, a.rstd6[:, None, None, None], out=a.d_z6)

    # ∂L/∂block2_conv2_W[s,g,u,v] = Σ_{n,j,k} relu4_pad1[n,g,j+u,k+v] ∂L/∂z6[n,s,j,k]
    a.v_guvs[...] = 0
    for tile in a.TILES_J_GKNUV:
        np.copyto(a.u_guvj_kn, a.relu4_pad1_gjknuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            a.u_guvj_kn.reshape(G * U * V, -1),
            a.d_z6[:, tile].reshape(S, -1).swapaxes(-1, -2),
            out=a.w_guvs.reshape(G * U * V, S),
        )
        np.add(a.v_guvs, a.w_guvs, out=a.v_guvs)
    np.copyto(g.block2_conv2_W, a.v_guvs.transpose(3, 0, 1, 2))

    # ∂L/∂relu4_pad1[n,g,a2,b2] = Σ_{s,u,v} block2_conv2_W[s,g,u,v] (∂L/∂z6[n,s,a2-u,b2-v] (0
    #     outside))
    a.d_relu4_pad1[...] = 0
    for tile in a.TILES_J_GKNUV:
        np.matmul(
            p.block2_conv2_W.reshape(S, G * U * V).swapaxes(-1, -2),
            a.d_z6[:, tile].reshape(S, -1),
            out=a.u_guvj_kn.reshape(G * U * V, -1),
        )
        for u, v in np.ndindex(U, V):
            part = a.d_relu4_pad1[:, tile.start + u : tile.stop + u, v : v + K]
            np.add(part, a.u_guvj_kn[:, u, v], out=part)

    # ∂L/∂y5[n,g,j,k] = [y5[n,g,j,k] > 0] ∂L/∂relu4_pad1[n,g,j+1,k+1]
    np.greater(a.y5, a.ZERO, out=a.d_y5)
    np.multiply(a.d_y5, a.d_relu4_pad1[:, 1:5, 1:5, :], out=a.d_y5)

    # ∂L/∂block2_conv1_norm_gain[g] = Σ_{n,j,k} xhat5[n,g,j,k] ∂L/∂y5[n,g,j,k]
    np.einsum("gjkn,gjkn->g", a.d_y5, a.xhat5, out=g.block2_conv1_norm_gain)

    # ∂L/∂block2_conv1_norm_shift[g] = Σ_{n,j,k} ∂L/∂y5[n,g,j,k]
    np.add.reduce(a.d_y5, axis=(1, 2, 3), out=g.block2_conv1_norm_shift)

    # ∂L/∂xhat5[n,g,j,k] = block2_conv1_norm_gain[g] ∂L/∂y5[n,g,j,k]
    np.multiply(a.d_y5, p.block2_conv1_norm_gain[:, None, None, None], out=a.d_xhat5)

    # xhat5_dot_d_xhat5[g] = Σ_{n,j,k} xhat5[n,g,j,k] ∂L/∂xhat5[n,g,j,k]
    np.einsum("gjkn,gjkn->g", a.d_xhat5, a.xhat5, out=a.xhat5_dot_d_xhat5)
    a.meet(a.xhat5_dot_d_xhat5)

    # sum_d_xhat5[g] = Σ_{n,j,k} ∂L/∂xhat5[n,g,j,k]
    np.add.reduce(a.d_xhat5, axis=(1, 2, 3), out=a.sum_d_xhat5)
    a.meet(a.sum_d_xhat5)

    # ∂L/∂z5[n,g,j,k] = rstd5[g] (∂L/∂xhat5[n,g,j,k] - xhat5[n,g,j,k] xhat5_dot_d_xhat5[g]/(J K N) -
    #     sum_d_xhat5[g]/(J K N))
    np.multiply(a.xhat5_dot_d_xhat5, a.C_1_OVER_BATCH_J_K, out=a.u_g)
    np.multiply(a.xhat5, a.u_g[:, None, None, None], out=a.d_z5)
    np.subtract(a.d_xhat5, a.d_z5, out=a.d_z5)
    np.multiply(a.sum_d_xhat5, a.C_1_OVER_BATCH_J_K, out=a.u_g)
    np.subtract(a.d_z5, a.u_g[:, None, None, None], out=a.d_z5)
    np.multiply(a.d_z5, a.rstd5[:, None, None, None], out=a.d_z5)

    # ∂L/∂block2_conv1_W[g,f,u,v] = Σ_{n,j,k} relu3_pad1[n,f,2 j + u,2 k + v] ∂L/∂z5[n,g,j,k]
    a.v_fuvg[...] = 0
    for tile in a.TILES_J_FKNUV:
        np.copyto(a.u_fuvj_kn, a.relu3_pad1_fjknuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            a.u_fuvj_kn.reshape(F * U * V, -1),
            a.d_z5[:, tile].reshape(G, -1).swapaxes(-1, -2),
            out=a.w_fuvg.reshape(F * U * V, G),
        )
        np.add(a.v_fuvg, a.w_fuvg, out=a.v_fuvg)
    np.copyto(g.block2_conv1_W, a.v_fuvg.transpose(3, 0, 1, 2))

    # padded_block2_conv1_W[g,f,k,j] = block2_conv1_W[g,f,k,j] (0 outside)
    np.copyto(a.padded_block2_conv1_W[:, :, :-1, :-1], p.block2_conv1_W)

    # split_d_relu3_pad1[n,f,y,r2,x,k2] = Σ_{g,z,j2} padded_block2_conv1_W[g,f,2 z + y,2 j2 + r2]
    #     (∂L/∂z5[n,g,x-z,k2-j2] (0 outside))
    np.copyto(
        a.u_fyr2j2zg,
        a.padded_block2_conv1_W.reshape(G, F, Z, Y, J2, R2).transpose(1, 3, 5, 4, 2, 0),
    )
    a.split_d_relu3_pad1[...] = 0
    for tile in a.TILES_J_FJ2KNR2YZ:
        np.matmul(
            a.u_fyr2j2zg.reshape(F * Y * R2 * J2 * Z, G),
            a.d_z5[:, tile].reshape(G, -1),
            out=a.v_fyr2j2zj_kn.reshape(F * Y * R2 * J2 * Z, -1),
        )
        for j2, z in np.ndindex(J2, Z):
            part = a.split_d_relu3_pad1[:, :, :, tile.start + z : tile.stop + z, j2 : j2 + K]
            np.add(part, a.v_fyr2j2zj_kn[:, :, :, j2, z], out=part)

    # joined_d_relu3_pad1[n,f,2 x + y,2 k2 + r2] = split_d_relu3_pad1[n,f,y,r2,x,k2]
    np.copyto(
        a.joined_d_relu3_pad1.reshape(F, X, Y, K2, R2, -1),
        a.split_d_relu3_pad1.transpose(0, 3, 1, 4, 2, 5),
    )

    # ∂L/∂block2_skip_norm_gain[g] = Σ_{n,j,k} xhat4[n,g,j,k] ∂L/∂sum2[n,g,j,k]
    np.einsum("gjkn,gjkn->g", a.d_sum2, a.xhat4, out=g.block2_skip_norm_gain)

    # ∂L/∂block2_skip_norm_shift[g] = Σ_{n,j,k} ∂L/∂sum2[n,g,j,k]
    np.add.reduce(a.d_sum2, axis=(1, 2, 3), out=g.block2_skip_norm_shift)

    # ∂L/∂xhat4[n,g,j,k] = block2_skip_norm_gain[g] ∂L/∂sum2[n,g,j,k]
    np.multiply(a.d_sum2, p.block2_skip_norm_gain[:, None, None, None], out=a.d_xhat4)

    # xhat4_dot_d_xhat4[g] = Σ_{n,j,k} xhat4[n,g,j,k] ∂L/∂xhat4[n,g,j,k]
    np.einsum("gjkn,gjkn->g", a.d_xhat4, a.xhat4, out=a.xhat4_dot_d_xhat4)
    a.meet(a.xhat4_dot_d_xhat4)

    # sum_d_xhat4[g] = Σ_{n,j,k} ∂L/∂xhat4[n,g,j,k]
    np.add.reduce(a.d_xhat4, axis=(1, 2, 3), out=a.sum_d_xhat4)
    a.meet(a.sum_d_xhat4)

    # ∂L/∂z4[n,g,j,k] = rstd4[g] (∂L/∂xhat4[n,g,j,k] - xhat4[n,g,j,k] xhat4_dot_d_xhat4[g]/(J K N) -
    #     sum_d_xhat4[g]/(J K N))
    np.multiply(a.xhat4_dot_d_xhat4, a.C_1_OVER_BATCH_J_K, out=a.u_g)
    np.multiply(a.xhat4, a.u_g[:, None, None, None], out=a.d_z4)
    np.subtract(a.d_xhat4, a.d_z4, out=a.d_z4)
    np.multiply(a.sum_d_xhat4, a.C_1_OVER_BATCH_J_K, out=a.u_g)
    np.subtract(a.d_z4, a.u_g[:, None, None, None], out=a.d_z4)
    np.multiply(a.d_z4, a.rstd4[:, None, None, None], out=a.d_z4)

    # relu3_dot_d_z4[g,f] = Σ_{n,j,k} relu3[n,f,2 j,2 k] ∂L/∂z4[n,g,j,k]
    a.relu3_dot_d_z4[...] = 0
    for tile in a.TILES_J_FKN:
        np.copyto(a.u_fj_kn, a.relu3[:, ::2, ::2, :][:, tile])
        np.matmul(
            a.d_z4[:, tile].reshape(G, -1), a.u_fj_kn.reshape(F, -1).swapaxes(-1, -2), out=a.v_gf
        )
        np.add(a.relu3_dot_d_z4, a.v_gf, out=a.relu3_dot_d_z4)

    # ∂L/∂block2_skip_W[g,f,m,q] = relu3_dot_d_z4[g,f]
    np.copyto(g.block2_skip_W, a.relu3_dot_d_z4[:, :, None, None])

    # split_d_relu3[n,f,y,z,u2,v2] = Σ_g δ(y,0) δ(z,0) block2_skip_W[g,f,0,0] ∂L/∂z4[n,g,u2,v2]
    np.copyto(a.split_d_relu3, a.ZERO)
    np.matmul(p.block2_skip_W[:, :, 0, 0].T, a.d_z4.reshape(G, -1), out=a.u_fu2v2n.reshape(F, -1))
    np.add(a.split_d_relu3[:, 0, 0], a.u_fu2v2n, out=a.split_d_relu3[:, 0, 0])

    # ∂L/∂relu3[n,f,h,w] = joined_d_relu3_pad1[n,f,h+1,w+1] + split_d_relu3[n,f,h % Y,w % Z,h // 2 %
    #     U2,w // 2 % V2]
    np.copyto(a.u_fhwn.reshape(F, U2, Y, V2, Z, -1), a.split_d_relu3.transpose(0, 3, 1, 4, 2, 5))
    np.add(a.u_fhwn, a.joined_d_relu3_pad1[:, 1:9, 1:9, :], out=a.d_relu3)

    # ∂L/∂sum1[n,f,h,w] = [sum1[n,f,h,w] > 0] ∂L/∂relu3[n,f,h,w]
    np.greater(a.sum1, a.ZERO, out=a.d_sum1)
    np.multiply(a.d_sum1, a.d_relu3, out=a.d_sum1)

    # ∂L/∂block1_conv2_norm_gain[f] = Σ_{n,h,w} xhat3[n,f,h,w] ∂L/∂sum1[n,f,h,w]
    np.einsum("fhwn,fhwn->f", a.d_sum1, a.xhat3, out=g.block1_conv2_norm_gain)

    # ∂L/∂block1_conv2_norm_shift[f] = Σ_{n,h,w} ∂L/∂sum1[n,f,h,w]
    np.add.reduce(a.d_sum1, axis=(1, 2, 3), out=g.block1_conv2_norm_shift)

    # ∂L/∂xhat3[n,f,h,w] = block1_conv2_norm_gain[f] ∂L/∂sum1[n,f,h,w]
    np.multiply(a.d_sum1, p.block1_conv2_norm_gain[:, None, None, None], out=a.d_xhat3)

    # xhat3_dot_d_xhat3[f] = Σ_{n,h,w} xhat3[n,f,h,w] ∂L/∂xhat3[n,f,h,w]
    np.einsum("fhwn,fhwn->f", a.d_xhat3, a.xhat3, out=a.xhat3_dot_d_xhat3)
    a.meet(a.xhat3_dot_d_xhat3)

    # sum_d_xhat3[f] = Σ_{n,h,w} ∂L/∂xhat3[n,f,h,w]
    np.add.reduce(a.d_xhat3, axis=(1, 2, 3), out=a.sum_d_xhat3)
    a.meet(a.sum_d_xhat3)

    # ∂L/∂z3[n,f,h,w] = rstd3[f] (∂L/∂xhat3[n,f,h,w] - xhat3[n,f,h,w] xhat3_dot_d_xhat3[f]/(H N W) -
    #     sum_d_xhat3[f]/(H N W))
    np.multiply(a.xhat3_dot_d_xhat3, a.C_1_OVER_BATCH_H_W, out=a.u_f)
    np.multiply(a.xhat3, a.u_f[:, None, None, None], out=a.d_z3)
    np.subtract(a.d_xhat3, a.d_z3, out=a.d_z3)
    np.multiply(a.sum_d_xhat3, a.C_1_OVER_BATCH_H_W, out=a.u_f)
    np.subtract(a.d_z3, a.u_f[:, None, None, None], out=a.d_z3)
    np.multiply(a.d_z3, a.rstd3[:, None, None, None], out=a.d_z3)

    # ∂L/∂block1_conv2_W[f,e,u,v] = Σ_{n,h,w} relu2_pad1[n,e,h+u,v+w] ∂L/∂z3[n,f,h,w]
    a.v_euvf[...] = 0
    for tile in a.TILES_H_ENUVW:
        np.copyto(a.u_euvh_wn, a.relu2_pad1_ehwnuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            a.u_euvh_wn.reshape(E * U * V, -1),
            a.d_z3[:, tile].reshape(F, -1).swapaxes(-1, -2),
            out=a.w_euvf.reshape(E * U * V, F),
        )
        np.add(a.v_euvf, a.w_euvf, out=a.v_euvf)
    np.copyto(g.block1_conv2_W, a.v_euvf.transpose(3, 0, 1, 2))

    # ∂L/∂relu2_pad1[n,e,a,b] = Σ_{f,u,v} block1_conv2_W[f,e,u,v] (∂L/∂z3[n,f,a-u,b-v] (0 outside))
    a.d_relu2_pad1[...] = 0
    for tile in a.TILES_H_ENUVW:
        np.matmul(
            p.block1_conv2_W.reshape(F, E * U * V).swapaxes(-1, -2),
            a.d_z3[:, tile].reshape(F, -1),
            out=a.u_euvh_wn.reshape(E * U * V, -1),
        )
        for u, v in np.ndindex(U, V):
            part = a.d_relu2_pad1[:, tile.start + u : tile.stop + u, v : v + W]
            np.add(part, a.u_euvh_wn[:, u, v], out=part)

    # ∂L/∂y2[n,e,h,w] = [y2[n,e,h,w] > 0] ∂L/∂relu2_pad1[n,e,h+1,w+1]
    np.greater(a.y2, a.ZERO, out=a.d_y2)
    np.multiply(a.d_y2, a.d_relu2_pad1[:, 1:9, 1:9, :], out=a.d_y2)

    # ∂L/∂block1_conv1_norm_gain[e] = Σ_{n,h,w} xhat2[n,e,h,w] ∂L/∂y2[n,e,h,w]
    np.einsum("ehwn,ehwn->e", a.d_y2, a.xhat2, out=g.block1_conv1_norm_gain)

    # ∂L/∂block1_conv1_norm_shift[e] = Σ_{n,h,w} ∂L/∂y2[n,e,h,w]
    np.add.reduce(a.d_y2, axis=(1, 2, 3), out=g.block1_conv1_norm_shift)

    # ∂L/∂xhat2[n,e,h,w] = block1_conv1_norm_gain[e] ∂L/∂y2[n,e,h,w]
    np.multiply(a.d_y2, p.block1_conv1_norm_gain[:, None, None, None], out=a.d_xhat2)

    # xhat2_dot_d_xhat2[e] = Σ_{n,h,w} xhat2[n,e,h,w] ∂L/∂xhat2[n,e,h,w]
    np.einsum("ehwn,ehwn->e", a.d_xhat2, a.xhat2, out=a.xhat2_dot_d_xhat2)
    a.meet(a.xhat2_dot_d_xhat2)

    # sum_d_xhat2[e] = Σ_{n,h,w} ∂L/∂xhat2[n,e,h,w]
    np.add.reduce(a.d_xhat2, axis=(1, 2, 3), out=a.sum_d_xhat2)
    a.meet(a.sum_d_xhat2)

    # ∂L/∂z2[n,e,h,w] = rstd2[e] (∂L/∂xhat2[n,e,h,w] - xhat2[n,e,h,w] xhat2_dot_d_xhat2[e]/(H N W) -
    #     sum_d_xhat2[e]/(H N W))
    np.multiply(a.xhat2_dot_d_xhat2, a.C_1_OVER_BATCH_H_W, out=a.u_e)
    np.multiply(a.xhat2, a.u_e[:, None, None, None], out=a.d_z2)
    np.subtract(a.d_xhat2, a.d_z2, out=a.d_z2)
    np.multiply(a.sum_d_xhat2, a.C_1_OVER_BATCH_H_W, out=a.u_e)
    np.subtract(a.d_z2, a.u_e[:, None, None, None], out=a.d_z2)
    np.multiply(a.d_z2, a.rstd2[:, None, None, None], out=a.d_z2)

    # ∂L/∂block1_conv1_W[e,f,u,v] = Σ_{n,h,w} relu1_pad1[n,f,h+u,v+w] ∂L/∂z2[n,e,h,w]
    a.v_fuve[...] = 0
    for tile in a.TILES_H_FNUVW:
        np.copyto(a.u_fuvh_wn, a.relu1_pad1_fhwnuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            a.u_fuvh_wn.reshape(F * U * V, -1),
            a.d_z2[:, tile].reshape(E, -1).swapaxes(-1, -2),
            out=a.w_fuve.reshape(F * U * V, E),
        )
        np.add(a.v_fuve, a.w_fuve, out=a.v_fuve)
    np.copyto(g.block1_conv1_W, a.v_fuve.transpose(3, 0, 1, 2))

    # ∂L/∂relu1_pad1[n,f,a,b] = Σ_{e,u,v} block1_conv1_W[e,f,u,v] (∂L/∂z2[n,e,a-u,b-v] (0 outside))
    a.d_relu1_pad1[...] = 0
    for tile in a.TILES_H_FNUVW:
        np.matmul(
            p.block1_conv1_W.reshape(E, F * U * V).swapaxes(-1, -2),
            a.d_z2[:, tile].reshape(E, -1),
            out=a.u_fuvh_wn.reshape(F * U * V, -1),
        )
        for u, v in np.ndindex(U, V):
            part = a.d_relu1_pad1[:, tile.start + u : tile.stop + u, v : v + W]
            np.add(part, a.u_fuvh_wn[:, u, v], out=part)

    # ∂L/∂y1[n,f,h,w] = [y1[n,f,h,w] > 0] (∂L/∂sum1[n,f,h,w] + ∂L/∂relu1_pad1[n,f,h+1,w+1])
    np.add(a.d_sum1, a.d_relu1_pad1[:, 1:9, 1:9, :], out=a.d_y1)
    np.greater(a.y1, a.ZERO, out=a.u_fhwn)
    np.multiply(a.d_y1, a.u_fhwn, out=a.d_y1)

    # ∂L/∂stem_norm_gain[f] = Σ_{n,h,w} xhat1[n,f,h,w] ∂L/∂y1[n,f,h,w]
    np.einsum("fhwn,fhwn->f", a.d_y1, a.xhat1, out=g.stem_norm_gain)

    # ∂L/∂stem_norm_shift[f] = Σ_{n,h,w} ∂L/∂y1[n,f,h,w]
    np.add.reduce(a.d_y1, axis=(1, 2, 3), out=g.stem_norm_shift)

    # ∂L/∂xhat1[n,f,h,w] = stem_norm_gain[f] ∂L/∂y1[n,f,h,w]
    np.multiply(a.d_y1, p.stem_norm_gain[:, None, None, None], out=a.d_xhat1)

    # xhat1_dot_d_xhat1[f] = Σ_{n,h,w} xhat1[n,f,h,w] ∂L/∂xhat1[n,f,h,w]
    np.einsum("fhwn,fhwn->f", a.d_xhat1, a.xhat1, out=a.xhat1_dot_d_xhat1)
    a.meet(a.xhat1_dot_d_xhat1)

    # sum_d_xhat1[f] = Σ_{n,h,w} ∂L/∂xhat1[n,f,h,w]
    np.add.reduce(a.d_xhat1, axis=(1, 2, 3), out=a.sum_d_xhat1)
    a.meet(a.sum_d_xhat1)

    # ∂L/∂z1[n,f,h,w] = rstd1[f] (∂L/∂xhat1[n,f,h,w] - xhat1[n,f,h,w] xhat1_dot_d_xhat1[f]/(H N W) -
    #     sum_d_xhat1[f]/(H N W))
    np.multiply(a.xhat1_dot_d_xhat1, a.C_1_OVER_BATCH_H_W, out=a.u_f)
    np.multiply(a.xhat1, a.u_f[:, None, None, None], out=a.d_z1)
    np.subtract(a.d_xhat1, a.d_z1, out=a.d_z1)
    np.multiply(a.sum_d_xhat1, a.C_1_OVER_BATCH_H_W, out=a.u_f)
    np.subtract(a.d_z1, a.u_f[:, None, None, None], out=a.d_z1)
    np.multiply(a.d_z1, a.rstd1[:, None, None, None], out=a.d_z1)

    # ∂L/∂stem_W[f,c,u,v] = Σ_{n,h,w} shaped1_pad[n,c,h+u,v+w] ∂L/∂z1[n,f,h,w]
    g.stem_W[...] = 0
    for tile in a.TILES_H_CNUVW:
        np.copyto(a.u_cuvh_wn, a.shaped1_pad_chwnuv[:, tile].transpose(0, 4, 5, 1, 2, 3))
        np.matmul(
            a.d_z1[:, tile].reshape(F, -1),
            a.u_cuvh_wn.reshape(C * U * V, -1).swapaxes(-1, -2),
            out=a.v_fcuv.reshape(F, C * U * V),
        )
        np.add(g.stem_W, a.v_fcuv, out=g.stem_W)


def update(p: Params, g: Grads, s: State, t: int) -> None:
    """Change the parameters by the gradient; `t` counts the steps from 1."""
    # lr ← (0.0052 - 0.0048 cos(π (t/134 - 1/134)) if t ≤ 135 else (0.00499998 cos(π (t/315 - 3/7))
    #     + 0.00500002 if t ≤ 450 else 4e-08))
    lr = (
        0.0052 - 0.0048 * math.cos(math.pi * (t / 134 - 1 / 134))
        if t <= 135
        else (
            0.00499998 * math.cos(math.pi * (t / 315 - 3 / 7)) + 0.00500002 if t <= 450 else 4e-08
        )
    )

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

    # θ[i] ← θ[i] - lr_t m[i]/(1e-08 c2 + √v[i]) - 0.05 lr θ[i]
    np.sqrt(s.v, out=s.u_i)
    np.add(s.u_i, 1e-08 * c2, out=s.u_i)
    np.divide(s.m, s.u_i, out=s.u_i)
    np.multiply(s.u_i, lr_t, out=s.u_i)
    np.subtract(p.flat, s.u_i, out=s.u_i)
    np.multiply(p.flat, 0.05 * lr, out=p.flat)
    np.subtract(s.u_i, p.flat, out=p.flat)


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
    infer(params, a, x)
    return {"logits": a.logits.T}


def loss(params: Params, *, x: np.ndarray, digit: np.ndarray) -> float:
    """Return the loss of a batch as `predict` computes it, without a gradient."""
    x, digit = checked(x, digit, params.flat.dtype)
    a = Activations(len(x), params.flat.dtype)
    infer(params, a, x)
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
        advance(p, a)
        backward(p, g, a, digit)
        return float(a.loss)


class Meeting:
    """Where parts of a batch add what each has summed over its rows: in order, and all alike.

    There are two places for a sum, by turns: while one is filled, some may still read the other.
    """

    def __init__(self, workspaces: list[Workspace], dtype: np.dtype) -> None:
        parts = len(workspaces)
        self.barrier, self.sums = Barrier(parts), np.empty((2, parts, 32), dtype)
        for part, a in enumerate(workspaces):
            a.meet = self.seat(part)

    def seat(self, part: int) -> Callable[[np.ndarray], None]:
        """Return how one part makes of its share of a sum the sum over the batch."""
        places = cycle(self.sums)

        def meet(x: np.ndarray) -> None:
            shares = next(places)[:, : x.size]
            shares[part] = x.reshape(-1)
            self.barrier.wait()
            np.copyto(x, np.add.reduce(shares, axis=0).reshape(x.shape))

        return meet

    @contextmanager
    def attended(self, jobs: list[Future[float]]) -> Iterator[None]:
        """Let no part wait for one that has failed, or never comes."""
        try:
            yield
            for job in wait(jobs, return_when=FIRST_EXCEPTION).done:
                job.result()
        except BaseException:
            self.barrier.abort()
            wait(jobs)
            raise


class Team:
    """Threads that share each batch. What they find is added in order: as many, the same bits.

    numpy computes without the interpreter's lock. Meanwhile threadpoolctl, if it is installed,
    holds BLAS to one thread in the whole process; else start Python with OPENBLAS_NUM_THREADS=1.
    """

    def __init__(self, threads: int, g: Grads) -> None:
        self.grads = [g, *(Grads(np.empty_like(g.flat)) for _ in range(threads - 1))]
        self.pool, self.one_thread_of_blas = ThreadPoolExecutor(threads), one_thread_of_blas()
        self.parts: dict[int, list[Part]] = {}
        self.meetings: dict[int, Meeting] = {}
        self.storages = [np.empty(STORAGE, g.flat.dtype) for _ in range(threads - 1)]

    def gradient(self, p: Params, *batch: np.ndarray) -> float:
        """Fill the first gradient with that of a batch, and return its loss."""
        parts = self.parts_of(len(batch[0]))
        jobs: list[Future[float]] = []
        with self.one_thread_of_blas(), self.meetings[len(batch[0])].attended(jobs):
            for part, own in zip(parts, self.params_of(p), strict=False):
                rows = [array[part.rows] for array in batch]
                # In a copy of the context, numpy treats overflow as the caller told it to.
                jobs.append(self.pool.submit(copy_context().run, part.gradient, own, *rows))
        losses = [job.result() for job in jobs]
        first, *others = (part.g.flat for part in parts)
        for other in others:
            np.add(first, other, out=first)
        return sum(losses)

    def params_of(self, p: Params) -> list[Params]:
        """Return the parameters for each part; all but the first change copies of the states."""
        for storage in self.storages:
            storage[SIZE:] = p.storage[SIZE:]
        return [p, *(Params(storage, p.flat) for storage in self.storages)]

    def parts_of(self, N: int) -> list[Part]:
        """Return the parts of a batch of N rows: as many as there are threads, or rows."""
        if N not in self.parts or self.meetings[N].barrier.broken:
            many = min(N, len(self.grads))
            rows = [range(N * k // many, N * (k + 1) // many) for k in range(many)]
            self.parts[N] = [Part(own, N, g) for own, g in zip(rows, self.grads, strict=False)]
            self.meetings[N] = Meeting([part.a for part in self.parts[N]], self.grads[0].flat.dtype)
        return self.parts[N]


def one_thread_of_blas() -> Callable[[], AbstractContextManager[object]]:
    """Return what holds BLAS to one thread for a while; without threadpoolctl, nothing does."""
    try:
        from threadpoolctl import ThreadpoolController
    except ModuleNotFoundError:
        return nullcontext
    return partial(ThreadpoolController().limit, limits=1, user_api="blas")


FOLLOWED = ("forward", "add_loss", "advance", "backward", "update")


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

    `threads` share each batch, each with memory of its own, and meet where an example reads a sum
    over the batch: this pays where a step takes milliseconds. The same number of threads gives the
    same bits.
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
        advance(p, a)
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
        own = Trainer(Params(self.params.storage.copy()), seed=self.seed)
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
    arrays = {name: getattr(trainer.params, name) for name in STORED}
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
        expected = {**STORED, **{f"state.{name}": (SIZE,) for name in STATES}, "run": (3,)}
        odd = sorted(set(expected) ^ set(file.files))
        if odd:
            raise ValueError(f"{path} is a checkpoint of another model: {', '.join(odd)}")
        arrays = {name: file[name] for name in expected}
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{path}: {name} has shape {arrays[name].shape}; expected {shape}")
    steps, batch, seed = (int(number) for number in arrays["run"])
    dtype = arrays[next(iter(PARAMETERS))].dtype
    trainer = Trainer(Params(np.empty(STORAGE, dtype)), batch, seed, threads)
    for name in STORED:
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
    params = Params(init(seed).storage.astype(np.float64))
    rng = np.random.default_rng(seed + 1)
    params.flat += 0.1 * rng.standard_normal(SIZE)
    batch, v = example(5, seed), rng.standard_normal(SIZE)
    v /= np.sqrt(v @ v)
    start, grads = loss_and_grad(params, **batch)
    slope = float(grads.flat @ v)
    move = np.append(v, np.zeros(STORAGE - SIZE))
    print("  h          R0             R1             central difference against g·v")
    best = np.inf
    for k in range(4, 22, 2):
        h = 2.0**-k
        up = loss_and_grad(Params(params.storage + h * move), **batch)[0]
        down = loss_and_grad(Params(params.storage - h * move), **batch)[0]
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
