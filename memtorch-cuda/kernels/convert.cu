// Dynamic ranges of tiles that are wider than a block of a product: converts the sums of one tile row,
// [vector, column], and adds them to the output. A block has one vector and one tile column.
#include "common.cuh"

enum { THREADS = 256 };

KERNEL(convert)(const float* sums, float* output, u64* clipped, Shape shape, Rule rule)
{
    SHARED(unsigned, found, THREADS);
    const unsigned tile_columns = divide_up(shape.columns, shape.bit_lines);
    const unsigned group = blockIdx.x / tile_columns;
    const unsigned column = blockIdx.x % tile_columns * shape.bit_lines;
    const unsigned bit_lines = least(shape.bit_lines, shape.columns - column);
    const unsigned at = group * shape.columns + column;
    const float* tile = sums + (u64)blockIdx.y * shape.groups * shape.columns + at;
    const unsigned skip = (unsigned)floor(rule.overflow_rate * (double)bit_lines);

    // Combines one number of each thread, the same for all of them.
    auto combine = [&](unsigned mine, bool add) {
        __syncthreads();
        found[threadIdx.x] = mine;
        for (unsigned half = THREADS / 2; half > 0; half /= 2) {
            __syncthreads();
            if (threadIdx.x < half) {
                const unsigned a = found[threadIdx.x], b = found[threadIdx.x + half];
                found[threadIdx.x] = add ? a + b : a > b ? a : b;
            }
        }
        __syncthreads();
        return (unsigned)found[0];
    };

    unsigned magnitude = 0;
    if (skip == 0) {
        for (unsigned b = threadIdx.x; b < bit_lines; b += THREADS) {
            // Not a number does not count; the bits of others are in the order of their magnitudes.
            const unsigned bits = __float_as_uint(tile[b]) & 0x7fffffffu;
            magnitude = bits <= 0x7f800000u && bits > magnitude ? bits : magnitude;
        }
        magnitude = combine(magnitude, false);
    } else {
        for (int bit = 30; bit >= 0; bit--) {
            const unsigned candidate = magnitude | 1u << bit;
            unsigned above = 0;
            for (unsigned b = threadIdx.x; b < bit_lines; b += THREADS) {
                above += (__float_as_uint(tile[b]) & 0x7fffffffu) >= candidate;
            }
            if (combine(above, true) > skip) {
                magnitude = candidate;
            }
        }
    }

    const Steps steps = steps_of(ceil_power_of_two(__uint_as_float(magnitude)), rule.bits);
    unsigned clips = 0;
    for (unsigned b = threadIdx.x; b < bit_lines; b += THREADS) {
        const u64 to = place(shape, blockIdx.y, at + b);
        const float before = shape.first_tile_row == 0 ? 0.0f : output[to];
        output[to] = before + quantise(tile[b], steps, clips);
    }
    count(clipped, clips);
}
REGISTER(convert)
