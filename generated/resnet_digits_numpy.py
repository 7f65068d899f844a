"""Residual network of convolutions with batch norm, for 8×8 images of digits.

Written by `bpgen emit resnet_digits` from resnet_digits.py; needs numpy alone.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

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


class Params:
    """The parameters and what is kept beside them: named views into one vector, `storage`.

    Its first part, `flat`, is what a gradient changes; states and parameters at rest lie behind.
    """

    def __init__(self, storage: np.ndarray | None = None) -> None:
        self.storage = np.zeros(STORAGE, DTYPE) if storage is None else storage
        self.flat = self.storage[:SIZE]
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
    the first is needed no more when the second is written. Names in capitals are constants; a name
    such as u_nh is scratch memory u, seen as [n,h].
    """

    def __init__(self, N: int, dtype: str = DTYPE) -> None:
        self.N = N
        rows_N = np.empty((11264, N), dtype)
        rows = np.empty(512, dtype)
        self.shaped1_pad = np.zeros((N, C, A, B), dtype)  # shaped1_pad[n,c,a,b]
        self.relu1_pad1 = np.zeros((N, F, A, B), dtype)  # relu1_pad1[n,f,a,b]
        self.relu2_pad1 = np.zeros((N, E, A, B), dtype)  # relu2_pad1[n,e,a,b]
        self.relu3_pad1 = np.zeros((N, F, R, T), dtype)  # relu3_pad1[n,f,r,t]
        self.relu4_pad1 = np.zeros((N, G, A2, B2), dtype)  # relu4_pad1[n,g,a2,b2]
        self.logits = np.empty((N, H2), dtype)  # logits[n,h2]
        self.loss = np.empty((), dtype)  # loss
        self.z1 = rows_N[9216:10240].reshape((N, F, H, W))  # z1[n,f,h,w]
        self.u_ncuvhw = rows_N[0:576].reshape((N, C, U, V, H, W))
        self.mean1 = rows[0:16].reshape(F)  # mean1[f]
        self.var1 = rows[16:32].reshape(F)  # var1[f]
        self.rstd1 = rows[16:32].reshape(F)  # rstd1[f]
        self.xhat1 = rows_N[9216:10240].reshape((N, F, H, W))  # xhat1[n,f,h,w]
        self.y1 = rows_N[9216:10240].reshape((N, F, H, W))  # y1[n,f,h,w]
        self.relu1 = rows_N[9216:10240].reshape((N, F, H, W))  # relu1[n,f,h,w]
        self.z2 = rows_N[10240:11264].reshape((N, E, H, W))  # z2[n,e,h,w]
        self.u_nfuvhw = rows_N[0:9216].reshape((N, F, U, V, H, W))
        self.mean2 = rows[0:16].reshape(E)  # mean2[e]
        self.var2 = rows[16:32].reshape(E)  # var2[e]
        self.rstd2 = rows[16:32].reshape(E)  # rstd2[e]
        self.xhat2 = rows_N[10240:11264].reshape((N, E, H, W))  # xhat2[n,e,h,w]
        self.y2 = rows_N[10240:11264].reshape((N, E, H, W))  # y2[n,e,h,w]
        self.relu2 = rows_N[10240:11264].reshape((N, E, H, W))  # relu2[n,e,h,w]
        self.z3 = rows_N[10240:11264].reshape((N, F, H, W))  # z3[n,f,h,w]
        self.u_neuvhw = rows_N[0:9216].reshape((N, E, U, V, H, W))
        self.mean3 = rows[0:16].reshape(F)  # mean3[f]
        self.var3 = rows[16:32].reshape(F)  # var3[f]
        self.rstd3 = rows[16:32].reshape(F)  # rstd3[f]
        self.xhat3 = rows_N[10240:11264].reshape((N, F, H, W))  # xhat3[n,f,h,w]
        self.y3 = rows_N[10240:11264].reshape((N, F, H, W))  # y3[n,f,h,w]
        self.sum1 = rows_N[9216:10240].reshape((N, F, H, W))  # sum1[n,f,h,w]
        self.relu3 = rows_N[9216:10240].reshape((N, F, H, W))  # relu3[n,f,h,w]
        self.z4 = rows_N[4608:5120].reshape((N, G, J, K))  # z4[n,g,j,k]
        self.u_fg = rows[0:512].reshape((F, G))
        self.v_njkf = rows_N[0:256].reshape((N, J, K, F))
        self.mean4 = rows[0:32].reshape(G)  # mean4[g]
        self.var4 = rows[32:64].reshape(G)  # var4[g]
        self.rstd4 = rows[32:64].reshape(G)  # rstd4[g]
        self.xhat4 = rows_N[4608:5120].reshape((N, G, J, K))  # xhat4[n,g,j,k]
        self.y4 = rows_N[4608:5120].reshape((N, G, J, K))  # y4[n,g,j,k]
        self.z5 = rows_N[2304:2816].reshape((N, G, J, K))  # z5[n,g,j,k]
        self.u_nfuvjk = rows_N[0:2304].reshape((N, F, U, V, J, K))
        self.mean5 = rows[0:32].reshape(G)  # mean5[g]
        self.var5 = rows[32:64].reshape(G)  # var5[g]
        self.rstd5 = rows[32:64].reshape(G)  # rstd5[g]
        self.xhat5 = rows_N[2304:2816].reshape((N, G, J, K))  # xhat5[n,g,j,k]
        self.y5 = rows_N[2304:2816].reshape((N, G, J, K))  # y5[n,g,j,k]
        self.relu4 = rows_N[2304:2816].reshape((N, G, J, K))  # relu4[n,g,j,k]
        self.z6 = rows_N[5120:5632].reshape((N, S, J, K))  # z6[n,s,j,k]
        self.u_nguvjk = rows_N[0:4608].reshape((N, G, U, V, J, K))
        self.mean6 = rows[0:32].reshape(S)  # mean6[s]
        self.var6 = rows[32:64].reshape(S)  # var6[s]
        self.rstd6 = rows[32:64].reshape(S)  # rstd6[s]
        self.xhat6 = rows_N[5120:5632].reshape((N, S, J, K))  # xhat6[n,s,j,k]
        self.y6 = rows_N[5120:5632].reshape((N, S, J, K))  # y6[n,s,j,k]
        self.sum2 = rows_N[4608:5120].reshape((N, G, J, K))  # sum2[n,g,j,k]
        self.h = rows_N[4608:5120].reshape((N, G, J, K))  # h[n,g,j,k]
        self.pooled1 = rows_N[0:32].reshape((N, G))  # pooled1[n,g]
        self.m = rows_N[10:11].reshape(N)  # m[n]
        self.e = rows_N[0:10].reshape((N, H2))  # e[n,h2]
        self.s = rows_N[11:12].reshape(N)  # s[n]
        self.average = rows_N[2:3].reshape(N)  # average[n]
        self.logits_at_digit = rows_N[3:4].reshape(N)  # logits_at_digit[n]
        self.i_n = lent(rows_N[0:2], np.intp, (N,))
        self.u_n = rows_N[0:1].reshape(N)
        self.v_n = rows_N[1:2].reshape(N)
        self.MEAN_H2 = np.full(H2, 1 / H2, dtype)
        self.MEAN_N = np.full(N, 1 / N, dtype)
        self.ONES_H2 = np.ones(H2, dtype)
        self.STARTS_N_H2 = H2 * np.arange(N)
        self.ZERO = np.zeros((), dtype)
        self.relu1_pad1_nfhwuv = sliding_window_view(self.relu1_pad1, (U, V), (2, 3))
        self.relu2_pad1_nehwuv = sliding_window_view(self.relu2_pad1, (U, V), (2, 3))
        self.relu3_pad1_nfjkuv = sliding_window_view(self.relu3_pad1, (U, V), (2, 3))
        self.relu3_pad1_nfjkuv = self.relu3_pad1_nfjkuv[:, :, ::2, ::2, :, :]
        self.relu4_pad1_ngjkuv = sliding_window_view(self.relu4_pad1, (U, V), (2, 3))
        self.shaped1_pad_nchwuv = sliding_window_view(self.shaped1_pad, (U, V), (2, 3))


