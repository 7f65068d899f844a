"""Convolutional network for 8×8 images of digits, after LeNet-5.

Written by `bpgen emit lenet_digits --target cupy` from lenet_digits.py.
It needs CuPy and an NVIDIA GPU to run, and neither to be imported.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

try:
    import cupy as cp
except ImportError:  # `Kernels` says so when something is run
    cp = None
try:
    from nvmath.bindings import cublas, cublasLt
except ImportError:  # a kernel multiplies
    cublas = None

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
    D = 64, F = 16, C = 1, U = 3, V = 3, Q = 32, E = 128, S = 64, D2 = 10, H = 8, W = 8, A = 10,
    B = 10, K = 4, J = 4, R = 2, T = 2, P = 6, X = 6, M = 2, G = 2;

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

// out = scale left right + bias, or out += …, for stacks of matrices that lie in any order, as many
// in turn as there are: where cuBLASLt is missing, or has no way.
extern "C" __global__ void kernel_matmul(
    const real *left, const real *right, const real *bias, real *out,
    int count, int rows, int columns, int length, int stack,
    int left_t, int left_s, int left_r, int left_k, int right_t, int right_s, int right_k,
    int right_c, int out_t, int out_s, int out_r, int has_bias, int adds, double scale
) {
    product<4, by_row, by_row>(count, rows, columns, length,
        [=](int s, int r, int k) {
            return left[s / stack * left_t + s % stack * left_s + r * left_r + k * left_k];
        },
        [=](int s, int k, int c) {
            return right[s / stack * right_t + s % stack * right_s + k * right_k + c * right_c];
        },
        [=](int s, int r, int c, real sum) {
            const int at = s / stack * out_t + s % stack * out_s + r * out_r + c;
            const real found = real(scale) * sum + (has_bias ? bias[c] : real(0));
            out[at] = adds ? out[at] + found : found;
        });
}

// image_pad[n,c,a,b] = image[n,c,a-1,b-1] (0 outside)
extern "C" __global__ void kernel_image_pad(const real *x, real *image_pad, int N) {
    each_of(N * C * A * B, [=](int i, real &image_pad) {
        const int n = i / (C * A * B), c = i / (A * B) % C, a = i / B % A, b = i % B;
        image_pad = a - 1 >= 0 && a - 1 < H && b - 1 >= 0 && b - 1 < W ?
            x[((n * C + c) * H + a - 1) * W + b - 1] : 0_r;
    }, image_pad);
}

// z1[n,f,h,w] = Σ_{c,u,v} conv1_W[f,c,u,v] image_pad[n,c,h+u,v+w] + conv1_b[f]
// relu1[n,f,h,w] = max(0, z1[n,f,h,w])
extern "C" __global__ void kernel_relu1(
    const real *conv1_W, const real *image_pad, const real *conv1_b, real *z1, real *relu1, int N
) {
    product<1, by_row, by_row>(1, F, N * H * W, C * U * V,
        [=](int, int f, int k) { return conv1_W[f * (C * U * V) + k]; },
        [=](int, int k, int c) {
            const int c_ = k / (U * V), u = k / V % U, v = k % V;
            const int n = c / (H * W), h = c / W % H, w = c % W;
            return image_pad[((n * C + c_) * A + h + u) * B + v + w];
        },
        [=](int, int f, int c, real sum) {
            const int n = c / (H * W), h = c / W % H, w = c % W;
            const int at = ((n * F + f) * H + h) * W + w;
            z1[at] = sum + conv1_b[f];
            relu1[at] = maximum(0_r, z1[at]);
        });
}

// pooled1[n,f,h,k] = max_g relu1[n,f,h,2 k + g]
extern "C" __global__ void kernel_pooled1(const real *relu1, real *pooled1, int N) {
    by_thread<largest>(N * F * H * K, G,
        [=](int i, int g) {
            const int n = i / (F * H * K), f = i / (H * K) % F, h = i / K % H, k = i % K;
            return relu1[((n * F + f) * H + h) * W + 2 * k + g];
        },
        [=](int i, real most) { pooled1[i] = most; });
}

// edges[n,f,j,k] = max_m pooled1[n,f,2 j + m,k]
extern "C" __global__ void kernel_edges(const real *pooled1, real *edges, int N) {
    by_thread<largest>(N * F * J * K, M,
        [=](int i, int m) {
            const int n = i / (F * J * K), f = i / (J * K) % F, j = i / K % J, k = i % K;
            return pooled1[((n * F + f) * H + 2 * j + m) * K + k];
        },
        [=](int i, real most) { edges[i] = most; });
}

// z2[n,q,r,t] = Σ_{f,u,v} conv2_W[q,f,u,v] edges[n,f,r+u,t+v] + conv2_b[q]
// strokes[n,q,r,t] = max(0, z2[n,q,r,t])
extern "C" __global__ void kernel_strokes(
    const real *conv2_W, const real *edges, const real *conv2_b, real *z2, real *strokes, int N
) {
    product<2, by_row, by_column>(1, Q, N * R * T, F * U * V,
        [=](int, int q, int k) { return conv2_W[q * (F * U * V) + k]; },
        [=](int, int k, int c) {
            const int f = k / (U * V), u = k / V % U, v = k % V;
            const int n = c / (R * T), r = c / T % R, t = c % T;
            return edges[((n * F + f) * J + r + u) * K + t + v];
        },
        [=](int, int q, int c, real sum) {
            const int n = c / (R * T), r = c / T % R, t = c % T;
            const int at = ((n * Q + q) * R + r) * T + t;
            z2[at] = sum + conv2_b[q];
            strokes[at] = maximum(0_r, z2[at]);
        });
}

// hidden[n,s] = max(0, z3[n,s])
extern "C" __global__ void kernel_hidden(const real *z3, real *hidden, int N) {
    each_of(N * S, [=](int, real z3, real &hidden) { hidden = maximum(0_r, z3); }, z3, hidden);
}

// logits[n,d2] = Σ_s fc2_W[s,d2] hidden[n,s] + fc2_b[d2]
extern "C" __global__ void kernel_logits(
    const real *hidden, const real *fc2_W, const real *fc2_b, real *logits, int N
) {
    product<1, by_row, by_row>(1, N, D2, S,
        [=](int, int n, int s_) { return hidden[n * S + s_]; },
        [=](int, int s_, int d2) { return fc2_W[s_ * D2 + d2]; },
        [=](int, int n, int d2, real sum) { logits[n * D2 + d2] = sum + fc2_b[d2]; });
}

// m[n] = max_d2 logits[n,d2]
// e[n,d2] = exp(logits[n,d2] - m[n])
// s[n] = Σ_d2 e[n,d2]
// average[n] = Σ_d2 logits[n,d2]/D2
// logits_at_digit[n] = logits[n,digit[n]]
extern "C" __global__ void kernel_logits_at_digit(
    const real *logits, const int *digit, real *m, real *e, real *s, real *average,
    real *logits_at_digit, int N
) {
    rows<32>(N, [=](int n) {
        reduce_row<32, largest>(D2,
            [=](int d2) { return logits[n * D2 + d2]; },
            [=](real most) { m[n] = most; });
        map_row<32>(D2, [=](int d2) { e[n * D2 + d2] = exp(logits[n * D2 + d2] - m[n]); });
        reduce_row<32, added>(D2,
            [=](int d2) { return e[n * D2 + d2]; },
            [=](real sum) { s[n] = sum; });
        reduce_row<32, added>(D2,
            [=](int d2) { return 0.1_r * logits[n * D2 + d2]; },
            [=](real sum) {
                average[n] = sum;
                logits_at_digit[n] = logits[n * D2 + digit[n]];
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

// p[n,d2] = e[n,d2]/s[n]
// ∂L/∂logits[n,d2] = (p[n,d2] - 0.1/D2 - 0.9 δ(d2,digit[n]))/N
extern "C" __global__ void kernel_d_logits(
    const real *s, const real *e, const int *digit, real *d_logits, int N
) {
    each_of(N * D2, [=](int i, real e, real &d_logits) {
        const int n = i / D2, d2 = i % D2;
        const real p = e / s[n];
        d_logits = (p - (d2 == digit[n] ? 0.9_r : 0_r) - 0.01_r) / real(N);
    }, e, d_logits);
}

// ∂L/∂fc2_W[s,d2] = Σ_n hidden[n,s] ∂L/∂logits[n,d2]
extern "C" __global__ void kernel_d_fc2_W(
    const real *hidden, const real *d_logits, real *d_fc2_W, int N
) {
    product<1, by_column, by_row>(1, S, D2, N,
        [=](int, int s_, int n) { return hidden[n * S + s_]; },
        [=](int, int n, int d2) { return d_logits[n * D2 + d2]; },
        [=](int, int s_, int d2, real sum) { d_fc2_W[s_ * D2 + d2] = sum; });
}

// ∂L/∂fc2_b[d2] = Σ_n ∂L/∂logits[n,d2]
extern "C" __global__ void kernel_d_fc2_b(const real *d_logits, real *d_fc2_b, int N) {
    by_columns<added>(D2, N,
        [=](int d2, int n) { return d_logits[n * D2 + d2]; },
        [=](int d2, real sum) { d_fc2_b[d2] = sum; });
}

// ∂L/∂hidden[n,s] = Σ_d2 fc2_W[s,d2] ∂L/∂logits[n,d2]
// ∂L/∂z3[n,s] = [z3[n,s] > 0] ∂L/∂hidden[n,s]
extern "C" __global__ void kernel_d_z3(
    const real *d_logits, const real *fc2_W, const real *z3, real *d_z3, int N
) {
    product<2, by_row, by_column>(1, N, S, D2,
        [=](int, int n, int d2) { return d_logits[n * D2 + d2]; },
        [=](int, int d2, int s_) { return fc2_W[s_ * D2 + d2]; },
        [=](int, int n, int s_, real sum) {
            const real d_hidden = sum;
            d_z3[n * S + s_] = z3[n * S + s_] > 0_r ? d_hidden : 0_r;
        });
}

// ∂L/∂fc1_b[s] = Σ_n ∂L/∂z3[n,s]
extern "C" __global__ void kernel_d_fc1_b(const real *d_z3, real *d_fc1_b, int N) {
    by_columns<added>(S, N,
        [=](int s, int n) { return d_z3[n * S + s]; },
        [=](int s, real sum) { d_fc1_b[s] = sum; });
}

// ∂L/∂z2[n,q,r,t] = [z2[n,q,r,t] > 0] ∂L/∂flat1[n,R T q + T r + t]
extern "C" __global__ void kernel_d_z2(const real *d_flat1, const real *z2, real *d_z2, int N) {
    each_of(N * Q * R * T, [=](int i, real z2, real &d_z2) {
        const int n = i / (Q * R * T), q = i / (R * T) % Q, r = i / T % R, t = i % T;
        d_z2 = z2 > 0_r ? d_flat1[n * E + R * T * q + T * r + t] : 0_r;
    }, z2, d_z2);
}

// ∂L/∂conv2_W[q,f,u,v] = Σ_{n,r,t} edges[n,f,r+u,t+v] ∂L/∂z2[n,q,r,t]
extern "C" __global__ void kernel_d_conv2_W(
    const real *d_z2, const real *edges, real *d_conv2_W, int N
) {
    product<1, by_row, by_row>(1, Q, F * U * V, N * R * T,
        [=](int, int q, int k) {
            const int n = k / (R * T), r = k / T % R, t = k % T;
            return d_z2[((n * Q + q) * R + r) * T + t];
        },
        [=](int, int k, int c) {
            const int n = k / (R * T), r = k / T % R, t = k % T;
            const int f = c / (U * V), u = c / V % U, v = c % V;
            return edges[((n * F + f) * J + r + u) * K + t + v];
        },
        [=](int, int q, int c, real sum) { d_conv2_W[q * (F * U * V) + c] = sum; });
}

// ∂L/∂conv2_b[q] = Σ_{n,r,t} ∂L/∂z2[n,q,r,t]
extern "C" __global__ void kernel_d_conv2_b(const real *d_z2, real *d_conv2_b, int N) {
    by_block<added>(Q, N * R * T,
        [=](int q, int j) {
            const int n = j / (R * T), r = j / T % R, t = j % T;
            return d_z2[((n * Q + q) * R + r) * T + t];
        },
        [=](int q, real sum) { d_conv2_b[q] = sum; });
}

// padded_d_z2[n,q,p,x] = ∂L/∂z2[n,q,p-2,x-2] (0 outside)
extern "C" __global__ void kernel_padded_d_z2(const real *d_z2, real *padded_d_z2, int N) {
    each_of(N * Q * P * X, [=](int i, real &padded_d_z2) {
        const int n = i / (Q * P * X), q = i / (P * X) % Q, p = i / X % P, x = i % X;
        padded_d_z2 = p - 2 >= 0 && p - 2 < R && x - 2 >= 0 && x - 2 < T ?
            d_z2[((n * Q + q) * R + p - 2) * T + x - 2] : 0_r;
    }, padded_d_z2);
}

// ∂L/∂edges[n,f,j,k] = Σ_{q,u,v} conv2_W[q,f,u,v] padded_d_z2[n,q,j + 2 - u,k + 2 - v]
extern "C" __global__ void kernel_d_edges(
    const real *conv2_W, const real *padded_d_z2, real *d_edges, int N
) {
    product<1, by_row, by_column>(1, F, N * J * K, Q * U * V,
        [=](int, int f, int k) {
            const int q = k / (U * V), u = k / V % U, v = k % V;
            return conv2_W[((q * F + f) * U + u) * V + v];
        },
        [=](int, int k, int c) {
            const int q = k / (U * V), u = k / V % U, v = k % V;
            const int n = c / (J * K), j = c / K % J, k_ = c % K;
            return padded_d_z2[((n * Q + q) * P + j - u + 2) * X + k_ - v + 2];
        },
        [=](int, int f, int c, real sum) {
            const int n = c / (J * K), j = c / K % J, k_ = c % K;
            d_edges[((n * F + f) * J + j) * K + k_] = sum;
        });
}

// edges_at[n,f,j,k] = argmax_m pooled1[n,f,2 j + m,k]
extern "C" __global__ void kernel_edges_at(const real *pooled1, int *edges_at, int N) {
    by_thread<largest_at>(N * F * J * K, M,
        [=](int i, int m) {
            const int n = i / (F * J * K), f = i / (J * K) % F, j = i / K % J, k = i % K;
            return pooled1[((n * F + f) * H + 2 * j + m) * K + k];
        },
        [=](int i, int at) { edges_at[i] = at; });
}

// split_d_pooled1[n,f,j,m,k] = δ(m,edges_at[n,f,j,k]) ∂L/∂edges[n,f,j,k]
extern "C" __global__ void kernel_split_d_pooled1(
    const real *d_edges, const int *edges_at, real *split_d_pooled1, int N
) {
    each_of(N * F * J * M * K, [=](int i, real &split_d_pooled1) {
        const int n = i / (F * J * M * K), f = i / (J * M * K) % F, j = i / (M * K) % J, m = i / K %
            M, k = i % K;
        split_d_pooled1 = m == edges_at[((n * F + f) * J + j) * K + k] ?
            d_edges[((n * F + f) * J + j) * K + k] : 0_r;
    }, split_d_pooled1);
}

// pooled1_at[n,f,h,k] = argmax_g relu1[n,f,h,2 k + g]
// split_d_relu1[n,f,h,k,g] = δ(g,pooled1_at[n,f,h,k]) ∂L/∂pooled1[n,f,h,k]
extern "C" __global__ void kernel_split_d_relu1(
    const real *relu1, const real *split_d_pooled1, real *split_d_relu1, int N
) {
    rows<32>(N * F * H * K, [=](int i) {
        const int n = i / (F * H * K), f = i / (H * K) % F, h = i / K % H, k = i % K;
        const int pooled1_at = reduce_row<32, largest_at>(G, [=](int g) {
            return relu1[((n * F + f) * H + h) * W + 2 * k + g];
        });
        map_row<32>(G, [=](int g) {
            split_d_relu1[i * G + g] = g == pooled1_at ? split_d_pooled1[i] : 0_r;
        });
    });
}

// ∂L/∂z1[n,f,h,w] = [z1[n,f,h,w] > 0] ∂L/∂relu1[n,f,h,w]
extern "C" __global__ void kernel_d_z1(
    const real *split_d_relu1, const real *z1, real *d_z1, int N
) {
    each_of(N * F * H * W, [=](int, real split_d_relu1, real z1, real &d_z1) {
        d_z1 = z1 > 0_r ? split_d_relu1 : 0_r;
    }, split_d_relu1, z1, d_z1);
}

// ∂L/∂conv1_W[f,c,u,v] = Σ_{n,h,w} image_pad[n,c,h+u,v+w] ∂L/∂z1[n,f,h,w]
extern "C" __global__ void kernel_d_conv1_W(
    const real *d_z1, const real *image_pad, real *d_conv1_W, int N
) {
    product<1, by_row, by_column>(1, F, C * U * V, N * H * W,
        [=](int, int f, int k) {
            const int n = k / (H * W), h = k / W % H, w = k % W;
            return d_z1[((n * F + f) * H + h) * W + w];
        },
        [=](int, int k, int c) {
            const int n = k / (H * W), h = k / W % H, w = k % W;
            const int c_ = c / (U * V), u = c / V % U, v = c % V;
            return image_pad[((n * C + c_) * A + h + u) * B + v + w];
        },
        [=](int, int f, int c, real sum) { d_conv1_W[f * (C * U * V) + c] = sum; });
}

// ∂L/∂conv1_b[f] = Σ_{n,h,w} ∂L/∂z1[n,f,h,w]
extern "C" __global__ void kernel_d_conv1_b(const real *d_z1, real *d_conv1_b, int N) {
    by_block<added>(F, N * H * W,
        [=](int f, int j) {
            const int n = j / (H * W), h = j / W % H, w = j % W;
            return d_z1[((n * F + f) * H + h) * W + w];
        },
        [=](int f, real sum) { d_conv1_b[f] = sum; });
}

// lr ← (0 if t > 1350 else 0.002 cos(π (t/1350 - 1/1350)) + 0.002)
// c2 ← √(1 - 0.999^t)
// lr_t ← c2 lr/(1 - 0.9^t)
extern "C" __global__ void kernel_lr_t(const int *t, double *lr, double *c2, double *lr_t) {
    each(1, [=](int) {
        *lr = double(*t) > 1350.0 ? 0.0 : 0.002 * cos(3.141592653589793 * (0.0007407407407407407 *
            double(*t) - 0.0007407407407407407)) + 0.002;
        *c2 = sqrt(1.0 - pow(0.999, double(*t)));
        *lr_t = *c2 * *lr / (1.0 - pow(0.9, double(*t)));
    });
}

// m[i] ← 0.9 m[i] + 0.1 g[i]
// v[i] ← 0.999 v[i] + 0.001 g[i]²
// θ[i] ← θ[i] - lr_t m[i]/(1e-08 c2 + √v[i])
extern "C" __global__ void kernel_theta(
    const real *g, const double *c2, const double *lr_t, real *m, real *v, real *theta, int P
) {
    each_of(P, [=](int, real g, real &m, real &v, real &theta) {
        m = 0.1_r * g + 0.9_r * m;
        v = 0.001_r * power<2>(g) + 0.999_r * v;
        theta = theta - real(*lr_t) * m / (1e-08_r * real(*c2) + sqrt(v));
    }, g, m, v, theta);
}

// t ← t + 1
extern "C" __global__ void kernel_count_step(int *t) {
    each(1, [=](int) { ++*t; });
}
"""
KERNELS = (
    "matmul",
    "image_pad",
    "relu1",
    "pooled1",
    "edges",
    "strokes",
    "hidden",
    "logits",
    "logits_at_digit",
    "loss",
    "d_logits",
    "d_fc2_W",
    "d_fc2_b",
    "d_z3",
    "d_fc1_b",
    "d_z2",
    "d_conv2_W",
    "d_conv2_b",
    "padded_d_z2",
    "d_edges",
    "edges_at",
    "split_d_pooled1",
    "split_d_relu1",
    "d_z1",
    "d_conv1_W",
    "d_conv1_b",
    "lr_t",
    "theta",
    "count_step",
)
# A grid that fills any GPU of today many times over; what is left, its threads walk on to.
MOST_BLOCKS = 65536
MOST_ENTRIES = 2**31  # of an array: an index is an int
# How products of float32 are multiplied; they are added up in float32. One of COMPUTE_AS.
PRECISION = "fp32"
COMPUTE_AS = {"fp32": "COMPUTE_32F", "tf32": "COMPUTE_32F_FAST_TF32"}
KINDS = {"float32": 0, "float64": 1}  # CUDA_R_32F, CUDA_R_64F
WORKSPACE = 2**25  # bytes that cuBLASLt may use meanwhile
COMPILED: dict[str, Kernels] = {}


