// What a kernel sees of CUDA, on the CPU. Each thread of a block is a fiber; a block's fibers take turns at
// its barriers, in an order that a test chooses. See emulator.cpp.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>

namespace emulate {

struct Index {
    unsigned x = 1, y = 1, z = 1;
};

// The thread that runs, and its launch.
extern thread_local Index thread_index, block_index, block_size, grid_size;

// Ends the launch with an error.
[[noreturn]] void fail(const char* why);

// All threads of the block, or of the warp, meet here; the line tells one barrier from another.
void block_barrier(int line);
void warp_barrier(int line);
// Slots in which the lanes of this thread's warp exchange words; two sets, by turns.
uint32_t* exchange();

// The block, and the stretch between two barriers, each with a number that never comes again.
uint64_t block_number();
uint64_t epoch();

// Shared memory that is poisoned for each block and in which two threads may not meet between barriers.
template <typename T, unsigned N> class Shared {
    struct Trace {
        uint64_t written, read;
        unsigned writer, reader;
    };
    enum : unsigned { SEVERAL = ~0u };
    T values[N];
    Trace traces[N];
    uint64_t block;

    Trace& at(unsigned index)
    {
        if (index >= N) {
            fail("an access beyond shared memory");
        }
        if (block != block_number()) {
            block = block_number();
            std::memset(values, 0xff, sizeof values);
        }
        return traces[index];
    }

public:
    struct Reference {
        Shared& shared;
        unsigned index;

        operator T() const
        {
            Trace& trace = shared.at(index);
            const unsigned me = thread_index.x;
            if (trace.written == epoch() && trace.writer != me) {
                fail("a race on shared memory: a read of what another thread writes before the next barrier");
            }
            trace.reader = trace.read == epoch() && trace.reader != me ? SEVERAL : me;
            trace.read = epoch();
            return shared.values[index];
        }
        void operator=(T value)
        {
            Trace& trace = shared.at(index);
            const unsigned me = thread_index.x;
            if ((trace.written == epoch() && trace.writer != me) || (trace.read == epoch() && trace.reader != me)) {
                fail("a race on shared memory: a write of what another thread uses before the next barrier");
            }
            trace.writer = me;
            trace.written = epoch();
            shared.values[index] = value;
        }
    };
    Reference operator[](unsigned index) { return {*this, index}; }
};

// One object a thread and place, the place being the type of a lambda: on the heap, since what is thread_local itself
// takes from the stack of every thread.
template <typename T, typename Place> T& own(Place)
{
    static thread_local std::unique_ptr<T> one(new T());
    return *one;
}

typedef void (*Kernel)(void** arguments);

// Makes a kernel known by name.
struct Registration {
    Registration(const char* name, Kernel kernel);
};

template <auto F> struct Call;
template <typename... A, void (*F)(A...)> struct Call<F> {
    template <size_t... I> struct Indices {};
    template <size_t N, size_t... I> struct Make : Make<N - 1, N - 1, I...> {};
    template <size_t... I> struct Make<0, I...> {
        static void run(void** arguments) { F(*static_cast<A*>(arguments[I])...); }
    };
    static void run(void** arguments) { Make<sizeof...(A)>::run(arguments); }
};

} // namespace emulate

#define __device__
#define __restrict__ __restrict
#define KERNEL(name) static void name
#define REGISTER(name) static emulate::Registration registration_##name(PREFIX #name, &emulate::Call<&name>::run);
#define SHARED(type, name, count) auto& name = emulate::own<emulate::Shared<type, count>>([] {})

#define threadIdx emulate::thread_index
#define blockIdx emulate::block_index
#define blockDim emulate::block_size
#define gridDim emulate::grid_size
#define __syncthreads() emulate::block_barrier(__LINE__)

inline uint32_t __float_as_uint(float value)
{
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}
inline float __uint_as_float(uint32_t bits)
{
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
inline uint64_t __double_as_longlong(double value)
{
    uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}
inline double __longlong_as_double(uint64_t bits)
{
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline unsigned __umulhi(unsigned a, unsigned b) { return (uint64_t)a * b >> 32; }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }

inline float __shfl_xor_sync_at(int line, float value, unsigned mask)
{
    uint32_t* slots = emulate::exchange();
    const unsigned lane = threadIdx.x % 32;
    slots[lane] = __float_as_uint(value);
    emulate::warp_barrier(line);
    return __uint_as_float(slots[lane ^ mask]);
}
inline unsigned __ballot_sync_at(int line, bool holds)
{
    uint32_t* slots = emulate::exchange();
    slots[threadIdx.x % 32] = holds;
    emulate::warp_barrier(line);
    unsigned ballot = 0;
    for (unsigned lane = 0; lane < 32; lane++) {
        ballot |= slots[lane] << lane;
    }
    return ballot;
}
#define __shfl_xor_sync(mask, value, distance) __shfl_xor_sync_at(__LINE__, value, distance)
#define __ballot_sync(mask, holds) __ballot_sync_at(__LINE__, holds)

// Fibers change only at barriers, so that this is atomic.
inline unsigned long long atomicAdd(unsigned long long* sum, unsigned long long term)
{
    const unsigned long long before = *sum;
    *sum = before + term;
    return before;
}