class Workspace(Activations):
    """What a step of training computes: activations, and cotangents from them.

    Each buffer is some rows of `rows_N`, which has N numbers a row. Where two have the same rows,
    the first is needed no more when the second is written. Names in capitals are constants; a name
    such as u_nh is scratch memory u, seen as [n,h].
    """

    def __init__(self, N: int, dtype: str = DTYPE) -> None:
        self.N = N
        rows_N = np.empty((29354, N), dtype)
        rows = np.empty(9328, dtype)
        self.shaped1_pad = np.zeros((N, C, A, B), dtype)  # shaped1_pad[n,c,a,b]
        self.relu1_pad1 = np.zeros((N, F, A, B), dtype)  # relu1_pad1[n,f,a,b]
        self.relu2_pad1 = np.zeros((N, E, A, B), dtype)  # relu2_pad1[n,e,a,b]
        self.relu3_pad1 = np.zeros((N, F, R, T), dtype)  # relu3_pad1[n,f,r,t]
        self.relu4_pad1 = np.zeros((N, G, A2, B2), dtype)  # relu4_pad1[n,g,a2,b2]
        self.loss = np.empty((), dtype)  # loss
        self.padded_d_z6 = np.zeros((N, S, P, W), dtype)  # padded_d_z6[n,s,p,w]
        self.padded_block2_conv1_W = np.zeros((G, F, K, J), dtype)  # padded_block2_conv1_W[g,f,k,j]
        self.padded_d_z5 = np.zeros((N, G, A2, B2), dtype)  # padded_d_z5[n,g,a2,b2]
        self.padded_d_z3 = np.zeros((N, F, Q2, E2), dtype)  # padded_d_z3[n,f,q2,e2]
        self.padded_d_z2 = np.zeros((N, E, Q2, E2), dtype)  # padded_d_z2[n,e,q2,e2]
        self.z1 = rows_N[16000:17024].reshape((N, F, H, W))  # z1[n,f,h,w]
        self.u_ncuvhw = rows_N[0:576].reshape((N, C, U, V, H, W))
        self.mean1 = rows[512:528].reshape(F)  # mean1[f]
        self.var1 = rows[528:544].reshape(F)  # var1[f]
        self.u_nfhw = rows_N[1600:2624].reshape((N, F, H, W))
        self.rstd1 = rows[9280:9296].reshape(F)  # rstd1[f]
        self.xhat1 = rows_N[16000:17024].reshape((N, F, H, W))  # xhat1[n,f,h,w]
        self.y1 = rows_N[17024:18048].reshape((N, F, H, W))  # y1[n,f,h,w]
        self.relu1 = rows_N[18048:19072].reshape((N, F, H, W))  # relu1[n,f,h,w]
        self.z2 = rows_N[19072:20096].reshape((N, E, H, W))  # z2[n,e,h,w]
        self.u_nfuvhw = rows_N[0:9216].reshape((N, F, U, V, H, W))
        self.mean2 = rows[544:560].reshape(E)  # mean2[e]
        self.var2 = rows[560:576].reshape(E)  # var2[e]
        self.u_nehw = rows_N[0:1024].reshape((N, E, H, W))
        self.rstd2 = rows[9296:9312].reshape(E)  # rstd2[e]
        self.xhat2 = rows_N[19072:20096].reshape((N, E, H, W))  # xhat2[n,e,h,w]
        self.y2 = rows_N[20096:21120].reshape((N, E, H, W))  # y2[n,e,h,w]
        self.relu2 = rows_N[0:1024].reshape((N, E, H, W))  # relu2[n,e,h,w]
        self.z3 = rows_N[21120:22144].reshape((N, F, H, W))  # z3[n,f,h,w]
        self.u_neuvhw = rows_N[0:9216].reshape((N, E, U, V, H, W))
        self.mean3 = rows[576:592].reshape(F)  # mean3[f]
        self.var3 = rows[592:608].reshape(F)  # var3[f]
        self.rstd3 = rows[9312:9328].reshape(F)  # rstd3[f]
        self.xhat3 = rows_N[21120:22144].reshape((N, F, H, W))  # xhat3[n,f,h,w]
        self.y3 = rows_N[0:1024].reshape((N, F, H, W))  # y3[n,f,h,w]
        self.sum1 = rows_N[18048:19072].reshape((N, F, H, W))  # sum1[n,f,h,w]
        self.relu3 = rows_N[22144:23168].reshape((N, F, H, W))  # relu3[n,f,h,w]
        self.z4 = rows_N[25216:25728].reshape((N, G, J, K))  # z4[n,g,j,k]
        self.u_fg = rows[0:512].reshape((F, G))
        self.v_njkf = rows_N[0:256].reshape((N, J, K, F))
        self.mean4 = rows[0:32].reshape(G)  # mean4[g]
        self.var4 = rows[32:64].reshape(G)  # var4[g]
        self.u_ngjk = rows_N[0:512].reshape((N, G, J, K))
        self.rstd4 = rows[9216:9248].reshape(G)  # rstd4[g]
        self.xhat4 = rows_N[25216:25728].reshape((N, G, J, K))  # xhat4[n,g,j,k]
        self.y4 = rows_N[25728:26240].reshape((N, G, J, K))  # y4[n,g,j,k]
        self.z5 = rows_N[26240:26752].reshape((N, G, J, K))  # z5[n,g,j,k]
        self.u_nfuvjk = rows_N[0:2304].reshape((N, F, U, V, J, K))
        self.mean5 = rows[64:96].reshape(G)  # mean5[g]
        self.var5 = rows[96:128].reshape(G)  # var5[g]
        self.rstd5 = rows[9248:9280].reshape(G)  # rstd5[g]
        self.xhat5 = rows_N[26240:26752].reshape((N, G, J, K))  # xhat5[n,g,j,k]
        self.y5 = rows_N[26752:27264].reshape((N, G, J, K))  # y5[n,g,j,k]
        self.relu4 = rows_N[0:512].reshape((N, G, J, K))  # relu4[n,g,j,k]
        self.z6 = rows_N[27264:27776].reshape((N, S, J, K))  # z6[n,s,j,k]
        self.u_nguvjk = rows_N[0:4608].reshape((N, G, U, V, J, K))
        self.mean6 = rows[128:160].reshape(S)  # mean6[s]
        self.var6 = rows[160:192].reshape(S)  # var6[s]
        self.u_nsjk = rows_N[0:512].reshape((N, S, J, K))
        self.rstd6 = rows[192:224].reshape(S)  # rstd6[s]
        self.xhat6 = rows_N[27264:27776].reshape((N, S, J, K))  # xhat6[n,s,j,k]
        self.y6 = rows_N[0:512].reshape((N, S, J, K))  # y6[n,s,j,k]
        self.sum2 = rows_N[25728:26240].reshape((N, G, J, K))  # sum2[n,g,j,k]
        self.h = rows_N[0:512].reshape((N, G, J, K))  # h[n,g,j,k]
        self.pooled1 = rows_N[29312:29344].reshape((N, G))  # pooled1[n,g]
        self.logits = rows_N[0:10].reshape((N, H2))  # logits[n,h2]
        self.m = rows_N[22:23].reshape(N)  # m[n]
        self.e = rows_N[10:20].reshape((N, H2))  # e[n,h2]
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
        self.p = rows_N[10:20].reshape((N, H2))  # p[n,h2]
        self.d_logits = rows_N[29344:29354].reshape((N, H2))  # ∂L/∂logits[n,h2]
        self.d_pooled1 = rows_N[0:32].reshape((N, G))  # ∂L/∂pooled1[n,g]
        self.d_sum2 = rows_N[25728:26240].reshape((N, G, J, K))  # ∂L/∂sum2[n,g,j,k]
        self.u_ng = rows_N[32:64].reshape((N, G))
        self.d_xhat6 = rows_N[0:512].reshape((N, S, J, K))  # ∂L/∂xhat6[n,s,j,k]
        self.xhat6_dot_d_xhat6 = rows[32:64].reshape(S)  # xhat6_dot_d_xhat6[s]
        self.sum_d_xhat6 = rows[64:96].reshape(S)  # sum_d_xhat6[s]
        self.d_z6 = rows_N[27776:28288].reshape((N, S, J, K))  # ∂L/∂z6[n,s,j,k]
        self.d_relu4_pad1 = rows_N[10368:11520].reshape((N, G, A2, B2))  # ∂L/∂relu4_pad1[n,g,a2,b2]
        self.u_gsuv = rows[0:9216].reshape((G, S, U, V))
        self.v_nsuva2b2 = rows_N[0:10368].reshape((N, S, U, V, A2, B2))
        self.d_y5 = rows_N[26752:27264].reshape((N, G, J, K))  # ∂L/∂y5[n,g,j,k]
        self.d_xhat5 = rows_N[0:512].reshape((N, G, J, K))  # ∂L/∂xhat5[n,g,j,k]
        self.xhat5_dot_d_xhat5 = rows[0:32].reshape(G)  # xhat5_dot_d_xhat5[g]
        self.sum_d_xhat5 = rows[32:64].reshape(G)  # sum_d_xhat5[g]
        self.d_z5 = rows_N[28288:28800].reshape((N, G, J, K))  # ∂L/∂z5[n,g,j,k]
        self.split_d_relu3_pad1 = rows_N[3200:4800].reshape(
            (N, F, Y, R2, X, K2)
        )  # split_d_relu3_pad1[n,f,y,r2,x,k2]
        self.u_fyr2gzj2 = rows[0:8192].reshape((F, Y, R2, G, Z, J2))
        self.v_ngzj2xk2 = rows_N[0:3200].reshape((N, G, Z, J2, X, K2))
        self.joined_d_relu3_pad1 = rows_N[0:1600].reshape(
            (N, F, A, B)
        )  # joined_d_relu3_pad1[n,f,a,b]
        self.d_xhat4 = rows_N[1600:2112].reshape((N, G, J, K))  # ∂L/∂xhat4[n,g,j,k]
        self.xhat4_dot_d_xhat4 = rows[0:32].reshape(G)  # xhat4_dot_d_xhat4[g]
        self.sum_d_xhat4 = rows[32:64].reshape(G)  # sum_d_xhat4[g]
        self.d_z4 = rows_N[28800:29312].reshape((N, G, J, K))  # ∂L/∂z4[n,g,j,k]
        self.split_d_relu3 = rows_N[2624:3648].reshape(
            (N, F, Y, Z, U2, V2)
        )  # split_d_relu3[n,f,y,z,u2,v2]
        self.u_nfu2v2 = rows_N[1600:1856].reshape((N, F, U2, V2))
        self.d_relu3 = rows_N[3648:4672].reshape((N, F, H, W))  # ∂L/∂relu3[n,f,h,w]
        self.d_sum1 = rows_N[18048:19072].reshape((N, F, H, W))  # ∂L/∂sum1[n,f,h,w]
        self.d_xhat3 = rows_N[0:1024].reshape((N, F, H, W))  # ∂L/∂xhat3[n,f,h,w]
        self.xhat3_dot_d_xhat3 = rows[0:16].reshape(F)  # xhat3_dot_d_xhat3[f]
        self.sum_d_xhat3 = rows[16:32].reshape(F)  # sum_d_xhat3[f]
        self.d_z3 = rows_N[23168:24192].reshape((N, F, H, W))  # ∂L/∂z3[n,f,h,w]
        self.d_relu2_pad1 = rows_N[14400:16000].reshape((N, E, A, B))  # ∂L/∂relu2_pad1[n,e,a,b]
        self.u_efuv = rows[0:2304].reshape((E, F, U, V))
        self.v_nfuvab = rows_N[0:14400].reshape((N, F, U, V, A, B))
        self.d_y2 = rows_N[20096:21120].reshape((N, E, H, W))  # ∂L/∂y2[n,e,h,w]
        self.d_xhat2 = rows_N[0:1024].reshape((N, E, H, W))  # ∂L/∂xhat2[n,e,h,w]
        self.xhat2_dot_d_xhat2 = rows[0:16].reshape(E)  # xhat2_dot_d_xhat2[e]
        self.sum_d_xhat2 = rows[16:32].reshape(E)  # sum_d_xhat2[e]
        self.d_z2 = rows_N[24192:25216].reshape((N, E, H, W))  # ∂L/∂z2[n,e,h,w]
        self.d_relu1_pad1 = rows_N[14400:16000].reshape((N, F, A, B))  # ∂L/∂relu1_pad1[n,f,a,b]
        self.u_feuv = rows[0:2304].reshape((F, E, U, V))
        self.v_neuvab = rows_N[0:14400].reshape((N, E, U, V, A, B))
        self.d_y1 = rows_N[0:1024].reshape((N, F, H, W))  # ∂L/∂y1[n,f,h,w]
        self.d_xhat1 = rows_N[1024:2048].reshape((N, F, H, W))  # ∂L/∂xhat1[n,f,h,w]
        self.xhat1_dot_d_xhat1 = rows[0:16].reshape(F)  # xhat1_dot_d_xhat1[f]
        self.sum_d_xhat1 = rows[16:32].reshape(F)  # sum_d_xhat1[f]
        self.d_z1 = rows_N[2048:3072].reshape((N, F, H, W))  # ∂L/∂z1[n,f,h,w]
        self.u_nhwf = rows_N[9216:10240].reshape((N, H, W, F))
        self.v_cuvnhw = rows_N[1024:1600].reshape((C, U, V, N, H, W))
        self.u_nhwe = rows_N[9216:10240].reshape((N, H, W, E))
        self.v_fuvnhw = rows_N[0:9216].reshape((F, U, V, N, H, W))
        self.v_euvnhw = rows_N[0:9216].reshape((E, U, V, N, H, W))
        self.relu3_dot_d_z4 = rows[0:512].reshape((G, F))  # relu3_dot_d_z4[g,f]
        self.u_njkf = rows_N[512:768].reshape((N, J, K, F))
        self.v_ngf = rows_N[0:512].reshape((N, G, F))
        self.u_njkg = rows_N[2304:2816].reshape((N, J, K, G))
        self.v_fuvnjk = rows_N[0:2304].reshape((F, U, V, N, J, K))
        self.u_njks = rows_N[4608:5120].reshape((N, J, K, S))
        self.v_guvnjk = rows_N[0:4608].reshape((G, U, V, N, J, K))
        self.MEAN_H2 = np.full(H2, 1 / H2, dtype)
        self.MEAN_N = np.full(N, 1 / N, dtype)
        self.ONES_H2 = np.ones(H2, dtype)
        self.ONES_N = np.ones(N, dtype)
        self.RANGE_H2 = np.arange(H2)
        self.STARTS_N_H2 = H2 * np.arange(N)
        self.ZERO = np.zeros((), dtype)
        self.padded_d_z2_neabuv = sliding_window_view(self.padded_d_z2, (U, V), (2, 3))
        self.padded_d_z2_neabuv = self.padded_d_z2_neabuv[:, :, :, :, ::-1, ::-1]
        self.padded_d_z3_nfabuv = sliding_window_view(self.padded_d_z3, (U, V), (2, 3))
        self.padded_d_z3_nfabuv = self.padded_d_z3_nfabuv[:, :, :, :, ::-1, ::-1]
        self.padded_d_z5_ngxk2zj2 = sliding_window_view(self.padded_d_z5, (Z, J2), (2, 3))
        self.padded_d_z5_ngxk2zj2 = self.padded_d_z5_ngxk2zj2[:, :, :, :, ::-1, ::-1]
        self.padded_d_z6_nsa2b2uv = sliding_window_view(self.padded_d_z6, (U, V), (2, 3))
        self.padded_d_z6_nsa2b2uv = self.padded_d_z6_nsa2b2uv[:, :, :, :, ::-1, ::-1]
        self.relu1_pad1_nfhwuv = sliding_window_view(self.relu1_pad1, (U, V), (2, 3))
        self.relu2_pad1_nehwuv = sliding_window_view(self.relu2_pad1, (U, V), (2, 3))
        self.relu3_pad1_nfjkuv = sliding_window_view(self.relu3_pad1, (U, V), (2, 3))
        self.relu3_pad1_nfjkuv = self.relu3_pad1_nfjkuv[:, :, ::2, ::2, :, :]
        self.relu4_pad1_ngjkuv = sliding_window_view(self.relu4_pad1, (U, V), (2, 3))
        self.shaped1_pad_nchwuv = sliding_window_view(self.shaped1_pad, (U, V), (2, 3))


