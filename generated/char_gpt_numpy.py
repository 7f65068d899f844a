"""Decoder-only transformer that reads 64 characters of text and predicts the one after each.

Written by `bpgen emit char_gpt` from char_gpt.py; needs numpy alone.
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


def spans(shapes: dict[str, tuple[int, ...]]) -> dict[str, slice]:
    """Return where arrays of these shapes lie in one vector, one behind the other."""
    found, begin = {}, 0
    for name, shape in shapes.items():
        end = begin + math.prod(shape)
        found[name] = slice(begin, end)
        begin = end
    return found


DTYPE = "float32"
D, V, H, B, A, K, E, M, J, G, F, S = 64, 96, 128, 2, 4, 32, 512, 96, 16, 2, 2, 64

# Shapes of the parameters; for a batch, the shape of one example and the number of classes.
PARAMETERS = {
    "characters_W": (V, H),
    "block_ln1_gain": (B, H),
    "block_ln1_shift": (B, H),
    "block_att_Wq": (B, H, A, K),
    "block_att_bq": (B, A, K),
    "block_att_Wk": (B, H, A, K),
    "block_att_Wv": (B, H, A, K),
    "block_att_bv": (B, A, K),
    "block_att_Wo": (B, A, K, H),
    "block_att_bo": (B, H),
    "block_ln2_gain": (B, H),
    "block_ln2_shift": (B, H),
    "block_up_W": (B, H, E),
    "block_up_b": (B, E),
    "block_down_W": (B, E, H),
    "block_down_b": (B, H),
    "ln_gain": (H,),
    "ln_shift": (H,),
    "head_W": (H, M),
    "head_b": (M,),
}
SPANS = spans(PARAMETERS)
SIZE = sum(math.prod(shape) for shape in PARAMETERS.values())
INPUTS = {
    "tokens": ((D,), 96),
    "next_token": ((D,), 96),
}
OUTPUTS = ("logits",)
STATES = ("m", "v")


# The error function, which numpy lacks: erf x = tanh(x P(u) / Q(u)) with u = min(x², limit).
# Beyond the limit it is 1 or -1 to the last place. P and Q fit atanh(erf x) / x, weighed by what
# is left of an error behind tanh, to 3e-9 and to 1e-17; highest power first.
_ERF = {
    "float32": (16.0, (
        0.002178320019660235, 0.042646919720741736, 0.27980741786914937, 1.1283791708414272,
    ), (
        0.00032493253489025627, 0.023690201048951764, 0.1568930997683266, 1.0,
    )),
    "float64": (36.0, (
        4.68623709529775e-10, 6.462870078193489e-08, 2.292324060556285e-06,
        4.594415798233567e-05, 0.0006272498521005465, 0.00603320279853151, 0.04162131972803684,
        0.20151037075351533, 0.6357693277238893, 1.1283791670955126,
    ), (
        2.8746410389775437e-11, 1.3842728204153623e-08, 8.063980504094281e-07,
        1.9102053061799306e-05, 0.0003033586027521121, 0.00327273129777264, 0.02513265535685532,
        0.13574719304026386, 0.4723560483608567, 1.0,
    )),
}  # fmt: skip
ERF_PIECE = 16384


def erf(x: np.ndarray, scratch: np.ndarray, out: np.ndarray) -> None:
    """Write the error function of `x` into `out`, right to four units in the last place."""
    limit, above, below = _ERF[x.dtype.name]
    xs, outs = x.reshape(-1), out.reshape(-1)
    for begin in range(0, xs.size, ERF_PIECE):
        piece = slice(begin, begin + ERF_PIECE)
        t = xs[piece]
        u, p, q = scratch[:, : t.size]
        np.multiply(t, t, out=u)
        np.minimum(u, limit, out=u)
        polynomial(above, u, out=p)
        polynomial(below, u, out=q)
        np.divide(p, q, out=p)
        np.multiply(p, t, out=p)
        np.tanh(p, out=outs[piece])


def polynomial(coefficients: tuple[float, ...], u: np.ndarray, out: np.ndarray) -> None:
    """Write the polynomial in `u` into `out`, by Horner's scheme."""
    first, *others, last = coefficients
    np.multiply(u, first, out=out)
    for c in others:
        np.add(out, c, out=out)
        np.multiply(out, u, out=out)
    np.add(out, last, out=out)


