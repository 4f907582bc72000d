// memtorch_devices::models::DataDriven. Options: eta, how many coefficients r_p has and r_n has, and these.
#include "population.cuh"

struct DataDriven {
    enum { PARAMETERS = 12 };
    double r_on, r_off, rate[2], t[2], k[2];
    double eta;
    int count_p, count_n;
    const double* coefficients;

    __device__ DataDriven(const double* values, const double* options)
        : r_on(values[0]), r_off(values[1]), rate{values[2], values[3]}, t{values[4], values[5]},
          k{values[6], values[7]}, eta(options[0]), count_p((int)options[1]), count_n((int)options[2]),
          coefficients(options + 3)
    {
    }

    template <typename Normal>
    __device__ double step(double resistance, double voltage, double dt, const Normal&) const
    {
        const bool positive = voltage > 0.0;
        const double slope = positive ? k[0] : k[1];
        const double s = (positive ? rate[0] : rate[1]) * lane_exp_m1((positive ? t[0] : t[1]) * fabs(voltage));
        const double bound = positive ? polynomial(coefficients, count_p, voltage)
                                      : polynomial(coefficients + count_p, count_n, voltage);
        const double direction = positive ? eta : -eta;
        const double u = direction * slope * (bound - resistance);
        const double sigma = direction * slope * s * dt;
        double after = resistance;
        if (u > 0.0 && sigma > 0.0) {
            const double share = -lane_exp_m1(-sigma);
            const double moved = u > 500.0 ? u + lane_ln(share + lane_exp(-(u + sigma)))
                                           : lane_ln_1p(share * lane_exp_m1(lesser(u, 500.0)));
            after = resistance + direction / slope * moved;
        }
        return clamped(after, r_on, r_off);
    }
};

ADVANCE(data_driven, DataDriven)
