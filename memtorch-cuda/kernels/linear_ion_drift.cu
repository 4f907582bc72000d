// memtorch_devices::models::LinearIonDrift. Options: window.
#include "population.cuh"

struct LinearIonDrift {
    enum { PARAMETERS = 8 };
    double r_off, span, rate, v_pos, v_neg, p, j;
    int window;

    __device__ LinearIonDrift(const double* values, const double* options)
        : r_off(values[1]), span(values[1] - values[0]), rate(values[2] * values[0] / (values[3] * values[3])),
          v_pos(values[4]), v_neg(values[5]), p(values[6]), j(values[7]), window((int)options[0])
    {
    }

    template <typename Normal>
    __device__ double step(double state, double voltage, double dt, const Normal&) const
    {
        if (!(voltage >= v_pos || voltage <= v_neg)) {
            return state;
        }
        const double current = voltage / (r_off - span * state);
        const double factor = window_factor(window, state, voltage > 0.0, p, j);
        return clamped(state + dt * (rate * current * factor), 0.0, 1.0);
    }
};

ADVANCE(linear_ion_drift, LinearIonDrift)
