// memtorch_devices::models::DataDriven2021. Options: how many coefficients r_p has and r_n has, and these.
#include "population.cuh"

struct DataDriven2021 {
    enum { PARAMETERS = 10 };
    double r_on, r_off, rate[2], t[2];
    int count_p, count_n;
    const double* coefficients;

    __device__ DataDriven2021(const double* values, const double* options)
        : r_on(values[0]), r_off(values[1]), rate{values[2], values[3]}, t{values[4], values[5]},
          count_p((int)options[0]), count_n((int)options[1]), coefficients(options + 2)
    {
    }

    template <typename Normal>
    __device__ double step(double resistance, double voltage, double dt, const Normal&) const
    {
        const bool positive = voltage > 0.0;
        const double s = (positive ? rate[0] : rate[1]) * lane_exp_m1(fabs(voltage) / (positive ? t[0] : t[1]));
        const double bound = positive ? polynomial(coefficients, count_p, voltage)
                                      : polynomial(coefficients + count_p, count_n, voltage);
        const double drive = s * (bound - resistance);
        double after = resistance;
        if (drive > 0.0 && voltage != 0.0) {
            after = bound + (resistance - bound) / (1.0 + drive * dt);
        }
        return clamped(after, r_on, r_off);
    }
};

ADVANCE(data_driven_2021, DataDriven2021)