class Params:
    """The parameters: named views into one flat vector, `flat`."""

    def __init__(self, flat: np.ndarray | None = None) -> None:
        self.flat = np.zeros(SIZE, DTYPE) if flat is None else flat
        self.characters_W = self.flat[SPANS["characters_W"]].reshape((V, H))
        self.block_ln1_gain = self.flat[SPANS["block_ln1_gain"]].reshape((B, H))
        self.block_ln1_shift = self.flat[SPANS["block_ln1_shift"]].reshape((B, H))
        self.block_att_Wq = self.flat[SPANS["block_att_Wq"]].reshape((B, H, A, K))
        self.block_att_bq = self.flat[SPANS["block_att_bq"]].reshape((B, A, K))
        self.block_att_Wk = self.flat[SPANS["block_att_Wk"]].reshape((B, H, A, K))
        self.block_att_Wv = self.flat[SPANS["block_att_Wv"]].reshape((B, H, A, K))
        self.block_att_bv = self.flat[SPANS["block_att_bv"]].reshape((B, A, K))
        self.block_att_Wo = self.flat[SPANS["block_att_Wo"]].reshape((B, A, K, H))
        self.block_att_bo = self.flat[SPANS["block_att_bo"]].reshape((B, H))
        self.block_ln2_gain = self.flat[SPANS["block_ln2_gain"]].reshape((B, H))
        self.block_ln2_shift = self.flat[SPANS["block_ln2_shift"]].reshape((B, H))
        self.block_up_W = self.flat[SPANS["block_up_W"]].reshape((B, H, E))
        self.block_up_b = self.flat[SPANS["block_up_b"]].reshape((B, E))
        self.block_down_W = self.flat[SPANS["block_down_W"]].reshape((B, E, H))
        self.block_down_b = self.flat[SPANS["block_down_b"]].reshape((B, H))
        self.ln_gain = self.flat[SPANS["ln_gain"]].reshape((H,))
        self.ln_shift = self.flat[SPANS["ln_shift"]].reshape((H,))
        self.head_W = self.flat[SPANS["head_W"]].reshape((H, M))
        self.head_b = self.flat[SPANS["head_b"]].reshape((M,))


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
        rows_N = np.empty((49408, N), dtype)
        rows = np.empty(12290, dtype)
        rows_B_N = np.empty((188544, B * N), dtype)
        self.y1 = rows_N[32768:40960].reshape((N, D, H))  # y1[n,d,h]
        self.logits = np.empty((N, D, M), dtype)  # logits[n,d,m]
        self.loss = np.empty((), dtype)  # loss
        self.angle1 = rows[4096:5120].reshape((D, J))  # angle1[d,j]
        self.u_j = rows[5120:5136].reshape(J)
        self.turn1 = rows[0:4096].reshape((D, J, G, F))  # turn1[d,j,g,f]
        self.c_gf = lent(rows[12288:12289], bool, (G, F))
        self.u_dj = rows[5120:6144].reshape((D, J))
        self.b_gf = lent(rows[12289:12290], bool, (G, F))
        self.v_dj = rows[6144:7168].reshape((D, J))
        self.w_dj = rows[7168:8192].reshape((D, J))
        self.angle2 = rows[8192:9216].reshape((S, J))  # angle2[s,j]
        self.turn2 = rows[4096:8192].reshape((S, J, G, F))  # turn2[s,j,g,f]
        self.u_sj = rows[9216:10240].reshape((S, J))
        self.v_sj = rows[10240:11264].reshape((S, J))
        self.w_sj = rows[11264:12288].reshape((S, J))
        self.block = rows_B_N[114688:122880].reshape((B, N, D, H))  # block[b,n,d,h]
        self.block_before = rows_N[40960:49152].reshape((N, D, H))  # block_before[n,d,h]
        self.rstd1 = rows_B_N[188416:188480].reshape((B, N, D))  # rstd1[b,n,d]
        self.xhat1 = rows_B_N[122880:131072].reshape((B, N, D, H))  # xhat1[b,n,d,h]
        self.y2 = rows_B_N[131072:139264].reshape((B, N, D, H))  # y2[b,n,d,h]
        self.att_v = rows_B_N[139264:147456].reshape((B, N, S, A, K))  # att_v[b,n,s,a,k]
        self.turned1 = rows_B_N[147456:155648].reshape((B, N, D, A, J, G))  # turned1[b,n,d,a,j,g]
        self.turned2 = rows_B_N[155648:163840].reshape((B, N, S, A, J, G))  # turned2[b,n,s,a,j,g]
        self.p1 = rows_B_N[98304:114688].reshape((B, N, A, D, S))  # p1[b,n,a,d,s]
        self.att_mixed = rows_B_N[163840:172032].reshape((B, N, D, A, K))  # att_mixed[b,n,d,a,k]
        self.rstd2 = rows_B_N[188480:188544].reshape((B, N, D))  # rstd2[b,n,d]
        self.xhat2 = rows_B_N[172032:180224].reshape((B, N, D, H))  # xhat2[b,n,d,h]
        self.y5 = rows_B_N[180224:188416].reshape((B, N, D, H))  # y5[b,n,d,h]
        self.z1 = rows_B_N[0:32768].reshape((B, N, D, E))  # z1[b,n,d,e]
        self.Phi1 = rows_B_N[32768:65536].reshape((B, N, D, E))  # Phi1[b,n,d,e]
        self.gelu1 = rows_B_N[65536:98304].reshape((B, N, D, E))  # gelu1[b,n,d,e]
        self.mean1 = rows_N[8192:8256].reshape((N, D))  # mean1[n,d]
        self.var1 = rows_N[8256:8320].reshape((N, D))  # var1[n,d]
        self.u_ndh = rows_N[0:8192].reshape((N, D, H))
        self.att_q = rows_N[0:8192].reshape((N, D, A, K))  # att_q[n,d,a,k]
        self.att_k = rows_N[8192:16384].reshape((N, S, A, K))  # att_k[n,s,a,k]
        self.u_ndaj = rows_N[16384:20480].reshape((N, D, A, J))
        self.u_nsaj = rows_N[0:4096].reshape((N, S, A, J))
        self.att_score = rows_N[0:16384].reshape((N, A, D, S))  # att_score[n,a,d,s]
        self.m1 = rows_N[49152:49408].reshape((N, A, D))  # m1[n,a,d]
        self.u_nads = rows_N[16384:32768].reshape((N, A, D, S))
        self.c_ds = lent(rows[8192:9216], bool, (D, S))
        self.u1 = rows_N[0:16384].reshape((N, A, D, S))  # u1[n,a,d,s]
        self.u_ds = rows[8192:12288].reshape((D, S))
        self.e1 = rows_N[0:16384].reshape((N, A, D, S))  # e1[n,a,d,s]
        self.s1 = rows_N[16384:16640].reshape((N, A, D))  # s1[n,a,d]
        self.att_o = rows_N[0:8192].reshape((N, D, H))  # att_o[n,d,h]
        self.sum1 = rows_N[40960:49152].reshape((N, D, H))  # sum1[n,d,h]
        self.mean2 = rows_N[8192:8256].reshape((N, D))  # mean2[n,d]
        self.var2 = rows_N[8256:8320].reshape((N, D))  # var2[n,d]
        self.z2 = rows_N[0:8192].reshape((N, D, H))  # z2[n,d,h]
        self.mean3 = rows_N[8192:8256].reshape((N, D))  # mean3[n,d]
        self.var3 = rows_N[8256:8320].reshape((N, D))  # var3[n,d]
        self.rstd3 = rows_N[8256:8320].reshape((N, D))  # rstd3[n,d]
        self.xhat3 = rows_N[0:8192].reshape((N, D, H))  # xhat3[n,d,h]
        self.y6 = rows_N[0:8192].reshape((N, D, H))  # y6[n,d,h]
        self.m2 = rows_N[6144:6208].reshape((N, D))  # m2[n,d]
        self.e2 = rows_N[0:6144].reshape((N, D, M))  # e2[n,d,m]
        self.s2 = rows_N[6208:6272].reshape((N, D))  # s2[n,d]
        self.logits_at_next_token = rows_N[128:192].reshape((N, D))  # logits_at_next_token[n,d]
        self.i_nd = lent(rows_N[0:128], np.intp, (N, D))
        self.u_nd = rows_N[0:64].reshape((N, D))
        self.COUNT_D = np.array(D)
        self.COUNT_M = np.array(M)
        self.C_0_00001 = np.array(1e-05, dtype)
        self.C_1_OVER_BATCH_D = np.array(1 / (BATCH * D), dtype)
        self.C_1_OVER_H = np.array(1 / H, dtype)
        self.C_1_OVER_SQRTK = np.array(math.sqrt(1 / K), dtype)
        self.C_MINUS_2_LOG10000_OVER_K = np.array(-2 * math.log(10000) / K, dtype)
        self.C_SQRT2_OVER_2 = np.array(0.7071067811865476, dtype)  # √2/2
        self.HALF = np.array(0.5, dtype)
        self.NUMBERS_D = np.arange(D, dtype=dtype)
        self.NUMBERS_J = np.arange(J, dtype=dtype)
        self.NUMBERS_S = np.arange(S, dtype=dtype)
        self.ONE = np.array(1, dtype)
        self.PIECES = np.empty((3, ERF_PIECE), dtype)
        self.RANGE_D = np.arange(D)
        self.RANGE_F = np.arange(F)
        self.RANGE_G = np.arange(G)
        self.RANGE_N = np.arange(N)
        self.RANGE_S = np.arange(S)


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
        rows_N = np.empty((90304, N), dtype)
        rows = np.empty(12290, dtype)
        rows_B_N = np.empty((188544, B * N), dtype)
        self.loss = np.empty((), dtype)  # loss
        self.y1 = rows_N[32768:40960].reshape((N, D, H))  # y1[n,d,h]
        self.angle1 = rows[4096:5120].reshape((D, J))  # angle1[d,j]
        self.u_j = rows[5120:5136].reshape(J)
        self.turn1 = rows[0:4096].reshape((D, J, G, F))  # turn1[d,j,g,f]
        self.c_gf = lent(rows[12288:12289], bool, (G, F))
        self.u_dj = rows[5120:6144].reshape((D, J))
        self.b_gf = lent(rows[12289:12290], bool, (G, F))
        self.v_dj = rows[6144:7168].reshape((D, J))
        self.w_dj = rows[7168:8192].reshape((D, J))
        self.angle2 = rows[8192:9216].reshape((S, J))  # angle2[s,j]
        self.turn2 = rows[4096:8192].reshape((S, J, G, F))  # turn2[s,j,g,f]
        self.u_sj = rows[9216:10240].reshape((S, J))
        self.v_sj = rows[10240:11264].reshape((S, J))
        self.w_sj = rows[11264:12288].reshape((S, J))
        self.block = rows_B_N[114688:122880].reshape((B, N, D, H))  # block[b,n,d,h]
        self.block_before = rows_N[40960:49152].reshape((N, D, H))  # block_before[n,d,h]
        self.rstd1 = rows_B_N[188416:188480].reshape((B, N, D))  # rstd1[b,n,d]
        self.xhat1 = rows_B_N[122880:131072].reshape((B, N, D, H))  # xhat1[b,n,d,h]
        self.y2 = rows_B_N[131072:139264].reshape((B, N, D, H))  # y2[b,n,d,h]
        self.att_v = rows_B_N[139264:147456].reshape((B, N, S, A, K))  # att_v[b,n,s,a,k]
        self.turned1 = rows_B_N[147456:155648].reshape((B, N, D, A, J, G))  # turned1[b,n,d,a,j,g]
        self.turned2 = rows_B_N[155648:163840].reshape((B, N, S, A, J, G))  # turned2[b,n,s,a,j,g]
        self.p1 = rows_B_N[98304:114688].reshape((B, N, A, D, S))  # p1[b,n,a,d,s]
        self.att_mixed = rows_B_N[163840:172032].reshape((B, N, D, A, K))  # att_mixed[b,n,d,a,k]
        self.rstd2 = rows_B_N[188480:188544].reshape((B, N, D))  # rstd2[b,n,d]
        self.xhat2 = rows_B_N[172032:180224].reshape((B, N, D, H))  # xhat2[b,n,d,h]
        self.y5 = rows_B_N[180224:188416].reshape((B, N, D, H))  # y5[b,n,d,h]
        self.z1 = rows_B_N[0:32768].reshape((B, N, D, E))  # z1[b,n,d,e]
        self.Phi1 = rows_B_N[32768:65536].reshape((B, N, D, E))  # Phi1[b,n,d,e]
        self.gelu1 = rows_B_N[65536:98304].reshape((B, N, D, E))  # gelu1[b,n,d,e]
        self.mean1 = rows_N[8192:8256].reshape((N, D))  # mean1[n,d]
        self.var1 = rows_N[8256:8320].reshape((N, D))  # var1[n,d]
        self.u_ndh = rows_N[0:8192].reshape((N, D, H))
        self.att_q = rows_N[0:8192].reshape((N, D, A, K))  # att_q[n,d,a,k]
        self.att_k = rows_N[8192:16384].reshape((N, S, A, K))  # att_k[n,s,a,k]
        self.u_ndaj = rows_N[49152:53248].reshape((N, D, A, J))
        self.u_nsaj = rows_N[49152:53248].reshape((N, S, A, J))
        self.att_score = rows_N[0:16384].reshape((N, A, D, S))  # att_score[n,a,d,s]
        self.m1 = rows_N[49152:49408].reshape((N, A, D))  # m1[n,a,d]
        self.u_nads = rows_N[16384:32768].reshape((N, A, D, S))
        self.c_ds = lent(rows[8192:9216], bool, (D, S))
        self.u1 = rows_N[0:16384].reshape((N, A, D, S))  # u1[n,a,d,s]
        self.u_ds = rows[8192:12288].reshape((D, S))
        self.e1 = rows_N[0:16384].reshape((N, A, D, S))  # e1[n,a,d,s]
        self.s1 = rows_N[16384:16640].reshape((N, A, D))  # s1[n,a,d]
        self.att_o = rows_N[0:8192].reshape((N, D, H))  # att_o[n,d,h]
        self.sum1 = rows_N[40960:49152].reshape((N, D, H))  # sum1[n,d,h]
        self.mean2 = rows_N[8192:8256].reshape((N, D))  # mean2[n,d]
        self.var2 = rows_N[8256:8320].reshape((N, D))  # var2[n,d]
        self.z2 = rows_N[0:8192].reshape((N, D, H))  # z2[n,d,h]
        self.mean3 = rows_N[8192:8256].reshape((N, D))  # mean3[n,d]
        self.var3 = rows_N[90112:90176].reshape((N, D))  # var3[n,d]
        self.rstd3 = rows_N[90112:90176].reshape((N, D))  # rstd3[n,d]
        self.xhat3 = rows_N[65536:73728].reshape((N, D, H))  # xhat3[n,d,h]
        self.y6 = rows_N[0:8192].reshape((N, D, H))  # y6[n,d,h]
        self.logits = rows_N[8192:14336].reshape((N, D, M))  # logits[n,d,m]
        self.m2 = rows_N[20608:20672].reshape((N, D))  # m2[n,d]
        self.e2 = rows_N[14336:20480].reshape((N, D, M))  # e2[n,d,m]
        self.s2 = rows_N[20672:20736].reshape((N, D))  # s2[n,d]
        self.logits_at_next_token = rows_N[20736:20800].reshape((N, D))  # logits_at_next_token[n,d]
        self.i_nd = lent(rows_N[20480:20608], np.intp, (N, D))
        self.u_nd = rows_N[32768:32832].reshape((N, D))
        self.p2 = rows_N[14336:20480].reshape((N, D, M))  # p2[n,d,m]
        self.d_logits = rows_N[8192:14336].reshape((N, D, M))  # ∂L/∂logits[n,d,m]
        self.d_y6 = rows_N[73728:81920].reshape((N, D, H))  # ∂L/∂y6[n,d,h]
        self.d_xhat3 = rows_N[73728:81920].reshape((N, D, H))  # ∂L/∂xhat3[n,d,h]
        self.xhat3_dot_d_xhat3 = rows_N[90176:90240].reshape((N, D))  # xhat3_dot_d_xhat3[n,d]
        self.sum_d_xhat3 = rows_N[90240:90304].reshape((N, D))  # sum_d_xhat3[n,d]
        self.d_block_before = rows_B_N[114688:122880].reshape(
            (B, N, D, H)
        )  # ∂L/∂block_before[b,n,d,h]
        self.d_block = rows_N[81920:90112].reshape((N, D, H))  # ∂L/∂block[n,d,h]
        self.d_gelu1 = rows_N[0:32768].reshape((N, D, E))  # ∂L/∂gelu1[n,d,e]
        self.d_z1 = rows_N[32768:65536].reshape((N, D, E))  # ∂L/∂z1[n,d,e]
        self.d_y5 = rows_N[8192:16384].reshape((N, D, H))  # ∂L/∂y5[n,d,h]
        self.d_xhat2 = rows_N[8192:16384].reshape((N, D, H))  # ∂L/∂xhat2[n,d,h]
        self.xhat2_dot_d_xhat2 = rows_N[24576:24640].reshape((N, D))  # xhat2_dot_d_xhat2[n,d]
        self.sum_d_xhat2 = rows_N[24640:24704].reshape((N, D))  # sum_d_xhat2[n,d]
        self.d_sum1 = rows_N[16384:24576].reshape((N, D, H))  # ∂L/∂sum1[n,d,h]
        self.d_att_mixed = rows_N[24576:32768].reshape((N, D, A, K))  # ∂L/∂att_mixed[n,d,a,k]
        self.d_p1 = rows_N[0:16384].reshape((N, A, D, S))  # ∂L/∂p1[n,a,d,s]
        self.p1_dot_d_p1 = rows_N[32768:33024].reshape((N, A, D))  # p1_dot_d_p1[n,a,d]
        self.d_att_score = rows_N[0:16384].reshape((N, A, D, S))  # ∂L/∂att_score[n,a,d,s]
        self.d_y4 = rows_N[32768:40960].reshape((N, S, A, K))  # ∂L/∂y4[n,s,a,k]
        self.d_pair2 = rows_N[40960:49152].reshape((N, S, A, J, F))  # ∂L/∂pair2[n,s,a,j,f]
        self.d_y3 = rows_N[32768:40960].reshape((N, D, A, K))  # ∂L/∂y3[n,d,a,k]
        self.d_pair1 = rows_N[8192:16384].reshape((N, D, A, J, F))  # ∂L/∂pair1[n,d,a,j,f]
        self.d_att_v = rows_N[32768:40960].reshape((N, S, A, K))  # ∂L/∂att_v[n,s,a,k]
        self.d_y2 = rows_N[24576:32768].reshape((N, D, H))  # ∂L/∂y2[n,d,h]
        self.d_xhat1 = rows_N[24576:32768].reshape((N, D, H))  # ∂L/∂xhat1[n,d,h]
        self.xhat1_dot_d_xhat1 = rows_N[8192:8256].reshape((N, D))  # xhat1_dot_d_xhat1[n,d]
        self.sum_d_xhat1 = rows_N[8256:8320].reshape((N, D))  # sum_d_xhat1[n,d]
        self.u_ndv = rows_N[0:6144].reshape((N, D, V))
        self.COUNT_D = np.array(D)
        self.COUNT_M = np.array(M)
        self.C_0_00001 = np.array(1e-05, dtype)
        self.C_1_OVER_BATCH_D = np.array(1 / (BATCH * D), dtype)
        self.C_1_OVER_H = np.array(1 / H, dtype)
        self.C_1_OVER_SQRTK = np.array(math.sqrt(1 / K), dtype)
        self.C_MINUS_0_5 = np.array(-0.5, dtype)
        self.C_MINUS_2_LOG10000_OVER_K = np.array(-2 * math.log(10000) / K, dtype)
        self.C_SQRT2_OVER_2 = np.array(0.7071067811865476, dtype)  # √2/2
        self.C_SQRT2_OVER_2_SQRTPI = np.array(0.3989422804014327, dtype)  # √2/(2 √π)
        self.HALF = np.array(0.5, dtype)
        self.NUMBERS_D = np.arange(D, dtype=dtype)
        self.NUMBERS_J = np.arange(J, dtype=dtype)
        self.NUMBERS_S = np.arange(S, dtype=dtype)
        self.ONE = np.array(1, dtype)
        self.ONE_HOT_M = np.eye(M, dtype=dtype)
        self.ONE_HOT_V = np.eye(V, dtype=dtype)
        self.PIECES = np.empty((3, ERF_PIECE), dtype)
        self.RANGE_D = np.arange(D)
        self.RANGE_F = np.arange(F)
        self.RANGE_G = np.arange(G)
        self.RANGE_N = np.arange(N)
        self.RANGE_S = np.arange(S)


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
    p.characters_W[...] = rng.normal(0, 1.0, (V, H))
    p.block_ln1_gain[...] = 1
    p.block_att_Wq[...] = rng.uniform(
        -math.sqrt(6 / (A * K + H)), math.sqrt(6 / (A * K + H)), (B, H, A, K)
    )
    p.block_att_Wk[...] = rng.uniform(
        -math.sqrt(6 / (A * K + H)), math.sqrt(6 / (A * K + H)), (B, H, A, K)
    )
    p.block_att_Wv[...] = rng.uniform(
        -math.sqrt(6 / (A * K + H)), math.sqrt(6 / (A * K + H)), (B, H, A, K)
    )
    p.block_att_Wo[...] = rng.uniform(
        -math.sqrt(6 / (A * K + H)), math.sqrt(6 / (A * K + H)), (B, A, K, H)
    )
    p.block_ln2_gain[...] = 1
    p.block_up_W[...] = rng.normal(0, math.sqrt(2 / H), (B, H, E))
    p.block_down_W[...] = rng.normal(0, math.sqrt(2 / E), (B, E, H))
    p.ln_gain[...] = 1
    p.head_W[...] = rng.normal(0, math.sqrt(2 / H), (H, M))
    return p