class State:
    """What the optimizer adamw keeps from step to step, and its scratch memory."""

    def __init__(self, dtype: str = DTYPE) -> None:
        self.m = np.zeros(SIZE, dtype)  # m[i]
        self.v = np.zeros(SIZE, dtype)  # v[i]
        self.u_i = np.empty(SIZE, dtype)


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
    a.shaped1 = x.reshape(-1, C, H, W)

    # shaped1_pad[n,c,a,b] = shaped1[n,c,a-1,b-1] (0 outside)
    np.copyto(a.shaped1_pad[:, :, 1:-1, 1:-1], a.shaped1)

    # z1[n,f,h,w] = Σ_{c,u,v} stem_W[f,c,u,v] shaped1_pad[n,c,h+u,v+w]
    np.copyto(a.u_ncuvhw, a.shaped1_pad_nchwuv.transpose(0, 1, 4, 5, 2, 3))
    np.matmul(
        p.stem_W.reshape(F, C * U * V),
        a.u_ncuvhw.reshape(N, C * U * V, H * W),
        out=a.z1.reshape(N, F, H * W),
    )

    # mean1[f] = Σ_{n,h,w} z1[n,f,h,w]/(H N W)
    np.add.reduce(a.z1, axis=(0, 2, 3), out=a.mean1)
    np.multiply(a.mean1, 1 / (H * N * W), out=a.mean1)

    # var1[f] = Σ_{n,h,w} (z1[n,f,h,w] - mean1[f])²/(H N W)
    np.subtract(a.z1, a.mean1[:, None, None], out=a.u_nfhw)
    np.multiply(a.u_nfhw, a.u_nfhw, out=a.u_nfhw)
    np.add.reduce(a.u_nfhw, axis=(0, 2, 3), out=a.var1)
    np.multiply(a.var1, 1 / (H * N * W), out=a.var1)

    # rstd1[f] = 1/√(var1[f] + 1e-05)
    np.add(a.var1, 1e-05, out=a.rstd1)
    np.sqrt(a.rstd1, out=a.rstd1)
    np.divide(1, a.rstd1, out=a.rstd1)

    # xhat1[n,f,h,w] = (z1[n,f,h,w] - mean1[f]) rstd1[f]
    np.subtract(a.z1, a.mean1[:, None, None], out=a.xhat1)
    np.multiply(a.xhat1, a.rstd1[:, None, None], out=a.xhat1)

    # y1[n,f,h,w] = stem_norm_gain[f] xhat1[n,f,h,w] + stem_norm_shift[f]
    np.multiply(a.xhat1, p.stem_norm_gain[:, None, None], out=a.y1)
    np.add(a.y1, p.stem_norm_shift[:, None, None], out=a.y1)

    # relu1[n,f,h,w] = max(0, y1[n,f,h,w])
    np.maximum(a.y1, a.ZERO, out=a.relu1)

    # relu1_pad1[n,f,a,b] = relu1[n,f,a-1,b-1] (0 outside)
    np.copyto(a.relu1_pad1[:, :, 1:-1, 1:-1], a.relu1)

    # z2[n,e,h,w] = Σ_{f,u,v} block1_conv1_W[e,f,u,v] relu1_pad1[n,f,h+u,v+w]
    np.copyto(a.u_nfuvhw, a.relu1_pad1_nfhwuv.transpose(0, 1, 4, 5, 2, 3))
    np.matmul(
        p.block1_conv1_W.reshape(E, F * U * V),
        a.u_nfuvhw.reshape(N, F * U * V, H * W),
        out=a.z2.reshape(N, E, H * W),
    )

    # mean2[e] = Σ_{n,h,w} z2[n,e,h,w]/(H N W)
    np.add.reduce(a.z2, axis=(0, 2, 3), out=a.mean2)
    np.multiply(a.mean2, 1 / (H * N * W), out=a.mean2)

    # var2[e] = Σ_{n,h,w} (z2[n,e,h,w] - mean2[e])²/(H N W)
    np.subtract(a.z2, a.mean2[:, None, None], out=a.u_nehw)
    np.multiply(a.u_nehw, a.u_nehw, out=a.u_nehw)
    np.add.reduce(a.u_nehw, axis=(0, 2, 3), out=a.var2)
    np.multiply(a.var2, 1 / (H * N * W), out=a.var2)

    # rstd2[e] = 1/√(var2[e] + 1e-05)
    np.add(a.var2, 1e-05, out=a.rstd2)
    np.sqrt(a.rstd2, out=a.rstd2)
    np.divide(1, a.rstd2, out=a.rstd2)

    # xhat2[n,e,h,w] = (z2[n,e,h,w] - mean2[e]) rstd2[e]
    np.subtract(a.z2, a.mean2[:, None, None], out=a.xhat2)
    np.multiply(a.xhat2, a.rstd2[:, None, None], out=a.xhat2)

    # y2[n,e,h,w] = block1_conv1_norm_gain[e] xhat2[n,e,h,w] + block1_conv1_norm_shift[e]
    np.multiply(a.xhat2, p.block1_conv1_norm_gain[:, None, None], out=a.y2)
    np.add(a.y2, p.block1_conv1_norm_shift[:, None, None], out=a.y2)

    # relu2[n,e,h,w] = max(0, y2[n,e,h,w])
    np.maximum(a.y2, a.ZERO, out=a.relu2)

    # relu2_pad1[n,e,a,b] = relu2[n,e,a-1,b-1] (0 outside)
    np.copyto(a.relu2_pad1[:, :, 1:-1, 1:-1], a.relu2)

    # z3[n,f,h,w] = Σ_{e,u,v} block1_conv2_W[f,e,u,v] relu2_pad1[n,e,h+u,v+w]
    np.copyto(a.u_neuvhw, a.relu2_pad1_nehwuv.transpose(0, 1, 4, 5, 2, 3))
    np.matmul(
        p.block1_conv2_W.reshape(F, E * U * V),
        a.u_neuvhw.reshape(N, E * U * V, H * W),
        out=a.z3.reshape(N, F, H * W),
    )

    # mean3[f] = Σ_{n,h,w} z3[n,f,h,w]/(H N W)
    np.add.reduce(a.z3, axis=(0, 2, 3), out=a.mean3)
    np.multiply(a.mean3, 1 / (H * N * W), out=a.mean3)

    # var3[f] = Σ_{n,h,w} (z3[n,f,h,w] - mean3[f])²/(H N W)
    np.subtract(a.z3, a.mean3[:, None, None], out=a.u_nfhw)
    np.multiply(a.u_nfhw, a.u_nfhw, out=a.u_nfhw)
    np.add.reduce(a.u_nfhw, axis=(0, 2, 3), out=a.var3)
    np.multiply(a.var3, 1 / (H * N * W), out=a.var3)

    # rstd3[f] = 1/√(var3[f] + 1e-05)
    np.add(a.var3, 1e-05, out=a.rstd3)
    np.sqrt(a.rstd3, out=a.rstd3)
    np.divide(1, a.rstd3, out=a.rstd3)

    # xhat3[n,f,h,w] = (z3[n,f,h,w] - mean3[f]) rstd3[f]
    np.subtract(a.z3, a.mean3[:, None, None], out=a.xhat3)
    np.multiply(a.xhat3, a.rstd3[:, None, None], out=a.xhat3)

    # y3[n,f,h,w] = block1_conv2_norm_gain[f] xhat3[n,f,h,w] + block1_conv2_norm_shift[f]
    np.multiply(a.xhat3, p.block1_conv2_norm_gain[:, None, None], out=a.y3)
    np.add(a.y3, p.block1_conv2_norm_shift[:, None, None], out=a.y3)

    # sum1[n,f,h,w] = relu1[n,f,h,w] + y3[n,f,h,w]
    np.add(a.y3, a.relu1, out=a.sum1)

    # relu3[n,f,h,w] = max(0, sum1[n,f,h,w])
    np.maximum(a.sum1, a.ZERO, out=a.relu3)

    # z4[n,g,j,k] = Σ_f block2_skip_W[g,f,0,0] relu3[n,f,2 j,2 k]
    np.copyto(a.u_fg, p.block2_skip_W[:, :, 0, 0].T)
    np.copyto(a.v_njkf, a.relu3[:, :, ::2, ::2].transpose(0, 2, 3, 1))
    np.matmul(
        a.u_fg.swapaxes(-1, -2),
        a.v_njkf.reshape(N, J * K, F).swapaxes(-1, -2),
        out=a.z4.reshape(N, G, J * K),
    )

    # mean4[g] = Σ_{n,j,k} z4[n,g,j,k]/(J K N)
    np.add.reduce(a.z4, axis=(0, 2, 3), out=a.mean4)
    np.multiply(a.mean4, 1 / (J * K * N), out=a.mean4)

    # var4[g] = Σ_{n,j,k} (z4[n,g,j,k] - mean4[g])²/(J K N)
    np.subtract(a.z4, a.mean4[:, None, None], out=a.u_ngjk)
    np.multiply(a.u_ngjk, a.u_ngjk, out=a.u_ngjk)
    np.add.reduce(a.u_ngjk, axis=(0, 2, 3), out=a.var4)
    np.multiply(a.var4, 1 / (J * K * N), out=a.var4)

    # rstd4[g] = 1/√(var4[g] + 1e-05)
    np.add(a.var4, 1e-05, out=a.rstd4)
    np.sqrt(a.rstd4, out=a.rstd4)
    np.divide(1, a.rstd4, out=a.rstd4)

    # xhat4[n,g,j,k] = (z4[n,g,j,k] - mean4[g]) rstd4[g]
    np.subtract(a.z4, a.mean4[:, None, None], out=a.xhat4)
    np.multiply(a.xhat4, a.rstd4[:, None, None], out=a.xhat4)

    # y4[n,g,j,k] = block2_skip_norm_gain[g] xhat4[n,g,j,k] + block2_skip_norm_shift[g]
    np.multiply(a.xhat4, p.block2_skip_norm_gain[:, None, None], out=a.y4)
    np.add(a.y4, p.block2_skip_norm_shift[:, None, None], out=a.y4)

    # relu3_pad1[n,f,r,t] = relu3[n,f,r-1,t-1] (0 outside)
    np.copyto(a.relu3_pad1[:, :, 1:, 1:], a.relu3)

    # z5[n,g,j,k] = Σ_{f,u,v} block2_conv1_W[g,f,u,v] relu3_pad1[n,f,2 j + u,2 k + v]
    np.copyto(a.u_nfuvjk, a.relu3_pad1_nfjkuv.transpose(0, 1, 4, 5, 2, 3))
    np.matmul(
        p.block2_conv1_W.reshape(G, F * U * V),
        a.u_nfuvjk.reshape(N, F * U * V, J * K),
        out=a.z5.reshape(N, G, J * K),
    )

    # mean5[g] = Σ_{n,j,k} z5[n,g,j,k]/(J K N)
    np.add.reduce(a.z5, axis=(0, 2, 3), out=a.mean5)
    np.multiply(a.mean5, 1 / (J * K * N), out=a.mean5)

    # var5[g] = Σ_{n,j,k} (z5[n,g,j,k] - mean5[g])²/(J K N)
    np.subtract(a.z5, a.mean5[:, None, None], out=a.u_ngjk)
    np.multiply(a.u_ngjk, a.u_ngjk, out=a.u_ngjk)
    np.add.reduce(a.u_ngjk, axis=(0, 2, 3), out=a.var5)
    np.multiply(a.var5, 1 / (J * K * N), out=a.var5)

    # rstd5[g] = 1/√(var5[g] + 1e-05)
    np.add(a.var5, 1e-05, out=a.rstd5)
    np.sqrt(a.rstd5, out=a.rstd5)
    np.divide(1, a.rstd5, out=a.rstd5)

    # xhat5[n,g,j,k] = (z5[n,g,j,k] - mean5[g]) rstd5[g]
    np.subtract(a.z5, a.mean5[:, None, None], out=a.xhat5)
    np.multiply(a.xhat5, a.rstd5[:, None, None], out=a.xhat5)

    # y5[n,g,j,k] = block2_conv1_norm_gain[g] xhat5[n,g,j,k] + block2_conv1_norm_shift[g]
    np.multiply(a.xhat5, p.block2_conv1_norm_gain[:, None, None], out=a.y5)
    np.add(a.y5, p.block2_conv1_norm_shift[:, None, None], out=a.y5)

    # relu4[n,g,j,k] = max(0, y5[n,g,j,k])
    np.maximum(a.y5, a.ZERO, out=a.relu4)

    # relu4_pad1[n,g,a2,b2] = relu4[n,g,a2-1,b2-1] (0 outside)
    np.copyto(a.relu4_pad1[:, :, 1:-1, 1:-1], a.relu4)

    # z6[n,s,j,k] = Σ_{g,u,v} block2_conv2_W[s,g,u,v] relu4_pad1[n,g,j+u,k+v]
    np.copyto(a.u_nguvjk, a.relu4_pad1_ngjkuv.transpose(0, 1, 4, 5, 2, 3))
    np.matmul(
        p.block2_conv2_W.reshape(S, G * U * V),
        a.u_nguvjk.reshape(N, G * U * V, J * K),
        out=a.z6.reshape(N, S, J * K),
    )

    # mean6[s] = Σ_{n,j,k} z6[n,s,j,k]/(J K N)
    np.add.reduce(a.z6, axis=(0, 2, 3), out=a.mean6)
    np.multiply(a.mean6, 1 / (J * K * N), out=a.mean6)

    # var6[s] = Σ_{n,j,k} (z6[n,s,j,k] - mean6[s])²/(J K N)
    np.subtract(a.z6, a.mean6[:, None, None], out=a.u_nsjk)
    np.multiply(a.u_nsjk, a.u_nsjk, out=a.u_nsjk)
    np.add.reduce(a.u_nsjk, axis=(0, 2, 3), out=a.var6)
    np.multiply(a.var6, 1 / (J * K * N), out=a.var6)

    # rstd6[s] = 1/√(var6[s] + 1e-05)
    np.add(a.var6, 1e-05, out=a.rstd6)
    np.sqrt(a.rstd6, out=a.rstd6)
    np.divide(1, a.rstd6, out=a.rstd6)

    # xhat6[n,s,j,k] = (z6[n,s,j,k] - mean6[s]) rstd6[s]
    np.subtract(a.z6, a.mean6[:, None, None], out=a.xhat6)
    np.multiply(a.xhat6, a.rstd6[:, None, None], out=a.xhat6)

    # y6[n,s,j,k] = block2_conv2_norm_gain[s] xhat6[n,s,j,k] + block2_conv2_norm_shift[s]
    np.multiply(a.xhat6, p.block2_conv2_norm_gain[:, None, None], out=a.y6)
    np.add(a.y6, p.block2_conv2_norm_shift[:, None, None], out=a.y6)

    # sum2[n,g,j,k] = y4[n,g,j,k] + y6[n,g,j,k]
    np.add(a.y6, a.y4, out=a.sum2)

    # h[n,g,j,k] = max(0, sum2[n,g,j,k])
    np.maximum(a.sum2, a.ZERO, out=a.h)

    # pooled1[n,g] = Σ_{j,k} h[n,g,j,k]/(J K)
    np.add.reduce(a.h, axis=(2, 3), out=a.pooled1)
    np.multiply(a.pooled1, 1 / (J * K), out=a.pooled1)

    # logits[n,h2] = Σ_g fc_W[g,h2] pooled1[n,g] + fc_b[h2]
    np.dot(a.pooled1, p.fc_W, out=a.logits)
    np.add(a.logits, p.fc_b, out=a.logits)


