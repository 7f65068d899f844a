// The part of CUDA's header of this name that kernels use, on the CPU.
#pragma once
#include <cstdint>
#include <cstring>

struct __nv_bfloat16 { uint16_t bits; };

static inline float __bfloat162float(__nv_bfloat16 x) {
    const uint32_t whole = uint32_t(x.bits) << 16;
    float found;
    memcpy(&found, &whole, sizeof found);
    return found;
}

// To the nearest, ties to even; what is no number stays none.
static inline __nv_bfloat16 __float2bfloat16_rn(float x) {
    uint32_t whole;
    memcpy(&whole, &x, sizeof whole);
    if (x != x) return {0x7fff};
    return {uint16_t((whole + 0x7fff + (whole >> 16 & 1)) >> 16)};
}
