// Products of vectors and matrices on tiles, with the converter of each tile's sums.
//
// A block has WIDTH bit lines of one tile column and 8 * PER vectors, and goes through the tiles down the rows.
// A warp's lanes lie along the bit lines, so that all of a tile of up to WIDTH bit lines for one vector is in
// one warp: its dynamic range needs no memory. Full scales come one a tile, or one a column and row of tiles. Each sum is one chain of fused multiply-adds in the order of
// the word lines.
#include "common.cuh"

enum { DEPTH = 16, WIDTH = 128, WARPS = 8, THREADS = 32 * WARPS, EACH = WIDTH / 32 };

#define EVERYONE 0xffffffffu

// The bits of the element number `skip` by falling magnitude of a warp's sums. Those of no bit line are 0 and
// never above another.
__device__ inline unsigned largest_of_warp(const float (&sums)[EACH], unsigned skip)
{
    unsigned found = 0;
#pragma unroll 1
    for (int bit = 30; bit >= 0; bit--) {
        const unsigned candidate = found | 1u << bit;
        unsigned above = 0;
#pragma unroll
        for (unsigned j = 0; j < EACH; j++) {
            const bool counts = (__float_as_uint(sums[j]) & 0x7fffffffu) >= candidate;
            above += __popc(__ballot_sync(EVERYONE, counts));
        }
        if (above > skip) {
            found = candidate;
        }
    }
    return found;
}

__device__ inline float greatest_of_warp(const float (&sums)[EACH])
{
    float greatest = 0.0f;
#pragma unroll
    for (unsigned j = 0; j < EACH; j++) {
        greatest = fmaxf(greatest, fabsf(sums[j]));
    }
    for (unsigned distance = 16; distance > 0; distance /= 2) {
        greatest = fmaxf(greatest, __shfl_xor_sync(EVERYONE, greatest, distance));
    }
    return greatest;
}

