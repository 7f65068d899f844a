"""Residual network of convolutions with batch norm, for 8×8 images of digits.

Written by `bpgen emit resnet_digits --target cupy` from resnet_digits.py.
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
    D = 64, F = 16, C = 1, U = 3, V = 3, E = 16, G = 32, M = 1, Q = 1, S = 32, H2 = 10, H = 8,
    W = 8, A = 10, B = 10, J = 4, K = 4, R = 9, T = 9, A2 = 6, B2 = 6, P = 8, Y = 2, R2 = 2, X = 5,
    K2 = 5, Z = 2, U2 = 4, V2 = 4, Q2 = 12, E2 = 12, J2 = 2;

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

// shaped1_pad[n,c,a,b] = shaped1[n,c,a-1,b-1] (0 outside)
extern "C" __global__ void kernel_shaped1_pad(const real *x, real *shaped1_pad, int N) {
    each_of(N * C * A * B, [=](int i, real &shaped1_pad) {
        const int n = i / (C * A * B), c = i / (A * B) % C, a = i / B % A, b = i % B;
        shaped1_pad = a - 1 >= 0 && a - 1 < H && b - 1 >= 0 && b - 1 < W ?
            x[((n * C + c) * H + a - 1) * W + b - 1] : 0_r;
    }, shaped1_pad);
}

// z1[n,f,h,w] = Σ_{c,u,v} stem_W[f,c,u,v] shaped1_pad[n,c,h+u,v+w]
extern "C" __global__ void kernel_z1(
    const real *stem_W, const real *shaped1_pad, real *z1, int N
) {
    product<1, by_row, by_row>(1, F, N * H * W, C * U * V,
        [=](int, int f, int k) { return stem_W[f * (C * U * V) + k]; },
        [=](int, int k, int c) {
            const int c_ = k / (U * V), u = k / V % U, v = k % V;
            const int n = c / (H * W), h = c / W % H, w = c % W;
            return shaped1_pad[((n * C + c_) * A + h + u) * B + v + w];
        },
        [=](int, int f, int c, real sum) {
            const int n = c / (H * W), h = c / W % H, w = c % W;
            z1[((n * F + f) * H + h) * W + w] = sum;
        });
}

// mean1[f] = Σ_{n,h,w} z1[n,f,h,w]/(H N W)
// Likewise mean3.
extern "C" __global__ void kernel_mean1(const real *z1, real *mean1, int N) {
    by_block<added>(F, N * H * W,
        [=](int f, int j) {
            const int n = j / (H * W), h = j / W % H, w = j % W;
            return 0.015625_r * z1[((n * F + f) * H + h) * W + w] / real(N);
        },
        [=](int f, real sum) { mean1[f] = sum; });
}

// var1[f] = Σ_{n,h,w} (z1[n,f,h,w] - mean1[f])²/(H N W)
// rstd1[f] = 1/√(var1[f] + 1e-05)
// Likewise rstd3.
extern "C" __global__ void kernel_rstd1(
    const real *z1, const real *mean1, real *var1, real *rstd1, int N
) {
    by_block<added>(F, N * H * W,
        [=](int f, int j) {
            const int n = j / (H * W), h = j / W % H, w = j % W;
            return 0.015625_r * power<2>(z1[((n * F + f) * H + h) * W + w] - mean1[f]) / real(N);
        },
        [=](int f, real sum) {
            var1[f] = sum;
            rstd1[f] = rsqrt(var1[f] + 1e-05_r);
        });
}

// xhat1[n,f,h,w] = (z1[n,f,h,w] - mean1[f]) rstd1[f]
// y1[n,f,h,w] = stem_norm_gain[f] xhat1[n,f,h,w] + stem_norm_shift[f]
// relu1[n,f,h,w] = max(0, y1[n,f,h,w])
extern "C" __global__ void kernel_relu1(
    const real *z1, const real *mean1, const real *rstd1, const real *stem_norm_gain,
    const real *stem_norm_shift, real *xhat1, real *y1, real *relu1, int N
) {
    each_of(N * F * H * W, [=](int i, real z1, real &xhat1, real &y1, real &relu1) {
        const int f = i / (H * W) % F;
        xhat1 = (z1 - mean1[f]) * rstd1[f];
        y1 = stem_norm_gain[f] * xhat1 + stem_norm_shift[f];
        relu1 = maximum(0_r, y1);
    }, z1, xhat1, y1, relu1);
}

// relu1_pad1[n,f,a,b] = relu1[n,f,a-1,b-1] (0 outside)
extern "C" __global__ void kernel_relu1_pad1(const real *relu1, real *relu1_pad1, int N) {
    each_of(N * F * A * B, [=](int i, real &relu1_pad1) {
        const int n = i / (F * A * B), f = i / (A * B) % F, a = i / B % A, b = i % B;
        relu1_pad1 = a - 1 >= 0 && a - 1 < H && b - 1 >= 0 && b - 1 < W ?
            relu1[((n * F + f) * H + a - 1) * W + b - 1] : 0_r;
    }, relu1_pad1);
}

// z2[n,e,h,w] = Σ_{f,u,v} block1_conv1_W[e,f,u,v] relu1_pad1[n,f,h+u,v+w]
extern "C" __global__ void kernel_z2(
    const real *block1_conv1_W, const real *relu1_pad1, real *z2, int N
) {
    product<1, by_row, by_row>(1, E, N * H * W, F * U * V,
        [=](int, int e, int k) { return block1_conv1_W[e * (F * U * V) + k]; },
        [=](int, int k, int c) {
            const int f = k / (U * V), u = k / V % U, v = k % V;
            const int n = c / (H * W), h = c / W % H, w = c % W;
            return relu1_pad1[((n * F + f) * A + h + u) * B + v + w];
        },
        [=](int, int e, int c, real sum) {
            const int n = c / (H * W), h = c / W % H, w = c % W;
            z2[((n * E + e) * H + h) * W + w] = sum;
        });
}

// mean2[e] = Σ_{n,h,w} z2[n,e,h,w]/(H N W)
extern "C" __global__ void kernel_mean2(const real *z2, real *mean2, int N) {
    by_block<added>(E, N * H * W,
        [=](int e, int j) {
            const int n = j / (H * W), h = j / W % H, w = j % W;
            return 0.015625_r * z2[((n * E + e) * H + h) * W + w] / real(N);
        },
        [=](int e, real sum) { mean2[e] = sum; });
}

// var2[e] = Σ_{n,h,w} (z2[n,e,h,w] - mean2[e])²/(H N W)
// rstd2[e] = 1/√(var2[e] + 1e-05)
extern "C" __global__ void kernel_rstd2(
    const real *z2, const real *mean2, real *var2, real *rstd2, int N
) {
    by_block<added>(E, N * H * W,
        [=](int e, int j) {
            const int n = j / (H * W), h = j / W % H, w = j % W;
            return 0.015625_r * power<2>(z2[((n * E + e) * H + h) * W + w] - mean2[e]) / real(N);
        },
        [=](int e, real sum) {
            var2[e] = sum;
            rstd2[e] = rsqrt(var2[e] + 1e-05_r);
        });
}

// xhat2[n,e,h,w] = (z2[n,e,h,w] - mean2[e]) rstd2[e]
// y2[n,e,h,w] = block1_conv1_norm_gain[e] xhat2[n,e,h,w] + block1_conv1_norm_shift[e]
// relu2[n,e,h,w] = max(0, y2[n,e,h,w])
extern "C" __global__ void kernel_relu2(
    const real *z2, const real *mean2, const real *rstd2, const real *block1_conv1_norm_gain,
    const real *block1_conv1_norm_shift, real *xhat2, real *y2, real *relu2, int N
) {
    each_of(N * E * H * W, [=](int i, real z2, real &xhat2, real &y2, real &relu2) {
        const int e = i / (H * W) % E;
        xhat2 = (z2 - mean2[e]) * rstd2[e];
        y2 = block1_conv1_norm_gain[e] * xhat2 + block1_conv1_norm_shift[e];
        relu2 = maximum(0_r, y2);
    }, z2, xhat2, y2, relu2);
}

// relu2_pad1[n,e,a,b] = relu2[n,e,a-1,b-1] (0 outside)
extern "C" __global__ void kernel_relu2_pad1(const real *relu2, real *relu2_pad1, int N) {
    each_of(N * E * A * B, [=](int i, real &relu2_pad1) {
        const int n = i / (E * A * B), e = i / (A * B) % E, a = i / B % A, b = i % B;
        relu2_pad1 = a - 1 >= 0 && a - 1 < H && b - 1 >= 0 && b - 1 < W ?
            relu2[((n * E + e) * H + a - 1) * W + b - 1] : 0_r;
    }, relu2_pad1);
}

// z3[n,f,h,w] = Σ_{e,u,v} block1_conv2_W[f,e,u,v] relu2_pad1[n,e,h+u,v+w]
extern "C" __global__ void kernel_z3(
    const real *block1_conv2_W, const real *relu2_pad1, real *z3, int N
) {
    product<1, by_row, by_row>(1, F, N * H * W, E * U * V,
        [=](int, int f, int k) { return block1_conv2_W[f * (E * U * V) + k]; },
        [=](int, int k, int c) {
            const int e = k / (U * V), u = k / V % U, v = k % V;
            const int n = c / (H * W), h = c / W % H, w = c % W;
            return relu2_pad1[((n * E + e) * A + h + u) * B + v + w];
        },
        [=](int, int f, int c, real sum) {
            const int n = c / (H * W), h = c / W % H, w = c % W;
            z3[((n * F + f) * H + h) * W + w] = sum;
        });
}

// xhat3[n,f,h,w] = (z3[n,f,h,w] - mean3[f]) rstd3[f]
// y3[n,f,h,w] = block1_conv2_norm_gain[f] xhat3[n,f,h,w] + block1_conv2_norm_shift[f]
// sum1[n,f,h,w] = relu1[n,f,h,w] + y3[n,f,h,w]
// relu3[n,f,h,w] = max(0, sum1[n,f,h,w])
extern "C" __global__ void kernel_relu3(
    const real *z3, const real *mean3, const real *rstd3, const real *block1_conv2_norm_gain,
    const real *block1_conv2_norm_shift, const real *relu1, real *xhat3, real *sum1, real *relu3,
    int N
) {
    each_of(N * F * H * W, [=](int i, real z3, real &xhat3, real relu1, real &sum1, real &relu3) {
        const int f = i / (H * W) % F;
        xhat3 = (z3 - mean3[f]) * rstd3[f];
        const real y3 = block1_conv2_norm_gain[f] * xhat3 + block1_conv2_norm_shift[f];
        sum1 = relu1 + y3;
        relu3 = maximum(0_r, sum1);
    }, z3, xhat3, relu1, sum1, relu3);
}

// z4[n,g,j,k] = Σ_f block2_skip_W[g,f,0,0] relu3[n,f,2 j,2 k]
extern "C" __global__ void kernel_z4(
    const real *block2_skip_W, const real *relu3, real *z4, int N
) {
    product<2, by_column, by_row>(1, G, N * J * K, F,
        [=](int, int g, int f) { return block2_skip_W[(g * F + f) * M * Q]; },
        [=](int, int f, int c) {
            const int n = c / (J * K), j = c / K % J, k = c % K;
            return relu3[((n * F + f) * H + 2 * j) * W + 2 * k];
        },
        [=](int, int g, int c, real sum) {
            const int n = c / (J * K), j = c / K % J, k = c % K;
            z4[((n * G + g) * J + j) * K + k] = sum;
        });
}

// mean4[g] = Σ_{n,j,k} z4[n,g,j,k]/(J K N)
// Likewise mean5.
extern "C" __global__ void kernel_mean4(const real *z4, real *mean4, int N) {
    by_block<added>(G, N * J * K,
        [=](int g, int j) {
            const int n = j / (J * K), j_ = j / K % J, k = j % K;
            return 0.0625_r * z4[((n * G + g) * J + j_) * K + k] / real(N);
        },
        [=](int g, real sum) { mean4[g] = sum; });
}

// var4[g] = Σ_{n,j,k} (z4[n,g,j,k] - mean4[g])²/(J K N)
// rstd4[g] = 1/√(var4[g] + 1e-05)
// Likewise rstd5.
extern "C" __global__ void kernel_rstd4(
    const real *z4, const real *mean4, real *var4, real *rstd4, int N
) {
    by_block<added>(G, N * J * K,
        [=](int g, int j) {
            const int n = j / (J * K), j_ = j / K % J, k = j % K;
            return 0.0625_r * power<2>(z4[((n * G + g) * J + j_) * K + k] - mean4[g]) / real(N);
        },
        [=](int g, real sum) {
            var4[g] = sum;
            rstd4[g] = rsqrt(var4[g] + 1e-05_r);
        });
}

// xhat4[n,g,j,k] = (z4[n,g,j,k] - mean4[g]) rstd4[g]
// y4[n,g,j,k] = block2_skip_norm_gain[g] xhat4[n,g,j,k] + block2_skip_norm_shift[g]
extern "C" __global__ void kernel_y4(
    const real *z4, const real *mean4, const real *rstd4, const real *block2_skip_norm_gain,
    const real *block2_skip_norm_shift, real *xhat4, real *y4, int N
) {
    each_of(N * G * J * K, [=](int i, real z4, real &xhat4, real &y4) {
        const int g = i / (J * K) % G;
        xhat4 = (z4 - mean4[g]) * rstd4[g];
        y4 = block2_skip_norm_gain[g] * xhat4 + block2_skip_norm_shift[g];
    }, z4, xhat4, y4);
}

// relu3_pad1[n,f,r,t] = relu3[n,f,r-1,t-1] (0 outside)
extern "C" __global__ void kernel_relu3_pad1(const real *relu3, real *relu3_pad1, int N) {
    each_of(N * F * R * T, [=](int i, real &relu3_pad1) {
        const int n = i / (F * R * T), f = i / (R * T) % F, r = i / T % R, t = i % T;
        relu3_pad1 = r - 1 >= 0 && t - 1 >= 0 ? relu3[((n * F + f) * H + r - 1) * W + t - 1] : 0_r;
    }, relu3_pad1);
}

// z5[n,g,j,k] = Σ_{f,u,v} block2_conv1_W[g,f,u,v] relu3_pad1[n,f,2 j + u,2 k + v]
extern "C" __global__ void kernel_z5(
    const real *block2_conv1_W, const real *relu3_pad1, real *z5, int N
) {
    product<2, by_row, by_column>(1, G, N * J * K, F * U * V,
        [=](int, int g, int k) { return block2_conv1_W[g * (F * U * V) + k]; },
        [=](int, int k, int c) {
            const int f = k / (U * V), u = k / V % U, v = k % V;
            const int n = c / (J * K), j = c / K % J, k_ = c % K;
            return relu3_pad1[((n * F + f) * R + 2 * j + u) * T + 2 * k_ + v];
        },
        [=](int, int g, int c, real sum) {
            const int n = c / (J * K), j = c / K % J, k_ = c % K;
            z5[((n * G + g) * J + j) * K + k_] = sum;
        });
}

// xhat5[n,g,j,k] = (z5[n,g,j,k] - mean5[g]) rstd5[g]
// y5[n,g,j,k] = block2_conv1_norm_gain[g] xhat5[n,g,j,k] + block2_conv1_norm_shift[g]
// relu4[n,g,j,k] = max(0, y5[n,g,j,k])
extern "C" __global__ void kernel_relu4(
    const real *z5, const real *mean5, const real *rstd5, const real *block2_conv1_norm_gain,
    const real *block2_conv1_norm_shift, real *xhat5, real *y5, real *relu4, int N
) {
    each_of(N * G * J * K, [=](int i, real z5, real &xhat5, real &y5, real &relu4) {
        const int g = i / (J * K) % G;
        xhat5 = (z5 - mean5[g]) * rstd5[g];
        y5 = block2_conv1_norm_gain[g] * xhat5 + block2_conv1_norm_shift[g];
        relu4 = maximum(0_r, y5);
    }, z5, xhat5, y5, relu4);
}

// relu4_pad1[n,g,a2,b2] = relu4[n,g,a2-1,b2-1] (0 outside)
// Likewise padded_d_z5.
extern "C" __global__ void kernel_relu4_pad1(const real *relu4, real *relu4_pad1, int N) {
    each_of(N * G * A2 * B2, [=](int i, real &relu4_pad1) {
        const int n = i / (G * A2 * B2), g = i / (A2 * B2) % G, a2 = i / B2 % A2, b2 = i % B2;
        relu4_pad1 = a2 - 1 >= 0 && a2 - 1 < J && b2 - 1 >= 0 && b2 - 1 < K ?
            relu4[((n * G + g) * J + a2 - 1) * K + b2 - 1] : 0_r;
    }, relu4_pad1);
}

// z6[n,s,j,k] = Σ_{g,u,v} block2_conv2_W[s,g,u,v] relu4_pad1[n,g,j+u,k+v]
extern "C" __global__ void kernel_z6(
    const real *block2_conv2_W, const real *relu4_pad1, real *z6, int N
) {
    product<2, by_row, by_column>(1, S, N * J * K, G * U * V,
        [=](int, int s_, int k) { return block2_conv2_W[s_ * (G * U * V) + k]; },
        [=](int, int k, int c) {
            const int g = k / (U * V), u = k / V % U, v = k % V;
            const int n = c / (J * K), j = c / K % J, k_ = c % K;
            return relu4_pad1[((n * G + g) * A2 + j + u) * B2 + k_ + v];
        },
        [=](int, int s_, int c, real sum) {
            const int n = c / (J * K), j = c / K % J, k_ = c % K;
            z6[((n * S + s_) * J + j) * K + k_] = sum;
        });
}

// mean6[s] = Σ_{n,j,k} z6[n,s,j,k]/(J K N)
extern "C" __global__ void kernel_mean6(const real *z6, real *mean6, int N) {
    by_block<added>(S, N * J * K,
        [=](int s, int j) {
            const int n = j / (J * K), j_ = j / K % J, k = j % K;
            return 0.0625_r * z6[((n * S + s) * J + j_) * K + k] / real(N);
        },
        [=](int s, real sum) { mean6[s] = sum; });
}

// var6[s] = Σ_{n,j,k} (z6[n,s,j,k] - mean6[s])²/(J K N)
// rstd6[s] = 1/√(var6[s] + 1e-05)
extern "C" __global__ void kernel_rstd6(
    const real *z6, const real *mean6, real *var6, real *rstd6, int N
) {
    by_block<added>(S, N * J * K,
        [=](int s, int j) {
            const int n = j / (J * K), j_ = j / K % J, k = j % K;
            return 0.0625_r * power<2>(z6[((n * S + s) * J + j_) * K + k] - mean6[s]) / real(N);
        },
        [=](int s, real sum) {
            var6[s] = sum;
            rstd6[s] = rsqrt(var6[s] + 1e-05_r);
        });
}

// xhat6[n,s,j,k] = (z6[n,s,j,k] - mean6[s]) rstd6[s]
// y6[n,s,j,k] = block2_conv2_norm_gain[s] xhat6[n,s,j,k] + block2_conv2_norm_shift[s]
extern "C" __global__ void kernel_y6(
    const real *z6, const real *mean6, const real *rstd6, const real *block2_conv2_norm_gain,
    const real *block2_conv2_norm_shift, real *xhat6, real *y6, int N
) {
    each_of(N * S * J * K, [=](int i, real z6, real &xhat6, real &y6) {
        const int s = i / (J * K) % S;
        xhat6 = (z6 - mean6[s]) * rstd6[s];
        y6 = block2_conv2_norm_gain[s] * xhat6 + block2_conv2_norm_shift[s];
    }, z6, xhat6, y6);
}

// sum2[n,g,j,k] = y4[n,g,j,k] + y6[n,g,j,k]
// h[n,g,j,k] = max(0, sum2[n,g,j,k])
extern "C" __global__ void kernel_h(
    const real *y4, const real *y6, real *sum2, real *h, int N
) {
    each_of(N * G * J * K, [=](int i, real y4, real &sum2, real &h) {
        const int n = i / (G * J * K), g = i / (J * K) % G, j = i / K % J, k = i % K;
        sum2 = y4 + y6[((n * S + g) * J + j) * K + k];
        h = maximum(0_r, sum2);
    }, y4, sum2, h);
}

// pooled1[n,g] = Σ_{j,k} h[n,g,j,k]/(J K)
extern "C" __global__ void kernel_pooled1(const real *h, real *pooled1, int N) {
    by_warp<added>(N * G, J * K,
        [=](int i, int j) { return 0.0625_r * h[i * (J * K) + j]; },
        [=](int i, real sum) { pooled1[i] = sum; });
}

// logits[n,h2] = Σ_g fc_W[g,h2] pooled1[n,g] + fc_b[h2]
extern "C" __global__ void kernel_logits(
    const real *pooled1, const real *fc_W, const real *fc_b, real *logits, int N
) {
    product<1, by_row, by_row>(1, N, H2, G,
        [=](int, int n, int g) { return pooled1[n * G + g]; },
        [=](int, int g, int h2) { return fc_W[g * H2 + h2]; },
        [=](int, int n, int h2, real sum) { logits[n * H2 + h2] = sum + fc_b[h2]; });
}

// m[n] = max_h2 logits[n,h2]
// e[n,h2] = exp(logits[n,h2] - m[n])
// s[n] = Σ_h2 e[n,h2]
// average[n] = Σ_h2 logits[n,h2]/H2
// logits_at_digit[n] = logits[n,digit[n]]
extern "C" __global__ void kernel_logits_at_digit(
    const real *logits, const int *digit, real *m, real *e, real *s, real *average,
    real *logits_at_digit, int N
) {
    rows<32>(N, [=](int n) {
        reduce_row<32, largest>(H2,
            [=](int h2) { return logits[n * H2 + h2]; },
            [=](real most) { m[n] = most; });
        map_row<32>(H2, [=](int h2) { e[n * H2 + h2] = exp(logits[n * H2 + h2] - m[n]); });
        reduce_row<32, added>(H2,
            [=](int h2) { return e[n * H2 + h2]; },
            [=](real sum) { s[n] = sum; });
        reduce_row<32, added>(H2,
            [=](int h2) { return 0.1_r * logits[n * H2 + h2]; },
            [=](real sum) {
                average[n] = sum;
                logits_at_digit[n] = logits[n * H2 + digit[n]];
            });
    });
}

// loss = Σ_n (m[n] + log(s[n]) - 0.1 average[n] - 0.9 logits_at_digit[n])/N
extern "C" __global__ void kernel_loss(
    const real *m, const real *s, const real *average, const real *logits_at_digit, real *loss,
    int N
) {
    by_block<added>(1, N,
        [=](int, int n) {
            return (m[n] + log(s[n]) - 0.1_r * average[n] - 0.9_r * logits_at_digit[n]) / real(N);
        },
        [=](int, real sum) { *loss = sum; });
}

// mean1[f] = stem_norm_mean[f]
// var1[f] = stem_norm_var[f]
// rstd1[f] = 1/√(var1[f] + 1e-05)
// Likewise rstd3.
extern "C" __global__ void kernel_rstd1_from_stem_norm_mean(
    const real *stem_norm_mean, const real *stem_norm_var, real *mean1, real *var1, real *rstd1
) {
    each_of(F, [=](int f, real &mean1, real &var1, real &rstd1) {
        mean1 = stem_norm_mean[f];
        var1 = stem_norm_var[f];
        rstd1 = rsqrt(var1 + 1e-05_r);
    }, mean1, var1, rstd1);
}

// mean2[e] = block1_conv1_norm_mean[e]
// var2[e] = block1_conv1_norm_var[e]
// rstd2[e] = 1/√(var2[e] + 1e-05)
extern "C" __global__ void kernel_rstd2_from_block1_conv1_norm_mean(
    const real *block1_conv1_norm_mean, const real *block1_conv1_norm_var, real *mean2, real *var2,
    real *rstd2
) {
    each_of(E, [=](int e, real &mean2, real &var2, real &rstd2) {
        mean2 = block1_conv1_norm_mean[e];
        var2 = block1_conv1_norm_var[e];
        rstd2 = rsqrt(var2 + 1e-05_r);
    }, mean2, var2, rstd2);
}

// mean4[g] = block2_skip_norm_mean[g]
// var4[g] = block2_skip_norm_var[g]
// rstd4[g] = 1/√(var4[g] + 1e-05)
// Likewise rstd5.
extern "C" __global__ void kernel_rstd4_from_block2_skip_norm_mean(
    const real *block2_skip_norm_mean, const real *block2_skip_norm_var, real *mean4, real *var4,
    real *rstd4
) {
    each_of(G, [=](int g, real &mean4, real &var4, real &rstd4) {
        mean4 = block2_skip_norm_mean[g];
        var4 = block2_skip_norm_var[g];
        rstd4 = rsqrt(var4 + 1e-05_r);
    }, mean4, var4, rstd4);
}

// mean6[s] = block2_conv2_norm_mean[s]
// var6[s] = block2_conv2_norm_var[s]
// rstd6[s] = 1/√(var6[s] + 1e-05)
extern "C" __global__ void kernel_rstd6_from_block2_conv2_norm_mean(
    const real *block2_conv2_norm_mean, const real *block2_conv2_norm_var, real *mean6, real *var6,
    real *rstd6
) {
    each_of(S, [=](int s, real &mean6, real &var6, real &rstd6) {
        mean6 = block2_conv2_norm_mean[s];
        var6 = block2_conv2_norm_var[s];
        rstd6 = rsqrt(var6 + 1e-05_r);
    }, mean6, var6, rstd6);
}

// stem_norm_mean[f] ← 0.9 stem_norm_mean[f] + 0.1 mean1[f]
// stem_norm_var[f] ← 0.9 stem_norm_var[f] + 0.1 H N W var1[f]/max(1, H N W - 1)
// Likewise block1_conv2_norm_var.
extern "C" __global__ void kernel_stem_norm_var(
    const real *mean1, const real *var1, real *stem_norm_mean, real *stem_norm_var, int N
) {
    each(F, [=](int f) {
        stem_norm_mean[f] = 0.9_r * stem_norm_mean[f] + 0.1_r * mean1[f];
        stem_norm_var[f] = 0.9_r * stem_norm_var[f] + 6.4_r * real(N) * var1[f] / (64_r * real(N) -
            1_r);
    });
}

// block1_conv1_norm_mean[e] ← 0.9 block1_conv1_norm_mean[e] + 0.1 mean2[e]
// block1_conv1_norm_var[e] ← 0.9 block1_conv1_norm_var[e] + 0.1 H N W var2[e]/max(1, H N W - 1)
extern "C" __global__ void kernel_block1_conv1_norm_var(
    const real *mean2, const real *var2, real *block1_conv1_norm_mean, real *block1_conv1_norm_var,
    int N
) {
    each(E, [=](int e) {
        block1_conv1_norm_mean[e] = 0.9_r * block1_conv1_norm_mean[e] + 0.1_r * mean2[e];
        block1_conv1_norm_var[e] = 0.9_r * block1_conv1_norm_var[e] + 6.4_r * real(N) * var2[e] /
            (64_r * real(N) - 1_r);
    });
}

// block2_skip_norm_mean[g] ← 0.9 block2_skip_norm_mean[g] + 0.1 mean4[g]
// block2_skip_norm_var[g] ← 0.9 block2_skip_norm_var[g] + 0.1 J K N var4[g]/max(1, J K N - 1)
// block2_conv1_norm_mean[g] ← 0.9 block2_conv1_norm_mean[g] + 0.1 mean5[g]
// block2_conv1_norm_var[g] ← 0.9 block2_conv1_norm_var[g] + 0.1 J K N var5[g]/max(1, J K N - 1)
extern "C" __global__ void kernel_block2_conv1_norm_var(
    const real *mean4, const real *var4, const real *mean5, const real *var5,
    real *block2_skip_norm_mean, real *block2_skip_norm_var, real *block2_conv1_norm_mean,
    real *block2_conv1_norm_var, int N
) {
    each(G, [=](int g) {
        block2_skip_norm_mean[g] = 0.9_r * block2_skip_norm_mean[g] + 0.1_r * mean4[g];
        block2_skip_norm_var[g] = 0.9_r * block2_skip_norm_var[g] + 1.6_r * real(N) * var4[g] /
            (16_r * real(N) - 1_r);
        block2_conv1_norm_mean[g] = 0.9_r * block2_conv1_norm_mean[g] + 0.1_r * mean5[g];
        block2_conv1_norm_var[g] = 0.9_r * block2_conv1_norm_var[g] + 1.6_r * real(N) * var5[g] /
            (16_r * real(N) - 1_r);
    });
}

// block2_conv2_norm_mean[s] ← 0.9 block2_conv2_norm_mean[s] + 0.1 mean6[s]
// block2_conv2_norm_var[s] ← 0.9 block2_conv2_norm_var[s] + 0.1 J K N var6[s]/max(1, J K N - 1)
extern "C" __global__ void kernel_block2_conv2_norm_var(
    const real *mean6, const real *var6, real *block2_conv2_norm_mean, real *block2_conv2_norm_var,
    int N
) {
    each(S, [=](int s) {
        block2_conv2_norm_mean[s] = 0.9_r * block2_conv2_norm_mean[s] + 0.1_r * mean6[s];
        block2_conv2_norm_var[s] = 0.9_r * block2_conv2_norm_var[s] + 1.6_r * real(N) * var6[s] /
            (16_r * real(N) - 1_r);
    });
}

// p[n,h2] = e[n,h2]/s[n]
// ∂L/∂logits[n,h2] = (p[n,h2] - 0.1/H2 - 0.9 δ(h2,digit[n]))/N
extern "C" __global__ void kernel_d_logits(
    const real *s, const real *e, const int *digit, real *d_logits, int N
) {
    each_of(N * H2, [=](int i, real e, real &d_logits) {
        const int n = i / H2, h2 = i % H2;
        const real p = e / s[n];
        d_logits = (p - (h2 == digit[n] ? 0.9_r : 0_r) - 0.01_r) / real(N);
    }, e, d_logits);
}

// ∂L/∂fc_W[g,h2] = Σ_n pooled1[n,g] ∂L/∂logits[n,h2]
extern "C" __global__ void kernel_d_fc_W(
    const real *pooled1, const real *d_logits, real *d_fc_W, int N
) {
    product<1, by_column, by_row>(1, G, H2, N,
        [=](int, int g, int n) { return pooled1[n * G + g]; },
        [=](int, int n, int h2) { return d_logits[n * H2 + h2]; },
        [=](int, int g, int h2, real sum) { d_fc_W[g * H2 + h2] = sum; });
}

// ∂L/∂fc_b[h2] = Σ_n ∂L/∂logits[n,h2]
extern "C" __global__ void kernel_d_fc_b(const real *d_logits, real *d_fc_b, int N) {
    by_columns<added>(H2, N,
        [=](int h2, int n) { return d_logits[n * H2 + h2]; },
        [=](int h2, real sum) { d_fc_b[h2] = sum; });
}

// ∂L/∂pooled1[n,g] = Σ_h2 fc_W[g,h2] ∂L/∂logits[n,h2]
extern "C" __global__ void kernel_d_pooled1(
    const real *d_logits, const real *fc_W, real *d_pooled1, int N
) {
    product<2, by_row, by_column>(1, N, G, H2,
        [=](int, int n, int h2) { return d_logits[n * H2 + h2]; },
        [=](int, int h2, int g) { return fc_W[g * H2 + h2]; },
        [=](int, int n, int g, real sum) { d_pooled1[n * G + g] = sum; });
}

// ∂L/∂sum2[n,g,j,k] = [sum2[n,g,j,k] > 0] ∂L/∂pooled1[n,g]/(J K)
extern "C" __global__ void kernel_d_sum2(
    const real *d_pooled1, const real *sum2, real *d_sum2, int N
) {
    each_of(N * G * J * K, [=](int i, real sum2, real &d_sum2) {
        const int n = i / (G * J * K), g = i / (J * K) % G;
        d_sum2 = sum2 > 0_r ? 0.0625_r * d_pooled1[n * G + g] : 0_r;
    }, sum2, d_sum2);
}

// ∂L/∂block2_conv2_norm_gain[s] = Σ_{n,j,k} xhat6[n,s,j,k] ∂L/∂sum2[n,s,j,k]
extern "C" __global__ void kernel_d_block2_conv2_norm_gain(
    const real *xhat6, const real *d_sum2, real *d_block2_conv2_norm_gain, int N
) {
    by_block<added>(S, N * J * K,
        [=](int s, int j) {
            const int n = j / (J * K), j_ = j / K % J, k = j % K;
            return xhat6[((n * S + s) * J + j_) * K + k] * d_sum2[((n * G + s) * J + j_) * K + k];
        },
        [=](int s, real sum) { d_block2_conv2_norm_gain[s] = sum; });
}

// ∂L/∂block2_conv2_norm_shift[s] = Σ_{n,j,k} ∂L/∂sum2[n,s,j,k]
extern "C" __global__ void kernel_d_block2_conv2_norm_shift(
    const real *d_sum2, real *d_block2_conv2_norm_shift, int N
) {
    by_block<added>(S, N * J * K,
        [=](int s, int j) {
            const int n = j / (J * K), j_ = j / K % J, k = j % K;
            return d_sum2[((n * G + s) * J + j_) * K + k];
        },
        [=](int s, real sum) { d_block2_conv2_norm_shift[s] = sum; });
}

// ∂L/∂xhat6[n,s,j,k] = block2_conv2_norm_gain[s] ∂L/∂sum2[n,s,j,k]
extern "C" __global__ void kernel_d_xhat6(
    const real *block2_conv2_norm_gain, const real *d_sum2, real *d_xhat6, int N
) {
    each_of(N * S * J * K, [=](int i, real &d_xhat6) {
        const int n = i / (S * J * K), s = i / (J * K) % S, j = i / K % J, k = i % K;
        d_xhat6 = block2_conv2_norm_gain[s] * d_sum2[((n * G + s) * J + j) * K + k];
    }, d_xhat6);
}

// xhat6_dot_d_xhat6[s] = Σ_{n,j,k} xhat6[n,s,j,k] ∂L/∂xhat6[n,s,j,k]
extern "C" __global__ void kernel_xhat6_dot_d_xhat6(
    const real *xhat6, const real *d_xhat6, real *xhat6_dot_d_xhat6, int N
) {
    by_block<added>(S, N * J * K,
        [=](int s, int j) {
            const int n = j / (J * K), j_ = j / K % J, k = j % K;
            return xhat6[((n * S + s) * J + j_) * K + k] * d_xhat6[((n * S + s) * J + j_) * K + k];
        },
        [=](int s, real sum) { xhat6_dot_d_xhat6[s] = sum; });
}

// sum_d_xhat6[s] = Σ_{n,j,k} ∂L/∂xhat6[n,s,j,k]
extern "C" __global__ void kernel_sum_d_xhat6(const real *d_xhat6, real *sum_d_xhat6, int N) {
    by_block<added>(S, N * J * K,
        [=](int s, int j) {
            const int n = j / (J * K), j_ = j / K % J, k = j % K;
            return d_xhat6[((n * S + s) * J + j_) * K + k];
        },
        [=](int s, real sum) { sum_d_xhat6[s] = sum; });
}

// ∂L/∂z6[n,s,j,k] = rstd6[s] (∂L/∂xhat6[n,s,j,k] - xhat6[n,s,j,k] xhat6_dot_d_xhat6[s]/(J K N) -
//     sum_d_xhat6[s]/(J K N))
extern "C" __global__ void kernel_d_z6(
    const real *rstd6, const real *xhat6, const real *xhat6_dot_d_xhat6, const real *d_xhat6,
    const real *sum_d_xhat6, real *d_z6, int N
) {
    each_of(N * S * J * K, [=](int i, real xhat6, real d_xhat6, real &d_z6) {
        const int s = i / (J * K) % S;
        d_z6 = rstd6[s] * (d_xhat6 - 0.0625_r * xhat6 * xhat6_dot_d_xhat6[s] / real(N) - 0.0625_r *
            sum_d_xhat6[s] / real(N));
    }, xhat6, d_xhat6, d_z6);
}

// ∂L/∂block2_conv2_W[s,g,u,v] = Σ_{n,j,k} relu4_pad1[n,g,j+u,k+v] ∂L/∂z6[n,s,j,k]
extern "C" __global__ void kernel_d_block2_conv2_W(
    const real *d_z6, const real *relu4_pad1, real *d_block2_conv2_W, int N
) {
    product<1, by_row, by_row>(1, S, G * U * V, N * J * K,
        [=](int, int s_, int k) {
            const int n = k / (J * K), j = k / K % J, k_ = k % K;
            return d_z6[((n * S + s_) * J + j) * K + k_];
        },
        [=](int, int k, int c) {
            const int n = k / (J * K), j = k / K % J, k_ = k % K;
            const int g = c / (U * V), u = c / V % U, v = c % V;
            return relu4_pad1[((n * G + g) * A2 + j + u) * B2 + k_ + v];
        },
        [=](int, int s_, int c, real sum) { d_block2_conv2_W[s_ * (G * U * V) + c] = sum; });
}

// padded_d_z6[n,s,p,w] = ∂L/∂z6[n,s,p-2,w-2] (0 outside)
extern "C" __global__ void kernel_padded_d_z6(const real *d_z6, real *padded_d_z6, int N) {
    each_of(N * S * P * W, [=](int i, real &padded_d_z6) {
        const int n = i / (S * P * W), s = i / (P * W) % S, p = i / W % P, w = i % W;
        padded_d_z6 = p - 2 >= 0 && p - 2 < J && w - 2 >= 0 && w - 2 < K ?
            d_z6[((n * S + s) * J + p - 2) * K + w - 2] : 0_r;
    }, padded_d_z6);
}

// ∂L/∂relu4_pad1[n,g,a2,b2] = Σ_{s,u,v} block2_conv2_W[s,g,u,v] padded_d_z6[n,s,a2 + 2 - u,b2 +
//     2 - v]
extern "C" __global__ void kernel_d_relu4_pad1(
    const real *block2_conv2_W, const real *padded_d_z6, real *d_relu4_pad1, int N
) {
    product<2, by_row, by_column>(1, G, N * A2 * B2, S * U * V,
        [=](int, int g, int k) {
            const int s_ = k / (U * V), u = k / V % U, v = k % V;
            return block2_conv2_W[((s_ * G + g) * U + u) * V + v];
        },
        [=](int, int k, int c) {
            const int s_ = k / (U * V), u = k / V % U, v = k % V;
            const int n = c / (A2 * B2), a2 = c / B2 % A2, b2 = c % B2;
            return padded_d_z6[((n * S + s_) * P + a2 - u + 2) * W + b2 - v + 2];
        },
        [=](int, int g, int c, real sum) {
            const int n = c / (A2 * B2), a2 = c / B2 % A2, b2 = c % B2;
            d_relu4_pad1[((n * G + g) * A2 + a2) * B2 + b2] = sum;
        });
}

// ∂L/∂y5[n,g,j,k] = [y5[n,g,j,k] > 0] ∂L/∂relu4_pad1[n,g,j+1,k+1]
extern "C" __global__ void kernel_d_y5(
    const real *d_relu4_pad1, const real *y5, real *d_y5, int N
) {
    each_of(N * G * J * K, [=](int i, real y5, real &d_y5) {
        const int n = i / (G * J * K), g = i / (J * K) % G, j = i / K % J, k = i % K;
        d_y5 = y5 > 0_r ? d_relu4_pad1[((n * G + g) * A2 + j + 1) * B2 + k + 1] : 0_r;
    }, y5, d_y5);
}

// ∂L/∂block2_conv1_norm_gain[g] = Σ_{n,j,k} xhat5[n,g,j,k] ∂L/∂y5[n,g,j,k]
// Likewise xhat5_dot_d_xhat5, ∂L/∂block2_skip_norm_gain, xhat4_dot_d_xhat4.
extern "C" __global__ void kernel_d_block2_conv1_norm_gain(
    const real *xhat5, const real *d_y5, real *d_block2_conv1_norm_gain, int N
) {
    by_block<added>(G, N * J * K,
        [=](int g, int j) {
            const int n = j / (J * K), j_ = j / K % J, k = j % K;
            return xhat5[((n * G + g) * J + j_) * K + k] * d_y5[((n * G + g) * J + j_) * K + k];
        },
        [=](int g, real sum) { d_block2_conv1_norm_gain[g] = sum; });
}

// ∂L/∂block2_conv1_norm_shift[g] = Σ_{n,j,k} ∂L/∂y5[n,g,j,k]
// Likewise sum_d_xhat5, ∂L/∂block2_skip_norm_shift, sum_d_xhat4.
extern "C" __global__ void kernel_d_block2_conv1_norm_shift(
    const real *d_y5, real *d_block2_conv1_norm_shift, int N
) {
    by_block<added>(G, N * J * K,
        [=](int g, int j) {
            const int n = j / (J * K), j_ = j / K % J, k = j % K;
            return d_y5[((n * G + g) * J + j_) * K + k];
        },
        [=](int g, real sum) { d_block2_conv1_norm_shift[g] = sum; });
}

// ∂L/∂xhat5[n,g,j,k] = block2_conv1_norm_gain[g] ∂L/∂y5[n,g,j,k]
// Likewise ∂L/∂xhat4.
extern "C" __global__ void kernel_d_xhat5(
    const real *block2_conv1_norm_gain, const real *d_y5, real *d_xhat5, int N
) {
    each_of(N * G * J * K, [=](int i, real d_y5, real &d_xhat5) {
        const int g = i / (J * K) % G;
        d_xhat5 = block2_conv1_norm_gain[g] * d_y5;
    }, d_y5, d_xhat5);
}

// ∂L/∂z5[n,g,j,k] = rstd5[g] (∂L/∂xhat5[n,g,j,k] - xhat5[n,g,j,k] xhat5_dot_d_xhat5[g]/(J K N) -
//     sum_d_xhat5[g]/(J K N))
// Likewise ∂L/∂z4.
extern "C" __global__ void kernel_d_z5(
    const real *rstd5, const real *xhat5, const real *xhat5_dot_d_xhat5, const real *d_xhat5,
    const real *sum_d_xhat5, real *d_z5, int N
) {
    each_of(N * G * J * K, [=](int i, real xhat5, real d_xhat5, real &d_z5) {
        const int g = i / (J * K) % G;
        d_z5 = rstd5[g] * (d_xhat5 - 0.0625_r * xhat5 * xhat5_dot_d_xhat5[g] / real(N) - 0.0625_r *
            sum_d_xhat5[g] / real(N));
    }, xhat5, d_xhat5, d_z5);
}

// ∂L/∂block2_conv1_W[g,f,u,v] = Σ_{n,j,k} relu3_pad1[n,f,2 j + u,2 k + v] ∂L/∂z5[n,g,j,k]
extern "C" __global__ void kernel_d_block2_conv1_W(
    const real *d_z5, const real *relu3_pad1, real *d_block2_conv1_W, int N
) {
    product<1, by_row, by_row>(1, G, F * U * V, N * J * K,
        [=](int, int g, int k) {
            const int n = k / (J * K), j = k / K % J, k_ = k % K;
            return d_z5[((n * G + g) * J + j) * K + k_];
        },
        [=](int, int k, int c) {
            const int n = k / (J * K), j = k / K % J, k_ = k % K;
            const int f = c / (U * V), u = c / V % U, v = c % V;
            return relu3_pad1[((n * F + f) * R + 2 * j + u) * T + 2 * k_ + v];
        },
        [=](int, int g, int c, real sum) { d_block2_conv1_W[g * (F * U * V) + c] = sum; });
}

// padded_block2_conv1_W[g,f,k,j] = block2_conv1_W[g,f,k,j] (0 outside)
extern "C" __global__ void kernel_padded_block2_conv1_W(
    const real *block2_conv1_W, real *padded_block2_conv1_W
) {
    each_of(G * F * K * J, [=](int i, real &padded_block2_conv1_W) {
        const int g = i / (F * K * J), f = i / (K * J) % F, k = i / J % K, j = i % J;
        padded_block2_conv1_W = k < U && j < V ? block2_conv1_W[((g * F + f) * U + k) * V + j] :
            0_r;
    }, padded_block2_conv1_W);
}

// split_d_relu3_pad1[n,f,y,r2,x,k2] = Σ_{g,z,j2} padded_block2_conv1_W[g,f,2 z + y,2 j2 + r2]
//     padded_d_z5[n,g,x + 1 - z,k2 + 1 - j2]
extern "C" __global__ void kernel_split_d_relu3_pad1(
    const real *padded_block2_conv1_W, const real *padded_d_z5, real *split_d_relu3_pad1, int N
) {
    product<2, by_column, by_row>(1, F * Y * R2, N * X * K2, G * Z * J2,
        [=](int, int r, int k) {
            const int f = r / (Y * R2), y = r / R2 % Y, r2 = r % R2;
            const int g = k / (Z * J2), z = k / J2 % Z, j2 = k % J2;
            return padded_block2_conv1_W[((g * F + f) * K + 2 * z + y) * J + 2 * j2 + r2];
        },
        [=](int, int k, int c) {
            const int g = k / (Z * J2), z = k / J2 % Z, j2 = k % J2;
            const int n = c / (X * K2), x = c / K2 % X, k2 = c % K2;
            return padded_d_z5[((n * G + g) * A2 + x - z + 1) * B2 + k2 - j2 + 1];
        },
        [=](int, int r, int c, real sum) {
            const int n = c / (X * K2), x = c / K2 % X, k2 = c % K2;
            split_d_relu3_pad1[((n * (F * Y * R2) + r) * X + x) * K2 + k2] = sum;
        });
}

// relu3_dot_d_z4[g,f] = Σ_{n,j,k} relu3[n,f,2 j,2 k] ∂L/∂z4[n,g,j,k]
extern "C" __global__ void kernel_relu3_dot_d_z4(
    const real *d_z4, const real *relu3, real *relu3_dot_d_z4, int N
) {
    product<1, by_row, by_column>(1, G, F, N * J * K,
        [=](int, int g, int k) {
            const int n = k / (J * K), j = k / K % J, k_ = k % K;
            return d_z4[((n * G + g) * J + j) * K + k_];
        },
        [=](int, int k, int f) {
            const int n = k / (J * K), j = k / K % J, k_ = k % K;
            return relu3[((n * F + f) * H + 2 * j) * W + 2 * k_];
        },
        [=](int, int g, int f, real sum) { relu3_dot_d_z4[g * F + f] = sum; });
}

// ∂L/∂block2_skip_W[g,f,m,q] = relu3_dot_d_z4[g,f]
extern "C" __global__ void kernel_d_block2_skip_W(
    const real *relu3_dot_d_z4, real *d_block2_skip_W
) {
    each(G * F * M * Q, [=](int i) {
        const int g = i / (F * M * Q), f = i / (M * Q) % F;
        d_block2_skip_W[i] = relu3_dot_d_z4[g * F + f];
    });
}

// split_d_relu3[n,f,y,z,u2,v2] = Σ_g δ(y,0) δ(z,0) block2_skip_W[g,f,0,0] ∂L/∂z4[n,g,u2,v2]
extern "C" __global__ void kernel_split_d_relu3(
    const real *block2_skip_W, const real *d_z4, real *split_d_relu3, int N
) {
    by_thread<added>(N * F * Y * Z * U2 * V2, G,
        [=](int i, int g) {
            const int n = i / (F * Y * Z * U2 * V2), f = i / (Y * Z * U2 * V2) % F, y = i / (Z * U2
                * V2) % Y, z = i / (U2 * V2) % Z, u2 = i / V2 % U2, v2 = i % V2;
            return y == 0 && z == 0 ? block2_skip_W[(g * F + f) * M * Q] *
                d_z4[((n * G + g) * J + u2) * K + v2] : 0_r;
        },
        [=](int i, real sum) { split_d_relu3[i] = sum; });
}

// ∂L/∂relu3[n,f,h,w] = joined_d_relu3_pad1[n,f,h+1,w+1] + split_d_relu3[n,f,h % Y,w % Z,h // 2 %
//     U2,w // 2 % V2]
// ∂L/∂sum1[n,f,h,w] = [sum1[n,f,h,w] > 0] ∂L/∂relu3[n,f,h,w]
extern "C" __global__ void kernel_d_sum1(
    const real *split_d_relu3_pad1, const real *split_d_relu3, const real *sum1, real *d_sum1, int N
) {
    each_of(N * F * H * W, [=](int i, real sum1, real &d_sum1) {
        const int n = i / (F * H * W), f = i / (H * W) % F, h = i / W % H, w = i % W;
        const real d_relu3 = split_d_relu3_pad1[((((n * F + f) * Y + (h + 1) % Y) * R2 + (w + 1) %
            R2) * X + (h + 1) / 2 % X) * K2 + (w + 1) / 2 % K2] + split_d_relu3[((((n * F + f) * Y +
            h % Y) * Z + w % Z) * U2 + h / 2 % U2) * V2 + w / 2 % V2];
        d_sum1 = sum1 > 0_r ? d_relu3 : 0_r;
    }, sum1, d_sum1);
}

// ∂L/∂block1_conv2_norm_gain[f] = Σ_{n,h,w} xhat3[n,f,h,w] ∂L/∂sum1[n,f,h,w]
// Likewise xhat3_dot_d_xhat3, ∂L/∂stem_norm_gain, xhat1_dot_d_xhat1.
extern "C" __global__ void kernel_d_block1_conv2_norm_gain(
    const real *xhat3, const real *d_sum1, real *d_block1_conv2_norm_gain, int N
) {
    by_block<added>(F, N * H * W,
        [=](int f, int j) {
            const int n = j / (H * W), h = j / W % H, w = j % W;
            return xhat3[((n * F + f) * H + h) * W + w] * d_sum1[((n * F + f) * H + h) * W + w];
        },
        [=](int f, real sum) { d_block1_conv2_norm_gain[f] = sum; });
}

// ∂L/∂block1_conv2_norm_shift[f] = Σ_{n,h,w} ∂L/∂sum1[n,f,h,w]
// Likewise sum_d_xhat3, ∂L/∂stem_norm_shift, sum_d_xhat1.
extern "C" __global__ void kernel_d_block1_conv2_norm_shift(
    const real *d_sum1, real *d_block1_conv2_norm_shift, int N
) {
    by_block<added>(F, N * H * W,
        [=](int f, int j) {
            const int n = j / (H * W), h = j / W % H, w = j % W;
            return d_sum1[((n * F + f) * H + h) * W + w];
        },
        [=](int f, real sum) { d_block1_conv2_norm_shift[f] = sum; });
}

// ∂L/∂xhat3[n,f,h,w] = block1_conv2_norm_gain[f] ∂L/∂sum1[n,f,h,w]
// Likewise ∂L/∂xhat1.
extern "C" __global__ void kernel_d_xhat3(
    const real *block1_conv2_norm_gain, const real *d_sum1, real *d_xhat3, int N
) {
    each_of(N * F * H * W, [=](int i, real d_sum1, real &d_xhat3) {
        const int f = i / (H * W) % F;
        d_xhat3 = block1_conv2_norm_gain[f] * d_sum1;
    }, d_sum1, d_xhat3);
}

// ∂L/∂z3[n,f,h,w] = rstd3[f] (∂L/∂xhat3[n,f,h,w] - xhat3[n,f,h,w] xhat3_dot_d_xhat3[f]/(H N W) -
//     sum_d_xhat3[f]/(H N W))
// Likewise ∂L/∂z1.
extern "C" __global__ void kernel_d_z3(
    const real *rstd3, const real *xhat3, const real *xhat3_dot_d_xhat3, const real *d_xhat3,
    const real *sum_d_xhat3, real *d_z3, int N
) {
    each_of(N * F * H * W, [=](int i, real xhat3, real d_xhat3, real &d_z3) {
        const int f = i / (H * W) % F;
        d_z3 = rstd3[f] * (d_xhat3 - 0.015625_r * xhat3 * xhat3_dot_d_xhat3[f] / real(N) -
            0.015625_r * sum_d_xhat3[f] / real(N));
    }, xhat3, d_xhat3, d_z3);
}

// ∂L/∂block1_conv2_W[f,e,u,v] = Σ_{n,h,w} relu2_pad1[n,e,h+u,v+w] ∂L/∂z3[n,f,h,w]
extern "C" __global__ void kernel_d_block1_conv2_W(
    const real *d_z3, const real *relu2_pad1, real *d_block1_conv2_W, int N
) {
    product<1, by_row, by_column>(1, F, E * U * V, N * H * W,
        [=](int, int f, int k) {
            const int n = k / (H * W), h = k / W % H, w = k % W;
            return d_z3[((n * F + f) * H + h) * W + w];
        },
        [=](int, int k, int c) {
            const int n = k / (H * W), h = k / W % H, w = k % W;
            const int e = c / (U * V), u = c / V % U, v = c % V;
            return relu2_pad1[((n * E + e) * A + h + u) * B + v + w];
        },
        [=](int, int f, int c, real sum) { d_block1_conv2_W[f * (E * U * V) + c] = sum; });
}

// padded_d_z3[n,f,q2,e2] = ∂L/∂z3[n,f,q2-2,e2-2] (0 outside)
extern "C" __global__ void kernel_padded_d_z3(const real *d_z3, real *padded_d_z3, int N) {
    each_of(N * F * Q2 * E2, [=](int i, real &padded_d_z3) {
        const int n = i / (F * Q2 * E2), f = i / (Q2 * E2) % F, q2 = i / E2 % Q2, e2 = i % E2;
        padded_d_z3 = q2 - 2 >= 0 && q2 - 2 < H && e2 - 2 >= 0 && e2 - 2 < W ?
            d_z3[((n * F + f) * H + q2 - 2) * W + e2 - 2] : 0_r;
    }, padded_d_z3);
}

// ∂L/∂relu2_pad1[n,e,a,b] = Σ_{f,u,v} block1_conv2_W[f,e,u,v] padded_d_z3[n,f,a + 2 - u,b + 2 -
//     v]
extern "C" __global__ void kernel_d_relu2_pad1(
    const real *block1_conv2_W, const real *padded_d_z3, real *d_relu2_pad1, int N
) {
    product<1, by_row, by_column>(1, E, N * A * B, F * U * V,
        [=](int, int e, int k) {
            const int f = k / (U * V), u = k / V % U, v = k % V;
            return block1_conv2_W[((f * E + e) * U + u) * V + v];
        },
        [=](int, int k, int c) {
            const int f = k / (U * V), u = k / V % U, v = k % V;
            const int n = c / (A * B), a = c / B % A, b = c % B;
            return padded_d_z3[((n * F + f) * Q2 + a - u + 2) * E2 + b - v + 2];
        },
        [=](int, int e, int c, real sum) {
            const int n = c / (A * B), a = c / B % A, b = c % B;
            d_relu2_pad1[((n * E + e) * A + a) * B + b] = sum;
        });
}

// ∂L/∂y2[n,e,h,w] = [y2[n,e,h,w] > 0] ∂L/∂relu2_pad1[n,e,h+1,w+1]
extern "C" __global__ void kernel_d_y2(
    const real *d_relu2_pad1, const real *y2, real *d_y2, int N
) {
    each_of(N * E * H * W, [=](int i, real y2, real &d_y2) {
        const int n = i / (E * H * W), e = i / (H * W) % E, h = i / W % H, w = i % W;
        d_y2 = y2 > 0_r ? d_relu2_pad1[((n * E + e) * A + h + 1) * B + w + 1] : 0_r;
    }, y2, d_y2);
}

// ∂L/∂block1_conv1_norm_gain[e] = Σ_{n,h,w} xhat2[n,e,h,w] ∂L/∂y2[n,e,h,w]
// Likewise xhat2_dot_d_xhat2.
extern "C" __global__ void kernel_d_block1_conv1_norm_gain(
    const real *xhat2, const real *d_y2, real *d_block1_conv1_norm_gain, int N
) {
    by_block<added>(E, N * H * W,
        [=](int e, int j) {
            const int n = j / (H * W), h = j / W % H, w = j % W;
            return xhat2[((n * E + e) * H + h) * W + w] * d_y2[((n * E + e) * H + h) * W + w];
        },
        [=](int e, real sum) { d_block1_conv1_norm_gain[e] = sum; });
}

// ∂L/∂block1_conv1_norm_shift[e] = Σ_{n,h,w} ∂L/∂y2[n,e,h,w]
// Likewise sum_d_xhat2.
extern "C" __global__ void kernel_d_block1_conv1_norm_shift(
    const real *d_y2, real *d_block1_conv1_norm_shift, int N
) {
    by_block<added>(E, N * H * W,
        [=](int e, int j) {
            const int n = j / (H * W), h = j / W % H, w = j % W;
            return d_y2[((n * E + e) * H + h) * W + w];
        },
        [=](int e, real sum) { d_block1_conv1_norm_shift[e] = sum; });
}

// ∂L/∂xhat2[n,e,h,w] = block1_conv1_norm_gain[e] ∂L/∂y2[n,e,h,w]
extern "C" __global__ void kernel_d_xhat2(
    const real *block1_conv1_norm_gain, const real *d_y2, real *d_xhat2, int N
) {
    each_of(N * E * H * W, [=](int i, real d_y2, real &d_xhat2) {
        const int e = i / (H * W) % E;
        d_xhat2 = block1_conv1_norm_gain[e] * d_y2;
    }, d_y2, d_xhat2);
}

// ∂L/∂z2[n,e,h,w] = rstd2[e] (∂L/∂xhat2[n,e,h,w] - xhat2[n,e,h,w] xhat2_dot_d_xhat2[e]/(H N W) -
//     sum_d_xhat2[e]/(H N W))
extern "C" __global__ void kernel_d_z2(
    const real *rstd2, const real *xhat2, const real *xhat2_dot_d_xhat2, const real *d_xhat2,
    const real *sum_d_xhat2, real *d_z2, int N
) {
    each_of(N * E * H * W, [=](int i, real xhat2, real d_xhat2, real &d_z2) {
        const int e = i / (H * W) % E;
        d_z2 = rstd2[e] * (d_xhat2 - 0.015625_r * xhat2 * xhat2_dot_d_xhat2[e] / real(N) -
            0.015625_r * sum_d_xhat2[e] / real(N));
    }, xhat2, d_xhat2, d_z2);
}

// ∂L/∂block1_conv1_W[e,f,u,v] = Σ_{n,h,w} relu1_pad1[n,f,h+u,v+w] ∂L/∂z2[n,e,h,w]
extern "C" __global__ void kernel_d_block1_conv1_W(
    const real *d_z2, const real *relu1_pad1, real *d_block1_conv1_W, int N
) {
    product<1, by_row, by_column>(1, E, F * U * V, N * H * W,
        [=](int, int e, int k) {
            const int n = k / (H * W), h = k / W % H, w = k % W;
            return d_z2[((n * E + e) * H + h) * W + w];
        },
        [=](int, int k, int c) {
            const int n = k / (H * W), h = k / W % H, w = k % W;
            const int f = c / (U * V), u = c / V % U, v = c % V;
            return relu1_pad1[((n * F + f) * A + h + u) * B + v + w];
        },
        [=](int, int e, int c, real sum) { d_block1_conv1_W[e * (F * U * V) + c] = sum; });
}

// padded_d_z2[n,e,q2,e2] = ∂L/∂z2[n,e,q2-2,e2-2] (0 outside)
extern "C" __global__ void kernel_padded_d_z2(const real *d_z2, real *padded_d_z2, int N) {
    each_of(N * E * Q2 * E2, [=](int i, real &padded_d_z2) {
        const int n = i / (E * Q2 * E2), e = i / (Q2 * E2) % E, q2 = i / E2 % Q2, e2 = i % E2;
        padded_d_z2 = q2 - 2 >= 0 && q2 - 2 < H && e2 - 2 >= 0 && e2 - 2 < W ?
            d_z2[((n * E + e) * H + q2 - 2) * W + e2 - 2] : 0_r;
    }, padded_d_z2);
}

// ∂L/∂relu1_pad1[n,f,a,b] = Σ_{e,u,v} block1_conv1_W[e,f,u,v] padded_d_z2[n,e,a + 2 - u,b + 2 -
//     v]
extern "C" __global__ void kernel_d_relu1_pad1(
    const real *block1_conv1_W, const real *padded_d_z2, real *d_relu1_pad1, int N
) {
    product<1, by_row, by_column>(1, F, N * A * B, E * U * V,
        [=](int, int f, int k) {
            const int e = k / (U * V), u = k / V % U, v = k % V;
            return block1_conv1_W[((e * F + f) * U + u) * V + v];
        },
        [=](int, int k, int c) {
            const int e = k / (U * V), u = k / V % U, v = k % V;
            const int n = c / (A * B), a = c / B % A, b = c % B;
            return padded_d_z2[((n * E + e) * Q2 + a - u + 2) * E2 + b - v + 2];
        },
        [=](int, int f, int c, real sum) {
            const int n = c / (A * B), a = c / B % A, b = c % B;
            d_relu1_pad1[((n * F + f) * A + a) * B + b] = sum;
        });
}

// ∂L/∂y1[n,f,h,w] = [y1[n,f,h,w] > 0] (∂L/∂sum1[n,f,h,w] + ∂L/∂relu1_pad1[n,f,h+1,w+1])
extern "C" __global__ void kernel_d_y1(
    const real *d_sum1, const real *d_relu1_pad1, const real *y1, real *d_y1, int N
) {
    each_of(N * F * H * W, [=](int i, real d_sum1, real y1, real &d_y1) {
        const int n = i / (F * H * W), f = i / (H * W) % F, h = i / W % H, w = i % W;
        d_y1 = y1 > 0_r ? d_sum1 + d_relu1_pad1[((n * F + f) * A + h + 1) * B + w + 1] : 0_r;
    }, d_sum1, y1, d_y1);
}

// ∂L/∂stem_W[f,c,u,v] = Σ_{n,h,w} shaped1_pad[n,c,h+u,v+w] ∂L/∂z1[n,f,h,w]
extern "C" __global__ void kernel_d_stem_W(
    const real *d_z1, const real *shaped1_pad, real *d_stem_W, int N
) {
    product<1, by_row, by_column>(1, F, C * U * V, N * H * W,
        [=](int, int f, int k) {
            const int n = k / (H * W), h = k / W % H, w = k % W;
            return d_z1[((n * F + f) * H + h) * W + w];
        },
        [=](int, int k, int c) {
            const int n = k / (H * W), h = k / W % H, w = k % W;
            const int c_ = c / (U * V), u = c / V % U, v = c % V;
            return shaped1_pad[((n * C + c_) * A + h + u) * B + v + w];
        },
        [=](int, int f, int c, real sum) { d_stem_W[f * (C * U * V) + c] = sum; });
}

// lr ← (0.0052 - 0.0048 cos(π (t/134 - 1/134)) if t ≤ 135 else (0.00499998 cos(π (t/315 - 3/7))
//     + 0.00500002 if t ≤ 450 else 4e-08))
// c2 ← √(1 - 0.999^t)
// lr_t ← c2 lr/(1 - 0.9^t)
extern "C" __global__ void kernel_lr_t(const int *t, double *lr, double *c2, double *lr_t) {
    each(1, [=](int) {
        *lr = double(*t) <= 135.0 ? 0.0052 - 0.0048 * cos(3.141592653589793 * (0.007462686567164179
            * double(*t) - 0.007462686567164179)) : (double(*t) <= 450.0 ? 0.00499998 *
            cos(3.141592653589793 * (0.0031746031746031746 * double(*t) - 0.42857142857142855)) +
            0.00500002 : 4e-08);
        *c2 = sqrt(1.0 - pow(0.999, double(*t)));
        *lr_t = *c2 * *lr / (1.0 - pow(0.9, double(*t)));
    });
}

// m[i] ← 0.9 m[i] + 0.1 g[i]
// v[i] ← 0.999 v[i] + 0.001 g[i]²
// θ[i] ← θ[i] - lr_t m[i]/(1e-08 c2 + √v[i]) - 0.05 lr θ[i]
extern "C" __global__ void kernel_theta(
    const real *g, const double *lr, const double *c2, const double *lr_t, real *m, real *v,
    real *theta, int P
) {
    each_of(P, [=](int, real g, real &m, real &v, real &theta) {
        m = 0.1_r * g + 0.9_r * m;
        v = 0.001_r * power<2>(g) + 0.999_r * v;
        theta = theta - 0.05_r * real(*lr) * theta - real(*lr_t) * m / (1e-08_r * real(*c2) +
            sqrt(v));
    }, g, m, v, theta);
}

// t ← t + 1
extern "C" __global__ void kernel_count_step(int *t) {
    each(1, [=](int) { ++*t; });
}
"""
KERNELS = (
    "shaped1_pad",
    "z1",
    "mean1",
    "rstd1",
    "relu1",
    "relu1_pad1",
    "z2",
    "mean2",
    "rstd2",
    "relu2",
    "relu2_pad1",
    "z3",
    "relu3",
    "z4",
    "mean4",
    "rstd4",
    "y4",
    "relu3_pad1",
    "z5",
    "relu4",
    "relu4_pad1",
    "z6",
    "mean6",
    "rstd6",
    "y6",
    "h",
    "pooled1",
    "logits",
    "logits_at_digit",
    "loss",
    "rstd1_from_stem_norm_mean",
    "rstd2_from_block1_conv1_norm_mean",
    "rstd4_from_block2_skip_norm_mean",
    "rstd6_from_block2_conv2_norm_mean",
    "stem_norm_var",
    "block1_conv1_norm_var",
    "block2_conv1_norm_var",
    "block2_conv2_norm_var",
    "d_logits",
    "d_fc_W",
    "d_fc_b",
    "d_pooled1",
    "d_sum2",
    "d_block2_conv2_norm_gain",
    "d_block2_conv2_norm_shift",
    "d_xhat6",
    "xhat6_dot_d_xhat6",
    "sum_d_xhat6",
    "d_z6",
    "d_block2_conv2_W",
    "padded_d_z6",
    "d_relu4_pad1",
    "d_y5",
    "d_block2_conv1_norm_gain",
    "d_block2_conv1_norm_shift",
    "d_xhat5",
    "d_z5",
    "d_block2_conv1_W",
    "padded_block2_conv1_W",
    "split_d_relu3_pad1",
    "relu3_dot_d_z4",
    "d_block2_skip_W",
    "split_d_relu3",
    "d_sum1",
    "d_block1_conv2_norm_gain",
    "d_block1_conv2_norm_shift",
    "d_xhat3",
    "d_z3",
    "d_block1_conv2_W",
    "padded_d_z3",
    "d_relu2_pad1",
    "d_y2",
    "d_block1_conv1_norm_gain",
    "d_block1_conv1_norm_shift",
    "d_xhat2",
    "d_z2",
    "d_block1_conv1_W",
    "padded_d_z2",
    "d_relu1_pad1",
    "d_y1",
    "d_stem_W",
    "lr_t",
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
    """The parameters and what is kept beside them: named views into one vector on the device.

    Of that, `storage`, the first part, `flat`, is what a gradient changes.
    """

    def __init__(self, storage: cp.ndarray | np.ndarray | None = None) -> None:
        self.storage = cp.zeros(STORAGE, DTYPE) if storage is None else storage
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

    def __init__(self, flat: cp.ndarray) -> None:
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


class Activations:
    """A batch of N examples on the device, and what the forward pass computes for it."""

    def __init__(self, N: int, dtype: str = DTYPE) -> None:
        self.N, self.kernels = N, Kernels.of(dtype)
        self.x = cp.empty((N, D), dtype)  # x[n,d]
        self.digit = cp.empty(N, np.int32)  # digit[n]
        self.shaped1_pad = cp.empty((N, C, A, B), dtype)  # shaped1_pad[n,c,a,b]
        self.z1 = cp.empty((N, F, H, W), dtype)  # z1[n,f,h,w]
        self.mean1 = cp.empty(F, dtype)  # mean1[f]
        self.var1 = cp.empty(F, dtype)  # var1[f]
        self.rstd1 = cp.empty(F, dtype)  # rstd1[f]
        self.xhat1 = cp.empty((N, F, H, W), dtype)  # xhat1[n,f,h,w]
        self.y1 = cp.empty((N, F, H, W), dtype)  # y1[n,f,h,w]
        self.relu1 = cp.empty((N, F, H, W), dtype)  # relu1[n,f,h,w]
        self.relu1_pad1 = cp.empty((N, F, A, B), dtype)  # relu1_pad1[n,f,a,b]
        self.z2 = cp.empty((N, E, H, W), dtype)  # z2[n,e,h,w]
        self.mean2 = cp.empty(E, dtype)  # mean2[e]
        self.var2 = cp.empty(E, dtype)  # var2[e]
        self.rstd2 = cp.empty(E, dtype)  # rstd2[e]
        self.xhat2 = cp.empty((N, E, H, W), dtype)  # xhat2[n,e,h,w]
        self.y2 = cp.empty((N, E, H, W), dtype)  # y2[n,e,h,w]
        self.relu2 = cp.empty((N, E, H, W), dtype)  # relu2[n,e,h,w]
        self.relu2_pad1 = cp.empty((N, E, A, B), dtype)  # relu2_pad1[n,e,a,b]
        self.z3 = cp.empty((N, F, H, W), dtype)  # z3[n,f,h,w]
        self.mean3 = cp.empty(F, dtype)  # mean3[f]
        self.var3 = cp.empty(F, dtype)  # var3[f]
        self.rstd3 = cp.empty(F, dtype)  # rstd3[f]
        self.xhat3 = cp.empty((N, F, H, W), dtype)  # xhat3[n,f,h,w]
        self.sum1 = cp.empty((N, F, H, W), dtype)  # sum1[n,f,h,w]
        self.relu3 = cp.empty((N, F, H, W), dtype)  # relu3[n,f,h,w]
        self.z4 = cp.empty((N, G, J, K), dtype)  # z4[n,g,j,k]
        self.mean4 = cp.empty(G, dtype)  # mean4[g]
        self.var4 = cp.empty(G, dtype)  # var4[g]
        self.rstd4 = cp.empty(G, dtype)  # rstd4[g]
        self.xhat4 = cp.empty((N, G, J, K), dtype)  # xhat4[n,g,j,k]
        self.y4 = cp.empty((N, G, J, K), dtype)  # y4[n,g,j,k]
        self.relu3_pad1 = cp.empty((N, F, R, T), dtype)  # relu3_pad1[n,f,r,t]
        self.z5 = cp.empty((N, G, J, K), dtype)  # z5[n,g,j,k]
        self.mean5 = cp.empty(G, dtype)  # mean5[g]
        self.var5 = cp.empty(G, dtype)  # var5[g]
        self.rstd5 = cp.empty(G, dtype)  # rstd5[g]
        self.xhat5 = cp.empty((N, G, J, K), dtype)  # xhat5[n,g,j,k]
        self.y5 = cp.empty((N, G, J, K), dtype)  # y5[n,g,j,k]
        self.relu4 = cp.empty((N, G, J, K), dtype)  # relu4[n,g,j,k]
        self.relu4_pad1 = cp.empty((N, G, A2, B2), dtype)  # relu4_pad1[n,g,a2,b2]
        self.z6 = cp.empty((N, S, J, K), dtype)  # z6[n,s,j,k]
        self.mean6 = cp.empty(S, dtype)  # mean6[s]
        self.var6 = cp.empty(S, dtype)  # var6[s]
        self.rstd6 = cp.empty(S, dtype)  # rstd6[s]
        self.xhat6 = cp.empty((N, S, J, K), dtype)  # xhat6[n,s,j,k]
        self.y6 = cp.empty((N, S, J, K), dtype)  # y6[n,s,j,k]
        self.sum2 = cp.empty((N, G, J, K), dtype)  # sum2[n,g,j,k]
        self.h = cp.empty((N, G, J, K), dtype)  # h[n,g,j,k]
        self.pooled1 = cp.empty((N, G), dtype)  # pooled1[n,g]
        self.logits = cp.empty((N, H2), dtype)  # logits[n,h2]
        self.m = cp.empty(N, dtype)  # m[n]
        self.e = cp.empty((N, H2), dtype)  # e[n,h2]
        self.s = cp.empty(N, dtype)  # s[n]
        self.average = cp.empty(N, dtype)  # average[n]
        self.logits_at_digit = cp.empty(N, dtype)  # logits_at_digit[n]
        self.loss = cp.empty((), dtype)  # loss


class Workspace(Activations):
    """The activations, and the cotangents that the backward pass computes from them."""

    def __init__(self, N: int, dtype: str = DTYPE) -> None:
        super().__init__(N, dtype)
        self.d_logits = cp.empty((N, H2), dtype)  # ∂L/∂logits[n,h2]
        self.d_pooled1 = cp.empty((N, G), dtype)  # ∂L/∂pooled1[n,g]
        self.d_sum2 = cp.empty((N, G, J, K), dtype)  # ∂L/∂sum2[n,g,j,k]
        self.d_xhat6 = cp.empty((N, S, J, K), dtype)  # ∂L/∂xhat6[n,s,j,k]
        self.xhat6_dot_d_xhat6 = cp.empty(S, dtype)  # xhat6_dot_d_xhat6[s]
        self.sum_d_xhat6 = cp.empty(S, dtype)  # sum_d_xhat6[s]
        self.d_z6 = cp.empty((N, S, J, K), dtype)  # ∂L/∂z6[n,s,j,k]
        self.padded_d_z6 = cp.empty((N, S, P, W), dtype)  # padded_d_z6[n,s,p,w]
        self.d_relu4_pad1 = cp.empty((N, G, A2, B2), dtype)  # ∂L/∂relu4_pad1[n,g,a2,b2]
        self.d_y5 = cp.empty((N, G, J, K), dtype)  # ∂L/∂y5[n,g,j,k]
        self.d_xhat5 = cp.empty((N, G, J, K), dtype)  # ∂L/∂xhat5[n,g,j,k]
        self.xhat5_dot_d_xhat5 = cp.empty(G, dtype)  # xhat5_dot_d_xhat5[g]
        self.sum_d_xhat5 = cp.empty(G, dtype)  # sum_d_xhat5[g]
        self.d_z5 = cp.empty((N, G, J, K), dtype)  # ∂L/∂z5[n,g,j,k]
        self.padded_block2_conv1_W = cp.empty((G, F, K, J), dtype)  # padded_block2_conv1_W[g,f,k,j]
        self.padded_d_z5 = cp.empty((N, G, A2, B2), dtype)  # padded_d_z5[n,g,a2,b2]
        self.split_d_relu3_pad1 = cp.empty(
            (N, F, Y, R2, X, K2), dtype
        )  # split_d_relu3_pad1[n,f,y,r2,x,k2]
        self.d_xhat4 = cp.empty((N, G, J, K), dtype)  # ∂L/∂xhat4[n,g,j,k]
        self.xhat4_dot_d_xhat4 = cp.empty(G, dtype)  # xhat4_dot_d_xhat4[g]
        self.sum_d_xhat4 = cp.empty(G, dtype)  # sum_d_xhat4[g]
        self.d_z4 = cp.empty((N, G, J, K), dtype)  # ∂L/∂z4[n,g,j,k]
        self.relu3_dot_d_z4 = cp.empty((G, F), dtype)  # relu3_dot_d_z4[g,f]
        self.split_d_relu3 = cp.empty((N, F, Y, Z, U2, V2), dtype)  # split_d_relu3[n,f,y,z,u2,v2]
        self.d_sum1 = cp.empty((N, F, H, W), dtype)  # ∂L/∂sum1[n,f,h,w]
        self.d_xhat3 = cp.empty((N, F, H, W), dtype)  # ∂L/∂xhat3[n,f,h,w]
        self.xhat3_dot_d_xhat3 = cp.empty(F, dtype)  # xhat3_dot_d_xhat3[f]
        self.sum_d_xhat3 = cp.empty(F, dtype)  # sum_d_xhat3[f]
        self.d_z3 = cp.empty((N, F, H, W), dtype)  # ∂L/∂z3[n,f,h,w]
        self.padded_d_z3 = cp.empty((N, F, Q2, E2), dtype)  # padded_d_z3[n,f,q2,e2]
        self.d_relu2_pad1 = cp.empty((N, E, A, B), dtype)  # ∂L/∂relu2_pad1[n,e,a,b]
        self.d_y2 = cp.empty((N, E, H, W), dtype)  # ∂L/∂y2[n,e,h,w]
        self.d_xhat2 = cp.empty((N, E, H, W), dtype)  # ∂L/∂xhat2[n,e,h,w]
        self.xhat2_dot_d_xhat2 = cp.empty(E, dtype)  # xhat2_dot_d_xhat2[e]
        self.sum_d_xhat2 = cp.empty(E, dtype)  # sum_d_xhat2[e]
        self.d_z2 = cp.empty((N, E, H, W), dtype)  # ∂L/∂z2[n,e,h,w]
        self.padded_d_z2 = cp.empty((N, E, Q2, E2), dtype)  # padded_d_z2[n,e,q2,e2]
        self.d_relu1_pad1 = cp.empty((N, F, A, B), dtype)  # ∂L/∂relu1_pad1[n,f,a,b]
        self.d_y1 = cp.empty((N, F, H, W), dtype)  # ∂L/∂y1[n,f,h,w]
        self.d_xhat1 = cp.empty((N, F, H, W), dtype)  # ∂L/∂xhat1[n,f,h,w]
        self.xhat1_dot_d_xhat1 = cp.empty(F, dtype)  # xhat1_dot_d_xhat1[f]
        self.sum_d_xhat1 = cp.empty(F, dtype)  # sum_d_xhat1[f]
        self.d_z1 = cp.empty((N, F, H, W), dtype)  # ∂L/∂z1[n,f,h,w]


class State:
    """What the optimizer adamw keeps from step to step, and its numbers of one step."""

    def __init__(self, dtype: str = DTYPE) -> None:
        self.kernels = Kernels.of(dtype)
        self.m = cp.zeros(SIZE, dtype)  # m[i]
        self.v = cp.zeros(SIZE, dtype)  # v[i]
        self.lr = cp.zeros((), np.float64)
        self.c2 = cp.zeros((), np.float64)
        self.lr_t = cp.zeros((), np.float64)
        self.t = cp.zeros((), np.int32)  # counts the steps


def init(seed: int = 0) -> Params:
    """Return parameters as training starts with them, drawn by numpy on the host."""
    demand()
    p = Params(np.zeros(STORAGE, DTYPE))
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
    return Params(cp.asarray(p.storage))


def forward(p: Params, a: Activations) -> None:
    """Compute the outputs of a batch into `a`."""
    k = a.kernels
    N = a.N

    # shaped1_pad[n,c,a,b] = shaped1[n,c,a-1,b-1] (0 outside)
    k.each_of("shaped1_pad", N * C * A * B, a.x, a.shaped1_pad, N)

    # z1[n,f,h,w] = Σ_{c,u,v} stem_W[f,c,u,v] shaped1_pad[n,c,h+u,v+w]
    k.product("z1", 16, 1, F, N * H * W, p.stem_W, a.shaped1_pad, a.z1, N)

    # mean1[f] = Σ_{n,h,w} z1[n,f,h,w]/(H N W)
    k.by_block("mean1", F, a.z1, a.mean1, N)

    # var1[f] = Σ_{n,h,w} (z1[n,f,h,w] - mean1[f])²/(H N W)
    # rstd1[f] = 1/√(var1[f] + 1e-05)
    k.by_block("rstd1", F, a.z1, a.mean1, a.var1, a.rstd1, N)

    # xhat1[n,f,h,w] = (z1[n,f,h,w] - mean1[f]) rstd1[f]
    # y1[n,f,h,w] = stem_norm_gain[f] xhat1[n,f,h,w] + stem_norm_shift[f]
    # relu1[n,f,h,w] = max(0, y1[n,f,h,w])
    k.each_of(
        "relu1",
        N * F * H * W,
        a.z1,
        a.mean1,
        a.rstd1,
        p.stem_norm_gain,
        p.stem_norm_shift,
        a.xhat1,
        a.y1,
        a.relu1,
        N,
    )

    # relu1_pad1[n,f,a,b] = relu1[n,f,a-1,b-1] (0 outside)
    k.each_of("relu1_pad1", N * F * A * B, a.relu1, a.relu1_pad1, N)

    # z2[n,e,h,w] = Σ_{f,u,v} block1_conv1_W[e,f,u,v] relu1_pad1[n,f,h+u,v+w]
    k.product("z2", 16, 1, E, N * H * W, p.block1_conv1_W, a.relu1_pad1, a.z2, N)

    # mean2[e] = Σ_{n,h,w} z2[n,e,h,w]/(H N W)
    k.by_block("mean2", E, a.z2, a.mean2, N)

    # var2[e] = Σ_{n,h,w} (z2[n,e,h,w] - mean2[e])²/(H N W)
    # rstd2[e] = 1/√(var2[e] + 1e-05)
    k.by_block("rstd2", E, a.z2, a.mean2, a.var2, a.rstd2, N)

    # xhat2[n,e,h,w] = (z2[n,e,h,w] - mean2[e]) rstd2[e]
    # y2[n,e,h,w] = block1_conv1_norm_gain[e] xhat2[n,e,h,w] + block1_conv1_norm_shift[e]
    # relu2[n,e,h,w] = max(0, y2[n,e,h,w])
    k.each_of(
        "relu2",
        N * E * H * W,
        a.z2,
        a.mean2,
        a.rstd2,
        p.block1_conv1_norm_gain,
        p.block1_conv1_norm_shift,
        a.xhat2,
        a.y2,
        a.relu2,
        N,
    )

    # relu2_pad1[n,e,a,b] = relu2[n,e,a-1,b-1] (0 outside)
    k.each_of("relu2_pad1", N * E * A * B, a.relu2, a.relu2_pad1, N)

    # z3[n,f,h,w] = Σ_{e,u,v} block1_conv2_W[f,e,u,v] relu2_pad1[n,e,h+u,v+w]
    k.product("z3", 16, 1, F, N * H * W, p.block1_conv2_W, a.relu2_pad1, a.z3, N)

    # mean3[f] = Σ_{n,h,w} z3[n,f,h,w]/(H N W)
    k.by_block("mean1", F, a.z3, a.mean3, N)

    # var3[f] = Σ_{n,h,w} (z3[n,f,h,w] - mean3[f])²/(H N W)
    # rstd3[f] = 1/√(var3[f] + 1e-05)
    k.by_block("rstd1", F, a.z3, a.mean3, a.var3, a.rstd3, N)

    # xhat3[n,f,h,w] = (z3[n,f,h,w] - mean3[f]) rstd3[f]
    # y3[n,f,h,w] = block1_conv2_norm_gain[f] xhat3[n,f,h,w] + block1_conv2_norm_shift[f]
    # sum1[n,f,h,w] = relu1[n,f,h,w] + y3[n,f,h,w]
    # relu3[n,f,h,w] = max(0, sum1[n,f,h,w])
    k.each_of(
        "relu3",
        N * F * H * W,
        a.z3,
        a.mean3,
        a.rstd3,
        p.block1_conv2_norm_gain,
        p.block1_conv2_norm_shift,
        a.relu1,
        a.xhat3,
        a.sum1,
        a.relu3,
        N,
    )

    # z4[n,g,j,k] = Σ_f block2_skip_W[g,f,0,0] relu3[n,f,2 j,2 k]
    k.product("z4", 32, 1, G, N * J * K, p.block2_skip_W, a.relu3, a.z4, N)

    # mean4[g] = Σ_{n,j,k} z4[n,g,j,k]/(J K N)
    k.by_block("mean4", G, a.z4, a.mean4, N)

    # var4[g] = Σ_{n,j,k} (z4[n,g,j,k] - mean4[g])²/(J K N)
    # rstd4[g] = 1/√(var4[g] + 1e-05)
    k.by_block("rstd4", G, a.z4, a.mean4, a.var4, a.rstd4, N)

    # xhat4[n,g,j,k] = (z4[n,g,j,k] - mean4[g]) rstd4[g]
    # y4[n,g,j,k] = block2_skip_norm_gain[g] xhat4[n,g,j,k] + block2_skip_norm_shift[g]
    k.each_of(
        "y4",
        N * G * J * K,
        a.z4,
        a.mean4,
        a.rstd4,
        p.block2_skip_norm_gain,
        p.block2_skip_norm_shift,
        a.xhat4,
        a.y4,
        N,
    )

    # relu3_pad1[n,f,r,t] = relu3[n,f,r-1,t-1] (0 outside)
    k.each_of("relu3_pad1", N * F * R * T, a.relu3, a.relu3_pad1, N)

    # z5[n,g,j,k] = Σ_{f,u,v} block2_conv1_W[g,f,u,v] relu3_pad1[n,f,2 j + u,2 k + v]
    k.product("z5", 32, 1, G, N * J * K, p.block2_conv1_W, a.relu3_pad1, a.z5, N)

    # mean5[g] = Σ_{n,j,k} z5[n,g,j,k]/(J K N)
    k.by_block("mean4", G, a.z5, a.mean5, N)

    # var5[g] = Σ_{n,j,k} (z5[n,g,j,k] - mean5[g])²/(J K N)
    # rstd5[g] = 1/√(var5[g] + 1e-05)
    k.by_block("rstd4", G, a.z5, a.mean5, a.var5, a.rstd5, N)

    # xhat5[n,g,j,k] = (z5[n,g,j,k] - mean5[g]) rstd5[g]
    # y5[n,g,j,k] = block2_conv1_norm_gain[g] xhat5[n,g,j,k] + block2_conv1_norm_shift[g]
    # relu4[n,g,j,k] = max(0, y5[n,g,j,k])
    k.each_of(
        "relu4",
        N * G * J * K,
        a.z5,
        a.mean5,
        a.rstd5,
        p.block2_conv1_norm_gain,
        p.block2_conv1_norm_shift,
        a.xhat5,
        a.y5,
        a.relu4,
        N,
    )

    # relu4_pad1[n,g,a2,b2] = relu4[n,g,a2-1,b2-1] (0 outside)
    k.each_of("relu4_pad1", N * G * A2 * B2, a.relu4, a.relu4_pad1, N)

    # z6[n,s,j,k] = Σ_{g,u,v} block2_conv2_W[s,g,u,v] relu4_pad1[n,g,j+u,k+v]
    k.product("z6", 32, 1, S, N * J * K, p.block2_conv2_W, a.relu4_pad1, a.z6, N)

    # mean6[s] = Σ_{n,j,k} z6[n,s,j,k]/(J K N)
    k.by_block("mean6", S, a.z6, a.mean6, N)

    # var6[s] = Σ_{n,j,k} (z6[n,s,j,k] - mean6[s])²/(J K N)
    # rstd6[s] = 1/√(var6[s] + 1e-05)
    k.by_block("rstd6", S, a.z6, a.mean6, a.var6, a.rstd6, N)

    # xhat6[n,s,j,k] = (z6[n,s,j,k] - mean6[s]) rstd6[s]
    # y6[n,s,j,k] = block2_conv2_norm_gain[s] xhat6[n,s,j,k] + block2_conv2_norm_shift[s]
    k.each_of(
        "y6",
        N * S * J * K,
        a.z6,
        a.mean6,
        a.rstd6,
        p.block2_conv2_norm_gain,
        p.block2_conv2_norm_shift,
        a.xhat6,
        a.y6,
        N,
    )

    # sum2[n,g,j,k] = y4[n,g,j,k] + y6[n,g,j,k]
    # h[n,g,j,k] = max(0, sum2[n,g,j,k])
    k.each_of("h", N * G * J * K, a.y4, a.y6, a.sum2, a.h, N)

    # pooled1[n,g] = Σ_{j,k} h[n,g,j,k]/(J K)
    k.by_warp("pooled1", N * G, a.h, a.pooled1, N)

    # logits[n,h2] = Σ_g fc_W[g,h2] pooled1[n,g] + fc_b[h2]
    k.product("logits", 16, 1, N, H2, a.pooled1, p.fc_W, p.fc_b, a.logits, N)


def add_loss(a: Activations) -> None:
    """Go on from the outputs to the loss."""
    k = a.kernels
    N = a.N

    # m[n] = max_h2 logits[n,h2]
    # e[n,h2] = exp(logits[n,h2] - m[n])
    # s[n] = Σ_h2 e[n,h2]
    # average[n] = Σ_h2 logits[n,h2]/H2
    # logits_at_digit[n] = logits[n,digit[n]]
    k.by_warp(
        "logits_at_digit", N, a.logits, a.digit, a.m, a.e, a.s, a.average, a.logits_at_digit, N
    )

    # loss = Σ_n (m[n] + log(s[n]) - 0.1 average[n] - 0.9 logits_at_digit[n])/N
    k.by_block("loss", 1, a.m, a.s, a.average, a.logits_at_digit, a.loss, N)


def infer(p: Params, a: Activations) -> None:
    """Compute the outputs as they are predicted."""
    k = a.kernels
    N = a.N

    # shaped1_pad[n,c,a,b] = shaped1[n,c,a-1,b-1] (0 outside)
    k.each_of("shaped1_pad", N * C * A * B, a.x, a.shaped1_pad, N)

    # z1[n,f,h,w] = Σ_{c,u,v} stem_W[f,c,u,v] shaped1_pad[n,c,h+u,v+w]
    k.product("z1", 16, 1, F, N * H * W, p.stem_W, a.shaped1_pad, a.z1, N)

    # mean1[f] = stem_norm_mean[f]
    # var1[f] = stem_norm_var[f]
    # rstd1[f] = 1/√(var1[f] + 1e-05)
    k.each_of(
        "rstd1_from_stem_norm_mean", F, p.stem_norm_mean, p.stem_norm_var, a.mean1, a.var1, a.rstd1
    )

    # xhat1[n,f,h,w] = (z1[n,f,h,w] - mean1[f]) rstd1[f]
    # y1[n,f,h,w] = stem_norm_gain[f] xhat1[n,f,h,w] + stem_norm_shift[f]
    # relu1[n,f,h,w] = max(0, y1[n,f,h,w])
    k.each_of(
        "relu1",
        N * F * H * W,
        a.z1,
        a.mean1,
        a.rstd1,
        p.stem_norm_gain,
        p.stem_norm_shift,
        a.xhat1,
        a.y1,
        a.relu1,
        N,
    )

    # relu1_pad1[n,f,a,b] = relu1[n,f,a-1,b-1] (0 outside)
    k.each_of("relu1_pad1", N * F * A * B, a.relu1, a.relu1_pad1, N)

    # z2[n,e,h,w] = Σ_{f,u,v} block1_conv1_W[e,f,u,v] relu1_pad1[n,f,h+u,v+w]
    k.product("z2", 16, 1, E, N * H * W, p.block1_conv1_W, a.relu1_pad1, a.z2, N)

    # mean2[e] = block1_conv1_norm_mean[e]
    # var2[e] = block1_conv1_norm_var[e]
    # rstd2[e] = 1/√(var2[e] + 1e-05)
    k.each_of(
        "rstd2_from_block1_conv1_norm_mean",
        E,
        p.block1_conv1_norm_mean,
        p.block1_conv1_norm_var,
        a.mean2,
        a.var2,
        a.rstd2,
    )

    # xhat2[n,e,h,w] = (z2[n,e,h,w] - mean2[e]) rstd2[e]
    # y2[n,e,h,w] = block1_conv1_norm_gain[e] xhat2[n,e,h,w] + block1_conv1_norm_shift[e]
    # relu2[n,e,h,w] = max(0, y2[n,e,h,w])
    k.each_of(
        "relu2",
        N * E * H * W,
        a.z2,
        a.mean2,
        a.rstd2,
        p.block1_conv1_norm_gain,
        p.block1_conv1_norm_shift,
        a.xhat2,
        a.y2,
        a.relu2,
        N,
    )

    # relu2_pad1[n,e,a,b] = relu2[n,e,a-1,b-1] (0 outside)
    k.each_of("relu2_pad1", N * E * A * B, a.relu2, a.relu2_pad1, N)

    # z3[n,f,h,w] = Σ_{e,u,v} block1_conv2_W[f,e,u,v] relu2_pad1[n,e,h+u,v+w]
    k.product("z3", 16, 1, F, N * H * W, p.block1_conv2_W, a.relu2_pad1, a.z3, N)

    # mean3[f] = block1_conv2_norm_mean[f]
    # var3[f] = block1_conv2_norm_var[f]
    # rstd3[f] = 1/√(var3[f] + 1e-05)
    k.each_of(
        "rstd1_from_stem_norm_mean",
        F,
        p.block1_conv2_norm_mean,
        p.block1_conv2_norm_var,
        a.mean3,
        a.var3,
        a.rstd3,
    )

    # xhat3[n,f,h,w] = (z3[n,f,h,w] - mean3[f]) rstd3[f]
    # y3[n,f,h,w] = block1_conv2_norm_gain[f] xhat3[n,f,h,w] + block1_conv2_norm_shift[f]
    # sum1[n,f,h,w] = relu1[n,f,h,w] + y3[n,f,h,w]
    # relu3[n,f,h,w] = max(0, sum1[n,f,h,w])
    k.each_of(
        "relu3",
        N * F * H * W,
        a.z3,
        a.mean3,
        a.rstd3,
        p.block1_conv2_norm_gain,
        p.block1_conv2_norm_shift,
        a.relu1,
        a.xhat3,
        a.sum1,
        a.relu3,
        N,
    )

    # z4[n,g,j,k] = Σ_f block2_skip_W[g,f,0,0] relu3[n,f,2 j,2 k]
    k.product("z4", 32, 1, G, N * J * K, p.block2_skip_W, a.relu3, a.z4, N)

    # mean4[g] = block2_skip_norm_mean[g]
    # var4[g] = block2_skip_norm_var[g]
    # rstd4[g] = 1/√(var4[g] + 1e-05)
    k.each_of(
        "rstd4_from_block2_skip_norm_mean",
        G,
        p.block2_skip_norm_mean,
        p.block2_skip_norm_var,
        a.mean4,
        a.var4,
        a.rstd4,
    )

    # xhat4[n,g,j,k] = (z4[n,g,j,k] - mean4[g]) rstd4[g]
    # y4[n,g,j,k] = block2_skip_norm_gain[g] xhat4[n,g,j,k] + block2_skip_norm_shift[g]
    k.each_of(
        "y4",
        N * G * J * K,
        a.z4,
        a.mean4,
        a.rstd4,
        p.block2_skip_norm_gain,
        p.block2_skip_norm_shift,
        a.xhat4,
        a.y4,
        N,
    )

    # relu3_pad1[n,f,r,t] = relu3[n,f,r-1,t-1] (0 outside)
    k.each_of("relu3_pad1", N * F * R * T, a.relu3, a.relu3_pad1, N)

    # z5[n,g,j,k] = Σ_{f,u,v} block2_conv1_W[g,f,u,v] relu3_pad1[n,f,2 j + u,2 k + v]
    k.product("z5", 32, 1, G, N * J * K, p.block2_conv1_W, a.relu3_pad1, a.z5, N)

    # mean5[g] = block2_conv1_norm_mean[g]
    # var5[g] = block2_conv1_norm_var[g]
    # rstd5[g] = 1/√(var5[g] + 1e-05)
    k.each_of(
        "rstd4_from_block2_skip_norm_mean",
        G,
        p.block2_conv1_norm_mean,
        p.block2_conv1_norm_var,
        a.mean5,
        a.var5,
        a.rstd5,
    )

    # xhat5[n,g,j,k] = (z5[n,g,j,k] - mean5[g]) rstd5[g]
    # y5[n,g,j,k] = block2_conv1_norm_gain[g] xhat5[n,g,j,k] + block2_conv1_norm_shift[g]
    # relu4[n,g,j,k] = max(0, y5[n,g,j,k])
    k.each_of(
        "relu4",
        N * G * J * K,
        a.z5,
        a.mean5,
        a.rstd5,
        p.block2_conv1_norm_gain,
        p.block2_conv1_norm_shift,
        a.xhat5,
        a.y5,
        a.relu4,
        N,
    )

    # relu4_pad1[n,g,a2,b2] = relu4[n,g,a2-1,b2-1] (0 outside)
    k.each_of("relu4_pad1", N * G * A2 * B2, a.relu4, a.relu4_pad1, N)

    # z6[n,s,j,k] = Σ_{g,u,v} block2_conv2_W[s,g,u,v] relu4_pad1[n,g,j+u,k+v]
    k.product("z6", 32, 1, S, N * J * K, p.block2_conv2_W, a.relu4_pad1, a.z6, N)

    # mean6[s] = block2_conv2_norm_mean[s]
    # var6[s] = block2_conv2_norm_var[s]
    # rstd6[s] = 1/√(var6[s] + 1e-05)
    k.each_of(
        "rstd6_from_block2_conv2_norm_mean",
        S,
        p.block2_conv2_norm_mean,
        p.block2_conv2_norm_var,
        a.mean6,
        a.var6,
        a.rstd6,
    )

    # xhat6[n,s,j,k] = (z6[n,s,j,k] - mean6[s]) rstd6[s]
    # y6[n,s,j,k] = block2_conv2_norm_gain[s] xhat6[n,s,j,k] + block2_conv2_norm_shift[s]
    k.each_of(
        "y6",
        N * S * J * K,
        a.z6,
        a.mean6,
        a.rstd6,
        p.block2_conv2_norm_gain,
        p.block2_conv2_norm_shift,
        a.xhat6,
        a.y6,
        N,
    )

    # sum2[n,g,j,k] = y4[n,g,j,k] + y6[n,g,j,k]
    # h[n,g,j,k] = max(0, sum2[n,g,j,k])
    k.each_of("h", N * G * J * K, a.y4, a.y6, a.sum2, a.h, N)

    # pooled1[n,g] = Σ_{j,k} h[n,g,j,k]/(J K)
    k.by_warp("pooled1", N * G, a.h, a.pooled1, N)

    # logits[n,h2] = Σ_g fc_W[g,h2] pooled1[n,g] + fc_b[h2]
    k.product("logits", 16, 1, N, H2, a.pooled1, p.fc_W, p.fc_b, a.logits, N)


def advance(p: Params, a: Workspace) -> None:
    """Give every state its next value, from what the forward pass left in `a`."""
    k = a.kernels
    N = a.N

    # stem_norm_mean[f] ← 0.9 stem_norm_mean[f] + 0.1 mean1[f]
    # stem_norm_var[f] ← 0.9 stem_norm_var[f] + 0.1 H N W var1[f]/max(1, H N W - 1)
    k.each("stem_norm_var", F, a.mean1, a.var1, p.stem_norm_mean, p.stem_norm_var, N)

    # block1_conv1_norm_mean[e] ← 0.9 block1_conv1_norm_mean[e] + 0.1 mean2[e]
    # block1_conv1_norm_var[e] ← 0.9 block1_conv1_norm_var[e] + 0.1 H N W var2[e]/max(1, H N W - 1)
    k.each(
        "block1_conv1_norm_var",
        E,
        a.mean2,
        a.var2,
        p.block1_conv1_norm_mean,
        p.block1_conv1_norm_var,
        N,
    )

    # block1_conv2_norm_mean[f] ← 0.9 block1_conv2_norm_mean[f] + 0.1 mean3[f]
    # block1_conv2_norm_var[f] ← 0.9 block1_conv2_norm_var[f] + 0.1 H N W var3[f]/max(1, H N W - 1)
    k.each(
        "stem_norm_var", F, a.mean3, a.var3, p.block1_conv2_norm_mean, p.block1_conv2_norm_var, N
    )

    # block2_skip_norm_mean[g] ← 0.9 block2_skip_norm_mean[g] + 0.1 mean4[g]
    # block2_skip_norm_var[g] ← 0.9 block2_skip_norm_var[g] + 0.1 J K N var4[g]/max(1, J K N - 1)
    # block2_conv1_norm_mean[g] ← 0.9 block2_conv1_norm_mean[g] + 0.1 mean5[g]
    # block2_conv1_norm_var[g] ← 0.9 block2_conv1_norm_var[g] + 0.1 J K N var5[g]/max(1, J K N - 1)
    k.each(
        "block2_conv1_norm_var",
        G,
        a.mean4,
        a.var4,
        a.mean5,
        a.var5,
        p.block2_skip_norm_mean,
        p.block2_skip_norm_var,
        p.block2_conv1_norm_mean,
        p.block2_conv1_norm_var,
        N,
    )

    # block2_conv2_norm_mean[s] ← 0.9 block2_conv2_norm_mean[s] + 0.1 mean6[s]
    # block2_conv2_norm_var[s] ← 0.9 block2_conv2_norm_var[s] + 0.1 J K N var6[s]/max(1, J K N - 1)
    k.each(
        "block2_conv2_norm_var",
        S,
        a.mean6,
        a.var6,
        p.block2_conv2_norm_mean,
        p.block2_conv2_norm_var,
        N,
    )


def backward(p: Params, g: Grads, a: Workspace) -> None:
    """Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`."""
    k = a.kernels
    N = a.N

    # p[n,h2] = e[n,h2]/s[n]
    # ∂L/∂logits[n,h2] = (p[n,h2] - 0.1/H2 - 0.9 δ(h2,digit[n]))/N
    k.each_of("d_logits", N * H2, a.s, a.e, a.digit, a.d_logits, N)

    # ∂L/∂fc_W[g,h2] = Σ_n pooled1[n,g] ∂L/∂logits[n,h2]
    k.product("d_fc_W", 16, 1, G, H2, a.pooled1, a.d_logits, g.fc_W, N)

    # ∂L/∂fc_b[h2] = Σ_n ∂L/∂logits[n,h2]
    k.by_columns("d_fc_b", H2, a.d_logits, g.fc_b, N)

    # ∂L/∂pooled1[n,g] = Σ_h2 fc_W[g,h2] ∂L/∂logits[n,h2]
    k.product("d_pooled1", 32, 1, N, G, a.d_logits, p.fc_W, a.d_pooled1, N)

    # ∂L/∂sum2[n,g,j,k] = [sum2[n,g,j,k] > 0] ∂L/∂pooled1[n,g]/(J K)
    k.each_of("d_sum2", N * G * J * K, a.d_pooled1, a.sum2, a.d_sum2, N)

    # ∂L/∂block2_conv2_norm_gain[s] = Σ_{n,j,k} xhat6[n,s,j,k] ∂L/∂sum2[n,s,j,k]
    k.by_block("d_block2_conv2_norm_gain", S, a.xhat6, a.d_sum2, g.block2_conv2_norm_gain, N)

    # ∂L/∂block2_conv2_norm_shift[s] = Σ_{n,j,k} ∂L/∂sum2[n,s,j,k]
    k.by_block("d_block2_conv2_norm_shift", S, a.d_sum2, g.block2_conv2_norm_shift, N)

    # ∂L/∂xhat6[n,s,j,k] = block2_conv2_norm_gain[s] ∂L/∂sum2[n,s,j,k]
    k.each_of("d_xhat6", N * S * J * K, p.block2_conv2_norm_gain, a.d_sum2, a.d_xhat6, N)

    # xhat6_dot_d_xhat6[s] = Σ_{n,j,k} xhat6[n,s,j,k] ∂L/∂xhat6[n,s,j,k]
    k.by_block("xhat6_dot_d_xhat6", S, a.xhat6, a.d_xhat6, a.xhat6_dot_d_xhat6, N)

    # sum_d_xhat6[s] = Σ_{n,j,k} ∂L/∂xhat6[n,s,j,k]
    k.by_block("sum_d_xhat6", S, a.d_xhat6, a.sum_d_xhat6, N)

    # ∂L/∂z6[n,s,j,k] = rstd6[s] (∂L/∂xhat6[n,s,j,k] - xhat6[n,s,j,k] xhat6_dot_d_xhat6[s]/(J K N) -
    #     sum_d_xhat6[s]/(J K N))
    k.each_of(
        "d_z6",
        N * S * J * K,
        a.rstd6,
        a.xhat6,
        a.xhat6_dot_d_xhat6,
        a.d_xhat6,
        a.sum_d_xhat6,
        a.d_z6,
        N,
    )

    # ∂L/∂block2_conv2_W[s,g,u,v] = Σ_{n,j,k} relu4_pad1[n,g,j+u,k+v] ∂L/∂z6[n,s,j,k]
    k.product("d_block2_conv2_W", 16, 1, S, G * U * V, a.d_z6, a.relu4_pad1, g.block2_conv2_W, N)

    # padded_d_z6[n,s,p,w] = ∂L/∂z6[n,s,p-2,w-2] (0 outside)
    k.each_of("padded_d_z6", N * S * P * W, a.d_z6, a.padded_d_z6, N)

    # ∂L/∂relu4_pad1[n,g,a2,b2] = Σ_{s,u,v} block2_conv2_W[s,g,u,v] padded_d_z6[n,s,a2 + 2 - u,b2 +
    #     2 - v]
    k.product(
        "d_relu4_pad1", 32, 1, G, N * A2 * B2, p.block2_conv2_W, a.padded_d_z6, a.d_relu4_pad1, N
    )

    # ∂L/∂y5[n,g,j,k] = [y5[n,g,j,k] > 0] ∂L/∂relu4_pad1[n,g,j+1,k+1]
    k.each_of("d_y5", N * G * J * K, a.d_relu4_pad1, a.y5, a.d_y5, N)

    # ∂L/∂block2_conv1_norm_gain[g] = Σ_{n,j,k} xhat5[n,g,j,k] ∂L/∂y5[n,g,j,k]
    k.by_block("d_block2_conv1_norm_gain", G, a.xhat5, a.d_y5, g.block2_conv1_norm_gain, N)

    # ∂L/∂block2_conv1_norm_shift[g] = Σ_{n,j,k} ∂L/∂y5[n,g,j,k]
    k.by_block("d_block2_conv1_norm_shift", G, a.d_y5, g.block2_conv1_norm_shift, N)

    # ∂L/∂xhat5[n,g,j,k] = block2_conv1_norm_gain[g] ∂L/∂y5[n,g,j,k]
    k.each_of("d_xhat5", N * G * J * K, p.block2_conv1_norm_gain, a.d_y5, a.d_xhat5, N)

    # xhat5_dot_d_xhat5[g] = Σ_{n,j,k} xhat5[n,g,j,k] ∂L/∂xhat5[n,g,j,k]
    k.by_block("d_block2_conv1_norm_gain", G, a.xhat5, a.d_xhat5, a.xhat5_dot_d_xhat5, N)

    # sum_d_xhat5[g] = Σ_{n,j,k} ∂L/∂xhat5[n,g,j,k]
    k.by_block("d_block2_conv1_norm_shift", G, a.d_xhat5, a.sum_d_xhat5, N)

    # ∂L/∂z5[n,g,j,k] = rstd5[g] (∂L/∂xhat5[n,g,j,k] - xhat5[n,g,j,k] xhat5_dot_d_xhat5[g]/(J K N) -
    #     sum_d_xhat5[g]/(J K N))
    k.each_of(
        "d_z5",
        N * G * J * K,
        a.rstd5,
        a.xhat5,
        a.xhat5_dot_d_xhat5,
        a.d_xhat5,
        a.sum_d_xhat5,
        a.d_z5,
        N,
    )

    # ∂L/∂block2_conv1_W[g,f,u,v] = Σ_{n,j,k} relu3_pad1[n,f,2 j + u,2 k + v] ∂L/∂z5[n,g,j,k]
    k.product("d_block2_conv1_W", 16, 1, G, F * U * V, a.d_z5, a.relu3_pad1, g.block2_conv1_W, N)

    # padded_block2_conv1_W[g,f,k,j] = block2_conv1_W[g,f,k,j] (0 outside)
    k.each_of("padded_block2_conv1_W", G * F * K * J, p.block2_conv1_W, a.padded_block2_conv1_W)

    # padded_d_z5[n,g,a2,b2] = ∂L/∂z5[n,g,a2-1,b2-1] (0 outside)
    k.each_of("relu4_pad1", N * G * A2 * B2, a.d_z5, a.padded_d_z5, N)

    # split_d_relu3_pad1[n,f,y,r2,x,k2] = Σ_{g,z,j2} padded_block2_conv1_W[g,f,2 z + y,2 j2 + r2]
    #     padded_d_z5[n,g,x + 1 - z,k2 + 1 - j2]
    k.product(
        "split_d_relu3_pad1",
        32,
        1,
        F * Y * R2,
        N * X * K2,
        a.padded_block2_conv1_W,
        a.padded_d_z5,
        a.split_d_relu3_pad1,
        N,
    )

    # ∂L/∂block2_skip_norm_gain[g] = Σ_{n,j,k} xhat4[n,g,j,k] ∂L/∂sum2[n,g,j,k]
    k.by_block("d_block2_conv1_norm_gain", G, a.xhat4, a.d_sum2, g.block2_skip_norm_gain, N)

    # ∂L/∂block2_skip_norm_shift[g] = Σ_{n,j,k} ∂L/∂sum2[n,g,j,k]
    k.by_block("d_block2_conv1_norm_shift", G, a.d_sum2, g.block2_skip_norm_shift, N)

    # ∂L/∂xhat4[n,g,j,k] = block2_skip_norm_gain[g] ∂L/∂sum2[n,g,j,k]
    k.each_of("d_xhat5", N * G * J * K, p.block2_skip_norm_gain, a.d_sum2, a.d_xhat4, N)

    # xhat4_dot_d_xhat4[g] = Σ_{n,j,k} xhat4[n,g,j,k] ∂L/∂xhat4[n,g,j,k]
    k.by_block("d_block2_conv1_norm_gain", G, a.xhat4, a.d_xhat4, a.xhat4_dot_d_xhat4, N)

    # sum_d_xhat4[g] = Σ_{n,j,k} ∂L/∂xhat4[n,g,j,k]
    k.by_block("d_block2_conv1_norm_shift", G, a.d_xhat4, a.sum_d_xhat4, N)

    # ∂L/∂z4[n,g,j,k] = rstd4[g] (∂L/∂xhat4[n,g,j,k] - xhat4[n,g,j,k] xhat4_dot_d_xhat4[g]/(J K N) -
    #     sum_d_xhat4[g]/(J K N))
    k.each_of(
        "d_z5",
        N * G * J * K,
        a.rstd4,
        a.xhat4,
        a.xhat4_dot_d_xhat4,
        a.d_xhat4,
        a.sum_d_xhat4,
        a.d_z4,
        N,
    )

    # relu3_dot_d_z4[g,f] = Σ_{n,j,k} relu3[n,f,2 j,2 k] ∂L/∂z4[n,g,j,k]
    k.product("relu3_dot_d_z4", 16, 1, G, F, a.d_z4, a.relu3, a.relu3_dot_d_z4, N)

    # ∂L/∂block2_skip_W[g,f,m,q] = relu3_dot_d_z4[g,f]
    k.each("d_block2_skip_W", G * F * M * Q, a.relu3_dot_d_z4, g.block2_skip_W)

    # split_d_relu3[n,f,y,z,u2,v2] = Σ_g δ(y,0) δ(z,0) block2_skip_W[g,f,0,0] ∂L/∂z4[n,g,u2,v2]
    k.by_thread(
        "split_d_relu3", N * F * Y * Z * U2 * V2, p.block2_skip_W, a.d_z4, a.split_d_relu3, N
    )

    # ∂L/∂relu3[n,f,h,w] = joined_d_relu3_pad1[n,f,h+1,w+1] + split_d_relu3[n,f,h % Y,w % Z,h // 2 %
    #     U2,w // 2 % V2]
    # ∂L/∂sum1[n,f,h,w] = [sum1[n,f,h,w] > 0] ∂L/∂relu3[n,f,h,w]
    k.each_of("d_sum1", N * F * H * W, a.split_d_relu3_pad1, a.split_d_relu3, a.sum1, a.d_sum1, N)

    # ∂L/∂block1_conv2_norm_gain[f] = Σ_{n,h,w} xhat3[n,f,h,w] ∂L/∂sum1[n,f,h,w]
    k.by_block("d_block1_conv2_norm_gain", F, a.xhat3, a.d_sum1, g.block1_conv2_norm_gain, N)

    # ∂L/∂block1_conv2_norm_shift[f] = Σ_{n,h,w} ∂L/∂sum1[n,f,h,w]
    k.by_block("d_block1_conv2_norm_shift", F, a.d_sum1, g.block1_conv2_norm_shift, N)

    # ∂L/∂xhat3[n,f,h,w] = block1_conv2_norm_gain[f] ∂L/∂sum1[n,f,h,w]
    k.each_of("d_xhat3", N * F * H * W, p.block1_conv2_norm_gain, a.d_sum1, a.d_xhat3, N)

    # xhat3_dot_d_xhat3[f] = Σ_{n,h,w} xhat3[n,f,h,w] ∂L/∂xhat3[n,f,h,w]
    k.by_block("d_block1_conv2_norm_gain", F, a.xhat3, a.d_xhat3, a.xhat3_dot_d_xhat3, N)

    # sum_d_xhat3[f] = Σ_{n,h,w} ∂L/∂xhat3[n,f,h,w]
    k.by_block("d_block1_conv2_norm_shift", F, a.d_xhat3, a.sum_d_xhat3, N)

    # ∂L/∂z3[n,f,h,w] = rstd3[f] (∂L/∂xhat3[n,f,h,w] - xhat3[n,f,h,w] xhat3_dot_d_xhat3[f]/(H N W) -
    #     sum_d_xhat3[f]/(H N W))
    k.each_of(
        "d_z3",
        N * F * H * W,
        a.rstd3,
        a.xhat3,
        a.xhat3_dot_d_xhat3,
        a.d_xhat3,
        a.sum_d_xhat3,
        a.d_z3,
        N,
    )

    # ∂L/∂block1_conv2_W[f,e,u,v] = Σ_{n,h,w} relu2_pad1[n,e,h+u,v+w] ∂L/∂z3[n,f,h,w]
    k.product("d_block1_conv2_W", 16, 1, F, E * U * V, a.d_z3, a.relu2_pad1, g.block1_conv2_W, N)

    # padded_d_z3[n,f,q2,e2] = ∂L/∂z3[n,f,q2-2,e2-2] (0 outside)
    k.each_of("padded_d_z3", N * F * Q2 * E2, a.d_z3, a.padded_d_z3, N)

    # ∂L/∂relu2_pad1[n,e,a,b] = Σ_{f,u,v} block1_conv2_W[f,e,u,v] padded_d_z3[n,f,a + 2 - u,b + 2 -
    #     v]
    k.product(
        "d_relu2_pad1", 16, 1, E, N * A * B, p.block1_conv2_W, a.padded_d_z3, a.d_relu2_pad1, N
    )

    # ∂L/∂y2[n,e,h,w] = [y2[n,e,h,w] > 0] ∂L/∂relu2_pad1[n,e,h+1,w+1]
    k.each_of("d_y2", N * E * H * W, a.d_relu2_pad1, a.y2, a.d_y2, N)

    # ∂L/∂block1_conv1_norm_gain[e] = Σ_{n,h,w} xhat2[n,e,h,w] ∂L/∂y2[n,e,h,w]
    k.by_block("d_block1_conv1_norm_gain", E, a.xhat2, a.d_y2, g.block1_conv1_norm_gain, N)

    # ∂L/∂block1_conv1_norm_shift[e] = Σ_{n,h,w} ∂L/∂y2[n,e,h,w]
    k.by_block("d_block1_conv1_norm_shift", E, a.d_y2, g.block1_conv1_norm_shift, N)

    # ∂L/∂xhat2[n,e,h,w] = block1_conv1_norm_gain[e] ∂L/∂y2[n,e,h,w]
    k.each_of("d_xhat2", N * E * H * W, p.block1_conv1_norm_gain, a.d_y2, a.d_xhat2, N)

    # xhat2_dot_d_xhat2[e] = Σ_{n,h,w} xhat2[n,e,h,w] ∂L/∂xhat2[n,e,h,w]
    k.by_block("d_block1_conv1_norm_gain", E, a.xhat2, a.d_xhat2, a.xhat2_dot_d_xhat2, N)

    # sum_d_xhat2[e] = Σ_{n,h,w} ∂L/∂xhat2[n,e,h,w]
    k.by_block("d_block1_conv1_norm_shift", E, a.d_xhat2, a.sum_d_xhat2, N)

    # ∂L/∂z2[n,e,h,w] = rstd2[e] (∂L/∂xhat2[n,e,h,w] - xhat2[n,e,h,w] xhat2_dot_d_xhat2[e]/(H N W) -
    #     sum_d_xhat2[e]/(H N W))
    k.each_of(
        "d_z2",
        N * E * H * W,
        a.rstd2,
        a.xhat2,
        a.xhat2_dot_d_xhat2,
        a.d_xhat2,
        a.sum_d_xhat2,
        a.d_z2,
        N,
    )

    # ∂L/∂block1_conv1_W[e,f,u,v] = Σ_{n,h,w} relu1_pad1[n,f,h+u,v+w] ∂L/∂z2[n,e,h,w]
    k.product("d_block1_conv1_W", 16, 1, E, F * U * V, a.d_z2, a.relu1_pad1, g.block1_conv1_W, N)

    # padded_d_z2[n,e,q2,e2] = ∂L/∂z2[n,e,q2-2,e2-2] (0 outside)
    k.each_of("padded_d_z2", N * E * Q2 * E2, a.d_z2, a.padded_d_z2, N)

    # ∂L/∂relu1_pad1[n,f,a,b] = Σ_{e,u,v} block1_conv1_W[e,f,u,v] padded_d_z2[n,e,a + 2 - u,b + 2 -
    #     v]
    k.product(
        "d_relu1_pad1", 16, 1, F, N * A * B, p.block1_conv1_W, a.padded_d_z2, a.d_relu1_pad1, N
    )

    # ∂L/∂y1[n,f,h,w] = [y1[n,f,h,w] > 0] (∂L/∂sum1[n,f,h,w] + ∂L/∂relu1_pad1[n,f,h+1,w+1])
    k.each_of("d_y1", N * F * H * W, a.d_sum1, a.d_relu1_pad1, a.y1, a.d_y1, N)

    # ∂L/∂stem_norm_gain[f] = Σ_{n,h,w} xhat1[n,f,h,w] ∂L/∂y1[n,f,h,w]
    k.by_block("d_block1_conv2_norm_gain", F, a.xhat1, a.d_y1, g.stem_norm_gain, N)

    # ∂L/∂stem_norm_shift[f] = Σ_{n,h,w} ∂L/∂y1[n,f,h,w]
    k.by_block("d_block1_conv2_norm_shift", F, a.d_y1, g.stem_norm_shift, N)

    # ∂L/∂xhat1[n,f,h,w] = stem_norm_gain[f] ∂L/∂y1[n,f,h,w]
    k.each_of("d_xhat3", N * F * H * W, p.stem_norm_gain, a.d_y1, a.d_xhat1, N)

    # xhat1_dot_d_xhat1[f] = Σ_{n,h,w} xhat1[n,f,h,w] ∂L/∂xhat1[n,f,h,w]
    k.by_block("d_block1_conv2_norm_gain", F, a.xhat1, a.d_xhat1, a.xhat1_dot_d_xhat1, N)

    # sum_d_xhat1[f] = Σ_{n,h,w} ∂L/∂xhat1[n,f,h,w]
    k.by_block("d_block1_conv2_norm_shift", F, a.d_xhat1, a.sum_d_xhat1, N)

    # ∂L/∂z1[n,f,h,w] = rstd1[f] (∂L/∂xhat1[n,f,h,w] - xhat1[n,f,h,w] xhat1_dot_d_xhat1[f]/(H N W) -
    #     sum_d_xhat1[f]/(H N W))
    k.each_of(
        "d_z3",
        N * F * H * W,
        a.rstd1,
        a.xhat1,
        a.xhat1_dot_d_xhat1,
        a.d_xhat1,
        a.sum_d_xhat1,
        a.d_z1,
        N,
    )

    # ∂L/∂stem_W[f,c,u,v] = Σ_{n,h,w} shaped1_pad[n,c,h+u,v+w] ∂L/∂z1[n,f,h,w]
    k.product("d_stem_W", 16, 1, F, C * U * V, a.d_z1, a.shaped1_pad, g.stem_W, N)


def update(p: Params, g: Grads, s: State) -> None:
    """Change the parameters by the gradient."""
    k = s.kernels
    P = SIZE

    # t ← t + 1
    k.each("count_step", 1, s.t)

    # lr ← (0.0052 - 0.0048 cos(π (t/134 - 1/134)) if t ≤ 135 else (0.00499998 cos(π (t/315 - 3/7))
    #     + 0.00500002 if t ≤ 450 else 4e-08))
    # c2 ← √(1 - 0.999^t)
    # lr_t ← c2 lr/(1 - 0.9^t)
    k.each("lr_t", 1, s.t, s.lr, s.c2, s.lr_t)

    # m[i] ← 0.9 m[i] + 0.1 g[i]
    # v[i] ← 0.999 v[i] + 0.001 g[i]²
    # θ[i] ← θ[i] - lr_t m[i]/(1e-08 c2 + √v[i]) - 0.05 lr θ[i]
    k.each_of("theta", P, g.flat, s.lr, s.c2, s.lr_t, s.m, s.v, p.flat, P)


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
    infer(params, a)
    return {"logits": a.logits}


def loss(params: Params, *, x: np.ndarray, digit: np.ndarray) -> float:
    """Return the loss of a batch as `predict` computes it, without a gradient."""
    x, digit = checked(x, digit, params.flat.dtype)
    a = Activations(len(x), params.flat.dtype)
    upload(a, {"x": x, "digit": digit})
    infer(params, a)
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
        advance(p, a)
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
    arrays = {name: getattr(trainer.params, name).get() for name in STORED}
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
    params = Params(cp.empty(STORAGE, dtype))
    for name in STORED:
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
    start = init(seed).storage.get().astype(np.float64)
    rng = np.random.default_rng(seed + 1)
    start[:SIZE] += 0.1 * rng.standard_normal(SIZE)
    batch, v = example(5, seed), rng.standard_normal(SIZE)
    v /= np.sqrt(v @ v)
    base, grads = loss_and_grad(Params(cp.asarray(start)), **batch)
    gradient = grads.flat.get()
    slope = float(gradient @ v)
    move = np.append(v, np.zeros(STORAGE - SIZE))
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