def add_loss(a: Activations, digit: np.ndarray) -> None:
    """Go on from the outputs to the loss."""
    # m[n] = max_h2 logits[n,h2]
    np.maximum.reduce(a.logits, axis=1, out=a.m)

    # e[n,h2] = exp(logits[n,h2] - m[n])
    np.subtract(a.logits, a.m[:, None], out=a.e)
    np.exp(a.e, out=a.e)

    # s[n] = Σ_h2 e[n,h2]
    np.dot(a.e, a.ONES_H2, out=a.s)

    # average[n] = Σ_h2 logits[n,h2]/H2
    np.dot(a.logits, a.MEAN_H2, out=a.average)

    # logits_at_digit[n] = logits[n,digit[n]]
    np.add(a.STARTS_N_H2, digit, out=a.i_n)
    a.logits.take(a.i_n, out=a.logits_at_digit, mode="clip")

    # loss = Σ_n (m[n] + log(s[n]) - 0.1 average[n] - 0.9 logits_at_digit[n])/N
    np.multiply(a.logits_at_digit, 0.9, out=a.u_n)
    np.log(a.s, out=a.v_n)
    np.subtract(a.v_n, a.u_n, out=a.u_n)
    np.add(a.u_n, a.m, out=a.u_n)
    np.multiply(a.average, 0.1, out=a.v_n)
    np.subtract(a.u_n, a.v_n, out=a.u_n)
    np.dot(a.u_n, a.MEAN_N, out=a.loss)


