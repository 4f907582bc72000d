// What steps of the list of non-idealities make of each device by itself: memtorch_crossbar::Change. A thread has one
// device; sums, products and quotients are those of the CPU, in its order.
#include "random.cuh"

enum { SCALED, EVEN_CONDUCTANCES, EVEN_RESISTANCES, LEVELS, MISSED };

struct Change {
    u64 devices;
    // A factor; or the relative and the absolute deviation.
    double first, second;
    unsigned kind;
    // How many states or levels there are.
    unsigned count;
    // Whether r_on and r_off are one of each device.
    unsigned each_on, each_off;
    unsigned key[2];
    // How the devices lie (memtorch_crossbar::Layout).
    unsigned rows, columns, word_lines, bit_lines;
};

__device__ inline double nearest_conductance(double g, double low, double high, double last)
{
    const double state = clamped(floor((g - low) / (high - low) * last + 0.5), 0.0, last);
    return state == last ? high : low + (high - low) * (state / last);
}

__device__ inline double nearest_resistance(double g, double low, double high, double last)
{
    const double r_on = 1.0 / high, r_off = 1.0 / low;
    const double position = (1.0 / g - r_on) / (r_off - r_on) * last;
    const double first = clamped(floor(position), 0.0, last);
    const double second = lesser(first + 1.0, last);
    const double above = 1.0 / (first == last ? r_off : r_on + (r_off - r_on) * (first / last));
    const double below = 1.0 / (second == last ? r_off : r_on + (r_off - r_on) * (second / last));
    return fabs(above - g) <= fabs(g - below) ? above : below;
}

__device__ inline double nearest_level(double g, const double* levels, unsigned count)
{
    unsigned low = 0, high = count;
    while (low < high) {
        const unsigned middle = low + (high - low) / 2;
        if (levels[middle] < g) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const double below = levels[low > 0 ? low - 1 : 0], above = levels[least(low, count - 1)];
    return fabs(above - g) <= fabs(g - below) ? above : below;
}

__device__ inline double missed(double g, u64 device, const Change& change)
{
    const double relative = change.first * g;
    const double deviation = sqrt(relative * relative + change.second * change.second);
    // The place: tile, word line and bit line.
    const u64 group = device / ((u64)change.rows * change.columns);
    const u64 within = device % ((u64)change.rows * change.columns);
    const unsigned tile_column = (unsigned)(within / ((u64)change.rows * change.bit_lines));
    const unsigned column = tile_column * change.bit_lines;
    const unsigned bit_lines = least(change.bit_lines, change.columns - column);
    const u64 inside = within - (u64)column * change.rows;
    const unsigned row = (unsigned)(inside / bit_lines), bit_line = (unsigned)(inside % bit_lines);
    const u64 tile = (group * divide_up(change.columns, change.bit_lines) + tile_column)
            * divide_up(change.rows, change.word_lines) + row / change.word_lines;
    return g + deviation * stream_normal((unsigned)tile, row % change.word_lines, bit_line, 0, change.key);
}

KERNEL(change)(double* conductances, const double* r_on, const double* r_off, const double* levels, Change change)
{
    const u64 device = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (device >= change.devices) {
        return;
    }
    const double g = conductances[device];
    const double low = 1.0 / r_off[change.each_off ? device : 0], high = 1.0 / r_on[change.each_on ? device : 0];
    const double last = (double)change.count - 1.0;
    double found = g;
    switch (change.kind) {
    case SCALED:
        found = g * change.first;
        break;
    case EVEN_CONDUCTANCES:
        found = nearest_conductance(g, low, high, last);
        break;
    case EVEN_RESISTANCES:
        found = nearest_resistance(g, low, high, last);
        break;
    case LEVELS:
        found = nearest_level(g, levels, change.count);
        break;
    default:
        found = missed(g, device, change);
    }
    conductances[device] = found;
}
REGISTER(change)
