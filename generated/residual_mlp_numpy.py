"""Twenty residual blocks with layer norm, for 8×8 images of digits.

Written by `bpgen emit residual_mlp` from residual_mlp.py; needs numpy alone.
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
D, H, K, J = 64, 32, 32, 10
SIZE = 45994

# Shapes of the parameters; for a batch, the shape of one example and the number of classes.
PARAMETERS = {
    "stem_W": (D, H),
    "stem_b": (H,),
    "ln1_gain": (H,),
    "ln1_shift": (H,),
    "up1_W": (H, K),
    "up1_b": (K,),
    "down1_W": (K, H),
    "down1_b": (H,),
    "ln2_gain": (H,),
    "ln2_shift": (H,),
    "up2_W": (H, K),
    "up2_b": (K,),
    "down2_W": (K, H),
    "down2_b": (H,),
    "ln3_gain": (H,),
    "ln3_shift": (H,),
    "up3_W": (H, K),
    "up3_b": (K,),
    "down3_W": (K, H),
    "down3_b": (H,),
    "ln4_gain": (H,),
    "ln4_shift": (H,),
    "up4_W": (H, K),
    "up4_b": (K,),
    "down4_W": (K, H),
    "down4_b": (H,),
    "ln5_gain": (H,),
    "ln5_shift": (H,),
    "up5_W": (H, K),
    "up5_b": (K,),
    "down5_W": (K, H),
    "down5_b": (H,),
    "ln6_gain": (H,),
    "ln6_shift": (H,),
    "up6_W": (H, K),
    "up6_b": (K,),
    "down6_W": (K, H),
    "down6_b": (H,),
    "ln7_gain": (H,),
    "ln7_shift": (H,),
    "up7_W": (H, K),
    "up7_b": (K,),
    "down7_W": (K, H),
    "down7_b": (H,),
    "ln8_gain": (H,),
    "ln8_shift": (H,),
    "up8_W": (H, K),
    "up8_b": (K,),
    "down8_W": (K, H),
    "down8_b": (H,),
    "ln9_gain": (H,),
    "ln9_shift": (H,),
    "up9_W": (H, K),
    "up9_b": (K,),
    "down9_W": (K, H),
    "down9_b": (H,),
    "ln10_gain": (H,),
    "ln10_shift": (H,),
    "up10_W": (H, K),
    "up10_b": (K,),
    "down10_W": (K, H),
    "down10_b": (H,),
    "ln11_gain": (H,),
    "ln11_shift": (H,),
    "up11_W": (H, K),
    "up11_b": (K,),
    "down11_W": (K, H),
    "down11_b": (H,),
    "ln12_gain": (H,),
    "ln12_shift": (H,),
    "up12_W": (H, K),
    "up12_b": (K,),
    "down12_W": (K, H),
    "down12_b": (H,),
    "ln13_gain": (H,),
    "ln13_shift": (H,),
    "up13_W": (H, K),
    "up13_b": (K,),
    "down13_W": (K, H),
    "down13_b": (H,),
    "ln14_gain": (H,),
    "ln14_shift": (H,),
    "up14_W": (H, K),
    "up14_b": (K,),
    "down14_W": (K, H),
    "down14_b": (H,),
    "ln15_gain": (H,),
    "ln15_shift": (H,),
    "up15_W": (H, K),
    "up15_b": (K,),
    "down15_W": (K, H),
    "down15_b": (H,),
    "ln16_gain": (H,),
    "ln16_shift": (H,),
    "up16_W": (H, K),
    "up16_b": (K,),
    "down16_W": (K, H),
    "down16_b": (H,),
    "ln17_gain": (H,),
    "ln17_shift": (H,),
    "up17_W": (H, K),
    "up17_b": (K,),
    "down17_W": (K, H),
    "down17_b": (H,),
    "ln18_gain": (H,),
    "ln18_shift": (H,),
    "up18_W": (H, K),
    "up18_b": (K,),
    "down18_W": (K, H),
    "down18_b": (H,),
    "ln19_gain": (H,),
    "ln19_shift": (H,),
    "up19_W": (H, K),
    "up19_b": (K,),
    "down19_W": (K, H),
    "down19_b": (H,),
    "ln20_gain": (H,),
    "ln20_shift": (H,),
    "up20_W": (H, K),
    "up20_b": (K,),
    "down20_W": (K, H),
    "down20_b": (H,),
    "ln_gain": (H,),
    "ln_shift": (H,),
    "head_W": (H, J),
    "head_b": (J,),
}
INPUTS = {
    "x": ((D,), None),
    "digit": ((), 10),
}
OUTPUTS = ("logits",)
STATES = ("m", "v")


class Params:
    """The parameters: named views into one flat vector, `flat`."""

    def __init__(self, flat: np.ndarray | None = None) -> None:
        self.flat = np.zeros(SIZE, DTYPE) if flat is None else flat
        self.stem_W = self.flat[0:2048].reshape((D, H))
        self.stem_b = self.flat[2048:2080].reshape((H,))
        self.ln1_gain = self.flat[2080:2112].reshape((H,))
        self.ln1_shift = self.flat[2112:2144].reshape((H,))
        self.up1_W = self.flat[2144:3168].reshape((H, K))
        self.up1_b = self.flat[3168:3200].reshape((K,))
        self.down1_W = self.flat[3200:4224].reshape((K, H))
        self.down1_b = self.flat[4224:4256].reshape((H,))
        self.ln2_gain = self.flat[4256:4288].reshape((H,))
        self.ln2_shift = self.flat[4288:4320].reshape((H,))
        self.up2_W = self.flat[4320:5344].reshape((H, K))
        self.up2_b = self.flat[5344:5376].reshape((K,))
        self.down2_W = self.flat[5376:6400].reshape((K, H))
        self.down2_b = self.flat[6400:6432].reshape((H,))
        self.ln3_gain = self.flat[6432:6464].reshape((H,))
        self.ln3_shift = self.flat[6464:6496].reshape((H,))
        self.up3_W = self.flat[6496:7520].reshape((H, K))
        self.up3_b = self.flat[7520:7552].reshape((K,))
        self.down3_W = self.flat[7552:8576].reshape((K, H))
        self.down3_b = self.flat[8576:8608].reshape((H,))
        self.ln4_gain = self.flat[8608:8640].reshape((H,))
        self.ln4_shift = self.flat[8640:8672].reshape((H,))
        self.up4_W = self.flat[8672:9696].reshape((H, K))
        self.up4_b = self.flat[9696:9728].reshape((K,))
        self.down4_W = self.flat[9728:10752].reshape((K, H))
        self.down4_b = self.flat[10752:10784].reshape((H,))
        self.ln5_gain = self.flat[10784:10816].reshape((H,))
        self.ln5_shift = self.flat[10816:10848].reshape((H,))
        self.up5_W = self.flat[10848:11872].reshape((H, K))
        self.up5_b = self.flat[11872:11904].reshape((K,))
        self.down5_W = self.flat[11904:12928].reshape((K, H))
        self.down5_b = self.flat[12928:12960].reshape((H,))
        self.ln6_gain = self.flat[12960:12992].reshape((H,))
        self.ln6_shift = self.flat[12992:13024].reshape((H,))
        self.up6_W = self.flat[13024:14048].reshape((H, K))
        self.up6_b = self.flat[14048:14080].reshape((K,))
        self.down6_W = self.flat[14080:15104].reshape((K, H))
        self.down6_b = self.flat[15104:15136].reshape((H,))
        self.ln7_gain = self.flat[15136:15168].reshape((H,))
        self.ln7_shift = self.flat[15168:15200].reshape((H,))
        self.up7_W = self.flat[15200:16224].reshape((H, K))
        self.up7_b = self.flat[16224:16256].reshape((K,))
        self.down7_W = self.flat[16256:17280].reshape((K, H))
        self.down7_b = self.flat[17280:17312].reshape((H,))
        self.ln8_gain = self.flat[17312:17344].reshape((H,))
        self.ln8_shift = self.flat[17344:17376].reshape((H,))
        self.up8_W = self.flat[17376:18400].reshape((H, K))
        self.up8_b = self.flat[18400:18432].reshape((K,))
        self.down8_W = self.flat[18432:19456].reshape((K, H))
        self.down8_b = self.flat[19456:19488].reshape((H,))
        self.ln9_gain = self.flat[19488:19520].reshape((H,))
        self.ln9_shift = self.flat[19520:19552].reshape((H,))
        self.up9_W = self.flat[19552:20576].reshape((H, K))
        self.up9_b = self.flat[20576:20608].reshape((K,))
        self.down9_W = self.flat[20608:21632].reshape((K, H))
        self.down9_b = self.flat[21632:21664].reshape((H,))
        self.ln10_gain = self.flat[21664:21696].reshape((H,))
        self.ln10_shift = self.flat[21696:21728].reshape((H,))
        self.up10_W = self.flat[21728:22752].reshape((H, K))
        self.up10_b = self.flat[22752:22784].reshape((K,))
        self.down10_W = self.flat[22784:23808].reshape((K, H))
        self.down10_b = self.flat[23808:23840].reshape((H,))
        self.ln11_gain = self.flat[23840:23872].reshape((H,))
        self.ln11_shift = self.flat[23872:23904].reshape((H,))
        self.up11_W = self.flat[23904:24928].reshape((H, K))
        self.up11_b = self.flat[24928:24960].reshape((K,))
        self.down11_W = self.flat[24960:25984].reshape((K, H))
        self.down11_b = self.flat[25984:26016].reshape((H,))
        self.ln12_gain = self.flat[26016:26048].reshape((H,))
        self.ln12_shift = self.flat[26048:26080].reshape((H,))
        self.up12_W = self.flat[26080:27104].reshape((H, K))
        self.up12_b = self.flat[27104:27136].reshape((K,))
        self.down12_W = self.flat[27136:28160].reshape((K, H))
        self.down12_b = self.flat[28160:28192].reshape((H,))
        self.ln13_gain = self.flat[28192:28224].reshape((H,))
        self.ln13_shift = self.flat[28224:28256].reshape((H,))
        self.up13_W = self.flat[28256:29280].reshape((H, K))
        self.up13_b = self.flat[29280:29312].reshape((K,))
        self.down13_W = self.flat[29312:30336].reshape((K, H))
        self.down13_b = self.flat[30336:30368].reshape((H,))
        self.ln14_gain = self.flat[30368:30400].reshape((H,))
        self.ln14_shift = self.flat[30400:30432].reshape((H,))
        self.up14_W = self.flat[30432:31456].reshape((H, K))
        self.up14_b = self.flat[31456:31488].reshape((K,))
        self.down14_W = self.flat[31488:32512].reshape((K, H))
        self.down14_b = self.flat[32512:32544].reshape((H,))
        self.ln15_gain = self.flat[32544:32576].reshape((H,))
        self.ln15_shift = self.flat[32576:32608].reshape((H,))
        self.up15_W = self.flat[32608:33632].reshape((H, K))
        self.up15_b = self.flat[33632:33664].reshape((K,))
        self.down15_W = self.flat[33664:34688].reshape((K, H))
        self.down15_b = self.flat[34688:34720].reshape((H,))
        self.ln16_gain = self.flat[34720:34752].reshape((H,))
        self.ln16_shift = self.flat[34752:34784].reshape((H,))
        self.up16_W = self.flat[34784:35808].reshape((H, K))
        self.up16_b = self.flat[35808:35840].reshape((K,))
        self.down16_W = self.flat[35840:36864].reshape((K, H))
        self.down16_b = self.flat[36864:36896].reshape((H,))
        self.ln17_gain = self.flat[36896:36928].reshape((H,))
        self.ln17_shift = self.flat[36928:36960].reshape((H,))
        self.up17_W = self.flat[36960:37984].reshape((H, K))
        self.up17_b = self.flat[37984:38016].reshape((K,))
        self.down17_W = self.flat[38016:39040].reshape((K, H))
        self.down17_b = self.flat[39040:39072].reshape((H,))
        self.ln18_gain = self.flat[39072:39104].reshape((H,))
        self.ln18_shift = self.flat[39104:39136].reshape((H,))
        self.up18_W = self.flat[39136:40160].reshape((H, K))
        self.up18_b = self.flat[40160:40192].reshape((K,))
        self.down18_W = self.flat[40192:41216].reshape((K, H))
        self.down18_b = self.flat[41216:41248].reshape((H,))
        self.ln19_gain = self.flat[41248:41280].reshape((H,))
        self.ln19_shift = self.flat[41280:41312].reshape((H,))
        self.up19_W = self.flat[41312:42336].reshape((H, K))
        self.up19_b = self.flat[42336:42368].reshape((K,))
        self.down19_W = self.flat[42368:43392].reshape((K, H))
        self.down19_b = self.flat[43392:43424].reshape((H,))
        self.ln20_gain = self.flat[43424:43456].reshape((H,))
        self.ln20_shift = self.flat[43456:43488].reshape((H,))
        self.up20_W = self.flat[43488:44512].reshape((H, K))
        self.up20_b = self.flat[44512:44544].reshape((K,))
        self.down20_W = self.flat[44544:45568].reshape((K, H))
        self.down20_b = self.flat[45568:45600].reshape((H,))
        self.ln_gain = self.flat[45600:45632].reshape((H,))
        self.ln_shift = self.flat[45632:45664].reshape((H,))
        self.head_W = self.flat[45664:45984].reshape((H, J))
        self.head_b = self.flat[45984:45994].reshape((J,))
        # Weights and the bias behind them, as one matrix.
        self.stem_W_b = self.flat[0:2080].reshape((D + 1, H))
        self.down1_W_b = self.flat[3200:4256].reshape((K + 1, H))
        self.down2_W_b = self.flat[5376:6432].reshape((K + 1, H))
        self.down3_W_b = self.flat[7552:8608].reshape((K + 1, H))
        self.down4_W_b = self.flat[9728:10784].reshape((K + 1, H))
        self.down5_W_b = self.flat[11904:12960].reshape((K + 1, H))
        self.down6_W_b = self.flat[14080:15136].reshape((K + 1, H))
        self.down7_W_b = self.flat[16256:17312].reshape((K + 1, H))
        self.down8_W_b = self.flat[18432:19488].reshape((K + 1, H))
        self.down9_W_b = self.flat[20608:21664].reshape((K + 1, H))
        self.down10_W_b = self.flat[22784:23840].reshape((K + 1, H))
        self.down11_W_b = self.flat[24960:26016].reshape((K + 1, H))
        self.down12_W_b = self.flat[27136:28192].reshape((K + 1, H))
        self.down13_W_b = self.flat[29312:30368].reshape((K + 1, H))
        self.down14_W_b = self.flat[31488:32544].reshape((K + 1, H))
        self.down15_W_b = self.flat[33664:34720].reshape((K + 1, H))
        self.down16_W_b = self.flat[35840:36896].reshape((K + 1, H))
        self.down17_W_b = self.flat[38016:39072].reshape((K + 1, H))
        self.down18_W_b = self.flat[40192:41248].reshape((K + 1, H))
        self.down19_W_b = self.flat[42368:43424].reshape((K + 1, H))
        self.down20_W_b = self.flat[44544:45600].reshape((K + 1, H))


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
        rows_N = np.empty((96, N), dtype)
        self.x_1 = np.full((N, D + 1), 1, dtype)  # x_1[n,d]
        self.logits = np.empty((J, N), dtype)  # logits[j,n]
        self.loss = np.empty((), dtype)  # loss
        self.z1 = rows_N[0:32].reshape((N, H))  # z1[n,h]
        self.mean1 = rows_N[64:65].reshape(N)  # mean1[n]
        self.var1 = rows_N[65:66].reshape(N)  # var1[n]
        self.u_nh = rows_N[32:64].reshape((N, H))
        self.rstd1 = rows_N[65:66].reshape(N)  # rstd1[n]
        self.xhat1 = rows_N[32:64].reshape((N, H))  # xhat1[n,h]
        self.y1 = rows_N[32:64].reshape((N, H))  # y1[n,h]
        self.z2 = rows_N[64:96].reshape((K, N))  # z2[k,n]
        self.relu1_1 = np.full((K + 1, N), 1, dtype)  # relu1_1[k,n]
        self.relu1 = self.relu1_1[:K]  # relu1[k,n]
        self.z3 = rows_N[32:64].reshape((N, H))  # z3[n,h]
        self.sum1 = rows_N[0:32].reshape((N, H))  # sum1[n,h]
        self.mean2 = rows_N[64:65].reshape(N)  # mean2[n]
        self.var2 = rows_N[65:66].reshape(N)  # var2[n]
        self.rstd2 = rows_N[65:66].reshape(N)  # rstd2[n]
        self.xhat2 = rows_N[32:64].reshape((N, H))  # xhat2[n,h]
        self.y2 = rows_N[32:64].reshape((N, H))  # y2[n,h]
        self.z4 = rows_N[64:96].reshape((K, N))  # z4[k,n]
        self.relu2_1 = self.relu1_1  # relu2_1[k,n]
        self.relu2 = self.relu2_1[:K]  # relu2[k,n]
        self.z5 = rows_N[32:64].reshape((N, H))  # z5[n,h]
        self.sum2 = rows_N[0:32].reshape((N, H))  # sum2[n,h]
        self.mean3 = rows_N[64:65].reshape(N)  # mean3[n]
        self.var3 = rows_N[65:66].reshape(N)  # var3[n]
        self.rstd3 = rows_N[65:66].reshape(N)  # rstd3[n]
        self.xhat3 = rows_N[32:64].reshape((N, H))  # xhat3[n,h]
        self.y3 = rows_N[32:64].reshape((N, H))  # y3[n,h]
        self.z6 = rows_N[64:96].reshape((K, N))  # z6[k,n]
        self.relu3_1 = self.relu1_1  # relu3_1[k,n]
        self.relu3 = self.relu3_1[:K]  # relu3[k,n]
        self.z7 = rows_N[32:64].reshape((N, H))  # z7[n,h]
        self.sum3 = rows_N[0:32].reshape((N, H))  # sum3[n,h]
        self.mean4 = rows_N[64:65].reshape(N)  # mean4[n]
        self.var4 = rows_N[65:66].reshape(N)  # var4[n]
        self.rstd4 = rows_N[65:66].reshape(N)  # rstd4[n]
        self.xhat4 = rows_N[32:64].reshape((N, H))  # xhat4[n,h]
        self.y4 = rows_N[32:64].reshape((N, H))  # y4[n,h]
        self.z8 = rows_N[64:96].reshape((K, N))  # z8[k,n]
        self.relu4_1 = self.relu1_1  # relu4_1[k,n]
        self.relu4 = self.relu4_1[:K]  # relu4[k,n]
        self.z9 = rows_N[32:64].reshape((N, H))  # z9[n,h]
        self.sum4 = rows_N[0:32].reshape((N, H))  # sum4[n,h]
        self.mean5 = rows_N[64:65].reshape(N)  # mean5[n]
        self.var5 = rows_N[65:66].reshape(N)  # var5[n]
        self.rstd5 = rows_N[65:66].reshape(N)  # rstd5[n]
        self.xhat5 = rows_N[32:64].reshape((N, H))  # xhat5[n,h]
        self.y5 = rows_N[32:64].reshape((N, H))  # y5[n,h]
        self.z10 = rows_N[64:96].reshape((K, N))  # z10[k,n]
        self.relu5_1 = self.relu1_1  # relu5_1[k,n]
        self.relu5 = self.relu5_1[:K]  # relu5[k,n]
        self.z11 = rows_N[32:64].reshape((N, H))  # z11[n,h]
        self.sum5 = rows_N[0:32].reshape((N, H))  # sum5[n,h]
        self.mean6 = rows_N[64:65].reshape(N)  # mean6[n]
        self.var6 = rows_N[65:66].reshape(N)  # var6[n]
        self.rstd6 = rows_N[65:66].reshape(N)  # rstd6[n]
        self.xhat6 = rows_N[32:64].reshape((N, H))  # xhat6[n,h]
        self.y6 = rows_N[32:64].reshape((N, H))  # y6[n,h]
        self.z12 = rows_N[64:96].reshape((K, N))  # z12[k,n]
        self.relu6_1 = self.relu1_1  # relu6_1[k,n]
        self.relu6 = self.relu6_1[:K]  # relu6[k,n]
        self.z13 = rows_N[32:64].reshape((N, H))  # z13[n,h]
        self.sum6 = rows_N[0:32].reshape((N, H))  # sum6[n,h]
        self.mean7 = rows_N[64:65].reshape(N)  # mean7[n]
        self.var7 = rows_N[65:66].reshape(N)  # var7[n]
        self.rstd7 = rows_N[65:66].reshape(N)  # rstd7[n]
        self.xhat7 = rows_N[32:64].reshape((N, H))  # xhat7[n,h]
        self.y7 = rows_N[32:64].reshape((N, H))  # y7[n,h]
        self.z14 = rows_N[64:96].reshape((K, N))  # z14[k,n]
        self.relu7_1 = self.relu1_1  # relu7_1[k,n]
        self.relu7 = self.relu7_1[:K]  # relu7[k,n]
        self.z15 = rows_N[32:64].reshape((N, H))  # z15[n,h]
        self.sum7 = rows_N[0:32].reshape((N, H))  # sum7[n,h]
        self.mean8 = rows_N[64:65].reshape(N)  # mean8[n]
        self.var8 = rows_N[65:66].reshape(N)  # var8[n]
        self.rstd8 = rows_N[65:66].reshape(N)  # rstd8[n]
        self.xhat8 = rows_N[32:64].reshape((N, H))  # xhat8[n,h]
        self.y8 = rows_N[32:64].reshape((N, H))  # y8[n,h]
        self.z16 = rows_N[64:96].reshape((K, N))  # z16[k,n]
        self.relu8_1 = self.relu1_1  # relu8_1[k,n]
        self.relu8 = self.relu8_1[:K]  # relu8[k,n]
        self.z17 = rows_N[32:64].reshape((N, H))  # z17[n,h]
        self.sum8 = rows_N[0:32].reshape((N, H))  # sum8[n,h]
        self.mean9 = rows_N[64:65].reshape(N)  # mean9[n]
        self.var9 = rows_N[65:66].reshape(N)  # var9[n]
        self.rstd9 = rows_N[65:66].reshape(N)  # rstd9[n]
        self.xhat9 = rows_N[32:64].reshape((N, H))  # xhat9[n,h]
        self.y9 = rows_N[32:64].reshape((N, H))  # y9[n,h]
        self.z18 = rows_N[64:96].reshape((K, N))  # z18[k,n]
        self.relu9_1 = self.relu1_1  # relu9_1[k,n]
        self.relu9 = self.relu9_1[:K]  # relu9[k,n]
        self.z19 = rows_N[32:64].reshape((N, H))  # z19[n,h]
        self.sum9 = rows_N[0:32].reshape((N, H))  # sum9[n,h]
        self.mean10 = rows_N[64:65].reshape(N)  # mean10[n]
        self.var10 = rows_N[65:66].reshape(N)  # var10[n]
        self.rstd10 = rows_N[65:66].reshape(N)  # rstd10[n]
        self.xhat10 = rows_N[32:64].reshape((N, H))  # xhat10[n,h]
        self.y10 = rows_N[32:64].reshape((N, H))  # y10[n,h]
        self.z20 = rows_N[64:96].reshape((K, N))  # z20[k,n]
        self.relu10_1 = self.relu1_1  # relu10_1[k,n]
        self.relu10 = self.relu10_1[:K]  # relu10[k,n]
        self.z21 = rows_N[32:64].reshape((N, H))  # z21[n,h]
        self.sum10 = rows_N[0:32].reshape((N, H))  # sum10[n,h]
        self.mean11 = rows_N[64:65].reshape(N)  # mean11[n]
        self.var11 = rows_N[65:66].reshape(N)  # var11[n]
        self.rstd11 = rows_N[65:66].reshape(N)  # rstd11[n]
        self.xhat11 = rows_N[32:64].reshape((N, H))  # xhat11[n,h]
        self.y11 = rows_N[32:64].reshape((N, H))  # y11[n,h]
        self.z22 = rows_N[64:96].reshape((K, N))  # z22[k,n]
        self.relu11_1 = self.relu1_1  # relu11_1[k,n]
        self.relu11 = self.relu11_1[:K]  # relu11[k,n]
        self.z23 = rows_N[32:64].reshape((N, H))  # z23[n,h]
        self.sum11 = rows_N[0:32].reshape((N, H))  # sum11[n,h]
        self.mean12 = rows_N[64:65].reshape(N)  # mean12[n]
        self.var12 = rows_N[65:66].reshape(N)  # var12[n]
        self.rstd12 = rows_N[65:66].reshape(N)  # rstd12[n]
        self.xhat12 = rows_N[32:64].reshape((N, H))  # xhat12[n,h]
        self.y12 = rows_N[32:64].reshape((N, H))  # y12[n,h]
        self.z24 = rows_N[64:96].reshape((K, N))  # z24[k,n]
        self.relu12_1 = self.relu1_1  # relu12_1[k,n]
        self.relu12 = self.relu12_1[:K]  # relu12[k,n]
        self.z25 = rows_N[32:64].reshape((N, H))  # z25[n,h]
        self.sum12 = rows_N[0:32].reshape((N, H))  # sum12[n,h]
        self.mean13 = rows_N[64:65].reshape(N)  # mean13[n]
        self.var13 = rows_N[65:66].reshape(N)  # var13[n]
        self.rstd13 = rows_N[65:66].reshape(N)  # rstd13[n]
        self.xhat13 = rows_N[32:64].reshape((N, H))  # xhat13[n,h]
        self.y13 = rows_N[32:64].reshape((N, H))  # y13[n,h]
        self.z26 = rows_N[64:96].reshape((K, N))  # z26[k,n]
        self.relu13_1 = self.relu1_1  # relu13_1[k,n]
        self.relu13 = self.relu13_1[:K]  # relu13[k,n]
        self.z27 = rows_N[32:64].reshape((N, H))  # z27[n,h]
        self.sum13 = rows_N[0:32].reshape((N, H))  # sum13[n,h]
        self.mean14 = rows_N[64:65].reshape(N)  # mean14[n]
        self.var14 = rows_N[65:66].reshape(N)  # var14[n]
        self.rstd14 = rows_N[65:66].reshape(N)  # rstd14[n]
        self.xhat14 = rows_N[32:64].reshape((N, H))  # xhat14[n,h]
        self.y14 = rows_N[32:64].reshape((N, H))  # y14[n,h]
        self.z28 = rows_N[64:96].reshape((K, N))  # z28[k,n]
        self.relu14_1 = self.relu1_1  # relu14_1[k,n]
        self.relu14 = self.relu14_1[:K]  # relu14[k,n]
        self.z29 = rows_N[32:64].reshape((N, H))  # z29[n,h]
        self.sum14 = rows_N[0:32].reshape((N, H))  # sum14[n,h]
        self.mean15 = rows_N[64:65].reshape(N)  # mean15[n]
        self.var15 = rows_N[65:66].reshape(N)  # var15[n]
        self.rstd15 = rows_N[65:66].reshape(N)  # rstd15[n]
        self.xhat15 = rows_N[32:64].reshape((N, H))  # xhat15[n,h]
        self.y15 = rows_N[32:64].reshape((N, H))  # y15[n,h]
        self.z30 = rows_N[64:96].reshape((K, N))  # z30[k,n]
        self.relu15_1 = self.relu1_1  # relu15_1[k,n]
        self.relu15 = self.relu15_1[:K]  # relu15[k,n]
        self.z31 = rows_N[32:64].reshape((N, H))  # z31[n,h]
        self.sum15 = rows_N[0:32].reshape((N, H))  # sum15[n,h]
        self.mean16 = rows_N[64:65].reshape(N)  # mean16[n]
        self.var16 = rows_N[65:66].reshape(N)  # var16[n]
        self.rstd16 = rows_N[65:66].reshape(N)  # rstd16[n]
        self.xhat16 = rows_N[32:64].reshape((N, H))  # xhat16[n,h]
        self.y16 = rows_N[32:64].reshape((N, H))  # y16[n,h]
        self.z32 = rows_N[64:96].reshape((K, N))  # z32[k,n]
        self.relu16_1 = self.relu1_1  # relu16_1[k,n]
        self.relu16 = self.relu16_1[:K]  # relu16[k,n]
        self.z33 = rows_N[32:64].reshape((N, H))  # z33[n,h]
        self.sum16 = rows_N[0:32].reshape((N, H))  # sum16[n,h]
        self.mean17 = rows_N[64:65].reshape(N)  # mean17[n]
        self.var17 = rows_N[65:66].reshape(N)  # var17[n]
        self.rstd17 = rows_N[65:66].reshape(N)  # rstd17[n]
        self.xhat17 = rows_N[32:64].reshape((N, H))  # xhat17[n,h]
        self.y17 = rows_N[32:64].reshape((N, H))  # y17[n,h]
        self.z34 = rows_N[64:96].reshape((K, N))  # z34[k,n]
        self.relu17_1 = self.relu1_1  # relu17_1[k,n]
        self.relu17 = self.relu17_1[:K]  # relu17[k,n]
        self.z35 = rows_N[32:64].reshape((N, H))  # z35[n,h]
        self.sum17 = rows_N[0:32].reshape((N, H))  # sum17[n,h]
        self.mean18 = rows_N[64:65].reshape(N)  # mean18[n]
        self.var18 = rows_N[65:66].reshape(N)  # var18[n]
        self.rstd18 = rows_N[65:66].reshape(N)  # rstd18[n]
        self.xhat18 = rows_N[32:64].reshape((N, H))  # xhat18[n,h]
        self.y18 = rows_N[32:64].reshape((N, H))  # y18[n,h]
        self.z36 = rows_N[64:96].reshape((K, N))  # z36[k,n]
        self.relu18_1 = self.relu1_1  # relu18_1[k,n]
        self.relu18 = self.relu18_1[:K]  # relu18[k,n]
        self.z37 = rows_N[32:64].reshape((N, H))  # z37[n,h]
        self.sum18 = rows_N[0:32].reshape((N, H))  # sum18[n,h]
        self.mean19 = rows_N[64:65].reshape(N)  # mean19[n]
        self.var19 = rows_N[65:66].reshape(N)  # var19[n]
        self.rstd19 = rows_N[65:66].reshape(N)  # rstd19[n]
        self.xhat19 = rows_N[32:64].reshape((N, H))  # xhat19[n,h]
        self.y19 = rows_N[32:64].reshape((N, H))  # y19[n,h]
        self.z38 = rows_N[64:96].reshape((K, N))  # z38[k,n]
        self.relu19_1 = self.relu1_1  # relu19_1[k,n]
        self.relu19 = self.relu19_1[:K]  # relu19[k,n]
        self.z39 = rows_N[32:64].reshape((N, H))  # z39[n,h]
        self.sum19 = rows_N[0:32].reshape((N, H))  # sum19[n,h]
        self.mean20 = rows_N[64:65].reshape(N)  # mean20[n]
        self.var20 = rows_N[65:66].reshape(N)  # var20[n]
        self.rstd20 = rows_N[65:66].reshape(N)  # rstd20[n]
        self.xhat20 = rows_N[32:64].reshape((N, H))  # xhat20[n,h]
        self.y20 = rows_N[32:64].reshape((N, H))  # y20[n,h]
        self.a = rows_N[64:96].reshape((K, N))  # a[k,n]
        self.relu20_1 = self.relu1_1  # relu20_1[k,n]
        self.relu20 = self.relu20_1[:K]  # relu20[k,n]
        self.z40 = rows_N[32:64].reshape((N, H))  # z40[n,h]
        self.h = rows_N[0:32].reshape((N, H))  # h[n,h]
        self.mean21 = rows_N[64:65].reshape(N)  # mean21[n]
        self.var21 = rows_N[65:66].reshape(N)  # var21[n]
        self.rstd21 = rows_N[65:66].reshape(N)  # rstd21[n]
        self.xhat21 = rows_N[0:32].reshape((N, H))  # xhat21[n,h]
        self.y21 = rows_N[0:32].reshape((N, H))  # y21[n,h]
        self.m = rows_N[10:11].reshape(N)  # m[n]
        self.e = rows_N[0:10].reshape((J, N))  # e[j,n]
        self.s = rows_N[11:12].reshape(N)  # s[n]
        self.logits_at_digit = rows_N[2:3].reshape(N)  # logits_at_digit[n]
        self.i_n = lent(rows_N[0:2], np.intp, (N,))
        self.u_n = rows_N[0:1].reshape(N)
        self.COUNT_N = np.array(N)
        self.C_0_00001 = np.array(1e-05, dtype)
        self.MEAN_H = np.full(H, 1 / H, dtype)
        self.MEAN_N = np.full(N, 1 / BATCH, dtype)
        self.ONE = np.array(1, dtype)
        self.ONES_J = np.ones(J, dtype)
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
        rows_N = np.empty((2030, N), dtype)
        self.x_1 = np.full((N, D + 1), 1, dtype)  # x_1[n,d]
        self.loss = np.empty((), dtype)  # loss
        self.z1 = rows_N[0:32].reshape((N, H))  # z1[n,h]
        self.mean1 = rows_N[96:97].reshape(N)  # mean1[n]
        self.var1 = rows_N[2006:2007].reshape(N)  # var1[n]
        self.u_nh = rows_N[32:64].reshape((N, H))
        self.rstd1 = rows_N[2006:2007].reshape(N)  # rstd1[n]
        self.xhat1 = rows_N[64:96].reshape((N, H))  # xhat1[n,h]
        self.y1 = rows_N[96:128].reshape((N, H))  # y1[n,h]
        self.z2 = rows_N[128:160].reshape((K, N))  # z2[k,n]
        self.relu1_1 = np.full((K + 1, N), 1, dtype)  # relu1_1[k,n]
        self.relu1 = self.relu1_1[:K]  # relu1[k,n]
        self.z3 = rows_N[32:64].reshape((N, H))  # z3[n,h]
        self.sum1 = rows_N[0:32].reshape((N, H))  # sum1[n,h]
        self.mean2 = rows_N[192:193].reshape(N)  # mean2[n]
        self.var2 = rows_N[2007:2008].reshape(N)  # var2[n]
        self.rstd2 = rows_N[2007:2008].reshape(N)  # rstd2[n]
        self.xhat2 = rows_N[160:192].reshape((N, H))  # xhat2[n,h]
        self.y2 = rows_N[192:224].reshape((N, H))  # y2[n,h]
        self.z4 = rows_N[224:256].reshape((K, N))  # z4[k,n]
        self.relu2_1 = np.full((K + 1, N), 1, dtype)  # relu2_1[k,n]
        self.relu2 = self.relu2_1[:K]  # relu2[k,n]
        self.z5 = rows_N[32:64].reshape((N, H))  # z5[n,h]
        self.sum2 = rows_N[0:32].reshape((N, H))  # sum2[n,h]
        self.mean3 = rows_N[288:289].reshape(N)  # mean3[n]
        self.var3 = rows_N[2008:2009].reshape(N)  # var3[n]
        self.rstd3 = rows_N[2008:2009].reshape(N)  # rstd3[n]
        self.xhat3 = rows_N[256:288].reshape((N, H))  # xhat3[n,h]
        self.y3 = rows_N[288:320].reshape((N, H))  # y3[n,h]
        self.z6 = rows_N[320:352].reshape((K, N))  # z6[k,n]
        self.relu3_1 = np.full((K + 1, N), 1, dtype)  # relu3_1[k,n]
        self.relu3 = self.relu3_1[:K]  # relu3[k,n]
        self.z7 = rows_N[32:64].reshape((N, H))  # z7[n,h]
        self.sum3 = rows_N[0:32].reshape((N, H))  # sum3[n,h]
        self.mean4 = rows_N[384:385].reshape(N)  # mean4[n]
        self.var4 = rows_N[2009:2010].reshape(N)  # var4[n]
        self.rstd4 = rows_N[2009:2010].reshape(N)  # rstd4[n]
        self.xhat4 = rows_N[352:384].reshape((N, H))  # xhat4[n,h]
        self.y4 = rows_N[384:416].reshape((N, H))  # y4[n,h]
        self.z8 = rows_N[416:448].reshape((K, N))  # z8[k,n]
        self.relu4_1 = np.full((K + 1, N), 1, dtype)  # relu4_1[k,n]
        self.relu4 = self.relu4_1[:K]  # relu4[k,n]
        self.z9 = rows_N[32:64].reshape((N, H))  # z9[n,h]
        self.sum4 = rows_N[0:32].reshape((N, H))  # sum4[n,h]
        self.mean5 = rows_N[480:481].reshape(N)  # mean5[n]
        self.var5 = rows_N[2010:2011].reshape(N)  # var5[n]
        self.rstd5 = rows_N[2010:2011].reshape(N)  # rstd5[n]
        self.xhat5 = rows_N[448:480].reshape((N, H))  # xhat5[n,h]
        self.y5 = rows_N[480:512].reshape((N, H))  # y5[n,h]
        self.z10 = rows_N[512:544].reshape((K, N))  # z10[k,n]
        self.relu5_1 = np.full((K + 1, N), 1, dtype)  # relu5_1[k,n]
        self.relu5 = self.relu5_1[:K]  # relu5[k,n]
        self.z11 = rows_N[32:64].reshape((N, H))  # z11[n,h]
        self.sum5 = rows_N[0:32].reshape((N, H))  # sum5[n,h]
        self.mean6 = rows_N[576:577].reshape(N)  # mean6[n]
        self.var6 = rows_N[2011:2012].reshape(N)  # var6[n]
        self.rstd6 = rows_N[2011:2012].reshape(N)  # rstd6[n]
        self.xhat6 = rows_N[544:576].reshape((N, H))  # xhat6[n,h]
        self.y6 = rows_N[576:608].reshape((N, H))  # y6[n,h]
        self.z12 = rows_N[608:640].reshape((K, N))  # z12[k,n]
        self.relu6_1 = np.full((K + 1, N), 1, dtype)  # relu6_1[k,n]
        self.relu6 = self.relu6_1[:K]  # relu6[k,n]
        self.z13 = rows_N[32:64].reshape((N, H))  # z13[n,h]
        self.sum6 = rows_N[0:32].reshape((N, H))  # sum6[n,h]
        self.mean7 = rows_N[672:673].reshape(N)  # mean7[n]
        self.var7 = rows_N[2012:2013].reshape(N)  # var7[n]
        self.rstd7 = rows_N[2012:2013].reshape(N)  # rstd7[n]
        self.xhat7 = rows_N[640:672].reshape((N, H))  # xhat7[n,h]
        self.y7 = rows_N[672:704].reshape((N, H))  # y7[n,h]
        self.z14 = rows_N[704:736].reshape((K, N))  # z14[k,n]
        self.relu7_1 = np.full((K + 1, N), 1, dtype)  # relu7_1[k,n]
        self.relu7 = self.relu7_1[:K]  # relu7[k,n]
        self.z15 = rows_N[32:64].reshape((N, H))  # z15[n,h]
        self.sum7 = rows_N[0:32].reshape((N, H))  # sum7[n,h]
        self.mean8 = rows_N[768:769].reshape(N)  # mean8[n]
        self.var8 = rows_N[2013:2014].reshape(N)  # var8[n]
        self.rstd8 = rows_N[2013:2014].reshape(N)  # rstd8[n]
        self.xhat8 = rows_N[736:768].reshape((N, H))  # xhat8[n,h]
        self.y8 = rows_N[768:800].reshape((N, H))  # y8[n,h]
        self.z16 = rows_N[800:832].reshape((K, N))  # z16[k,n]
        self.relu8_1 = np.full((K + 1, N), 1, dtype)  # relu8_1[k,n]
        self.relu8 = self.relu8_1[:K]  # relu8[k,n]
        self.z17 = rows_N[32:64].reshape((N, H))  # z17[n,h]
        self.sum8 = rows_N[0:32].reshape((N, H))  # sum8[n,h]
        self.mean9 = rows_N[864:865].reshape(N)  # mean9[n]
        self.var9 = rows_N[2014:2015].reshape(N)  # var9[n]
        self.rstd9 = rows_N[2014:2015].reshape(N)  # rstd9[n]
        self.xhat9 = rows_N[832:864].reshape((N, H))  # xhat9[n,h]
        self.y9 = rows_N[864:896].reshape((N, H))  # y9[n,h]
        self.z18 = rows_N[896:928].reshape((K, N))  # z18[k,n]
        self.relu9_1 = np.full((K + 1, N), 1, dtype)  # relu9_1[k,n]
        self.relu9 = self.relu9_1[:K]  # relu9[k,n]
        self.z19 = rows_N[32:64].reshape((N, H))  # z19[n,h]
        self.sum9 = rows_N[0:32].reshape((N, H))  # sum9[n,h]
        self.mean10 = rows_N[960:961].reshape(N)  # mean10[n]
        self.var10 = rows_N[2015:2016].reshape(N)  # var10[n]
        self.rstd10 = rows_N[2015:2016].reshape(N)  # rstd10[n]
        self.xhat10 = rows_N[928:960].reshape((N, H))  # xhat10[n,h]
        self.y10 = rows_N[960:992].reshape((N, H))  # y10[n,h]
        self.z20 = rows_N[992:1024].reshape((K, N))  # z20[k,n]
        self.relu10_1 = np.full((K + 1, N), 1, dtype)  # relu10_1[k,n]
        self.relu10 = self.relu10_1[:K]  # relu10[k,n]
        self.z21 = rows_N[32:64].reshape((N, H))  # z21[n,h]
        self.sum10 = rows_N[0:32].reshape((N, H))  # sum10[n,h]
        self.mean11 = rows_N[1056:1057].reshape(N)  # mean11[n]
        self.var11 = rows_N[2016:2017].reshape(N)  # var11[n]
        self.rstd11 = rows_N[2016:2017].reshape(N)  # rstd11[n]
        self.xhat11 = rows_N[1024:1056].reshape((N, H))  # xhat11[n,h]
        self.y11 = rows_N[1056:1088].reshape((N, H))  # y11[n,h]
        self.z22 = rows_N[1088:1120].reshape((K, N))  # z22[k,n]
        self.relu11_1 = np.full((K + 1, N), 1, dtype)  # relu11_1[k,n]
        self.relu11 = self.relu11_1[:K]  # relu11[k,n]
        self.z23 = rows_N[32:64].reshape((N, H))  # z23[n,h]
        self.sum11 = rows_N[0:32].reshape((N, H))  # sum11[n,h]
        self.mean12 = rows_N[1152:1153].reshape(N)  # mean12[n]
        self.var12 = rows_N[2017:2018].reshape(N)  # var12[n]
        self.rstd12 = rows_N[2017:2018].reshape(N)  # rstd12[n]
        self.xhat12 = rows_N[1120:1152].reshape((N, H))  # xhat12[n,h]
        self.y12 = rows_N[1152:1184].reshape((N, H))  # y12[n,h]
        self.z24 = rows_N[1184:1216].reshape((K, N))  # z24[k,n]
        self.relu12_1 = np.full((K + 1, N), 1, dtype)  # relu12_1[k,n]
        self.relu12 = self.relu12_1[:K]  # relu12[k,n]
        self.z25 = rows_N[32:64].reshape((N, H))  # z25[n,h]
        self.sum12 = rows_N[0:32].reshape((N, H))  # sum12[n,h]
        self.mean13 = rows_N[1248:1249].reshape(N)  # mean13[n]
        self.var13 = rows_N[2018:2019].reshape(N)  # var13[n]
        self.rstd13 = rows_N[2018:2019].reshape(N)  # rstd13[n]
        self.xhat13 = rows_N[1216:1248].reshape((N, H))  # xhat13[n,h]
        self.y13 = rows_N[1248:1280].reshape((N, H))  # y13[n,h]
        self.z26 = rows_N[1280:1312].reshape((K, N))  # z26[k,n]
        self.relu13_1 = np.full((K + 1, N), 1, dtype)  # relu13_1[k,n]
        self.relu13 = self.relu13_1[:K]  # relu13[k,n]
        self.z27 = rows_N[32:64].reshape((N, H))  # z27[n,h]
        self.sum13 = rows_N[0:32].reshape((N, H))  # sum13[n,h]
        self.mean14 = rows_N[1344:1345].reshape(N)  # mean14[n]
        self.var14 = rows_N[2019:2020].reshape(N)  # var14[n]
        self.rstd14 = rows_N[2019:2020].reshape(N)  # rstd14[n]
        self.xhat14 = rows_N[1312:1344].reshape((N, H))  # xhat14[n,h]
        self.y14 = rows_N[1344:1376].reshape((N, H))  # y14[n,h]
        self.z28 = rows_N[1376:1408].reshape((K, N))  # z28[k,n]
        self.relu14_1 = np.full((K + 1, N), 1, dtype)  # relu14_1[k,n]
        self.relu14 = self.relu14_1[:K]  # relu14[k,n]
        self.z29 = rows_N[32:64].reshape((N, H))  # z29[n,h]
        self.sum14 = rows_N[0:32].reshape((N, H))  # sum14[n,h]
        self.mean15 = rows_N[1440:1441].reshape(N)  # mean15[n]
        self.var15 = rows_N[2020:2021].reshape(N)  # var15[n]
        self.rstd15 = rows_N[2020:2021].reshape(N)  # rstd15[n]
        self.xhat15 = rows_N[1408:1440].reshape((N, H))  # xhat15[n,h]
        self.y15 = rows_N[1440:1472].reshape((N, H))  # y15[n,h]
        self.z30 = rows_N[1472:1504].reshape((K, N))  # z30[k,n]
        self.relu15_1 = np.full((K + 1, N), 1, dtype)  # relu15_1[k,n]
        self.relu15 = self.relu15_1[:K]  # relu15[k,n]
        self.z31 = rows_N[32:64].reshape((N, H))  # z31[n,h]
        self.sum15 = rows_N[0:32].reshape((N, H))  # sum15[n,h]
        self.mean16 = rows_N[1536:1537].reshape(N)  # mean16[n]
        self.var16 = rows_N[2021:2022].reshape(N)  # var16[n]
        self.rstd16 = rows_N[2021:2022].reshape(N)  # rstd16[n]
        self.xhat16 = rows_N[1504:1536].reshape((N, H))  # xhat16[n,h]
        self.y16 = rows_N[1536:1568].reshape((N, H))  # y16[n,h]
        self.z32 = rows_N[1568:1600].reshape((K, N))  # z32[k,n]
        self.relu16_1 = np.full((K + 1, N), 1, dtype)  # relu16_1[k,n]
        self.relu16 = self.relu16_1[:K]  # relu16[k,n]
        self.z33 = rows_N[32:64].reshape((N, H))  # z33[n,h]
        self.sum16 = rows_N[0:32].reshape((N, H))  # sum16[n,h]
        self.mean17 = rows_N[1632:1633].reshape(N)  # mean17[n]
        self.var17 = rows_N[2022:2023].reshape(N)  # var17[n]
        self.rstd17 = rows_N[2022:2023].reshape(N)  # rstd17[n]
        self.xhat17 = rows_N[1600:1632].reshape((N, H))  # xhat17[n,h]
        self.y17 = rows_N[1632:1664].reshape((N, H))  # y17[n,h]
        self.z34 = rows_N[1664:1696].reshape((K, N))  # z34[k,n]
        self.relu17_1 = np.full((K + 1, N), 1, dtype)  # relu17_1[k,n]
        self.relu17 = self.relu17_1[:K]  # relu17[k,n]
        self.z35 = rows_N[32:64].reshape((N, H))  # z35[n,h]
        self.sum17 = rows_N[0:32].reshape((N, H))  # sum17[n,h]
        self.mean18 = rows_N[1728:1729].reshape(N)  # mean18[n]
        self.var18 = rows_N[2023:2024].reshape(N)  # var18[n]
        self.rstd18 = rows_N[2023:2024].reshape(N)  # rstd18[n]
        self.xhat18 = rows_N[1696:1728].reshape((N, H))  # xhat18[n,h]
        self.y18 = rows_N[1728:1760].reshape((N, H))  # y18[n,h]
        self.z36 = rows_N[1760:1792].reshape((K, N))  # z36[k,n]
        self.relu18_1 = np.full((K + 1, N), 1, dtype)  # relu18_1[k,n]
        self.relu18 = self.relu18_1[:K]  # relu18[k,n]
        self.z37 = rows_N[32:64].reshape((N, H))  # z37[n,h]
        self.sum18 = rows_N[0:32].reshape((N, H))  # sum18[n,h]
        self.mean19 = rows_N[1824:1825].reshape(N)  # mean19[n]
        self.var19 = rows_N[2024:2025].reshape(N)  # var19[n]
        self.rstd19 = rows_N[2024:2025].reshape(N)  # rstd19[n]
        self.xhat19 = rows_N[1792:1824].reshape((N, H))  # xhat19[n,h]
        self.y19 = rows_N[1824:1856].reshape((N, H))  # y19[n,h]
        self.z38 = rows_N[1856:1888].reshape((K, N))  # z38[k,n]
        self.relu19_1 = np.full((K + 1, N), 1, dtype)  # relu19_1[k,n]
        self.relu19 = self.relu19_1[:K]  # relu19[k,n]
        self.z39 = rows_N[32:64].reshape((N, H))  # z39[n,h]
        self.sum19 = rows_N[0:32].reshape((N, H))  # sum19[n,h]
        self.mean20 = rows_N[1920:1921].reshape(N)  # mean20[n]
        self.var20 = rows_N[2025:2026].reshape(N)  # var20[n]
        self.rstd20 = rows_N[2025:2026].reshape(N)  # rstd20[n]
        self.xhat20 = rows_N[1888:1920].reshape((N, H))  # xhat20[n,h]
        self.y20 = rows_N[1920:1952].reshape((N, H))  # y20[n,h]
        self.a = rows_N[1952:1984].reshape((K, N))  # a[k,n]
        self.relu20_1 = np.full((K + 1, N), 1, dtype)  # relu20_1[k,n]
        self.relu20 = self.relu20_1[:K]  # relu20[k,n]
        self.z40 = rows_N[32:64].reshape((N, H))  # z40[n,h]
        self.h = rows_N[0:32].reshape((N, H))  # h[n,h]
        self.mean21 = rows_N[1984:1985].reshape(N)  # mean21[n]
        self.var21 = rows_N[2026:2027].reshape(N)  # var21[n]
        self.rstd21 = rows_N[2026:2027].reshape(N)  # rstd21[n]
        self.xhat21 = rows_N[0:32].reshape((N, H))  # xhat21[n,h]
        self.y21 = rows_N[32:64].reshape((N, H))  # y21[n,h]
        self.logits = rows_N[1984:1994].reshape((J, N))  # logits[j,n]
        self.m = rows_N[2027:2028].reshape(N)  # m[n]
        self.e = rows_N[1994:2004].reshape((J, N))  # e[j,n]
        self.s = rows_N[2028:2029].reshape(N)  # s[n]
        self.logits_at_digit = rows_N[2029:2030].reshape(N)  # logits_at_digit[n]
        self.i_n = lent(rows_N[2004:2006], np.intp, (N,))
        self.u_n = rows_N[1984:1985].reshape(N)
        self.p = rows_N[1994:2004].reshape((J, N))  # p[j,n]
        self.d_logits = rows_N[1984:1994].reshape((J, N))  # ∂L/∂logits[j,n]
        self.d_y21 = rows_N[32:64].reshape((N, H))  # ∂L/∂y21[n,h]
        self.d_xhat21 = rows_N[32:64].reshape((N, H))  # ∂L/∂xhat21[n,h]
        self.xhat21_dot_d_xhat21 = rows_N[1985:1986].reshape(N)  # xhat21_dot_d_xhat21[n]
        self.sum_d_xhat21 = rows_N[1986:1987].reshape(N)  # sum_d_xhat21[n]
        self.d_h = rows_N[0:32].reshape((N, H))  # ∂L/∂h[n,h]
        self.d_relu20 = rows_N[32:64].reshape((K, N))  # ∂L/∂relu20[k,n]
        self.d_a = rows_N[1952:1984].reshape((K, N))  # ∂L/∂a[k,n]
        self.d_y20 = rows_N[1920:1952].reshape((N, H))  # ∂L/∂y20[n,h]
        self.d_xhat20 = rows_N[1920:1952].reshape((N, H))  # ∂L/∂xhat20[n,h]
        self.xhat20_dot_d_xhat20 = rows_N[1952:1953].reshape(N)  # xhat20_dot_d_xhat20[n]
        self.sum_d_xhat20 = rows_N[1953:1954].reshape(N)  # sum_d_xhat20[n]
        self.d_sum19 = rows_N[1888:1920].reshape((N, H))  # ∂L/∂sum19[n,h]
        self.d_relu19 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu19[k,n]
        self.d_z38 = rows_N[1856:1888].reshape((K, N))  # ∂L/∂z38[k,n]
        self.d_y19 = rows_N[0:32].reshape((N, H))  # ∂L/∂y19[n,h]
        self.d_xhat19 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat19[n,h]
        self.xhat19_dot_d_xhat19 = rows_N[1824:1825].reshape(N)  # xhat19_dot_d_xhat19[n]
        self.sum_d_xhat19 = rows_N[1825:1826].reshape(N)  # sum_d_xhat19[n]
        self.d_sum18 = rows_N[1792:1824].reshape((N, H))  # ∂L/∂sum18[n,h]
        self.d_relu18 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu18[k,n]
        self.d_z36 = rows_N[1760:1792].reshape((K, N))  # ∂L/∂z36[k,n]
        self.d_y18 = rows_N[0:32].reshape((N, H))  # ∂L/∂y18[n,h]
        self.d_xhat18 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat18[n,h]
        self.xhat18_dot_d_xhat18 = rows_N[1728:1729].reshape(N)  # xhat18_dot_d_xhat18[n]
        self.sum_d_xhat18 = rows_N[1729:1730].reshape(N)  # sum_d_xhat18[n]
        self.d_sum17 = rows_N[1696:1728].reshape((N, H))  # ∂L/∂sum17[n,h]
        self.d_relu17 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu17[k,n]
        self.d_z34 = rows_N[1664:1696].reshape((K, N))  # ∂L/∂z34[k,n]
        self.d_y17 = rows_N[0:32].reshape((N, H))  # ∂L/∂y17[n,h]
        self.d_xhat17 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat17[n,h]
        self.xhat17_dot_d_xhat17 = rows_N[1632:1633].reshape(N)  # xhat17_dot_d_xhat17[n]
        self.sum_d_xhat17 = rows_N[1633:1634].reshape(N)  # sum_d_xhat17[n]
        self.d_sum16 = rows_N[1600:1632].reshape((N, H))  # ∂L/∂sum16[n,h]
        self.d_relu16 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu16[k,n]
        self.d_z32 = rows_N[1568:1600].reshape((K, N))  # ∂L/∂z32[k,n]
        self.d_y16 = rows_N[0:32].reshape((N, H))  # ∂L/∂y16[n,h]
        self.d_xhat16 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat16[n,h]
        self.xhat16_dot_d_xhat16 = rows_N[1536:1537].reshape(N)  # xhat16_dot_d_xhat16[n]
        self.sum_d_xhat16 = rows_N[1537:1538].reshape(N)  # sum_d_xhat16[n]
        self.d_sum15 = rows_N[1504:1536].reshape((N, H))  # ∂L/∂sum15[n,h]
        self.d_relu15 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu15[k,n]
        self.d_z30 = rows_N[1472:1504].reshape((K, N))  # ∂L/∂z30[k,n]
        self.d_y15 = rows_N[0:32].reshape((N, H))  # ∂L/∂y15[n,h]
        self.d_xhat15 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat15[n,h]
        self.xhat15_dot_d_xhat15 = rows_N[1440:1441].reshape(N)  # xhat15_dot_d_xhat15[n]
        self.sum_d_xhat15 = rows_N[1441:1442].reshape(N)  # sum_d_xhat15[n]
        self.d_sum14 = rows_N[1408:1440].reshape((N, H))  # ∂L/∂sum14[n,h]
        self.d_relu14 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu14[k,n]
        self.d_z28 = rows_N[1376:1408].reshape((K, N))  # ∂L/∂z28[k,n]
        self.d_y14 = rows_N[0:32].reshape((N, H))  # ∂L/∂y14[n,h]
        self.d_xhat14 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat14[n,h]
        self.xhat14_dot_d_xhat14 = rows_N[1344:1345].reshape(N)  # xhat14_dot_d_xhat14[n]
        self.sum_d_xhat14 = rows_N[1345:1346].reshape(N)  # sum_d_xhat14[n]
        self.d_sum13 = rows_N[1312:1344].reshape((N, H))  # ∂L/∂sum13[n,h]
        self.d_relu13 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu13[k,n]
        self.d_z26 = rows_N[1280:1312].reshape((K, N))  # ∂L/∂z26[k,n]
        self.d_y13 = rows_N[0:32].reshape((N, H))  # ∂L/∂y13[n,h]
        self.d_xhat13 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat13[n,h]
        self.xhat13_dot_d_xhat13 = rows_N[1248:1249].reshape(N)  # xhat13_dot_d_xhat13[n]
        self.sum_d_xhat13 = rows_N[1249:1250].reshape(N)  # sum_d_xhat13[n]
        self.d_sum12 = rows_N[1216:1248].reshape((N, H))  # ∂L/∂sum12[n,h]
        self.d_relu12 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu12[k,n]
        self.d_z24 = rows_N[1184:1216].reshape((K, N))  # ∂L/∂z24[k,n]
        self.d_y12 = rows_N[0:32].reshape((N, H))  # ∂L/∂y12[n,h]
        self.d_xhat12 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat12[n,h]
        self.xhat12_dot_d_xhat12 = rows_N[1152:1153].reshape(N)  # xhat12_dot_d_xhat12[n]
        self.sum_d_xhat12 = rows_N[1153:1154].reshape(N)  # sum_d_xhat12[n]
        self.d_sum11 = rows_N[1120:1152].reshape((N, H))  # ∂L/∂sum11[n,h]
        self.d_relu11 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu11[k,n]
        self.d_z22 = rows_N[1088:1120].reshape((K, N))  # ∂L/∂z22[k,n]
        self.d_y11 = rows_N[0:32].reshape((N, H))  # ∂L/∂y11[n,h]
        self.d_xhat11 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat11[n,h]
        self.xhat11_dot_d_xhat11 = rows_N[1056:1057].reshape(N)  # xhat11_dot_d_xhat11[n]
        self.sum_d_xhat11 = rows_N[1057:1058].reshape(N)  # sum_d_xhat11[n]
        self.d_sum10 = rows_N[1024:1056].reshape((N, H))  # ∂L/∂sum10[n,h]
        self.d_relu10 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu10[k,n]
        self.d_z20 = rows_N[992:1024].reshape((K, N))  # ∂L/∂z20[k,n]
        self.d_y10 = rows_N[0:32].reshape((N, H))  # ∂L/∂y10[n,h]
        self.d_xhat10 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat10[n,h]
        self.xhat10_dot_d_xhat10 = rows_N[960:961].reshape(N)  # xhat10_dot_d_xhat10[n]
        self.sum_d_xhat10 = rows_N[961:962].reshape(N)  # sum_d_xhat10[n]
        self.d_sum9 = rows_N[928:960].reshape((N, H))  # ∂L/∂sum9[n,h]
        self.d_relu9 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu9[k,n]
        self.d_z18 = rows_N[896:928].reshape((K, N))  # ∂L/∂z18[k,n]
        self.d_y9 = rows_N[0:32].reshape((N, H))  # ∂L/∂y9[n,h]
        self.d_xhat9 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat9[n,h]
        self.xhat9_dot_d_xhat9 = rows_N[864:865].reshape(N)  # xhat9_dot_d_xhat9[n]
        self.sum_d_xhat9 = rows_N[865:866].reshape(N)  # sum_d_xhat9[n]
        self.d_sum8 = rows_N[832:864].reshape((N, H))  # ∂L/∂sum8[n,h]
        self.d_relu8 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu8[k,n]
        self.d_z16 = rows_N[800:832].reshape((K, N))  # ∂L/∂z16[k,n]
        self.d_y8 = rows_N[0:32].reshape((N, H))  # ∂L/∂y8[n,h]
        self.d_xhat8 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat8[n,h]
        self.xhat8_dot_d_xhat8 = rows_N[768:769].reshape(N)  # xhat8_dot_d_xhat8[n]
        self.sum_d_xhat8 = rows_N[769:770].reshape(N)  # sum_d_xhat8[n]
        self.d_sum7 = rows_N[736:768].reshape((N, H))  # ∂L/∂sum7[n,h]
        self.d_relu7 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu7[k,n]
        self.d_z14 = rows_N[704:736].reshape((K, N))  # ∂L/∂z14[k,n]
        self.d_y7 = rows_N[0:32].reshape((N, H))  # ∂L/∂y7[n,h]
        self.d_xhat7 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat7[n,h]
        self.xhat7_dot_d_xhat7 = rows_N[672:673].reshape(N)  # xhat7_dot_d_xhat7[n]
        self.sum_d_xhat7 = rows_N[673:674].reshape(N)  # sum_d_xhat7[n]
        self.d_sum6 = rows_N[640:672].reshape((N, H))  # ∂L/∂sum6[n,h]
        self.d_relu6 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu6[k,n]
        self.d_z12 = rows_N[608:640].reshape((K, N))  # ∂L/∂z12[k,n]
        self.d_y6 = rows_N[0:32].reshape((N, H))  # ∂L/∂y6[n,h]
        self.d_xhat6 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat6[n,h]
        self.xhat6_dot_d_xhat6 = rows_N[576:577].reshape(N)  # xhat6_dot_d_xhat6[n]
        self.sum_d_xhat6 = rows_N[577:578].reshape(N)  # sum_d_xhat6[n]
        self.d_sum5 = rows_N[544:576].reshape((N, H))  # ∂L/∂sum5[n,h]
        self.d_relu5 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu5[k,n]
        self.d_z10 = rows_N[512:544].reshape((K, N))  # ∂L/∂z10[k,n]
        self.d_y5 = rows_N[0:32].reshape((N, H))  # ∂L/∂y5[n,h]
        self.d_xhat5 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat5[n,h]
        self.xhat5_dot_d_xhat5 = rows_N[480:481].reshape(N)  # xhat5_dot_d_xhat5[n]
        self.sum_d_xhat5 = rows_N[481:482].reshape(N)  # sum_d_xhat5[n]
        self.d_sum4 = rows_N[448:480].reshape((N, H))  # ∂L/∂sum4[n,h]
        self.d_relu4 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu4[k,n]
        self.d_z8 = rows_N[416:448].reshape((K, N))  # ∂L/∂z8[k,n]
        self.d_y4 = rows_N[0:32].reshape((N, H))  # ∂L/∂y4[n,h]
        self.d_xhat4 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat4[n,h]
        self.xhat4_dot_d_xhat4 = rows_N[384:385].reshape(N)  # xhat4_dot_d_xhat4[n]
        self.sum_d_xhat4 = rows_N[385:386].reshape(N)  # sum_d_xhat4[n]
        self.d_sum3 = rows_N[352:384].reshape((N, H))  # ∂L/∂sum3[n,h]
        self.d_relu3 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu3[k,n]
        self.d_z6 = rows_N[320:352].reshape((K, N))  # ∂L/∂z6[k,n]
        self.d_y3 = rows_N[0:32].reshape((N, H))  # ∂L/∂y3[n,h]
        self.d_xhat3 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat3[n,h]
        self.xhat3_dot_d_xhat3 = rows_N[288:289].reshape(N)  # xhat3_dot_d_xhat3[n]
        self.sum_d_xhat3 = rows_N[289:290].reshape(N)  # sum_d_xhat3[n]
        self.d_sum2 = rows_N[256:288].reshape((N, H))  # ∂L/∂sum2[n,h]
        self.d_relu2 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu2[k,n]
        self.d_z4 = rows_N[224:256].reshape((K, N))  # ∂L/∂z4[k,n]
        self.d_y2 = rows_N[0:32].reshape((N, H))  # ∂L/∂y2[n,h]
        self.d_xhat2 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat2[n,h]
        self.xhat2_dot_d_xhat2 = rows_N[192:193].reshape(N)  # xhat2_dot_d_xhat2[n]
        self.sum_d_xhat2 = rows_N[193:194].reshape(N)  # sum_d_xhat2[n]
        self.d_sum1 = rows_N[160:192].reshape((N, H))  # ∂L/∂sum1[n,h]
        self.d_relu1 = rows_N[0:32].reshape((K, N))  # ∂L/∂relu1[k,n]
        self.d_z2 = rows_N[128:160].reshape((K, N))  # ∂L/∂z2[k,n]
        self.d_y1 = rows_N[0:32].reshape((N, H))  # ∂L/∂y1[n,h]
        self.d_xhat1 = rows_N[0:32].reshape((N, H))  # ∂L/∂xhat1[n,h]
        self.xhat1_dot_d_xhat1 = rows_N[96:97].reshape(N)  # xhat1_dot_d_xhat1[n]
        self.sum_d_xhat1 = rows_N[97:98].reshape(N)  # sum_d_xhat1[n]
        self.d_z1 = rows_N[64:96].reshape((N, H))  # ∂L/∂z1[n,h]
        self.COUNT_N = np.array(N)
        self.C_0_00001 = np.array(1e-05, dtype)
        self.C_1_OVER_BATCH = np.array(1 / BATCH, dtype)
        self.C_1_OVER_H = np.array(1 / H, dtype)
        self.MEAN_H = np.full(H, 1 / H, dtype)
        self.MEAN_N = np.full(N, 1 / BATCH, dtype)
        self.ONE = np.array(1, dtype)
        self.ONES_H = np.ones(H, dtype)
        self.ONES_J = np.ones(J, dtype)
        self.ONES_N = np.ones(N, dtype)
        self.ONE_HOT_J = np.eye(J, dtype=dtype)
        self.RANGE_N = np.arange(N)
        self.ZERO = np.array(0, dtype)


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
    p.stem_W[...] = rng.normal(0, math.sqrt(2 / D), (D, H))
    p.ln1_gain[...] = 1
    p.up1_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down1_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln2_gain[...] = 1
    p.up2_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down2_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln3_gain[...] = 1
    p.up3_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down3_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln4_gain[...] = 1
    p.up4_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down4_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln5_gain[...] = 1
    p.up5_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down5_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln6_gain[...] = 1
    p.up6_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down6_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln7_gain[...] = 1
    p.up7_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down7_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln8_gain[...] = 1
    p.up8_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down8_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln9_gain[...] = 1
    p.up9_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down9_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln10_gain[...] = 1
    p.up10_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down10_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln11_gain[...] = 1
    p.up11_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down11_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln12_gain[...] = 1
    p.up12_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down12_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln13_gain[...] = 1
    p.up13_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down13_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln14_gain[...] = 1
    p.up14_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down14_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln15_gain[...] = 1
    p.up15_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down15_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln16_gain[...] = 1
    p.up16_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down16_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln17_gain[...] = 1
    p.up17_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down17_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln18_gain[...] = 1
    p.up18_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down18_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln19_gain[...] = 1
    p.up19_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down19_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln20_gain[...] = 1
    p.up20_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.down20_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.ln_gain[...] = 1
    p.head_W[...] = rng.normal(0, math.sqrt(2 / H), (H, J))
    return p


def forward(p: Params, a: Activations, x: np.ndarray) -> None:
    """Compute the outputs of a batch into `a`."""
    # x_1[n,d] = x[n,d] (1 outside)
    np.copyto(a.x_1[:, :-1], x)

    # z1[n,h] = Σ_d x[n,d] stem_W[d,h] + stem_b[h]
    np.dot(a.x_1, p.stem_W_b, out=a.z1)

    # mean1[n] = Σ_h z1[n,h]/H
    np.dot(a.z1, a.MEAN_H, out=a.mean1)

    # var1[n] = Σ_h (z1[n,h] - mean1[n])²/H
    np.subtract(a.z1, a.mean1[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var1)

    # rstd1[n] = 1/√(var1[n] + 1e-05)
    np.add(a.var1, a.C_0_00001, out=a.rstd1)
    np.sqrt(a.rstd1, out=a.rstd1)
    np.divide(a.ONE, a.rstd1, out=a.rstd1)

    # xhat1[n,h] = (z1[n,h] - mean1[n]) rstd1[n]
    np.subtract(a.z1, a.mean1[:, None], out=a.xhat1)
    np.multiply(a.xhat1, a.rstd1[:, None], out=a.xhat1)

    # y1[n,h] = ln1_gain[h] xhat1[n,h] + ln1_shift[h]
    np.multiply(a.xhat1, p.ln1_gain, out=a.y1)
    np.add(a.y1, p.ln1_shift, out=a.y1)

    # z2[n,k] = Σ_h up1_W[h,k] y1[n,h] + up1_b[k]
    np.dot(p.up1_W.T, a.y1.T, out=a.z2)
    np.add(a.z2, p.up1_b[:, None], out=a.z2)

    # relu1[n,k] = max(0, z2[n,k])
    np.maximum(a.z2, a.ZERO, out=a.relu1)

    # z3[n,h] = Σ_k down1_W[k,h] relu1[n,k] + down1_b[h]
    np.dot(a.relu1_1.T, p.down1_W_b, out=a.z3)

    # sum1[n,h] = z1[n,h] + z3[n,h]
    np.add(a.z3, a.z1, out=a.sum1)

    # mean2[n] = Σ_h sum1[n,h]/H
    np.dot(a.sum1, a.MEAN_H, out=a.mean2)

    # var2[n] = Σ_h (sum1[n,h] - mean2[n])²/H
    np.subtract(a.sum1, a.mean2[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var2)

    # rstd2[n] = 1/√(var2[n] + 1e-05)
    np.add(a.var2, a.C_0_00001, out=a.rstd2)
    np.sqrt(a.rstd2, out=a.rstd2)
    np.divide(a.ONE, a.rstd2, out=a.rstd2)

    # xhat2[n,h] = (sum1[n,h] - mean2[n]) rstd2[n]
    np.subtract(a.sum1, a.mean2[:, None], out=a.xhat2)
    np.multiply(a.xhat2, a.rstd2[:, None], out=a.xhat2)

    # y2[n,h] = ln2_gain[h] xhat2[n,h] + ln2_shift[h]
    np.multiply(a.xhat2, p.ln2_gain, out=a.y2)
    np.add(a.y2, p.ln2_shift, out=a.y2)

    # z4[n,k] = Σ_h up2_W[h,k] y2[n,h] + up2_b[k]
    np.dot(p.up2_W.T, a.y2.T, out=a.z4)
    np.add(a.z4, p.up2_b[:, None], out=a.z4)

    # relu2[n,k] = max(0, z4[n,k])
    np.maximum(a.z4, a.ZERO, out=a.relu2)

    # z5[n,h] = Σ_k down2_W[k,h] relu2[n,k] + down2_b[h]
    np.dot(a.relu2_1.T, p.down2_W_b, out=a.z5)

    # sum2[n,h] = sum1[n,h] + z5[n,h]
    np.add(a.z5, a.sum1, out=a.sum2)

    # mean3[n] = Σ_h sum2[n,h]/H
    np.dot(a.sum2, a.MEAN_H, out=a.mean3)

    # var3[n] = Σ_h (sum2[n,h] - mean3[n])²/H
    np.subtract(a.sum2, a.mean3[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var3)

    # rstd3[n] = 1/√(var3[n] + 1e-05)
    np.add(a.var3, a.C_0_00001, out=a.rstd3)
    np.sqrt(a.rstd3, out=a.rstd3)
    np.divide(a.ONE, a.rstd3, out=a.rstd3)

    # xhat3[n,h] = (sum2[n,h] - mean3[n]) rstd3[n]
    np.subtract(a.sum2, a.mean3[:, None], out=a.xhat3)
    np.multiply(a.xhat3, a.rstd3[:, None], out=a.xhat3)

    # y3[n,h] = ln3_gain[h] xhat3[n,h] + ln3_shift[h]
    np.multiply(a.xhat3, p.ln3_gain, out=a.y3)
    np.add(a.y3, p.ln3_shift, out=a.y3)

    # z6[n,k] = Σ_h up3_W[h,k] y3[n,h] + up3_b[k]
    np.dot(p.up3_W.T, a.y3.T, out=a.z6)
    np.add(a.z6, p.up3_b[:, None], out=a.z6)

    # relu3[n,k] = max(0, z6[n,k])
    np.maximum(a.z6, a.ZERO, out=a.relu3)

    # z7[n,h] = Σ_k down3_W[k,h] relu3[n,k] + down3_b[h]
    np.dot(a.relu3_1.T, p.down3_W_b, out=a.z7)

    # sum3[n,h] = sum2[n,h] + z7[n,h]
    np.add(a.z7, a.sum2, out=a.sum3)

    # mean4[n] = Σ_h sum3[n,h]/H
    np.dot(a.sum3, a.MEAN_H, out=a.mean4)

    # var4[n] = Σ_h (sum3[n,h] - mean4[n])²/H
    np.subtract(a.sum3, a.mean4[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var4)

    # rstd4[n] = 1/√(var4[n] + 1e-05)
    np.add(a.var4, a.C_0_00001, out=a.rstd4)
    np.sqrt(a.rstd4, out=a.rstd4)
    np.divide(a.ONE, a.rstd4, out=a.rstd4)

    # xhat4[n,h] = (sum3[n,h] - mean4[n]) rstd4[n]
    np.subtract(a.sum3, a.mean4[:, None], out=a.xhat4)
    np.multiply(a.xhat4, a.rstd4[:, None], out=a.xhat4)

    # y4[n,h] = ln4_gain[h] xhat4[n,h] + ln4_shift[h]
    np.multiply(a.xhat4, p.ln4_gain, out=a.y4)
    np.add(a.y4, p.ln4_shift, out=a.y4)

    # z8[n,k] = Σ_h up4_W[h,k] y4[n,h] + up4_b[k]
    np.dot(p.up4_W.T, a.y4.T, out=a.z8)
    np.add(a.z8, p.up4_b[:, None], out=a.z8)

    # relu4[n,k] = max(0, z8[n,k])
    np.maximum(a.z8, a.ZERO, out=a.relu4)

    # z9[n,h] = Σ_k down4_W[k,h] relu4[n,k] + down4_b[h]
    np.dot(a.relu4_1.T, p.down4_W_b, out=a.z9)

    # sum4[n,h] = sum3[n,h] + z9[n,h]
    np.add(a.z9, a.sum3, out=a.sum4)

    # mean5[n] = Σ_h sum4[n,h]/H
    np.dot(a.sum4, a.MEAN_H, out=a.mean5)

    # var5[n] = Σ_h (sum4[n,h] - mean5[n])²/H
    np.subtract(a.sum4, a.mean5[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var5)

    # rstd5[n] = 1/√(var5[n] + 1e-05)
    np.add(a.var5, a.C_0_00001, out=a.rstd5)
    np.sqrt(a.rstd5, out=a.rstd5)
    np.divide(a.ONE, a.rstd5, out=a.rstd5)

    # xhat5[n,h] = (sum4[n,h] - mean5[n]) rstd5[n]
    np.subtract(a.sum4, a.mean5[:, None], out=a.xhat5)
    np.multiply(a.xhat5, a.rstd5[:, None], out=a.xhat5)

    # y5[n,h] = ln5_gain[h] xhat5[n,h] + ln5_shift[h]
    np.multiply(a.xhat5, p.ln5_gain, out=a.y5)
    np.add(a.y5, p.ln5_shift, out=a.y5)

    # z10[n,k] = Σ_h up5_W[h,k] y5[n,h] + up5_b[k]
    np.dot(p.up5_W.T, a.y5.T, out=a.z10)
    np.add(a.z10, p.up5_b[:, None], out=a.z10)

    # relu5[n,k] = max(0, z10[n,k])
    np.maximum(a.z10, a.ZERO, out=a.relu5)

    # z11[n,h] = Σ_k down5_W[k,h] relu5[n,k] + down5_b[h]
    np.dot(a.relu5_1.T, p.down5_W_b, out=a.z11)

    # sum5[n,h] = sum4[n,h] + z11[n,h]
    np.add(a.z11, a.sum4, out=a.sum5)

    # mean6[n] = Σ_h sum5[n,h]/H
    np.dot(a.sum5, a.MEAN_H, out=a.mean6)

    # var6[n] = Σ_h (sum5[n,h] - mean6[n])²/H
    np.subtract(a.sum5, a.mean6[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var6)

    # rstd6[n] = 1/√(var6[n] + 1e-05)
    np.add(a.var6, a.C_0_00001, out=a.rstd6)
    np.sqrt(a.rstd6, out=a.rstd6)
    np.divide(a.ONE, a.rstd6, out=a.rstd6)

    # xhat6[n,h] = (sum5[n,h] - mean6[n]) rstd6[n]
    np.subtract(a.sum5, a.mean6[:, None], out=a.xhat6)
    np.multiply(a.xhat6, a.rstd6[:, None], out=a.xhat6)

    # y6[n,h] = ln6_gain[h] xhat6[n,h] + ln6_shift[h]
    np.multiply(a.xhat6, p.ln6_gain, out=a.y6)
    np.add(a.y6, p.ln6_shift, out=a.y6)

    # z12[n,k] = Σ_h up6_W[h,k] y6[n,h] + up6_b[k]
    np.dot(p.up6_W.T, a.y6.T, out=a.z12)
    np.add(a.z12, p.up6_b[:, None], out=a.z12)

    # relu6[n,k] = max(0, z12[n,k])
    np.maximum(a.z12, a.ZERO, out=a.relu6)

    # z13[n,h] = Σ_k down6_W[k,h] relu6[n,k] + down6_b[h]
    np.dot(a.relu6_1.T, p.down6_W_b, out=a.z13)

    # sum6[n,h] = sum5[n,h] + z13[n,h]
    np.add(a.z13, a.sum5, out=a.sum6)

    # mean7[n] = Σ_h sum6[n,h]/H
    np.dot(a.sum6, a.MEAN_H, out=a.mean7)

    # var7[n] = Σ_h (sum6[n,h] - mean7[n])²/H
    np.subtract(a.sum6, a.mean7[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var7)

    # rstd7[n] = 1/√(var7[n] + 1e-05)
    np.add(a.var7, a.C_0_00001, out=a.rstd7)
    np.sqrt(a.rstd7, out=a.rstd7)
    np.divide(a.ONE, a.rstd7, out=a.rstd7)

    # xhat7[n,h] = (sum6[n,h] - mean7[n]) rstd7[n]
    np.subtract(a.sum6, a.mean7[:, None], out=a.xhat7)
    np.multiply(a.xhat7, a.rstd7[:, None], out=a.xhat7)

    # y7[n,h] = ln7_gain[h] xhat7[n,h] + ln7_shift[h]
    np.multiply(a.xhat7, p.ln7_gain, out=a.y7)
    np.add(a.y7, p.ln7_shift, out=a.y7)

    # z14[n,k] = Σ_h up7_W[h,k] y7[n,h] + up7_b[k]
    np.dot(p.up7_W.T, a.y7.T, out=a.z14)
    np.add(a.z14, p.up7_b[:, None], out=a.z14)

    # relu7[n,k] = max(0, z14[n,k])
    np.maximum(a.z14, a.ZERO, out=a.relu7)

    # z15[n,h] = Σ_k down7_W[k,h] relu7[n,k] + down7_b[h]
    np.dot(a.relu7_1.T, p.down7_W_b, out=a.z15)

    # sum7[n,h] = sum6[n,h] + z15[n,h]
    np.add(a.z15, a.sum6, out=a.sum7)

    # mean8[n] = Σ_h sum7[n,h]/H
    np.dot(a.sum7, a.MEAN_H, out=a.mean8)

    # var8[n] = Σ_h (sum7[n,h] - mean8[n])²/H
    np.subtract(a.sum7, a.mean8[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var8)

    # rstd8[n] = 1/√(var8[n] + 1e-05)
    np.add(a.var8, a.C_0_00001, out=a.rstd8)
    np.sqrt(a.rstd8, out=a.rstd8)
    np.divide(a.ONE, a.rstd8, out=a.rstd8)

    # xhat8[n,h] = (sum7[n,h] - mean8[n]) rstd8[n]
    np.subtract(a.sum7, a.mean8[:, None], out=a.xhat8)
    np.multiply(a.xhat8, a.rstd8[:, None], out=a.xhat8)

    # y8[n,h] = ln8_gain[h] xhat8[n,h] + ln8_shift[h]
    np.multiply(a.xhat8, p.ln8_gain, out=a.y8)
    np.add(a.y8, p.ln8_shift, out=a.y8)

    # z16[n,k] = Σ_h up8_W[h,k] y8[n,h] + up8_b[k]
    np.dot(p.up8_W.T, a.y8.T, out=a.z16)
    np.add(a.z16, p.up8_b[:, None], out=a.z16)

    # relu8[n,k] = max(0, z16[n,k])
    np.maximum(a.z16, a.ZERO, out=a.relu8)

    # z17[n,h] = Σ_k down8_W[k,h] relu8[n,k] + down8_b[h]
    np.dot(a.relu8_1.T, p.down8_W_b, out=a.z17)

    # sum8[n,h] = sum7[n,h] + z17[n,h]
    np.add(a.z17, a.sum7, out=a.sum8)

    # mean9[n] = Σ_h sum8[n,h]/H
    np.dot(a.sum8, a.MEAN_H, out=a.mean9)

    # var9[n] = Σ_h (sum8[n,h] - mean9[n])²/H
    np.subtract(a.sum8, a.mean9[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var9)

    # rstd9[n] = 1/√(var9[n] + 1e-05)
    np.add(a.var9, a.C_0_00001, out=a.rstd9)
    np.sqrt(a.rstd9, out=a.rstd9)
    np.divide(a.ONE, a.rstd9, out=a.rstd9)

    # xhat9[n,h] = (sum8[n,h] - mean9[n]) rstd9[n]
    np.subtract(a.sum8, a.mean9[:, None], out=a.xhat9)
    np.multiply(a.xhat9, a.rstd9[:, None], out=a.xhat9)

    # y9[n,h] = ln9_gain[h] xhat9[n,h] + ln9_shift[h]
    np.multiply(a.xhat9, p.ln9_gain, out=a.y9)
    np.add(a.y9, p.ln9_shift, out=a.y9)

    # z18[n,k] = Σ_h up9_W[h,k] y9[n,h] + up9_b[k]
    np.dot(p.up9_W.T, a.y9.T, out=a.z18)
    np.add(a.z18, p.up9_b[:, None], out=a.z18)

    # relu9[n,k] = max(0, z18[n,k])
    np.maximum(a.z18, a.ZERO, out=a.relu9)

    # z19[n,h] = Σ_k down9_W[k,h] relu9[n,k] + down9_b[h]
    np.dot(a.relu9_1.T, p.down9_W_b, out=a.z19)

    # sum9[n,h] = sum8[n,h] + z19[n,h]
    np.add(a.z19, a.sum8, out=a.sum9)

    # mean10[n] = Σ_h sum9[n,h]/H
    np.dot(a.sum9, a.MEAN_H, out=a.mean10)

    # var10[n] = Σ_h (sum9[n,h] - mean10[n])²/H
    np.subtract(a.sum9, a.mean10[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var10)

    # rstd10[n] = 1/√(var10[n] + 1e-05)
    np.add(a.var10, a.C_0_00001, out=a.rstd10)
    np.sqrt(a.rstd10, out=a.rstd10)
    np.divide(a.ONE, a.rstd10, out=a.rstd10)

    # xhat10[n,h] = (sum9[n,h] - mean10[n]) rstd10[n]
    np.subtract(a.sum9, a.mean10[:, None], out=a.xhat10)
    np.multiply(a.xhat10, a.rstd10[:, None], out=a.xhat10)

    # y10[n,h] = ln10_gain[h] xhat10[n,h] + ln10_shift[h]
    np.multiply(a.xhat10, p.ln10_gain, out=a.y10)
    np.add(a.y10, p.ln10_shift, out=a.y10)

    # z20[n,k] = Σ_h up10_W[h,k] y10[n,h] + up10_b[k]
    np.dot(p.up10_W.T, a.y10.T, out=a.z20)
    np.add(a.z20, p.up10_b[:, None], out=a.z20)

    # relu10[n,k] = max(0, z20[n,k])
    np.maximum(a.z20, a.ZERO, out=a.relu10)

    # z21[n,h] = Σ_k down10_W[k,h] relu10[n,k] + down10_b[h]
    np.dot(a.relu10_1.T, p.down10_W_b, out=a.z21)

    # sum10[n,h] = sum9[n,h] + z21[n,h]
    np.add(a.z21, a.sum9, out=a.sum10)

    # mean11[n] = Σ_h sum10[n,h]/H
    np.dot(a.sum10, a.MEAN_H, out=a.mean11)

    # var11[n] = Σ_h (sum10[n,h] - mean11[n])²/H
    np.subtract(a.sum10, a.mean11[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var11)

    # rstd11[n] = 1/√(var11[n] + 1e-05)
    np.add(a.var11, a.C_0_00001, out=a.rstd11)
    np.sqrt(a.rstd11, out=a.rstd11)
    np.divide(a.ONE, a.rstd11, out=a.rstd11)

    # xhat11[n,h] = (sum10[n,h] - mean11[n]) rstd11[n]
    np.subtract(a.sum10, a.mean11[:, None], out=a.xhat11)
    np.multiply(a.xhat11, a.rstd11[:, None], out=a.xhat11)

    # y11[n,h] = ln11_gain[h] xhat11[n,h] + ln11_shift[h]
    np.multiply(a.xhat11, p.ln11_gain, out=a.y11)
    np.add(a.y11, p.ln11_shift, out=a.y11)

    # z22[n,k] = Σ_h up11_W[h,k] y11[n,h] + up11_b[k]
    np.dot(p.up11_W.T, a.y11.T, out=a.z22)
    np.add(a.z22, p.up11_b[:, None], out=a.z22)

    # relu11[n,k] = max(0, z22[n,k])
    np.maximum(a.z22, a.ZERO, out=a.relu11)

    # z23[n,h] = Σ_k down11_W[k,h] relu11[n,k] + down11_b[h]
    np.dot(a.relu11_1.T, p.down11_W_b, out=a.z23)

    # sum11[n,h] = sum10[n,h] + z23[n,h]
    np.add(a.z23, a.sum10, out=a.sum11)

    # mean12[n] = Σ_h sum11[n,h]/H
    np.dot(a.sum11, a.MEAN_H, out=a.mean12)

    # var12[n] = Σ_h (sum11[n,h] - mean12[n])²/H
    np.subtract(a.sum11, a.mean12[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var12)

    # rstd12[n] = 1/√(var12[n] + 1e-05)
    np.add(a.var12, a.C_0_00001, out=a.rstd12)
    np.sqrt(a.rstd12, out=a.rstd12)
    np.divide(a.ONE, a.rstd12, out=a.rstd12)

    # xhat12[n,h] = (sum11[n,h] - mean12[n]) rstd12[n]
    np.subtract(a.sum11, a.mean12[:, None], out=a.xhat12)
    np.multiply(a.xhat12, a.rstd12[:, None], out=a.xhat12)

    # y12[n,h] = ln12_gain[h] xhat12[n,h] + ln12_shift[h]
    np.multiply(a.xhat12, p.ln12_gain, out=a.y12)
    np.add(a.y12, p.ln12_shift, out=a.y12)

    # z24[n,k] = Σ_h up12_W[h,k] y12[n,h] + up12_b[k]
    np.dot(p.up12_W.T, a.y12.T, out=a.z24)
    np.add(a.z24, p.up12_b[:, None], out=a.z24)

    # relu12[n,k] = max(0, z24[n,k])
    np.maximum(a.z24, a.ZERO, out=a.relu12)

    # z25[n,h] = Σ_k down12_W[k,h] relu12[n,k] + down12_b[h]
    np.dot(a.relu12_1.T, p.down12_W_b, out=a.z25)

    # sum12[n,h] = sum11[n,h] + z25[n,h]
    np.add(a.z25, a.sum11, out=a.sum12)

    # mean13[n] = Σ_h sum12[n,h]/H
    np.dot(a.sum12, a.MEAN_H, out=a.mean13)

    # var13[n] = Σ_h (sum12[n,h] - mean13[n])²/H
    np.subtract(a.sum12, a.mean13[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var13)

    # rstd13[n] = 1/√(var13[n] + 1e-05)
    np.add(a.var13, a.C_0_00001, out=a.rstd13)
    np.sqrt(a.rstd13, out=a.rstd13)
    np.divide(a.ONE, a.rstd13, out=a.rstd13)

    # xhat13[n,h] = (sum12[n,h] - mean13[n]) rstd13[n]
    np.subtract(a.sum12, a.mean13[:, None], out=a.xhat13)
    np.multiply(a.xhat13, a.rstd13[:, None], out=a.xhat13)

    # y13[n,h] = ln13_gain[h] xhat13[n,h] + ln13_shift[h]
    np.multiply(a.xhat13, p.ln13_gain, out=a.y13)
    np.add(a.y13, p.ln13_shift, out=a.y13)

    # z26[n,k] = Σ_h up13_W[h,k] y13[n,h] + up13_b[k]
    np.dot(p.up13_W.T, a.y13.T, out=a.z26)
    np.add(a.z26, p.up13_b[:, None], out=a.z26)

    # relu13[n,k] = max(0, z26[n,k])
    np.maximum(a.z26, a.ZERO, out=a.relu13)

    # z27[n,h] = Σ_k down13_W[k,h] relu13[n,k] + down13_b[h]
    np.dot(a.relu13_1.T, p.down13_W_b, out=a.z27)

    # sum13[n,h] = sum12[n,h] + z27[n,h]
    np.add(a.z27, a.sum12, out=a.sum13)

    # mean14[n] = Σ_h sum13[n,h]/H
    np.dot(a.sum13, a.MEAN_H, out=a.mean14)

    # var14[n] = Σ_h (sum13[n,h] - mean14[n])²/H
    np.subtract(a.sum13, a.mean14[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var14)

    # rstd14[n] = 1/√(var14[n] + 1e-05)
    np.add(a.var14, a.C_0_00001, out=a.rstd14)
    np.sqrt(a.rstd14, out=a.rstd14)
    np.divide(a.ONE, a.rstd14, out=a.rstd14)

    # xhat14[n,h] = (sum13[n,h] - mean14[n]) rstd14[n]
    np.subtract(a.sum13, a.mean14[:, None], out=a.xhat14)
    np.multiply(a.xhat14, a.rstd14[:, None], out=a.xhat14)

    # y14[n,h] = ln14_gain[h] xhat14[n,h] + ln14_shift[h]
    np.multiply(a.xhat14, p.ln14_gain, out=a.y14)
    np.add(a.y14, p.ln14_shift, out=a.y14)

    # z28[n,k] = Σ_h up14_W[h,k] y14[n,h] + up14_b[k]
    np.dot(p.up14_W.T, a.y14.T, out=a.z28)
    np.add(a.z28, p.up14_b[:, None], out=a.z28)

    # relu14[n,k] = max(0, z28[n,k])
    np.maximum(a.z28, a.ZERO, out=a.relu14)

    # z29[n,h] = Σ_k down14_W[k,h] relu14[n,k] + down14_b[h]
    np.dot(a.relu14_1.T, p.down14_W_b, out=a.z29)

    # sum14[n,h] = sum13[n,h] + z29[n,h]
    np.add(a.z29, a.sum13, out=a.sum14)

    # mean15[n] = Σ_h sum14[n,h]/H
    np.dot(a.sum14, a.MEAN_H, out=a.mean15)

    # var15[n] = Σ_h (sum14[n,h] - mean15[n])²/H
    np.subtract(a.sum14, a.mean15[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var15)

    # rstd15[n] = 1/√(var15[n] + 1e-05)
    np.add(a.var15, a.C_0_00001, out=a.rstd15)
    np.sqrt(a.rstd15, out=a.rstd15)
    np.divide(a.ONE, a.rstd15, out=a.rstd15)

    # xhat15[n,h] = (sum14[n,h] - mean15[n]) rstd15[n]
    np.subtract(a.sum14, a.mean15[:, None], out=a.xhat15)
    np.multiply(a.xhat15, a.rstd15[:, None], out=a.xhat15)

    # y15[n,h] = ln15_gain[h] xhat15[n,h] + ln15_shift[h]
    np.multiply(a.xhat15, p.ln15_gain, out=a.y15)
    np.add(a.y15, p.ln15_shift, out=a.y15)

    # z30[n,k] = Σ_h up15_W[h,k] y15[n,h] + up15_b[k]
    np.dot(p.up15_W.T, a.y15.T, out=a.z30)
    np.add(a.z30, p.up15_b[:, None], out=a.z30)

    # relu15[n,k] = max(0, z30[n,k])
    np.maximum(a.z30, a.ZERO, out=a.relu15)

    # z31[n,h] = Σ_k down15_W[k,h] relu15[n,k] + down15_b[h]
    np.dot(a.relu15_1.T, p.down15_W_b, out=a.z31)

    # sum15[n,h] = sum14[n,h] + z31[n,h]
    np.add(a.z31, a.sum14, out=a.sum15)

    # mean16[n] = Σ_h sum15[n,h]/H
    np.dot(a.sum15, a.MEAN_H, out=a.mean16)

    # var16[n] = Σ_h (sum15[n,h] - mean16[n])²/H
    np.subtract(a.sum15, a.mean16[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var16)

    # rstd16[n] = 1/√(var16[n] + 1e-05)
    np.add(a.var16, a.C_0_00001, out=a.rstd16)
    np.sqrt(a.rstd16, out=a.rstd16)
    np.divide(a.ONE, a.rstd16, out=a.rstd16)

    # xhat16[n,h] = (sum15[n,h] - mean16[n]) rstd16[n]
    np.subtract(a.sum15, a.mean16[:, None], out=a.xhat16)
    np.multiply(a.xhat16, a.rstd16[:, None], out=a.xhat16)

    # y16[n,h] = ln16_gain[h] xhat16[n,h] + ln16_shift[h]
    np.multiply(a.xhat16, p.ln16_gain, out=a.y16)
    np.add(a.y16, p.ln16_shift, out=a.y16)

    # z32[n,k] = Σ_h up16_W[h,k] y16[n,h] + up16_b[k]
    np.dot(p.up16_W.T, a.y16.T, out=a.z32)
    np.add(a.z32, p.up16_b[:, None], out=a.z32)

    # relu16[n,k] = max(0, z32[n,k])
    np.maximum(a.z32, a.ZERO, out=a.relu16)

    # z33[n,h] = Σ_k down16_W[k,h] relu16[n,k] + down16_b[h]
    np.dot(a.relu16_1.T, p.down16_W_b, out=a.z33)

    # sum16[n,h] = sum15[n,h] + z33[n,h]
    np.add(a.z33, a.sum15, out=a.sum16)

    # mean17[n] = Σ_h sum16[n,h]/H
    np.dot(a.sum16, a.MEAN_H, out=a.mean17)

    # var17[n] = Σ_h (sum16[n,h] - mean17[n])²/H
    np.subtract(a.sum16, a.mean17[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var17)

    # rstd17[n] = 1/√(var17[n] + 1e-05)
    np.add(a.var17, a.C_0_00001, out=a.rstd17)
    np.sqrt(a.rstd17, out=a.rstd17)
    np.divide(a.ONE, a.rstd17, out=a.rstd17)

    # xhat17[n,h] = (sum16[n,h] - mean17[n]) rstd17[n]
    np.subtract(a.sum16, a.mean17[:, None], out=a.xhat17)
    np.multiply(a.xhat17, a.rstd17[:, None], out=a.xhat17)

    # y17[n,h] = ln17_gain[h] xhat17[n,h] + ln17_shift[h]
    np.multiply(a.xhat17, p.ln17_gain, out=a.y17)
    np.add(a.y17, p.ln17_shift, out=a.y17)

    # z34[n,k] = Σ_h up17_W[h,k] y17[n,h] + up17_b[k]
    np.dot(p.up17_W.T, a.y17.T, out=a.z34)
    np.add(a.z34, p.up17_b[:, None], out=a.z34)

    # relu17[n,k] = max(0, z34[n,k])
    np.maximum(a.z34, a.ZERO, out=a.relu17)

    # z35[n,h] = Σ_k down17_W[k,h] relu17[n,k] + down17_b[h]
    np.dot(a.relu17_1.T, p.down17_W_b, out=a.z35)

    # sum17[n,h] = sum16[n,h] + z35[n,h]
    np.add(a.z35, a.sum16, out=a.sum17)

    # mean18[n] = Σ_h sum17[n,h]/H
    np.dot(a.sum17, a.MEAN_H, out=a.mean18)

    # var18[n] = Σ_h (sum17[n,h] - mean18[n])²/H
    np.subtract(a.sum17, a.mean18[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var18)

    # rstd18[n] = 1/√(var18[n] + 1e-05)
    np.add(a.var18, a.C_0_00001, out=a.rstd18)
    np.sqrt(a.rstd18, out=a.rstd18)
    np.divide(a.ONE, a.rstd18, out=a.rstd18)

    # xhat18[n,h] = (sum17[n,h] - mean18[n]) rstd18[n]
    np.subtract(a.sum17, a.mean18[:, None], out=a.xhat18)
    np.multiply(a.xhat18, a.rstd18[:, None], out=a.xhat18)

    # y18[n,h] = ln18_gain[h] xhat18[n,h] + ln18_shift[h]
    np.multiply(a.xhat18, p.ln18_gain, out=a.y18)
    np.add(a.y18, p.ln18_shift, out=a.y18)

    # z36[n,k] = Σ_h up18_W[h,k] y18[n,h] + up18_b[k]
    np.dot(p.up18_W.T, a.y18.T, out=a.z36)
    np.add(a.z36, p.up18_b[:, None], out=a.z36)

    # relu18[n,k] = max(0, z36[n,k])
    np.maximum(a.z36, a.ZERO, out=a.relu18)

    # z37[n,h] = Σ_k down18_W[k,h] relu18[n,k] + down18_b[h]
    np.dot(a.relu18_1.T, p.down18_W_b, out=a.z37)

    # sum18[n,h] = sum17[n,h] + z37[n,h]
    np.add(a.z37, a.sum17, out=a.sum18)

    # mean19[n] = Σ_h sum18[n,h]/H
    np.dot(a.sum18, a.MEAN_H, out=a.mean19)

    # var19[n] = Σ_h (sum18[n,h] - mean19[n])²/H
    np.subtract(a.sum18, a.mean19[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var19)

    # rstd19[n] = 1/√(var19[n] + 1e-05)
    np.add(a.var19, a.C_0_00001, out=a.rstd19)
    np.sqrt(a.rstd19, out=a.rstd19)
    np.divide(a.ONE, a.rstd19, out=a.rstd19)

    # xhat19[n,h] = (sum18[n,h] - mean19[n]) rstd19[n]
    np.subtract(a.sum18, a.mean19[:, None], out=a.xhat19)
    np.multiply(a.xhat19, a.rstd19[:, None], out=a.xhat19)

    # y19[n,h] = ln19_gain[h] xhat19[n,h] + ln19_shift[h]
    np.multiply(a.xhat19, p.ln19_gain, out=a.y19)
    np.add(a.y19, p.ln19_shift, out=a.y19)

    # z38[n,k] = Σ_h up19_W[h,k] y19[n,h] + up19_b[k]
    np.dot(p.up19_W.T, a.y19.T, out=a.z38)
    np.add(a.z38, p.up19_b[:, None], out=a.z38)

    # relu19[n,k] = max(0, z38[n,k])
    np.maximum(a.z38, a.ZERO, out=a.relu19)

    # z39[n,h] = Σ_k down19_W[k,h] relu19[n,k] + down19_b[h]
    np.dot(a.relu19_1.T, p.down19_W_b, out=a.z39)

    # sum19[n,h] = sum18[n,h] + z39[n,h]
    np.add(a.z39, a.sum18, out=a.sum19)

    # mean20[n] = Σ_h sum19[n,h]/H
    np.dot(a.sum19, a.MEAN_H, out=a.mean20)

    # var20[n] = Σ_h (sum19[n,h] - mean20[n])²/H
    np.subtract(a.sum19, a.mean20[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var20)

    # rstd20[n] = 1/√(var20[n] + 1e-05)
    np.add(a.var20, a.C_0_00001, out=a.rstd20)
    np.sqrt(a.rstd20, out=a.rstd20)
    np.divide(a.ONE, a.rstd20, out=a.rstd20)

    # xhat20[n,h] = (sum19[n,h] - mean20[n]) rstd20[n]
    np.subtract(a.sum19, a.mean20[:, None], out=a.xhat20)
    np.multiply(a.xhat20, a.rstd20[:, None], out=a.xhat20)

    # y20[n,h] = ln20_gain[h] xhat20[n,h] + ln20_shift[h]
    np.multiply(a.xhat20, p.ln20_gain, out=a.y20)
    np.add(a.y20, p.ln20_shift, out=a.y20)

    # a[n,k] = Σ_h up20_W[h,k] y20[n,h] + up20_b[k]
    np.dot(p.up20_W.T, a.y20.T, out=a.a)
    np.add(a.a, p.up20_b[:, None], out=a.a)

    # relu20[n,k] = max(0, a[n,k])
    np.maximum(a.a, a.ZERO, out=a.relu20)

    # z40[n,h] = Σ_k down20_W[k,h] relu20[n,k] + down20_b[h]
    np.dot(a.relu20_1.T, p.down20_W_b, out=a.z40)

    # h[n,h] = sum19[n,h] + z40[n,h]
    np.add(a.z40, a.sum19, out=a.h)

    # mean21[n] = Σ_h h[n,h]/H
    np.dot(a.h, a.MEAN_H, out=a.mean21)

    # var21[n] = Σ_h (h[n,h] - mean21[n])²/H
    np.subtract(a.h, a.mean21[:, None], out=a.u_nh)
    np.multiply(a.u_nh, a.u_nh, out=a.u_nh)
    np.dot(a.u_nh, a.MEAN_H, out=a.var21)

    # rstd21[n] = 1/√(var21[n] + 1e-05)
    np.add(a.var21, a.C_0_00001, out=a.rstd21)
    np.sqrt(a.rstd21, out=a.rstd21)
    np.divide(a.ONE, a.rstd21, out=a.rstd21)

    # xhat21[n,h] = (h[n,h] - mean21[n]) rstd21[n]
    np.subtract(a.h, a.mean21[:, None], out=a.xhat21)
    np.multiply(a.xhat21, a.rstd21[:, None], out=a.xhat21)

    # y21[n,h] = ln_gain[h] xhat21[n,h] + ln_shift[h]
    np.multiply(a.xhat21, p.ln_gain, out=a.y21)
    np.add(a.y21, p.ln_shift, out=a.y21)

    # logits[n,j] = Σ_h head_W[h,j] y21[n,h] + head_b[j]
    np.dot(p.head_W.T, a.y21.T, out=a.logits)
    np.add(a.logits, p.head_b[:, None], out=a.logits)


def add_loss(a: Activations, digit: np.ndarray) -> None:
    """Go on from the outputs to the loss."""
    # m[n] = max_j logits[n,j]
    np.maximum.reduce(a.logits, axis=0, out=a.m)

    # e[n,j] = exp(logits[n,j] - m[n])
    np.subtract(a.logits, a.m, out=a.e)
    np.exp(a.e, out=a.e)

    # s[n] = Σ_j e[n,j]
    np.dot(a.ONES_J, a.e, out=a.s)

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
    # p[n,j] = e[n,j]/s[n]
    np.divide(a.e, a.s, out=a.p)

    # ∂L/∂logits[n,j] = (p[n,j] - δ(j,digit[n]))/N
    a.ONE_HOT_J.take(digit, axis=1, out=a.d_logits, mode="clip")
    np.subtract(a.p, a.d_logits, out=a.d_logits)
    np.multiply(a.d_logits, a.C_1_OVER_BATCH, out=a.d_logits)

    # ∂L/∂head_W[h,j] = Σ_n y21[n,h] ∂L/∂logits[n,j]
    np.dot(a.y21.T, a.d_logits.T, out=g.head_W)

    # ∂L/∂head_b[j] = Σ_n ∂L/∂logits[n,j]
    np.dot(a.d_logits, a.ONES_N, out=g.head_b)

    # ∂L/∂y21[n,h] = Σ_j head_W[h,j] ∂L/∂logits[n,j]
    np.dot(a.d_logits.T, p.head_W.T, out=a.d_y21)

    # ∂L/∂ln_gain[h] = Σ_n xhat21[n,h] ∂L/∂y21[n,h]
    np.einsum("nh,nh->h", a.d_y21, a.xhat21, out=g.ln_gain)

    # ∂L/∂ln_shift[h] = Σ_n ∂L/∂y21[n,h]
    np.dot(a.ONES_N, a.d_y21, out=g.ln_shift)

    # ∂L/∂xhat21[n,h] = ln_gain[h] ∂L/∂y21[n,h]
    np.multiply(a.d_y21, p.ln_gain, out=a.d_xhat21)

    # xhat21_dot_d_xhat21[n] = Σ_h xhat21[n,h] ∂L/∂xhat21[n,h]
    np.vecdot(a.d_xhat21, a.xhat21, out=a.xhat21_dot_d_xhat21)

    # sum_d_xhat21[n] = Σ_h ∂L/∂xhat21[n,h]
    np.dot(a.d_xhat21, a.ONES_H, out=a.sum_d_xhat21)

    # ∂L/∂h[n,h] = rstd21[n] (∂L/∂xhat21[n,h] - xhat21[n,h] xhat21_dot_d_xhat21[n]/H -
    #     sum_d_xhat21[n]/H)
    np.multiply(a.xhat21_dot_d_xhat21, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat21, a.u_n[:, None], out=a.d_h)
    np.subtract(a.d_xhat21, a.d_h, out=a.d_h)
    np.multiply(a.sum_d_xhat21, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_h, a.u_n[:, None], out=a.d_h)
    np.multiply(a.d_h, a.rstd21[:, None], out=a.d_h)

    # ∂L/∂down20_W[k,h] = Σ_n relu20[n,k] ∂L/∂h[n,h],
    # ∂L/∂down20_b[h] = Σ_n ∂L/∂h[n,h]
    np.dot(a.relu20_1, a.d_h, out=g.down20_W_b)

    # ∂L/∂relu20[n,k] = Σ_h down20_W[k,h] ∂L/∂h[n,h]
    np.dot(p.down20_W, a.d_h.T, out=a.d_relu20)

    # ∂L/∂a[n,k] = [a[n,k] > 0] ∂L/∂relu20[n,k]
    np.greater(a.a, a.ZERO, out=a.d_a)
    np.multiply(a.d_a, a.d_relu20, out=a.d_a)

    # ∂L/∂up20_W[h,k] = Σ_n y20[n,h] ∂L/∂a[n,k]
    np.dot(a.y20.T, a.d_a.T, out=g.up20_W)

    # ∂L/∂up20_b[k] = Σ_n ∂L/∂a[n,k]
    np.dot(a.d_a, a.ONES_N, out=g.up20_b)

    # ∂L/∂y20[n,h] = Σ_k up20_W[h,k] ∂L/∂a[n,k]
    np.dot(a.d_a.T, p.up20_W.T, out=a.d_y20)

    # ∂L/∂ln20_gain[h] = Σ_n xhat20[n,h] ∂L/∂y20[n,h]
    np.einsum("nh,nh->h", a.d_y20, a.xhat20, out=g.ln20_gain)

    # ∂L/∂ln20_shift[h] = Σ_n ∂L/∂y20[n,h]
    np.dot(a.ONES_N, a.d_y20, out=g.ln20_shift)

    # ∂L/∂xhat20[n,h] = ln20_gain[h] ∂L/∂y20[n,h]
    np.multiply(a.d_y20, p.ln20_gain, out=a.d_xhat20)

    # xhat20_dot_d_xhat20[n] = Σ_h xhat20[n,h] ∂L/∂xhat20[n,h]
    np.vecdot(a.d_xhat20, a.xhat20, out=a.xhat20_dot_d_xhat20)

    # sum_d_xhat20[n] = Σ_h ∂L/∂xhat20[n,h]
    np.dot(a.d_xhat20, a.ONES_H, out=a.sum_d_xhat20)

    # ∂L/∂sum19[n,h] = rstd20[n] ∂L/∂xhat20[n,h] + ∂L/∂h[n,h] - rstd20[n] sum_d_xhat20[n]/H -
    #     rstd20[n] xhat20[n,h] xhat20_dot_d_xhat20[n]/H
    np.multiply(a.xhat20_dot_d_xhat20, a.rstd20, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat20, a.u_n[:, None], out=a.d_sum19)
    np.multiply(a.d_xhat20, a.rstd20[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum19, out=a.d_sum19)
    np.add(a.d_sum19, a.d_h, out=a.d_sum19)
    np.multiply(a.sum_d_xhat20, a.rstd20, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum19, a.u_n[:, None], out=a.d_sum19)

    # ∂L/∂down19_W[k,h] = Σ_n relu19[n,k] ∂L/∂sum19[n,h],
    # ∂L/∂down19_b[h] = Σ_n ∂L/∂sum19[n,h]
    np.dot(a.relu19_1, a.d_sum19, out=g.down19_W_b)

    # ∂L/∂relu19[n,k] = Σ_h down19_W[k,h] ∂L/∂sum19[n,h]
    np.dot(p.down19_W, a.d_sum19.T, out=a.d_relu19)

    # ∂L/∂z38[n,k] = [z38[n,k] > 0] ∂L/∂relu19[n,k]
    np.greater(a.z38, a.ZERO, out=a.d_z38)
    np.multiply(a.d_z38, a.d_relu19, out=a.d_z38)

    # ∂L/∂up19_W[h,k] = Σ_n y19[n,h] ∂L/∂z38[n,k]
    np.dot(a.y19.T, a.d_z38.T, out=g.up19_W)

    # ∂L/∂up19_b[k] = Σ_n ∂L/∂z38[n,k]
    np.dot(a.d_z38, a.ONES_N, out=g.up19_b)

    # ∂L/∂y19[n,h] = Σ_k up19_W[h,k] ∂L/∂z38[n,k]
    np.dot(a.d_z38.T, p.up19_W.T, out=a.d_y19)

    # ∂L/∂ln19_gain[h] = Σ_n xhat19[n,h] ∂L/∂y19[n,h]
    np.einsum("nh,nh->h", a.d_y19, a.xhat19, out=g.ln19_gain)

    # ∂L/∂ln19_shift[h] = Σ_n ∂L/∂y19[n,h]
    np.dot(a.ONES_N, a.d_y19, out=g.ln19_shift)

    # ∂L/∂xhat19[n,h] = ln19_gain[h] ∂L/∂y19[n,h]
    np.multiply(a.d_y19, p.ln19_gain, out=a.d_xhat19)

    # xhat19_dot_d_xhat19[n] = Σ_h xhat19[n,h] ∂L/∂xhat19[n,h]
    np.vecdot(a.d_xhat19, a.xhat19, out=a.xhat19_dot_d_xhat19)

    # sum_d_xhat19[n] = Σ_h ∂L/∂xhat19[n,h]
    np.dot(a.d_xhat19, a.ONES_H, out=a.sum_d_xhat19)

    # ∂L/∂sum18[n,h] = rstd19[n] ∂L/∂xhat19[n,h] + ∂L/∂sum19[n,h] - rstd19[n] sum_d_xhat19[n]/H -
    #     rstd19[n] xhat19[n,h] xhat19_dot_d_xhat19[n]/H
    np.multiply(a.xhat19_dot_d_xhat19, a.rstd19, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat19, a.u_n[:, None], out=a.d_sum18)
    np.multiply(a.d_xhat19, a.rstd19[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum18, out=a.d_sum18)
    np.add(a.d_sum18, a.d_sum19, out=a.d_sum18)
    np.multiply(a.sum_d_xhat19, a.rstd19, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum18, a.u_n[:, None], out=a.d_sum18)

    # ∂L/∂down18_W[k,h] = Σ_n relu18[n,k] ∂L/∂sum18[n,h],
    # ∂L/∂down18_b[h] = Σ_n ∂L/∂sum18[n,h]
    np.dot(a.relu18_1, a.d_sum18, out=g.down18_W_b)

    # ∂L/∂relu18[n,k] = Σ_h down18_W[k,h] ∂L/∂sum18[n,h]
    np.dot(p.down18_W, a.d_sum18.T, out=a.d_relu18)

    # ∂L/∂z36[n,k] = [z36[n,k] > 0] ∂L/∂relu18[n,k]
    np.greater(a.z36, a.ZERO, out=a.d_z36)
    np.multiply(a.d_z36, a.d_relu18, out=a.d_z36)

    # ∂L/∂up18_W[h,k] = Σ_n y18[n,h] ∂L/∂z36[n,k]
    np.dot(a.y18.T, a.d_z36.T, out=g.up18_W)

    # ∂L/∂up18_b[k] = Σ_n ∂L/∂z36[n,k]
    np.dot(a.d_z36, a.ONES_N, out=g.up18_b)

    # ∂L/∂y18[n,h] = Σ_k up18_W[h,k] ∂L/∂z36[n,k]
    np.dot(a.d_z36.T, p.up18_W.T, out=a.d_y18)

    # ∂L/∂ln18_gain[h] = Σ_n xhat18[n,h] ∂L/∂y18[n,h]
    np.einsum("nh,nh->h", a.d_y18, a.xhat18, out=g.ln18_gain)

    # ∂L/∂ln18_shift[h] = Σ_n ∂L/∂y18[n,h]
    np.dot(a.ONES_N, a.d_y18, out=g.ln18_shift)

    # ∂L/∂xhat18[n,h] = ln18_gain[h] ∂L/∂y18[n,h]
    np.multiply(a.d_y18, p.ln18_gain, out=a.d_xhat18)

    # xhat18_dot_d_xhat18[n] = Σ_h xhat18[n,h] ∂L/∂xhat18[n,h]
    np.vecdot(a.d_xhat18, a.xhat18, out=a.xhat18_dot_d_xhat18)

    # sum_d_xhat18[n] = Σ_h ∂L/∂xhat18[n,h]
    np.dot(a.d_xhat18, a.ONES_H, out=a.sum_d_xhat18)

    # ∂L/∂sum17[n,h] = rstd18[n] ∂L/∂xhat18[n,h] + ∂L/∂sum18[n,h] - rstd18[n] sum_d_xhat18[n]/H -
    #     rstd18[n] xhat18[n,h] xhat18_dot_d_xhat18[n]/H
    np.multiply(a.xhat18_dot_d_xhat18, a.rstd18, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat18, a.u_n[:, None], out=a.d_sum17)
    np.multiply(a.d_xhat18, a.rstd18[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum17, out=a.d_sum17)
    np.add(a.d_sum17, a.d_sum18, out=a.d_sum17)
    np.multiply(a.sum_d_xhat18, a.rstd18, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum17, a.u_n[:, None], out=a.d_sum17)

    # ∂L/∂down17_W[k,h] = Σ_n relu17[n,k] ∂L/∂sum17[n,h],
    # ∂L/∂down17_b[h] = Σ_n ∂L/∂sum17[n,h]
    np.dot(a.relu17_1, a.d_sum17, out=g.down17_W_b)

    # ∂L/∂relu17[n,k] = Σ_h down17_W[k,h] ∂L/∂sum17[n,h]
    np.dot(p.down17_W, a.d_sum17.T, out=a.d_relu17)

    # ∂L/∂z34[n,k] = [z34[n,k] > 0] ∂L/∂relu17[n,k]
    np.greater(a.z34, a.ZERO, out=a.d_z34)
    np.multiply(a.d_z34, a.d_relu17, out=a.d_z34)

    # ∂L/∂up17_W[h,k] = Σ_n y17[n,h] ∂L/∂z34[n,k]
    np.dot(a.y17.T, a.d_z34.T, out=g.up17_W)

    # ∂L/∂up17_b[k] = Σ_n ∂L/∂z34[n,k]
    np.dot(a.d_z34, a.ONES_N, out=g.up17_b)

    # ∂L/∂y17[n,h] = Σ_k up17_W[h,k] ∂L/∂z34[n,k]
    np.dot(a.d_z34.T, p.up17_W.T, out=a.d_y17)

    # ∂L/∂ln17_gain[h] = Σ_n xhat17[n,h] ∂L/∂y17[n,h]
    np.einsum("nh,nh->h", a.d_y17, a.xhat17, out=g.ln17_gain)

    # ∂L/∂ln17_shift[h] = Σ_n ∂L/∂y17[n,h]
    np.dot(a.ONES_N, a.d_y17, out=g.ln17_shift)

    # ∂L/∂xhat17[n,h] = ln17_gain[h] ∂L/∂y17[n,h]
    np.multiply(a.d_y17, p.ln17_gain, out=a.d_xhat17)

    # xhat17_dot_d_xhat17[n] = Σ_h xhat17[n,h] ∂L/∂xhat17[n,h]
    np.vecdot(a.d_xhat17, a.xhat17, out=a.xhat17_dot_d_xhat17)

    # sum_d_xhat17[n] = Σ_h ∂L/∂xhat17[n,h]
    np.dot(a.d_xhat17, a.ONES_H, out=a.sum_d_xhat17)

    # ∂L/∂sum16[n,h] = rstd17[n] ∂L/∂xhat17[n,h] + ∂L/∂sum17[n,h] - rstd17[n] sum_d_xhat17[n]/H -
    #     rstd17[n] xhat17[n,h] xhat17_dot_d_xhat17[n]/H
    np.multiply(a.xhat17_dot_d_xhat17, a.rstd17, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat17, a.u_n[:, None], out=a.d_sum16)
    np.multiply(a.d_xhat17, a.rstd17[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum16, out=a.d_sum16)
    np.add(a.d_sum16, a.d_sum17, out=a.d_sum16)
    np.multiply(a.sum_d_xhat17, a.rstd17, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum16, a.u_n[:, None], out=a.d_sum16)

    # ∂L/∂down16_W[k,h] = Σ_n relu16[n,k] ∂L/∂sum16[n,h],
    # ∂L/∂down16_b[h] = Σ_n ∂L/∂sum16[n,h]
    np.dot(a.relu16_1, a.d_sum16, out=g.down16_W_b)

    # ∂L/∂relu16[n,k] = Σ_h down16_W[k,h] ∂L/∂sum16[n,h]
    np.dot(p.down16_W, a.d_sum16.T, out=a.d_relu16)

    # ∂L/∂z32[n,k] = [z32[n,k] > 0] ∂L/∂relu16[n,k]
    np.greater(a.z32, a.ZERO, out=a.d_z32)
    np.multiply(a.d_z32, a.d_relu16, out=a.d_z32)

    # ∂L/∂up16_W[h,k] = Σ_n y16[n,h] ∂L/∂z32[n,k]
    np.dot(a.y16.T, a.d_z32.T, out=g.up16_W)

    # ∂L/∂up16_b[k] = Σ_n ∂L/∂z32[n,k]
    np.dot(a.d_z32, a.ONES_N, out=g.up16_b)

    # ∂L/∂y16[n,h] = Σ_k up16_W[h,k] ∂L/∂z32[n,k]
    np.dot(a.d_z32.T, p.up16_W.T, out=a.d_y16)

    # ∂L/∂ln16_gain[h] = Σ_n xhat16[n,h] ∂L/∂y16[n,h]
    np.einsum("nh,nh->h", a.d_y16, a.xhat16, out=g.ln16_gain)

    # ∂L/∂ln16_shift[h] = Σ_n ∂L/∂y16[n,h]
    np.dot(a.ONES_N, a.d_y16, out=g.ln16_shift)

    # ∂L/∂xhat16[n,h] = ln16_gain[h] ∂L/∂y16[n,h]
    np.multiply(a.d_y16, p.ln16_gain, out=a.d_xhat16)

    # xhat16_dot_d_xhat16[n] = Σ_h xhat16[n,h] ∂L/∂xhat16[n,h]
    np.vecdot(a.d_xhat16, a.xhat16, out=a.xhat16_dot_d_xhat16)

    # sum_d_xhat16[n] = Σ_h ∂L/∂xhat16[n,h]
    np.dot(a.d_xhat16, a.ONES_H, out=a.sum_d_xhat16)

    # ∂L/∂sum15[n,h] = rstd16[n] ∂L/∂xhat16[n,h] + ∂L/∂sum16[n,h] - rstd16[n] sum_d_xhat16[n]/H -
    #     rstd16[n] xhat16[n,h] xhat16_dot_d_xhat16[n]/H
    np.multiply(a.xhat16_dot_d_xhat16, a.rstd16, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat16, a.u_n[:, None], out=a.d_sum15)
    np.multiply(a.d_xhat16, a.rstd16[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum15, out=a.d_sum15)
    np.add(a.d_sum15, a.d_sum16, out=a.d_sum15)
    np.multiply(a.sum_d_xhat16, a.rstd16, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum15, a.u_n[:, None], out=a.d_sum15)

    # ∂L/∂down15_W[k,h] = Σ_n relu15[n,k] ∂L/∂sum15[n,h],
    # ∂L/∂down15_b[h] = Σ_n ∂L/∂sum15[n,h]
    np.dot(a.relu15_1, a.d_sum15, out=g.down15_W_b)

    # ∂L/∂relu15[n,k] = Σ_h down15_W[k,h] ∂L/∂sum15[n,h]
    np.dot(p.down15_W, a.d_sum15.T, out=a.d_relu15)

    # ∂L/∂z30[n,k] = [z30[n,k] > 0] ∂L/∂relu15[n,k]
    np.greater(a.z30, a.ZERO, out=a.d_z30)
    np.multiply(a.d_z30, a.d_relu15, out=a.d_z30)

    # ∂L/∂up15_W[h,k] = Σ_n y15[n,h] ∂L/∂z30[n,k]
    np.dot(a.y15.T, a.d_z30.T, out=g.up15_W)

    # ∂L/∂up15_b[k] = Σ_n ∂L/∂z30[n,k]
    np.dot(a.d_z30, a.ONES_N, out=g.up15_b)

    # ∂L/∂y15[n,h] = Σ_k up15_W[h,k] ∂L/∂z30[n,k]
    np.dot(a.d_z30.T, p.up15_W.T, out=a.d_y15)

    # ∂L/∂ln15_gain[h] = Σ_n xhat15[n,h] ∂L/∂y15[n,h]
    np.einsum("nh,nh->h", a.d_y15, a.xhat15, out=g.ln15_gain)

    # ∂L/∂ln15_shift[h] = Σ_n ∂L/∂y15[n,h]
    np.dot(a.ONES_N, a.d_y15, out=g.ln15_shift)

    # ∂L/∂xhat15[n,h] = ln15_gain[h] ∂L/∂y15[n,h]
    np.multiply(a.d_y15, p.ln15_gain, out=a.d_xhat15)

    # xhat15_dot_d_xhat15[n] = Σ_h xhat15[n,h] ∂L/∂xhat15[n,h]
    np.vecdot(a.d_xhat15, a.xhat15, out=a.xhat15_dot_d_xhat15)

    # sum_d_xhat15[n] = Σ_h ∂L/∂xhat15[n,h]
    np.dot(a.d_xhat15, a.ONES_H, out=a.sum_d_xhat15)

    # ∂L/∂sum14[n,h] = rstd15[n] ∂L/∂xhat15[n,h] + ∂L/∂sum15[n,h] - rstd15[n] sum_d_xhat15[n]/H -
    #     rstd15[n] xhat15[n,h] xhat15_dot_d_xhat15[n]/H
    np.multiply(a.xhat15_dot_d_xhat15, a.rstd15, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat15, a.u_n[:, None], out=a.d_sum14)
    np.multiply(a.d_xhat15, a.rstd15[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum14, out=a.d_sum14)
    np.add(a.d_sum14, a.d_sum15, out=a.d_sum14)
    np.multiply(a.sum_d_xhat15, a.rstd15, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum14, a.u_n[:, None], out=a.d_sum14)

    # ∂L/∂down14_W[k,h] = Σ_n relu14[n,k] ∂L/∂sum14[n,h],
    # ∂L/∂down14_b[h] = Σ_n ∂L/∂sum14[n,h]
    np.dot(a.relu14_1, a.d_sum14, out=g.down14_W_b)

    # ∂L/∂relu14[n,k] = Σ_h down14_W[k,h] ∂L/∂sum14[n,h]
    np.dot(p.down14_W, a.d_sum14.T, out=a.d_relu14)

    # ∂L/∂z28[n,k] = [z28[n,k] > 0] ∂L/∂relu14[n,k]
    np.greater(a.z28, a.ZERO, out=a.d_z28)
    np.multiply(a.d_z28, a.d_relu14, out=a.d_z28)

    # ∂L/∂up14_W[h,k] = Σ_n y14[n,h] ∂L/∂z28[n,k]
    np.dot(a.y14.T, a.d_z28.T, out=g.up14_W)

    # ∂L/∂up14_b[k] = Σ_n ∂L/∂z28[n,k]
    np.dot(a.d_z28, a.ONES_N, out=g.up14_b)

    # ∂L/∂y14[n,h] = Σ_k up14_W[h,k] ∂L/∂z28[n,k]
    np.dot(a.d_z28.T, p.up14_W.T, out=a.d_y14)

    # ∂L/∂ln14_gain[h] = Σ_n xhat14[n,h] ∂L/∂y14[n,h]
    np.einsum("nh,nh->h", a.d_y14, a.xhat14, out=g.ln14_gain)

    # ∂L/∂ln14_shift[h] = Σ_n ∂L/∂y14[n,h]
    np.dot(a.ONES_N, a.d_y14, out=g.ln14_shift)

    # ∂L/∂xhat14[n,h] = ln14_gain[h] ∂L/∂y14[n,h]
    np.multiply(a.d_y14, p.ln14_gain, out=a.d_xhat14)

    # xhat14_dot_d_xhat14[n] = Σ_h xhat14[n,h] ∂L/∂xhat14[n,h]
    np.vecdot(a.d_xhat14, a.xhat14, out=a.xhat14_dot_d_xhat14)

    # sum_d_xhat14[n] = Σ_h ∂L/∂xhat14[n,h]
    np.dot(a.d_xhat14, a.ONES_H, out=a.sum_d_xhat14)

    # ∂L/∂sum13[n,h] = rstd14[n] ∂L/∂xhat14[n,h] + ∂L/∂sum14[n,h] - rstd14[n] sum_d_xhat14[n]/H -
    #     rstd14[n] xhat14[n,h] xhat14_dot_d_xhat14[n]/H
    np.multiply(a.xhat14_dot_d_xhat14, a.rstd14, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat14, a.u_n[:, None], out=a.d_sum13)
    np.multiply(a.d_xhat14, a.rstd14[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum13, out=a.d_sum13)
    np.add(a.d_sum13, a.d_sum14, out=a.d_sum13)
    np.multiply(a.sum_d_xhat14, a.rstd14, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum13, a.u_n[:, None], out=a.d_sum13)

    # ∂L/∂down13_W[k,h] = Σ_n relu13[n,k] ∂L/∂sum13[n,h],
    # ∂L/∂down13_b[h] = Σ_n ∂L/∂sum13[n,h]
    np.dot(a.relu13_1, a.d_sum13, out=g.down13_W_b)

    # ∂L/∂relu13[n,k] = Σ_h down13_W[k,h] ∂L/∂sum13[n,h]
    np.dot(p.down13_W, a.d_sum13.T, out=a.d_relu13)

    # ∂L/∂z26[n,k] = [z26[n,k] > 0] ∂L/∂relu13[n,k]
    np.greater(a.z26, a.ZERO, out=a.d_z26)
    np.multiply(a.d_z26, a.d_relu13, out=a.d_z26)

    # ∂L/∂up13_W[h,k] = Σ_n y13[n,h] ∂L/∂z26[n,k]
    np.dot(a.y13.T, a.d_z26.T, out=g.up13_W)

    # ∂L/∂up13_b[k] = Σ_n ∂L/∂z26[n,k]
    np.dot(a.d_z26, a.ONES_N, out=g.up13_b)

    # ∂L/∂y13[n,h] = Σ_k up13_W[h,k] ∂L/∂z26[n,k]
    np.dot(a.d_z26.T, p.up13_W.T, out=a.d_y13)

    # ∂L/∂ln13_gain[h] = Σ_n xhat13[n,h] ∂L/∂y13[n,h]
    np.einsum("nh,nh->h", a.d_y13, a.xhat13, out=g.ln13_gain)

    # ∂L/∂ln13_shift[h] = Σ_n ∂L/∂y13[n,h]
    np.dot(a.ONES_N, a.d_y13, out=g.ln13_shift)

    # ∂L/∂xhat13[n,h] = ln13_gain[h] ∂L/∂y13[n,h]
    np.multiply(a.d_y13, p.ln13_gain, out=a.d_xhat13)

    # xhat13_dot_d_xhat13[n] = Σ_h xhat13[n,h] ∂L/∂xhat13[n,h]
    np.vecdot(a.d_xhat13, a.xhat13, out=a.xhat13_dot_d_xhat13)

    # sum_d_xhat13[n] = Σ_h ∂L/∂xhat13[n,h]
    np.dot(a.d_xhat13, a.ONES_H, out=a.sum_d_xhat13)

    # ∂L/∂sum12[n,h] = rstd13[n] ∂L/∂xhat13[n,h] + ∂L/∂sum13[n,h] - rstd13[n] sum_d_xhat13[n]/H -
    #     rstd13[n] xhat13[n,h] xhat13_dot_d_xhat13[n]/H
    np.multiply(a.xhat13_dot_d_xhat13, a.rstd13, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat13, a.u_n[:, None], out=a.d_sum12)
    np.multiply(a.d_xhat13, a.rstd13[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum12, out=a.d_sum12)
    np.add(a.d_sum12, a.d_sum13, out=a.d_sum12)
    np.multiply(a.sum_d_xhat13, a.rstd13, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum12, a.u_n[:, None], out=a.d_sum12)

    # ∂L/∂down12_W[k,h] = Σ_n relu12[n,k] ∂L/∂sum12[n,h],
    # ∂L/∂down12_b[h] = Σ_n ∂L/∂sum12[n,h]
    np.dot(a.relu12_1, a.d_sum12, out=g.down12_W_b)

    # ∂L/∂relu12[n,k] = Σ_h down12_W[k,h] ∂L/∂sum12[n,h]
    np.dot(p.down12_W, a.d_sum12.T, out=a.d_relu12)

    # ∂L/∂z24[n,k] = [z24[n,k] > 0] ∂L/∂relu12[n,k]
    np.greater(a.z24, a.ZERO, out=a.d_z24)
    np.multiply(a.d_z24, a.d_relu12, out=a.d_z24)

    # ∂L/∂up12_W[h,k] = Σ_n y12[n,h] ∂L/∂z24[n,k]
    np.dot(a.y12.T, a.d_z24.T, out=g.up12_W)

    # ∂L/∂up12_b[k] = Σ_n ∂L/∂z24[n,k]
    np.dot(a.d_z24, a.ONES_N, out=g.up12_b)

    # ∂L/∂y12[n,h] = Σ_k up12_W[h,k] ∂L/∂z24[n,k]
    np.dot(a.d_z24.T, p.up12_W.T, out=a.d_y12)

    # ∂L/∂ln12_gain[h] = Σ_n xhat12[n,h] ∂L/∂y12[n,h]
    np.einsum("nh,nh->h", a.d_y12, a.xhat12, out=g.ln12_gain)

    # ∂L/∂ln12_shift[h] = Σ_n ∂L/∂y12[n,h]
    np.dot(a.ONES_N, a.d_y12, out=g.ln12_shift)

    # ∂L/∂xhat12[n,h] = ln12_gain[h] ∂L/∂y12[n,h]
    np.multiply(a.d_y12, p.ln12_gain, out=a.d_xhat12)

    # xhat12_dot_d_xhat12[n] = Σ_h xhat12[n,h] ∂L/∂xhat12[n,h]
    np.vecdot(a.d_xhat12, a.xhat12, out=a.xhat12_dot_d_xhat12)

    # sum_d_xhat12[n] = Σ_h ∂L/∂xhat12[n,h]
    np.dot(a.d_xhat12, a.ONES_H, out=a.sum_d_xhat12)

    # ∂L/∂sum11[n,h] = rstd12[n] ∂L/∂xhat12[n,h] + ∂L/∂sum12[n,h] - rstd12[n] sum_d_xhat12[n]/H -
    #     rstd12[n] xhat12[n,h] xhat12_dot_d_xhat12[n]/H
    np.multiply(a.xhat12_dot_d_xhat12, a.rstd12, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat12, a.u_n[:, None], out=a.d_sum11)
    np.multiply(a.d_xhat12, a.rstd12[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum11, out=a.d_sum11)
    np.add(a.d_sum11, a.d_sum12, out=a.d_sum11)
    np.multiply(a.sum_d_xhat12, a.rstd12, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum11, a.u_n[:, None], out=a.d_sum11)

    # ∂L/∂down11_W[k,h] = Σ_n relu11[n,k] ∂L/∂sum11[n,h],
    # ∂L/∂down11_b[h] = Σ_n ∂L/∂sum11[n,h]
    np.dot(a.relu11_1, a.d_sum11, out=g.down11_W_b)

    # ∂L/∂relu11[n,k] = Σ_h down11_W[k,h] ∂L/∂sum11[n,h]
    np.dot(p.down11_W, a.d_sum11.T, out=a.d_relu11)

    # ∂L/∂z22[n,k] = [z22[n,k] > 0] ∂L/∂relu11[n,k]
    np.greater(a.z22, a.ZERO, out=a.d_z22)
    np.multiply(a.d_z22, a.d_relu11, out=a.d_z22)

    # ∂L/∂up11_W[h,k] = Σ_n y11[n,h] ∂L/∂z22[n,k]
    np.dot(a.y11.T, a.d_z22.T, out=g.up11_W)

    # ∂L/∂up11_b[k] = Σ_n ∂L/∂z22[n,k]
    np.dot(a.d_z22, a.ONES_N, out=g.up11_b)

    # ∂L/∂y11[n,h] = Σ_k up11_W[h,k] ∂L/∂z22[n,k]
    np.dot(a.d_z22.T, p.up11_W.T, out=a.d_y11)

    # ∂L/∂ln11_gain[h] = Σ_n xhat11[n,h] ∂L/∂y11[n,h]
    np.einsum("nh,nh->h", a.d_y11, a.xhat11, out=g.ln11_gain)

    # ∂L/∂ln11_shift[h] = Σ_n ∂L/∂y11[n,h]
    np.dot(a.ONES_N, a.d_y11, out=g.ln11_shift)

    # ∂L/∂xhat11[n,h] = ln11_gain[h] ∂L/∂y11[n,h]
    np.multiply(a.d_y11, p.ln11_gain, out=a.d_xhat11)

    # xhat11_dot_d_xhat11[n] = Σ_h xhat11[n,h] ∂L/∂xhat11[n,h]
    np.vecdot(a.d_xhat11, a.xhat11, out=a.xhat11_dot_d_xhat11)

    # sum_d_xhat11[n] = Σ_h ∂L/∂xhat11[n,h]
    np.dot(a.d_xhat11, a.ONES_H, out=a.sum_d_xhat11)

    # ∂L/∂sum10[n,h] = rstd11[n] ∂L/∂xhat11[n,h] + ∂L/∂sum11[n,h] - rstd11[n] sum_d_xhat11[n]/H -
    #     rstd11[n] xhat11[n,h] xhat11_dot_d_xhat11[n]/H
    np.multiply(a.xhat11_dot_d_xhat11, a.rstd11, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat11, a.u_n[:, None], out=a.d_sum10)
    np.multiply(a.d_xhat11, a.rstd11[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum10, out=a.d_sum10)
    np.add(a.d_sum10, a.d_sum11, out=a.d_sum10)
    np.multiply(a.sum_d_xhat11, a.rstd11, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum10, a.u_n[:, None], out=a.d_sum10)

    # ∂L/∂down10_W[k,h] = Σ_n relu10[n,k] ∂L/∂sum10[n,h],
    # ∂L/∂down10_b[h] = Σ_n ∂L/∂sum10[n,h]
    np.dot(a.relu10_1, a.d_sum10, out=g.down10_W_b)

    # ∂L/∂relu10[n,k] = Σ_h down10_W[k,h] ∂L/∂sum10[n,h]
    np.dot(p.down10_W, a.d_sum10.T, out=a.d_relu10)

    # ∂L/∂z20[n,k] = [z20[n,k] > 0] ∂L/∂relu10[n,k]
    np.greater(a.z20, a.ZERO, out=a.d_z20)
    np.multiply(a.d_z20, a.d_relu10, out=a.d_z20)

    # ∂L/∂up10_W[h,k] = Σ_n y10[n,h] ∂L/∂z20[n,k]
    np.dot(a.y10.T, a.d_z20.T, out=g.up10_W)

    # ∂L/∂up10_b[k] = Σ_n ∂L/∂z20[n,k]
    np.dot(a.d_z20, a.ONES_N, out=g.up10_b)

    # ∂L/∂y10[n,h] = Σ_k up10_W[h,k] ∂L/∂z20[n,k]
    np.dot(a.d_z20.T, p.up10_W.T, out=a.d_y10)

    # ∂L/∂ln10_gain[h] = Σ_n xhat10[n,h] ∂L/∂y10[n,h]
    np.einsum("nh,nh->h", a.d_y10, a.xhat10, out=g.ln10_gain)

    # ∂L/∂ln10_shift[h] = Σ_n ∂L/∂y10[n,h]
    np.dot(a.ONES_N, a.d_y10, out=g.ln10_shift)

    # ∂L/∂xhat10[n,h] = ln10_gain[h] ∂L/∂y10[n,h]
    np.multiply(a.d_y10, p.ln10_gain, out=a.d_xhat10)

    # xhat10_dot_d_xhat10[n] = Σ_h xhat10[n,h] ∂L/∂xhat10[n,h]
    np.vecdot(a.d_xhat10, a.xhat10, out=a.xhat10_dot_d_xhat10)

    # sum_d_xhat10[n] = Σ_h ∂L/∂xhat10[n,h]
    np.dot(a.d_xhat10, a.ONES_H, out=a.sum_d_xhat10)

    # ∂L/∂sum9[n,h] = rstd10[n] ∂L/∂xhat10[n,h] + ∂L/∂sum10[n,h] - rstd10[n] sum_d_xhat10[n]/H -
    #     rstd10[n] xhat10[n,h] xhat10_dot_d_xhat10[n]/H
    np.multiply(a.xhat10_dot_d_xhat10, a.rstd10, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat10, a.u_n[:, None], out=a.d_sum9)
    np.multiply(a.d_xhat10, a.rstd10[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum9, out=a.d_sum9)
    np.add(a.d_sum9, a.d_sum10, out=a.d_sum9)
    np.multiply(a.sum_d_xhat10, a.rstd10, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum9, a.u_n[:, None], out=a.d_sum9)

    # ∂L/∂down9_W[k,h] = Σ_n relu9[n,k] ∂L/∂sum9[n,h],
    # ∂L/∂down9_b[h] = Σ_n ∂L/∂sum9[n,h]
    np.dot(a.relu9_1, a.d_sum9, out=g.down9_W_b)

    # ∂L/∂relu9[n,k] = Σ_h down9_W[k,h] ∂L/∂sum9[n,h]
    np.dot(p.down9_W, a.d_sum9.T, out=a.d_relu9)

    # ∂L/∂z18[n,k] = [z18[n,k] > 0] ∂L/∂relu9[n,k]
    np.greater(a.z18, a.ZERO, out=a.d_z18)
    np.multiply(a.d_z18, a.d_relu9, out=a.d_z18)

    # ∂L/∂up9_W[h,k] = Σ_n y9[n,h] ∂L/∂z18[n,k]
    np.dot(a.y9.T, a.d_z18.T, out=g.up9_W)

    # ∂L/∂up9_b[k] = Σ_n ∂L/∂z18[n,k]
    np.dot(a.d_z18, a.ONES_N, out=g.up9_b)

    # ∂L/∂y9[n,h] = Σ_k up9_W[h,k] ∂L/∂z18[n,k]
    np.dot(a.d_z18.T, p.up9_W.T, out=a.d_y9)

    # ∂L/∂ln9_gain[h] = Σ_n xhat9[n,h] ∂L/∂y9[n,h]
    np.einsum("nh,nh->h", a.d_y9, a.xhat9, out=g.ln9_gain)

    # ∂L/∂ln9_shift[h] = Σ_n ∂L/∂y9[n,h]
    np.dot(a.ONES_N, a.d_y9, out=g.ln9_shift)

    # ∂L/∂xhat9[n,h] = ln9_gain[h] ∂L/∂y9[n,h]
    np.multiply(a.d_y9, p.ln9_gain, out=a.d_xhat9)

    # xhat9_dot_d_xhat9[n] = Σ_h xhat9[n,h] ∂L/∂xhat9[n,h]
    np.vecdot(a.d_xhat9, a.xhat9, out=a.xhat9_dot_d_xhat9)

    # sum_d_xhat9[n] = Σ_h ∂L/∂xhat9[n,h]
    np.dot(a.d_xhat9, a.ONES_H, out=a.sum_d_xhat9)

    # ∂L/∂sum8[n,h] = rstd9[n] ∂L/∂xhat9[n,h] + ∂L/∂sum9[n,h] - rstd9[n] sum_d_xhat9[n]/H - rstd9[n]
    #     xhat9[n,h] xhat9_dot_d_xhat9[n]/H
    np.multiply(a.xhat9_dot_d_xhat9, a.rstd9, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat9, a.u_n[:, None], out=a.d_sum8)
    np.multiply(a.d_xhat9, a.rstd9[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum8, out=a.d_sum8)
    np.add(a.d_sum8, a.d_sum9, out=a.d_sum8)
    np.multiply(a.sum_d_xhat9, a.rstd9, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum8, a.u_n[:, None], out=a.d_sum8)

    # ∂L/∂down8_W[k,h] = Σ_n relu8[n,k] ∂L/∂sum8[n,h],
    # ∂L/∂down8_b[h] = Σ_n ∂L/∂sum8[n,h]
    np.dot(a.relu8_1, a.d_sum8, out=g.down8_W_b)

    # ∂L/∂relu8[n,k] = Σ_h down8_W[k,h] ∂L/∂sum8[n,h]
    np.dot(p.down8_W, a.d_sum8.T, out=a.d_relu8)

    # ∂L/∂z16[n,k] = [z16[n,k] > 0] ∂L/∂relu8[n,k]
    np.greater(a.z16, a.ZERO, out=a.d_z16)
    np.multiply(a.d_z16, a.d_relu8, out=a.d_z16)

    # ∂L/∂up8_W[h,k] = Σ_n y8[n,h] ∂L/∂z16[n,k]
    np.dot(a.y8.T, a.d_z16.T, out=g.up8_W)

    # ∂L/∂up8_b[k] = Σ_n ∂L/∂z16[n,k]
    np.dot(a.d_z16, a.ONES_N, out=g.up8_b)

    # ∂L/∂y8[n,h] = Σ_k up8_W[h,k] ∂L/∂z16[n,k]
    np.dot(a.d_z16.T, p.up8_W.T, out=a.d_y8)

    # ∂L/∂ln8_gain[h] = Σ_n xhat8[n,h] ∂L/∂y8[n,h]
    np.einsum("nh,nh->h", a.d_y8, a.xhat8, out=g.ln8_gain)

    # ∂L/∂ln8_shift[h] = Σ_n ∂L/∂y8[n,h]
    np.dot(a.ONES_N, a.d_y8, out=g.ln8_shift)

    # ∂L/∂xhat8[n,h] = ln8_gain[h] ∂L/∂y8[n,h]
    np.multiply(a.d_y8, p.ln8_gain, out=a.d_xhat8)

    # xhat8_dot_d_xhat8[n] = Σ_h xhat8[n,h] ∂L/∂xhat8[n,h]
    np.vecdot(a.d_xhat8, a.xhat8, out=a.xhat8_dot_d_xhat8)

    # sum_d_xhat8[n] = Σ_h ∂L/∂xhat8[n,h]
    np.dot(a.d_xhat8, a.ONES_H, out=a.sum_d_xhat8)

    # ∂L/∂sum7[n,h] = rstd8[n] ∂L/∂xhat8[n,h] + ∂L/∂sum8[n,h] - rstd8[n] sum_d_xhat8[n]/H - rstd8[n]
    #     xhat8[n,h] xhat8_dot_d_xhat8[n]/H
    np.multiply(a.xhat8_dot_d_xhat8, a.rstd8, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat8, a.u_n[:, None], out=a.d_sum7)
    np.multiply(a.d_xhat8, a.rstd8[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum7, out=a.d_sum7)
    np.add(a.d_sum7, a.d_sum8, out=a.d_sum7)
    np.multiply(a.sum_d_xhat8, a.rstd8, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum7, a.u_n[:, None], out=a.d_sum7)

    # ∂L/∂down7_W[k,h] = Σ_n relu7[n,k] ∂L/∂sum7[n,h],
    # ∂L/∂down7_b[h] = Σ_n ∂L/∂sum7[n,h]
    np.dot(a.relu7_1, a.d_sum7, out=g.down7_W_b)

    # ∂L/∂relu7[n,k] = Σ_h down7_W[k,h] ∂L/∂sum7[n,h]
    np.dot(p.down7_W, a.d_sum7.T, out=a.d_relu7)

    # ∂L/∂z14[n,k] = [z14[n,k] > 0] ∂L/∂relu7[n,k]
    np.greater(a.z14, a.ZERO, out=a.d_z14)
    np.multiply(a.d_z14, a.d_relu7, out=a.d_z14)

    # ∂L/∂up7_W[h,k] = Σ_n y7[n,h] ∂L/∂z14[n,k]
    np.dot(a.y7.T, a.d_z14.T, out=g.up7_W)

    # ∂L/∂up7_b[k] = Σ_n ∂L/∂z14[n,k]
    np.dot(a.d_z14, a.ONES_N, out=g.up7_b)

    # ∂L/∂y7[n,h] = Σ_k up7_W[h,k] ∂L/∂z14[n,k]
    np.dot(a.d_z14.T, p.up7_W.T, out=a.d_y7)

    # ∂L/∂ln7_gain[h] = Σ_n xhat7[n,h] ∂L/∂y7[n,h]
    np.einsum("nh,nh->h", a.d_y7, a.xhat7, out=g.ln7_gain)

    # ∂L/∂ln7_shift[h] = Σ_n ∂L/∂y7[n,h]
    np.dot(a.ONES_N, a.d_y7, out=g.ln7_shift)

    # ∂L/∂xhat7[n,h] = ln7_gain[h] ∂L/∂y7[n,h]
    np.multiply(a.d_y7, p.ln7_gain, out=a.d_xhat7)

    # xhat7_dot_d_xhat7[n] = Σ_h xhat7[n,h] ∂L/∂xhat7[n,h]
    np.vecdot(a.d_xhat7, a.xhat7, out=a.xhat7_dot_d_xhat7)

    # sum_d_xhat7[n] = Σ_h ∂L/∂xhat7[n,h]
    np.dot(a.d_xhat7, a.ONES_H, out=a.sum_d_xhat7)

    # ∂L/∂sum6[n,h] = rstd7[n] ∂L/∂xhat7[n,h] + ∂L/∂sum7[n,h] - rstd7[n] sum_d_xhat7[n]/H - rstd7[n]
    #     xhat7[n,h] xhat7_dot_d_xhat7[n]/H
    np.multiply(a.xhat7_dot_d_xhat7, a.rstd7, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat7, a.u_n[:, None], out=a.d_sum6)
    np.multiply(a.d_xhat7, a.rstd7[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum6, out=a.d_sum6)
    np.add(a.d_sum6, a.d_sum7, out=a.d_sum6)
    np.multiply(a.sum_d_xhat7, a.rstd7, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum6, a.u_n[:, None], out=a.d_sum6)

    # ∂L/∂down6_W[k,h] = Σ_n relu6[n,k] ∂L/∂sum6[n,h],
    # ∂L/∂down6_b[h] = Σ_n ∂L/∂sum6[n,h]
    np.dot(a.relu6_1, a.d_sum6, out=g.down6_W_b)

    # ∂L/∂relu6[n,k] = Σ_h down6_W[k,h] ∂L/∂sum6[n,h]
    np.dot(p.down6_W, a.d_sum6.T, out=a.d_relu6)

    # ∂L/∂z12[n,k] = [z12[n,k] > 0] ∂L/∂relu6[n,k]
    np.greater(a.z12, a.ZERO, out=a.d_z12)
    np.multiply(a.d_z12, a.d_relu6, out=a.d_z12)

    # ∂L/∂up6_W[h,k] = Σ_n y6[n,h] ∂L/∂z12[n,k]
    np.dot(a.y6.T, a.d_z12.T, out=g.up6_W)

    # ∂L/∂up6_b[k] = Σ_n ∂L/∂z12[n,k]
    np.dot(a.d_z12, a.ONES_N, out=g.up6_b)

    # ∂L/∂y6[n,h] = Σ_k up6_W[h,k] ∂L/∂z12[n,k]
    np.dot(a.d_z12.T, p.up6_W.T, out=a.d_y6)

    # ∂L/∂ln6_gain[h] = Σ_n xhat6[n,h] ∂L/∂y6[n,h]
    np.einsum("nh,nh->h", a.d_y6, a.xhat6, out=g.ln6_gain)

    # ∂L/∂ln6_shift[h] = Σ_n ∂L/∂y6[n,h]
    np.dot(a.ONES_N, a.d_y6, out=g.ln6_shift)

    # ∂L/∂xhat6[n,h] = ln6_gain[h] ∂L/∂y6[n,h]
    np.multiply(a.d_y6, p.ln6_gain, out=a.d_xhat6)

    # xhat6_dot_d_xhat6[n] = Σ_h xhat6[n,h] ∂L/∂xhat6[n,h]
    np.vecdot(a.d_xhat6, a.xhat6, out=a.xhat6_dot_d_xhat6)

    # sum_d_xhat6[n] = Σ_h ∂L/∂xhat6[n,h]
    np.dot(a.d_xhat6, a.ONES_H, out=a.sum_d_xhat6)

    # ∂L/∂sum5[n,h] = rstd6[n] ∂L/∂xhat6[n,h] + ∂L/∂sum6[n,h] - rstd6[n] sum_d_xhat6[n]/H - rstd6[n]
    #     xhat6[n,h] xhat6_dot_d_xhat6[n]/H
    np.multiply(a.xhat6_dot_d_xhat6, a.rstd6, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat6, a.u_n[:, None], out=a.d_sum5)
    np.multiply(a.d_xhat6, a.rstd6[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum5, out=a.d_sum5)
    np.add(a.d_sum5, a.d_sum6, out=a.d_sum5)
    np.multiply(a.sum_d_xhat6, a.rstd6, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum5, a.u_n[:, None], out=a.d_sum5)

    # ∂L/∂down5_W[k,h] = Σ_n relu5[n,k] ∂L/∂sum5[n,h],
    # ∂L/∂down5_b[h] = Σ_n ∂L/∂sum5[n,h]
    np.dot(a.relu5_1, a.d_sum5, out=g.down5_W_b)

    # ∂L/∂relu5[n,k] = Σ_h down5_W[k,h] ∂L/∂sum5[n,h]
    np.dot(p.down5_W, a.d_sum5.T, out=a.d_relu5)

    # ∂L/∂z10[n,k] = [z10[n,k] > 0] ∂L/∂relu5[n,k]
    np.greater(a.z10, a.ZERO, out=a.d_z10)
    np.multiply(a.d_z10, a.d_relu5, out=a.d_z10)

    # ∂L/∂up5_W[h,k] = Σ_n y5[n,h] ∂L/∂z10[n,k]
    np.dot(a.y5.T, a.d_z10.T, out=g.up5_W)

    # ∂L/∂up5_b[k] = Σ_n ∂L/∂z10[n,k]
    np.dot(a.d_z10, a.ONES_N, out=g.up5_b)

    # ∂L/∂y5[n,h] = Σ_k up5_W[h,k] ∂L/∂z10[n,k]
    np.dot(a.d_z10.T, p.up5_W.T, out=a.d_y5)

    # ∂L/∂ln5_gain[h] = Σ_n xhat5[n,h] ∂L/∂y5[n,h]
    np.einsum("nh,nh->h", a.d_y5, a.xhat5, out=g.ln5_gain)

    # ∂L/∂ln5_shift[h] = Σ_n ∂L/∂y5[n,h]
    np.dot(a.ONES_N, a.d_y5, out=g.ln5_shift)

    # ∂L/∂xhat5[n,h] = ln5_gain[h] ∂L/∂y5[n,h]
    np.multiply(a.d_y5, p.ln5_gain, out=a.d_xhat5)

    # xhat5_dot_d_xhat5[n] = Σ_h xhat5[n,h] ∂L/∂xhat5[n,h]
    np.vecdot(a.d_xhat5, a.xhat5, out=a.xhat5_dot_d_xhat5)

    # sum_d_xhat5[n] = Σ_h ∂L/∂xhat5[n,h]
    np.dot(a.d_xhat5, a.ONES_H, out=a.sum_d_xhat5)

    # ∂L/∂sum4[n,h] = rstd5[n] ∂L/∂xhat5[n,h] + ∂L/∂sum5[n,h] - rstd5[n] sum_d_xhat5[n]/H - rstd5[n]
    #     xhat5[n,h] xhat5_dot_d_xhat5[n]/H
    np.multiply(a.xhat5_dot_d_xhat5, a.rstd5, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat5, a.u_n[:, None], out=a.d_sum4)
    np.multiply(a.d_xhat5, a.rstd5[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum4, out=a.d_sum4)
    np.add(a.d_sum4, a.d_sum5, out=a.d_sum4)
    np.multiply(a.sum_d_xhat5, a.rstd5, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum4, a.u_n[:, None], out=a.d_sum4)

    # ∂L/∂down4_W[k,h] = Σ_n relu4[n,k] ∂L/∂sum4[n,h],
    # ∂L/∂down4_b[h] = Σ_n ∂L/∂sum4[n,h]
    np.dot(a.relu4_1, a.d_sum4, out=g.down4_W_b)

    # ∂L/∂relu4[n,k] = Σ_h down4_W[k,h] ∂L/∂sum4[n,h]
    np.dot(p.down4_W, a.d_sum4.T, out=a.d_relu4)

    # ∂L/∂z8[n,k] = [z8[n,k] > 0] ∂L/∂relu4[n,k]
    np.greater(a.z8, a.ZERO, out=a.d_z8)
    np.multiply(a.d_z8, a.d_relu4, out=a.d_z8)

    # ∂L/∂up4_W[h,k] = Σ_n y4[n,h] ∂L/∂z8[n,k]
    np.dot(a.y4.T, a.d_z8.T, out=g.up4_W)

    # ∂L/∂up4_b[k] = Σ_n ∂L/∂z8[n,k]
    np.dot(a.d_z8, a.ONES_N, out=g.up4_b)

    # ∂L/∂y4[n,h] = Σ_k up4_W[h,k] ∂L/∂z8[n,k]
    np.dot(a.d_z8.T, p.up4_W.T, out=a.d_y4)

    # ∂L/∂ln4_gain[h] = Σ_n xhat4[n,h] ∂L/∂y4[n,h]
    np.einsum("nh,nh->h", a.d_y4, a.xhat4, out=g.ln4_gain)

    # ∂L/∂ln4_shift[h] = Σ_n ∂L/∂y4[n,h]
    np.dot(a.ONES_N, a.d_y4, out=g.ln4_shift)

    # ∂L/∂xhat4[n,h] = ln4_gain[h] ∂L/∂y4[n,h]
    np.multiply(a.d_y4, p.ln4_gain, out=a.d_xhat4)

    # xhat4_dot_d_xhat4[n] = Σ_h xhat4[n,h] ∂L/∂xhat4[n,h]
    np.vecdot(a.d_xhat4, a.xhat4, out=a.xhat4_dot_d_xhat4)

    # sum_d_xhat4[n] = Σ_h ∂L/∂xhat4[n,h]
    np.dot(a.d_xhat4, a.ONES_H, out=a.sum_d_xhat4)

    # ∂L/∂sum3[n,h] = rstd4[n] ∂L/∂xhat4[n,h] + ∂L/∂sum4[n,h] - rstd4[n] sum_d_xhat4[n]/H - rstd4[n]
    #     xhat4[n,h] xhat4_dot_d_xhat4[n]/H
    np.multiply(a.xhat4_dot_d_xhat4, a.rstd4, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat4, a.u_n[:, None], out=a.d_sum3)
    np.multiply(a.d_xhat4, a.rstd4[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum3, out=a.d_sum3)
    np.add(a.d_sum3, a.d_sum4, out=a.d_sum3)
    np.multiply(a.sum_d_xhat4, a.rstd4, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum3, a.u_n[:, None], out=a.d_sum3)

    # ∂L/∂down3_W[k,h] = Σ_n relu3[n,k] ∂L/∂sum3[n,h],
    # ∂L/∂down3_b[h] = Σ_n ∂L/∂sum3[n,h]
    np.dot(a.relu3_1, a.d_sum3, out=g.down3_W_b)

    # ∂L/∂relu3[n,k] = Σ_h down3_W[k,h] ∂L/∂sum3[n,h]
    np.dot(p.down3_W, a.d_sum3.T, out=a.d_relu3)

    # ∂L/∂z6[n,k] = [z6[n,k] > 0] ∂L/∂relu3[n,k]
    np.greater(a.z6, a.ZERO, out=a.d_z6)
    np.multiply(a.d_z6, a.d_relu3, out=a.d_z6)

    # ∂L/∂up3_W[h,k] = Σ_n y3[n,h] ∂L/∂z6[n,k]
    np.dot(a.y3.T, a.d_z6.T, out=g.up3_W)

    # ∂L/∂up3_b[k] = Σ_n ∂L/∂z6[n,k]
    np.dot(a.d_z6, a.ONES_N, out=g.up3_b)

    # ∂L/∂y3[n,h] = Σ_k up3_W[h,k] ∂L/∂z6[n,k]
    np.dot(a.d_z6.T, p.up3_W.T, out=a.d_y3)

    # ∂L/∂ln3_gain[h] = Σ_n xhat3[n,h] ∂L/∂y3[n,h]
    np.einsum("nh,nh->h", a.d_y3, a.xhat3, out=g.ln3_gain)

    # ∂L/∂ln3_shift[h] = Σ_n ∂L/∂y3[n,h]
    np.dot(a.ONES_N, a.d_y3, out=g.ln3_shift)

    # ∂L/∂xhat3[n,h] = ln3_gain[h] ∂L/∂y3[n,h]
    np.multiply(a.d_y3, p.ln3_gain, out=a.d_xhat3)

    # xhat3_dot_d_xhat3[n] = Σ_h xhat3[n,h] ∂L/∂xhat3[n,h]
    np.vecdot(a.d_xhat3, a.xhat3, out=a.xhat3_dot_d_xhat3)

    # sum_d_xhat3[n] = Σ_h ∂L/∂xhat3[n,h]
    np.dot(a.d_xhat3, a.ONES_H, out=a.sum_d_xhat3)

    # ∂L/∂sum2[n,h] = rstd3[n] ∂L/∂xhat3[n,h] + ∂L/∂sum3[n,h] - rstd3[n] sum_d_xhat3[n]/H - rstd3[n]
    #     xhat3[n,h] xhat3_dot_d_xhat3[n]/H
    np.multiply(a.xhat3_dot_d_xhat3, a.rstd3, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat3, a.u_n[:, None], out=a.d_sum2)
    np.multiply(a.d_xhat3, a.rstd3[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum2, out=a.d_sum2)
    np.add(a.d_sum2, a.d_sum3, out=a.d_sum2)
    np.multiply(a.sum_d_xhat3, a.rstd3, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum2, a.u_n[:, None], out=a.d_sum2)

    # ∂L/∂down2_W[k,h] = Σ_n relu2[n,k] ∂L/∂sum2[n,h],
    # ∂L/∂down2_b[h] = Σ_n ∂L/∂sum2[n,h]
    np.dot(a.relu2_1, a.d_sum2, out=g.down2_W_b)

    # ∂L/∂relu2[n,k] = Σ_h down2_W[k,h] ∂L/∂sum2[n,h]
    np.dot(p.down2_W, a.d_sum2.T, out=a.d_relu2)

    # ∂L/∂z4[n,k] = [z4[n,k] > 0] ∂L/∂relu2[n,k]
    np.greater(a.z4, a.ZERO, out=a.d_z4)
    np.multiply(a.d_z4, a.d_relu2, out=a.d_z4)

    # ∂L/∂up2_W[h,k] = Σ_n y2[n,h] ∂L/∂z4[n,k]
    np.dot(a.y2.T, a.d_z4.T, out=g.up2_W)

    # ∂L/∂up2_b[k] = Σ_n ∂L/∂z4[n,k]
    np.dot(a.d_z4, a.ONES_N, out=g.up2_b)

    # ∂L/∂y2[n,h] = Σ_k up2_W[h,k] ∂L/∂z4[n,k]
    np.dot(a.d_z4.T, p.up2_W.T, out=a.d_y2)

    # ∂L/∂ln2_gain[h] = Σ_n xhat2[n,h] ∂L/∂y2[n,h]
    np.einsum("nh,nh->h", a.d_y2, a.xhat2, out=g.ln2_gain)

    # ∂L/∂ln2_shift[h] = Σ_n ∂L/∂y2[n,h]
    np.dot(a.ONES_N, a.d_y2, out=g.ln2_shift)

    # ∂L/∂xhat2[n,h] = ln2_gain[h] ∂L/∂y2[n,h]
    np.multiply(a.d_y2, p.ln2_gain, out=a.d_xhat2)

    # xhat2_dot_d_xhat2[n] = Σ_h xhat2[n,h] ∂L/∂xhat2[n,h]
    np.vecdot(a.d_xhat2, a.xhat2, out=a.xhat2_dot_d_xhat2)

    # sum_d_xhat2[n] = Σ_h ∂L/∂xhat2[n,h]
    np.dot(a.d_xhat2, a.ONES_H, out=a.sum_d_xhat2)

    # ∂L/∂sum1[n,h] = rstd2[n] ∂L/∂xhat2[n,h] + ∂L/∂sum2[n,h] - rstd2[n] sum_d_xhat2[n]/H - rstd2[n]
    #     xhat2[n,h] xhat2_dot_d_xhat2[n]/H
    np.multiply(a.xhat2_dot_d_xhat2, a.rstd2, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat2, a.u_n[:, None], out=a.d_sum1)
    np.multiply(a.d_xhat2, a.rstd2[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_sum1, out=a.d_sum1)
    np.add(a.d_sum1, a.d_sum2, out=a.d_sum1)
    np.multiply(a.sum_d_xhat2, a.rstd2, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_sum1, a.u_n[:, None], out=a.d_sum1)

    # ∂L/∂down1_W[k,h] = Σ_n relu1[n,k] ∂L/∂sum1[n,h],
    # ∂L/∂down1_b[h] = Σ_n ∂L/∂sum1[n,h]
    np.dot(a.relu1_1, a.d_sum1, out=g.down1_W_b)

    # ∂L/∂relu1[n,k] = Σ_h down1_W[k,h] ∂L/∂sum1[n,h]
    np.dot(p.down1_W, a.d_sum1.T, out=a.d_relu1)

    # ∂L/∂z2[n,k] = [z2[n,k] > 0] ∂L/∂relu1[n,k]
    np.greater(a.z2, a.ZERO, out=a.d_z2)
    np.multiply(a.d_z2, a.d_relu1, out=a.d_z2)

    # ∂L/∂up1_W[h,k] = Σ_n y1[n,h] ∂L/∂z2[n,k]
    np.dot(a.y1.T, a.d_z2.T, out=g.up1_W)

    # ∂L/∂up1_b[k] = Σ_n ∂L/∂z2[n,k]
    np.dot(a.d_z2, a.ONES_N, out=g.up1_b)

    # ∂L/∂y1[n,h] = Σ_k up1_W[h,k] ∂L/∂z2[n,k]
    np.dot(a.d_z2.T, p.up1_W.T, out=a.d_y1)

    # ∂L/∂ln1_gain[h] = Σ_n xhat1[n,h] ∂L/∂y1[n,h]
    np.einsum("nh,nh->h", a.d_y1, a.xhat1, out=g.ln1_gain)

    # ∂L/∂ln1_shift[h] = Σ_n ∂L/∂y1[n,h]
    np.dot(a.ONES_N, a.d_y1, out=g.ln1_shift)

    # ∂L/∂xhat1[n,h] = ln1_gain[h] ∂L/∂y1[n,h]
    np.multiply(a.d_y1, p.ln1_gain, out=a.d_xhat1)

    # xhat1_dot_d_xhat1[n] = Σ_h xhat1[n,h] ∂L/∂xhat1[n,h]
    np.vecdot(a.d_xhat1, a.xhat1, out=a.xhat1_dot_d_xhat1)

    # sum_d_xhat1[n] = Σ_h ∂L/∂xhat1[n,h]
    np.dot(a.d_xhat1, a.ONES_H, out=a.sum_d_xhat1)

    # ∂L/∂z1[n,h] = rstd1[n] ∂L/∂xhat1[n,h] + ∂L/∂sum1[n,h] - rstd1[n] sum_d_xhat1[n]/H - rstd1[n]
    #     xhat1[n,h] xhat1_dot_d_xhat1[n]/H
    np.multiply(a.xhat1_dot_d_xhat1, a.rstd1, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.multiply(a.xhat1, a.u_n[:, None], out=a.d_z1)
    np.multiply(a.d_xhat1, a.rstd1[:, None], out=a.u_nh)
    np.subtract(a.u_nh, a.d_z1, out=a.d_z1)
    np.add(a.d_z1, a.d_sum1, out=a.d_z1)
    np.multiply(a.sum_d_xhat1, a.rstd1, out=a.u_n)
    np.multiply(a.u_n, a.C_1_OVER_H, out=a.u_n)
    np.subtract(a.d_z1, a.u_n[:, None], out=a.d_z1)

    # ∂L/∂stem_W[d,h] = Σ_n x[n,d] ∂L/∂z1[n,h],
    # ∂L/∂stem_b[h] = Σ_n ∂L/∂z1[n,h]
    np.dot(a.x_1.T, a.d_z1, out=g.stem_W_b)


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

    # θ[i] ← θ[i] - lr_t m[i]/(1e-08 c2 + √v[i]) - 0.01 lr θ[i]
    np.sqrt(s.v, out=s.u_i)
    np.add(s.u_i, 1e-08 * c2, out=s.u_i)
    np.divide(s.m, s.u_i, out=s.u_i)
    np.multiply(s.u_i, lr_t, out=s.u_i)
    np.subtract(p.flat, s.u_i, out=s.u_i)
    np.multiply(p.flat, 0.01 * lr, out=p.flat)
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