def forward(p: Params, a: Activations, tokens: np.ndarray) -> None:
    """Compute the outputs of a batch into `a`."""
    # y1[n,d,h] = characters_W[tokens[n,d],h]
    p.characters_W.take(tokens, axis=0, out=a.y1, mode="clip")

    # angle1[d,j] = d exp(-2 j log(10000)/K)
    np.multiply(a.NUMBERS_J, a.C_MINUS_2_LOG10000_OVER_K, out=a.u_j)
    np.exp(a.u_j, out=a.u_j)
    np.multiply(a.u_j, a.NUMBERS_D[:, None], out=a.angle1)

    # turn1[d,j,g,f] = (cos(angle1[d,j]) if g == f else (-sin(angle1[d,j]) if g < f else
    #     sin(angle1[d,j])))
    np.equal(a.RANGE_G[:, None], a.RANGE_F, out=a.c_gf)
    np.cos(a.angle1, out=a.u_dj)
    np.less(a.RANGE_G[:, None], a.RANGE_F, out=a.b_gf)
    np.sin(a.angle1, out=a.v_dj)
    np.negative(a.v_dj, out=a.w_dj)
    np.copyto(a.turn1, a.v_dj[:, :, None, None])
    np.copyto(a.turn1, a.w_dj[:, :, None, None], where=a.b_gf)
    np.copyto(a.turn1, a.u_dj[:, :, None, None], where=a.c_gf)

    # angle2[s,j] = exp(-2 j log(10000)/K) s
    np.multiply(a.NUMBERS_J, a.C_MINUS_2_LOG10000_OVER_K, out=a.u_j)
    np.exp(a.u_j, out=a.u_j)
    np.multiply(a.NUMBERS_S[:, None], a.u_j, out=a.angle2)

    # turn2[s,j,g,f] = (cos(angle2[s,j]) if g == f else (-sin(angle2[s,j]) if g < f else
    #     sin(angle2[s,j])))
    np.equal(a.RANGE_G[:, None], a.RANGE_F, out=a.c_gf)
    np.cos(a.angle2, out=a.u_sj)
    np.less(a.RANGE_G[:, None], a.RANGE_F, out=a.b_gf)
    np.sin(a.angle2, out=a.v_sj)
    np.negative(a.v_sj, out=a.w_sj)
    np.copyto(a.turn2, a.v_sj[:, :, None, None])
    np.copyto(a.turn2, a.w_sj[:, :, None, None], where=a.b_gf)
    np.copyto(a.turn2, a.u_sj[:, :, None, None], where=a.c_gf)

    # pair1[b,n,d,a,j,f] = att_q[b,n,d,a,2 j + f]
    a.pair1 = a.att_q.reshape(-1, D, A, J, F)

    # y3[b,n,d,a,k] = turned1[b,n,d,a,k // 2 % J,k % 2]
    a.y3 = a.turned1.reshape(B, -1, D, A, K)

    # pair2[b,n,s,a,j,f] = att_k[b,n,s,a,2 j + f]
    a.pair2 = a.att_k.reshape(-1, S, A, J, F)

    # y4[b,n,s,a,k] = turned2[b,n,s,a,k // 2 % J,k % 2]
    a.y4 = a.turned2.reshape(B, -1, S, A, K)

    for b in range(B):
        # block_before[b,n,d,h] = block[b-1,n,d,h] (y1[n,d,h] outside)
        if b > 0:
            np.copyto(a.block_before, a.block[b - 1])
        else:
            np.copyto(a.block_before, a.y1)

        # mean1[b,n,d] = Σ_h block_before[b,n,d,h]/H
        np.add.reduce(a.block_before, axis=2, out=a.mean1)
        np.multiply(a.mean1, a.C_1_OVER_H, out=a.mean1)

        # var1[b,n,d] = Σ_h (block_before[b,n,d,h] - mean1[b,n,d])²/H
        np.subtract(a.block_before, a.mean1[:, :, None], out=a.u_ndh)
        np.multiply(a.u_ndh, a.u_ndh, out=a.u_ndh)
        np.add.reduce(a.u_ndh, axis=2, out=a.var1)
        np.multiply(a.var1, a.C_1_OVER_H, out=a.var1)

        # rstd1[b,n,d] = 1/√(var1[b,n,d] + 1e-05)
        np.add(a.var1, a.C_0_00001, out=a.rstd1[b])
        np.sqrt(a.rstd1[b], out=a.rstd1[b])
        np.divide(a.ONE, a.rstd1[b], out=a.rstd1[b])

        # xhat1[b,n,d,h] = (block_before[b,n,d,h] - mean1[b,n,d]) rstd1[b,n,d]
        np.subtract(a.block_before, a.mean1[:, :, None], out=a.xhat1[b])
        np.multiply(a.xhat1[b], a.rstd1[b][:, :, None], out=a.xhat1[b])

        # y2[b,n,d,h] = block_ln1_gain[b,h] xhat1[b,n,d,h] + block_ln1_shift[b,h]
        np.multiply(a.xhat1[b], p.block_ln1_gain[b], out=a.y2[b])
        np.add(a.y2[b], p.block_ln1_shift[b], out=a.y2[b])

        # att_q[b,n,d,a,k] = Σ_h block_att_Wq[b,h,a,k] y2[b,n,d,h] + block_att_bq[b,a,k]
        np.matmul(
            a.y2[b].reshape(-1, H),
            p.block_att_Wq[b].reshape(H, A * K),
            out=a.att_q.reshape(-1, A * K),
        )
        np.add(a.att_q, p.block_att_bq[b], out=a.att_q)

        # att_k[b,n,s,a,k] = Σ_h block_att_Wk[b,h,a,k] y2[b,n,s,h]
        np.matmul(
            a.y2[b].reshape(-1, H),
            p.block_att_Wk[b].reshape(H, A * K),
            out=a.att_k.reshape(-1, A * K),
        )

        # att_v[b,n,s,a,k] = Σ_h block_att_Wv[b,h,a,k] y2[b,n,s,h] + block_att_bv[b,a,k]
        np.matmul(
            a.y2[b].reshape(-1, H),
            p.block_att_Wv[b].reshape(H, A * K),
            out=a.att_v[b].reshape(-1, A * K),
        )
        np.add(a.att_v[b], p.block_att_bv[b], out=a.att_v[b])

        # turned1[b,n,d,a,j,g] = Σ_f turn1[d,j,g,f] pair1[b,n,d,a,j,f]
        np.multiply(
            a.turn1[:, :, 0, 0][:, None, :], a.pair1[:, :, :, :, 0], out=a.turned1[b][:, :, :, :, 0]
        )
        np.multiply(a.turn1[:, :, 0, 1][:, None, :], a.pair1[:, :, :, :, 1], out=a.u_ndaj)
        np.add(a.turned1[b][:, :, :, :, 0], a.u_ndaj, out=a.turned1[b][:, :, :, :, 0])
        np.multiply(
            a.turn1[:, :, 1, 0][:, None, :], a.pair1[:, :, :, :, 0], out=a.turned1[b][:, :, :, :, 1]
        )
        np.multiply(a.turn1[:, :, 1, 1][:, None, :], a.pair1[:, :, :, :, 1], out=a.u_ndaj)
        np.add(a.turned1[b][:, :, :, :, 1], a.u_ndaj, out=a.turned1[b][:, :, :, :, 1])

        # turned2[b,n,s,a,j,g] = Σ_f turn2[s,j,g,f] pair2[b,n,s,a,j,f]
        np.multiply(
            a.turn2[:, :, 0, 0][:, None, :], a.pair2[:, :, :, :, 0], out=a.turned2[b][:, :, :, :, 0]
        )
        np.multiply(a.turn2[:, :, 0, 1][:, None, :], a.pair2[:, :, :, :, 1], out=a.u_nsaj)
        np.add(a.turned2[b][:, :, :, :, 0], a.u_nsaj, out=a.turned2[b][:, :, :, :, 0])
        np.multiply(
            a.turn2[:, :, 1, 0][:, None, :], a.pair2[:, :, :, :, 0], out=a.turned2[b][:, :, :, :, 1]
        )
        np.multiply(a.turn2[:, :, 1, 1][:, None, :], a.pair2[:, :, :, :, 1], out=a.u_nsaj)
        np.add(a.turned2[b][:, :, :, :, 1], a.u_nsaj, out=a.turned2[b][:, :, :, :, 1])

        # att_score[b,n,a,d,s] = Σ_k y3[b,n,d,a,k] y4[b,n,s,a,k]/√K
        np.matmul(a.y3[b].transpose(0, 2, 1, 3), a.y4[b].transpose(0, 2, 3, 1), out=a.att_score)
        np.multiply(a.att_score, a.C_1_OVER_SQRTK, out=a.att_score)

        # m1[b,n,a,d] = max_s (att_score[b,n,a,d,s] if s ≤ d else att_score[b,n,a,d,0])
        np.less_equal(a.RANGE_S, a.RANGE_D[:, None], out=a.c_ds)
        np.copyto(a.u_nads, a.att_score[:, :, :, 0][:, :, :, None])
        np.copyto(a.u_nads, a.att_score, where=a.c_ds)
        np.maximum.reduce(a.u_nads, axis=3, out=a.m1)

        # u1[b,n,a,d,s] = (att_score[b,n,a,d,s] - m1[b,n,a,d] if s ≤ d else 0)
        np.subtract(a.att_score, a.m1[:, :, :, None], out=a.u1)
        np.less_equal(a.RANGE_S, a.RANGE_D[:, None], out=a.u_ds)
        np.multiply(a.u1, a.u_ds, out=a.u1)

        # e1[b,n,a,d,s] = [s ≤ d] exp(u1[b,n,a,d,s])
        np.less_equal(a.RANGE_S, a.RANGE_D[:, None], out=a.u_ds)
        np.exp(a.u1, out=a.e1)
        np.multiply(a.e1, a.u_ds, out=a.e1)

        # s1[b,n,a,d] = Σ_s e1[b,n,a,d,s]
        np.add.reduce(a.e1, axis=3, out=a.s1)

        # p1[b,n,a,d,s] = e1[b,n,a,d,s]/s1[b,n,a,d]
        np.divide(a.e1, a.s1[:, :, :, None], out=a.p1[b])

        # att_mixed[b,n,d,a,k] = Σ_s att_v[b,n,s,a,k] p1[b,n,a,d,s]
        np.matmul(
            a.att_v[b].transpose(0, 2, 3, 1),
            a.p1[b].transpose(0, 1, 3, 2),
            out=a.att_mixed[b].transpose(0, 2, 3, 1),
        )

        # att_o[b,n,d,h] = Σ_{a,k} block_att_Wo[b,a,k,h] att_mixed[b,n,d,a,k] + block_att_bo[b,h]
        np.matmul(
            a.att_mixed[b].reshape(-1, A * K),
            p.block_att_Wo[b].reshape(A * K, H),
            out=a.att_o.reshape(-1, H),
        )
        np.add(a.att_o, p.block_att_bo[b], out=a.att_o)

        # sum1[b,n,d,h] = block_before[b,n,d,h] + att_o[b,n,d,h]
        np.add(a.block_before, a.att_o, out=a.sum1)

        # mean2[b,n,d] = Σ_h sum1[b,n,d,h]/H
        np.add.reduce(a.sum1, axis=2, out=a.mean2)
        np.multiply(a.mean2, a.C_1_OVER_H, out=a.mean2)

        # var2[b,n,d] = Σ_h (sum1[b,n,d,h] - mean2[b,n,d])²/H
        np.subtract(a.sum1, a.mean2[:, :, None], out=a.u_ndh)
        np.multiply(a.u_ndh, a.u_ndh, out=a.u_ndh)
        np.add.reduce(a.u_ndh, axis=2, out=a.var2)
        np.multiply(a.var2, a.C_1_OVER_H, out=a.var2)

        # rstd2[b,n,d] = 1/√(var2[b,n,d] + 1e-05)
        np.add(a.var2, a.C_0_00001, out=a.rstd2[b])
        np.sqrt(a.rstd2[b], out=a.rstd2[b])
        np.divide(a.ONE, a.rstd2[b], out=a.rstd2[b])

        # xhat2[b,n,d,h] = (sum1[b,n,d,h] - mean2[b,n,d]) rstd2[b,n,d]
        np.subtract(a.sum1, a.mean2[:, :, None], out=a.xhat2[b])
        np.multiply(a.xhat2[b], a.rstd2[b][:, :, None], out=a.xhat2[b])

        # y5[b,n,d,h] = block_ln2_gain[b,h] xhat2[b,n,d,h] + block_ln2_shift[b,h]
        np.multiply(a.xhat2[b], p.block_ln2_gain[b], out=a.y5[b])
        np.add(a.y5[b], p.block_ln2_shift[b], out=a.y5[b])

        # z1[b,n,d,e] = Σ_h block_up_W[b,h,e] y5[b,n,d,h] + block_up_b[b,e]
        np.matmul(a.y5[b].reshape(-1, H), p.block_up_W[b], out=a.z1[b].reshape(-1, E))
        np.add(a.z1[b], p.block_up_b[b], out=a.z1[b])

        # Phi1[b,n,d,e] = erf(√2 z1[b,n,d,e]/2)/2 + 1/2
        np.multiply(a.z1[b], a.C_SQRT2_OVER_2, out=a.Phi1[b])
        erf(a.Phi1[b], a.PIECES, out=a.Phi1[b])
        np.multiply(a.Phi1[b], a.HALF, out=a.Phi1[b])
        np.add(a.Phi1[b], a.HALF, out=a.Phi1[b])

        # gelu1[b,n,d,e] = z1[b,n,d,e] Phi1[b,n,d,e]
        np.multiply(a.z1[b], a.Phi1[b], out=a.gelu1[b])

        # z2[b,n,d,h] = Σ_e block_down_W[b,e,h] gelu1[b,n,d,e] + block_down_b[b,h]
        np.matmul(a.gelu1[b].reshape(-1, E), p.block_down_W[b], out=a.z2.reshape(-1, H))
        np.add(a.z2, p.block_down_b[b], out=a.z2)

        # block[b,n,d,h] = sum1[b,n,d,h] + z2[b,n,d,h]
        np.add(a.z2, a.sum1, out=a.block[b])

    # h[n,d,h] = block[B-1,n,d,h]
    a.h = a.block[B - 1]

    # mean3[n,d] = Σ_h h[n,d,h]/H
    np.add.reduce(a.h, axis=2, out=a.mean3)
    np.multiply(a.mean3, a.C_1_OVER_H, out=a.mean3)

    # var3[n,d] = Σ_h (h[n,d,h] - mean3[n,d])²/H
    np.subtract(a.h, a.mean3[:, :, None], out=a.u_ndh)
    np.multiply(a.u_ndh, a.u_ndh, out=a.u_ndh)
    np.add.reduce(a.u_ndh, axis=2, out=a.var3)
    np.multiply(a.var3, a.C_1_OVER_H, out=a.var3)

    # rstd3[n,d] = 1/√(var3[n,d] + 1e-05)
    np.add(a.var3, a.C_0_00001, out=a.rstd3)
    np.sqrt(a.rstd3, out=a.rstd3)
    np.divide(a.ONE, a.rstd3, out=a.rstd3)

    # xhat3[n,d,h] = (h[n,d,h] - mean3[n,d]) rstd3[n,d]
    np.subtract(a.h, a.mean3[:, :, None], out=a.xhat3)
    np.multiply(a.xhat3, a.rstd3[:, :, None], out=a.xhat3)

    # y6[n,d,h] = ln_gain[h] xhat3[n,d,h] + ln_shift[h]
    np.multiply(a.xhat3, p.ln_gain, out=a.y6)
    np.add(a.y6, p.ln_shift, out=a.y6)

    # logits[n,d,m] = Σ_h head_W[h,m] y6[n,d,h] + head_b[m]
    np.matmul(a.y6.reshape(-1, H), p.head_W, out=a.logits.reshape(-1, M))
    np.add(a.logits, p.head_b, out=a.logits)


