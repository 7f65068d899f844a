"""Twenty residual blocks with layer norm, for 8×8 images of digits.

Written by `bpgen emit residual_mlp --target cupy` from residual_mlp.py.
It needs CuPy and an NVIDIA GPU to run, and neither to be imported.
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

try:
    import cupy as cp
except ImportError:  # `Kernels` says so when something is run
    cp = None

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

# CUDA C++, compiled when it is first run: what the formulas of kernels need, then the kernels.
SOURCE = r"""
// REAL is float or double. A number such as 0.5_r is folded when this is compiled.
typedef REAL real;

constexpr __host__ __device__ real operator""_r(long double x) { return real(x); }
constexpr __host__ __device__ real operator""_r(unsigned long long x) { return real(x); }

#ifdef __CUDACC_RTC__
#define INFINITY __int_as_float(0x7f800000)
#endif

constexpr int
    D = 64, H = 32, K = 32, J = 10;

// x^N as products; maximum and minimum hand a NaN on.
template <int N>
__device__ real power(real x) {
    if constexpr (N == 1) return x;
    else if constexpr (N % 2) return x * power<N - 1>(x);
    else return power<N / 2>(x * x);
}
__device__ real maximum(real a, real b) { return a >= b || a != a ? a : b; }
__device__ real minimum(real a, real b) { return a <= b || a != a ? a : b; }
__device__ real sign(real x) { return real(x > 0) - real(x < 0); }

// Every kernel runs in blocks of 256 threads, of which as many are launched as there is work for;
// each walks on by the size of the grid, so that any number of blocks computes the same.
constexpr int BLOCK = 256;

// formula(i) for every i below `entries`, a thread each.
template <class Formula>
__device__ void each(int entries, Formula formula) {
    for (int i = blockIdx.x * BLOCK + threadIdx.x; i < entries; i += gridDim.x * BLOCK) formula(i);
}

// formula(i, x[i], y[i], …) for every i below `entries`. A thread moves FEW numbers of each array
// at once, 16 bytes or more, for each begins at a multiple of that.
constexpr int FEW = 16 / sizeof(real);
template <class T>
struct alignas(FEW * sizeof(T)) few { T at[FEW]; };
template <class T>
__device__ few<T> taken(const T *memory, int q) {
    return reinterpret_cast<const few<T> *>(memory)[q];
}
template <class T>
__device__ void put(T *memory, int q, few<T> x) { reinterpret_cast<few<T> *>(memory)[q] = x; }
template <class T>
__device__ void put(const T *, int, few<T>) {}

template <class Formula, class... T>
__device__ void each_of(int entries, Formula formula, T *...memory) {
    const int first = blockIdx.x * BLOCK + threadIdx.x, step = gridDim.x * BLOCK;
    for (int q = first; q < entries / FEW; q += step)
        [=](auto... x) mutable {
#pragma unroll
            for (int k = 0; k < FEW; ++k) formula(FEW * q + k, x.at[k]...);
            (put(memory, q, x), ...);
        }(taken(memory, q)...);
#pragma unroll 1
    for (int i = entries / FEW * FEW + first; i < entries; i += step) formula(i, memory[i]...);
}

// What a reduction brings together: a sum, the largest, or where the first largest is.
struct added {
    real total = 0;
    __device__ void take(real x, int) { total += x; }
    __device__ void join(added other) { total += other.total; }
    __device__ added beyond(int lanes) { return {__shfl_down_sync(~0u, total, lanes)}; }
    __device__ real result() { return total; }
};
struct largest {
    real most = -INFINITY;
    __device__ void take(real x, int) { most = maximum(most, x); }
    __device__ void join(largest other) { most = maximum(most, other.most); }
    __device__ largest beyond(int lanes) { return {__shfl_down_sync(~0u, most, lanes)}; }
    __device__ real result() { return most; }
};
struct largest_at {
    real most = -INFINITY;
    int at = 0x7fffffff;
    __device__ void take(real x, int j) { join({x, j}); }
    __device__ void join(largest_at other) {
        const bool ties = other.most == most || (other.most != other.most && most != most);
        const bool wins = other.most > most || (other.most != other.most && most == most);
        if (wins || (ties && other.at < at)) *this = other;
    }
    __device__ largest_at beyond(int lanes) {
        return {__shfl_down_sync(~0u, most, lanes), __shfl_down_sync(~0u, at, lanes)};
    }
    __device__ int result() { return at; }
};

// store(i, value(i, 0) + value(i, 1) + …) for every i below `entries`. The order of a sum is that
// of the threads, so each run gives the same bits. By a thread each:
template <class Op, class Value, class Store>
__device__ void by_thread(int entries, int length, Value value, Store store) {
    each(entries, [=](int i) {
        Op op;
        for (int j = 0; j < length; ++j) op.take(value(i, j), j);
        store(i, op.result());
    });
}

// By a warp each: neighbouring lanes read neighbouring values.
template <class Op, class Value, class Store>
__device__ void by_warp(int entries, int length, Value value, Store store) {
    const int lane = threadIdx.x % 32;
    const int warp = (blockIdx.x * BLOCK + threadIdx.x) / 32, warps = gridDim.x * BLOCK / 32;
    for (int i = warp; i < entries; i += warps) {
        Op op;
        for (int j = lane; j < length; j += 32) op.take(value(i, j), j);
        for (int lanes = 16; lanes; lanes /= 2) op.join(op.beyond(lanes));
        if (lane == 0) store(i, op.result());
    }
}

// By a block each, for long sums.
template <class Op, class Value, class Store>
__device__ void by_block(int entries, int length, Value value, Store store) {
    alignas(8) __shared__ unsigned char memory[32 * sizeof(Op)];
    Op *parts = reinterpret_cast<Op *>(memory);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int i = blockIdx.x; i < entries; i += gridDim.x) {
        Op op;
        for (int j = threadIdx.x; j < length; j += BLOCK) op.take(value(i, j), j);
        for (int lanes = 16; lanes; lanes /= 2) op.join(op.beyond(lanes));
        if (lane == 0) parts[warp] = op;
        __syncthreads();
        if (threadIdx.x == 0) {
            for (int w = 1; w < BLOCK / 32; ++w) op.join(parts[w]);
            store(i, op.result());
        }
        __syncthreads();
    }
}

// By a block for 32 neighbouring entries, 8 threads each: a row of threads reads along memory.
template <class Op, class Value, class Store>
__device__ void by_columns(int entries, int length, Value value, Store store) {
    alignas(8) __shared__ unsigned char memory[BLOCK * sizeof(Op)];
    Op *parts = reinterpret_cast<Op *>(memory);
    const int column = threadIdx.x % 32, row = threadIdx.x / 32;
    for (int first = blockIdx.x * 32; first < entries; first += gridDim.x * 32) {
        const int i = first + column;
        Op op;
        for (int j = row; i < entries && j < length; j += BLOCK / 32) op.take(value(i, j), j);
        parts[threadIdx.x] = op;
        __syncthreads();
        if (row == 0 && i < entries) {
            for (int r = 1; r < BLOCK / 32; ++r) op.join(parts[32 * r + column]);
            store(i, op.result());
        }
        __syncthreads();
    }
}

// The entries of a row are shared out among LANES threads, a warp or a block, which wait for each
// other after each step; so a step may read whatever of the row has been written before.
template <int LANES>
__device__ void wait() {
    if constexpr (LANES == 32) __syncwarp();
    else __syncthreads();
}

template <int LANES, class Formula>
__device__ void rows(int count, Formula formula) {
    const int first = (blockIdx.x * BLOCK + threadIdx.x) / LANES;
    for (int i = first; i < count; i += gridDim.x * (BLOCK / LANES)) formula(i);
}

// formula(k) for every entry of the row.
template <int LANES, class Formula>
__device__ void map_row(int length, Formula formula) {
    for (int k = threadIdx.x % LANES; k < length; k += LANES) formula(k);
    wait<LANES>();
}

// value(0) + value(1) + …, known to all of them.
template <int LANES, class Op, class Value>
__device__ auto reduce_row(int length, Value value) {
    const int lane = threadIdx.x % LANES;
    Op op;
    for (int k = lane; k < length; k += LANES) op.take(value(k), k);
    for (int lanes = 16; lanes; lanes /= 2) op.join(op.beyond(lanes));
    if constexpr (LANES == 32) {
        return __shfl_sync(~0u, op.result(), 0);
    } else {
        alignas(8) __shared__ unsigned char memory[LANES / 32 * sizeof(Op)];
        Op *parts = reinterpret_cast<Op *>(memory);
        if (lane % 32 == 0) parts[lane / 32] = op;
        __syncthreads();
        op = parts[0];
        for (int w = 1; w < LANES / 32; ++w) op.join(parts[w]);
        __syncthreads();
        return op.result();
    }
}

// store(), by one thread.
template <int LANES, class Store>
__device__ void once(Store store) {
    if (threadIdx.x % LANES == 0) store();
    wait<LANES>();
}

// store(value(0) + value(1) + …), by one thread.
template <int LANES, class Op, class Value, class Store>
__device__ void reduce_row(int length, Value value, Store store) {
    const auto total = reduce_row<LANES, Op>(length, value);
    once<LANES>([=] { store(total); });
}

// 16 columns of a matrix of 16 M rows, and 16 rows of one of 16 M columns, in shared memory. The
// operands are formulas; by_row says that memory runs along their second index, as a row of threads
// then reads. Outside of an operand there are zeros.
enum layout { by_row, by_column };

template <int M>
struct strips {
    static constexpr int TILE = 16 * M, DEPTH = 16, FEW = 16 / sizeof(real);
    alignas(16) real a[DEPTH][TILE + FEW];
    real b[DEPTH][TILE + 1];

    template <layout LEFT, class Left>
    __device__ void left(int rows, int length, Left formula) {
        for (int e = threadIdx.x; e < DEPTH * TILE; e += BLOCK) {
            const int k = LEFT == by_row ? e % DEPTH : e / TILE;
            const int r = LEFT == by_row ? e / DEPTH : e % TILE;
            a[k][r] = k < length && r < rows ? formula(r, k) : real(0);
        }
    }
    template <layout RIGHT, class Right>
    __device__ void right(int length, int columns, Right formula) {
        for (int e = threadIdx.x; e < DEPTH * TILE; e += BLOCK) {
            const int k = RIGHT == by_row ? e / TILE : e % DEPTH;
            const int c = RIGHT == by_row ? e % TILE : e / DEPTH;
            b[k][c] = k < length && c < columns ? formula(k, c) : real(0);
        }
    }
    // Of their product, a thread has the entries (M y + i, x + 16 j): it reads M of `a` at once.
    __device__ void add(real (&sum)[M][M]) {
        const int x = threadIdx.x % 16, y = threadIdx.x / 16;
#pragma unroll
        for (int k = 0; k < DEPTH; ++k)
#pragma unroll
            for (int i = 0; i < M; ++i)
#pragma unroll
                for (int j = 0; j < M; ++j) sum[i][j] += a[k][M * y + i] * b[k][x + 16 * j];
    }
};

// sum += left right, for 16 M rows and columns at most.
template <int M, layout LEFT, layout RIGHT, class Left, class Right>
__device__ void multiply(
    strips<M> &t, real (&sum)[M][M], int rows, int length, int columns, Left left, Right right
) {
    for (int k0 = 0; k0 < length; k0 += t.DEPTH) {
        t.template left<LEFT>(rows, length - k0, [=](int r, int k) { return left(r, k0 + k); });
        t.template right<RIGHT>(
            length - k0, columns, [=](int k, int c) { return right(k0 + k, c); });
        __syncthreads();
        t.add(sum);
        __syncthreads();
    }
}

// store(s, r, c, Σ_k left(s, r, k) right(s, k, c)) for a stack of matrices. A block computes a tile
// of 16 M rows and columns, a thread M × M entries of it, by way of shared memory.
template <int M, layout LEFT, layout RIGHT, class Left, class Right, class Store>
__device__ void product(
    int stack, int rows, int columns, int length, Left left, Right right, Store store
) {
    constexpr int TILE = 16 * M;
    __shared__ strips<M> t;
    const int x = threadIdx.x % 16, y = threadIdx.x / 16;
    const int down = (rows + TILE - 1) / TILE, across = (columns + TILE - 1) / TILE;
    for (int tile = blockIdx.x; tile < stack * down * across; tile += gridDim.x) {
        const int s = tile / (down * across);
        const int r0 = tile / across % down * TILE, c0 = tile % across * TILE;
        real sum[M][M] = {};
        multiply<M, LEFT, RIGHT>(t, sum, rows - r0, length, columns - c0,
            [=](int r, int k) { return left(s, r0 + r, k); },
            [=](int k, int c) { return right(s, k, c0 + c); });
        for (int i = 0; i < M; ++i)
            for (int j = 0; j < M; ++j) {
                const int r = r0 + M * y + i, c = c0 + x + 16 * j;
                if (r < rows && c < columns) store(s, r, c, sum[i][j]);
            }
    }
}

// z1[n,h] = Σ_d x[n,d] stem_W[d,h] + stem_b[h]
extern "C" __global__ void kernel_z1(
    const real *x, const real *stem_W, const real *stem_b, real *z1, int N
) {
    product<2, by_row, by_row>(1, N, H, D,
        [=](int, int n, int d) { return x[n * D + d]; },
        [=](int, int d, int h) { return stem_W[d * H + h]; },
        [=](int, int n, int h, real sum) { z1[n * H + h] = sum + stem_b[h]; });
}

// mean1[n] = Σ_h z1[n,h]/H
// var1[n] = Σ_h (z1[n,h] - mean1[n])²/H
// rstd1[n] = 1/√(var1[n] + 1e-05)
// xhat1[n,h] = (z1[n,h] - mean1[n]) rstd1[n]
// y1[n,h] = ln1_gain[h] xhat1[n,h] + ln1_shift[h]
// Likewise y2, y3, y4, y5, y6, y7 and 14 more.
extern "C" __global__ void kernel_y1(
    const real *z1, const real *ln1_gain, const real *ln1_shift, real *rstd1, real *xhat1, real *y1,
    int N
) {
    rows<32>(N, [=](int n) {
        const real mean1 = reduce_row<32, added>(H, [=](int h) {
            return 0.03125_r * z1[n * H + h];
        });
        const real var1 = reduce_row<32, added>(H, [=](int h) {
            return 0.03125_r * power<2>(z1[n * H + h] - mean1);
        });
        once<32>([=]() { rstd1[n] = rsqrt(var1 + 1e-05_r); });
        map_row<32>(H, [=](int h) {
            xhat1[n * H + h] = (z1[n * H + h] - mean1) * rstd1[n];
            y1[n * H + h] = ln1_gain[h] * xhat1[n * H + h] + ln1_shift[h];
        });
    });
}

// z2[n,k] = Σ_h up1_W[h,k] y1[n,h] + up1_b[k]
// relu1[n,k] = max(0, z2[n,k])
// Likewise relu2, relu3, relu4, relu5, relu6, relu7 and 13 more.
extern "C" __global__ void kernel_relu1(
    const real *y1, const real *up1_W, const real *up1_b, real *z2, real *relu1, int N
) {
    product<2, by_row, by_row>(1, N, K, H,
        [=](int, int n, int h) { return y1[n * H + h]; },
        [=](int, int h, int k) { return up1_W[h * K + k]; },
        [=](int, int n, int k, real sum) {
            const int at = n * K + k;
            z2[at] = sum + up1_b[k];
            relu1[at] = maximum(0_r, z2[at]);
        });
}

// z3[n,h] = Σ_k down1_W[k,h] relu1[n,k] + down1_b[h]
// sum1[n,h] = z1[n,h] + z3[n,h]
// Likewise sum2, sum3, sum4, sum5, sum6, sum7 and 13 more.
extern "C" __global__ void kernel_sum1(
    const real *relu1, const real *down1_W, const real *down1_b, const real *z1, real *sum1, int N
) {
    product<2, by_row, by_row>(1, N, H, K,
        [=](int, int n, int k) { return relu1[n * K + k]; },
        [=](int, int k, int h) { return down1_W[k * H + h]; },
        [=](int, int n, int h, real sum) {
            const real z3 = sum + down1_b[h];
            sum1[n * H + h] = z1[n * H + h] + z3;
        });
}

// logits[n,j] = Σ_h head_W[h,j] y21[n,h] + head_b[j]
extern "C" __global__ void kernel_logits(
    const real *y21, const real *head_W, const real *head_b, real *logits, int N
) {
    product<1, by_row, by_row>(1, N, J, H,
        [=](int, int n, int h) { return y21[n * H + h]; },
        [=](int, int h, int j) { return head_W[h * J + j]; },
        [=](int, int n, int j, real sum) { logits[n * J + j] = sum + head_b[j]; });
}

