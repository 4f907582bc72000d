// memtorch_devices::models::Vteam. Options: window, whether there is an a_on, a_on, the same
// of a_off.
#include "population.cuh"

struct Vteam {
    enum { PARAMETERS = 13 };
    double w_on, w_off, per_width, k_on, k_off, alpha_on, alpha_off, v_on, v_off, per_v_on, per_v_off, p, j, a_on,
        a_off, per_w_c;
    int window;

    __device__ Vteam(const double* values, const double* options)
        : w_on(values[8]), w_off(values[9]), per_width(1.0 / (values[9] - values[8])), k_on(values[2]),
          k_off(values[3]), alpha_on(values[4]), alpha_off(values[5]), v_on(values[6]), v_off(values[7]),
          per_v_on(1.0 / values[6]), per_v_off(1.0 / values[7]), p(values[10]), j(values[11]),
          a_on(options[1] != 0.0 ? options[2] : values[8]), a_off(options[3] != 0.0 ? options[4] : values[9]),
          per_w_c(1.0 / values[12]), window((int)options[0])
    {
    }

    __device__ double window_of(double state, bool to_off) const
    {
        if (window != TEAM) {
            return window_factor(window, (state - w_on) * per_width, to_off, p, j);
        }
        const double argument = to_off ? state - a_off : a_on - state;
        return lane_exp(-lane_exp(argument * per_w_c));
    }

    template <typename Normal>
    __device__ double step(double state, double voltage, double dt, const Normal&) const
    {
        double rate = 0.0;
        if (voltage > v_off) {
            const double drive = greater(fma(voltage, per_v_off, -1.0), 0.0);
            rate = k_off * lane_pow(drive, alpha_off) * window_of(state, true);
        }
        if (voltage < v_on) {
            const double drive = greater(fma(voltage, per_v_on, -1.0), 0.0);
            rate = k_on * lane_pow(drive, alpha_on) * window_of(state, false);
        }
        return clamped(state + dt * rate, w_on, w_off);
    }
};

ADVANCE(vteam, Vteam)