def infer(p: Params, a: Activations, x: np.ndarray) -> None:
    """Compute the outputs as they are predicted."""
    N = a.N

    # shaped1[n,c,h,w] = x[n,64 c + 8 h + w]
    a.shaped1 = x.reshape(-1, C, H, W)

    # shaped1_pad[n,c,a,b] = shaped1[n,c,a-1,b-1] (0 outside)
    np.copyto(a.shaped1_pad[:, :, 1:-1, 1:-1], a.shaped1)

    # z1[n,f,h,w] = Σ_{c,u,v} stem_W[f,c,u,v] shaped1_pad[n,c,h+u,v+w]
    np.copyto(a.u_ncuvhw, a.shaped1_pad_nchwuv.transpose(0, 1, 4, 5, 2, 3))
    np.matmul(
        p.stem_W.reshape(F, C * U * V),
        a.u_ncuvhw.reshape(N, C * U * V, H * W),
        out=a.z1.reshape(N, F, H * W),
    )

    # mean1[f] = stem_norm_mean[f]
    np.copyto(a.mean1, p.stem_norm_mean)

    # var1[f] = stem_norm_var[f]
    np.copyto(a.var1, p.stem_norm_var)

    # rstd1[f] = 1/√(var1[f] + 1e-05)
    np.add(a.var1, 1e-05, out=a.rstd1)
    np.sqrt(a.rstd1, out=a.rstd1)
    np.divide(1, a.rstd1, out=a.rstd1)

    # xhat1[n,f,h,w] = (z1[n,f,h,w] - mean1[f]) rstd1[f]
    np.subtract(a.z1, a.mean1[:, None, None], out=a.xhat1)
    np.multiply(a.xhat1, a.rstd1[:, None, None], out=a.xhat1)

    # y1[n,f,h,w] = stem_norm_gain[f] xhat1[n,f,h,w] + stem_norm_shift[f]
    np.multiply(a.xhat1, p.stem_norm_gain[:, None, None], out=a.y1)
    np.add(a.y1, p.stem_norm_shift[:, None, None], out=a.y1)

    # relu1[n,f,h,w] = max(0, y1[n,f,h,w])
    np.maximum(a.y1, a.ZERO, out=a.relu1)

    # relu1_pad1[n,f,a,b] = relu1[n,f,a-1,b-1] (0 outside)
    np.copyto(a.relu1_pad1[:, :, 1:-1, 1:-1], a.relu1)

    # z2[n,e,h,w] = Σ_{f,u,v} block1_conv1_W[e,f,u,v] relu1_pad1[n,f,h+u,v+w]
    np.copyto(a.u_nfuvhw, a.relu1_pad1_nfhwuv.transpose(0, 1, 4, 5, 2, 3))
    np.matmul(
        p.block1_conv1_W.reshape(E, F * U * V),
        a.u_nfuvhw.reshape(N, F * U * V, H * W),
        out=a.z2.reshape(N, E, H * W),
    )

    # mean2[e] = block1_conv1_norm_mean[e]
    np.copyto(a.mean2, p.block1_conv1_norm_mean)

    # var2[e] = block1_conv1_norm_var[e]
    np.copyto(a.var2, p.block1_conv1_norm_var)

    # rstd2[e] = 1/√(var2[e] + 1e-05)
    np.add(a.var2, 1e-05, out=a.rstd2)
    np.sqrt(a.rstd2, out=a.rstd2)
    np.divide(1, a.rstd2, out=a.rstd2)

    # xhat2[n,e,h,w] = (z2[n,e,h,w] - mean2[e]) rstd2[e]
    np.subtract(a.z2, a.mean2[:, None, None], out=a.xhat2)
    np.multiply(a.xhat2, a.rstd2[:, None, None], out=a.xhat2)

    # y2[n,e,h,w] = block1_conv1_norm_gain[e] xhat2[n,e,h,w] + block1_conv1_norm_shift[e]
    np.multiply(a.xhat2, p.block1_conv1_norm_gain[:, None, None], out=a.y2)
    np.add(a.y2, p.block1_conv1_norm_shift[:, None, None], out=a.y2)

    # relu2[n,e,h,w] = max(0, y2[n,e,h,w])
    np.maximum(a.y2, a.ZERO, out=a.relu2)

    # relu2_pad1[n,e,a,b] = relu2[n,e,a-1,b-1] (0 outside)
    np.copyto(a.relu2_pad1[:, :, 1:-1, 1:-1], a.relu2)

    # z3[n,f,h,w] = Σ_{e,u,v} block1_conv2_W[f,e,u,v] relu2_pad1[n,e,h+u,v+w]
    np.copyto(a.u_neuvhw, a.relu2_pad1_nehwuv.transpose(0, 1, 4, 5, 2, 3))
    np.matmul(
        p.block1_conv2_W.reshape(F, E * U * V),
        a.u_neuvhw.reshape(N, E * U * V, H * W),
        out=a.z3.reshape(N, F, H * W),
    )

    # mean3[f] = block1_conv2_norm_mean[f]
    np.copyto(a.mean3, p.block1_conv2_norm_mean)

    # var3[f] = block1_conv2_norm_var[f]
    np.copyto(a.var3, p.block1_conv2_norm_var)

    # rstd3[f] = 1/√(var3[f] + 1e-05)
    np.add(a.var3, 1e-05, out=a.rstd3)
    np.sqrt(a.rstd3, out=a.rstd3)
    np.divide(1, a.rstd3, out=a.rstd3)

    # xhat3[n,f,h,w] = (z3[n,f,h,w] - mean3[f]) rstd3[f]
    np.subtract(a.z3, a.mean3[:, None, None], out=a.xhat3)
    np.multiply(a.xhat3, a.rstd3[:, None, None], out=a.xhat3)

    # y3[n,f,h,w] = block1_conv2_norm_gain[f] xhat3[n,f,h,w] + block1_conv2_norm_shift[f]
    np.multiply(a.xhat3, p.block1_conv2_norm_gain[:, None, None], out=a.y3)
    np.add(a.y3, p.block1_conv2_norm_shift[:, None, None], out=a.y3)

    # sum1[n,f,h,w] = relu1[n,f,h,w] + y3[n,f,h,w]
    np.add(a.y3, a.relu1, out=a.sum1)

    # relu3[n,f,h,w] = max(0, sum1[n,f,h,w])
    np.maximum(a.sum1, a.ZERO, out=a.relu3)

    # z4[n,g,j,k] = Σ_f block2_skip_W[g,f,0,0] relu3[n,f,2 j,2 k]
    np.copyto(a.u_fg, p.block2_skip_W[:, :, 0, 0].T)
    np.copyto(a.v_njkf, a.relu3[:, :, ::2, ::2].transpose(0, 2, 3, 1))
    np.matmul(
        a.u_fg.swapaxes(-1, -2),
        a.v_njkf.reshape(N, J * K, F).swapaxes(-1, -2),
        out=a.z4.reshape(N, G, J * K),
    )

    # mean4[g] = block2_skip_norm_mean[g]
    np.copyto(a.mean4, p.block2_skip_norm_mean)

    # var4[g] = block2_skip_norm_var[g]
    np.copyto(a.var4, p.block2_skip_norm_var)

    # rstd4[g] = 1/√(var4[g] + 1e-05)
    np.add(a.var4, 1e-05, out=a.rstd4)
    np.sqrt(a.rstd4, out=a.rstd4)
    np.divide(1, a.rstd4, out=a.rstd4)

    # xhat4[n,g,j,k] = (z4[n,g,j,k] - mean4[g]) rstd4[g]
    np.subtract(a.z4, a.mean4[:, None, None], out=a.xhat4)
    np.multiply(a.xhat4, a.rstd4[:, None, None], out=a.xhat4)

    # y4[n,g,j,k] = block2_skip_norm_gain[g] xhat4[n,g,j,k] + block2_skip_norm_shift[g]
    np.multiply(a.xhat4, p.block2_skip_norm_gain[:, None, None], out=a.y4)
    np.add(a.y4, p.block2_skip_norm_shift[:, None, None], out=a.y4)

    # relu3_pad1[n,f,r,t] = relu3[n,f,r-1,t-1] (0 outside)
    np.copyto(a.relu3_pad1[:, :, 1:, 1:], a.relu3)

    # z5[n,g,j,k] = Σ_{f,u,v} block2_conv1_W[g,f,u,v] relu3_pad1[n,f,2 j + u,2 k + v]
    np.copyto(a.u_nfuvjk, a.relu3_pad1_nfjkuv.transpose(0, 1, 4, 5, 2, 3))
    np.matmul(
        p.block2_conv1_W.reshape(G, F * U * V),
        a.u_nfuvjk.reshape(N, F * U * V, J * K),
        out=a.z5.reshape(N, G, J * K),
    )

    # mean5[g] = block2_conv1_norm_mean[g]
    np.copyto(a.mean5, p.block2_conv1_norm_mean)

    # var5[g] = block2_conv1_norm_var[g]
    np.copyto(a.var5, p.block2_conv1_norm_var)

    # rstd5[g] = 1/√(var5[g] + 1e-05)
    np.add(a.var5, 1e-05, out=a.rstd5)
    np.sqrt(a.rstd5, out=a.rstd5)
    np.divide(1, a.rstd5, out=a.rstd5)

    # xhat5[n,g,j,k] = (z5[n,g,j,k] - mean5[g]) rstd5[g]
    np.subtract(a.z5, a.mean5[:, None, None], out=a.xhat5)
    np.multiply(a.xhat5, a.rstd5[:, None, None], out=a.xhat5)

    # y5[n,g,j,k] = block2_conv1_norm_gain[g] xhat5[n,g,j,k] + block2_conv1_norm_shift[g]
    np.multiply(a.xhat5, p.block2_conv1_norm_gain[:, None, None], out=a.y5)
    np.add(a.y5, p.block2_conv1_norm_shift[:, None, None], out=a.y5)

    # relu4[n,g,j,k] = max(0, y5[n,g,j,k])
    np.maximum(a.y5, a.ZERO, out=a.relu4)

    # relu4_pad1[n,g,a2,b2] = relu4[n,g,a2-1,b2-1] (0 outside)
    np.copyto(a.relu4_pad1[:, :, 1:-1, 1:-1], a.relu4)

    # z6[n,s,j,k] = Σ_{g,u,v} block2_conv2_W[s,g,u,v] relu4_pad1[n,g,j+u,k+v]
    np.copyto(a.u_nguvjk, a.relu4_pad1_ngjkuv.transpose(0, 1, 4, 5, 2, 3))
    np.matmul(
        p.block2_conv2_W.reshape(S, G * U * V),
        a.u_nguvjk.reshape(N, G * U * V, J * K),
        out=a.z6.reshape(N, S, J * K),
    )

    # mean6[s] = block2_conv2_norm_mean[s]
    np.copyto(a.mean6, p.block2_conv2_norm_mean)

    # var6[s] = block2_conv2_norm_var[s]
    np.copyto(a.var6, p.block2_conv2_norm_var)

    # rstd6[s] = 1/√(var6[s] + 1e-05)
    np.add(a.var6, 1e-05, out=a.rstd6)
    np.sqrt(a.rstd6, out=a.rstd6)
    np.divide(1, a.rstd6, out=a.rstd6)

    # xhat6[n,s,j,k] = (z6[n,s,j,k] - mean6[s]) rstd6[s]
    np.subtract(a.z6, a.mean6[:, None, None], out=a.xhat6)
    np.multiply(a.xhat6, a.rstd6[:, None, None], out=a.xhat6)

    # y6[n,s,j,k] = block2_conv2_norm_gain[s] xhat6[n,s,j,k] + block2_conv2_norm_shift[s]
    np.multiply(a.xhat6, p.block2_conv2_norm_gain[:, None, None], out=a.y6)
    np.add(a.y6, p.block2_conv2_norm_shift[:, None, None], out=a.y6)

    # sum2[n,g,j,k] = y4[n,g,j,k] + y6[n,g,j,k]
    np.add(a.y6, a.y4, out=a.sum2)

    # h[n,g,j,k] = max(0, sum2[n,g,j,k])
    np.maximum(a.sum2, a.ZERO, out=a.h)

    # pooled1[n,g] = Σ_{j,k} h[n,g,j,k]/(J K)
    np.add.reduce(a.h, axis=(2, 3), out=a.pooled1)
    np.multiply(a.pooled1, 1 / (J * K), out=a.pooled1)

    # logits[n,h2] = Σ_g fc_W[g,h2] pooled1[n,g] + fc_b[h2]
    np.dot(a.pooled1, p.fc_W, out=a.logits)
    np.add(a.logits, p.fc_b, out=a.logits)


