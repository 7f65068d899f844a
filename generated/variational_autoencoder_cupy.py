"""Variational autoencoder that learns to draw 8×8 images of digits from eight random numbers.

Written by `bpgen emit variational_autoencoder --target cupy` from variational_autoencoder.py.
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
D, H, K = 64, 64, 8
SIZE = 9936

# Shapes of the parameters; for a batch, the shape of one example and the number of classes.
PARAMETERS = {
    "enc_W": (D, H),
    "enc_b": (H,),
    "mean_W": (H, K),
    "mean_b": (K,),
    "log_variance_W": (H, K),
    "log_variance_b": (K,),
    "dec_W": (K, H),
    "dec_b": (H,),
    "pixels_W": (H, D),
    "pixels_b": (D,),
}
INPUTS = {
    "x": ((D,), None),
}
OUTPUTS = ("code", "image")
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
    D = 64, H = 64, K = 8;

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

// encoded[n,h] = max(0, z1[n,h])
extern "C" __global__ void kernel_encoded(const real *z1, real *encoded, int N) {
    each_of(N * H, [=](int, real z1, real &encoded) { encoded = maximum(0_r, z1); }, z1, encoded);
}

// mean[n,k] = Σ_h mean_W[h,k] encoded[n,h] + mean_b[k]
extern "C" __global__ void kernel_mean(
    const real *encoded, const real *mean_W, const real *mean_b, real *mean, int N
) {
    product<1, by_row, by_row>(1, N, K, H,
        [=](int, int n, int h) { return encoded[n * H + h]; },
        [=](int, int h, int k) { return mean_W[h * K + k]; },
        [=](int, int n, int k, real sum) { mean[n * K + k] = sum + mean_b[k]; });
}

// log_variance[n,k] = Σ_h log_variance_W[h,k] encoded[n,h] + log_variance_b[k]
// code[n,k] = epsilon[n,k] exp(log_variance[n,k]/2) + mean[n,k]
extern "C" __global__ void kernel_code(
    const real *encoded, const real *log_variance_W, const real *log_variance_b,
    const real *epsilon, const real *mean, real *log_variance, real *code, int N
) {
    product<1, by_row, by_row>(1, N, K, H,
        [=](int, int n, int h) { return encoded[n * H + h]; },
        [=](int, int h, int k) { return log_variance_W[h * K + k]; },
        [=](int, int n, int k, real sum) {
            const int at = n * K + k;
            log_variance[at] = sum + log_variance_b[k];
            code[at] = epsilon[at] * exp(0.5_r * log_variance[at]) + mean[at];
        });
}

// z2[n,h] = Σ_k dec_W[k,h] code[n,k] + dec_b[h]
// decoded[n,h] = max(0, z2[n,h])
extern "C" __global__ void kernel_decoded(
    const real *code, const real *dec_W, const real *dec_b, real *z2, real *decoded, int N
) {
    product<2, by_row, by_row>(1, N, H, K,
        [=](int, int n, int k) { return code[n * K + k]; },
        [=](int, int k, int h) { return dec_W[k * H + h]; },
        [=](int, int n, int h, real sum) {
            const int at = n * H + h;
            z2[at] = sum + dec_b[h];
            decoded[at] = maximum(0_r, z2[at]);
        });
}

// image[n,d] = tanh(logits[n,d]/2)/2 + 1/2
extern "C" __global__ void kernel_image(const real *logits, real *image, int N) {
    each_of(N * D, [=](int, real logits, real &image) { image = 0.5_r * tanh(0.5_r * logits) +
        0.5_r; }, logits, image);
}

// m[n,d] = max(0, logits[n,d])
// e[n,d] = exp(logits[n,d] - m[n,d])
// s[n,d] = exp(-m[n,d]) + e[n,d]
extern "C" __global__ void kernel_s(const real *logits, real *m, real *e, real *s, int N) {
    each_of(N * D, [=](int, real logits, real &m, real &e, real &s) {
        m = maximum(0_r, logits);
        e = exp(logits - m);
        s = exp(-m) + e;
    }, logits, m, e, s);
}

// cross_entropy = Σ_{n,d} (m[n,d] + log(s[n,d]) - x[n,d] logits[n,d])/(D N)
// product1 = 64 cross_entropy
extern "C" __global__ void kernel_product1(
    const real *x, const real *logits, const real *m, const real *s, real *product1, int N
) {
    by_block<added>(1, N * D,
        [=](int, int j) {
            return 0.015625_r * (m[j] + log(s[j]) - x[j] * logits[j]) / real(N);
        },
        [=](int, real sum) {
            const real cross_entropy = sum;
            *product1 = 64_r * cross_entropy;
        });
}

// divergence[n] = Σ_k (mean[n,k]²/2 + exp(log_variance[n,k])/2 - log_variance[n,k]/2 - 1/2)
extern "C" __global__ void kernel_divergence(
    const real *mean, const real *log_variance, real *divergence, int N
) {
    by_thread<added>(N, K,
        [=](int n, int k) {
            return 0.5_r * power<2>(mean[n * K + k]) + 0.5_r * exp(log_variance[n * K + k]) - 0.5_r
                * log_variance[n * K + k] - 0.5_r;
        },
        [=](int n, real sum) { divergence[n] = sum; });
}

// evidence_lower_bound = Σ_n divergence[n]/N
// loss = product1 + evidence_lower_bound
extern "C" __global__ void kernel_loss(
    const real *divergence, const real *product1, real *loss, int N
) {
    by_block<added>(1, N,
        [=](int, int n) { return divergence[n] / real(N); },
        [=](int, real sum) {
            const real evidence_lower_bound = sum;
            *loss = *product1 + evidence_lower_bound;
        });
}

// mean[n,k] = Σ_h mean_W[h,k] encoded[n,h] + mean_b[k]
// code[n,k] = mean[n,k]
extern "C" __global__ void kernel_code_from_encoded(
    const real *encoded, const real *mean_W, const real *mean_b, real *mean, real *code, int N
) {
    product<1, by_row, by_row>(1, N, K, H,
        [=](int, int n, int h) { return encoded[n * H + h]; },
        [=](int, int h, int k) { return mean_W[h * K + k]; },
        [=](int, int n, int k, real sum) {
            const int at = n * K + k;
            mean[at] = sum + mean_b[k];
            code[at] = mean[at];
        });
}

// log_variance[n,k] = Σ_h log_variance_W[h,k] encoded[n,h] + log_variance_b[k]
extern "C" __global__ void kernel_log_variance(
    const real *encoded, const real *log_variance_W, const real *log_variance_b, real *log_variance,
    int N
) {
    product<1, by_row, by_row>(1, N, K, H,
        [=](int, int n, int h) { return encoded[n * H + h]; },
        [=](int, int h, int k) { return log_variance_W[h * K + k]; },
        [=](int, int n, int k, real sum) {
            log_variance[n * K + k] = sum + log_variance_b[k];
        });
}

// p[n,d] = e[n,d]/s[n,d]
// ∂L/∂logits[n,d] = 64 (p[n,d] - x[n,d])/(D N)
extern "C" __global__ void kernel_d_logits(
    const real *s, const real *e, const real *x, real *d_logits, int N
) {
    each_of(N * D, [=](int, real s, real e, real x, real &d_logits) {
        const real p = e / s;
        d_logits = (p - x) / real(N);
    }, s, e, x, d_logits);
}

// ∂L/∂pixels_b[d] = Σ_n ∂L/∂logits[n,d]
extern "C" __global__ void kernel_d_pixels_b(const real *d_logits, real *d_pixels_b, int N) {
    by_columns<added>(D, N,
        [=](int d, int n) { return d_logits[n * D + d]; },
        [=](int d, real sum) { d_pixels_b[d] = sum; });
}

// ∂L/∂z2[n,h] = [z2[n,h] > 0] ∂L/∂decoded[n,h]
extern "C" __global__ void kernel_d_z2(
    const real *d_decoded, const real *z2, real *d_z2, int N
) {
    each_of(N * H, [=](int, real d_decoded, real z2, real &d_z2) { d_z2 = z2 > 0_r ? d_decoded :
        0_r; }, d_decoded, z2, d_z2);
}

// ∂L/∂dec_W[k,h] = Σ_n code[n,k] ∂L/∂z2[n,h]
extern "C" __global__ void kernel_d_dec_W(
    const real *code, const real *d_z2, real *d_dec_W, int N
) {
    product<1, by_column, by_row>(1, K, H, N,
        [=](int, int k, int n) { return code[n * K + k]; },
        [=](int, int n, int h) { return d_z2[n * H + h]; },
        [=](int, int k, int h, real sum) { d_dec_W[k * H + h] = sum; });
}

// ∂L/∂dec_b[h] = Σ_n ∂L/∂z2[n,h]
// Likewise ∂L/∂enc_b.
extern "C" __global__ void kernel_d_dec_b(const real *d_z2, real *d_dec_b, int N) {
    by_columns<added>(H, N,
        [=](int h, int n) { return d_z2[n * H + h]; },
        [=](int h, real sum) { d_dec_b[h] = sum; });
}

// ∂L/∂code[n,k] = Σ_h dec_W[k,h] ∂L/∂z2[n,h]
// ∂L/∂log_variance[n,k] = epsilon[n,k] exp(log_variance[n,k]/2) ∂L/∂code[n,k]/2 - (1 -
//     exp(log_variance[n,k]))/(2 N)
extern "C" __global__ void kernel_d_log_variance(
    const real *d_z2, const real *dec_W, const real *log_variance, const real *epsilon,
    real *d_code, real *d_log_variance, int N
) {
    product<1, by_row, by_column>(1, N, K, H,
        [=](int, int n, int h) { return d_z2[n * H + h]; },
        [=](int, int h, int k) { return dec_W[k * H + h]; },
        [=](int, int n, int k, real sum) {
            const int at = n * K + k;
            d_code[at] = sum;
            d_log_variance[at] = 0.5_r * epsilon[at] * exp(0.5_r * log_variance[at]) * d_code[at] -
                0.5_r * (1_r - exp(log_variance[at])) / real(N);
        });
}

// ∂L/∂log_variance_W[h,k] = Σ_n encoded[n,h] ∂L/∂log_variance[n,k]
// Likewise ∂L/∂mean_W.
extern "C" __global__ void kernel_d_log_variance_W(
    const real *encoded, const real *d_log_variance, real *d_log_variance_W, int N
) {
    product<1, by_column, by_row>(1, H, K, N,
        [=](int, int h, int n) { return encoded[n * H + h]; },
        [=](int, int n, int k) { return d_log_variance[n * K + k]; },
        [=](int, int h, int k, real sum) { d_log_variance_W[h * K + k] = sum; });
}

// ∂L/∂log_variance_b[k] = Σ_n ∂L/∂log_variance[n,k]
// Likewise ∂L/∂mean_b.
extern "C" __global__ void kernel_d_log_variance_b(
    const real *d_log_variance, real *d_log_variance_b, int N
) {
    by_columns<added>(K, N,
        [=](int k, int n) { return d_log_variance[n * K + k]; },
        [=](int k, real sum) { d_log_variance_b[k] = sum; });
}

// ∂L/∂mean[n,k] = mean[n,k]/N + ∂L/∂code[n,k]
extern "C" __global__ void kernel_d_mean(
    const real *mean, const real *d_code, real *d_mean, int N
) {
    each_of(N * K, [=](int, real mean, real d_code, real &d_mean) { d_mean = mean / real(N) +
        d_code; }, mean, d_code, d_mean);
}

// ∂L/∂encoded[n,h] = Σ_k log_variance_W[h,k] ∂L/∂log_variance[n,k]
extern "C" __global__ void kernel_d_encoded(
    const real *d_log_variance, const real *log_variance_W, real *d_encoded, int N
) {
    product<2, by_row, by_column>(1, N, H, K,
        [=](int, int n, int k) { return d_log_variance[n * K + k]; },
        [=](int, int k, int h) { return log_variance_W[h * K + k]; },
        [=](int, int n, int h, real sum) { d_encoded[n * H + h] = sum; });
}

// ∂L/∂encoded[n,h] += Σ_k mean_W[h,k] ∂L/∂mean[n,k]
// ∂L/∂z1[n,h] = [z1[n,h] > 0] ∂L/∂encoded[n,h]
extern "C" __global__ void kernel_d_z1(
    const real *d_mean, const real *mean_W, const real *z1, real *d_encoded, real *d_z1, int N
) {
    product<2, by_row, by_column>(1, N, H, K,
        [=](int, int n, int k) { return d_mean[n * K + k]; },
        [=](int, int k, int h) { return mean_W[h * K + k]; },
        [=](int, int n, int h, real sum) {
            const int at = n * H + h;
            d_encoded[at] += sum;
            d_z1[at] = z1[at] > 0_r ? d_encoded[at] : 0_r;
        });
}

// c2 ← √(1 - 0.999^t)
// lr_t ← 0.002 c2/(1 - 0.9^t)
extern "C" __global__ void kernel_lr_t(const int *t, double *c2, double *lr_t) {
    each(1, [=](int) {
        *c2 = sqrt(1.0 - pow(0.999, double(*t)));
        *lr_t = 0.002 * *c2 / (1.0 - pow(0.9, double(*t)));
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
    "encoded",
    "mean",
    "code",
    "decoded",
    "image",
    "s",
    "product1",
    "divergence",
    "loss",
    "code_from_encoded",
    "log_variance",
    "d_logits",
    "d_pixels_b",
    "d_z2",
    "d_dec_W",
    "d_dec_b",
    "d_log_variance",
    "d_log_variance_W",
    "d_log_variance_b",
    "d_mean",
    "d_encoded",
    "d_z1",
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
        self.enc_W = self.flat[0:4096].reshape((D, H))
        self.enc_b = self.flat[4096:4160].reshape((H,))
        self.mean_W = self.flat[4160:4672].reshape((H, K))
        self.mean_b = self.flat[4672:4680].reshape((K,))
        self.log_variance_W = self.flat[4680:5192].reshape((H, K))
        self.log_variance_b = self.flat[5192:5200].reshape((K,))
        self.dec_W = self.flat[5200:5712].reshape((K, H))
        self.dec_b = self.flat[5712:5776].reshape((H,))
        self.pixels_W = self.flat[5776:9872].reshape((H, D))
        self.pixels_b = self.flat[9872:9936].reshape((D,))


class Grads:
    """The gradient: `grads.W` is ∂L/∂W, in the same order in memory as the parameters."""

    def __init__(self, flat: cp.ndarray) -> None:
        self.flat = flat
        self.enc_W = self.flat[0:4096].reshape((D, H))
        self.enc_b = self.flat[4096:4160].reshape((H,))
        self.mean_W = self.flat[4160:4672].reshape((H, K))
        self.mean_b = self.flat[4672:4680].reshape((K,))
        self.log_variance_W = self.flat[4680:5192].reshape((H, K))
        self.log_variance_b = self.flat[5192:5200].reshape((K,))
        self.dec_W = self.flat[5200:5712].reshape((K, H))
        self.dec_b = self.flat[5712:5776].reshape((H,))
        self.pixels_W = self.flat[5776:9872].reshape((H, D))
        self.pixels_b = self.flat[9872:9936].reshape((D,))


class Activations:
    """A batch of N examples on the device, and what the forward pass computes for it."""

    def __init__(self, N: int, dtype: str = DTYPE) -> None:
        self.N, self.kernels = N, Kernels.of(dtype)
        self.x = cp.empty((N, D), dtype)  # x[n,d]
        self.epsilon = cp.empty((N, K), dtype)  # epsilon[n,k]
        self.z1 = cp.empty((N, H), dtype)  # z1[n,h]
        self.encoded = cp.empty((N, H), dtype)  # encoded[n,h]
        self.mean = cp.empty((N, K), dtype)  # mean[n,k]
        self.log_variance = cp.empty((N, K), dtype)  # log_variance[n,k]
        self.code = cp.empty((N, K), dtype)  # code[n,k]
        self.z2 = cp.empty((N, H), dtype)  # z2[n,h]
        self.decoded = cp.empty((N, H), dtype)  # decoded[n,h]
        self.logits = cp.empty((N, D), dtype)  # logits[n,d]
        self.image = cp.empty((N, D), dtype)  # image[n,d]
        self.m = cp.empty((N, D), dtype)  # m[n,d]
        self.e = cp.empty((N, D), dtype)  # e[n,d]
        self.s = cp.empty((N, D), dtype)  # s[n,d]
        self.product1 = cp.empty((), dtype)  # product1
        self.divergence = cp.empty(N, dtype)  # divergence[n]
        self.loss = cp.empty((), dtype)  # loss


class Workspace(Activations):
    """The activations, and the cotangents that the backward pass computes from them."""

    def __init__(self, N: int, dtype: str = DTYPE) -> None:
        super().__init__(N, dtype)
        self.d_logits = cp.empty((N, D), dtype)  # ∂L/∂logits[n,d]
        self.d_decoded = cp.empty((N, H), dtype)  # ∂L/∂decoded[n,h]
        self.d_z2 = cp.empty((N, H), dtype)  # ∂L/∂z2[n,h]
        self.d_code = cp.empty((N, K), dtype)  # ∂L/∂code[n,k]
        self.d_log_variance = cp.empty((N, K), dtype)  # ∂L/∂log_variance[n,k]
        self.d_mean = cp.empty((N, K), dtype)  # ∂L/∂mean[n,k]
        self.d_encoded = cp.empty((N, H), dtype)  # ∂L/∂encoded[n,h]
        self.d_z1 = cp.empty((N, H), dtype)  # ∂L/∂z1[n,h]


class State:
    """What the optimizer adam keeps from step to step, and its numbers of one step."""

    def __init__(self, dtype: str = DTYPE) -> None:
        self.kernels = Kernels.of(dtype)
        self.m = cp.zeros(SIZE, dtype)  # m[i]
        self.v = cp.zeros(SIZE, dtype)  # v[i]
        self.c2 = cp.zeros((), np.float64)
        self.lr_t = cp.zeros((), np.float64)
        self.t = cp.zeros((), np.int32)  # counts the steps


def init(seed: int = 0) -> Params:
    """Return parameters as training starts with them, drawn by numpy on the host."""
    demand()
    p = Params(np.zeros(SIZE, DTYPE))
    rng = np.random.default_rng(seed)
    p.enc_W[...] = rng.normal(0, math.sqrt(2 / D), (D, H))
    p.mean_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.log_variance_W[...] = rng.normal(0, math.sqrt(2 / H), (H, K))
    p.dec_W[...] = rng.normal(0, math.sqrt(2 / K), (K, H))
    p.pixels_W[...] = rng.normal(0, math.sqrt(2 / H), (H, D))
    return Params(cp.asarray(p.flat))


def forward(p: Params, a: Activations) -> None:
    """Compute the outputs of a batch into `a`."""
    k = a.kernels
    N = a.N

    # z1[n,h] = Σ_d x[n,d] enc_W[d,h] + enc_b[h]
    k.matmul(a.x, p.enc_W, a.z1, bias=p.enc_b)

    # encoded[n,h] = max(0, z1[n,h])
    k.each_of("encoded", N * H, a.z1, a.encoded, N)

    # mean[n,k] = Σ_h mean_W[h,k] encoded[n,h] + mean_b[k]
    k.product("mean", 16, 1, N, K, a.encoded, p.mean_W, p.mean_b, a.mean, N)

    # log_variance[n,k] = Σ_h log_variance_W[h,k] encoded[n,h] + log_variance_b[k]
    # code[n,k] = epsilon[n,k] exp(log_variance[n,k]/2) + mean[n,k]
    k.product(
        "code",
        16,
        1,
        N,
        K,
        a.encoded,
        p.log_variance_W,
        p.log_variance_b,
        a.epsilon,
        a.mean,
        a.log_variance,
        a.code,
        N,
    )

    # z2[n,h] = Σ_k dec_W[k,h] code[n,k] + dec_b[h]
    # decoded[n,h] = max(0, z2[n,h])
    k.product("decoded", 32, 1, N, H, a.code, p.dec_W, p.dec_b, a.z2, a.decoded, N)

    # logits[n,d] = Σ_h pixels_W[h,d] decoded[n,h] + pixels_b[d]
    k.matmul(a.decoded, p.pixels_W, a.logits, bias=p.pixels_b)

    # image[n,d] = tanh(logits[n,d]/2)/2 + 1/2
    k.each_of("image", N * D, a.logits, a.image, N)


def add_loss(a: Activations) -> None:
    """Go on from the outputs to the loss."""
    k = a.kernels
    N = a.N

    # m[n,d] = max(0, logits[n,d])
    # e[n,d] = exp(logits[n,d] - m[n,d])
    # s[n,d] = exp(-m[n,d]) + e[n,d]
    k.each_of("s", N * D, a.logits, a.m, a.e, a.s, N)

    # cross_entropy = Σ_{n,d} (m[n,d] + log(s[n,d]) - x[n,d] logits[n,d])/(D N)
    # product1 = 64 cross_entropy
    k.by_block("product1", 1, a.x, a.logits, a.m, a.s, a.product1, N)

    # divergence[n] = Σ_k (mean[n,k]²/2 + exp(log_variance[n,k])/2 - log_variance[n,k]/2 - 1/2)
    k.by_thread("divergence", N, a.mean, a.log_variance, a.divergence, N)

    # evidence_lower_bound = Σ_n divergence[n]/N
    # loss = product1 + evidence_lower_bound
    k.by_block("loss", 1, a.divergence, a.product1, a.loss, N)


def infer(p: Params, a: Activations) -> None:
    """Compute the outputs as they are predicted."""
    k = a.kernels
    N = a.N

    # z1[n,h] = Σ_d x[n,d] enc_W[d,h] + enc_b[h]
    k.matmul(a.x, p.enc_W, a.z1, bias=p.enc_b)

    # encoded[n,h] = max(0, z1[n,h])
    k.each_of("encoded", N * H, a.z1, a.encoded, N)

    # mean[n,k] = Σ_h mean_W[h,k] encoded[n,h] + mean_b[k]
    # code[n,k] = mean[n,k]
    k.product("code_from_encoded", 16, 1, N, K, a.encoded, p.mean_W, p.mean_b, a.mean, a.code, N)

    # z2[n,h] = Σ_k dec_W[k,h] code[n,k] + dec_b[h]
    # decoded[n,h] = max(0, z2[n,h])
    k.product("decoded", 32, 1, N, H, a.code, p.dec_W, p.dec_b, a.z2, a.decoded, N)

    # logits[n,d] = Σ_h pixels_W[h,d] decoded[n,h] + pixels_b[d]
    k.matmul(a.decoded, p.pixels_W, a.logits, bias=p.pixels_b)

    # image[n,d] = tanh(logits[n,d]/2)/2 + 1/2
    k.each_of("image", N * D, a.logits, a.image, N)


def add_score(p: Params, a: Activations) -> None:
    """Go on from predicted outputs to the loss."""
    k = a.kernels
    N = a.N

    # log_variance[n,k] = Σ_h log_variance_W[h,k] encoded[n,h] + log_variance_b[k]
    k.product(
        "log_variance",
        16,
        1,
        N,
        K,
        a.encoded,
        p.log_variance_W,
        p.log_variance_b,
        a.log_variance,
        N,
    )

    # m[n,d] = max(0, logits[n,d])
    # e[n,d] = exp(logits[n,d] - m[n,d])
    # s[n,d] = exp(-m[n,d]) + e[n,d]
    k.each_of("s", N * D, a.logits, a.m, a.e, a.s, N)

    # cross_entropy = Σ_{n,d} (m[n,d] + log(s[n,d]) - x[n,d] logits[n,d])/(D N)
    # product1 = 64 cross_entropy
    k.by_block("product1", 1, a.x, a.logits, a.m, a.s, a.product1, N)

    # divergence[n] = Σ_k (mean[n,k]²/2 + exp(log_variance[n,k])/2 - log_variance[n,k]/2 - 1/2)
    k.by_thread("divergence", N, a.mean, a.log_variance, a.divergence, N)

    # evidence_lower_bound = Σ_n divergence[n]/N
    # loss = product1 + evidence_lower_bound
    k.by_block("loss", 1, a.divergence, a.product1, a.loss, N)


def backward(p: Params, g: Grads, a: Workspace) -> None:
    """Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`."""
    k = a.kernels
    N = a.N

    # p[n,d] = e[n,d]/s[n,d]
    # ∂L/∂logits[n,d] = 64 (p[n,d] - x[n,d])/(D N)
    k.each_of("d_logits", N * D, a.s, a.e, a.x, a.d_logits, N)

    # ∂L/∂pixels_W[h,d] = Σ_n decoded[n,h] ∂L/∂logits[n,d]
    k.matmul(a.decoded.T, a.d_logits, g.pixels_W)

    # ∂L/∂pixels_b[d] = Σ_n ∂L/∂logits[n,d]
    k.by_columns("d_pixels_b", D, a.d_logits, g.pixels_b, N)

    # ∂L/∂decoded[n,h] = Σ_d pixels_W[h,d] ∂L/∂logits[n,d]
    k.matmul(a.d_logits, p.pixels_W.T, a.d_decoded)

    # ∂L/∂z2[n,h] = [z2[n,h] > 0] ∂L/∂decoded[n,h]
    k.each_of("d_z2", N * H, a.d_decoded, a.z2, a.d_z2, N)

    # ∂L/∂dec_W[k,h] = Σ_n code[n,k] ∂L/∂z2[n,h]
    k.product("d_dec_W", 16, 1, K, H, a.code, a.d_z2, g.dec_W, N)

    # ∂L/∂dec_b[h] = Σ_n ∂L/∂z2[n,h]
    k.by_columns("d_dec_b", H, a.d_z2, g.dec_b, N)

    # ∂L/∂code[n,k] = Σ_h dec_W[k,h] ∂L/∂z2[n,h]
    # ∂L/∂log_variance[n,k] = epsilon[n,k] exp(log_variance[n,k]/2) ∂L/∂code[n,k]/2 - (1 -
    #     exp(log_variance[n,k]))/(2 N)
    k.product(
        "d_log_variance",
        16,
        1,
        N,
        K,
        a.d_z2,
        p.dec_W,
        a.log_variance,
        a.epsilon,
        a.d_code,
        a.d_log_variance,
        N,
    )

    # ∂L/∂log_variance_W[h,k] = Σ_n encoded[n,h] ∂L/∂log_variance[n,k]
    k.product("d_log_variance_W", 16, 1, H, K, a.encoded, a.d_log_variance, g.log_variance_W, N)

    # ∂L/∂log_variance_b[k] = Σ_n ∂L/∂log_variance[n,k]
    k.by_columns("d_log_variance_b", K, a.d_log_variance, g.log_variance_b, N)

    # ∂L/∂mean[n,k] = mean[n,k]/N + ∂L/∂code[n,k]
    k.each_of("d_mean", N * K, a.mean, a.d_code, a.d_mean, N)

    # ∂L/∂mean_W[h,k] = Σ_n encoded[n,h] ∂L/∂mean[n,k]
    k.product("d_log_variance_W", 16, 1, H, K, a.encoded, a.d_mean, g.mean_W, N)

    # ∂L/∂mean_b[k] = Σ_n ∂L/∂mean[n,k]
    k.by_columns("d_log_variance_b", K, a.d_mean, g.mean_b, N)

    # ∂L/∂encoded[n,h] = Σ_k log_variance_W[h,k] ∂L/∂log_variance[n,k]
    k.product("d_encoded", 32, 1, N, H, a.d_log_variance, p.log_variance_W, a.d_encoded, N)

    # ∂L/∂encoded[n,h] += Σ_k mean_W[h,k] ∂L/∂mean[n,k]
    # ∂L/∂z1[n,h] = [z1[n,h] > 0] ∂L/∂encoded[n,h]
    k.product("d_z1", 32, 1, N, H, a.d_mean, p.mean_W, a.z1, a.d_encoded, a.d_z1, N)

    # ∂L/∂enc_W[d,h] = Σ_n x[n,d] ∂L/∂z1[n,h]
    k.matmul(a.x.T, a.d_z1, g.enc_W)

    # ∂L/∂enc_b[h] = Σ_n ∂L/∂z1[n,h]
    k.by_columns("d_dec_b", H, a.d_z1, g.enc_b, N)


def update(p: Params, g: Grads, s: State) -> None:
    """Change the parameters by the gradient."""
    k = s.kernels
    P = SIZE

    # t ← t + 1
    k.each("count_step", 1, s.t)

    # c2 ← √(1 - 0.999^t)
    # lr_t ← 0.002 c2/(1 - 0.9^t)
    k.each("lr_t", 1, s.t, s.c2, s.lr_t)

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


def checked(x: np.ndarray, dtype: str) -> tuple[np.ndarray, ...]:
    """Return a batch as contiguous arrays of the right types and equal lengths."""
    x = real("x", x, (D,), dtype)
    return (x,)


def upload(a: Activations, batch: dict[str, np.ndarray]) -> None:
    """Copy arrays of the host into the buffers of their names."""
    for name, array in batch.items():
        buffer = getattr(a, name)
        buffer.set(np.asarray(array, buffer.dtype, order="C"))


def noise_of(a: Workspace, seed: int, step: int) -> dict[str, np.ndarray]:
    """Return what the host gives to the noise of a step, by name.

    Normal numbers are drawn here: numpy finds them by rejection, one after another.
    """
    found: dict[str, np.ndarray] = {}
    rng = np.random.Generator(np.random.Philox(key=[seed, 3191773720], counter=[0, 0, 0, step]))
    found["epsilon"] = rng.standard_normal(a.epsilon.shape)
    return found


def loss_and_grad(
    params: Params,
    *,
    x: np.ndarray,
    seed: int = 0,
    step: int = 0,
    noise: dict[str, np.ndarray] | None = None,
) -> tuple[float, Grads]:
    """Return the loss of a batch and its gradient; float64 parameters make everything float64."""
    (x,) = checked(x, params.flat.dtype)
    a, g = Workspace(len(x), params.flat.dtype), Grads(cp.empty_like(params.flat))
    upload(a, {"x": x})
    upload(a, noise_of(a, seed, step) if noise is None else noise)
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
    return {"code": a.code, "image": a.image}


def loss(params: Params, *, x: np.ndarray) -> float:
    """Return the loss of a batch as `predict` computes it, without a gradient."""
    (x,) = checked(x, params.flat.dtype)
    a = Activations(len(x), params.flat.dtype)
    upload(a, {"x": x})
    infer(params, a)
    add_score(params, a)
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

    def step(self, *, x: np.ndarray) -> float:
        """Train on one batch: forward, backward, update. Return the loss before the update."""
        self.start(x=x)
        return self.loss()

    def loss(self) -> float:
        """Return the loss of the last step, when it is done."""
        with self.stream:
            return float(self._last.loss)

    def start(self, *, x: np.ndarray) -> None:
        """Train on one batch, as `step` does, without waiting for the device.

        Meanwhile the step before may still run. Whoever asks for the loss waits: so ask seldom.
        """
        (x,) = checked(x, self.params.flat.dtype)
        a = self._workspace(len(x))
        turn = self._turns[a.N][self.steps % 2]
        self.steps += 1
        batch = {"x": x}
        batch |= noise_of(a, self.seed, self.steps)
        turn.send(batch, self.copies)
        self._run(a, turn)
        self._last = a

    def _run(self, a: Workspace, turn: Turn) -> None:
        """Launch a step, when its batch has come: its kernels, or the graph of them."""
        a.x = turn.device["x"]
        a.epsilon = turn.device["epsilon"]
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
                "epsilon": a.epsilon,
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
    """Return the loss on `data`."""
    return f"loss {loss(params, **data):.4f}"


def main(argv: list[str] | None = None) -> int:
    """Train on the arrays of an .npz file, whose keys are the names of the inputs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="an .npz file with x")
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
