// Steps of device populations: one thread a device, the loop over time inside.
#pragma once

#include "random.cuh"

enum { MOST_PARAMETERS = 48, MOST_OPTIONS = 40 };

struct Population {
    u64 devices;
    // Parameter i of a device: values[offsets[i]], and, if it is one of each, values[offsets[i] + device].
    u64 offsets[MOST_PARAMETERS];
    // Bit i: parameter i is one of each device.
    u64 each;
    // What is the same for all devices: windows, laws, coefficients, as each model says.
    double options[MOST_OPTIONS];
};

struct Steps64 {
    u64 steps;
    double dt;
    // Whether there is a voltage for each device and step, or one a step.
    unsigned each;
    // The key of the noise.
    unsigned key[2];
    unsigned unused;
    u64 first_step, first_device;
};

// The standard normal number of a device and a step.
__device__ inline double normal(const Steps64& steps, u64 device, u64 step)
{
    const u64 d = steps.first_device + device, s = steps.first_step + step;
    const Words w = philox({{(unsigned)d, (unsigned)(d >> 32), (unsigned)s, (unsigned)(s >> 32)}}, steps.key[0],
                           steps.key[1]);
    return sqrt(-2.0 * lane_ln(1.0 - unit(w.of[0], w.of[1]))) * lane_cos_turns(unit(w.of[2], w.of[3]));
}

// Windows, numbered as options are.
enum { NO_WINDOW, JOGLEKAR, BIOLEK, PRODROMAKIS, TEAM };

__device__ inline double window_factor(int window, double x, bool to_one, double p, double j)
{
    const double two_p = p + p;
    switch (window) {
    case JOGLEKAR:
        return 1.0 - lane_pow(fabs(x + x - 1.0), two_p);
    case BIOLEK:
        return 1.0 - lane_pow(to_one ? x : 1.0 - x, two_p);
    case PRODROMAKIS: {
        const double centred = x - 0.5;
        return j * (1.0 - lane_pow(fma(centred, centred, 0.75), p));
    }
    default:
        return 1.0;
    }
}

__device__ inline double polynomial(const double* coefficients, int count, double voltage)
{
    double sum = 0.0;
    for (int i = count - 1; i >= 0; i--) {
        sum = fma(sum, voltage, coefficients[i]);
    }
    return sum;
}

// Steps one device to the end, and writes its state before each step, if asked to: [step, device]. A model is made of
// its parameters and the options; it steps.
template <typename Model>
__device__ inline void advance(double* states, const double* values, const double* voltages,
                               double* history, const Population& population, const Steps64& steps)
{
    const u64 device = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (device >= population.devices) {
        return;
    }
    double parameters[Model::PARAMETERS];
#pragma unroll
    for (int i = 0; i < Model::PARAMETERS; i++) {
        parameters[i] = values[population.offsets[i] + (population.each >> i & 1 ? device : 0)];
    }
    const Model model(parameters, population.options);
    double state = states[device];
    for (u64 step = 0; step < steps.steps; step++) {
        if (history) {
            history[step * population.devices + device] = state;
        }
        const double voltage = voltages[steps.each ? step * population.devices + device : step];
        state = model.step(state, voltage, steps.dt, [&] { return normal(steps, device, step); });
    }
    states[device] = state;
}

#define ADVANCE(name, Model)                                                                                     \
    KERNEL(name)(double* states, const double* values, const double* voltages, double* history,                  \
                 Population population, Steps64 steps)                                                           \
    {                                                                                                            \
        advance<Model>(states, values, voltages, history, population, steps);                                    \
    }                                                                                                            \
    REGISTER(name)
