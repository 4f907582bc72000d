// What all kernels share. Compiled by nvcc for GPUs and, with EMULATE, by a C++ compiler for tests.
#pragma once

#ifdef EMULATE
#include "../emulator/emulate.hpp"
#else
// A kernel, and where its name is made known to the emulator.
#define KERNEL(name) extern "C" __global__ void name
#define REGISTER(name)
// Shared memory of a block; the emulator watches each access.
#define SHARED(type, name, count) __shared__ type name[count]
#endif

typedef unsigned long long u64;

__device__ inline unsigned least(unsigned a, unsigned b) { return a < b ? a : b; }

__device__ inline unsigned divide_up(unsigned a, unsigned b) { return a / b + (a % b != 0); }

// How matrices lie on tiles (memtorch_crossbar::Layout), and which vectors a launch is for.
struct Shape {
    unsigned groups, rows, columns;
    // Word lines and bit lines of a whole tile.
    unsigned word_lines, bit_lines;
    // Tiles down the rows that a launch sums over: from the first, so many.
    unsigned first_tile_row, tile_rows;
    unsigned vectors;
    // The place of the launch's first vector in the output, and how many vectors an image has there: the
    // output is [image, column, vector of the image].
    unsigned first_vector, positions;
};

__device__ inline u64 place(const Shape& shape, unsigned vector, unsigned column)
{
    const u64 at = (u64)shape.first_vector + vector;
    const u64 width = (u64)shape.groups * shape.columns;
    return (at / shape.positions * width + column) * shape.positions + at % shape.positions;
}

// Linear converters: memtorch_crossbar::LinearConverter to the bit.
enum { IDEAL, FIXED, PER_TILE, DYNAMIC, PER_LINE };

struct Rule {
    double overflow_rate;
    unsigned kind, bits;
    float full_scale;
    unsigned unused;
};

struct Steps {
    float inverse, step, low, high;
};

// The least power of two at or above a magnitude.
__device__ inline float ceil_power_of_two(float magnitude)
{
    return __uint_as_float((__float_as_uint(magnitude) + 0x007fffffu) & 0x7f800000u);
}

__device__ inline Steps steps_of(float full_scale, unsigned bits)
{
    const float half = __uint_as_float((126u + bits) << 23);
    Steps steps = {0.0f, 0.0f, -half, half - 1.0f};
    const float step = full_scale * __uint_as_float((128u - bits) << 23);
    const float inverse = 1.0f / step;
    if (step > 0.0f && inverse <= 3.402823466e38f) {
        steps.inverse = inverse;
        steps.step = step;
    }
    return steps;
}

// One code; the product is rounded before the sum. Not a number stays so.
__device__ inline float quantise(float sum, const Steps& steps, unsigned& clipped)
{
    const float code = floorf(__fadd_rn(__fmul_rn(sum, steps.inverse), 0.5f));
    clipped += code < steps.low || code > steps.high;
    return (code < steps.low ? steps.low : code > steps.high ? steps.high : code) * steps.step;
}

__device__ inline void count(u64* counter, unsigned clipped)
{
    if (clipped > 0) {
        atomicAdd(counter, (u64)clipped);
    }
}