def advance(p: Params, a: Workspace) -> None:
    """Give every state its next value, from what the forward pass left in `a`."""
    N = a.N

    # stem_norm_mean[f] ← 0.9 stem_norm_mean[f] + 0.1 mean1[f]
    np.multiply(p.stem_norm_mean, 0.9, out=p.stem_norm_mean)
    np.multiply(a.mean1, 0.1, out=a.u_f)
    np.add(p.stem_norm_mean, a.u_f, out=p.stem_norm_mean)

    # stem_norm_var[f] ← 0.9 stem_norm_var[f] + 0.1 H N W var1[f]/max(1, H N W - 1)
    np.multiply(a.var1, 0.1 * H * N * W / max(1, H * N * W - 1), out=a.u_f)
    np.multiply(p.stem_norm_var, 0.9, out=p.stem_norm_var)
    np.add(a.u_f, p.stem_norm_var, out=p.stem_norm_var)

    # block1_conv1_norm_mean[e] ← 0.9 block1_conv1_norm_mean[e] + 0.1 mean2[e]
    np.multiply(p.block1_conv1_norm_mean, 0.9, out=p.block1_conv1_norm_mean)
    np.multiply(a.mean2, 0.1, out=a.u_e)
    np.add(p.block1_conv1_norm_mean, a.u_e, out=p.block1_conv1_norm_mean)

    # block1_conv1_norm_var[e] ← 0.9 block1_conv1_norm_var[e] + 0.1 H N W var2[e]/max(1, H N W - 1)
    np.multiply(a.var2, 0.1 * H * N * W / max(1, H * N * W - 1), out=a.u_e)
    np.multiply(p.block1_conv1_norm_var, 0.9, out=p.block1_conv1_norm_var)
    np.add(a.u_e, p.block1_conv1_norm_var, out=p.block1_conv1_norm_var)

    # block1_conv2_norm_mean[f] ← 0.9 block1_conv2_norm_mean[f] + 0.1 mean3[f]
    np.multiply(p.block1_conv2_norm_mean, 0.9, out=p.block1_conv2_norm_mean)
    np.multiply(a.mean3, 0.1, out=a.u_f)
    np.add(p.block1_conv2_norm_mean, a.u_f, out=p.block1_conv2_norm_mean)

    # block1_conv2_norm_var[f] ← 0.9 block1_conv2_norm_var[f] + 0.1 H N W var3[f]/max(1, H N W - 1)
    np.multiply(a.var3, 0.1 * H * N * W / max(1, H * N * W - 1), out=a.u_f)
    np.multiply(p.block1_conv2_norm_var, 0.9, out=p.block1_conv2_norm_var)
    np.add(a.u_f, p.block1_conv2_norm_var, out=p.block1_conv2_norm_var)

    # block2_skip_norm_mean[g] ← 0.9 block2_skip_norm_mean[g] + 0.1 mean4[g]
    np.multiply(p.block2_skip_norm_mean, 0.9, out=p.block2_skip_norm_mean)
    np.multiply(a.mean4, 0.1, out=a.u_g)
    np.add(p.block2_skip_norm_mean, a.u_g, out=p.block2_skip_norm_mean)

    # block2_skip_norm_var[g] ← 0.9 block2_skip_norm_var[g] + 0.1 J K N var4[g]/max(1, J K N - 1)
    np.multiply(a.var4, 0.1 * J * K * N / max(1, J * K * N - 1), out=a.u_g)
    np.multiply(p.block2_skip_norm_var, 0.9, out=p.block2_skip_norm_var)
    np.add(a.u_g, p.block2_skip_norm_var, out=p.block2_skip_norm_var)

    # block2_conv1_norm_mean[g] ← 0.9 block2_conv1_norm_mean[g] + 0.1 mean5[g]
    np.multiply(p.block2_conv1_norm_mean, 0.9, out=p.block2_conv1_norm_mean)
    np.multiply(a.mean5, 0.1, out=a.u_g)
    np.add(p.block2_conv1_norm_mean, a.u_g, out=p.block2_conv1_norm_mean)

    # block2_conv1_norm_var[g] ← 0.9 block2_conv1_norm_var[g] + 0.1 J K N var5[g]/max(1, J K N - 1)
    np.multiply(a.var5, 0.1 * J * K * N / max(1, J * K * N - 1), out=a.u_g)
    np.multiply(p.block2_conv1_norm_var, 0.9, out=p.block2_conv1_norm_var)
    np.add(a.u_g, p.block2_conv1_norm_var, out=p.block2_conv1_norm_var)

    # block2_conv2_norm_mean[s] ← 0.9 block2_conv2_norm_mean[s] + 0.1 mean6[s]
    np.multiply(p.block2_conv2_norm_mean, 0.9, out=p.block2_conv2_norm_mean)
    np.multiply(a.mean6, 0.1, out=a.u_s)
    np.add(p.block2_conv2_norm_mean, a.u_s, out=p.block2_conv2_norm_mean)

    # block2_conv2_norm_var[s] ← 0.9 block2_conv2_norm_var[s] + 0.1 J K N var6[s]/max(1, J K N - 1)
    np.multiply(a.var6, 0.1 * J * K * N / max(1, J * K * N - 1), out=a.u_s)
    np.multiply(p.block2_conv2_norm_var, 0.9, out=p.block2_conv2_norm_var)
    np.add(a.u_s, p.block2_conv2_norm_var, out=p.block2_conv2_norm_var)


