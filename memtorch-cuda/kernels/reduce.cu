// Effective conductances of tiles with wires, many at a time: star-mesh reduction to the terminals, in halves
// (memtorch_crossbar::passive). The neighbours a, b of an eliminated node gain c_a c_b / sum(c); nothing is ever
// subtracted, so that every conductance keeps its relative accuracy.
//
// A block of cells is its conductances between ports, above the diagonal of a square; ports are its left, right,
// top and bottom nodes in this order. The left and top ones belong to its neighbours. The blocks of one step lie
// in an arena, as the host planned, those of the next in another; each tile has its own two.
#include "common.cuh"

enum { THREADS = 256, EDGE = 64, PER = 4, DEPTH = 8, LEAF = 4, NODES = 2 * LEAF * LEAF + 2 * LEAF, LEAF_THREADS = 64 };

enum { LEFT, RIGHT, TOP, BOTTOM, SIDES };

struct Circuit {
    double word_source, bit_source, word_line, bit_line;
    unsigned rows, columns;
    // Elements of a tile's arena, and of its scratch memory.
    u64 arena, scratch;
};

struct Leaf {
    u64 to;
    unsigned row, column, height, width;
    // Whether lines go on at its right and at its bottom.
    unsigned right, bottom;
};

// One thread a node that is left: a leaf is eliminated node after node in shared memory.
KERNEL(reduce_leaves)(const double* devices, double* arena, const Leaf* leaves, Circuit circuit)
{
    enum { STRIDE = NODES + 1 };
    SHARED(double, between, NODES * STRIDE);
    const Leaf leaf = leaves[blockIdx.x];
    const unsigned h = leaf.height, w = leaf.width;
    // Nodes that are no ports come first: those of word lines, then those of bit lines.
    const unsigned word_width = leaf.right ? w - 1 : w, bit_height = leaf.bottom ? h - 1 : h;
    const unsigned inner = h * word_width + bit_height * w;
    const unsigned right = inner + h, top = right + (leaf.right ? h : 0), bottom = top + w;
    const unsigned nodes = bottom + (leaf.bottom ? w : 0);

    auto word = [&](unsigned r, unsigned c) { return c < word_width ? r * word_width + c : right + r; };
    auto bit = [&](unsigned r, unsigned c) { return r < bit_height ? h * word_width + r * w + c : bottom + c; };
    auto connect = [&](unsigned a, unsigned b, double conductance) {
        between[a < b ? a * STRIDE + b : b * STRIDE + a] = conductance;
    };
    for (unsigned i = threadIdx.x; i < NODES * STRIDE; i += LEAF_THREADS) {
        between[i] = 0.0;
    }
    __syncthreads();
    const double* mine = devices + (u64)blockIdx.y * circuit.rows * circuit.columns;
    for (unsigned i = threadIdx.x; i < h * w; i += LEAF_THREADS) {
        const unsigned r = i / w, c = i % w, row = leaf.row + r, column = leaf.column + c;
        connect(word(r, c), bit(r, c), mine[(u64)row * circuit.columns + column]);
        connect(word(r, c), c == 0 ? inner + r : word(r, c - 1), column == 0 ? circuit.word_source : circuit.word_line);
        connect(bit(r, c), r == 0 ? top + c : bit(r - 1, c), row == 0 ? circuit.bit_source : circuit.bit_line);
    }
    const unsigned me = threadIdx.x;
    for (unsigned k = 0; k < inner; k++) {
        __syncthreads();
        if (me <= k || me >= nodes) {
            continue;
        }
        double sum = 0.0;
        for (unsigned j = k + 1; j < nodes; j++) {
            sum = sum + between[k * STRIDE + j];
        }
        const double share = between[k * STRIDE + me] / sum;
        for (unsigned j = me + 1; j < nodes; j++) {
            between[me * STRIDE + j] = fma(share, (double)between[k * STRIDE + j], (double)between[me * STRIDE + j]);
        }
    }
    __syncthreads();
    const unsigned ports = nodes - inner;
    double* to = arena + (u64)blockIdx.y * circuit.arena + leaf.to;
    for (unsigned i = threadIdx.x; i < ports * ports; i += LEAF_THREADS) {
        const unsigned a = inner + i / ports, b = inner + i % ports;
        to[i] = a < b ? (double)between[a * STRIDE + b] : 0.0;
    }
}
REGISTER(reduce_leaves)

