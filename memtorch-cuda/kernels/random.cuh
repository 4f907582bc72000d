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