class Plan:
    """A product of matrices as cuBLASLt is told of it, once: out = scale left right + bias, or +=.

    cuBLASLt counts along columns. So it is told of the transposes, which lie in memory alike:
    out' = right' left', where a bias is one number for each row.
    """

    def __init__(
        self,
        handle: int,
        arrays: tuple[cp.ndarray, ...],
        bias: cp.ndarray | None,
        scale: float,
        *,
        add: bool,
    ) -> None:
        left, right, out = arrays
        self.handle = handle
        single = out.dtype != np.float64
        number = np.float32 if single else np.float64
        self.alpha, self.beta = np.array(scale, number), np.array(add, number)
        compute = cublas.ComputeType[COMPUTE_AS[PRECISION] if single else "COMPUTE_64F"]
        self.operation = cublasLt.matmul_desc_create(compute, KINDS[self.alpha.dtype.name])
        self.stack = len(out) if out.ndim == 3 else 1
        self.layouts = self._layout(right, "A"), self._layout(left, "B"), self._layout(out)
        if bias is not None:
            self._tell("EPILOGUE", np.uint32(cublasLt.Epilogue.BIAS))
            self._tell("BIAS_POINTER", np.uint64(bias.data.ptr))
        self.algorithm = np.zeros(1, cublasLt.matmul_heuristic_result_dtype)
        starts = {"A": right, "B": left, "C": out, "D": out if bias is None else bias}
        self._choose({name: aligned(array) for name, array in starts.items()})

    def _tell(self, name: str, value: np.generic) -> None:
        """Set an attribute of the product."""
        which, held = cublasLt.MatmulDescAttribute[name], np.array(value)
        cublasLt.matmul_desc_set_attribute(self.operation, which, held.ctypes.data, held.nbytes)

    def _layout(self, array: cp.ndarray, operand: str = "") -> int:
        """Describe a stack of matrices, transposed; an operand's columns may run along memory.

        An operand may be one matrix, the same for all of the stack.
        """
        rows, columns = array.shape[-2:]
        down, along = (stride // array.itemsize for stride in array.strides[-2:])
        turned = along != 1
        inner, outer, step = (rows, columns, along) if turned else (columns, rows, down)
        kind = KINDS[array.dtype.name]
        found = cublasLt.matrix_layout_create(kind, inner, outer, max(step, inner))
        apart = array.strides[0] // array.itemsize if array.ndim == 3 else 0
        told = {"BATCH_COUNT": np.int32(self.stack), "STRIDED_BATCH_OFFSET": np.int64(apart)}
        for name, value in told.items():
            which, held = cublasLt.MatrixLayoutAttribute[name], np.array(value)
            cublasLt.matrix_layout_set_attribute(found, which, held.ctypes.data, held.nbytes)
        if operand:
            self._tell(f"TRANS{operand}", np.int32(turned))
        return found

    def _choose(self, starts: dict[str, int]) -> None:
        """Ask for the best algorithm that WORKSPACE, and where the arrays begin, allow."""
        wishes = cublasLt.matmul_preference_create()
        told = {f"MIN_ALIGNMENT_{name}_BYTES": np.uint32(start) for name, start in starts.items()}
        for name, value in (("MAX_WORKSPACE_BYTES", np.uint64(WORKSPACE)), *told.items()):
            which, held = cublasLt.MatmulPreferenceAttribute[name], np.array(value)
            cublasLt.matmul_preference_set_attribute(wishes, which, held.ctypes.data, held.nbytes)
        a, b, d = self.layouts
        best, found = self.algorithm.ctypes.data, np.zeros(1, np.int32)
        cublasLt.matmul_algo_get_heuristic(
            self.handle, self.operation, a, b, d, d, wishes, 1, best, found.ctypes.data
        )
        cublasLt.matmul_preference_destroy(wishes)

    def launch(self, arrays: tuple[cp.ndarray, ...], room: cp.ndarray) -> None:
        """Multiply; cuBLASLt may write into `room` meanwhile."""
        left, right, out = (array.data.ptr for array in arrays)
        a, b, d = self.layouts
        cublasLt.matmul(
            self.handle,
            self.operation,
            self.alpha.ctypes.data,
            right,
            a,
            left,
            b,
            self.beta.ctypes.data,
            out,
            d,
            out,
            d,
            self.algorithm.ctypes.data,
            room.data.ptr,
            WORKSPACE,
            cp.cuda.get_current_stream().ptr,
        )


class Products:
    """Products of matrices: by cuBLASLt, if nvmath-python is installed, else by a kernel."""

    def __init__(self, plain: Callable[..., None]) -> None:
        self._plain = plain
        self._plans: dict[object, Plan | None] = {}
        self._rooms: dict[int, cp.ndarray] = {}
        self._handle = cublasLt.create() if cublas is not None else 0

    def multiply(
        self, arrays: tuple[cp.ndarray, ...], bias: cp.ndarray | None, scale: float, *, add: bool
    ) -> None:
        """Multiply: out = scale left right + bias, or out += …; `arrays` are these three.

        Arrays with four axes are stacks that the library multiplies in turn. An operand with two
        is the same for all of a stack.
        """
        turns = [arrays] if arrays[0].ndim < 4 else list(zip(*arrays, strict=True))
        plans = [self._plan(turn, bias, scale, add=add) for turn in turns]
        if None not in plans:
            room = self._room(cp.cuda.get_current_stream().ptr)
            for plan, turn in zip(plans, turns, strict=True):
                plan.launch(turn, room)
            return
        left, right, out = (x[(None,) * (4 - x.ndim)] for x in arrays)
        count, stack, rows, columns = out.shape
        sizes = (count * stack, rows, columns)
        steps = [s // x.itemsize for x in (left, right, out) for s in x.strides][:-1]
        given = (*sizes, left, right, out if bias is None else bias, out)
        flags = (int(bias is not None), int(add), np.float64(scale))
        self._plain("matmul", 64, *given, *sizes, left.shape[3], stack, *steps, *flags)

    def _room(self, stream: int) -> cp.ndarray:
        """Return what cuBLASLt may write into meanwhile; each stream has its own."""
        if stream not in self._rooms:
            self._rooms[stream] = cp.empty(WORKSPACE, np.uint8)
        return self._rooms[stream]

    def _plan(
        self, arrays: tuple[cp.ndarray, ...], bias: cp.ndarray | None, scale: float, *, add: bool
    ) -> Plan | None:
        """Return how cuBLASLt multiplies these, planned once; None if it has no way."""
        if cublas is None:
            return None
        shapes = tuple((*x.shape, *x.strides, aligned(x)) for x in arrays)
        key = (shapes, 0 if bias is None else bias.data.ptr, scale, add)
        if key not in self._plans:
            try:
                self._plans[key] = Plan(self._handle, arrays, bias, scale, add=add)
            except cublasLt.cuBLASLtError:
                self._plans[key] = None
        return self._plans[key]


def aligned(array: cp.ndarray) -> int:
    """Return the largest power of two, up to 256, that an array begins at a multiple of."""
    return min(array.data.ptr & -array.data.ptr, 256)


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
        self._products = Products(self.product)

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

    def matmul(
        self,
        left: cp.ndarray,
        right: cp.ndarray,
        out: cp.ndarray,
        bias: cp.ndarray | None = None,
        scale: float = 1.0,
        *,
        add: bool = False,
    ) -> None:
        """Multiply matrices, or stacks of them: out = scale left right + bias, or out += …."""
        self._products.multiply((left, right, out), bias, scale, add=add)

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
        self.conv1_W = self.flat[0:144].reshape((F, C, U, V))
        self.conv1_b = self.flat[144:160].reshape((F,))
        self.conv2_W = self.flat[160:4768].reshape((Q, F, U, V))
        self.conv2_b = self.flat[4768:4800].reshape((Q,))
        self.fc1_W = self.flat[4800:12992].reshape((E, S))
        self.fc1_b = self.flat[12992:13056].reshape((S,))
        self.fc2_W = self.flat[13056:13696].reshape((S, D2))
        self.fc2_b = self.flat[13696:13706].reshape((D2,))


class Grads:
    """The gradient: `grads.W` is ∂L/∂W, in the same order in memory as the parameters."""

    def __init__(self, flat: cp.ndarray) -> None:
        self.flat = flat
        self.conv1_W = self.flat[0:144].reshape((F, C, U, V))
        self.conv1_b = self.flat[144:160].reshape((F,))
        self.conv2_W = self.flat[160:4768].reshape((Q, F, U, V))
        self.conv2_b = self.flat[4768:4800].reshape((Q,))
        self.fc1_W = self.flat[4800:12992].reshape((E, S))
        self.fc1_b = self.flat[12992:13056].reshape((S,))
        self.fc2_W = self.flat[13056:13696].reshape((S, D2))
        self.fc2_b = self.flat[13696:13706].reshape((D2,))


class Activations:
    """A batch of N examples on the device, and what the forward pass computes for it."""

    def __init__(self, N: int, dtype: str = DTYPE) -> None:
        self.N, self.kernels = N, Kernels.of(dtype)
        self.x = cp.empty((N, D), dtype)  # x[n,d]
        self.digit = cp.empty(N, np.int32)  # digit[n]
        self.image_pad = cp.empty((N, C, A, B), dtype)  # image_pad[n,c,a,b]
        self.z1 = cp.empty((N, F, H, W), dtype)  # z1[n,f,h,w]
        self.relu1 = cp.empty((N, F, H, W), dtype)  # relu1[n,f,h,w]
        self.pooled1 = cp.empty((N, F, H, K), dtype)  # pooled1[n,f,h,k]
        self.edges = cp.empty((N, F, J, K), dtype)  # edges[n,f,j,k]
        self.z2 = cp.empty((N, Q, R, T), dtype)  # z2[n,q,r,t]
        self.strokes = cp.empty((N, Q, R, T), dtype)  # strokes[n,q,r,t]
        self.z3 = cp.empty((N, S), dtype)  # z3[n,s]
        self.hidden = cp.empty((N, S), dtype)  # hidden[n,s]
        self.logits = cp.empty((N, D2), dtype)  # logits[n,d2]
        self.m = cp.empty(N, dtype)  # m[n]
        self.e = cp.empty((N, D2), dtype)  # e[n,d2]
        self.s = cp.empty(N, dtype)  # s[n]
        self.average = cp.empty(N, dtype)  # average[n]
        self.logits_at_digit = cp.empty(N, dtype)  # logits_at_digit[n]
        self.loss = cp.empty((), dtype)  # loss


class Workspace(Activations):
    """The activations, and the cotangents that the backward pass computes from them."""

    def __init__(self, N: int, dtype: str = DTYPE) -> None:
        super().__init__(N, dtype)
        self.d_logits = cp.empty((N, D2), dtype)  # ∂L/∂logits[n,d2]
        self.d_z3 = cp.empty((N, S), dtype)  # ∂L/∂z3[n,s]
        self.d_flat1 = cp.empty((N, E), dtype)  # ∂L/∂flat1[n,e]
        self.d_z2 = cp.empty((N, Q, R, T), dtype)  # ∂L/∂z2[n,q,r,t]
        self.padded_d_z2 = cp.empty((N, Q, P, X), dtype)  # padded_d_z2[n,q,p,x]
        self.d_edges = cp.empty((N, F, J, K), dtype)  # ∂L/∂edges[n,f,j,k]
        self.edges_at = cp.empty((N, F, J, K), np.int32)  # edges_at[n,f,j,k]
        self.split_d_pooled1 = cp.empty((N, F, J, M, K), dtype)  # split_d_pooled1[n,f,j,m,k]
        self.split_d_relu1 = cp.empty((N, F, H, K, G), dtype)  # split_d_relu1[n,f,h,k,g]
        self.d_z1 = cp.empty((N, F, H, W), dtype)  # ∂L/∂z1[n,f,h,w]


class State:
    """What the optimizer adam keeps from step to step, and its numbers of one step."""

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
    p = Params(np.zeros(SIZE, DTYPE))
    rng = np.random.default_rng(seed)
    p.conv1_W[...] = rng.normal(0, math.sqrt(2 / (C * U * V)), (F, C, U, V))
    p.conv2_W[...] = rng.normal(0, math.sqrt(2 / (F * U * V)), (Q, F, U, V))
    p.fc1_W[...] = rng.normal(0, math.sqrt(2 / E), (E, S))
    p.fc2_W[...] = rng.normal(0, math.sqrt(2 / S), (S, D2))
    return Params(cp.asarray(p.flat))


def forward(p: Params, a: Activations) -> None:
    """Compute the outputs of a batch into `a`."""
    k = a.kernels
    N = a.N

    # image_pad[n,c,a,b] = image[n,c,a-1,b-1] (0 outside)
    k.each_of("image_pad", N * C * A * B, a.x, a.image_pad, N)

    # z1[n,f,h,w] = Σ_{c,u,v} conv1_W[f,c,u,v] image_pad[n,c,h+u,v+w] + conv1_b[f]
    # relu1[n,f,h,w] = max(0, z1[n,f,h,w])
    k.product("relu1", 16, 1, F, N * H * W, p.conv1_W, a.image_pad, p.conv1_b, a.z1, a.relu1, N)

    # pooled1[n,f,h,k] = max_g relu1[n,f,h,2 k + g]
    k.by_thread("pooled1", N * F * H * K, a.relu1, a.pooled1, N)

    # edges[n,f,j,k] = max_m pooled1[n,f,2 j + m,k]
    k.by_thread("edges", N * F * J * K, a.pooled1, a.edges, N)

    # z2[n,q,r,t] = Σ_{f,u,v} conv2_W[q,f,u,v] edges[n,f,r+u,t+v] + conv2_b[q]
    # strokes[n,q,r,t] = max(0, z2[n,q,r,t])
    k.product("strokes", 32, 1, Q, N * R * T, p.conv2_W, a.edges, p.conv2_b, a.z2, a.strokes, N)

    # z3[n,s] = Σ_e fc1_W[e,s] flat1[n,e] + fc1_b[s]
    k.matmul(a.strokes.reshape(N, E), p.fc1_W, a.z3, bias=p.fc1_b)

    # hidden[n,s] = max(0, z3[n,s])
    k.each_of("hidden", N * S, a.z3, a.hidden, N)

    # logits[n,d2] = Σ_s fc2_W[s,d2] hidden[n,s] + fc2_b[d2]
    k.product("logits", 16, 1, N, D2, a.hidden, p.fc2_W, p.fc2_b, a.logits, N)


def add_loss(a: Activations) -> None:
    """Go on from the outputs to the loss."""
    k = a.kernels
    N = a.N

    # m[n] = max_d2 logits[n,d2]
    # e[n,d2] = exp(logits[n,d2] - m[n])
    # s[n] = Σ_d2 e[n,d2]
    # average[n] = Σ_d2 logits[n,d2]/D2
    # logits_at_digit[n] = logits[n,digit[n]]
    k.by_warp(
        "logits_at_digit", N, a.logits, a.digit, a.m, a.e, a.s, a.average, a.logits_at_digit, N
    )

    # loss = Σ_n (m[n] + log(s[n]) - 0.1 average[n] - 0.9 logits_at_digit[n])/N
    k.by_block("loss", 1, a.m, a.s, a.average, a.logits_at_digit, a.loss, N)


def backward(p: Params, g: Grads, a: Workspace) -> None:
    """Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`."""
    k = a.kernels
    N = a.N

    # p[n,d2] = e[n,d2]/s[n]
    # ∂L/∂logits[n,d2] = (p[n,d2] - 0.1/D2 - 0.9 δ(d2,digit[n]))/N
    k.each_of("d_logits", N * D2, a.s, a.e, a.digit, a.d_logits, N)

    # ∂L/∂fc2_W[s,d2] = Σ_n hidden[n,s] ∂L/∂logits[n,d2]
    k.product("d_fc2_W", 16, 1, S, D2, a.hidden, a.d_logits, g.fc2_W, N)

    # ∂L/∂fc2_b[d2] = Σ_n ∂L/∂logits[n,d2]
    k.by_columns("d_fc2_b", D2, a.d_logits, g.fc2_b, N)

    # ∂L/∂hidden[n,s] = Σ_d2 fc2_W[s,d2] ∂L/∂logits[n,d2]
    # ∂L/∂z3[n,s] = [z3[n,s] > 0] ∂L/∂hidden[n,s]
    k.product("d_z3", 32, 1, N, S, a.d_logits, p.fc2_W, a.z3, a.d_z3, N)

    # ∂L/∂fc1_W[e,s] = Σ_n flat1[n,e] ∂L/∂z3[n,s]
    k.matmul(a.strokes.reshape(N, E).T, a.d_z3, g.fc1_W)

    # ∂L/∂fc1_b[s] = Σ_n ∂L/∂z3[n,s]
    k.by_columns("d_fc1_b", S, a.d_z3, g.fc1_b, N)

    # ∂L/∂flat1[n,e] = Σ_s fc1_W[e,s] ∂L/∂z3[n,s]
    k.matmul(a.d_z3, p.fc1_W.T, a.d_flat1)

    # ∂L/∂z2[n,q,r,t] = [z2[n,q,r,t] > 0] ∂L/∂flat1[n,R T q + T r + t]
    k.each_of("d_z2", N * Q * R * T, a.d_flat1, a.z2, a.d_z2, N)

    # ∂L/∂conv2_W[q,f,u,v] = Σ_{n,r,t} edges[n,f,r+u,t+v] ∂L/∂z2[n,q,r,t]
    k.product("d_conv2_W", 16, 1, Q, F * U * V, a.d_z2, a.edges, g.conv2_W, N)

    # ∂L/∂conv2_b[q] = Σ_{n,r,t} ∂L/∂z2[n,q,r,t]
    k.by_block("d_conv2_b", Q, a.d_z2, g.conv2_b, N)

    # padded_d_z2[n,q,p,x] = ∂L/∂z2[n,q,p-2,x-2] (0 outside)
    k.each_of("padded_d_z2", N * Q * P * X, a.d_z2, a.padded_d_z2, N)

    # ∂L/∂edges[n,f,j,k] = Σ_{q,u,v} conv2_W[q,f,u,v] padded_d_z2[n,q,j + 2 - u,k + 2 - v]
    k.product("d_edges", 16, 1, F, N * J * K, p.conv2_W, a.padded_d_z2, a.d_edges, N)

    # edges_at[n,f,j,k] = argmax_m pooled1[n,f,2 j + m,k]
    k.by_thread("edges_at", N * F * J * K, a.pooled1, a.edges_at, N)

    # split_d_pooled1[n,f,j,m,k] = δ(m,edges_at[n,f,j,k]) ∂L/∂edges[n,f,j,k]
    k.each_of("split_d_pooled1", N * F * J * M * K, a.d_edges, a.edges_at, a.split_d_pooled1, N)

    # pooled1_at[n,f,h,k] = argmax_g relu1[n,f,h,2 k + g]
    # split_d_relu1[n,f,h,k,g] = δ(g,pooled1_at[n,f,h,k]) ∂L/∂pooled1[n,f,h,k]
    k.by_warp("split_d_relu1", N * F * H * K, a.relu1, a.split_d_pooled1, a.split_d_relu1, N)

    # ∂L/∂z1[n,f,h,w] = [z1[n,f,h,w] > 0] ∂L/∂relu1[n,f,h,w]
    k.each_of("d_z1", N * F * H * W, a.split_d_relu1, a.z1, a.d_z1, N)

    # ∂L/∂conv1_W[f,c,u,v] = Σ_{n,h,w} image_pad[n,c,h+u,v+w] ∂L/∂z1[n,f,h,w]
    k.product("d_conv1_W", 16, 1, F, C * U * V, a.d_z1, a.image_pad, g.conv1_W, N)

    # ∂L/∂conv1_b[f] = Σ_{n,h,w} ∂L/∂z1[n,f,h,w]
    k.by_block("d_conv1_b", F, a.d_z1, g.conv1_b, N)


def update(p: Params, g: Grads, s: State) -> None:
    """Change the parameters by the gradient."""
    k = s.kernels
    P = SIZE

    # t ← t + 1
    k.each("count_step", 1, s.t)

    # lr ← (0 if t > 1350 else 0.002 cos(π (t/1350 - 1/1350)) + 0.002)
    # c2 ← √(1 - 0.999^t)
    # lr_t ← c2 lr/(1 - 0.9^t)
    k.each("lr_t", 1, s.t, s.lr, s.c2, s.lr_t)

    # m[i] ← 0.9 m[i] + 0.1 g[i]
    # v[i] ← 0.999 v[i] + 0.001 g[i]²
    # θ[i] ← θ[i] - lr_t m[i]/(1e-08 c2 + √v[i])
    k.each_of("theta", P, g.flat, s.c2, s.lr_t, s.m, s.v, p.flat, P)


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
