// memtorch_devices::models::DataDriven. Options: eta, how many coefficients r_p has and r_n has, and these.
#include "population.cuh"

struct DataDriven {
    enum { PARAMETERS = 12 };
    // Of positive and of negative voltage; the signed k of the model, 1 over it, and k times the rate.
    struct Branch {
        double t, slope, per_slope, growth;

        __device__ Branch(double eta, double t, double k, double rate)
            : t(t), slope(eta * k), per_slope(1.0 / slope), growth(slope * rate)
        {
        }
    };

    double r_on, r_off;
    Branch positive, negative;
    int count_p, count_n;
    const double* coefficients;

    __device__ DataDriven(const double* values, const double* options)
        : r_on(values[0]), r_off(values[1]), positive(options[0], values[4], values[6], values[2]),
          negative(-options[0], values[5], values[7], values[3]), count_p((int)options[1]), count_n((int)options[2]),
          coefficients(options + 3)
    {
    }

    template <typename Normal>
    __device__ double step(double resistance, double voltage, double dt, const Normal&) const
    {
        const bool up = voltage > 0.0;
        // Each by its value: a pointer to either would put both into memory.
        const double t = up ? positive.t : negative.t, slope = up ? positive.slope : negative.slope;
        const double per_slope = up ? positive.per_slope : negative.per_slope;
        const double growth = up ? positive.growth : negative.growth;
        const double bound = up ? polynomial(coefficients, count_p, voltage)
                                : polynomial(coefficients + count_p, count_n, voltage);
        const double u = slope * (bound - resistance);
        const double sigma = growth * lane_exp_m1(t * fabs(voltage)) * dt;
        double after = resistance;
        if (u > 0.0 && sigma > 0.0) {
            const double share = -lane_exp_m1(-sigma);
            const double moved = u > 500.0 ? u + lane_ln(share + lane_exp(-(u + sigma)))
                                           : lane_ln_1p(share * lane_exp_m1(lesser(u, 500.0)));
            after = resistance + per_slope * moved;
        }
        return clamped(after, r_on, r_off);
    }
};

ADVANCE(data_driven, DataDriven)