def backward(p: Params, g: Grads, a: Workspace, digit: np.ndarray) -> None:
    """Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`."""
    N = a.N

    # p[n,h2] = e[n,h2]/s[n]
    np.divide(a.e, a.s[:, None], out=a.p)

    # ∂L/∂logits[n,h2] = (p[n,h2] - 0.1/H2 - 0.9 δ(h2,digit[n]))/N
    np.equal(digit[:, None], a.RANGE_H2, out=a.d_logits)
    np.multiply(a.d_logits, 0.9, out=a.d_logits)
    np.subtract(a.p, a.d_logits, out=a.d_logits)
    np.subtract(a.d_logits, 0.1 / H2, out=a.d_logits)
    np.multiply(a.d_logits, 1 / N, out=a.d_logits)

    # ∂L/∂pooled1[n,g] = Σ_h2 fc_W[g,h2] ∂L/∂logits[n,h2]
    np.dot(a.d_logits, p.fc_W.T, out=a.d_pooled1)

    # ∂L/∂sum2[n,g,j,k] = [sum2[n,g,j,k] > 0] ∂L/∂pooled1[n,g]/(J K)
    np.greater(a.sum2, a.ZERO, out=a.d_sum2)
    np.multiply(a.d_pooled1, 1 / (J * K), out=a.u_ng)
    np.multiply(a.d_sum2, a.u_ng[:, :, None, None], out=a.d_sum2)

    # ∂L/∂xhat6[n,s,j,k] = block2_conv2_norm_gain[s] ∂L/∂sum2[n,s,j,k]
    np.multiply(a.d_sum2, p.block2_conv2_norm_gain[:, None, None], out=a.d_xhat6)

    # xhat6_dot_d_xhat6[s] = Σ_{n,j,k} xhat6[n,s,j,k] ∂L/∂xhat6[n,s,j,k]
    np.einsum("nsjk,nsjk->s", a.d_xhat6, a.xhat6, out=a.xhat6_dot_d_xhat6)

    # sum_d_xhat6[s] = Σ_{n,j,k} ∂L/∂xhat6[n,s,j,k]
    np.add.reduce(a.d_xhat6, axis=(0, 2, 3), out=a.sum_d_xhat6)

    # ∂L/∂z6[n,s,j,k] = rstd6[s] (∂L/∂xhat6[n,s,j,k] - xhat6[n,s,j,k] xhat6_dot_d_xhat6[s]/(J K N) -
    #     sum_d_xhat6[s]/(J K N))
    np.multiply(a.xhat6_dot_d_xhat6, 1 / (J * K * N), out=a.u_s)
    np.multiply(a.xhat6, a.u_s[:, None, None], out=a.d_z6)
    np.subtract(a.d_xhat6, a.d_z6, out=a.d_z6)
    np.multiply(a.sum_d_xhat6, 1 / (J * K * N), out=a.u_s)
    np.subtract(a.d_z6, a.u_s[:, None, None], out=a.d_z6)
    np.multiply(a.d_z6, a.rstd6[:, None, None], out=a.d_z6)

    # padded_d_z6[n,s,p,w] = ∂L/∂z6[n,s,p-2,w-2] (0 outside)
    np.copyto(a.padded_d_z6[:, :, 2:-2, 2:-2], a.d_z6)

    # ∂L/∂relu4_pad1[n,g,a2,b2] = Σ_{s,u,v} block2_conv2_W[s,g,u,v] padded_d_z6[n,s,a2 + 2 - u,b2 +
    #     2 - v]
    np.copyto(a.u_gsuv, p.block2_conv2_W.transpose(1, 0, 2, 3))
    np.copyto(a.v_nsuva2b2, a.padded_d_z6_nsa2b2uv.transpose(0, 1, 4, 5, 2, 3))
    np.matmul(
        a.u_gsuv.reshape(G, S * U * V),
        a.v_nsuva2b2.reshape(N, S * U * V, A2 * B2),
        out=a.d_relu4_pad1.reshape(N, G, A2 * B2),
    )

    # ∂L/∂y5[n,g,j,k] = [y5[n,g,j,k] > 0] ∂L/∂relu4_pad1[n,g,j+1,k+1]
    np.greater(a.y5, a.ZERO, out=a.d_y5)
    np.multiply(a.d_y5, a.d_relu4_pad1[:, :, 1:5, 1:5], out=a.d_y5)

    # ∂L/∂xhat5[n,g,j,k] = block2_conv1_norm_gain[g] ∂L/∂y5[n,g,j,k]
    np.multiply(a.d_y5, p.block2_conv1_norm_gain[:, None, None], out=a.d_xhat5)

    # xhat5_dot_d_xhat5[g] = Σ_{n,j,k} xhat5[n,g,j,k] ∂L/∂xhat5[n,g,j,k]
    np.einsum("ngjk,ngjk->g", a.d_xhat5, a.xhat5, out=a.xhat5_dot_d_xhat5)

    # sum_d_xhat5[g] = Σ_{n,j,k} ∂L/∂xhat5[n,g,j,k]
    np.add.reduce(a.d_xhat5, axis=(0, 2, 3), out=a.sum_d_xhat5)

    # ∂L/∂z5[n,g,j,k] = rstd5[g] (∂L/∂xhat5[n,g,j,k] - xhat5[n,g,j,k] xhat5_dot_d_xhat5[g]/(J K N) -
    #     sum_d_xhat5[g]/(J K N))
    np.multiply(a.xhat5_dot_d_xhat5, 1 / (J * K * N), out=a.u_g)
    np.multiply(a.xhat5, a.u_g[:, None, None], out=a.d_z5)
    np.subtract(a.d_xhat5, a.d_z5, out=a.d_z5)
    np.multiply(a.sum_d_xhat5, 1 / (J * K * N), out=a.u_g)
    np.subtract(a.d_z5, a.u_g[:, None, None], out=a.d_z5)
    np.multiply(a.d_z5, a.rstd5[:, None, None], out=a.d_z5)

    # padded_block2_conv1_W[g,f,k,j] = block2_conv1_W[g,f,k,j] (0 outside)
    np.copyto(a.padded_block2_conv1_W[:, :, :-1, :-1], p.block2_conv1_W)

    # padded_d_z5[n,g,a2,b2] = ∂L/∂z5[n,g,a2-1,b2-1] (0 outside)
    np.copyto(a.padded_d_z5[:, :, 1:-1, 1:-1], a.d_z5)

    # split_d_relu3_pad1[n,f,y,r2,x,k2] = Σ_{g,z,j2} padded_block2_conv1_W[g,f,2 z + y,2 j2 + r2]
    #     padded_d_z5[n,g,x + 1 - z,k2 + 1 - j2]
    np.copyto(
        a.u_fyr2gzj2,
        a.padded_block2_conv1_W.reshape(G, F, Z, Y, J2, R2).transpose(1, 3, 5, 0, 2, 4),
    )
    np.copyto(a.v_ngzj2xk2, a.padded_d_z5_ngxk2zj2.transpose(0, 1, 4, 5, 2, 3))
    np.matmul(
        a.u_fyr2gzj2.reshape(F * Y * R2, G * Z * J2),
        a.v_ngzj2xk2.reshape(N, G * Z * J2, X * K2),
        out=a.split_d_relu3_pad1.reshape(N, F * Y * R2, X * K2),
    )

    # joined_d_relu3_pad1[n,f,2 x + y,2 k2 + r2] = split_d_relu3_pad1[n,f,y,r2,x,k2]
    np.copyto(
        a.joined_d_relu3_pad1.reshape(-1, F, X, Y, K2, R2),
        a.split_d_relu3_pad1.transpose(0, 1, 4, 2, 5, 3),
    )

    # ∂L/∂xhat4[n,g,j,k] = block2_skip_norm_gain[g] ∂L/∂sum2[n,g,j,k]
    np.multiply(a.d_sum2, p.block2_skip_norm_gain[:, None, None], out=a.d_xhat4)

    # xhat4_dot_d_xhat4[g] = Σ_{n,j,k} xhat4[n,g,j,k] ∂L/∂xhat4[n,g,j,k]
    np.einsum("ngjk,ngjk->g", a.d_xhat4, a.xhat4, out=a.xhat4_dot_d_xhat4)

    # sum_d_xhat4[g] = Σ_{n,j,k} ∂L/∂xhat4[n,g,j,k]
    np.add.reduce(a.d_xhat4, axis=(0, 2, 3), out=a.sum_d_xhat4)

    # ∂L/∂z4[n,g,j,k] = rstd4[g] (∂L/∂xhat4[n,g,j,k] - xhat4[n,g,j,k] xhat4_dot_d_xhat4[g]/(J K N) -
    #     sum_d_xhat4[g]/(J K N))
    np.multiply(a.xhat4_dot_d_xhat4, 1 / (J * K * N), out=a.u_g)
    np.multiply(a.xhat4, a.u_g[:, None, None], out=a.d_z4)
    np.subtract(a.d_xhat4, a.d_z4, out=a.d_z4)
    np.multiply(a.sum_d_xhat4, 1 / (J * K * N), out=a.u_g)
    np.subtract(a.d_z4, a.u_g[:, None, None], out=a.d_z4)
    np.multiply(a.d_z4, a.rstd4[:, None, None], out=a.d_z4)

    # split_d_relu3[n,f,y,z,u2,v2] = Σ_g δ(y,0) δ(z,0) block2_skip_W[g,f,0,0] ∂L/∂z4[n,g,u2,v2]
    np.copyto(a.split_d_relu3, a.ZERO)
    np.matmul(
        p.block2_skip_W[:, :, 0, 0].swapaxes(-1, -2),
        a.d_z4.reshape(N, G, U2 * V2),
        out=a.u_nfu2v2.reshape(N, F, U2 * V2),
    )
    np.add(a.split_d_relu3[:, :, 0, 0], a.u_nfu2v2, out=a.split_d_relu3[:, :, 0, 0])

    # ∂L/∂relu3[n,f,h,w] = joined_d_relu3_pad1[n,f,h+1,w+1] + split_d_relu3[n,f,h % Y,w % Z,h // 2 %
    #     U2,w // 2 % V2]
    np.copyto(a.u_nfhw.reshape(-1, F, U2, Y, V2, Z), a.split_d_relu3.transpose(0, 1, 4, 2, 5, 3))
    np.add(a.u_nfhw, a.joined_d_relu3_pad1[:, :, 1:9, 1:9], out=a.d_relu3)

    # ∂L/∂sum1[n,f,h,w] = [sum1[n,f,h,w] > 0] ∂L/∂relu3[n,f,h,w]
    np.greater(a.sum1, a.ZERO, out=a.d_sum1)
    np.multiply(a.d_sum1, a.d_relu3, out=a.d_sum1)

    # ∂L/∂xhat3[n,f,h,w] = block1_conv2_norm_gain[f] ∂L/∂sum1[n,f,h,w]
    np.multiply(a.d_sum1, p.block1_conv2_norm_gain[:, None, None], out=a.d_xhat3)

    # xhat3_dot_d_xhat3[f] = Σ_{n,h,w} xhat3[n,f,h,w] ∂L/∂xhat3[n,f,h,w]
    np.einsum("nfhw,nfhw->f", a.d_xhat3, a.xhat3, out=a.xhat3_dot_d_xhat3)

    # sum_d_xhat3[f] = Σ_{n,h,w} ∂L/∂xhat3[n,f,h,w]
    np.add.reduce(a.d_xhat3, axis=(0, 2, 3), out=a.sum_d_xhat3)

    # ∂L/∂z3[n,f,h,w] = rstd3[f] (∂L/∂xhat3[n,f,h,w] - xhat3[n,f,h,w] xhat3_dot_d_xhat3[f]/(H N W) -
    #     sum_d_xhat3[f]/(H N W))
    np.multiply(a.xhat3_dot_d_xhat3, 1 / (H * N * W), out=a.u_f)
    np.multiply(a.xhat3, a.u_f[:, None, None], out=a.d_z3)
    np.subtract(a.d_xhat3, a.d_z3, out=a.d_z3)
    np.multiply(a.sum_d_xhat3, 1 / (H * N * W), out=a.u_f)
    np.subtract(a.d_z3, a.u_f[:, None, None], out=a.d_z3)
    np.multiply(a.d_z3, a.rstd3[:, None, None], out=a.d_z3)

    # padded_d_z3[n,f,q2,e2] = ∂L/∂z3[n,f,q2-2,e2-2] (0 outside)
    np.copyto(a.padded_d_z3[:, :, 2:-2, 2:-2], a.d_z3)

    # ∂L/∂relu2_pad1[n,e,a,b] = Σ_{f,u,v} block1_conv2_W[f,e,u,v] padded_d_z3[n,f,a + 2 - u,b + 2 -
    #     v]
    np.copyto(a.u_efuv, p.block1_conv2_W.transpose(1, 0, 2, 3))
    np.copyto(a.v_nfuvab, a.padded_d_z3_nfabuv.transpose(0, 1, 4, 5, 2, 3))
    np.matmul(
        a.u_efuv.reshape(E, F * U * V),
        a.v_nfuvab.reshape(N, F * U * V, A * B),
        out=a.d_relu2_pad1.reshape(N, E, A * B),
    )

    # ∂L/∂y2[n,e,h,w] = [y2[n,e,h,w] > 0] ∂L/∂relu2_pad1[n,e,h+1,w+1]
    np.greater(a.y2, a.ZERO, out=a.d_y2)
    np.multiply(a.d_y2, a.d_relu2_pad1[:, :, 1:9, 1:9], out=a.d_y2)

    # ∂L/∂xhat2[n,e,h,w] = block1_conv1_norm_gain[e] ∂L/∂y2[n,e,h,w]
    np.multiply(a.d_y2, p.block1_conv1_norm_gain[:, None, None], out=a.d_xhat2)

    # xhat2_dot_d_xhat2[e] = Σ_{n,h,w} xhat2[n,e,h,w] ∂L/∂xhat2[n,e,h,w]
    np.einsum("nehw,nehw->e", a.d_xhat2, a.xhat2, out=a.xhat2_dot_d_xhat2)

    # sum_d_xhat2[e] = Σ_{n,h,w} ∂L/∂xhat2[n,e,h,w]
    np.add.reduce(a.d_xhat2, axis=(0, 2, 3), out=a.sum_d_xhat2)

    # ∂L/∂z2[n,e,h,w] = rstd2[e] (∂L/∂xhat2[n,e,h,w] - xhat2[n,e,h,w] xhat2_dot_d_xhat2[e]/(H N W) -
    #     sum_d_xhat2[e]/(H N W))
    np.multiply(a.xhat2_dot_d_xhat2, 1 / (H * N * W), out=a.u_e)
    np.multiply(a.xhat2, a.u_e[:, None, None], out=a.d_z2)
    np.subtract(a.d_xhat2, a.d_z2, out=a.d_z2)
    np.multiply(a.sum_d_xhat2, 1 / (H * N * W), out=a.u_e)
    np.subtract(a.d_z2, a.u_e[:, None, None], out=a.d_z2)
    np.multiply(a.d_z2, a.rstd2[:, None, None], out=a.d_z2)

    # padded_d_z2[n,e,q2,e2] = ∂L/∂z2[n,e,q2-2,e2-2] (0 outside)
    np.copyto(a.padded_d_z2[:, :, 2:-2, 2:-2], a.d_z2)

    # ∂L/∂relu1_pad1[n,f,a,b] = Σ_{e,u,v} block1_conv1_W[e,f,u,v] padded_d_z2[n,e,a + 2 - u,b + 2 -
    #     v]
    np.copyto(a.u_feuv, p.block1_conv1_W.transpose(1, 0, 2, 3))
    np.copyto(a.v_neuvab, a.padded_d_z2_neabuv.transpose(0, 1, 4, 5, 2, 3))
    np.matmul(
        a.u_feuv.reshape(F, E * U * V),
        a.v_neuvab.reshape(N, E * U * V, A * B),
        out=a.d_relu1_pad1.reshape(N, F, A * B),
    )

    # ∂L/∂y1[n,f,h,w] = [y1[n,f,h,w] > 0] (∂L/∂sum1[n,f,h,w] + ∂L/∂relu1_pad1[n,f,h+1,w+1])
    np.add(a.d_sum1, a.d_relu1_pad1[:, :, 1:9, 1:9], out=a.d_y1)
    np.greater(a.y1, a.ZERO, out=a.u_nfhw)
    np.multiply(a.d_y1, a.u_nfhw, out=a.d_y1)

    # ∂L/∂xhat1[n,f,h,w] = stem_norm_gain[f] ∂L/∂y1[n,f,h,w]
    np.multiply(a.d_y1, p.stem_norm_gain[:, None, None], out=a.d_xhat1)

    # xhat1_dot_d_xhat1[f] = Σ_{n,h,w} xhat1[n,f,h,w] ∂L/∂xhat1[n,f,h,w]
    np.einsum("nfhw,nfhw->f", a.d_xhat1, a.xhat1, out=a.xhat1_dot_d_xhat1)

    # sum_d_xhat1[f] = Σ_{n,h,w} ∂L/∂xhat1[n,f,h,w]
    np.add.reduce(a.d_xhat1, axis=(0, 2, 3), out=a.sum_d_xhat1)

    # ∂L/∂z1[n,f,h,w] = rstd1[f] (∂L/∂xhat1[n,f,h,w] - xhat1[n,f,h,w] xhat1_dot_d_xhat1[f]/(H N W) -
    #     sum_d_xhat1[f]/(H N W))
    np.multiply(a.xhat1_dot_d_xhat1, 1 / (H * N * W), out=a.u_f)
    np.multiply(a.xhat1, a.u_f[:, None, None], out=a.d_z1)
    np.subtract(a.d_xhat1, a.d_z1, out=a.d_z1)
    np.multiply(a.sum_d_xhat1, 1 / (H * N * W), out=a.u_f)
    np.subtract(a.d_z1, a.u_f[:, None, None], out=a.d_z1)
    np.multiply(a.d_z1, a.rstd1[:, None, None], out=a.d_z1)

    # ∂L/∂stem_W[f,c,u,v] = Σ_{n,h,w} shaped1_pad[n,c,h+u,v+w] ∂L/∂z1[n,f,h,w]
    np.copyto(a.u_nhwf, a.d_z1.transpose(0, 2, 3, 1))
    np.copyto(a.v_cuvnhw, a.shaped1_pad_nchwuv.transpose(1, 4, 5, 0, 2, 3))
    np.matmul(
        a.u_nhwf.reshape(N * H * W, F).swapaxes(-1, -2),
        a.v_cuvnhw.reshape(C * U * V, N * H * W).swapaxes(-1, -2),
        out=g.stem_W.reshape(F, C * U * V),
    )

    # ∂L/∂stem_norm_gain[f] = Σ_{n,h,w} xhat1[n,f,h,w] ∂L/∂y1[n,f,h,w]
    np.einsum("nfhw,nfhw->f", a.d_y1, a.xhat1, out=g.stem_norm_gain)

    # ∂L/∂stem_norm_shift[f] = Σ_{n,h,w} ∂L/∂y1[n,f,h,w]
    np.add.reduce(a.d_y1, axis=(0, 2, 3), out=g.stem_norm_shift)

    # ∂L/∂block1_conv1_W[e,f,u,v] = Σ_{n,h,w} relu1_pad1[n,f,h+u,v+w] ∂L/∂z2[n,e,h,w]
    np.copyto(a.u_nhwe, a.d_z2.transpose(0, 2, 3, 1))
    np.copyto(a.v_fuvnhw, a.relu1_pad1_nfhwuv.transpose(1, 4, 5, 0, 2, 3))
    np.matmul(
        a.u_nhwe.reshape(N * H * W, E).swapaxes(-1, -2),
        a.v_fuvnhw.reshape(F * U * V, N * H * W).swapaxes(-1, -2),
        out=g.block1_conv1_W.reshape(E, F * U * V),
    )

    # ∂L/∂block1_conv1_norm_gain[e] = Σ_{n,h,w} xhat2[n,e,h,w] ∂L/∂y2[n,e,h,w]
    np.einsum("nehw,nehw->e", a.d_y2, a.xhat2, out=g.block1_conv1_norm_gain)

    # ∂L/∂block1_conv1_norm_shift[e] = Σ_{n,h,w} ∂L/∂y2[n,e,h,w]
    np.add.reduce(a.d_y2, axis=(0, 2, 3), out=g.block1_conv1_norm_shift)

    # ∂L/∂block1_conv2_W[f,e,u,v] = Σ_{n,h,w} relu2_pad1[n,e,h+u,v+w] ∂L/∂z3[n,f,h,w]
    np.copyto(a.u_nhwf, a.d_z3.transpose(0, 2, 3, 1))
    np.copyto(a.v_euvnhw, a.relu2_pad1_nehwuv.transpose(1, 4, 5, 0, 2, 3))
    np.matmul(
        a.u_nhwf.reshape(N * H * W, F).swapaxes(-1, -2),
        a.v_euvnhw.reshape(E * U * V, N * H * W).swapaxes(-1, -2),
        out=g.block1_conv2_W.reshape(F, E * U * V),
    )

    # ∂L/∂block1_conv2_norm_gain[f] = Σ_{n,h,w} xhat3[n,f,h,w] ∂L/∂sum1[n,f,h,w]
    np.einsum("nfhw,nfhw->f", a.d_sum1, a.xhat3, out=g.block1_conv2_norm_gain)

    # ∂L/∂block1_conv2_norm_shift[f] = Σ_{n,h,w} ∂L/∂sum1[n,f,h,w]
    np.add.reduce(a.d_sum1, axis=(0, 2, 3), out=g.block1_conv2_norm_shift)

    # relu3_dot_d_z4[g,f] = Σ_{n,j,k} relu3[n,f,2 j,2 k] ∂L/∂z4[n,g,j,k]
    np.copyto(a.u_njkf, a.relu3[:, :, ::2, ::2].transpose(0, 2, 3, 1))
    np.matmul(a.d_z4.reshape(N, G, J * K), a.u_njkf.reshape(N, J * K, F), out=a.v_ngf)
    np.add.reduce(a.v_ngf, axis=0, out=a.relu3_dot_d_z4)

    # ∂L/∂block2_skip_W[g,f,m,q] = relu3_dot_d_z4[g,f]
    np.copyto(g.block2_skip_W, a.relu3_dot_d_z4[:, :, None, None])

    # ∂L/∂block2_skip_norm_gain[g] = Σ_{n,j,k} xhat4[n,g,j,k] ∂L/∂sum2[n,g,j,k]
    np.einsum("ngjk,ngjk->g", a.d_sum2, a.xhat4, out=g.block2_skip_norm_gain)

    # ∂L/∂block2_skip_norm_shift[g] = Σ_{n,j,k} ∂L/∂sum2[n,g,j,k]
    np.add.reduce(a.d_sum2, axis=(0, 2, 3), out=g.block2_skip_norm_shift)

    # ∂L/∂block2_conv1_W[g,f,u,v] = Σ_{n,j,k} relu3_pad1[n,f,2 j + u,2 k + v] ∂L/∂z5[n,g,j,k]
    np.copyto(a.u_njkg, a.d_z5.transpose(0, 2, 3, 1))
    np.copyto(a.v_fuvnjk, a.relu3_pad1_nfjkuv.transpose(1, 4, 5, 0, 2, 3))
    np.matmul(
        a.u_njkg.reshape(N * J * K, G).swapaxes(-1, -2),
        a.v_fuvnjk.reshape(F * U * V, N * J * K).swapaxes(-1, -2),
        out=g.block2_conv1_W.reshape(G, F * U * V),
    )

    # ∂L/∂block2_conv1_norm_gain[g] = Σ_{n,j,k} xhat5[n,g,j,k] ∂L/∂y5[n,g,j,k]
    np.einsum("ngjk,ngjk->g", a.d_y5, a.xhat5, out=g.block2_conv1_norm_gain)

    # ∂L/∂block2_conv1_norm_shift[g] = Σ_{n,j,k} ∂L/∂y5[n,g,j,k]
    np.add.reduce(a.d_y5, axis=(0, 2, 3), out=g.block2_conv1_norm_shift)

    # ∂L/∂block2_conv2_W[s,g,u,v] = Σ_{n,j,k} relu4_pad1[n,g,j+u,k+v] ∂L/∂z6[n,s,j,k]
    np.copyto(a.u_njks, a.d_z6.transpose(0, 2, 3, 1))
    np.copyto(a.v_guvnjk, a.relu4_pad1_ngjkuv.transpose(1, 4, 5, 0, 2, 3))
    np.matmul(
        a.u_njks.reshape(N * J * K, S).swapaxes(-1, -2),
        a.v_guvnjk.reshape(G * U * V, N * J * K).swapaxes(-1, -2),
        out=g.block2_conv2_W.reshape(S, G * U * V),
    )

    # ∂L/∂block2_conv2_norm_gain[s] = Σ_{n,j,k} xhat6[n,s,j,k] ∂L/∂sum2[n,s,j,k]
    np.einsum("nsjk,nsjk->s", a.d_sum2, a.xhat6, out=g.block2_conv2_norm_gain)

    # ∂L/∂block2_conv2_norm_shift[s] = Σ_{n,j,k} ∂L/∂sum2[n,s,j,k]
    np.add.reduce(a.d_sum2, axis=(0, 2, 3), out=g.block2_conv2_norm_shift)

    # ∂L/∂fc_W[g,h2] = Σ_n pooled1[n,g] ∂L/∂logits[n,h2]
    np.dot(a.pooled1.T, a.d_logits, out=g.fc_W)

    # ∂L/∂fc_b[h2] = Σ_n ∂L/∂logits[n,h2]
    np.dot(a.ONES_N, a.d_logits, out=g.fc_b)


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
    np.multiply(s.m, 0.9, out=s.m)
    np.multiply(g.flat, 0.1, out=s.u_i)
    np.add(s.m, s.u_i, out=s.m)

    # v[i] ← 0.999 v[i] + 0.001 g[i]²
    np.multiply(g.flat, g.flat, out=s.u_i)
    np.multiply(s.u_i, 0.001, out=s.u_i)
    np.multiply(s.v, 0.999, out=s.v)
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
    # Seen without a sign, a negative number is a huge one: one comparison finds both.
    if array.size and np.maximum.reduce(array.view(np.uintp), axis=None) >= below:
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
    return {"logits": a.logits}


