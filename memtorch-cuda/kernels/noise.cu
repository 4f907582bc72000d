// Noise on the partial sums of a row of tiles: memtorch_crossbar::backend::SumNoise. A thread has one sum.
#include "random.cuh"

struct Noise {
    // Factors of the two variances.
    double scales[2];
    // Telegraph noise: what the levels differ from the mean by, and below which word a device is at the higher.
    double high, low, threshold;
    u64 sums;
    unsigned columns;
    // How many variances there are.
    unsigned variances;
    unsigned key[2];
    // The row of tiles, and the first block of random bits of its devices.
    unsigned row, first_block;
    // How the row's devices lie.
    unsigned groups, group_columns, word_lines, bit_lines;
};

// Where the thread's sum is: `false` beyond the last.
__device__ inline bool find(const Noise& noise, u64& at, u64& vector, unsigned& column)
{
    at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    vector = at / noise.columns;
    column = (unsigned)(at % noise.columns);
    return at < noise.sums;
}

// Normal noise, drawn at the column.
KERNEL(normal_noise)(float* sums, const double* constants, const unsigned* places, const float* first,
                     const float* second, Noise noise)
{
    u64 at, vector;
    unsigned column;
    if (!find(noise, at, vector, column)) {
        return;
    }
    double square = constants[column];
    if (noise.variances > 0) {
        square = square + noise.scales[0] * (double)fmaxf(first[at], 0.0f);
    }
    if (noise.variances > 1) {
        square = square + noise.scales[1] * (double)fmaxf(second[at], 0.0f);
    }
    if (!(square > 0.0)) {
        return;
    }
    const double drawn =
        stream_normal(places[2 * vector], places[2 * vector + 1], column, noise.row, noise.key);
    sums[at] = (float)((double)sums[at] + sqrt(square) * drawn);
}
REGISTER(normal_noise)

// Telegraph noise, drawn at the devices: four down a column share a block of random bits. `conductances` are the
// row's tiles, `volts` [vector, group, word line].
KERNEL(telegraph_noise)(float* sums, const double* conductances, const unsigned* places, const float* volts,
                        Noise noise)
{
    u64 at, vector;
    unsigned column;
    if (!find(noise, at, vector, column)) {
        return;
    }
    const unsigned group = column / noise.group_columns, within = column % noise.group_columns;
    const unsigned first = within / noise.bit_lines * noise.bit_lines;
    const unsigned bit_lines = least(noise.bit_lines, noise.group_columns - first);
    const double* tile = conductances + (u64)noise.word_lines * ((u64)group * noise.group_columns + first) + within - first;
    const float* input = volts + (vector * noise.groups + group) * noise.word_lines;
    double total = 0.0;
    for (unsigned line = 0; line < noise.word_lines; line += 4) {
        const Words w = philox({{places[2 * vector], places[2 * vector + 1], column, noise.first_block + line / 4}},
                               noise.key[0], noise.key[1]);
        for (unsigned k = 0; k < 4 && line + k < noise.word_lines; k++) {
            const double level = (double)w.of[k] < noise.threshold ? noise.high : noise.low;
            total = total + tile[(u64)(line + k) * bit_lines] * level * (double)input[line + k];
        }
    }
    sums[at] = sums[at] + (float)total;
}
REGISTER(telegraph_noise)
