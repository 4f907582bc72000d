// The part of CUDA's driver that memtorch-cuda uses, on the CPU, for tests.
//
// It catches barriers that not all threads reach, races and accesses out of bounds in shared memory, accesses out of
// bounds in global memory, reads of what nobody wrote (memory starts as NaN), copies beyond an allocation, calls
// without a context, kernels that the PTX lacks, leaks. It does not
// show asynchrony, coalescing, limits of registers, or what memory models allow beyond program order.
#include "emulate.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <sys/mman.h>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulate {

thread_local Index thread_index, block_index, block_size, grid_size;

namespace {

// Fibers: a stack and, while another runs, where its registers lie.
#if defined(__x86_64__)
typedef void* Place;
extern "C" void memtorch_switch_fiber(Place* from, Place to);
asm(R"(
.hidden memtorch_switch_fiber
.globl memtorch_switch_fiber
.type memtorch_switch_fiber, @function
memtorch_switch_fiber:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
)");
void change(Place& from, Place& to) { memtorch_switch_fiber(&from, to); }
Place start(char* stack, size_t size, void (*body)())
{
    // Six registers, where `ret` goes, and an address that keeps the stack as a call would leave it.
    void** top = reinterpret_cast<void**>((reinterpret_cast<uintptr_t>(stack + size) & ~uintptr_t(15)) - 64);
    std::fill(top, top + 8, nullptr);
    top[6] = reinterpret_cast<void*>(body);
    return top;
}
#else
typedef ucontext_t Place;
void change(Place& from, Place& to) { swapcontext(&from, &to); }
Place start(char* stack, size_t size, void (*body)())
{
    Place place;
    getcontext(&place);
    place.uc_stack.ss_sp = stack;
    place.uc_stack.ss_size = size;
    place.uc_link = nullptr;
    makecontext(&place, body, 0);
    return place;
}
#endif

enum State { READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER, DONE };

struct Fiber {
    Place place;
    State state;
    int line;
    unsigned exchanges;
};

struct Warp {
    uint32_t slots[2][32];
};

const size_t STACK = 64 << 10;

// What a test chooses: the order in which threads take turns, and which copy of the kernels runs.
struct Choice {
    int order = 0;
    std::string variant;
};
thread_local Choice choice;

struct Run {
    Kernel kernel;
    void** arguments;
    std::vector<Fiber> fibers;
    std::vector<Warp> warps;
    std::vector<char> stacks;
    Place home;
    unsigned current;
    uint64_t block = 0, epoch = 0;
    const char* error;
};
thread_local Run run;

void body()
{
    run.kernel(run.arguments);
    run.fibers[run.current].state = DONE;
    change(run.fibers[run.current].place, run.home);
    std::abort();
}

void wait(State state, int line)
{
    Fiber& fiber = run.fibers[run.current];
    fiber.state = state;
    fiber.line = line;
    change(fiber.place, run.home);
}

Index index_of(unsigned thread)
{
    return {thread % block_size.x, thread / block_size.x % block_size.y, thread / block_size.x / block_size.y};
}

bool all_at(unsigned first, unsigned end, State state)
{
    for (unsigned i = first; i < end; i++) {
        if (run.fibers[i].state != state || run.fibers[i].line != run.fibers[first].line) {
            return false;
        }
    }
    return true;
}

void release(unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++) {
        run.fibers[i].state = READY;
    }
}

// Runs one block to its end; the error, if there is one, is in `run`.
void run_block(std::mt19937& random)
{
    const unsigned threads = block_size.x * block_size.y * block_size.z;
    run.fibers.assign(threads, Fiber());
    run.warps.resize((threads + 31) / 32);
    run.stacks.resize(threads * STACK);
    run.block++;
    run.epoch++;
    for (unsigned i = 0; i < threads; i++) {
        run.fibers[i].state = READY;
        run.fibers[i].exchanges = 0;
        run.fibers[i].place = start(run.stacks.data() + i * STACK, STACK, body);
    }
    std::vector<unsigned> turns(threads);
    std::iota(turns.begin(), turns.end(), 0);
    if (choice.order == 1) {
        std::reverse(turns.begin(), turns.end());
    }
    for (;;) {
        if (choice.order >= 2) {
            std::shuffle(turns.begin(), turns.end(), random);
        }
        for (unsigned i : turns) {
            if (run.fibers[i].state != READY) {
                continue;
            }
            run.current = i;
            thread_index = index_of(i);
            change(run.home, run.fibers[i].place);
            if (run.error) {
                return;
            }
        }
        bool moves = false;
        for (unsigned first = 0; first < threads; first += 32) {
            const unsigned end = std::min(first + 32, threads);
            if (all_at(first, end, AT_WARP_BARRIER)) {
                release(first, end);
                moves = true;
            }
        }
        if (moves) {
            continue;
        }
        if (all_at(0, threads, AT_BLOCK_BARRIER)) {
            release(0, threads);
            run.epoch++;
        } else if (std::all_of(run.fibers.begin(), run.fibers.end(), [](Fiber& f) { return f.state == DONE; })) {
            return;
        } else {
            run.error = "a barrier that not all threads reach";
            return;
        }
    }
}