def loss(params: Params, *, x: np.ndarray, digit: np.ndarray) -> float:
    """Return the loss of a batch as `predict` computes it, without a gradient."""
    x, digit = checked(x, digit, params.flat.dtype)
    a = Activations(len(x), params.flat.dtype)
    infer(params, a, x)
    add_loss(a, digit)
    return float(a.loss)


class Trainer:
    """Parameters in training. All memory is allocated by the first step of each batch size."""

    def __init__(self, params: Params, batch: int = 64, seed: int = 0) -> None:
        self.params = params
        self.grads = Grads(np.empty_like(params.flat))
        self.state = State(params.flat.dtype)
        self.batch, self.seed, self.steps = batch, seed, 0
        self._workspaces = {batch: Workspace(batch, params.flat.dtype)}

    def step(self, *, x: np.ndarray, digit: np.ndarray) -> float:
        """Train on one batch: forward, backward, update. Return the loss before the update."""
        x, digit = checked(x, digit, self.params.flat.dtype)
        p, g, a = self.params, self.grads, self._workspace(len(x))
        self.steps += 1
        forward(p, a, x)
        add_loss(a, digit)
        advance(p, a)
        backward(p, g, a, digit)
        update(p, g, self.state, self.steps)
        return float(a.loss)

    def _workspace(self, N: int) -> Workspace:
        if N not in self._workspaces:
            self._workspaces[N] = Workspace(N, self.params.flat.dtype)
        return self._workspaces[N]


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


def load(path: str | Path) -> Trainer:
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
    trainer = Trainer(Params(np.empty(STORAGE, dtype)), batch, seed)
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
    trainer = load(args.resume) if args.resume else Trainer(init(args.seed), args.batch, args.seed)
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