def add_loss(a: Activations, next_token: np.ndarray) -> None:
    """Go on from the outputs to the loss."""
    # m2[n,d] = max_m logits[n,d,m]
    np.maximum.reduce(a.logits, axis=2, out=a.m2)

    # e2[n,d,m] = exp(logits[n,d,m] - m2[n,d])
    np.subtract(a.logits, a.m2[:, :, None], out=a.e2)
    np.exp(a.e2, out=a.e2)

    # s2[n,d] = Σ_m e2[n,d,m]
    np.add.reduce(a.e2, axis=2, out=a.s2)

    # logits_at_next_token[n,d] = logits[n,d,next_token[n,d]]
    np.multiply(a.RANGE_N[:, None], a.COUNT_D, out=a.i_nd)
    np.add(a.i_nd, a.RANGE_D, out=a.i_nd)
    np.multiply(a.i_nd, a.COUNT_M, out=a.i_nd)
    np.add(a.i_nd, next_token, out=a.i_nd)
    a.logits.take(a.i_nd, out=a.logits_at_next_token, mode="clip")

    # loss = Σ_{n,d} (m2[n,d] + log(s2[n,d]) - logits_at_next_token[n,d])/(D N)
    np.log(a.s2, out=a.u_nd)
    np.add(a.u_nd, a.m2, out=a.u_nd)
    np.subtract(a.u_nd, a.logits_at_next_token, out=a.u_nd)
    np.add.reduce(a.u_nd, axis=(0, 1), out=a.loss)
    np.multiply(a.loss, a.C_1_OVER_BATCH_D, out=a.loss)