struct Registered {
    std::map<std::string, Kernel> kernels;
};
Registered& registered()
{
    static Registered all;
    return all;
}

// Global memory.
struct Allocations {
    std::mutex lock;
    std::map<uintptr_t, size_t> sizes;

    // Whether a range lies within one allocation.
    bool holds(uintptr_t at, size_t size)
    {
        std::lock_guard<std::mutex> guard(lock);
        auto next = sizes.upper_bound(at);
        if (next == sizes.begin()) {
            return false;
        }
        const auto& found = *--next;
        return at - found.first <= found.second && size <= found.second - (at - found.first);
    }
};
Allocations allocations;
const size_t PAGE = 65536;
const unsigned char POISON = 0xff;

// An allocation ends where a page begins that nobody may touch; there is one before it, too, and what lies
// between that and the allocation must stay as it was.
size_t pages(size_t size) { return (size + PAGE - 1) / PAGE * PAGE; }

char* allocate(size_t size)
{
    const size_t inner = pages(size);
    void* all = mmap(nullptr, inner + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) {
        return nullptr;
    }
    char* start = static_cast<char*>(all) + PAGE;
    if (mprotect(start, inner, PROT_READ | PROT_WRITE) != 0) {
        munmap(all, inner + 2 * PAGE);
        return nullptr;
    }
    std::memset(start, POISON, inner);
    return start + inner - size;
}

void release_memory(uintptr_t at, size_t size)
{
    munmap(reinterpret_cast<char*>(at + size - pages(size)) - PAGE, pages(size) + 2 * PAGE);
}

bool intact(uintptr_t at, size_t size)
{
    const unsigned char* start = reinterpret_cast<const unsigned char*>(at + size - pages(size));
    return std::all_of(start, reinterpret_cast<const unsigned char*>(at),
                       [](unsigned char byte) { return byte == POISON; });
}

// A kernel that touches such a page ends with an error; anybody else as without an emulator.
thread_local bool launching;
void on_fault(int signal, siginfo_t*, void*)
{
    if (launching) {
        fail("an access beyond an allocation");
    }
    std::signal(signal, SIG_DFL);
}
void watch_faults()
{
    static const bool done = [] {
        struct sigaction action = {};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO | SA_NODEFER;
        return sigaction(SIGSEGV, &action, nullptr) == 0;
    }();
    (void)done;
}

thread_local bool entered;
thread_local std::string complaint;
const char* const LAUNCHES_FAIL = "unspecified launch failure";

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700, LAUNCH_FAILED = 719 };

} // namespace

void fail(const char* why)
{
    run.error = why;
    change(run.fibers[run.current].place, run.home);
    std::abort();
}

void block_barrier(int line) { wait(AT_BLOCK_BARRIER, line); }
void warp_barrier(int line) { wait(AT_WARP_BARRIER, line); }
uint32_t* exchange() { return run.warps[run.current / 32].slots[run.fibers[run.current].exchanges++ % 2]; }
uint64_t block_number() { return run.block; }
uint64_t epoch() { return run.epoch; }

Registration::Registration(const char* name, Kernel kernel) { registered().kernels[name] = kernel; }

} // namespace emulate

using namespace emulate;

struct Module {
    std::string ptx;
};

typedef uintptr_t Pointer;

