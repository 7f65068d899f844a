"""Convolutional autoencoder that squeezes 8×8 images of digits through sixteen numbers.

Written by `bpgen emit conv_autoencoder --target cupy` from conv_autoencoder.py.
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
    D = 64, F = 8, C = 1, U = 3, V = 3, R = 4, U2 = 4, V2 = 4, D2 = 1, H = 8, W = 8, A = 9, B = 9,
    J = 4, K = 4, T = 5, S = 5, H2 = 2, W2 = 2, A2 = 4, B2 = 4, Q = 2, M = 2, J2 = 3, K2 = 3,
    H3 = 6, W3 = 6, E = 4, G = 4, A3 = 6, B3 = 6, J3 = 5, K3 = 5, H4 = 10, W4 = 10, E2 = 64, U3 = 2,
    V3 = 2, P = 7, X = 7, Y = 5, R2 = 2, Z = 3, S2 = 6, G2 = 6, Q2 = 2;

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

// image_pad[n,c,a,b] = image[n,c,a-1,b-1] (0 outside)
extern "C" __global__ void kernel_image_pad(const real *x, real *image_pad, int N) {
    each_of(N * C * A * B, [=](int i, real &image_pad) {
        const int n = i / (C * A * B), c = i / (A * B) % C, a = i / B % A, b = i % B;
        image_pad = a - 1 >= 0 && b - 1 >= 0 ? x[((n * C + c) * H + a - 1) * W + b - 1] : 0_r;
    }, image_pad);
}

// z1[n,f,j,k] = Σ_{c,u,v} down1_W[f,c,u,v] image_pad[n,c,2 j + u,2 k + v] + down1_b[f]
// halves[n,f,j,k] = max(0, z1[n,f,j,k])
extern "C" __global__ void kernel_halves(
    const real *down1_W, const real *image_pad, const real *down1_b, real *z1, real *halves, int N
) {
    product<1, by_row, by_column>(1, F, N * J * K, C * U * V,
        [=](int, int f, int k) { return down1_W[f * (C * U * V) + k]; },
        [=](int, int k, int c) {
            const int c_ = k / (U * V), u = k / V % U, v = k % V;
            const int n = c / (J * K), j = c / K % J, k_ = c % K;
            return image_pad[((n * C + c_) * A + 2 * j + u) * B + 2 * k_ + v];
        },
        [=](int, int f, int c, real sum) {
            const int n = c / (J * K), j = c / K % J, k_ = c % K;
            const int at = ((n * F + f) * J + j) * K + k_;
            z1[at] = sum + down1_b[f];
            halves[at] = maximum(0_r, z1[at]);
        });
}

// halves_pad1[n,f,t,s] = halves[n,f,t-1,s-1] (0 outside)
extern "C" __global__ void kernel_halves_pad1(const real *halves, real *halves_pad1, int N) {
    each_of(N * F * T * S, [=](int i, real &halves_pad1) {
        const int n = i / (F * T * S), f = i / (T * S) % F, t = i / S % T, s = i % S;
        halves_pad1 = t - 1 >= 0 && s - 1 >= 0 ? halves[((n * F + f) * J + t - 1) * K + s - 1] :
            0_r;
    }, halves_pad1);
}

// code[n,r,h2,w2] = Σ_{f,u,v} down2_W[r,f,u,v] halves_pad1[n,f,2 h2 + u,2 w2 + v] + down2_b[r]
extern "C" __global__ void kernel_code(
    const real *down2_W, const real *halves_pad1, const real *down2_b, real *code, int N
) {
    product<1, by_row, by_row>(1, R, N * H2 * W2, F * U * V,
        [=](int, int r, int k) { return down2_W[r * (F * U * V) + k]; },
        [=](int, int k, int c) {
            const int f = k / (U * V), u = k / V % U, v = k % V;
            const int n = c / (H2 * W2), h2 = c / W2 % H2, w2 = c % W2;
            return halves_pad1[((n * F + f) * T + 2 * h2 + u) * S + 2 * w2 + v];
        },
        [=](int, int r, int c, real sum) {
            const int n = c / (H2 * W2), h2 = c / W2 % H2, w2 = c % W2;
            code[((n * R + r) * H2 + h2) * W2 + w2] = sum + down2_b[r];
        });
}

// code_pad[n,r,a2,b2] = code[n,r,a2-1,b2-1] (0 outside)
extern "C" __global__ void kernel_code_pad(const real *code, real *code_pad, int N) {
    each_of(N * R * A2 * B2, [=](int i, real &code_pad) {
        const int n = i / (R * A2 * B2), r = i / (A2 * B2) % R, a2 = i / B2 % A2, b2 = i % B2;
        code_pad = a2 - 1 >= 0 && a2 - 1 < H2 && b2 - 1 >= 0 && b2 - 1 < W2 ?
            code[((n * R + r) * H2 + a2 - 1) * W2 + b2 - 1] : 0_r;
    }, code_pad);
}

// classes1[n,f,q,m,j2,k2] = Σ_{r,u3,v3} up1_W[r,f,2 u3 + q,2 v3 + m] code_pad[n,r,j2 + 1 - u3,k2
//     + 1 - v3]
extern "C" __global__ void kernel_classes1(
    const real *up1_W, const real *code_pad, real *classes1, int N
) {
    product<2, by_row, by_column>(1, F * Q * M, N * J2 * K2, R * U3 * V3,
        [=](int, int r, int k) {
            const int f = r / (Q * M), q = r / M % Q, m = r % M;
            const int r_ = k / (U3 * V3), u3 = k / V3 % U3, v3 = k % V3;
            return up1_W[((r_ * F + f) * U2 + 2 * u3 + q) * V2 + 2 * v3 + m];
        },
        [=](int, int k, int c) {
            const int r_ = k / (U3 * V3), u3 = k / V3 % U3, v3 = k % V3;
            const int n = c / (J2 * K2), j2 = c / K2 % J2, k2 = c % K2;
            return code_pad[((n * R + r_) * A2 + j2 - u3 + 1) * B2 + k2 - v3 + 1];
        },
        [=](int, int r, int c, real sum) {
            const int n = c / (J2 * K2), j2 = c / K2 % J2, k2 = c % K2;
            classes1[((n * (F * Q * M) + r) * J2 + j2) * K2 + k2] = sum;
        });
}

// grown_split1[n,f,j2,q,k2,m] = classes1[n,f,q,m,j2,k2]
extern "C" __global__ void kernel_grown_split1(
    const real *classes1, real *grown_split1, int N
) {
    each_of(N * F * J2 * Q * K2 * M, [=](int i, real &grown_split1) {
        const int n = i / (F * J2 * Q * K2 * M), f = i / (J2 * Q * K2 * M) % F, j2 = i / (Q * K2 *
            M) % J2, q = i / (K2 * M) % Q, k2 = i / M % K2, m = i % M;
        grown_split1 = classes1[((((n * F + f) * Q + q) * M + m) * J2 + j2) * K2 + k2];
    }, grown_split1);
}

// z2[n,f,e,g] = up1_b[f] + grown1[n,f,e+1,g+1]
// grown[n,f,e,g] = max(0, z2[n,f,e,g])
extern "C" __global__ void kernel_grown(
    const real *up1_b, const real *grown_split1, real *z2, real *grown, int N
) {
    each_of(N * F * E * G, [=](int i, real &z2, real &grown) {
        const int n = i / (F * E * G), f = i / (E * G) % F, e = i / G % E, g = i % G;
        z2 = up1_b[f] + grown_split1[((n * F + f) * H3 + e + 1) * W3 + g + 1];
        grown = maximum(0_r, z2);
    }, z2, grown);
}

// grown_pad1[n,f,a3,b3] = grown[n,f,a3-1,b3-1] (0 outside)
extern "C" __global__ void kernel_grown_pad1(const real *grown, real *grown_pad1, int N) {
    each_of(N * F * A3 * B3, [=](int i, real &grown_pad1) {
        const int n = i / (F * A3 * B3), f = i / (A3 * B3) % F, a3 = i / B3 % A3, b3 = i % B3;
        grown_pad1 = a3 - 1 >= 0 && a3 - 1 < E && b3 - 1 >= 0 && b3 - 1 < G ?
            grown[((n * F + f) * E + a3 - 1) * G + b3 - 1] : 0_r;
    }, grown_pad1);
}

// classes2[n,d2,q,m,j3,k3] = Σ_{f,u3,v3} up2_W[f,d2,2 u3 + q,2 v3 + m] grown_pad1[n,f,j3 + 1 -
//     u3,k3 + 1 - v3]
extern "C" __global__ void kernel_classes2(
    const real *up2_W, const real *grown_pad1, real *classes2, int N
) {
    product<1, by_row, by_column>(1, D2 * Q * M, N * J3 * K3, F * U3 * V3,
        [=](int, int r, int k) {
            const int d2 = r / (Q * M), q = r / M % Q, m = r % M;
            const int f = k / (U3 * V3), u3 = k / V3 % U3, v3 = k % V3;
            return up2_W[((f * D2 + d2) * U2 + 2 * u3 + q) * V2 + 2 * v3 + m];
        },
        [=](int, int k, int c) {
            const int f = k / (U3 * V3), u3 = k / V3 % U3, v3 = k % V3;
            const int n = c / (J3 * K3), j3 = c / K3 % J3, k3 = c % K3;
            return grown_pad1[((n * F + f) * A3 + j3 - u3 + 1) * B3 + k3 - v3 + 1];
        },
        [=](int, int r, int c, real sum) {
            const int n = c / (J3 * K3), j3 = c / K3 % J3, k3 = c % K3;
            classes2[((n * (D2 * Q * M) + r) * J3 + j3) * K3 + k3] = sum;
        });
}

// grown_split2[n,d2,j3,q,k3,m] = classes2[n,d2,q,m,j3,k3]
extern "C" __global__ void kernel_grown_split2(
    const real *classes2, real *grown_split2, int N
) {
    each_of(N * D2 * J3 * Q * K3 * M, [=](int i, real &grown_split2) {
        const int n = i / (D2 * J3 * Q * K3 * M), d2 = i / (J3 * Q * K3 * M) % D2, j3 = i / (Q * K3
            * M) % J3, q = i / (K3 * M) % Q, k3 = i / M % K3, m = i % M;
        grown_split2 = classes2[((((n * D2 + d2) * Q + q) * M + m) * J3 + j3) * K3 + k3];
    }, grown_split2);
}

// drawn[n,d2,h,w] = up2_b[d2] + grown2[n,d2,h+1,w+1]
extern "C" __global__ void kernel_drawn(
    const real *up2_b, const real *grown_split2, real *drawn, int N
) {
    each_of(N * D2 * H * W, [=](int i, real &drawn) {
        const int n = i / (D2 * H * W), d2 = i / (H * W) % D2, h = i / W % H, w = i % W;
        drawn = up2_b[d2] + grown_split2[((n * D2 + d2) * H4 + h + 1) * W4 + w + 1];
    }, drawn);
}

// sigmoid1[n,e2] = tanh(logits[n,e2]/2)/2 + 1/2
extern "C" __global__ void kernel_sigmoid1(const real *drawn, real *sigmoid1, int N) {
    each_of(N * E2, [=](int, real drawn, real &sigmoid1) {
        sigmoid1 = 0.5_r * tanh(0.5_r * drawn) + 0.5_r;
    }, drawn, sigmoid1);
}

// m[n,e2] = max(0, logits[n,e2])
// e[n,e2] = exp(logits[n,e2] - m[n,e2])
// s[n,e2] = exp(-m[n,e2]) + e[n,e2]
extern "C" __global__ void kernel_s(const real *drawn, real *m, real *e, real *s, int N) {
    each_of(N * E2, [=](int, real drawn, real &m, real &e, real &s) {
        m = maximum(0_r, drawn);
        e = exp(drawn - m);
        s = exp(-m) + e;
    }, drawn, m, e, s);
}

// loss = Σ_{n,e2} (m[n,e2] + log(s[n,e2]) - x[n,e2] logits[n,e2])/(E2 N)
extern "C" __global__ void kernel_loss(
    const real *x, const real *drawn, const real *m, const real *s, real *loss, int N
) {
    by_block<added>(1, N * E2,
        [=](int, int j) {
            const int n = j / E2, e2 = j % E2;
            return 0.015625_r * (m[j] + log(s[j]) - x[n * D + e2] * drawn[j]) / real(N);
        },
        [=](int, real sum) { *loss = sum; });
}

// p[n,e2] = e[n,e2]/s[n,e2]
extern "C" __global__ void kernel_p(const real *s, const real *e, real *p, int N) {
    each_of(N * E2, [=](int, real s, real e, real &p) { p = e / s; }, s, e, p);
}

// ∂L/∂drawn[n,d2,h,w] = (p[n,H W d2 + W h + w] - x[n,H W d2 + W h + w])/(E2 N)
extern "C" __global__ void kernel_d_drawn(const real *x, const real *p, real *d_drawn, int N) {
    each_of(N * D2 * H * W, [=](int i, real &d_drawn) {
        const int n = i / (D2 * H * W), d2 = i / (H * W) % D2, h = i / W % H, w = i % W;
        d_drawn = 0.015625_r * (p[n * E2 + H * W * d2 + W * h + w] -
            x[n * D + H * W * d2 + W * h + w]) / real(N);
    }, d_drawn);
}

// ∂L/∂up2_b[d2] = Σ_{n,h,w} ∂L/∂drawn[n,d2,h,w]
extern "C" __global__ void kernel_d_up2_b(const real *d_drawn, real *d_up2_b, int N) {
    by_block<added>(D2, N * H * W,
        [=](int d2, int j) {
            const int n = j / (H * W), h = j / W % H, w = j % W;
            return d_drawn[((n * D2 + d2) * H + h) * W + w];
        },
        [=](int d2, real sum) { d_up2_b[d2] = sum; });
}

// ∂L/∂grown2[n,d2,h4,w4] = ∂L/∂drawn[n,d2,h4-1,w4-1] (0 outside)
extern "C" __global__ void kernel_d_grown2(const real *d_drawn, real *d_grown2, int N) {
    each_of(N * D2 * H4 * W4, [=](int i, real &d_grown2) {
        const int n = i / (D2 * H4 * W4), d2 = i / (H4 * W4) % D2, h4 = i / W4 % H4, w4 = i % W4;
        d_grown2 = h4 - 1 >= 0 && h4 - 1 < H && w4 - 1 >= 0 && w4 - 1 < W ?
            d_drawn[((n * D2 + d2) * H + h4 - 1) * W + w4 - 1] : 0_r;
    }, d_grown2);
}

// split_d_up2_W[f,d2,q,m,u3,v3] = Σ_{n,j3,k3} grown_pad1[n,f,j3 + 1 - u3,k3 + 1 - v3]
//     ∂L/∂classes2[n,d2,q,m,j3,k3]
extern "C" __global__ void kernel_split_d_up2_W(
    const real *d_grown2, const real *grown_pad1, real *split_d_up2_W, int N
) {
    product<1, by_column, by_row>(1, D2 * Q * M, F * U3 * V3, N * J3 * K3,
        [=](int, int r, int k) {
            const int d2 = r / (Q * M), q = r / M % Q, m = r % M;
            const int n = k / (J3 * K3), j3 = k / K3 % J3, k3 = k % K3;
            return d_grown2[((n * D2 + d2) * H4 + 2 * j3 + q) * W4 + 2 * k3 + m];
        },
        [=](int, int k, int c) {
            const int n = k / (J3 * K3), j3 = k / K3 % J3, k3 = k % K3;
            const int f = c / (U3 * V3), u3 = c / V3 % U3, v3 = c % V3;
            return grown_pad1[((n * F + f) * A3 + j3 - u3 + 1) * B3 + k3 - v3 + 1];
        },
        [=](int, int r, int c, real sum) {
            const int f = c / (U3 * V3), u3 = c / V3 % U3, v3 = c % V3;
            split_d_up2_W[((f * (D2 * Q * M) + r) * U3 + u3) * V3 + v3] = sum;
        });
}

// ∂L/∂up2_W[f,d2,2 u3 + q,2 v3 + m] = split_d_up2_W[f,d2,q,m,u3,v3]
extern "C" __global__ void kernel_d_up2_W(const real *split_d_up2_W, real *d_up2_W) {
    each(F * D2 * U2 * V2, [=](int i) {
        const int f = i / (D2 * U2 * V2), d2 = i / (U2 * V2) % D2, u2 = i / V2 % U2, v2 = i % V2;
        d_up2_W[i] = split_d_up2_W[((((f * D2 + d2) * Q + u2 % Q) * M + v2 % M) * U3 + u2 / 2 % U3)
            * V3 + v2 / 2 % V3];
    });
}

// padded_d_classes2[n,d2,q,m,p,x] = ∂L/∂classes2[n,d2,q,m,p-1,x-1] (0 outside)
extern "C" __global__ void kernel_padded_d_classes2(
    const real *d_grown2, real *padded_d_classes2, int N
) {
    each_of(N * D2 * Q * M * P * X, [=](int i, real &padded_d_classes2) {
        const int n = i / (D2 * Q * M * P * X), d2 = i / (Q * M * P * X) % D2, q = i / (M * P * X) %
            Q, m = i / (P * X) % M, p = i / X % P, x = i % X;
        padded_d_classes2 = 2 * p + q - 2 >= 0 && 2 * p + q - 2 < H4 && 2 * x + m - 2 >= 0 && 2 * x
            + m - 2 < W4 ? d_grown2[((n * D2 + d2) * H4 + 2 * p + q - 2) * W4 + 2 * x + m - 2] :
            0_r;
    }, padded_d_classes2);
}

// ∂L/∂grown_pad1[n,f,a3,b3] = Σ_{d2,q,m,u3,v3} up2_W[f,d2,2 u3 + q,2 v3 + m]
//     padded_d_classes2[n,d2,q,m,a3+u3,b3+v3]
extern "C" __global__ void kernel_d_grown_pad1(
    const real *up2_W, const real *padded_d_classes2, real *d_grown_pad1, int N
) {
    product<1, by_row, by_column>(1, F, N * A3 * B3, D2 * Q * M * U3 * V3,
        [=](int, int f, int k) {
            const int d2 = k / (Q * M * U3 * V3), q = k / (M * U3 * V3) % Q, m = k / (U3 * V3) % M,
                u3 = k / V3 % U3, v3 = k % V3;
            return up2_W[((f * D2 + d2) * U2 + 2 * u3 + q) * V2 + 2 * v3 + m];
        },
        [=](int, int k, int c) {
            const int d2 = k / (Q * M * U3 * V3), q = k / (M * U3 * V3) % Q, m = k / (U3 * V3) % M,
                u3 = k / V3 % U3, v3 = k % V3;
            const int n = c / (A3 * B3), a3 = c / B3 % A3, b3 = c % B3;
            return
                padded_d_classes2[((((n * D2 + d2) * Q + q) * M + m) * P + a3 + u3) * X + b3 + v3];
        },
        [=](int, int f, int c, real sum) {
            const int n = c / (A3 * B3), a3 = c / B3 % A3, b3 = c % B3;
            d_grown_pad1[((n * F + f) * A3 + a3) * B3 + b3] = sum;
        });
}

// ∂L/∂z2[n,f,e,g] = [z2[n,f,e,g] > 0] ∂L/∂grown_pad1[n,f,e+1,g+1]
extern "C" __global__ void kernel_d_z2(
    const real *d_grown_pad1, const real *z2, real *d_z2, int N
) {
    each_of(N * F * E * G, [=](int i, real z2, real &d_z2) {
        const int n = i / (F * E * G), f = i / (E * G) % F, e = i / G % E, g = i % G;
        d_z2 = z2 > 0_r ? d_grown_pad1[((n * F + f) * A3 + e + 1) * B3 + g + 1] : 0_r;
    }, z2, d_z2);
}

// ∂L/∂up1_b[f] = Σ_{n,e,g} ∂L/∂z2[n,f,e,g]
extern "C" __global__ void kernel_d_up1_b(const real *d_z2, real *d_up1_b, int N) {
    by_block<added>(F, N * E * G,
        [=](int f, int j) {
            const int n = j / (E * G), e = j / G % E, g = j % G;
            return d_z2[((n * F + f) * E + e) * G + g];
        },
        [=](int f, real sum) { d_up1_b[f] = sum; });
}

// ∂L/∂grown1[n,f,h3,w3] = ∂L/∂z2[n,f,h3-1,w3-1] (0 outside)
extern "C" __global__ void kernel_d_grown1(const real *d_z2, real *d_grown1, int N) {
    each_of(N * F * H3 * W3, [=](int i, real &d_grown1) {
        const int n = i / (F * H3 * W3), f = i / (H3 * W3) % F, h3 = i / W3 % H3, w3 = i % W3;
        d_grown1 = h3 - 1 >= 0 && h3 - 1 < E && w3 - 1 >= 0 && w3 - 1 < G ?
            d_z2[((n * F + f) * E + h3 - 1) * G + w3 - 1] : 0_r;
    }, d_grown1);
}

// split_d_up1_W[r,f,q,m,u3,v3] = Σ_{n,j2,k2} code_pad[n,r,j2 + 1 - u3,k2 + 1 - v3]
//     ∂L/∂classes1[n,f,q,m,j2,k2]
extern "C" __global__ void kernel_split_d_up1_W(
    const real *d_grown1, const real *code_pad, real *split_d_up1_W, int N
) {
    product<1, by_column, by_row>(1, F * Q * M, R * U3 * V3, N * J2 * K2,
        [=](int, int r, int k) {
            const int f = r / (Q * M), q = r / M % Q, m = r % M;
            const int n = k / (J2 * K2), j2 = k / K2 % J2, k2 = k % K2;
            return d_grown1[((n * F + f) * H3 + 2 * j2 + q) * W3 + 2 * k2 + m];
        },
        [=](int, int k, int c) {
            const int n = k / (J2 * K2), j2 = k / K2 % J2, k2 = k % K2;
            const int r_ = c / (U3 * V3), u3 = c / V3 % U3, v3 = c % V3;
            return code_pad[((n * R + r_) * A2 + j2 - u3 + 1) * B2 + k2 - v3 + 1];
        },
        [=](int, int r, int c, real sum) {
            const int r_ = c / (U3 * V3), u3 = c / V3 % U3, v3 = c % V3;
            split_d_up1_W[((r_ * (F * Q * M) + r) * U3 + u3) * V3 + v3] = sum;
        });
}

// ∂L/∂up1_W[r,f,2 u3 + q,2 v3 + m] = split_d_up1_W[r,f,q,m,u3,v3]
extern "C" __global__ void kernel_d_up1_W(const real *split_d_up1_W, real *d_up1_W) {
    each(R * F * U2 * V2, [=](int i) {
        const int r = i / (F * U2 * V2), f = i / (U2 * V2) % F, u2 = i / V2 % U2, v2 = i % V2;
        d_up1_W[i] = split_d_up1_W[((((r * F + f) * Q + u2 % Q) * M + v2 % M) * U3 + u2 / 2 % U3) *
            V3 + v2 / 2 % V3];
    });
}

// padded_d_classes1[n,f,q,m,s,y] = ∂L/∂classes1[n,f,q,m,s-1,y-1] (0 outside)
extern "C" __global__ void kernel_padded_d_classes1(
    const real *d_grown1, real *padded_d_classes1, int N
) {
    each_of(N * F * Q * M * S * Y, [=](int i, real &padded_d_classes1) {
        const int n = i / (F * Q * M * S * Y), f = i / (Q * M * S * Y) % F, q = i / (M * S * Y) % Q,
            m = i / (S * Y) % M, s = i / Y % S, y = i % Y;
        padded_d_classes1 = 2 * s + q - 2 >= 0 && 2 * s + q - 2 < H3 && 2 * y + m - 2 >= 0 && 2 * y
            + m - 2 < W3 ? d_grown1[((n * F + f) * H3 + 2 * s + q - 2) * W3 + 2 * y + m - 2] : 0_r;
    }, padded_d_classes1);
}

// ∂L/∂code_pad[n,r,a2,b2] = Σ_{f,q,m,u3,v3} up1_W[r,f,2 u3 + q,2 v3 + m]
//     padded_d_classes1[n,f,q,m,a2+u3,b2+v3]
extern "C" __global__ void kernel_d_code_pad(
    const real *up1_W, const real *padded_d_classes1, real *d_code_pad, int N
) {
    product<1, by_row, by_column>(1, R, N * A2 * B2, F * Q * M * U3 * V3,
        [=](int, int r, int k) {
            const int f = k / (Q * M * U3 * V3), q = k / (M * U3 * V3) % Q, m = k / (U3 * V3) % M,
                u3 = k / V3 % U3, v3 = k % V3;
            return up1_W[((r * F + f) * U2 + 2 * u3 + q) * V2 + 2 * v3 + m];
        },
        [=](int, int k, int c) {
            const int f = k / (Q * M * U3 * V3), q = k / (M * U3 * V3) % Q, m = k / (U3 * V3) % M,
                u3 = k / V3 % U3, v3 = k % V3;
            const int n = c / (A2 * B2), a2 = c / B2 % A2, b2 = c % B2;
            return padded_d_classes1[((((n * F + f) * Q + q) * M + m) * S + a2 + u3) * Y + b2 + v3];
        },
        [=](int, int r, int c, real sum) {
            const int n = c / (A2 * B2), a2 = c / B2 % A2, b2 = c % B2;
            d_code_pad[((n * R + r) * A2 + a2) * B2 + b2] = sum;
        });
}

// ∂L/∂code[n,r,h2,w2] = ∂L/∂code_pad[n,r,h2+1,w2+1]
extern "C" __global__ void kernel_d_code(const real *d_code_pad, real *d_code, int N) {
    each_of(N * R * H2 * W2, [=](int i, real &d_code) {
        const int n = i / (R * H2 * W2), r = i / (H2 * W2) % R, h2 = i / W2 % H2, w2 = i % W2;
        d_code = d_code_pad[((n * R + r) * A2 + h2 + 1) * B2 + w2 + 1];
    }, d_code);
}

// ∂L/∂down2_W[r,f,u,v] = Σ_{n,h2,w2} halves_pad1[n,f,2 h2 + u,2 w2 + v] ∂L/∂code[n,r,h2,w2]
extern "C" __global__ void kernel_d_down2_W(
    const real *d_code, const real *halves_pad1, real *d_down2_W, int N
) {
    product<1, by_row, by_column>(1, R, F * U * V, N * H2 * W2,
        [=](int, int r, int k) {
            const int n = k / (H2 * W2), h2 = k / W2 % H2, w2 = k % W2;
            return d_code[((n * R + r) * H2 + h2) * W2 + w2];
        },
        [=](int, int k, int c) {
            const int n = k / (H2 * W2), h2 = k / W2 % H2, w2 = k % W2;
            const int f = c / (U * V), u = c / V % U, v = c % V;
            return halves_pad1[((n * F + f) * T + 2 * h2 + u) * S + 2 * w2 + v];
        },
        [=](int, int r, int c, real sum) { d_down2_W[r * (F * U * V) + c] = sum; });
}

// ∂L/∂down2_b[r] = Σ_{n,h2,w2} ∂L/∂code[n,r,h2,w2]
extern "C" __global__ void kernel_d_down2_b(const real *d_code, real *d_down2_b, int N) {
    by_block<added>(R, N * H2 * W2,
        [=](int r, int j) {
            const int n = j / (H2 * W2), h2 = j / W2 % H2, w2 = j % W2;
            return d_code[((n * R + r) * H2 + h2) * W2 + w2];
        },
        [=](int r, real sum) { d_down2_b[r] = sum; });
}

// padded_d_code[n,r,k,j] = ∂L/∂code[n,r,k-1,j-1] (0 outside)
extern "C" __global__ void kernel_padded_d_code(
    const real *d_code, real *padded_d_code, int N
) {
    each_of(N * R * K * J, [=](int i, real &padded_d_code) {
        const int n = i / (R * K * J), r = i / (K * J) % R, k = i / J % K, j = i % J;
        padded_d_code = k - 1 >= 0 && k - 1 < H2 && j - 1 >= 0 && j - 1 < W2 ?
            d_code[((n * R + r) * H2 + k - 1) * W2 + j - 1] : 0_r;
    }, padded_d_code);
}

// padded_down2_W[r,f,k,j] = down2_W[r,f,k,j] (0 outside)
extern "C" __global__ void kernel_padded_down2_W(const real *down2_W, real *padded_down2_W) {
    each_of(R * F * K * J, [=](int i, real &padded_down2_W) {
        const int r = i / (F * K * J), f = i / (K * J) % F, k = i / J % K, j = i % J;
        padded_down2_W = k < U && j < V ? down2_W[((r * F + f) * U + k) * V + j] : 0_r;
    }, padded_down2_W);
}

// split_d_halves_pad1[n,f,q,r2,z,k2] = Σ_{r,m,q2} padded_down2_W[r,f,2 m + q,2 q2 + r2]
//     padded_d_code[n,r,z + 1 - m,k2 + 1 - q2]
extern "C" __global__ void kernel_split_d_halves_pad1(
    const real *padded_down2_W, const real *padded_d_code, real *split_d_halves_pad1, int N
) {
    product<2, by_column, by_column>(1, F * Q * R2, N * Z * K2, R * M * Q2,
        [=](int, int r, int k) {
            const int f = r / (Q * R2), q = r / R2 % Q, r2 = r % R2;
            const int r_ = k / (M * Q2), m = k / Q2 % M, q2 = k % Q2;
            return padded_down2_W[((r_ * F + f) * K + 2 * m + q) * J + 2 * q2 + r2];
        },
        [=](int, int k, int c) {
            const int r_ = k / (M * Q2), m = k / Q2 % M, q2 = k % Q2;
            const int n = c / (Z * K2), z = c / K2 % Z, k2 = c % K2;
            return padded_d_code[((n * R + r_) * K + z - m + 1) * J + k2 - q2 + 1];
        },
        [=](int, int r, int c, real sum) {
            const int n = c / (Z * K2), z = c / K2 % Z, k2 = c % K2;
            split_d_halves_pad1[((n * (F * Q * R2) + r) * Z + z) * K2 + k2] = sum;
        });
}

// ∂L/∂z1[n,f,j,k] = [z1[n,f,j,k] > 0] joined_d_halves_pad1[n,f,j+1,k+1]
extern "C" __global__ void kernel_d_z1(
    const real *split_d_halves_pad1, const real *z1, real *d_z1, int N
) {
    each_of(N * F * J * K, [=](int i, real z1, real &d_z1) {
        const int n = i / (F * J * K), f = i / (J * K) % F, j = i / K % J, k = i % K;
        d_z1 = z1 > 0_r ? split_d_halves_pad1[((((n * F + f) * Q + (j + 1) % Q) * R2 + (k + 1) % R2)
            * Z + (j + 1) / 2 % Z) * K2 + (k + 1) / 2 % K2] : 0_r;
    }, z1, d_z1);
}

// ∂L/∂down1_W[f,c,u,v] = Σ_{n,j,k} image_pad[n,c,2 j + u,2 k + v] ∂L/∂z1[n,f,j,k]
extern "C" __global__ void kernel_d_down1_W(
    const real *d_z1, const real *image_pad, real *d_down1_W, int N
) {
    product<1, by_row, by_row>(1, F, C * U * V, N * J * K,
        [=](int, int f, int k) {
            const int n = k / (J * K), j = k / K % J, k_ = k % K;
            return d_z1[((n * F + f) * J + j) * K + k_];
        },
        [=](int, int k, int c) {
            const int n = k / (J * K), j = k / K % J, k_ = k % K;
            const int c_ = c / (U * V), u = c / V % U, v = c % V;
            return image_pad[((n * C + c_) * A + 2 * j + u) * B + 2 * k_ + v];
        },
        [=](int, int f, int c, real sum) { d_down1_W[f * (C * U * V) + c] = sum; });
}

// ∂L/∂down1_b[f] = Σ_{n,j,k} ∂L/∂z1[n,f,j,k]
extern "C" __global__ void kernel_d_down1_b(const real *d_z1, real *d_down1_b, int N) {
    by_block<added>(F, N * J * K,
        [=](int f, int j) {
            const int n = j / (J * K), j_ = j / K % J, k = j % K;
            return d_z1[((n * F + f) * J + j_) * K + k];
        },
        [=](int f, real sum) { d_down1_b[f] = sum; });
}

// c2 ← √(1 - 0.999^t)
// lr_t ← 0.003 c2/(1 - 0.9^t)
extern "C" __global__ void kernel_lr_t(const int *t, double *c2, double *lr_t) {
    each(1, [=](int) {
        *c2 = sqrt(1.0 - pow(0.999, double(*t)));
        *lr_t = 0.003 * *c2 / (1.0 - pow(0.9, double(*t)));
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
    "image_pad",
    "halves",
    "halves_pad1",
    "code",
    "code_pad",
    "classes1",
    "grown_split1",
    "grown",
    "grown_pad1",
    "classes2",
    "grown_split2",
    "drawn",
    "sigmoid1",
    "s",
    "loss",
    "p",
    "d_drawn",
    "d_up2_b",
    "d_grown2",
    "split_d_up2_W",
    "d_up2_W",
    "padded_d_classes2",
    "d_grown_pad1",
    "d_z2",
    "d_up1_b",
    "d_grown1",
    "split_d_up1_W",
    "d_up1_W",
    "padded_d_classes1",
    "d_code_pad",
    "d_code",
    "d_down2_W",
    "d_down2_b",
    "padded_d_code",
    "padded_down2_W",
    "split_d_halves_pad1",
    "d_z1",
    "d_down1_W",
    "d_down1_b",
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
    """The parameters: named views into one vector on the device.

    It is called `flat`.
    """

    def __init__(self, flat: cp.ndarray | np.ndarray | None = None) -> None:
        self.flat = cp.zeros(SIZE, DTYPE) if flat is None else flat
        self.down1_W = self.flat[0:72].reshape((F, C, U, V))
        self.down1_b = self.flat[72:80].reshape((F,))
        self.down2_W = self.flat[80:368].reshape((R, F, U, V))
        self.down2_b = self.flat[368:372].reshape((R,))
        self.up1_W = self.flat[372:884].reshape((R, F, U2, V2))
        self.up1_b = self.flat[884:892].reshape((F,))
        self.up2_W = self.flat[892:1020].reshape((F, D2, U2, V2))
        self.up2_b = self.flat[1020:1021].reshape((D2,))


class Grads:
    """The gradient: `grads.W` is ∂L/∂W, in the same order in memory as the parameters."""

    def __init__(self, flat: cp.ndarray) -> None:
        self.flat = flat
        self.down1_W = self.flat[0:72].reshape((F, C, U, V))
        self.down1_b = self.flat[72:80].reshape((F,))
        self.down2_W = self.flat[80:368].reshape((R, F, U, V))
        self.down2_b = self.flat[368:372].reshape((R,))
        self.up1_W = self.flat[372:884].reshape((R, F, U2, V2))
        self.up1_b = self.flat[884:892].reshape((F,))
        self.up2_W = self.flat[892:1020].reshape((F, D2, U2, V2))
        self.up2_b = self.flat[1020:1021].reshape((D2,))


class Activations:
    """A batch of N examples on the device, and what the forward pass computes for it."""

    def __init__(self, N: int, dtype: str = DTYPE) -> None:
        self.N, self.kernels = N, Kernels.of(dtype)
        self.x = cp.empty((N, D), dtype)  # x[n,d]
        self.image_pad = cp.empty((N, C, A, B), dtype)  # image_pad[n,c,a,b]
        self.z1 = cp.empty((N, F, J, K), dtype)  # z1[n,f,j,k]
        self.halves = cp.empty((N, F, J, K), dtype)  # halves[n,f,j,k]
        self.halves_pad1 = cp.empty((N, F, T, S), dtype)  # halves_pad1[n,f,t,s]
        self.code = cp.empty((N, R, H2, W2), dtype)  # code[n,r,h2,w2]
        self.code_pad = cp.empty((N, R, A2, B2), dtype)  # code_pad[n,r,a2,b2]
        self.classes1 = cp.empty((N, F, Q, M, J2, K2), dtype)  # classes1[n,f,q,m,j2,k2]
        self.grown_split1 = cp.empty((N, F, J2, Q, K2, M), dtype)  # grown_split1[n,f,j2,q,k2,m]
        self.z2 = cp.empty((N, F, E, G), dtype)  # z2[n,f,e,g]
        self.grown = cp.empty((N, F, E, G), dtype)  # grown[n,f,e,g]
        self.grown_pad1 = cp.empty((N, F, A3, B3), dtype)  # grown_pad1[n,f,a3,b3]
        self.classes2 = cp.empty((N, D2, Q, M, J3, K3), dtype)  # classes2[n,d2,q,m,j3,k3]
        self.grown_split2 = cp.empty((N, D2, J3, Q, K3, M), dtype)  # grown_split2[n,d2,j3,q,k3,m]
        self.drawn = cp.empty((N, D2, H, W), dtype)  # drawn[n,d2,h,w]
        self.sigmoid1 = cp.empty((N, E2), dtype)  # sigmoid1[n,e2]
        self.m = cp.empty((N, E2), dtype)  # m[n,e2]
        self.e = cp.empty((N, E2), dtype)  # e[n,e2]
        self.s = cp.empty((N, E2), dtype)  # s[n,e2]
        self.loss = cp.empty((), dtype)  # loss


class Workspace(Activations):
    """The activations, and the cotangents that the backward pass computes from them."""

    def __init__(self, N: int, dtype: str = DTYPE) -> None:
        super().__init__(N, dtype)
        self.p = cp.empty((N, E2), dtype)  # p[n,e2]
        self.d_drawn = cp.empty((N, D2, H, W), dtype)  # ∂L/∂drawn[n,d2,h,w]
        self.d_grown2 = cp.empty((N, D2, H4, W4), dtype)  # ∂L/∂grown2[n,d2,h4,w4]
        self.split_d_up2_W = cp.empty((F, D2, Q, M, U3, V3), dtype)  # split_d_up2_W[f,d2,q,m,u3,v3]
        self.padded_d_classes2 = cp.empty(
            (N, D2, Q, M, P, X), dtype
        )  # padded_d_classes2[n,d2,q,m,p,x]
        self.d_grown_pad1 = cp.empty((N, F, A3, B3), dtype)  # ∂L/∂grown_pad1[n,f,a3,b3]
        self.d_z2 = cp.empty((N, F, E, G), dtype)  # ∂L/∂z2[n,f,e,g]
        self.d_grown1 = cp.empty((N, F, H3, W3), dtype)  # ∂L/∂grown1[n,f,h3,w3]
        self.split_d_up1_W = cp.empty((R, F, Q, M, U3, V3), dtype)  # split_d_up1_W[r,f,q,m,u3,v3]
        self.padded_d_classes1 = cp.empty(
            (N, F, Q, M, S, Y), dtype
        )  # padded_d_classes1[n,f,q,m,s,y]
        self.d_code_pad = cp.empty((N, R, A2, B2), dtype)  # ∂L/∂code_pad[n,r,a2,b2]
        self.d_code = cp.empty((N, R, H2, W2), dtype)  # ∂L/∂code[n,r,h2,w2]
        self.padded_d_code = cp.empty((N, R, K, J), dtype)  # padded_d_code[n,r,k,j]
        self.padded_down2_W = cp.empty((R, F, K, J), dtype)  # padded_down2_W[r,f,k,j]
        self.split_d_halves_pad1 = cp.empty(
            (N, F, Q, R2, Z, K2), dtype
        )  # split_d_halves_pad1[n,f,q,r2,z,k2]
        self.d_z1 = cp.empty((N, F, J, K), dtype)  # ∂L/∂z1[n,f,j,k]


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
    p.down1_W[...] = rng.normal(0, math.sqrt(2 / (C * U * V)), (F, C, U, V))
    p.down2_W[...] = rng.normal(0, math.sqrt(2 / (F * U * V)), (R, F, U, V))
    p.up1_W[...] = rng.normal(0, math.sqrt(8 / (R * U2 * V2)), (R, F, U2, V2))
    p.up2_W[...] = rng.normal(0, math.sqrt(8 / (F * U2 * V2)), (F, D2, U2, V2))
    return Params(cp.asarray(p.flat))


def forward(p: Params, a: Activations) -> None:
    """Compute the outputs of a batch into `a`."""
    k = a.kernels
    N = a.N

    # image_pad[n,c,a,b] = image[n,c,a-1,b-1] (0 outside)
    k.each_of("image_pad", N * C * A * B, a.x, a.image_pad, N)

    # z1[n,f,j,k] = Σ_{c,u,v} down1_W[f,c,u,v] image_pad[n,c,2 j + u,2 k + v] + down1_b[f]
    # halves[n,f,j,k] = max(0, z1[n,f,j,k])
    k.product("halves", 16, 1, F, N * J * K, p.down1_W, a.image_pad, p.down1_b, a.z1, a.halves, N)

    # halves_pad1[n,f,t,s] = halves[n,f,t-1,s-1] (0 outside)
    k.each_of("halves_pad1", N * F * T * S, a.halves, a.halves_pad1, N)

    # code[n,r,h2,w2] = Σ_{f,u,v} down2_W[r,f,u,v] halves_pad1[n,f,2 h2 + u,2 w2 + v] + down2_b[r]
    k.product("code", 16, 1, R, N * H2 * W2, p.down2_W, a.halves_pad1, p.down2_b, a.code, N)

    # code_pad[n,r,a2,b2] = code[n,r,a2-1,b2-1] (0 outside)
    k.each_of("code_pad", N * R * A2 * B2, a.code, a.code_pad, N)

    # classes1[n,f,q,m,j2,k2] = Σ_{r,u3,v3} up1_W[r,f,2 u3 + q,2 v3 + m] code_pad[n,r,j2 + 1 - u3,k2
    #     + 1 - v3]
    k.product("classes1", 32, 1, F * Q * M, N * J2 * K2, p.up1_W, a.code_pad, a.classes1, N)

    # grown_split1[n,f,j2,q,k2,m] = classes1[n,f,q,m,j2,k2]
    k.each_of("grown_split1", N * F * J2 * Q * K2 * M, a.classes1, a.grown_split1, N)

    # z2[n,f,e,g] = up1_b[f] + grown1[n,f,e+1,g+1]
    # grown[n,f,e,g] = max(0, z2[n,f,e,g])
    k.each_of("grown", N * F * E * G, p.up1_b, a.grown_split1, a.z2, a.grown, N)

    # grown_pad1[n,f,a3,b3] = grown[n,f,a3-1,b3-1] (0 outside)
    k.each_of("grown_pad1", N * F * A3 * B3, a.grown, a.grown_pad1, N)

    # classes2[n,d2,q,m,j3,k3] = Σ_{f,u3,v3} up2_W[f,d2,2 u3 + q,2 v3 + m] grown_pad1[n,f,j3 + 1 -
    #     u3,k3 + 1 - v3]
    k.product("classes2", 16, 1, D2 * Q * M, N * J3 * K3, p.up2_W, a.grown_pad1, a.classes2, N)

    # grown_split2[n,d2,j3,q,k3,m] = classes2[n,d2,q,m,j3,k3]
    k.each_of("grown_split2", N * D2 * J3 * Q * K3 * M, a.classes2, a.grown_split2, N)

    # drawn[n,d2,h,w] = up2_b[d2] + grown2[n,d2,h+1,w+1]
    k.each_of("drawn", N * D2 * H * W, p.up2_b, a.grown_split2, a.drawn, N)

    # sigmoid1[n,e2] = tanh(logits[n,e2]/2)/2 + 1/2
    k.each_of("sigmoid1", N * E2, a.drawn, a.sigmoid1, N)


def add_loss(a: Activations) -> None:
    """Go on from the outputs to the loss."""
    k = a.kernels
    N = a.N

    # m[n,e2] = max(0, logits[n,e2])
    # e[n,e2] = exp(logits[n,e2] - m[n,e2])
    # s[n,e2] = exp(-m[n,e2]) + e[n,e2]
    k.each_of("s", N * E2, a.drawn, a.m, a.e, a.s, N)

    # loss = Σ_{n,e2} (m[n,e2] + log(s[n,e2]) - x[n,e2] logits[n,e2])/(E2 N)
    k.by_block("loss", 1, a.x, a.drawn, a.m, a.s, a.loss, N)


def backward(p: Params, g: Grads, a: Workspace) -> None:
    """Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`."""
    k = a.kernels
    N = a.N

    # p[n,e2] = e[n,e2]/s[n,e2]
    k.each_of("p", N * E2, a.s, a.e, a.p, N)

    # ∂L/∂drawn[n,d2,h,w] = (p[n,H W d2 + W h + w] - x[n,H W d2 + W h + w])/(E2 N)
    k.each_of("d_drawn", N * D2 * H * W, a.x, a.p, a.d_drawn, N)

    # ∂L/∂up2_b[d2] = Σ_{n,h,w} ∂L/∂drawn[n,d2,h,w]
    k.by_block("d_up2_b", D2, a.d_drawn, g.up2_b, N)

    # ∂L/∂grown2[n,d2,h4,w4] = ∂L/∂drawn[n,d2,h4-1,w4-1] (0 outside)
    k.each_of("d_grown2", N * D2 * H4 * W4, a.d_drawn, a.d_grown2, N)

    # split_d_up2_W[f,d2,q,m,u3,v3] = Σ_{n,j3,k3} grown_pad1[n,f,j3 + 1 - u3,k3 + 1 - v3]
    #     ∂L/∂classes2[n,d2,q,m,j3,k3]
    k.product(
        "split_d_up2_W",
        16,
        1,
        D2 * Q * M,
        F * U3 * V3,
        a.d_grown2,
        a.grown_pad1,
        a.split_d_up2_W,
        N,
    )

    # ∂L/∂up2_W[f,d2,2 u3 + q,2 v3 + m] = split_d_up2_W[f,d2,q,m,u3,v3]
    k.each("d_up2_W", F * D2 * U2 * V2, a.split_d_up2_W, g.up2_W)

    # padded_d_classes2[n,d2,q,m,p,x] = ∂L/∂classes2[n,d2,q,m,p-1,x-1] (0 outside)
    k.each_of("padded_d_classes2", N * D2 * Q * M * P * X, a.d_grown2, a.padded_d_classes2, N)

    # ∂L/∂grown_pad1[n,f,a3,b3] = Σ_{d2,q,m,u3,v3} up2_W[f,d2,2 u3 + q,2 v3 + m]
    #     padded_d_classes2[n,d2,q,m,a3+u3,b3+v3]
    k.product(
        "d_grown_pad1", 16, 1, F, N * A3 * B3, p.up2_W, a.padded_d_classes2, a.d_grown_pad1, N
    )

    # ∂L/∂z2[n,f,e,g] = [z2[n,f,e,g] > 0] ∂L/∂grown_pad1[n,f,e+1,g+1]
    k.each_of("d_z2", N * F * E * G, a.d_grown_pad1, a.z2, a.d_z2, N)

    # ∂L/∂up1_b[f] = Σ_{n,e,g} ∂L/∂z2[n,f,e,g]
    k.by_block("d_up1_b", F, a.d_z2, g.up1_b, N)

    # ∂L/∂grown1[n,f,h3,w3] = ∂L/∂z2[n,f,h3-1,w3-1] (0 outside)
    k.each_of("d_grown1", N * F * H3 * W3, a.d_z2, a.d_grown1, N)

    # split_d_up1_W[r,f,q,m,u3,v3] = Σ_{n,j2,k2} code_pad[n,r,j2 + 1 - u3,k2 + 1 - v3]
    #     ∂L/∂classes1[n,f,q,m,j2,k2]
    k.product(
        "split_d_up1_W", 16, 1, F * Q * M, R * U3 * V3, a.d_grown1, a.code_pad, a.split_d_up1_W, N
    )

    # ∂L/∂up1_W[r,f,2 u3 + q,2 v3 + m] = split_d_up1_W[r,f,q,m,u3,v3]
    k.each("d_up1_W", R * F * U2 * V2, a.split_d_up1_W, g.up1_W)

    # padded_d_classes1[n,f,q,m,s,y] = ∂L/∂classes1[n,f,q,m,s-1,y-1] (0 outside)
    k.each_of("padded_d_classes1", N * F * Q * M * S * Y, a.d_grown1, a.padded_d_classes1, N)

    # ∂L/∂code_pad[n,r,a2,b2] = Σ_{f,q,m,u3,v3} up1_W[r,f,2 u3 + q,2 v3 + m]
    #     padded_d_classes1[n,f,q,m,a2+u3,b2+v3]
    k.product("d_code_pad", 16, 1, R, N * A2 * B2, p.up1_W, a.padded_d_classes1, a.d_code_pad, N)

    # ∂L/∂code[n,r,h2,w2] = ∂L/∂code_pad[n,r,h2+1,w2+1]
    k.each_of("d_code", N * R * H2 * W2, a.d_code_pad, a.d_code, N)

    # ∂L/∂down2_W[r,f,u,v] = Σ_{n,h2,w2} halves_pad1[n,f,2 h2 + u,2 w2 + v] ∂L/∂code[n,r,h2,w2]
    k.product("d_down2_W", 16, 1, R, F * U * V, a.d_code, a.halves_pad1, g.down2_W, N)

    # ∂L/∂down2_b[r] = Σ_{n,h2,w2} ∂L/∂code[n,r,h2,w2]
    k.by_block("d_down2_b", R, a.d_code, g.down2_b, N)

    # padded_d_code[n,r,k,j] = ∂L/∂code[n,r,k-1,j-1] (0 outside)
    k.each_of("padded_d_code", N * R * K * J, a.d_code, a.padded_d_code, N)

    # padded_down2_W[r,f,k,j] = down2_W[r,f,k,j] (0 outside)
    k.each_of("padded_down2_W", R * F * K * J, p.down2_W, a.padded_down2_W)

    # split_d_halves_pad1[n,f,q,r2,z,k2] = Σ_{r,m,q2} padded_down2_W[r,f,2 m + q,2 q2 + r2]
    #     padded_d_code[n,r,z + 1 - m,k2 + 1 - q2]
    k.product(
        "split_d_halves_pad1",
        32,
        1,
        F * Q * R2,
        N * Z * K2,
        a.padded_down2_W,
        a.padded_d_code,
        a.split_d_halves_pad1,
        N,
    )

    # ∂L/∂z1[n,f,j,k] = [z1[n,f,j,k] > 0] joined_d_halves_pad1[n,f,j+1,k+1]
    k.each_of("d_z1", N * F * J * K, a.split_d_halves_pad1, a.z1, a.d_z1, N)

    # ∂L/∂down1_W[f,c,u,v] = Σ_{n,j,k} image_pad[n,c,2 j + u,2 k + v] ∂L/∂z1[n,f,j,k]
    k.product("d_down1_W", 16, 1, F, C * U * V, a.d_z1, a.image_pad, g.down1_W, N)

    # ∂L/∂down1_b[f] = Σ_{n,j,k} ∂L/∂z1[n,f,j,k]
    k.by_block("d_down1_b", F, a.d_z1, g.down1_b, N)


def update(p: Params, g: Grads, s: State) -> None:
    """Change the parameters by the gradient."""
    k = s.kernels
    P = SIZE

    # t ← t + 1
    k.each("count_step", 1, s.t)

    # c2 ← √(1 - 0.999^t)
    # lr_t ← 0.003 c2/(1 - 0.9^t)
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


def loss_and_grad(params: Params, *, x: np.ndarray) -> tuple[float, Grads]:
    """Return the loss of a batch and its gradient; float64 parameters make everything float64."""
    (x,) = checked(x, params.flat.dtype)
    a, g = Workspace(len(x), params.flat.dtype), Grads(cp.empty_like(params.flat))
    upload(a, {"x": x})
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
    return {"code": a.code, "image": a.sigmoid1}


def loss(params: Params, *, x: np.ndarray) -> float:
    """Return the loss of a batch as `predict` computes it, without a gradient."""
    (x,) = checked(x, params.flat.dtype)
    a = Activations(len(x), params.flat.dtype)
    upload(a, {"x": x})
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
        turn.send(batch, self.copies)
        self._run(a, turn)
        self._last = a

    def _run(self, a: Workspace, turn: Turn) -> None:
        """Launch a step, when its batch has come: its kernels, or the graph of them."""
        a.x = turn.device["x"]
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