template <int PER>
__device__ inline void multiply(const float* __restrict__ matrix, const float* __restrict__ inputs,
                                const float* __restrict__ scales, float* __restrict__ output, u64* clipped,
                                const Shape& shape, const Rule& rule)
{
    enum { VECTORS = WARPS * PER, STRIDE = VECTORS + 1 };
    SHARED(float, panel, DEPTH * WIDTH);
    SHARED(float, vectors, DEPTH * STRIDE);

    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const unsigned parts = divide_up(least(shape.bit_lines, shape.columns), WIDTH);
    const unsigned tile_columns = divide_up(shape.columns, shape.bit_lines);
    const unsigned tile_rows = divide_up(shape.rows, shape.word_lines);
    const unsigned tile_column = blockIdx.x / parts % tile_columns;
    const unsigned group = blockIdx.x / parts / tile_columns;
    const unsigned column = tile_column * shape.bit_lines;
    const unsigned bit_lines = least(shape.bit_lines, shape.columns - column);
    const unsigned first = blockIdx.x % parts * WIDTH;
    if (first >= bit_lines) {
        return;
    }
    const unsigned width = least(bit_lines - first, WIDTH);
    // Bit lines of this lane: lane, lane + 32, ...
    const unsigned used = width > lane ? divide_up(width - lane, 32) : 0;
    const unsigned start = blockIdx.y * VECTORS;
    const unsigned height = least(shape.vectors - start, VECTORS);

    float total[PER][EACH] = {};
    unsigned clips = 0;
    for (unsigned r = shape.first_tile_row; r < shape.first_tile_row + shape.tile_rows; r++) {
        const unsigned row = r * shape.word_lines;
        const unsigned word_lines = least(shape.word_lines, shape.rows - row);
        const float* tile = matrix + ((u64)group * shape.columns + column) * shape.rows
            + (u64)row * bit_lines + first;
        const float* input = inputs + ((u64)start * shape.groups + group) * shape.rows + row;

        float sum[PER][EACH] = {};
        for (unsigned from = 0; from < word_lines; from += DEPTH) {
            const unsigned depth = least(word_lines - from, DEPTH);
            __syncthreads();
            for (unsigned i = threadIdx.x; i < DEPTH * WIDTH; i += THREADS) {
                const unsigned k = i / WIDTH, b = i % WIDTH;
                panel[i] = k < depth && b < width ? tile[(u64)(from + k) * bit_lines + b] : 0.0f;
            }
            for (unsigned i = threadIdx.x; i < DEPTH * VECTORS; i += THREADS) {
                const unsigned v = i / DEPTH, k = i % DEPTH;
                const u64 at = (u64)v * shape.groups * shape.rows + from + k;
                vectors[k * STRIDE + v] = k < depth && v < height ? input[at] : 0.0f;
            }
            __syncthreads();
            auto word_line = [&](unsigned k) {
                float g[EACH];
#pragma unroll
                for (unsigned j = 0; j < EACH; j++) {
                    g[j] = j < used ? (float)panel[k * WIDTH + lane + 32 * j] : 0.0f;
                }
#pragma unroll
                for (int i = 0; i < PER; i++) {
                    const float x = vectors[k * STRIDE + warp + WARPS * i];
#pragma unroll
                    for (unsigned j = 0; j < EACH; j++) {
                        if (j < used) {
                            sum[i][j] = fmaf(x, g[j], sum[i][j]);
                        }
                    }
                }
            };
            if (depth == DEPTH) {
#pragma unroll 4
                for (unsigned k = 0; k < DEPTH; k++) {
                    word_line(k);
                }
            } else {
                for (unsigned k = 0; k < depth; k++) {
                    word_line(k);
                }
            }
        }

        const unsigned index = (group * tile_columns + tile_column) * tile_rows + r;
        const unsigned skip = (unsigned)floor(rule.overflow_rate * (double)bit_lines);
#pragma unroll
        for (int i = 0; i < PER; i++) {
            // All lanes of a warp have the same vectors.
            if (warp + WARPS * i >= height) {
                continue;
            }
            if (rule.kind != IDEAL) {
                float full_scale = rule.full_scale;
                if (rule.kind == PER_TILE) {
                    full_scale = scales[index];
                } else if (rule.kind == DYNAMIC) {
                    const float magnitude = skip == 0
                        ? greatest_of_warp(sum[i])
                        : __uint_as_float(largest_of_warp(sum[i], skip));
                    full_scale = ceil_power_of_two(magnitude);
                }
                Steps steps = steps_of(full_scale, rule.bits);
#pragma unroll
                for (unsigned j = 0; j < EACH; j++) {
                    if (j < used) {
                        if (rule.kind == PER_LINE) {
                            const u64 line = group * shape.columns + column + first + lane + 32 * j;
                            steps = steps_of(scales[(u64)r * shape.groups * shape.columns + line], rule.bits);
                        }
                        sum[i][j] = quantise(sum[i][j], steps, clips);
                    }
                }
            }
            for (int j = 0; j < EACH; j++) {
                total[i][j] = total[i][j] + sum[i][j];
            }
        }
    }

#pragma unroll
    for (int i = 0; i < PER; i++) {
#pragma unroll
        for (unsigned j = 0; j < EACH; j++) {
            if (warp + WARPS * i < height && j < used) {
                const unsigned at = group * shape.columns + column + first + lane + 32 * j;
                output[place(shape, start + warp + WARPS * i, at)] = total[i][j];
            }
        }
    }
    count(clipped, clips);
}

// Few vectors: 8 a block.
KERNEL(product_few)(const float* matrix, const float* inputs, const float* scales, float* output,
                    u64* clipped, Shape shape, Rule rule)
{
    multiply<1>(matrix, inputs, scales, output, clipped, shape, rule);
}
REGISTER(product_few)

// Many vectors: 64 a block.
KERNEL(product_many)(const float* matrix, const float* inputs, const float* scales, float* output,
                     u64* clipped, Shape shape, Rule rule)
{
    multiply<8>(matrix, inputs, scales, output, clipped, shape, rule);
}
REGISTER(product_many)