// m[n] = max_j logits[n,j]
// e[n,j] = exp(logits[n,j] - m[n])
// s[n] = Σ_j e[n,j]
// logits_at_digit[n] = logits[n,digit[n]]
extern "C" __global__ void kernel_logits_at_digit(
    const real *logits, const int *digit, real *m, real *e, real *s, real *logits_at_digit, int N
) {
    rows<32>(N, [=](int n) {
        reduce_row<32, largest>(J,
            [=](int j) { return logits[n * J + j]; },
            [=](real most) { m[n] = most; });
        map_row<32>(J, [=](int j) { e[n * J + j] = exp(logits[n * J + j] - m[n]); });
        reduce_row<32, added>(J,
            [=](int j) { return e[n * J + j]; },
            [=](real sum) {
                s[n] = sum;
                logits_at_digit[n] = logits[n * J + digit[n]];
            });
    });
}

// loss = Σ_n (m[n] + log(s[n]) - logits_at_digit[n])/N
extern "C" __global__ void kernel_loss(
    const real *m, const real *s, const real *logits_at_digit, real *loss, int N
) {
    by_block<added>(1, N,
        [=](int, int n) { return (m[n] + log(s[n]) - logits_at_digit[n]) / real(N); },
        [=](int, real sum) { *loss = sum; });
}

// p[n,j] = e[n,j]/s[n]
// ∂L/∂logits[n,j] = (p[n,j] - δ(j,digit[n]))/N
extern "C" __global__ void kernel_d_logits(
    const real *s, const real *e, const int *digit, real *d_logits, int N
) {
    each_of(N * J, [=](int i, real e, real &d_logits) {
        const int n = i / J, j = i % J;
        const real p = e / s[n];
        d_logits = (p - real(j == digit[n])) / real(N);
    }, e, d_logits);
}

// ∂L/∂head_W[h,j] = Σ_n y21[n,h] ∂L/∂logits[n,j]
extern "C" __global__ void kernel_d_head_W(
    const real *y21, const real *d_logits, real *d_head_W, int N
) {
    product<1, by_column, by_row>(1, H, J, N,
        [=](int, int h, int n) { return y21[n * H + h]; },
        [=](int, int n, int j) { return d_logits[n * J + j]; },
        [=](int, int h, int j, real sum) { d_head_W[h * J + j] = sum; });
}

// ∂L/∂head_b[j] = Σ_n ∂L/∂logits[n,j]
extern "C" __global__ void kernel_d_head_b(const real *d_logits, real *d_head_b, int N) {
    by_columns<added>(J, N,
        [=](int j, int n) { return d_logits[n * J + j]; },
        [=](int j, real sum) { d_head_b[j] = sum; });
}

// ∂L/∂y21[n,h] = Σ_j head_W[h,j] ∂L/∂logits[n,j]
extern "C" __global__ void kernel_d_y21(
    const real *d_logits, const real *head_W, real *d_y21, int N
) {
    product<2, by_row, by_column>(1, N, H, J,
        [=](int, int n, int j) { return d_logits[n * J + j]; },
        [=](int, int j, int h) { return head_W[h * J + j]; },
        [=](int, int n, int h, real sum) { d_y21[n * H + h] = sum; });
}

// ∂L/∂ln_gain[h] = Σ_n xhat21[n,h] ∂L/∂y21[n,h]
// Likewise ∂L/∂ln20_gain, ∂L/∂ln19_gain, ∂L/∂ln18_gain, ∂L/∂ln17_gain, ∂L/∂ln16_gain,
//     ∂L/∂ln15_gain and 14 more.
extern "C" __global__ void kernel_d_ln_gain(
    const real *xhat21, const real *d_y21, real *d_ln_gain, int N
) {
    by_columns<added>(H, N,
        [=](int h, int n) { return xhat21[n * H + h] * d_y21[n * H + h]; },
        [=](int h, real sum) { d_ln_gain[h] = sum; });
}

// ∂L/∂ln_shift[h] = Σ_n ∂L/∂y21[n,h]
// Likewise ∂L/∂down20_b, ∂L/∂ln20_shift, ∂L/∂down19_b, ∂L/∂ln19_shift, ∂L/∂down18_b,
//     ∂L/∂ln18_shift and 35 more.
extern "C" __global__ void kernel_d_ln_shift(const real *d_y21, real *d_ln_shift, int N) {
    by_columns<added>(H, N,
        [=](int h, int n) { return d_y21[n * H + h]; },
        [=](int h, real sum) { d_ln_shift[h] = sum; });
}

// ∂L/∂xhat21[n,h] = ln_gain[h] ∂L/∂y21[n,h]
// xhat21_dot_d_xhat21[n] = Σ_h xhat21[n,h] ∂L/∂xhat21[n,h]
// sum_d_xhat21[n] = Σ_h ∂L/∂xhat21[n,h]
// ∂L/∂h[n,h] = rstd21[n] (∂L/∂xhat21[n,h] - xhat21[n,h] xhat21_dot_d_xhat21[n]/H -
//     sum_d_xhat21[n]/H)
extern "C" __global__ void kernel_d_h(
    const real *ln_gain, const real *d_y21, const real *xhat21, const real *rstd21, real *d_h, int N
) {
    rows<32>(N, [=](int n) {
        const real xhat21_dot_d_xhat21 = reduce_row<32, added>(H, [=](int h) {
            const real d_xhat21 = ln_gain[h] * d_y21[n * H + h];
            return xhat21[n * H + h] * d_xhat21;
        });
        const real sum_d_xhat21 = reduce_row<32, added>(H, [=](int h) {
            const real d_xhat21 = ln_gain[h] * d_y21[n * H + h];
            return d_xhat21;
        });
        map_row<32>(H, [=](int h) {
            const real d_xhat21 = ln_gain[h] * d_y21[n * H + h];
            d_h[n * H + h] = rstd21[n] * (d_xhat21 - 0.03125_r * xhat21[n * H + h] *
                xhat21_dot_d_xhat21 - 0.03125_r * sum_d_xhat21);
        });
    });
}

// ∂L/∂down20_W[k,h] = Σ_n relu20[n,k] ∂L/∂h[n,h]
// Likewise ∂L/∂down19_W, ∂L/∂down18_W, ∂L/∂down17_W, ∂L/∂down16_W, ∂L/∂down15_W, ∂L/∂down14_W
//     and 13 more.
extern "C" __global__ void kernel_d_down20_W(
    const real *relu20, const real *d_h, real *d_down20_W, int N
) {
    product<1, by_column, by_row>(1, K, H, N,
        [=](int, int k, int n) { return relu20[n * K + k]; },
        [=](int, int n, int h) { return d_h[n * H + h]; },
        [=](int, int k, int h, real sum) { d_down20_W[k * H + h] = sum; });
}

// ∂L/∂relu20[n,k] = Σ_h down20_W[k,h] ∂L/∂h[n,h]
// ∂L/∂a[n,k] = [a[n,k] > 0] ∂L/∂relu20[n,k]
// Likewise ∂L/∂z38, ∂L/∂z36, ∂L/∂z34, ∂L/∂z32, ∂L/∂z30, ∂L/∂z28 and 13 more.
extern "C" __global__ void kernel_d_a(
    const real *d_h, const real *down20_W, const real *a, real *d_a, int N
) {
    product<2, by_row, by_column>(1, N, K, H,
        [=](int, int n, int h) { return d_h[n * H + h]; },
        [=](int, int h, int k) { return down20_W[k * H + h]; },
        [=](int, int n, int k, real sum) {
            const real d_relu20 = sum;
            d_a[n * K + k] = a[n * K + k] > 0_r ? d_relu20 : 0_r;
        });
}

// ∂L/∂up20_W[h,k] = Σ_n y20[n,h] ∂L/∂a[n,k]
// Likewise ∂L/∂up19_W, ∂L/∂up18_W, ∂L/∂up17_W, ∂L/∂up16_W, ∂L/∂up15_W, ∂L/∂up14_W and 13 more.
extern "C" __global__ void kernel_d_up20_W(
    const real *y20, const real *d_a, real *d_up20_W, int N
) {
    product<1, by_column, by_row>(1, H, K, N,
        [=](int, int h, int n) { return y20[n * H + h]; },
        [=](int, int n, int k) { return d_a[n * K + k]; },
        [=](int, int h, int k, real sum) { d_up20_W[h * K + k] = sum; });
}

// ∂L/∂up20_b[k] = Σ_n ∂L/∂a[n,k]
// Likewise ∂L/∂up19_b, ∂L/∂up18_b, ∂L/∂up17_b, ∂L/∂up16_b, ∂L/∂up15_b, ∂L/∂up14_b and 13 more.
extern "C" __global__ void kernel_d_up20_b(const real *d_a, real *d_up20_b, int N) {
    by_columns<added>(K, N,
        [=](int k, int n) { return d_a[n * K + k]; },
        [=](int k, real sum) { d_up20_b[k] = sum; });
}

// ∂L/∂y20[n,h] = Σ_k up20_W[h,k] ∂L/∂a[n,k]
// Likewise ∂L/∂y19, ∂L/∂y18, ∂L/∂y17, ∂L/∂y16, ∂L/∂y15, ∂L/∂y14 and 13 more.
extern "C" __global__ void kernel_d_y20(
    const real *d_a, const real *up20_W, real *d_y20, int N
) {
    product<2, by_row, by_column>(1, N, H, K,
        [=](int, int n, int k) { return d_a[n * K + k]; },
        [=](int, int k, int h) { return up20_W[h * K + k]; },
        [=](int, int n, int h, real sum) { d_y20[n * H + h] = sum; });
}

// ∂L/∂xhat20[n,h] = ln20_gain[h] ∂L/∂y20[n,h]
// xhat20_dot_d_xhat20[n] = Σ_h xhat20[n,h] ∂L/∂xhat20[n,h]
// sum_d_xhat20[n] = Σ_h ∂L/∂xhat20[n,h]
// ∂L/∂sum19[n,h] = rstd20[n] ∂L/∂xhat20[n,h] + ∂L/∂h[n,h] - rstd20[n] sum_d_xhat20[n]/H -
//     rstd20[n] xhat20[n,h] xhat20_dot_d_xhat20[n]/H
// Likewise ∂L/∂sum18, ∂L/∂sum17, ∂L/∂sum16, ∂L/∂sum15, ∂L/∂sum14, ∂L/∂sum13 and 13 more.
extern "C" __global__ void kernel_d_sum19(
    const real *ln20_gain, const real *d_y20, const real *xhat20, const real *rstd20,
    const real *d_h, real *d_sum19, int N
) {
    rows<32>(N, [=](int n) {
        const real xhat20_dot_d_xhat20 = reduce_row<32, added>(H, [=](int h) {
            const real d_xhat20 = ln20_gain[h] * d_y20[n * H + h];
            return xhat20[n * H + h] * d_xhat20;
        });
        const real sum_d_xhat20 = reduce_row<32, added>(H, [=](int h) {
            const real d_xhat20 = ln20_gain[h] * d_y20[n * H + h];
            return d_xhat20;
        });
        map_row<32>(H, [=](int h) {
            const real d_xhat20 = ln20_gain[h] * d_y20[n * H + h];
            d_sum19[n * H + h] = rstd20[n] * d_xhat20 + d_h[n * H + h] - 0.03125_r * rstd20[n] *
                sum_d_xhat20 - 0.03125_r * rstd20[n] * xhat20[n * H + h] * xhat20_dot_d_xhat20;
        });
    });
}

// ∂L/∂stem_W[d,h] = Σ_n x[n,d] ∂L/∂z1[n,h]
extern "C" __global__ void kernel_d_stem_W(
    const real *x, const real *d_z1, real *d_stem_W, int N
) {
    product<1, by_column, by_row>(1, D, H, N,
        [=](int, int d, int n) { return x[n * D + d]; },
        [=](int, int n, int h) { return d_z1[n * H + h]; },
        [=](int, int d, int h, real sum) { d_stem_W[d * H + h] = sum; });
}

// c2 ← √(1 - 0.999^t)
// lr_t ← 0.003 c2/(1 - 0.9^t)
extern "C" __global__ void kernel_lr_t(const int *t, double *c2, double *lr_t) {
    each(1, [=](int) {
        *c2 = sqrt(1.0 - pow(0.999, double(*t)));
        *lr_t = 0.003 * *c2 / (1.0 - pow(0.9, double(*t)));
    });
}

// g_square ← Σ_i g[i]²
// g_norm ← √g_square
// g_scale ← (1/g_norm if g_norm > 1 else 1)
extern "C" __global__ void kernel_g_scale(
    const real *g, double *g_square, double *g_norm, double *g_scale, int P
) {
    by_block<added>(1, P,
        [=](int, int i_) { return power<2>(g[i_]); },
        [=](int, real sum) {
            *g_square = sum;
            *g_norm = sqrt(real(*g_square));
            *g_scale = real(*g_norm) > 1_r ? 1_r / real(*g_norm) : 1_r;
        });
}

// g[i] ← g_scale g[i]
// m[i] ← 0.9 m[i] + 0.1 g[i]
// v[i] ← 0.999 v[i] + 0.001 g[i]²
// θ[i] ← 0.99997 θ[i] - lr_t m[i]/(1e-08 c2 + √v[i])
extern "C" __global__ void kernel_theta(
    const double *g_scale, const double *c2, const double *lr_t, real *g, real *m, real *v,
    real *theta, int P
) {
    each_of(P, [=](int, real &g, real &m, real &v, real &theta) {
        g = real(*g_scale) * g;
        m = 0.1_r * g + 0.9_r * m;
        v = 0.001_r * power<2>(g) + 0.999_r * v;
        theta = 0.99997_r * theta - real(*lr_t) * m / (1e-08_r * real(*c2) + sqrt(v));
    }, g, m, v, theta);
}