struct Block {
    u64 at;
    unsigned ports[SIDES];
};

// Two neighbours become one; a second without ports stands for a block that is only copied.
struct Merge {
    Block first, second;
    u64 to, scratch;
    // Whether the second lies below the first, or to its right.
    unsigned below, unused;
};

__device__ inline unsigned count_of(const Block& block)
{
    return block.ports[LEFT] + block.ports[RIGHT] + block.ports[TOP] + block.ports[BOTTOM];
}

__device__ inline unsigned start_of(const Block& block, unsigned side)
{
    unsigned start = 0;
    for (unsigned s = 0; s < side; s++) {
        start += block.ports[s];
    }
    return start;
}

enum : unsigned { NOWHERE = ~0u };

// The port of a block that a node of the union is. Nodes are those that both share, then the union's ports.
__device__ inline unsigned port_of(const Merge& merge, unsigned shared, unsigned node, bool second)
{
    const Block& block = second ? merge.second : merge.first;
    const unsigned out = merge.below ? BOTTOM : RIGHT, into = merge.below ? TOP : LEFT;
    if (node < shared) {
        return start_of(block, second ? into : out) + node;
    }
    unsigned at = node - shared;
    for (unsigned side = 0; side < SIDES; side++) {
        const unsigned a = side == out ? 0 : merge.first.ports[side];
        const unsigned b = side == into ? 0 : merge.second.ports[side];
        if (at < a + b) {
            const bool belongs = second ? at >= a : at < a;
            return belongs ? start_of(block, side) + (second ? at - a : at) : NOWHERE;
        }
        at -= a + b;
    }
    return NOWHERE;
}

__device__ inline double joined(const Merge& merge, const double* arena, unsigned shared, unsigned i, unsigned j)
{
    double sum = 0.0;
    for (unsigned which = 0; which < 2; which++) {
        const unsigned a = port_of(merge, shared, i, which), b = port_of(merge, shared, j, which);
        if (a != NOWHERE && b != NOWHERE) {
            const Block& block = which ? merge.second : merge.first;
            sum = sum + arena[block.at + (u64)(a < b ? a : b) * count_of(block) + (a < b ? b : a)];
        }
    }
    return sum;
}