extern "C" {

static int cuInit(unsigned) { return SUCCESS; }
static int cuDeviceGet(int* device, int) { return *device = 0, SUCCESS; }
static int cuDeviceGetName(char* name, int length, int)
{
    const char emulator[] = "emulator";
    std::memcpy(name, emulator, std::min<size_t>(length, sizeof emulator));
    return SUCCESS;
}
// Those of an H100: clocks in kHz, the width of its memory in bits.
static int cuDeviceGetAttribute(int* value, int attribute, int)
{
    static const std::map<int, int> known = {{13, 1980000}, {16, 132}, {36, 2619000}, {37, 5120}, {75, 9}, {76, 0}};
    const auto found = known.find(attribute);
    return found == known.end() ? INVALID_VALUE : (*value = found->second, SUCCESS);
}

// Events know when they were recorded: launches end before they return.
typedef std::chrono::steady_clock::time_point Time;
static int cuEventCreate(void** event, unsigned) { return *event = new Time, SUCCESS; }
static int cuEventDestroy_v2(void* event) { return delete static_cast<Time*>(event), SUCCESS; }
static int cuEventRecord(void* event, void*)
{
    return *static_cast<Time*>(event) = std::chrono::steady_clock::now(), SUCCESS;
}
static int cuEventSynchronize(void*) { return SUCCESS; }
static int cuEventElapsedTime(float* milliseconds, void* start, void* end)
{
    const std::chrono::duration<float, std::milli> elapsed = *static_cast<Time*>(end) - *static_cast<Time*>(start);
    return *milliseconds = elapsed.count(), SUCCESS;
}

static int cuDevicePrimaryCtxRetain(void** context, int) { return *context = &registered(), SUCCESS; }
static int cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
static int cuCtxSetCurrent(void* context) { return entered = context != nullptr, SUCCESS; }
static int cuStreamCreateWithPriority(void** stream, unsigned, int) { return *stream = new char, SUCCESS; }
static int cuStreamDestroy_v2(void* stream) { return delete static_cast<char*>(stream), SUCCESS; }
static int cuStreamSynchronize(void*) { return entered ? SUCCESS : INVALID_CONTEXT; }

static int cuGetErrorString(int error, const char** text)
{
    *text = error == LAUNCH_FAILED ? LAUNCHES_FAIL : "an error of the emulated driver";
    return SUCCESS;
}

static int cuModuleLoadDataEx(void** module, const void* image, unsigned, int*, void**)
{
    *module = new Module{static_cast<const char*>(image)};
    return SUCCESS;
}
static int cuModuleUnload(void* module) { return delete static_cast<Module*>(module), SUCCESS; }
static int cuModuleGetFunction(void** function, void* module, const char* name)
{
    // The committed PTX must have it, too.
    const bool there = static_cast<Module*>(module)->ptx.find(std::string(".entry ") + name + "(") != std::string::npos;
    auto found = registered().kernels.find(choice.variant + name);
    if (found == registered().kernels.end()) {
        found = registered().kernels.find(name);
    }
    if (!there || found == registered().kernels.end()) {
        return NOT_FOUND;
    }
    *function = &found->second;
    return SUCCESS;
}

static int cuMemAlloc_v2(Pointer* pointer, size_t size)
{
    if (!entered || size == 0) {
        return entered ? INVALID_VALUE : INVALID_CONTEXT;
    }
    char* memory = allocate(size);
    if (!memory) {
        return OUT_OF_MEMORY;
    }
    *pointer = reinterpret_cast<Pointer>(memory);
    std::lock_guard<std::mutex> guard(allocations.lock);
    allocations.sizes[*pointer] = size;
    return SUCCESS;
}
static int cuMemFree_v2(Pointer pointer)
{
    std::lock_guard<std::mutex> guard(allocations.lock);
    const auto found = allocations.sizes.find(pointer);
    if (!entered || found == allocations.sizes.end()) {
        return entered ? INVALID_VALUE : INVALID_CONTEXT;
    }
    release_memory(pointer, found->second);
    allocations.sizes.erase(found);
    return SUCCESS;
}
static int copy(void* to, const void* from, Pointer device, size_t size)
{
    if (!entered || !allocations.holds(device, size)) {
        return entered ? INVALID_VALUE : INVALID_CONTEXT;
    }
    std::memcpy(to, from, size);
    return SUCCESS;
}
static int cuMemcpyHtoD_v2(Pointer to, const void* from, size_t size)
{
    return copy(reinterpret_cast<void*>(to), from, to, size);
}
static int cuMemcpyDtoH_v2(void* to, Pointer from, size_t size)
{
    return copy(to, reinterpret_cast<void*>(from), from, size);
}
static int cuMemcpyHtoDAsync_v2(Pointer to, const void* from, size_t size, void*)
{
    return cuMemcpyHtoD_v2(to, from, size);
}
static int cuMemcpyDtoHAsync_v2(void* to, Pointer from, size_t size, void*)
{
    return cuMemcpyDtoH_v2(to, from, size);
}
static int cuMemsetD8Async(Pointer to, unsigned char value, size_t size, void*)
{
    if (!entered || !allocations.holds(to, size)) {
        return entered ? INVALID_VALUE : INVALID_CONTEXT;
    }
    std::memset(reinterpret_cast<void*>(to), value, size);
    return SUCCESS;
}

static int cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                          unsigned, void*, void** arguments, void**)
{
    if (!entered) {
        return INVALID_CONTEXT;
    }
    const uint64_t threads = uint64_t(bx) * by * bz;
    if (!gx || !gy || !gz || gx > 0x7fffffff || gy > 65535 || gz > 65535 || threads == 0 || threads > 1024) {
        return INVALID_VALUE;
    }
    grid_size = {gx, gy, gz};
    block_size = {bx, by, bz};
    watch_faults();
    run.kernel = *static_cast<Kernel*>(function);
    run.arguments = arguments;
    run.error = nullptr;
    std::mt19937 random(choice.order);
    std::vector<uint64_t> blocks(uint64_t(gx) * gy * gz);
    std::iota(blocks.begin(), blocks.end(), 0);
    if (choice.order == 1) {
        std::reverse(blocks.begin(), blocks.end());
    } else if (choice.order >= 2) {
        std::shuffle(blocks.begin(), blocks.end(), random);
    }
    for (uint64_t block : blocks) {
        block_index = {unsigned(block % gx), unsigned(block / gx % gy), unsigned(block / gx / gy)};
        launching = true;
        run_block(random);
        launching = false;
        if (run.error) {
            complaint = run.error;
            return LAUNCH_FAILED;
        }
    }
    std::lock_guard<std::mutex> guard(allocations.lock);
    for (const auto& allocation : allocations.sizes) {
        if (!intact(allocation.first, allocation.second)) {
            complaint = "a write before an allocation";
            return ILLEGAL_ADDRESS;
        }
    }
    return SUCCESS;
}