// t ← t + 1
extern "C" __global__ void kernel_count_step(int *t) {
    each(1, [=](int) { ++*t; });
}
"""
KERNELS = (
    "z1",
    "y1",
    "relu1",
    "sum1",
    "logits",
    "logits_at_digit",
    "loss",
    "d_logits",
    "d_head_W",
    "d_head_b",
    "d_y21",
    "d_ln_gain",
    "d_ln_shift",
    "d_h",
    "d_down20_W",
    "d_a",
    "d_up20_W",
    "d_up20_b",
    "d_y20",
    "d_sum19",
    "d_stem_W",
    "lr_t",
    "g_scale",
    "theta",
    "count_step",
)
# A grid that fills any GPU of today many times over; what is left, its threads walk on to.
MOST_BLOCKS = 65536
MOST_ENTRIES = 2**31  # of an array: an index is an int
COMPILED: dict[str, Kernels] = {}


def missing() -> str:
    """Say what this machine lacks to run the module, and what to do; an empty text if nothing."""
    if cp is None:
        return "CuPy is missing. Install it: pip install 'cupy-cuda13x[ctk]' (or cupy-cuda12x[ctk])"
    if not cp.cuda.is_available():
        return "No NVIDIA GPU answers. See `nvidia-smi`; the driver must be that of CuPy's CUDA."
    return ""


def demand() -> None:
    """Raise RuntimeError if something is missing."""
    if missing():
        raise RuntimeError(missing())


class Kernels:
    """The kernels of SOURCE, compiled for one precision, and how they are launched.

    A method is called as the device template that a kernel uses, and is given its sizes; enough
    blocks of 256 threads are launched for these, a template does the rest.
    """

    def __init__(self, dtype: str) -> None:
        demand()
        real = {"float32": "float", "float64": "double"}[dtype]
        self._module = cp.RawModule(code=SOURCE, options=("--std=c++17", f"-DREAL={real}"))
        self._kernels = {name: self._module.get_function(f"kernel_{name}") for name in KERNELS}

    @classmethod
    def of(cls, dtype: str) -> Kernels:
        """Return the kernels of a precision; they are compiled once."""
        name = np.dtype(dtype).name
        if name not in COMPILED:
            COMPILED[name] = cls(name)
        return COMPILED[name]

    def each(self, name: str, entries: int, *args: cp.ndarray | int) -> None:
        """Launch a thread an entry."""
        self._launch(name, entries, 256, args)

    def each_of(self, name: str, entries: int, *args: cp.ndarray | int) -> None:
        """Launch a thread for four entries."""
        self._launch(name, entries, 1024, args)

    def by_thread(self, name: str, entries: int, *args: cp.ndarray | int) -> None:
        """Launch a thread an entry of the result."""
        self._launch(name, entries, 256, args)

    def by_warp(self, name: str, entries: int, *args: cp.ndarray | int) -> None:
        """Launch 32 threads an entry of the result."""
        self._launch(name, entries, 8, args)

    def by_block(self, name: str, entries: int, *args: cp.ndarray | int) -> None:
        """Launch a block an entry of the result."""
        self._launch(name, entries, 1, args)

    def by_columns(self, name: str, entries: int, *args: cp.ndarray | int) -> None:
        """Launch a block for 32 entries of the result."""
        self._launch(name, entries, 32, args)

    def product(
        self, name: str, tile: int, stack: int, rows: int, columns: int, *args: cp.ndarray | int
    ) -> None:
        """Launch a block for each tile of the products."""
        self._launch(name, stack * -(-rows // tile) * -(-columns // tile), 1, args)

    def _launch(
        self, name: str, work: int, per_block: int, args: tuple[cp.ndarray | int, ...]
    ) -> None:
        """Launch a kernel; a number is an `int` of C++, which CuPy would pass as 64 bits."""
        for arg in args:
            if not isinstance(arg, int | float) and arg.size >= MOST_ENTRIES:
                raise ValueError(f"{name}: {arg.size} entries; kernels count to {MOST_ENTRIES}")
        blocks = max(1, min(-(-work // per_block), MOST_BLOCKS))
        given = tuple(np.int32(arg) if isinstance(arg, int) else arg for arg in args)
        self._kernels[name]((blocks,), (256,), given)


class Params:
    """The parameters: named views into one vector on the device.

    It is called `flat`.
    """

    def __init__(self, flat: cp.ndarray | np.ndarray | None = None) -> None:
        self.flat = cp.zeros(SIZE, DTYPE) if flat is None else flat
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


class Grads:
    """The gradient: `grads.W` is ∂L/∂W, in the same order in memory as the parameters."""

    def __init__(self, flat: cp.ndarray) -> None:
        self.flat = flat
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


class Activations:
    """A batch of N examples on the device, and what the forward pass computes for it."""

    def __init__(self, N: int, dtype: str = DTYPE) -> None:
        self.N, self.kernels = N, Kernels.of(dtype)
        self.x = cp.empty((N, D), dtype)  # x[n,d]
        self.digit = cp.empty(N, np.int32)  # digit[n]
        self.z1 = cp.empty((N, H), dtype)  # z1[n,h]
        self.rstd1 = cp.empty(N, dtype)  # rstd1[n]
        self.xhat1 = cp.empty((N, H), dtype)  # xhat1[n,h]
        self.y1 = cp.empty((N, H), dtype)  # y1[n,h]
        self.z2 = cp.empty((N, K), dtype)  # z2[n,k]
        self.relu1 = cp.empty((N, K), dtype)  # relu1[n,k]
        self.sum1 = cp.empty((N, H), dtype)  # sum1[n,h]
        self.rstd2 = cp.empty(N, dtype)  # rstd2[n]
        self.xhat2 = cp.empty((N, H), dtype)  # xhat2[n,h]
        self.y2 = cp.empty((N, H), dtype)  # y2[n,h]
        self.z4 = cp.empty((N, K), dtype)  # z4[n,k]
        self.relu2 = cp.empty((N, K), dtype)  # relu2[n,k]
        self.sum2 = cp.empty((N, H), dtype)  # sum2[n,h]
        self.rstd3 = cp.empty(N, dtype)  # rstd3[n]
        self.xhat3 = cp.empty((N, H), dtype)  # xhat3[n,h]
        self.y3 = cp.empty((N, H), dtype)  # y3[n,h]
        self.z6 = cp.empty((N, K), dtype)  # z6[n,k]
        self.relu3 = cp.empty((N, K), dtype)  # relu3[n,k]
        self.sum3 = cp.empty((N, H), dtype)  # sum3[n,h]
        self.rstd4 = cp.empty(N, dtype)  # rstd4[n]
        self.xhat4 = cp.empty((N, H), dtype)  # xhat4[n,h]
        self.y4 = cp.empty((N, H), dtype)  # y4[n,h]
        self.z8 = cp.empty((N, K), dtype)  # z8[n,k]
        self.relu4 = cp.empty((N, K), dtype)  # relu4[n,k]
        self.sum4 = cp.empty((N, H), dtype)  # sum4[n,h]
        self.rstd5 = cp.empty(N, dtype)  # rstd5[n]
        self.xhat5 = cp.empty((N, H), dtype)  # xhat5[n,h]
        self.y5 = cp.empty((N, H), dtype)  # y5[n,h]
        self.z10 = cp.empty((N, K), dtype)  # z10[n,k]
        self.relu5 = cp.empty((N, K), dtype)  # relu5[n,k]
        self.sum5 = cp.empty((N, H), dtype)  # sum5[n,h]
        self.rstd6 = cp.empty(N, dtype)  # rstd6[n]
        self.xhat6 = cp.empty((N, H), dtype)  # xhat6[n,h]
        self.y6 = cp.empty((N, H), dtype)  # y6[n,h]
        self.z12 = cp.empty((N, K), dtype)  # z12[n,k]
        self.relu6 = cp.empty((N, K), dtype)  # relu6[n,k]
        self.sum6 = cp.empty((N, H), dtype)  # sum6[n,h]
        self.rstd7 = cp.empty(N, dtype)  # rstd7[n]
        self.xhat7 = cp.empty((N, H), dtype)  # xhat7[n,h]
        self.y7 = cp.empty((N, H), dtype)  # y7[n,h]
        self.z14 = cp.empty((N, K), dtype)  # z14[n,k]
        self.relu7 = cp.empty((N, K), dtype)  # relu7[n,k]
        self.sum7 = cp.empty((N, H), dtype)  # sum7[n,h]
        self.rstd8 = cp.empty(N, dtype)  # rstd8[n]
        self.xhat8 = cp.empty((N, H), dtype)  # xhat8[n,h]
        self.y8 = cp.empty((N, H), dtype)  # y8[n,h]
        self.z16 = cp.empty((N, K), dtype)  # z16[n,k]
        self.relu8 = cp.empty((N, K), dtype)  # relu8[n,k]
        self.sum8 = cp.empty((N, H), dtype)  # sum8[n,h]
        self.rstd9 = cp.empty(N, dtype)  # rstd9[n]
        self.xhat9 = cp.empty((N, H), dtype)  # xhat9[n,h]
        self.y9 = cp.empty((N, H), dtype)  # y9[n,h]
        self.z18 = cp.empty((N, K), dtype)  # z18[n,k]
        self.relu9 = cp.empty((N, K), dtype)  # relu9[n,k]
        self.sum9 = cp.empty((N, H), dtype)  # sum9[n,h]
        self.rstd10 = cp.empty(N, dtype)  # rstd10[n]
        self.xhat10 = cp.empty((N, H), dtype)  # xhat10[n,h]
        self.y10 = cp.empty((N, H), dtype)  # y10[n,h]
        self.z20 = cp.empty((N, K), dtype)  # z20[n,k]
        self.relu10 = cp.empty((N, K), dtype)  # relu10[n,k]
        self.sum10 = cp.empty((N, H), dtype)  # sum10[n,h]
        self.rstd11 = cp.empty(N, dtype)  # rstd11[n]
        self.xhat11 = cp.empty((N, H), dtype)  # xhat11[n,h]
        self.y11 = cp.empty((N, H), dtype)  # y11[n,h]
        self.z22 = cp.empty((N, K), dtype)  # z22[n,k]
        self.relu11 = cp.empty((N, K), dtype)  # relu11[n,k]
        self.sum11 = cp.empty((N, H), dtype)  # sum11[n,h]
        self.rstd12 = cp.empty(N, dtype)  # rstd12[n]
        self.xhat12 = cp.empty((N, H), dtype)  # xhat12[n,h]
        self.y12 = cp.empty((N, H), dtype)  # y12[n,h]
        self.z24 = cp.empty((N, K), dtype)  # z24[n,k]
        self.relu12 = cp.empty((N, K), dtype)  # relu12[n,k]
        self.sum12 = cp.empty((N, H), dtype)  # sum12[n,h]
        self.rstd13 = cp.empty(N, dtype)  # rstd13[n]
        self.xhat13 = cp.empty((N, H), dtype)  # xhat13[n,h]
        self.y13 = cp.empty((N, H), dtype)  # y13[n,h]
        self.z26 = cp.empty((N, K), dtype)  # z26[n,k]
        self.relu13 = cp.empty((N, K), dtype)  # relu13[n,k]
        self.sum13 = cp.empty((N, H), dtype)  # sum13[n,h]
        self.rstd14 = cp.empty(N, dtype)  # rstd14[n]
        self.xhat14 = cp.empty((N, H), dtype)  # xhat14[n,h]
        self.y14 = cp.empty((N, H), dtype)  # y14[n,h]
        self.z28 = cp.empty((N, K), dtype)  # z28[n,k]
        self.relu14 = cp.empty((N, K), dtype)  # relu14[n,k]
        self.sum14 = cp.empty((N, H), dtype)  # sum14[n,h]
        self.rstd15 = cp.empty(N, dtype)  # rstd15[n]
        self.xhat15 = cp.empty((N, H), dtype)  # xhat15[n,h]
        self.y15 = cp.empty((N, H), dtype)  # y15[n,h]
        self.z30 = cp.empty((N, K), dtype)  # z30[n,k]
        self.relu15 = cp.empty((N, K), dtype)  # relu15[n,k]
        self.sum15 = cp.empty((N, H), dtype)  # sum15[n,h]
        self.rstd16 = cp.empty(N, dtype)  # rstd16[n]
        self.xhat16 = cp.empty((N, H), dtype)  # xhat16[n,h]
        self.y16 = cp.empty((N, H), dtype)  # y16[n,h]
        self.z32 = cp.empty((N, K), dtype)  # z32[n,k]
        self.relu16 = cp.empty((N, K), dtype)  # relu16[n,k]
        self.sum16 = cp.empty((N, H), dtype)  # sum16[n,h]
        self.rstd17 = cp.empty(N, dtype)  # rstd17[n]
        self.xhat17 = cp.empty((N, H), dtype)  # xhat17[n,h]
        self.y17 = cp.empty((N, H), dtype)  # y17[n,h]
        self.z34 = cp.empty((N, K), dtype)  # z34[n,k]
        self.relu17 = cp.empty((N, K), dtype)  # relu17[n,k]
        self.sum17 = cp.empty((N, H), dtype)  # sum17[n,h]
        self.rstd18 = cp.empty(N, dtype)  # rstd18[n]
        self.xhat18 = cp.empty((N, H), dtype)  # xhat18[n,h]
        self.y18 = cp.empty((N, H), dtype)  # y18[n,h]
        self.z36 = cp.empty((N, K), dtype)  # z36[n,k]
        self.relu18 = cp.empty((N, K), dtype)  # relu18[n,k]
        self.sum18 = cp.empty((N, H), dtype)  # sum18[n,h]
        self.rstd19 = cp.empty(N, dtype)  # rstd19[n]
        self.xhat19 = cp.empty((N, H), dtype)  # xhat19[n,h]
        self.y19 = cp.empty((N, H), dtype)  # y19[n,h]
        self.z38 = cp.empty((N, K), dtype)  # z38[n,k]
        self.relu19 = cp.empty((N, K), dtype)  # relu19[n,k]
        self.sum19 = cp.empty((N, H), dtype)  # sum19[n,h]
        self.rstd20 = cp.empty(N, dtype)  # rstd20[n]
        self.xhat20 = cp.empty((N, H), dtype)  # xhat20[n,h]
        self.y20 = cp.empty((N, H), dtype)  # y20[n,h]
        self.a = cp.empty((N, K), dtype)  # a[n,k]
        self.relu20 = cp.empty((N, K), dtype)  # relu20[n,k]
        self.h = cp.empty((N, H), dtype)  # h[n,h]
        self.rstd21 = cp.empty(N, dtype)  # rstd21[n]
        self.xhat21 = cp.empty((N, H), dtype)  # xhat21[n,h]
        self.y21 = cp.empty((N, H), dtype)  # y21[n,h]
        self.logits = cp.empty((N, J), dtype)  # logits[n,j]
        self.m = cp.empty(N, dtype)  # m[n]
        self.e = cp.empty((N, J), dtype)  # e[n,j]
        self.s = cp.empty(N, dtype)  # s[n]
        self.logits_at_digit = cp.empty(N, dtype)  # logits_at_digit[n]
        self.loss = cp.empty((), dtype)  # loss


class Workspace(Activations):
    """The activations, and the cotangents that the backward pass computes from them."""

    def __init__(self, N: int, dtype: str = DTYPE) -> None:
        super().__init__(N, dtype)
        self.d_logits = cp.empty((N, J), dtype)  # ∂L/∂logits[n,j]
        self.d_y21 = cp.empty((N, H), dtype)  # ∂L/∂y21[n,h]
        self.d_h = cp.empty((N, H), dtype)  # ∂L/∂h[n,h]
        self.d_a = cp.empty((N, K), dtype)  # ∂L/∂a[n,k]
        self.d_y20 = cp.empty((N, H), dtype)  # ∂L/∂y20[n,h]
        self.d_sum19 = cp.empty((N, H), dtype)  # ∂L/∂sum19[n,h]
        self.d_z38 = cp.empty((N, K), dtype)  # ∂L/∂z38[n,k]
        self.d_y19 = cp.empty((N, H), dtype)  # ∂L/∂y19[n,h]
        self.d_sum18 = cp.empty((N, H), dtype)  # ∂L/∂sum18[n,h]
        self.d_z36 = cp.empty((N, K), dtype)  # ∂L/∂z36[n,k]
        self.d_y18 = cp.empty((N, H), dtype)  # ∂L/∂y18[n,h]
        self.d_sum17 = cp.empty((N, H), dtype)  # ∂L/∂sum17[n,h]
        self.d_z34 = cp.empty((N, K), dtype)  # ∂L/∂z34[n,k]
        self.d_y17 = cp.empty((N, H), dtype)  # ∂L/∂y17[n,h]
        self.d_sum16 = cp.empty((N, H), dtype)  # ∂L/∂sum16[n,h]
        self.d_z32 = cp.empty((N, K), dtype)  # ∂L/∂z32[n,k]
        self.d_y16 = cp.empty((N, H), dtype)  # ∂L/∂y16[n,h]
        self.d_sum15 = cp.empty((N, H), dtype)  # ∂L/∂sum15[n,h]
        self.d_z30 = cp.empty((N, K), dtype)  # ∂L/∂z30[n,k]
        self.d_y15 = cp.empty((N, H), dtype)  # ∂L/∂y15[n,h]
        self.d_sum14 = cp.empty((N, H), dtype)  # ∂L/∂sum14[n,h]
        self.d_z28 = cp.empty((N, K), dtype)  # ∂L/∂z28[n,k]
        self.d_y14 = cp.empty((N, H), dtype)  # ∂L/∂y14[n,h]
        self.d_sum13 = cp.empty((N, H), dtype)  # ∂L/∂sum13[n,h]
        self.d_z26 = cp.empty((N, K), dtype)  # ∂L/∂z26[n,k]
        self.d_y13 = cp.empty((N, H), dtype)  # ∂L/∂y13[n,h]
        self.d_sum12 = cp.empty((N, H), dtype)  # ∂L/∂sum12[n,h]
        self.d_z24 = cp.empty((N, K), dtype)  # ∂L/∂z24[n,k]
        self.d_y12 = cp.empty((N, H), dtype)  # ∂L/∂y12[n,h]
        self.d_sum11 = cp.empty((N, H), dtype)  # ∂L/∂sum11[n,h]
        self.d_z22 = cp.empty((N, K), dtype)  # ∂L/∂z22[n,k]
        self.d_y11 = cp.empty((N, H), dtype)  # ∂L/∂y11[n,h]
        self.d_sum10 = cp.empty((N, H), dtype)  # ∂L/∂sum10[n,h]
        self.d_z20 = cp.empty((N, K), dtype)  # ∂L/∂z20[n,k]
        self.d_y10 = cp.empty((N, H), dtype)  # ∂L/∂y10[n,h]
        self.d_sum9 = cp.empty((N, H), dtype)  # ∂L/∂sum9[n,h]
        self.d_z18 = cp.empty((N, K), dtype)  # ∂L/∂z18[n,k]
        self.d_y9 = cp.empty((N, H), dtype)  # ∂L/∂y9[n,h]
        self.d_sum8 = cp.empty((N, H), dtype)  # ∂L/∂sum8[n,h]
        self.d_z16 = cp.empty((N, K), dtype)  # ∂L/∂z16[n,k]
        self.d_y8 = cp.empty((N, H), dtype)  # ∂L/∂y8[n,h]
        self.d_sum7 = cp.empty((N, H), dtype)  # ∂L/∂sum7[n,h]
        self.d_z14 = cp.empty((N, K), dtype)  # ∂L/∂z14[n,k]
        self.d_y7 = cp.empty((N, H), dtype)  # ∂L/∂y7[n,h]
        self.d_sum6 = cp.empty((N, H), dtype)  # ∂L/∂sum6[n,h]
        self.d_z12 = cp.empty((N, K), dtype)  # ∂L/∂z12[n,k]
        self.d_y6 = cp.empty((N, H), dtype)  # ∂L/∂y6[n,h]
        self.d_sum5 = cp.empty((N, H), dtype)  # ∂L/∂sum5[n,h]
        self.d_z10 = cp.empty((N, K), dtype)  # ∂L/∂z10[n,k]
        self.d_y5 = cp.empty((N, H), dtype)  # ∂L/∂y5[n,h]
        self.d_sum4 = cp.empty((N, H), dtype)  # ∂L/∂sum4[n,h]
        self.d_z8 = cp.empty((N, K), dtype)  # ∂L/∂z8[n,k]
        self.d_y4 = cp.empty((N, H), dtype)  # ∂L/∂y4[n,h]
        self.d_sum3 = cp.empty((N, H), dtype)  # ∂L/∂sum3[n,h]
        self.d_z6 = cp.empty((N, K), dtype)  # ∂L/∂z6[n,k]
        self.d_y3 = cp.empty((N, H), dtype)  # ∂L/∂y3[n,h]
        self.d_sum2 = cp.empty((N, H), dtype)  # ∂L/∂sum2[n,h]
        self.d_z4 = cp.empty((N, K), dtype)  # ∂L/∂z4[n,k]
        self.d_y2 = cp.empty((N, H), dtype)  # ∂L/∂y2[n,h]
        self.d_sum1 = cp.empty((N, H), dtype)  # ∂L/∂sum1[n,h]
        self.d_z2 = cp.empty((N, K), dtype)  # ∂L/∂z2[n,k]
        self.d_y1 = cp.empty((N, H), dtype)  # ∂L/∂y1[n,h]
        self.d_z1 = cp.empty((N, H), dtype)  # ∂L/∂z1[n,h]


class State:
    """What the optimizer adamw keeps from step to step, and its numbers of one step."""

    def __init__(self, dtype: str = DTYPE) -> None:
        self.kernels = Kernels.of(dtype)
        self.m = cp.zeros(SIZE, dtype)  # m[i]
        self.v = cp.zeros(SIZE, dtype)  # v[i]
        self.g_square = cp.zeros((), np.float64)
        self.g_norm = cp.zeros((), np.float64)
        self.g_scale = cp.zeros((), np.float64)
        self.c2 = cp.zeros((), np.float64)
        self.lr_t = cp.zeros((), np.float64)
        self.t = cp.zeros((), np.int32)  # counts the steps


def init(seed: int = 0) -> Params:
    """Return parameters as training starts with them, drawn by numpy on the host."""
    demand()
    p = Params(np.zeros(SIZE, DTYPE))
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
    return Params(cp.asarray(p.flat))


def forward(p: Params, a: Activations) -> None:
    """Compute the outputs of a batch into `a`."""
    k = a.kernels
    N = a.N

    # z1[n,h] = Σ_d x[n,d] stem_W[d,h] + stem_b[h]
    k.product("z1", 32, 1, N, H, a.x, p.stem_W, p.stem_b, a.z1, N)

    # mean1[n] = Σ_h z1[n,h]/H
    # var1[n] = Σ_h (z1[n,h] - mean1[n])²/H
    # rstd1[n] = 1/√(var1[n] + 1e-05)
    # xhat1[n,h] = (z1[n,h] - mean1[n]) rstd1[n]
    # y1[n,h] = ln1_gain[h] xhat1[n,h] + ln1_shift[h]
    k.by_warp("y1", N, a.z1, p.ln1_gain, p.ln1_shift, a.rstd1, a.xhat1, a.y1, N)

    # z2[n,k] = Σ_h up1_W[h,k] y1[n,h] + up1_b[k]
    # relu1[n,k] = max(0, z2[n,k])
    k.product("relu1", 32, 1, N, K, a.y1, p.up1_W, p.up1_b, a.z2, a.relu1, N)

    # z3[n,h] = Σ_k down1_W[k,h] relu1[n,k] + down1_b[h]
    # sum1[n,h] = z1[n,h] + z3[n,h]
    k.product("sum1", 32, 1, N, H, a.relu1, p.down1_W, p.down1_b, a.z1, a.sum1, N)

    # mean2[n] = Σ_h sum1[n,h]/H
    # var2[n] = Σ_h (sum1[n,h] - mean2[n])²/H
    # rstd2[n] = 1/√(var2[n] + 1e-05)
    # xhat2[n,h] = (sum1[n,h] - mean2[n]) rstd2[n]
    # y2[n,h] = ln2_gain[h] xhat2[n,h] + ln2_shift[h]
    k.by_warp("y1", N, a.sum1, p.ln2_gain, p.ln2_shift, a.rstd2, a.xhat2, a.y2, N)

    # z4[n,k] = Σ_h up2_W[h,k] y2[n,h] + up2_b[k]
    # relu2[n,k] = max(0, z4[n,k])
    k.product("relu1", 32, 1, N, K, a.y2, p.up2_W, p.up2_b, a.z4, a.relu2, N)

    # z5[n,h] = Σ_k down2_W[k,h] relu2[n,k] + down2_b[h]
    # sum2[n,h] = sum1[n,h] + z5[n,h]
    k.product("sum1", 32, 1, N, H, a.relu2, p.down2_W, p.down2_b, a.sum1, a.sum2, N)

    # mean3[n] = Σ_h sum2[n,h]/H
    # var3[n] = Σ_h (sum2[n,h] - mean3[n])²/H
    # rstd3[n] = 1/√(var3[n] + 1e-05)
    # xhat3[n,h] = (sum2[n,h] - mean3[n]) rstd3[n]
    # y3[n,h] = ln3_gain[h] xhat3[n,h] + ln3_shift[h]
    k.by_warp("y1", N, a.sum2, p.ln3_gain, p.ln3_shift, a.rstd3, a.xhat3, a.y3, N)

    # z6[n,k] = Σ_h up3_W[h,k] y3[n,h] + up3_b[k]
    # relu3[n,k] = max(0, z6[n,k])
    k.product("relu1", 32, 1, N, K, a.y3, p.up3_W, p.up3_b, a.z6, a.relu3, N)

    # z7[n,h] = Σ_k down3_W[k,h] relu3[n,k] + down3_b[h]
    # sum3[n,h] = sum2[n,h] + z7[n,h]
    k.product("sum1", 32, 1, N, H, a.relu3, p.down3_W, p.down3_b, a.sum2, a.sum3, N)

    # mean4[n] = Σ_h sum3[n,h]/H
    # var4[n] = Σ_h (sum3[n,h] - mean4[n])²/H
    # rstd4[n] = 1/√(var4[n] + 1e-05)
    # xhat4[n,h] = (sum3[n,h] - mean4[n]) rstd4[n]
    # y4[n,h] = ln4_gain[h] xhat4[n,h] + ln4_shift[h]
    k.by_warp("y1", N, a.sum3, p.ln4_gain, p.ln4_shift, a.rstd4, a.xhat4, a.y4, N)

    # z8[n,k] = Σ_h up4_W[h,k] y4[n,h] + up4_b[k]
    # relu4[n,k] = max(0, z8[n,k])
    k.product("relu1", 32, 1, N, K, a.y4, p.up4_W, p.up4_b, a.z8, a.relu4, N)

    # z9[n,h] = Σ_k down4_W[k,h] relu4[n,k] + down4_b[h]
    # sum4[n,h] = sum3[n,h] + z9[n,h]
    k.product("sum1", 32, 1, N, H, a.relu4, p.down4_W, p.down4_b, a.sum3, a.sum4, N)

    # mean5[n] = Σ_h sum4[n,h]/H
    # var5[n] = Σ_h (sum4[n,h] - mean5[n])²/H
    # rstd5[n] = 1/√(var5[n] + 1e-05)
    # xhat5[n,h] = (sum4[n,h] - mean5[n]) rstd5[n]
    # y5[n,h] = ln5_gain[h] xhat5[n,h] + ln5_shift[h]
    k.by_warp("y1", N, a.sum4, p.ln5_gain, p.ln5_shift, a.rstd5, a.xhat5, a.y5, N)

    # z10[n,k] = Σ_h up5_W[h,k] y5[n,h] + up5_b[k]
    # relu5[n,k] = max(0, z10[n,k])
    k.product("relu1", 32, 1, N, K, a.y5, p.up5_W, p.up5_b, a.z10, a.relu5, N)

    # z11[n,h] = Σ_k down5_W[k,h] relu5[n,k] + down5_b[h]
    # sum5[n,h] = sum4[n,h] + z11[n,h]
    k.product("sum1", 32, 1, N, H, a.relu5, p.down5_W, p.down5_b, a.sum4, a.sum5, N)

    # mean6[n] = Σ_h sum5[n,h]/H
    # var6[n] = Σ_h (sum5[n,h] - mean6[n])²/H
    # rstd6[n] = 1/√(var6[n] + 1e-05)
    # xhat6[n,h] = (sum5[n,h] - mean6[n]) rstd6[n]
    # y6[n,h] = ln6_gain[h] xhat6[n,h] + ln6_shift[h]
    k.by_warp("y1", N, a.sum5, p.ln6_gain, p.ln6_shift, a.rstd6, a.xhat6, a.y6, N)

    # z12[n,k] = Σ_h up6_W[h,k] y6[n,h] + up6_b[k]
    # relu6[n,k] = max(0, z12[n,k])
    k.product("relu1", 32, 1, N, K, a.y6, p.up6_W, p.up6_b, a.z12, a.relu6, N)

    # z13[n,h] = Σ_k down6_W[k,h] relu6[n,k] + down6_b[h]
    # sum6[n,h] = sum5[n,h] + z13[n,h]
    k.product("sum1", 32, 1, N, H, a.relu6, p.down6_W, p.down6_b, a.sum5, a.sum6, N)

    # mean7[n] = Σ_h sum6[n,h]/H
    # var7[n] = Σ_h (sum6[n,h] - mean7[n])²/H
    # rstd7[n] = 1/√(var7[n] + 1e-05)
    # xhat7[n,h] = (sum6[n,h] - mean7[n]) rstd7[n]
    # y7[n,h] = ln7_gain[h] xhat7[n,h] + ln7_shift[h]
    k.by_warp("y1", N, a.sum6, p.ln7_gain, p.ln7_shift, a.rstd7, a.xhat7, a.y7, N)

    # z14[n,k] = Σ_h up7_W[h,k] y7[n,h] + up7_b[k]
    # relu7[n,k] = max(0, z14[n,k])
    k.product("relu1", 32, 1, N, K, a.y7, p.up7_W, p.up7_b, a.z14, a.relu7, N)

    # z15[n,h] = Σ_k down7_W[k,h] relu7[n,k] + down7_b[h]
    # sum7[n,h] = sum6[n,h] + z15[n,h]
    k.product("sum1", 32, 1, N, H, a.relu7, p.down7_W, p.down7_b, a.sum6, a.sum7, N)

    # mean8[n] = Σ_h sum7[n,h]/H
    # var8[n] = Σ_h (sum7[n,h] - mean8[n])²/H
    # rstd8[n] = 1/√(var8[n] + 1e-05)
    # xhat8[n,h] = (sum7[n,h] - mean8[n]) rstd8[n]
    # y8[n,h] = ln8_gain[h] xhat8[n,h] + ln8_shift[h]
    k.by_warp("y1", N, a.sum7, p.ln8_gain, p.ln8_shift, a.rstd8, a.xhat8, a.y8, N)

    # z16[n,k] = Σ_h up8_W[h,k] y8[n,h] + up8_b[k]
    # relu8[n,k] = max(0, z16[n,k])
    k.product("relu1", 32, 1, N, K, a.y8, p.up8_W, p.up8_b, a.z16, a.relu8, N)

    # z17[n,h] = Σ_k down8_W[k,h] relu8[n,k] + down8_b[h]
    # sum8[n,h] = sum7[n,h] + z17[n,h]
    k.product("sum1", 32, 1, N, H, a.relu8, p.down8_W, p.down8_b, a.sum7, a.sum8, N)

    # mean9[n] = Σ_h sum8[n,h]/H
    # var9[n] = Σ_h (sum8[n,h] - mean9[n])²/H
    # rstd9[n] = 1/√(var9[n] + 1e-05)
    # xhat9[n,h] = (sum8[n,h] - mean9[n]) rstd9[n]
    # y9[n,h] = ln9_gain[h] xhat9[n,h] + ln9_shift[h]
    k.by_warp("y1", N, a.sum8, p.ln9_gain, p.ln9_shift, a.rstd9, a.xhat9, a.y9, N)

    # z18[n,k] = Σ_h up9_W[h,k] y9[n,h] + up9_b[k]
    # relu9[n,k] = max(0, z18[n,k])
    k.product("relu1", 32, 1, N, K, a.y9, p.up9_W, p.up9_b, a.z18, a.relu9, N)

    # z19[n,h] = Σ_k down9_W[k,h] relu9[n,k] + down9_b[h]
    # sum9[n,h] = sum8[n,h] + z19[n,h]
    k.product("sum1", 32, 1, N, H, a.relu9, p.down9_W, p.down9_b, a.sum8, a.sum9, N)

    # mean10[n] = Σ_h sum9[n,h]/H
    # var10[n] = Σ_h (sum9[n,h] - mean10[n])²/H
    # rstd10[n] = 1/√(var10[n] + 1e-05)
    # xhat10[n,h] = (sum9[n,h] - mean10[n]) rstd10[n]
    # y10[n,h] = ln10_gain[h] xhat10[n,h] + ln10_shift[h]
    k.by_warp("y1", N, a.sum9, p.ln10_gain, p.ln10_shift, a.rstd10, a.xhat10, a.y10, N)

    # z20[n,k] = Σ_h up10_W[h,k] y10[n,h] + up10_b[k]
    # relu10[n,k] = max(0, z20[n,k])
    k.product("relu1", 32, 1, N, K, a.y10, p.up10_W, p.up10_b, a.z20, a.relu10, N)

    # z21[n,h] = Σ_k down10_W[k,h] relu10[n,k] + down10_b[h]
    # sum10[n,h] = sum9[n,h] + z21[n,h]
    k.product("sum1", 32, 1, N, H, a.relu10, p.down10_W, p.down10_b, a.sum9, a.sum10, N)

    # mean11[n] = Σ_h sum10[n,h]/H
    # var11[n] = Σ_h (sum10[n,h] - mean11[n])²/H
    # rstd11[n] = 1/√(var11[n] + 1e-05)
    # xhat11[n,h] = (sum10[n,h] - mean11[n]) rstd11[n]
    # y11[n,h] = ln11_gain[h] xhat11[n,h] + ln11_shift[h]
    k.by_warp("y1", N, a.sum10, p.ln11_gain, p.ln11_shift, a.rstd11, a.xhat11, a.y11, N)

    # z22[n,k] = Σ_h up11_W[h,k] y11[n,h] + up11_b[k]
    # relu11[n,k] = max(0, z22[n,k])
    k.product("relu1", 32, 1, N, K, a.y11, p.up11_W, p.up11_b, a.z22, a.relu11, N)

    # z23[n,h] = Σ_k down11_W[k,h] relu11[n,k] + down11_b[h]
    # sum11[n,h] = sum10[n,h] + z23[n,h]
    k.product("sum1", 32, 1, N, H, a.relu11, p.down11_W, p.down11_b, a.sum10, a.sum11, N)

    # mean12[n] = Σ_h sum11[n,h]/H
    # var12[n] = Σ_h (sum11[n,h] - mean12[n])²/H
    # rstd12[n] = 1/√(var12[n] + 1e-05)
    # xhat12[n,h] = (sum11[n,h] - mean12[n]) rstd12[n]
    # y12[n,h] = ln12_gain[h] xhat12[n,h] + ln12_shift[h]
    k.by_warp("y1", N, a.sum11, p.ln12_gain, p.ln12_shift, a.rstd12, a.xhat12, a.y12, N)

    # z24[n,k] = Σ_h up12_W[h,k] y12[n,h] + up12_b[k]
    # relu12[n,k] = max(0, z24[n,k])
    k.product("relu1", 32, 1, N, K, a.y12, p.up12_W, p.up12_b, a.z24, a.relu12, N)

    # z25[n,h] = Σ_k down12_W[k,h] relu12[n,k] + down12_b[h]
    # sum12[n,h] = sum11[n,h] + z25[n,h]
    k.product("sum1", 32, 1, N, H, a.relu12, p.down12_W, p.down12_b, a.sum11, a.sum12, N)

    # mean13[n] = Σ_h sum12[n,h]/H
    # var13[n] = Σ_h (sum12[n,h] - mean13[n])²/H
    # rstd13[n] = 1/√(var13[n] + 1e-05)
    # xhat13[n,h] = (sum12[n,h] - mean13[n]) rstd13[n]
    # y13[n,h] = ln13_gain[h] xhat13[n,h] + ln13_shift[h]
    k.by_warp("y1", N, a.sum12, p.ln13_gain, p.ln13_shift, a.rstd13, a.xhat13, a.y13, N)

    # z26[n,k] = Σ_h up13_W[h,k] y13[n,h] + up13_b[k]
    # relu13[n,k] = max(0, z26[n,k])
    k.product("relu1", 32, 1, N, K, a.y13, p.up13_W, p.up13_b, a.z26, a.relu13, N)

    # z27[n,h] = Σ_k down13_W[k,h] relu13[n,k] + down13_b[h]
    # sum13[n,h] = sum12[n,h] + z27[n,h]
    k.product("sum1", 32, 1, N, H, a.relu13, p.down13_W, p.down13_b, a.sum12, a.sum13, N)

    # mean14[n] = Σ_h sum13[n,h]/H
    # var14[n] = Σ_h (sum13[n,h] - mean14[n])²/H
    # rstd14[n] = 1/√(var14[n] + 1e-05)
    # xhat14[n,h] = (sum13[n,h] - mean14[n]) rstd14[n]
    # y14[n,h] = ln14_gain[h] xhat14[n,h] + ln14_shift[h]
    k.by_warp("y1", N, a.sum13, p.ln14_gain, p.ln14_shift, a.rstd14, a.xhat14, a.y14, N)

    # z28[n,k] = Σ_h up14_W[h,k] y14[n,h] + up14_b[k]
    # relu14[n,k] = max(0, z28[n,k])
    k.product("relu1", 32, 1, N, K, a.y14, p.up14_W, p.up14_b, a.z28, a.relu14, N)

    # z29[n,h] = Σ_k down14_W[k,h] relu14[n,k] + down14_b[h]
    # sum14[n,h] = sum13[n,h] + z29[n,h]
    k.product("sum1", 32, 1, N, H, a.relu14, p.down14_W, p.down14_b, a.sum13, a.sum14, N)

    # mean15[n] = Σ_h sum14[n,h]/H
    # var15[n] = Σ_h (sum14[n,h] - mean15[n])²/H
    # rstd15[n] = 1/√(var15[n] + 1e-05)
    # xhat15[n,h] = (sum14[n,h] - mean15[n]) rstd15[n]
    # y15[n,h] = ln15_gain[h] xhat15[n,h] + ln15_shift[h]
    k.by_warp("y1", N, a.sum14, p.ln15_gain, p.ln15_shift, a.rstd15, a.xhat15, a.y15, N)

    # z30[n,k] = Σ_h up15_W[h,k] y15[n,h] + up15_b[k]
    # relu15[n,k] = max(0, z30[n,k])
    k.product("relu1", 32, 1, N, K, a.y15, p.up15_W, p.up15_b, a.z30, a.relu15, N)

    # z31[n,h] = Σ_k down15_W[k,h] relu15[n,k] + down15_b[h]
    # sum15[n,h] = sum14[n,h] + z31[n,h]
    k.product("sum1", 32, 1, N, H, a.relu15, p.down15_W, p.down15_b, a.sum14, a.sum15, N)

    # mean16[n] = Σ_h sum15[n,h]/H
    # var16[n] = Σ_h (sum15[n,h] - mean16[n])²/H
    # rstd16[n] = 1/√(var16[n] + 1e-05)
    # xhat16[n,h] = (sum15[n,h] - mean16[n]) rstd16[n]
    # y16[n,h] = ln16_gain[h] xhat16[n,h] + ln16_shift[h]
    k.by_warp("y1", N, a.sum15, p.ln16_gain, p.ln16_shift, a.rstd16, a.xhat16, a.y16, N)

    # z32[n,k] = Σ_h up16_W[h,k] y16[n,h] + up16_b[k]
    # relu16[n,k] = max(0, z32[n,k])
    k.product("relu1", 32, 1, N, K, a.y16, p.up16_W, p.up16_b, a.z32, a.relu16, N)

    # z33[n,h] = Σ_k down16_W[k,h] relu16[n,k] + down16_b[h]
    # sum16[n,h] = sum15[n,h] + z33[n,h]
    k.product("sum1", 32, 1, N, H, a.relu16, p.down16_W, p.down16_b, a.sum15, a.sum16, N)

    # mean17[n] = Σ_h sum16[n,h]/H
    # var17[n] = Σ_h (sum16[n,h] - mean17[n])²/H
    # rstd17[n] = 1/√(var17[n] + 1e-05)
    # xhat17[n,h] = (sum16[n,h] - mean17[n]) rstd17[n]
    # y17[n,h] = ln17_gain[h] xhat17[n,h] + ln17_shift[h]
    k.by_warp("y1", N, a.sum16, p.ln17_gain, p.ln17_shift, a.rstd17, a.xhat17, a.y17, N)

    # z34[n,k] = Σ_h up17_W[h,k] y17[n,h] + up17_b[k]
    # relu17[n,k] = max(0, z34[n,k])
    k.product("relu1", 32, 1, N, K, a.y17, p.up17_W, p.up17_b, a.z34, a.relu17, N)

    # z35[n,h] = Σ_k down17_W[k,h] relu17[n,k] + down17_b[h]
    # sum17[n,h] = sum16[n,h] + z35[n,h]
    k.product("sum1", 32, 1, N, H, a.relu17, p.down17_W, p.down17_b, a.sum16, a.sum17, N)

    # mean18[n] = Σ_h sum17[n,h]/H
    # var18[n] = Σ_h (sum17[n,h] - mean18[n])²/H
    # rstd18[n] = 1/√(var18[n] + 1e-05)
    # xhat18[n,h] = (sum17[n,h] - mean18[n]) rstd18[n]
    # y18[n,h] = ln18_gain[h] xhat18[n,h] + ln18_shift[h]
    k.by_warp("y1", N, a.sum17, p.ln18_gain, p.ln18_shift, a.rstd18, a.xhat18, a.y18, N)

    # z36[n,k] = Σ_h up18_W[h,k] y18[n,h] + up18_b[k]
    # relu18[n,k] = max(0, z36[n,k])
    k.product("relu1", 32, 1, N, K, a.y18, p.up18_W, p.up18_b, a.z36, a.relu18, N)

    # z37[n,h] = Σ_k down18_W[k,h] relu18[n,k] + down18_b[h]
    # sum18[n,h] = sum17[n,h] + z37[n,h]
    k.product("sum1", 32, 1, N, H, a.relu18, p.down18_W, p.down18_b, a.sum17, a.sum18, N)

    # mean19[n] = Σ_h sum18[n,h]/H
    # var19[n] = Σ_h (sum18[n,h] - mean19[n])²/H
    # rstd19[n] = 1/√(var19[n] + 1e-05)
    # xhat19[n,h] = (sum18[n,h] - mean19[n]) rstd19[n]
    # y19[n,h] = ln19_gain[h] xhat19[n,h] + ln19_shift[h]
    k.by_warp("y1", N, a.sum18, p.ln19_gain, p.ln19_shift, a.rstd19, a.xhat19, a.y19, N)

    # z38[n,k] = Σ_h up19_W[h,k] y19[n,h] + up19_b[k]
    # relu19[n,k] = max(0, z38[n,k])
    k.product("relu1", 32, 1, N, K, a.y19, p.up19_W, p.up19_b, a.z38, a.relu19, N)

    # z39[n,h] = Σ_k down19_W[k,h] relu19[n,k] + down19_b[h]
    # sum19[n,h] = sum18[n,h] + z39[n,h]
    k.product("sum1", 32, 1, N, H, a.relu19, p.down19_W, p.down19_b, a.sum18, a.sum19, N)

    # mean20[n] = Σ_h sum19[n,h]/H
    # var20[n] = Σ_h (sum19[n,h] - mean20[n])²/H
    # rstd20[n] = 1/√(var20[n] + 1e-05)
    # xhat20[n,h] = (sum19[n,h] - mean20[n]) rstd20[n]
    # y20[n,h] = ln20_gain[h] xhat20[n,h] + ln20_shift[h]
    k.by_warp("y1", N, a.sum19, p.ln20_gain, p.ln20_shift, a.rstd20, a.xhat20, a.y20, N)

    # a[n,k] = Σ_h up20_W[h,k] y20[n,h] + up20_b[k]
    # relu20[n,k] = max(0, a[n,k])
    k.product("relu1", 32, 1, N, K, a.y20, p.up20_W, p.up20_b, a.a, a.relu20, N)

    # z40[n,h] = Σ_k down20_W[k,h] relu20[n,k] + down20_b[h]
    # h[n,h] = sum19[n,h] + z40[n,h]
    k.product("sum1", 32, 1, N, H, a.relu20, p.down20_W, p.down20_b, a.sum19, a.h, N)

    # mean21[n] = Σ_h h[n,h]/H
    # var21[n] = Σ_h (h[n,h] - mean21[n])²/H
    # rstd21[n] = 1/√(var21[n] + 1e-05)
    # xhat21[n,h] = (h[n,h] - mean21[n]) rstd21[n]
    # y21[n,h] = ln_gain[h] xhat21[n,h] + ln_shift[h]
    k.by_warp("y1", N, a.h, p.ln_gain, p.ln_shift, a.rstd21, a.xhat21, a.y21, N)

    # logits[n,j] = Σ_h head_W[h,j] y21[n,h] + head_b[j]
    k.product("logits", 16, 1, N, J, a.y21, p.head_W, p.head_b, a.logits, N)


def add_loss(a: Activations) -> None:
    """Go on from the outputs to the loss."""
    k = a.kernels
    N = a.N

    # m[n] = max_j logits[n,j]
    # e[n,j] = exp(logits[n,j] - m[n])
    # s[n] = Σ_j e[n,j]
    # logits_at_digit[n] = logits[n,digit[n]]
    k.by_warp("logits_at_digit", N, a.logits, a.digit, a.m, a.e, a.s, a.logits_at_digit, N)

    # loss = Σ_n (m[n] + log(s[n]) - logits_at_digit[n])/N
    k.by_block("loss", 1, a.m, a.s, a.logits_at_digit, a.loss, N)


def backward(p: Params, g: Grads, a: Workspace) -> None:
    """Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`."""
    k = a.kernels
    N = a.N

    # p[n,j] = e[n,j]/s[n]
    # ∂L/∂logits[n,j] = (p[n,j] - δ(j,digit[n]))/N
    k.each_of("d_logits", N * J, a.s, a.e, a.digit, a.d_logits, N)

    # ∂L/∂head_W[h,j] = Σ_n y21[n,h] ∂L/∂logits[n,j]
    k.product("d_head_W", 16, 1, H, J, a.y21, a.d_logits, g.head_W, N)

    # ∂L/∂head_b[j] = Σ_n ∂L/∂logits[n,j]
    k.by_columns("d_head_b", J, a.d_logits, g.head_b, N)

    # ∂L/∂y21[n,h] = Σ_j head_W[h,j] ∂L/∂logits[n,j]
    k.product("d_y21", 32, 1, N, H, a.d_logits, p.head_W, a.d_y21, N)

    # ∂L/∂ln_gain[h] = Σ_n xhat21[n,h] ∂L/∂y21[n,h]
    k.by_columns("d_ln_gain", H, a.xhat21, a.d_y21, g.ln_gain, N)

    # ∂L/∂ln_shift[h] = Σ_n ∂L/∂y21[n,h]
    k.by_columns("d_ln_shift", H, a.d_y21, g.ln_shift, N)

    # ∂L/∂xhat21[n,h] = ln_gain[h] ∂L/∂y21[n,h]
    # xhat21_dot_d_xhat21[n] = Σ_h xhat21[n,h] ∂L/∂xhat21[n,h]
    # sum_d_xhat21[n] = Σ_h ∂L/∂xhat21[n,h]
    # ∂L/∂h[n,h] = rstd21[n] (∂L/∂xhat21[n,h] - xhat21[n,h] xhat21_dot_d_xhat21[n]/H -
    #     sum_d_xhat21[n]/H)
    k.by_warp("d_h", N, p.ln_gain, a.d_y21, a.xhat21, a.rstd21, a.d_h, N)

    # ∂L/∂down20_W[k,h] = Σ_n relu20[n,k] ∂L/∂h[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu20, a.d_h, g.down20_W, N)

    # ∂L/∂down20_b[h] = Σ_n ∂L/∂h[n,h]
    k.by_columns("d_ln_shift", H, a.d_h, g.down20_b, N)

    # ∂L/∂relu20[n,k] = Σ_h down20_W[k,h] ∂L/∂h[n,h]
    # ∂L/∂a[n,k] = [a[n,k] > 0] ∂L/∂relu20[n,k]
    k.product("d_a", 32, 1, N, K, a.d_h, p.down20_W, a.a, a.d_a, N)

    # ∂L/∂up20_W[h,k] = Σ_n y20[n,h] ∂L/∂a[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y20, a.d_a, g.up20_W, N)

    # ∂L/∂up20_b[k] = Σ_n ∂L/∂a[n,k]
    k.by_columns("d_up20_b", K, a.d_a, g.up20_b, N)

    # ∂L/∂y20[n,h] = Σ_k up20_W[h,k] ∂L/∂a[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_a, p.up20_W, a.d_y20, N)

    # ∂L/∂ln20_gain[h] = Σ_n xhat20[n,h] ∂L/∂y20[n,h]
    k.by_columns("d_ln_gain", H, a.xhat20, a.d_y20, g.ln20_gain, N)

    # ∂L/∂ln20_shift[h] = Σ_n ∂L/∂y20[n,h]
    k.by_columns("d_ln_shift", H, a.d_y20, g.ln20_shift, N)

    # ∂L/∂xhat20[n,h] = ln20_gain[h] ∂L/∂y20[n,h]
    # xhat20_dot_d_xhat20[n] = Σ_h xhat20[n,h] ∂L/∂xhat20[n,h]
    # sum_d_xhat20[n] = Σ_h ∂L/∂xhat20[n,h]
    # ∂L/∂sum19[n,h] = rstd20[n] ∂L/∂xhat20[n,h] + ∂L/∂h[n,h] - rstd20[n] sum_d_xhat20[n]/H -
    #     rstd20[n] xhat20[n,h] xhat20_dot_d_xhat20[n]/H
    k.by_warp("d_sum19", N, p.ln20_gain, a.d_y20, a.xhat20, a.rstd20, a.d_h, a.d_sum19, N)

    # ∂L/∂down19_W[k,h] = Σ_n relu19[n,k] ∂L/∂sum19[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu19, a.d_sum19, g.down19_W, N)

    # ∂L/∂down19_b[h] = Σ_n ∂L/∂sum19[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum19, g.down19_b, N)

    # ∂L/∂relu19[n,k] = Σ_h down19_W[k,h] ∂L/∂sum19[n,h]
    # ∂L/∂z38[n,k] = [z38[n,k] > 0] ∂L/∂relu19[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum19, p.down19_W, a.z38, a.d_z38, N)

    # ∂L/∂up19_W[h,k] = Σ_n y19[n,h] ∂L/∂z38[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y19, a.d_z38, g.up19_W, N)

    # ∂L/∂up19_b[k] = Σ_n ∂L/∂z38[n,k]
    k.by_columns("d_up20_b", K, a.d_z38, g.up19_b, N)

    # ∂L/∂y19[n,h] = Σ_k up19_W[h,k] ∂L/∂z38[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z38, p.up19_W, a.d_y19, N)

    # ∂L/∂ln19_gain[h] = Σ_n xhat19[n,h] ∂L/∂y19[n,h]
    k.by_columns("d_ln_gain", H, a.xhat19, a.d_y19, g.ln19_gain, N)

    # ∂L/∂ln19_shift[h] = Σ_n ∂L/∂y19[n,h]
    k.by_columns("d_ln_shift", H, a.d_y19, g.ln19_shift, N)

    # ∂L/∂xhat19[n,h] = ln19_gain[h] ∂L/∂y19[n,h]
    # xhat19_dot_d_xhat19[n] = Σ_h xhat19[n,h] ∂L/∂xhat19[n,h]
    # sum_d_xhat19[n] = Σ_h ∂L/∂xhat19[n,h]
    # ∂L/∂sum18[n,h] = rstd19[n] ∂L/∂xhat19[n,h] + ∂L/∂sum19[n,h] - rstd19[n] sum_d_xhat19[n]/H -
    #     rstd19[n] xhat19[n,h] xhat19_dot_d_xhat19[n]/H
    k.by_warp("d_sum19", N, p.ln19_gain, a.d_y19, a.xhat19, a.rstd19, a.d_sum19, a.d_sum18, N)

    # ∂L/∂down18_W[k,h] = Σ_n relu18[n,k] ∂L/∂sum18[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu18, a.d_sum18, g.down18_W, N)

    # ∂L/∂down18_b[h] = Σ_n ∂L/∂sum18[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum18, g.down18_b, N)

    # ∂L/∂relu18[n,k] = Σ_h down18_W[k,h] ∂L/∂sum18[n,h]
    # ∂L/∂z36[n,k] = [z36[n,k] > 0] ∂L/∂relu18[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum18, p.down18_W, a.z36, a.d_z36, N)

    # ∂L/∂up18_W[h,k] = Σ_n y18[n,h] ∂L/∂z36[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y18, a.d_z36, g.up18_W, N)

    # ∂L/∂up18_b[k] = Σ_n ∂L/∂z36[n,k]
    k.by_columns("d_up20_b", K, a.d_z36, g.up18_b, N)

    # ∂L/∂y18[n,h] = Σ_k up18_W[h,k] ∂L/∂z36[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z36, p.up18_W, a.d_y18, N)

    # ∂L/∂ln18_gain[h] = Σ_n xhat18[n,h] ∂L/∂y18[n,h]
    k.by_columns("d_ln_gain", H, a.xhat18, a.d_y18, g.ln18_gain, N)

    # ∂L/∂ln18_shift[h] = Σ_n ∂L/∂y18[n,h]
    k.by_columns("d_ln_shift", H, a.d_y18, g.ln18_shift, N)

    # ∂L/∂xhat18[n,h] = ln18_gain[h] ∂L/∂y18[n,h]
    # xhat18_dot_d_xhat18[n] = Σ_h xhat18[n,h] ∂L/∂xhat18[n,h]
    # sum_d_xhat18[n] = Σ_h ∂L/∂xhat18[n,h]
    # ∂L/∂sum17[n,h] = rstd18[n] ∂L/∂xhat18[n,h] + ∂L/∂sum18[n,h] - rstd18[n] sum_d_xhat18[n]/H -
    #     rstd18[n] xhat18[n,h] xhat18_dot_d_xhat18[n]/H
    k.by_warp("d_sum19", N, p.ln18_gain, a.d_y18, a.xhat18, a.rstd18, a.d_sum18, a.d_sum17, N)

    # ∂L/∂down17_W[k,h] = Σ_n relu17[n,k] ∂L/∂sum17[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu17, a.d_sum17, g.down17_W, N)

    # ∂L/∂down17_b[h] = Σ_n ∂L/∂sum17[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum17, g.down17_b, N)

    # ∂L/∂relu17[n,k] = Σ_h down17_W[k,h] ∂L/∂sum17[n,h]
    # ∂L/∂z34[n,k] = [z34[n,k] > 0] ∂L/∂relu17[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum17, p.down17_W, a.z34, a.d_z34, N)

    # ∂L/∂up17_W[h,k] = Σ_n y17[n,h] ∂L/∂z34[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y17, a.d_z34, g.up17_W, N)

    # ∂L/∂up17_b[k] = Σ_n ∂L/∂z34[n,k]
    k.by_columns("d_up20_b", K, a.d_z34, g.up17_b, N)

    # ∂L/∂y17[n,h] = Σ_k up17_W[h,k] ∂L/∂z34[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z34, p.up17_W, a.d_y17, N)

    # ∂L/∂ln17_gain[h] = Σ_n xhat17[n,h] ∂L/∂y17[n,h]
    k.by_columns("d_ln_gain", H, a.xhat17, a.d_y17, g.ln17_gain, N)

    # ∂L/∂ln17_shift[h] = Σ_n ∂L/∂y17[n,h]
    k.by_columns("d_ln_shift", H, a.d_y17, g.ln17_shift, N)

    # ∂L/∂xhat17[n,h] = ln17_gain[h] ∂L/∂y17[n,h]
    # xhat17_dot_d_xhat17[n] = Σ_h xhat17[n,h] ∂L/∂xhat17[n,h]
    # sum_d_xhat17[n] = Σ_h ∂L/∂xhat17[n,h]
    # ∂L/∂sum16[n,h] = rstd17[n] ∂L/∂xhat17[n,h] + ∂L/∂sum17[n,h] - rstd17[n] sum_d_xhat17[n]/H -
    #     rstd17[n] xhat17[n,h] xhat17_dot_d_xhat17[n]/H
    k.by_warp("d_sum19", N, p.ln17_gain, a.d_y17, a.xhat17, a.rstd17, a.d_sum17, a.d_sum16, N)

    # ∂L/∂down16_W[k,h] = Σ_n relu16[n,k] ∂L/∂sum16[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu16, a.d_sum16, g.down16_W, N)

    # ∂L/∂down16_b[h] = Σ_n ∂L/∂sum16[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum16, g.down16_b, N)

    # ∂L/∂relu16[n,k] = Σ_h down16_W[k,h] ∂L/∂sum16[n,h]
    # ∂L/∂z32[n,k] = [z32[n,k] > 0] ∂L/∂relu16[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum16, p.down16_W, a.z32, a.d_z32, N)

    # ∂L/∂up16_W[h,k] = Σ_n y16[n,h] ∂L/∂z32[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y16, a.d_z32, g.up16_W, N)

    # ∂L/∂up16_b[k] = Σ_n ∂L/∂z32[n,k]
    k.by_columns("d_up20_b", K, a.d_z32, g.up16_b, N)

    # ∂L/∂y16[n,h] = Σ_k up16_W[h,k] ∂L/∂z32[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z32, p.up16_W, a.d_y16, N)

    # ∂L/∂ln16_gain[h] = Σ_n xhat16[n,h] ∂L/∂y16[n,h]
    k.by_columns("d_ln_gain", H, a.xhat16, a.d_y16, g.ln16_gain, N)

    # ∂L/∂ln16_shift[h] = Σ_n ∂L/∂y16[n,h]
    k.by_columns("d_ln_shift", H, a.d_y16, g.ln16_shift, N)

    # ∂L/∂xhat16[n,h] = ln16_gain[h] ∂L/∂y16[n,h]
    # xhat16_dot_d_xhat16[n] = Σ_h xhat16[n,h] ∂L/∂xhat16[n,h]
    # sum_d_xhat16[n] = Σ_h ∂L/∂xhat16[n,h]
    # ∂L/∂sum15[n,h] = rstd16[n] ∂L/∂xhat16[n,h] + ∂L/∂sum16[n,h] - rstd16[n] sum_d_xhat16[n]/H -
    #     rstd16[n] xhat16[n,h] xhat16_dot_d_xhat16[n]/H
    k.by_warp("d_sum19", N, p.ln16_gain, a.d_y16, a.xhat16, a.rstd16, a.d_sum16, a.d_sum15, N)

    # ∂L/∂down15_W[k,h] = Σ_n relu15[n,k] ∂L/∂sum15[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu15, a.d_sum15, g.down15_W, N)

    # ∂L/∂down15_b[h] = Σ_n ∂L/∂sum15[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum15, g.down15_b, N)

    # ∂L/∂relu15[n,k] = Σ_h down15_W[k,h] ∂L/∂sum15[n,h]
    # ∂L/∂z30[n,k] = [z30[n,k] > 0] ∂L/∂relu15[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum15, p.down15_W, a.z30, a.d_z30, N)

    # ∂L/∂up15_W[h,k] = Σ_n y15[n,h] ∂L/∂z30[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y15, a.d_z30, g.up15_W, N)

    # ∂L/∂up15_b[k] = Σ_n ∂L/∂z30[n,k]
    k.by_columns("d_up20_b", K, a.d_z30, g.up15_b, N)

    # ∂L/∂y15[n,h] = Σ_k up15_W[h,k] ∂L/∂z30[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z30, p.up15_W, a.d_y15, N)

    # ∂L/∂ln15_gain[h] = Σ_n xhat15[n,h] ∂L/∂y15[n,h]
    k.by_columns("d_ln_gain", H, a.xhat15, a.d_y15, g.ln15_gain, N)

    # ∂L/∂ln15_shift[h] = Σ_n ∂L/∂y15[n,h]
    k.by_columns("d_ln_shift", H, a.d_y15, g.ln15_shift, N)

    # ∂L/∂xhat15[n,h] = ln15_gain[h] ∂L/∂y15[n,h]
    # xhat15_dot_d_xhat15[n] = Σ_h xhat15[n,h] ∂L/∂xhat15[n,h]
    # sum_d_xhat15[n] = Σ_h ∂L/∂xhat15[n,h]
    # ∂L/∂sum14[n,h] = rstd15[n] ∂L/∂xhat15[n,h] + ∂L/∂sum15[n,h] - rstd15[n] sum_d_xhat15[n]/H -
    #     rstd15[n] xhat15[n,h] xhat15_dot_d_xhat15[n]/H
    k.by_warp("d_sum19", N, p.ln15_gain, a.d_y15, a.xhat15, a.rstd15, a.d_sum15, a.d_sum14, N)

    # ∂L/∂down14_W[k,h] = Σ_n relu14[n,k] ∂L/∂sum14[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu14, a.d_sum14, g.down14_W, N)

    # ∂L/∂down14_b[h] = Σ_n ∂L/∂sum14[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum14, g.down14_b, N)

    # ∂L/∂relu14[n,k] = Σ_h down14_W[k,h] ∂L/∂sum14[n,h]
    # ∂L/∂z28[n,k] = [z28[n,k] > 0] ∂L/∂relu14[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum14, p.down14_W, a.z28, a.d_z28, N)

    # ∂L/∂up14_W[h,k] = Σ_n y14[n,h] ∂L/∂z28[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y14, a.d_z28, g.up14_W, N)

    # ∂L/∂up14_b[k] = Σ_n ∂L/∂z28[n,k]
    k.by_columns("d_up20_b", K, a.d_z28, g.up14_b, N)

    # ∂L/∂y14[n,h] = Σ_k up14_W[h,k] ∂L/∂z28[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z28, p.up14_W, a.d_y14, N)

    # ∂L/∂ln14_gain[h] = Σ_n xhat14[n,h] ∂L/∂y14[n,h]
    k.by_columns("d_ln_gain", H, a.xhat14, a.d_y14, g.ln14_gain, N)

    # ∂L/∂ln14_shift[h] = Σ_n ∂L/∂y14[n,h]
    k.by_columns("d_ln_shift", H, a.d_y14, g.ln14_shift, N)

    # ∂L/∂xhat14[n,h] = ln14_gain[h] ∂L/∂y14[n,h]
    # xhat14_dot_d_xhat14[n] = Σ_h xhat14[n,h] ∂L/∂xhat14[n,h]
    # sum_d_xhat14[n] = Σ_h ∂L/∂xhat14[n,h]
    # ∂L/∂sum13[n,h] = rstd14[n] ∂L/∂xhat14[n,h] + ∂L/∂sum14[n,h] - rstd14[n] sum_d_xhat14[n]/H -
    #     rstd14[n] xhat14[n,h] xhat14_dot_d_xhat14[n]/H
    k.by_warp("d_sum19", N, p.ln14_gain, a.d_y14, a.xhat14, a.rstd14, a.d_sum14, a.d_sum13, N)

    # ∂L/∂down13_W[k,h] = Σ_n relu13[n,k] ∂L/∂sum13[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu13, a.d_sum13, g.down13_W, N)

    # ∂L/∂down13_b[h] = Σ_n ∂L/∂sum13[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum13, g.down13_b, N)

    # ∂L/∂relu13[n,k] = Σ_h down13_W[k,h] ∂L/∂sum13[n,h]
    # ∂L/∂z26[n,k] = [z26[n,k] > 0] ∂L/∂relu13[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum13, p.down13_W, a.z26, a.d_z26, N)

    # ∂L/∂up13_W[h,k] = Σ_n y13[n,h] ∂L/∂z26[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y13, a.d_z26, g.up13_W, N)

    # ∂L/∂up13_b[k] = Σ_n ∂L/∂z26[n,k]
    k.by_columns("d_up20_b", K, a.d_z26, g.up13_b, N)

    # ∂L/∂y13[n,h] = Σ_k up13_W[h,k] ∂L/∂z26[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z26, p.up13_W, a.d_y13, N)

    # ∂L/∂ln13_gain[h] = Σ_n xhat13[n,h] ∂L/∂y13[n,h]
    k.by_columns("d_ln_gain", H, a.xhat13, a.d_y13, g.ln13_gain, N)

    # ∂L/∂ln13_shift[h] = Σ_n ∂L/∂y13[n,h]
    k.by_columns("d_ln_shift", H, a.d_y13, g.ln13_shift, N)

    # ∂L/∂xhat13[n,h] = ln13_gain[h] ∂L/∂y13[n,h]
    # xhat13_dot_d_xhat13[n] = Σ_h xhat13[n,h] ∂L/∂xhat13[n,h]
    # sum_d_xhat13[n] = Σ_h ∂L/∂xhat13[n,h]
    # ∂L/∂sum12[n,h] = rstd13[n] ∂L/∂xhat13[n,h] + ∂L/∂sum13[n,h] - rstd13[n] sum_d_xhat13[n]/H -
    #     rstd13[n] xhat13[n,h] xhat13_dot_d_xhat13[n]/H
    k.by_warp("d_sum19", N, p.ln13_gain, a.d_y13, a.xhat13, a.rstd13, a.d_sum13, a.d_sum12, N)

    # ∂L/∂down12_W[k,h] = Σ_n relu12[n,k] ∂L/∂sum12[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu12, a.d_sum12, g.down12_W, N)

    # ∂L/∂down12_b[h] = Σ_n ∂L/∂sum12[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum12, g.down12_b, N)

    # ∂L/∂relu12[n,k] = Σ_h down12_W[k,h] ∂L/∂sum12[n,h]
    # ∂L/∂z24[n,k] = [z24[n,k] > 0] ∂L/∂relu12[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum12, p.down12_W, a.z24, a.d_z24, N)

    # ∂L/∂up12_W[h,k] = Σ_n y12[n,h] ∂L/∂z24[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y12, a.d_z24, g.up12_W, N)

    # ∂L/∂up12_b[k] = Σ_n ∂L/∂z24[n,k]
    k.by_columns("d_up20_b", K, a.d_z24, g.up12_b, N)

    # ∂L/∂y12[n,h] = Σ_k up12_W[h,k] ∂L/∂z24[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z24, p.up12_W, a.d_y12, N)

    # ∂L/∂ln12_gain[h] = Σ_n xhat12[n,h] ∂L/∂y12[n,h]
    k.by_columns("d_ln_gain", H, a.xhat12, a.d_y12, g.ln12_gain, N)

    # ∂L/∂ln12_shift[h] = Σ_n ∂L/∂y12[n,h]
    k.by_columns("d_ln_shift", H, a.d_y12, g.ln12_shift, N)

    # ∂L/∂xhat12[n,h] = ln12_gain[h] ∂L/∂y12[n,h]
    # xhat12_dot_d_xhat12[n] = Σ_h xhat12[n,h] ∂L/∂xhat12[n,h]
    # sum_d_xhat12[n] = Σ_h ∂L/∂xhat12[n,h]
    # ∂L/∂sum11[n,h] = rstd12[n] ∂L/∂xhat12[n,h] + ∂L/∂sum12[n,h] - rstd12[n] sum_d_xhat12[n]/H -
    #     rstd12[n] xhat12[n,h] xhat12_dot_d_xhat12[n]/H
    k.by_warp("d_sum19", N, p.ln12_gain, a.d_y12, a.xhat12, a.rstd12, a.d_sum12, a.d_sum11, N)

    # ∂L/∂down11_W[k,h] = Σ_n relu11[n,k] ∂L/∂sum11[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu11, a.d_sum11, g.down11_W, N)

    # ∂L/∂down11_b[h] = Σ_n ∂L/∂sum11[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum11, g.down11_b, N)

    # ∂L/∂relu11[n,k] = Σ_h down11_W[k,h] ∂L/∂sum11[n,h]
    # ∂L/∂z22[n,k] = [z22[n,k] > 0] ∂L/∂relu11[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum11, p.down11_W, a.z22, a.d_z22, N)

    # ∂L/∂up11_W[h,k] = Σ_n y11[n,h] ∂L/∂z22[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y11, a.d_z22, g.up11_W, N)

    # ∂L/∂up11_b[k] = Σ_n ∂L/∂z22[n,k]
    k.by_columns("d_up20_b", K, a.d_z22, g.up11_b, N)

    # ∂L/∂y11[n,h] = Σ_k up11_W[h,k] ∂L/∂z22[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z22, p.up11_W, a.d_y11, N)

    # ∂L/∂ln11_gain[h] = Σ_n xhat11[n,h] ∂L/∂y11[n,h]
    k.by_columns("d_ln_gain", H, a.xhat11, a.d_y11, g.ln11_gain, N)

    # ∂L/∂ln11_shift[h] = Σ_n ∂L/∂y11[n,h]
    k.by_columns("d_ln_shift", H, a.d_y11, g.ln11_shift, N)

    # ∂L/∂xhat11[n,h] = ln11_gain[h] ∂L/∂y11[n,h]
    # xhat11_dot_d_xhat11[n] = Σ_h xhat11[n,h] ∂L/∂xhat11[n,h]
    # sum_d_xhat11[n] = Σ_h ∂L/∂xhat11[n,h]
    # ∂L/∂sum10[n,h] = rstd11[n] ∂L/∂xhat11[n,h] + ∂L/∂sum11[n,h] - rstd11[n] sum_d_xhat11[n]/H -
    #     rstd11[n] xhat11[n,h] xhat11_dot_d_xhat11[n]/H
    k.by_warp("d_sum19", N, p.ln11_gain, a.d_y11, a.xhat11, a.rstd11, a.d_sum11, a.d_sum10, N)

    # ∂L/∂down10_W[k,h] = Σ_n relu10[n,k] ∂L/∂sum10[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu10, a.d_sum10, g.down10_W, N)

    # ∂L/∂down10_b[h] = Σ_n ∂L/∂sum10[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum10, g.down10_b, N)

    # ∂L/∂relu10[n,k] = Σ_h down10_W[k,h] ∂L/∂sum10[n,h]
    # ∂L/∂z20[n,k] = [z20[n,k] > 0] ∂L/∂relu10[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum10, p.down10_W, a.z20, a.d_z20, N)

    # ∂L/∂up10_W[h,k] = Σ_n y10[n,h] ∂L/∂z20[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y10, a.d_z20, g.up10_W, N)

    # ∂L/∂up10_b[k] = Σ_n ∂L/∂z20[n,k]
    k.by_columns("d_up20_b", K, a.d_z20, g.up10_b, N)

    # ∂L/∂y10[n,h] = Σ_k up10_W[h,k] ∂L/∂z20[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z20, p.up10_W, a.d_y10, N)

    # ∂L/∂ln10_gain[h] = Σ_n xhat10[n,h] ∂L/∂y10[n,h]
    k.by_columns("d_ln_gain", H, a.xhat10, a.d_y10, g.ln10_gain, N)

    # ∂L/∂ln10_shift[h] = Σ_n ∂L/∂y10[n,h]
    k.by_columns("d_ln_shift", H, a.d_y10, g.ln10_shift, N)

    # ∂L/∂xhat10[n,h] = ln10_gain[h] ∂L/∂y10[n,h]
    # xhat10_dot_d_xhat10[n] = Σ_h xhat10[n,h] ∂L/∂xhat10[n,h]
    # sum_d_xhat10[n] = Σ_h ∂L/∂xhat10[n,h]
    # ∂L/∂sum9[n,h] = rstd10[n] ∂L/∂xhat10[n,h] + ∂L/∂sum10[n,h] - rstd10[n] sum_d_xhat10[n]/H -
    #     rstd10[n] xhat10[n,h] xhat10_dot_d_xhat10[n]/H
    k.by_warp("d_sum19", N, p.ln10_gain, a.d_y10, a.xhat10, a.rstd10, a.d_sum10, a.d_sum9, N)

    # ∂L/∂down9_W[k,h] = Σ_n relu9[n,k] ∂L/∂sum9[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu9, a.d_sum9, g.down9_W, N)

    # ∂L/∂down9_b[h] = Σ_n ∂L/∂sum9[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum9, g.down9_b, N)

    # ∂L/∂relu9[n,k] = Σ_h down9_W[k,h] ∂L/∂sum9[n,h]
    # ∂L/∂z18[n,k] = [z18[n,k] > 0] ∂L/∂relu9[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum9, p.down9_W, a.z18, a.d_z18, N)

    # ∂L/∂up9_W[h,k] = Σ_n y9[n,h] ∂L/∂z18[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y9, a.d_z18, g.up9_W, N)

    # ∂L/∂up9_b[k] = Σ_n ∂L/∂z18[n,k]
    k.by_columns("d_up20_b", K, a.d_z18, g.up9_b, N)

    # ∂L/∂y9[n,h] = Σ_k up9_W[h,k] ∂L/∂z18[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z18, p.up9_W, a.d_y9, N)

    # ∂L/∂ln9_gain[h] = Σ_n xhat9[n,h] ∂L/∂y9[n,h]
    k.by_columns("d_ln_gain", H, a.xhat9, a.d_y9, g.ln9_gain, N)

    # ∂L/∂ln9_shift[h] = Σ_n ∂L/∂y9[n,h]
    k.by_columns("d_ln_shift", H, a.d_y9, g.ln9_shift, N)

    # ∂L/∂xhat9[n,h] = ln9_gain[h] ∂L/∂y9[n,h]
    # xhat9_dot_d_xhat9[n] = Σ_h xhat9[n,h] ∂L/∂xhat9[n,h]
    # sum_d_xhat9[n] = Σ_h ∂L/∂xhat9[n,h]
    # ∂L/∂sum8[n,h] = rstd9[n] ∂L/∂xhat9[n,h] + ∂L/∂sum9[n,h] - rstd9[n] sum_d_xhat9[n]/H - rstd9[n]
    #     xhat9[n,h] xhat9_dot_d_xhat9[n]/H
    k.by_warp("d_sum19", N, p.ln9_gain, a.d_y9, a.xhat9, a.rstd9, a.d_sum9, a.d_sum8, N)

    # ∂L/∂down8_W[k,h] = Σ_n relu8[n,k] ∂L/∂sum8[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu8, a.d_sum8, g.down8_W, N)

    # ∂L/∂down8_b[h] = Σ_n ∂L/∂sum8[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum8, g.down8_b, N)

    # ∂L/∂relu8[n,k] = Σ_h down8_W[k,h] ∂L/∂sum8[n,h]
    # ∂L/∂z16[n,k] = [z16[n,k] > 0] ∂L/∂relu8[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum8, p.down8_W, a.z16, a.d_z16, N)

    # ∂L/∂up8_W[h,k] = Σ_n y8[n,h] ∂L/∂z16[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y8, a.d_z16, g.up8_W, N)

    # ∂L/∂up8_b[k] = Σ_n ∂L/∂z16[n,k]
    k.by_columns("d_up20_b", K, a.d_z16, g.up8_b, N)

    # ∂L/∂y8[n,h] = Σ_k up8_W[h,k] ∂L/∂z16[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z16, p.up8_W, a.d_y8, N)

    # ∂L/∂ln8_gain[h] = Σ_n xhat8[n,h] ∂L/∂y8[n,h]
    k.by_columns("d_ln_gain", H, a.xhat8, a.d_y8, g.ln8_gain, N)

    # ∂L/∂ln8_shift[h] = Σ_n ∂L/∂y8[n,h]
    k.by_columns("d_ln_shift", H, a.d_y8, g.ln8_shift, N)

    # ∂L/∂xhat8[n,h] = ln8_gain[h] ∂L/∂y8[n,h]
    # xhat8_dot_d_xhat8[n] = Σ_h xhat8[n,h] ∂L/∂xhat8[n,h]
    # sum_d_xhat8[n] = Σ_h ∂L/∂xhat8[n,h]
    # ∂L/∂sum7[n,h] = rstd8[n] ∂L/∂xhat8[n,h] + ∂L/∂sum8[n,h] - rstd8[n] sum_d_xhat8[n]/H - rstd8[n]
    #     xhat8[n,h] xhat8_dot_d_xhat8[n]/H
    k.by_warp("d_sum19", N, p.ln8_gain, a.d_y8, a.xhat8, a.rstd8, a.d_sum8, a.d_sum7, N)

    # ∂L/∂down7_W[k,h] = Σ_n relu7[n,k] ∂L/∂sum7[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu7, a.d_sum7, g.down7_W, N)

    # ∂L/∂down7_b[h] = Σ_n ∂L/∂sum7[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum7, g.down7_b, N)

    # ∂L/∂relu7[n,k] = Σ_h down7_W[k,h] ∂L/∂sum7[n,h]
    # ∂L/∂z14[n,k] = [z14[n,k] > 0] ∂L/∂relu7[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum7, p.down7_W, a.z14, a.d_z14, N)

    # ∂L/∂up7_W[h,k] = Σ_n y7[n,h] ∂L/∂z14[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y7, a.d_z14, g.up7_W, N)

    # ∂L/∂up7_b[k] = Σ_n ∂L/∂z14[n,k]
    k.by_columns("d_up20_b", K, a.d_z14, g.up7_b, N)

    # ∂L/∂y7[n,h] = Σ_k up7_W[h,k] ∂L/∂z14[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z14, p.up7_W, a.d_y7, N)

    # ∂L/∂ln7_gain[h] = Σ_n xhat7[n,h] ∂L/∂y7[n,h]
    k.by_columns("d_ln_gain", H, a.xhat7, a.d_y7, g.ln7_gain, N)

    # ∂L/∂ln7_shift[h] = Σ_n ∂L/∂y7[n,h]
    k.by_columns("d_ln_shift", H, a.d_y7, g.ln7_shift, N)

    # ∂L/∂xhat7[n,h] = ln7_gain[h] ∂L/∂y7[n,h]
    # xhat7_dot_d_xhat7[n] = Σ_h xhat7[n,h] ∂L/∂xhat7[n,h]
    # sum_d_xhat7[n] = Σ_h ∂L/∂xhat7[n,h]
    # ∂L/∂sum6[n,h] = rstd7[n] ∂L/∂xhat7[n,h] + ∂L/∂sum7[n,h] - rstd7[n] sum_d_xhat7[n]/H - rstd7[n]
    #     xhat7[n,h] xhat7_dot_d_xhat7[n]/H
    k.by_warp("d_sum19", N, p.ln7_gain, a.d_y7, a.xhat7, a.rstd7, a.d_sum7, a.d_sum6, N)

    # ∂L/∂down6_W[k,h] = Σ_n relu6[n,k] ∂L/∂sum6[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu6, a.d_sum6, g.down6_W, N)

    # ∂L/∂down6_b[h] = Σ_n ∂L/∂sum6[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum6, g.down6_b, N)

    # ∂L/∂relu6[n,k] = Σ_h down6_W[k,h] ∂L/∂sum6[n,h]
    # ∂L/∂z12[n,k] = [z12[n,k] > 0] ∂L/∂relu6[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum6, p.down6_W, a.z12, a.d_z12, N)

    # ∂L/∂up6_W[h,k] = Σ_n y6[n,h] ∂L/∂z12[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y6, a.d_z12, g.up6_W, N)

    # ∂L/∂up6_b[k] = Σ_n ∂L/∂z12[n,k]
    k.by_columns("d_up20_b", K, a.d_z12, g.up6_b, N)

    # ∂L/∂y6[n,h] = Σ_k up6_W[h,k] ∂L/∂z12[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z12, p.up6_W, a.d_y6, N)

    # ∂L/∂ln6_gain[h] = Σ_n xhat6[n,h] ∂L/∂y6[n,h]
    k.by_columns("d_ln_gain", H, a.xhat6, a.d_y6, g.ln6_gain, N)

    # ∂L/∂ln6_shift[h] = Σ_n ∂L/∂y6[n,h]
    k.by_columns("d_ln_shift", H, a.d_y6, g.ln6_shift, N)

    # ∂L/∂xhat6[n,h] = ln6_gain[h] ∂L/∂y6[n,h]
    # xhat6_dot_d_xhat6[n] = Σ_h xhat6[n,h] ∂L/∂xhat6[n,h]
    # sum_d_xhat6[n] = Σ_h ∂L/∂xhat6[n,h]
    # ∂L/∂sum5[n,h] = rstd6[n] ∂L/∂xhat6[n,h] + ∂L/∂sum6[n,h] - rstd6[n] sum_d_xhat6[n]/H - rstd6[n]
    #     xhat6[n,h] xhat6_dot_d_xhat6[n]/H
    k.by_warp("d_sum19", N, p.ln6_gain, a.d_y6, a.xhat6, a.rstd6, a.d_sum6, a.d_sum5, N)

    # ∂L/∂down5_W[k,h] = Σ_n relu5[n,k] ∂L/∂sum5[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu5, a.d_sum5, g.down5_W, N)

    # ∂L/∂down5_b[h] = Σ_n ∂L/∂sum5[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum5, g.down5_b, N)

    # ∂L/∂relu5[n,k] = Σ_h down5_W[k,h] ∂L/∂sum5[n,h]
    # ∂L/∂z10[n,k] = [z10[n,k] > 0] ∂L/∂relu5[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum5, p.down5_W, a.z10, a.d_z10, N)

    # ∂L/∂up5_W[h,k] = Σ_n y5[n,h] ∂L/∂z10[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y5, a.d_z10, g.up5_W, N)

    # ∂L/∂up5_b[k] = Σ_n ∂L/∂z10[n,k]
    k.by_columns("d_up20_b", K, a.d_z10, g.up5_b, N)

    # ∂L/∂y5[n,h] = Σ_k up5_W[h,k] ∂L/∂z10[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z10, p.up5_W, a.d_y5, N)

    # ∂L/∂ln5_gain[h] = Σ_n xhat5[n,h] ∂L/∂y5[n,h]
    k.by_columns("d_ln_gain", H, a.xhat5, a.d_y5, g.ln5_gain, N)

    # ∂L/∂ln5_shift[h] = Σ_n ∂L/∂y5[n,h]
    k.by_columns("d_ln_shift", H, a.d_y5, g.ln5_shift, N)

    # ∂L/∂xhat5[n,h] = ln5_gain[h] ∂L/∂y5[n,h]
    # xhat5_dot_d_xhat5[n] = Σ_h xhat5[n,h] ∂L/∂xhat5[n,h]
    # sum_d_xhat5[n] = Σ_h ∂L/∂xhat5[n,h]
    # ∂L/∂sum4[n,h] = rstd5[n] ∂L/∂xhat5[n,h] + ∂L/∂sum5[n,h] - rstd5[n] sum_d_xhat5[n]/H - rstd5[n]
    #     xhat5[n,h] xhat5_dot_d_xhat5[n]/H
    k.by_warp("d_sum19", N, p.ln5_gain, a.d_y5, a.xhat5, a.rstd5, a.d_sum5, a.d_sum4, N)

    # ∂L/∂down4_W[k,h] = Σ_n relu4[n,k] ∂L/∂sum4[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu4, a.d_sum4, g.down4_W, N)

    # ∂L/∂down4_b[h] = Σ_n ∂L/∂sum4[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum4, g.down4_b, N)

    # ∂L/∂relu4[n,k] = Σ_h down4_W[k,h] ∂L/∂sum4[n,h]
    # ∂L/∂z8[n,k] = [z8[n,k] > 0] ∂L/∂relu4[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum4, p.down4_W, a.z8, a.d_z8, N)

    # ∂L/∂up4_W[h,k] = Σ_n y4[n,h] ∂L/∂z8[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y4, a.d_z8, g.up4_W, N)

    # ∂L/∂up4_b[k] = Σ_n ∂L/∂z8[n,k]
    k.by_columns("d_up20_b", K, a.d_z8, g.up4_b, N)

    # ∂L/∂y4[n,h] = Σ_k up4_W[h,k] ∂L/∂z8[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z8, p.up4_W, a.d_y4, N)

    # ∂L/∂ln4_gain[h] = Σ_n xhat4[n,h] ∂L/∂y4[n,h]
    k.by_columns("d_ln_gain", H, a.xhat4, a.d_y4, g.ln4_gain, N)

    # ∂L/∂ln4_shift[h] = Σ_n ∂L/∂y4[n,h]
    k.by_columns("d_ln_shift", H, a.d_y4, g.ln4_shift, N)

    # ∂L/∂xhat4[n,h] = ln4_gain[h] ∂L/∂y4[n,h]
    # xhat4_dot_d_xhat4[n] = Σ_h xhat4[n,h] ∂L/∂xhat4[n,h]
    # sum_d_xhat4[n] = Σ_h ∂L/∂xhat4[n,h]
    # ∂L/∂sum3[n,h] = rstd4[n] ∂L/∂xhat4[n,h] + ∂L/∂sum4[n,h] - rstd4[n] sum_d_xhat4[n]/H - rstd4[n]
    #     xhat4[n,h] xhat4_dot_d_xhat4[n]/H
    k.by_warp("d_sum19", N, p.ln4_gain, a.d_y4, a.xhat4, a.rstd4, a.d_sum4, a.d_sum3, N)

    # ∂L/∂down3_W[k,h] = Σ_n relu3[n,k] ∂L/∂sum3[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu3, a.d_sum3, g.down3_W, N)

    # ∂L/∂down3_b[h] = Σ_n ∂L/∂sum3[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum3, g.down3_b, N)

    # ∂L/∂relu3[n,k] = Σ_h down3_W[k,h] ∂L/∂sum3[n,h]
    # ∂L/∂z6[n,k] = [z6[n,k] > 0] ∂L/∂relu3[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum3, p.down3_W, a.z6, a.d_z6, N)

    # ∂L/∂up3_W[h,k] = Σ_n y3[n,h] ∂L/∂z6[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y3, a.d_z6, g.up3_W, N)

    # ∂L/∂up3_b[k] = Σ_n ∂L/∂z6[n,k]
    k.by_columns("d_up20_b", K, a.d_z6, g.up3_b, N)

    # ∂L/∂y3[n,h] = Σ_k up3_W[h,k] ∂L/∂z6[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z6, p.up3_W, a.d_y3, N)

    # ∂L/∂ln3_gain[h] = Σ_n xhat3[n,h] ∂L/∂y3[n,h]
    k.by_columns("d_ln_gain", H, a.xhat3, a.d_y3, g.ln3_gain, N)

    # ∂L/∂ln3_shift[h] = Σ_n ∂L/∂y3[n,h]
    k.by_columns("d_ln_shift", H, a.d_y3, g.ln3_shift, N)

    # ∂L/∂xhat3[n,h] = ln3_gain[h] ∂L/∂y3[n,h]
    # xhat3_dot_d_xhat3[n] = Σ_h xhat3[n,h] ∂L/∂xhat3[n,h]
    # sum_d_xhat3[n] = Σ_h ∂L/∂xhat3[n,h]
    # ∂L/∂sum2[n,h] = rstd3[n] ∂L/∂xhat3[n,h] + ∂L/∂sum3[n,h] - rstd3[n] sum_d_xhat3[n]/H - rstd3[n]
    #     xhat3[n,h] xhat3_dot_d_xhat3[n]/H
    k.by_warp("d_sum19", N, p.ln3_gain, a.d_y3, a.xhat3, a.rstd3, a.d_sum3, a.d_sum2, N)

    # ∂L/∂down2_W[k,h] = Σ_n relu2[n,k] ∂L/∂sum2[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu2, a.d_sum2, g.down2_W, N)

    # ∂L/∂down2_b[h] = Σ_n ∂L/∂sum2[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum2, g.down2_b, N)

    # ∂L/∂relu2[n,k] = Σ_h down2_W[k,h] ∂L/∂sum2[n,h]
    # ∂L/∂z4[n,k] = [z4[n,k] > 0] ∂L/∂relu2[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum2, p.down2_W, a.z4, a.d_z4, N)

    # ∂L/∂up2_W[h,k] = Σ_n y2[n,h] ∂L/∂z4[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y2, a.d_z4, g.up2_W, N)

    # ∂L/∂up2_b[k] = Σ_n ∂L/∂z4[n,k]
    k.by_columns("d_up20_b", K, a.d_z4, g.up2_b, N)

    # ∂L/∂y2[n,h] = Σ_k up2_W[h,k] ∂L/∂z4[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z4, p.up2_W, a.d_y2, N)

    # ∂L/∂ln2_gain[h] = Σ_n xhat2[n,h] ∂L/∂y2[n,h]
    k.by_columns("d_ln_gain", H, a.xhat2, a.d_y2, g.ln2_gain, N)

    # ∂L/∂ln2_shift[h] = Σ_n ∂L/∂y2[n,h]
    k.by_columns("d_ln_shift", H, a.d_y2, g.ln2_shift, N)

    # ∂L/∂xhat2[n,h] = ln2_gain[h] ∂L/∂y2[n,h]
    # xhat2_dot_d_xhat2[n] = Σ_h xhat2[n,h] ∂L/∂xhat2[n,h]
    # sum_d_xhat2[n] = Σ_h ∂L/∂xhat2[n,h]
    # ∂L/∂sum1[n,h] = rstd2[n] ∂L/∂xhat2[n,h] + ∂L/∂sum2[n,h] - rstd2[n] sum_d_xhat2[n]/H - rstd2[n]
    #     xhat2[n,h] xhat2_dot_d_xhat2[n]/H
    k.by_warp("d_sum19", N, p.ln2_gain, a.d_y2, a.xhat2, a.rstd2, a.d_sum2, a.d_sum1, N)

    # ∂L/∂down1_W[k,h] = Σ_n relu1[n,k] ∂L/∂sum1[n,h]
    k.product("d_down20_W", 16, 1, K, H, a.relu1, a.d_sum1, g.down1_W, N)

    # ∂L/∂down1_b[h] = Σ_n ∂L/∂sum1[n,h]
    k.by_columns("d_ln_shift", H, a.d_sum1, g.down1_b, N)

    # ∂L/∂relu1[n,k] = Σ_h down1_W[k,h] ∂L/∂sum1[n,h]
    # ∂L/∂z2[n,k] = [z2[n,k] > 0] ∂L/∂relu1[n,k]
    k.product("d_a", 32, 1, N, K, a.d_sum1, p.down1_W, a.z2, a.d_z2, N)

    # ∂L/∂up1_W[h,k] = Σ_n y1[n,h] ∂L/∂z2[n,k]
    k.product("d_up20_W", 16, 1, H, K, a.y1, a.d_z2, g.up1_W, N)

    # ∂L/∂up1_b[k] = Σ_n ∂L/∂z2[n,k]
    k.by_columns("d_up20_b", K, a.d_z2, g.up1_b, N)

    # ∂L/∂y1[n,h] = Σ_k up1_W[h,k] ∂L/∂z2[n,k]
    k.product("d_y20", 32, 1, N, H, a.d_z2, p.up1_W, a.d_y1, N)

    # ∂L/∂ln1_gain[h] = Σ_n xhat1[n,h] ∂L/∂y1[n,h]
    k.by_columns("d_ln_gain", H, a.xhat1, a.d_y1, g.ln1_gain, N)

    # ∂L/∂ln1_shift[h] = Σ_n ∂L/∂y1[n,h]
    k.by_columns("d_ln_shift", H, a.d_y1, g.ln1_shift, N)

    # ∂L/∂xhat1[n,h] = ln1_gain[h] ∂L/∂y1[n,h]
    # xhat1_dot_d_xhat1[n] = Σ_h xhat1[n,h] ∂L/∂xhat1[n,h]
    # sum_d_xhat1[n] = Σ_h ∂L/∂xhat1[n,h]
    # ∂L/∂z1[n,h] = rstd1[n] ∂L/∂xhat1[n,h] + ∂L/∂sum1[n,h] - rstd1[n] sum_d_xhat1[n]/H - rstd1[n]
    #     xhat1[n,h] xhat1_dot_d_xhat1[n]/H
    k.by_warp("d_sum19", N, p.ln1_gain, a.d_y1, a.xhat1, a.rstd1, a.d_sum1, a.d_z1, N)

    # ∂L/∂stem_W[d,h] = Σ_n x[n,d] ∂L/∂z1[n,h]
    k.product("d_stem_W", 16, 1, D, H, a.x, a.d_z1, g.stem_W, N)

    # ∂L/∂stem_b[h] = Σ_n ∂L/∂z1[n,h]
    k.by_columns("d_ln_shift", H, a.d_z1, g.stem_b, N)


def update(p: Params, g: Grads, s: State) -> None:
    """Change the parameters by the gradient."""
    k = s.kernels
    P = SIZE

    # t ← t + 1
    k.each("count_step", 1, s.t)

    # c2 ← √(1 - 0.999^t)
    # lr_t ← 0.003 c2/(1 - 0.9^t)
    k.each("lr_t", 1, s.t, s.c2, s.lr_t)

    # g_square ← Σ_i g[i]²
    # g_norm ← √g_square
    # g_scale ← (1/g_norm if g_norm > 1 else 1)
    k.by_block("g_scale", 1, g.flat, s.g_square, s.g_norm, s.g_scale, P)

    # g[i] ← g_scale g[i]
    # m[i] ← 0.9 m[i] + 0.1 g[i]
    # v[i] ← 0.999 v[i] + 0.001 g[i]²
    # θ[i] ← 0.99997 θ[i] - lr_t m[i]/(1e-08 c2 + √v[i])
    k.each_of("theta", P, s.g_scale, s.c2, s.lr_t, g.flat, s.m, s.v, p.flat, P)


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


def upload(a: Activations, batch: dict[str, np.ndarray]) -> None:
    """Copy arrays of the host into the buffers of their names."""
    for name, array in batch.items():
        buffer = getattr(a, name)
        buffer.set(np.asarray(array, buffer.dtype, order="C"))


def loss_and_grad(params: Params, *, x: np.ndarray, digit: np.ndarray) -> tuple[float, Grads]:
    """Return the loss of a batch and its gradient; float64 parameters make everything float64."""
    x, digit = checked(x, digit, params.flat.dtype)
    a, g = Workspace(len(x), params.flat.dtype), Grads(cp.empty_like(params.flat))
    upload(a, {"x": x, "digit": digit})
    forward(params, a)
    add_loss(a)
    backward(params, g, a)
    return float(a.loss), g


def predict(params: Params, *, x: np.ndarray) -> dict[str, cp.ndarray]:
    """Return the outputs for a batch, by name, on the device."""
    dtype = params.flat.dtype
    x = real("x", x, (D,), dtype)
    a = Activations(len(x), dtype)
    upload(a, {"x": x})
    forward(params, a)
    return {"logits": a.logits}


def loss(params: Params, *, x: np.ndarray, digit: np.ndarray) -> float:
    """Return the loss of a batch as `predict` computes it, without a gradient."""
    x, digit = checked(x, digit, params.flat.dtype)
    a = Activations(len(x), params.flat.dtype)
    upload(a, {"x": x, "digit": digit})
    forward(params, a)
    add_loss(a)
    return float(a.loss)


class Turn:
    """One of two places for a batch: while a step reads one, the next batch comes to the other.

    The host writes into memory that is pinned, from where a stream of its own copies it.
    """

    def __init__(self, device: dict[str, cp.ndarray]) -> None:
        self.device = device
        self.host = {
            name: np.ndarray(x.shape, x.dtype, cp.cuda.alloc_pinned_memory(x.nbytes))
            for name, x in device.items()
        }
        self.copied = cp.cuda.Event(disable_timing=True)
        self.read = cp.cuda.Event(disable_timing=True)
        self.graph: cp.cuda.Graph | None = None

    def send(self, batch: dict[str, np.ndarray], stream: cp.cuda.Stream) -> None:
        """Copy a batch to the device, as soon as the step that reads the last one here is done."""
        self.copied.synchronize()
        stream.wait_event(self.read)
        for name, array in batch.items():
            np.copyto(self.host[name], array, casting="same_kind")
            self.device[name].set(self.host[name], stream)
        self.copied.record(stream)


class Trainer:
    """Parameters in training, in memory that the first step of each batch size allocates.

    The first step of a batch size launches its kernels one by one. Later ones record them as a CUDA
    graph, one for each place of a batch, which is launched from then on: one call a step. With
    `graph=False` every step is as the first; the numbers are the same.
    """

    def __init__(
        self, params: Params, batch: int = 64, seed: int = 0, *, graph: bool = True
    ) -> None:
        self.params = params
        self.grads = Grads(cp.empty_like(params.flat))
        self.state = State(params.flat.dtype)
        self.batch, self.seed, self.steps, self.graph = batch, seed, 0, graph
        self.stream, self.copies = cp.cuda.Stream(), cp.cuda.Stream()
        self._turns: dict[int, tuple[Turn, Turn]] = {}
        self._workspaces: dict[int, Workspace] = {}
        self._compiled: set[int] = set()
        self._last = self._workspace(batch)

    def step(self, *, x: np.ndarray, digit: np.ndarray) -> float:
        """Train on one batch: forward, backward, update. Return the loss before the update."""
        self.start(x=x, digit=digit)
        return self.loss()

    def loss(self) -> float:
        """Return the loss of the last step, when it is done."""
        with self.stream:
            return float(self._last.loss)

    def start(self, *, x: np.ndarray, digit: np.ndarray) -> None:
        """Train on one batch, as `step` does, without waiting for the device.

        Meanwhile the step before may still run. Whoever asks for the loss waits: so ask seldom.
        """
        x, digit = checked(x, digit, self.params.flat.dtype)
        a = self._workspace(len(x))
        turn = self._turns[a.N][self.steps % 2]
        self.steps += 1
        batch = {"x": x, "digit": digit}
        turn.send(batch, self.copies)
        self._run(a, turn)
        self._last = a

    def _run(self, a: Workspace, turn: Turn) -> None:
        """Launch a step, when its batch has come: its kernels, or the graph of them."""
        a.x = turn.device["x"]
        a.digit = turn.device["digit"]
        with self.stream:
            self.stream.wait_event(turn.copied)
            if not self.graph or a.N not in self._compiled:
                self._compiled.add(a.N)
                self._launch(a)
            else:
                if turn.graph is None:
                    self.stream.begin_capture()
                    self._launch(a)
                    turn.graph = self.stream.end_capture()
                turn.graph.launch(self.stream)
            turn.read.record(self.stream)

    def _launch(self, a: Workspace) -> None:
        p, g = self.params, self.grads
        forward(p, a)
        add_loss(a)
        backward(p, g, a)
        update(p, g, self.state)

    def _workspace(self, N: int) -> Workspace:
        """Return the memory of a batch size, and make places for its batches if it is new."""
        if N not in self._workspaces:
            a = self._workspaces[N] = Workspace(N, self.params.flat.dtype)
            one = {
                "x": a.x,
                "digit": a.digit,
            }
            other = {name: cp.empty_like(array) for name, array in one.items()}
            self._turns[N] = Turn(one), Turn(other)
        return self._workspaces[N]


def save(path: str | Path, trainer: Trainer) -> None:
    """Write a trainer to an .npz file; a crash leaves the old file or the new one, never a part."""
    arrays = {name: getattr(trainer.params, name).get() for name in PARAMETERS}
    arrays |= {f"state.{name}": getattr(trainer.state, name).get() for name in STATES}
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
    params = Params(cp.empty(SIZE, dtype))
    for name in PARAMETERS:
        getattr(params, name).set(arrays[name])
    trainer = Trainer(params, batch, seed)
    for name in STATES:
        getattr(trainer.state, name).set(arrays[f"state.{name}"])
    trainer.steps = steps
    trainer.state.t.fill(steps)
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
    start = init(seed).flat.get().astype(np.float64)
    rng = np.random.default_rng(seed + 1)
    start[:SIZE] += 0.1 * rng.standard_normal(SIZE)
    batch, v = example(5, seed), rng.standard_normal(SIZE)
    v /= np.sqrt(v @ v)
    base, grads = loss_and_grad(Params(cp.asarray(start)), **batch)
    gradient = grads.flat.get()
    slope = float(gradient @ v)
    move = np.append(v, np.zeros(SIZE - SIZE))
    print("  h          R0             R1             central difference against g·v")
    best = np.inf
    for k in range(4, 22, 2):
        h = 2.0**-k
        up = loss_and_grad(Params(cp.asarray(start + h * move)), **batch)[0]
        down = loss_and_grad(Params(cp.asarray(start - h * move)), **batch)[0]
        error = abs((up - down) / (2 * h) - slope) / np.sqrt(gradient @ gradient)
        best = min(best, error)
        R0, R1 = abs(up - base), abs(up - base - h * slope)
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
    guess = predict(params, x=data["x"])["logits"].get().argmax(axis=1)
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
    if missing():
        print(missing(), file=sys.stderr)
        return 8
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
            trainer.start(**batch)
        last = trainer.loss()  # the one that is waited for
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
