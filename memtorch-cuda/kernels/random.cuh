// Random numbers that are a function of their place: memtorch_utils::Stream.
#pragma once

#include "lane.cuh"

struct Words {
    unsigned of[4];
};

// Philox4x32 with ten rounds (memtorch_utils::philox4x32).
__device__ inline Words philox(Words c, unsigned k0, unsigned k1)
{
#pragma unroll
    for (int round = 0; round < 10; round++) {
        const unsigned low = 0xD2511F53u * c.of[0], high = 0xCD9E8D57u * c.of[2];
        c = {{__umulhi(0xCD9E8D57u, c.of[2]) ^ c.of[1] ^ k0, high,
              __umulhi(0xD2511F53u, c.of[0]) ^ c.of[3] ^ k1, low}};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

__device__ inline double unit(unsigned low, unsigned high)
{
    return (double)(((u64)high << 32 | low) >> 11) * (1.0 / 9007199254740992.0);
}

// The first of memtorch_utils::Stream::normals at a place. The words are those of the CPU; the logarithm and the cosine
// agree to the last bits.
__device__ inline double stream_normal(unsigned a, unsigned b, unsigned c, unsigned draw, const unsigned (&key)[2])
{
    const Words w = philox({{a, b, c, draw}}, key[0], key[1]);
    const double inside = (double)(((u64)w.of[1] << 32 | w.of[0]) >> 11) + 1.0;
    const double radius = sqrt(-2.0 * lane_ln(inside * (1.0 / 9007199254740992.0)));
    return radius * lane_cos_turns(unit(w.of[2], w.of[3]));
}