// A block of threads joins two blocks and eliminates what they share: first the shared nodes are factored, row k
// being the star of node k when its turn comes, then what they leave between the ports is one product.
KERNEL(reduce_merges)(const double* from_arenas, double* to_arenas, double* scratch, const Merge* merges,
                      Circuit circuit)
{
    SHARED(double, partial, THREADS);
    SHARED(double, shares, DEPTH * EDGE);
    SHARED(double, stars, DEPTH * EDGE);
    const Merge merge = merges[blockIdx.x];
    const double* arena = from_arenas + (u64)blockIdx.y * circuit.arena;
    double* to = to_arenas + (u64)blockIdx.y * circuit.arena + merge.to;
    if (count_of(merge.second) == 0) {
        const u64 all = (u64)count_of(merge.first) * count_of(merge.first);
        for (u64 i = threadIdx.x; i < all; i += THREADS) {
            to[i] = arena[merge.first.at + i];
        }
        return;
    }
    const unsigned n = merge.first.ports[merge.below ? BOTTOM : RIGHT];
    const unsigned ports = count_of(merge.first) + count_of(merge.second) - 2 * n, width = n + ports;
    double* rows = scratch + (u64)blockIdx.y * circuit.scratch + merge.scratch;
    for (u64 i = threadIdx.x; i < (u64)n * width; i += THREADS) {
        const unsigned a = (unsigned)(i / width), b = (unsigned)(i % width);
        rows[i] = a < b ? joined(merge, arena, n, a, b) : 0.0;
    }

    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (unsigned k = 0; k < n; k++) {
        const double* star = rows + (u64)k * width;
        __syncthreads();
        double sum = 0.0;
        for (unsigned j = k + 1 + threadIdx.x; j < width; j += THREADS) {
            sum = sum + star[j];
        }
        partial[threadIdx.x] = sum;
        for (unsigned half = THREADS / 2; half > 0; half /= 2) {
            __syncthreads();
            if (threadIdx.x < half) {
                partial[threadIdx.x] = partial[threadIdx.x] + partial[threadIdx.x + half];
            }
        }
        __syncthreads();
        const double inverse = 1.0 / partial[0];
        for (unsigned i = k + 1 + warp; i < n; i += THREADS / 32) {
            double* row = rows + (u64)i * width;
            const double share = star[i] * inverse;
            for (unsigned j = i + 1 + lane; j < width; j += 32) {
                row[j] = fma(share, star[j], row[j]);
            }
        }
        if (threadIdx.x == 0) {
            rows[(u64)k * width + k] = inverse;
        }
    }

    // Squares of ports; those below the diagonal are not wanted.
    const unsigned down = threadIdx.x / (EDGE / PER) * PER, right = threadIdx.x % (EDGE / PER) * PER;
    const unsigned squares = divide_up(ports, EDGE);
    for (unsigned square = 0; square < squares * squares; square++) {
        const unsigned top = square / squares * EDGE, left = square % squares * EDGE;
        if (top > left) {
            continue;
        }
        double sum[PER][PER] = {};
        for (unsigned from = 0; from < n; from += DEPTH) {
            __syncthreads();
            for (unsigned i = threadIdx.x; i < DEPTH * EDGE; i += THREADS) {
                const unsigned k = from + i / EDGE, p = i % EDGE;
                const double* star = rows + (u64)k * width;
                shares[i] = k < n && top + p < ports ? star[n + top + p] * star[k] : 0.0;
                stars[i] = k < n && left + p < ports ? star[n + left + p] : 0.0;
            }
            __syncthreads();
            for (unsigned k = 0; k < DEPTH; k++) {
                double a[PER], b[PER];
#pragma unroll
                for (int i = 0; i < PER; i++) {
                    a[i] = shares[k * EDGE + down + i];
                    b[i] = stars[k * EDGE + right + i];
                }
#pragma unroll
                for (int i = 0; i < PER; i++) {
#pragma unroll
                    for (int j = 0; j < PER; j++) {
                        sum[i][j] = fma(a[i], b[j], sum[i][j]);
                    }
                }
            }
        }
#pragma unroll
        for (int i = 0; i < PER; i++) {
#pragma unroll
            for (int j = 0; j < PER; j++) {
                const unsigned a = top + down + i, b = left + right + j;
                if (a < ports && b < ports) {
                    to[(u64)a * ports + b] = a < b ? joined(merge, arena, n, n + a, n + b) + sum[i][j] : 0.0;
                }
            }
        }
    }
}
REGISTER(reduce_merges)

// From the word lines' to the bit lines' terminals: [tile, word line, bit line].
KERNEL(reduce_pick)(const double* arenas, double* found, Circuit circuit)
{
    const double* arena = arenas + (u64)blockIdx.y * circuit.arena;
    const unsigned terminals = circuit.rows + circuit.columns;
    const u64 all = (u64)circuit.rows * circuit.columns;
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < all; i += (u64)gridDim.x * blockDim.x) {
        const unsigned row = (unsigned)(i / circuit.columns), column = (unsigned)(i % circuit.columns);
        found[(u64)blockIdx.y * all + i] = arena[(u64)row * terminals + circuit.rows + column];
    }
}
REGISTER(reduce_pick)
