"""Measure of how far a sung note is off pitch, from the spectrum around the note that was meant.

Written by `bpgen emit pitch_correction --target cupy` from pitch_correction.py.
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
D, K, H, J, E = 128, 1, 64, 32, 1
SIZE = 10369

# Shapes of the parameters; for a batch, the shape of one example and the number of classes.
PARAMETERS = {
    "fc1_W": (D, H),
    "fc1_b": (H,),
    "fc2_W": (H, J),
    "fc2_b": (J,),
    "fc3_W": (J, E),
    "fc3_b": (E,),
}
INPUTS = {
    "spectrum": ((D,), None),
    "error": ((K,), None),
}
OUTPUTS = ("cents",)
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
    D = 128, K = 1, H = 64, J = 32, E = 1;

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

// h1[n,h] = max(0, z1[n,h])
extern "C" __global__ void kernel_h1(const real *z1, real *h1, int N) {
    each_of(N * H, [=](int, real z1, real &h1) { h1 = maximum(0_r, z1); }, z1, h1);
}

// z2[n,j] = Σ_h fc2_W[h,j] h1[n,h] + fc2_b[j]
// h2[n,j] = max(0, z2[n,j])
extern "C" __global__ void kernel_h2(
    const real *h1, const real *fc2_W, const real *fc2_b, real *z2, real *h2, int N
) {
    product<2, by_row, by_row>(1, N, J, H,
        [=](int, int n, int h) { return h1[n * H + h]; },
        [=](int, int h, int j) { return fc2_W[h * J + j]; },
        [=](int, int n, int j, real sum) {
            const int at = n * J + j;
            z2[at] = sum + fc2_b[j];
            h2[at] = maximum(0_r, z2[at]);
        });
}

// z3[n,e] = Σ_j fc3_W[j,e] h2[n,j] + fc3_b[e]
// cents[n,e] = 50 z3[n,e]
extern "C" __global__ void kernel_cents(
    const real *h2, const real *fc3_W, const real *fc3_b, real *cents, int N
) {
    product<1, by_row, by_row>(1, N, E, J,
        [=](int, int n, int j) { return h2[n * J + j]; },
        [=](int, int j, int e) { return fc3_W[j * E + e]; },
        [=](int, int n, int e, real sum) {
            const real z3 = sum + fc3_b[e];
            cents[n * E + e] = 50_r * z3;
        });
}

// r[n,e] = cents[n,e] - error[n,e]
extern "C" __global__ void kernel_r(const real *error, const real *cents, real *r, int N) {
    each_of(N * E, [=](int i, real cents, real &r) {
        const int n = i / E, e = i % E;
        r = cents - error[n * K + e];
    }, cents, r);
}

// loss = Σ_{n,e} |r[n,e]|/(E N)
extern "C" __global__ void kernel_loss(const real *r, real *loss, int N) {
    by_block<added>(1, N * E,
        [=](int, int j) { return abs(r[j]) / real(N); },
        [=](int, real sum) { *loss = sum; });
}

// ∂L/∂z3[n,e] = 50 sign(r[n,e])/(E N)
extern "C" __global__ void kernel_d_z3(const real *r, real *d_z3, int N) {
    each_of(N * E, [=](int, real r, real &d_z3) { d_z3 = 50_r * sign(r) / real(N); }, r, d_z3);
}

// ∂L/∂fc3_W[j,e] = Σ_n h2[n,j] ∂L/∂z3[n,e]
extern "C" __global__ void kernel_d_fc3_W(
    const real *h2, const real *d_z3, real *d_fc3_W, int N
) {
    product<1, by_column, by_row>(1, J, E, N,
        [=](int, int j, int n) { return h2[n * J + j]; },
        [=](int, int n, int e) { return d_z3[n * E + e]; },
        [=](int, int j, int e, real sum) { d_fc3_W[j * E + e] = sum; });
}

// ∂L/∂fc3_b[e] = Σ_n ∂L/∂z3[n,e]
extern "C" __global__ void kernel_d_fc3_b(const real *d_z3, real *d_fc3_b, int N) {
    by_columns<added>(E, N,
        [=](int e, int n) { return d_z3[n * E + e]; },
        [=](int e, real sum) { d_fc3_b[e] = sum; });
}

// ∂L/∂h2[n,j] = Σ_e fc3_W[j,e] ∂L/∂z3[n,e]
// ∂L/∂z2[n,j] = [z2[n,j] > 0] ∂L/∂h2[n,j]
extern "C" __global__ void kernel_d_z2(
    const real *d_z3, const real *fc3_W, const real *z2, real *d_z2, int N
) {
    product<2, by_row, by_column>(1, N, J, E,
        [=](int, int n, int e) { return d_z3[n * E + e]; },
        [=](int, int e, int j) { return fc3_W[j * E + e]; },
        [=](int, int n, int j, real sum) {
            const real d_h2 = sum;
            d_z2[n * J + j] = z2[n * J + j] > 0_r ? d_h2 : 0_r;
        });
}

// ∂L/∂fc2_W[h,j] = Σ_n h1[n,h] ∂L/∂z2[n,j]
extern "C" __global__ void kernel_d_fc2_W(
    const real *h1, const real *d_z2, real *d_fc2_W, int N
) {
    product<1, by_column, by_row>(1, H, J, N,
        [=](int, int h, int n) { return h1[n * H + h]; },
        [=](int, int n, int j) { return d_z2[n * J + j]; },
        [=](int, int h, int j, real sum) { d_fc2_W[h * J + j] = sum; });
}

// ∂L/∂fc2_b[j] = Σ_n ∂L/∂z2[n,j]
extern "C" __global__ void kernel_d_fc2_b(const real *d_z2, real *d_fc2_b, int N) {
    by_columns<added>(J, N,
        [=](int j, int n) { return d_z2[n * J + j]; },
        [=](int j, real sum) { d_fc2_b[j] = sum; });
}

// ∂L/∂h1[n,h] = Σ_j fc2_W[h,j] ∂L/∂z2[n,j]
// ∂L/∂z1[n,h] = [z1[n,h] > 0] ∂L/∂h1[n,h]
extern "C" __global__ void kernel_d_z1(
    const real *d_z2, const real *fc2_W, const real *z1, real *d_z1, int N
) {
    product<2, by_row, by_column>(1, N, H, J,
        [=](int, int n, int j) { return d_z2[n * J + j]; },
        [=](int, int j, int h) { return fc2_W[h * J + j]; },
        [=](int, int n, int h, real sum) {
            const real d_h1 = sum;
            d_z1[n * H + h] = z1[n * H + h] > 0_r ? d_h1 : 0_r;
        });
}

// ∂L/∂fc1_b[h] = Σ_n ∂L/∂z1[n,h]
extern "C" __global__ void kernel_d_fc1_b(const real *d_z1, real *d_fc1_b, int N) {
    by_columns<added>(H, N,
        [=](int h, int n) { return d_z1[n * H + h]; },
        [=](int h, real sum) { d_fc1_b[h] = sum; });
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
    "h1",
    "h2",
    "cents",
    "r",
    "loss",
    "d_z3",
    "d_fc3_W",
    "d_fc3_b",
    "d_z2",
    "d_fc2_W",
    "d_fc2_b",
    "d_z1",
    "d_fc1_b",
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
        self.fc1_W = self.flat[0:8192].reshape((D, H))
        self.fc1_b = self.flat[8192:8256].reshape((H,))
        self.fc2_W = self.flat[8256:10304].reshape((H, J))
        self.fc2_b = self.flat[10304:10336].reshape((J,))
        self.fc3_W = self.flat[10336:10368].reshape((J, E))
        self.fc3_b = self.flat[10368:10369].reshape((E,))


class Grads:
    """The gradient: `grads.W` is ∂L/∂W, in the same order in memory as the parameters."""

    def __init__(self, flat: cp.ndarray) -> None:
        self.flat = flat
        self.fc1_W = self.flat[0:8192].reshape((D, H))
        self.fc1_b = self.flat[8192:8256].reshape((H,))
        self.fc2_W = self.flat[8256:10304].reshape((H, J))
        self.fc2_b = self.flat[10304:10336].reshape((J,))
        self.fc3_W = self.flat[10336:10368].reshape((J, E))
        self.fc3_b = self.flat[10368:10369].reshape((E,))


class Activations:
    """A batch of N examples on the device, and what the forward pass computes for it."""

    def __init__(self, N: int, dtype: str = DTYPE) -> None:
        self.N, self.kernels = N, Kernels.of(dtype)
        self.spectrum = cp.empty((N, D), dtype)  # spectrum[n,d]
        self.error = cp.empty((N, K), dtype)  # error[n,k]
        self.z1 = cp.empty((N, H), dtype)  # z1[n,h]
        self.h1 = cp.empty((N, H), dtype)  # h1[n,h]
        self.z2 = cp.empty((N, J), dtype)  # z2[n,j]
        self.h2 = cp.empty((N, J), dtype)  # h2[n,j]
        self.cents = cp.empty((N, E), dtype)  # cents[n,e]
        self.r = cp.empty((N, E), dtype)  # r[n,e]
        self.loss = cp.empty((), dtype)  # loss


class Workspace(Activations):
    """The activations, and the cotangents that the backward pass computes from them."""

    def __init__(self, N: int, dtype: str = DTYPE) -> None:
        super().__init__(N, dtype)
        self.d_z3 = cp.empty((N, E), dtype)  # ∂L/∂z3[n,e]
        self.d_z2 = cp.empty((N, J), dtype)  # ∂L/∂z2[n,j]
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
    p.fc1_W[...] = rng.normal(0, math.sqrt(2 / D), (D, H))
    p.fc2_W[...] = rng.normal(0, math.sqrt(2 / H), (H, J))
    p.fc3_W[...] = rng.normal(0, math.sqrt(2 / J), (J, E))
    return Params(cp.asarray(p.flat))


def forward(p: Params, a: Activations) -> None:
    """Compute the outputs of a batch into `a`."""
    k = a.kernels
    N = a.N

    # z1[n,h] = Σ_d spectrum[n,d] fc1_W[d,h] + fc1_b[h]
    k.matmul(a.spectrum, p.fc1_W, a.z1, bias=p.fc1_b)

    # h1[n,h] = max(0, z1[n,h])
    k.each_of("h1", N * H, a.z1, a.h1, N)

    # z2[n,j] = Σ_h fc2_W[h,j] h1[n,h] + fc2_b[j]
    # h2[n,j] = max(0, z2[n,j])
    k.product("h2", 32, 1, N, J, a.h1, p.fc2_W, p.fc2_b, a.z2, a.h2, N)

    # z3[n,e] = Σ_j fc3_W[j,e] h2[n,j] + fc3_b[e]
    # cents[n,e] = 50 z3[n,e]
    k.product("cents", 16, 1, N, E, a.h2, p.fc3_W, p.fc3_b, a.cents, N)


def add_loss(a: Activations) -> None:
    """Go on from the outputs to the loss."""
    k = a.kernels
    N = a.N

    # r[n,e] = cents[n,e] - error[n,e]
    k.each_of("r", N * E, a.error, a.cents, a.r, N)

    # loss = Σ_{n,e} |r[n,e]|/(E N)
    k.by_block("loss", 1, a.r, a.loss, N)


def backward(p: Params, g: Grads, a: Workspace) -> None:
    """Fill `g` with the gradient, from what `forward` and `add_loss` left in `a`."""
    k = a.kernels
    N = a.N

    # ∂L/∂z3[n,e] = 50 sign(r[n,e])/(E N)
    k.each_of("d_z3", N * E, a.r, a.d_z3, N)

    # ∂L/∂fc3_W[j,e] = Σ_n h2[n,j] ∂L/∂z3[n,e]
    k.product("d_fc3_W", 16, 1, J, E, a.h2, a.d_z3, g.fc3_W, N)

    # ∂L/∂fc3_b[e] = Σ_n ∂L/∂z3[n,e]
    k.by_columns("d_fc3_b", E, a.d_z3, g.fc3_b, N)

    # ∂L/∂h2[n,j] = Σ_e fc3_W[j,e] ∂L/∂z3[n,e]
    # ∂L/∂z2[n,j] = [z2[n,j] > 0] ∂L/∂h2[n,j]
    k.product("d_z2", 32, 1, N, J, a.d_z3, p.fc3_W, a.z2, a.d_z2, N)

    # ∂L/∂fc2_W[h,j] = Σ_n h1[n,h] ∂L/∂z2[n,j]
    k.product("d_fc2_W", 16, 1, H, J, a.h1, a.d_z2, g.fc2_W, N)

    # ∂L/∂fc2_b[j] = Σ_n ∂L/∂z2[n,j]
    k.by_columns("d_fc2_b", J, a.d_z2, g.fc2_b, N)

    # ∂L/∂h1[n,h] = Σ_j fc2_W[h,j] ∂L/∂z2[n,j]
    # ∂L/∂z1[n,h] = [z1[n,h] > 0] ∂L/∂h1[n,h]
    k.product("d_z1", 32, 1, N, H, a.d_z2, p.fc2_W, a.z1, a.d_z1, N)

    # ∂L/∂fc1_W[d,h] = Σ_n spectrum[n,d] ∂L/∂z1[n,h]
    k.matmul(a.spectrum.T, a.d_z1, g.fc1_W)

    # ∂L/∂fc1_b[h] = Σ_n ∂L/∂z1[n,h]
    k.by_columns("d_fc1_b", H, a.d_z1, g.fc1_b, N)


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


def checked(spectrum: np.ndarray, error: np.ndarray, dtype: str) -> tuple[np.ndarray, ...]:
    """Return a batch as contiguous arrays of the right types and equal lengths."""
    spectrum = real("spectrum", spectrum, (D,), dtype)
    error = real("error", error, (K,), dtype)
    if len({len(spectrum), len(error)}) > 1:
        raise ValueError(f"spectrum, error have different lengths: {len(spectrum), len(error)}")
    return spectrum, error


def upload(a: Activations, batch: dict[str, np.ndarray]) -> None:
    """Copy arrays of the host into the buffers of their names."""
    for name, array in batch.items():
        buffer = getattr(a, name)
        buffer.set(np.asarray(array, buffer.dtype, order="C"))


def loss_and_grad(
    params: Params,
    *,
    spectrum: np.ndarray,
    error: np.ndarray,
) -> tuple[float, Grads]:
    """Return the loss of a batch and its gradient; float64 parameters make everything float64."""
    spectrum, error = checked(spectrum, error, params.flat.dtype)
    a, g = Workspace(len(spectrum), params.flat.dtype), Grads(cp.empty_like(params.flat))
    upload(a, {"spectrum": spectrum, "error": error})
    forward(params, a)
    add_loss(a)
    backward(params, g, a)
    return float(a.loss), g


def predict(params: Params, *, spectrum: np.ndarray) -> dict[str, cp.ndarray]:
    """Return the outputs for a batch, by name, on the device."""
    dtype = params.flat.dtype
    spectrum = real("spectrum", spectrum, (D,), dtype)
    a = Activations(len(spectrum), dtype)
    upload(a, {"spectrum": spectrum})
    forward(params, a)
    return {"cents": a.cents}


def loss(params: Params, *, spectrum: np.ndarray, error: np.ndarray) -> float:
    """Return the loss of a batch as `predict` computes it, without a gradient."""
    spectrum, error = checked(spectrum, error, params.flat.dtype)
    a = Activations(len(spectrum), params.flat.dtype)
    upload(a, {"spectrum": spectrum, "error": error})
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

    def step(self, *, spectrum: np.ndarray, error: np.ndarray) -> float:
        """Train on one batch: forward, backward, update. Return the loss before the update."""
        self.start(spectrum=spectrum, error=error)
        return self.loss()

    def loss(self) -> float:
        """Return the loss of the last step, when it is done."""
        with self.stream:
            return float(self._last.loss)

    def start(self, *, spectrum: np.ndarray, error: np.ndarray) -> None:
        """Train on one batch, as `step` does, without waiting for the device.

        Meanwhile the step before may still run. Whoever asks for the loss waits: so ask seldom.
        """
        spectrum, error = checked(spectrum, error, self.params.flat.dtype)
        a = self._workspace(len(spectrum))
        turn = self._turns[a.N][self.steps % 2]
        self.steps += 1
        batch = {"spectrum": spectrum, "error": error}
        turn.send(batch, self.copies)
        self._run(a, turn)
        self._last = a

    def _run(self, a: Workspace, turn: Turn) -> None:
        """Launch a step, when its batch has come: its kernels, or the graph of them."""
        a.spectrum = turn.device["spectrum"]
        a.error = turn.device["error"]
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
                "spectrum": a.spectrum,
                "error": a.error,
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
        "spectrum": rng.standard_normal((N, D)),
        "error": rng.random((N, K)),
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
    order = rng.permutation(len(data["spectrum"]))
    for begin in range(0, len(order), batch):
        yield {name: array[order[begin : begin + batch]] for name, array in data.items()}


def report(params: Params, data: dict[str, np.ndarray]) -> str:
    """Return the loss on `data`."""
    return f"loss {loss(params, **data):.4f}"


def main(argv: list[str] | None = None) -> int:
    """Train on the arrays of an .npz file, whose keys are the names of the inputs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="an .npz file with spectrum and error")
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
    rows = np.random.default_rng(args.seed).permutation(len(data["spectrum"]))
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