#define FUNCTION(name) {#name, reinterpret_cast<void*>(&name)}

// The address of a function of the driver; null for one that is not emulated.
void* memtorch_emulated_function(const char* name)
{
    static const std::map<std::string, void*> functions = {
        FUNCTION(cuInit), FUNCTION(cuDeviceGet), FUNCTION(cuDeviceGetName), FUNCTION(cuDeviceGetAttribute),
        FUNCTION(cuEventCreate), FUNCTION(cuEventDestroy_v2), FUNCTION(cuEventRecord), FUNCTION(cuEventSynchronize),
        FUNCTION(cuEventElapsedTime), FUNCTION(cuDevicePrimaryCtxRetain),
        FUNCTION(cuDevicePrimaryCtxRelease_v2), FUNCTION(cuCtxSetCurrent), FUNCTION(cuStreamCreateWithPriority),
        FUNCTION(cuStreamDestroy_v2), FUNCTION(cuStreamSynchronize), FUNCTION(cuGetErrorString),
        FUNCTION(cuModuleLoadDataEx), FUNCTION(cuModuleUnload), FUNCTION(cuModuleGetFunction), FUNCTION(cuMemAlloc_v2),
        FUNCTION(cuMemFree_v2), FUNCTION(cuMemcpyHtoD_v2), FUNCTION(cuMemcpyDtoH_v2), FUNCTION(cuMemcpyHtoDAsync_v2),
        FUNCTION(cuMemcpyDtoHAsync_v2), FUNCTION(cuMemsetD8Async), FUNCTION(cuLaunchKernel),
    };
    const auto found = functions.find(name);
    return found == functions.end() ? nullptr : found->second;
}

// For the thread that calls: the order of threads (0 forward, 1 reverse, others are seeds of random ones), and the
// prefix of the kernels that run where there are some with it.
void memtorch_emulator_choose(int order, const char* variant)
{
    choice.order = order;
    choice.variant = variant;
    complaint.clear();
}

// Why the last launch of this thread failed.
const char* memtorch_emulator_complaint() { return complaint.c_str(); }

// How many allocations there are.
size_t memtorch_emulator_allocations()
{
    std::lock_guard<std::mutex> guard(allocations.lock);
    return allocations.sizes.size();
}
}

// The kernels as they are, and copies with a fault each (see build.rs), in namespaces of their own.
#include "../kernels/population.cuh"
#define PREFIX ""
namespace product {
#include "../kernels/product.cu"
}
namespace convert {
#include "../kernels/convert.cu"
}
namespace gather {
#include "../kernels/gather.cu"
}
namespace change {
#include "../kernels/change.cu"
}
namespace noise {
#include "../kernels/noise.cu"
}
namespace reduce {
#include "../kernels/reduce.cu"
}
namespace vteam {
#include "../kernels/vteam.cu"
}
namespace linear_ion_drift {
#include "../kernels/linear_ion_drift.cu"
}
namespace data_driven {
#include "../kernels/data_driven.cu"
}
namespace data_driven_2021 {
#include "../kernels/data_driven_2021.cu"
}
namespace stanford_pku {
#include "../kernels/stanford_pku.cu"
}
#undef PREFIX
#include "faults.inc"