def backward(p: Params, g: Grads, a: Workspace, tokens: np.ndarray, next_token: np.ndarray) -> None:
    """Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`."""
    # p2[n,d,m] = e2[n,d,m]/s2[n,d]
    np.divide(a.e2, a.s2[:, :, None], out=a.p2)

    # ∂L/∂logits[n,d,m] = (p2[n,d,m] - δ(m,next_token[n,d]))/(D N)
    a.ONE_HOT_M.take(next_token, axis=0, out=a.d_logits, mode="clip")
    np.subtract(a.p2, a.d_logits, out=a.d_logits)
    np.multiply(a.d_logits, a.C_1_OVER_BATCH_D, out=a.d_logits)

    # ∂L/∂head_W[h,m] = Σ_{n,d} y6[n,d,h] ∂L/∂logits[n,d,m]
    np.dot(a.y6.reshape(-1, H).T, a.d_logits.reshape(-1, M), out=g.head_W)

    # ∂L/∂head_b[m] = Σ_{n,d} ∂L/∂logits[n,d,m]
    np.add.reduce(a.d_logits, axis=(0, 1), out=g.head_b)

    # ∂L/∂y6[n,d,h] = Σ_m head_W[h,m] ∂L/∂logits[n,d,m]
    np.matmul(a.d_logits.reshape(-1, M), p.head_W.T, out=a.d_y6.reshape(-1, H))

    # ∂L/∂ln_gain[h] = Σ_{n,d} xhat3[n,d,h] ∂L/∂y6[n,d,h]
    np.einsum("ndh,ndh->h", a.d_y6, a.xhat3, out=g.ln_gain)

    # ∂L/∂ln_shift[h] = Σ_{n,d} ∂L/∂y6[n,d,h]
    np.add.reduce(a.d_y6, axis=(0, 1), out=g.ln_shift)

    # ∂L/∂xhat3[n,d,h] = ln_gain[h] ∂L/∂y6[n,d,h]
    np.multiply(a.d_y6, p.ln_gain, out=a.d_xhat3)

    # xhat3_dot_d_xhat3[n,d] = Σ_h xhat3[n,d,h] ∂L/∂xhat3[n,d,h]
    np.vecdot(a.d_xhat3, a.xhat3, out=a.xhat3_dot_d_xhat3)

    # sum_d_xhat3[n,d] = Σ_h ∂L/∂xhat3[n,d,h]
    np.add.reduce(a.d_xhat3, axis=2, out=a.sum_d_xhat3)

    # ∂L/∂att_k[b,n,s,a,2 j + f] = ∂L/∂pair2[b,n,s,a,j,f]
    a.d_att_k = a.d_pair2.reshape(-1, S, A, K)

    # ∂L/∂att_q[b,n,d,a,2 j + f] = ∂L/∂pair1[b,n,d,a,j,f]
    a.d_att_q = a.d_pair1.reshape(-1, D, A, K)

    for b in reversed(range(B)):
        # ∂L/∂block[b,n,d,h] = ∂L/∂block_before[b+1,n,d,h] (rstd3[n,d] (∂L/∂xhat3[n,d,h] -
        #     xhat3[n,d,h] xhat3_dot_d_xhat3[n,d]/H - sum_d_xhat3[n,d]/H) outside)
        if b < B - 1:
            np.copyto(a.d_block, a.d_block_before[b + 1])
        else:
            np.multiply(a.xhat3_dot_d_xhat3, a.C_1_OVER_H, out=a.u_nd)
            np.multiply(a.xhat3, a.u_nd[:, :, None], out=a.d_block)
            np.subtract(a.d_xhat3, a.d_block, out=a.d_block)
            np.multiply(a.sum_d_xhat3, a.C_1_OVER_H, out=a.u_nd)
            np.subtract(a.d_block, a.u_nd[:, :, None], out=a.d_block)
            np.multiply(a.d_block, a.rstd3[:, :, None], out=a.d_block)

        # ∂L/∂block_down_b[b,h] = Σ_{n,d} ∂L/∂block[b,n,d,h]
        np.add.reduce(a.d_block, axis=(0, 1), out=g.block_down_b[b])

        # ∂L/∂block_down_W[b,e,h] = Σ_{n,d} gelu1[b,n,d,e] ∂L/∂block[b,n,d,h]
        np.dot(a.gelu1[b].reshape(-1, E).T, a.d_block.reshape(-1, H), out=g.block_down_W[b])

        # ∂L/∂gelu1[b,n,d,e] = Σ_h block_down_W[b,e,h] ∂L/∂block[b,n,d,h]
        np.matmul(a.d_block.reshape(-1, H), p.block_down_W[b].T, out=a.d_gelu1.reshape(-1, E))

        # ∂L/∂z1[b,n,d,e] = (√2 z1[b,n,d,e] exp(-z1[b,n,d,e]²/2)/(2 √π) + Phi1[b,n,d,e])
        #     ∂L/∂gelu1[b,n,d,e]
        np.multiply(a.z1[b], a.z1[b], out=a.d_z1)
        np.multiply(a.d_z1, a.C_MINUS_0_5, out=a.d_z1)
        np.exp(a.d_z1, out=a.d_z1)
        np.multiply(a.d_z1, a.z1[b], out=a.d_z1)
        np.multiply(a.d_z1, a.C_SQRT2_OVER_2_SQRTPI, out=a.d_z1)
        np.add(a.d_z1, a.Phi1[b], out=a.d_z1)
        np.multiply(a.d_z1, a.d_gelu1, out=a.d_z1)

        # ∂L/∂block_up_b[b,e] = Σ_{n,d} ∂L/∂z1[b,n,d,e]
        np.add.reduce(a.d_z1, axis=(0, 1), out=g.block_up_b[b])

        # ∂L/∂block_up_W[b,h,e] = Σ_{n,d} y5[b,n,d,h] ∂L/∂z1[b,n,d,e]
        np.dot(a.y5[b].reshape(-1, H).T, a.d_z1.reshape(-1, E), out=g.block_up_W[b])

        # ∂L/∂y5[b,n,d,h] = Σ_e block_up_W[b,h,e] ∂L/∂z1[b,n,d,e]
        np.matmul(a.d_z1.reshape(-1, E), p.block_up_W[b].T, out=a.d_y5.reshape(-1, H))

        # ∂L/∂block_ln2_shift[b,h] = Σ_{n,d} ∂L/∂y5[b,n,d,h]
        np.add.reduce(a.d_y5, axis=(0, 1), out=g.block_ln2_shift[b])

        # ∂L/∂block_ln2_gain[b,h] = Σ_{n,d} xhat2[b,n,d,h] ∂L/∂y5[b,n,d,h]
        np.einsum("ndh,ndh->h", a.d_y5, a.xhat2[b], out=g.block_ln2_gain[b])

        # ∂L/∂xhat2[b,n,d,h] = block_ln2_gain[b,h] ∂L/∂y5[b,n,d,h]
        np.multiply(a.d_y5, p.block_ln2_gain[b], out=a.d_xhat2)

        # xhat2_dot_d_xhat2[b,n,d] = Σ_h xhat2[b,n,d,h] ∂L/∂xhat2[b,n,d,h]
        np.vecdot(a.d_xhat2, a.xhat2[b], out=a.xhat2_dot_d_xhat2)

        # sum_d_xhat2[b,n,d] = Σ_h ∂L/∂xhat2[b,n,d,h]
        np.add.reduce(a.d_xhat2, axis=2, out=a.sum_d_xhat2)

        # ∂L/∂sum1[b,n,d,h] = rstd2[b,n,d] ∂L/∂xhat2[b,n,d,h] + ∂L/∂block[b,n,d,h] - rstd2[b,n,d]
        #     sum_d_xhat2[b,n,d]/H - rstd2[b,n,d] xhat2[b,n,d,h] xhat2_dot_d_xhat2[b,n,d]/H
        np.multiply(a.xhat2_dot_d_xhat2, a.rstd2[b], out=a.u_nd)
        np.multiply(a.u_nd, a.C_1_OVER_H, out=a.u_nd)
        np.multiply(a.xhat2[b], a.u_nd[:, :, None], out=a.d_sum1)
        np.multiply(a.d_xhat2, a.rstd2[b][:, :, None], out=a.u_ndh)
        np.subtract(a.u_ndh, a.d_sum1, out=a.d_sum1)
        np.add(a.d_sum1, a.d_block, out=a.d_sum1)
        np.multiply(a.sum_d_xhat2, a.rstd2[b], out=a.u_nd)
        np.multiply(a.u_nd, a.C_1_OVER_H, out=a.u_nd)
        np.subtract(a.d_sum1, a.u_nd[:, :, None], out=a.d_sum1)

        # ∂L/∂block_att_bo[b,h] = Σ_{n,d} ∂L/∂sum1[b,n,d,h]
        np.add.reduce(a.d_sum1, axis=(0, 1), out=g.block_att_bo[b])

        # ∂L/∂block_att_Wo[b,a,k,h] = Σ_{n,d} att_mixed[b,n,d,a,k] ∂L/∂sum1[b,n,d,h]
        np.matmul(
            a.att_mixed[b].reshape(-1, A * K).T,
            a.d_sum1.reshape(-1, H),
            out=g.block_att_Wo[b].reshape(A * K, H),
        )

        # ∂L/∂att_mixed[b,n,d,a,k] = Σ_h block_att_Wo[b,a,k,h] ∂L/∂sum1[b,n,d,h]
        np.matmul(
            a.d_sum1.reshape(-1, H),
            p.block_att_Wo[b].reshape(A * K, H).T,
            out=a.d_att_mixed.reshape(-1, A * K),
        )

        # ∂L/∂p1[b,n,a,d,s] = Σ_k att_v[b,n,s,a,k] ∂L/∂att_mixed[b,n,d,a,k]
        np.matmul(a.d_att_mixed.transpose(0, 2, 1, 3), a.att_v[b].transpose(0, 2, 3, 1), out=a.d_p1)

        # p1_dot_d_p1[b,n,a,d] = Σ_s p1[b,n,a,d,s] ∂L/∂p1[b,n,a,d,s]
        np.vecdot(a.d_p1, a.p1[b], out=a.p1_dot_d_p1)

        # ∂L/∂att_score[b,n,a,d,s] = [s ≤ d] p1[b,n,a,d,s] (∂L/∂p1[b,n,a,d,s] -
        #     p1_dot_d_p1[b,n,a,d])
        np.less_equal(a.RANGE_S, a.RANGE_D[:, None], out=a.u_ds)
        np.subtract(a.d_p1, a.p1_dot_d_p1[:, :, :, None], out=a.d_att_score)
        np.multiply(a.d_att_score, a.p1[b], out=a.d_att_score)
        np.multiply(a.d_att_score, a.u_ds, out=a.d_att_score)

        # ∂L/∂y4[b,n,s,a,k] = Σ_d y3[b,n,d,a,k] ∂L/∂att_score[b,n,a,d,s]/√K
        np.matmul(
            a.d_att_score.transpose(0, 1, 3, 2),
            a.y3[b].transpose(0, 2, 1, 3),
            out=a.d_y4.transpose(0, 2, 1, 3),
        )
        np.multiply(a.d_y4, a.C_1_OVER_SQRTK, out=a.d_y4)

        # ∂L/∂pair2[b,n,s,a,j,f] = Σ_g turn2[s,j,g,f] ∂L/∂y4[b,n,s,a,2 j + g]
        np.multiply(
            a.turn2[:, :, 0, 0][:, None, :],
            a.d_y4.reshape(-1, S, A, J, G)[:, :, :, :, 0],
            out=a.d_pair2[:, :, :, :, 0],
        )
        np.multiply(
            a.turn2[:, :, 1, 0][:, None, :],
            a.d_y4.reshape(-1, S, A, J, G)[:, :, :, :, 1],
            out=a.u_nsaj,
        )
        np.add(a.d_pair2[:, :, :, :, 0], a.u_nsaj, out=a.d_pair2[:, :, :, :, 0])
        np.multiply(
            a.turn2[:, :, 0, 1][:, None, :],
            a.d_y4.reshape(-1, S, A, J, G)[:, :, :, :, 0],
            out=a.d_pair2[:, :, :, :, 1],
        )
        np.multiply(
            a.turn2[:, :, 1, 1][:, None, :],
            a.d_y4.reshape(-1, S, A, J, G)[:, :, :, :, 1],
            out=a.u_nsaj,
        )
        np.add(a.d_pair2[:, :, :, :, 1], a.u_nsaj, out=a.d_pair2[:, :, :, :, 1])

        # ∂L/∂block_att_Wk[b,h,a,k] = Σ_{n,s} y2[b,n,s,h] ∂L/∂att_k[b,n,s,a,k]
        np.matmul(
            a.y2[b].reshape(-1, H).T,
            a.d_att_k.reshape(-1, A * K),
            out=g.block_att_Wk[b].reshape(H, A * K),
        )

        # ∂L/∂y3[b,n,d,a,k] = Σ_s y4[b,n,s,a,k] ∂L/∂att_score[b,n,a,d,s]/√K
        np.matmul(a.d_att_score, a.y4[b].transpose(0, 2, 1, 3), out=a.d_y3.transpose(0, 2, 1, 3))
        np.multiply(a.d_y3, a.C_1_OVER_SQRTK, out=a.d_y3)

        # ∂L/∂pair1[b,n,d,a,j,f] = Σ_g turn1[d,j,g,f] ∂L/∂y3[b,n,d,a,2 j + g]
        np.multiply(
            a.turn1[:, :, 0, 0][:, None, :],
            a.d_y3.reshape(-1, D, A, J, G)[:, :, :, :, 0],
            out=a.d_pair1[:, :, :, :, 0],
        )
        np.multiply(
            a.turn1[:, :, 1, 0][:, None, :],
            a.d_y3.reshape(-1, D, A, J, G)[:, :, :, :, 1],
            out=a.u_ndaj,
        )
        np.add(a.d_pair1[:, :, :, :, 0], a.u_ndaj, out=a.d_pair1[:, :, :, :, 0])
        np.multiply(
            a.turn1[:, :, 0, 1][:, None, :],
            a.d_y3.reshape(-1, D, A, J, G)[:, :, :, :, 0],
            out=a.d_pair1[:, :, :, :, 1],
        )
        np.multiply(
            a.turn1[:, :, 1, 1][:, None, :],
            a.d_y3.reshape(-1, D, A, J, G)[:, :, :, :, 1],
            out=a.u_ndaj,
        )
        np.add(a.d_pair1[:, :, :, :, 1], a.u_ndaj, out=a.d_pair1[:, :, :, :, 1])

        # ∂L/∂block_att_bq[b,a,k] = Σ_{n,d} ∂L/∂att_q[b,n,d,a,k]
        np.add.reduce(a.d_att_q, axis=(0, 1), out=g.block_att_bq[b])

        # ∂L/∂block_att_Wq[b,h,a,k] = Σ_{n,d} y2[b,n,d,h] ∂L/∂att_q[b,n,d,a,k]
        np.matmul(
            a.y2[b].reshape(-1, H).T,
            a.d_att_q.reshape(-1, A * K),
            out=g.block_att_Wq[b].reshape(H, A * K),
        )

        # ∂L/∂att_v[b,n,s,a,k] = Σ_d p1[b,n,a,d,s] ∂L/∂att_mixed[b,n,d,a,k]
        np.matmul(a.d_att_mixed.transpose(0, 2, 3, 1), a.p1[b], out=a.d_att_v.transpose(0, 2, 3, 1))

        # ∂L/∂block_att_bv[b,a,k] = Σ_{n,s} ∂L/∂att_v[b,n,s,a,k]
        np.add.reduce(a.d_att_v, axis=(0, 1), out=g.block_att_bv[b])

        # ∂L/∂block_att_Wv[b,h,a,k] = Σ_{n,s} y2[b,n,s,h] ∂L/∂att_v[b,n,s,a,k]
        np.matmul(
            a.y2[b].reshape(-1, H).T,
            a.d_att_v.reshape(-1, A * K),
            out=g.block_att_Wv[b].reshape(H, A * K),
        )

        # ∂L/∂y2[b,n,d,h] = Σ_{a,k} block_att_Wv[b,h,a,k] ∂L/∂att_v[b,n,d,a,k] + Σ_{a,k}
        #     block_att_Wk[b,h,a,k] ∂L/∂att_k[b,n,d,a,k] + Σ_{a,k} block_att_Wq[b,h,a,k]
        #     ∂L/∂att_q[b,n,d,a,k]
        np.matmul(
            a.d_att_v.reshape(-1, A * K),
            p.block_att_Wv[b].reshape(H, A * K).T,
            out=a.d_y2.reshape(-1, H),
        )
        np.matmul(
            a.d_att_k.reshape(-1, A * K),
            p.block_att_Wk[b].reshape(H, A * K).T,
            out=a.u_ndh.reshape(-1, H),
        )
        np.add(a.d_y2, a.u_ndh, out=a.d_y2)
        np.matmul(
            a.d_att_q.reshape(-1, A * K),
            p.block_att_Wq[b].reshape(H, A * K).T,
            out=a.u_ndh.reshape(-1, H),
        )
        np.add(a.d_y2, a.u_ndh, out=a.d_y2)

        # ∂L/∂block_ln1_shift[b,h] = Σ_{n,d} ∂L/∂y2[b,n,d,h]
        np.add.reduce(a.d_y2, axis=(0, 1), out=g.block_ln1_shift[b])

        # ∂L/∂block_ln1_gain[b,h] = Σ_{n,d} xhat1[b,n,d,h] ∂L/∂y2[b,n,d,h]
        np.einsum("ndh,ndh->h", a.d_y2, a.xhat1[b], out=g.block_ln1_gain[b])

        # ∂L/∂xhat1[b,n,d,h] = block_ln1_gain[b,h] ∂L/∂y2[b,n,d,h]
        np.multiply(a.d_y2, p.block_ln1_gain[b], out=a.d_xhat1)

        # xhat1_dot_d_xhat1[b,n,d] = Σ_h xhat1[b,n,d,h] ∂L/∂xhat1[b,n,d,h]
        np.vecdot(a.d_xhat1, a.xhat1[b], out=a.xhat1_dot_d_xhat1)

        # sum_d_xhat1[b,n,d] = Σ_h ∂L/∂xhat1[b,n,d,h]
        np.add.reduce(a.d_xhat1, axis=2, out=a.sum_d_xhat1)

        # ∂L/∂block_before[b,n,d,h] = rstd1[b,n,d] ∂L/∂xhat1[b,n,d,h] + ∂L/∂sum1[b,n,d,h] -
        #     rstd1[b,n,d] sum_d_xhat1[b,n,d]/H - rstd1[b,n,d] xhat1[b,n,d,h]
        #     xhat1_dot_d_xhat1[b,n,d]/H
        np.multiply(a.xhat1_dot_d_xhat1, a.rstd1[b], out=a.u_nd)
        np.multiply(a.u_nd, a.C_1_OVER_H, out=a.u_nd)
        np.multiply(a.xhat1[b], a.u_nd[:, :, None], out=a.d_block_before[b])
        np.multiply(a.d_xhat1, a.rstd1[b][:, :, None], out=a.u_ndh)
        np.subtract(a.u_ndh, a.d_block_before[b], out=a.d_block_before[b])
        np.add(a.d_block_before[b], a.d_sum1, out=a.d_block_before[b])
        np.multiply(a.sum_d_xhat1, a.rstd1[b], out=a.u_nd)
        np.multiply(a.u_nd, a.C_1_OVER_H, out=a.u_nd)
        np.subtract(a.d_block_before[b], a.u_nd[:, :, None], out=a.d_block_before[b])

    # ∂L/∂characters_W[v,h] = Σ_{n,d} δ(v,tokens[n,d]) ∂L/∂block_before[0,n,d,h]
    a.ONE_HOT_V.take(tokens, axis=0, out=a.u_ndv, mode="clip")
    np.dot(a.u_ndv.reshape(-1, V).T, a.d_block_before[0].reshape(-1, H), out=g.characters_W)


def update(p: Params, g: Grads, s: State, t: int) -> None:
    """Change the parameters by the gradient; `t` counts the steps from 1."""
    # lr ← 0.002
    lr = 0.002

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

    # θ[i] ← θ[i] - 0.01 lr θ[i] - lr_t m[i]/(1e-08 c2 + √v[i])
    np.sqrt(s.v, out=s.u_i)
    np.add(s.u_i, 1e-08 * c2, out=s.u_i)
    np.divide(s.m, s.u_i, out=s.u_i)
    np.multiply(s.u_i, lr_t, out=s.u_i)
    np.subtract(p.flat, s.u_i, out=s.u_i)
    np.multiply(p.flat, 0.01 * lr, out=p.flat)
    np.subtract(s.u_i, p.flat, out=p.flat)


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
