// CUDA C++ on the CPU: one block at a time, each of its threads a fiber.
//
// A barrier or a shuffle hands over to the next fiber; threads run in an order that a seed permutes.
// Shared memory holds NaN before every block, so that what is read before it is written shows.
// A launch whose threads wait for each other for ever is given up.
#pragma once
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__ static __attribute__((section("cuda_shared")))
#define __restrict__ __restrict

using std::abs; using std::atan; using std::cos; using std::cosh; using std::erf; using std::exp;
using std::expm1; using std::floor; using std::log; using std::log1p; using std::pow; using std::sin;
using std::sinh; using std::sqrt; using std::tan; using std::tanh;
static inline float rsqrt(float x) { return 1 / std::sqrt(x); }
static inline double rsqrt(double x) { return 1 / std::sqrt(x); }

struct Place { unsigned x = 0, y = 0, z = 0; };
static Place threadIdx, blockIdx, blockDim, gridDim;

extern char __start_cuda_shared[] __attribute__((weak)), __stop_cuda_shared[] __attribute__((weak));

namespace host {

enum Waiting { READY, AT_BLOCK, AT_WARP, DONE };
struct Fiber { void *stack_pointer; Waiting waiting; unsigned phase; char *stack; };

static const size_t STACK = 64 << 10;
static std::vector<Fiber> fibers;
static std::function<void()> body;
static void *scheduler;
static unsigned current;
static double slots[2][1024];

// Save what a called function must keep, change stacks, and go on there.
extern "C" void host_switch(void **from, void *to);
asm(R"(
.text
.type host_switch, @function
host_switch:
    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
    ret
)");

static void yield(Waiting why) {
    const unsigned own = current;
    fibers[own].waiting = why;
    host_switch(&fibers[own].stack_pointer, scheduler);
    current = own;
    threadIdx.x = own;
}

static void entry() {
    body();
    fibers[current].waiting = DONE;
    host_switch(&fibers[current].stack_pointer, scheduler);
    abort();
}

static void start(Fiber &fiber) {
    if (!fiber.stack) fiber.stack = static_cast<char *>(aligned_alloc(64, STACK));
    void **top = reinterpret_cast<void **>(fiber.stack + STACK) - 2;
    *top = reinterpret_cast<void *>(entry);
    fiber.stack_pointer = top - 6;
    fiber.waiting = READY;
    fiber.phase = 0;
}

static bool release(unsigned begin, unsigned end, Waiting why) {
    for (unsigned t = begin; t < end; ++t)
        if (fibers[t].waiting != why) return false;
    for (unsigned t = begin; t < end; ++t) fibers[t].waiting = READY;
    return true;
}

static void poison() {
    for (char *at = __start_cuda_shared; at && at + 8 <= __stop_cuda_shared; at += 8)
        memset(at, 0xff, 8);
}

// Run one block; return whether its threads wait for each other for ever.
static bool run_block(const std::vector<unsigned> &order) {
    const unsigned threads = order.size();
    poison();
    for (unsigned t = 0; t < threads; ++t) start(fibers[t]);
    for (;;) {
        bool moved = false, left = false;
        for (unsigned t : order) {
            if (fibers[t].waiting != READY) continue;
            moved = true;
            current = t;
            threadIdx.x = t;
            host_switch(&scheduler, fibers[t].stack_pointer);
        }
        for (unsigned w = 0; w < threads; w += 32) moved |= release(w, w + 32, AT_WARP);
        moved |= release(0, threads, AT_BLOCK);
        for (unsigned t = 0; t < threads; ++t) left |= fibers[t].waiting != DONE;
        if (!left) return false;
        if (!moved) return true;
    }
}

static bool launch(unsigned blocks, unsigned threads, unsigned seed, std::function<void()> kernel) {
    body = std::move(kernel);
    if (fibers.size() < threads) fibers.resize(threads);
    blockDim.x = threads;
    gridDim.x = blocks;
    std::vector<unsigned> order(threads);
    for (unsigned t = 0; t < threads; ++t) order[t] = t;
    for (unsigned t = threads; seed && t > 1; --t) {
        seed = seed * 1664525u + 1013904223u;
        std::swap(order[t - 1], order[(seed >> 8) % t]);
    }
    for (unsigned b = 0; b < blocks; ++b) {
        blockIdx.x = seed ? blocks - 1 - b : b;
        if (run_block(order)) return true;
    }
    return false;
}

}  // namespace host

static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}

static inline void __syncwarp() { host::yield(host::AT_WARP); }
static inline void __syncthreads() { host::yield(host::AT_BLOCK); }

static inline int __ffs(unsigned x) { return __builtin_ffs(static_cast<int>(x)); }

static inline unsigned __ballot_sync(unsigned mask, bool holds) {
    if (mask != ~0u) abort();
    const unsigned own = threadIdx.x, phase = host::fibers[own].phase++ % 2;
    host::slots[phase][own] = holds;
    host::yield(host::AT_WARP);
    unsigned found = 0;
    for (unsigned lane = 0; lane < 32; ++lane)
        found |= unsigned(host::slots[phase][own / 32 * 32 + lane] != 0) << lane;
    return found;
}

template <class T> static T __shfl_down_sync(unsigned mask, T value, unsigned lanes) {
    if (mask != ~0u) abort();
    const unsigned own = threadIdx.x, phase = host::fibers[own].phase++ % 2;
    memcpy(&host::slots[phase][own], &value, sizeof(T));
    host::yield(host::AT_WARP);
    T found = value;
    if (own % 32 + lanes < 32) memcpy(&found, &host::slots[phase][own + lanes], sizeof(T));
    return found;
}

template <class T> static T __shfl_sync(unsigned mask, T value, unsigned lane) {
    if (mask != ~0u) abort();
    const unsigned own = threadIdx.x, phase = host::fibers[own].phase++ % 2;
    memcpy(&host::slots[phase][own], &value, sizeof(T));
    host::yield(host::AT_WARP);
    T found;
    memcpy(&found, &host::slots[phase][own / 32 * 32 + lane], sizeof(T));
    return found;
}
